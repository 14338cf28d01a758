//! domain.md section 4: how the records of the registry stack.
//!
//! Like recipients, with other streams, but without corrections and without needing a registration.

use super::columns::registry_keys;
use super::order::{Batch, batch_of, finding, tie};
use super::{Date, FileFact, Inheritance, OracleFinding, RegistryFact, RegistryKind, State};
use std::collections::{BTreeMap, BTreeSet};

pub(super) const REGISTRATION: u8 = 1;
pub(super) const END: u8 = 3;

/// A record of the registry that was accepted by stacking; all of them are live.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub kind: RegistryKind,
    pub insurer_no: String,
    pub movement_date: Date,
    pub movement_type: u8,
    /// As sent.
    pub sent: BTreeMap<String, State>,
    /// What holds: items that are set, blanks filled in.
    pub values: BTreeMap<String, String>,
    /// Of a list.
    pub members: Vec<(String, Date)>,
    pub file_hash: String,
    pub record_no: i64,
    /// Its place in the order of application.
    pub applied: usize,
}

impl Entry {
    /// Whether it stacks with another one.
    pub fn same_stream(&self, other: &Entry) -> bool {
        self.kind == other.kind
            && self.insurer_no == other.insurer_no
            && registry_keys(self.kind).iter().all(|key| self.values.get(*key) == other.values.get(*key))
    }

    pub fn is_end(&self) -> bool {
        self.movement_type == END
    }

    /// A date as it stands.
    pub fn date(&self, item: &str) -> Option<Date> {
        self.values.get(item).and_then(|text| text.parse().ok())
    }

    /// A date as this record sent it.
    pub fn date_sent(&self, item: &str) -> Option<Date> {
        match self.sent.get(item) {
            Some(State::Value(text)) => text.parse().ok(),
            _ => None,
        }
    }
}

/// The records of each insurer.
pub(super) type Entries = BTreeMap<String, Vec<Entry>>;

/// Applies all registry records. Returns those accepted, of each insurer in the order of application, and S01,
/// S04, S06, S12.
pub(super) fn stack(files: &[&FileFact], inheritance: Inheritance) -> (Entries, Vec<OracleFinding>) {
    let mut facts: Vec<(&FileFact, &RegistryFact)> = Vec::new();
    for &file in files {
        facts.extend(file.registry.iter().map(|fact| (file, fact)));
    }
    facts.sort_by_key(|(file, fact)| order(file, fact));
    let mut all = Entries::new();
    let mut findings = Vec::new();
    for (applied, (file, fact)) in facts.into_iter().enumerate() {
        let mut find = |code| findings.push(finding(&file.hash, fact.record_no, code));
        // Of the registry the sender must be the record's insurer number, if it is set.
        if file.sender_no.as_ref().is_some_and(|sender| *sender != fact.insurer_no) {
            find("S12");
            continue;
        }
        let mut entry = as_sent(file, fact, applied);
        let entries = all.entry(fact.insurer_no.clone()).or_default();
        let others: Vec<&Entry> = entries.iter().filter(|other| other.same_stream(&entry)).collect();
        if others.iter().any(|other| other.movement_date == entry.movement_date) {
            find("S01");
            continue;
        }
        let before = others
            .iter()
            .filter(|other| other.movement_date < entry.movement_date)
            .max_by_key(|o| o.movement_date);
        if entry.movement_type == REGISTRATION && before.is_some_and(|p| !p.is_end()) {
            find("S04");
        }
        if entry.is_end() && others.iter().any(|other| other.movement_date > entry.movement_date) {
            find("S06");
        }
        fill(&mut entry, before.copied());
        entries.push(entry);
    }
    if inheritance == Inheritance::Lazy {
        all.values_mut().for_each(|entries| fill_lazily(entries));
    }
    (all, findings)
}

/// By batch, then movement date, then ties.
fn order<'a>(file: &'a FileFact, fact: &'a RegistryFact) -> (Batch, Date, (&'a [u8], &'a str, i64)) {
    (batch_of(file), fact.movement_date, tie(file, fact.record_no))
}

/// An entry with its own values only.
fn as_sent(file: &FileFact, fact: &RegistryFact, applied: usize) -> Entry {
    let mut entry = Entry {
        kind: fact.kind,
        insurer_no: fact.insurer_no.clone(),
        movement_date: fact.movement_date,
        movement_type: fact.movement_type,
        sent: fact.items.clone(),
        values: BTreeMap::new(),
        // An end is an empty list.
        members: if fact.movement_type == END { Vec::new() } else { fact.members.clone() },
        file_hash: file.hash.clone(),
        record_no: fact.record_no,
        applied,
    };
    fill(&mut entry, None);
    entry
}

/// Own values, and for the blanks of a change or end those of the record before, the reason excepted.
fn fill(entry: &mut Entry, before: Option<&Entry>) {
    entry.values = match before {
        Some(before) if entry.movement_type != REGISTRATION => before.values.clone(),
        _ => BTreeMap::new(),
    };
    entry.values.remove("movement_reason");
    for (item, state) in &entry.sent {
        match state {
            State::Blank => None,
            State::Value(value) => entry.values.insert(item.clone(), value.clone()),
            State::Clear => entry.values.remove(item),
        };
    }
}

/// Blanks filled in at the end, over each stream by movement date.
fn fill_lazily(entries: &mut [Entry]) {
    let dates: BTreeSet<Date> = entries.iter().map(|entry| entry.movement_date).collect();
    for date in dates {
        for at in 0..entries.len() {
            if entries[at].movement_date != date {
                continue;
            }
            let before = before(entries, &entries[at]).cloned();
            fill(&mut entries[at], before.as_ref());
        }
    }
}

/// The record of the same stream with the greatest date before an entry's.
fn before<'a>(entries: &'a [Entry], entry: &Entry) -> Option<&'a Entry> {
    entries
        .iter()
        .filter(|other| other.same_stream(entry) && other.movement_date < entry.movement_date)
        .max_by_key(|other| other.movement_date)
}
