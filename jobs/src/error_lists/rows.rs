//! The rows of a snapshot that lists are made of: the files meant, and findings one after another.
//!
//! Promise: findings come in the order of their table; only one batch of them is held.

use super::Choice;
use crate::publish::spool::sender_name;
use crate::published::run_query;
use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{ArrowPrimitiveType, Date32Type, Int64Type};
use datafusion::execution::SendableRecordBatchStream;
use datafusion::prelude::SessionContext;
use futures::TryStreamExt;
use std::collections::BTreeMap;
use std::str::FromStr;
use tsumiage_schemas::{Code, Day, Month, Severity};

/// A row of `files`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileRow {
    /// Place in the table among those meant.
    pub rank: usize,
    /// Number of the sender, or `unknown`.
    pub sender: String,
    /// Base name.
    pub name: String,
    /// Data type; blank if not known.
    pub data_type: String,
    /// Processing month, if it has a valid one.
    pub processing_month: Option<Month>,
    /// Take-in day.
    pub taken_in_on: Day,
    /// `accepted`, `partly_rejected`, `rejected`, `withdrawn`.
    pub status: String,
    /// Records, accepted, rejected, warned.
    pub counts: [i64; 4],
}

impl FileRow {
    /// The processing month as text; blank if there is none.
    pub fn month(&self) -> String {
        self.processing_month.map(|month| month.to_string()).unwrap_or_default()
    }

    /// Whether it was taken out of the stack.
    pub fn is_withdrawn(&self) -> bool {
        self.status == "withdrawn"
    }
}

fn text(batch: &RecordBatch, column: usize, row: usize) -> Option<&str> {
    let column = batch.column(column);
    column.is_valid(row).then(|| column.as_string::<i32>().value(row))
}

fn number<T: ArrowPrimitiveType>(batch: &RecordBatch, column: usize, row: usize) -> Option<T::Native> {
    let column = batch.column(column);
    column.is_valid(row).then(|| column.as_primitive::<T>().value(row))
}

/// The files that are meant, by file id.
///
/// # Errors
/// The table cannot be read.
pub async fn files(context: &SessionContext, choice: &Choice) -> anyhow::Result<BTreeMap<String, FileRow>> {
    let sql = "SELECT file_id, sender_no, name, data_type, processing_month, taken_in_on, status, \
               records, accepted, rejected, warned FROM files";
    let mut files = BTreeMap::new();
    for batch in run_query(context, sql).await? {
        for row in 0..batch.num_rows() {
            let own = |column| text(&batch, column, row).unwrap_or_default().to_owned();
            let day = |column| number::<Date32Type>(&batch, column, row).map(Day);
            let file = FileRow {
                rank: files.len(),
                sender: sender_name(text(&batch, 1, row)).to_owned(),
                name: own(2),
                data_type: own(3),
                processing_month: day(4).map(Day::month),
                taken_in_on: day(5).unwrap_or(Day(0)),
                status: own(6),
                counts: [7, 8, 9, 10].map(|c| number::<Int64Type>(&batch, c, row).unwrap_or_default()),
            };
            let file_id = own(0);
            if choice.meets(&file_id, &file) {
                files.insert(file_id, file);
            }
        }
    }
    Ok(files)
}

/// A row of `findings`.
#[derive(Clone, Copy, Debug)]
pub struct FindingRow<'b> {
    /// The file.
    pub file_id: &'b str,
    /// Position of the record, control record 1.
    pub record_no: Option<i64>,
    /// Keys of the record as far as they could be read.
    pub insurer_no: &'b str,
    /// Blank if not known.
    pub insured_no: &'b str,
    /// As far as it could be read.
    pub movement_date: Option<Day>,
    /// Severity when it was published.
    pub severity: Severity,
    /// The code.
    pub code: Code,
    /// Name of the item; blank if the record or file is meant.
    pub item: &'b str,
    /// How often.
    pub count: i64,
    /// What to do, in Japanese.
    pub message_ja: &'b str,
}

/// Findings one after another.
pub struct FindingRows {
    stream: SendableRecordBatchStream,
    batch: Option<RecordBatch>,
    row: usize,
}

impl FindingRows {
    /// All findings.
    ///
    /// # Errors
    /// The table cannot be read.
    pub async fn open(context: &SessionContext) -> anyhow::Result<FindingRows> {
        let sql = "SELECT file_id, record_no, insurer_no, insured_no, movement_date, severity, code, item, \
                   count, message_ja FROM findings";
        let stream = context.sql(sql).await?.execute_stream().await?;
        Ok(FindingRows { stream, batch: None, row: 0 })
    }

    /// Goes on to the next row.
    pub fn advance(&mut self) {
        self.row += 1;
    }

    /// The row it stands at; `None` behind the last.
    ///
    /// # Errors
    /// The table cannot be read.
    pub async fn current(&mut self) -> anyhow::Result<Option<FindingRow<'_>>> {
        while self.batch.as_ref().is_none_or(|batch| self.row >= batch.num_rows()) {
            self.batch = self.stream.try_next().await?;
            self.row = 0;
            if self.batch.is_none() {
                return Ok(None);
            }
        }
        let Some(batch) = &self.batch else { return Ok(None) };
        finding(batch, self.row).map(Some).ok_or_else(|| anyhow::anyhow!("a finding has no known code"))
    }
}

fn finding(batch: &RecordBatch, row: usize) -> Option<FindingRow<'_>> {
    let blank = |column| text(batch, column, row).unwrap_or_default();
    Some(FindingRow {
        file_id: blank(0),
        record_no: number::<Int64Type>(batch, 1, row),
        insurer_no: blank(2),
        insured_no: blank(3),
        movement_date: number::<Date32Type>(batch, 4, row).map(Day),
        severity: Severity::from_str(blank(5)).ok()?,
        code: Code::parse(blank(6))?,
        item: blank(7),
        count: number::<Int64Type>(batch, 8, row).unwrap_or(1),
        message_ja: blank(9),
    })
}
