//! Reads single cells of the operator's batches: rows, keys, what became of a record, values by their kind.

use super::model::{Standing, Value};
use crate::stack::State;
use crate::stack::gather::column;
use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Date32Type, Int32Type, Int64Type, UInt8Type};
use tsumiage_schemas::{Day, Kind};

/// File number and record number: a record, wherever it stands.
pub type Key = (i32, i64);

/// Per row of one stream the row an applied correction was applied to. Rows of one date stand in order
/// of application, so that is the last record of the date before it that was ever live.
///
/// # Errors
/// The batch is not a stacked one.
pub fn targets(stacked: &RecordBatch) -> anyhow::Result<Vec<Option<usize>>> {
    let mut targets = vec![None; stacked.num_rows()];
    let mut record: Option<usize> = None;
    for (row, target) in targets.iter_mut().enumerate() {
        record = record.filter(|&r| date(stacked, r) == date(stacked, row));
        match standing(stacked, row)? {
            Standing::Live | Standing::Deleted => record = Some(row),
            Standing::Applied => *target = record,
            Standing::Refused | Standing::Withdrawn => {}
        }
    }
    Ok(targets)
}

/// Whether a row is a correction slip.
pub fn is_correction(batch: &RecordBatch, row: usize) -> bool {
    batch.column(column::IS_CORRECTION).as_boolean().value(row)
}

/// What became of a row.
///
/// # Errors
/// The batch is not a stacked one.
pub fn standing(stacked: &RecordBatch, row: usize) -> anyhow::Result<Standing> {
    let states = stacked.column_by_name("state").and_then(|c| c.as_primitive_opt::<UInt8Type>());
    let state = states.ok_or_else(|| anyhow::anyhow!("not a stacked chunk"))?.value(row);
    Ok(match state {
        s if s == State::Live as u8 => Standing::Live,
        s if s == State::Applied as u8 => Standing::Applied,
        s if s == State::Deleted as u8 => Standing::Deleted,
        _ => Standing::Refused,
    })
}

/// The value of an item, if it is set.
pub fn value(array: &dyn Array, kind: Kind, row: usize) -> Option<Value> {
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

/// The record of a row.
pub fn record_key(batch: &RecordBatch, row: usize) -> Key {
    let seqs = batch.column(column::FILE_SEQ).as_primitive::<Int32Type>();
    let records = batch.column(column::RECORD_NO).as_primitive::<Int64Type>();
    (seqs.value(row), records.value(row))
}

/// `file_seq << 32 | record_no`, as the operator's lineage has it.
pub fn unpack(source: i64) -> Key {
    ((source >> 32) as i32, source & 0xffff_ffff)
}

/// A text of a key column.
pub fn text(batch: &RecordBatch, at: usize, row: usize) -> &str {
    batch.column(at).as_string::<i32>().value(row)
}

/// The movement date of a row.
pub fn date(batch: &RecordBatch, row: usize) -> Day {
    Day(batch.column(column::DATE).as_primitive::<Date32Type>().value(row))
}
