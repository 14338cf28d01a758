//! The value as sent that a finding is about, read from the archived bytes.
//!
//! Promise: one walk over a file serves all its findings, since they come by record number; where the
//! item's place in the record is not certain, the value is blank, never another's. Of items that repeat the
//! reader noted the place; stacking did not, so there it is the one whose value the message names (S09, S15).

use super::rows::FindingRow;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use tsumiage_pipeline::disk::DiskError;
use tsumiage_pipeline::ledger::{Ledger, read_findings};
use tsumiage_pipeline::legible::legible;
use tsumiage_pipeline::reader::Records;
use tsumiage_schemas::{Code, Layout, Severity, Spec};

/// Characters of a value that are shown.
const MOST_CHARACTERS: usize = 200;

/// Findings about pairs of union lists whose places are held; a union has 33 members at most, so only
/// damaged files come near it. The values of more are blank.
const MOST_PLACES: usize = 100_000;

/// Record type, record number, exchange id: the same in every data record.
const ENVELOPE_COLUMNS: usize = 3;

/// An item as a list shows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Value {
    /// Japanese label, with the number of the pair where the item repeats; blank if no item is meant.
    pub label: String,
    /// The value as sent, CP932, legible; blank if none was sent or no item is meant.
    pub sent: Vec<u8>,
}

/// Finds values as sent.
pub struct Values<'s> {
    spec: &'s Spec,
    data: PathBuf,
    /// Read from the ledger when the first is needed.
    places: Option<Places>,
}

/// Offsets in their files of findings about items that repeat; each is the only one of its kind, severity
/// and item in its record.
type Places = BTreeMap<(String, i64, Code, Severity, String), u64>;

/// Where an item stands in its record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Column(usize),
    /// Column and number of the pair, from 1.
    Pair(usize, usize),
    Unknown,
}

impl<'s> Values<'s> {
    /// Values by these layouts; `data` is the data folder.
    pub fn new(spec: &'s Spec, data: &Path) -> Values<'s> {
        Values { spec, data: data.to_owned(), places: None }
    }

    /// The value of a finding; `records` are those of its file and go on to its record.
    ///
    /// # Errors
    /// The ledger cannot be read.
    pub fn of(&mut self, row: &FindingRow<'_>, records: &mut Records<'_>) -> Result<Value, DiskError> {
        let Some(record_no) = row.record_no.filter(|_| !row.item.is_empty()) else {
            return Ok(Value::default());
        };
        let mut value = Value { label: self.spec.label(row.item).to_owned(), sent: Vec::new() };
        if !records.go_to(record_no) {
            return Ok(value);
        }
        let column = match self.place(row, record_no, records)? {
            Place::Unknown => return Ok(value),
            Place::Column(column) => column,
            Place::Pair(column, pair) => {
                value.label = format!("{}（{pair}組目）", value.label);
                column
            }
        };
        value.sent = legible(&records.content(column), MOST_CHARACTERS);
        Ok(value)
    }

    fn place(
        &mut self,
        row: &FindingRow<'_>,
        record_no: i64,
        records: &Records<'_>,
    ) -> Result<Place, DiskError> {
        let spec = self.spec;
        let at = |layout: &Layout| layout.column(row.item).map_or(Place::Unknown, Place::Column);
        if record_no == 1 {
            return Ok(at(&spec.control));
        }
        let id = records.content(2);
        let layout = std::str::from_utf8(&id).ok().and_then(|id| spec.layouts.get(id));
        let Some(layout) = layout else {
            let column = spec.movement().column(row.item).filter(|column| *column < ENVELOPE_COLUMNS);
            return Ok(column.map_or(Place::Unknown, Place::Column));
        };
        let repeating = layout.repeating();
        if !repeating.iter().any(|item| item.name == row.item) {
            return Ok(at(layout));
        }
        let first = layout.items.len() - repeating.len();
        let column = if row.code >= Code::S01 {
            let behind = repeating.iter().position(|item| item.name == row.item).unwrap_or_default();
            named_column(records, (first + behind..records.columns()).step_by(repeating.len()), row)
        } else {
            self.offset(row, record_no)?.and_then(|offset| column_at(records, offset))
        };
        Ok(match column.and_then(|column| column.checked_sub(first).map(|behind| (column, behind))) {
            Some((column, behind)) => Place::Pair(column, behind / repeating.len() + 1),
            None => Place::Unknown,
        })
    }

    /// Offset in the file of an item that repeats.
    fn offset(&mut self, row: &FindingRow<'_>, record_no: i64) -> Result<Option<u64>, DiskError> {
        let places = match &self.places {
            Some(places) => places,
            None => self.places.insert(read_places(self.spec, &self.data)?),
        };
        let key = (row.file_id.to_owned(), record_no, row.code, row.severity, row.item.to_owned());
        Ok(places.get(&key).copied())
    }
}

/// The places of the reader's findings about items that repeat.
fn read_places(spec: &Spec, data: &Path) -> Result<Places, DiskError> {
    let ledger = Ledger::open(data)?;
    let files: BTreeMap<i32, &str> =
        ledger.files().map(|file| (file.seq, file.arrival.file_id.as_str())).collect();
    let repeats = |item: &str| {
        spec.layouts.values().any(|layout| layout.repeating().iter().any(|repeating| repeating.name == item))
    };
    let mut places = Places::new();
    for path in ledger.findings_about(&files.keys().copied().collect()) {
        read_findings(&path, &|seq| files.contains_key(&seq), &mut |seq, finding| {
            let (Some(file_id), Some(record_no), Some(offset), Some(item)) =
                (files.get(&seq), finding.record_no, finding.byte_offset, finding.item)
            else {
                return;
            };
            if places.len() < MOST_PLACES && repeats(&item) {
                let key = ((*file_id).to_owned(), record_no, finding.code, finding.severity, item);
                places.entry(key).or_insert(offset);
            }
        })?;
    }
    Ok(places)
}

/// The first of these columns whose number the finding's message names; none if it names several numbers of
/// them.
fn named_column(
    records: &Records<'_>,
    columns: impl Iterator<Item = usize>,
    row: &FindingRow<'_>,
) -> Option<usize> {
    let named: Vec<&str> = row.message_ja.split(|c: char| !c.is_ascii_digit()).collect();
    let mut found: Option<(usize, &str)> = None;
    for column in columns {
        let sent = records.content(column);
        let sent = std::str::from_utf8(&sent).unwrap_or_default().trim();
        let Some(no) = named.iter().find(|no| !no.is_empty() && is_number(sent, no)) else { continue };
        match found {
            None => found = Some((column, no)),
            Some((_, other)) if other == *no => {}
            Some(_) => return None,
        }
    }
    found.map(|(column, _)| column)
}

/// Whether a text is an insurer number, which may be padded to eight digits (domain 1).
fn is_number(sent: &str, no: &str) -> bool {
    sent == no || (sent.len() == 8 && sent.strip_prefix("00") == Some(no))
}

/// The column of the record that begins at an offset of the file.
fn column_at(records: &Records<'_>, offset: u64) -> Option<usize> {
    let offset = usize::try_from(offset).ok()?;
    let mut start = records.span().start;
    for column in 0..=records.columns() {
        if start >= offset {
            return (start == offset).then_some(column);
        }
        start += records.raw(column).len() + 1;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_by_where_they_begin() {
        let mut records = Records::new(b"1,1\r\n2,2,\"a,b\",,c\r\n");
        assert!(records.go_to(2));
        let of: Vec<Option<usize>> = (5..19).map(|offset| column_at(&records, offset)).collect();
        let mut want = vec![None; 14];
        for (column, at) in [0, 2, 4, 10, 11, 13].into_iter().enumerate() {
            want[at] = Some(column);
        }
        assert_eq!(of, want, "the last is the one that is missing");
    }
}
