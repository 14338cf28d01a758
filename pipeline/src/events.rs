//! Events that are no files: withdrawals, closings and reopenings, kept in the archive as
//! `events/00000001-withdraw.json`, `events/00000002-close.json`, `events/00000003-reopen.json` and so on (contract,
//! "The data folder").
//!
//! Promise: an event appears whole or not at all, is never changed and never removed; what holds is a pure
//! function of the events in the order of their numbers. An event of a kind that is not known is an error: a program
//! that skipped it would answer wrong.
//!
//! * `closings` which months are closed, `reason` what may stand in the user's words

mod closings;
pub mod reason;
#[cfg(test)]
#[allow(clippy::unwrap_used)] // a test may fail loudly
mod tests;

pub use closings::{Closings, month_of_withdrawal};

use crate::crash;
use crate::disk::{self, DiskError};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use tsumiage_schemas::{Day, Month};

/// One event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// 1, 2, 3 …
    pub number: u64,
    /// What happened.
    #[serde(flatten)]
    pub what: What,
    /// A withdrawal: known from this processing month on. A closing: this month and all earlier ones. A
    /// reopening: this month and all later ones.
    pub processing_month: Month,
    /// The day it was said, in Japan.
    pub on: Day,
    /// Why, in the user's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// What happened, and to what.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum What {
    /// A file, or one record of it, is taken out of the stack.
    Withdraw {
        /// SHA-256 of the file.
        file_id: String,
        /// Position of the record in the file (control record 1); none = the whole file.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        record_no: Option<i64>,
    },
    /// A processing month and all earlier ones are closed.
    Close {
        /// Files of these months, or of no valid month, that stood rejected: nothing of them may count in
        /// these months any more, whatever layouts they are read with later.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        rejected_files: Vec<String>,
    },
    /// A processing month and all later ones are open again; earlier ones stay closed.
    Reopen,
}

impl What {
    fn kind(&self) -> &'static str {
        match self {
            What::Withdraw { .. } => "withdraw",
            What::Close { .. } => "close",
            What::Reopen => "reopen",
        }
    }
}

impl Event {
    /// The reason as it can be shown anywhere; empty if there is none.
    pub fn reason_shown(&self) -> String {
        self.reason.as_deref().map(reason::shown).unwrap_or_default()
    }
}

/// What is withdrawn, by file id; `None` stands for the whole file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Withdrawals(BTreeMap<String, BTreeSet<Option<i64>>>);

impl Withdrawals {
    /// What is withdrawn as of a processing month (by all events if `None`).
    pub fn of(events: &[Event], as_of: Option<Month>) -> Withdrawals {
        let mut withdrawn: BTreeMap<String, BTreeSet<Option<i64>>> = BTreeMap::new();
        for event in events.iter().filter(|event| as_of.is_none_or(|last| event.processing_month <= last)) {
            if let What::Withdraw { file_id, record_no } = &event.what {
                withdrawn.entry(file_id.clone()).or_default().insert(*record_no);
            }
        }
        Withdrawals(withdrawn)
    }

    /// Whether the whole file is withdrawn.
    pub fn file(&self, file_id: &str) -> bool {
        self.0.get(file_id).is_some_and(|what| what.contains(&None))
    }

    /// Positions of single records of a file that are withdrawn; none if the whole file is.
    pub fn records(&self, file_id: &str) -> impl Iterator<Item = i64> {
        let what = self.0.get(file_id).filter(|what| !what.contains(&None));
        what.into_iter().flatten().filter_map(|record_no| *record_no)
    }

    /// Whether a record, or with `None` the whole file, is withdrawn: by itself or with its file.
    pub fn holds(&self, file_id: &str, record_no: Option<i64>) -> bool {
        self.0.get(file_id).is_some_and(|what| what.contains(&None) || what.contains(&record_no))
    }

    /// File ids something of which is withdrawn, in order.
    pub fn files(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }
}

/// The first event that withdrew a record, by itself or with its file; with `None` the whole file.
pub fn withdrawal<'a>(events: &'a [Event], file_id: &str, record_no: Option<i64>) -> Option<&'a Event> {
    events.iter().find(|event| match &event.what {
        What::Withdraw { file_id: id, record_no: what } => {
            id == file_id && (what.is_none() || *what == record_no)
        }
        What::Close { .. } | What::Reopen => false,
    })
}

fn folder(data: &Path) -> PathBuf {
    data.join("archive").join("events")
}

/// The path of an event in the folder of events.
fn path_of(root: &Path, event: &Event) -> PathBuf {
    root.join(format!("{:08}-{}.json", event.number, event.what.kind()))
}

/// All events of a data folder in the order of their numbers.
///
/// # Errors
/// An event is missing, cannot be read or is of a kind this version does not know.
pub fn read(data: &Path) -> Result<Vec<Event>, DiskError> {
    read_in(&data.join("archive"))
}

/// All events of an archive folder in the order of their numbers.
///
/// # Errors
/// As [`read`].
pub fn read_in(archive: &Path) -> Result<Vec<Event>, DiskError> {
    let root = archive.join("events");
    if !root.is_dir() {
        return Ok(Vec::new());
    }
    let mut events: Vec<Event> = Vec::new();
    let is_event = |path: &&PathBuf| path.extension().is_some_and(|e| e == "json");
    for path in disk::entries(&root)?.iter().filter(is_event) {
        let event: Event = disk::read_json(path)?;
        if event.number != events.len() as u64 + 1 || path_of(&root, &event) != *path {
            return Err(DiskError::invalid(
                path,
                "does not follow the event before it; restore the archive folder from a backup",
            ));
        }
        events.push(event);
    }
    Ok(events)
}

/// Keeps one more event after those in `events`, durably; gives it with its number.
///
/// # Errors
/// It cannot be written, or another program kept one meanwhile; then it did not happen.
pub fn keep(
    data: &Path,
    events: &[Event],
    what: What,
    processing_month: Month,
    on: Day,
    reason: Option<String>,
) -> Result<Event, DiskError> {
    let root = folder(data);
    disk::make_folder(&root)?;
    disk::remove_parts(&root)?; // half an event of a killed run never happened
    let event = Event { number: events.len() as u64 + 1, what, processing_month, on, reason };
    let path = path_of(&root, &event);
    crash::point("event.before", &path)?;
    if !disk::write_if_absent(&path, &disk::to_json(&path, &event)?)? {
        return Err(DiskError::invalid(&path, "another run kept this event; run again"));
    }
    crash::point("event.after", &path)?;
    Ok(event)
}
