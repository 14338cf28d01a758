//! Finds records and items on raw bytes: in CP932 neither comma, quote, CR nor LF is ever a second
//! byte (domain 1).
//!
//! Promise: every byte of the input belongs to exactly one record or line end; nothing is copied,
//! and nothing is allocated per record.

/// More items than any layout has; the rest of a longer record is one item.
const MAX_ITEMS: usize = 1024;

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
    /// Nothing follows.
    pub last: bool,
}

/// The raw items of one record, quotes included.
#[derive(Clone, Copy)]
pub(super) struct Items<'s, 'f> {
    bytes: &'f [u8],
    start: usize,
    ends: &'s [usize],
}

impl<'s, 'f> Items<'s, 'f> {
    /// Number of columns, at least 1.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Offset of an item in the file; of the record's end for a column it does not have.
    pub fn offset(&self, column: usize) -> usize {
        match column {
            0 => self.start,
            _ => self.ends.get(column - 1).map_or(self.record_end(), |end| end + 1),
        }
    }

    /// The bytes of an item as they came; empty for a column the record does not have.
    pub fn raw(&self, column: usize) -> &'f [u8] {
        let Some(&end) = self.ends.get(column) else { return &[] };
        &self.bytes[self.offset(column)..end]
    }

    /// Everything from a column to the end of the record.
    pub fn tail(&self, column: usize) -> &'f [u8] {
        &self.bytes[self.offset(column)..self.record_end()]
    }

    /// Whether the record has no byte at all.
    pub fn is_empty(&self) -> bool {
        self.record_end() == self.start
    }

    fn record_end(&self) -> usize {
        self.ends.last().copied().unwrap_or(self.start)
    }
}

/// Walks over the records of a file.
pub(super) struct Splitter<'f> {
    bytes: &'f [u8],
    start: usize,
    next: usize,
    ends: Vec<usize>,
}

impl<'f> Splitter<'f> {
    pub fn new(bytes: &'f [u8]) -> Splitter<'f> {
        Splitter { bytes, start: 0, next: 0, ends: Vec::with_capacity(128) }
    }

    /// The items of the record `advance` found last.
    pub fn items(&self) -> Items<'_, 'f> {
        Items { bytes: self.bytes, start: self.start, ends: &self.ends }
    }

    /// Finds the next record; `None` at the end of the input.
    pub fn advance(&mut self) -> Option<Record> {
        if self.next >= self.bytes.len() {
            return None;
        }
        self.start = self.next;
        self.ends.clear();
        let rest = &self.bytes[self.start..];
        let line = memchr::memchr(b'\n', rest).map_or(rest, |end| &rest[..end]);
        let (end, unclosed) = if memchr::memchr(b'"', line).is_some() {
            self.index_quoted()
        } else {
            index_commas(line, self.start, &mut self.ends);
            (self.start + line.len(), false)
        };
        let line_end = match self.bytes.get(end) {
            None => LineEnd::None,
            Some(_) if end > self.start && self.bytes[end - 1] == b'\r' => LineEnd::CrLf,
            Some(_) => LineEnd::Lf,
        };
        self.next = end + 1;
        // A CR that is left of a cut line end is no content either.
        let cr = end > self.start && self.bytes[end - 1] == b'\r';
        self.ends.push(end - usize::from(cr));
        Some(Record { line_end, unclosed, last: self.next >= self.bytes.len() })
    }

    /// Indexes a record that holds quotes; gives where it ends (LF or end of input) and whether a quote
    /// was left open.
    fn index_quoted(&mut self) -> (usize, bool) {
        let bytes = self.bytes;
        let mut at = self.start;
        loop {
            if bytes.get(at) == Some(&b'"') {
                match closing_quote(bytes, at + 1) {
                    Quote::ClosedAt(quote) => at = quote + 1,
                    Quote::OpenUntil(end) => return (end, true),
                }
            }
            while bytes.get(at).is_some_and(|b| *b != b',' && *b != b'\n') {
                at += 1;
            }
            if bytes.get(at) != Some(&b',') {
                return (at, false);
            }
            if self.ends.len() + 1 < MAX_ITEMS {
                self.ends.push(at);
            }
            at += 1;
        }
    }
}

enum Quote {
    ClosedAt(usize),
    OpenUntil(usize),
}

/// Looks for the quote that closes an item whose content starts at `at`. A line end that the start of
/// a record follows, or nothing, shows that it was never closed.
fn closing_quote(bytes: &[u8], mut at: usize) -> Quote {
    while let Some(found) = memchr::memchr2(b'"', b'\n', &bytes[at..]) {
        at += found;
        if bytes[at] == b'\n' {
            if starts_record(&bytes[at + 1..]) {
                return Quote::OpenUntil(at);
            }
            at += 1;
        } else if bytes.get(at + 1) == Some(&b'"') {
            at += 2;
        } else {
            return Quote::ClosedAt(at);
        }
    }
    Quote::OpenUntil(bytes.len())
}

/// Whether the bytes are empty or look like `2,17,` with or without quotes.
fn starts_record(bytes: &[u8]) -> bool {
    fn unquoted(bytes: &[u8]) -> &[u8] {
        bytes.strip_prefix(b"\"").unwrap_or(bytes)
    }
    let rest = unquoted(bytes);
    let Some((b'1'..=b'3', rest)) = rest.split_first() else { return bytes.is_empty() };
    let Some(rest) = unquoted(rest).strip_prefix(b",") else { return false };
    let rest = unquoted(rest);
    let digits = rest.iter().take_while(|b| b.is_ascii_digit()).count();
    digits > 0 && matches!(unquoted(&rest[digits..]).first(), None | Some(b',' | b'\r' | b'\n'))
}

const COMMAS: u64 = u64::from_ne_bytes([b','; 8]);
const LOW_BITS: u64 = u64::from_ne_bytes([0x7f; 8]);

/// Pushes the position of every comma, eight bytes at a time: a byte of `x` is zero where a comma is,
/// and adding 0x7f to its low bits sets the high bit of every other byte, without carries.
fn index_commas(line: &[u8], base: usize, ends: &mut Vec<usize>) {
    let (words, rest) = line.as_chunks::<8>();
    let mut at = base;
    for word in words {
        let x = u64::from_le_bytes(*word) ^ COMMAS;
        let mut hits = !(((x & LOW_BITS) + LOW_BITS) | x | LOW_BITS);
        while hits != 0 {
            ends.push(at + (hits.trailing_zeros() / 8) as usize);
            hits &= hits - 1;
        }
        at += 8;
        if ends.len() >= MAX_ITEMS {
            return ends.truncate(MAX_ITEMS - 1);
        }
    }
    ends.extend(rest.iter().enumerate().filter(|(_, b)| **b == b',').map(|(i, _)| at + i));
    ends.truncate(MAX_ITEMS - 1);
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
