//! What differs between two snapshots: which recipients' months, item by item, and which correction or
//! movement did it.
//!
//! * `months` the files of a holder that differ, `cells` their rows held against each other
//! * `facts` the facts that only one of the two knows, `cause` which of them did it (pure), `differences` all
//!   of it holder by holder
//! * `table` the table `changes`, `spans` the same for people
//!
//! Promise: months that both publish are compared, every column of every row; nothing else. Only one holder's
//! months are held at a time, as many as there are threads.

pub mod cause;
pub mod cells;
pub mod differences;
pub mod facts;
pub mod months;
pub mod spans;
pub mod table;

use crate::publish::snapshot::SnapshotManifest;
use crate::resolve::record::Record;
use cause::Cause;
use std::path::Path;
use tsumiage_schemas::Month;

/// One of two snapshots to compare; it may not be complete yet.
#[derive(Clone, Copy)]
pub struct Side<'a> {
    /// Its folder.
    pub path: &'a Path,
    /// Its manifest.
    pub manifest: &'a SnapshotManifest,
    /// What it was made of.
    pub record: &'a Record,
    /// Its files were written by this run: they need not be checked.
    pub is_new: bool,
}

/// What happened to a recipient's row of a month.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Effective now, not before.
    Added,
    /// Effective before, not now.
    Removed,
    /// Effective in both; an item differs.
    Changed,
}

impl Kind {
    /// `added`, `removed` or `changed`.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Added => "added",
            Kind::Removed => "removed",
            Kind::Changed => "changed",
        }
    }
}

/// A record in force: its file and position, insurer and movement date (days since 1970).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InForce {
    /// Its file.
    pub file_id: String,
    /// Its position there.
    pub record_no: i64,
    /// Its insurer number.
    pub insurer_no: String,
    /// Its movement date.
    pub date: i32,
}

/// One difference: a row that came or went, or one item of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Service month.
    pub month: Month,
    /// Whose recipient.
    pub insured_no: String,
    /// What happened to the row.
    pub kind: Kind,
    /// Column, if the row changed.
    pub item: Option<String>,
    /// Its value before, as text; `None` = not set.
    pub before: Option<String>,
    /// Its value now.
    pub after: Option<String>,
    /// What did it.
    pub cause: Cause,
}
