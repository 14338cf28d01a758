//! The archive: the original bytes of every file that ever arrived, by content hash, and beside them
//! what is needed to take it in again (contract, "The data folder").
//!
//! Promise: bytes are never changed or removed; their first name and take-in day stay, unless a rejected
//! file is checked again at the user's wish. Bytes are written before their note, so that a note without bytes
//! is always a loss and told as an error; bytes without a note are what a killed run leaves.
//! Layout: `archive/<first two hex digits>/<sha256>` and `<sha256>.json`, beside them `<sha256>.sent` where the file
//! went to Kafka ([`sent`](Archive::sent)); closings and withdrawals stand in `archive/events` (module `events`),
//! what ingest workers have in hand in `archive/claims`.

mod sent;
mod storing;

use crate::crash;
use crate::disk::{self, DiskError, PART, Part, io};
use memmap2::Mmap;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{ErrorKind, Read, Write};
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
    /// How bytes and notes on their way are named; they lie in the root until they are whole, so that what a
    /// killed run left is found without looking through the archive.
    part: &'static str,
}

/// Copies of workers, who hold no lock; the one run that holds it has [`PART`].
const SHARED_PART: &str = ".shared-";

/// Bytes that are read at once.
const MOST_READ: usize = 256 << 10;

/// Folders in the archive that hold no bytes.
const NO_BYTES: [&str; 2] = ["events", "claims"];

impl Archive {
    /// Opens or makes the archive of a data folder, for the one run that holds its lock.
    ///
    /// # Errors
    /// The folder cannot be made.
    pub fn open(data: &Path) -> Result<Archive, DiskError> {
        let root = data.join("archive");
        disk::make_folder(&root)?;
        for path in disk::entries(&root)?.iter().filter(|path| path.is_file() && !is_shared(path)) {
            std::fs::remove_file(path).map_err(io(path))?; // a copy that a killed run left half made
        }
        Ok(Archive { root, part: PART })
    }

    /// Opens or makes the archive at a path, to store to it while others may do so too.
    ///
    /// # Errors
    /// The folder cannot be made.
    pub fn shared(root: &Path) -> Result<Archive, DiskError> {
        disk::make_folder(root)?;
        let root = root.canonicalize().map_err(io(root))?;
        disk::remove_forgotten(&root, SHARED_PART)?;
        Ok(Archive { root, part: SHARED_PART })
    }

    /// The folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The archive of a data folder, to read from while a run may be at work; nothing is made or removed.
    pub fn to_read(data: &Path) -> Archive {
        Archive { root: data.join("archive"), part: PART }
    }

    fn part(&self) -> Part<'_> {
        Part { folder: &self.root, prefix: self.part }
    }

    fn folder(&self, file_id: &str) -> PathBuf {
        self.root.join(file_id.get(..2).unwrap_or("xx"))
    }

    /// Held while a file arrives at an archive that others use too, so that no month is closed meanwhile; none if
    /// this is the only run.
    ///
    /// # Errors
    /// The lock cannot be had.
    pub fn arriving(&self) -> Result<Option<File>, DiskError> {
        if self.part != SHARED_PART {
            return Ok(None);
        }
        // A closing that waits holds the gate: files without end must not keep it waiting.
        let (gate, path) = self.lock_file(".gate")?;
        gate.lock_shared().map_err(io(&path))?;
        let (lock, path) = self.lock_file(".arriving")?;
        lock.lock_shared().map_err(io(&path))?;
        Ok(Some(lock))
    }

    /// Held while a month is closed: what workers noted before is in the archive, and what they note
    /// after sees the closing. Waits for files that are just being stored.
    ///
    /// # Errors
    /// The lock cannot be had.
    pub fn closing(&self) -> Result<[File; 2], DiskError> {
        let (gate, path) = self.lock_file(".gate")?;
        gate.lock().map_err(io(&path))?;
        let (lock, path) = self.lock_file(".arriving")?;
        lock.lock().map_err(io(&path))?;
        Ok([gate, lock])
    }

    fn lock_file(&self, name: &str) -> Result<(File, PathBuf), DiskError> {
        let folder = self.root.join("events");
        disk::make_folder(&folder)?;
        let path = folder.join(name);
        let file = File::options().create(true).truncate(false).write(true).open(&path).map_err(io(&path))?;
        Ok((file, path))
    }

    /// Path of the bytes of a file.
    pub fn path(&self, file_id: &str) -> PathBuf {
        self.folder(file_id).join(file_id)
    }

    fn note_path(&self, file_id: &str) -> PathBuf {
        self.folder(file_id).join(format!("{file_id}.json"))
    }

    /// What is known of some bytes, if they arrived before, whether they are still there or not.
    fn note(&self, file_id: &str) -> Result<Option<Arrival>, DiskError> {
        let path = self.note_path(file_id);
        if path.is_file() { disk::read_json(&path).map(Some) } else { Ok(None) }
    }

    /// What is known of some bytes, if they arrived before.
    ///
    /// # Errors
    /// The note cannot be read, or the bytes are gone.
    pub fn arrival(&self, file_id: &str) -> Result<Option<Arrival>, DiskError> {
        let note = self.note(file_id)?;
        let path = self.path(file_id);
        if note.is_some() && !path.is_file() { Err(gone(&path)) } else { Ok(note) }
    }

    /// Notes that known bytes of a rejected file arrived anew.
    ///
    /// # Errors
    /// The note cannot be written.
    pub fn renew(&self, arrival: &Arrival) -> Result<(), DiskError> {
        if self.note(&arrival.file_id)?.as_ref() == Some(arrival) {
            return Ok(());
        }
        let note = self.note_path(&arrival.file_id);
        crash::point("archive.renew.before", &note)?;
        disk::write_whole_by(&self.part(), &note, &disk::to_json(&note, arrival)?)?;
        crash::point("archive.renew.after", &note)
    }

    /// The bytes of a file, mapped, so that memory does not grow with the file.
    ///
    /// # Errors
    /// The file is gone or cannot be mapped.
    #[allow(unsafe_code)]
    pub fn bytes(&self, file_id: &str) -> Result<Bytes, DiskError> {
        let path = self.path(file_id);
        let file = File::open(&path).map_err(|error| match error.kind() {
            ErrorKind::NotFound => gone(&path),
            _ => DiskError::new(&path, error),
        })?;
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
    /// The folder or a note cannot be read, or the bytes of one are gone.
    pub fn arrivals_but(&self, known: impl Fn(&str) -> bool) -> Result<Vec<Arrival>, DiskError> {
        let mut arrivals = Vec::new();
        for name in self.names()? {
            if let Some(file_id) = name.strip_suffix(".json").filter(|file_id| !known(file_id)) {
                arrivals.extend(self.arrival(file_id)?);
            }
        }
        Ok(arrivals)
    }

    /// File ids of bytes without a note, in order: a run was killed while it stored them, and they never
    /// arrived; or the note is lost.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn without_note(&self) -> Result<Vec<String>, DiskError> {
        let mut names = self.names()?;
        let is_id = |name: &String| name.len() == 64 && name.bytes().all(|b| b.is_ascii_hexdigit());
        names.retain(|name| is_id(name) && !self.note_path(name).is_file());
        Ok(names)
    }

    /// Names of all bytes and notes, sorted within their folders.
    fn names(&self) -> Result<Vec<String>, DiskError> {
        let mut names = Vec::new();
        let holds_bytes =
            |path: &&PathBuf| path.is_dir() && !NO_BYTES.iter().any(|name| path.ends_with(name));
        for folder in disk::entries(&self.root)?.iter().filter(holds_bytes) {
            let paths = disk::entries(folder)?;
            names
                .extend(paths.iter().filter_map(|p| p.file_name()).map(|n| n.to_string_lossy().into_owned()));
        }
        Ok(names)
    }
}

fn is_shared(path: &Path) -> bool {
    disk::begins_with(path, SHARED_PART)
}

/// Bytes that arrived and that the archive does not have.
pub(crate) fn gone(path: &Path) -> DiskError {
    DiskError::invalid(path, "is gone from the archive; restore it from a backup")
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
    // One more than the file has: the end is seen with the last bytes.
    let bytes = file.metadata().map_err(io(source))?.len();
    let mut buffer = vec![0; usize::try_from(bytes).map_or(MOST_READ, |bytes| bytes + 1).min(MOST_READ)];
    loop {
        let read = file.read(&mut buffer).map_err(io(source))?;
        if read == 0 {
            return Ok(disk::hex(&hash.finalize()));
        }
        hash.update(&buffer[..read]);
        target.write_all(&buffer[..read]).map_err(io(target_path))?;
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a test may fail loudly
mod tests {
    use super::*;

    fn arrival(file_id: &str, name: &str) -> Arrival {
        let taken_in_on = "2026-05-20".parse().unwrap();
        let (file_id, name, source) = (file_id.to_owned(), name.to_owned(), "inbox".to_owned());
        Arrival { file_id, name, taken_in_on, source, closed_through: None }
    }

    /// An archive with one file in it; the file, its id.
    fn archive() -> (tempfile::TempDir, Archive, PathBuf, String) {
        let data = tempfile::tempdir().unwrap();
        let archive = Archive::open(data.path()).unwrap();
        let source = data.path().join("a.csv");
        std::fs::write(&source, "bytes").unwrap();
        let id = hash_file(&source).unwrap();
        archive.store(&source, arrival(&id, "a.csv")).unwrap();
        (data, archive, source, id)
    }

    #[test]
    fn a_note_without_bytes_is_a_loss() {
        let (_data, archive, source, id) = archive();
        assert_eq!(archive.arrivals_but(|_| false).unwrap(), [arrival(&id, "a.csv")]);
        std::fs::remove_file(archive.path(&id)).unwrap();
        let error = archive.arrivals_but(|_| false).unwrap_err().to_string();
        assert!(error.contains(&id) && error.contains("is gone from the archive; restore it"), "{error}");
        assert!(archive.arrival(&id).is_err());
        assert!(
            archive.arrivals_but(|known| known == id).unwrap().is_empty(),
            "what is known is not asked for"
        );
        assert!(archive.without_note().unwrap().is_empty());
        // Given again the bytes are back; the file arrived when it arrived first.
        let again = archive.store(&source, arrival(&id, "b.csv")).unwrap();
        assert_eq!(again, arrival(&id, "a.csv"));
        assert_eq!(archive.arrivals_but(|_| false).unwrap(), [again]);
    }

    #[test]
    fn bytes_without_a_note_never_arrived() {
        let (_data, archive, source, id) = archive();
        assert!(archive.without_note().unwrap().is_empty());
        std::fs::remove_file(archive.note_path(&id)).unwrap();
        std::fs::write(archive.folder(&id).join(".part-x"), "{").unwrap(); // half a note of a killed run
        assert_eq!(archive.without_note().unwrap(), std::slice::from_ref(&id));
        assert_eq!(archive.arrival(&id).unwrap(), None);
        assert!(archive.arrivals_but(|_| false).unwrap().is_empty());
        let again = archive.store(&source, arrival(&id, "b.csv")).unwrap();
        assert_eq!(again, arrival(&id, "b.csv"), "stored like any other");
        assert!(archive.without_note().unwrap().is_empty());
    }
}
