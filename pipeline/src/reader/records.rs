//! The records of a file with their items as sent: for error lists, and to hold the scanner against
//! another.
//!
//! Promise: position and column are those of findings (`Finding::record_no`, control record 1; columns
//! from 0); nothing is judged, and nothing is copied unless an item has quotes inside.

use super::item::unquote;
use super::split::{MAX_ITEMS, MAX_RECORD, Record, Splitter, whole};
use encoding_rs::SHIFT_JIS;
use std::borrow::Cow;

/// Most bytes of a record without its line end; a longer one ends the reading (F01).
pub const MOST_RECORD_BYTES: usize = MAX_RECORD;

/// Most items of a record; from the last of them on everything is one item.
pub const MOST_ITEMS: usize = MAX_ITEMS;

/// Walks over the records of a file.
///
/// ```
/// use tsumiage_pipeline::reader::Records;
/// let mut records = Records::new(b"1,1,0\r\n2,2,\"a \"\"b\"\"\"\r\n3,3\r\n");
/// assert!(records.go_to(2));
/// assert_eq!(&*records.content(2), b"a \"b\"");
/// ```
pub struct Records<'f> {
    bytes: &'f [u8],
    splitter: Splitter<'f>,
    position: i64,
    record: Option<Record>,
    too_long: bool,
}

impl<'f> Records<'f> {
    /// Before the first record of a file's bytes.
    pub fn new(bytes: &'f [u8]) -> Records<'f> {
        let bytes = whole(bytes, &mut |_, _| {});
        Records { bytes, splitter: Splitter::new(bytes), position: 0, record: None, too_long: false }
    }

    /// The bytes that are walked over: the file without end marks (0x1A) and empty lines at its end.
    pub fn bytes(&self) -> &'f [u8] {
        self.bytes
    }

    /// Goes to the next record; false at the end of the file, and where a record is too long to be read.
    pub fn advance(&mut self) -> bool {
        let next = self.splitter.advance();
        self.too_long |= next.is_some_and(|record| record.too_long);
        self.record = next.filter(|record| !record.too_long);
        self.position += i64::from(self.record.is_some());
        self.record.is_some()
    }

    /// Goes on to the record of a position, 1 being the control record; false where it does not follow.
    pub fn go_to(&mut self, position: i64) -> bool {
        while self.position < position {
            if !self.advance() {
                return false;
            }
        }
        self.position == position && self.record.is_some()
    }

    /// Whether a record that is too long was met; nothing behind it is read.
    pub fn too_long(&self) -> bool {
        self.too_long
    }

    /// Position of the record; 0 before the first.
    pub fn position(&self) -> i64 {
        self.position
    }

    /// Number of columns of the record, at least 1; 0 before the first record and behind the last.
    pub fn columns(&self) -> usize {
        self.record.map_or(0, |_| self.splitter.items().len())
    }

    /// Where the record begins and ends in `bytes`, without its line end.
    pub fn span(&self) -> std::ops::Range<usize> {
        self.splitter.items().span()
    }

    /// Whether the record's last item has a quote that was never closed.
    pub fn unclosed(&self) -> bool {
        self.record.is_some_and(|record| record.unclosed)
    }

    /// An item's bytes as they came, with quotes; empty for a column the record does not have.
    pub fn raw(&self, column: usize) -> &'f [u8] {
        if column < self.columns() { self.splitter.items().raw(column) } else { &[] }
    }

    /// An item's bytes without the quotes around and the doubled ones inside: the value as sent.
    pub fn content(&self, column: usize) -> Cow<'f, [u8]> {
        let mut unescaped = Vec::new();
        match unquote(self.raw(column), &mut unescaped) {
            Some(part) => Cow::Borrowed(part),
            None => Cow::Owned(unescaped),
        }
    }

    /// An item's value as sent as text; what is not CP932 becomes U+FFFD. Up to 1 MiB.
    pub fn text(&self, column: usize) -> String {
        SHIFT_JIS.decode_without_bom_handling(&self.content(column)).0.into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_as_sent() {
        let mut records = Records::new(b"1,1\r\n2,2,\"a,\"\"\x81\r\n2,3,\xb1\xff\n3,4\r\n\r\n\x1a");
        assert_eq!((records.position(), records.columns()), (0, 0));
        assert!(records.raw(0).is_empty());
        assert!(records.go_to(2) && records.unclosed());
        assert_eq!((records.raw(2), &*records.content(2)), (&b"\"a,\"\"\x81"[..], &b"a,\"\x81"[..]));
        assert!(records.go_to(3) && !records.unclosed());
        assert_eq!((records.columns(), records.text(2).as_str()), (3, "ｱ\u{fffd}"));
        assert!(records.raw(3).is_empty() && records.raw(usize::MAX).is_empty());
        assert!(records.go_to(4) && !records.go_to(3), "only onwards");
        assert_eq!(&records.bytes()[records.span()], b"3,4");
        assert!(!records.go_to(5) && !records.advance());
        assert_eq!((records.position(), records.columns()), (4, 0));
    }
}
