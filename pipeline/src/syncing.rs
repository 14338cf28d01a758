//! Many files made durable at once.
//!
//! Promise: what was written, made or named below a folder since the value was made is on the disk when `sync`
//! returns. A sync of one file waits for the disk to write its journal, whatever the size; a sync of the whole file
//! system waits once. Measured on ext4 with 1,440 files of 90 kB and their notes: 1.4 s of waiting file by file on two
//! threads, 0.1 s at once.

use crate::disk::{DiskError, io, sync_folder};
use rayon::prelude::*;
use std::fs::File;
use std::path::{Path, PathBuf};

/// Up to so many paths are synced one by one, so that a small night does not wait for what other programs wrote.
#[cfg(target_os = "linux")]
const ONE_BY_ONE: usize = 12;

/// Syncs what was written since it was made.
#[cfg_attr(not(target_os = "linux"), allow(dead_code))] // there files are synced one by one
pub struct Syncing {
    folder: File,
    path: PathBuf,
    /// On a file system of which it is known that a sync of all of it reaches the disk.
    is_known: bool,
}

impl Syncing {
    /// For what is going to be written below a folder: opened before, so that an error of writing is told by the sync,
    /// whichever file it struck.
    ///
    /// # Errors
    /// The folder cannot be opened.
    pub fn begin(folder: &Path) -> Result<Syncing, DiskError> {
        let path = folder.to_owned();
        let folder = File::open(folder).map_err(io(folder))?;
        let is_known = is_known(&folder);
        Ok(Syncing { folder, path, is_known })
    }

    /// Makes files and folders durable.
    ///
    /// # Errors
    /// One of them cannot be synced.
    pub fn sync(&self, paths: &[&Path]) -> Result<(), DiskError> {
        #[cfg(target_os = "linux")]
        if paths.len() > ONE_BY_ONE && self.is_known && tells_errors() {
            return nix::unistd::syncfs(&self.folder).map_err(|errno| DiskError::new(&self.path, errno));
        }
        paths.par_iter().try_for_each(|path| sync_folder(path))
    }
}

/// Local file systems that write all they hold; others, such as those of FUSE, may do nothing and say that all is well.
#[cfg(target_os = "linux")]
fn is_known(folder: &File) -> bool {
    use nix::sys::statfs::{BTRFS_SUPER_MAGIC, EXT4_SUPER_MAGIC, TMPFS_MAGIC, XFS_SUPER_MAGIC, fstatfs};
    let known = [EXT4_SUPER_MAGIC, XFS_SUPER_MAGIC, BTRFS_SUPER_MAGIC, TMPFS_MAGIC];
    fstatfs(folder).is_ok_and(|found| known.contains(&found.filesystem_type()))
}

#[cfg(not(target_os = "linux"))]
fn is_known(_: &File) -> bool {
    false
}

/// Whether a sync of the whole file system tells of errors: Linux does from 5.8 on.
#[cfg(target_os = "linux")]
fn tells_errors() -> bool {
    use std::sync::OnceLock;
    static TELLS: OnceLock<bool> = OnceLock::new();
    *TELLS.get_or_init(|| {
        let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        is_from_5_8(&release)
    })
}

#[cfg(target_os = "linux")]
fn is_from_5_8(release: &str) -> bool {
    let mut parts = release.split(|c: char| !c.is_ascii_digit()).map(|part| part.parse::<u32>().ok());
    let version = (parts.next().flatten(), parts.next().flatten());
    version >= (Some(5), Some(8))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a test may fail loudly
mod tests {
    use super::*;

    #[test]
    fn few_and_many_are_synced_and_what_is_not_there_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let syncing = Syncing::begin(folder.path()).unwrap();
        let paths: Vec<PathBuf> = (0..20).map(|at| folder.path().join(at.to_string())).collect();
        paths.iter().for_each(|path| std::fs::write(path, "bytes").unwrap());
        let paths: Vec<&Path> = paths.iter().map(PathBuf::as_path).collect();
        syncing.sync(&paths).unwrap();
        syncing.sync(&[&paths[..3], &[folder.path()]].concat()).unwrap();
        syncing.sync(&[]).unwrap();
        assert!(syncing.sync(&[&folder.path().join("none")]).is_err());
        assert!(Syncing::begin(&folder.path().join("none")).is_err());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn an_old_kernel_is_not_trusted() {
        for (release, tells) in [
            ("6.18.44-fc-v769\n", true),
            ("5.8.0", true),
            ("5.10", true),
            ("5.7.19", false),
            ("4.18.0-553.el8_10.x86_64", false),
            ("", false),
            ("unknown", false),
        ] {
            assert_eq!(is_from_5_8(release), tells, "{release}");
        }
    }
}
