//! domain.md section 4: who is a member of which union or city when, and S09.

use super::registry::{Entries, Entry};
use super::{Date, OracleFinding, RegistryKind};
use std::collections::{BTreeMap, BTreeSet};

/// A member's time in a union: from a day on, until the day it is out (`None` = open).
#[derive(Clone, Debug)]
pub(super) struct Membership {
    pub union_no: String,
    pub member_no: String,
    pub from: Date,
    pub until: Option<Date>,
    /// The list that made it.
    pub file_hash: String,
    pub record_no: i64,
    list_date: Date,
    list_applied: usize,
}

impl Membership {
    pub fn has_day(&self, day: Date) -> bool {
        self.from <= day && self.until.is_none_or(|until| day < until)
    }
}

/// An interval while it is being put together: the lists of one union that name the member, with what each
/// states.
struct Interval<'a> {
    stated: Vec<(Date, &'a Entry)>,
    until: Option<Date>,
}

impl Interval<'_> {
    /// The earliest valid-from stated.
    fn from(&self) -> Date {
        self.stated.iter().map(|(valid_from, _)| *valid_from).min().unwrap_or(Date::MAX)
    }
}

/// The memberships of each member, apart from each other, and the S09 of those cut short.
pub(super) fn memberships(entries: &Entries) -> (BTreeMap<String, Vec<Membership>>, Vec<OracleFinding>) {
    let mut of_members: BTreeMap<String, Vec<Membership>> = BTreeMap::new();
    for of_insurer in entries.values() {
        let mut lists: Vec<&Entry> =
            of_insurer.iter().filter(|entry| entry.kind == RegistryKind::Membership).collect();
        lists.sort_by_key(|list| list.movement_date);
        let members: BTreeSet<&String> =
            lists.iter().flat_map(|list| list.members.iter().map(|(member, _)| member)).collect();
        for member in members {
            of_members.entry(member.clone()).or_default().extend(in_one_union(&lists, member));
        }
    }
    let mut findings = Vec::new();
    for intervals in of_members.values_mut() {
        let (apart, cuts) = taken_apart(std::mem::take(intervals));
        *intervals = apart;
        findings.extend(cuts);
    }
    (of_members, findings)
}

/// A member's intervals by the lists of one union, ascending by movement date.
fn in_one_union(lists: &[&Entry], member: &str) -> Vec<Membership> {
    // Unbroken runs of lists that name it; each ends at the first list that does not.
    let mut intervals: Vec<Interval> = Vec::new();
    for list in lists {
        // Named twice in one list: the earliest.
        let stated = list.members.iter().filter(|(no, _)| no == member).map(|(_, from)| *from).min();
        let open = intervals.last_mut().filter(|last| last.until.is_none());
        match (stated, open) {
            (Some(valid_from), Some(run)) => run.stated.push((valid_from, list)),
            (Some(valid_from), None) => {
                intervals.push(Interval { stated: vec![(valid_from, list)], until: None })
            }
            (None, Some(run)) => run.until = Some(list.movement_date),
            (None, None) => {}
        }
    }
    // Named again with a valid-from not after the end: it never left.
    let never_left = |pair: &[Interval]| pair[0].until.is_some_and(|until| pair[1].from() <= until);
    while let Some(at) = intervals.windows(2).position(never_left) {
        let later = intervals.remove(at + 1);
        intervals[at].stated.extend(later.stated);
        intervals[at].until = later.until;
    }
    intervals.iter().filter_map(|interval| membership(interval, member)).collect()
}

/// `None` for one without a day.
fn membership(interval: &Interval, member: &str) -> Option<Membership> {
    let from = interval.from();
    // Made by the first list that states its start.
    let (_, list) = interval.stated.iter().find(|(valid_from, _)| *valid_from == from)?;
    let membership = Membership {
        union_no: list.insurer_no.clone(),
        member_no: member.to_owned(),
        from,
        until: interval.until,
        file_hash: list.file_hash.clone(),
        record_no: list.record_no,
        list_date: list.movement_date,
        list_applied: list.applied,
    };
    interval.until.is_none_or(|until| from < until).then_some(membership)
}

/// In two unions on one day: the later start wins and the other ends there, for good. Equal starts: the list
/// with the later movement date, then the one applied later.
fn taken_apart(mut intervals: Vec<Membership>) -> (Vec<Membership>, Vec<OracleFinding>) {
    intervals.sort_by_key(|i| (i.from, i.list_date, i.list_applied));
    let mut findings = Vec::new();
    let mut apart: Vec<Membership> = Vec::new();
    for next in intervals {
        for other in apart.iter_mut().filter(|other| other.until.is_none_or(|until| next.from < until)) {
            other.until = Some(next.from);
            findings.push(OracleFinding {
                file_hash: next.file_hash.clone(),
                record_no: next.record_no,
                code: "S09".to_owned(),
                item: Some("member_insurer_no".to_owned()),
                names: vec![next.member_no.clone(), other.union_no.clone()],
            });
        }
        apart.retain(|other| other.until.is_none_or(|until| other.from < until));
        apart.push(next);
    }
    (apart, findings)
}
