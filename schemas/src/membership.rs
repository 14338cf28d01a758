//! Who belongs to which union or designated city, and when (domain 4, 5711).
//!
//! Promise: a member's intervals are half open, not empty and never overlap; they depend on the lists
//! alone, whatever order they came in. Pure; who holds whom is `holder`'s question.

use crate::day::Day;
use std::collections::BTreeMap;

/// One accepted 5711 record: the full membership of a union from its date on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct List {
    /// The union or designated city.
    pub union_no: String,
    /// Movement date.
    pub date: Day,
    /// Its place in the order of application.
    pub applied: u64,
    /// Members and the day each is valid from; none if it is an end.
    pub members: Vec<(String, Day)>,
}

/// Time in which a municipality belongs to a union.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Interval {
    /// The union or designated city.
    pub union_no: String,
    /// First day.
    pub from: Day,
    /// First day out, `None` = open.
    pub until: Option<Day>,
    /// The list that made it, as a place in the lists given: the first that states its first day.
    pub list: usize,
}

/// Two unions claimed a municipality on one day; the later start won (S09).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Overlap {
    /// The municipality.
    pub member_no: String,
    /// The list that made the interval that won, as a place in the lists given.
    pub list: usize,
    /// The union whose interval ended.
    pub loser_no: String,
}

/// A member's intervals that are empty or overlap; the program is at fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the memberships of {0} are empty or overlap")]
pub struct NotApart(pub String);

/// All memberships known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Memberships {
    by_member: BTreeMap<String, Vec<Interval>>,
}

impl Interval {
    /// Whether a day lies in it.
    pub fn holds(&self, day: Day) -> bool {
        self.from <= day && self.until.is_none_or(|until| day < until)
    }
}

impl Memberships {
    /// What the accepted lists say (domain 4), and where two unions claimed one municipality.
    ///
    /// # Errors
    /// None on any lists; the check of the promise has one.
    pub fn of_lists(lists: &[List]) -> Result<(Memberships, Vec<Overlap>), NotApart> {
        let mut in_order: Vec<usize> = (0..lists.len()).collect();
        in_order.sort_by_key(|&at| (&lists[at].union_no, lists[at].date, lists[at].applied));
        let mut stated: BTreeMap<String, Vec<Interval>> = BTreeMap::new();
        for of_union in in_order.chunk_by(|&a, &b| lists[a].union_no == lists[b].union_no) {
            for (member_no, intervals) in intervals_of_union(lists, of_union) {
                stated.entry(member_no).or_default().extend(intervals);
            }
        }
        let mut overlaps = Vec::new();
        let mut by_member = BTreeMap::new();
        for (member_no, mut intervals) in stated {
            intervals.sort_by_key(|i| (i.from, lists[i.list].date, lists[i.list].applied));
            let apart = set_apart(&member_no, intervals, &mut overlaps);
            by_member.insert(member_no, apart);
        }
        Ok((Memberships::checked(by_member)?, overlaps))
    }

    /// From intervals that hold the promise.
    ///
    /// # Errors
    /// An interval is empty, or two of a member overlap.
    pub fn checked(by_member: BTreeMap<String, Vec<Interval>>) -> Result<Memberships, NotApart> {
        for (member_no, intervals) in &by_member {
            let not_empty = intervals.iter().all(|i| i.until.is_none_or(|until| i.from < until));
            let apart = intervals.windows(2).all(|w| w[0].until.is_some_and(|until| until <= w[1].from));
            if !not_empty || !apart {
                return Err(NotApart(member_no.clone()));
            }
        }
        Ok(Memberships { by_member })
    }

    /// A municipality's intervals, in time.
    pub fn of(&self, member_no: &str) -> &[Interval] {
        self.by_member.get(member_no).map_or(&[], Vec::as_slice)
    }

    /// Every interval with its member, by member and time.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Interval)> {
        self.by_member.iter().flat_map(|(member_no, intervals)| {
            intervals.iter().map(move |interval| (member_no.as_str(), interval))
        })
    }

    /// The connected component of every number that is a member or has one: the smallest number that it
    /// shares a union with, at any time and over any steps.
    pub fn components(&self) -> BTreeMap<&str, &str> {
        let mut root: BTreeMap<&str, &str> = BTreeMap::new();
        fn find<'a>(root: &mut BTreeMap<&'a str, &'a str>, no: &'a str) -> &'a str {
            let above = *root.entry(no).or_insert(no);
            if above == no {
                return no;
            }
            let top = find(root, above);
            root.insert(no, top);
            top
        }
        for (member_no, interval) in self.iter() {
            let (a, b) = (find(&mut root, member_no), find(&mut root, &interval.union_no));
            let (low, high) = if a <= b { (a, b) } else { (b, a) };
            root.insert(high, low);
        }
        let numbers: Vec<&str> = root.keys().copied().collect();
        numbers.into_iter().map(|no| (no, find(&mut root, no))).collect()
    }
}

/// What one union's lists, by date, say of each municipality they name.
fn intervals_of_union(lists: &[List], of_union: &[usize]) -> BTreeMap<String, Vec<Interval>> {
    let mut done: BTreeMap<String, Vec<Interval>> = BTreeMap::new();
    let mut open: BTreeMap<&str, Interval> = BTreeMap::new();
    for &at in of_union {
        let list = &lists[at];
        let mut named: BTreeMap<&str, Day> = BTreeMap::new();
        for (member_no, from) in &list.members {
            let earliest = named.entry(member_no).or_insert(*from);
            *earliest = (*earliest).min(*from);
        }
        let gone: Vec<&str> = open.keys().copied().filter(|no| !named.contains_key(no)).collect();
        for member_no in gone {
            if let Some(run) = open.remove(member_no) {
                close(done.entry(member_no.to_owned()).or_default(), run, Some(list.date));
            }
        }
        for (member_no, from) in named {
            let run = || Interval { union_no: list.union_no.clone(), from, until: None, list: at };
            let known = open.entry(member_no).or_insert_with(run);
            if from < known.from {
                *known = run(); // a list may restate an earlier day
            }
        }
    }
    for (member_no, run) in open {
        close(done.entry(member_no.to_owned()).or_default(), run, None);
    }
    for intervals in done.values_mut() {
        intervals.retain(|i| i.until.is_none_or(|until| i.from < until));
    }
    done
}

/// Ends a run of lists; if its first day is not after the end before, the municipality never left.
fn close(done: &mut Vec<Interval>, mut run: Interval, until: Option<Day>) {
    run.until = until;
    while let Some(before) = done.pop_if(|before| before.until.is_none_or(|left| run.from <= left)) {
        if before.from <= run.from {
            (run.from, run.list) = (before.from, before.list);
        }
    }
    done.push(run);
}

/// Of intervals by start: each later one ends the one before it where both claim a day.
fn set_apart(member_no: &str, intervals: Vec<Interval>, overlaps: &mut Vec<Overlap>) -> Vec<Interval> {
    let mut apart: Vec<Interval> = Vec::with_capacity(intervals.len());
    for next in intervals {
        if let Some(before) = apart.last_mut()
            && before.until.is_none_or(|until| next.from < until)
        {
            before.until = Some(next.from);
            let (member_no, loser_no) = (member_no.to_owned(), before.union_no.clone());
            overlaps.push(Overlap { member_no, list: next.list, loser_no });
            if before.from == next.from {
                apart.pop();
            }
        }
        apart.push(next);
    }
    apart
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> Day {
        text.parse().unwrap()
    }

    /// Lists as (union, date, "member:from member:from").
    fn lists(of: &[(&str, &str, &str)]) -> Vec<List> {
        let list = |(at, (union_no, date, members)): (usize, &(&str, &str, &str))| List {
            union_no: (*union_no).to_owned(),
            date: day(date),
            applied: at as u64,
            members: members
                .split_whitespace()
                .map(|pair| pair.split_once(':').unwrap())
                .map(|(no, from)| (no.to_owned(), day(from)))
                .collect(),
        };
        of.iter().enumerate().map(list).collect()
    }

    /// `U from..until@list` of a member.
    fn of(of: &[(&str, &str, &str)], member_no: &str) -> Vec<String> {
        let (memberships, _) = Memberships::of_lists(&lists(of)).unwrap();
        let text = |i: &Interval| {
            let until = i.until.map(|d| d.to_string()).unwrap_or_default();
            format!("{} {}..{until} @{}", i.union_no, i.from, i.list)
        };
        memberships.of(member_no).iter().map(text).collect()
    }

    #[test]
    fn a_run_starts_at_the_earliest_day_stated_and_ends_where_the_name_is_missing() {
        let joined = ("U", "2026-04-01", "A:2026-04-01 B:2026-04-01");
        assert_eq!(of(&[joined], "A"), ["U 2026-04-01.. @0"]);
        let restated = ("U", "2026-06-01", "A:2026-03-01 B:2026-06-01");
        assert_eq!(of(&[joined, restated], "A"), ["U 2026-03-01.. @1"]);
        assert_eq!(of(&[joined, restated], "B"), ["U 2026-04-01.. @0"]);
        let without = ("U", "2026-07-01", "B:2026-04-01");
        assert_eq!(of(&[without, joined], "A"), ["U 2026-04-01..2026-07-01 @1"]);
        assert_eq!(of(&[joined, ("U", "2026-08-01", "")], "B"), ["U 2026-04-01..2026-08-01 @0"]);
        assert!(of(&[("U", "2026-04-01", "A:2026-09-01"), without], "A").is_empty());
        assert_eq!(of(&[("U", "2026-04-01", "A:2026-09-01 A:2026-05-01")], "A"), ["U 2026-05-01.. @0"]);
    }

    #[test]
    fn a_forgotten_member_never_left_and_one_named_anew_comes_back() {
        let first = ("U", "2026-04-01", "A:2026-04-01");
        let forgot = ("U", "2026-07-01", "B:2026-07-01");
        let mended = ("U", "2026-08-01", "A:2026-07-01 B:2026-07-01");
        assert_eq!(of(&[first, forgot, mended], "A"), ["U 2026-04-01.. @0"]);
        let earlier = ("U", "2026-08-01", "A:2026-02-01");
        assert_eq!(of(&[first, forgot, earlier], "A"), ["U 2026-02-01.. @2"]);
        let anew = ("U", "2026-08-01", "A:2026-07-02");
        assert_eq!(of(&[first, forgot, anew], "A"), ["U 2026-04-01..2026-07-01 @0", "U 2026-07-02.. @2"]);
        let gone = ("U", "2026-09-01", "");
        let again = ("U", "2026-10-01", "A:2026-06-01");
        assert_eq!(of(&[first, forgot, anew, gone, again], "A"), ["U 2026-04-01.. @0"]);
    }

    #[test]
    fn the_later_start_wins_for_good() {
        let u = ("U", "2026-04-01", "A:2026-04-01");
        let v = ("V", "2026-06-01", "A:2026-06-01");
        let v_ends = ("V", "2026-08-01", "");
        assert_eq!(of(&[u, v, v_ends], "A"), ["U 2026-04-01..2026-06-01 @0", "V 2026-06-01..2026-08-01 @1"]);
        let (_, overlaps) = Memberships::of_lists(&lists(&[u, v, v_ends])).unwrap();
        let cut = Overlap { member_no: "A".to_owned(), list: 1, loser_no: "U".to_owned() };
        assert_eq!(overlaps, [cut]);
        let same = ("V", "2026-03-01", "A:2026-04-01");
        assert_eq!(of(&[u, same], "A"), ["U 2026-04-01.. @0"]);
        let same_day = ("V", "2026-04-01", "A:2026-04-01");
        assert_eq!(of(&[u, same_day], "A"), ["V 2026-04-01.. @1"]);
        assert_eq!(of(&[same_day, u], "A"), ["U 2026-04-01.. @1"]);
        // Case 7: the new union's list counts the same before and after the old one's end is known.
        let u_ends = ("U", "2026-06-01", "");
        assert_eq!(of(&[u, v], "A"), of(&[u, v, u_ends], "A"));
    }

    #[test]
    fn what_is_not_apart_is_refused() {
        let interval = |from: &str, until: Option<&str>| Interval {
            union_no: "U".to_owned(),
            from: day(from),
            until: until.map(day),
            list: 0,
        };
        let check = |intervals: Vec<Interval>| Memberships::checked([("A".to_owned(), intervals)].into());
        let until = |d| Some(d);
        let one = || interval("2026-04-01", until("2026-06-01"));
        assert!(check(vec![one(), interval("2026-06-01", None)]).is_ok());
        assert!(check(vec![one(), interval("2026-05-31", None)]).is_err());
        assert!(check(vec![interval("2026-04-01", None), interval("2026-06-01", None)]).is_err());
        assert!(check(vec![interval("2026-04-01", until("2026-04-01"))]).is_err());
    }

    #[test]
    fn components_follow_shared_unions_over_any_steps() {
        let (memberships, _) = Memberships::of_lists(&lists(&[
            ("9", "2026-04-01", "3:2026-04-01 5:2026-04-01"),
            ("8", "2026-04-01", "4:2026-04-01"),
            ("7", "2026-04-01", "6:2026-04-01"),
            ("8", "2026-09-01", "4:2026-04-01 5:2026-09-01"),
        ]))
        .unwrap();
        let components = memberships.components();
        let of = |no: &str| components[no];
        assert_eq!(["3", "4", "5", "8", "9"].map(of), ["3"; 5]);
        assert_eq!(["6", "7"].map(of), ["6"; 2]);
        assert!(!components.contains_key("1"));
    }
}
