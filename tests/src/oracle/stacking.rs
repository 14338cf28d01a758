//! domain.md section 3: order of application, movements, corrections, for all streams of one insured number.

use super::columns::inherited_items;
use super::holders::Registry;
use super::order::{batch_of, finding, tie};
use super::registry::{END, REGISTRATION};
use super::{Body, Date, Fact, OracleFinding, State, Ym};
use std::collections::{BTreeMap, BTreeSet};

const DELETE: u8 = 3;

/// A movement that was accepted by stacking.
#[derive(Clone, Debug)]
pub(super) struct Stored {
    pub holder_no: String,
    /// The day from which it is cut off.
    pub cut_off: Option<Date>,
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
    /// The record (index among all) that the blanks were filled from when this one was applied.
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

/// What became of the facts of one insured number.
#[derive(Default)]
pub(super) struct Stacked {
    /// Every record stored, in order of application and with the deleted ones, of all holders.
    pub records: Vec<Stored>,
    /// S01–S06, S12.
    pub findings: Vec<OracleFinding>,
    /// Holder and position of every fact that was not refused.
    pub accepted: Vec<(String, (String, i64))>,
}

/// Applies all facts of one insured number.
pub(super) fn stack(facts: &[Fact], registry: &Registry) -> Stacked {
    let mut stacking = Stacking { stacked: Stacked::default(), registry };
    let (may_send, others): (Vec<Fact>, Vec<Fact>) =
        facts.iter().copied().partition(|fact| registry.may_send(fact));
    others.iter().for_each(|fact| stacking.find(fact, "S12"));
    // By processing month, then by take-in day; all records of one day are a batch.
    let batches: BTreeSet<(Ym, Date)> = may_send.iter().map(|fact| batch_of(fact.file)).collect();
    for batch in batches {
        let mut of_batch: Vec<Fact> =
            may_send.iter().filter(|fact| batch_of(fact.file) == batch).copied().collect();
        // In every pass by movement or correction date.
        of_batch.sort_by_key(|fact| {
            let date = match fact.record.body {
                Body::Movement { .. } => fact.record.movement_date,
                Body::Correction { correction_date, .. } => correction_date,
            };
            (date, tie(fact.file, fact.record.record_no))
        });
        let (corrections, movements): (Vec<Fact>, Vec<Fact>) =
            of_batch.into_iter().partition(|fact| matches!(fact.record.body, Body::Correction { .. }));
        let (there_before, others): (Vec<Fact>, Vec<Fact>) =
            corrections.into_iter().partition(|fact| stacking.target_of(fact).is_some());
        stacking.correct_all(&there_before);
        movements.iter().for_each(|fact| stacking.move_(fact));
        stacking.correct_all(&others);
    }
    stacking.stacked
}

struct Stacking<'a> {
    stacked: Stacked,
    registry: &'a Registry,
}

impl Stacking<'_> {
    fn find(&mut self, fact: &Fact, code: &str) {
        self.stacked.findings.push(finding(&fact.file.hash, fact.record.record_no, code));
    }

    fn accept(&mut self, fact: &Fact, holder_no: &str) {
        let position = (fact.file.hash.clone(), fact.record.record_no);
        self.stacked.accepted.push((holder_no.to_owned(), position));
    }

    /// The live records of the stream of a holder, with their places.
    fn stream(&self, holder_no: &str) -> Vec<(usize, &Stored)> {
        let of_holder = |(_, record): &(usize, &Stored)| record.live && record.holder_no == holder_no;
        self.stacked.records.iter().enumerate().filter(of_holder).collect()
    }

    fn later_live_record_exists(&self, holder_no: &str, date: Date) -> bool {
        self.stream(holder_no).iter().any(|(_, record)| record.movement_date > date)
    }

    /// The live record with the correction's insurer number, insured number and movement date. Of two the one
    /// whose holder is the sender, else the one that is not an end.
    fn target_of(&self, fact: &Fact) -> Option<usize> {
        let slip = fact.record;
        let records = &self.stacked.records;
        let matches: Vec<usize> = (0..records.len())
            .filter(|&at| {
                let record = &records[at];
                record.live
                    && record.insurer_no == slip.insurer_no
                    && record.insured_no == slip.insured_no
                    && record.movement_date == slip.movement_date
            })
            .collect();
        assert!(matches.len() <= 2, "more than two records of one insurer, person and day");
        let is_senders = |at: &&usize| Some(&records[**at].holder_no) == fact.file.sender_no.as_ref();
        let is_no_end = |at: &&usize| records[**at].movement_type != END;
        let meant = matches.iter().find(is_senders).or(matches.iter().find(is_no_end));
        meant.or(matches.first()).copied()
    }

    /// One pass of corrections. What each means is settled before the first is applied: a second slip for a
    /// record that the first deleted is S03, also if another record of its insurer has that date.
    fn correct_all(&mut self, slips: &[Fact]) {
        let meant: Vec<Option<usize>> = slips.iter().map(|fact| self.target_of(fact)).collect();
        for (fact, target) in slips.iter().zip(meant) {
            self.correct(fact, target.filter(|&at| self.stacked.records[at].live));
        }
    }

    fn move_(&mut self, fact: &Fact) {
        let Body::Movement { movement_type } = fact.record.body else { return };
        let (insurer_no, date) = (&fact.record.insurer_no, fact.record.movement_date);
        let is_end = movement_type == END;
        let holder_no = self.registry.holder_of(insurer_no, date, is_end);
        let stream = self.stream(&holder_no);
        // 1. A live record of the stream already has date d.
        if stream.iter().any(|(_, record)| record.movement_date == date) {
            return self.find(fact, "S01");
        }
        // 2. P: the live record with the greatest date before d. It must not be cut off on day d, for an end
        // on the day before.
        let earlier = stream.into_iter().filter(|(_, record)| record.movement_date < date);
        let p = earlier.max_by_key(|(_, record)| record.movement_date);
        let open = p.is_some_and(|(_, p)| {
            let cut_off = p.cut_off.is_some_and(|from| if is_end { from < date } else { from <= date });
            p.movement_type != END && !cut_off
        });
        let p = p.map(|(at, _)| at);
        if movement_type != REGISTRATION && !open {
            return self.find(fact, "S02");
        }
        let by_merger =
            matches!(fact.record.items.get("movement_reason"), Some(State::Value(reason)) if reason == "04");
        if movement_type == REGISTRATION && open && !by_merger {
            self.find(fact, "S04");
        }
        if is_end && self.later_live_record_exists(&holder_no, date) {
            self.find(fact, "S06");
        }
        // 3. Stored with all items filled in: the values P has at this moment, then its own.
        let filled_from = if movement_type == REGISTRATION { None } else { p };
        self.accept(fact, &holder_no);
        let mut record = Stored {
            cut_off: self.registry.cut_off(insurer_no, date, is_end),
            holder_no,
            file_hash: fact.file.hash.clone(),
            record_no: fact.record.record_no,
            processing_month: fact.file.processing_month,
            insurer_no: insurer_no.clone(),
            insured_no: fact.record.insured_no.clone(),
            movement_date: date,
            movement_type,
            own: BTreeSet::new(),
            values: filled_from.map(|at| inherited_values(&self.stacked.records[at])).unwrap_or_default(),
            filled_from,
            live: true,
            correction_dates: Vec::new(),
        };
        record.take(&fact.record.items);
        self.stacked.records.push(record);
    }

    fn correct(&mut self, fact: &Fact, target: Option<usize>) {
        let Body::Correction { correction_date, correction_type } = fact.record.body else { return };
        let Some(target) = target else {
            return self.find(fact, "S03");
        };
        let holder_no = self.stacked.records[target].holder_no.clone();
        self.accept(fact, &holder_no);
        if self.stacked.records[target].correction_dates.iter().any(|applied| correction_date < *applied) {
            self.find(fact, "S05");
        }
        let record = &mut self.stacked.records[target];
        record.correction_dates.push(correction_date);
        if correction_type != DELETE {
            return record.take(&fact.record.items);
        }
        record.live = false;
        let (movement_type, date) = (record.movement_type, record.movement_date);
        let steers = movement_type == REGISTRATION || movement_type == END;
        if steers && self.later_live_record_exists(&holder_no, date) {
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

/// The live records of a holder by movement date.
pub(super) fn live_by_date(records: &[Stored], holder_no: &str) -> Vec<Stored> {
    let of_holder = |record: &&Stored| record.live && record.holder_no == holder_no;
    let mut live: Vec<Stored> = records.iter().filter(of_holder).cloned().collect();
    live.sort_by_key(|record| record.movement_date);
    live
}

/// The live records of a holder by movement date, blanks filled in now (`lazy`): those of changes and ends from the
/// live record before, whatever its type; nothing before, or a registration: not set.
pub(super) fn filled_lazily(records: &[Stored], holder_no: &str) -> Vec<Stored> {
    let mut filled: Vec<Stored> = Vec::new();
    for mut record in live_by_date(records, holder_no) {
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
