//! Old snapshots go: which of them may, what that frees, and how it is done.
//!
//! Promise: a snapshot goes by one rename to a hidden name, then its files; killed in between it is not half a
//! snapshot but a leftover, which the next removal or the next new snapshot clears away. A file that a snapshot that
//! stays shares (hard link) is there still: only its name goes. Archive and ledger are not touched.

use super::snapshot::{Snapshot, Snapshots};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, Metadata};
use std::path::{Path, PathBuf};
use tsumiage_pipeline::crash;
use tsumiage_pipeline::disk::{self, DiskError, io};
use tsumiage_pipeline::events::{Event, What};
use tsumiage_schemas::Month;

/// Why a snapshot stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Stays {
    /// It is one of the newest.
    Newest,
    /// `latest` or `LATEST` points at it.
    Latest,
    /// It is as of a month that was closed.
    Closing,
}

/// A snapshot and why it stays; it goes if there is no reason.
#[derive(Clone, Debug)]
pub struct Judged {
    /// The snapshot.
    pub snapshot: Snapshot,
    /// All reasons.
    pub stays: Vec<Stays>,
}

/// Judges snapshots, oldest first: the newest `keep` stay, those in `latest`, and all as of a month that was ever
/// closed, also if it is open again: others were told of them as what was known.
pub fn judged(
    snapshots: Vec<Snapshot>,
    keep: usize,
    latest: &BTreeSet<String>,
    events: &[Event],
) -> Vec<Judged> {
    let closing = |event: &&Event| matches!(event.what, What::Close { .. });
    let closed: BTreeSet<Month> = events.iter().filter(closing).map(|event| event.processing_month).collect();
    let first_kept = snapshots.len().saturating_sub(keep);
    let judge = |(at, snapshot): (usize, Snapshot)| {
        let manifest = &snapshot.manifest;
        let reasons = [
            (at >= first_kept, Stays::Newest),
            (latest.contains(&manifest.id), Stays::Latest),
            (manifest.options.as_of.is_some_and(|month| closed.contains(&month)), Stays::Closing),
        ];
        let stays = reasons.into_iter().filter_map(|(holds, why)| holds.then_some(why)).collect();
        Judged { snapshot, stays }
    };
    snapshots.into_iter().enumerate().map(judge).collect()
}

/// Bytes that each of these folders frees if they go one after another: those of files that no other name is left of.
///
/// # Errors
/// A folder cannot be read.
pub fn freed(folders: &[PathBuf]) -> Result<Vec<u64>, DiskError> {
    let mut gone: BTreeMap<(u64, u64), u64> = BTreeMap::new();
    folders.iter().map(|folder| freed_by(folder, &mut gone)).collect()
}

/// `gone` counts the names of each file that went before.
fn freed_by(path: &Path, gone: &mut BTreeMap<(u64, u64), u64>) -> Result<u64, DiskError> {
    let metadata = path.symlink_metadata().map_err(io(path))?;
    if metadata.is_dir() {
        return disk::entries(path)?.iter().map(|path| freed_by(path, gone)).sum();
    }
    let Some((file, names)) = names_of(&metadata) else { return Ok(metadata.len()) };
    let gone = gone.entry(file).or_default();
    *gone += 1;
    Ok(if *gone == names { metadata.len() } else { 0 })
}

/// Which file it is, and how many names it has.
#[cfg(unix)]
fn names_of(metadata: &Metadata) -> Option<((u64, u64), u64)> {
    use std::os::unix::fs::MetadataExt;
    Some(((metadata.dev(), metadata.ino()), metadata.nlink()))
}

/// Not known here: every file counts as having one name.
#[cfg(not(unix))]
fn names_of(_: &Metadata) -> Option<((u64, u64), u64)> {
    None
}

impl Snapshots {
    /// Removes a snapshot, for the one who holds the data folder's lock.
    ///
    /// # Errors
    /// It cannot be renamed, then it stands; or a file cannot be removed, then the rest is a leftover.
    pub fn remove(&self, snapshot: &Snapshot) -> Result<(), DiskError> {
        let hidden = self.hidden(&snapshot.manifest.id);
        crash::point("gc.rename.before", &snapshot.path)?;
        fs::rename(&snapshot.path, &hidden).map_err(io(&snapshot.path))?;
        crash::point("gc.rename.after", &snapshot.path)?;
        self.sync()?;
        fs::remove_dir_all(&hidden).map_err(io(&hidden))?;
        crash::point("gc.removed", &snapshot.path)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a test may fail loudly
mod tests {
    use super::*;

    fn freed_of(folders: &[&Path]) -> Vec<u64> {
        freed(&folders.iter().map(|folder| folder.to_path_buf()).collect::<Vec<_>>()).unwrap()
    }

    #[test]
    fn a_file_is_freed_with_the_last_of_its_names() {
        let root = tempfile::tempdir().unwrap();
        let [a, b, c] = ["a", "b", "c"].map(|name| root.path().join(name));
        for folder in [&a, &b, &c] {
            fs::create_dir_all(folder.join("below")).unwrap();
        }
        fs::write(a.join("below/shared"), "1234567").unwrap();
        for other in [&b, &c] {
            fs::hard_link(a.join("below/shared"), other.join("below/shared")).unwrap();
        }
        fs::write(a.join("own"), "12").unwrap();
        fs::write(b.join("own"), "123").unwrap();
        fs::hard_link(b.join("own"), b.join("own again")).unwrap();
        assert_eq!(freed_of(&[&a]), [2]);
        assert_eq!(freed_of(&[&a, &b]), [2, 3], "the third has a name of it still");
        assert_eq!(freed_of(&[&a, &b, &c]), [2, 3, 7]);
        assert_eq!(freed_of(&[&c, &b, &a]), [0, 3, 9]);
        // As it comes out when they go.
        fs::remove_dir_all(&a).unwrap();
        assert_eq!(freed_of(&[&b, &c]), [3, 7]);
    }
}
