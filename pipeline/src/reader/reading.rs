//! A file, or a part of one, record after record: what is counted and reported of it, and the facts it gives.
//!
//! Promise: nothing depends on how a file is cut into parts: a part counts from its own start and can be taken
//! only where that comes to the same ([`Reading::can_take`]).

use super::compiled::Compiled;
use super::facts::{Columns, Facts};
use super::item::{content, printable};
use super::record::{ExtraColumn, Row};
use super::report::Report;
use super::split::{Items, LineEnd, Record, Splitter};
use super::{Control, FileReport, envelope};
use arrow::array::RecordBatch;
use tsumiage_schemas::finding::Code;
use tsumiage_schemas::{Day, FactTable, RecordKind};

/// What gets the batches.
pub(super) type Sink<'s, E> = dyn FnMut(FactTable, RecordBatch) -> Result<(), E> + 's;

fn earliest(one: Option<i32>, other: Option<i32>) -> Option<i32> {
    one.into_iter().chain(other).min()
}

/// F01: what follows is not read, to protect the machine.
pub(super) fn report_too_long(report: &mut Report<'_>, position: i64, offset: usize) {
    report.file(Code::F01, Some(position), offset, None, format!("long_line:{position}"));
}

pub(super) fn report_line_end(report: &mut Report<'_>, record: &Record, items: Items<'_, '_>, position: i64) {
    match record.line_end {
        LineEnd::CrLf => {}
        LineEnd::Lf => report.form("lf_alone", Some(position), items.offset(0)),
        LineEnd::None => report.form("no_line_end_at_end", Some(position), items.offset(0)),
    }
}

/// Whether a record says that it is the end record.
#[inline]
pub(super) fn is_end(items: Items<'_, '_>) -> bool {
    matches!(items.raw(0), [b'3'] | [b'"', b'3', b'"'])
}

/// A file after its control record, or a part of its records.
pub(super) struct Reading<'c, 'f> {
    pub compiled: &'c Compiled,
    control: Control,
    report: Report<'c>,
    row: Row<'f>,
    pub facts: Option<Facts>,
    /// Position of the record last read; the control record is 1. In a part counted from 0.
    position: i64,
    pub records: i64,
    accepted: i64,
    warned: i64,
    first_movement: Option<i32>,
    sequence: Sequence,
    ended: bool,
    misplaced_end: bool,
    /// A record was too long; nothing behind it is read.
    stopped: bool,
    /// Parts taken.
    pub taken: usize,
}

/// Whether record numbers are positions.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sequence {
    /// So far they are.
    Kept,
    /// One was not, and was reported.
    Broken,
    /// In a part: all were greater than the position by the same; none yet.
    Apart(Option<i64>),
    /// In a part: they were not.
    ApartBroken,
}

impl<'c, 'f> Reading<'c, 'f> {
    /// Behind the control record; `report` is what was said of it.
    pub fn new(
        compiled: &'c Compiled,
        facts: Option<Facts>,
        control: Control,
        report: Report<'c>,
    ) -> Reading<'c, 'f> {
        let sequence = if report.has(Code::F05) { Sequence::Broken } else { Sequence::Kept };
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
            sequence,
            ended: false,
            misplaced_end: false,
            stopped: false,
            taken: 0,
            report,
        }
    }

    /// A part of a file, whose facts are those.
    pub fn apart(compiled: &'c Compiled, facts: Option<Facts>) -> Reading<'c, 'f> {
        let whole = Reading::new(compiled, facts, Control::default(), Report::new(compiled));
        Reading { position: 0, sequence: Sequence::Apart(None), ..whole }
    }

    /// Reads the next record; false at the end, and behind a record that is too long.
    pub fn advance<E>(&mut self, splitter: &mut Splitter<'f>, sink: &mut Sink<'_, E>) -> Result<bool, E> {
        let Some(record) = splitter.advance() else { return Ok(false) };
        if record.too_long {
            self.stopped = true;
            report_too_long(&mut self.report, self.position + 1, splitter.items().offset(0));
            return Ok(false);
        }
        let full = self.record(&record, splitter.items());
        self.give(full, sink)?;
        Ok(true)
    }

    fn give<E>(&self, full: Option<Columns>, sink: &mut Sink<'_, E>) -> Result<(), E> {
        match (full, &self.facts) {
            (Some(columns), Some(facts)) => {
                let (table, batch) = facts.batch(columns);
                sink(table, batch)
            }
            _ => Ok(()),
        }
    }

    /// Reads the record after the last one; gives a batch when one is full.
    #[inline]
    pub fn record(&mut self, record: &Record, items: Items<'_, 'f>) -> Option<Columns> {
        self.position += 1;
        report_line_end(&mut self.report, record, items, self.position);
        if !is_end(items) {
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

    fn data(&mut self, record: &Record, items: Items<'_, 'f>) -> Option<Columns> {
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
            self.first_movement = earliest(self.first_movement, self.row.movement_date);
        }
        if self.report.file_rejected {
            return None;
        }
        self.facts.as_mut()?.push(&self.row, plan, self.position, items.offset(0))
    }

    /// F05: the first record whose number is not its position. What is not a number is reported as such.
    fn check_sequence(&mut self, carried: Option<i64>, items: Items<'_, 'f>) {
        let Some(carried) = carried else { return };
        let ahead = carried.saturating_sub(self.position);
        match self.sequence {
            Sequence::Kept if ahead != 0 => {
                self.sequence = Sequence::Broken;
                let detail = format!("{carried} ≠ {}", self.position);
                self.report.file(Code::F05, Some(self.position), items.offset(1), None, detail);
            }
            Sequence::Apart(None) => self.sequence = Sequence::Apart(Some(ahead)),
            Sequence::Apart(Some(before)) if ahead != before => self.sequence = Sequence::ApartBroken,
            _ => {}
        }
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

    /// Everything is read: what is missing is reported, and the last batches are given.
    pub fn end<E>(&mut self, end: usize, sink: &mut Sink<'_, E>) -> Result<(), E> {
        if self.stopped {
            return Ok(());
        }
        self.check_whole(end);
        if self.report.file_rejected {
            return Ok(());
        }
        for table in FactTable::ALL {
            let rest = self.facts.as_mut().and_then(|facts| facts.take(table));
            self.give(rest, sink)?;
        }
        Ok(())
    }

    /// Whether a part that was read apart says what would be said if it were read now.
    pub fn can_take(&self, part: &Reading<'_, '_>) -> bool {
        let numbers = match (self.sequence, part.sequence) {
            (Sequence::Broken, _) | (_, Sequence::Apart(None)) => true,
            (_, Sequence::Apart(Some(ahead))) => ahead == self.position,
            _ => false,
        };
        let facts = part.facts.is_some() || self.facts.is_none() || self.report.file_rejected;
        numbers && facts && self.report.can_take(&part.report)
    }

    /// Takes in a part that follows, and its facts.
    pub fn take<E>(
        &mut self,
        part: Reading<'c, '_>,
        facts: Vec<Columns>,
        sink: &mut Sink<'_, E>,
    ) -> Result<(), E> {
        let before = self.position;
        self.taken += 1;
        self.position += part.position;
        self.records += part.records;
        self.accepted += part.accepted;
        self.warned += part.warned;
        self.first_movement = earliest(self.first_movement, part.first_movement);
        self.report.take(part.report, before);
        let Some(mut own) = self.facts.take().filter(|_| !self.report.file_rejected) else { return Ok(()) };
        let mut full = Vec::new();
        for columns in &facts {
            let Ok(()) = own.append(columns, before, &mut |columns| {
                full.push(columns);
                Ok::<_, std::convert::Infallible>(())
            });
        }
        self.facts = Some(own);
        full.sort_by_key(Columns::last_record); // as they get full, whatever their table
        full.into_iter().try_for_each(|columns| self.give(Some(columns), sink))
    }

    /// What is to be said of the file.
    pub fn finish(self) -> FileReport {
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
