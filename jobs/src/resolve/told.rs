//! The findings of a snapshot on their way into its table, and what they make of each file's counts.
//!
//! Promise: only findings about files of senders that are `again` go on their way; of the others the table of
//! an earlier snapshot stands.

use super::base::Base;
use super::record::FileCount;
use crate::facts::KnownFiles;
use crate::publish::findings::{FileCounts, count_by_file, stacking_findings, warned_rows};
use crate::publish::spool::{Spool, findings_path, sender_name};
use crate::publish::unregistered::Unregistered;
use crate::publish::withdrawn;
use crate::published::batches;
use crate::registry::Registry;
use crate::stack::gather::file_seqs;
use arrow::array::RecordBatch;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tsumiage_pipeline::disk::DiskError;
use tsumiage_pipeline::ledger::{FileEntry, Ledger, read_findings};
use tsumiage_schemas::{FactTable, Finding, Severity, Spec};

/// Findings told so far.
pub(super) struct Told<'a> {
    spec: &'a Spec,
    known: &'a KnownFiles<'a>,
    by_seq: BTreeMap<i32, &'a FileEntry>,
    /// Senders whose findings are made again.
    again: BTreeSet<String>,
    /// What is to become the table.
    spool: Mutex<Spool<'a>>,
    /// Number the next file would get.
    next_seq: i32,
    /// Place of every file in the order of application, by its id.
    ranks: HashMap<&'a str, u32>,
}

/// What is found of the records of a unit at work.
pub(super) struct OfUnit {
    unregistered: Unregistered,
    /// Refused and warned records by file number.
    counts: Vec<FileCounts>,
}

/// What is found of no unit, with the file's number: the registry's findings and withdrawals; and what they make of
/// counts.
pub struct OfNoUnit {
    /// The findings.
    pub findings: Vec<(i32, Finding)>,
    /// Refused and warned records by file number.
    pub counts: Vec<FileCounts>,
}

impl OfNoUnit {
    /// Those of a registry, and of what is withdrawn.
    ///
    /// # Errors
    /// The registry's rows are not stacked ones.
    pub fn new(
        registry: &Registry,
        known: &KnownFiles<'_>,
        spec: &Spec,
        ledger: &Ledger,
    ) -> anyhow::Result<OfNoUnit> {
        let findings = withdrawn::findings(&known.withdrawn, spec).into_iter().collect();
        let mut found = OfNoUnit { findings, counts: no_counts(ledger.next_seq()) };
        for stacked in registry.tables() {
            let mut findings = stacking_findings(&stacked.rows, &[], spec, &registry.details())?;
            if stacked.table == FactTable::Membership {
                findings.extend(registry.list_findings().iter().cloned());
            }
            let warned = warned_rows(&stacked.rows, &findings);
            count_by_file(&stacked.rows, &warned, &mut found.counts)?;
            let seqs = file_seqs(&stacked.rows);
            found.findings.extend(findings.into_iter().map(|(row, finding)| (seqs.value(row), finding)));
        }
        Ok(found)
    }
}

fn no_counts(next_seq: i32) -> Vec<FileCounts> {
    vec![FileCounts::default(); usize::try_from(next_seq).unwrap_or(0)]
}

impl<'a> Told<'a> {
    /// None yet; they are spooled into a folder for temporary files.
    pub fn new(
        temp: &Path,
        spec: &'a Spec,
        known: &'a KnownFiles<'a>,
        ledger: &Ledger,
        again: BTreeSet<String>,
    ) -> Result<Told<'a>, DiskError> {
        let rank =
            |file: &&'a FileEntry| (file.arrival.file_id.as_str(), known.orders[file.seq as usize].rank);
        Ok(Told {
            ranks: known.files.iter().map(rank).collect(),
            spec,
            known,
            by_seq: known.by_seq(),
            again,
            spool: Mutex::new(Spool::create(temp, spec)?),
            next_seq: ledger.next_seq(),
        })
    }

    /// For the first unit of a thread; when that is through it serves the next.
    pub fn of_unit(&self) -> OfUnit {
        OfUnit { unregistered: Unregistered::default(), counts: no_counts(self.next_seq) }
    }

    fn spool(&self) -> MutexGuard<'_, Spool<'a>> {
        self.spool.lock().unwrap_or_else(PoisonError::into_inner) // a thread that panicked fails the resolve
    }

    /// What was told, to become the table.
    pub fn spool_mut(&mut self) -> &mut Spool<'a> {
        self.spool.get_mut().unwrap_or_else(PoisonError::into_inner)
    }

    /// Findings of stacked rows; tells which rows are warned.
    pub fn rows(
        &self,
        of_unit: &mut OfUnit,
        stacked: &RecordBatch,
        findings: &[(usize, Finding)],
    ) -> anyhow::Result<Vec<bool>> {
        let warned = warned_rows(stacked, findings);
        count_by_file(stacked, &warned, &mut of_unit.counts)?;
        let seqs = file_seqs(stacked);
        for (row, finding) in findings {
            self.one(seqs.value(*row), finding)?;
        }
        Ok(warned)
    }

    /// Looks for the first record of a holder that has no insurer record; `warned` from [`Told::rows`].
    pub fn unregistered(
        &self,
        of_unit: &mut OfUnit,
        holder_no: &str,
        stacked: &RecordBatch,
        warned: &[bool],
    ) {
        of_unit.unregistered.see(holder_no, stacked, &self.known.orders, warned);
    }

    /// Whether the findings about a file are made again.
    fn is_again(&self, file: &FileEntry) -> bool {
        self.again.contains(sender_name(file.sender_no.as_deref()))
    }

    /// A finding about a file.
    pub fn one(&self, seq: i32, finding: &Finding) -> Result<(), DiskError> {
        match self.by_seq.get(&seq) {
            Some(file) if self.is_again(file) => {
                self.spool().add(file, self.known.orders[seq as usize].rank, finding)
            }
            _ => Ok(()), // it stands already, or is not known as of the month asked for
        }
    }

    /// A unit with these files, as places among those known (`None`: not known which), is through: tells of holders without an insurer record;
    /// gives what became of its files' records.
    pub fn end_of_unit(
        &self,
        of_unit: &mut OfUnit,
        files: Option<&[usize]>,
    ) -> Result<Vec<FileCount>, DiskError> {
        for (seq, finding, newly_warned) in std::mem::take(&mut of_unit.unregistered).findings(self.spec) {
            self.one(seq, &finding)?;
            if newly_warned && finding.severity == Severity::Warning {
                of_unit.counts[seq as usize].warned += 1;
            }
        }
        let mut counts = Vec::new();
        let all = || (0..self.known.files.len()).collect::<Vec<usize>>();
        for &file in files.map_or_else(all, <[usize]>::to_vec).iter() {
            let seq = self.known.files[file].seq as usize;
            let FileCounts { refused, warned } = std::mem::take(&mut of_unit.counts[seq]);
            if refused != 0 || warned != 0 {
                counts.push(FileCount { file, refused, warned });
            }
        }
        Ok(counts)
    }

    /// The reader's findings.
    pub fn reading(&self, ledger: &Ledger) -> Result<(), DiskError> {
        let wanted: BTreeSet<i32> =
            self.by_seq.iter().filter(|(_, file)| self.is_again(file)).map(|(seq, _)| *seq).collect();
        for path in ledger.findings_about(&wanted) {
            let mut failed = Ok(());
            read_findings(&path, &|seq| wanted.contains(&seq), &mut |seq, finding| {
                if failed.is_ok() {
                    failed = self.one(seq, &finding);
                }
            })?;
            failed?;
        }
        Ok(())
    }

    /// What stacking found of a sender's files in units that stand: `stands` tells by an insurer's number.
    pub fn take_over(
        &self,
        base: &Base,
        sender: &str,
        stands: &dyn Fn(&str) -> bool,
    ) -> Result<(), DiskError> {
        let path = base.snapshot.path.join(findings_path(sender));
        if !path.is_file() {
            return Ok(()); // there were none
        }
        for batch in batches(&path, None)? {
            let batch = batch?;
            let ranks = &self.ranks;
            self.spool().take_over(sender, &batch, &|row| {
                // Only recipients have an insured number, and only stacking finds what begins with S.
                let of_unit = row.code().is_some_and(|code| code.as_str().starts_with('S'))
                    && row.insured_no().is_some()
                    && row.insurer_no().is_some_and(stands);
                ranks.get(row.file_id()).copied().filter(|_| of_unit)
            })?;
        }
        Ok(())
    }
}
