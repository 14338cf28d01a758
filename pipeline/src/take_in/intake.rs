//! One file's way from where it lies into the log.
//!
//! Promise: the same for every log and for one machine or many; whether a file is read is `decide`'s alone, from what
//! is `known` of it: the ledger's entry, or for a worker the seal under which it went to Kafka.

use super::decide::{self, Circumstances, Decision};
use super::{FileOutcome, TakeInOptions, Watch, base_name, outcome_of_seal};
use crate::archive::{Archive, Arrival, gone, hash_file};
use crate::disk::{DiskError, io};
use crate::events::{self, Closings};
use crate::ledger::FileEntry;
use crate::log::{Attempt, Begun, Log, LogError, ReadBy, Seal, first_reading};
use crate::reader::khs::is_khs;
use crate::reader::{Control, ReadOptions, control_of, read};
use rayon::prelude::*;
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use tsumiage_schemas::{Finding, Month};

/// Bytes to look at: from the inbox or the command line, or in the archive only (left by a killed run,
/// or due to be read again).
#[derive(Clone, Debug)]
pub struct Candidate {
    /// Name it comes under now.
    pub name: String,
    /// Where it lies; none = in the archive only.
    pub source: Option<PathBuf>,
    /// SHA-256 of its bytes, hex.
    pub file_id: String,
    /// Their number.
    pub bytes: u64,
}

impl Candidate {
    /// A file at a path, hashed.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn at(path: &Path) -> Result<Candidate, DiskError> {
        let bytes = path.metadata().map_err(io(path))?.len();
        let file_id = hash_file(path)?;
        Ok(Candidate { name: base_name(path), source: Some(path.to_owned()), file_id, bytes })
    }
}

/// What is known of a file, by its id.
pub type Known<'k> = dyn Fn(&str) -> Option<FileEntry> + Sync + 'k;

/// A file that is to be read, and what is known of it.
pub type ToRead<'c> = (&'c Candidate, Option<FileEntry>);

/// What files are taken in with.
pub struct Intake<'a> {
    /// Where bytes are kept.
    pub archive: Archive,
    /// How files are taken in.
    pub options: &'a TakeInOptions<'a>,
    log: &'a dyn Log,
    closings: Closings,
    /// Numbers of readings of a ledger that is made again.
    readings: BTreeMap<String, u32>,
    /// Where the log sends to, if that is to be noted in the archive.
    to: Option<String>,
}

impl<'a> Intake<'a> {
    /// With the closings of now.
    ///
    /// # Errors
    /// The archive's events cannot be read.
    pub fn new(
        archive: Archive,
        log: &'a dyn Log,
        options: &'a TakeInOptions<'a>,
    ) -> Result<Intake<'a>, DiskError> {
        let closings = Closings::of(&events::read_in(archive.root())?);
        Ok(Intake { archive, options, log, closings, readings: BTreeMap::new(), to: None })
    }

    /// The same, where files keep the numbers of readings that a ledger had.
    pub fn again<'f>(mut self, files: impl Iterator<Item = &'f FileEntry>) -> Intake<'a> {
        self.readings = files.map(|entry| (entry.arrival.file_id.clone(), entry.reading)).collect();
        self
    }

    /// The same, where the archive notes that files went there (cluster and topic).
    pub fn to(mut self, to: &str) -> Intake<'a> {
        self.to = Some(to.to_owned());
        self
    }

    /// What is known of a file that went where this sends to.
    pub fn sent(&self, file_id: &str) -> Option<FileEntry> {
        let to = self.to.as_deref()?;
        Some(FileEntry::of(self.archive.sent(file_id, to)?, 0))
    }

    fn read_by(&self) -> ReadBy<'_> {
        ReadBy { layouts: self.options.layouts, one_off: self.options.one_off }
    }

    fn circumstances<'c>(&'c self, closings: &'c Closings) -> Circumstances<'c> {
        let TakeInOptions { layouts, recheck, taken_in_on, .. } = *self.options;
        Circumstances { layouts, closings, recheck, taken_in_on }
    }

    /// What is to be done with bytes, given what is known of them.
    pub fn decide(&self, known: Option<&FileEntry>) -> Decision {
        decide::decide(known, &self.circumstances(&self.closings))
    }

    /// The files given, then what is in the archive only: left there by a killed run, or due to be read
    /// again; `files` are all that are known.
    ///
    /// # Errors
    /// A file or the archive cannot be read.
    pub fn candidates<'f>(
        &self,
        given: &[PathBuf],
        known: &Known<'_>,
        files: impl Iterator<Item = &'f FileEntry>,
    ) -> Result<Vec<Candidate>, DiskError> {
        let given: Result<Vec<Candidate>, DiskError> =
            given.par_iter().map(|path| Candidate::at(path)).collect();
        let mut candidates = given?;
        let at_hand: BTreeSet<String> = candidates.iter().map(|c| c.file_id.clone()).collect();
        let seen = |file_id: &str| at_hand.contains(file_id) || known(file_id).is_some();
        let left = self.archive.arrivals_but(seen)?;
        let due = files.filter(|entry| self.decide(Some(entry)) != Decision::Known);
        for arrival in left.into_iter().chain(due.map(|entry| entry.arrival.clone())) {
            if !at_hand.contains(&arrival.file_id) {
                candidates.push(self.archived(&arrival)?);
            }
        }
        Ok(candidates)
    }

    /// A file that is in the archive only.
    ///
    /// # Errors
    /// Its bytes are gone.
    pub fn archived(&self, arrival: &Arrival) -> Result<Candidate, DiskError> {
        let path = self.archive.path(&arrival.file_id);
        let bytes = path.metadata().map_err(|_| gone(&path))?.len();
        Ok(Candidate { name: arrival.name.clone(), source: None, file_id: arrival.file_id.clone(), bytes })
    }

    /// Those of the candidates that are to be read, with what is known of them; in the order given. Of equal bytes in
    /// one run the first counts, so that names do not depend on threads.
    pub fn to_read<'c>(&self, candidates: &'c [Candidate], known: &Known<'_>) -> Vec<ToRead<'c>> {
        let mut seen: BTreeSet<&str> = BTreeSet::new();
        candidates
            .iter()
            .filter(|candidate| seen.insert(&candidate.file_id))
            .map(|candidate| (candidate, known(&candidate.file_id)))
            .filter(|(_, known)| self.decide(known.as_ref()) != Decision::Known)
            .collect()
    }

    /// Reads every candidate that is to be read into the log; in the order given.
    ///
    /// # Errors
    /// The machine failed.
    pub fn seal_all(
        &self,
        candidates: &[Candidate],
        known: &Known<'_>,
        watch: &dyn Watch,
    ) -> Result<Vec<(Seal, FileOutcome)>, LogError> {
        self.to_read(candidates, known)
            .par_iter()
            .map(|(candidate, known)| {
                let seal = self.seal(candidate, known.as_ref())?;
                let outcome = outcome_of_seal(&candidate.name, candidate.bytes, &seal);
                watch.file(&outcome);
                Ok((seal, outcome))
            })
            .collect()
    }

    /// Archives a file and reads it into the log; `known` is what is known of it by now.
    ///
    /// # Errors
    /// The machine failed; to try again does no harm.
    pub fn seal(&self, candidate: &Candidate, known: Option<&FileEntry>) -> Result<Seal, LogError> {
        let (arrival, closings) = self.arrival(candidate, known)?;
        self.seal_arrived(arrival, known, &closings)
    }

    /// Reads a file that is in the archive into the log.
    ///
    /// # Errors
    /// As [`seal`](Intake::seal).
    pub fn seal_archived(&self, arrival: Arrival, known: Option<&FileEntry>) -> Result<Seal, LogError> {
        self.seal_arrived(arrival, known, &self.closings)
    }

    fn seal_arrived(
        &self,
        arrival: Arrival,
        known: Option<&FileEntry>,
        closings: &Closings,
    ) -> Result<Seal, LogError> {
        let file_id = &arrival.file_id;
        let reading = known.map_or_else(
            || self.readings.get(file_id).copied().unwrap_or_else(first_reading),
            |entry| entry.reading + 1,
        );
        // Its month was closed while it stood rejected: that other layouts accept it now comes too late.
        let counts = |seal: &Seal| seal.file_rejected || !closings.froze(file_id, seal.processing_month);
        let mut read = self.read(&arrival, arrival.closed_through, reading)?;
        if !counts(&read.seal) {
            let frozen = closings.rejected_files.get(file_id).copied();
            drop(read);
            read = self.read(&arrival, frozen, reading)?;
        }
        let Read { attempt, seal, findings } = read;
        attempt.seal(&seal, &findings)?;
        if let Some(to) = &self.to {
            self.archive.note_sent(to, &seal)?;
        }
        Ok(seal)
    }

    /// What the control record of a file in the archive says.
    ///
    /// # Errors
    /// Its bytes cannot be read.
    pub fn control(&self, arrival: &Arrival) -> Result<Control, DiskError> {
        let bytes = self.archive.bytes(&arrival.file_id)?;
        Ok(control_of(&bytes, self.options.compiled, &self.how(arrival, arrival.closed_through)))
    }

    /// How a file arrives; its bytes are in the archive then. And the closings by which it does.
    fn arrival(
        &self,
        candidate: &Candidate,
        known: Option<&FileEntry>,
    ) -> Result<(Arrival, Cow<'_, Closings>), DiskError> {
        // Where others close months meanwhile, what is noted now is either seen by the closing or sees it.
        let arriving = self.archive.arriving()?;
        let closings = match &arriving {
            Some(_) => Cow::Owned(Closings::of(&events::read_in(self.archive.root())?)),
            None => Cow::Borrowed(&self.closings),
        };
        let arrivals = self.arrivals_by(&[(candidate, known.cloned())], &closings)?;
        Ok((arrivals.into_iter().next().ok_or_else(|| self.lost(candidate))?, closings))
    }

    /// How files arrive at an archive that nobody else uses, in the order given; their bytes are in it then.
    ///
    /// # Errors
    /// The archive cannot be read or written, or a file changed meanwhile.
    pub fn arrivals(&self, files: &[ToRead<'_>]) -> Result<Vec<Arrival>, DiskError> {
        self.arrivals_by(files, &self.closings)
    }

    fn arrivals_by(&self, files: &[ToRead<'_>], closings: &Closings) -> Result<Vec<Arrival>, DiskError> {
        let now = self.circumstances(closings);
        let mut arriving = Vec::new();
        for (candidate, _) in files.iter().filter(|(_, known)| known.is_none()) {
            if let Some(path) = &candidate.source {
                let arrival = decide::arrival_now(&candidate.file_id, &candidate.name, &now);
                arriving.push((path.as_path(), arrival));
            }
        }
        let mut stored = self.archive.store_all(arriving)?.into_iter();
        let arrival = |(candidate, known): &ToRead<'_>| match (&candidate.source, known) {
            (Some(_), None) => stored.next().ok_or_else(|| self.lost(candidate)),
            (None, None) => known_arrival(&self.archive, &candidate.file_id),
            (source, Some(entry)) => {
                let at_hand = source.as_ref().map(|_| candidate.name.as_str());
                known_arrival(&self.archive, &candidate.file_id)?; // or its bytes are gone
                Ok(decide::arrival_again(entry, entry.arrival.clone(), at_hand, &now))
            }
        };
        files.iter().map(arrival).collect()
    }

    fn lost(&self, candidate: &Candidate) -> DiskError {
        gone(&self.archive.path(&candidate.file_id))
    }

    fn how(&self, arrival: &Arrival, closed_through: Option<Month>) -> ReadOptions {
        let TakeInOptions { batch_rows, .. } = *self.options;
        ReadOptions { batch_rows, taken_in_on: arrival.taken_in_on, closed_through }
    }

    /// Reads a file into an attempt that is not sealed yet.
    fn read(
        &self,
        arrival: &Arrival,
        closed_through: Option<Month>,
        reading: u32,
    ) -> Result<Read<'_>, LogError> {
        let options = self.options;
        let bytes = self.archive.bytes(&arrival.file_id)?;
        // The month of a KHS file follows from what was closed when it came: what was closed since refuses it.
        let is_late = is_khs(&bytes) && closed_through > arrival.closed_through;
        let how = self.how(arrival, if is_late { arrival.closed_through } else { closed_through });
        let control = control_of(&bytes, options.compiled, &how);
        let mut attempt = self.log.begin(&Begun {
            file_id: &arrival.file_id,
            sender_no: control.sender_no.as_deref(),
            layouts: options.layouts,
            reading,
        })?;
        let mut report =
            read(&bytes, options.compiled, &how, &mut |table, batch| attempt.append(table, &batch))?;
        if is_late {
            report.comes_too_late();
        }
        let seal = Seal::new(arrival.clone(), &report, self.read_by(), reading);
        Ok(Read { attempt, seal, findings: report.findings })
    }
}

/// A file that was read and waits for its seal.
struct Read<'l> {
    attempt: Box<dyn Attempt + 'l>,
    seal: Seal,
    findings: Vec<Finding>,
}

fn known_arrival(archive: &Archive, file_id: &str) -> Result<Arrival, DiskError> {
    archive.arrival(file_id)?.ok_or_else(|| gone(&archive.path(file_id)))
}
