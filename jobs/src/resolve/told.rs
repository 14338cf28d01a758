//! The findings of a snapshot on their way into its table, and what they make of each file's counts.

use crate::facts::KnownFiles;
use crate::publish::findings::{FileCounts, Spool, count_by_file, stacking_findings, warned_rows};
use crate::publish::unregistered::Unregistered;
use crate::publish::withdrawn;
use crate::registry::Registry;
use crate::stack::gather::file_seqs;
use arrow::array::RecordBatch;
use std::collections::BTreeMap;
use std::path::Path;
use tsumiage_pipeline::disk::DiskError;
use tsumiage_pipeline::ledger::{FileEntry, Ledger, read_findings};
use tsumiage_schemas::{FactTable, Finding, Severity, Spec};

/// Findings told so far.
pub(super) struct Told<'a> {
    spec: &'a Spec,
    known: &'a KnownFiles<'a>,
    by_seq: BTreeMap<i32, &'a FileEntry>,
    unregistered: Unregistered,
    /// What is to become the table.
    pub spool: Spool<'a>,
    /// Refused and warned records by file number.
    pub counts: Vec<FileCounts>,
}

impl<'a> Told<'a> {
    /// None yet; they are spooled into a folder for temporary files.
    pub fn new(
        temp: &Path,
        spec: &'a Spec,
        known: &'a KnownFiles<'a>,
        ledger: &Ledger,
    ) -> Result<Told<'a>, DiskError> {
        Ok(Told {
            spec,
            known,
            by_seq: known.by_seq(),
            unregistered: Unregistered::default(),
            spool: Spool::create(temp, spec)?,
            counts: vec![FileCounts::default(); usize::try_from(ledger.next_seq()).unwrap_or(0)],
        })
    }

    /// Findings of stacked rows; tells which rows are warned.
    pub fn rows(
        &mut self,
        stacked: &RecordBatch,
        findings: &[(usize, Finding)],
    ) -> anyhow::Result<Vec<bool>> {
        let warned = warned_rows(stacked, findings);
        count_by_file(stacked, &warned, &mut self.counts)?;
        let seqs = file_seqs(stacked);
        for (row, finding) in findings {
            self.one(seqs.value(*row), finding)?;
        }
        Ok(warned)
    }

    /// Looks for the first record of a holder that has no insurer record; `warned` from [`Told::rows`].
    pub fn unregistered(&mut self, holder_no: &str, stacked: &RecordBatch, warned: &[bool]) {
        self.unregistered.see(holder_no, stacked, &self.known.orders, warned);
    }

    /// A finding about a file.
    fn one(&mut self, seq: i32, finding: &Finding) -> Result<(), DiskError> {
        match self.by_seq.get(&seq) {
            Some(file) => self.spool.add(file, self.known.orders[seq as usize].rank, finding),
            None => Ok(()), // not known as of the month asked for
        }
    }

    /// Findings that do not come with recipients' rows: the registry's, those of holders without an insurer
    /// record, those of what is withdrawn, and the reader's.
    pub fn others(&mut self, registry: &Registry, ledger: &Ledger) -> anyhow::Result<()> {
        for stacked in registry.tables() {
            let mut findings = stacking_findings(&stacked.rows, &[], self.spec, &registry.details())?;
            if stacked.table == FactTable::Membership {
                findings.extend(registry.list_findings().iter().cloned());
            }
            self.rows(&stacked.rows, &findings)?;
        }
        for (seq, finding, newly_warned) in std::mem::take(&mut self.unregistered).findings(self.spec) {
            self.one(seq, &finding)?;
            if newly_warned && finding.severity == Severity::Warning {
                self.counts[seq as usize].warned += 1;
            }
        }
        for (seq, finding) in withdrawn::findings(&self.known.withdrawn, self.spec) {
            self.one(seq, &finding)?;
        }
        for path in ledger.findings_paths() {
            let mut failed = Ok(());
            read_findings(&path, &mut |seq, finding| {
                if failed.is_ok() {
                    failed = self.one(seq, &finding);
                }
            })?;
            failed?;
        }
        Ok(())
    }
}
