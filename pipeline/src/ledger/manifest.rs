//! One commit of the ledger as a document.

use crate::archive::Arrival;
use crate::disk::{self, DiskError, io};
use crate::log::{Seal, first_reading};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::path::Path;
use tsumiage_schemas::{Code, Day, FactTable, Month};

/// What one commit added. Nothing in it is ever changed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// 1, 2, 3 …
    pub number: u64,
    /// SHA-256 of the manifest before it.
    pub parent: Option<String>,
    /// Files taken in, rejected ones too. A later entry of the same file replaces an earlier one.
    pub files: Vec<FileEntry>,
    /// Runs of facts written.
    pub runs: Vec<RunEntry>,
    /// Paths of runs of earlier commits whose facts are in these runs now, so that they count no more.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub replaces: Vec<String>,
    /// Findings written.
    pub findings: Option<DataFile>,
    /// Items of the facts in its runs with their types, by table and in the order of the masks.
    #[serde(default)]
    pub items: BTreeMap<FactTable, Vec<String>>,
    /// What was read of Kafka for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kafka: Option<KafkaRange>,
}

/// A Parquet file of the ledger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataFile {
    /// Path below `ledger/`.
    pub path: String,
    /// Rows.
    pub rows: i64,
    /// Bytes.
    pub bytes: u64,
}

/// A file as the ledger knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileEntry {
    /// Its number in the ledger; facts and findings refer to it.
    pub seq: i32,
    /// Which bytes, under which name, taken in when.
    pub arrival: Arrival,
    /// Data type of the control record.
    pub data_type: Option<String>,
    /// Sender's number.
    pub sender_no: Option<String>,
    /// Sender if it is an insurer.
    pub sender_insurer_no: Option<String>,
    /// Processing month; files of a rejected control record may have none.
    pub processing_month: Option<Month>,
    /// Data records found.
    pub records: i64,
    /// Accepted by the reader.
    pub accepted: i64,
    /// Rejected by the reader.
    pub rejected: i64,
    /// Accepted with a warning of the reader.
    pub warned: i64,
    /// Whether the whole file was rejected.
    pub file_rejected: bool,
    /// Whether it was rejected for a processing month that is too far ahead (F10) or closed (F08).
    pub wrong_time: bool,
    /// Least movement date of its accepted movements.
    pub first_movement: Option<Day>,
    /// Digest of the layouts it was read with.
    pub layouts: String,
    /// They were given for one run and are not those of the settings: a later run reads the file again.
    #[serde(default)]
    pub one_off: bool,
    /// See [`Seal::reading`].
    #[serde(default = "first_reading")]
    pub reading: u32,
}

impl FileEntry {
    /// Whether it is a file of KHS records and no exchange file.
    pub fn is_khs(&self) -> bool {
        self.data_type.as_deref() == Some(tsumiage_schemas::khs::DATA_TYPE)
    }

    /// The entry of a sealed file under its number.
    pub fn of(seal: Seal, seq: i32) -> FileEntry {
        let wrong_time = seal.file_errors.iter().any(|f| matches!(f.code, Code::F08 | Code::F10));
        let file_rejected = seal.file_rejected;
        FileEntry {
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
            reading: seal.reading,
        }
    }
}

/// What a commit read of a Kafka topic: of each partition the offsets from `from` (0 if not named) up to and
/// without `next`. What it did not use of them counts no more.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KafkaRange {
    /// Cluster and topic.
    pub of: String,
    /// Where it began, as the ledger had it.
    pub from: BTreeMap<i32, i64>,
    /// Where the next commit begins.
    pub next: BTreeMap<i32, i64>,
    /// The last message seen of each partition: by it the next sink knows the topic again.
    #[serde(default)]
    pub seen: BTreeMap<i32, Mark>,
}

/// A message by which a topic is known again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// Its offset.
    pub offset: i64,
    /// What it is: attempt, kind, number, checksum.
    pub message: String,
}

/// A sorted run: facts of one table by (insured number, file number, record number); those of recipients
/// of one insurer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunEntry {
    /// Path below `ledger/`.
    pub path: String,
    /// What facts it holds.
    #[serde(default)]
    pub table: FactTable,
    /// Insurer number of every fact in it; empty for other tables than recipients.
    pub insurer_no: String,
    /// Rows.
    pub rows: i64,
    /// Bytes.
    pub bytes: u64,
    /// SHA-256 of the file.
    pub sha256: String,
    /// Numbers of the files whose facts it holds, ascending.
    #[serde(default)]
    pub files: Vec<i32>,
}

/// Reads a manifest and its hash.
///
/// # Errors
/// It is not there or damaged.
pub(super) fn read(path: &Path) -> Result<(Manifest, String), DiskError> {
    let bytes = std::fs::read(path).map_err(io(path))?;
    let manifest = serde_json::from_slice(&bytes).map_err(|e| {
        DiskError::invalid(
            path,
            format!("{e}; run `tsumiage rebuild` to make the ledger again from the archive"),
        )
    })?;
    Ok((manifest, hash(&bytes)))
}

/// SHA-256 of a manifest's bytes.
pub(super) fn hash(bytes: &[u8]) -> String {
    disk::hex(&Sha256::digest(bytes))
}
