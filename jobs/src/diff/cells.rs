//! Rows of two files of one holder's month held against each other, column by column.
//!
//! Promise: pure; rows are known by insured number, by which both are sorted.

use super::{InForce, Kind};
use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Date32Type, Int32Type, Int64Type};
use arrow::error::ArrowError;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use std::cmp::Ordering;

/// Columns that are the row's key.
const KEY: [&str; 3] = ["service_month", "holder_no", "insured_no"];

/// A row that differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowChange {
    /// Whose.
    pub insured_no: String,
    /// What happened to it.
    pub kind: Kind,
    /// The record in force before.
    pub before: Option<InForce>,
    /// The record in force now.
    pub after: Option<InForce>,
    /// Columns that differ, with their values as text, if it changed; in the order of the table.
    pub items: Vec<(String, Option<String>, Option<String>)>,
}

/// All rows that differ, by insured number. Columns are known by name; one that a side lacks is not set there.
///
/// # Errors
/// A batch is none of `recipient_month`.
pub fn compare(before: &RecordBatch, after: &RecordBatch) -> Result<Vec<RowChange>, ArrowError> {
    let (a, b) = (insured(before)?, insured(after)?);
    let mut changes = Vec::new();
    let mut pairs: Vec<(usize, usize)> = Vec::new();
    let (mut i, mut j) = (0, 0);
    while i < a.len() || j < b.len() {
        let order = match (i < a.len(), j < b.len()) {
            (true, true) => a.value(i).cmp(b.value(j)),
            (true, false) => Ordering::Less,
            _ => Ordering::Greater,
        };
        if order != Ordering::Greater {
            i += 1;
        }
        if order != Ordering::Less {
            j += 1;
        }
        match order {
            Ordering::Equal => pairs.push((i - 1, j - 1)),
            Ordering::Less => changes.push(one_sided(before, a, i - 1, Kind::Removed)?),
            Ordering::Greater => changes.push(one_sided(after, b, j - 1, Kind::Added)?),
        }
    }
    changes.extend(changed(before, after, &pairs)?);
    changes.sort_by(|a, b| a.insured_no.cmp(&b.insured_no));
    Ok(changes)
}

fn insured(batch: &RecordBatch) -> Result<&StringArray, ArrowError> {
    named(batch, "insured_no").map(|column| column.as_string())
}

fn named<'b>(batch: &'b RecordBatch, name: &str) -> Result<&'b ArrayRef, ArrowError> {
    batch.column_by_name(name).ok_or_else(|| ArrowError::SchemaError(format!("no column {name}")))
}

fn in_force(batch: &RecordBatch, row: usize) -> Result<InForce, ArrowError> {
    Ok(InForce {
        file_id: named(batch, "file_id")?.as_string::<i32>().value(row).to_owned(),
        record_no: named(batch, "record_no")?.as_primitive::<Int64Type>().value(row),
        insurer_no: named(batch, "insurer_no")?.as_string::<i32>().value(row).to_owned(),
        date: named(batch, "movement_date")?.as_primitive::<Date32Type>().value(row),
    })
}

fn one_sided(
    batch: &RecordBatch,
    insured: &StringArray,
    row: usize,
    kind: Kind,
) -> Result<RowChange, ArrowError> {
    let record = Some(in_force(batch, row)?);
    let (before, after) = if kind == Kind::Added { (None, record) } else { (record, None) };
    Ok(RowChange { insured_no: insured.value(row).to_owned(), kind, before, after, items: Vec::new() })
}

/// Of rows that stand on both sides those that differ.
fn changed(
    before: &RecordBatch,
    after: &RecordBatch,
    pairs: &[(usize, usize)],
) -> Result<Vec<RowChange>, ArrowError> {
    let schema = after.schema();
    let before_schema = before.schema();
    let names = schema.fields().iter().map(|field| field.name().as_str());
    let gone = before_schema.fields().iter().map(|field| field.name().as_str());
    let gone = gone.filter(|name| after.column_by_name(name).is_none());
    // Per pair the columns that differ, as (pair, name).
    let mut cells: Vec<(usize, usize, &str)> = Vec::new();
    for (place, name) in names.chain(gone).enumerate().filter(|(_, name)| !KEY.contains(name)) {
        let found = differing(before.column_by_name(name), after.column_by_name(name), pairs);
        cells.extend(found.into_iter().map(|pair| (pair, place, name)));
    }
    cells.sort_unstable();
    let mut changes = Vec::new();
    for of_pair in cells.chunk_by(|a, b| a.0 == b.0) {
        let (i, j) = pairs[of_pair[0].0];
        let item = |&(_, _, name): &(usize, usize, &str)| {
            let text =
                |batch: &RecordBatch, row| batch.column_by_name(name).map_or(Ok(None), |c| text(c, row));
            Ok((name.to_owned(), text(before, i)?, text(after, j)?))
        };
        changes.push(RowChange {
            insured_no: insured(after)?.value(j).to_owned(),
            kind: Kind::Changed,
            before: Some(in_force(before, i)?),
            after: Some(in_force(after, j)?),
            items: of_pair.iter().map(item).collect::<Result<_, ArrowError>>()?,
        });
    }
    Ok(changes)
}

fn text(column: &ArrayRef, row: usize) -> Result<Option<String>, ArrowError> {
    if column.is_null(row) {
        return Ok(None);
    }
    Ok(Some(ArrayFormatter::try_new(column, &FormatOptions::default())?.value(row).to_string()))
}

/// The pairs in which a column differs.
fn differing(before: Option<&ArrayRef>, after: Option<&ArrayRef>, pairs: &[(usize, usize)]) -> Vec<usize> {
    let (a, b) = match (before, after) {
        (Some(a), Some(b)) if a.data_type() == b.data_type() => (a, b),
        (Some(a), Some(b)) => return of_other_types(a, b, pairs),
        (Some(one), None) => return not_null(one, pairs.iter().map(|pair| pair.0)),
        (None, Some(one)) => return not_null(one, pairs.iter().map(|pair| pair.1)),
        (None, None) => return Vec::new(),
    };
    if a.null_count() == a.len() && b.null_count() == b.len() {
        return Vec::new();
    }
    match a.data_type() {
        DataType::Utf8 => {
            let (x, y) = (a.as_string::<i32>(), b.as_string::<i32>());
            unequal(a, b, pairs, |i, j| x.value(i) == y.value(j))
        }
        DataType::Boolean => {
            let (x, y) = (a.as_boolean(), b.as_boolean());
            unequal(a, b, pairs, |i, j| x.value(i) == y.value(j))
        }
        DataType::Int64 => {
            let (x, y) = (a.as_primitive::<Int64Type>(), b.as_primitive::<Int64Type>());
            unequal(a, b, pairs, |i, j| x.value(i) == y.value(j))
        }
        DataType::Int32 => {
            let (x, y) = (a.as_primitive::<Int32Type>(), b.as_primitive::<Int32Type>());
            unequal(a, b, pairs, |i, j| x.value(i) == y.value(j))
        }
        DataType::Date32 => {
            let (x, y) = (a.as_primitive::<Date32Type>(), b.as_primitive::<Date32Type>());
            unequal(a, b, pairs, |i, j| x.value(i) == y.value(j))
        }
        _ => of_other_types(a, b, pairs),
    }
}

fn unequal(
    a: &ArrayRef,
    b: &ArrayRef,
    pairs: &[(usize, usize)],
    same: impl Fn(usize, usize) -> bool,
) -> Vec<usize> {
    let differs = |&(_, &(i, j)): &(usize, &(usize, usize))| match (a.is_null(i), b.is_null(j)) {
        (true, true) => false,
        (false, false) => !same(i, j),
        _ => true,
    };
    pairs.iter().enumerate().filter(differs).map(|(pair, _)| pair).collect()
}

/// An item whose kind is another in other layouts: by its text.
fn of_other_types(a: &ArrayRef, b: &ArrayRef, pairs: &[(usize, usize)]) -> Vec<usize> {
    let differs = |&(_, &(i, j)): &(usize, &(usize, usize))| match (text(a, i), text(b, j)) {
        (Ok(a), Ok(b)) => a != b,
        _ => true,
    };
    pairs.iter().enumerate().filter(differs).map(|(pair, _)| pair).collect()
}

fn not_null(column: &ArrayRef, rows: impl Iterator<Item = usize>) -> Vec<usize> {
    rows.enumerate().filter(|(_, row)| column.is_valid(*row)).map(|(pair, _)| pair).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{Date32Array, Int64Array};
    use std::sync::Arc;

    type Row<'a> = (&'a str, Option<&'a str>, i64);

    fn batch(item: &str, rows: &[Row<'_>]) -> RecordBatch {
        let insured: ArrayRef = Arc::new(rows.iter().map(|row| Some(row.0)).collect::<StringArray>());
        let level: ArrayRef = Arc::new(rows.iter().map(|row| row.1).collect::<StringArray>());
        let file: ArrayRef = Arc::new(rows.iter().map(|_| Some("f")).collect::<StringArray>());
        let record: ArrayRef = Arc::new(rows.iter().map(|row| Some(row.2)).collect::<Int64Array>());
        let date: ArrayRef = Arc::new(rows.iter().map(|_| Some(20_000)).collect::<Date32Array>());
        let insurer: ArrayRef = Arc::new(rows.iter().map(|_| Some("141003")).collect::<StringArray>());
        let columns = [
            ("insured_no", insured),
            (item, level),
            ("insurer_no", insurer),
            ("file_id", file),
            ("record_no", record),
        ];
        RecordBatch::try_from_iter(columns.into_iter().chain([("movement_date", date)])).unwrap()
    }

    fn told(before: &RecordBatch, after: &RecordBatch) -> Vec<String> {
        let item = |(name, a, b): &(String, Option<String>, Option<String>)| {
            format!(" {name} {}>{}", a.as_deref().unwrap_or("-"), b.as_deref().unwrap_or("-"))
        };
        let row = |change: &RowChange| {
            let items: String = change.items.iter().map(item).collect();
            format!("{} {}{items}", change.insured_no, change.kind.as_str())
        };
        compare(before, after).unwrap().iter().map(row).collect()
    }

    #[test]
    fn rows_come_go_and_change_item_by_item() {
        let before = batch("care_level", &[("1", Some("12"), 2), ("2", None, 3), ("4", Some("21"), 4)]);
        let after = batch("care_level", &[("2", Some("12"), 3), ("3", None, 5), ("4", None, 6)]);
        let expected =
            ["1 removed", "2 changed care_level ->12", "3 added", "4 changed care_level 21>- record_no 4>6"];
        assert_eq!(told(&before, &after), expected);
        assert!(told(&before, &before).is_empty());
        let nobody = batch("care_level", &[]);
        assert_eq!(told(&nobody, &before), ["1 added", "2 added", "4 added"]);
        assert_eq!(told(&before, &nobody), ["1 removed", "2 removed", "4 removed"]);
    }

    #[test]
    fn a_column_that_one_side_lacks_is_not_set_there() {
        let before = batch("old_item", &[("1", Some("a"), 2), ("2", None, 3)]);
        let after = batch("new_item", &[("1", None, 2), ("2", Some("b"), 3)]);
        assert_eq!(told(&before, &after), ["1 changed old_item a>-", "2 changed new_item ->b"]);
    }
}
