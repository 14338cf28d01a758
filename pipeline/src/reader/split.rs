//! Finds records and items on raw bytes: in CP932 neither comma, quote, CR nor LF is ever a second
//! byte (domain 1).
//!
//! Promise: every byte of the input belongs to exactly one record or line end; nothing is copied,
//! nothing is allocated per record, and no byte is looked at that is more than [`MAX_RECORD`] and a
//! few behind the start of its record.

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

/// An item with at least one byte.
#[derive(Clone, Copy)]
pub(super) struct Given {
    pub column: usize,
    start: usize,
    end: usize,
}

/// The raw items of one record, quotes included.
#[derive(Clone, Copy)]
pub(super) struct Items<'s, 'f> {
    bytes: &'f [u8],
    start: usize,
    end: usize,
    columns: usize,
    given: &'s [Given],
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
        self.columns
    }

    /// The items that have a byte, in order of their columns: few of many.
    pub fn given(&self) -> impl Iterator<Item = (usize, &'f [u8])> + use<'s, 'f> {
        let bytes = self.bytes;
        self.given.iter().map(move |given| (given.column, &bytes[given.start..given.end]))
    }

    /// Offset of an item in the file. The first column the record does not have would begin behind its
    /// end; of any other column it does not have, the record's end.
    pub fn offset(&self, column: usize) -> usize {
        match column {
            _ if column < self.columns => offset(self.given, self.start, column),
            _ if column == self.columns => self.end + 1,
            _ => self.end,
        }
    }

    /// The bytes of an item as they came; empty for a column the record does not have.
    pub fn raw(&self, column: usize) -> &'f [u8] {
        let at = match self.given.get(column) {
            // The first columns are hardly ever blank.
            Some(given) if given.column == column => column,
            _ => match self.given.binary_search_by_key(&column, |given| given.column) {
                Ok(at) => at,
                Err(_) => return &[],
            },
        };
        &self.bytes[self.given[at].start..self.given[at].end]
    }

    /// Everything from a column to the end of the record.
    pub fn tail(&self, column: usize) -> &'f [u8] {
        &self.bytes[self.offset(column)..self.end]
    }

    /// Everything from a column to before another, without the comma between.
    pub fn part(&self, column: usize, end: usize) -> &'f [u8] {
        let to = if end < self.columns { self.offset(end).saturating_sub(1) } else { self.end };
        self.bytes.get(self.offset(column)..to).unwrap_or_default()
    }

    /// Where the record begins and ends, without its line end.
    pub fn span(&self) -> std::ops::Range<usize> {
        self.start..self.end
    }

    /// Whether the record has no byte at all.
    pub fn is_empty(&self) -> bool {
        self.end == self.start
    }
}

/// Where a column of the record from `start` begins: behind the last item given before it, a comma for
/// every column in between.
fn offset(given: &[Given], start: usize, column: usize) -> usize {
    match given[..given.partition_point(|given| given.column < column)].last() {
        None => start + column,
        Some(before) => before.end + (column - before.column),
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
    columns: usize,
    given: Vec<Given>,
}

impl<'f> Splitter<'f> {
    pub fn new(bytes: &'f [u8]) -> Splitter<'f> {
        Splitter { bytes, start: 0, end: 0, next: 0, window: 0, columns: 0, given: Vec::with_capacity(128) }
    }

    /// The items of the record `advance` found last.
    pub fn items(&self) -> Items<'_, 'f> {
        let Splitter { bytes, start, end, columns, .. } = *self;
        Items { bytes, start, end, columns, given: &self.given }
    }

    /// Finds the next record; `None` at the end of the input.
    pub fn advance(&mut self) -> Option<Record> {
        if self.next >= self.bytes.len() {
            return None;
        }
        self.start = self.next;
        self.window = self.bytes.len().min(self.start + MAX_RECORD + 2);
        let (end, unclosed) = self.walk();
        // A CR that is left of a cut line end is no content either.
        let cr = end > self.start && self.bytes[end - 1] == b'\r';
        let line_end = match self.bytes.get(end) {
            None => LineEnd::None,
            Some(_) if cr => LineEnd::CrLf,
            Some(_) => LineEnd::Lf,
        };
        self.end = end - usize::from(cr);
        self.close();
        let too_long = self.end - self.start > MAX_RECORD;
        self.next = if too_long { self.bytes.len() } else { end + 1 };
        Some(Record { line_end, unclosed, too_long, last: self.next >= self.bytes.len() })
    }

    /// Walks over the items of a record; gives where it ends (LF or end of input) and whether a quote
    /// was left open.
    fn walk(&mut self) -> (usize, bool) {
        let bytes = &self.bytes[..self.window];
        let (mut at, mut column) = (self.start, 0);
        self.given.clear();
        loop {
            if bytes.get(at) == Some(&b',') {
                let blank = leading_commas(&bytes[at..]);
                (at, column) = (at + blank, column + blank);
            }
            let start = at;
            let mut unclosed = false;
            if bytes.get(at) == Some(&b'"') {
                if bytes[at + 1..].starts_with(b"\",") && column + 1 < MAX_ITEMS {
                    self.given.push(Given { column, start, end: at + 2 });
                    (at, column) = (at + 3, column + 1);
                    continue; // most items of a record with all items quoted
                }
                (at, unclosed) = match closing_quote(self.bytes, self.window, at + 1) {
                    Quote::ClosedAt(quote) => (quote + 1, false),
                    Quote::OpenUntil(end) => (end, true),
                };
            }
            if !unclosed && bytes.get(at) != Some(&b',') {
                at += until(b',', &bytes[at..]);
            }
            if column + 1 < MAX_ITEMS && at > start {
                self.given.push(Given { column, start, end: at });
            }
            column += 1;
            if unclosed || bytes.get(at) != Some(&b',') {
                self.columns = column;
                return (at, unclosed);
            }
            at += 1;
        }
    }

    /// Cuts the last item where the record's content ends; the rest of too many items becomes one.
    fn close(&mut self) {
        if self.columns >= MAX_ITEMS {
            self.columns = MAX_ITEMS;
            let start = offset(&self.given, self.start, MAX_ITEMS - 1);
            self.given.push(Given { column: MAX_ITEMS - 1, start, end: self.end });
        }
        if let Some(last) = self.given.last_mut() {
            last.end = last.end.min(self.end);
            if last.start >= last.end {
                self.given.pop();
            }
        }
    }
}

enum Quote {
    ClosedAt(usize),
    OpenUntil(usize),
}

/// Looks for the quote that closes an item whose content starts at `at`. A line end that the start of
/// a record follows, or nothing, shows that it was never closed.
fn closing_quote(file: &[u8], window: usize, mut at: usize) -> Quote {
    let bytes = &file[..window];
    loop {
        at += until(b'"', &bytes[at..]);
        match bytes.get(at) {
            None => return Quote::OpenUntil(at),
            Some(b'\n') if starts_record(&file[at + 1..]) => return Quote::OpenUntil(at),
            Some(b'\n') => at += 1,
            Some(_) if bytes.get(at + 1) == Some(&b'"') => at += 2,
            Some(_) => return Quote::ClosedAt(at),
        }
    }
}

/// Most digits a record number has.
const MAX_DIGITS: usize = 20;

/// Whether the bytes are empty or look like `2,17,` with or without quotes.
fn starts_record(bytes: &[u8]) -> bool {
    fn unquoted(bytes: &[u8]) -> &[u8] {
        bytes.strip_prefix(b"\"").unwrap_or(bytes)
    }
    let rest = unquoted(bytes);
    let Some((b'1'..=b'3', rest)) = rest.split_first() else { return bytes.is_empty() };
    let Some(rest) = unquoted(rest).strip_prefix(b",") else { return false };
    let rest = unquoted(rest);
    let digits = rest.iter().take(MAX_DIGITS).take_while(|b| b.is_ascii_digit()).count();
    digits > 0 && matches!(unquoted(&rest[digits..]).first(), None | Some(b',' | b'\r' | b'\n'))
}

/// Number of commas the bytes start with.
fn leading_commas(bytes: &[u8]) -> usize {
    let mut at = 0;
    let (words, rest) = bytes.as_chunks::<8>();
    for word in words {
        let others = u64::from_le_bytes(*word) ^ u64::from_ne_bytes([b','; 8]);
        if others != 0 {
            return at + others.trailing_zeros() as usize / 8;
        }
        at += 8;
    }
    at + rest.iter().take_while(|b| **b == b',').count()
}

/// Number of bytes before the first `one`, LF or end.
fn until(one: u8, bytes: &[u8]) -> usize {
    let mut at = 0;
    let (words, rest) = bytes.as_chunks::<8>();
    for word in words {
        let word = u64::from_le_bytes(*word);
        let hits = first_zero(word ^ u64::from_ne_bytes([one; 8]))
            | first_zero(word ^ u64::from_ne_bytes([b'\n'; 8]));
        if hits != 0 {
            return at + hits.trailing_zeros() as usize / 8;
        }
        at += 8;
    }
    at + rest.iter().take_while(|b| **b != one && **b != b'\n').count()
}

/// A word whose lowest bit set is in the first byte that is zero; 0 if none is. Only bytes behind that
/// one may be taken for zeros too, by what is borrowed from them.
fn first_zero(word: u64) -> u64 {
    word.wrapping_sub(u64::from_ne_bytes([1; 8])) & !word & u64::from_ne_bytes([0x80; 8])
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
