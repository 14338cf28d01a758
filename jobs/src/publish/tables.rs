//! The columns of `recipient_history` and `recipient_month`, gathered from a stacked chunk.
//!
//! Promise: a month's row is a row of the history plus what the calendar says; values are only gathered.

use super::calendar::{Calendar, Levels, Live, MonthRows, NONE, Remark};
use super::digest::{OWN_MONTH_COLUMNS, chain};
use super::named::{holder_names, units_of_rows};
use crate::registry::{MunicipalLimits, Names};
use crate::stack::fact::{Change, State};
use crate::stack::gather::{column, stream_ends};
use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Date32Array, Int32Array, RecordBatch, StringArray, UInt32Array,
    new_null_array,
};
use arrow::compute::take;
use arrow::datatypes::{DataType, Date32Type, Int32Type, SchemaRef, UInt8Type};
use arrow::error::ArrowError;
use std::sync::Arc;
use tsumiage_schemas::{Day, Month, MonthRange};

/// What gathering needs besides the chunk.
pub struct Context<'a> {
    /// Months to publish.
    pub range: MonthRange,
    /// Care levels and their weights.
    pub levels: &'a Levels,
    /// `levels.in_months(range)`.
    pub limits: &'a [Vec<Option<(i32, i32)>>],
    /// File ids by file number.
    pub file_ids: &'a [String],
    /// Names of the holders.
    pub names: &'a Names,
    /// Limits that municipalities have of their own.
    pub municipal: &'a MunicipalLimits,
    /// Schema of `recipient_history`.
    pub history: &'a SchemaRef,
    /// Schema of `recipient_month`.
    pub month: &'a SchemaRef,
}

/// The history of a chunk and what it says of the months.
pub struct ChunkTables<'a> {
    /// Rows of `recipient_history`.
    pub history: RecordBatch,
    /// Hash chain of the shared columns of every history row.
    pub shared: Vec<u64>,
    /// Per published month, rows of `history`.
    pub months: Vec<MonthRows>,
    /// Findings; rows of the stacked chunk.
    pub remarks: Vec<Remark>,
    /// Streams in the chunk.
    pub streams: usize,
    context: &'a Context<'a>,
}

/// Reads the live records of a stacked chunk and answers every question about their months.
///
/// # Errors
/// Arrow refuses a column.
pub fn chunk_tables<'a>(
    stacked: &RecordBatch,
    context: &'a Context<'a>,
) -> Result<ChunkTables<'a>, ArrowError> {
    let states = stacked.column_by_name("state").map(|c| c.as_primitive::<UInt8Type>());
    let states = states.ok_or_else(|| ArrowError::SchemaError("not a stacked chunk".to_owned()))?;
    let live_rows: Vec<u32> = (0..stacked.num_rows() as u32)
        .filter(|&row| states.value(row as usize) == State::Live as u8)
        .collect();
    let mut calendar = Calendar::new(context.range, context.limits);
    let streams = add_streams(&mut calendar, stacked, &live_rows, context)?;
    let remarks = calendar.remarks.into_iter().map(|remark| at_chunk_row(remark, &live_rows)).collect();
    let history = history(stacked, &live_rows, &calendar.spans, context)?;
    let shared = shared_hashes(&history, context);
    Ok(ChunkTables { history, shared, months: calendar.months, remarks, streams, context })
}

fn at_chunk_row(remark: Remark, live_rows: &[u32]) -> Remark {
    let row = live_rows[remark.row() as usize];
    remark.at(row)
}

/// Adds the chunk's streams and tells how many; a `Live::row` is a place in `live_rows`, the row of the
/// history.
fn add_streams(
    calendar: &mut Calendar<'_>,
    stacked: &RecordBatch,
    live_rows: &[u32],
    context: &Context<'_>,
) -> Result<usize, ArrowError> {
    let dates = stacked.column(column::DATE).as_primitive::<Date32Type>();
    let types = stacked.column(column::CHANGE_TYPE).as_string::<i32>();
    let date_item = |name: &str| {
        let found = stacked.column_by_name(name).map(|c| c.as_primitive::<Date32Type>());
        found.ok_or_else(|| ArrowError::SchemaError(format!("item {name} is missing")))
    };
    let (from, to) = (date_item("certification_start_date")?, date_item("certification_end_date")?);
    let cut_off = date_item("cut_off")?;
    let levels = stacked.column_by_name("care_level").map(|c| c.as_string::<i32>());
    let levels = levels.ok_or_else(|| ArrowError::SchemaError("item care_level is missing".to_owned()))?;
    let day = |column: &Date32Array, row: usize| column.is_valid(row).then(|| Day(column.value(row)));
    let ends =
        stream_ends(stacked.column(column::HOLDER).as_string(), stacked.column(column::INSURED).as_string());
    let streams = ends.len();
    let mut stream: Vec<Live> = Vec::new();
    let mut at = 0;
    for end in ends {
        stream.clear();
        while at < live_rows.len() && (live_rows[at] as usize) < end {
            let row = live_rows[at] as usize;
            stream.push(Live {
                row: at as u32,
                date: Day(dates.value(row)),
                is_end: Change::of(false, types.value(row).as_bytes().first().copied().unwrap_or_default())
                    == Change::End,
                cut_off: day(cut_off, row),
                certified_from: day(from, row),
                certified_to: day(to, row),
                level: levels.is_valid(row).then(|| context.levels.level(levels.value(row))).flatten(),
            });
            at += 1;
        }
        calendar.stream(&stream);
    }
    Ok(streams)
}

fn history(
    stacked: &RecordBatch,
    live_rows: &[u32],
    spans: &[super::calendar::Span],
    context: &Context<'_>,
) -> Result<RecordBatch, ArrowError> {
    let rows = UInt32Array::from(live_rows.to_vec());
    let all_live = live_rows.len() == stacked.num_rows();
    let first_of = |month: Option<Month>| month.map(|m| m.first_day().0);
    let mut columns: Vec<ArrayRef> = Vec::with_capacity(context.history.fields().len());
    for field in context.history.fields() {
        let dates = |f: &dyn Fn(&super::calendar::Span) -> Option<i32>| -> ArrayRef {
            Arc::new(spans.iter().map(f).collect::<Date32Array>())
        };
        let source = match field.name().as_str() {
            "valid_to" => Err(dates(&|s| s.valid_to.map(|d| d.0))),
            "from_month" => Err(dates(&|s| first_of(s.from_month))),
            "to_month" => Err(dates(&|s| first_of(s.to_month))),
            "file_id" => Err(file_ids(stacked, live_rows, context)),
            "holder_name" => {
                let holders = stacked.column(column::HOLDER).as_string();
                let dates = stacked.column(column::DATE).as_primitive::<Date32Type>();
                Err(holder_names(context.names, holders, live_rows, |row| Day(dates.value(row as usize))))
            }
            "valid_from" => Ok("movement_date"),
            "movement_type" => Ok("change_type"),
            other => Ok(other),
        };
        columns.push(match source {
            Err(made) => made,
            Ok(name) => match stacked.column_by_name(name) {
                Some(values) if values.null_count() == values.len() => {
                    new_null_array(field.data_type(), live_rows.len())
                }
                Some(values) if all_live => Arc::clone(values),
                Some(values) => take(values, &rows, None)?,
                None => new_null_array(field.data_type(), live_rows.len()),
            },
        });
    }
    RecordBatch::try_new(SchemaRef::clone(context.history), columns)
}

fn file_ids(stacked: &RecordBatch, live_rows: &[u32], context: &Context<'_>) -> ArrayRef {
    let seqs = stacked.column(column::FILE_SEQ).as_primitive::<Int32Type>();
    let id =
        |&row: &u32| usize::try_from(seqs.value(row as usize)).ok().and_then(|s| context.file_ids.get(s));
    Arc::new(live_rows.iter().map(id).collect::<StringArray>())
}

/// Whether a column of a month has values of its own.
fn is_own(name: &str) -> bool {
    OWN_MONTH_COLUMNS.contains(&name)
}

fn shared_hashes(history: &RecordBatch, context: &Context<'_>) -> Vec<u64> {
    let mut hashes = vec![0; history.num_rows()];
    for field in context.month.fields().iter().filter(|field| !is_own(field.name())) {
        if let Some(values) = history.column_by_name(field.name()) {
            chain(&mut hashes, values);
        }
    }
    hashes
}

impl ChunkTables<'_> {
    /// Rows of `recipient_month` for one month of the range, and their hashes; `None` if nobody is
    /// effective.
    ///
    /// # Errors
    /// Arrow refuses a column.
    pub fn month(&self, index: usize) -> Result<Option<(RecordBatch, Vec<u64>)>, ArrowError> {
        let rows = &self.months[index];
        if rows.rows.is_empty() {
            return Ok(None);
        }
        let context = self.context;
        let month = Month(context.range.first.0 + index as i32);
        let take_rows = UInt32Array::from(rows.rows.clone());
        let mut hashes: Vec<u64> = rows.rows.iter().map(|&row| self.shared[row as usize]).collect();
        let mut columns = Vec::with_capacity(context.month.fields().len());
        for field in context.month.fields() {
            let name = field.name().as_str();
            if is_own(name) {
                let values = self.own_column(name, month, index, rows)?;
                chain(&mut hashes, &values);
                columns.push(values);
                continue;
            }
            columns.push(match self.history.column_by_name(name) {
                Some(values) if values.null_count() < values.len() => take(values, &take_rows, None)?,
                _ => new_null_array(field.data_type(), rows.rows.len()),
            });
        }
        Ok(Some((RecordBatch::try_new(SchemaRef::clone(context.month), columns)?, hashes)))
    }

    fn own_column(
        &self,
        name: &str,
        month: Month,
        index: usize,
        rows: &MonthRows,
    ) -> Result<ArrayRef, ArrowError> {
        Ok(match name {
            "service_month" => Arc::new(Date32Array::from_value(month.first_day().0, rows.rows.len())),
            "holder_name" => {
                let last_day = month.last_day();
                holder_names(self.context.names, self.holders(), &rows.rows, |_| last_day)
            }
            "movements_in_month" => Arc::new(Int32Array::from(rows.movements.clone())),
            "ended_in_month" => Arc::new(BooleanArray::from(rows.ended.clone())),
            "first_day_insurer_no" => self.at(&rows.first_day, "insurer_no")?,
            "heaviest_care_level" => {
                let code = |level: &Option<u16>| level.map(|l| self.context.levels.code(l));
                Arc::new(rows.heaviest.iter().map(code).collect::<StringArray>())
            }
            "limit_units" => {
                let limits = units_of_rows(self.context, self.holders(), rows, month, index);
                Arc::new(limits.map(|limit| limit.map(|(units, _)| units)).collect::<Int32Array>())
            }
            "limit_source" => {
                let limits = units_of_rows(self.context, self.holders(), rows, month, index);
                Arc::new(limits.map(|limit| limit.map(|(_, source)| source)).collect::<StringArray>())
            }
            "certification_covers_month" => Arc::new(BooleanArray::from(rows.covers.clone())),
            "covering_movement_date" => self.at(&rows.covering, "movement_date")?,
            other => return Err(ArrowError::SchemaError(format!("no such column: {other}"))),
        })
    }

    /// Holder numbers of the history's rows.
    fn holders(&self) -> &StringArray {
        self.history.column(0).as_string() // the first column of the table
    }

    /// A history column at rows of which some are [`NONE`].
    fn at(&self, rows: &[u32], name: &str) -> Result<ArrayRef, ArrowError> {
        let rows: UInt32Array = rows.iter().map(|&row| (row != NONE).then_some(row)).collect();
        match self.history.column_by_name(name) {
            Some(values) => take(values, &rows, None),
            None => Ok(new_null_array(&DataType::Utf8, rows.len())),
        }
    }
}
