//! Snapshot folders: begun under a hidden name, completed by one rename, then never changed.
//!
//! Promise: what is found under `snapshots/<id>` is whole; equal files of snapshots are one file (hard links); `latest` and `LATEST` point at the newest one made with the settings.

use super::table_file::PublishedFile;
use crate::stack::Inheritance;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;
use std::path::{Path, PathBuf};
use tsumiage_pipeline::crash;
use tsumiage_pipeline::disk::{self, DiskError, io};
use tsumiage_pipeline::syncing::Syncing;
use tsumiage_pipeline::tally::Tally;
use tsumiage_schemas::{Month, MonthRange};

/// What was asked for; together with the facts it determines every Parquet file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotOptions {
    /// Only what was known as of this processing month; `None` = all.
    pub as_of: Option<Month>,
    /// How blanks are filled.
    pub inheritance: Inheritance,
    /// First service month published; `None` if nothing is known.
    pub first_month: Option<Month>,
    /// Last service month published.
    pub last_month: Option<Month>,
}

impl SnapshotOptions {
    /// The months published.
    pub fn months(&self) -> Option<MonthRange> {
        self.first_month.zip(self.last_month).map(|(first, last)| MonthRange { first, last })
    }
}

/// A table of a snapshot as its manifest describes it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableEntry {
    /// Rows in all files.
    pub rows: u64,
    /// See `publish::digest`.
    pub rows_digest: String,
}

/// The table `changes` as the manifest describes it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangesEntry {
    /// The snapshot that it tells the difference to: the `latest` before; none if it is empty for want of one.
    pub since: Option<String>,
    /// Rows in all files.
    pub rows: u64,
    /// See `publish::digest`.
    pub rows_digest: String,
}

/// `manifest.json` of a snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotManifest {
    /// Snapshot id.
    pub id: String,
    /// What was asked for.
    #[serde(flatten)]
    pub options: SnapshotOptions,
    /// Program version.
    pub program_version: String,
    /// Digest of the program's code that determines results.
    #[serde(default)]
    pub rules: String,
    /// Digest of layouts, codes and catalogue.
    pub layouts: String,
    /// Settings of the data folder, as far as they shape the content.
    pub settings: serde_json::Value,
    /// Digest of facts, options, layouts and program version.
    pub inputs_digest: String,
    /// Digest of the paths and hashes of all files that facts and options determine: all but `changes`.
    pub content_digest: String,
    /// The table `changes`, apart from the others: it depends on what was published before.
    #[serde(default)]
    pub changes: ChangesEntry,
    /// Tables that facts and options determine.
    pub tables: BTreeMap<String, TableEntry>,
    /// Findings of the snapshot, counted by code and severity.
    #[serde(default)]
    pub findings_by_code: Tally,
    /// All files but this one, by path.
    pub files: Vec<PublishedFile>,
}

/// A snapshot that stands.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// Its folder.
    pub path: PathBuf,
    /// Its manifest.
    pub manifest: SnapshotManifest,
}

/// The folder of all snapshots.
#[derive(Clone, Debug)]
pub struct Snapshots {
    root: PathBuf,
}

/// A snapshot being made.
pub struct Building {
    /// Folder to write into.
    pub path: PathBuf,
    /// Paths of files in it that were taken over from an earlier snapshot.
    pub taken_over: BTreeSet<String>,
    /// Makes it durable.
    syncing: Syncing,
}

const MANIFEST: &str = "manifest.json";

/// Newest snapshots that a new one shares equal files with: more would have to be held in memory.
const SHARED_WITH: usize = 8;

/// The table of differences to the snapshot before.
pub const CHANGES: &str = "changes";

/// Hidden name of a snapshot that is being made.
const BUILDING: &str = ".building";

/// How the hidden name of a snapshot begins that is being removed.
const REMOVING: &str = ".removing-";

/// The link `latest` on its way.
const NEXT_LATEST: &str = ".latest";

impl Snapshots {
    /// The snapshots of a data folder. Makes nothing: where there is no folder yet there are none.
    ///
    /// # Errors
    /// The data folder cannot be read.
    pub fn open(data: &Path) -> Result<Snapshots, DiskError> {
        let root = data.join("snapshots");
        let root = if root.exists() {
            root.canonicalize().map_err(io(&root))?
        } else {
            data.canonicalize().map_err(io(data))?.join("snapshots")
        };
        Ok(Snapshots { root })
    }

    /// All snapshots, oldest first.
    ///
    /// # Errors
    /// A folder or manifest cannot be read.
    pub fn list(&self) -> Result<Vec<Snapshot>, DiskError> {
        let mut found = Vec::new();
        let paths = if self.root.is_dir() { disk::entries(&self.root)? } else { Vec::new() };
        for path in paths {
            let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
            // A stray folder of somebody else is none of ours.
            let ours = number_of(&name).is_some() && path.join(MANIFEST).is_file();
            if ours && !path.is_symlink() {
                let manifest = disk::read_json(&path.join(MANIFEST))?;
                found.push(Snapshot { path, manifest });
            }
        }
        Ok(found)
    }

    /// The snapshot with this id, or the one `latest` points at.
    ///
    /// # Errors
    /// There is none, or its manifest cannot be read.
    pub fn find(&self, id: &str) -> Result<Snapshot, DiskError> {
        let id = if id == "latest" {
            let path = self.root.join("LATEST");
            fs::read_to_string(&path).map_err(|_| {
                DiskError::invalid(
                    &path,
                    "no snapshot made with the settings yet; run `tsumiage resolve`, or choose one of `tsumiage snapshots list` with --snapshot",
                )
            })?
        } else {
            id.to_owned()
        };
        let path = self.root.join(id.trim());
        let plain = !id.trim().is_empty()
            && !id.contains(['/', '\\'])
            && !id.starts_with('.')
            && path.join(MANIFEST).is_file();
        if !plain {
            return Err(DiskError::invalid(
                &self.root,
                format!("no snapshot {:?}; see `tsumiage snapshots list`", id.trim()),
            ));
        }
        let manifest = disk::read_json(&path.join(MANIFEST))?;
        Ok(Snapshot { path, manifest })
    }

    /// Id of the snapshot `latest` points at.
    pub fn latest_id(&self) -> Option<String> {
        fs::read_to_string(self.root.join("LATEST")).ok().map(|id| id.trim().to_owned())
    }

    /// Ids that `LATEST` and the link `latest` point at: two while a run was killed between them.
    pub fn pointed_at(&self) -> BTreeSet<String> {
        let link = fs::read_link(self.root.join("latest")).ok();
        let linked = link.and_then(|path| Some(path.file_name()?.to_string_lossy().into_owned()));
        self.latest_id().into_iter().chain(linked).collect()
    }

    /// Begins a snapshot, removing what killed runs left.
    ///
    /// # Errors
    /// The folder cannot be made.
    pub fn begin(&self) -> Result<Building, DiskError> {
        self.remove_leftovers()?;
        let path = self.root.join(BUILDING);
        crash::point("snapshot.begin.before", &path)?;
        disk::make_folder(&path)?;
        crash::point("snapshot.begin.after", &path)?;
        let syncing = Syncing::begin(&path)?;
        Ok(Building { path, taken_over: BTreeSet::new(), syncing })
    }

    /// What killed runs left: a snapshot half made or half removed.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn leftovers(&self) -> Result<Vec<PathBuf>, DiskError> {
        let mut paths = disk::entries(&self.root)?;
        paths.retain(|path| {
            let name = path.file_name().map(|n| n.to_string_lossy()).unwrap_or_default();
            name.starts_with(BUILDING) || name.starts_with(REMOVING)
        });
        Ok(paths)
    }

    /// Removes what killed runs left, for the one run that holds the data folder's lock.
    ///
    /// # Errors
    /// Something cannot be removed.
    pub fn remove_leftovers(&self) -> Result<(), DiskError> {
        if !self.root.is_dir() {
            return Ok(());
        }
        disk::remove_parts(&self.root)?;
        self.leftovers()?.iter().try_for_each(|path| fs::remove_dir_all(path).map_err(io(path)))?;
        let next = self.root.join(NEXT_LATEST);
        if next.symlink_metadata().is_err() {
            return Ok(()); // it is not there
        }
        fs::remove_file(&next).map_err(io(&next))
    }

    /// The name under which a snapshot is removed.
    pub(super) fn hidden(&self, id: &str) -> PathBuf {
        self.root.join(format!("{REMOVING}{id}"))
    }

    /// Makes the names of snapshots durable.
    pub(super) fn sync(&self) -> Result<(), DiskError> {
        disk::sync_folder(&self.root)
    }

    /// Completes a snapshot: shares equal files with those there are (`known`, from old to new), writes the manifest, gives it its
    /// name. If the same content stands already under the same options, that one is returned.
    ///
    /// # Errors
    /// Something cannot be written; then nothing is published.
    pub fn complete(
        &self,
        building: Building,
        mut manifest: SnapshotManifest,
        known: &[Snapshot],
    ) -> Result<Snapshot, DiskError> {
        manifest.files.sort_by(|a, b| a.path.cmp(&b.path));
        manifest.content_digest = content_digest(&manifest.files);
        // Another program or other layouts that come to the same are told as what they are.
        let told = |m: &SnapshotManifest| {
            (m.content_digest.clone(), m.options.clone(), m.rules.clone(), m.layouts.clone())
        };
        let same = known.iter().rev().find(|s| told(&s.manifest) == told(&manifest));
        if let Some(same) = same {
            fs::remove_dir_all(&building.path).map_err(io(&building.path))?;
            return Ok(same.clone());
        }
        share(known, &building, &manifest.files)?;
        let number = known.iter().filter_map(|s| number_of(&s.manifest.id)).max().unwrap_or(0) + 1;
        manifest.id = format!("{number:06}-{}", &manifest.content_digest[..8]);
        let path = building.path.join(MANIFEST);
        crash::point("snapshot.manifest.before", &path)?;
        disk::write_json(&path, &manifest)?;
        let file = fs::File::open(&path).map_err(io(&path))?;
        disk::set_read_only(&file, &path)?;
        file.sync_all().map_err(io(&path))?;
        crash::point("snapshot.manifest.after", &path)?;
        let made = manifest.files.iter().filter(|file| !building.taken_over.contains(&file.path));
        let made: Vec<PathBuf> = made.map(|file| building.path.join(&file.path)).collect();
        let folders = folders_of(&building.path)?;
        let all: Vec<&Path> = made.iter().chain(&folders).map(PathBuf::as_path).collect();
        building.syncing.sync(&all)?;
        crash::point("snapshot.folders.after", &building.path)?;
        let path = self.root.join(&manifest.id);
        crash::point("snapshot.rename.before", &path)?;
        fs::rename(&building.path, &path).map_err(io(&path))?;
        crash::point("snapshot.rename.after", &path)?;
        disk::sync_folder(&self.root)?;
        Ok(Snapshot { path, manifest })
    }

    /// Points `latest` and `LATEST` at a snapshot.
    ///
    /// # Errors
    /// The link or file cannot be written.
    pub fn set_latest(&self, id: &str) -> Result<(), DiskError> {
        if self.latest_id().as_deref() == Some(id) && self.root.join("latest").exists() {
            return Ok(());
        }
        let (link, part) = (self.root.join("latest"), self.root.join(NEXT_LATEST));
        let _ = fs::remove_file(&part); // left by a killed run, or not there
        crash::point("latest.link.before", &part)?;
        #[cfg(unix)]
        std::os::unix::fs::symlink(id, &part).map_err(io(&part))?;
        crash::point("latest.link.made", &part)?;
        #[cfg(unix)]
        fs::rename(&part, &link).map_err(io(&link))?;
        disk::sync_folder(&self.root)?;
        crash::point("latest.link.after", &link)?;
        // Last: whoever finds it finds the link too.
        let text = self.root.join("LATEST");
        crash::point("latest.text.before", &text)?;
        disk::write_whole(&text, format!("{id}\n").as_bytes())?;
        crash::point("latest.text.after", &text)
    }
}

/// The number an id begins with.
fn number_of(id: &str) -> Option<u64> {
    id.split('-').next()?.parse().ok()
}

/// SHA-256 over `path NUL sha256 LF` of every file in path order, but those of `changes`: they depend on what was
/// published before.
pub fn content_digest(files: &[PublishedFile]) -> String {
    let mut hash = Sha256::new();
    for file in files.iter().filter(|file| file.table() != CHANGES) {
        hash.update(format!("{}\0{}\n", file.path, file.sha256));
    }
    disk::hex(&hash.finalize())
}

/// Replaces files that equal those of an earlier snapshot by hard links; where links fail the copy stays. Files
/// that were `taken_over` are links already.
fn share(known: &[Snapshot], building: &Building, files: &[PublishedFile]) -> Result<(), DiskError> {
    // The newest snapshot that has a file is the one to share with.
    let mut there: HashMap<(&str, &str), &Path> = HashMap::new();
    for before in &known[known.len().saturating_sub(SHARED_WITH)..] {
        there.extend(
            before.manifest.files.iter().map(|f| ((f.path.as_str(), f.sha256.as_str()), &*before.path)),
        );
    }
    let same = |file: &PublishedFile| {
        let made = !building.taken_over.contains(&file.path);
        there.get(&(file.path.as_str(), file.sha256.as_str())).copied().filter(|_| made)
    };
    files.par_iter().filter_map(|file| Some((file, same(file)?))).try_for_each(|(file, before)| {
        let (old, new) = (before.join(&file.path), building.path.join(&file.path));
        // An old file that was damaged since must not take the place of a good one.
        if !file.is_whole(before) {
            return Ok(());
        }
        let part = new.with_extension("link");
        crash::point("snapshot.link.before", &part)?;
        if fs::hard_link(&old, &part).is_ok() {
            crash::point("snapshot.link.made", &part)?;
            fs::rename(&part, &new).map_err(io(&new))?;
            crash::point("snapshot.link.after", &new)?;
        }
        Ok(())
    })
}

/// A folder with all folders in it.
fn folders_of(folder: &Path) -> Result<Vec<PathBuf>, DiskError> {
    let mut folders = vec![folder.to_owned()];
    for path in disk::entries(folder)? {
        if path.is_dir() {
            folders.extend(folders_of(&path)?);
        }
    }
    Ok(folders)
}

/// Writes a text file of a snapshot.
///
/// # Errors
/// It cannot be written.
pub fn write_text(building: &Building, relative: &str, text: &str) -> Result<PublishedFile, DiskError> {
    let path = building.path.join(relative);
    crash::point("snapshot.text.before", &path)?;
    fs::write(&path, text).map_err(io(&path))?;
    crash::point("snapshot.text.written", &path)?;
    let file = fs::File::open(&path).map_err(io(&path))?;
    disk::set_read_only(&file, &path)?;
    crash::point("snapshot.text.after", &path)?;
    let sha256 = disk::hex(&Sha256::digest(text.as_bytes()));
    let (path, bytes) = (relative.to_owned(), text.len() as u64);
    Ok(PublishedFile { path, rows: 0, bytes, sha256, rows_digest: None })
}
