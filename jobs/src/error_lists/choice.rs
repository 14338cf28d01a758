//! Which files of a snapshot are meant.
//!
//! Promise: the lists and the table of findings choose the same files.

use super::rows::{self, FileRow};
use datafusion::prelude::SessionContext;
use tsumiage_schemas::{Day, Month};

/// A choice of files: those that meet all that is given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Choice {
    /// Beginning of the file id.
    pub file: Option<String>,
    /// Number of the sender, or `unknown` for files without a valid one.
    pub sender: Option<String>,
    /// Processing month.
    pub month: Option<Month>,
    /// Take-in day.
    pub taken_in_on: Option<Day>,
}

impl Choice {
    /// Whether a file is meant.
    pub fn meets(&self, file_id: &str, file: &FileRow) -> bool {
        self.file.as_ref().is_none_or(|start| file_id.starts_with(&start.to_ascii_lowercase()))
            && self.sender.as_ref().is_none_or(|sender| file.sender == *sender)
            && self.month.is_none_or(|month| file.processing_month == Some(month))
            && self.taken_in_on.is_none_or(|day| file.taken_in_on == day)
    }

    /// The files meant, as a condition over `file_id`; `None` if there are none.
    ///
    /// # Errors
    /// The table of files cannot be read.
    pub async fn condition(&self, context: &SessionContext) -> anyhow::Result<Option<String>> {
        let files = rows::files(context, self).await?;
        if files.is_empty() {
            return Ok(None);
        }
        if *self == Choice::default() {
            return Ok(Some("true".to_owned()));
        }
        let ids: Vec<String> = files.keys().map(|id| format!("'{id}'")).collect(); // hex
        Ok(Some(format!("file_id IN ({})", ids.join(", "))))
    }
}
