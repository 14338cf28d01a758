//! Taking files in: archive, read, log, ledger.
//!
//! Promise: the inbox is only read; bytes are in the archive before anything else counts; the same
//! bytes are taken in once; a damaged file is rejected whole and kept; a run killed anywhere is carried
//! on by the next. What is done with a file is decided by [`decide`] alone.

use crate::archive::{Archive, Arrival, hash_file};
use crate::disk::{self, DiskError, io};
use crate::ledger::{Commit, FileEntry, Ledger};
use crate::log::{EmbeddedLog, Seal};
use crate::reader::{Compiled, ReadOptions, read};
use rayon::prelude::*;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use tsumiage_schemas::tables::fact_schema;
use tsumiage_schemas::{Code, Day, Finding};

/// What is to be done with bytes that arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Never seen: take in.
    TakeIn,
    /// Rejected before, but layouts changed or the user asks: check again.
    CheckAgain,
    /// Known: nothing is done (F07).
    Known,
}

/// Decides what to do with bytes, given what the ledger knows of them.
pub fn decide(known: Option<&FileEntry>, layouts: &str, recheck: bool) -> Decision {
    match known {
        None => Decision::TakeIn,
        Some(entry) if entry.file_rejected && (recheck || entry.layouts != layouts) => Decision::CheckAgain,
        Some(_) => Decision::Known,
    }
}

/// How files are taken in.
#[derive(Clone, Copy)]
pub struct TakeInOptions<'a> {
    /// The data folder.
    pub data: &'a Path,
    /// Layouts to read with.
    pub compiled: &'a Compiled,
    /// Digest of these layouts.
    pub layouts: &'a str,
    /// Take-in day of files that are new.
    pub taken_in_on: Day,
    /// Check rejected files again.
    pub recheck: bool,
    /// Rows of a batch.
    pub batch_rows: usize,
    /// Memory for facts on their way into the ledger.
    pub memory_bytes: usize,
}

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

/// Bytes to look at: from the inbox or the command line, or left in the archive by a killed run.
struct Candidate {
    name: String,
    source: Option<PathBuf>,
    file_id: String,
    bytes: u64,
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

fn base_name(path: &Path) -> String {
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
) -> Result<Vec<FileOutcome>, DiskError> {
    let archive = Archive::open(options.data)?;
    let log = EmbeddedLog::open(options.data)?;
    let candidates = candidates(files, &archive, ledger)?;
    watch.began(candidates.len(), candidates.iter().map(|c| c.bytes).sum());
    // Of equal bytes in one run the first counts, so that names do not depend on threads.
    let mut first: BTreeMap<&str, usize> = BTreeMap::new();
    for (at, candidate) in candidates.iter().enumerate() {
        first.entry(&candidate.file_id).or_insert(at);
    }
    let to_read: Vec<&Candidate> = candidates
        .iter()
        .enumerate()
        .filter(|(at, c)| first[c.file_id.as_str()] == *at)
        .map(|(_, c)| c)
        .filter(|c| decide(ledger.file(&c.file_id), options.layouts, options.recheck) != Decision::Known)
        .collect();
    let seals: Result<Vec<Seal>, DiskError> = to_read
        .par_iter()
        .map(|candidate| {
            let seal = seal(candidate, &archive, &log, options)?;
            watch.file(&outcome_of_seal(&candidate.name, candidate.bytes, &seal));
            Ok(seal)
        })
        .collect();
    let seals = seals?;
    let errors: BTreeMap<String, Vec<Finding>> =
        seals.iter().map(|seal| (seal.arrival.file_id.clone(), file_errors(&seal.findings))).collect();
    commit(seals, ledger, &log, options)?;
    for entry in to_read.iter().filter_map(|c| ledger.file(&c.file_id)).filter(|_| options.recheck) {
        archive.renew(&entry.arrival)?; // only now that the ledger has decided
    }
    let read: BTreeMap<&str, &Candidate> = to_read.iter().map(|c| (c.file_id.as_str(), *c)).collect();
    let mut outcomes = Vec::new();
    for candidate in &candidates {
        let is_read = read.get(candidate.file_id.as_str()).is_some_and(|c| std::ptr::eq(*c, candidate));
        let Some(entry) = ledger.file(&candidate.file_id) else { continue };
        let mut outcome = outcome_of_entry(candidate, entry, !is_read);
        outcome.file_errors = errors.get(&candidate.file_id).filter(|_| is_read).cloned().unwrap_or_default();
        if !is_read {
            watch.file(&outcome);
        }
        outcomes.push(outcome);
    }
    Ok(outcomes)
}

fn candidates(files: &[PathBuf], archive: &Archive, ledger: &Ledger) -> Result<Vec<Candidate>, DiskError> {
    let given: Result<Vec<Candidate>, DiskError> = files
        .par_iter()
        .map(|path| {
            let bytes = path.metadata().map_err(io(path))?.len();
            Ok(Candidate {
                name: base_name(path),
                source: Some(path.clone()),
                file_id: hash_file(path)?,
                bytes,
            })
        })
        .collect();
    let mut candidates = given?;
    for arrival in archive.arrivals_but(|file_id| ledger.file(file_id).is_some())? {
        if candidates.iter().all(|c| c.file_id != arrival.file_id) {
            let path = archive.path(&arrival.file_id);
            let bytes = path.metadata().map_err(io(&path))?.len();
            candidates.push(Candidate { name: arrival.name, source: None, file_id: arrival.file_id, bytes });
        }
    }
    Ok(candidates)
}

/// Archives and reads one file into the log.
fn seal(
    candidate: &Candidate,
    archive: &Archive,
    log: &EmbeddedLog,
    options: &TakeInOptions<'_>,
) -> Result<Seal, DiskError> {
    let arrival = match &candidate.source {
        // Asked for by the user, with the file at hand: it arrives anew, today and under this name.
        Some(_) if options.recheck && archive.arrival(&candidate.file_id)?.is_some() => Arrival {
            file_id: candidate.file_id.clone(),
            name: candidate.name.clone(),
            taken_in_on: options.taken_in_on,
            source: "inbox".to_owned(),
        },
        Some(path) => archive.store(path, &candidate.file_id, &candidate.name, options.taken_in_on)?,
        None => known_arrival(archive, &candidate.file_id)?,
    };
    if let Some(seal) = log.sealed(&arrival, options.layouts) {
        return Ok(seal);
    }
    let bytes = archive.bytes(&arrival.file_id)?;
    let mut attempt = log.begin(&arrival.file_id, &fact_schema(options.compiled.spec()))?;
    let reading = ReadOptions { batch_rows: options.batch_rows, taken_in_on: arrival.taken_in_on };
    let report = read(&bytes, options.compiled, &reading, &mut |batch| attempt.append(&batch))?;
    log.seal(attempt, arrival, report, options.layouts)
}

fn known_arrival(archive: &Archive, file_id: &str) -> Result<Arrival, DiskError> {
    let gone =
        || DiskError::invalid(&archive.path(file_id), "is gone from the archive; restore it from a backup");
    archive.arrival(file_id)?.ok_or_else(gone)
}

fn commit(
    mut seals: Vec<Seal>,
    ledger: &mut Ledger,
    log: &EmbeddedLog,
    options: &TakeInOptions<'_>,
) -> Result<(), DiskError> {
    seals.sort_by(|a, b| a.arrival.order(a.processing_month).cmp(&b.arrival.order(b.processing_month)));
    let mut commit = Commit::begin(ledger, options.memory_bytes)?;
    for seal in seals {
        let batches = log.batches(&seal.arrival.file_id)?;
        commit.add(seal, batches)?;
    }
    commit.finish()?;
    log.clear()
}

fn file_errors(findings: &[Finding]) -> Vec<Finding> {
    let of_file = |f: &&Finding| f.code < Code::R01 && f.severity == tsumiage_schemas::Severity::Error;
    findings.iter().filter(of_file).cloned().collect()
}

fn outcome_of_seal(name: &str, bytes: u64, seal: &Seal) -> FileOutcome {
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
        file_errors: file_errors(&seal.findings),
    }
}

fn outcome_of_entry(candidate: &Candidate, entry: &FileEntry, duplicate: bool) -> FileOutcome {
    FileOutcome {
        name: candidate.name.clone(),
        file_id: candidate.file_id.clone(),
        duplicate,
        file_rejected: entry.file_rejected,
        records: entry.records,
        accepted: entry.accepted,
        rejected: entry.rejected,
        warned: entry.warned,
        bytes: candidate.bytes,
        file_errors: Vec::new(),
    }
}
