//! The timeline of one stream, from its facts as sent and its rows as stacked.
//!
//! Promise: pure. What stood before a correction is found by stacking the same facts without it, so
//! that there is only one reading of the rules.

use super::model::{
    Cell, Coded, Entry, EntryKind, Labelled, Remark, Sent, Source, Standing, Timeline, Value,
};
use crate::facts::KnownFiles;
use crate::publish::findings::stacking_findings;
use crate::stack::gather::{column, masks, stack_chunk, stacked_schema};
use crate::stack::{Inheritance, State};
use arrow::array::{Array, AsArray, BooleanArray, Int64Array, RecordBatch};
use arrow::compute::filter_record_batch;
use arrow::datatypes::{DataType, Date32Type, Int32Type, Int64Type, UInt8Type};
use std::collections::BTreeMap;
use tsumiage_pipeline::ledger::FileEntry;
use tsumiage_schemas::tables::stacked_items;
use tsumiage_schemas::{Day, Item, Kind, Spec};

/// File number and record number: a record, wherever it stands.
type Key = (i32, i64);

/// Reads streams into timelines.
pub struct Reading<'a> {
    spec: &'a Spec,
    items: Vec<&'a Item>,
    known: &'a KnownFiles<'a>,
    files: BTreeMap<i32, &'a FileEntry>,
    inheritance: Inheritance,
}

/// One stream's columns.
struct Stream<'a> {
    /// Rows of the operator.
    stacked: &'a RecordBatch,
    /// The operator's input.
    facts: &'a RecordBatch,
    /// Row in `facts` of every record.
    fact_rows: BTreeMap<Key, usize>,
    /// Per stacked row the row of the record it was applied to, of applied corrections.
    targets: Vec<Option<usize>>,
}

impl<'a> Reading<'a> {
    /// Reads with these layouts, files and mode of inheritance.
    pub fn new(spec: &'a Spec, known: &'a KnownFiles<'a>, inheritance: Inheritance) -> Reading<'a> {
        Reading { spec, items: stacked_items(spec), known, files: known.by_seq(), inheritance }
    }

    /// The timeline of one stream: `facts` is the operator's input, `stacked` its output with lineage,
    /// both of the same (holder, insured number) and not empty.
    ///
    /// # Errors
    /// The batches are not those of the operator.
    pub fn timeline(&self, facts: &RecordBatch, stacked: &RecordBatch) -> anyhow::Result<Timeline> {
        anyhow::ensure!(stacked.num_rows() > 0, "a stream has at least one record");
        let fact_rows = (0..facts.num_rows()).map(|row| (record_key(facts, row), row)).collect();
        let stream = Stream { stacked, facts, fact_rows, targets: targets(stacked)? };
        let mut findings: BTreeMap<usize, Vec<Remark>> = BTreeMap::new();
        for (row, finding) in stacking_findings(stacked, &[], self.spec)? {
            let item = finding.item.as_deref().unwrap_or_default();
            let label = self.spec.label(item);
            let (message_ja, message_en) =
                self.spec.catalogue.messages(finding.code, item, label, &finding.detail);
            findings.entry(row).or_default().push(Remark {
                code: finding.code,
                severity: finding.severity,
                item: finding.item,
                message_ja,
                message_en,
            });
        }
        let mut records = Vec::with_capacity(stacked.num_rows());
        for row in 0..stacked.num_rows() {
            records.push(self.entry(&stream, row, findings.remove(&row).unwrap_or_default())?);
        }
        let mut timeline = Timeline {
            holder_no: text(stacked, column::HOLDER, 0).to_owned(),
            insured_no: text(stacked, column::INSURED, 0).to_owned(),
            name_kana: None,
            records,
        };
        timeline.name_kana = timeline.newest("name_kana").map(|held| held.value.to_string());
        Ok(timeline)
    }

    fn entry(&self, stream: &Stream<'_>, row: usize, findings: Vec<Remark>) -> anyhow::Result<Entry> {
        let stacked = stream.stacked;
        let is_correction = stacked.column(column::IS_CORRECTION).as_boolean().value(row);
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
            change_type: self.coded(types, text(stacked, column::CHANGE_TYPE, row)),
            reason: reason.map(|held| Coded { code: held.value.to_string(), label_ja: held.code_label }),
            correction_date: (is_correction && dates.is_valid(row)).then(|| Day(dates.value(row))),
            standing,
            findings,
            source: self.source(key),
            processing_month: file.and_then(|file| file.processing_month),
            taken_in_on: file.map(|file| file.arrival.taken_in_on),
            corrects: target.map(|t| self.source(record_key(stacked, t))),
            sent: self.sent(stream, row)?,
            items: if standing == Standing::Live { self.cells(stream, row)? } else { Vec::new() },
        })
    }

    fn source(&self, (seq, record_no): Key) -> Source {
        let arrival = self.files.get(&seq).map(|file| &file.arrival);
        Source {
            file_name: arrival.map(|a| a.name.clone()).unwrap_or_default(),
            file_id: arrival.map(|a| a.file_id.clone()).unwrap_or_default(),
            record_no,
        }
    }

    fn coded(&self, table: &str, code: &str) -> Coded {
        Coded { code: code.to_owned(), label_ja: self.code_label(Some(table), code) }
    }

    fn code_label(&self, table: Option<&str>, code: &str) -> Option<String> {
        self.spec.codes.get(table?)?.labels.get(code).cloned()
    }

    /// The value of stacked item `item` in a row of its column.
    fn labelled(&self, array: &dyn Array, item: usize, row: usize) -> Option<Labelled> {
        let about = self.items.get(item)?;
        let value = value(array, about.kind, row)?;
        let code_label = match &value {
            Value::Text(code) => self.code_label(about.codes.as_deref(), code),
            _ => None,
        };
        Some(Labelled { value, code_label })
    }

    /// What a record gave and cleared, as sent; of an applied correction with what stood before.
    fn sent(&self, stream: &Stream<'_>, row: usize) -> anyhow::Result<Vec<Sent>> {
        let key = record_key(stream.stacked, row);
        let fact = *stream
            .fact_rows
            .get(&key)
            .ok_or_else(|| anyhow::anyhow!("record {} was stacked but not read", key.1))?;
        let given = masks(stream.facts.column(column::GIVEN))(fact);
        let cleared = masks(stream.facts.column(column::CLEARED))(fact);
        let named = given | cleared;
        let before = if named == 0 { None } else { self.before(stream, row)? };
        let sent = |(at, about): (usize, &&Item)| Sent {
            item: about.name.clone(),
            label_ja: about.name_ja.clone(),
            held: match given >> at & 1 {
                1 => self.labelled(stream.facts.column(column::ITEMS + at), at, fact),
                _ => None,
            },
            before: before
                .as_ref()
                .and_then(|(batch, row)| self.labelled(batch.column(column::ITEMS + at), at, *row)),
        };
        Ok(self.items.iter().enumerate().filter(|(at, _)| named >> at & 1 == 1).map(sent).collect())
    }

    /// The stream as stacked without an applied correction and those applied to its record after it,
    /// and the row of that record.
    fn before(&self, stream: &Stream<'_>, row: usize) -> anyhow::Result<Option<(RecordBatch, usize)>> {
        let Some(target) = stream.targets[row] else { return Ok(None) };
        let left_out = |other: usize| other >= row && stream.targets[other] == Some(target);
        let left_out: Vec<Key> = (0..stream.stacked.num_rows())
            .filter(|&other| left_out(other))
            .map(|other| record_key(stream.stacked, other))
            .collect();
        let kept: BooleanArray = (0..stream.facts.num_rows())
            .map(|r| Some(!left_out.contains(&record_key(stream.facts, r))))
            .collect();
        let facts = filter_record_batch(stream.facts, &kept)?;
        let schema = stacked_schema(&facts.schema(), false);
        let stacked = stack_chunk(&facts, &self.known.orders, self.inheritance, &schema)?;
        let record = record_key(stream.stacked, target);
        let found = (0..stacked.num_rows()).find(|&r| record_key(&stacked, r) == record);
        Ok(found.map(|row| (stacked, row)))
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

/// Items a record or an applied correction of it gave or cleared.
fn own(stream: &Stream<'_>, row: usize) -> u128 {
    let (given, cleared) =
        (masks(stream.stacked.column(column::GIVEN)), masks(stream.stacked.column(column::CLEARED)));
    let of_it = |&other: &usize| other == row || stream.targets[other] == Some(row);
    let rows = (0..stream.stacked.num_rows()).filter(of_it);
    rows.fold(0, |own, other| own | given(other) | cleared(other))
}

/// Per row of one stream the row an applied correction was applied to. Rows of one date stand in order
/// of application, so that is the last record of the date before it that was ever live.
fn targets(stacked: &RecordBatch) -> anyhow::Result<Vec<Option<usize>>> {
    let mut targets = vec![None; stacked.num_rows()];
    let mut record: Option<usize> = None;
    for (row, target) in targets.iter_mut().enumerate() {
        record = record.filter(|&r| date(stacked, r) == date(stacked, row));
        match standing(stacked, row)? {
            Standing::Live | Standing::Deleted => record = Some(row),
            Standing::Applied => *target = record,
            Standing::Refused => {}
        }
    }
    Ok(targets)
}

fn standing(stacked: &RecordBatch, row: usize) -> anyhow::Result<Standing> {
    let states = stacked.column_by_name("state").and_then(|c| c.as_primitive_opt::<UInt8Type>());
    let state = states.ok_or_else(|| anyhow::anyhow!("not a stacked chunk"))?.value(row);
    Ok(match state {
        s if s == State::Live as u8 => Standing::Live,
        s if s == State::Applied as u8 => Standing::Applied,
        s if s == State::Deleted as u8 => Standing::Deleted,
        _ => Standing::Refused,
    })
}

fn value(array: &dyn Array, kind: Kind, row: usize) -> Option<Value> {
    if array.is_null(row) {
        return None;
    }
    Some(match array.data_type() {
        DataType::Date32 => {
            let day = Day(array.as_primitive::<Date32Type>().value(row));
            if kind == Kind::Month { Value::Month(day.month()) } else { Value::Day(day) }
        }
        DataType::Int32 => Value::Number(array.as_primitive::<Int32Type>().value(row)),
        _ => Value::Text(array.as_string_opt::<i32>()?.value(row).to_owned()),
    })
}

fn record_key(batch: &RecordBatch, row: usize) -> Key {
    let seqs = batch.column(column::FILE_SEQ).as_primitive::<Int32Type>();
    let records = batch.column(column::RECORD_NO).as_primitive::<Int64Type>();
    (seqs.value(row), records.value(row))
}

/// `file_seq << 32 | record_no`, as the operator's lineage has it.
fn unpack(source: i64) -> Key {
    ((source >> 32) as i32, source & 0xffff_ffff)
}

fn text(batch: &RecordBatch, at: usize, row: usize) -> &str {
    batch.column(at).as_string::<i32>().value(row)
}

fn date(batch: &RecordBatch, row: usize) -> Day {
    Day(batch.column(column::DATE).as_primitive::<Date32Type>().value(row))
}
