//! A file of a snapshot on its way to the disk: hashed while it is written.
//!
//! Promise: what [`Output::finish`] tells of is read-only, and was written whole; it is synced with all other files
//! when the snapshot is completed.

use super::digest::RowsDigest;
use super::table_file::PublishedFile;
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use tsumiage_pipeline::crash;
use tsumiage_pipeline::disk::{self, DiskError, io};

/// Where a file goes.
#[derive(Debug)]
pub(super) struct Output {
    path: PathBuf,
    relative: String,
}

/// Hashes what passes through.
pub(super) struct Hashing {
    file: BufWriter<File>,
    hash: Sha256,
    bytes: u64,
}

impl Write for Hashing {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.hash.update(&bytes[..written]);
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.file.flush()
    }
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
        let out = Hashing { file: BufWriter::with_capacity(1 << 16, file), hash: Sha256::new(), bytes: 0 };
        Ok((Output { path, relative: relative.to_owned() }, out))
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
        out.file.flush().map_err(io(&self.path))?;
        crash::point("snapshot.table.written", &self.path)?;
        disk::set_read_only(out.file.get_ref(), &self.path)?;
        crash::point("snapshot.table.after", &self.path)?;
        let rows = rows as u64;
        if rows != digest.rows() {
            return Err(DiskError::invalid(&self.path, "holds other rows than were given"));
        }
        Ok(PublishedFile {
            path: self.relative,
            rows,
            bytes: out.bytes,
            sha256: disk::hex(&out.hash.finalize_reset()),
            rows_digest: Some(digest),
        })
    }
}
