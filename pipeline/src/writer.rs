//! Writes exchange files (domain 1): control record, data records, end record, CR LF, CP932.
//!
//! Promise: what is written is read back as the same items; record numbers run over the whole file;
//! the same input gives the same bytes. A text that would be read back as another is refused.

use encoding_rs::SHIFT_JIS;
use std::io::{self, Write};
use tsumiage_schemas::{Layout, Month};

/// What the control record says of the sender and the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileHeader {
    /// First three characters of the exchange id of the first data record.
    pub data_type: String,
    /// Sender's insurer number; empty if another office sends.
    pub sender_insurer_no: String,
    /// Welfare office (福祉事務所特定番号), else empty.
    pub welfare_office_no: String,
    /// Prefecture, else empty.
    pub prefecture_no: String,
    /// Processing month.
    pub processing_month: Month,
    /// Medium code.
    pub medium: String,
    /// File number.
    pub file_no: u32,
}

impl FileHeader {
    /// A file sent by an insurer over the line (medium 1), file number 0.
    pub fn new(data_type: &str, sender_insurer_no: &str, processing_month: Month) -> FileHeader {
        FileHeader {
            data_type: data_type.to_owned(),
            sender_insurer_no: sender_insurer_no.to_owned(),
            welfare_office_no: String::new(),
            prefecture_no: String::new(),
            processing_month,
            medium: "1".to_owned(),
            file_no: 0,
        }
    }
}

/// One data record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutRecord {
    /// Exchange id.
    pub exchange_id: String,
    /// Items from column 4 on, as text; empty = blank.
    pub items: Vec<String>,
}

/// Which items are enclosed in double quotes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quoting {
    /// Those that must be: with a comma, double quote, space or 2-byte character.
    Needed,
    /// All, blank ones too.
    All,
    /// Those that must be and every other column.
    Mixed,
}

/// Why a file could not be written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The output failed.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// A text has a character that CP932 does not have.
    #[error("{0:?} has a character that CP932 does not have")]
    Unmappable(String),
    /// An item that repeats cannot be set; its groups are appended.
    #[error("item {item} of layout {layout} repeats: append members instead of setting it")]
    Repeats {
        /// Exchange id.
        layout: String,
        /// Item asked for.
        item: String,
    },
    /// The layout has no such item.
    #[error("layout {layout} has no item {item} among its first {columns} columns")]
    UnknownItem {
        /// Exchange id.
        layout: String,
        /// Item asked for.
        item: String,
        /// Columns of the revision.
        columns: usize,
    },
    /// The control record promised another number of records.
    #[error("{promised} records promised, {written} written")]
    Count {
        /// In the control record.
        promised: u64,
        /// Pushed.
        written: u64,
    },
}

/// Makes a record of item names and texts; members of a union are appended, each with its day:
///
/// ```
/// # use tsumiage_schemas::{RecordKind, Spec};
/// # use tsumiage_pipeline::writer::{RecordBuilder, WriteError};
/// # let spec = Spec::embedded().unwrap(); // the embedded files are tested
/// let list = RecordBuilder::new(spec.layout(RecordKind::UnionMembershipMovement))
///     .set("movement_date", "20260401")?
///     .set("movement_type", "1")?
///     .set("insurer_no", "143990")?
///     .member("142018", "20260401")?
///     .member("142034", "20260401")?
///     .build();
/// assert_eq!(list.items, ["20260401", "1", "", "143990", "142018", "20260401", "142034", "20260401"]);
/// # Ok::<_, WriteError>(())
/// ```
#[derive(Clone, Debug)]
pub struct RecordBuilder<'l> {
    layout: &'l Layout,
    items: Vec<String>,
}

impl<'l> RecordBuilder<'l> {
    /// A record of the newest revision with all items blank; of items that repeat there are none.
    pub fn new(layout: &'l Layout) -> RecordBuilder<'l> {
        RecordBuilder::with_columns(layout, layout.items.len())
    }

    /// A record of this many columns, all blank. Columns that repeat are not among them.
    pub fn with_columns(layout: &'l Layout, columns: usize) -> RecordBuilder<'l> {
        let most = layout.items.len() - layout.repeating().len();
        let columns = columns.clamp(3, most.max(3));
        RecordBuilder { layout, items: vec![String::new(); columns - 3] }
    }

    /// Sets an item that does not repeat.
    ///
    /// # Errors
    /// The layout, or the revision, has no such item after the exchange id, or it repeats.
    pub fn set(mut self, item: &str, text: impl Into<String>) -> Result<RecordBuilder<'l>, WriteError> {
        if self.layout.repeating().iter().any(|other| other.name == item) {
            return Err(WriteError::Repeats { layout: self.layout.id.clone(), item: item.to_owned() });
        }
        let column = self.layout.column(item).and_then(|column| column.checked_sub(3));
        match column.and_then(|column| self.items.get_mut(column)) {
            Some(place) => *place = text.into(),
            None => {
                return Err(WriteError::UnknownItem {
                    layout: self.layout.id.clone(),
                    item: item.to_owned(),
                    columns: self.items.len() + 3,
                });
            }
        }
        Ok(self)
    }

    /// Appends a member and the day it is one from (5711), behind those appended before. Either may be
    /// empty = blank.
    ///
    /// # Errors
    /// The layout has no list of members, or the record ends before it.
    pub fn member(
        mut self,
        member_no: impl Into<String>,
        valid_from: impl Into<String>,
    ) -> Result<RecordBuilder<'l>, WriteError> {
        let list_from = self.layout.items.len() - self.layout.repeating().len();
        if self.layout.repeating().len() != 2 || self.items.len() + 3 < list_from {
            return Err(WriteError::UnknownItem {
                layout: self.layout.id.clone(),
                item: "member_insurer_no".to_owned(),
                columns: self.items.len() + 3,
            });
        }
        self.items.extend([member_no.into(), valid_from.into()]);
        Ok(self)
    }

    /// The record.
    pub fn build(self) -> OutRecord {
        OutRecord { exchange_id: self.layout.id.clone(), items: self.items }
    }
}

/// Writes one file record by record.
pub struct FileWriter<W: Write> {
    out: W,
    quoting: Quoting,
    promised: u64,
    written: u64,
    line: Vec<u8>,
}

impl<W: Write> FileWriter<W> {
    /// Writes the control record of a file that will have `record_count` data records.
    ///
    /// # Errors
    /// The output fails, or the header has a character that CP932 does not have.
    pub fn new(out: W, header: &FileHeader, quoting: Quoting, record_count: u64) -> Result<Self, WriteError> {
        let mut writer = FileWriter { out, quoting, promised: record_count, written: 0, line: Vec::new() };
        let items = [
            "1",
            "1",
            "0",
            &record_count.to_string(),
            &header.data_type,
            &header.welfare_office_no,
            &header.sender_insurer_no,
            "",
            &header.prefecture_no,
            &header.medium,
            &header.processing_month.digits(),
            &header.file_no.to_string(),
        ];
        writer.record(items.into_iter())?;
        Ok(writer)
    }

    /// Writes a data record.
    ///
    /// # Errors
    /// The output fails, or an item has a character that CP932 does not have; then nothing of the
    /// record was written.
    pub fn push_record(&mut self, record: &OutRecord) -> Result<(), WriteError> {
        let number = (self.written + 2).to_string();
        let envelope = ["2", number.as_str(), record.exchange_id.as_str()];
        self.record(envelope.into_iter().chain(record.items.iter().map(String::as_str)))?;
        self.written += 1;
        Ok(())
    }

    /// Writes the end record and gives the output back, flushed.
    ///
    /// # Errors
    /// The output fails, or the control record promised another number of records.
    pub fn finish(mut self) -> Result<W, WriteError> {
        if self.promised != self.written {
            return Err(WriteError::Count { promised: self.promised, written: self.written });
        }
        let number = (self.written + 2).to_string();
        self.record(["3", number.as_str()].into_iter())?;
        self.out.flush()?;
        Ok(self.out)
    }

    fn record<'a>(&mut self, items: impl Iterator<Item = &'a str>) -> Result<(), WriteError> {
        self.line.clear();
        for (column, text) in items.enumerate() {
            if column > 0 {
                self.line.push(b',');
            }
            let enclosed = match self.quoting {
                Quoting::All => true,
                Quoting::Needed => needs_quotes(text),
                Quoting::Mixed => column % 2 == 1 || needs_quotes(text),
            };
            if enclosed {
                self.line.push(b'"');
                encode(&text.replace('"', "\"\""), &mut self.line)?;
                self.line.push(b'"');
            } else {
                encode(text, &mut self.line)?;
            }
        }
        self.line.extend_from_slice(b"\r\n");
        self.out.write_all(&self.line)?;
        Ok(())
    }
}

/// Writes a whole file into memory.
///
/// # Errors
/// A text has a character that CP932 does not have.
pub fn write_file(
    header: &FileHeader,
    quoting: Quoting,
    records: &[OutRecord],
) -> Result<Vec<u8>, WriteError> {
    let mut writer = FileWriter::new(Vec::new(), header, quoting, records.len() as u64)?;
    for record in records {
        writer.push_record(record)?;
    }
    writer.finish()
}

/// Whether an item must be enclosed (domain 1), or would end the record. Half-width kana have one byte.
fn needs_quotes(text: &str) -> bool {
    let one_byte = |c: char| c.is_ascii() || ('\u{ff61}'..='\u{ff9f}').contains(&c);
    text.chars().any(|c| matches!(c, ',' | '"' | ' ' | '\r' | '\n') || !one_byte(c))
}

/// First and last code point to which user-defined characters (F040 to F9FC) decode.
const USER_DEFINED: std::ops::RangeInclusive<char> = '\u{e000}'..='\u{e757}';

/// Characters that encoding_rs encodes as another one: yen sign, overline, minus sign.
const ENCODED_AS_ANOTHER: [char; 3] = ['\u{a5}', '\u{203e}', '\u{2212}'];

/// Encodes text as CP932 behind `out`. encoding_rs decodes user-defined characters but does not
/// encode them: there are 188 to a lead byte from F0 on, the trail bytes run from 40 to FC without 7F.
///
/// # Errors
/// A character that CP932 does not have; one that would be read back as another counts as such.
pub fn encode(text: &str, out: &mut Vec<u8>) -> Result<(), WriteError> {
    if text.is_ascii() {
        out.extend_from_slice(text.as_bytes());
        return Ok(());
    }
    let mut buffer = [0; 4];
    for c in text.chars() {
        if USER_DEFINED.contains(&c) {
            let number = u32::from(c) - u32::from(*USER_DEFINED.start());
            let place = number % 188;
            let trail = 0x40 + place + u32::from(place >= 0x3f);
            out.extend([(0xf0 + number / 188) as u8, trail as u8]);
            continue;
        }
        let (bytes, _, unmappable) = SHIFT_JIS.encode(c.encode_utf8(&mut buffer));
        if unmappable || ENCODED_AS_ANOTHER.contains(&c) {
            return Err(WriteError::Unmappable(text.to_owned()));
        }
        out.extend_from_slice(&bytes);
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn every_user_defined_character_is_encoded_as_it_decodes() {
        for c in USER_DEFINED {
            let mut bytes = Vec::new();
            encode(&c.to_string(), &mut bytes).unwrap();
            assert_eq!(SHIFT_JIS.decode(&bytes).0, c.to_string(), "{bytes:x?}");
        }
        for other in ["🙂", "¥", "‾", "−", "〜", "é"] {
            assert!(matches!(encode(other, &mut Vec::new()), Err(WriteError::Unmappable(_))), "{other}");
        }
    }

    /// Whatever is encoded decodes as itself.
    #[test]
    fn no_character_is_encoded_as_another() {
        for c in '\0'..=char::MAX {
            let mut bytes = Vec::new();
            if encode(&c.to_string(), &mut bytes).is_ok() {
                assert_eq!(SHIFT_JIS.decode_without_bom_handling(&bytes).0, c.to_string(), "{bytes:x?}");
            }
        }
    }

    #[test]
    fn members_are_appended_and_not_set() {
        let spec = tsumiage_schemas::Spec::embedded().unwrap();
        let layout = spec.layout(tsumiage_schemas::RecordKind::UnionMembershipMovement);
        let empty = RecordBuilder::new(layout);
        assert_eq!(empty.clone().build().items.len(), 4, "no pair");
        assert!(matches!(empty.clone().set("member_insurer_no", "142018"), Err(WriteError::Repeats { .. })));
        assert!(matches!(empty.set("sex", "1"), Err(WriteError::UnknownItem { .. })));
        let short = RecordBuilder::with_columns(layout, 6).member("142018", "20260401");
        assert!(matches!(short, Err(WriteError::UnknownItem { .. })));
        let other = RecordBuilder::new(spec.movement()).member("142018", "20260401");
        assert!(matches!(other, Err(WriteError::UnknownItem { .. })));
    }

    #[test]
    fn a_file_in_bytes() {
        let header = FileHeader::new("531", "142018", Month::from_civil(2026, 10).unwrap());
        let record = OutRecord { exchange_id: "5311".into(), items: vec!["".into(), "ｱ b\"".into()] };
        let bytes = write_file(&header, Quoting::Needed, &[record]).unwrap();
        let control = b"1,1,0,1,531,,142018,,,1,202610,0\r\n".as_slice();
        assert_eq!(bytes, [control, b"2,2,5311,,\"\xb1 b\"\"\"\r\n3,3\r\n"].concat());
        let writer = FileWriter::new(Vec::new(), &header, Quoting::All, 2).unwrap();
        assert!(matches!(writer.finish(), Err(WriteError::Count { promised: 2, written: 0 })));
    }
}
