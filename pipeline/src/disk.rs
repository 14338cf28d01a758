//! Small steps on the file system, each with the path in its error and a next step in its message.
//!
//! Promise: a file written here appears whole or not at all and survives a power cut once the call
//! returned.

use crate::crash;
use arrow::error::ArrowError;
use parquet::errors::ParquetError;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fs::{self, File};
use std::io::{self as std_io, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The machine failed: disk full, no permission, a file that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("{}: {error}{}", path.display(), advice(error))]
pub struct DiskError {
    /// What was touched.
    pub path: PathBuf,
    /// What went wrong.
    #[source]
    pub error: std_io::Error,
}

impl DiskError {
    /// An error at a path.
    pub fn new(path: &Path, error: impl Into<std_io::Error>) -> DiskError {
        DiskError { path: path.to_owned(), error: error.into() }
    }

    /// Something at a path does not have the form it must have.
    pub fn invalid(path: &Path, what: impl ToString) -> DiskError {
        DiskError::new(path, std_io::Error::new(std_io::ErrorKind::InvalidData, what.to_string()))
    }
}

/// What to do about an error, to be put behind it; nothing if there is no general advice.
pub fn advice(error: &std_io::Error) -> &'static str {
    match error.kind() {
        std_io::ErrorKind::StorageFull => ": free some space and run again; nothing was lost",
        std_io::ErrorKind::PermissionDenied => ": give this user the right to it and run again",
        std_io::ErrorKind::ReadOnlyFilesystem => {
            ": the file system is read-only; make it writable and run again"
        }
        std_io::ErrorKind::NotFound => ": check the path",
        _ => "",
    }
}

/// For `map_err`: puts the path to an I/O error.
pub fn io(path: &Path) -> impl FnOnce(std_io::Error) -> DiskError + '_ {
    move |error| DiskError::new(path, error)
}

/// For `map_err`: puts the path to an error of writing Arrow, keeping what the disk said.
pub fn arrow(path: &Path) -> impl FnOnce(ArrowError) -> DiskError + '_ {
    move |error| match error {
        ArrowError::IoError(_, error) => DiskError::new(path, error),
        other => DiskError::invalid(path, other),
    }
}

/// For `map_err`: puts the path to an error of writing Parquet, keeping what the disk said.
pub fn parquet(path: &Path) -> impl FnOnce(ParquetError) -> DiskError + '_ {
    move |error| match error {
        ParquetError::External(source) => match source.downcast::<std_io::Error>() {
            Ok(error) => DiskError::new(path, *error),
            Err(source) => DiskError::new(path, std_io::Error::other(source)),
        },
        other => DiskError::new(path, std_io::Error::other(other)),
    }
}

/// The folder a path is in; that of a bare name is the one we are in.
fn parent(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Makes a folder and those above it, durably.
///
/// # Errors
/// It cannot be made.
pub fn make_folder(path: &Path) -> Result<(), DiskError> {
    if path.is_dir() {
        return Ok(());
    }
    let parent = parent(path);
    make_folder(parent)?;
    match fs::create_dir(path) {
        Err(e) if e.kind() == std_io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        made => made.map_err(io(path)).and_then(|()| sync_folder(parent)),
    }
}

/// The entries of a folder, sorted by name.
///
/// # Errors
/// It cannot be read.
pub fn entries(folder: &Path) -> Result<Vec<PathBuf>, DiskError> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder).map_err(io(folder))? {
        paths.push(entry.map_err(io(folder))?.path());
    }
    paths.sort();
    Ok(paths)
}

/// Makes the entries of a folder durable.
///
/// # Errors
/// The folder cannot be synced.
pub fn sync_folder(folder: &Path) -> Result<(), DiskError> {
    File::open(folder).and_then(|f| f.sync_all()).map_err(io(folder))
}

/// Takes the right to write from a file.
///
/// # Errors
/// The permissions cannot be changed.
pub fn set_read_only(file: &File, path: &Path) -> Result<(), DiskError> {
    let mut permissions = file.metadata().map_err(io(path))?.permissions();
    #[cfg(unix)]
    std::os::unix::fs::PermissionsExt::set_mode(&mut permissions, 0o440);
    #[cfg(not(unix))]
    permissions.set_readonly(true);
    file.set_permissions(permissions).map_err(io(path))
}

/// Writes a file whole or not at all, replacing what was there.
///
/// # Errors
/// It cannot be written.
pub fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), DiskError> {
    write_whole_by(&Part::beside(path), path, bytes)
}

/// The same where the part lies elsewhere, on the same file system.
///
/// # Errors
/// It cannot be written.
pub fn write_whole_by(part: &Part<'_>, path: &Path, bytes: &[u8]) -> Result<(), DiskError> {
    let part = part.write(path, bytes)?;
    part.persist(path).map_err(|e| DiskError::new(path, e.error))?;
    named(path)
}

/// The same of a file that `fill` writes.
///
/// # Errors
/// It cannot be written, or `fill` fails.
pub fn write_whole_with<E: From<DiskError>>(
    path: &Path,
    fill: impl FnOnce(&mut File) -> Result<(), E>,
) -> Result<(), E> {
    let part = Part::beside(path).filled(path, fill)?;
    part.persist(path).map_err(|e| DiskError::new(path, e.error))?;
    Ok(named(path)?)
}

/// Writes a file whole if nothing of its name is there yet; `false` if something is.
///
/// # Errors
/// It cannot be written.
pub fn write_if_absent(path: &Path, bytes: &[u8]) -> Result<bool, DiskError> {
    match Part::beside(path).write(path, bytes)?.persist_noclobber(path) {
        Ok(_) => named(path).map(|()| true),
        Err(e) if e.error.kind() == std_io::ErrorKind::AlreadyExists => Ok(false),
        Err(e) => Err(DiskError::new(path, e.error)),
    }
}

/// A file has its name: makes that durable.
fn named(path: &Path) -> Result<(), DiskError> {
    crash::point("whole.named", path)?;
    sync_folder(parent(path))?;
    crash::point("whole.after", path)
}

/// How the names of files on their way begin.
pub const PART: &str = ".part-";

/// Where a file that appears whole is written before it gets its name.
pub struct Part<'a> {
    /// The folder; whoever owns it removes what killed runs left there.
    pub folder: &'a Path,
    /// How its name begins.
    pub prefix: &'a str,
}

impl<'a> Part<'a> {
    /// Beside the file itself.
    fn beside(path: &'a Path) -> Part<'a> {
        Part { folder: parent(path), prefix: PART }
    }

    fn write(&self, path: &Path, bytes: &[u8]) -> Result<tempfile::NamedTempFile, DiskError> {
        self.filled(path, |file| file.write_all(bytes).map_err(io(path)))
    }

    fn filled<E: From<DiskError>>(
        &self,
        path: &Path,
        fill: impl FnOnce(&mut File) -> Result<(), E>,
    ) -> Result<tempfile::NamedTempFile, E> {
        crash::point("whole.before", path)?;
        let mut part = self.made(path)?;
        fill(part.as_file_mut())?;
        part.as_file().sync_all().map_err(io(path))?;
        crash::point("whole.written", path)?;
        Ok(part)
    }

    /// Writes a file that is not durable yet; the caller syncs it and gives it its name.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn unsynced(&self, path: &Path, bytes: &[u8]) -> Result<tempfile::TempPath, DiskError> {
        let mut part = self.made(path)?;
        part.write_all(bytes).map_err(io(path))?;
        Ok(part.into_temp_path()) // closed: there may be many
    }

    fn made(&self, path: &Path) -> Result<tempfile::NamedTempFile, DiskError> {
        let mut builder = tempfile::Builder::new();
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o640));
        builder.prefix(self.prefix).tempfile_in(self.folder).map_err(io(path))
    }
}

/// Removes the files on their way that killed runs left in a folder, if it is there.
///
/// # Errors
/// The folder cannot be read, or a file not removed.
pub fn remove_parts(folder: &Path) -> Result<(), DiskError> {
    if !folder.is_dir() {
        return Ok(());
    }
    for path in entries(folder)?.iter().filter(|path| is_part(path)) {
        fs::remove_file(path).map_err(io(path))?;
    }
    Ok(())
}

/// A file on its way, in a folder that others use too, that nothing was written to for so long is left by a run that
/// was killed.
const FORGOTTEN: Duration = Duration::from_secs(86_400);

/// Removes the files of a prefix on their way that killed runs left in a folder that others use too.
///
/// # Errors
/// The folder cannot be read.
pub fn remove_forgotten(folder: &Path, prefix: &str) -> Result<(), DiskError> {
    for path in entries(folder)?.iter().filter(|path| path.is_file() && begins_with(path, prefix)) {
        let changed = path.metadata().and_then(|file| file.modified()).ok();
        if changed.and_then(|at| at.elapsed().ok()).is_some_and(|age| age > FORGOTTEN) {
            let _ = fs::remove_file(path); // somebody else may have been quicker
        }
    }
    Ok(())
}

/// Whether a file's name begins so.
pub fn begins_with(path: &Path, prefix: &str) -> bool {
    path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(prefix.as_bytes()))
}

fn is_part(path: &Path) -> bool {
    begins_with(path, PART)
}

/// Reads a JSON file.
///
/// # Errors
/// It is not there or not of this form.
pub fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T, DiskError> {
    let text = fs::read(path).map_err(io(path))?;
    serde_json::from_slice(&text).map_err(|e| DiskError::invalid(path, e))
}

/// Pretty JSON with a line end.
///
/// # Errors
/// The value has no JSON form.
pub fn to_json<T: Serialize>(path: &Path, value: &T) -> Result<Vec<u8>, DiskError> {
    let mut bytes = serde_json::to_vec_pretty(value).map_err(|e| DiskError::invalid(path, e))?;
    bytes.push(b'\n');
    Ok(bytes)
}

/// Writes a JSON file whole or not at all.
///
/// # Errors
/// It cannot be written.
pub fn write_json<T: Serialize>(path: &Path, value: &T) -> Result<(), DiskError> {
    write_whole(path, &to_json(path, value)?)
}

/// Lower-case hex digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_disk_said_is_kept_by_whatever_writes() {
        let full = || std_io::Error::from(std_io::ErrorKind::StorageFull);
        let path = Path::new("/data/x");
        for error in [
            arrow(path)(ArrowError::IoError("x".to_owned(), full())),
            parquet(path)(ParquetError::External(Box::new(full()))),
        ] {
            let text = error.to_string();
            assert!(text.starts_with("/data/x: ") && text.contains("free some space"), "{text}");
        }
    }

    #[test]
    fn a_bare_name_is_in_the_folder_we_are_in() {
        assert_eq!(parent(Path::new("m.prom")), Path::new("."));
        assert_eq!(parent(Path::new("a/m.prom")), Path::new("a"));
        assert_eq!(parent(Path::new("/m.prom")), Path::new("/"));
    }
}
