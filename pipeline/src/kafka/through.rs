//! Files through Kafka in one go: sent, read back, committed.
//!
//! Promise: what comes of it is what the embedded log would have made of the same files; others may send to the
//! same topic meanwhile.

use super::link::{KafkaError, Link};
use super::producer::KafkaLog;
use super::sink::{Sink, name_of};
use super::topic::Topic;
use crate::archive::Archive;
use crate::ledger::{FileEntry, Ledger};
use crate::log::{LogError, Seal};
use crate::take_in::{Decision, FileOutcome, Intake, TakeInOptions, Watch, outcomes};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// On the disk of which folder messages wait, for a data folder.
pub fn spool_folder(data: &Path) -> PathBuf {
    data.join("spool")
}

/// Takes files in through a topic; returns what became of each, in the order given, and the names of files whose
/// seal came without all of their batches: they are not taken in.
///
/// # Errors
/// Kafka or the machine failed; what is committed by then counts, and the next run carries on.
pub fn take_in_through(
    link: &Link,
    topic: &Topic,
    files: &[PathBuf],
    ledger: &mut Ledger,
    options: &TakeInOptions<'_>,
    patience: Duration,
    watch: &dyn Watch,
) -> Result<(Vec<FileOutcome>, Vec<String>), LogError> {
    let archive = Archive::shared(&options.data.join("archive"))?;
    let mut sink = Sink::begin(link, topic, ledger, &spool_folder(options.data), false)?;
    // What others sent, or a killed run, comes first: then it is known.
    drain(&mut sink, ledger, &archive, options, patience)?;
    let before: BTreeMap<String, u32> =
        ledger.files().map(|entry| (entry.arrival.file_id.clone(), entry.reading)).collect();
    let log = KafkaLog::open(link, topic.partitions)?;
    let intake = Intake::new(archive.clone(), &log, options)?.to(&name_of(link, topic)).again(ledger.files());
    let (candidates, read) = {
        let known = |file_id: &str| known(&intake, ledger.file(file_id)?, file_id);
        let candidates = intake.candidates(files, &known, ledger.files())?;
        watch.began(candidates.len(), candidates.iter().map(|c| c.bytes).sum());
        let read = intake.seal_all(&candidates, &known, watch)?;
        (candidates, read)
    };
    drain(&mut sink, ledger, &archive, options, patience)?;
    let stands = |seal: &Seal| ledger.file(&seal.arrival.file_id).is_some_and(|e| e.reading >= seal.reading);
    let (read, lost): (Vec<_>, Vec<_>) = read.into_iter().partition(|(seal, _)| stands(seal));
    if let Some((seal, _)) = lost.first() {
        let what = format!(
            "{} of the files that were sent did not come back, the first is {}",
            lost.len(),
            seal.arrival.name
        );
        let advice = "run again without --kafka: it takes them from the archive".to_owned();
        return Err(KafkaError::Topic { topic: link.topic().to_owned(), what, advice }.into());
    }
    // The topic had not seen them, but the ledger had: nothing new came of them.
    let is_new = |seal: &Seal| before.get(&seal.arrival.file_id).is_none_or(|known| *known < seal.reading);
    let read = read.into_iter().filter(|(seal, _)| is_new(seal)).collect();
    let entry = |file_id: &str| ledger.file(file_id).cloned();
    let outcomes = outcomes(&candidates, read, &entry, options, watch);
    Ok((outcomes, sink.waiting_files()))
}

/// What is known of a file that the ledger has: its newest reading, if it need not be sent. What the ledger has by
/// another way is sent, so that the topic alone gives the ledger again.
fn known(intake: &Intake<'_>, entry: &FileEntry, file_id: &str) -> Option<FileEntry> {
    match intake.sent(file_id) {
        Some(sent) if sent.reading > entry.reading => Some(sent),
        Some(_) => Some(entry.clone()),
        None => (intake.decide(Some(entry)) != Decision::Known).then(|| entry.clone()),
    }
}

/// Reads what the topic holds into the ledger.
fn drain(
    sink: &mut Sink,
    ledger: &mut Ledger,
    archive: &Archive,
    options: &TakeInOptions<'_>,
    patience: Duration,
) -> Result<(), LogError> {
    let mut full = true;
    while full {
        full = false;
        sink.drain(patience, &mut |sink, _| {
            full = sink.is_full();
            !full
        })?;
        let committed = sink.commit(ledger, archive, options.compiled.spec(), options.memory_bytes)?;
        for refused in committed.refused {
            tracing::warn!("not taken in: {}: {}", refused.seal.arrival.name, refused.why);
        }
    }
    Ok(())
}
