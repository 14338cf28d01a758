//! Taking files in, as a run shows it: progress, an event per file, a line for what somebody must look at.

use super::args::KafkaChoice;
use super::console::{Console, Progress};
use super::data_folder::{DataFolder, only_sink, today_in_japan};
use super::linked::{PATIENCE, linked};
use super::summary;
use crate::report::{Run, outcome_word};
use serde_json::json;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;
use tsumiage_pipeline::events;
use tsumiage_pipeline::kafka::through::take_in_through;
use tsumiage_pipeline::ledger::Ledger;
use tsumiage_pipeline::reader::Compiled;
use tsumiage_pipeline::take_in::{FileOutcome, TakeInOptions, Watch, take_in};
use tsumiage_schemas::{Code, Day};

/// Files to take in.
pub struct Arriving {
    /// The inbox's and those given.
    pub files: Vec<PathBuf>,
    /// Check rejected files again, and read again what was read with other layouts.
    pub recheck: bool,
    /// Through Kafka, not the log in the data folder.
    pub kafka: Option<KafkaChoice>,
}

/// Watches files being taken in: progress and events.
pub struct Watcher<'c, 'a> {
    console: &'c Console<'a>,
    progress: Progress<'c, 'a>,
    total: AtomicU64,
    done: AtomicU64,
}

impl<'c, 'a> Watcher<'c, 'a> {
    /// For a step of this name.
    pub fn new(console: &'c Console<'a>, step: &'static str) -> Watcher<'c, 'a> {
        let progress = console.progress(step, "bytes");
        Watcher { console, progress, total: AtomicU64::new(0), done: AtomicU64::new(0) }
    }
}

impl Watch for Watcher<'_, '_> {
    fn began(&self, _files: usize, bytes: u64) {
        self.total.store(bytes, Ordering::Relaxed);
    }

    fn file(&self, outcome: &FileOutcome) {
        let done = self.done.fetch_add(outcome.bytes, Ordering::Relaxed) + outcome.bytes;
        self.progress.at(done, self.total.load(Ordering::Relaxed));
        file_event(outcome, self.console);
    }
}

/// The event that tells what became of a file.
pub fn file_event(outcome: &FileOutcome, console: &Console<'_>) {
    let errors: Vec<&str> = outcome.file_errors.iter().map(|f| f.code.as_str()).collect();
    console.event(&json!({
        "event": "file",
        "name": outcome.name,
        "file_id": outcome.file_id,
        "outcome": outcome_word(outcome),
        "records": outcome.records,
        "accepted": outcome.accepted,
        "rejected": outcome.rejected,
        "warned": outcome.warned,
        "errors": errors,
        "finding": outcome.duplicate.then_some(Code::F07.as_str()),
    }));
}

/// Takes files in that arrive on a day (today in Japan if `None`); what became of each.
pub fn taken_in(
    arriving: &Arriving,
    on: Option<Day>,
    folder: &DataFolder,
    ledger: &mut Ledger,
    run: &mut Run,
    console: &Console<'_>,
) -> anyhow::Result<Vec<FileOutcome>> {
    let begun = Instant::now();
    let taken_in_on = on.unwrap_or_else(today_in_japan);
    run.takes_in_on(taken_in_on);
    let compiled = Compiled::new(Arc::new(folder.spec.clone()));
    let options = folder.take_in_options(&compiled, taken_in_on, arriving.recheck);
    let watcher = Watcher::new(console, "take in");
    let outcomes = match &arriving.kafka {
        None => take_in(&arriving.files, ledger, &options, &watcher)?,
        Some(choice) => through_kafka(choice, &arriving.files, ledger, &options, &watcher, console)?,
    };
    drop(watcher);
    outcomes.iter().for_each(|outcome| rejected_note(outcome, console));
    let given = outcomes.iter().take(arriving.files.len()); // they come first
    withdrawn_notes(given, folder, console)?;
    let seconds = begun.elapsed().as_secs_f64();
    run.taken_in(&outcomes, seconds);
    summary::taken_in(&outcomes, seconds, console);
    Ok(outcomes)
}

/// Merges the ledger's runs where there are too many, and says so.
///
/// # Errors
/// The ledger cannot be read or written; what was taken in stands.
pub fn compacted(ledger: &mut Ledger, console: &Console<'_>) -> anyhow::Result<()> {
    let begun = Instant::now();
    if let Some(compacted) = ledger.compact()? {
        summary::compacted(&compacted, begun.elapsed().as_secs_f64(), console);
    }
    Ok(())
}

fn through_kafka(
    choice: &KafkaChoice,
    files: &[PathBuf],
    ledger: &mut Ledger,
    options: &TakeInOptions<'_>,
    watcher: &Watcher<'_, '_>,
    console: &Console<'_>,
) -> anyhow::Result<Vec<FileOutcome>> {
    let _only = only_sink(options.data)?;
    let (link, topic) = linked(choice, console)?;
    let (outcomes, waiting) = take_in_through(&link, &topic, files, ledger, options, PATIENCE, watcher)?;
    for name in waiting {
        console.note(&format!(
            "not taken in: {name}: it was sealed in Kafka, but some of its batches are missing; `tsumiage ingest` without --kafka takes it from the archive"
        ));
    }
    Ok(outcomes)
}

/// Says that a file is rejected, if it is.
pub fn rejected_note(outcome: &FileOutcome, console: &Console<'_>) {
    if !outcome.file_rejected {
        return;
    }
    let before = if outcome.duplicate { " (as before)" } else { "" };
    let errors: Vec<&str> = outcome.file_errors.iter().map(|f| f.code.as_str()).collect();
    let codes = if errors.is_empty() { String::new() } else { format!(": {}", errors.join(", ")) };
    console.note(&format!(
        "rejected{before}: {}{codes}; see `tsumiage findings --file {}`",
        outcome.name,
        &outcome.file_id[..12]
    ));
}

/// Whoever gives a withdrawn file again may believe that it counts again.
fn withdrawn_notes<'o>(
    given: impl Iterator<Item = &'o FileOutcome>,
    folder: &DataFolder,
    console: &Console<'_>,
) -> anyhow::Result<()> {
    let events = events::read(&folder.path)?;
    for outcome in given {
        if let Some(event) = events::withdrawal(&events, &outcome.file_id, None) {
            console.note(&format!("withdrawn: {} was withdrawn on {}; it stays so", outcome.name, event.on));
        }
    }
    Ok(())
}
