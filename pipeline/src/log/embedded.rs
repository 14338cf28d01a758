//! The embedded log of a data folder.
//!
//! Promise: one Arrow IPC stream per file and fact table in `log/`, with its seal beside it, until the ledger has
//! it. Not synced: the archive has the bytes, and what is not whole is read again.

use super::{Attempt, Begun, Log, LogError, ReadBy, Seal};
use crate::archive::Arrival;
use crate::crash;
use crate::disk::{self, DiskError, arrow as arrow_error, io};
use crate::ledger::findings_batches;
use arrow::array::RecordBatch;
use arrow::ipc::CompressionType;
use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::{IpcWriteOptions, StreamWriter};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fs::File;
use std::io::{BufReader, BufWriter};
use std::path::{Path, PathBuf};
use tsumiage_schemas::{FactTable, Finding};

/// The embedded log of a data folder.
#[derive(Clone, Debug)]
pub struct EmbeddedLog {
    root: PathBuf,
}

/// A file on its way into the embedded log.
struct EmbeddedAttempt {
    log: EmbeddedLog,
    file_id: String,
    segments: BTreeMap<FactTable, Segment>,
}

/// The batches of one table of a file.
struct Segment {
    part: tempfile::NamedTempFile,
    writer: StreamWriter<BufWriter<File>>,
    path: PathBuf,
}

impl EmbeddedLog {
    /// Opens or makes the log of a data folder.
    ///
    /// # Errors
    /// The folder cannot be made.
    pub fn open(data: &Path) -> Result<EmbeddedLog, DiskError> {
        let root = data.join("log");
        disk::make_folder(&root)?;
        Ok(EmbeddedLog { root })
    }

    fn segment(&self, file_id: &str, table: FactTable) -> PathBuf {
        self.root.join(format!("{file_id}.{}.arrow", table.name()))
    }

    fn findings_path(&self, file_id: &str) -> PathBuf {
        self.root.join(format!("{file_id}.findings.arrow"))
    }

    fn seal_path(&self, file_id: &str) -> PathBuf {
        self.root.join(format!("{file_id}.seal.json"))
    }

    /// The batches of a sealed file, a table after the other, each in file order.
    ///
    /// # Errors
    /// A segment cannot be read.
    pub fn batches(
        &self,
        file_id: &str,
    ) -> Result<impl Iterator<Item = Result<(FactTable, RecordBatch), DiskError>> + use<>, DiskError> {
        let mut readers = Vec::new();
        for table in FactTable::ALL {
            let path = self.segment(file_id, table);
            if path.exists() {
                let file = File::open(&path).map_err(io(&path))?;
                let reader = StreamReader::try_new(BufReader::new(file), None).map_err(arrow_error(&path))?;
                readers.push((table, path, reader));
            }
        }
        Ok(readers.into_iter().flat_map(|(table, path, reader)| {
            reader.map(move |batch| Ok((table, batch.map_err(arrow_error(&path))?)))
        }))
    }

    /// The findings of a sealed file in `ledger::findings_schema`, their file number 0; in their order.
    ///
    /// # Errors
    /// They cannot be read.
    pub fn findings(
        &self,
        file_id: &str,
    ) -> Result<impl Iterator<Item = Result<RecordBatch, DiskError>> + use<>, DiskError> {
        let path = self.findings_path(file_id);
        let reader = if path.exists() {
            let file = File::open(&path).map_err(io(&path))?;
            Some(StreamReader::try_new(BufReader::new(file), None).map_err(arrow_error(&path))?)
        } else {
            None
        };
        Ok(reader.into_iter().flatten().map(move |batch| batch.map_err(arrow_error(&path))))
    }

    /// Drops what the ledger has: everything in the log. Leftovers of killed runs go too.
    ///
    /// # Errors
    /// A file cannot be removed.
    pub fn clear(&self) -> Result<(), DiskError> {
        for path in disk::entries(&self.root)? {
            crash::point("log.clear.before", &path)?;
            std::fs::remove_file(&path).map_err(io(&path))?;
        }
        crash::point("log.clear.after", &self.root)
    }
}

impl Log for EmbeddedLog {
    fn begin(&self, begun: &Begun<'_>) -> Result<Box<dyn Attempt + '_>, LogError> {
        let file_id = begun.file_id.to_owned();
        Ok(Box::new(EmbeddedAttempt { log: self.clone(), file_id, segments: BTreeMap::new() }))
    }

    /// Reads the segments through, since the log is not synced.
    fn left(&self, arrival: &Arrival, by: ReadBy<'_>) -> Option<Seal> {
        let seal: Seal = disk::read_json(&self.seal_path(&arrival.file_id)).ok()?;
        let mut rows = 0;
        for batch in self.batches(&arrival.file_id).ok()? {
            let (_, batch) = batch.ok()?;
            rows += batch.num_rows() as i64;
        }
        let mut findings = 0;
        for batch in self.findings(&arrival.file_id).ok()? {
            findings += batch.ok()?.num_rows() as u64;
        }
        let told = seal.findings.entries().map(|entry| entry.rows).sum::<u64>();
        let whole = (seal.file_rejected || rows == seal.accepted) && findings == told;
        let same = ReadBy { layouts: &seal.layouts, one_off: seal.one_off } == by;
        (whole && same && seal.arrival == *arrival).then_some(seal)
    }
}

impl Attempt for EmbeddedAttempt {
    fn append(&mut self, table: FactTable, batch: &RecordBatch) -> Result<(), LogError> {
        let segment = match self.segments.entry(table) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => {
                let path = self.log.segment(&self.file_id, table);
                entry.insert(Segment::create(&self.log.root, path, batch)?)
            }
        };
        segment.writer.write(batch).map_err(arrow_error(&segment.path))?;
        Ok(())
    }

    fn seal(self: Box<Self>, seal: &Seal, findings: &[Finding]) -> Result<(), LogError> {
        let EmbeddedAttempt { log, file_id, segments } = *self;
        let told = log.findings_path(&file_id);
        if told.exists() {
            std::fs::remove_file(&told).map_err(io(&told))?; // of an earlier attempt
        }
        if !findings.is_empty() {
            let invalid = |e| DiskError::invalid(&told, e);
            let mut segment: Option<Segment> = None;
            for batch in findings_batches(findings) {
                let batch = batch.map_err(invalid)?;
                if segment.is_none() {
                    segment = Some(Segment::create(&log.root, told.clone(), &batch)?);
                }
                if let Some(segment) = &mut segment {
                    segment.writer.write(&batch).map_err(arrow_error(&told))?;
                }
            }
            segment.map_or(Ok(()), Segment::complete)?;
        }
        for table in FactTable::ALL {
            // A segment that an earlier attempt left of a table that this one has not.
            let path = log.segment(&file_id, table);
            if !segments.contains_key(&table) && path.exists() {
                std::fs::remove_file(&path).map_err(io(&path))?;
            }
        }
        segments.into_values().try_for_each(Segment::complete)?;
        // Not synced: after a power cut `left` finds out, and the archive has the bytes.
        let path = log.seal_path(&file_id);
        crash::point("log.seal.before", &path)?;
        let part = tempfile::NamedTempFile::new_in(&log.root).map_err(io(&path))?;
        std::fs::write(part.path(), disk::to_json(&path, seal)?).map_err(io(&path))?;
        crash::point("log.seal.written", &path)?;
        part.persist(&path).map_err(|e| DiskError::new(&path, e.error))?;
        Ok(crash::point("log.seal.after", &path)?)
    }
}

impl Segment {
    /// Gives the segment its name, whole.
    fn complete(self) -> Result<(), DiskError> {
        let Segment { part, mut writer, path } = self;
        writer.finish().map_err(arrow_error(&path))?;
        drop(writer);
        crash::point("log.segment.written", &path)?;
        part.persist(&path).map_err(|e| DiskError::new(&path, e.error))?;
        crash::point("log.segment.after", &path)
    }

    fn create(root: &Path, path: PathBuf, first: &RecordBatch) -> Result<Segment, DiskError> {
        crash::point("log.segment.before", &path)?;
        let part = tempfile::NamedTempFile::new_in(root).map_err(io(&path))?;
        let file = part.reopen().map_err(io(&path))?;
        let options = IpcWriteOptions::default().try_with_compression(Some(CompressionType::LZ4_FRAME));
        let schema = first.schema();
        let writer = options
            .and_then(|options| StreamWriter::try_new_with_options(BufWriter::new(file), &schema, options))
            .map_err(arrow_error(&path))?;
        Ok(Segment { part, writer, path })
    }
}
