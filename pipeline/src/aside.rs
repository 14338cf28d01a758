//! Batches set aside on disk until their key's turn: one file, and which batches in it belong to whom.
//!
//! Promise: batches come back as they were, key by key, in the order in which they were added; the file is
//! removed with the value that holds it. It is scratch: nothing is synced.

use crate::crash;
use crate::disk::{self, DiskError, io};
use arrow::array::{Array, ArrayRef, RecordBatch};
use arrow::error::ArrowError;
use arrow::ipc::reader::FileReader;
use arrow::ipc::writer::FileWriter;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufReader, BufWriter};
use std::path::{Path, PathBuf};

/// Batches on their way to disk.
pub struct Aside {
    path: PathBuf,
    writer: Option<FileWriter<BufWriter<File>>>,
    kept: BTreeMap<String, Kept>,
    batches: usize,
}

/// A key's batches.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    places: Vec<usize>,
    /// Bytes they held in memory.
    pub bytes: usize,
}

/// All batches, to be read again.
#[derive(Debug)]
pub struct SetAside {
    path: PathBuf,
    /// What was kept for every key.
    pub kept: BTreeMap<String, Kept>,
}

/// Bytes of a batch's own values. Its columns may share one buffer, as they do when read from a file; asking
/// for their memory would then count it once per column.
pub fn bytes_of(batch: &RecordBatch) -> usize {
    let bytes = |column: &ArrayRef| column.to_data().get_slice_memory_size().unwrap_or_default();
    batch.columns().iter().map(bytes).sum()
}

fn invalid(path: &Path) -> impl Fn(ArrowError) -> DiskError {
    move |e| DiskError::invalid(path, e)
}

impl Aside {
    /// Nothing yet; the file is made when the first batch comes.
    pub fn new(path: PathBuf) -> Aside {
        Aside { path, writer: None, kept: BTreeMap::new(), batches: 0 }
    }

    /// Whether nothing was added.
    pub fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    /// Sets a batch aside; all have one schema.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn add(&mut self, key: &str, batch: &RecordBatch) -> Result<(), DiskError> {
        let writer = match &mut self.writer {
            Some(writer) => writer,
            none => {
                crash::point("aside.before", &self.path)?;
                let file = BufWriter::new(File::create(&self.path).map_err(io(&self.path))?);
                crash::point("aside.begun", &self.path)?;
                none.insert(FileWriter::try_new(file, &batch.schema()).map_err(disk::arrow(&self.path))?)
            }
        };
        writer.write(batch).map_err(disk::arrow(&self.path))?;
        crash::point("aside.added", &self.path)?;
        let kept = self.kept.entry(key.to_owned()).or_default();
        kept.places.push(self.batches);
        kept.bytes += bytes_of(batch);
        self.batches += 1;
        Ok(())
    }

    /// Ends writing.
    ///
    /// # Errors
    /// The file cannot be completed.
    pub fn finish(mut self) -> Result<SetAside, DiskError> {
        if let Some(mut writer) = self.writer.take() {
            writer.finish().map_err(disk::arrow(&self.path))?;
            crash::point("aside.after", &self.path)?;
        }
        let path = std::mem::take(&mut self.path);
        Ok(SetAside { path, kept: std::mem::take(&mut self.kept) })
    }
}

impl SetAside {
    /// The batches of a key.
    ///
    /// # Errors
    /// The file cannot be read; later errors come with the batches.
    pub fn batches(
        &self,
        kept: &Kept,
    ) -> Result<impl Iterator<Item = Result<RecordBatch, DiskError>>, DiskError> {
        let file = BufReader::new(File::open(&self.path).map_err(io(&self.path))?);
        let mut reader = FileReader::try_new(file, None).map_err(invalid(&self.path))?;
        let path = self.path.clone();
        let places = kept.places.clone();
        Ok(places.into_iter().map(move |place| {
            reader.set_index(place).map_err(invalid(&path))?;
            let batch = reader.next().transpose().map_err(invalid(&path))?;
            batch.ok_or_else(|| DiskError::invalid(&path, "has fewer batches than were written"))
        }))
    }
}

impl Drop for Aside {
    fn drop(&mut self) {
        if self.writer.is_some() {
            let _ = fs::remove_file(&self.path); // scratch of a run that failed
        }
    }
}

impl Drop for SetAside {
    fn drop(&mut self) {
        if !self.kept.is_empty() {
            let _ = fs::remove_file(&self.path); // scratch
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::Int32Array;
    use std::sync::Arc;

    fn batch(values: &[i32]) -> RecordBatch {
        let column: ArrayRef = Arc::new(Int32Array::from(values.to_vec()));
        RecordBatch::try_from_iter([("n", column)]).unwrap()
    }

    #[test]
    fn batches_come_back_key_by_key_and_the_file_goes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("aside.arrow");
        let mut aside = Aside::new(path.clone());
        assert!(aside.is_empty() && !path.exists());
        for (key, values) in [("b", [1, 2]), ("a", [3, 4]), ("b", [5, 6])] {
            aside.add(key, &batch(&values)).unwrap();
        }
        let set_aside = aside.finish().unwrap();
        let of = |key: &str| -> Vec<RecordBatch> {
            set_aside.batches(&set_aside.kept[key]).unwrap().map(Result::unwrap).collect()
        };
        assert_eq!(of("a"), [batch(&[3, 4])]);
        assert_eq!(of("b"), [batch(&[1, 2]), batch(&[5, 6])]);
        assert_eq!((set_aside.kept["a"].bytes, set_aside.kept["b"].bytes), (8, 16));
        let bytes: usize = of("b").iter().map(bytes_of).sum();
        assert_eq!(bytes, 16, "as read");
        drop(set_aside);
        assert!(!path.exists());
        drop(Aside::new(path.clone()).finish().unwrap());
        let mut failed = Aside::new(path.clone());
        failed.add("a", &batch(&[1])).unwrap();
        drop(failed);
        assert!(!path.exists());
    }
}
