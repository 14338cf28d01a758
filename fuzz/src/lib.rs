//! What every fuzz target that reads a file checks of what was read.

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use std::collections::BTreeSet;
use std::convert::Infallible;
use std::sync::{Arc, LazyLock};
use tsumiage_pipeline::reader::khs::is_khs;
use tsumiage_pipeline::reader::{Compiled, FileReport, ReadOptions, Records, read};
use tsumiage_schemas::{Code, Day, FactTable, Finding, Severity, Spec};

/// The embedded spec.
pub static COMPILED: LazyLock<Compiled> =
    LazyLock::new(|| Compiled::new(Arc::new(Spec::embedded().expect("it passes its tests"))));

/// Errors of records up to which every one stands by itself.
const ALL_TOLD: i64 = 100_000;

/// What was read: the report, and the rows of every table in one batch.
type Read = (FileReport, Vec<(FactTable, RecordBatch)>);

/// Reads a file with batches of so many rows on 2026-10-24.
pub fn read_file(bytes: &[u8], compiled: &Compiled, batch_rows: usize) -> Read {
    let options = ReadOptions { batch_rows, taken_in_on: Day(20_750), closed_through: None };
    let mut batches: Vec<(FactTable, RecordBatch)> = Vec::new();
    let mut sink = |table, batch: RecordBatch| {
        assert!((1..=batch_rows).contains(&batch.num_rows()));
        batches.push((table, batch));
        Ok::<_, Infallible>(())
    };
    let Ok(report) = read(bytes, compiled, &options, &mut sink);
    let whole = FactTable::ALL.into_iter().filter_map(|table| {
        let of_table: Vec<&RecordBatch> =
            batches.iter().filter(|(t, _)| *t == table).map(|(_, b)| b).collect();
        let schema = of_table.first()?.schema();
        Some((table, concat_batches(&schema, of_table).expect("batches of one table fit together")))
    });
    let whole = whole.collect();
    (report, whole)
}

/// Reads a file and checks what must hold of any; gives the report.
pub fn check(bytes: &[u8]) -> FileReport {
    check_with(bytes, &COMPILED)
}

/// See [`check`].
pub fn check_with(bytes: &[u8], compiled: &Compiled) -> FileReport {
    let (report, tables) = read_file(bytes, compiled, 8_192);
    check_counts(&report, &tables);
    check_findings(&report, compiled);
    for batch_rows in [1, 3] {
        let (other, other_tables) = read_file(bytes, compiled, batch_rows);
        assert_eq!(report, other, "the report depends on the batches' size");
        if !report.file_rejected {
            assert_eq!(tables, other_tables, "the rows depend on the batches' size");
        }
    }
    // A CSV file of KHS records has no end by which it is seen to be whole.
    if !report.file_rejected && !is_khs(bytes) {
        check_cut(bytes, compiled);
    }
    report
}

fn check_counts(report: &FileReport, tables: &[(FactTable, RecordBatch)]) {
    assert_eq!(report.records, report.accepted + report.rejected);
    assert!(report.accepted >= 0 && report.rejected >= 0 && (0..=report.accepted).contains(&report.warned));
    if report.file_rejected {
        return assert_eq!(report.accepted, 0);
    }
    let rows: usize = tables.iter().map(|(_, batch)| batch.num_rows()).sum();
    assert_eq!(rows as i64, report.accepted);
}

fn check_findings(report: &FileReport, compiled: &Compiled) {
    let findings = &report.findings;
    let order = |f: &Finding| (f.record_no, f.code, f.item.clone());
    assert!(findings.windows(2).all(|pair| order(&pair[0]) <= order(&pair[1])), "{findings:?}");
    let error = |f: &&Finding| f.severity == Severity::Error;
    let file_error = findings.iter().filter(error).any(|f| f.code < Code::R01);
    assert_eq!(file_error, report.file_rejected);
    let records: BTreeSet<Option<i64>> =
        findings.iter().filter(error).filter(|f| f.code >= Code::R01).map(|f| f.record_no).collect();
    if !report.file_rejected && report.rejected < ALL_TOLD {
        assert_eq!(records.len() as i64, report.rejected, "a rejected record has an error, no other has");
    }
    for finding in findings {
        assert!(finding.count > 0 && finding.detail.len() < 1_000, "{finding:?}");
        let item = finding.item.as_deref().unwrap_or_default();
        let spec = compiled.spec();
        let (ja, en) = spec.catalogue.messages(finding.code, item, spec.label(item), &finding.detail);
        assert!(!ja.is_empty() && !en.is_empty());
    }
}

/// An accepted file that is cut off before its end record is not accepted.
fn check_cut(bytes: &[u8], compiled: &Compiled) {
    let mut records = Records::new(bytes);
    let mut end = 0;
    while records.advance() {
        end = records.span().start;
    }
    let any = bytes.iter().fold(0usize, |sum, b| sum.wrapping_mul(31).wrapping_add(usize::from(*b)));
    for cut in [end, any % (end + 1)] {
        let (report, _) = read_file(&bytes[..cut], compiled, 8_192);
        assert!(report.file_rejected, "cut at {cut}");
    }
}
