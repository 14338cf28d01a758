//! Taking files in: archive, read, log, ledger.
//!
//! Promise: the inbox is only read; bytes are in the archive before anything else counts; the same
//! bytes are taken in once; a damaged file is rejected whole and kept; a run killed anywhere is carried
//! on by the next. What is done with a file is decided by [`decide`] alone; months, name and day of a file
//! that is read again stay those of its arrival.

mod bulk;
mod decide;
mod intake;

pub use decide::{Circumstances, Decision, decide};
pub use intake::{Candidate, Intake, ToRead};

use crate::archive::Archive;
use crate::disk::{self, DiskError};
use crate::ledger::{FileEntry, Ledger};
use crate::log::{EmbeddedLog, LogError, Seal};
use crate::reader::Compiled;
use crate::tally::Tally;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use tsumiage_schemas::{Code, Day, Finding, Month};

/// How files are taken in.
#[derive(Clone, Copy)]
pub struct TakeInOptions<'a> {
    /// The data folder.
    pub data: &'a Path,
    /// Layouts to read with.
    pub compiled: &'a Compiled,
    /// Digest of these layouts.
    pub layouts: &'a str,
    /// They are given for this run and are not those of the settings.
    pub one_off: bool,
    /// Take-in day of files that are new.
    pub taken_in_on: Day,
    /// Check rejected files again, and read accepted ones again that were read with other layouts.
    pub recheck: bool,
    /// Rows of a batch.
    pub batch_rows: usize,
    /// Memory for facts on their way into the ledger.
    pub memory_bytes: usize,
}

/// The embedded log holds so much of the memory: one part of this many.
pub(crate) const LOG_SHARE: usize = 4;

/// What became of one file of the run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileOutcome {
    /// Name it came under in this run.
    pub name: String,
    /// SHA-256 of its bytes.
    pub file_id: String,
    /// Whether its bytes were known before (F07).
    pub duplicate: bool,
    /// What the ledger says of it now.
    pub file_rejected: bool,
    /// Data records found.
    pub records: i64,
    /// Accepted by the reader.
    pub accepted: i64,
    /// Rejected by the reader.
    pub rejected: i64,
    /// Accepted with a warning.
    pub warned: i64,
    /// Bytes of the file.
    pub bytes: u64,
    /// Sender's number and data type of the control record, as far as they are valid.
    pub sender_no: Option<String>,
    /// See `sender_no`.
    pub data_type: Option<String>,
    /// Processing month of the control record.
    pub processing_month: Option<Month>,
    /// The reader's findings, counted; of a duplicate that it is one.
    pub findings: Tally,
    /// File errors (F codes) with what they say, for the operator.
    pub file_errors: Vec<Finding>,
}

/// Told what happens while files are taken in.
pub trait Watch: Sync {
    /// So many files of so many bytes are to be looked at.
    fn began(&self, files: usize, bytes: u64);
    /// One file is through.
    fn file(&self, outcome: &FileOutcome);
}

/// The plain files of an inbox: not hidden, not `*.part` or `*.tmp`, no sub-folders; sorted by name.
///
/// # Errors
/// The inbox cannot be read.
pub fn inbox_files(inbox: &Path) -> Result<Vec<PathBuf>, DiskError> {
    let counts = |path: &PathBuf| {
        let name = base_name(path);
        path.is_file() && !name.starts_with('.') && !name.ends_with(".part") && !name.ends_with(".tmp")
    };
    Ok(disk::entries(inbox)?.into_iter().filter(counts).collect())
}

/// The name of a file without its folders.
pub(crate) fn base_name(path: &Path) -> String {
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}

/// Takes files in; returns what became of each, in the order given.
///
/// # Errors
/// The machine failed; then nothing new counts, and the next run carries on.
pub fn take_in(
    files: &[PathBuf],
    ledger: &mut Ledger,
    options: &TakeInOptions<'_>,
    watch: &dyn Watch,
) -> Result<Vec<FileOutcome>, LogError> {
    let log = EmbeddedLog::open(options.data, options.memory_bytes / LOG_SHARE)?;
    let archive = Archive::open(options.data)?;
    let intake = Intake::new(archive, &log, options)?;
    for entry in ledger.renewed() {
        intake.archive.renew(&entry.arrival)?; // if a run was killed between ledger and archive
    }
    let candidates = intake.candidates(files, &|file_id| ledger.file(file_id).cloned(), ledger.files())?;
    watch.began(candidates.len(), candidates.iter().map(|c| c.bytes).sum());
    take_in_candidates(&intake, &log, &candidates, ledger, watch)
}

/// Takes candidates in with one commit; returns what became of each, in the order given.
pub(crate) fn take_in_candidates(
    intake: &Intake<'_>,
    log: &EmbeddedLog,
    candidates: &[Candidate],
    ledger: &mut Ledger,
    watch: &dyn Watch,
) -> Result<Vec<FileOutcome>, LogError> {
    let to_read = intake.to_read(candidates, &|file_id| ledger.file(file_id).cloned());
    let read = bulk::taken_in(intake, log, &to_read, ledger, watch)?;
    for entry in to_read.iter().filter_map(|(candidate, known)| known.is_some().then_some(candidate)) {
        if let Some(entry) = ledger.file(&entry.file_id) {
            intake.archive.renew(&entry.arrival)?; // only now that the ledger has decided
        }
    }
    Ok(outcomes(candidates, read, &|file_id| ledger.file(file_id).cloned(), intake.options, watch))
}

/// What became of each candidate, in the order given: of those read now, and of duplicates.
pub(crate) fn outcomes(
    candidates: &[Candidate],
    read: Vec<(Seal, FileOutcome)>,
    known: &dyn Fn(&str) -> Option<FileEntry>,
    options: &TakeInOptions<'_>,
    watch: &dyn Watch,
) -> Vec<FileOutcome> {
    let mut read: BTreeMap<String, FileOutcome> =
        read.into_iter().map(|(_, outcome)| (outcome.file_id.clone(), outcome)).collect();
    let mut outcomes = Vec::new();
    for candidate in candidates {
        // Of equal bytes the first was read: it takes the outcome, the others are duplicates.
        if let Some(outcome) = read.remove(&candidate.file_id) {
            outcomes.push(outcome);
            continue;
        }
        let Some(entry) = known(&candidate.file_id) else { continue };
        let outcome = outcome_of_duplicate(candidate, &entry, options.compiled);
        watch.file(&outcome);
        outcomes.push(outcome);
    }
    outcomes
}

/// What became of a file that was read.
pub fn outcome_of_seal(name: &str, bytes: u64, seal: &Seal) -> FileOutcome {
    FileOutcome {
        name: name.to_owned(),
        file_id: seal.arrival.file_id.clone(),
        duplicate: false,
        file_rejected: seal.file_rejected,
        records: seal.records,
        accepted: seal.accepted,
        rejected: seal.rejected,
        warned: seal.warned,
        bytes,
        sender_no: seal.sender_no.clone(),
        data_type: seal.data_type.clone(),
        processing_month: seal.processing_month,
        findings: seal.findings.clone(),
        file_errors: seal.file_errors.clone(),
    }
}

/// What became of bytes that were known (F07).
pub(crate) fn outcome_of_duplicate(
    candidate: &Candidate,
    entry: &FileEntry,
    compiled: &Compiled,
) -> FileOutcome {
    let mut findings = Tally::default();
    findings.add_many(Code::F07, compiled.spec().catalogue.severity(Code::F07), 1, 1);
    FileOutcome {
        name: candidate.name.clone(),
        file_id: candidate.file_id.clone(),
        duplicate: true,
        file_rejected: entry.file_rejected,
        records: entry.records,
        accepted: entry.accepted,
        rejected: entry.rejected,
        warned: entry.warned,
        bytes: candidate.bytes,
        sender_no: entry.sender_no.clone(),
        data_type: entry.data_type.clone(),
        processing_month: entry.processing_month,
        findings,
        file_errors: Vec::new(),
    }
}
