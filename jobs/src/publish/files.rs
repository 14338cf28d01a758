//! The `files` table: one row per distinct file, sorted by (processing month, take-in day, name, id).

use super::findings::FileCounts;
use super::table_file::{PublishedFile, TableFile, TableLayout};
use arrow::array::{ArrayRef, Date32Array, Int64Array, RecordBatch, StringArray};
use std::path::Path;
use std::sync::Arc;
use tsumiage_pipeline::disk::DiskError;
use tsumiage_pipeline::ledger::FileEntry;
use tsumiage_schemas::tables::files_schema;

const LAYOUT: TableLayout = TableLayout { sorted_by: &[], bloom: false };

/// What holds for a file after stacking.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileStanding {
    /// Records accepted by reader and stacking.
    pub accepted: i64,
    /// Records rejected by either.
    pub rejected: i64,
    /// Accepted records with a warning.
    pub warned: i64,
    /// `accepted`, `partly_rejected`, `rejected` or `withdrawn`.
    pub status: &'static str,
}

/// A file to be published.
#[derive(Clone, Debug)]
pub struct StackedFile<'a> {
    /// As taken in.
    pub file: &'a FileEntry,
    /// What stacking decided about its records.
    pub counts: FileCounts,
    /// Whether the whole file is withdrawn.
    pub withdrawn: bool,
}

/// How a file stands, given what stacking decided. A withdrawn one was not stacked: its counts are those of
/// its taking in.
pub fn standing(StackedFile { file, counts, withdrawn }: &StackedFile<'_>) -> FileStanding {
    if *withdrawn {
        let FileEntry { accepted, rejected, warned, .. } = **file;
        return FileStanding { accepted, rejected, warned, status: "withdrawn" };
    }
    let rejected = file.rejected + counts.refused;
    let accepted = file.records - rejected;
    let status = if file.file_rejected || (accepted == 0 && rejected > 0) {
        "rejected"
    } else if rejected > 0 {
        "partly_rejected"
    } else {
        "accepted"
    };
    FileStanding { accepted, rejected, warned: counts.warned, status }
}

/// Writes `files/files.parquet`; `files` in the order of application.
///
/// # Errors
/// The file cannot be written.
pub fn publish(root: &Path, files: &[StackedFile<'_>]) -> Result<PublishedFile, DiskError> {
    let schema = files_schema();
    let text = |f: &dyn Fn(&FileEntry) -> Option<String>| -> ArrayRef {
        Arc::new(files.iter().map(|stacked| f(stacked.file)).collect::<StringArray>())
    };
    let number = |f: &dyn Fn(&FileEntry, &FileStanding) -> i64| -> ArrayRef {
        let values = files.iter().map(|stacked| f(stacked.file, &standing(stacked)));
        Arc::new(Int64Array::from_iter_values(values))
    };
    let month = files.iter().map(|stacked| stacked.file.processing_month.map(|m| m.first_day().0));
    let day = files.iter().map(|stacked| Some(stacked.file.arrival.taken_in_on.0));
    let columns = vec![
        text(&|file| Some(file.arrival.file_id.clone())),
        text(&|file| Some(file.arrival.name.clone())),
        text(&|file| file.data_type.clone()),
        text(&|file| file.sender_no.clone()),
        Arc::new(month.collect::<Date32Array>()),
        Arc::new(day.collect::<Date32Array>()),
        number(&|file, _| file.records),
        number(&|_, standing| standing.accepted),
        number(&|_, standing| standing.rejected),
        number(&|_, standing| standing.warned),
        Arc::new(StringArray::from_iter_values(files.iter().map(|stacked| standing(stacked).status))),
    ];
    let batch =
        RecordBatch::try_new(Arc::clone(&schema), columns).map_err(|e| DiskError::invalid(root, e))?;
    let mut table = TableFile::create(root, "files/files.parquet", &schema, &LAYOUT)?;
    table.write_digested(&batch)?;
    table.finish()
}
