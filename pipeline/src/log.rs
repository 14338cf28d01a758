//! The log: what the reader made of a file, on its way to the ledger.
//!
//! Promise: only a sealed file counts, all of it or nothing. The ledger decides what is used; the log
//! only carries, and can always be made again from the archive. The embedded log keeps one Arrow IPC
//! stream per file and fact table in `log/`, with its seal beside it, until the ledger has it. (Kafka is the other
//! implementation, in its own issue.)

use crate::archive::Arrival;
use crate::disk::{self, DiskError, io};
use crate::ledger::findings_batch;
use crate::reader::FileReport;
use crate::tally::Tally;
use arrow::array::RecordBatch;
use arrow::ipc::CompressionType;
use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::{IpcWriteOptions, StreamWriter};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fs::File;
use std::io::{BufReader, BufWriter};
use std::path::{Path, PathBuf};
use tsumiage_schemas::{Code, Day, FactTable, Finding, Month, Severity};

/// What the reader found out about a whole file; its batches stand in the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seal {
    /// Which bytes, under which name, taken in when.
    pub arrival: Arrival,
    /// Data type of the control record.
    pub data_type: Option<String>,
    /// Sender's number: insurer, else welfare office, else prefecture.
    pub sender_no: Option<String>,
    /// Sender if it is an insurer.
    pub sender_insurer_no: Option<String>,
    /// Processing month of the control record.
    pub processing_month: Option<Month>,
    /// Data records found.
    pub records: i64,
    /// Records accepted by the reader.
    pub accepted: i64,
    /// Records rejected by the reader.
    pub rejected: i64,
    /// Accepted records with a warning.
    pub warned: i64,
    /// Whether the whole file was rejected.
    pub file_rejected: bool,
    /// Least movement date of its accepted movements.
    pub first_movement: Option<Day>,
    /// Its findings, counted; they stand in the log.
    pub findings: Tally,
    /// Those that rejected the whole file.
    pub file_errors: Vec<Finding>,
    /// Digest of the layouts it was read with.
    pub layouts: String,
    /// They were given for one run and are not those of the settings.
    pub one_off: bool,
}

/// Which layouts a file is read with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadBy<'a> {
    /// Their digest.
    pub layouts: &'a str,
    /// They were given for one run and are not those of the settings.
    pub one_off: bool,
}

impl Seal {
    fn new(arrival: Arrival, report: FileReport, by: ReadBy<'_>) -> Seal {
        let is_file_error = |f: &&Finding| f.code < Code::R01 && f.severity == Severity::Error;
        Seal {
            arrival,
            data_type: report.control.data_type,
            sender_no: report.control.sender_no,
            sender_insurer_no: report.control.sender_insurer_no,
            processing_month: report.control.processing_month,
            records: report.records,
            accepted: report.accepted,
            rejected: report.rejected,
            warned: report.warned,
            file_rejected: report.file_rejected,
            first_movement: report.first_movement,
            findings: report.findings.iter().collect(),
            file_errors: report.findings.iter().filter(is_file_error).cloned().collect(),
            layouts: by.layouts.to_owned(),
            one_off: by.one_off,
        }
    }
}

/// Findings of a batch.
const FINDINGS_ROWS: usize = 8_192;

/// The embedded log of a data folder.
#[derive(Clone, Debug)]
pub struct EmbeddedLog {
    root: PathBuf,
}

/// A file on its way into the log; dropped without a seal it never happened.
pub struct Attempt {
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

fn arrow_error(path: &Path) -> impl FnOnce(arrow::error::ArrowError) -> DiskError + '_ {
    move |error| match error {
        arrow::error::ArrowError::IoError(_, error) => DiskError::new(path, error),
        other => DiskError::invalid(path, other),
    }
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

    /// Begins a file.
    pub fn begin(&self, file_id: &str) -> Attempt {
        Attempt { log: self.clone(), file_id: file_id.to_owned(), segments: BTreeMap::new() }
    }

    /// Seals a file: from here on the ledger may use it.
    ///
    /// # Errors
    /// The segment or seal cannot be written; then the file is not sealed.
    pub fn seal(
        &self,
        attempt: Attempt,
        arrival: Arrival,
        report: FileReport,
        by: ReadBy<'_>,
    ) -> Result<Seal, DiskError> {
        let told = self.findings_path(&attempt.file_id);
        if told.exists() {
            std::fs::remove_file(&told).map_err(io(&told))?; // of an earlier attempt
        }
        if !report.findings.is_empty() {
            let invalid = |e| DiskError::invalid(&told, e);
            let mut segment: Option<Segment> = None;
            for part in report.findings.chunks(FINDINGS_ROWS) {
                let batch = findings_batch(part).map_err(invalid)?;
                if segment.is_none() {
                    segment = Some(Segment::create(&self.root, told.clone(), &batch)?);
                }
                if let Some(segment) = &mut segment {
                    segment.writer.write(&batch).map_err(arrow_error(&told))?;
                }
            }
            segment.map_or(Ok(()), Segment::complete)?;
        }
        for table in FactTable::ALL {
            // A segment that an earlier attempt left of a table that this one has not.
            let path = self.segment(&attempt.file_id, table);
            if !attempt.segments.contains_key(&table) && path.exists() {
                std::fs::remove_file(&path).map_err(io(&path))?;
            }
        }
        attempt.segments.into_values().try_for_each(Segment::complete)?;
        let seal = Seal::new(arrival, report, by);
        // Not synced: after a power cut `sealed` finds out, and the archive has the bytes.
        let path = self.seal_path(&seal.arrival.file_id);
        let part = tempfile::NamedTempFile::new_in(&self.root).map_err(io(&path))?;
        std::fs::write(part.path(), disk::to_json(&path, &seal)?).map_err(io(&path))?;
        part.persist(&path).map_err(|e| DiskError::new(&path, e.error))?;
        Ok(seal)
    }

    /// The seal a killed run left of this arrival, if the log holds the file whole and read with these
    /// layouts. Reads the segments through, since the log is not synced.
    pub fn sealed(&self, arrival: &Arrival, by: ReadBy<'_>) -> Option<Seal> {
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
            std::fs::remove_file(&path).map_err(io(&path))?;
        }
        Ok(())
    }
}

impl Attempt {
    /// Appends a batch of a table.
    ///
    /// # Errors
    /// The segment cannot be made or written.
    pub fn append(&mut self, table: FactTable, batch: &RecordBatch) -> Result<(), DiskError> {
        let segment = match self.segments.entry(table) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => {
                let path = self.log.segment(&self.file_id, table);
                entry.insert(Segment::create(&self.log.root, path, batch)?)
            }
        };
        segment.writer.write(batch).map_err(arrow_error(&segment.path))
    }
}

impl Segment {
    /// Gives the segment its name, whole.
    fn complete(self) -> Result<(), DiskError> {
        let Segment { part, mut writer, path } = self;
        writer.finish().map_err(arrow_error(&path))?;
        drop(writer);
        part.persist(&path).map_err(|e| DiskError::new(&path, e.error))?;
        Ok(())
    }

    fn create(root: &Path, path: PathBuf, first: &RecordBatch) -> Result<Segment, DiskError> {
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
