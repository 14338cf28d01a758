//! The timeline of one stream, from its facts as sent and its rows as stacked.
//!
//! Promise: pure. What stood before a correction is found by stacking the same facts without it, so
//! that there is only one reading of the rules.

use super::columns::{Key, date, is_correction, record_key, standing, targets, text, unpack, value};
use super::course::moves;
use super::model::{
    Cell, Coded, CutOff, CutOffReason, Entry, EntryKind, Labelled, Remark, Sent, Source, Standing, Timeline,
    Value,
};
use super::remarks::Remarks;
use crate::facts::KnownFiles;
use crate::registry::{Names, Registry};
use crate::stack::StackRules;
use crate::stack::fact::Change;
use crate::stack::gather::{Cells, column, masks, stack_chunk, stacked_schema};
use arrow::array::{Array, AsArray, BooleanArray, Int64Array, RecordBatch};
use arrow::compute::filter_record_batch;
use arrow::datatypes::{Date32Type, Int64Type};
use std::collections::BTreeMap;
use tsumiage_pipeline::ledger::FileEntry;
use tsumiage_schemas::holder::Why;
use tsumiage_schemas::tables::stacked_items;
use tsumiage_schemas::{Day, FactTable, Item, MonthRange, Spec};

/// Reads streams into timelines.
pub struct Reading<'a> {
    spec: &'a Spec,
    items: Vec<&'a Item>,
    pub(super) known: &'a KnownFiles<'a>,
    pub(super) files: BTreeMap<i32, &'a FileEntry>,
    pub(super) rules: &'a StackRules,
    pub(super) registry: &'a Registry,
    /// Insurer types, as names are.
    types: Names,
    remarks: Remarks<'a>,
}

/// A day after all others.
const LATEST: Day = Day(i32::MAX);

/// One stream's columns.
struct Stream<'a> {
    /// Rows of the operator.
    stacked: &'a RecordBatch,
    /// The operator's input.
    facts: &'a RecordBatch,
    /// Row in `facts` of every record.
    fact_rows: BTreeMap<Key, usize>,
    /// Row in `stacked` of every record of the stream.
    rows: BTreeMap<Key, usize>,
    /// Per stacked row the row of the record it was applied to, of applied corrections.
    targets: Vec<Option<usize>>,
}

impl<'a> Reading<'a> {
    /// Reads with these layouts, files, rules of stacking and registry; `range` are the service months that
    /// are published (S10).
    pub fn new(
        spec: &'a Spec,
        known: &'a KnownFiles<'a>,
        rules: &'a StackRules,
        registry: &'a Registry,
        range: MonthRange,
    ) -> Reading<'a> {
        Reading {
            spec,
            items: stacked_items(spec),
            known,
            files: known.by_seq(),
            rules,
            registry,
            types: types(registry),
            remarks: Remarks::new(spec, known, registry, range),
        }
    }

    /// The timeline of one stream: `facts` is the operator's input of an insured number, `stacked` its
    /// output with lineage of one holder, not empty.
    ///
    /// # Errors
    /// The batches are not those of the operator.
    pub fn timeline(&self, facts: &RecordBatch, stacked: &RecordBatch) -> anyhow::Result<Timeline> {
        anyhow::ensure!(stacked.num_rows() > 0, "a stream has at least one record");
        let keys = |batch: &RecordBatch| (0..batch.num_rows()).map(|r| (record_key(batch, r), r)).collect();
        let (fact_rows, rows) = (keys(facts), keys(stacked));
        let stream = Stream { stacked, facts, fact_rows, rows, targets: targets(stacked)? };
        let mut remarks = self.remarks.of(stacked)?;
        let mut records = Vec::with_capacity(stacked.num_rows());
        for row in 0..stacked.num_rows() {
            records.push(self.entry(&stream, row, remarks.remove(&row).unwrap_or_default())?);
        }
        let empty = self.empty(text(stacked, column::HOLDER, 0), text(stacked, column::INSURED, 0));
        let mut timeline = Timeline { moves: moves(&records), records, ..empty };
        timeline.name_kana = timeline.newest("name_kana").map(|held| held.value.to_string());
        Ok(timeline)
    }

    /// The timeline of somebody who has no records yet.
    pub(super) fn empty(&self, holder_no: &str, insured_no: &str) -> Timeline {
        Timeline {
            holder_no: holder_no.to_owned(),
            holder_name: self.registry.name_on(holder_no, LATEST).map(str::to_owned),
            holder_type: self.types.on(holder_no, LATEST).map(|code| self.coded("insurer_type", code)),
            insured_no: insured_no.to_owned(),
            name_kana: None,
            khs: Vec::new(),
            moves: Vec::new(),
            records: Vec::new(),
        }
    }

    fn entry(&self, stream: &Stream<'_>, row: usize, findings: Vec<Remark>) -> anyhow::Result<Entry> {
        let stacked = stream.stacked;
        let is_correction = is_correction(stacked, row);
        let key = record_key(stacked, row);
        let file = self.files.get(&key.0);
        let dates = stacked.column(column::CORRECTION_DATE).as_primitive::<Date32Type>();
        let standing = standing(stacked, row)?;
        let types = if is_correction { "correction_type" } else { "movement_type" };
        let target = stream.targets[row];
        let reason = self.labelled(stacked.column(column::ITEMS), 0, row);
        Ok(Entry {
            kind: if is_correction { EntryKind::Correction } else { EntryKind::Movement },
            movement_date: date(stacked, row),
            insurer_no: text(stacked, column::INSURER, row).to_owned(),
            holder_no: text(stacked, column::HOLDER, row).to_owned(),
            change_type: self.coded(types, text(stacked, column::CHANGE_TYPE, row)),
            reason: reason.map(|held| Coded { code: held.value.to_string(), label_ja: held.code_label }),
            correction_date: (is_correction && dates.is_valid(row)).then(|| Day(dates.value(row))),
            standing,
            withdrawn: None,
            cut_off: if standing == Standing::Live { self.cut_off(stacked, row) } else { None },
            findings,
            source: self.source(key),
            processing_month: file.and_then(|file| file.processing_month),
            taken_in_on: file.map(|file| file.arrival.taken_in_on),
            corrects: target.map(|t| self.source(record_key(stacked, t))),
            sent: self.sent_of_row(stream, row)?,
            items: if standing == Standing::Live { self.cells(stream, row)? } else { Vec::new() },
        })
    }

    /// From when a live record is cut off, and why.
    fn cut_off(&self, stacked: &RecordBatch, row: usize) -> Option<CutOff> {
        let holders = self.registry.holders();
        let change = text(stacked, column::CHANGE_TYPE, row).bytes().next().unwrap_or_default();
        let is_end = Change::of(false, change) == Change::End;
        let insurer = holders.place(text(stacked, column::INSURER, row))?;
        let cut = holders.holding(insurer, date(stacked, row), is_end).cut_off?;
        let (reason, by) = match cut.why {
            Why::Joined { union } => (CutOffReason::MembershipBegan, union),
            Why::Left { union } => (CutOffReason::MembershipEnded, union),
            Why::Ended { holder } => (CutOffReason::HolderEnded, holder),
        };
        Some(CutOff { from: cut.day, reason, by: holders.number(by).to_owned() })
    }

    pub(super) fn source(&self, (seq, record_no): Key) -> Source {
        let arrival = self.files.get(&seq).map(|file| &file.arrival);
        Source {
            file_name: arrival.map(|a| a.name.clone()).unwrap_or_default(),
            file_id: arrival.map(|a| a.file_id.clone()).unwrap_or_default(),
            record_no,
        }
    }

    pub(super) fn coded(&self, table: &str, code: &str) -> Coded {
        Coded { code: code.to_owned(), label_ja: self.code_label(Some(table), code) }
    }

    fn code_label(&self, table: Option<&str>, code: &str) -> Option<String> {
        self.spec.codes.get(table?)?.labels.get(code).cloned()
    }

    /// The value of stacked item `item` in a row of its column.
    pub(super) fn labelled(&self, array: &dyn Array, item: usize, row: usize) -> Option<Labelled> {
        let about = self.items.get(item)?;
        let value = value(array, about.kind, row)?;
        let code_label = match &value {
            Value::Text(code) => self.code_label(about.codes.as_deref(), code),
            _ => None,
        };
        Some(Labelled { value, code_label })
    }

    /// What a stacked row gave and cleared, as sent; of an applied correction with what stood before.
    fn sent_of_row(&self, stream: &Stream<'_>, row: usize) -> anyhow::Result<Vec<Sent>> {
        let key = record_key(stream.stacked, row);
        let fact = *stream
            .fact_rows
            .get(&key)
            .ok_or_else(|| anyhow::anyhow!("record {} was stacked but not read", key.1))?;
        let before = if named(stream.facts, fact) == 0 { None } else { self.before(stream, row)? };
        Ok(self.sent(stream.facts, fact, before.as_ref()))
    }

    /// What a fact gave and cleared; `before` is where its record stands in the stack without it.
    pub(super) fn sent(
        &self,
        facts: &RecordBatch,
        fact: usize,
        before: Option<&(RecordBatch, usize)>,
    ) -> Vec<Sent> {
        let (given, named) = (masks(facts.column(column::GIVEN))(fact), named(facts, fact));
        let sent = |(at, about): (usize, &&Item)| Sent {
            item: about.name.clone(),
            label_ja: about.name_ja.clone(),
            held: match given >> at & 1 {
                1 => self.labelled(facts.column(column::ITEMS + at), at, fact),
                _ => None,
            },
            before: before.and_then(|(batch, row)| self.labelled(batch.column(column::ITEMS + at), at, *row)),
        };
        self.items.iter().enumerate().filter(|(at, _)| named >> at & 1 == 1).map(sent).collect()
    }

    /// The person as stacked without an applied modification and all later corrections of that date (one
    /// that came too late for this record would find it there), and the row of its record.
    fn before(&self, stream: &Stream<'_>, row: usize) -> anyhow::Result<Option<(RecordBatch, usize)>> {
        let Some(target) = stream.targets[row] else { return Ok(None) };
        let types = stream.stacked.column(column::CHANGE_TYPE).as_string::<i32>();
        if Change::of(true, types.value(row).bytes().next().unwrap_or_default()) == Change::Delete {
            return Ok(None); // changes no item, whatever it gives
        }
        let date = date(stream.stacked, row);
        let slip = self.slip_order(stream.stacked, row);
        let kept: BooleanArray = (0..stream.facts.num_rows())
            .map(|fact| {
                let may_apply = is_correction(stream.facts, fact) && self::date(stream.facts, fact) == date;
                let earlier = match stream.rows.get(&record_key(stream.facts, fact)) {
                    Some(&other) => other < row,
                    None => self.slip_order(stream.facts, fact) < slip, // under another holder
                };
                Some(!may_apply || earlier)
            })
            .collect();
        let facts = filter_record_batch(stream.facts, &kept)?;
        let schema = stacked_schema(&facts.schema(), Cells::Values);
        let stacked = stack_chunk(&facts, self.rules, self.registry.holders(), &schema)?;
        let record = record_key(stream.stacked, target);
        let found = (0..stacked.num_rows()).find(|&r| record_key(&stacked, r) == record);
        Ok(found.map(|row| (stacked, row)))
    }

    /// Where a correction stands in the order of application, but for the passes.
    fn slip_order(&self, batch: &RecordBatch, row: usize) -> (u32, i32, u32, i64) {
        let (seq, record_no) = record_key(batch, row);
        let order = usize::try_from(seq).ok().and_then(|seq| self.rules.orders.get(seq));
        let order = order.copied().unwrap_or_default();
        let corrected = batch.column(column::CORRECTION_DATE).as_primitive::<Date32Type>();
        (order.batch, corrected.value(row), order.rank, record_no)
    }

    /// All items of a live record.
    fn cells(&self, stream: &Stream<'_>, row: usize) -> anyhow::Result<Vec<Cell>> {
        let stacked = stream.stacked;
        let lineage = stacked.column_by_name("lineage").and_then(|c| c.as_fixed_size_list_opt());
        let lineage = lineage.ok_or_else(|| anyhow::anyhow!("stacked without lineage"))?.value(row);
        let sources: &Int64Array = lineage.as_primitive::<Int64Type>();
        let own = own(stream, row);
        let cell = |(at, about): (usize, &&Item)| Cell {
            item: about.name.clone(),
            label_ja: about.name_ja.clone(),
            held: self.labelled(stacked.column(column::ITEMS + at), at, row),
            source: sources.is_valid(at).then(|| self.source(unpack(sources.value(at)))),
            own: own >> at & 1 == 1,
        };
        Ok(self.items.iter().enumerate().map(cell).collect())
    }
}

/// Items a fact gave or cleared.
fn named(facts: &RecordBatch, fact: usize) -> u128 {
    masks(facts.column(column::GIVEN))(fact) | masks(facts.column(column::CLEARED))(fact)
}

/// Items a record or an applied correction of it gave or cleared.
fn own(stream: &Stream<'_>, row: usize) -> u128 {
    let (given, cleared) =
        (masks(stream.stacked.column(column::GIVEN)), masks(stream.stacked.column(column::CLEARED)));
    let of_it = |&other: &usize| other == row || stream.targets[other] == Some(row);
    let rows = (0..stream.stacked.num_rows()).filter(of_it);
    rows.fold(0, |own, other| own | given(other) | cleared(other))
}

/// The insurer types of all insurers.
fn types(registry: &Registry) -> Names {
    let insurers = registry.tables().into_iter().filter(|stacked| stacked.table == FactTable::Insurer);
    Names::new(insurers.flat_map(|insurers| {
        insurers.periods.iter().map(|period| {
            let row = period.row as usize;
            let insurer_type = insurers.text("insurer_type", row).map(str::to_owned);
            (insurers.insurer_no(row).to_owned(), period.from, insurer_type)
        })
    }))
}
