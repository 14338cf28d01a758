//! The archive: the original bytes of every file that ever arrived, by content hash, and beside them
//! what is needed to take it in again (contract, "The data folder").
//!
//! Promise: bytes are never changed or removed; their first name and take-in day stay, unless a rejected
//! file is checked again at the user's wish.
//! Layout: `archive/<first two hex digits>/<sha256>` and `<sha256>.json`; closings and withdrawals stand in
//! `archive/events` (module `events`).

use crate::disk::{self, DiskError, io};
use memmap2::Mmap;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use tsumiage_schemas::{Day, Month};

/// What is needed to take a file in again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Arrival {
    /// SHA-256 of the bytes, hex.
    pub file_id: String,
    /// Base name under which it arrived first.
    pub name: String,
    /// Day it was taken in first, in Japan.
    pub taken_in_on: Day,
    /// Where it came from: `inbox`.
    pub source: String,
    /// Newest processing month that was closed when it arrived: what F08 goes by, also when it is read again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closed_through: Option<Month>,
}

impl Arrival {
    /// Place in the order of application of a file that arrived so, given its processing month (domain 3).
    pub fn order(&self, processing_month: Option<Month>) -> (Option<Month>, Day, &str, &str) {
        (processing_month, self.taken_in_on, &self.name, &self.file_id)
    }
}

/// The archive folder.
#[derive(Clone, Debug)]
pub struct Archive {
    root: PathBuf,
}

impl Archive {
    /// Opens or makes the archive of a data folder, for the one run that holds its lock.
    ///
    /// # Errors
    /// The folder cannot be made.
    pub fn open(data: &Path) -> Result<Archive, DiskError> {
        let root = data.join("archive");
        disk::make_folder(&root)?;
        for path in disk::entries(&root)?.iter().filter(|path| path.is_file()) {
            std::fs::remove_file(path).map_err(io(path))?; // a copy that a killed run left half made
        }
        Ok(Archive { root })
    }

    /// The archive of a data folder, to read from while a run may be at work; nothing is made or removed.
    pub fn to_read(data: &Path) -> Archive {
        Archive { root: data.join("archive") }
    }

    fn folder(&self, file_id: &str) -> PathBuf {
        self.root.join(file_id.get(..2).unwrap_or("xx"))
    }

    /// Path of the bytes of a file.
    pub fn path(&self, file_id: &str) -> PathBuf {
        self.folder(file_id).join(file_id)
    }

    fn note_path(&self, file_id: &str) -> PathBuf {
        self.folder(file_id).join(format!("{file_id}.json"))
    }

    /// What is known of some bytes, if they arrived before.
    ///
    /// # Errors
    /// The note cannot be read.
    pub fn arrival(&self, file_id: &str) -> Result<Option<Arrival>, DiskError> {
        let path = self.note_path(file_id);
        if !path.is_file() || !self.path(file_id).is_file() {
            return Ok(None);
        }
        disk::read_json(&path).map(Some)
    }

    /// Copies a file in that arrives so. Bytes that are there already are left as they are and their first
    /// arrival is returned.
    ///
    /// # Errors
    /// Reading the source or writing the archive fails, or the source changed since it was hashed; then
    /// nothing counts as arrived.
    pub fn store(&self, source: &Path, arriving: Arrival) -> Result<Arrival, DiskError> {
        let file_id = arriving.file_id.as_str();
        if let Some(arrival) = self.arrival(file_id)? {
            return Ok(arrival);
        }
        let mut part = tempfile::NamedTempFile::new_in(&self.root).map_err(io(&self.root))?;
        let part_path = part.path().to_owned();
        if copy_hashed(source, part.as_file_mut(), &part_path)? != file_id {
            return Err(DiskError::invalid(
                source,
                "changed while it was read; run again when it is complete",
            ));
        }
        let folder = self.folder(file_id);
        disk::make_folder(&folder)?;
        let path = self.path(file_id);
        disk::set_read_only(part.as_file(), part.path())?;
        part.as_file().sync_all().map_err(io(&path))?;
        part.persist(&path).map_err(|e| DiskError::new(&path, e.error))?;
        disk::write_json(&self.note_path(file_id), &arriving)?;
        Ok(arriving)
    }

    /// Notes that known bytes of a rejected file arrived anew.
    ///
    /// # Errors
    /// The note cannot be written.
    pub fn renew(&self, arrival: &Arrival) -> Result<(), DiskError> {
        if self.arrival(&arrival.file_id)?.as_ref() == Some(arrival) {
            return Ok(());
        }
        disk::write_json(&self.note_path(&arrival.file_id), arrival)
    }

    /// The bytes of a file, mapped, so that memory does not grow with the file.
    ///
    /// # Errors
    /// The file is not there or cannot be mapped.
    #[allow(unsafe_code)]
    pub fn bytes(&self, file_id: &str) -> Result<Bytes, DiskError> {
        let path = self.path(file_id);
        let file = File::open(&path).map_err(io(&path))?;
        if file.metadata().map_err(io(&path))?.len() == 0 {
            return Ok(Bytes(None));
        }
        // SAFETY: files of the archive are read-only and never changed or cut once they have their name.
        let map = unsafe { Mmap::map(&file) }.map_err(io(&path))?;
        Ok(Bytes(Some(map)))
    }

    /// What arrived and is not `known`, in file id order.
    ///
    /// # Errors
    /// The folder or a note cannot be read.
    pub fn arrivals_but(&self, known: impl Fn(&str) -> bool) -> Result<Vec<Arrival>, DiskError> {
        let mut arrivals = Vec::new();
        let holds_bytes = |path: &&PathBuf| path.is_dir() && !path.ends_with("events");
        for folder in disk::entries(&self.root)?.iter().filter(holds_bytes) {
            for path in
                disk::entries(folder)?.iter().filter(|path| path.extension().is_some_and(|e| e == "json"))
            {
                let file_id =
                    path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
                if !known(&file_id) {
                    arrivals.extend(self.arrival(&file_id)?);
                }
            }
        }
        Ok(arrivals)
    }
}

/// Bytes of an archived file.
#[derive(Debug)]
pub struct Bytes(Option<Mmap>);

impl std::ops::Deref for Bytes {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        self.0.as_deref().unwrap_or_default()
    }
}

/// SHA-256 of a file, hex.
///
/// # Errors
/// The file cannot be read.
pub fn hash_file(path: &Path) -> Result<String, DiskError> {
    copy_hashed(path, &mut std::io::sink(), path)
}

fn copy_hashed(source: &Path, target: &mut dyn Write, target_path: &Path) -> Result<String, DiskError> {
    let mut file = File::open(source).map_err(io(source))?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        let read = file.read(&mut buffer).map_err(io(source))?;
        if read == 0 {
            return Ok(disk::hex(&hash.finalize()));
        }
        hash.update(&buffer[..read]);
        target.write_all(&buffer[..read]).map_err(io(target_path))?;
    }
}
