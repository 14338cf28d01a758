//! One commit on its way: facts are gathered per insurer, beyond a memory bound set aside on disk, written
//! as sorted runs, and count once the manifest stands.
//!
//! Promise: an insurer gets one run, or as many as its facts fill the memory bound: every resolve has to
//! merge them.

use super::findings::FindingsWriter;
use super::manifest::{DataFile, FileEntry, KafkaRange, Manifest, RunEntry, hash};
use super::runs::{run_name, write_run, write_set_aside};
use super::{Ledger, items_of, make_folders};
use crate::aside::{Aside, Kept, bytes_of};
use crate::crash;
use crate::disk::{self, DiskError, io};
use crate::log::Seal;
use arrow::array::{Array, AsArray, Int32Array, RecordBatch, UInt32Array};
use arrow::compute::{concat_batches, take_record_batch};
use arrow::error::ArrowError;
use rayon::prelude::*;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use tsumiage_schemas::FactTable;

/// Most insurers whose facts are read back at once.
const AT_ONCE: usize = 2;

/// Where facts are set aside, below `ledger/`.
const ASIDE: &str = ".aside.arrow";

/// A commit that is being put together.
pub struct Commit<'a> {
    ledger: &'a mut Ledger,
    memory_bytes: usize,
    pending: BTreeMap<(FactTable, String), Vec<RecordBatch>>,
    /// Bytes of recipients' facts among them.
    pending_bytes: usize,
    aside: Aside,
    findings: FindingsWriter,
    manifest: Manifest,
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
        Ok(Commit { ledger, memory_bytes, pending, pending_bytes: 0, aside, findings, manifest })
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

    /// Adds a sealed file with its findings, and its batches in the fact schemas.
    ///
    /// # Errors
    /// A batch cannot be read, or a run cannot be written.
    pub fn add(
        &mut self,
        seal: Seal,
        findings: impl Iterator<Item = Result<RecordBatch, DiskError>>,
        batches: impl Iterator<Item = Result<(FactTable, RecordBatch), DiskError>>,
    ) -> Result<(), DiskError> {
        let seq = self.ledger.next_seq;
        self.ledger.next_seq += 1;
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
            let parts = parts(table, &batch, seq).map_err(|e| DiskError::invalid(root, e))?;
            for (insurer_no, part) in parts {
                if table == FactTable::Recipient {
                    self.pending_bytes += bytes_of(&part);
                }
                self.pending.entry((table, insurer_no)).or_default().push(part);
            }
            if self.pending_bytes > self.memory_bytes {
                self.set_aside()?;
            }
        }
        Ok(())
    }

    /// Sets the pending facts of recipients aside. The registry's are few, and stay.
    fn set_aside(&mut self) -> Result<(), DiskError> {
        for ((table, insurer_no), batches) in std::mem::take(&mut self.pending) {
            if table != FactTable::Recipient {
                self.pending.insert((table, insurer_no), batches);
                continue;
            }
            let all = concat_batches(&batches[0].schema(), &batches); // no entry without a batch
            let all = all.map_err(|e| DiskError::invalid(&self.ledger.root, e))?;
            self.aside.add(&insurer_no, &all)?;
        }
        self.pending_bytes = 0;
        Ok(())
    }

    /// Writes everything gathered as sorted runs.
    fn write_runs(&mut self) -> Result<(), DiskError> {
        if !self.aside.is_empty() {
            self.set_aside()?;
        }
        let number = self.manifest.number;
        let pending: Vec<_> = std::mem::take(&mut self.pending).into_iter().collect();
        for ((table, _), batches) in &pending {
            let schema = batches[0].schema(); // no entry without a batch
            self.manifest.items.entry(*table).or_insert_with(|| items_of(&schema));
        }
        let root = &self.ledger.root;
        let runs: Result<Vec<RunEntry>, DiskError> = pending
            .into_par_iter()
            .map(|((table, insurer_no), batches)| {
                write_run(root, table, insurer_no, &run_name(number, 0), batches)
            })
            .collect();
        self.manifest.runs.extend(runs?);
        let aside = std::mem::replace(&mut self.aside, Aside::new(root.join(ASIDE))).finish()?;
        if let Some(first) = aside.kept.values().next() {
            let schema = aside.batches(first)?.next().transpose()?.map(|batch| batch.schema());
            let items = schema.map(|schema| items_of(&schema)).unwrap_or_default();
            self.manifest.items.entry(FactTable::Recipient).or_insert(items);
        }
        // So many insurers are written at once, and share the memory; half of it, since sorting copies.
        let at_once = aside.kept.len().clamp(1, AT_ONCE);
        let share = self.memory_bytes / 2 / at_once;
        let insurers: Vec<(&String, &Kept)> = aside.kept.iter().collect();
        for insurers in insurers.chunks(at_once) {
            let runs: Result<Vec<Vec<RunEntry>>, DiskError> = insurers
                .par_iter()
                .map(|(insurer_no, kept)| write_set_aside(root, insurer_no, number, &aside, kept, share))
                .collect();
            self.manifest.runs.extend(runs?.into_iter().flatten());
        }
        self.manifest.runs.sort_by(|a, b| a.path.cmp(&b.path));
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
        let root = self.ledger.root.clone();
        if let Some((rows, bytes)) = self.findings.finish()? {
            disk::sync_folder(&root.join("findings"))?;
            let path = findings_path(self.manifest.number);
            self.manifest.findings = Some(DataFile { path, rows, bytes });
        }
        for folder in ["facts", "registry"] {
            disk::sync_folder(&root.join(folder))?;
        }
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

/// Numbers a batch's facts with their file; those of recipients are split by insurer.
fn parts(table: FactTable, batch: &RecordBatch, seq: i32) -> Result<Vec<(String, RecordBatch)>, ArrowError> {
    let mut columns = batch.columns().to_vec();
    columns[batch.schema().index_of("file_seq")?] = Arc::new(Int32Array::from_value(seq, batch.num_rows()));
    let batch = RecordBatch::try_new(batch.schema(), columns)?;
    if table != FactTable::Recipient {
        return Ok(vec![(String::new(), batch)]);
    }
    let insurers = batch.column(batch.schema().index_of("insurer_no")?).as_string::<i32>().clone();
    // It becomes the name of a folder.
    let is_number =
        |no: Option<&str>| no.is_some_and(|no| !no.is_empty() && no.bytes().all(|b| b.is_ascii_digit()));
    if !insurers.iter().all(is_number) {
        return Err(ArrowError::InvalidArgumentError("an insurer number is none".to_owned()));
    }
    let mut rows: BTreeMap<&str, Vec<u32>> = BTreeMap::new();
    for row in 0..insurers.len() {
        rows.entry(insurers.value(row)).or_default().push(row as u32);
    }
    if rows.len() == 1 {
        let insurer_no = insurers.value(0).to_owned();
        return Ok(vec![(insurer_no, batch)]);
    }
    let part = |(insurer_no, rows): (&str, Vec<u32>)| {
        Ok((insurer_no.to_owned(), take_record_batch(&batch, &UInt32Array::from(rows))?))
    };
    rows.into_iter().map(part).collect()
}
