//! The items of one record, found byte by byte: the grammar as it stands, and what every other way is held
//! against.
//!
//! Promise: whatever the bytes are, each belongs to one item or is a comma between two; no byte behind the
//! window is an item's.

use super::split::{Found, Given, MAX_ITEMS};

/// Finds the items of the record from `start`; gives where it ends: at a line feed or at the end of the window.
pub(super) fn items(file: &[u8], start: usize, window: usize, found: &mut Found) -> usize {
    let bytes = &file[..window];
    let (mut at, mut column) = (start, 0);
    let mut rest = None; // where the last of too many items starts
    found.given.clear();
    found.quoted_blanks = false;
    let (end, unclosed) = loop {
        if column < MAX_ITEMS - 1 && bytes.get(at) == Some(&b',') {
            let blank = leading_commas(&bytes[at..]).min(MAX_ITEMS - 1 - column);
            (at, column) = (at + blank, column + blank);
        }
        if column == MAX_ITEMS - 1 {
            rest = Some(at);
        }
        let item = at;
        let mut unclosed = false;
        if bytes.get(at) == Some(&b'"') {
            (at, unclosed) = match closing_quote(file, window, at + 1) {
                Quote::ClosedAt(quote) => (quote + 1, false),
                Quote::OpenUntil(end) => (end, true),
            };
        }
        if !unclosed && bytes.get(at) != Some(&b',') {
            at += until(b',', &bytes[at..]);
        }
        let ended = unclosed || bytes.get(at) != Some(&b',');
        let end = if ended { without_cr(bytes, item, at) } else { at };
        if rest.is_none() && end > item {
            found.push(bytes, Given { column, start: item, end });
        }
        column += 1;
        if ended {
            break (at, unclosed);
        }
        at += 1;
    };
    if let Some(start) = rest {
        let end = without_cr(bytes, start, end);
        if end > start {
            found.push(bytes, Given { column: MAX_ITEMS - 1, start, end });
        }
    }
    found.columns = column.min(MAX_ITEMS);
    found.unclosed = unclosed;
    end
}

/// The end of a record's last item: a CR before the line end is no content.
fn without_cr(bytes: &[u8], start: usize, end: usize) -> usize {
    end - usize::from(end > start && bytes[end - 1] == b'\r')
}

/// Where the item from `start` ends in a record whose content ends at `end`.
pub(super) fn item_end(file: &[u8], end: usize, start: usize) -> usize {
    let bytes = &file[..end];
    let mut at = start;
    if bytes.get(at) == Some(&b'"') {
        at += 1;
        loop {
            let quote = bytes.get(at..).and_then(|rest| rest.iter().position(|b| *b == b'"'));
            let Some(quote) = quote else { return end };
            at += quote + 1;
            if bytes.get(at) != Some(&b'"') {
                break;
            }
            at += 1;
        }
    }
    let comma = bytes.get(at..).and_then(|rest| rest.iter().position(|b| *b == b','));
    comma.map_or(end, |comma| at + comma)
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
pub(super) fn starts_record(bytes: &[u8]) -> bool {
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
pub(super) fn until(one: u8, bytes: &[u8]) -> usize {
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
