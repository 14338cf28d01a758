//! Publishing: from stacked chunks to an immutable snapshot.
//!
//! * `calendar` live records to service months (pure), `months` what it says of a stacked chunk
//! * `sources` the columns of history and months as numbers of their values, `own` those that only a month has
//! * `recipients` the writers of one holder, `holders` a unit's chunks holder by holder
//! * `table_file` one Parquet file of another table, `output` any file on its way to the disk, `digest` of its rows
//! * `findings` what stacking found, `unregistered` its S08, `withdrawn` F11, `spool` the findings table
//!   (`published_finding` its rows taken over), `files` the files table
//! * `registry` the tables of insurers, unions and what municipalities have of their own
//! * `snapshot` a snapshot folder: begun, completed atomically, listed, verified; `gc` which may go, and how
//! * `explain`, `dictionary`, `views` what explains the tables to people
//!
//! Promise: a snapshot appears whole or not at all, is never changed, and its Parquet files are a function
//! of facts and options.

pub mod calendar;
pub mod dictionary;
pub mod digest;
pub mod explain;
pub mod files;
pub mod findings;
pub mod gc;
pub mod holders;
pub mod khs;
pub mod months;
mod output;
mod own;
pub mod published_finding;
pub mod recipients;
pub mod registry;
pub mod snapshot;
mod sources;
pub mod spool;
pub mod table_file;
pub mod unregistered;
pub mod verify;
pub mod views;
pub mod withdrawn;
