//! The ledger again from the archive alone (contract, `rebuild`).
//!
//! Promise: the old ledger counts until the new one is whole; a run killed at any point leaves a data
//! folder that [`carry_on`] puts in order. The states, told by what is there:
//!
//! | `ledger` | `.rebuild/old` | what happened | what is done |
//! |---|---|---|---|
//! | any | no | killed while the new ledger was made, or nothing at all | `.rebuild` is removed; the old ledger counts |
//! | no | yes | killed between the two renames; the new ledger is whole | it is given its place, `.rebuild` is removed |
//! | yes | yes | killed after the swap | `.rebuild` is removed; the new ledger counts |
//!
//! Without a ledger every file of the archive is one that a killed run left: the next run takes it in.

use crate::archive::{Archive, Arrival, gone, hash_file};
use crate::crash;
use crate::disk::{self, DiskError, io};
use crate::ledger::{Commit, KafkaRange, Ledger};
use crate::log::{EmbeddedLog, LogError};
use crate::take_in::{Candidate, FileOutcome, Intake, LOG_SHARE, TakeInOptions, Watch, take_in_candidates};
use rayon::prelude::*;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Bytes of files that are taken in with one commit.
const COMMIT_BYTES: u64 = 1 << 30;

fn place(data: &Path) -> PathBuf {
    data.join(".rebuild")
}

/// Puts a data folder in order after a rebuild that was killed. For the one run that holds its lock, before
/// it opens the ledger.
///
/// # Errors
/// Something cannot be renamed or removed.
pub fn carry_on(data: &Path) -> Result<(), DiskError> {
    let (rebuild, ledger) = (place(data), data.join("ledger"));
    if !rebuild.exists() {
        return Ok(());
    }
    let new = rebuild.join("ledger");
    if rebuild.join("old").exists() && !ledger.exists() && new.exists() {
        crash::point("rebuild.new.before", &ledger)?;
        fs::rename(&new, &ledger).map_err(io(&ledger))?;
        crash::point("rebuild.new.after", &ledger)?;
        disk::sync_folder(data)?;
    }
    crash::point("rebuild.remove.before", &rebuild)?;
    fs::remove_dir_all(&rebuild).map_err(io(&rebuild))?;
    crash::point("rebuild.remove.after", &rebuild)
}

/// What a rebuild came to.
pub struct Rebuilt {
    /// The new ledger.
    pub ledger: Ledger,
    /// What became of every file.
    pub outcomes: Vec<FileOutcome>,
    /// Ids of files whose bytes are in the archive without a note: they are not taken in.
    pub without_note: Vec<String>,
    /// Why the old ledger could not be read: files that the archive lost with their notes go unnoticed.
    pub old_unreadable: Option<DiskError>,
}

/// Takes every archived file in again as it arrived, and puts the ledger made so in place of the old one.
///
/// # Errors
/// The machine failed, a file of the archive is not what it was, or the old ledger names one that the
/// archive does not have; then the old ledger stays.
pub fn rebuild(options: &TakeInOptions<'_>, watch: &dyn Watch) -> Result<Rebuilt, LogError> {
    carry_on(options.data)?;
    // The archive alone must do, but what the old ledger still knows is used: a run may have been killed
    // between ledger and archive, and the archive may have lost a file or a note.
    let (old, old_unreadable) = match Ledger::open(options.data) {
        Ok(old) => (old, None),
        Err(error) => (Ledger::default(), Some(error)),
    };
    let log = EmbeddedLog::open(options.data, options.memory_bytes / LOG_SHARE)?;
    let intake = Intake::new(Archive::open(options.data)?, &log, options)?.again(old.files());
    let unnoted = intake.archive.without_note()?;
    for entry in old.renewed().chain(unnoted.iter().filter_map(|file_id| old.file(file_id))) {
        intake.archive.renew(&entry.arrival)?;
    }
    let mut arrivals = intake.archive.arrivals_but(|_| false)?;
    arrivals.par_iter().try_for_each(|arrival| check(&intake.archive.path(&arrival.file_id), arrival))?;
    arrivals.sort_by(|a, b| a.order(None).cmp(&b.order(None)));
    let candidates: Result<Vec<Candidate>, DiskError> =
        arrivals.iter().map(|arrival| intake.archived(arrival)).collect();
    let candidates = candidates?;
    watch.began(candidates.len(), candidates.iter().map(|c| c.bytes).sum());
    crash::point("rebuild.before", &place(options.data))?;
    Ledger::make(&place(options.data))?;
    let mut ledger = Ledger::open(&place(options.data))?;
    let mut outcomes = Vec::new();
    for part in parts(&candidates) {
        outcomes.extend(take_in_candidates(&intake, &log, part, &mut ledger, watch)?);
    }
    if let Some(lost) = old.files().find(|f| ledger.file(&f.arrival.file_id).is_none()) {
        return Err(gone(&intake.archive.path(&lost.arrival.file_id)).into());
    }
    go_on_in_kafka(&old, &mut ledger)?;
    drop(ledger);
    crash::point("rebuild.made", &place(options.data))?;
    swap(options.data)?;
    let ledger = Ledger::open(options.data)?;
    Ok(Rebuilt { ledger, outcomes, without_note: intake.archive.without_note()?, old_unreadable })
}

/// The new ledger reads on in Kafka where the old one stood: what came from there is in the archive.
fn go_on_in_kafka(old: &Ledger, ledger: &mut Ledger) -> Result<(), DiskError> {
    for range in old.kafka_ranges() {
        let mut commit = Commit::begin(ledger, 0)?;
        commit.reads(KafkaRange { from: BTreeMap::new(), ..range.clone() })?;
        commit.finish()?;
    }
    Ok(())
}

fn check(path: &Path, arrival: &Arrival) -> Result<(), DiskError> {
    if hash_file(path)? == arrival.file_id {
        return Ok(());
    }
    Err(DiskError::invalid(path, "is not what arrived; restore it from a backup"))
}

/// Consecutive candidates of about [`COMMIT_BYTES`] together.
fn parts(candidates: &[Candidate]) -> Vec<&[Candidate]> {
    let mut parts = Vec::new();
    let (mut from, mut bytes) = (0, 0);
    for (at, candidate) in candidates.iter().enumerate() {
        bytes += candidate.bytes;
        if bytes >= COMMIT_BYTES || at + 1 == candidates.len() {
            parts.push(&candidates[from..=at]);
            (from, bytes) = (at + 1, 0);
        }
    }
    parts
}

/// Puts the new ledger in place of the old one: see the states above.
fn swap(data: &Path) -> Result<(), DiskError> {
    let (rebuild, ledger) = (place(data), data.join("ledger"));
    let old = rebuild.join("old");
    disk::sync_folder(&rebuild)?;
    if ledger.exists() {
        crash::point("rebuild.old.before", &old)?;
        fs::rename(&ledger, &old).map_err(io(&old))?;
        crash::point("rebuild.old.after", &old)?;
        disk::sync_folder(data)?;
    } else {
        disk::make_folder(&old)?;
    }
    disk::sync_folder(&rebuild)?;
    carry_on(data)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a test may fail loudly
mod tests {
    use super::*;

    /// A data folder with these files, then put in order; what is in its `ledger`.
    fn carried_on(files: &[&str]) -> Option<String> {
        let data = tempfile::tempdir().unwrap();
        for file in files {
            let path = data.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, file).unwrap();
        }
        carry_on(data.path()).unwrap();
        assert!(!place(data.path()).exists());
        fs::read_to_string(data.path().join("ledger/a")).ok()
    }

    #[test]
    fn every_state_a_killed_rebuild_leaves_is_put_in_order() {
        let (live, new, old) = ("ledger/a", ".rebuild/ledger/a", ".rebuild/old/a");
        assert_eq!(carried_on(&[]), None);
        assert_eq!(carried_on(&[live]).as_deref(), Some(live));
        assert_eq!(carried_on(&[new]), None, "half a ledger; the archive is taken in again");
        assert_eq!(carried_on(&[live, new]).as_deref(), Some(live));
        assert_eq!(carried_on(&[new, old]).as_deref(), Some(new));
        assert_eq!(carried_on(&[live, old]).as_deref(), Some(live));
    }
}
