//! What the files say: layouts and code tables as data, the three states of an item, findings, days
//! and months, and the Arrow schemas of everything that is kept or published.
//!
//! Promise: no I/O, no clock, no knowledge of how data moves. Everything here is a pure function of
//! the data files under `schemas/data`, which are embedded in the binary and can be replaced.

mod checks;
pub mod codes;
mod csv_table;
pub mod data;
pub mod day;
pub mod finding;
pub mod holder;
pub mod khs;
pub mod layout;
pub mod membership;
pub mod notes;
pub mod record;
pub mod rules;
pub mod sources;
pub mod spec;
pub mod tables;

pub use csv_table::DataError;
pub use day::{Day, Month, MonthRange};
pub use finding::{Code, Finding, Severity};
pub use khs::Khs;
pub use layout::{ClearMark, Item, Kind, Layout};
pub use record::{FactTable, RecordKind};
pub use sources::Sources;
pub use spec::Spec;
