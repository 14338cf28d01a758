//! Reads KHS files (domain 6): an answer of the JSON interface or a CSV file behind a line of ours that says what was
//! asked; facts and findings out, as of an exchange file. The line stands for the control record: it is record 1.
//!
//! * `head` that line, `person` the fields of one record, `facts` batches
//! * `json` (by `object`), `csv` the two forms of what follows
//!
//! Promise: as of the reader: every byte sequence gives a report. What the other side answers is accepted liberally where
//! the seed is odd (a number as text, a missing list on failure), and told.

mod csv;
mod facts;
mod head;
mod json;
mod object;
mod person;
#[cfg(test)]
mod tests;

pub use head::{Asked, Form, Head, is_khs};

use super::compiled::Compiled;
use super::report::Report;
use super::{Control, FileReport, ReadOptions};
use arrow::array::RecordBatch;
use facts::{Accepted, Facts};
use person::{Person, shown};
use std::collections::HashMap;
use std::sync::Arc;
use tsumiage_schemas::finding::{Code, Finding, Severity};
use tsumiage_schemas::khs::DATA_TYPE;
use tsumiage_schemas::{FactTable, Month};

/// Most errors of records that stand one by one; more are counted per code and item, as warnings are.
const MOST_ERRORS: usize = 100_000;

/// What the first line says, as the control record of an exchange file does. Nothing that is closed changes: what
/// comes in a closed month is known from the first open one on.
pub(super) fn control(bytes: &[u8], options: &ReadOptions) -> Control {
    match Head::parse(bytes) {
        Ok((head, _)) => control_of(&head, options),
        Err(_) => Control::default(),
    }
}

fn control_of(head: &Head, options: &ReadOptions) -> Control {
    let arrived = options.taken_in_on.month();
    let month = options.closed_through.map_or(arrived, |closed| arrived.max(Month(closed.0 + 1)));
    Control {
        data_type: Some(DATA_TYPE.to_owned()),
        sender_no: head.insurer_no.clone(),
        sender_insurer_no: head.insurer_no.clone(),
        processing_month: Some(month),
        record_count: None,
    }
}

/// What gets the batches.
type Sink<'s, E> = dyn FnMut(FactTable, RecordBatch) -> Result<(), E> + 's;

/// Reads one whole file; see [`super::read`].
///
/// # Errors
/// The sink's, at once.
pub(super) fn read<E>(
    bytes: &[u8],
    compiled: &Compiled,
    options: &ReadOptions,
    sink: &mut Sink<'_, E>,
) -> Result<FileReport, E> {
    let (head, body) = match Head::parse(bytes) {
        Ok(parsed) => parsed,
        Err(why) => {
            let mut report = Report::new(compiled);
            report.file(Code::F01, None, 0, None, format!("khs_head:{}", shown(&why)));
            return Ok(Reading::new(compiled, options, None, report).finish());
        }
    };
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    let body_at = bytes.len() - body.len();
    let mut reading = Reading::new(compiled, options, Some(head), Report::new(compiled));
    match reading.form() {
        Some(Form::Json) => json::read(body, body_at, &mut reading, sink)?,
        Some(Form::Csv) => csv::read(body, body_at, &mut reading, sink)?,
        None => {}
    }
    reading.end(sink)?;
    Ok(reading.finish())
}

/// A file on its way.
struct Reading<'c> {
    compiled: &'c Compiled,
    head: Option<Head>,
    control: Control,
    /// Findings about the file.
    report: Report<'c>,
    /// Findings about records.
    findings: Vec<Finding>,
    /// Where those stand that are only counted.
    counted: HashMap<(Code, Option<String>), usize>,
    facts: Option<Facts>,
    batch_rows: usize,
    records: i64,
    accepted: i64,
    warned: i64,
}

impl<'c> Reading<'c> {
    fn new(
        compiled: &'c Compiled,
        options: &ReadOptions,
        head: Option<Head>,
        report: Report<'c>,
    ) -> Reading<'c> {
        let control = head.as_ref().map(|head| control_of(head, options)).unwrap_or_default();
        let schema = Arc::clone(&compiled.schemas[FactTable::Khs as usize]);
        // The day on which it came; an answer may have lain in an inbox, but none is taken in before it came.
        let on = head.as_ref().map_or(options.taken_in_on, |head| head.on.min(options.taken_in_on));
        let facts = control.processing_month.map(|month| Facts::new(schema, on, month));
        Reading {
            compiled,
            head,
            control,
            report,
            findings: Vec::new(),
            counted: HashMap::new(),
            facts,
            batch_rows: options.batch_rows.max(1),
            records: 0,
            accepted: 0,
            warned: 0,
        }
    }

    fn form(&self) -> Option<Form> {
        self.head.as_ref().map(|head| head.form)
    }

    /// A record of a person that stands at an offset.
    fn person<E>(&mut self, person: Person, offset: usize, sink: &mut Sink<'_, E>) -> Result<(), E> {
        self.records += 1;
        let record_no = self.records + 1; // the first line is 1
        let asked = self.not_asked_for(&person);
        let all = person.found.iter().cloned().chain(asked);
        let mut worst = Severity::Info;
        for (code, item, detail) in all {
            let severity = self.compiled.severity(code);
            worst = worst.max(severity);
            self.found(&person, record_no, offset, (code, severity, item, detail));
        }
        for _ in 0..person.numbers {
            self.report.form("khs_number", Some(record_no), offset);
        }
        if worst == Severity::Error {
            return Ok(());
        }
        self.accepted += 1;
        let warned = worst == Severity::Warning;
        self.warned += i64::from(warned);
        let Some(facts) = &mut self.facts else { return Ok(()) };
        facts.push(&Accepted {
            insurer_no: person.text("insurer_no"),
            insured_no: person.text("insured_no"),
            status: person.text("status"),
            end_date: person.days.get("end_date").copied(),
            end_cancel_date: person.days.get("end_cancel_date").copied(),
            record_no,
            byte_offset: offset,
            warned,
        });
        if facts.rows() >= self.batch_rows && !self.report.file_rejected {
            let batch = facts.take();
            return sink(FactTable::Khs, batch);
        }
        Ok(())
    }

    /// R15: somebody who was not asked for.
    fn not_asked_for(&self, person: &Person) -> Vec<person::Found> {
        let mut found = Vec::new();
        let Some(head) = &self.head else { return found };
        let (insurer_no, insured_no) = (person.texts.get("insurer_no"), person.texts.get("insured_no"));
        if let (Some(asked), Some(members), Some(no)) = (&head.insurer_no, &head.members, insurer_no)
            && no != asked
            && !members.contains(no)
        {
            found.push((Code::R15, Some("insurer_no".to_owned()), format!("{no} ≠ {asked}")));
        }
        if let (Some(asked), Some(no)) = (&head.insured_no, insured_no)
            && no != asked
        {
            found.push((Code::R15, Some("insured_no".to_owned()), shown(no)));
        }
        found
    }

    fn found(
        &mut self,
        person: &Person,
        record_no: i64,
        offset: usize,
        (code, severity, item, detail): (Code, Severity, Option<String>, String),
    ) {
        if severity != Severity::Error || self.findings.len() >= MOST_ERRORS {
            match self.counted.get(&(code, item.clone())) {
                Some(&at) => {
                    self.findings[at].count += 1;
                    return;
                }
                None => {
                    self.counted.insert((code, item.clone()), self.findings.len());
                }
            }
        }
        self.findings.push(Finding {
            code,
            severity,
            record_no: Some(record_no),
            byte_offset: Some(offset as u64),
            insurer_no: person.texts.get("insurer_no").cloned(),
            insured_no: person.texts.get("insured_no").cloned(),
            movement_date: None,
            item,
            count: 1,
            detail,
        });
    }

    /// A fault of the answer around the records: an error, or where the seed is odd a tolerated form.
    fn of_answer(&mut self, code: Code, field: &str, detail: String) {
        self.report.file(code, Some(1), 0, Some(field), detail);
    }

    /// The last batch.
    fn end<E>(&mut self, sink: &mut Sink<'_, E>) -> Result<(), E> {
        match &mut self.facts {
            Some(facts) if facts.rows() > 0 && !self.report.file_rejected => {
                let batch = facts.take();
                sink(FactTable::Khs, batch)
            }
            _ => Ok(()),
        }
    }

    fn finish(mut self) -> FileReport {
        let file_rejected = self.report.file_rejected;
        let accepted = if file_rejected { 0 } else { self.accepted };
        let mut findings = self.report.into_findings();
        findings.append(&mut self.findings);
        findings.sort_by(|a, b| (a.record_no, a.code, &a.item).cmp(&(b.record_no, b.code, &b.item)));
        FileReport {
            control: self.control,
            findings,
            records: self.records,
            accepted,
            rejected: self.records - accepted,
            warned: if file_rejected { 0 } else { self.warned },
            file_rejected,
            first_movement: None,
        }
    }
}
