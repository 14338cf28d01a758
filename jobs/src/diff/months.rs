//! The files of `recipient_month` in which two snapshots differ, holder by holder.

use super::Side;
use crate::publish::recipients::month_path;
use crate::publish::table_file::PublishedFile;
use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::File;
use std::path::Path;
use tsumiage_pipeline::disk::{DiskError, io};
use tsumiage_schemas::{Month, MonthRange};

/// The months that both publish.
pub fn common_months(a: &Side<'_>, b: &Side<'_>) -> Option<MonthRange> {
    let (a, b) = (a.manifest.options.months()?, b.manifest.options.months()?);
    let range = MonthRange { first: a.first.max(b.first), last: a.last.min(b.last) };
    (range.first <= range.last).then_some(range)
}

/// Of every holder whose files differ the months, in which `None` stands for no file.
pub type Differing<'a> = BTreeMap<String, Vec<Files<'a>>>;

/// A month and its files before and after.
pub type Files<'a> = (Month, Option<&'a PublishedFile>, Option<&'a PublishedFile>);

/// The files that differ, by holder and month.
pub fn differing<'a>(a: &Side<'a>, b: &Side<'a>) -> Differing<'a> {
    let by_path = |side: &Side<'a>| -> HashMap<&'a str, &'a PublishedFile> {
        side.manifest.files.iter().map(|file| (file.path.as_str(), file)).collect()
    };
    let (of_a, of_b) = (by_path(a), by_path(b));
    let holders: BTreeSet<&str> = of_a.keys().chain(of_b.keys()).filter_map(|path| holder_of(path)).collect();
    let mut differing = Differing::new();
    let Some(range) = common_months(a, b) else { return differing };
    for holder_no in holders {
        for month in range.months() {
            let path = month_path(month, holder_no);
            let (before, after) = (of_a.get(path.as_str()), of_b.get(path.as_str()));
            if before.map(|file| &file.sha256) != after.map(|file| &file.sha256) {
                let files = (month, before.copied(), after.copied());
                differing.entry(holder_no.to_owned()).or_default().push(files);
            }
        }
    }
    differing
}

/// Whose rows of a month a file holds.
fn holder_of(path: &str) -> Option<&str> {
    let (_, name) = path.strip_prefix("recipient_month/")?.split_once('/')?;
    name.strip_suffix(".parquet").filter(|holder_no| *holder_no != "empty")
}

/// Whether a file of a side is what was published.
pub fn is_whole(side: &Side<'_>, file: &PublishedFile) -> bool {
    side.is_new || file.is_whole(side.path)
}

/// The rows of a published file as one batch.
///
/// # Errors
/// It cannot be read.
pub fn read(snapshot: &Path, path: &str) -> Result<RecordBatch, DiskError> {
    let path = snapshot.join(path);
    let invalid = |e: &dyn std::fmt::Display| DiskError::invalid(&path, e);
    let file = File::open(&path).map_err(io(&path))?;
    let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(|e| invalid(&e))?;
    let schema = builder.schema().clone();
    let batches: Result<Vec<RecordBatch>, _> = builder.build().map_err(|e| invalid(&e))?.collect();
    concat_batches(&schema, &batches.map_err(|e| invalid(&e))?).map_err(|e| invalid(&e))
}
