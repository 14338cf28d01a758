//! The rules of domain 1, 2 and 7 as a table of files and the findings they must give, and properties
//! over all files.

#![allow(clippy::unwrap_used)] // a test may fail loudly

mod aggregation;
mod characters;
mod memberships;
mod parts;
mod robust;
mod round_trip;
mod rules;
mod rules_as_data;
mod softened;

use super::*;
use crate::writer::{FileHeader, OutRecord, Quoting, RecordBuilder, write_file};
use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{DataType, Date32Type, Int32Type};
use std::convert::Infallible;
use std::sync::{Arc, LazyLock};
use tsumiage_schemas::{RecordKind, Severity, Spec};

static COMPILED: LazyLock<Compiled> = LazyLock::new(|| Compiled::new(Arc::new(Spec::embedded().unwrap())));

const OPTIONS: ReadOptions = ReadOptions { batch_rows: 3, taken_in_on: Day(20_750), closed_through: None }; // 2026-10-24

/// The report and all batches, whatever their table.
fn read_all(bytes: &[u8]) -> (FileReport, Vec<RecordBatch>) {
    let (report, batches) = read_with(&COMPILED, bytes);
    (report, batches.into_iter().map(|(_, batch)| batch).collect())
}

/// The report and the batches with their tables, read with these data files.
fn read_with(compiled: &Compiled, bytes: &[u8]) -> (FileReport, Vec<(FactTable, RecordBatch)>) {
    let mut batches = Vec::new();
    let mut sink = |table, batch| {
        batches.push((table, batch));
        Ok::<_, Infallible>(())
    };
    let Ok(report) = read(bytes, compiled, &OPTIONS, &mut sink);
    (report, batches)
}

/// A movement of 2026-09-10 with its keys, and these items set.
fn movement(items: &[(&str, &str)]) -> OutRecord {
    let keys = [
        ("movement_date", "20260910"),
        ("movement_type", "1"),
        ("movement_reason", "01"),
        ("insurer_no", "142018"),
        ("insured_no", "0000000001"),
    ];
    record(COMPILED.spec().movement(), &keys, items)
}

/// A slip of 2026-09-20 for that movement.
fn correction(items: &[(&str, &str)]) -> OutRecord {
    let keys = [
        ("movement_date", "20260910"),
        ("correction_date", "20260920"),
        ("correction_type", "2"),
        ("insurer_no", "142018"),
        ("insured_no", "0000000001"),
    ];
    record(COMPILED.spec().correction(), &keys, items)
}

fn record(layout: &tsumiage_schemas::Layout, keys: &[(&str, &str)], items: &[(&str, &str)]) -> OutRecord {
    let mut builder = RecordBuilder::new(layout);
    for (item, text) in keys.iter().chain(items) {
        builder = builder.set(item, *text).unwrap();
    }
    builder.build()
}

/// A change of 2026-09-10 of an insurer's own data: insurer, limit, benefit or membership.
fn own_change(kind: RecordKind, items: &[(&str, &str)]) -> OutRecord {
    let keys = [
        ("movement_date", "20260910"),
        ("movement_type", "1"),
        ("movement_reason", "01"),
        ("insurer_no", "142018"),
    ];
    record(COMPILED.spec().layout(kind), &keys, items)
}

fn file(records: &[OutRecord]) -> Vec<u8> {
    file_of(records, Quoting::Needed)
}

/// A file whose data type is that of its first record.
fn file_of(records: &[OutRecord], quoting: Quoting) -> Vec<u8> {
    let data_type = records.first().map_or("531", |first| &first.exchange_id[..3]);
    let header = FileHeader::new(data_type, "142018", Month::from_civil(2026, 10).unwrap());
    write_file(&header, quoting, records).unwrap()
}

/// Findings as `code severity item record×count`.
fn told(report: &FileReport) -> Vec<String> {
    let line = |f: &Finding| {
        let item = f.item.as_deref().unwrap_or("-");
        let record = f.record_no.map_or("-".to_owned(), |n| n.to_string());
        format!("{} {} {item} {record}×{}", f.code, f.severity.as_str(), f.count)
    };
    report.findings.iter().map(line).collect()
}

fn check(bytes: &[u8], expected: &[&str]) {
    let (report, batches) = read_all(bytes);
    assert_eq!(told(&report), expected, "{:#?}\n{}", report.findings, String::from_utf8_lossy(bytes));
    let file_error = report.findings.iter().any(|f| f.code < Code::R01 && f.severity == Severity::Error);
    assert_eq!(report.file_rejected, file_error);
    assert_eq!(report.records, report.accepted + report.rejected);
    if !file_error {
        let rows: usize = batches.iter().map(RecordBatch::num_rows).sum();
        assert_eq!(rows as i64, report.accepted);
    }
}

/// One column of every batch, row after row, as text; `None` = not set.
fn shown(batches: &[(FactTable, RecordBatch)], name: &str) -> Vec<Option<String>> {
    let cells = |(_, batch): &(FactTable, RecordBatch)| {
        let column = batch.column_by_name(name).unwrap();
        (0..batch.num_rows()).map(|row| cell(column, row)).collect::<Vec<_>>()
    };
    batches.iter().flat_map(cells).collect()
}

fn cell(column: &ArrayRef, row: usize) -> Option<String> {
    let text = |column: &ArrayRef| match column.data_type() {
        DataType::Date32 => Day(column.as_primitive::<Date32Type>().value(row)).digits(),
        DataType::Int32 => column.as_primitive::<Int32Type>().value(row).to_string(),
        _ => column.as_string::<i32>().value(row).to_owned(),
    };
    (!column.is_null(row)).then(|| text(column))
}

/// The members of every list in a batch with the days they are ones from.
fn members(batch: &RecordBatch) -> Vec<Vec<(String, String)>> {
    let list = |name: &str, row: usize| {
        let each = batch.column_by_name(name).unwrap().as_list::<i32>().value(row);
        (0..each.len()).map(|at| cell(&each, at).unwrap()).collect::<Vec<_>>()
    };
    let pairs =
        |row| list("member_insurer_no", row).into_iter().zip(list("member_valid_from_date", row)).collect();
    (0..batch.num_rows()).map(pairs).collect()
}

fn replaced(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let at = bytes.windows(from.len()).position(|w| w == from).unwrap();
    [&bytes[..at], to, &bytes[at + from.len()..]].concat()
}
