//! Record layouts as data: one CSV per exchange id, one line per item (`schemas/data/layouts`).
//!
//! Promise: nothing about an item (width, kind, clear mark, code table) is known anywhere else.
//! A layout grows by appending items, so the number of columns tells the revision (domain 1).

use crate::day::Month;
use serde::Deserialize;

/// How an item is read, checked and typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A code of a table, compared as text.
    Code,
    /// A whole number; zero is a value.
    Integer,
    /// YYYYMMDD.
    Date,
    /// YYYYMM.
    Month,
    /// A number used as a name: digits and capitals, kept as text.
    Identifier,
    /// Half-width kana.
    Kana,
    /// Free text, full-width allowed.
    Text,
    /// A number with decimals, kept as its text.
    Decimal,
}

/// Which marks clear an item (domain 2). Grade B: data.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClearMark {
    /// A run of `*`.
    pub star: bool,
    /// A run of zeros.
    pub zeros: bool,
}

/// One item of a layout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// 1-based column in the record.
    pub position: usize,
    /// Column name in all tables.
    pub name: String,
    /// Japanese label.
    pub name_ja: String,
    /// How it is read.
    pub kind: Kind,
    /// Greatest width in CP932 bytes.
    pub width: usize,
    /// First month in which the item existed.
    pub since: Month,
    /// Marks that clear it.
    pub clear: ClearMark,
    /// Name of its code table.
    pub codes: Option<String>,
    /// How sure the source is, A to D.
    pub grade: String,
    /// Free remark; one that begins with `key` marks a key item.
    pub note: String,
}

impl Item {
    /// Key items must always be given (domain 2).
    pub fn is_key(&self) -> bool {
        self.note.starts_with("key")
    }
}

/// The layout of one kind of record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    /// Exchange id, or `control` / `end` for the envelope.
    pub id: String,
    /// Items in column order; positions are 1, 2, 3 …
    pub items: Vec<Item>,
}

/// A layout or code file that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file}, line {line}: {what}")]
pub struct DataError {
    /// File name.
    pub file: String,
    /// 1-based line, 0 if the whole file is meant.
    pub line: u64,
    /// What is wrong.
    pub what: String,
}

impl DataError {
    pub(crate) fn new(file: &str, line: u64, what: impl ToString) -> DataError {
        DataError { file: file.to_owned(), line, what: what.to_string() }
    }
}

#[derive(Deserialize)]
struct Row {
    position: usize,
    name: String,
    name_ja: String,
    kind: Kind,
    width: usize,
    since: String,
    clear: String,
    codes: String,
    grade: String,
    note: String,
}

impl Layout {
    /// Reads one layout file.
    ///
    /// # Errors
    /// A line that is not an item, positions that are not 1, 2, 3 …, a width of 0, a name used twice.
    pub fn parse(id: &str, file: &str, text: &str) -> Result<Layout, DataError> {
        let mut items: Vec<Item> = Vec::new();
        let mut reader = csv::Reader::from_reader(text.as_bytes());
        for row in reader.deserialize::<Row>() {
            let line = items.len() as u64 + 2;
            let row = row.map_err(|e| DataError::new(file, line, e))?;
            let item = row.item().map_err(|what| DataError::new(file, line, what))?;
            if item.position != items.len() + 1 {
                return Err(DataError::new(file, line, "positions must be 1, 2, 3 …"));
            }
            if items.iter().any(|other| other.name == item.name) {
                return Err(DataError::new(file, line, format!("item {} stands twice", item.name)));
            }
            items.push(item);
        }
        if items.is_empty() {
            return Err(DataError::new(file, 0, "no items"));
        }
        Ok(Layout { id: id.to_owned(), items })
    }

    /// The numbers of columns a record had in the revisions of the layout, ascending.
    pub fn revisions(&self) -> Vec<usize> {
        let mut months: Vec<Month> = self.items.iter().map(|item| item.since).collect();
        months.sort();
        months.dedup();
        let known = |m: &Month| self.items.iter().filter(|item| item.since <= *m).count();
        months.iter().map(known).collect()
    }

    /// The 0-based column of an item.
    pub fn column(&self, name: &str) -> Option<usize> {
        self.items.iter().position(|item| item.name == name)
    }

    /// The number of columns a record needs to hold all its keys.
    pub fn columns_for_keys(&self) -> usize {
        self.items.iter().rposition(Item::is_key).map_or(0, |last| last + 1)
    }
}

impl Row {
    fn item(self) -> Result<Item, String> {
        if self.width == 0 {
            return Err("width must be at least 1".to_owned());
        }
        let clear = match self.clear.as_str() {
            "" => ClearMark { star: false, zeros: false },
            "*" => ClearMark { star: true, zeros: false },
            "0" => ClearMark { star: false, zeros: true },
            "0|*" | "*|0" => ClearMark { star: true, zeros: true },
            other => return Err(format!("clear mark {other:?} is none of *, 0, 0|*")),
        };
        Ok(Item {
            position: self.position,
            name: self.name,
            name_ja: self.name_ja,
            kind: self.kind,
            width: self.width,
            since: self.since.parse::<Month>().map_err(|e| e.to_string())?,
            clear,
            codes: (!self.codes.is_empty()).then_some(self.codes),
            grade: self.grade,
            note: self.note,
        })
    }
}
