//! Reads exchange files (domain 1, 2, 7), and KHS files (`khs`; domain 6): bytes in, batches of facts and findings out.
//!
//! Promise: every byte sequence gives a report, never a panic; data faults are findings, the only
//! `Err` is the sink's; what is reported and emitted depends on the bytes, the spec and the options
//! alone.

mod buffers;
mod by_bytes;
mod columns;
mod compiled;
mod envelope;
mod facts;
pub mod inside;
mod item;
pub mod khs;
mod kind_of_file;
mod lane;
mod masks;
mod parts;
mod plain;
mod reading;
mod record;
mod records;
mod report;
mod split;
#[cfg(test)]
mod tests;
mod walk;

pub use compiled::Compiled;
pub use records::{MOST_ITEMS, MOST_RECORD_BYTES, Records};

use arrow::array::RecordBatch;
use facts::Facts;
use item::content;
use kind_of_file::kind_of_file;
use reading::{Reading, report_line_end, report_too_long};
use report::Report;
use split::{Splitter, whole};
use tsumiage_schemas::finding::{Code, Finding, Severity};
use tsumiage_schemas::{Day, FactTable, Month};

/// How to read.
#[derive(Clone, Copy, Debug)]
pub struct ReadOptions {
    /// Rows of every batch but the last; at least 1.
    pub batch_rows: usize,
    /// The take-in day, for F10.
    pub taken_in_on: Day,
    /// Newest processing month that was closed when the file arrived, for F08.
    pub closed_through: Option<Month>,
}

/// What the control record says, as far as it is valid.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Control {
    /// First three characters of the exchange ids.
    pub data_type: Option<String>,
    /// The sender: insurer number, else welfare office, else prefecture.
    pub sender_no: Option<String>,
    /// The sender's insurer number, six digits.
    pub sender_insurer_no: Option<String>,
    /// Processing month.
    pub processing_month: Option<Month>,
    /// Number of data records promised.
    pub record_count: Option<i64>,
}

/// What is known of a file when it is read.
#[derive(Clone, Debug, PartialEq)]
pub struct FileReport {
    /// The control record.
    pub control: Control,
    /// All findings, by record number, code and item; those about the whole file first.
    pub findings: Vec<Finding>,
    /// Data records found.
    pub records: i64,
    /// Records without an error; 0 if the file is rejected.
    pub accepted: i64,
    /// Records with an error; all if the file is rejected.
    pub rejected: i64,
    /// Accepted records with a warning.
    pub warned: i64,
    /// The file has a file error: batches already given to the sink do not count.
    pub file_rejected: bool,
    /// Least movement date of the accepted movements (5311).
    pub first_movement: Option<Day>,
}

impl FileReport {
    /// Rejects a file whose month was closed while it stood rejected for another reason.
    pub(crate) fn comes_too_late(&mut self) {
        let finding = Finding {
            code: Code::F08,
            severity: Severity::Error,
            record_no: Some(1),
            byte_offset: Some(0),
            insurer_no: None,
            insured_no: None,
            movement_date: None,
            item: None,
            count: 1,
            detail: self.control.processing_month.map(|month| month.to_string()).unwrap_or_default(),
        };
        let at = self.findings.partition_point(|f| (f.record_no, f.code) < (Some(1), Code::F08));
        self.findings.insert(at, finding);
        self.file_rejected = true;
        (self.accepted, self.rejected, self.warned) = (0, self.records, 0);
    }
}

/// Bytes from which on a file is worth being read by several threads.
const LARGE_FILE: usize = 32 << 20;

/// Reads one whole file. `sink` gets batches in `tables::fact_schema` (`file_seq` 0, processing month
/// of the control record) of the accepted records of each table in file order, each of exactly
/// `batch_rows` rows but the last of its table and those with some MiB of text. Where the report says `file_rejected`, what the sink got must be thrown away.
/// A large file is read by as many threads as rayon has here; what comes of it is the same.
///
/// # Errors
/// The sink's, at once.
pub fn read<E>(
    bytes: &[u8],
    compiled: &Compiled,
    options: &ReadOptions,
    sink: &mut dyn FnMut(FactTable, RecordBatch) -> Result<(), E>,
) -> Result<FileReport, E> {
    let threads = if bytes.len() < LARGE_FILE { 1 } else { rayon::current_num_threads() };
    read_on(threads, bytes, compiled, options, sink)
}

/// [`read`] by so many threads, however large the file is.
///
/// # Errors
/// The sink's, at once.
pub fn read_on<E>(
    threads: usize,
    bytes: &[u8],
    compiled: &Compiled,
    options: &ReadOptions,
    sink: &mut dyn FnMut(FactTable, RecordBatch) -> Result<(), E>,
) -> Result<FileReport, E> {
    let cut = (threads > 1).then_some(parts::Cut { bytes: parts::PART, rows: parts::ROWS, ahead: threads });
    read_cut(cut, bytes, compiled, options, sink)
}

/// [`read`], where the file is cut so, or in one pass.
fn read_cut<E>(
    cut: Option<parts::Cut>,
    bytes: &[u8],
    compiled: &Compiled,
    options: &ReadOptions,
    sink: &mut dyn FnMut(FactTable, RecordBatch) -> Result<(), E>,
) -> Result<FileReport, E> {
    if khs::is_khs(bytes) {
        return khs::read(bytes, compiled, options, sink);
    }
    let mut report = Report::new(compiled);
    let body = whole(bytes, &mut |form, at| report.form(form, None, at));
    let mut splitter = Splitter::new(body);
    let first = splitter.advance().filter(|_| content(splitter.items().raw(0)) == b"1");
    let Some(first) = first.filter(|first| !first.too_long) else {
        match first {
            Some(_) => report_too_long(&mut report, 1, 0),
            None => report.file(Code::F01, None, 0, None, kind_of_file(bytes)),
        }
        return Ok(Reading::new(compiled, None, Control::default(), report).finish());
    };
    report_line_end(&mut report, &first, splitter.items(), 1);
    let control = envelope::read_control(compiled, splitter.items(), first.unclosed, options, &mut report);
    let facts = |month| Facts::new(compiled, options.batch_rows, body, month);
    let facts = control.processing_month.map(facts);
    let mut reading = Reading::new(compiled, facts, control, report);
    if let Some(cut) = cut {
        splitter = parts::read(cut, &mut reading, splitter, sink)?;
    }
    while reading.advance(&mut splitter, sink)? {}
    reading.end(body.len(), sink)?;
    Ok(reading.finish())
}

/// What the control record says, as [`read`] reports it, without reading the rest.
pub fn control_of(bytes: &[u8], compiled: &Compiled, options: &ReadOptions) -> Control {
    if khs::is_khs(bytes) {
        return khs::control(bytes, options);
    }
    let mut report = Report::new(compiled);
    let mut splitter = Splitter::new(whole(bytes, &mut |_, _| ()));
    match splitter.advance().filter(|first| !first.too_long && content(splitter.items().raw(0)) == b"1") {
        Some(first) => {
            envelope::read_control(compiled, splitter.items(), first.unclosed, options, &mut report)
        }
        None => Control::default(),
    }
}
