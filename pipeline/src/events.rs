//! Events that are no files: withdrawals and closings, kept in the archive as `events/00000001-withdraw.json`,
//! `events/00000002-close.json` and so on (contract, "The data folder").
//!
//! Promise: an event appears whole or not at all, is never changed and never removed; what holds is a pure
//! function of the events in the order of their numbers.

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
    /// A withdrawal: known from this processing month on. A closing: this month and all earlier ones.
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
}

impl What {
    fn kind(&self) -> &'static str {
        match self {
            What::Withdraw { .. } => "withdraw",
            What::Close { .. } => "close",
        }
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
        What::Close { .. } => false,
    })
}

/// Which processing months are closed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Closings {
    /// Newest closed month.
    pub through: Option<Month>,
    /// Files that stood rejected when their month was closed, with the newest month closed then.
    pub rejected_files: BTreeMap<String, Month>,
}

impl Closings {
    /// The closings there are.
    pub fn of(events: &[Event]) -> Closings {
        let mut closings = Closings::default();
        for event in events {
            if let What::Close { rejected_files } = &event.what {
                closings.through = closings.through.max(Some(event.processing_month));
                for file_id in rejected_files {
                    let newest =
                        closings.rejected_files.entry(file_id.clone()).or_insert(event.processing_month);
                    *newest = (*newest).max(event.processing_month);
                }
            }
        }
        closings
    }

    /// Whether a month is closed.
    pub fn closed(&self, month: Month) -> bool {
        self.through.is_some_and(|through| month <= through)
    }
}

/// The processing month of a withdrawal made on a day: that day's, or the first one that is not closed,
/// so that what was known as of a closed month does not change.
pub fn month_of_withdrawal(on: Day, closings: &Closings) -> Month {
    closings.through.map_or(on.month(), |through| on.month().max(through.next()))
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

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a test may fail loudly
mod tests {
    use super::*;

    fn month(text: &str) -> Month {
        text.parse().unwrap()
    }

    fn event(number: u64, what: What, processing_month: &str) -> Event {
        let (processing_month, on) = (month(processing_month), "2026-08-03".parse().unwrap());
        Event { number, what, processing_month, on, reason: None }
    }

    fn withdraw(number: u64, file_id: &str, record_no: Option<i64>, month: &str) -> Event {
        event(number, What::Withdraw { file_id: file_id.to_owned(), record_no }, month)
    }

    fn close(number: u64, month: &str, rejected: &[&str]) -> Event {
        let rejected_files = rejected.iter().map(|id| (*id).to_owned()).collect();
        event(number, What::Close { rejected_files }, month)
    }

    #[test]
    fn withdrawals_hold_from_their_processing_month_on() {
        let events = [
            withdraw(1, "a", Some(3), "2026-08"),
            close(2, "2026-08", &[]),
            withdraw(3, "b", None, "2026-09"),
            withdraw(4, "a", None, "2026-10"),
        ];
        let as_of = |text: &str| Withdrawals::of(&events, Some(month(text)));
        assert_eq!(as_of("2026-07"), Withdrawals::default());
        let august = as_of("2026-08");
        assert_eq!(august.records("a").collect::<Vec<_>>(), [3]);
        assert!(august.holds("a", Some(3)) && !august.holds("a", Some(4)) && !august.holds("a", None));
        assert!(!august.file("b") && as_of("2026-09").file("b"));
        let all = Withdrawals::of(&events, None);
        assert!(all.file("a") && all.holds("a", Some(99)) && all.holds("b", None));
        assert_eq!(all.records("a").count(), 0, "the whole file is withdrawn");
        assert_eq!(all.files().collect::<Vec<_>>(), ["a", "b"]);
        let number = |file_id: &str, record_no| withdrawal(&events, file_id, record_no).map(|e| e.number);
        assert_eq!(
            [number("a", Some(3)), number("a", Some(4)), number("a", None)],
            [Some(1), Some(4), Some(4)]
        );
        assert_eq!([number("b", Some(9)), number("c", None)], [Some(3), None]);
    }

    #[test]
    fn closing_closes_earlier_months_too_and_remembers_what_stood_rejected() {
        let none = Closings::of(&[withdraw(1, "a", None, "2026-08")]);
        assert!(none.through.is_none() && !none.closed(month("2000-01")));
        let events =
            [close(1, "2026-08", &["x"]), close(2, "2026-06", &[]), close(3, "2026-09", &["x", "y"])];
        let closings = Closings::of(&events);
        assert_eq!(closings.through, Some(month("2026-09")));
        assert!(closings.closed(month("2026-07")) && closings.closed(month("2026-09")));
        assert!(!closings.closed(month("2026-10")));
        assert_eq!(closings.rejected_files["x"], month("2026-09"));
        assert_eq!(closings.rejected_files["y"], month("2026-09"));
    }

    #[test]
    fn a_withdrawal_never_reaches_into_a_closed_month() {
        let on = "2026-08-03".parse().unwrap();
        let after = |events: &[Event]| month_of_withdrawal(on, &Closings::of(events)).to_string();
        assert_eq!(after(&[]), "2026-08");
        assert_eq!(after(&[close(1, "2026-07", &[])]), "2026-08");
        assert_eq!(after(&[close(1, "2026-08", &[])]), "2026-09");
        assert_eq!(after(&[close(1, "2026-11", &[])]), "2026-12");
    }

    #[test]
    fn events_are_kept_whole_in_order_and_for_ever() {
        let data = tempfile::tempdir().unwrap();
        assert!(read(data.path()).unwrap().is_empty());
        let what = || What::Withdraw { file_id: "a".to_owned(), record_no: Some(2) };
        let (august, on) = (month("2026-08"), "2026-08-03".parse().unwrap());
        let reason = || Some("二重送付".to_owned());
        let first = keep(data.path(), &[], what(), august, on, reason()).unwrap();
        let kept = read(data.path()).unwrap();
        assert_eq!(kept, [first]);
        // The number is taken: nothing is overwritten.
        assert!(keep(data.path(), &[], what(), august.next(), on, None).is_err());
        assert_eq!(read(data.path()).unwrap(), kept);
        let part = folder(data.path()).join(".part-x");
        std::fs::write(&part, "{").unwrap();
        assert_eq!(read(data.path()).unwrap(), kept, "half an event never happened");
        let close = What::Close { rejected_files: vec!["b".to_owned()] };
        let second = keep(data.path(), &kept, close, august, on, None).unwrap();
        assert!(!part.exists());
        assert_eq!(read(data.path()).unwrap(), [kept[0].clone(), second]);
        std::fs::remove_file(folder(data.path()).join("00000001-withdraw.json")).unwrap();
        assert!(read(data.path()).unwrap_err().to_string().contains("backup"), "a hole is told");
    }
}
