//! Finds records and items on raw bytes: in CP932 neither comma, quote, CR nor LF is ever a second
//! byte (domain 1).
//!
//! Promise: every byte of the input belongs to exactly one record or line end; nothing is copied,
//! nothing is allocated per record, and no byte is looked at that is more than [`MAX_RECORD`] and a
//! few behind the start of its record. `walk` finds the items of nearly all records by masks; what it leaves,
//! `by_bytes` finds.

use super::by_bytes::{self, item_end};
use super::walk;
use std::ops::Range;

/// More items than any layout has; the rest of a longer record is one item.
pub const MAX_ITEMS: usize = 1024;

/// Most bytes of a record without its line end. A protection of the machine, no rule of the sources:
/// real records have 250 to 590.
pub const MAX_RECORD: usize = 1 << 20;

/// How a record ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LineEnd {
    CrLf,
    Lf,
    /// The input ended.
    None,
}

/// Where one record lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Record {
    pub line_end: LineEnd,
    /// A quote was opened and never closed; the last item is the one.
    pub unclosed: bool,
    /// The record is longer than `MAX_RECORD`; its items are not whole, and no record follows.
    pub too_long: bool,
    /// Nothing follows.
    pub last: bool,
}

/// An item that says something: neither empty nor only two quotes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Given {
    pub column: usize,
    pub start: usize,
    pub end: usize,
}

/// What was found of a record's items.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Found {
    /// In order of their columns.
    pub given: Vec<Given>,
    /// Number of columns, at least 1.
    pub columns: usize,
    /// Some items are two quotes and nothing between: they are not in `given`, but have bytes.
    pub quoted_blanks: bool,
    /// A quote was opened and never closed.
    pub unclosed: bool,
}

impl Found {
    /// Takes in an item that has a byte.
    #[inline]
    pub fn push(&mut self, bytes: &[u8], item: Given) {
        if bytes[item.start..item.end] == *b"\"\"" {
            self.quoted_blanks = true;
        } else {
            self.given.push(item);
        }
    }
}

/// The raw items of one record, quotes included.
#[derive(Clone, Copy)]
pub(super) struct Items<'s, 'f> {
    bytes: &'f [u8],
    start: usize,
    end: usize,
    found: &'s Found,
}

/// The file without end-of-file marks (0x1A) and empty lines at its end. `told` gets each form that was
/// taken off as a key of `details.csv`, and where it was. No more is taken off than a record may have
/// bytes: what is left then is no end record.
pub(super) fn whole<'f>(bytes: &'f [u8], told: &mut dyn FnMut(&'static str, usize)) -> &'f [u8] {
    let least = bytes.len().saturating_sub(MAX_RECORD);
    let mut body = bytes;
    while body.len() > least {
        if let Some(before) = body.strip_suffix(b"\x1a") {
            body = before;
            told("trailing_1a", body.len());
            continue;
        }
        let line = body.strip_suffix(b"\n").map(|line| line.strip_suffix(b"\r").unwrap_or(line));
        match line {
            Some(line) if line.is_empty() || line.ends_with(b"\n") => {
                body = line;
                told("empty_line_at_end", body.len());
            }
            _ => break,
        }
    }
    body
}

impl<'s, 'f> Items<'s, 'f> {
    /// Number of columns, at least 1.
    pub fn len(&self) -> usize {
        self.found.columns
    }

    /// All bytes of the file.
    pub fn file(&self) -> &'f [u8] {
        self.bytes
    }

    /// The items that say something, in order of their columns: few of many.
    pub fn given(&self) -> &'s [Given] {
        &self.found.given
    }

    /// Offset of an item in the file. The first column the record does not have would begin behind its
    /// end; of any other column it does not have, the record's end.
    pub fn offset(&self, column: usize) -> usize {
        match column {
            0 => self.start,
            _ if column < self.len() => self.place(column).start,
            _ if column == self.len() => self.end + 1,
            _ => self.end,
        }
    }

    /// The bytes of an item as they came; empty for a column the record does not have.
    #[inline]
    pub fn raw(&self, column: usize) -> &'f [u8] {
        match self.found.given.get(column) {
            // The first columns are hardly ever blank.
            Some(given) if given.column == column => &self.bytes[given.start..given.end],
            _ => self.raw_of_any(column),
        }
    }

    fn raw_of_any(&self, column: usize) -> &'f [u8] {
        match self.found.given.binary_search_by_key(&column, |given| given.column) {
            Ok(at) => &self.bytes[self.found.given[at].start..self.found.given[at].end],
            Err(_) if self.found.quoted_blanks && column < self.len() => &self.bytes[self.place(column)],
            Err(_) => &[],
        }
    }

    /// Everything from a column to the end of the record.
    pub fn tail(&self, column: usize) -> &'f [u8] {
        &self.bytes[self.offset(column)..self.end]
    }

    /// Everything from a column to before another, without the comma between.
    pub fn part(&self, column: usize, end: usize) -> &'f [u8] {
        let to = if end < self.len() { self.offset(end).saturating_sub(1) } else { self.end };
        self.bytes.get(self.offset(column)..to).unwrap_or_default()
    }

    /// Where the record begins and ends, without its line end.
    pub fn span(&self) -> Range<usize> {
        self.start..self.end
    }

    /// Whether the record has no byte at all.
    pub fn is_empty(&self) -> bool {
        self.end == self.start
    }

    /// Where a column of the record lies; for what is told of it, not for every record.
    fn place(&self, column: usize) -> Range<usize> {
        let given = &self.found.given;
        // Behind an item that is known only commas follow, unless some blanks are quoted.
        let before = given.partition_point(|given| given.column <= column);
        let (mut at, mut start) = match before.checked_sub(1).map(|last| given[last]) {
            Some(last) if last.column == column => return last.start..last.end,
            Some(last) => (last.column + 1, last.end + 1),
            None => (0, self.start),
        };
        while at < column {
            start = item_end(self.bytes, self.end, start) + 1;
            at += 1;
        }
        let end = item_end(self.bytes, self.end, start);
        start.min(end)..end
    }
}

/// Walks over the records of a file.
pub(super) struct Splitter<'f> {
    bytes: &'f [u8],
    start: usize,
    /// Where the content of the record ends.
    end: usize,
    next: usize,
    /// End of what may be looked at for this record: the longest one and its line end.
    window: usize,
    found: Found,
}

impl<'f> Splitter<'f> {
    pub fn new(bytes: &'f [u8]) -> Splitter<'f> {
        Splitter::from(bytes, 0)
    }

    /// Begins with the record that starts there.
    pub fn from(bytes: &'f [u8], start: usize) -> Splitter<'f> {
        let found = Found { given: Vec::with_capacity(128), ..Found::default() };
        Splitter { bytes, start, end: start, next: start, window: 0, found }
    }

    /// The bytes it walks over.
    pub fn bytes(&self) -> &'f [u8] {
        self.bytes
    }

    /// Where the next record starts; the end of the bytes if none does.
    pub fn next(&self) -> usize {
        self.next
    }

    /// The items of the record `advance` found last.
    pub fn items(&self) -> Items<'_, 'f> {
        let Splitter { bytes, start, end, ref found, .. } = *self;
        Items { bytes, start, end, found }
    }

    /// Finds the next record; `None` at the end of the input.
    #[inline]
    pub fn advance(&mut self) -> Option<Record> {
        if self.next >= self.bytes.len() {
            return None;
        }
        self.start = self.next;
        match walk::items(self.bytes, self.start, &mut self.found) {
            Some(feed) => Some(self.close(feed)),
            None => Some(self.advance_by_bytes()),
        }
    }

    /// The same for any record, with no masks.
    pub fn advance_by_bytes(&mut self) -> Record {
        self.start = self.next;
        self.window = self.bytes.len().min(self.start + MAX_RECORD + 2);
        let end = by_bytes::items(self.bytes, self.start, self.window, &mut self.found);
        self.close(end)
    }

    /// Ends the record at a line feed or the end of the input.
    #[inline]
    fn close(&mut self, end: usize) -> Record {
        // A CR that is left of a cut line end is no content either.
        let cr = end > self.start && self.bytes[end - 1] == b'\r';
        let line_end = match self.bytes.get(end) {
            None => LineEnd::None,
            Some(_) if cr => LineEnd::CrLf,
            Some(_) => LineEnd::Lf,
        };
        self.end = end - usize::from(cr);
        let too_long = self.end - self.start > MAX_RECORD;
        self.next = if too_long { self.bytes.len() } else { end + 1 };
        Record { line_end, unclosed: self.found.unclosed, too_long, last: self.next >= self.bytes.len() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(text: &str) -> Vec<(Vec<String>, LineEnd, bool)> {
        let mut splitter = Splitter::new(text.as_bytes());
        let mut records = Vec::new();
        while let Some(record) = splitter.advance() {
            let items = splitter.items();
            let own = |i| String::from_utf8_lossy(items.raw(i)).into_owned();
            records.push(((0..items.len()).map(own).collect(), record.line_end, record.unclosed));
        }
        records
    }

    fn texts(items: &[&str]) -> Vec<String> {
        items.iter().map(|s| s.to_string()).collect()
    }

    #[test]
    fn plain_and_quoted_records() {
        let found = split("1,2,,abcdefghijkl,\r\n\"a,b\",\"x\"\"y\"z,q\"r\n3");
        assert_eq!(found[0], (texts(&["1", "2", "", "abcdefghijkl", ""]), LineEnd::CrLf, false));
        assert_eq!(found[1], (texts(&["\"a,b\"", "\"x\"\"y\"z", "q\"r"]), LineEnd::Lf, false));
        assert_eq!(found[2], (texts(&["3"]), LineEnd::None, false));
    }

    #[test]
    fn a_line_end_in_quotes_belongs_to_the_item_unless_a_record_follows() {
        assert_eq!(split("2,2,\"a\r\nb\"\r\n")[0].0, texts(&["2", "2", "\"a\r\nb\""]));
        let found = split("2,2,\"a,b\r\n\"2\",\"3\",x\r\n3,4,\"\r\n");
        assert_eq!(found[0], (texts(&["2", "2", "\"a,b"]), LineEnd::CrLf, true));
        assert_eq!(found[1].0, texts(&["\"2\"", "\"3\"", "x"]));
        assert_eq!(found[2], (texts(&["3", "4", "\""]), LineEnd::CrLf, true));
    }

    #[test]
    fn nothing_is_looked_at_behind_the_longest_record() {
        for start in ["", "\"", "a,\"b\n"] {
            let content = MAX_RECORD - start.len();
            let of = |length: usize, end: &str| {
                let text = format!("{start}{}\"{end}2,2\n", "x".repeat(length - 1));
                let mut splitter = Splitter::new(text.as_bytes());
                let first = splitter.advance().unwrap();
                (first.too_long, splitter.window <= MAX_RECORD + 2, splitter.advance().is_some())
            };
            for end in ["\r\n", "\n"] {
                assert_eq!(of(content, end), (false, true, true), "{start} {end:?}");
                assert_eq!(of(content + 1, end), (true, true, false), "{start} {end:?}");
                assert_eq!(of(content + 2, end), (true, true, false), "{start} {end:?}");
            }
        }
    }

    #[test]
    fn a_record_of_commas_only_is_bounded() {
        for quote in ["", "\""] {
            let text = format!("{quote}{quote}{}", ",".repeat(5000));
            let mut splitter = Splitter::new(text.as_bytes());
            splitter.advance();
            assert_eq!(splitter.items().len(), MAX_ITEMS);
            assert_eq!(splitter.items().tail(0).len(), text.len());
        }
    }
}
