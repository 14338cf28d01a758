//! Publishing: from stacked chunks to an immutable snapshot.
//!
//! * `calendar` live records to service months (pure), `tables` Arrow columns of it, `named` those that the
//!   registry gives
//! * `table_file`, `digest` one Parquet file and the digest of its rows
//! * `recipients` the writers of one holder, `holders` a unit's chunks holder by holder
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
mod named;
pub mod published_finding;
pub mod recipients;
pub mod registry;
pub mod snapshot;
pub mod spool;
pub mod table_file;
pub mod tables;
pub mod unregistered;
pub mod verify;
pub mod views;
pub mod withdrawn;
