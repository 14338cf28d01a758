//! What is to be done with a unit, and why: pure functions of what an earlier snapshot was made of and what
//! there is now.
//!
//! Promise: nothing is recomputed without a reason that can be told, and nothing stands that has one.

use super::inputs::{FileInputs, FileRecord, UnitInputs};
use super::record::{Record, UnitRecord};
use crate::publish::snapshot::{SnapshotManifest, SnapshotOptions};
use serde::Serialize;
use std::collections::BTreeMap;
use tsumiage_schemas::MonthRange;

/// What is to be done with a unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Its files of an earlier snapshot stand.
    Stands,
    /// History and months that were published stand, others are to be made: they need stacking again.
    OtherMonths,
    /// It is made again.
    Again(Vec<Why>),
}

/// Why a unit is made again. Files by their ids.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(tag = "why", rename_all = "snake_case")]
pub enum Why {
    /// There is no snapshot to go by.
    NoSnapshot,
    /// Other code of this program.
    Program,
    /// Other layouts, codes or rules.
    Layouts,
    /// Another mode of inheritance.
    Inheritance,
    /// No unit had any of its insurers.
    NewUnit,
    /// Other insurers share a union, or have facts.
    Insurers {
        /// Those of the unit before.
        before: Vec<String>,
    },
    /// A file came.
    FileCame {
        /// Which.
        file_id: String,
    },
    /// A file does not count any more: withdrawn, or not known as of the month asked for.
    FileGone {
        /// Which.
        file_id: String,
    },
    /// A file counts otherwise: records withdrawn, read by other layouts, arrived anew.
    FileChanged {
        /// Which.
        file_id: String,
    },
    /// Who belongs to which union or city.
    Memberships,
    /// When an insurer or holder is ended.
    Ended,
    /// The name of a holder.
    Names,
    /// A holder's own limits.
    Limits,
    /// Whether a holder has an insurer record.
    Registered,
    /// A published file is not what it was.
    Damaged {
        /// Its path below the snapshot.
        path: String,
    },
    /// Other service months are to be published.
    Months,
    /// So much is to be made again that all is.
    MostOfAll,
    /// The ledger or the snapshot does not say what the unit was made of.
    NotKnown,
}

/// What holds for all units of a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Basis<'a> {
    /// Digest of the code that determines results.
    pub rules: &'a str,
    /// Digest of layouts, codes and catalogue.
    pub layouts: &'a str,
    /// What is asked for.
    pub options: &'a SnapshotOptions,
}

impl Basis<'_> {
    /// The digest of this program's code that determines results.
    pub const RULES: &'static str = concat!(env!("CARGO_PKG_VERSION"), "+", env!("TSUMIAGE_RULES"));

    /// Why nothing that this snapshot published can stand; empty if it can.
    pub fn differs(&self, from: &SnapshotManifest) -> Vec<Why> {
        let found = [
            (self.rules != from.rules, Why::Program),
            (self.layouts != from.layouts, Why::Layouts),
            (self.options.inheritance != from.options.inheritance, Why::Inheritance),
        ];
        found.into_iter().filter(|(differs, _)| *differs).map(|(_, why)| why).collect()
    }
}

/// The months of options.
pub fn months(options: &SnapshotOptions) -> Option<MonthRange> {
    options.first_month.zip(options.last_month).map(|(first, last)| MonthRange { first, last })
}

/// What is to be done with a unit, given what a snapshot of the same basis was made of.
pub fn verdict(unit: &UnitInputs, files: &FileInputs, before: &Record, same_months: bool) -> Verdict {
    let Some(known) = before.unit_of(&unit.insurers) else { return Verdict::Again(vec![Why::NewUnit]) };
    match &unit.digest {
        None => Verdict::Again(vec![Why::NotKnown]),
        Some(_) if known.digest == unit.digest && same_months => Verdict::Stands,
        Some(_) if known.digest == unit.digest => Verdict::OtherMonths,
        Some(_) => Verdict::Again(reasons(unit, files, before, known)),
    }
}

fn reasons(unit: &UnitInputs, files: &FileInputs, before: &Record, known: &UnitRecord) -> Vec<Why> {
    let mut reasons = Vec::new();
    if known.insurers != unit.insurers {
        reasons.push(Why::Insurers { before: known.insurers.clone() });
    }
    let earlier: BTreeMap<&String, &FileRecord> =
        before.files_of_unit(known).map(|file| (&file.file_id, file)).collect();
    let now: BTreeMap<&String, &FileRecord> =
        files.at(&unit.files).map(|file| (&file.file_id, file)).collect();
    for (file_id, file) in &now {
        let file_id = (*file_id).clone();
        match earlier.get(&file_id) {
            None => reasons.push(Why::FileCame { file_id }),
            Some(before) if before != file => reasons.push(Why::FileChanged { file_id }),
            Some(_) => {}
        }
    }
    let gone = earlier.keys().filter(|file_id| !now.contains_key(*file_id));
    reasons.extend(gone.map(|file_id| Why::FileGone { file_id: (*file_id).clone() }));
    let (a, b) = (&known.registry, &unit.registry);
    let sides = [
        (a.memberships != b.memberships, Why::Memberships),
        (a.ended != b.ended, Why::Ended),
        (a.names != b.names, Why::Names),
        (a.limits != b.limits, Why::Limits),
        (a.registered != b.registered, Why::Registered),
    ];
    reasons.extend(sides.into_iter().filter(|(differs, _)| *differs).map(|(_, why)| why));
    if reasons.is_empty() {
        reasons.push(Why::NotKnown); // the record before did not say
    }
    reasons
}

/// If more than this share of the facts is to be stacked again, all is: see `docs/performance.md`.
pub const MOST: f64 = 0.95;

/// Whether so much is to be stacked that what stands is not worth linking.
pub fn is_most(facts: i64, of: i64) -> bool {
    facts < of && facts as f64 > MOST * of as f64
}
