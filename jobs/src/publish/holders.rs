//! A unit's chunks, holder by holder: each holder's rows go into files of their own.
//!
//! Promise: a holder's rows come out as they went in; where they are cut depends on the rows alone.

use crate::stack::cut::CHUNK_ROWS;
use crate::stack::gather::{column, flat_batch};
use arrow::array::{Array, AsArray, RecordBatch, StringArray, UInt32Array};
use arrow::compute::{concat_batches, take_record_batch};
use arrow::error::ArrowError;
use std::collections::BTreeMap;

/// The rows of each holder of a stacked chunk, by holder number; their order stays.
///
/// # Errors
/// Arrow refuses a column.
pub fn by_holder(chunk: &RecordBatch) -> Result<Vec<(String, RecordBatch)>, ArrowError> {
    let holders: &StringArray = chunk.column(column::HOLDER).as_string();
    let mut rows: BTreeMap<&str, Vec<u32>> = BTreeMap::new();
    let mut start = 0;
    for row in 1..=holders.len() {
        if row == holders.len() || holders.value(row) != holders.value(start) {
            rows.entry(holders.value(start)).or_default().extend(start as u32..row as u32);
            start = row;
        }
    }
    if let (1, Some(only)) = (rows.len(), rows.keys().next()) {
        return Ok(vec![((*only).to_owned(), chunk.clone())]);
    }
    let of_holder = |(holder_no, rows): (&str, Vec<u32>)| {
        Ok((holder_no.to_owned(), take_record_batch(chunk, &UInt32Array::from(rows))?))
    };
    rows.into_iter().map(of_holder).collect()
}

/// Gathers a holder's rows until they are worth publishing: many holders have few rows in each chunk.
#[derive(Debug, Default)]
pub struct Gathering {
    batches: Vec<RecordBatch>,
    rows: usize,
}

impl Gathering {
    /// Adds whole streams; gives everything gathered once that is a chunk's worth.
    ///
    /// # Errors
    /// Arrow refuses to join the batches.
    pub fn add(&mut self, batch: RecordBatch) -> Result<Option<RecordBatch>, ArrowError> {
        self.rows += batch.num_rows();
        self.batches.push(batch);
        if self.rows < CHUNK_ROWS { Ok(None) } else { self.rest() }
    }

    /// Everything left.
    ///
    /// # Errors
    /// As [`Gathering::add`].
    pub fn rest(&mut self) -> Result<Option<RecordBatch>, ArrowError> {
        self.rows = 0;
        let batches = std::mem::take(&mut self.batches);
        match batches.as_slice() {
            [] => Ok(None),
            [only] => Ok(Some(only.clone())),
            _ => {
                let batches: Vec<RecordBatch> = batches.iter().map(flat_batch).collect::<Result<_, _>>()?;
                concat_batches(&batches[0].schema(), &batches).map(Some)
            }
        }
    }
}
