//! What is to be done with a unit, and why: pure functions of what an earlier snapshot was made of and what
//! there is now.
//!
//! Promise: nothing is recomputed without a reason that can be told, and nothing stands that has one.

use super::inputs::{FileInputs, FileRecord, UnitInputs};
use super::record::{Record, UnitRecord};
use crate::publish::snapshot::{SnapshotManifest, SnapshotOptions};
use serde::Serialize;
use std::collections::BTreeMap;

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resolve::inputs::RegistryInputs;
    use crate::resolve::record::UnitOutcome;

    fn file(file_id: &str, counts: &str) -> FileRecord {
        FileRecord { file_id: file_id.to_owned(), counts: counts.to_owned(), ..FileRecord::default() }
    }

    fn unit(insurers: &[&str], digest: &str, files: &[usize]) -> UnitInputs {
        UnitInputs {
            insurers: insurers.iter().map(|no| (*no).to_owned()).collect(),
            files: files.to_vec(),
            registry: RegistryInputs::default(),
            digest: Some(digest.to_owned()),
        }
    }

    /// Before: A with files 1 and 2, B and C together with file 3.
    fn before() -> Record {
        let units = [unit(&["A"], "a", &[0, 1]), unit(&["B", "C"], "bc", &[2])];
        Record {
            files: vec![file("1", "x"), file("2", "x"), file("3", "x")],
            units: units.iter().map(|unit| UnitRecord::new(unit, UnitOutcome::default())).collect(),
            senders: Vec::new(),
        }
    }

    fn told(unit: &UnitInputs, files: Vec<FileRecord>, same_months: bool) -> Verdict {
        verdict(unit, &FileInputs::of(files), &before(), same_months)
    }

    #[test]
    fn what_is_the_same_stands_and_the_rest_has_its_reasons() {
        let files = || before().files;
        assert_eq!(told(&unit(&["A"], "a", &[0, 1]), files(), true), Verdict::Stands);
        assert_eq!(told(&unit(&["A"], "a", &[0, 1]), files(), false), Verdict::OtherMonths);
        assert_eq!(told(&unit(&["D"], "d", &[2]), files(), true), Verdict::Again(vec![Why::NewUnit]));
        let not_told = UnitInputs { digest: None, ..unit(&["A"], "a", &[0, 1]) };
        assert_eq!(told(&not_told, files(), true), Verdict::Again(vec![Why::NotKnown]));
        // File 1 is read otherwise, 2 is gone, 4 came; C is not together with B any more.
        let id = |id: &str| id.to_owned();
        let changed = vec![file("1", "y"), file("4", "x"), file("3", "x")];
        let reasons = vec![
            Why::FileChanged { file_id: id("1") },
            Why::FileCame { file_id: id("4") },
            Why::FileGone { file_id: id("2") },
        ];
        assert_eq!(told(&unit(&["A"], "a2", &[0, 1]), changed, true), Verdict::Again(reasons));
        let apart = vec![Why::Insurers { before: vec![id("B"), id("C")] }];
        assert_eq!(told(&unit(&["B"], "b", &[2]), files(), true), Verdict::Again(apart));
        let mut renamed = unit(&["B", "C"], "bc2", &[2]);
        renamed.registry.names = id("other");
        assert_eq!(told(&renamed, files(), true), Verdict::Again(vec![Why::Names]));
        let withdrawn = vec![
            file("1", "x"),
            file("2", "x"),
            FileRecord { withdrawn_records: [5].into(), ..file("3", "x") },
        ];
        let reason = vec![Why::FileChanged { file_id: id("3") }];
        assert_eq!(told(&unit(&["B", "C"], "bc3", &[2]), withdrawn, true), Verdict::Again(reason));
    }

    #[test]
    fn beyond_nearly_all_it_is_all() {
        assert!(!is_most(95, 100) && is_most(96, 100));
        assert!(!is_most(100, 100) && !is_most(0, 0), "nothing stands that could be made again");
    }
}
