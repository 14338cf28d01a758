//! Taking files in: archive, read, log, ledger.
//!
//! Promise: the inbox is only read; bytes are in the archive before anything else counts; the same
//! bytes are taken in once; a damaged file is rejected whole and kept; a run killed anywhere is carried
//! on by the next. What is done with a file is decided by [`decide`] alone; months, name and day of a file
//! that is read again stay those of its arrival.

mod decide;

pub use decide::{Circumstances, Decision, decide};

use crate::archive::{Archive, Arrival, gone, hash_file};
use crate::disk::{self, DiskError, io};
use crate::events::{self, Closings};
use crate::ledger::{Commit, FileEntry, Ledger};
use crate::log::{EmbeddedLog, ReadBy, Seal};
use crate::reader::{Compiled, ReadOptions, read};
use crate::tally::Tally;
use rayon::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
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

/// Bytes to look at: from the inbox or the command line, or in the archive only (left by a killed run,
/// or due to be read again).
pub(crate) struct Candidate {
    pub name: String,
    pub source: Option<PathBuf>,
    pub file_id: String,
    pub bytes: u64,
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
    let intake = Intake::open(options)?;
    for entry in ledger.renewed() {
        intake.archive.renew(&entry.arrival)?; // if a run was killed between ledger and archive
    }
    let candidates = intake.candidates(files, ledger)?;
    watch.began(candidates.len(), candidates.iter().map(|c| c.bytes).sum());
    intake.take_in(&candidates, ledger, watch)
}

/// What a run takes in with.
pub(crate) struct Intake<'a> {
    pub archive: Archive,
    log: EmbeddedLog,
    closings: Closings,
    options: &'a TakeInOptions<'a>,
}

impl<'a> Intake<'a> {
    pub fn open(options: &'a TakeInOptions<'a>) -> Result<Intake<'a>, DiskError> {
        Ok(Intake {
            archive: Archive::open(options.data)?,
            log: EmbeddedLog::open(options.data)?,
            closings: Closings::of(&events::read(options.data)?),
            options,
        })
    }

    fn read_by(&self) -> ReadBy<'_> {
        ReadBy { layouts: self.options.layouts, one_off: self.options.one_off }
    }

    fn now(&self) -> Circumstances<'_> {
        let TakeInOptions { layouts, recheck, taken_in_on, .. } = *self.options;
        Circumstances { layouts, closings: &self.closings, recheck, taken_in_on }
    }

    /// The files given, then what is in the archive only: left there by a killed run, or due to be read
    /// again.
    fn candidates(&self, files: &[PathBuf], ledger: &Ledger) -> Result<Vec<Candidate>, DiskError> {
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
        let at_hand: BTreeSet<String> = candidates.iter().map(|c| c.file_id.clone()).collect();
        let seen = |file_id: &str| at_hand.contains(file_id) || ledger.file(file_id).is_some();
        let left = self.archive.arrivals_but(seen)?;
        let now = self.now();
        let due = ledger.files().filter(|entry| decide(Some(entry), &now) != Decision::Known);
        for arrival in left.into_iter().chain(due.map(|entry| entry.arrival.clone())) {
            if !at_hand.contains(&arrival.file_id) {
                candidates.push(self.archived(&arrival)?);
            }
        }
        Ok(candidates)
    }

    /// A file that is in the archive only.
    pub fn archived(&self, arrival: &Arrival) -> Result<Candidate, DiskError> {
        let path = self.archive.path(&arrival.file_id);
        let bytes = path.metadata().map_err(|_| gone(&path))?.len();
        Ok(Candidate { name: arrival.name.clone(), source: None, file_id: arrival.file_id.clone(), bytes })
    }

    /// Takes candidates in with one commit; returns what became of each, in the order given.
    pub fn take_in(
        &self,
        candidates: &[Candidate],
        ledger: &mut Ledger,
        watch: &dyn Watch,
    ) -> Result<Vec<FileOutcome>, DiskError> {
        // Of equal bytes in one run the first counts, so that names do not depend on threads.
        let mut first: BTreeMap<&str, usize> = BTreeMap::new();
        for (at, candidate) in candidates.iter().enumerate() {
            first.entry(&candidate.file_id).or_insert(at);
        }
        let now = self.now();
        let to_read: Vec<&Candidate> = candidates
            .iter()
            .enumerate()
            .filter(|(at, c)| first[c.file_id.as_str()] == *at)
            .map(|(_, c)| c)
            .filter(|c| decide(ledger.file(&c.file_id), &now) != Decision::Known)
            .collect();
        let sealed: Result<Vec<(Seal, FileOutcome)>, DiskError> = to_read
            .par_iter()
            .map(|candidate| {
                let seal = self.seal(candidate, ledger.file(&candidate.file_id))?;
                let outcome = outcome_of_seal(&candidate.name, candidate.bytes, &seal);
                watch.file(&outcome);
                Ok((seal, outcome))
            })
            .collect();
        let (seals, read): (Vec<Seal>, Vec<FileOutcome>) = sealed?.into_iter().unzip();
        commit(seals, ledger, &self.log, self.options)?;
        for entry in to_read.iter().filter_map(|c| ledger.file(&c.file_id)) {
            self.archive.renew(&entry.arrival)?; // only now that the ledger has decided
        }
        let mut read: BTreeMap<String, FileOutcome> =
            read.into_iter().map(|outcome| (outcome.file_id.clone(), outcome)).collect();
        let mut outcomes = Vec::new();
        for candidate in candidates {
            // Of equal bytes the first was read: it takes the outcome, the others are duplicates.
            if let Some(outcome) = read.remove(&candidate.file_id) {
                outcomes.push(outcome);
                continue;
            }
            let Some(entry) = ledger.file(&candidate.file_id) else { continue };
            let severity = self.options.compiled.spec().catalogue.severity(Code::F07);
            let mut outcome = outcome_of_duplicate(candidate, entry);
            outcome.findings.add_many(Code::F07, severity, 1, 1);
            watch.file(&outcome);
            outcomes.push(outcome);
        }
        Ok(outcomes)
    }

    /// Archives and reads one file into the log.
    fn seal(&self, candidate: &Candidate, known: Option<&FileEntry>) -> Result<Seal, DiskError> {
        let file_id = &candidate.file_id;
        let arrival = match (&candidate.source, known) {
            (Some(path), None) => {
                self.archive.store(path, decide::arrival_now(file_id, &candidate.name, &self.now()))?
            }
            (None, None) => known_arrival(&self.archive, file_id)?,
            (source, Some(entry)) => {
                let at_hand = source.as_ref().map(|_| candidate.name.as_str());
                let noted = known_arrival(&self.archive, file_id)?;
                decide::arrival_again(entry, noted, at_hand, &self.now())
            }
        };
        let closed_through = arrival.closed_through;
        let seal = match self.log.sealed(&arrival, self.read_by()) {
            Some(seal) => seal,
            None => self.read(arrival, closed_through)?,
        };
        match self.closings.rejected_files.get(file_id) {
            // Its month was closed without it; that other layouts accept it now comes too late.
            Some(closed) if !seal.file_rejected => self.read(seal.arrival, Some(*closed)),
            _ => Ok(seal),
        }
    }

    fn read(&self, arrival: Arrival, closed_through: Option<Month>) -> Result<Seal, DiskError> {
        let options = self.options;
        let bytes = self.archive.bytes(&arrival.file_id)?;
        let mut attempt = self.log.begin(&arrival.file_id);
        let reading =
            ReadOptions { batch_rows: options.batch_rows, taken_in_on: arrival.taken_in_on, closed_through };
        let report =
            read(&bytes, options.compiled, &reading, &mut |table, batch| attempt.append(table, &batch))?;
        self.log.seal(attempt, arrival, report, self.read_by())
    }
}

fn known_arrival(archive: &Archive, file_id: &str) -> Result<Arrival, DiskError> {
    archive.arrival(file_id)?.ok_or_else(|| gone(&archive.path(file_id)))
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
        let file_id = seal.arrival.file_id.clone();
        commit.add(seal, log.findings(&file_id)?, log.batches(&file_id)?)?;
    }
    commit.finish()?;
    log.clear()
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
        sender_no: seal.sender_no.clone(),
        data_type: seal.data_type.clone(),
        processing_month: seal.processing_month,
        findings: seal.findings.clone(),
        file_errors: seal.file_errors.clone(),
    }
}

fn outcome_of_duplicate(candidate: &Candidate, entry: &FileEntry) -> FileOutcome {
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
        findings: Tally::default(),
        file_errors: Vec::new(),
    }
}
