//! What a resolve has to do, found before anything is done: units, what each is made of, and what of an earlier
//! snapshot stands. `plan` shows it, `work` does it.

use super::Workplace;
use super::base::{Base, damaged, files_of_unit};
use super::inputs::{FileInputs, UnitInputs, of_units};
use super::record::{FileCount, UnitOutcome, UnitRecord};
use super::senders::SenderInputs;
use super::verdict::{Basis, Verdict, Why, is_most, months, verdict};
use crate::facts::KnownFiles;
use crate::publish::snapshot::{Snapshot, SnapshotOptions};
use crate::publish::spool::findings_path;
use crate::registry::Registry;
use crate::stack::unit::{Unit, units};
use rayon::prelude::*;
use std::collections::HashMap;
use tsumiage_pipeline::tally::Tally;

/// What is to be done.
pub struct Prepared {
    /// The units of the ledger.
    pub units: Vec<Unit>,
    /// What each is made of.
    pub inputs: Vec<UnitInputs>,
    /// The files known.
    pub files: FileInputs,
    /// The snapshot to go by.
    pub base: Option<Base>,
    /// What is to be done with each unit.
    pub verdicts: Vec<Verdict>,
}

impl Prepared {
    /// Looks at everything there is; `snapshots` from old to new.
    pub fn new(
        place: &Workplace<'_>,
        known: &KnownFiles<'_>,
        options: &SnapshotOptions,
        registry: &Registry,
        snapshots: &[Snapshot],
    ) -> Prepared {
        let units = units(place.ledger, registry.memberships());
        let files = FileInputs::new(known);
        let inputs = of_units(&units, place.ledger, known, &files, registry);
        let basis = Basis { rules: Basis::RULES, layouts: place.layouts, options };
        let (base, verdicts) = match Base::choose(snapshots, &basis) {
            Err(why) => (None, vec![Verdict::Again(why); units.len()]),
            Ok(base) => {
                let same_months = base.months() == months(options);
                let verdicts = inputs.par_iter().map(|unit| {
                    let verdict = verdict(unit, &files, &base.record, same_months);
                    if_whole(verdict, unit, &base, options)
                });
                let verdicts = verdicts.collect();
                (Some(base), verdicts)
            }
        };
        let mut prepared = Prepared { units, inputs, files, base, verdicts };
        prepared.all_if_most();
        prepared
    }

    /// Facts in the units that are to be stacked.
    pub fn facts_to_stack(&self) -> i64 {
        let stacked = self.units.iter().zip(&self.verdicts).filter(|(_, v)| **v != Verdict::Stands);
        stacked.map(|(unit, _)| unit.rows).sum()
    }

    /// What a unit that stands came to, its files as places in what is known now.
    pub fn outcome_of(&self, base: &Base, unit: &UnitRecord) -> UnitOutcome {
        let places: HashMap<&str, usize> = self
            .files
            .files
            .iter()
            .enumerate()
            .map(|(place, (file_id, _))| (file_id.as_str(), place))
            .collect();
        let count = |count: &FileCount| {
            let file = base.record.files.get(count.file)?;
            Some(FileCount { file: *places.get(file.file_id.as_str())?, ..*count })
        };
        let mut counts: Vec<FileCount> = unit.outcome.counts.iter().filter_map(count).collect();
        counts.sort_by_key(|count| count.file);
        UnitOutcome { counts, ..unit.outcome.clone() }
    }

    /// Whether the base's findings about a sender's files stand.
    pub fn findings_stand(&self, name: &str, sender: &SenderInputs) -> bool {
        let Some(base) = &self.base else { return false };
        let before = base.record.senders.iter().find(|before| before.sender == name);
        let Some(before) = before.filter(|b| b.digest.is_some() && b.digest == sender.digest) else {
            return false;
        };
        if before.findings == Tally::default() {
            return true;
        }
        let path = findings_path(name);
        let file = base.snapshot.manifest.files.iter().find(|file| file.path == path);
        file.is_some_and(|file| damaged(&base.snapshot, &[file]).is_none())
    }

    fn all_if_most(&mut self) {
        if is_most(self.facts_to_stack(), self.units.iter().map(|unit| unit.rows).sum()) {
            for verdict in self.verdicts.iter_mut().filter(|verdict| **verdict == Verdict::Stands) {
                *verdict = Verdict::Again(vec![Why::MostOfAll]);
            }
        }
    }
}

/// What stands must be what was published.
fn if_whole(verdict: Verdict, unit: &UnitInputs, base: &Base, options: &SnapshotOptions) -> Verdict {
    let (Verdict::Stands | Verdict::OtherMonths, Some(range)) = (&verdict, months(options)) else {
        return verdict;
    };
    let Some(record) = base.record.unit_of(&unit.insurers) else { return verdict };
    match damaged(&base.snapshot, &files_of_unit(record, &base.files(), range)) {
        Some(file) => Verdict::Again(vec![Why::Damaged { path: file.path.clone() }]),
        None => verdict,
    }
}
