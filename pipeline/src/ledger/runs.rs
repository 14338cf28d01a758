//! Sorted runs: one Parquet file each, by (insured number, file number, record number).

use super::gather::Ordered;
use super::manifest::RunEntry;
use super::part::{Part, order};
use crate::aside::{Kept, SetAside};
use crate::crash;
use crate::disk::{self, DiskError, io};
use crate::hashing::{Hashed, Hashing};
use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{Field, FieldRef, Int32Type, SchemaRef};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::{
    ArrowColumnChunk, ArrowColumnWriter, ArrowRowGroupWriterFactory, compute_leaves,
};
use parquet::basic::Compression;
use parquet::errors::ParquetError;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::ColumnPath;
use rayon::prelude::*;
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tsumiage_schemas::FactTable;

/// Rows of a row group in a run.
const RUN_GROUP_ROWS: usize = 131_072;

/// Columns that facts are asked for by: readers skip pages by them.
const PRUNED_BY: [&str; 3] = ["insured_no", "file_seq", "processing_month"];

/// Name of a commit's run; parts are of one insurer.
pub(super) fn run_name(number: u64, part: usize) -> String {
    format!("{number:08}-{part:04}.parquet")
}

/// Writes what was set aside of an insurer: one run, or several that each fill their share of the memory. They are
/// named by the commit's number, from this part on.
pub(super) fn write_set_aside(
    root: &Path,
    insurer_no: &str,
    (number, first): (u64, usize),
    aside: &SetAside,
    kept: &Kept,
    share: usize,
) -> Result<Vec<RunEntry>, DiskError> {
    let mut runs = Vec::new();
    let mut write = |parts: Vec<Part>| -> Result<(), DiskError> {
        let name = run_name(number, first + runs.len());
        runs.push(write_run(root, FactTable::Recipient, insurer_no.to_owned(), &name, parts)?);
        Ok(())
    };
    let (mut parts, mut bytes) = (Vec::new(), 0);
    for batch in aside.batches(kept)? {
        let part = Part::numbered(batch?).map_err(|e| DiskError::invalid(root, e))?;
        if bytes + part.bytes > share && !parts.is_empty() {
            write(std::mem::take(&mut parts))?;
            bytes = 0;
        }
        bytes += part.bytes;
        parts.push(part);
    }
    if !parts.is_empty() {
        write(parts)?;
    }
    Ok(runs)
}

/// Writes facts of a table, those of recipients of one insurer, as one sorted run.
pub(super) fn write_run(
    root: &Path,
    table: FactTable,
    insurer_no: String,
    name: &str,
    parts: Vec<Part>,
) -> Result<RunEntry, DiskError> {
    let mut run = RunWriter::create(root, table, insurer_no, name, &parts[0].batch.schema())?; // never without a part
    let ordered = order(&parts).and_then(|order| Ordered::new(&parts, order));
    run.write_ordered(&ordered.map_err(|e| DiskError::invalid(&run.path, e))?)?;
    run.finish()
}

/// A run on its way to its file. Its columns are written side by side.
pub(super) struct RunWriter {
    relative: PathBuf,
    path: PathBuf,
    table: FactTable,
    insurer_no: String,
    schema: SchemaRef,
    file: SerializedFileWriter<Hashing>,
    groups: ArrowRowGroupWriterFactory,
    /// The row group that facts are appended to, and its rows.
    group: Option<(Vec<ArrowColumnWriter>, usize)>,
    groups_written: usize,
    rows: i64,
    files: BTreeSet<i32>,
}

/// Dictionaries and runs make a sorted run small enough; compressed it would be half as large, and take longer to
/// write and above all to read, in every resolve.
fn properties() -> WriterProperties {
    let builder = WriterProperties::builder()
        .set_compression(Compression::UNCOMPRESSED)
        .set_max_row_group_row_count(Some(RUN_GROUP_ROWS))
        .set_statistics_enabled(EnabledStatistics::None);
    let asked_for = PRUNED_BY.iter().fold(builder, |builder, name| {
        builder.set_column_statistics_enabled(ColumnPath::from(*name), EnabledStatistics::Page)
    });
    asked_for.build()
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
        let folder = root.join(&relative);
        fs::create_dir_all(&folder).map_err(io(&folder))?; // made durable with the commit
        let relative = relative.join(name);
        let path = root.join(&relative);
        crash::point("ledger.run.before", &path)?;
        let file = Hashing::new(File::create(&path).map_err(io(&path))?);
        let writer = ArrowWriter::try_new(file, Arc::clone(schema), Some(properties()));
        let written = writer.and_then(ArrowWriter::into_serialized_writer).map_err(disk::parquet(&path))?;
        let (file, groups) = written;
        let schema = Arc::clone(schema);
        let files = BTreeSet::new();
        let (group, groups_written, rows) = (None, 0, 0);
        Ok(RunWriter {
            relative,
            path,
            table,
            insurer_no,
            schema,
            file,
            groups,
            group,
            groups_written,
            rows,
            files,
        })
    }

    /// Appends facts that are sorted and come after those before.
    pub fn write(&mut self, facts: &RecordBatch) -> Result<(), DiskError> {
        self.add_files(facts.column_by_name("file_seq"))?;
        let mut from = 0;
        while from < facts.num_rows() {
            let (mut columns, rows) = match self.group.take() {
                Some(group) => group,
                None => (self.columns()?, 0),
            };
            let some = facts.slice(from, (facts.num_rows() - from).min(RUN_GROUP_ROWS - rows));
            let fields: &[FieldRef] = self.schema.fields();
            let arrays = columns.par_iter_mut().zip(fields).zip(some.columns());
            arrays
                .try_for_each(|((column, field), array)| write_column(column, field, array))
                .map_err(disk::parquet(&self.path))?;
            from += some.num_rows();
            if rows + some.num_rows() < RUN_GROUP_ROWS {
                self.group = Some((columns, rows + some.num_rows()));
            } else {
                self.end_group(columns)?;
            }
        }
        self.rows += facts.num_rows() as i64;
        Ok(())
    }

    /// Writes all facts of a run: a column is gathered and written, then another, so that no second copy of them all
    /// is held.
    fn write_ordered(&mut self, facts: &Ordered<'_>) -> Result<(), DiskError> {
        let groups = facts.rows().div_ceil(RUN_GROUP_ROWS);
        let mut columns: Vec<Vec<ArrowColumnWriter>> = Vec::new();
        for group in 0..groups {
            let writers = self.groups.create_column_writers(group).map_err(disk::parquet(&self.path))?;
            columns.resize_with(writers.len(), Vec::new);
            columns.iter_mut().zip(writers).for_each(|(column, writer)| column.push(writer));
        }
        let fields: &[FieldRef] = self.schema.fields();
        let chunks: Result<Vec<Vec<ArrowColumnChunk>>, ParquetError> = columns
            .into_par_iter()
            .zip(fields)
            .enumerate()
            .map(|(at, (writers, field))| {
                let array = facts.column(at)?;
                let write = |(group, mut writer): (usize, ArrowColumnWriter)| {
                    let from = group * RUN_GROUP_ROWS;
                    let some = array.slice(from, (array.len() - from).min(RUN_GROUP_ROWS));
                    write_column(&mut writer, field, &some)?;
                    writer.close()
                };
                writers.into_iter().enumerate().map(write).collect()
            })
            .collect();
        let mut chunks: Vec<_> =
            chunks.map_err(disk::parquet(&self.path))?.into_iter().map(Vec::into_iter).collect();
        for _ in 0..groups {
            self.append(chunks.iter_mut().filter_map(Iterator::next).collect())?;
        }
        let seqs = self.schema.index_of("file_seq").and_then(|at| facts.column(at));
        self.add_files(seqs.ok().as_ref())?;
        self.rows += facts.rows() as i64;
        Ok(())
    }

    fn columns(&self) -> Result<Vec<ArrowColumnWriter>, DiskError> {
        self.groups.create_column_writers(self.groups_written).map_err(disk::parquet(&self.path))
    }

    fn end_group(&mut self, columns: Vec<ArrowColumnWriter>) -> Result<(), DiskError> {
        let chunks: Result<Vec<ArrowColumnChunk>, ParquetError> =
            columns.into_par_iter().map(ArrowColumnWriter::close).collect();
        self.append(chunks.map_err(disk::parquet(&self.path))?)
    }

    /// Appends a row group to the file.
    fn append(&mut self, chunks: Vec<ArrowColumnChunk>) -> Result<(), DiskError> {
        let append = || -> Result<(), ParquetError> {
            let mut group = self.file.next_row_group()?;
            for chunk in chunks {
                chunk.append_to_row_group(&mut group)?;
            }
            group.close().map(drop)
        };
        append().map_err(disk::parquet(&self.path))?;
        self.groups_written += 1;
        Ok(())
    }

    fn add_files(&mut self, seqs: Option<&ArrayRef>) -> Result<(), DiskError> {
        let seqs = seqs.ok_or_else(|| DiskError::invalid(&self.path, "facts name no files"))?;
        let mut last = None; // those of one file mostly stand together, if not sorted by people
        for seq in seqs.as_primitive::<Int32Type>().values() {
            if last.replace(*seq) != Some(*seq) {
                self.files.insert(*seq);
            }
        }
        Ok(())
    }

    /// Completes the file, not synced.
    pub fn finish(mut self) -> Result<RunEntry, DiskError> {
        if let Some((columns, _)) = self.group.take() {
            self.end_group(columns)?;
        }
        let path = &self.path;
        let written = self.file.finish().map_err(disk::parquet(path))?;
        if written.file_metadata().num_rows() != self.rows {
            return Err(DiskError::invalid(path, "other rows were written than given"));
        }
        crash::point("ledger.run.written", path)?;
        let Hashed { sha256, bytes } = self.file.inner_mut().finish().map_err(io(path))?;
        crash::point("ledger.run.after", path)?;
        Ok(RunEntry {
            path: self.relative.to_string_lossy().into_owned(),
            table: self.table,
            insurer_no: self.insurer_no,
            rows: self.rows,
            bytes,
            sha256,
            files: self.files.into_iter().collect(),
        })
    }
}

/// Writes values of a column, which has one leaf whatever its type.
fn write_column(column: &mut ArrowColumnWriter, field: &Field, array: &ArrayRef) -> Result<(), ParquetError> {
    compute_leaves(field, array)?.iter().try_for_each(|leaf| column.write(leaf))
}
