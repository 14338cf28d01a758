//! What a stacked chunk says of the service months: its live records, asked by the calendar.

use super::calendar::{Calendar, Levels, Live, MonthRows, Remark, Span};
use crate::registry::{MunicipalLimits, Names};
use crate::stack::fact::{Change, State};
use crate::stack::gather::{column, flat, stream_ends};
use arrow::array::{Array, ArrayRef, AsArray, Date32Array, RecordBatch};
use arrow::datatypes::{Date32Type, UInt8Type};
use arrow::error::ArrowError;
use tsumiage_schemas::{Day, MonthRange};

/// Who and what is published, besides the rows.
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
}

/// The live records of a chunk and the months in which they are in force.
pub struct ChunkMonths {
    /// Rows of the stacked chunk, one per row of the history.
    pub live_rows: Vec<u32>,
    /// One per row of the history.
    pub spans: Vec<Span>,
    /// Per month of the range, rows of the history.
    pub months: Vec<MonthRows>,
    /// Findings; rows of the stacked chunk.
    pub remarks: Vec<Remark>,
    /// Streams in the chunk.
    pub streams: usize,
}

/// Reads the live records of a stacked chunk and answers every question about their months.
///
/// # Errors
/// It is no stacked chunk.
pub fn chunk_months(stacked: &RecordBatch, context: &Context<'_>) -> Result<ChunkMonths, ArrowError> {
    let states = stacked.column_by_name("state").map(|c| c.as_primitive::<UInt8Type>());
    let states = states.ok_or_else(|| ArrowError::SchemaError("not a stacked chunk".to_owned()))?;
    let live_rows: Vec<u32> = (0..stacked.num_rows() as u32)
        .filter(|&row| states.value(row as usize) == State::Live as u8)
        .collect();
    let mut calendar = Calendar::new(context.range, context.limits);
    let streams = add_streams(&mut calendar, stacked, &live_rows, context)?;
    let at_chunk_row = |remark: Remark| {
        let row = live_rows[remark.row() as usize];
        remark.at(row)
    };
    let remarks = calendar.remarks.into_iter().map(at_chunk_row).collect();
    Ok(ChunkMonths { remarks, spans: calendar.spans, months: calendar.months, live_rows, streams })
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
    let item = |name: &str| -> Result<ArrayRef, ArrowError> {
        let found = stacked.column_by_name(name);
        flat(found.ok_or_else(|| ArrowError::SchemaError(format!("item {name} is missing")))?)
    };
    let (from, to) = (item("certification_start_date")?, item("certification_end_date")?);
    let (from, to) = (from.as_primitive::<Date32Type>(), to.as_primitive::<Date32Type>());
    let cut_off = item("cut_off")?;
    let cut_off = cut_off.as_primitive::<Date32Type>();
    let levels = item("care_level")?;
    let levels = levels.as_string::<i32>();
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
