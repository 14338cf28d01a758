//! domain.md section 4, asked of the registry: who holds a record, from when on it is cut off, who may send.

use super::calendar::{day_after, day_before, first_day, last_day};
use super::memberships::{Membership, memberships};
use super::registry::{Entries, Entry, REGISTRATION, stack};
use super::{Body, Date, Fact, FileFact, Inheritance, OracleFinding, RegistryKind, Ym};
use std::collections::BTreeMap;

/// What is known of insurers, unions and cities.
pub(super) struct Registry {
    /// Records of all four kinds.
    pub entries: Entries,
    /// Of each member.
    pub memberships: BTreeMap<String, Vec<Membership>>,
}

impl Registry {
    /// From all files known, with the findings of stacking and S09.
    pub fn new(files: &[&FileFact], inheritance: Inheritance) -> (Registry, Vec<OracleFinding>) {
        let (entries, mut findings) = stack(files, inheritance);
        let (memberships, cuts) = memberships(&entries);
        findings.extend(cuts);
        (Registry { entries, memberships }, findings)
    }

    /// The records of a kind of an insurer.
    pub fn of(&self, insurer_no: &str, kind: RegistryKind) -> impl Iterator<Item = &Entry> {
        let all = self.entries.get(insurer_no).into_iter().flatten();
        all.filter(move |entry| entry.kind == kind)
    }

    /// The 5411 records of an insurer.
    pub fn of_insurer(&self, insurer_no: &str) -> impl Iterator<Item = &Entry> {
        self.of(insurer_no, RegistryKind::Insurer)
    }

    /// All times of an insurer in a union.
    fn memberships_of(&self, insurer_no: &str) -> impl Iterator<Item = &Membership> {
        self.memberships.get(insurer_no).into_iter().flatten()
    }

    /// The membership that an insurer is in on a day.
    fn membership_on(&self, insurer_no: &str, day: Date) -> Option<&Membership> {
        self.memberships_of(insurer_no).find(|membership| membership.has_day(day))
    }

    /// The union or city that has the insurer as member on a day, else the insurer itself.
    pub fn holder_on(&self, insurer_no: &str, day: Date) -> String {
        self.membership_on(insurer_no, day)
            .map_or_else(|| insurer_no.to_owned(), |membership| membership.union_no.clone())
    }

    /// Holder of a record: on its movement date; of an end, on the day before.
    pub fn holder_of(&self, insurer_no: &str, date: Date, is_end: bool) -> String {
        self.holder_on(insurer_no, decides(date, is_end))
    }

    /// The day from which a record is cut off: the first of all the reasons there are.
    pub fn cut_off(&self, insurer_no: &str, date: Date, is_end: bool) -> Option<Date> {
        let mut reasons = self.ended_from(&self.holder_of(insurer_no, date, is_end), date);
        match self.membership_on(insurer_no, decides(date, is_end)) {
            // It came by this membership.
            Some(membership) => reasons.extend(membership.until),
            // Its holder is the insurer itself.
            None => {
                let starts = self.memberships_of(insurer_no).map(|membership| membership.from);
                reasons.extend(starts.filter(|from| *from > date));
            }
        }
        reasons.into_iter().min()
    }

    /// The first days of the ended times of a holder that cut off a record dated `date`.
    fn ended_from(&self, holder_no: &str, date: Date) -> Vec<Date> {
        let ends = self.of_insurer(holder_no).filter(|entry| entry.is_end());
        // After the last day there is (a usual way to say "open") nothing is ended.
        let ends = ends.map(last_valid_day).filter(|v| *v < 99_991_231);
        // y: the first day after v from which a registration is valid. It must be dated before y, and a
        // registration valid from the very next day leaves no gap.
        let cuts = |v: Date| {
            let y = self.registered_from(holder_no).filter(|start| *start > v).min();
            y.is_none_or(|y| date < y && y != day_after(v)).then(|| day_after(v))
        };
        ends.filter_map(cuts).collect()
    }

    /// The days from which the registrations (5411) of an insurer are valid.
    fn registered_from(&self, insurer_no: &str) -> impl Iterator<Item = Date> {
        self.of_insurer(insurer_no)
            .filter(|entry| entry.movement_type == REGISTRATION)
            .map(|entry| entry.date("valid_from_date").unwrap_or(entry.movement_date))
    }

    /// Whether an insurer's own registration is in force on a day.
    pub fn is_registered_on(&self, insurer_no: &str, day: Date) -> bool {
        let begun = self.of_insurer(insurer_no).filter(|entry| !entry.is_end()).any(|e| begins(e) <= day);
        let mut ends = self.of_insurer(insurer_no).filter(|entry| entry.is_end()).map(last_valid_day);
        // Ended on a day: an end is behind it and no registration since.
        let ended = ends.any(|v| v < day && !self.registered_from(insurer_no).any(|s| v < s && s <= day));
        begun && !ended
    }

    /// Whether a file's sender may speak for a recipient's record.
    pub fn may_send(&self, fact: &Fact) -> bool {
        let Some(sender) = &fact.file.sender_no else { return true };
        let (record, date) = (fact.record, fact.record.movement_date);
        let is_holder = match record.body {
            Body::Movement { movement_type } => {
                self.holder_of(&record.insurer_no, date, movement_type == super::registry::END) == *sender
            }
            Body::Correction { .. } => [date, day_before(date)]
                .into_iter()
                .any(|day| self.holder_on(&record.insurer_no, day) == *sender),
        };
        *sender == record.insurer_no
            || is_holder
            || self.is_member_in(&record.insurer_no, sender, fact.file.processing_month)
    }

    /// Whether a union has an insurer as member on some day of a month.
    fn is_member_in(&self, insurer_no: &str, union_no: &str, month: Ym) -> bool {
        let mut days = (first_day(month)..=last_day(month)).map(|day| self.membership_on(insurer_no, day));
        days.any(|membership| membership.is_some_and(|m| m.union_no == union_no))
    }
}

/// The day that decides on the holder.
fn decides(date: Date, is_end: bool) -> Date {
    if is_end { day_before(date) } else { date }
}

/// v: the last valid day that an end tells of: as sent, else the day before it.
pub(super) fn last_valid_day(end: &Entry) -> Date {
    end.date_sent("valid_to_date").unwrap_or_else(|| day_before(end.movement_date))
}

/// The day from which a record of the registry that is not an end is valid.
pub(super) fn begins(entry: &Entry) -> Date {
    let valid_from = entry.date("valid_from_date");
    if entry.movement_type == REGISTRATION {
        valid_from.unwrap_or(entry.movement_date)
    } else {
        valid_from.map_or(entry.movement_date, |from| from.max(entry.movement_date))
    }
}
