//! One commit on its way: facts are gathered per insurer up to a memory bound, flushed as sorted runs,
//! and count once the manifest stands.

use super::findings::FindingsWriter;
use super::manifest::{DataFile, FileEntry, Manifest, RunEntry, hash};
use super::{Ledger, items_of, make_folders};
use crate::archive::hash_file;
use crate::disk::{self, DiskError, io};
use crate::log::Seal;
use arrow::array::{Array, ArrayRef, AsArray, Int32Array, RecordBatch, UInt32Array};
use arrow::compute::{SortColumn, concat_batches, lexsort_to_indices, take_record_batch};
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use rayon::prelude::*;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tsumiage_schemas::{Code, FactTable};

/// Rows of a row group in a run.
const RUN_GROUP_ROWS: usize = 131_072;

/// A commit that is being put together.
pub struct Commit<'a> {
    ledger: &'a mut Ledger,
    memory_bytes: usize,
    pending: BTreeMap<(FactTable, String), Vec<RecordBatch>>,
    pending_bytes: usize,
    flushes: usize,
    findings: FindingsWriter,
    manifest: Manifest,
}

impl<'a> Commit<'a> {
    /// Begins the ledger's next commit. Gathered facts are flushed beyond `memory_bytes`.
    ///
    /// # Errors
    /// Leftovers of a killed run cannot be removed.
    pub fn begin(ledger: &'a mut Ledger, memory_bytes: usize) -> Result<Commit<'a>, DiskError> {
        let number = ledger.manifests.len() as u64 + 1;
        make_folders(&ledger.root)?;
        let manifest = Manifest { number, parent: ledger.newest_hash.clone(), ..Manifest::default() };
        for folder in ["facts", "registry"] {
            remove_leftovers(&ledger.root.join(folder), number)?;
        }
        let pending = BTreeMap::new();
        let findings = ledger.root.join(findings_path(number));
        if findings.exists() {
            fs::remove_file(&findings).map_err(io(&findings))?; // of a killed run
        }
        let findings = FindingsWriter::new(findings);
        Ok(Commit { ledger, memory_bytes, pending, pending_bytes: 0, flushes: 0, findings, manifest })
    }

    /// Adds a sealed file with its findings, and its batches in the fact schemas.
    ///
    /// # Errors
    /// A batch cannot be read, or a run cannot be written.
    pub fn add(
        &mut self,
        seal: Seal,
        findings: impl Iterator<Item = Result<RecordBatch, DiskError>>,
        batches: impl Iterator<Item = Result<(FactTable, RecordBatch), DiskError>>,
    ) -> Result<(), DiskError> {
        let seq = self.ledger.next_seq;
        self.ledger.next_seq += 1;
        let wrong_time = seal.file_errors.iter().any(|f| matches!(f.code, Code::F08 | Code::F10));
        for batch in findings {
            self.findings.add(seq, &batch?)?;
        }
        let file_rejected = seal.file_rejected;
        self.manifest.files.push(FileEntry {
            seq,
            arrival: seal.arrival,
            data_type: seal.data_type,
            sender_no: seal.sender_no,
            sender_insurer_no: seal.sender_insurer_no,
            processing_month: seal.processing_month,
            records: seal.records,
            accepted: seal.accepted,
            rejected: seal.rejected,
            warned: seal.warned,
            file_rejected,
            wrong_time: wrong_time && file_rejected,
            first_movement: seal.first_movement.filter(|_| !file_rejected),
            layouts: seal.layouts,
            one_off: seal.one_off,
        });
        if file_rejected {
            return Ok(());
        }
        for batch in batches {
            let (table, batch) = batch?;
            let root = &self.ledger.root;
            let parts = parts(table, &batch, seq).map_err(|e| DiskError::invalid(root, e))?;
            for (insurer_no, part) in parts {
                self.pending_bytes += part.get_array_memory_size();
                self.pending.entry((table, insurer_no)).or_default().push(part);
            }
            if self.pending_bytes > self.memory_bytes {
                self.flush()?;
            }
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), DiskError> {
        let name = format!("{:08}-{:04}.parquet", self.manifest.number, self.flushes);
        for ((table, _), batches) in &self.pending {
            let schema = batches[0].schema(); // no entry without a batch
            self.manifest.items.entry(*table).or_insert_with(|| items_of(&schema));
        }
        let pending: Vec<_> = std::mem::take(&mut self.pending).into_iter().collect();
        let root = &self.ledger.root;
        let runs: Result<Vec<RunEntry>, DiskError> = pending
            .into_par_iter()
            .map(|((table, insurer_no), batches)| write_run(root, table, insurer_no, &name, batches))
            .collect();
        self.manifest.runs.extend(runs?);
        self.flushes += 1;
        self.pending_bytes = 0;
        Ok(())
    }

    /// Number of files added.
    pub fn files(&self) -> usize {
        self.manifest.files.len()
    }

    /// Makes the commit count: data first, then the manifest. With no file added nothing happens.
    ///
    /// # Errors
    /// Something cannot be written, or another program made this commit meanwhile; then nothing counts.
    pub fn finish(mut self) -> Result<(), DiskError> {
        if self.manifest.files.is_empty() {
            return Ok(());
        }
        self.flush()?;
        let root = self.ledger.root.clone();
        if let Some((rows, bytes)) = self.findings.finish()? {
            disk::sync_folder(&root.join("findings"))?;
            let path = findings_path(self.manifest.number);
            self.manifest.findings = Some(DataFile { path, rows, bytes });
        }
        for folder in ["facts", "registry"] {
            disk::sync_folder(&root.join(folder))?;
        }
        let path = root.join("manifests").join(format!("{:08}.json", self.manifest.number));
        let bytes = disk::to_json(&path, &self.manifest)?;
        let hash = hash(&bytes);
        // After a failed or doubtful create the look decides: the same bytes are our own commit.
        if !disk::write_if_absent(&path, &bytes)? && fs::read(&path).map_err(io(&path))? != bytes {
            return Err(DiskError::invalid(&path, "another run made this commit; run again"));
        }
        self.ledger.add(self.manifest, hash);
        Ok(())
    }
}

/// Path below `ledger/` of a commit's findings.
fn findings_path(number: u64) -> String {
    format!("findings/{number:08}.parquet")
}

/// Removes runs of commits that never came to a manifest.
fn remove_leftovers(facts: &Path, number: u64) -> Result<(), DiskError> {
    let prefix = format!("{number:08}-");
    for folder in disk::entries(facts)?.iter().filter(|path| path.is_dir()) {
        for path in disk::entries(folder)? {
            let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
            if name.starts_with(&prefix) || name.starts_with(".part") {
                fs::remove_file(&path).map_err(io(&path))?;
            }
        }
    }
    Ok(())
}

/// Numbers a batch's facts with their file; those of recipients are split by insurer.
fn parts(table: FactTable, batch: &RecordBatch, seq: i32) -> Result<Vec<(String, RecordBatch)>, ArrowError> {
    let mut columns = batch.columns().to_vec();
    columns[batch.schema().index_of("file_seq")?] = Arc::new(Int32Array::from_value(seq, batch.num_rows()));
    let batch = RecordBatch::try_new(batch.schema(), columns)?;
    if table != FactTable::Recipient {
        return Ok(vec![(String::new(), batch)]);
    }
    let insurers = batch.column(batch.schema().index_of("insurer_no")?).as_string::<i32>().clone();
    let mut rows: BTreeMap<&str, Vec<u32>> = BTreeMap::new();
    for row in 0..insurers.len() {
        rows.entry(insurers.value(row)).or_default().push(row as u32);
    }
    if rows.len() == 1 {
        let insurer_no = insurers.value(0).to_owned();
        return Ok(vec![(insurer_no, batch)]);
    }
    let part = |(insurer_no, rows): (&str, Vec<u32>)| {
        Ok((insurer_no.to_owned(), take_record_batch(&batch, &UInt32Array::from(rows))?))
    };
    rows.into_iter().map(part).collect()
}

fn write_run(
    root: &Path,
    table: FactTable,
    insurer_no: String,
    name: &str,
    batches: Vec<RecordBatch>,
) -> Result<RunEntry, DiskError> {
    let relative = match table {
        FactTable::Recipient => PathBuf::from("facts").join(&insurer_no),
        _ => PathBuf::from("registry").join(table.name()),
    };
    let folder = root.join(&relative);
    disk::make_folder(&folder)?;
    let path = folder.join(name);
    let sorted = sorted(batches).map_err(|e| DiskError::invalid(&path, e))?;
    write_parquet(&path, &sorted)?;
    disk::sync_folder(&folder)?;
    let bytes = path.metadata().map_err(io(&path))?.len();
    Ok(RunEntry {
        path: relative.join(name).to_string_lossy().into_owned(),
        table,
        insurer_no,
        rows: sorted.num_rows() as i64,
        bytes,
        sha256: hash_file(&path)?,
    })
}

/// One batch by (insured number, file number, record number).
fn sorted(batches: Vec<RecordBatch>) -> Result<RecordBatch, ArrowError> {
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

fn write_parquet(path: &Path, batch: &RecordBatch) -> Result<(), DiskError> {
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_max_row_group_row_count(Some(RUN_GROUP_ROWS))
        .set_statistics_enabled(EnabledStatistics::Page)
        .build();
    let file = File::create(path).map_err(io(path))?;
    let mut writer =
        ArrowWriter::try_new(file, batch.schema(), Some(properties)).map_err(disk::parquet(path))?;
    writer.write(batch).map_err(disk::parquet(path))?;
    let written = writer.finish().map_err(disk::parquet(path))?;
    if written.file_metadata().num_rows() != batch.num_rows() as i64 {
        return Err(DiskError::invalid(path, "fewer rows were written than given"));
    }
    writer.inner().sync_all().map_err(io(path))
}
