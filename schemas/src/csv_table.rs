//! Data files as rows whose faults say where they are.
//!
//! Promise: every error names file, line and, where one cell is meant, column; no input panics.

use csv::{ReaderBuilder, StringRecord};
use std::fmt;
use std::str::FromStr;

/// A layout, code or rule file that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct DataError {
    /// File name.
    pub file: String,
    /// 1-based line, 0 if the whole file is meant.
    pub line: u64,
    /// 1-based column and its name, if one cell is meant.
    pub column: Option<(usize, String)>,
    /// What is wrong.
    pub what: String,
}

impl DataError {
    /// A fault of a line, or of the whole file (line 0).
    pub fn new(file: &str, line: u64, what: impl ToString) -> DataError {
        DataError { file: file.to_owned(), line, column: None, what: what.to_string() }
    }
}

impl fmt::Display for DataError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if self.line > 0 {
            write!(f, ", line {}", self.line)?;
        }
        match &self.column {
            Some((number, name)) if name.is_empty() => write!(f, ", column {number}")?,
            Some((number, name)) => write!(f, ", column {number} ({name})")?,
            None => {}
        }
        write!(f, ": {}", self.what)
    }
}

/// One data file.
#[derive(Clone, Debug)]
pub struct SourceText<'s> {
    /// Name in messages.
    pub file: String,
    /// Its text.
    pub text: &'s str,
}

/// The rows of one data file, with its header.
pub(crate) struct Table<'s> {
    file: &'s str,
    header: StringRecord,
    rows: Vec<(u64, StringRecord)>,
}

/// One row.
pub(crate) struct Row<'t> {
    table: &'t Table<'t>,
    record: &'t StringRecord,
    /// 1-based line in the file.
    pub line: u64,
}

impl<'s> Table<'s> {
    /// Reads a file that must have these columns, in any order; others are left alone.
    pub fn read(source: &'s SourceText<'_>, needed: &[&str]) -> Result<Table<'s>, DataError> {
        let file = source.file.as_str();
        let mut reader =
            ReaderBuilder::new().flexible(true).has_headers(false).from_reader(source.text.as_bytes());
        let mut rows = Vec::new();
        for record in reader.records() {
            let record = record.map_err(|e| {
                DataError::new(file, e.position().map_or(0, csv::Position::line), "is no CSV text")
            })?;
            let line = record.position().map_or(0, csv::Position::line);
            rows.push((line, record));
        }
        if rows.is_empty() {
            return Err(DataError::new(file, 0, "is empty; its first line names the columns"));
        }
        let (_, header) = rows.remove(0);
        let table = Table { file, header, rows };
        if let Some(missing) = needed.iter().find(|name| table.column(name).is_none()) {
            return Err(DataError::new(file, 1, format!("there is no column {missing}")));
        }
        for (line, record) in &table.rows {
            if record.len() != table.header.len() {
                let (has, wants) = (record.len(), table.header.len());
                let mut error = DataError::new(file, *line, format!("{has} columns instead of {wants}"));
                error.column =
                    Some((has.min(wants) + 1, table.header.get(has).unwrap_or_default().to_owned()));
                return Err(error);
            }
            let row = Row { table: &table, record, line: *line };
            let broken = record.iter().position(|cell| cell.chars().any(char::is_control));
            if let Some(name) = broken.and_then(|at| table.header.get(at)) {
                return Err(row.fault(name, "holds a line end or control character; is a quote not closed?"));
            }
        }
        Ok(table)
    }

    fn column(&self, name: &str) -> Option<usize> {
        self.header.iter().position(|column| column.trim() == name)
    }

    /// Its rows in order.
    pub fn rows(&self) -> impl Iterator<Item = Row<'_>> {
        self.rows.iter().map(|(line, record)| Row { table: self, record, line: *line })
    }
}

impl<'t> Row<'t> {
    /// The text of a column; empty if the file has no such column.
    pub fn text(&self, column: &str) -> &'t str {
        self.table.column(column).and_then(|at| self.record.get(at)).unwrap_or_default()
    }

    /// The text of a column that must not be empty.
    pub fn given(&self, column: &str) -> Result<&'t str, DataError> {
        match self.text(column) {
            "" => Err(self.fault(column, "is empty")),
            text => Ok(text),
        }
    }

    /// A column read as a value; `what` says what it should be.
    pub fn value<T: FromStr>(&self, column: &str, what: &str) -> Result<T, DataError> {
        let text = self.text(column);
        text.parse().map_err(|_| self.fault(column, format!("{text:?} is not {what}")))
    }

    /// An error of a cell.
    pub fn fault(&self, column: &str, what: impl ToString) -> DataError {
        let mut error = DataError::new(self.table.file, self.line, what);
        error.column = self.table.column(column).map(|at| (at + 1, column.to_owned()));
        error
    }
}
