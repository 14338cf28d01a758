//! The stacked rows of one registry table, and its live records stream by stream.

use super::periods::{Period, Record, periods};
use super::read::Facts;
use crate::stack::fact::Change;
use crate::stack::gather::{column, masks, stack_registry};
use crate::stack::{FileOrder, StackRules, State};
use arrow::array::{Array, ArrayRef, AsArray, Date32Array, RecordBatch, StringArray};
use arrow::datatypes::{Date32Type, Int32Type, Int64Type, UInt8Type};
use arrow::error::ArrowError;
use std::sync::Arc;
use tsumiage_schemas::{Day, FactTable};

/// The stacked rows of a table.
#[derive(Clone, Debug)]
pub struct Stacked {
    /// Which table.
    pub table: FactTable,
    /// Rows of `stack::gather::stacked_schema`, one a fact.
    pub rows: RecordBatch,
    /// The periods of its records, by stream and time.
    pub periods: Vec<Period>,
    ends: Vec<usize>,
    states: ArrayRef,
    /// Place of every file in the order of application.
    orders: Arc<Vec<FileOrder>>,
}

impl Stacked {
    /// Stacks facts and finds the days on which they hold.
    ///
    /// # Errors
    /// A file number without a place, or Arrow refuses a column.
    pub fn new(table: FactTable, facts: &Facts, rules: &StackRules) -> Result<Stacked, ArrowError> {
        let rows = stack_registry(&facts.rows, &facts.ends, rules)?;
        let states = rows.column_by_name("state").cloned();
        let states = states.ok_or_else(|| ArrowError::SchemaError("not a stacked chunk".to_owned()))?;
        let (ends, orders) = (facts.ends.clone(), Arc::clone(&rules.orders));
        let mut stacked = Stacked { table, rows, periods: Vec::new(), ends, states, orders };
        stacked.periods = stacked.streams().flat_map(|stream| periods(&stream)).collect();
        Ok(stacked)
    }

    /// The live records of every stream that has one, by movement date.
    pub fn streams(&self) -> impl Iterator<Item = Vec<Record>> {
        let record = self.records();
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        let streams = starts.zip(&self.ends).map(move |(start, end)| {
            (start..*end).filter(|&row| self.is_live(row)).map(&record).collect::<Vec<Record>>()
        });
        streams.filter(|stream| !stream.is_empty())
    }

    fn is_live(&self, row: usize) -> bool {
        self.states.as_primitive::<UInt8Type>().value(row) == State::Live as u8
    }

    /// The record of a row.
    fn records(&self) -> impl Fn(usize) -> Record + '_ {
        let types = self.rows.column(column::CHANGE_TYPE).as_string::<i32>();
        let (from, to) = (self.dates("valid_from_date"), self.dates("valid_to_date"));
        let given = masks(self.rows.column(column::GIVEN));
        let to_item = self.rows.schema().index_of("valid_to_date").ok();
        let to_item = to_item.and_then(|at| at.checked_sub(column::ITEMS)); // its bit in the mask
        let day = |dates: Option<&Date32Array>, row: usize| {
            dates.filter(|dates| dates.is_valid(row)).map(|dates| Day(dates.value(row)))
        };
        move |row| Record {
            row: row as u32, // stacking counts rows as u32 too
            date: self.date(row),
            change: Change::of(false, types.value(row).bytes().next().unwrap_or(b'0')),
            valid_from: day(from, row),
            valid_to: day(to, row),
            sent_valid_to: day(to, row).filter(|_| {
                to_item.is_some_and(|item| given(row).checked_shr(item as u32).unwrap_or(0) & 1 == 1)
            }),
        }
    }

    /// Movement date of a row.
    pub fn date(&self, row: usize) -> Day {
        Day(self.rows.column(column::DATE).as_primitive::<Date32Type>().value(row))
    }

    /// Insurer number of a row.
    pub fn insurer_no(&self, row: usize) -> &str {
        self.rows.column(column::INSURER).as_string::<i32>().value(row)
    }

    /// File number and position of a row.
    pub fn position(&self, row: usize) -> (i32, i64) {
        let seqs = self.rows.column(column::FILE_SEQ).as_primitive::<Int32Type>();
        (seqs.value(row), self.rows.column(column::RECORD_NO).as_primitive::<Int64Type>().value(row))
    }

    /// A number that orders records of one movement date as they were applied.
    pub fn applied(&self, row: usize) -> u64 {
        let (seq, record_no) = self.position(row);
        let order = usize::try_from(seq).ok().and_then(|seq| self.orders.get(seq));
        let record_no = u32::try_from(record_no).unwrap_or(u32::MAX); // no file has so many
        u64::from(order.map_or(0, |order| order.rank)) << 32 | u64::from(record_no)
    }

    /// A text item of a row, if it is set and the layout has it.
    pub fn text(&self, item: &str, row: usize) -> Option<&str> {
        let values: &StringArray = self.rows.column_by_name(item)?.as_string_opt()?;
        values.is_valid(row).then(|| values.value(row))
    }

    /// A whole number of a row.
    pub fn number(&self, item: &str, row: usize) -> Option<i32> {
        let values = self.rows.column_by_name(item)?.as_primitive_opt::<Int32Type>()?;
        values.is_valid(row).then(|| values.value(row))
    }

    /// Whether an item of any kind is set in a row.
    pub fn is_set(&self, item: &str, row: usize) -> bool {
        self.rows.column_by_name(item).is_some_and(|values| values.is_valid(row))
    }

    fn dates(&self, item: &str) -> Option<&Date32Array> {
        self.rows.column_by_name(item)?.as_primitive_opt()
    }
}
