//! One commit on its way: facts are gathered per insurer, beyond a memory bound set aside on disk, written
//! as sorted runs, and count once the manifest stands.
//!
//! Promise: an insurer gets one run, or as many as its facts fill the memory bound: every resolve has to
//! merge them.

use super::findings::FindingsWriter;
use super::manifest::{DataFile, FileEntry, KafkaRange, Manifest, RunEntry, hash};
use super::part::{Part, parts};
use super::runs::{run_name, write_run, write_set_aside};
use super::{Ledger, items_of, make_folders};
use crate::aside::{Aside, Kept};
use crate::crash;
use crate::disk::{self, DiskError, io};
use crate::log::Seal;
use crate::syncing::Syncing;
use arrow::array::RecordBatch;
use rayon::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use tsumiage_schemas::FactTable;

/// Most insurers whose facts are read back at once.
const AT_ONCE: usize = 2;

/// Where facts are set aside, below `ledger/`.
const ASIDE: &str = ".aside.arrow";

/// A commit that is being put together.
pub struct Commit<'a> {
    ledger: &'a mut Ledger,
    memory_bytes: usize,
    pending: BTreeMap<(FactTable, String), Vec<Part>>,
    /// Bytes of recipients' facts among them.
    pending_bytes: usize,
    /// Bytes of facts of KHS files among them.
    khs_bytes: usize,
    aside: Aside,
    findings: FindingsWriter,
    manifest: Manifest,
    syncing: Syncing,
}

impl<'a> Commit<'a> {
    /// Begins the ledger's next commit. Gathered facts are set aside beyond `memory_bytes`.
    ///
    /// # Errors
    /// Leftovers of a killed run cannot be removed.
    pub fn begin(ledger: &'a mut Ledger, memory_bytes: usize) -> Result<Commit<'a>, DiskError> {
        let number = ledger.manifests.len() as u64 + 1;
        make_folders(&ledger.root)?;
        let manifest = Manifest { number, parent: ledger.newest_hash.clone(), ..Manifest::default() };
        crash::point("ledger.leftovers.before", &ledger.root)?;
        for folder in ["facts", "registry"] {
            remove_leftovers(ledger, &ledger.root.join(folder))?;
        }
        let pending = BTreeMap::new();
        let findings = ledger.root.join(findings_path(number));
        let aside = ledger.root.join(ASIDE);
        for path in [&findings, &aside] {
            if path.exists() {
                fs::remove_file(path).map_err(io(path))?; // of a killed run
            }
        }
        crash::point("ledger.leftovers.after", &ledger.root)?;
        let findings = FindingsWriter::new(findings);
        let aside = Aside::new(aside);
        let syncing = Syncing::begin(&ledger.root)?;
        Ok(Commit {
            ledger,
            memory_bytes,
            pending,
            pending_bytes: 0,
            khs_bytes: 0,
            aside,
            findings,
            manifest,
            syncing,
        })
    }

    /// Says what was read of Kafka for this commit.
    ///
    /// # Errors
    /// It does not begin where the ledger stands: another sink was at work.
    pub fn reads(&mut self, range: KafkaRange) -> Result<(), DiskError> {
        if self.ledger.kafka(&range.of) != range.from {
            let what = format!("has read {} further meanwhile; is another sink at work? run again", range.of);
            return Err(DiskError::invalid(&self.ledger.root, what));
        }
        self.manifest.kafka = Some(range);
        Ok(())
    }

    /// Takes numbers for so many files; the first of them.
    pub fn numbers(&mut self, files: usize) -> i32 {
        let first = self.ledger.next_seq;
        self.ledger.next_seq += files as i32; // they are held in memory: never so many
        first
    }

    /// Adds a sealed file under the next number, with its findings and its batches in the fact schemas.
    ///
    /// # Errors
    /// A batch cannot be read, or a run cannot be written.
    pub fn add(
        &mut self,
        seal: Seal,
        findings: impl Iterator<Item = Result<RecordBatch, DiskError>>,
        batches: impl Iterator<Item = Result<(FactTable, RecordBatch), DiskError>>,
    ) -> Result<(), DiskError> {
        let seq = self.numbers(1);
        self.add_as(seq, seal, findings, batches)
    }

    /// The same under one of the [`numbers`](Commit::numbers) taken; files may come in any order.
    ///
    /// # Errors
    /// As [`add`](Commit::add).
    pub fn add_as(
        &mut self,
        seq: i32,
        seal: Seal,
        findings: impl Iterator<Item = Result<RecordBatch, DiskError>>,
        batches: impl Iterator<Item = Result<(FactTable, RecordBatch), DiskError>>,
    ) -> Result<(), DiskError> {
        for batch in findings {
            self.findings.add(seq, &batch?)?;
        }
        let file_rejected = seal.file_rejected;
        self.manifest.files.push(FileEntry::of(seal, seq));
        if file_rejected {
            return Ok(());
        }
        for batch in batches {
            let (table, batch) = batch?;
            let root = &self.ledger.root;
            for (insurer_no, part) in parts(table, batch, seq).map_err(|e| DiskError::invalid(root, e))? {
                match table {
                    FactTable::Recipient => self.pending_bytes += part.bytes,
                    FactTable::Khs => self.khs_bytes += part.bytes,
                    _ => {}
                }
                self.pending.entry((table, insurer_no)).or_default().push(part);
            }
            if self.pending_bytes > self.memory_bytes {
                self.set_aside()?;
            }
            if self.khs_bytes > self.memory_bytes {
                self.write_khs()?;
            }
        }
        Ok(())
    }

    /// Writes the pending facts of KHS files as a run.
    fn write_khs(&mut self) -> Result<(), DiskError> {
        self.khs_bytes = 0;
        let key = (FactTable::Khs, String::new());
        let parts = self.pending.remove(&key);
        self.write_pending(parts.into_iter().map(|parts| (key.clone(), parts)).collect())
    }

    /// Takes the pending facts of recipients. The registry's are few, and stay.
    fn pending_of_recipients(&mut self) -> Vec<(String, Vec<Part>)> {
        let after = (FactTable::Insurer, String::new()); // recipients come first
        let others = self.pending.split_off(&after);
        self.pending_bytes = 0;
        let recipients = std::mem::replace(&mut self.pending, others);
        recipients.into_iter().map(|((_, insurer_no), parts)| (insurer_no, parts)).collect()
    }

    /// Sets the pending facts of recipients aside.
    fn set_aside(&mut self) -> Result<(), DiskError> {
        for (insurer_no, parts) in self.pending_of_recipients() {
            let all = Part::in_one(parts).map_err(|e| DiskError::invalid(&self.ledger.root, e))?;
            self.aside.add(&insurer_no, &all)?;
        }
        Ok(())
    }

    /// Writes what was gathered of recipients as sorted runs. An insurer gets one run for each time it is called, so it
    /// is for whoever knows that all facts of these insurers were added.
    ///
    /// # Errors
    /// A run cannot be written.
    pub fn write_runs(&mut self) -> Result<(), DiskError> {
        if !self.aside.is_empty() {
            self.set_aside()?;
        }
        let pending = self.pending_of_recipients();
        let pending = pending.into_iter().map(|(no, parts)| ((FactTable::Recipient, no), parts)).collect();
        self.write_pending(pending)?;
        self.write_what_was_set_aside()
    }

    /// Writes facts as runs.
    fn write_pending(&mut self, pending: Vec<((FactTable, String), Vec<Part>)>) -> Result<(), DiskError> {
        let (root, number) = (&self.ledger.root, self.manifest.number);
        for ((table, _), parts) in &pending {
            let schema = parts[0].batch.schema(); // no entry without a part
            self.manifest.items.entry(*table).or_insert_with(|| items_of(&schema));
        }
        let mut named: Vec<_> = pending
            .into_iter()
            .map(|((table, insurer_no), parts)| {
                let name = run_name(number, self.runs_of(table, &insurer_no));
                (parts.iter().map(|part| part.bytes).sum::<usize>(), table, insurer_no, name, parts)
            })
            .collect();
        named.sort_by_key(|(bytes, ..)| std::cmp::Reverse(*bytes)); // else the largest may be the last
        let runs: Result<Vec<RunEntry>, DiskError> = named
            .into_par_iter()
            .with_max_len(1)
            .map(|(_, table, insurer_no, name, parts)| write_run(root, table, insurer_no, &name, parts))
            .collect();
        self.manifest.runs.extend(runs?);
        Ok(())
    }

    /// Number of runs of an insurer or registry table that this commit has written by now.
    fn runs_of(&self, table: FactTable, insurer_no: &str) -> usize {
        self.manifest.runs.iter().filter(|run| run.table == table && run.insurer_no == insurer_no).count()
    }

    fn write_what_was_set_aside(&mut self) -> Result<(), DiskError> {
        let root = self.ledger.root.clone();
        let aside = std::mem::replace(&mut self.aside, Aside::new(root.join(ASIDE))).finish()?;
        if let Some(first) = aside.kept.values().next() {
            let schema = aside.batches(first)?.next().transpose()?.map(|batch| batch.schema());
            let items = schema.map(|schema| items_of(&schema)).unwrap_or_default();
            self.manifest.items.entry(FactTable::Recipient).or_insert(items);
        }
        // So many insurers are written at once, and share the memory; half of it, since sorting copies.
        let at_once = aside.kept.len().clamp(1, AT_ONCE);
        let share = self.memory_bytes / 2 / at_once;
        let number = self.manifest.number;
        let insurers: Vec<(&String, &Kept, usize)> = aside
            .kept
            .iter()
            .map(|(insurer_no, kept)| (insurer_no, kept, self.runs_of(FactTable::Recipient, insurer_no)))
            .collect();
        for insurers in insurers.chunks(at_once) {
            let runs: Result<Vec<Vec<RunEntry>>, DiskError> = insurers
                .par_iter()
                .map(|(insurer_no, kept, first)| {
                    write_set_aside(&root, insurer_no, (number, *first), &aside, kept, share)
                })
                .collect();
            self.manifest.runs.extend(runs?.into_iter().flatten());
        }
        Ok(())
    }

    /// Says that the facts of these runs are in another one now, which stands on the disk, with these items.
    pub(super) fn replace(&mut self, replaced: &[RunEntry], run: RunEntry, items: Vec<String>) {
        let known = self.manifest.items.entry(run.table).or_default();
        if known.len() < items.len() {
            *known = items; // of a table the widest
        }
        self.manifest.replaces.extend(replaced.iter().map(|run| run.path.clone()));
        self.manifest.runs.push(run);
    }

    /// Number of files added.
    pub fn files(&self) -> usize {
        self.manifest.files.len()
    }

    /// Makes the commit count: data first, then the manifest. With no file added, nothing read and nothing
    /// replaced nothing happens.
    ///
    /// # Errors
    /// Something cannot be written, or another program made this commit meanwhile; then nothing counts.
    pub fn finish(mut self) -> Result<(), DiskError> {
        let Manifest { files, kafka, replaces, .. } = &self.manifest;
        if files.is_empty() && kafka.is_none() && replaces.is_empty() {
            return Ok(());
        }
        self.write_runs()?;
        let pending = std::mem::take(&mut self.pending).into_iter().collect(); // the registry's
        self.write_pending(pending)?;
        self.manifest.files.sort_by_key(|file| file.seq);
        self.manifest.runs.sort_by(|a, b| a.path.cmp(&b.path));
        let root = self.ledger.root.clone();
        if let Some((rows, bytes)) = self.findings.finish()? {
            let path = findings_path(self.manifest.number);
            self.manifest.findings = Some(DataFile { path, rows, bytes });
        }
        sync(&self.syncing, &root, &self.manifest)?;
        let path = root.join("manifests").join(format!("{:08}.json", self.manifest.number));
        self.ledger.fits(&self.manifest).map_err(|why| DiskError::invalid(&path, why))?;
        crash::point("ledger.manifest.before", &path)?;
        let bytes = disk::to_json(&path, &self.manifest)?;
        let hash = hash(&bytes);
        // After a failed or doubtful create the look decides: the same bytes are our own commit.
        if !disk::write_if_absent(&path, &bytes)? && fs::read(&path).map_err(io(&path))? != bytes {
            return Err(DiskError::invalid(&path, "another run made this commit; run again"));
        }
        self.ledger.add(self.manifest, hash);
        crash::point("ledger.manifest.after", &path)
    }
}

/// Path below `ledger/` of a commit's findings.
fn findings_path(number: u64) -> String {
    format!("findings/{number:08}.parquet")
}

/// Removes runs that do not count: of commits that never came to a manifest, and those that an earlier commit has
/// replaced. Only now: whoever opened the ledger before, without the lock, may have been reading them.
fn remove_leftovers(ledger: &Ledger, facts: &Path) -> Result<(), DiskError> {
    for folder in disk::entries(facts)?.iter().filter(|path| path.is_dir()) {
        for path in disk::entries(folder)? {
            let counts = path.strip_prefix(&ledger.root).is_ok_and(|relative| {
                relative.to_str().is_some_and(|relative| ledger.runs.contains_key(relative))
            });
            if !counts && path.extension().is_some_and(|e| e == "parquet") {
                fs::remove_file(&path).map_err(io(&path))?;
            }
        }
    }
    Ok(())
}

/// Makes what a commit wrote durable, with its names: only then it may count.
fn sync(syncing: &Syncing, root: &Path, manifest: &Manifest) -> Result<(), DiskError> {
    let mut paths: BTreeSet<PathBuf> = BTreeSet::new();
    let written = manifest.runs.iter().map(|run| &run.path);
    for path in written.chain(manifest.findings.iter().map(|findings| &findings.path)) {
        // The file, its folder, and the one above, in which that may be new.
        paths.extend(root.join(path).ancestors().take_while(|path| *path != root).map(Path::to_owned));
    }
    crash::point("ledger.sync.before", root)?;
    syncing.sync(&paths.iter().map(PathBuf::as_path).collect::<Vec<_>>())?;
    crash::point("ledger.sync.after", root)
}
