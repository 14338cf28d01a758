//! Columns as numbers of their distinct values, and Parquet files written from them.
//!
//! A holder's months say nearly the same thing 36 times. So every value is looked at once: it gets a number
//! ([`Values`]), records keep numbers, a month's column is the numbers of its rows, and what goes into a file is a
//! dictionary of the values used in it and their numbers packed into few bits, or a run where they are all the same.
//!
//! Promise: a file holds what the library's own writer would have written of the same rows: plain Parquet with
//! dictionary and plain pages, ZSTD, statistics, page index, bloom filters. Its bytes depend on the rows and on where
//! the caller cuts pages and row groups, and nothing else: not on the order in which values became known, nor on what
//! other files use.

mod column;
mod file;
mod hybrid;
mod page;
#[cfg(test)]
mod tests;
mod values;

pub use column::ColumnWriter;
pub use file::{GroupsWriter, Shape};
pub use values::{NOT_SET, Numbers, Values};
