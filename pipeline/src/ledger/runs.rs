//! Sorted runs: one Parquet file each, by (insured number, file number, record number).

use super::manifest::RunEntry;
use crate::archive::hash_file;
use crate::aside::{Kept, SetAside, bytes_of};
use crate::crash;
use crate::disk::{self, DiskError, io};
use arrow::array::{ArrayRef, AsArray, RecordBatch};
use arrow::compute::{SortColumn, concat_batches, lexsort_to_indices, take_record_batch};
use arrow::datatypes::{Int32Type, SchemaRef};
use arrow::error::ArrowError;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use std::collections::BTreeSet;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tsumiage_schemas::FactTable;

/// Rows of a row group in a run.
const RUN_GROUP_ROWS: usize = 131_072;

/// Name of a commit's run; parts are of one insurer.
pub(super) fn run_name(number: u64, part: usize) -> String {
    format!("{number:08}-{part:04}.parquet")
}

/// Writes what was set aside of an insurer: one run, or several that each fill their share of the memory.
pub(super) fn write_set_aside(
    root: &Path,
    insurer_no: &str,
    number: u64,
    aside: &SetAside,
    kept: &Kept,
    share: usize,
) -> Result<Vec<RunEntry>, DiskError> {
    let mut runs = Vec::new();
    let mut write = |batches: Vec<RecordBatch>| -> Result<(), DiskError> {
        let name = run_name(number, runs.len());
        runs.push(write_run(root, FactTable::Recipient, insurer_no.to_owned(), &name, batches)?);
        Ok(())
    };
    let (mut batches, mut bytes) = (Vec::new(), 0);
    for batch in aside.batches(kept)? {
        let batch = batch?;
        let of_batch = bytes_of(&batch);
        if bytes + of_batch > share && !batches.is_empty() {
            write(std::mem::take(&mut batches))?;
            bytes = 0;
        }
        bytes += of_batch;
        batches.push(batch);
    }
    if !batches.is_empty() {
        write(batches)?;
    }
    Ok(runs)
}

/// Writes facts of a table, those of recipients of one insurer, as one sorted run.
pub(super) fn write_run(
    root: &Path,
    table: FactTable,
    insurer_no: String,
    name: &str,
    batches: Vec<RecordBatch>,
) -> Result<RunEntry, DiskError> {
    let mut run = RunWriter::create(root, table, insurer_no, name, &batches[0].schema())?; // never without a batch
    let sorted = sorted(batches).map_err(|e| DiskError::invalid(&run.path, e))?;
    run.write(&sorted)?;
    run.finish()
}

/// A run on its way to its file.
pub(super) struct RunWriter {
    relative: PathBuf,
    path: PathBuf,
    table: FactTable,
    insurer_no: String,
    writer: ArrowWriter<File>,
    rows: i64,
    files: BTreeSet<i32>,
}

impl RunWriter {
    /// Begins a run; the insurer number is empty for other tables than recipients.
    pub fn create(
        root: &Path,
        table: FactTable,
        insurer_no: String,
        name: &str,
        schema: &SchemaRef,
    ) -> Result<RunWriter, DiskError> {
        let relative = match table {
            FactTable::Recipient => PathBuf::from("facts").join(&insurer_no),
            _ => PathBuf::from("registry").join(table.name()),
        };
        disk::make_folder(&root.join(&relative))?;
        let relative = relative.join(name);
        let path = root.join(&relative);
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::default()))
            .set_max_row_group_row_count(Some(RUN_GROUP_ROWS))
            .set_statistics_enabled(EnabledStatistics::Page)
            .build();
        crash::point("ledger.run.before", &path)?;
        let file = File::create(&path).map_err(io(&path))?;
        let writer = ArrowWriter::try_new(file, Arc::clone(schema), Some(properties));
        let writer = writer.map_err(disk::parquet(&path))?;
        Ok(RunWriter { relative, path, table, insurer_no, writer, rows: 0, files: BTreeSet::new() })
    }

    /// Appends facts that are sorted and come after those before.
    pub fn write(&mut self, facts: &RecordBatch) -> Result<(), DiskError> {
        self.writer.write(facts).map_err(disk::parquet(&self.path))?;
        let seqs = facts.schema().index_of("file_seq").map_err(|e| DiskError::invalid(&self.path, e))?;
        self.files.extend(facts.column(seqs).as_primitive::<Int32Type>().values());
        self.rows += facts.num_rows() as i64;
        Ok(())
    }

    /// Completes the file; it is on the disk when this returns.
    pub fn finish(mut self) -> Result<RunEntry, DiskError> {
        let path = &self.path;
        let written = self.writer.finish().map_err(disk::parquet(path))?;
        if written.file_metadata().num_rows() != self.rows {
            return Err(DiskError::invalid(path, "other rows were written than given"));
        }
        crash::point("ledger.run.written", path)?;
        self.writer.inner().sync_all().map_err(io(path))?;
        disk::sync_folder(path.parent().unwrap_or(path))?;
        crash::point("ledger.run.after", path)?;
        Ok(RunEntry {
            path: self.relative.to_string_lossy().into_owned(),
            table: self.table,
            insurer_no: self.insurer_no,
            rows: self.rows,
            bytes: path.metadata().map_err(io(path))?.len(),
            sha256: hash_file(path)?,
            files: self.files.into_iter().collect(),
        })
    }
}

/// One batch by (insured number, file number, record number).
pub(super) fn sorted(batches: Vec<RecordBatch>) -> Result<RecordBatch, ArrowError> {
    let schema: SchemaRef = batches[0].schema();
    let all = concat_batches(&schema, &batches)?;
    drop(batches);
    let key = |name: &str| -> Result<SortColumn, ArrowError> {
        let values: ArrayRef = Arc::clone(all.column(schema.index_of(name)?));
        Ok(SortColumn { values, options: None })
    };
    let order = lexsort_to_indices(&[key("insured_no")?, key("file_seq")?, key("record_no")?], None)?;
    take_record_batch(&all, &order)
}
