//! Which facts a resolve sees, and in what order they apply (domain 3): pure functions of the ledger's
//! file entries and the archive's events.

use crate::stack::unit::LeftOut;
use crate::stack::{FileOrder, Inheritance, StackRules};
use std::collections::BTreeMap;
use std::sync::Arc;
use tsumiage_pipeline::events::{Event, What, Withdrawals};
use tsumiage_pipeline::ledger::{FileEntry, Ledger};
use tsumiage_schemas::{Code, Day, Month, MonthRange, Severity, Spec};

/// At most so many months are published by default (contract, `--months`).
const DEFAULT_MONTHS: i32 = 36;

/// The files a resolve knows, in the order of application.
#[derive(Clone, Debug)]
pub struct KnownFiles<'a> {
    /// Files as of the month asked for, by (processing month, take-in day, name, hash).
    pub files: Vec<&'a FileEntry>,
    /// Place of every file by its number in the ledger.
    pub orders: Vec<FileOrder>,
    /// File id by number in the ledger; empty for numbers that are not known.
    pub file_ids: Vec<String>,
    /// What is withdrawn of these files, as far as known as of the month asked for.
    pub withdrawn: Vec<Withdrawn>,
    /// Facts in the ledger's runs that do not count.
    pub left_out: LeftOut,
}

/// A withdrawn file, or with its position a withdrawn record, and by which event it was.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Withdrawn {
    /// Number of the file in the ledger.
    #[serde(skip)]
    pub seq: i32,
    /// The file.
    pub file_id: String,
    /// Position of the record; `None` = the whole file.
    pub record_no: Option<i64>,
    /// The day it was said.
    pub on: Day,
    /// Known from this processing month on.
    pub processing_month: Month,
    /// Why, as it can be shown.
    pub reason: String,
}

impl<'a> KnownFiles<'a> {
    /// The files known as of a processing month (all of them if `None`). Files without a valid month or
    /// rejected for their month stand only in what knows everything.
    pub fn new(ledger: &'a Ledger, events: &[Event], as_of: Option<Month>) -> KnownFiles<'a> {
        let known = |file: &&FileEntry| match as_of {
            None => true,
            Some(last) => !file.wrong_time && file.processing_month.is_some_and(|month| month <= last),
        };
        let mut files: Vec<&FileEntry> = ledger.files().filter(known).collect();
        files.sort_by(|a, b| key(a).cmp(&key(b)));
        let numbers = usize::try_from(ledger.next_seq()).unwrap_or(0);
        let mut orders = vec![FileOrder::default(); numbers];
        let mut file_ids = vec![String::new(); numbers];
        let mut batch = 0;
        for (rank, file) in files.iter().enumerate() {
            if rank > 0 && (key(files[rank - 1]).0, key(files[rank - 1]).1) != (key(file).0, key(file).1) {
                batch += 1;
            }
            if let Ok(seq) = usize::try_from(file.seq) {
                orders[seq] = FileOrder { batch, rank: rank as u32 };
                file_ids[seq].clone_from(&file.arrival.file_id);
            }
        }
        let left_out = left_out(&files, ledger.superseded(), &Withdrawals::of(events, as_of));
        let withdrawn = withdrawn(&files, events, as_of);
        KnownFiles { files, orders, file_ids, withdrawn, left_out }
    }

    /// Whether a whole file is withdrawn.
    pub fn is_withdrawn(&self, file: &FileEntry) -> bool {
        self.left_out.files.contains(&file.seq)
    }

    /// The months published by default: up to the newest processing month known, at most 36, not before
    /// the first movement's month; withdrawn files do not count, nor those of KHS, which have no months of their own:
    /// a refresh must not move the window. `None` if no file was accepted.
    pub fn default_months(&self) -> Option<MonthRange> {
        let accepted = || {
            let counts =
                |file: &&&FileEntry| !file.file_rejected && !file.is_khs() && !self.is_withdrawn(file);
            self.files.iter().filter(counts)
        };
        let last = accepted().filter_map(|file| file.processing_month).max()?;
        let first_movement = accepted().filter_map(|file| file.first_movement).min();
        let earliest = Month(last.0 - DEFAULT_MONTHS + 1);
        let first = first_movement.map_or(last, |day| day.month().max(earliest).min(last));
        Some(MonthRange { first, last })
    }

    /// How the facts of these files are stacked.
    pub fn rules(&self, spec: &Spec, inheritance: Inheritance) -> StackRules {
        let mut senders = vec![None; self.orders.len()];
        for file in &self.files {
            if let Some(sender) = usize::try_from(file.seq).ok().and_then(|seq| senders.get_mut(seq)) {
                sender.clone_from(&file.sender_insurer_no);
            }
        }
        StackRules {
            orders: Arc::new(self.orders.clone()),
            senders: Arc::new(senders),
            refuse_wrong_sender: spec.catalogue.severity(Code::S12) == Severity::Error,
            inheritance,
        }
    }

    /// Files by their number in the ledger.
    pub fn by_seq(&self) -> BTreeMap<i32, &'a FileEntry> {
        self.files.iter().map(|file| (file.seq, *file)).collect()
    }
}

/// What of these files is withdrawn, in their order, whole files before their records; each by its first event.
fn withdrawn(files: &[&FileEntry], events: &[Event], as_of: Option<Month>) -> Vec<Withdrawn> {
    let places: BTreeMap<&str, usize> =
        files.iter().enumerate().map(|(at, file)| (file.arrival.file_id.as_str(), at)).collect();
    let mut found: BTreeMap<(usize, Option<i64>), Withdrawn> = BTreeMap::new();
    for event in events.iter().filter(|event| as_of.is_none_or(|last| event.processing_month <= last)) {
        let What::Withdraw { file_id, record_no } = &event.what else { continue };
        let Some(&at) = places.get(file_id.as_str()) else { continue };
        found.entry((at, *record_no)).or_insert_with(|| Withdrawn {
            seq: files[at].seq,
            file_id: file_id.clone(),
            record_no: *record_no,
            on: event.on,
            processing_month: event.processing_month,
            reason: event.reason_shown(),
        });
    }
    found.into_values().collect()
}

/// What of these files does not count: what is withdrawn, and the entries that were replaced.
fn left_out(files: &[&FileEntry], superseded: &[i32], withdrawals: &Withdrawals) -> LeftOut {
    let mut left_out = LeftOut { files: superseded.iter().copied().collect(), ..LeftOut::default() };
    for file in files {
        let file_id = &file.arrival.file_id;
        if withdrawals.file(file_id) {
            left_out.files.insert(file.seq);
        }
        left_out.records.extend(withdrawals.records(file_id).map(|record_no| (file.seq, record_no)));
    }
    left_out
}

fn key(file: &FileEntry) -> (Option<Month>, Day, &str, &str) {
    file.arrival.order(file.processing_month)
}
