//! Reads exchange files (domain 1, 2, 7): bytes in, batches of facts and findings out.
//!
//! Promise: every byte sequence gives a report, never a panic; data faults are findings, the only
//! `Err` is the sink's; what is reported and emitted depends on the bytes, the spec and the options
//! alone.

mod compiled;
mod envelope;
mod facts;
mod item;
mod plain;
mod record;
mod report;
mod split;
#[cfg(test)]
mod tests;

pub use compiled::Compiled;

use arrow::array::RecordBatch;
use facts::Facts;
use item::{content, printable};
use record::Row;
use report::Report;
use split::{Items, LineEnd, Record, Splitter};
use tsumiage_schemas::finding::{Code, Finding};
use tsumiage_schemas::{Day, Month};

/// How to read.
#[derive(Clone, Copy, Debug)]
pub struct ReadOptions {
    /// Rows of every batch but the last; at least 1.
    pub batch_rows: usize,
    /// The take-in day, for F10.
    pub taken_in_on: Day,
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

/// Reads one whole file. `sink` gets batches in `tables::fact_schema` (`file_seq` 0, processing month
/// of the control record) of the accepted records in file order, each of exactly `batch_rows` rows but
/// the last. Where the report says `file_rejected`, what the sink got must be thrown away.
///
/// # Errors
/// The sink's, at once.
pub fn read<E>(
    bytes: &[u8],
    compiled: &Compiled,
    options: &ReadOptions,
    sink: &mut dyn FnMut(RecordBatch) -> Result<(), E>,
) -> Result<FileReport, E> {
    let mut report = Report::new(compiled);
    let body = without_tail(bytes, &mut report);
    let mut splitter = Splitter::new(body);
    let first = splitter.advance().filter(|_| content(splitter.items().raw(0)) == b"1");
    let Some(first) = first else {
        let start = &bytes[..bytes.len().min(20)];
        report.file(Code::F01, None, 0, None, printable(start));
        return Ok(Reading::new(compiled, options, 0, Control::default(), report).finish());
    };
    report_line_end(&mut report, &first, splitter.items(), 1);
    let control =
        envelope::read_control(compiled, splitter.items(), first.unclosed, options.taken_in_on, &mut report);
    let mut reading = Reading::new(compiled, options, body.len(), control, report);
    while let Some(record) = splitter.advance() {
        if let Some(batch) = reading.record(&record, splitter.items()) {
            sink(batch)?;
        }
    }
    reading.check_whole(body.len());
    if let Some(batch) = reading.last_batch() {
        sink(batch)?;
    }
    Ok(reading.finish())
}

/// Takes end-of-file marks (0x1A) and empty lines off the end.
fn without_tail<'f>(bytes: &'f [u8], report: &mut Report<'_>) -> &'f [u8] {
    let mut body = bytes;
    loop {
        if let Some(before) = body.strip_suffix(b"\x1a") {
            body = before;
            report.form("trailing 0x1A", None, body.len());
            continue;
        }
        let line = body.strip_suffix(b"\n").map(|line| line.strip_suffix(b"\r").unwrap_or(line));
        match line {
            Some(line) if line.is_empty() || line.ends_with(b"\n") => {
                body = line;
                report.form("empty line at the end", None, body.len());
            }
            _ => return body,
        }
    }
}

fn report_line_end(report: &mut Report<'_>, record: &Record, items: Items<'_, '_>, position: i64) {
    match record.line_end {
        LineEnd::CrLf => {}
        LineEnd::Lf => report.form("LF alone", Some(position), items.offset(0)),
        LineEnd::None => report.form("no line end at the end", Some(position), items.offset(0)),
    }
}

/// A file after its control record.
struct Reading<'c, 'f> {
    compiled: &'c Compiled,
    control: Control,
    report: Report<'c>,
    row: Row<'f>,
    facts: Option<Facts>,
    /// Position of the record last read; the control record is 1.
    position: i64,
    records: i64,
    accepted: i64,
    warned: i64,
    first_movement: Option<i32>,
    in_sequence: bool,
    ended: bool,
    misplaced_end: bool,
}

impl<'c, 'f> Reading<'c, 'f> {
    fn new(
        compiled: &'c Compiled,
        options: &ReadOptions,
        bytes: usize,
        control: Control,
        report: Report<'c>,
    ) -> Reading<'c, 'f> {
        let facts =
            control.processing_month.map(|month| Facts::new(compiled, options.batch_rows, bytes, month));
        Reading {
            compiled,
            control,
            row: Row::new(),
            facts,
            position: 1,
            records: 0,
            accepted: 0,
            warned: 0,
            first_movement: None,
            in_sequence: !report.has(Code::F05),
            ended: false,
            misplaced_end: false,
            report,
        }
    }

    /// Reads the record after the last one; gives a batch when one is full.
    fn record(&mut self, record: &Record, items: Items<'_, 'f>) -> Option<RecordBatch> {
        self.position += 1;
        report_line_end(&mut self.report, record, items, self.position);
        if !matches!(items.raw(0), b"3" | b"\"3\"") {
            return self.data(record, items);
        }
        if record.last {
            self.ended = true;
            let carried = envelope::read_end(items, record.unclosed, self.position, &mut self.report);
            self.check_sequence(carried, items);
        } else if !self.misplaced_end {
            self.misplaced_end = true;
            self.report.file(Code::F04, Some(self.position), items.offset(0), None, "not last".to_owned());
        }
        None
    }

    fn data(&mut self, record: &Record, items: Items<'_, 'f>) -> Option<RecordBatch> {
        self.records += 1;
        if self.records == 1 && !self.report.has(Code::F06) {
            self.check_first_id(items);
        }
        self.row.read(self.compiled, items, record.unclosed);
        self.check_sequence(self.row.number, items);
        if self.row.extra_column {
            self.report.form("extra empty column", Some(self.position), items.offset(items.len() - 1));
        }
        if !self.row.faults.is_empty() {
            self.report.row(&self.row, self.position, items);
        }
        if !self.row.accepted() {
            return None;
        }
        self.accepted += 1;
        self.warned += i64::from(self.row.warned());
        let plan = &self.compiled.plans[self.row.plan?];
        if !plan.is_correction {
            self.first_movement = self.first_movement.into_iter().chain(self.row.movement_date).min();
        }
        if self.report.file_rejected {
            return None;
        }
        self.facts.as_mut()?.push(&self.row, plan, self.position, items.offset(0))
    }

    /// F05: the first record whose number is not its position. What is not a number is reported as such.
    fn check_sequence(&mut self, carried: Option<i64>, items: Items<'_, 'f>) {
        let Some(carried) = carried.filter(|n| self.in_sequence && *n != self.position) else { return };
        self.in_sequence = false;
        let detail = format!("{carried} ≠ {}", self.position);
        self.report.file(Code::F05, Some(self.position), items.offset(1), None, detail);
    }

    /// F06: the data type is the start of the first data record's exchange id.
    fn check_first_id(&mut self, items: Items<'_, 'f>) {
        let Some(data_type) = self.control.data_type.as_ref().filter(|_| items.len() > 2) else { return };
        let id = content(items.raw(2));
        if id.get(..3) != Some(data_type.as_bytes()) {
            let detail = format!("{} ≠ {}", printable(data_type.as_bytes()), printable(&id));
            self.report.file(Code::F06, Some(self.position), items.offset(2), None, detail);
        }
    }

    /// F03 and F04, when everything is read.
    fn check_whole(&mut self, end: usize) {
        if !self.ended && !self.misplaced_end {
            self.report.file(Code::F04, Some(self.position), end, None, String::new());
        }
        if let Some(promised) = self.control.record_count.filter(|count| *count != self.records) {
            let detail = format!("{promised} ≠ {}", self.records);
            self.report.file(Code::F03, Some(1), 0, None, detail);
        }
    }

    fn last_batch(&mut self) -> Option<RecordBatch> {
        let mut facts = self.facts.take()?;
        if self.report.file_rejected { None } else { facts.take() }
    }

    fn finish(self) -> FileReport {
        let file_rejected = self.report.file_rejected;
        let accepted = if file_rejected { 0 } else { self.accepted };
        FileReport {
            control: self.control,
            records: self.records,
            accepted,
            rejected: self.records - accepted,
            warned: if file_rejected { 0 } else { self.warned },
            file_rejected,
            first_movement: self.first_movement.filter(|_| !file_rejected).map(Day),
            findings: self.report.into_findings(),
        }
    }
}
