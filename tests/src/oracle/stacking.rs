//! domain.md section 3: order of application, movements, corrections, for one stream.

use super::columns::inherited_items;
use super::{Body, Date, Fact, OracleFinding, State, Ym};
use std::collections::{BTreeMap, BTreeSet};

pub(super) const REGISTRATION: u8 = 1;
pub(super) const END: u8 = 3;
const DELETE: u8 = 3;

/// A movement that was accepted by stacking.
#[derive(Clone, Debug)]
pub(super) struct Stored {
    pub file_hash: String,
    pub record_no: i64,
    pub processing_month: Ym,
    pub insurer_no: String,
    pub insured_no: String,
    pub movement_date: Date,
    pub movement_type: u8,
    /// Items that its movement or a correction gave or cleared.
    pub own: BTreeSet<String>,
    /// What holds now: items that are set.
    pub values: BTreeMap<String, String>,
    /// The record (index in the stream) that the blanks were filled from when this one was applied.
    pub filled_from: Option<usize>,
    /// Not deleted by a correction.
    pub live: bool,
    /// Correction dates of the slips applied, in the order of application.
    pub correction_dates: Vec<Date>,
}

impl Stored {
    /// Takes over values and clear marks; blanks leave it as it is.
    fn take(&mut self, items: &BTreeMap<String, State>) {
        for (item, state) in items {
            match state {
                State::Blank => continue,
                State::Value(value) => self.values.insert(item.clone(), value.clone()),
                State::Clear => self.values.remove(item),
            };
            self.own.insert(item.clone());
        }
    }
}

/// Applies all facts of one stream. Returns every record stored, in order of application and with the
/// deleted ones, and the findings S01–S06.
pub(super) fn stack(facts: &[Fact]) -> (Vec<Stored>, Vec<OracleFinding>) {
    let mut stream = Stream { records: Vec::new(), findings: Vec::new() };
    // By processing month, then by take-in day; all records of one day are a batch.
    let batches: BTreeSet<(Ym, Date)> = facts.iter().map(batch_of).collect();
    for batch in batches {
        let mut of_batch: Vec<Fact> = facts.iter().filter(|fact| batch_of(fact) == batch).copied().collect();
        // In every pass by movement or correction date; ties by file name, file hash, record number.
        of_batch.sort_by_key(|fact| {
            let date = match fact.record.body {
                Body::Movement { .. } => fact.record.movement_date,
                Body::Correction { correction_date, .. } => correction_date,
            };
            (date, fact.file.name.as_bytes(), fact.file.hash.as_str(), fact.record.record_no)
        });
        let (corrections, movements): (Vec<Fact>, Vec<Fact>) =
            of_batch.into_iter().partition(|fact| matches!(fact.record.body, Body::Correction { .. }));
        let (there_before, others): (Vec<Fact>, Vec<Fact>) =
            corrections.into_iter().partition(|fact| stream.target_of(fact).is_some());
        there_before.iter().for_each(|fact| stream.correct(fact));
        movements.iter().for_each(|fact| stream.move_(fact));
        others.iter().for_each(|fact| stream.correct(fact));
    }
    (stream.records, stream.findings)
}

fn batch_of(fact: &Fact) -> (Ym, Date) {
    (fact.file.processing_month, fact.file.taken_in_on)
}

struct Stream {
    records: Vec<Stored>,
    findings: Vec<OracleFinding>,
}

impl Stream {
    fn find(&mut self, fact: &Fact, code: &str) {
        self.findings.push(OracleFinding {
            file_hash: fact.file.hash.clone(),
            record_no: fact.record.record_no,
            code: code.to_owned(),
            item: None,
        });
    }

    fn later_live_record_exists(&self, date: Date) -> bool {
        self.records.iter().any(|record| record.live && record.movement_date > date)
    }

    /// The live record with the correction's insurer number, insured number and movement date.
    fn target_of(&self, fact: &Fact) -> Option<usize> {
        let slip = fact.record;
        self.records.iter().position(|record| {
            record.live
                && record.insurer_no == slip.insurer_no
                && record.insured_no == slip.insured_no
                && record.movement_date == slip.movement_date
        })
    }

    fn move_(&mut self, fact: &Fact) {
        let Body::Movement { movement_type } = fact.record.body else { return };
        let date = fact.record.movement_date;
        // 1. A live record of the stream already has date d.
        if self.records.iter().any(|record| record.live && record.movement_date == date) {
            return self.find(fact, "S01");
        }
        // 2. P: the live record with the greatest date before d.
        let p = (0..self.records.len())
            .filter(|&at| self.records[at].live && self.records[at].movement_date < date)
            .max_by_key(|&at| self.records[at].movement_date);
        let open = p.is_some_and(|at| self.records[at].movement_type != END);
        if movement_type != REGISTRATION && !open {
            return self.find(fact, "S02");
        }
        let by_merger =
            matches!(fact.record.items.get("movement_reason"), Some(State::Value(reason)) if reason == "04");
        if movement_type == REGISTRATION && open && !by_merger {
            self.find(fact, "S04");
        }
        if movement_type == END && self.later_live_record_exists(date) {
            self.find(fact, "S06");
        }
        // 3. Stored with all items filled in: the values P has at this moment, then its own.
        let filled_from = if movement_type == REGISTRATION { None } else { p };
        let mut record = Stored {
            file_hash: fact.file.hash.clone(),
            record_no: fact.record.record_no,
            processing_month: fact.file.processing_month,
            insurer_no: fact.record.insurer_no.clone(),
            insured_no: fact.record.insured_no.clone(),
            movement_date: date,
            movement_type,
            own: BTreeSet::new(),
            values: filled_from.map(|at| inherited_values(&self.records[at])).unwrap_or_default(),
            filled_from,
            live: true,
            correction_dates: Vec::new(),
        };
        record.take(&fact.record.items);
        self.records.push(record);
    }

    fn correct(&mut self, fact: &Fact) {
        let Body::Correction { correction_date, correction_type } = fact.record.body else { return };
        let Some(target) = self.target_of(fact) else {
            return self.find(fact, "S03");
        };
        if self.records[target].correction_dates.iter().any(|applied| correction_date < *applied) {
            self.find(fact, "S05");
        }
        let record = &mut self.records[target];
        record.correction_dates.push(correction_date);
        if correction_type != DELETE {
            return record.take(&fact.record.items);
        }
        record.live = false;
        let (movement_type, date) = (record.movement_type, record.movement_date);
        if (movement_type == REGISTRATION || movement_type == END) && self.later_live_record_exists(date) {
            self.find(fact, "S06");
        }
    }
}

/// The items that are set and that a later record would inherit.
fn inherited_values(record: &Stored) -> BTreeMap<String, String> {
    let mut values = BTreeMap::new();
    for item in inherited_items() {
        if let Some(value) = record.values.get(item) {
            values.insert(item.to_owned(), value.clone());
        }
    }
    values
}

/// The live records by movement date.
pub(super) fn live_by_date(records: &[Stored]) -> Vec<Stored> {
    let mut live: Vec<Stored> = records.iter().filter(|record| record.live).cloned().collect();
    live.sort_by_key(|record| record.movement_date);
    live
}

/// The live records by movement date, blanks filled in now (`lazy`): those of changes and ends from the
/// live record before, whatever its type; nothing before, or a registration: not set.
pub(super) fn filled_lazily(records: &[Stored]) -> Vec<Stored> {
    let mut filled: Vec<Stored> = Vec::new();
    for mut record in live_by_date(records) {
        let before = match filled.last() {
            Some(before) if record.movement_type != REGISTRATION => inherited_values(before),
            _ => BTreeMap::new(),
        };
        let own = record.own.clone();
        record.values.retain(|item, _| own.contains(item));
        for (item, value) in before {
            if !own.contains(&item) {
                record.values.insert(item, value);
            }
        }
        filled.push(record);
    }
    filled
}
