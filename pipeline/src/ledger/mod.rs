//! The ledger: accepted facts as append-only Parquet, and the chain of manifests that says which of it
//! counts.
//!
//! * `ledger/facts/<insurer_no>/<commit>-<part>.parquet`: a sorted run of one insurer's facts
//! * `ledger/findings/<commit>.parquet`: what the reader found
//! * `ledger/manifests/<commit>.json`: created only if absent, naming its parent's hash
//!
//! Promise: only this module creates manifests; what no manifest names does not count (a killed run
//! leaves such files, the next commit removes them). Each commit is all or nothing.

mod commit;
mod findings;
mod manifest;

pub use commit::Commit;
pub use findings::{findings_schema, read_findings};
pub use manifest::{FileEntry, Manifest, RunEntry};

use crate::disk::{self, DiskError};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// What counts in the ledger now: all manifests taken together.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    root: PathBuf,
    /// Manifests in order; their numbers are 1, 2, 3 …
    manifests: Vec<Manifest>,
    /// SHA-256 of the newest manifest.
    newest_hash: Option<String>,
    /// The entry in force of every file, by file id.
    files: BTreeMap<String, FileEntry>,
    next_seq: i32,
}

impl Ledger {
    /// Opens or makes the ledger of a data folder and checks the chain of manifests.
    ///
    /// # Errors
    /// A manifest is missing, damaged, or does not name the one before it.
    pub fn open(data: &Path) -> Result<Ledger, DiskError> {
        let root = data.join("ledger");
        for folder in ["manifests", "facts", "findings"] {
            disk::make_folder(&root.join(folder))?;
        }
        let mut ledger = Ledger { root, ..Ledger::default() };
        for path in disk::entries(&ledger.root.join("manifests"))? {
            if path.extension().is_some_and(|e| e == "json") {
                let (manifest, hash) = manifest::read(&path)?;
                if manifest.number != ledger.manifests.len() as u64 + 1
                    || manifest.parent != ledger.newest_hash
                {
                    return Err(DiskError::invalid(
                        &path,
                        "does not follow the manifest before it; restore the ledger folder from a backup",
                    ));
                }
                ledger.add(manifest, hash);
            }
        }
        Ok(ledger)
    }

    fn add(&mut self, manifest: Manifest, hash: String) {
        for file in &manifest.files {
            self.next_seq = self.next_seq.max(file.seq + 1);
            self.files.insert(file.arrival.file_id.clone(), file.clone());
        }
        self.manifests.push(manifest);
        self.newest_hash = Some(hash);
    }

    /// The entry in force of every file, in file id order.
    pub fn files(&self) -> impl Iterator<Item = &FileEntry> {
        self.files.values()
    }

    /// The entry in force of a file.
    pub fn file(&self, file_id: &str) -> Option<&FileEntry> {
        self.files.get(file_id)
    }

    /// Number the next file gets; file numbers are below it.
    pub fn next_seq(&self) -> i32 {
        self.next_seq
    }

    /// All runs, by insurer number and then commit.
    pub fn runs(&self) -> BTreeMap<&str, Vec<&RunEntry>> {
        let mut runs: BTreeMap<&str, Vec<&RunEntry>> = BTreeMap::new();
        for run in self.manifests.iter().flat_map(|manifest| &manifest.runs) {
            runs.entry(&run.insurer_no).or_default().push(run);
        }
        runs
    }

    /// Absolute path of a file named in a manifest.
    pub fn path(&self, relative: &str) -> PathBuf {
        self.root.join(relative)
    }

    /// Paths of all findings files, in order of commit.
    pub fn findings_paths(&self) -> Vec<PathBuf> {
        let named = self.manifests.iter().filter_map(|manifest| manifest.findings.as_ref());
        named.map(|file| self.path(&file.path)).collect()
    }

    /// Number of commits.
    pub fn commits(&self) -> usize {
        self.manifests.len()
    }
}
