//! What a thread of the worker does: look what there is, take one file to its seal.
//!
//! Promise: a file is archived, then read and sent, then noted as sent; killed at any point it is done again by this
//! or another worker, under the name and day of the archive's note (which only the sink changes, once the ledger has
//! decided). What is done is decided by `take_in::decide` from the sent note; claims only save work. All calls block.

use super::WorkerOptions;
use super::claims::{Claims, key_of, lock};
use super::inbox::{Listing, Ready, shape_of};
use super::tasks::{Task, What};
use crate::archive::{Archive, Arrival, gone};
use crate::disk::DiskError;
use crate::events::{self, Closings};
use crate::ledger::FileEntry;
use crate::log::{Log, LogError};
use crate::take_in::{
    Candidate, Circumstances, Decision, FileOutcome, Intake, TakeInOptions, base_name, decide,
    outcome_of_duplicate, outcome_of_seal,
};
use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::path::Path;
use std::sync::{Arc, Mutex};

/// A worker's desk.
pub(super) struct Desk {
    pub options: Arc<WorkerOptions>,
    pub claims: Claims,
    archive: Archive,
    log: Arc<dyn Log + Send + Sync>,
    /// Archived files that need nothing, as far as their sent notes say.
    settled: Mutex<BTreeSet<String>>,
    /// Files that this worker sent.
    mine: Mutex<BTreeSet<String>>,
}

/// What became of a task.
#[derive(Debug, PartialEq)]
pub(super) enum Done {
    /// It was sent.
    Sent(Box<FileOutcome>),
    /// Its bytes are known; what is to be told of it, if anything.
    Known(Option<Box<FileOutcome>>),
    /// It is in hand elsewhere.
    Elsewhere,
    /// The file changed since it was ready, or is gone.
    Changed,
}

/// What there is.
pub(super) struct Look {
    pub listing: Listing,
    pub closings: Closings,
    /// Archived files that were not sent or are due to be read again, if the archive was looked through.
    pub archived: Option<Vec<Arrival>>,
}

impl Desk {
    /// # Errors
    /// The archive cannot be opened, or a file that the user named is not there.
    pub fn open(options: Arc<WorkerOptions>, log: Arc<dyn Log + Send + Sync>) -> Result<Desk, DiskError> {
        options.files.iter().try_for_each(|path| shape_of(path).map(drop))?;
        let archive = Archive::shared(&options.archive)?;
        let claims = Claims::open(archive.root(), &options.name, options.ttl);
        let (settled, mine) = (Mutex::default(), Mutex::default());
        Ok(Desk { options, claims, archive, log, settled, mine })
    }

    /// Looks what there is: in the archive if `scan`, or if the closings are not those of `before`.
    ///
    /// # Errors
    /// The inbox or the archive cannot be read.
    pub fn look(&self, before: Option<&Closings>, scan: bool) -> Result<Look, DiskError> {
        let closings = Closings::of(&events::read_in(self.archive.root())?);
        let options = &self.options;
        let listing = Listing::of(options.inbox.as_deref(), &options.files)?;
        let anew = before != Some(&closings);
        if anew {
            lock(&self.settled).clear(); // other closings may make files due
        }
        let archived = (scan || anew).then(|| self.due(&closings)).transpose()?;
        Ok(Look { listing, closings, archived })
    }

    fn due(&self, closings: &Closings) -> Result<Vec<Arrival>, DiskError> {
        let WorkerOptions { layouts, taken_in_on, .. } = &*self.options;
        let taken_in_on = taken_in_on();
        self.archive.arrivals_but(|file_id| {
            if lock(&self.settled).contains(file_id) {
                return true;
            }
            let recheck = self.rechecks(file_id);
            let now = Circumstances { layouts, closings, recheck, taken_in_on };
            let settled = decide(self.known(file_id).as_ref(), &now) == Decision::Known;
            if settled {
                lock(&self.settled).insert(file_id.to_owned());
            }
            settled
        })
    }

    /// Does a task.
    ///
    /// # Errors
    /// The disk or the log failed; to try again does no harm.
    pub fn work(&self, task: &mut Task) -> Result<Done, LogError> {
        match &task.what {
            What::Inbox(file) => {
                let done = self.work_on(file, &mut task.candidate);
                if done.as_ref().is_err_and(|error| tells_of_change(error, &file.path)) {
                    return Ok(Done::Changed);
                }
                done
            }
            What::Archived(arrival) => {
                let path = self.archive.path(&arrival.file_id);
                let bytes = path.metadata().map_err(|_| gone(&path))?.len();
                let (name, file_id) = (arrival.name.clone(), arrival.file_id.clone());
                self.take_in(&Candidate { name, source: None, file_id, bytes })
            }
        }
    }

    fn work_on(&self, file: &Ready, hashed: &mut Option<Candidate>) -> Result<Done, LogError> {
        let Ready { path, shape } = file;
        let Some(_claim) = self.claims.claim(&key_of(&base_name(path), shape.bytes, shape.modified)) else {
            return Ok(Done::Elsewhere);
        };
        let candidate = match hashed {
            Some(candidate) => candidate,
            None => hashed.insert(Candidate::at(path)?),
        };
        if shape_of(path)? != *shape {
            return Ok(Done::Changed);
        }
        self.take_in(candidate)
    }

    fn take_in(&self, candidate: &Candidate) -> Result<Done, LogError> {
        // Other than that of the inbox this claim also holds for the same bytes elsewhere.
        let Some(_claim) = self.claims.claim(&candidate.file_id) else { return Ok(Done::Elsewhere) };
        let options = &self.options;
        let take_in = TakeInOptions {
            data: &options.archive,
            compiled: &options.compiled,
            layouts: &options.layouts,
            one_off: options.one_off,
            taken_in_on: (options.taken_in_on)(),
            recheck: self.rechecks(&candidate.file_id),
            batch_rows: options.batch_rows,
            memory_bytes: 0, // the ledger's
        };
        let intake = Intake::new(self.archive.clone(), &*self.log, &take_in)?.to(&options.to);
        let known = self.known(&candidate.file_id);
        if let Some(entry) = known.as_ref().filter(|entry| intake.decide(Some(entry)) == Decision::Known) {
            return Ok(Done::Known(self.told_of(candidate, entry)));
        }
        let seal = intake.seal(candidate, known.as_ref())?;
        lock(&self.settled).insert(candidate.file_id.clone());
        lock(&self.mine).insert(candidate.file_id.clone());
        Ok(Done::Sent(Box::new(outcome_of_seal(&candidate.name, candidate.bytes, &seal))))
    }

    /// What is to be told of known bytes. Where several workers share an inbox all of them come across each
    /// file under its own name, and so does one that found it in the archive before: not that.
    fn told_of(&self, candidate: &Candidate, entry: &FileEntry) -> Option<Box<FileOutcome>> {
        candidate.source.as_ref()?;
        let other_name = entry.arrival.name != candidate.name;
        let tells = other_name || self.options.drain && !lock(&self.mine).contains(&candidate.file_id);
        tells.then(|| Box::new(outcome_of_duplicate(candidate, entry, &self.options.compiled)))
    }

    fn known(&self, file_id: &str) -> Option<FileEntry> {
        self.archive.sent(file_id, &self.options.to).map(|seal| FileEntry::of(seal, 0))
    }

    /// What the user wishes to be read again is read once.
    fn rechecks(&self, file_id: &str) -> bool {
        self.options.recheck && !lock(&self.mine).contains(file_id)
    }
}

/// Whether an error says that a file of the inbox is gone, or is not what it was when it was hashed.
fn tells_of_change(error: &LogError, path: &Path) -> bool {
    let LogError::Disk(DiskError { path: at, error }) = error else { return false };
    at == path && matches!(error.kind(), ErrorKind::NotFound | ErrorKind::InvalidData)
}
