//! The recipient tables of one holder: one history file and one file per service month.
//!
//! Promise: a file is written only if it has rows; months are written on all cores, each by itself, so
//! that threads cannot change bytes.

use super::table_file::{PublishedFile, RECIPIENT_TABLE, TableFile};
use super::tables::{ChunkTables, Context};
use rayon::prelude::*;
use std::path::Path;
use tsumiage_pipeline::disk::DiskError;
use tsumiage_schemas::{Month, MonthRange};

/// Writers of one holder.
pub struct HolderFiles<'a> {
    root: &'a Path,
    holder_no: String,
    context: &'a Context<'a>,
    /// What stands already and is not written.
    standing: &'a Standing,
    history: Option<TableFile>,
    months: Vec<Option<TableFile>>,
}

/// Files of a unit that an earlier snapshot has as they would be written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// Months it published.
    pub months: Option<MonthRange>,
    /// Whether it has the history.
    pub history: bool,
}

impl<'a> HolderFiles<'a> {
    /// Writers for a holder, below a snapshot folder.
    pub fn new(
        root: &'a Path,
        holder_no: &str,
        context: &'a Context<'a>,
        standing: &'a Standing,
    ) -> HolderFiles<'a> {
        let months = context.range.months().map(|_| None).collect();
        HolderFiles { root, holder_no: holder_no.to_owned(), context, standing, history: None, months }
    }

    /// Whose rows these are.
    pub fn holder_no(&self) -> &str {
        &self.holder_no
    }

    /// Writes a chunk.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn write(&mut self, chunk: &ChunkTables<'_>) -> Result<(), DiskError> {
        let (root, holder_no) = (self.root, &self.holder_no);
        let context = self.context;
        if chunk.history.num_rows() == 0 {
            return Ok(());
        }
        let history = &mut self.history;
        let months = &mut self.months;
        let standing = self.standing;
        let write_history = || {
            if standing.history {
                return Ok(());
            }
            let relative = format!("recipient_history/{holder_no}.parquet");
            open(history, root, &relative, context.history)?.write_digested(&chunk.history)
        };
        let write_months = || {
            months.par_iter_mut().enumerate().try_for_each(|(index, file)| {
                let month = Month(context.range.first.0 + index as i32);
                if standing.months.is_some_and(|months| months.holds(month)) {
                    return Ok(());
                }
                let batch = chunk.month(index).map_err(|e| DiskError::invalid(root, e))?;
                let Some((batch, hashes)) = batch else { return Ok(()) };
                let relative = month_path(month, holder_no);
                let file = open(file, root, &relative, context.month)?;
                file.digest.add_hashes(&hashes);
                file.write(&batch)
            })
        };
        let (a, b) = rayon::join(write_history, write_months);
        a.and(b)
    }

    /// Ends the holder's files and gives them.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn finish(self) -> Result<Vec<PublishedFile>, DiskError> {
        let open: Vec<TableFile> =
            self.history.into_iter().chain(self.months.into_iter().flatten()).collect();
        open.into_par_iter().map(TableFile::finish).collect()
    }
}

/// Path of a holder's rows of a month below the snapshot.
pub fn month_path(month: Month, holder_no: &str) -> String {
    format!("recipient_month/month={month}/{holder_no}.parquet")
}

fn open<'f>(
    file: &'f mut Option<TableFile>,
    root: &Path,
    relative: &str,
    schema: &arrow::datatypes::SchemaRef,
) -> Result<&'f mut TableFile, DiskError> {
    if file.is_none() {
        *file = Some(TableFile::create(root, relative, schema, &RECIPIENT_TABLE)?);
    }
    file.as_mut().ok_or_else(|| DiskError::invalid(root, "no file")) // it was filled above
}
