//! The table `changes`: one file per holder with differences, by (service month, insured number, column).

use super::differences::{Sources, each_month};
use super::{Change, Side};
use crate::publish::snapshot::CHANGES;
use crate::publish::table_file::{PublishedFile, TableFile, TableLayout};
use arrow::array::{ArrayRef, Date32Array, Int64Array, RecordBatch, StringArray};
use arrow::error::ArrowError;
use std::path::Path;
use std::sync::Arc;
use tsumiage_schemas::tables::changes_schema;

const LAYOUT: TableLayout = TableLayout { sorted_by: &[], bloom: true };

/// Rows of a batch.
const ROWS: usize = 16_384;

/// The rows of one holder's differences.
///
/// # Errors
/// Arrow refuses a column.
pub fn rows(holder_no: &str, changes: &[Change]) -> Result<RecordBatch, ArrowError> {
    let text = |of: &dyn Fn(&Change) -> Option<String>| -> ArrayRef {
        Arc::new(changes.iter().map(of).collect::<StringArray>())
    };
    let months = changes.iter().map(|change| Some(change.month.first_day().0));
    let records = changes.iter().map(|change| change.cause.record_no);
    let dates = changes.iter().map(|change| change.cause.date);
    let columns: Vec<ArrayRef> = vec![
        Arc::new(months.collect::<Date32Array>()),
        Arc::new(StringArray::from(vec![holder_no; changes.len()])),
        text(&|change| Some(change.insured_no.clone())),
        text(&|change| Some(change.kind.as_str().to_owned())),
        text(&|change| change.item.clone()),
        text(&|change| change.before.clone()),
        text(&|change| change.after.clone()),
        text(&|change| Some(change.cause.kind.as_str().to_owned())),
        text(&|change| change.cause.file_id.clone()),
        Arc::new(records.collect::<Int64Array>()),
        Arc::new(dates.collect::<Date32Array>()),
    ];
    RecordBatch::try_new(changes_schema(), columns)
}

/// Writes the table below `root`; with nothing to compare to, an empty one. Gives its files and the paths of
/// files that are not what was published, so that what differs there is not told.
///
/// # Errors
/// A snapshot cannot be read, or a file cannot be written.
pub fn write(
    root: &Path,
    before: Option<&Side<'_>>,
    after: &Side<'_>,
    sources: &Sources<'_>,
) -> anyhow::Result<(Vec<PublishedFile>, Vec<String>)> {
    let (mut files, mut damaged) = (Vec::new(), Vec::new());
    if let Some(before) = before {
        let mut open: Option<(String, TableFile)> = None;
        damaged = each_month(before, after, sources, &mut |holder_no, changes| {
            if changes.is_empty() {
                return Ok(()); // other bytes, equal values
            }
            if let Some((_, done)) = open.take_if(|(of, _)| of != holder_no) {
                files.push(done.finish()?);
            }
            if open.is_none() {
                open = Some((holder_no.to_owned(), create(root, holder_no)?));
            }
            let Some((_, file)) = &mut open else { return Ok(()) };
            for part in changes.chunks(ROWS) {
                file.write_digested(&rows(holder_no, part)?)?;
            }
            Ok(())
        })?;
        files.extend(open.map(|(_, file)| file.finish()).transpose()?);
    }
    if files.is_empty() {
        files.push(create(root, "empty")?.finish()?);
    }
    Ok((files, damaged))
}

fn create(root: &Path, name: &str) -> anyhow::Result<TableFile> {
    Ok(TableFile::create(root, &format!("{CHANGES}/{name}.parquet"), &changes_schema(), &LAYOUT)?)
}
