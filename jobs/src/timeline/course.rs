//! What follows from a stream's records in time: which one holds on a day, which one goes out of force by
//! being cut off, and the moves between members.
//!
//! Promise: pure; when a record is cut off is told with it, here it is only set beside the others, by the
//! day. So every record with an S13 goes out of force here, but one that goes out may have none: S13 asks for
//! whole service months, and is silent if the next record comes within the first of them.

use super::model::{CutOff, Entry, EntryKind, Labelled, Move, Standing, Timeline};
use crate::stack::fact::Change;
use tsumiage_schemas::Day;

/// Why no record of a stream holds on a day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutOfForce<'a> {
    /// Nothing of it is live.
    NoRecord,
    /// This is its first live record.
    NotYet(&'a Entry),
    /// This end.
    Ended(&'a Entry),
    /// Its last record is cut off.
    CutOff(&'a Entry, &'a CutOff),
}

impl Timeline {
    /// The live records by movement date.
    pub fn live(&self) -> impl DoubleEndedIterator<Item = &Entry> {
        self.records.iter().filter(|entry| entry.standing == Standing::Live)
    }

    /// The value of an item in the newest live record.
    pub fn newest(&self, item: &str) -> Option<&Labelled> {
        self.live().next_back()?.held(item)
    }

    /// The record that holds on a day: the last one up to then, if it is no end (the date of an end is the
    /// first day out) and not cut off.
    ///
    /// # Errors
    /// Why none does.
    pub fn in_force_on(&self, day: Day) -> Result<&Entry, OutOfForce<'_>> {
        let first = self.live().next().ok_or(OutOfForce::NoRecord)?;
        let last = self.live().rfind(|entry| entry.movement_date <= day);
        let last = last.ok_or(OutOfForce::NotYet(first))?;
        if last.is_end() {
            return Err(OutOfForce::Ended(last));
        }
        match last.cut_off.as_ref().filter(|cut| cut.from <= day) {
            Some(cut) => Err(OutOfForce::CutOff(last, cut)),
            None => Ok(last),
        }
    }

    /// How a record goes out of force by being cut off, if no other one stands in its place by then.
    pub fn goes_out<'a>(&self, entry: &'a Entry) -> Option<&'a CutOff> {
        let cut = entry.cut_off.as_ref().filter(|_| !entry.is_end())?;
        let next = self.live().find(|live| live.movement_date > entry.movement_date);
        next.is_none_or(|next| cut.from < next.movement_date).then_some(cut)
    }
}

impl CutOff {
    /// Whether the record, dated in a time in which its holder was ended, never was in force.
    pub fn from_the_start(&self, entry: &Entry) -> bool {
        self.from <= entry.movement_date
    }
}

impl Entry {
    /// What sort of movement or correction it is.
    pub fn change(&self) -> Change {
        let code = self.change_type.code.bytes().next().unwrap_or_default();
        Change::of(self.kind == EntryKind::Correction, code)
    }

    /// Whether it is an end (終了).
    pub fn is_end(&self) -> bool {
        self.change() == Change::End
    }
}

/// The moves between members that the records of a stream, by movement date, tell: a live record has
/// another number than the one that held until then.
pub fn moves(records: &[Entry]) -> Vec<Move> {
    let live: Vec<&Entry> = records.iter().filter(|entry| entry.standing == Standing::Live).collect();
    let moved = |pair: &[&Entry]| {
        let (before, entry) = (pair[0], pair[1]);
        let held_until = before.cut_off.as_ref().is_none_or(|cut| entry.movement_date <= cut.from);
        let stays = !before.is_end() && !entry.is_end() && held_until;
        (stays && before.insurer_no != entry.insurer_no).then(|| Move {
            movement_date: entry.movement_date,
            from_insurer_no: before.insurer_no.clone(),
            to_insurer_no: entry.insurer_no.clone(),
            reason: entry.reason.clone(),
            source: entry.source.clone(),
        })
    };
    live.windows(2).filter_map(moved).collect()
}
