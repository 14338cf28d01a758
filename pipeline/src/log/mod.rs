//! The log: what the reader made of a file, on its way to the ledger.
//!
//! Promise: only a sealed file counts, all of it or nothing. The ledger decides what is used; the log
//! only carries, and can always be made again from the archive. Two carry: [`EmbeddedLog`] within one run, and `kafka::KafkaLog` between several.

mod embedded;

pub use embedded::{EmbeddedLog, Sealed};

use crate::archive::Arrival;
use crate::disk::DiskError;
use crate::kafka::KafkaError;
use crate::reader::FileReport;
use crate::tally::Tally;
use arrow::array::RecordBatch;
use serde::{Deserialize, Serialize};
use tsumiage_schemas::{Code, Day, FactTable, Finding, Month, Severity};

/// Carries what the reader makes of files.
pub trait Log: Sync {
    /// Begins a file; an attempt that is dropped without its seal never happened.
    ///
    /// # Errors
    /// The log does not take it.
    fn begin(&self, begun: &Begun<'_>) -> Result<Box<dyn Attempt + '_>, LogError>;
}

/// A file on its way into the log.
pub trait Attempt {
    /// Appends a batch of a table, in the table's fact schema.
    ///
    /// # Errors
    /// The log does not take it.
    fn append(&mut self, table: FactTable, batch: &RecordBatch) -> Result<(), LogError>;

    /// Seals the file: once this returns the file counts, with these findings (the reader's, in their order).
    ///
    /// # Errors
    /// The log does not take it. Whether the seal stands is then not known; to try again does no harm.
    fn seal(self: Box<Self>, seal: &Seal, findings: &[Finding]) -> Result<(), LogError>;
}

/// What is known of a file before it is read.
#[derive(Clone, Copy, Debug)]
pub struct Begun<'a> {
    /// SHA-256 of the bytes, hex.
    pub file_id: &'a str,
    /// Sender's number, if the control record has a valid one.
    pub sender_no: Option<&'a str>,
    /// Digest of the layouts it is read with.
    pub layouts: &'a str,
    /// See [`Seal::reading`].
    pub reading: u32,
}

/// The log failed.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The disk failed.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// Kafka failed.
    #[error(transparent)]
    Kafka(#[from] KafkaError),
}

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
    /// 1, or one more than that of the reading it replaces: of a file that is read again the higher counts, of
    /// equal ones the first seal.
    #[serde(default = "first_reading")]
    pub reading: u32,
}

/// The number of a file's first reading.
pub fn first_reading() -> u32 {
    1
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
    /// Place of its file in the order of application.
    pub fn order(&self) -> (Option<Month>, Day, &str, &str) {
        self.arrival.order(self.processing_month)
    }

    /// The seal of a reading.
    pub fn new(arrival: Arrival, report: &FileReport, by: ReadBy<'_>, reading: u32) -> Seal {
        let control = report.control.clone();
        let is_file_error = |f: &&Finding| f.code < Code::R01 && f.severity == Severity::Error;
        Seal {
            arrival,
            data_type: control.data_type,
            sender_no: control.sender_no,
            sender_insurer_no: control.sender_insurer_no,
            processing_month: control.processing_month,
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
            reading,
        }
    }
}
