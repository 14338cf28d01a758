//! Values of batches on disk until their file is whole and in the ledger.
//!
//! Promise: what was appended is read back as it was. It is scratch: nothing is synced, the file has no name and
//! goes with the process; what was in it stands in Kafka.

use crate::disk::{self, DiskError, io};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// Bytes that are gathered before they are written.
const BUFFER_BYTES: usize = 4 << 20;

/// Values on disk.
#[derive(Debug)]
pub struct Spool {
    path: PathBuf,
    file: File,
    /// Bytes in the file.
    written: u64,
    /// Bytes behind them that are not written yet.
    buffer: Vec<u8>,
}

/// Where a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    at: u64,
    length: usize,
}

impl Span {
    /// Bytes of the value.
    pub fn bytes(self) -> usize {
        self.length
    }
}

impl Spool {
    /// Makes an empty spool on the disk of a folder, which is made if it is not there.
    ///
    /// # Errors
    /// The file cannot be made.
    pub fn open(folder: &Path) -> Result<Spool, DiskError> {
        disk::make_folder(folder)?;
        let file = tempfile::tempfile_in(folder).map_err(io(folder))?;
        Ok(Spool { path: folder.to_owned(), file, written: 0, buffer: Vec::new() })
    }

    /// Appends a value.
    ///
    /// # Errors
    /// The disk is full; nothing is appended then.
    pub fn append(&mut self, value: &[u8]) -> Result<Span, DiskError> {
        if self.buffer.len() + value.len() > BUFFER_BYTES {
            self.write()?;
        }
        let span = Span { at: self.bytes(), length: value.len() };
        self.buffer.extend_from_slice(value);
        Ok(span)
    }

    fn write(&mut self) -> Result<(), DiskError> {
        self.file.write_all_at(&self.buffer, self.written).map_err(io(&self.path))?;
        self.written += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }

    /// Reads a value.
    ///
    /// # Errors
    /// The disk fails, or the span is not of this spool.
    pub fn read(&self, span: Span) -> Result<Vec<u8>, DiskError> {
        // Values are written whole.
        if let Some(at) = span.at.checked_sub(self.written) {
            let at = usize::try_from(at).unwrap_or(usize::MAX);
            let value = self.buffer.get(at..).and_then(|from| from.get(..span.length));
            return value.map(<[u8]>::to_vec).ok_or_else(|| DiskError::invalid(&self.path, "is too short"));
        }
        let mut value = vec![0; span.length];
        self.file.read_exact_at(&mut value, span.at).map_err(io(&self.path))?;
        Ok(value)
    }

    /// Bytes of all values, those that are not needed any more among them.
    pub fn bytes(&self) -> u64 {
        self.written + self.buffer.len() as u64
    }

    /// Keeps these values only, and changes the spans to where they are from now on; other spans are of no use
    /// then. Values are written anew only if that halves the file: what is kept for long is not copied again and
    /// again.
    ///
    /// # Errors
    /// The disk fails; everything is as it was then.
    pub fn keep<'s>(&mut self, spans: impl Iterator<Item = &'s mut Span>) -> Result<(), DiskError> {
        let spans: Vec<&mut Span> = spans.collect();
        let kept: u64 = spans.iter().map(|span| span.length as u64).sum();
        if kept > self.bytes() / 2 {
            return Ok(());
        }
        if spans.is_empty() {
            self.file.set_len(0).map_err(io(&self.path))?;
            self.written = 0;
            self.buffer.clear();
            return Ok(());
        }
        let mut fresh = Spool::open(&self.path)?;
        let moved: Result<Vec<Span>, DiskError> =
            spans.iter().map(|span| fresh.append(&self.read(**span)?)).collect();
        let moved = moved?;
        *self = fresh;
        spans.into_iter().zip(moved).for_each(|(span, moved)| *span = moved);
        Ok(())
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn empty(folder: &tempfile::TempDir) -> Spool {
        Spool::open(folder.path()).unwrap()
    }

    #[test]
    fn nothing_is_left_of_it() {
        let folder = tempfile::tempdir().unwrap();
        let mut spool = empty(&folder);
        let span = spool.append(b"a value").unwrap();
        spool.write().unwrap();
        assert_eq!((spool.read(span).unwrap().as_slice(), spool.bytes()), (&b"a value"[..], 7));
        assert_eq!(disk::entries(folder.path()).unwrap(), Vec::<PathBuf>::new());
    }

    #[test]
    fn what_is_kept_for_long_is_not_copied_again_and_again() {
        let folder = tempfile::tempdir().unwrap();
        let mut spool = empty(&folder);
        let mut long = spool.append(&[7; 60]).unwrap();
        spool.append(&[8; 40]).unwrap();
        spool.keep([&mut long].into_iter()).unwrap();
        assert_eq!(spool.bytes(), 100, "not worth it");
        spool.append(&[9; 20]).unwrap();
        spool.keep([&mut long].into_iter()).unwrap();
        assert_eq!((spool.bytes(), spool.read(long).unwrap()), (60, vec![7; 60]));
        spool.write().unwrap();
        assert_eq!(spool.file.metadata().unwrap().len(), 60);
        spool.keep(std::iter::empty()).unwrap();
        assert_eq!((spool.bytes(), spool.file.metadata().unwrap().len()), (0, 0));
    }

    #[test]
    fn a_span_of_before_is_an_error_and_no_panic() {
        let folder = tempfile::tempdir().unwrap();
        let mut spool = empty(&folder);
        let spans = [spool.append(b"ab").unwrap(), spool.append(b"cd").unwrap()];
        spool.keep(std::iter::empty()).unwrap();
        for span in spans.into_iter().chain([Span { at: u64::MAX, length: usize::MAX }]) {
            assert!(spool.read(span).is_err());
        }
    }

    #[test]
    fn values_larger_than_the_buffer() {
        let folder = tempfile::tempdir().unwrap();
        let mut spool = empty(&folder);
        let values: Vec<Vec<u8>> =
            [1, BUFFER_BYTES - 1, 1, BUFFER_BYTES + 1, 0, 5].map(|n| vec![n as u8; n]).into();
        let spans: Vec<Span> = values.iter().map(|value| spool.append(value).unwrap()).collect();
        for (span, value) in spans.iter().zip(&values) {
            assert!(spool.read(*span).unwrap() == *value);
        }
    }

    proptest! {
        /// Against a list of values in memory; `Some(n)` appends n bytes, `None` keeps every second value.
        #[test]
        fn like_a_list(steps in proptest::collection::vec(proptest::option::weighted(0.8, 0..200_usize), 0..60)) {
            let folder = tempfile::tempdir().unwrap();
            let mut spool = empty(&folder);
            let mut list: Vec<(Span, Vec<u8>)> = Vec::new();
            for (step, n) in steps.into_iter().enumerate() {
                match n {
                    Some(n) => {
                        let value: Vec<u8> = (0..n).map(|at| (at * 31 + step) as u8).collect();
                        list.push((spool.append(&value)?, value));
                    }
                    None => {
                        list = list.into_iter().rev().step_by(2).collect();
                        spool.keep(list.iter_mut().map(|(span, _)| span))?;
                        let kept = list.iter().map(|(_, value)| value.len() as u64).sum::<u64>();
                        prop_assert!(spool.bytes() <= 2 * kept + 1);
                    }
                }
                if step % 3 == 0 {
                    spool.write()?;
                }
                for (span, value) in &list {
                    prop_assert_eq!(&spool.read(*span)?, value);
                }
            }
        }
    }
}
