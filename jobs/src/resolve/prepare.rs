//! What a resolve has to do, found before anything is done: units, what each is made of, and what of an earlier
//! snapshot stands. `plan` shows it, `work` does it.

use super::Workplace;
use super::base::{Base, damaged, files_of_unit};
use super::inputs::{FileInputs, UnitInputs, of_units};
use super::record::{FileCount, SenderRecord, UnitOutcome, UnitRecord};
use super::senders::{SenderInputs, of_senders};
use super::verdict::{Basis, Verdict, Why, is_most, verdict};
use crate::facts::KnownFiles;
use crate::publish::snapshot::{Snapshot, SnapshotOptions};
use crate::publish::spool::findings_path;
use crate::publish::table_file::PublishedFile;
use crate::registry::Registry;
use crate::stack::unit::{Unit, units};
use rayon::prelude::*;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use tsumiage_schemas::Finding;

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
    /// All senders with what bears on the findings about their files.
    pub senders: BTreeMap<String, SenderInputs>,
    /// Senders whose findings are made again.
    pub senders_again: BTreeSet<String>,
}

impl Prepared {
    /// Looks at everything there is; `of_no_unit` are the findings that come from no unit, with their file's
    /// number; the snapshots there are go from old to new, with the id of `latest`.
    pub fn new(
        place: &Workplace<'_>,
        known: &KnownFiles<'_>,
        files: FileInputs,
        options: &SnapshotOptions,
        registry: &Registry,
        of_no_unit: &[(i32, Finding)],
        (snapshots, latest): (&[Snapshot], Option<&str>),
    ) -> Prepared {
        let units = units(place.ledger, registry.memberships());
        let inputs = of_units(&units, place.ledger, known, &files, registry);
        let known_units = units.into_iter().zip(inputs).filter(|(_, inputs)| !inputs.insurers.is_empty());
        let (units, inputs): (Vec<Unit>, Vec<UnitInputs>) = known_units.unzip();
        let senders = of_senders(known, &files, &inputs, options.months(), of_no_unit);
        let basis = Basis { rules: Basis::RULES, layouts: place.layouts, options };
        let (base, verdicts) = match Base::choose(snapshots, latest, &basis) {
            Err(why) => (None, vec![Verdict::Again(why); units.len()]),
            Ok(base) => {
                let same_months = base.months() == options.months();
                let published = base.files();
                let verdicts = inputs.par_iter().map(|unit| {
                    let verdict = verdict(unit, &files, &base.record, same_months);
                    if_whole(verdict, unit, &base, &published, options)
                });
                let verdicts = verdicts.collect();
                (Some(base), verdicts)
            }
        };
        let senders_again = senders.keys().cloned().collect();
        let mut prepared = Prepared { units, inputs, files, base, verdicts, senders, senders_again };
        prepared.findings_that_stand();
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
        let count = |count: &FileCount| {
            let file = base.record.files.get(count.file)?;
            Some(FileCount { file: self.files.place_of(&file.file_id)?, ..*count })
        };
        let mut counts: Vec<FileCount> = unit.outcome.counts.iter().filter_map(count).collect();
        counts.sort_by_key(|count| count.file);
        UnitOutcome { counts, ..unit.outcome.clone() }
    }

    /// The records of a file that count otherwise than in the base, if that is all that differs of it: withdrawn, or
    /// their withdrawal not known.
    pub fn changed_records(&self, file_id: &str) -> Option<BTreeSet<i64>> {
        let now = &self.files.files[self.files.place_of(file_id)?];
        let before = self.base.as_ref()?.record.files.iter().find(|file| file.file_id == file_id)?;
        let same = (&now.counts, now.withdrawn) == (&before.counts, before.withdrawn);
        same.then(|| now.withdrawn_records.symmetric_difference(&before.withdrawn_records).copied().collect())
    }

    /// Finds whose findings stand. Units cannot stand whose findings are lost with a damaged file.
    fn findings_that_stand(&mut self) {
        let Some(base) = &self.base else { return };
        let before: HashMap<&str, &SenderRecord> =
            base.record.senders.iter().map(|sender| (sender.sender.as_str(), sender)).collect();
        let files = base.files();
        let lost: Vec<(&String, Option<&PublishedFile>)> = self
            .senders
            .par_iter()
            .map(|(name, _)| {
                let file = files.get(findings_path(name).as_str()).copied();
                (name, file.filter(|file| damaged(&base.snapshot, &[file]).is_some()))
            })
            .collect();
        for (name, lost) in lost {
            let sender = &self.senders[name];
            let known = before.get(name.as_str());
            let same = known.is_some_and(|before| before.digest.is_some() && before.digest == sender.digest);
            match lost {
                None if same => {
                    self.senders_again.remove(name);
                }
                None => {}
                Some(file) => {
                    for &at in &sender.units {
                        if self.verdicts[at] == Verdict::Stands {
                            self.verdicts[at] =
                                Verdict::Again(vec![Why::Damaged { path: file.path.clone() }]);
                        }
                    }
                }
            }
        }
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
fn if_whole(
    verdict: Verdict,
    unit: &UnitInputs,
    base: &Base,
    published: &HashMap<&str, &PublishedFile>,
    options: &SnapshotOptions,
) -> Verdict {
    let (Verdict::Stands | Verdict::OtherMonths, Some(range)) = (&verdict, options.months()) else {
        return verdict;
    };
    let Some(record) = base.record.unit_of(&unit.insurers) else { return verdict };
    match damaged(&base.snapshot, &files_of_unit(record, published, range)) {
        Some(file) => Verdict::Again(vec![Why::Damaged { path: file.path.clone() }]),
        None => verdict,
    }
}
