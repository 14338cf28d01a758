//! A file of a snapshot on its way to the disk: hashed while it is written.
//!
//! Promise: what [`Output::finish`] tells of is read-only, and was written whole; it is synced with all other files
//! when the snapshot is completed.

use super::digest::RowsDigest;
use super::table_file::PublishedFile;
use std::fs::File;
use std::path::{Path, PathBuf};
use tsumiage_pipeline::crash;
use tsumiage_pipeline::disk::{self, DiskError, io};
use tsumiage_pipeline::hashing::Hashing;

/// Where a file goes.
#[derive(Debug)]
pub(super) struct Output {
    path: PathBuf,
    relative: String,
}

impl Output {
    /// Begins a file at `relative` below `root`.
    ///
    /// # Errors
    /// The file cannot be made.
    pub fn create(root: &Path, relative: &str) -> Result<(Output, Hashing), DiskError> {
        let path = root.join(relative);
        crash::point("snapshot.table.before", &path)?;
        if let Some(folder) = path.parent() {
            disk::make_folder(folder)?;
        }
        let file = File::create(&path).map_err(io(&path))?;
        crash::point("snapshot.table.begun", &path)?;
        Ok((Output { path, relative: relative.to_owned() }, Hashing::new(file)))
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Ends a file of which `rows` were written.
    ///
    /// # Errors
    /// It cannot be written, or holds other rows than were given.
    pub fn finish(
        self,
        out: &mut Hashing,
        rows: i64,
        digest: RowsDigest,
    ) -> Result<PublishedFile, DiskError> {
        let written = out.finish().map_err(io(&self.path))?;
        crash::point("snapshot.table.written", &self.path)?;
        disk::set_read_only(out.file(), &self.path)?;
        crash::point("snapshot.table.after", &self.path)?;
        let rows = rows as u64;
        if rows != digest.rows() {
            return Err(DiskError::invalid(&self.path, "holds other rows than were given"));
        }
        Ok(PublishedFile {
            path: self.relative,
            rows,
            bytes: written.bytes,
            sha256: written.sha256,
            rows_digest: Some(digest),
        })
    }
}
