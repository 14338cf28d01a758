//! The ledger: accepted facts as append-only Parquet, and the chain of manifests that says which of it
//! counts.
//!
//! * `ledger/facts/<insurer_no>/<commit>-<part>.parquet`: a sorted run of facts of one insurer's recipients
//! * `ledger/registry/<table>/<commit>-<part>.parquet`: a run of facts of insurers, limits, benefits, unions
//! * `ledger/findings/<commit>.parquet`: what the reader found
//! * `ledger/manifests/<commit>.json`: created only if absent, naming its parent's hash
//!
//! Promise: only this module creates manifests; what no manifest names, or a later one replaces, does not
//! count (a killed run leaves such files, the next commit removes them). Each commit is all or nothing. No fact
//! is ever dropped: a compaction writes those of many runs into one, and checks that they are the same.

mod commit;
mod compact;
mod findings;
mod gather;
mod manifest;
mod merge;
mod part;
mod runs;
#[cfg(test)]
mod tests;

pub use commit::Commit;
pub use compact::Compacted;
pub use findings::{findings_batch, findings_batches, findings_schema, read_findings};
pub use manifest::{FileEntry, KafkaRange, Manifest, Mark, RunEntry};

use crate::disk::{self, DiskError};
use arrow::datatypes::SchemaRef;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use tsumiage_schemas::tables::{FACT_KEY_COLUMNS, fact_schema};
use tsumiage_schemas::{FactTable, Spec};

/// What counts in the ledger now: all manifests taken together.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    root: PathBuf,
    /// Manifests in order; their numbers are 1, 2, 3 …
    manifests: Vec<Manifest>,
    /// The runs that count, by path: by table or insurer and then commit.
    runs: BTreeMap<String, RunEntry>,
    /// SHA-256 of the newest manifest.
    newest_hash: Option<String>,
    /// The entry in force of every file, by file id.
    files: BTreeMap<String, FileEntry>,
    next_seq: i32,
    /// Numbers of replaced entries whose facts stand in the runs.
    superseded: Vec<i32>,
    /// Files whose entry in force has another arrival than the one it replaced.
    renewed: BTreeSet<String>,
    /// What was read last, by cluster and topic.
    kafka: BTreeMap<String, KafkaRange>,
}

/// The items of facts in the order of their masks, with their types.
fn items_of(schema: &SchemaRef) -> Vec<String> {
    let items = schema.fields()[FACT_KEY_COLUMNS..].iter();
    items.map(|field| format!("{} {}", field.name(), field.data_type())).collect()
}

/// Whether facts in one schema can be read in the other: items may only have been appended to one of them.
pub(crate) fn readable(facts: &SchemaRef, own: &SchemaRef) -> bool {
    let keys = |schema: &SchemaRef| {
        let keys = schema.fields().iter().take(FACT_KEY_COLUMNS);
        keys.map(|field| format!("{} {}", field.name(), field.data_type())).collect::<Vec<_>>()
    };
    facts.fields().len() >= FACT_KEY_COLUMNS && keys(facts) == keys(own) && {
        let (facts, own) = (items_of(facts), items_of(own));
        facts.starts_with(&own) || own.starts_with(&facts)
    }
}

fn make_folders(root: &Path) -> Result<(), DiskError> {
    let mut folders = ["manifests", "facts", "registry", "findings"].into_iter();
    folders.try_for_each(|folder| disk::make_folder(&root.join(folder)))
}

impl Ledger {
    /// Makes the folders of a data folder's ledger if they are not there.
    ///
    /// # Errors
    /// They cannot be made.
    pub fn make(data: &Path) -> Result<(), DiskError> {
        make_folders(&data.join("ledger"))
    }

    /// Opens the ledger of a data folder and checks the chain of manifests. Makes nothing: a folder that is
    /// not there is an empty ledger.
    ///
    /// # Errors
    /// A manifest is missing, damaged, or does not go on where the one before it ended.
    pub fn open(data: &Path) -> Result<Ledger, DiskError> {
        let mut ledger = Ledger { root: data.join("ledger"), ..Ledger::default() };
        let manifests = ledger.root.join("manifests");
        let paths = if manifests.is_dir() { disk::entries(&manifests)? } else { Vec::new() };
        for path in paths {
            if path.extension().is_some_and(|e| e == "json") {
                let (manifest, hash) = manifest::read(&path)?;
                ledger.fits(&manifest).map_err(|why| DiskError::invalid(&path, why))?;
                ledger.add(manifest, hash);
            }
        }
        Ok(ledger)
    }

    /// Whether a manifest goes on where this ledger ends; else why not.
    fn fits(&self, manifest: &Manifest) -> Result<(), &'static str> {
        if manifest.number != self.manifests.len() as u64 + 1 || manifest.parent != self.newest_hash {
            return Err(
                "does not follow the manifest before it; run `tsumiage rebuild` to make the ledger again from the archive",
            );
        }
        if manifest.kafka.as_ref().is_some_and(|read| self.kafka(&read.of) != read.from) {
            return Err("does not go on in Kafka where the manifest before it ended");
        }
        if !self.keeps_facts(manifest) {
            return Err(
                "replaces runs by others than its own; run `tsumiage rebuild` to make the ledger again from the archive",
            );
        }
        Ok(())
    }

    /// Whether a manifest that replaces runs replaces such that count, by as many facts of the same insurers.
    fn keeps_facts(&self, manifest: &Manifest) -> bool {
        let mut rows: BTreeMap<(FactTable, &str), i64> = BTreeMap::new();
        for path in &manifest.replaces {
            let Some(run) = self.runs.get(path) else { return false };
            *rows.entry((run.table, &run.insurer_no)).or_default() += run.rows;
        }
        for run in manifest.runs.iter().filter(|_| !manifest.replaces.is_empty()) {
            *rows.entry((run.table, &run.insurer_no)).or_default() -= run.rows;
        }
        rows.values().all(|difference| *difference == 0)
    }

    fn add(&mut self, manifest: Manifest, hash: String) {
        for file in &manifest.files {
            self.next_seq = self.next_seq.max(file.seq + 1);
            let replaced = self.files.insert(file.arrival.file_id.clone(), file.clone());
            if let Some(replaced) = replaced {
                self.superseded.extend((!replaced.file_rejected).then_some(replaced.seq));
                if replaced.arrival != file.arrival {
                    self.renewed.insert(file.arrival.file_id.clone());
                }
            }
        }
        if let Some(read) = &manifest.kafka {
            self.kafka.insert(read.of.clone(), read.clone());
        }
        for path in &manifest.replaces {
            self.runs.remove(path);
        }
        self.runs.extend(manifest.runs.iter().map(|run| (run.path.clone(), run.clone())));
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

    /// Numbers of entries that were replaced by a later reading of the same file: their facts stand in the
    /// runs and do not count.
    pub fn superseded(&self) -> &[i32] {
        &self.superseded
    }

    /// Entries in force of files that arrived anew since they came first.
    pub fn renewed(&self) -> impl Iterator<Item = &FileEntry> {
        self.renewed.iter().filter_map(|file_id| self.files.get(file_id))
    }

    /// Number the next file gets; file numbers are below it.
    pub fn next_seq(&self) -> i32 {
        self.next_seq
    }

    /// The runs of recipients that count, by insurer number and then commit.
    pub fn runs(&self) -> BTreeMap<&str, Vec<&RunEntry>> {
        let mut runs: BTreeMap<&str, Vec<&RunEntry>> = BTreeMap::new();
        for run in self.runs_of(FactTable::Recipient) {
            runs.entry(&run.insurer_no).or_default().push(run);
        }
        runs
    }

    /// The runs of a table that count, in order of commit; those of recipients by insurer first.
    pub fn runs_of(&self, table: FactTable) -> impl Iterator<Item = &RunEntry> {
        self.runs.values().filter(move |run| run.table == table)
    }

    /// The first table whose facts stand there with items that these layouts have in another order or with
    /// another type: facts can only be read over where items were appended, before or since.
    pub fn unreadable_with(&self, spec: &Spec) -> Option<FactTable> {
        let own: BTreeMap<FactTable, Vec<String>> =
            FactTable::ALL.into_iter().map(|table| (table, items_of(&fact_schema(spec, table)))).collect();
        let mut kept = self.manifests.iter().flat_map(|manifest| &manifest.items);
        let differ = |(table, items): &(&FactTable, &Vec<String>)| {
            !own[table].starts_with(items) && !items.starts_with(&own[table])
        };
        kept.find(differ).map(|(table, _)| *table)
    }

    /// Absolute path of a file named in a manifest.
    pub fn path(&self, relative: &str) -> PathBuf {
        self.root.join(relative)
    }

    /// Paths of the findings files that may tell of files of these numbers, in order of commit.
    pub fn findings_about(&self, seqs: &BTreeSet<i32>) -> Vec<PathBuf> {
        let tells = |manifest: &&Manifest| manifest.files.iter().any(|file| seqs.contains(&file.seq));
        let named = self.manifests.iter().filter(tells).filter_map(|manifest| manifest.findings.as_ref());
        named.map(|file| self.path(&file.path)).collect()
    }

    /// Where reading of a Kafka topic (`cluster/topic`) goes on, by partition; partitions not named are read from
    /// their beginning.
    pub fn kafka(&self, of: &str) -> BTreeMap<i32, i64> {
        self.kafka.get(of).map(|range| range.next.clone()).unwrap_or_default()
    }

    /// The last message seen of a topic, by partition.
    pub fn kafka_seen(&self, of: &str) -> BTreeMap<i32, Mark> {
        self.kafka.get(of).map(|range| range.seen.clone()).unwrap_or_default()
    }

    /// What was read last of every topic.
    pub fn kafka_ranges(&self) -> impl Iterator<Item = &KafkaRange> {
        self.kafka.values()
    }

    /// Number of commits.
    pub fn commits(&self) -> usize {
        self.manifests.len()
    }
}
