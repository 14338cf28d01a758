//! One exchange file on its way to disk: control record, data records as they come, end record.
//!
//! Promise: the number of records is known before, so nothing is written twice; at most about
//! [`FLUSH`] bytes are held; the file is open only while it is appended to.

use super::SynthError;
use super::row::decimal;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::PathBuf;

/// Bytes gathered before they are appended to the file.
const FLUSH: usize = 1 << 17;

/// What the control record says.
pub(super) struct Control<'a> {
    pub(super) insurer_no: &'a str,
    /// First three characters of the exchange id.
    pub(super) data_type: &'a str,
    /// YYYYMM.
    pub(super) processing_month: &'a str,
    pub(super) quote_all: bool,
    /// Every so many records one is made wrong.
    pub(super) errors_every: Option<u64>,
}

/// A file being written.
pub(super) struct Sheet {
    path: PathBuf,
    out: Vec<u8>,
    records: u64,
    next: u64,
    bytes: u64,
    quote_all: bool,
    /// Every so many records one is made wrong.
    errors_every: Option<u64>,
}

impl Sheet {
    /// Begins a file of `records` data records; one of 0 records is never written.
    pub(super) fn new(path: PathBuf, records: u64, control: &Control) -> Sheet {
        let (quote_all, errors_every) = (control.quote_all, control.errors_every);
        let mut sheet = Sheet { path, out: Vec::new(), records, next: 2, bytes: 0, quote_all, errors_every };
        let (mut space, insurer) = ([0; 20], control.insurer_no.as_bytes());
        let count = decimal(records, &mut space);
        let (kind, month) = (control.data_type.as_bytes(), control.processing_month.as_bytes());
        sheet.line(&[b"1", b"1", b"0", count, kind, b"0", insurer, b"0", b"0", b"1", month, b"1"]);
        sheet
    }

    /// Number of its data records.
    pub(super) fn records(&self) -> u64 {
        self.records
    }

    fn line(&mut self, items: &[&[u8]]) {
        for (n, item) in items.iter().enumerate() {
            let quote: &[u8] = if self.quote_all { b"\"" } else { b"" };
            for part in [if n > 0 { b",".as_slice() } else { b"" }, quote, item, quote] {
                self.out.extend_from_slice(part);
            }
        }
        self.out.extend_from_slice(b"\r\n");
    }

    /// Adds a record: the writer gets its number and the bytes to append to.
    pub(super) fn push(&mut self, write: impl FnOnce(u64, &mut Vec<u8>)) -> Result<(), SynthError> {
        let start = self.out.len();
        write(self.next, &mut self.out);
        if self.errors_every.is_some_and(|every| (self.next - 1).is_multiple_of(every)) {
            spoil(&mut self.out[start..]);
        }
        self.next += 1;
        if self.out.len() >= FLUSH { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<(), SynthError> {
        let file = OpenOptions::new().create(true).append(true).open(&self.path);
        file.and_then(|mut file| file.write_all(&self.out))
            .map_err(|source| SynthError::Io { path: self.path.clone(), source })?;
        self.bytes += self.out.len() as u64;
        self.out.clear();
        Ok(())
    }

    /// Writes the end record and what is left; returns the bytes of the file, `None` if there is none.
    pub(super) fn finish(mut self) -> Result<Option<u64>, SynthError> {
        debug_assert_eq!(self.records, self.next - 2, "counted and written records differ");
        if self.records == 0 {
            return Ok(None);
        }
        let mut space = [0; 20];
        let last = decimal(self.next, &mut space);
        self.line(&[b"3", last]);
        self.flush()?;
        Ok(Some(self.bytes))
    }
}

/// Makes the movement date of a record one of a thirteenth month (R03).
fn spoil(record: &mut [u8]) {
    let third_comma = record.iter().enumerate().filter(|(_, b)| **b == b',').nth(2);
    let Some(at) = third_comma.map(|(at, _)| at + 1) else { return };
    let quote = usize::from(record.get(at) == Some(&b'"'));
    if let Some(month) = record.get_mut(at + quote + 4..at + quote + 6) {
        month.copy_from_slice(b"13");
    }
}
