//! How files come into the archive, many at once.
//!
//! Promise: bytes are on the disk, with their name, before a note of theirs gets its name; both are when the call
//! returns. The disk is waited for three times, however many files there are.

use super::{Archive, Arrival, copy_hashed};
use crate::crash;
use crate::disk::{self, DiskError, io};
use crate::syncing::Syncing;
use rayon::prelude::*;
use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use tempfile::TempPath;

/// Files that are made durable together.
const AT_ONCE: usize = 4_096;

/// A file on its way into the archive.
struct Storing {
    arrival: Arrival,
    /// Where its bytes get their name.
    path: PathBuf,
    /// Its copy without a name yet; none if the bytes are there already.
    copy: Option<TempPath>,
    /// Whether it arrives for the first time.
    is_new: bool,
    note: Option<TempPath>,
}

impl Archive {
    /// Copies a file in that arrives so, as [`store_all`](Archive::store_all) does.
    ///
    /// # Errors
    /// As there.
    pub fn store(&self, source: &Path, arriving: Arrival) -> Result<Arrival, DiskError> {
        self.store_all(vec![(source, arriving)]).map(|mut arrived| arrived.remove(0)) // as many as given
    }

    /// Copies files in that arrive so, no two with the same bytes. Bytes that are there already are left as they are;
    /// if they arrived before, also if they were lost since, their first arrival stays and is returned.
    ///
    /// # Errors
    /// Reading a source or writing the archive fails, or a source changed since it was hashed; then what was not
    /// noted yet did not arrive.
    pub fn store_all(&self, arriving: Vec<(&Path, Arrival)>) -> Result<Vec<Arrival>, DiskError> {
        let mut arrived = Vec::with_capacity(arriving.len());
        let mut arriving = arriving.into_iter().peekable();
        while arriving.peek().is_some() {
            let some: Vec<(&Path, Arrival)> = arriving.by_ref().take(AT_ONCE).collect();
            let syncing = Syncing::begin(&self.root)?;
            let copied: Result<Vec<Storing>, DiskError> =
                some.into_par_iter().map(|(source, arriving)| self.copied(source, arriving)).collect();
            let mut storing = copied?;
            self.keep(&mut storing, &syncing)?;
            arrived.extend(storing.into_iter().map(|stored| stored.arrival));
        }
        Ok(arrived)
    }

    /// Copies a file, unless the archive has it.
    fn copied(&self, source: &Path, arriving: Arrival) -> Result<Storing, DiskError> {
        let path = self.path(&arriving.file_id);
        let noted = self.note(&arriving.file_id)?;
        if let Some(arrival) = noted.as_ref().filter(|_| path.is_file()) {
            return Ok(Storing { arrival: arrival.clone(), path, copy: None, is_new: false, note: None });
        }
        crash::point("archive.bytes.before", &path)?;
        let mut builder = tempfile::Builder::new();
        let mut part = builder.prefix(self.part).tempfile_in(&self.root).map_err(io(&self.root))?;
        let part_path = part.path().to_owned();
        if copy_hashed(source, part.as_file_mut(), &part_path)? != arriving.file_id {
            return Err(DiskError::invalid(
                source,
                "changed while it was read; run again when it is complete",
            ));
        }
        disk::set_read_only(part.as_file(), part.path())?;
        crash::point("archive.bytes.copied", &path)?;
        let copy = Some(part.into_temp_path()); // closed: there may be many
        Ok(Storing { is_new: noted.is_none(), arrival: noted.unwrap_or(arriving), path, copy, note: None })
    }

    /// Makes copies durable and gives them their names, and then their notes.
    fn keep(&self, storing: &mut [Storing], syncing: &Syncing) -> Result<(), DiskError> {
        let mut storing: Vec<&mut Storing> =
            storing.iter_mut().filter(|stored| stored.copy.is_some()).collect();
        if storing.is_empty() {
            return Ok(());
        }
        let copies: Vec<&Path> = storing.iter().filter_map(|stored| stored.copy.as_deref()).collect();
        syncing.sync(&copies)?;
        let mut folders = BTreeSet::new();
        for stored in &mut storing {
            self.name_bytes(stored, &mut folders)?;
        }
        for stored in storing.iter_mut().filter(|stored| stored.is_new) {
            let path = self.note_path(&stored.arrival.file_id);
            crash::point("archive.note.before", &path)?;
            stored.note = Some(self.part().unsynced(&path, &disk::to_json(&path, &stored.arrival)?)?);
        }
        // The names of the bytes before those of the notes: a note without bytes is a loss.
        let notes = storing.iter().filter_map(|stored| stored.note.as_deref());
        let mut named: Vec<&Path> = folders.iter().map(PathBuf::as_path).collect();
        named.extend(notes);
        syncing.sync(&named)?;
        for stored in &mut storing {
            self.name_note(stored)?;
        }
        let folders: Vec<&Path> = folders.iter().map(PathBuf::as_path).collect();
        syncing.sync(&folders)?;
        crash::point("archive.note.after", &self.root)
    }

    /// Gives bytes their name; adds the folders whose entries changed.
    fn name_bytes(&self, stored: &mut Storing, folders: &mut BTreeSet<PathBuf>) -> Result<(), DiskError> {
        let Some(copy) = stored.copy.take() else { return Ok(()) };
        let folder = self.folder(&stored.arrival.file_id);
        match fs::create_dir(&folder) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => return Err(DiskError::new(&folder, error)),
        }
        folders.insert(self.root.clone()); // a killed run may have made the folder and not synced its name
        copy.persist(&stored.path).map_err(|e| DiskError::new(&stored.path, e.error))?;
        folders.insert(folder);
        crash::point("archive.bytes.named", &stored.path)
    }

    /// Gives a note its name. Where another worker was quicker, what it noted holds for all.
    fn name_note(&self, stored: &mut Storing) -> Result<(), DiskError> {
        crash::point("archive.bytes.after", &stored.path)?;
        let Some(part) = stored.note.take() else { return Ok(()) };
        let note = self.note_path(&stored.arrival.file_id);
        match part.persist_noclobber(&note) {
            Ok(()) => {}
            Err(e) if e.error.kind() == ErrorKind::AlreadyExists => stored.arrival = disk::read_json(&note)?,
            Err(e) => return Err(DiskError::new(&note, e.error)),
        }
        crash::point("archive.note.named", &note)
    }
}
