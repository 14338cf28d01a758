//! `nightly`, `ingest`, `resolve`: the main job and its two halves.

use super::args::{Common, Intake};
use super::console::{Console, Progress};
use super::data_folder::{DataFolder, today_in_japan};
use super::{Exit, Usage};
use crate::publish::snapshot::{Snapshot, Snapshots};
use crate::published::file_standings;
use crate::resolve::{Resolved, Workplace, resolve};
use serde_json::json;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;
use tsumiage_pipeline::ledger::Ledger;
use tsumiage_pipeline::reader::Compiled;
use tsumiage_pipeline::take_in::{FileOutcome, TakeInOptions, Watch, inbox_files, take_in};
use tsumiage_schemas::Code;

/// Takes in (if files are given) and resolves (if wanted).
pub fn nightly(
    common: &Common,
    intake: Option<&Intake>,
    with_resolve: bool,
    console: &Console<'_>,
) -> anyhow::Result<Exit> {
    let files = intake.map(files_of).transpose()?;
    let from_inbox = intake.is_some_and(|intake| intake.inbox.is_some() || !intake.files.is_empty());
    if !from_inbox && !common.data.join("archive").is_dir() {
        let data = common.data.display();
        return Err(Usage(format!(
            "{data} is no data folder yet and there is no file to take in; check --data"
        ))
        .into());
    }
    let folder = DataFolder::to_write(common)?;
    let request = folder.request(common)?;
    let pool = rayon::ThreadPoolBuilder::new().num_threads(folder.settings.threads).build()?;
    pool.install(|| {
        let mut ledger = Ledger::open(&folder.path)?;
        let outcomes = match (&files, intake) {
            (Some(files), Some(intake)) => {
                taken_in(files, intake.recheck, &folder, &mut ledger, common, console)?
            }
            _ => Vec::new(),
        };
        let snapshots = Snapshots::open(&folder.path)?;
        if !with_resolve {
            // Stacking may have rejected records of files seen before; the newest snapshot knows.
            let latest = snapshots.latest_id().map(|id| snapshots.find(&id)).transpose()?;
            return exit_of(&outcomes, latest.as_ref(), console);
        }
        let place = Workplace {
            data: &folder.path,
            ledger: &ledger,
            spec: &folder.spec,
            layouts: &folder.layouts,
            limits: folder.limits(),
            settings: folder.settings.for_manifest(),
        };
        let progress = console.progress("resolve and publish", "facts");
        let resolved = resolve(&place, &request, &|done, total| progress.at(done, total))?;
        drop(progress);
        if folder.is_by_settings(&request) {
            snapshots.set_latest(&resolved.snapshot.manifest.id)?;
        } else {
            console.note("published, but not as latest: made with other options than settings.toml");
        }
        report_resolved(&resolved, console);
        let exit = exit_of(&outcomes, Some(&resolved.snapshot), console)?;
        report_snapshot(&resolved, console);
        Ok(exit)
    })
}

fn files_of(intake: &Intake) -> anyhow::Result<Vec<PathBuf>> {
    let mut files = match &intake.inbox {
        None => Vec::new(),
        Some(inbox) if inbox.is_dir() => inbox_files(inbox)?,
        Some(inbox) => {
            return Err(Usage(format!("there is no inbox folder {}; check --inbox", inbox.display())).into());
        }
    };
    for file in &intake.files {
        if !file.is_file() {
            return Err(Usage(format!("there is no file {}; check the path", file.display())).into());
        }
        files.push(file.clone());
    }
    Ok(files)
}

/// Watches the taking in: progress, events, and a line for what was rejected.
struct Watcher<'c, 'a> {
    console: &'c Console<'a>,
    progress: Progress<'c, 'a>,
    total: AtomicU64,
    done: AtomicU64,
}

impl Watch for Watcher<'_, '_> {
    fn began(&self, _files: usize, bytes: u64) {
        self.total.store(bytes, Ordering::Relaxed);
    }

    fn file(&self, outcome: &FileOutcome) {
        let done = self.done.fetch_add(outcome.bytes, Ordering::Relaxed) + outcome.bytes;
        self.progress.at(done, self.total.load(Ordering::Relaxed));
        let errors: Vec<&str> = outcome.file_errors.iter().map(|f| f.code.as_str()).collect();
        self.console.event(&json!({
            "event": "file",
            "name": outcome.name,
            "file_id": outcome.file_id,
            "outcome": word(outcome),
            "records": outcome.records,
            "accepted": outcome.accepted,
            "rejected": outcome.rejected,
            "warned": outcome.warned,
            "errors": errors,
            "finding": outcome.duplicate.then_some(Code::F07.as_str()),
        }));
    }
}

fn word(outcome: &FileOutcome) -> &'static str {
    match (outcome.duplicate, outcome.file_rejected) {
        (true, _) => "duplicate",
        (false, true) => "rejected",
        (false, false) => "taken_in",
    }
}

fn taken_in(
    files: &[PathBuf],
    recheck: bool,
    folder: &DataFolder,
    ledger: &mut Ledger,
    common: &Common,
    console: &Console<'_>,
) -> anyhow::Result<Vec<FileOutcome>> {
    let begun = Instant::now();
    let compiled = Compiled::new(std::sync::Arc::new(folder.spec.clone()));
    let options = TakeInOptions {
        data: &folder.path,
        compiled: &compiled,
        layouts: &folder.layouts,
        taken_in_on: common.on.unwrap_or_else(today_in_japan),
        recheck,
        batch_rows: folder.settings.batch_rows,
        memory_bytes: folder.settings.memory_mib << 19, // half: the other half is for sorting a run
    };
    let progress = console.progress("take in", "bytes");
    let watcher = Watcher { console, progress, total: AtomicU64::new(0), done: AtomicU64::new(0) };
    let outcomes = take_in(files, ledger, &options, &watcher)?;
    drop(watcher);
    for outcome in outcomes.iter().filter(|o| o.file_rejected) {
        let before = if outcome.duplicate { " (as before)" } else { "" };
        let codes = folder_errors(outcome);
        console.note(&format!(
            "rejected{before}: {}{codes}; see `tsumiage findings --file {}`",
            outcome.name,
            &outcome.file_id[..12]
        ));
    }
    report_taken_in(&outcomes, begun.elapsed().as_secs_f64(), console);
    Ok(outcomes)
}

fn folder_errors(outcome: &FileOutcome) -> String {
    let errors: Vec<String> = outcome.file_errors.iter().map(|f| f.code.to_string()).collect();
    if errors.is_empty() { String::new() } else { format!(": {}", errors.join(", ")) }
}

fn report_taken_in(outcomes: &[FileOutcome], seconds: f64, console: &Console<'_>) {
    let new = || outcomes.iter().filter(|o| !o.duplicate);
    let sum = |f: &dyn Fn(&FileOutcome) -> i64| new().map(f).sum::<i64>();
    let (taken, rejected) =
        (new().filter(|o| !o.file_rejected).count(), new().filter(|o| o.file_rejected).count());
    let duplicate = outcomes.iter().filter(|o| o.duplicate).count();
    let (records, accepted) = (sum(&|o| o.records), sum(&|o| o.accepted));
    let (refused, warned) = (sum(&|o| o.rejected), sum(&|o| o.warned));
    let bytes: u64 = new().map(|o| o.bytes).sum();
    if console.json {
        return console.event(&json!({
            "event": "taken_in",
            "files": {"taken_in": taken, "duplicate": duplicate, "rejected": rejected},
            "records": {"found": records, "accepted": accepted, "rejected": refused, "warned": warned},
            "bytes": bytes,
            "seconds": seconds,
            "records_per_second": rate(records, seconds),
        }));
    }
    console.report(&format!(
        "files      {taken} taken in, {duplicate} duplicate, {rejected} rejected\n\
         records    {records} found: {accepted} accepted, {refused} rejected, {warned} warned\n\
         take in    {seconds:.2} s, {} records/s, {:.1} MB\n",
        rate(records, seconds),
        bytes as f64 / 1e6,
    ));
}

fn rate(count: i64, seconds: f64) -> u64 {
    if seconds > 0.0 { (count as f64 / seconds) as u64 } else { 0 }
}

fn report_resolved(resolved: &Resolved, console: &Console<'_>) {
    let manifest = &resolved.snapshot.manifest;
    let stats = &resolved.stats;
    if console.json {
        return console.event(&json!({"event": "resolved", "new": resolved.is_new, "stats": stats}));
    }
    if !resolved.is_new && stats.facts == 0 {
        return console.report(&format!("resolve    nothing changed, {} stands\n", manifest.id));
    }
    let (facts, rows) = (stats.facts as i64, stats.month_rows as i64);
    let table = |name: &str| manifest.tables.get(name).map_or(0, |t| t.rows);
    console.report(&format!(
        "resolve    {} streams of {} records; {:.2} s wall\n\
         \u{20} stack    {:.2} s busy, {} records/s\n\
         \u{20} publish  {:.2} s busy, {} rows/s\n\
         publish    {} months, {} rows; history {} rows, findings {}\n",
        stats.streams,
        facts,
        stats.wall_seconds,
        stats.stack_seconds,
        rate(facts, stats.stack_seconds),
        stats.publish_seconds,
        rate(rows, stats.publish_seconds),
        stats.months,
        rows,
        table("recipient_history"),
        table("findings"),
    ));
}

fn report_snapshot(resolved: &Resolved, console: &Console<'_>) {
    let id = &resolved.snapshot.manifest.id;
    let path = resolved.snapshot.path.display().to_string();
    if console.json {
        console.event(&json!({"event": "snapshot", "id": id, "path": path, "new": resolved.is_new}));
    } else {
        console.report(&format!("snapshot {id} {path}\n"));
    }
}

/// 2 if a file of this run is rejected or has rejected records, by reader or by stacking; says which.
fn exit_of(
    outcomes: &[FileOutcome],
    snapshot: Option<&Snapshot>,
    console: &Console<'_>,
) -> anyhow::Result<Exit> {
    if outcomes.is_empty() {
        return Ok(Exit::Done);
    }
    let standings = snapshot.map(file_standings).transpose()?.unwrap_or_default();
    let mut exit = Exit::Done;
    for outcome in outcomes {
        let rejected = standings.get(&outcome.file_id).map_or(outcome.rejected, |s| s.rejected);
        if outcome.file_rejected {
            exit = Exit::Rejected; // told when it was taken in
        } else if rejected > 0 {
            exit = Exit::Rejected;
            let (name, id, all) = (&outcome.name, &outcome.file_id[..12], outcome.records);
            console.note(&format!(
                "{rejected} of {all} records rejected: {name}; see `tsumiage findings --file {id}`"
            ));
            console.event(&json!({"event": "rejected_records", "name": name, "file_id": outcome.file_id, "rejected": rejected}));
        }
    }
    Ok(exit)
}
