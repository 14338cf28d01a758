//! The holder of a record: the union or designated city that has its insurer number as member, else the
//! insurer itself; when it is cut off; and who may send it (domain 4).
//!
//! Promise: this is the only place that knows; everything else asks. Until the day on which a record is cut
//! off, the holder of its insurer number is its holder.

use crate::day::{Day, Month};
use crate::membership::Memberships;
use std::collections::{BTreeMap, BTreeSet};

/// A time in which an insurer is ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ended {
    /// The day after the last valid day.
    pub from: Day,
    /// The first day valid again, `None` = ended for good.
    pub until: Option<Day>,
}

/// Who holds whom, as far as known. Numbers are known by their place in number order.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Holders {
    numbers: Vec<String>,
    insurers: Vec<Insurer>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Insurer {
    ended: Vec<Ended>,
    /// In time, apart.
    stays: Vec<Stay>,
}

/// Time in a union.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Stay {
    union: u32,
    from: Day,
    until: Option<Day>,
}

/// Who holds a record and how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Holding {
    /// Place of the holder's number.
    pub holder: u32,
    /// When and why it is cut off, `None` = never.
    pub cut_off: Option<CutOff>,
}

/// When and why a record is cut off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CutOff {
    /// The first day on which it does not hold; that of an ended time may be its own date or before it.
    pub day: Day,
    /// Why; of a membership and an ended time on one day the membership.
    pub why: Why,
}

/// Why a record is cut off: what its insurer or its holder did. Numbers by their places.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// Its insurer, by itself until then, came into a union.
    Joined {
        /// The union or city.
        union: u32,
    },
    /// Its insurer left the union that held it.
    Left {
        /// The union or city.
        union: u32,
    },
    /// Its holder is ended.
    Ended {
        /// The holder.
        holder: u32,
    },
}

impl Holders {
    /// From memberships and ended times, for these insurers and all that are in a union.
    pub fn new<'a>(
        memberships: &'a Memberships,
        ended: &BTreeMap<String, Vec<Ended>>,
        insurers: impl IntoIterator<Item = &'a str>,
    ) -> Holders {
        let in_unions = memberships.iter().flat_map(|(member_no, i)| [member_no, i.union_no.as_str()]);
        let numbers: BTreeSet<&str> = insurers.into_iter().chain(in_unions).collect();
        let numbers: Vec<String> = numbers.into_iter().map(str::to_owned).collect();
        let mut holders = Holders { numbers, insurers: Vec::new() };
        let insurer = |no: &String| {
            let stays = memberships.of(no).iter().filter_map(|i| {
                Some(Stay { union: holders.place(&i.union_no)?, from: i.from, until: i.until })
            });
            Insurer { ended: ended.get(no).cloned().unwrap_or_default(), stays: stays.collect() }
        };
        holders.insurers = holders.numbers.iter().map(insurer).collect();
        holders
    }

    /// The place of a number.
    pub fn place(&self, no: &str) -> Option<u32> {
        self.numbers.binary_search_by(|known| known.as_str().cmp(no)).ok().map(|at| at as u32)
    }

    /// The number at a place.
    pub fn number(&self, place: u32) -> &str {
        &self.numbers[place as usize]
    }

    /// The unions and cities that an insurer belongs to at some time, in time: each with its number, its first
    /// day and its first day out.
    pub fn stays(&self, insurer: u32) -> impl Iterator<Item = (&str, Day, Option<Day>)> {
        let stays = &self.insurers[insurer as usize].stays;
        stays.iter().map(|stay| (self.number(stay.union), stay.from, stay.until))
    }

    /// The times in which an insurer is ended.
    pub fn ended(&self, insurer: u32) -> &[Ended] {
        &self.insurers[insurer as usize].ended
    }

    /// Who holds a record with this insurer number (by its place) and movement date, and when it is cut
    /// off. Of an end the day before its date decides who.
    pub fn holding(&self, insurer: u32, date: Day, is_end: bool) -> Holding {
        let own = &self.insurers[insurer as usize];
        let decides = if is_end { Day(date.0 - 1) } else { date };
        let stay = own.stays.iter().find(|stay| stay.from <= decides && before(decides, stay.until));
        let holder = stay.map_or(insurer, |stay| stay.union);
        let by_membership = match stay {
            Some(&Stay { union, until, .. }) => until.map(|day| CutOff { day, why: Why::Left { union } }),
            None => own.stays.iter().find(|stay| stay.from > date).map(joined),
        };
        let ended = self.insurers[holder as usize].ended.iter();
        let by_end = ended.filter(|ended| before(date, ended.until)).map(|ended| ended.from).min();
        let by_end = by_end.map(|day| CutOff { day, why: Why::Ended { holder } });
        // Of equal days `min_by_key` takes the first.
        let cut_off = by_membership.into_iter().chain(by_end).min_by_key(|cut| cut.day);
        Holding { holder, cut_off }
    }

    /// The place of who holds an insurer on a day.
    pub fn holder_on(&self, insurer: u32, day: Day) -> u32 {
        self.holding(insurer, day, false).holder
    }

    /// Whether a union or city has an insurer as member on some day of a month.
    pub fn is_member_in(&self, insurer: u32, union_no: &str, month: Month) -> bool {
        let within = |stay: &Stay| stay.from <= month.last_day() && before(month.first_day(), stay.until);
        let stays = &self.insurers[insurer as usize].stays;
        stays.iter().any(|stay| within(stay) && self.number(stay.union) == union_no)
    }

    /// Whether a sender may speak for a recipient's record: its insurer, one of its holders (of a correction
    /// also that on the day before), or a union that has the insurer as member in the file's processing month.
    pub fn may_send(&self, sender_no: &str, insurer: u32, holders: &[u32], month: Month) -> bool {
        self.number(insurer) == sender_no
            || holders.iter().any(|&holder| self.number(holder) == sender_no)
            || self.is_member_in(insurer, sender_no, month)
    }
}

/// How somebody's own records are cut off by a time in a union.
fn joined(stay: &Stay) -> CutOff {
    CutOff { day: stay.from, why: Why::Joined { union: stay.union } }
}

/// Whether a day is before another that may never come.
fn before(day: Day, until: Option<Day>) -> bool {
    until.is_none_or(|until| day < until)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::membership::List;

    fn day(text: &str) -> Day {
        text.parse().unwrap()
    }

    /// A is in U from April to July 2026 and from 2028; U is ended in June and from 2030 on.
    fn holders() -> Holders {
        let list = |date: &str, members: &[(&str, &str)]| List {
            union_no: "U".to_owned(),
            date: day(date),
            applied: 0,
            members: members.iter().map(|(no, from)| ((*no).to_owned(), day(from))).collect(),
        };
        let lists = [
            list("2026-04-01", &[("A", "2026-04-01"), ("B", "2026-04-01")]),
            list("2026-08-01", &[("B", "2026-04-01")]),
            list("2028-01-01", &[("B", "2026-04-01"), ("A", "2028-01-01")]),
        ];
        let (memberships, _) = Memberships::of_lists(&lists).unwrap();
        let june = Ended { from: day("2026-06-01"), until: Some(day("2026-07-01")) };
        let last = Ended { from: day("2030-01-01"), until: None };
        Holders::new(&memberships, &[("U".to_owned(), vec![june, last])].into(), ["A", "C"])
    }

    /// `holder day why whose` of an insurer's record.
    fn told(holders: &Holders, no: &str, date: &str, is_end: bool) -> String {
        let holding = holders.holding(holders.place(no).unwrap(), day(date), is_end);
        let cut_off = holding.cut_off.map(|cut| match cut.why {
            Why::Joined { union } => format!("{} joined {}", cut.day, holders.number(union)),
            Why::Left { union } => format!("{} left {}", cut.day, holders.number(union)),
            Why::Ended { holder } => format!("{} ended {}", cut.day, holders.number(holder)),
        });
        format!("{} {}", holders.number(holding.holder), cut_off.unwrap_or_default())
    }

    fn of_a(date: &str, is_end: bool) -> String {
        told(&holders(), "A", date, is_end)
    }

    #[test]
    fn the_day_decides_and_of_an_end_the_day_before() {
        assert_eq!(of_a("2026-03-31", false), "A 2026-04-01 joined U");
        assert_eq!(of_a("2026-04-01", true), "A 2028-01-01 joined U");
        assert_eq!(of_a("2026-04-01", false), "U 2026-06-01 ended U");
        assert_eq!(
            of_a("2026-06-15", false),
            "U 2026-06-01 ended U",
            "in the ended time, from its beginning"
        );
        assert_eq!(of_a("2026-07-01", false), "U 2026-08-01 left U");
        assert_eq!(of_a("2026-08-01", true), "U 2026-08-01 left U");
        assert_eq!(of_a("2026-08-01", false), "A 2028-01-01 joined U");
        assert_eq!(of_a("2028-01-01", false), "U 2030-01-01 ended U");
    }

    /// A town in U from April to June 2026 and again from October; itself ended from April on, U from July on.
    fn rejoined() -> Holders {
        let list = |date: &str, members: &[&str]| List {
            union_no: "U".to_owned(),
            date: day(date),
            applied: 0,
            members: members.iter().map(|no| ((*no).to_owned(), day(date))).collect(),
        };
        let lists = [list("2026-04-01", &["A"]), list("2026-07-01", &[]), list("2026-10-01", &["A"])];
        let (memberships, _) = Memberships::of_lists(&lists).unwrap();
        let from = |from: &str| vec![Ended { from: day(from), until: None }];
        let ended = [("A".to_owned(), from("2026-04-01")), ("U".to_owned(), from("2026-07-01"))];
        Holders::new(&memberships, &ended.into(), ["A"])
    }

    #[test]
    fn a_day_of_both_is_that_of_the_membership_and_an_ended_time_is_told_whatever_else_began_then() {
        let of_a = |date: &str, is_end: bool| told(&rejoined(), "A", date, is_end);
        assert_eq!(of_a("2026-03-01", false), "A 2026-04-01 joined U", "ended on the day it joined");
        assert_eq!(of_a("2026-05-01", false), "U 2026-07-01 left U", "U ended with its list");
        assert_eq!(of_a("2026-08-01", false), "A 2026-04-01 ended A", "left without registering again");
        assert_eq!(of_a("2026-10-01", false), "U 2026-07-01 ended U", "back in a union that stays ended");
        assert_eq!(of_a("2026-07-01", true), "U 2026-07-01 left U");
    }

    #[test]
    fn until_it_is_cut_off_its_holder_is_that_of_its_insurer() {
        let holders = holders();
        for no in ["A", "B", "C", "U"] {
            let insurer = holders.place(no).unwrap();
            for date in day("2026-01-01").0..day("2030-03-01").0 {
                let holding = holders.holding(insurer, Day(date), false);
                let last = holding.cut_off.map_or(date + 1_500, |cut| cut.day.0);
                for later in (date..last).step_by(7) {
                    assert_eq!(holders.holder_on(insurer, Day(later)), holding.holder, "{no} {}", Day(date));
                }
            }
        }
    }

    #[test]
    fn a_union_may_send_in_the_months_of_a_membership() {
        let holders = holders();
        let (a, c) = (holders.place("A").unwrap(), holders.place("C").unwrap());
        let may = |insurer: u32, sender: &str, month: &str| {
            holders.may_send(sender, insurer, &[insurer], month.parse().unwrap())
        };
        assert!(may(a, "A", "2026-05") && may(c, "C", "2026-05"));
        assert!(may(a, "U", "2026-04") && may(a, "U", "2026-07") && may(a, "U", "2028-05"));
        assert!(!may(a, "U", "2026-03") && !may(a, "U", "2026-08") && !may(c, "U", "2026-05"));
        assert!(holders.may_send("U", a, &[holders.place("U").unwrap()], "2026-09".parse().unwrap()));
        assert!(!may(a, "B", "2026-05") && !may(a, "X", "2026-05"));
    }
}
