//! Reads exchange files (domain 1, 2, 7): bytes in, batches of facts and findings out.
//!
//! Promise: every byte sequence gives a report, never a panic; data faults are findings, the only
//! `Err` is the sink's; what is reported and emitted depends on the bytes, the spec and the options
//! alone.

mod columns;
mod compiled;
mod envelope;
mod facts;
mod item;
mod kind_of_file;
mod plain;
mod record;
mod records;
mod report;
mod split;
#[cfg(test)]
mod tests;

pub use compiled::Compiled;
pub use records::{MOST_ITEMS, MOST_RECORD_BYTES, Records};

use arrow::array::RecordBatch;
use facts::Facts;
use item::{content, printable};
use kind_of_file::kind_of_file;
use record::{ExtraColumn, Row};
use report::Report;
use split::{Items, LineEnd, Record, Splitter, whole};
use tsumiage_schemas::finding::{Code, Finding};
use tsumiage_schemas::{Day, FactTable, Month, RecordKind};

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

/// Reads one whole file. `sink` gets batches in `tables::fact_schema` (`file_seq` 0, processing month
/// of the control record) of the accepted records of each table in file order, each of exactly
/// `batch_rows` rows but the last of its table and those with some MiB of text. Where the report says `file_rejected`, what the sink got must be thrown away.
///
/// # Errors
/// The sink's, at once.
pub fn read<E>(
    bytes: &[u8],
    compiled: &Compiled,
    options: &ReadOptions,
    sink: &mut dyn FnMut(FactTable, RecordBatch) -> Result<(), E>,
) -> Result<FileReport, E> {
    let mut report = Report::new(compiled);
    let body = whole(bytes, &mut |form, at| report.form(form, None, at));
    let mut splitter = Splitter::new(body);
    let first = splitter.advance().filter(|_| content(splitter.items().raw(0)) == b"1");
    let Some(first) = first.filter(|first| !first.too_long) else {
        match first {
            Some(_) => report_too_long(&mut report, 1, 0),
            None => report.file(Code::F01, None, 0, None, kind_of_file(bytes)),
        }
        return Ok(Reading::new(compiled, options, 0, Control::default(), report).finish());
    };
    report_line_end(&mut report, &first, splitter.items(), 1);
    let control = envelope::read_control(compiled, splitter.items(), first.unclosed, options, &mut report);
    let mut reading = Reading::new(compiled, options, body.len(), control, report);
    while let Some(record) = splitter.advance() {
        if record.too_long {
            report_too_long(&mut reading.report, reading.position + 1, splitter.items().offset(0));
            return Ok(reading.finish());
        }
        if let Some((table, batch)) = reading.record(&record, splitter.items()) {
            sink(table, batch)?;
        }
    }
    reading.check_whole(body.len());
    for (table, batch) in reading.last_batches() {
        sink(table, batch)?;
    }
    Ok(reading.finish())
}

/// What the control record says, as [`read`] reports it, without reading the rest.
pub fn control_of(bytes: &[u8], compiled: &Compiled, options: &ReadOptions) -> Control {
    let mut report = Report::new(compiled);
    let mut splitter = Splitter::new(whole(bytes, &mut |_, _| ()));
    match splitter.advance().filter(|first| !first.too_long && content(splitter.items().raw(0)) == b"1") {
        Some(first) => {
            envelope::read_control(compiled, splitter.items(), first.unclosed, options, &mut report)
        }
        None => Control::default(),
    }
}

/// F01: what follows is not read, to protect the machine.
fn report_too_long(report: &mut Report<'_>, position: i64, offset: usize) {
    report.file(Code::F01, Some(position), offset, None, format!("long_line:{position}"));
}

fn report_line_end(report: &mut Report<'_>, record: &Record, items: Items<'_, '_>, position: i64) {
    match record.line_end {
        LineEnd::CrLf => {}
        LineEnd::Lf => report.form("lf_alone", Some(position), items.offset(0)),
        LineEnd::None => report.form("no_line_end_at_end", Some(position), items.offset(0)),
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
    fn record(&mut self, record: &Record, items: Items<'_, 'f>) -> Option<(FactTable, RecordBatch)> {
        self.position += 1;
        report_line_end(&mut self.report, record, items, self.position);
        if !matches!(items.raw(0), b"3" | b"\"3\"") {
            return self.data(record, items);
        }
        if record.last {
            self.ended = true;
            let carried =
                envelope::read_end(self.compiled, items, record.unclosed, self.position, &mut self.report);
            self.check_sequence(carried, items);
        } else if !self.misplaced_end {
            self.misplaced_end = true;
            self.report.file(
                Code::F04,
                Some(self.position),
                items.offset(0),
                None,
                "end_record_not_last".to_owned(),
            );
        }
        None
    }

    fn data(&mut self, record: &Record, items: Items<'_, 'f>) -> Option<(FactTable, RecordBatch)> {
        self.records += 1;
        if self.records == 1 && !self.report.has(Code::F06) {
            self.check_first_id(items);
        }
        self.row.read(self.compiled, items, record.unclosed);
        self.check_sequence(self.row.number, items);
        if let Some(extra) = self.row.extra_column {
            let form = match extra {
                ExtraColumn::Empty => "extra_empty_column",
                ExtraColumn::LineEndText => "line_end_text_column",
            };
            self.report.form(form, Some(self.position), items.offset(items.len() - 1));
        }
        if !self.row.faults.is_empty() {
            self.report.row(&self.row, self.position, items);
        }
        if !self.row.accepted(self.compiled) {
            return None;
        }
        self.accepted += 1;
        self.warned += i64::from(self.row.warned());
        let plan = &self.compiled.plans[self.row.plan?];
        if plan.kind == RecordKind::RecipientMovement {
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
            let id = if id.is_empty() { "\"\"".to_owned() } else { printable(&id) };
            let detail = format!("{} ≠ {id}", printable(data_type.as_bytes()));
            self.report.file(Code::F06, Some(self.position), items.offset(2), None, detail);
        }
    }

    /// F03 and F04, when everything is read.
    fn check_whole(&mut self, end: usize) {
        if !self.ended && !self.misplaced_end {
            self.report.file(Code::F04, Some(self.position), end, None, "missing_end_record".to_owned());
        }
        if let Some(promised) = self.control.record_count.filter(|count| *count != self.records) {
            let detail = format!("{promised} ≠ {}", self.records);
            self.report.file(Code::F03, Some(1), 0, None, detail);
        }
    }

    fn last_batches(&mut self) -> Vec<(FactTable, RecordBatch)> {
        let Some(mut facts) = self.facts.take().filter(|_| !self.report.file_rejected) else {
            return Vec::new();
        };
        FactTable::ALL.into_iter().filter_map(|table| Some((table, facts.take(table)?))).collect()
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
