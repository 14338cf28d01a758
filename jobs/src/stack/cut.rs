//! Cuts a stream of batches, sorted by insured number, into chunks of whole insured numbers.
//!
//! Promise: where the cuts fall depends on the rows alone, never on how they were batched: a chunk ends
//! where at or after [`CHUNK_ROWS`] rows the first insured number ends. Published bytes depend on this.

use arrow::array::{AsArray, RecordBatch};
use arrow::compute::concat_batches;
use arrow::error::ArrowError;
use std::collections::VecDeque;

/// Least rows of a chunk but the last. Part of "same facts, same bytes": changing it changes files.
pub const CHUNK_ROWS: usize = 16_384;

/// Collects batches and hands out chunks of whole insured numbers.
#[derive(Debug)]
pub struct Cutter {
    insured: usize,
    chunk_rows: usize,
    pending: VecDeque<RecordBatch>,
    rows: usize,
    /// Rows known to hold no cut at or after `chunk_rows`.
    searched: usize,
}

impl Cutter {
    /// A cutter for batches whose insured number is at this place.
    pub fn new(insured: usize, chunk_rows: usize) -> Cutter {
        Cutter { insured, chunk_rows, pending: VecDeque::new(), rows: 0, searched: 0 }
    }

    /// Adds a batch.
    pub fn push(&mut self, batch: RecordBatch) {
        if batch.num_rows() > 0 {
            self.rows += batch.num_rows();
            self.pending.push_back(batch);
        }
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        self.pending.iter().map(RecordBatch::get_array_memory_size).sum()
    }

    /// The next chunk if its end is known.
    ///
    /// # Errors
    /// Arrow refuses to join the batches (text beyond 2 GiB in one chunk).
    pub fn next_chunk(&mut self) -> Result<Option<RecordBatch>, ArrowError> {
        if self.rows <= self.chunk_rows {
            return Ok(None);
        }
        match self.boundary() {
            Some(rows) => self.take(rows).map(Some),
            None => Ok(None),
        }
    }

    /// Everything left.
    ///
    /// # Errors
    /// As [`Cutter::next_chunk`].
    pub fn rest(&mut self) -> Result<Option<RecordBatch>, ArrowError> {
        if self.rows == 0 { Ok(None) } else { self.take(self.rows).map(Some) }
    }

    /// The first row at or after `chunk_rows` that begins another insured number than the row before it.
    fn boundary(&mut self) -> Option<usize> {
        let first = self.searched.max(self.chunk_rows);
        let mut start = 0;
        let mut before: Option<(&RecordBatch, usize)> = None;
        for batch in &self.pending {
            let end = start + batch.num_rows();
            for row in first.max(start)..end {
                let (earlier, at) = if row == start {
                    match before {
                        Some(last) => last,
                        None => continue,
                    }
                } else {
                    (batch, row - start - 1)
                };
                if !self.same_person(earlier, at, batch, row - start) {
                    return Some(row);
                }
            }
            before = Some((batch, batch.num_rows() - 1));
            start = end;
        }
        self.searched = self.rows;
        None
    }

    fn same_person(&self, a: &RecordBatch, row_a: usize, b: &RecordBatch, row_b: usize) -> bool {
        let (a, b) = (a.column(self.insured).as_string::<i32>(), b.column(self.insured).as_string::<i32>());
        a.value(row_a) == b.value(row_b)
    }

    fn take(&mut self, rows: usize) -> Result<RecordBatch, ArrowError> {
        let mut parts = Vec::new();
        let mut missing = rows;
        while missing > 0 {
            let Some(batch) = self.pending.pop_front() else { break };
            if batch.num_rows() > missing {
                parts.push(batch.slice(0, missing));
                self.pending.push_front(batch.slice(missing, batch.num_rows() - missing));
                break;
            }
            missing -= batch.num_rows();
            parts.push(batch);
        }
        self.rows -= rows;
        self.searched = 0;
        match parts.as_slice() {
            [only] => Ok(only.clone()),
            _ => concat_batches(&parts[0].schema(), &parts),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{ArrayRef, StringArray};
    use std::sync::Arc;

    fn batch(keys: &[u32]) -> RecordBatch {
        let insured: ArrayRef = Arc::new(StringArray::from_iter_values(keys.iter().map(u32::to_string)));
        RecordBatch::try_from_iter([("insured_no", insured)]).unwrap()
    }

    #[test]
    fn cuts_do_not_depend_on_batches() {
        let keys: Vec<u32> = (0..400u32).flat_map(|k| std::iter::repeat_n(k, (k % 7 + 1) as usize)).collect();
        let cuts = |size: usize| {
            let mut cutter = Cutter::new(0, 50);
            let mut chunks = Vec::new();
            for part in keys.chunks(size) {
                cutter.push(batch(part));
                while let Some(chunk) = cutter.next_chunk().unwrap() {
                    chunks.push(chunk);
                }
            }
            chunks.extend(cutter.rest().unwrap());
            chunks
        };
        let expected = cuts(keys.len());
        assert!(expected.len() > 20);
        assert_eq!(expected.iter().map(RecordBatch::num_rows).sum::<usize>(), keys.len());
        for size in [1, 2, 3, 49, 50, 51, 333] {
            assert_eq!(cuts(size), expected, "batches of {size}");
        }
    }
}
