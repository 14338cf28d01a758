//! Many files into the ledger with one commit.
//!
//! Promise: what is read of a file goes straight into the runs of its insurers, while it is in memory. The files of a
//! sender are read one after another, and an insurer's are nearly always those of one sender: so it gets one run.
//! Numbers of files are those of their order of application, whatever the order in which they are read.

use super::intake::{Intake, ToRead};
use super::{FileOutcome, Watch, outcome_of_seal};
use crate::archive::Arrival;
use crate::disk::DiskError;
use crate::ledger::{Commit, FileEntry, Ledger, findings_batches};
use crate::log::{EmbeddedLog, LogError, Seal};
use rayon::prelude::*;
use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;
use tsumiage_schemas::Month;

/// Whole senders are read together until their files have this part of the memory: facts take about four times the
/// bytes of sparse records.
const WAVE_SHARE: u64 = 8;

/// Files that are read at once have this part of the memory.
const WINDOW_SHARE: u64 = 32;

/// A file on its way.
struct Coming<'f> {
    name: &'f str,
    bytes: u64,
    known: Option<&'f FileEntry>,
    arrival: Arrival,
    sender_no: Option<String>,
    processing_month: Option<Month>,
    /// Its number in the ledger.
    seq: i32,
}

/// Archives files, reads them and commits them; returns what became of each.
///
/// # Errors
/// The machine failed; then nothing new counts.
pub(super) fn taken_in(
    intake: &Intake<'_>,
    log: &EmbeddedLog,
    to_read: &[ToRead<'_>],
    ledger: &mut Ledger,
    watch: &dyn Watch,
) -> Result<Vec<(Seal, FileOutcome)>, LogError> {
    let memory_bytes = intake.options.memory_bytes;
    let mut coming = coming(intake, to_read)?;
    let mut commit = Commit::begin(ledger, memory_bytes)?;
    let first = commit.numbers(coming.len());
    for (file, seq) in coming.iter_mut().zip(first..) {
        file.seq = seq;
    }
    coming.sort_by(|a, b| (&a.sender_no, a.seq).cmp(&(&b.sender_no, b.seq)));
    let mut read = Vec::with_capacity(coming.len());
    for wave in waves(&coming, memory_bytes as u64 / WAVE_SHARE) {
        for window in windows(&coming[wave], memory_bytes as u64 / WINDOW_SHARE) {
            let seals: Result<Vec<Seal>, LogError> =
                window.par_iter().map(|file| sealed(intake, file)).collect();
            for (seal, file) in seals?.into_iter().zip(window) {
                let outcome = outcome_of_seal(file.name, file.bytes, &seal);
                watch.file(&outcome);
                add(&mut commit, log, file, &seal)?;
                read.push((seal, outcome));
            }
        }
        commit.write_runs()?;
    }
    commit.finish()?;
    Ok(read)
}

/// Files in their order of application, with their bytes in the archive.
fn coming<'f>(intake: &Intake<'_>, to_read: &'f [ToRead<'f>]) -> Result<Vec<Coming<'f>>, DiskError> {
    let arrivals = intake.arrivals(to_read)?;
    let coming: Result<Vec<Coming<'_>>, DiskError> = arrivals
        .into_par_iter()
        .zip(to_read)
        .map(|(arrival, (candidate, known))| {
            let control = intake.control(&arrival)?;
            Ok(Coming {
                name: &candidate.name,
                bytes: candidate.bytes,
                known: known.as_ref(),
                arrival,
                sender_no: control.sender_no,
                processing_month: control.processing_month,
                seq: 0,
            })
        })
        .collect();
    let mut coming = coming?;
    let order = |file: &Coming<'_>, other: &Coming<'_>| {
        file.arrival.order(file.processing_month).cmp(&other.arrival.order(other.processing_month))
    };
    coming.sort_by(order);
    Ok(coming)
}

fn sealed(intake: &Intake<'_>, file: &Coming<'_>) -> Result<Seal, LogError> {
    let seal = intake.seal_archived(file.arrival.clone(), file.known)?;
    // Its number goes by it.
    if seal.processing_month != file.processing_month {
        let path = intake.archive.path(&file.arrival.file_id);
        return Err(DiskError::invalid(&path, "changed while it was read; run again").into());
    }
    Ok(seal)
}

fn add(commit: &mut Commit<'_>, log: &EmbeddedLog, file: &Coming<'_>, seal: &Seal) -> Result<(), DiskError> {
    let name = Path::new(file.name);
    let Some(sealed) = log.take(&seal.arrival.file_id) else {
        return Err(DiskError::invalid(name, "was read and is gone from the log; run again"));
    };
    let findings = findings_batches(&sealed.findings);
    let findings = findings.map(|batch| batch.map_err(|e| DiskError::invalid(name, e)));
    commit.add_as(file.seq, seal.clone(), findings, sealed.batches()?)
}

/// Whole senders with at most so many bytes together, or a larger one by itself.
fn waves(coming: &[Coming<'_>], most: u64) -> Vec<Range<usize>> {
    let mut senders: BTreeMap<&Option<String>, (Range<usize>, u64)> = BTreeMap::new();
    for (at, file) in coming.iter().enumerate() {
        let (files, bytes) = senders.entry(&file.sender_no).or_insert((at..at, 0));
        files.end = at + 1;
        *bytes += file.bytes;
    }
    together(senders.into_values(), most)
}

/// Consecutive files with at most so many bytes together, or a larger one by itself.
fn windows<'w, 'f>(wave: &'w [Coming<'f>], most: u64) -> impl Iterator<Item = &'w [Coming<'f>]> {
    let files = wave.iter().enumerate().map(|(at, file)| (at..at + 1, file.bytes));
    together(files, most).into_iter().map(|files| &wave[files])
}

/// Consecutive ranges joined while their bytes are at most `most`.
fn together(ranges: impl Iterator<Item = (Range<usize>, u64)>, most: u64) -> Vec<Range<usize>> {
    let mut joined: Vec<(Range<usize>, u64)> = Vec::new();
    for (range, bytes) in ranges {
        match joined.last_mut() {
            Some((last, sum)) if *sum + bytes <= most => {
                last.end = range.end;
                *sum += bytes;
            }
            _ => joined.push((range, bytes)),
        }
    }
    joined.into_iter().map(|(range, _)| range).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_joined_up_to_a_bound() {
        let ranges = |bytes: &[u64]| {
            let ranges = bytes.iter().enumerate().map(|(at, bytes)| (at..at + 1, *bytes));
            together(ranges, 10).into_iter().map(|range| (range.start, range.end)).collect::<Vec<_>>()
        };
        assert_eq!(ranges(&[]), []);
        assert_eq!(ranges(&[4, 6, 1, 30, 0, 10, 0, 1]), [(0, 2), (2, 3), (3, 4), (4, 7), (7, 8)]);
    }
}
