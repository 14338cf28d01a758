//! The embedded log: carries what was read of files to the ledger within one run.
//!
//! Promise: batches come back as they were, each table's in file order. They are held in memory up to a bound that all
//! files share; what does not fit waits in `log/`. That is scratch: a run that was killed leaves nothing that counts,
//! and its files are read again from the archive.

use super::{Attempt, Begun, Log, LogError, Seal};
use crate::aside::{Aside, SetAside, bytes_of};
use crate::disk::{self, DiskError, io};
use arrow::array::RecordBatch;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use tsumiage_schemas::{FactTable, Finding};

/// Under which key a file's batches are set aside: there is one.
const KEY: &str = "";

/// The embedded log of a data folder.
#[derive(Debug)]
pub struct EmbeddedLog {
    root: PathBuf,
    memory_bytes: usize,
    /// Bytes of all batches in memory.
    held: AtomicUsize,
    sealed: Mutex<BTreeMap<String, Sealed>>,
}

/// What was read of a sealed file.
#[derive(Debug)]
pub struct Sealed {
    /// The reader's findings, in their order.
    pub findings: Vec<Finding>,
    batches: Vec<(FactTable, RecordBatch)>,
    /// Bytes of these.
    bytes: usize,
    aside: BTreeMap<FactTable, SetAside>,
}

/// A file on its way into the embedded log.
struct EmbeddedAttempt<'l> {
    log: &'l EmbeddedLog,
    file_id: String,
    batches: Vec<(FactTable, RecordBatch)>,
    /// Bytes of these.
    bytes: usize,
    aside: BTreeMap<FactTable, Aside>,
}

impl EmbeddedLog {
    /// Opens or makes the log of a data folder, which holds so many bytes in memory. What a killed run left goes.
    ///
    /// # Errors
    /// The folder cannot be made, or a leftover not removed.
    pub fn open(data: &Path, memory_bytes: usize) -> Result<EmbeddedLog, DiskError> {
        let root = data.join("log");
        disk::make_folder(&root)?;
        for path in disk::entries(&root)? {
            std::fs::remove_file(&path).map_err(io(&path))?;
        }
        Ok(EmbeddedLog { root, memory_bytes, held: AtomicUsize::new(0), sealed: Mutex::default() })
    }

    /// What was read of a sealed file, which the log no longer has then; `None` if it has no such file.
    pub fn take(&self, file_id: &str) -> Option<Sealed> {
        let sealed = self.sealed().remove(file_id)?;
        self.held.fetch_sub(sealed.bytes, Ordering::Relaxed); // the taker's from now on
        Some(sealed)
    }

    fn sealed(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Sealed>> {
        self.sealed.lock().unwrap_or_else(PoisonError::into_inner) // it is whole between two calls
    }
}

impl Sealed {
    /// The batches of the file, a table's in file order.
    ///
    /// # Errors
    /// What was set aside cannot be read.
    pub fn batches(
        &self,
    ) -> Result<impl Iterator<Item = Result<(FactTable, RecordBatch), DiskError>> + '_, DiskError> {
        let mut aside = Vec::new();
        for (table, set_aside) in &self.aside {
            for kept in set_aside.kept.values() {
                aside.push(set_aside.batches(kept)?.map(|batch| batch.map(|batch| (*table, batch))));
            }
        }
        Ok(self.batches.iter().cloned().map(Ok).chain(aside.into_iter().flatten()))
    }
}

impl Log for EmbeddedLog {
    fn begin(&self, begun: &Begun<'_>) -> Result<Box<dyn Attempt + '_>, LogError> {
        let file_id = begun.file_id.to_owned();
        let aside = BTreeMap::new();
        Ok(Box::new(EmbeddedAttempt { log: self, file_id, batches: Vec::new(), bytes: 0, aside }))
    }
}

impl Attempt for EmbeddedAttempt<'_> {
    fn append(&mut self, table: FactTable, batch: &RecordBatch) -> Result<(), LogError> {
        if self.aside.is_empty() {
            let bytes = bytes_of(batch);
            let held = self.log.held.fetch_add(bytes, Ordering::Relaxed) + bytes;
            if held <= self.log.memory_bytes {
                self.bytes += bytes;
                self.batches.push((table, batch.clone()));
                return Ok(());
            }
            self.log.held.fetch_sub(bytes, Ordering::Relaxed);
        }
        // From then on all of them, so that they stay in order.
        let path = || self.log.root.join(format!("{}.{}.arrow", self.file_id, table.name()));
        Ok(self.aside.entry(table).or_insert_with(|| Aside::new(path())).add(KEY, batch)?)
    }

    fn seal(mut self: Box<Self>, seal: &Seal, findings: &[Finding]) -> Result<(), LogError> {
        let (findings, aside) = (findings.to_vec(), BTreeMap::new());
        let mut sealed = Sealed { findings, batches: Vec::new(), bytes: 0, aside };
        if !seal.file_rejected {
            for (table, aside) in std::mem::take(&mut self.aside) {
                sealed.aside.insert(table, aside.finish()?);
            }
            sealed.bytes = std::mem::take(&mut self.bytes);
            sealed.batches = std::mem::take(&mut self.batches);
        }
        self.log.sealed().insert(self.file_id.clone(), sealed);
        Ok(())
    }
}

impl Drop for EmbeddedAttempt<'_> {
    fn drop(&mut self) {
        self.log.held.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a test may fail loudly
mod tests {
    use super::*;
    use crate::archive::Arrival;
    use crate::tally::Tally;
    use arrow::array::{ArrayRef, Int32Array};
    use std::sync::Arc;

    fn batch(value: i32) -> RecordBatch {
        let column: ArrayRef = Arc::new(Int32Array::from(vec![value; 100]));
        RecordBatch::try_from_iter([("n", column)]).unwrap()
    }

    fn seal(file_id: &str, file_rejected: bool) -> Seal {
        let arrival = Arrival {
            file_id: file_id.to_owned(),
            name: "a.csv".to_owned(),
            taken_in_on: "2026-05-20".parse().unwrap(),
            source: "inbox".to_owned(),
            closed_through: None,
        };
        Seal {
            arrival,
            data_type: None,
            sender_no: None,
            sender_insurer_no: None,
            processing_month: None,
            records: 0,
            accepted: 0,
            rejected: 0,
            warned: 0,
            file_rejected,
            first_movement: None,
            findings: Tally::default(),
            file_errors: Vec::new(),
            layouts: "test".to_owned(),
            one_off: false,
            reading: 1,
        }
    }

    /// Appends batches of two tables by turns.
    fn attempt<'l>(log: &'l EmbeddedLog, file_id: &str, values: &[i32]) -> Box<dyn Attempt + 'l> {
        let begun = Begun { file_id, sender_no: None, layouts: "test", reading: 1 };
        let mut attempt = log.begin(&begun).unwrap();
        for value in values {
            let table = if value % 2 == 0 { FactTable::Recipient } else { FactTable::Insurer };
            attempt.append(table, &batch(*value)).unwrap();
        }
        attempt
    }

    #[test]
    fn batches_come_back_in_order_from_memory_and_disk_and_leave_nothing() {
        let data = tempfile::tempdir().unwrap();
        for memory_bytes in [0, 800, 1_300, usize::MAX] {
            let log = EmbeddedLog::open(data.path(), memory_bytes).unwrap();
            let values = [2, 4, 1, 6, 3, 8];
            for file_id in ["a", "b"] {
                attempt(&log, file_id, &values).seal(&seal(file_id, false), &[]).unwrap();
            }
            drop(attempt(&log, "never sealed", &values));
            for file_id in ["b", "a"] {
                let sealed = log.take(file_id).unwrap();
                let read: Vec<_> = sealed.batches().unwrap().map(Result::unwrap).collect();
                let of = |table: FactTable| -> Vec<RecordBatch> {
                    read.iter().filter(|(of, _)| *of == table).map(|(_, batch)| batch.clone()).collect()
                };
                assert_eq!(of(FactTable::Recipient), [2, 4, 6, 8].map(batch));
                assert_eq!(of(FactTable::Insurer), [1, 3].map(batch));
                assert!(log.take(file_id).is_none());
            }
            assert_eq!(log.held.load(Ordering::Relaxed), 0);
            assert_eq!(disk::entries(&log.root).unwrap(), Vec::<PathBuf>::new());
        }
    }

    #[test]
    fn of_a_rejected_file_nothing_is_kept_and_leftovers_go() {
        let data = tempfile::tempdir().unwrap();
        let log = EmbeddedLog::open(data.path(), 500).unwrap();
        attempt(&log, "a", &[2, 4, 6]).seal(&seal("a", true), &[]).unwrap();
        assert_eq!(log.take("a").unwrap().batches().unwrap().count(), 0);
        assert_eq!((log.held.load(Ordering::Relaxed), disk::entries(&log.root).unwrap().len()), (0, 0));
        std::fs::write(log.root.join("left.arrow"), "half a segment").unwrap();
        let log = EmbeddedLog::open(data.path(), 500).unwrap();
        assert_eq!(disk::entries(&log.root).unwrap(), Vec::<PathBuf>::new());
    }
}
