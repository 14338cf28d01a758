//! The scanner held against csv-core on the same bytes: for the property test beside it, and for the
//! fuzz target `scanner`.
//!
//! Ours splits raw bytes and then decodes each item; the other way round the whole file is decoded by
//! encoding_rs and then split by csv-core (records end with LF; a CR before it is taken off; empty
//! lines count for nothing). By design they differ, and are not compared,
//! - from a quote that was never closed on: ours ends the record at the first line end that nothing or
//!   visibly a record follows, csv-core at the end of the file; checked is that it is so;
//! - in item 1,024 and those behind it: of ours one item;
//! - from a record of more than 1 MiB on: ours ends there.

use csv_core::{ReadRecordResult, Reader, ReaderBuilder, Terminator};
use encoding_rs::SHIFT_JIS;
use tsumiage_pipeline::reader::{MOST_ITEMS, Records};

/// How far the two could be compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compared {
    /// To the end.
    Whole,
    /// To a quote that was never closed, or a record that is too long.
    InPart,
}

/// Compares record by record and item by item.
///
/// # Errors
/// What differs.
pub fn compare(file: &[u8]) -> Result<Compared, String> {
    let mut ours = Records::new(file);
    let decoded = SHIFT_JIS.decode_without_bom_handling(ours.bytes()).0;
    let mut theirs = Theirs::new(decoded.as_bytes());
    loop {
        let more = advance(&mut ours);
        if !more && ours.too_long() {
            return Ok(Compared::InPart);
        }
        let Some(record) = theirs.next() else {
            return if more {
                Err(format!("record {} is ours only", ours.position()))
            } else {
                Ok(Compared::Whole)
            };
        };
        if !more {
            return Err(format!("csv-core has one more record: {record:?}"));
        }
        let columns = if ours.unclosed() || ours.columns() == MOST_ITEMS {
            ours.columns() - 1 // the last is not comparable
        } else if ours.columns() == record.len() {
            ours.columns()
        } else {
            return Err(format!("record {}: {} and {record:?}", ours.position(), ours.columns()));
        };
        for column in 0..columns {
            let text = ours.text(column);
            if record.get(column) != Some(&text) {
                let theirs = record.get(column);
                return Err(format!("record {} column {column}: {text:?} and {theirs:?}", ours.position()));
            }
        }
        if ours.unclosed() {
            return check_unclosed(&ours, &record, theirs.at_end());
        }
    }
}

/// The next record that is not empty.
fn advance(ours: &mut Records<'_>) -> bool {
    while ours.advance() {
        if !ours.span().is_empty() {
            return true;
        }
    }
    false
}

/// Whether ours was right to end a record with an open quote.
fn check_unclosed(ours: &Records<'_>, record: &[String], at_end: bool) -> Result<Compared, String> {
    let rest = &ours.bytes()[ours.span().end..];
    let rest = rest.strip_prefix(b"\r").unwrap_or(rest);
    let visibly = match rest.strip_prefix(b"\n") {
        Some(next) => next.is_empty() || begins_like_a_record(next),
        None => rest.is_empty(),
    };
    let goes_on = at_end || record[ours.columns() - 1..].iter().any(|item| item.contains('\n'));
    if visibly && goes_on {
        Ok(Compared::InPart)
    } else {
        Err(format!("record {} was taken for unclosed: {record:?}", ours.position()))
    }
}

/// `2,17,` and the like, whatever quotes are in it.
fn begins_like_a_record(bytes: &[u8]) -> bool {
    let start: Vec<u8> = bytes.iter().copied().filter(|b| *b != b'"').take(24).collect();
    let line = start.split(|b| matches!(b, b'\r' | b'\n')).next().unwrap_or_default();
    let mut items = line.split(|b| *b == b',');
    let is = |item: Option<&[u8]>, good: fn(&[u8]) -> bool| item.is_some_and(good);
    is(items.next(), |kind| matches!(kind, b"1" | b"2" | b"3"))
        && is(items.next(), |number| !number.is_empty() && number.iter().all(u8::is_ascii_digit))
}

/// csv-core over a text.
struct Theirs<'t> {
    reader: Reader,
    text: &'t [u8],
    at: usize,
    output: Vec<u8>,
    ends: Vec<usize>,
}

impl<'t> Theirs<'t> {
    fn new(text: &'t [u8]) -> Theirs<'t> {
        let reader = ReaderBuilder::new().terminator(Terminator::Any(b'\n')).build();
        // No record has more bytes or items than that.
        Theirs { reader, text, at: 0, output: vec![0; text.len() + 1], ends: vec![0; text.len() + 2] }
    }

    fn at_end(&self) -> bool {
        self.at == self.text.len()
    }

    /// The next record that is not an empty line.
    fn next(&mut self) -> Option<Vec<String>> {
        loop {
            let start = self.at;
            let mut record = self.read()?;
            let raw = &self.text[start..self.at];
            let line = raw.strip_suffix(b"\n").unwrap_or(raw);
            if line.ends_with(b"\r") {
                record.last_mut()?.pop();
            }
            let skipped = line.iter().take_while(|b| **b == b'\n').count(); // by csv-core itself
            if &line[skipped..] != b"\r" {
                return Some(record);
            }
        }
    }

    fn read(&mut self) -> Option<Vec<String>> {
        let (mut bytes, mut items) = (0, 0);
        loop {
            let (output, ends) = (&mut self.output[bytes..], &mut self.ends[items..]);
            let (result, read, written, ended) = self.reader.read_record(&self.text[self.at..], output, ends);
            self.at += read;
            bytes += written;
            items += ended;
            match result {
                ReadRecordResult::InputEmpty => {} // asks to be called with nothing
                ReadRecordResult::Record => break,
                ReadRecordResult::End => return None,
                full => unreachable!("{full:?}: room is for all"),
            }
        }
        let starts = std::iter::once(0).chain(self.ends[..items].iter().copied());
        let item =
            |(from, to): (usize, &usize)| String::from_utf8_lossy(&self.output[from..*to]).into_owned();
        Some(starts.zip(&self.ends[..items]).map(item).collect())
    }
}
