//! Record layouts as data: one CSV per exchange id, one line per item (`schemas/data/layouts`).
//!
//! Promise: nothing about an item (width, kind, clear mark, code table) is known anywhere else.
//! A layout grows by appending items, so the number of columns tells the revision (domain 1).

use crate::csv_table::{DataError, Row, Table};
use crate::day::Month;
use crate::sources::SourceText;
use std::str::FromStr;

/// How an item is read, checked and typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A code of a table, compared as text.
    Code,
    /// A whole number of 32 bits; zero is a value. Nine digits always fit; what is greater than
    /// 2147483647 in a wider item is no number (R08).
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

impl Kind {
    /// All kinds.
    pub const ALL: [Kind; 8] = [
        Kind::Code,
        Kind::Integer,
        Kind::Date,
        Kind::Month,
        Kind::Identifier,
        Kind::Kana,
        Kind::Text,
        Kind::Decimal,
    ];

    /// Its name in the data files.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Code => "code",
            Kind::Integer => "integer",
            Kind::Date => "date",
            Kind::Month => "month",
            Kind::Identifier => "identifier",
            Kind::Kana => "kana",
            Kind::Text => "text",
            Kind::Decimal => "decimal",
        }
    }
}

impl FromStr for Kind {
    type Err = ();
    fn from_str(text: &str) -> Result<Kind, ()> {
        Kind::ALL.into_iter().find(|kind| kind.name() == text).ok_or(())
    }
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
    /// Free remark; one that begins with `key` marks a key item, with `REPEATS` one that repeats to the
    /// end of the row.
    pub note: String,
}

impl Item {
    /// Key items must always be given (domain 2).
    pub fn is_key(&self) -> bool {
        self.note.starts_with("key")
    }

    /// It repeats to the end of the row, together with the other items that do.
    pub fn repeats(&self) -> bool {
        self.note.starts_with("REPEATS")
    }
}

/// The layout of one kind of record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    /// Exchange id, or `control` / `end` for the envelope.
    pub id: String,
    /// The file it was read from, for messages.
    pub file: String,
    /// Items in column order; positions are 1, 2, 3 …
    pub items: Vec<Item>,
}

impl Layout {
    /// Reads one layout file.
    ///
    /// # Errors
    /// A line that is not an item, positions that are not 1, 2, 3 …, a width of 0, a name used twice, an
    /// item behind a repeating one that does not repeat.
    pub fn parse(id: &str, source: &SourceText<'_>) -> Result<Layout, DataError> {
        let columns = ["position", "name", "name_ja", "kind", "width", "since", "clear", "codes"];
        let table = Table::read(source, &columns)?;
        let mut items: Vec<Item> = Vec::new();
        for row in table.rows() {
            let item = Item::parse(&row)?;
            if item.position != items.len() + 1 {
                return Err(
                    row.fault("position", format!("should be {}: positions are 1, 2, 3 …", items.len() + 1))
                );
            }
            if items.iter().any(|other| other.name == item.name) {
                return Err(row.fault("name", format!("item {} stands twice", item.name)));
            }
            if !item.repeats() && items.last().is_some_and(Item::repeats) {
                return Err(row.fault("note", "only the last items can repeat"));
            }
            items.push(item);
        }
        if items.is_empty() {
            return Err(DataError::new(&source.file, 0, "no items"));
        }
        Ok(Layout { id: id.to_owned(), file: source.file.clone(), items })
    }

    /// The items that repeat to the end of the row, together; empty for most layouts.
    pub fn repeating(&self) -> &[Item] {
        let first = self.items.iter().position(Item::repeats).unwrap_or(self.items.len());
        &self.items[first..]
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

impl Item {
    fn parse(row: &Row<'_>) -> Result<Item, DataError> {
        let name = row.given("name")?;
        if !name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_') {
            return Err(row.fault("name", format!("{name:?} is no column name: use a-z, 0-9 and _")));
        }
        let width: usize = row.value("width", "a number of bytes")?;
        if !(1..=4000).contains(&width) {
            return Err(row.fault("width", "must be 1 to 4000"));
        }
        let clear = match row.text("clear") {
            "" => ClearMark { star: false, zeros: false },
            "*" => ClearMark { star: true, zeros: false },
            "0" => ClearMark { star: false, zeros: true },
            "0|*" | "*|0" => ClearMark { star: true, zeros: true },
            other => return Err(row.fault("clear", format!("{other:?} is none of *, 0, 0|*"))),
        };
        Ok(Item {
            position: row.value("position", "a number")?,
            name: name.to_owned(),
            name_ja: row.given("name_ja")?.to_owned(),
            kind: row.value("kind", "one of code, integer, date, month, identifier, kana, text, decimal")?,
            width,
            since: row.value("since", "a month like 2000-04")?,
            clear,
            codes: Some(row.text("codes")).filter(|codes| !codes.is_empty()).map(str::to_owned),
            grade: row.text("grade").to_owned(),
            note: row.text("note").to_owned(),
        })
    }
}
