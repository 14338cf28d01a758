//! Several sorted runs into one.
//!
//! Promise: the merged run holds the rows of its sources, all of them and no others, in the order of a run; what
//! is read back from its file is compared with what was read from theirs. A batch of every source is held, and
//! of the merged run one row group. Items that a source does not have yet are null, as where runs are read.

use super::manifest::RunEntry;
use super::runs::RunWriter;
use super::{items_of, readable};
use crate::archive::hash_file;
use crate::disk::{DiskError, io};
use arrow::array::{
    Array, ArrayRef, AsArray, Int32Array, Int64Array, RecordBatch, StringArray, new_null_array,
};
use arrow::compute::interleave_record_batch;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use arrow::row::{RowConverter, SortField};
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use xxhash_rust::xxh3::xxh3_64;

/// Rows that the batches of all sources hold together, about 7 MB. Measured on 20 sources of 37,000 facts: 180 MB in all,
/// for the pages of every column of every source and for the row group; with four times as many rows here, 220 MB.
const HELD_ROWS: usize = 16_384;

/// Rows of a batch of the merged run.
const BATCH_ROWS: usize = 8_192;

/// Merges runs of one insurer or registry table; gives the merged run, which stands on the disk, and its items.
///
/// # Errors
/// A run cannot be read or is not what its manifest says, or the merged one cannot be written.
pub(super) fn merge(
    root: &Path,
    runs: &[RunEntry],
    name: &str,
) -> Result<(RunEntry, Vec<String>), DiskError> {
    let first = &runs[0]; // nobody merges nothing
    let rows = HELD_ROWS / runs.len();
    let opened: Result<Vec<_>, DiskError> = runs.iter().map(|run| Opened::checked(root, run, rows)).collect();
    let opened = opened?;
    // Of equally wide ones the newest, which comes last.
    let widest = opened.iter().map(|run| &run.schema).max_by_key(|schema| schema.fields().len());
    let schema = Arc::clone(widest.unwrap_or(&opened[0].schema));
    let mut merging =
        Merging { taken: Summing::new(&schema, root)?, schema, sources: Vec::new(), held: Vec::new() };
    for run in opened {
        merging.begin(run)?;
    }
    let schema = Arc::clone(&merging.schema);
    let mut run = RunWriter::create(root, first.table, first.insurer_no.clone(), name, &schema)?;
    while let Some(batch) = merging.next_batch(root)? {
        run.write(&batch)?;
    }
    let run = run.finish()?;
    let wanted: i64 = runs.iter().map(|run| run.rows).sum();
    let (path, read) = (root.join(&run.path), read_back(root, &run, &schema)?);
    if (run.rows, &read) != (wanted, &merging.taken.sum) {
        return Err(DiskError::invalid(&path, "is not what was merged into it; run again"));
    }
    Ok((run, items_of(&schema)))
}

/// The sum of a merged run's rows as they stand in its file.
pub(super) fn read_back(root: &Path, run: &RunEntry, schema: &SchemaRef) -> Result<RowSum, DiskError> {
    let Opened { path, reader, .. } = Opened::new(root, run, BATCH_ROWS)?;
    let mut summing = Summing::new(schema, root)?;
    let mut before: Option<Keys> = None;
    for batch in reader {
        let batch = batch.map_err(|e| DiskError::invalid(&path, e))?;
        summing.add(&batch).map_err(|e| DiskError::invalid(&path, e))?;
        let keys = Keys::of(&batch).map_err(|e| DiskError::invalid(&path, e))?;
        let follows = before.is_none_or(|before| before.at(before.rows() - 1) <= keys.at(0));
        if !follows || (1..keys.rows()).any(|row| keys.at(row - 1) > keys.at(row)) {
            return Err(DiskError::invalid(&path, "is not sorted; run again"));
        }
        before = Some(keys);
    }
    Ok(summing.sum)
}

/// A run that is open.
struct Opened {
    path: PathBuf,
    schema: SchemaRef,
    reader: ParquetRecordBatchReader,
    /// Rows that its manifest says are left.
    rows: i64,
}

impl Opened {
    /// A run that is what its manifest says: it is going to be removed, this is the last look at it.
    fn checked(root: &Path, run: &RunEntry, batch_rows: usize) -> Result<Opened, DiskError> {
        let path = root.join(&run.path);
        if hash_file(&path)? != run.sha256 {
            let what =
                "is not what was written; run `tsumiage rebuild` to make the ledger again from the archive";
            return Err(DiskError::invalid(&path, what));
        }
        Opened::new(root, run, batch_rows)
    }

    fn new(root: &Path, run: &RunEntry, batch_rows: usize) -> Result<Opened, DiskError> {
        let path = root.join(&run.path);
        let invalid = |e| DiskError::invalid(&path, e);
        let file = File::open(&path).map_err(io(&path))?;
        let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(invalid)?;
        let schema = Arc::clone(builder.schema());
        let reader = builder.with_batch_size(batch_rows).build().map_err(invalid)?;
        Ok(Opened { path, schema, reader, rows: run.rows })
    }
}

/// Rows and the sum of their hashes, whatever their order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct RowSum {
    rows: i64,
    hashes: u64,
}

/// Sums rows up.
struct Summing {
    converter: RowConverter,
    sum: RowSum,
}

impl Summing {
    fn new(schema: &SchemaRef, root: &Path) -> Result<Summing, DiskError> {
        let fields = schema.fields().iter().map(|field| SortField::new(field.data_type().clone())).collect();
        let converter = RowConverter::new(fields).map_err(|e| DiskError::invalid(root, e))?;
        Ok(Summing { converter, sum: RowSum::default() })
    }

    fn add(&mut self, batch: &RecordBatch) -> Result<(), ArrowError> {
        for row in &self.converter.convert_columns(batch.columns())? {
            self.sum.hashes = self.sum.hashes.wrapping_add(xxh3_64(row.as_ref()));
        }
        self.sum.rows += batch.num_rows() as i64;
        Ok(())
    }
}

/// Runs being merged.
struct Merging {
    /// The widest of theirs.
    schema: SchemaRef,
    sources: Vec<Source>,
    /// Batches from which rows are taken, those of all sources among them.
    held: Vec<RecordBatch>,
    /// What was read so far.
    taken: Summing,
}

/// A run that has rows left.
struct Source {
    run: Opened,
    keys: Keys,
    /// Its batch among those held, and its next row in it.
    at: (usize, usize),
}

impl Merging {
    fn begin(&mut self, mut run: Opened) -> Result<(), DiskError> {
        if !readable(&run.schema, &self.schema) {
            let what = "has other items than the other runs; run `tsumiage rebuild` to make the ledger again";
            return Err(DiskError::invalid(&run.path, what));
        }
        if let Some(keys) = self.load(&mut run)? {
            self.sources.push(Source { run, keys, at: (self.held.len() - 1, 0) });
        }
        Ok(())
    }

    /// Holds the next batch of a run; its keys, or `None` at its end.
    fn load(&mut self, run: &mut Opened) -> Result<Option<Keys>, DiskError> {
        let mut read = || -> Result<Option<Keys>, ArrowError> {
            let Some(batch) = run.reader.next().transpose()? else { return Ok(None) };
            let batch = widened(&batch, &self.schema)?;
            self.taken.add(&batch)?;
            run.rows -= batch.num_rows() as i64;
            let keys = Keys::of(&batch)?;
            self.held.push(batch);
            Ok(Some(keys))
        };
        let keys = read().map_err(|e| DiskError::invalid(&run.path, e))?;
        if keys.is_none() && run.rows != 0 {
            return Err(DiskError::invalid(&run.path, "has other rows than its manifest says"));
        }
        Ok(keys)
    }

    /// The next rows in order.
    fn next_batch(&mut self, root: &Path) -> Result<Option<RecordBatch>, DiskError> {
        self.held = self.sources.iter().map(|source| self.held[source.at.0].clone()).collect();
        self.sources.iter_mut().enumerate().for_each(|(place, source)| source.at.0 = place);
        let mut taken = Vec::with_capacity(BATCH_ROWS);
        while taken.len() < BATCH_ROWS {
            let Some(least) = self.least() else { break };
            let mut source = self.sources.swap_remove(least);
            // It goes on as long as no other is before it: most rows are those of a few large runs.
            let next = self.least();
            let mut more = true;
            while more
                && taken.len() < BATCH_ROWS
                && next.is_none_or(|next| source.key() <= self.sources[next].key())
            {
                taken.push(source.at);
                more = self.advance(&mut source)?;
            }
            self.sources.extend(more.then_some(source));
        }
        if taken.is_empty() {
            return Ok(None);
        }
        let held: Vec<&RecordBatch> = self.held.iter().collect();
        interleave_record_batch(&held, &taken).map(Some).map_err(|e| DiskError::invalid(root, e))
    }

    /// The source whose next row comes first.
    fn least(&self) -> Option<usize> {
        let key = |at: &usize| self.sources[*at].key();
        (0..self.sources.len()).min_by(|a, b| key(a).cmp(&key(b)))
    }

    /// To the next row of a source; `false` at its end.
    fn advance(&mut self, source: &mut Source) -> Result<bool, DiskError> {
        source.at.1 += 1;
        if source.at.1 < source.keys.rows() {
            return Ok(true);
        }
        let Some(keys) = self.load(&mut source.run)? else { return Ok(false) };
        (source.keys, source.at) = (keys, (self.held.len() - 1, 0));
        Ok(true)
    }
}

/// What rows are sorted by: insured number, file number, record number.
type Key<'k> = (Option<&'k str>, i32, i64);

/// The keys of a batch.
struct Keys {
    insured: StringArray,
    seqs: Int32Array,
    records: Int64Array,
}

impl Keys {
    fn of(batch: &RecordBatch) -> Result<Keys, ArrowError> {
        let column = |name: &str| Ok::<_, ArrowError>(batch.column(batch.schema().index_of(name)?));
        Ok(Keys {
            insured: column("insured_no")?.as_string().clone(),
            seqs: column("file_seq")?.as_primitive().clone(),
            records: column("record_no")?.as_primitive().clone(),
        })
    }

    /// Never none: readers give no empty batches.
    fn rows(&self) -> usize {
        self.seqs.len()
    }

    fn at(&self, row: usize) -> Key<'_> {
        let insured_no = self.insured.is_valid(row).then(|| self.insured.value(row));
        (insured_no, self.seqs.value(row), self.records.value(row))
    }
}

impl Source {
    fn key(&self) -> Key<'_> {
        self.keys.at(self.at.1)
    }
}

/// A batch with all columns of a schema that begins with its own.
fn widened(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch, ArrowError> {
    let lacking = schema.fields().iter().skip(batch.num_columns());
    let nulls = lacking.map(|field| new_null_array(field.data_type(), batch.num_rows()));
    let columns: Vec<ArrayRef> = batch.columns().iter().cloned().chain(nulls).collect();
    RecordBatch::try_new(Arc::clone(schema), columns)
}
