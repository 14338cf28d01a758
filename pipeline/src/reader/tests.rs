//! The rules of domain 1, 2 and 7 as a table of files and the findings they must give, and properties
//! over all files.

#![allow(clippy::unwrap_used)] // a test may fail loudly

mod robust;
mod round_trip;
mod rules;

use super::*;
use crate::writer::{FileHeader, OutRecord, Quoting, RecordBuilder, write_file};
use std::convert::Infallible;
use std::sync::{Arc, LazyLock};
use tsumiage_schemas::{Severity, Spec};

static COMPILED: LazyLock<Compiled> = LazyLock::new(|| Compiled::new(Arc::new(Spec::embedded().unwrap())));

const OPTIONS: ReadOptions = ReadOptions { batch_rows: 3, taken_in_on: Day(20_750) }; // 2026-10-24

fn read_all(bytes: &[u8]) -> (FileReport, Vec<RecordBatch>) {
    let mut batches = Vec::new();
    let mut sink = |batch| {
        batches.push(batch);
        Ok::<_, Infallible>(())
    };
    let Ok(report) = read(bytes, &COMPILED, &OPTIONS, &mut sink);
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

fn file(records: &[OutRecord]) -> Vec<u8> {
    let header = FileHeader::new("531", "142018", Month::from_civil(2026, 10).unwrap());
    write_file(&header, Quoting::Needed, records).unwrap()
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

fn replaced(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let at = bytes.windows(from.len()).position(|w| w == from).unwrap();
    [&bytes[..at], to, &bytes[at + from.len()..]].concat()
}
