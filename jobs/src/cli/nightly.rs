//! `nightly`, `ingest`, `resolve`: the main job and its two halves.

use super::args::{Common, Intake, Reporting};
use super::console::{Console, Progress};
use super::data_folder::{Busy, DataFolder, today_in_japan};
use super::{Exit, Usage, one_line, summary};
use crate::publish::snapshot::Snapshots;
use crate::published::{Standing, file_standings};
use crate::report::{Run, outcome_word};
use crate::resolve::{ResolveRequest, Resolved, Workplace, readable, resolve};
use serde_json::json;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;
use tsumiage_pipeline::ledger::Ledger;
use tsumiage_pipeline::reader::Compiled;
use tsumiage_pipeline::take_in::{FileOutcome, TakeInOptions, Watch, inbox_files, take_in};
use tsumiage_schemas::Code;

/// What a run is to do.
struct Job<'a> {
    command: &'static str,
    common: &'a Common,
    input: Input<'a>,
    resolves: bool,
}

/// Where the facts of a run come from.
enum Input<'a> {
    /// The ledger as it is.
    Ledger,
    /// Files to take in.
    Files(&'a Intake, Vec<PathBuf>),
    /// A ledger made again.
    Again(&'a Again<'a>),
}

/// Makes the ledger again; gives it and what became of every file.
pub type Again<'a> = dyn Fn(&DataFolder) -> anyhow::Result<(Ledger, Vec<FileOutcome>)> + Sync + 'a;

/// What a run came to.
struct End {
    exit: Exit,
    resolved: Option<Resolved>,
}

/// Takes in, resolves and publishes.
pub fn nightly(common: &Common, intake: &Intake, console: &Console<'_>) -> anyhow::Result<Exit> {
    let files = files_of(intake)?;
    let job = Job { command: "nightly", common, input: Input::Files(intake, files), resolves: true };
    run(&job, &intake.reporting, console)
}

/// Only takes in.
pub fn ingest(common: &Common, intake: &Intake, console: &Console<'_>) -> anyhow::Result<Exit> {
    let files = files_of(intake)?;
    let job = Job { command: "ingest", common, input: Input::Files(intake, files), resolves: false };
    run(&job, &intake.reporting, console)
}

/// Only resolves and publishes.
pub fn resolve_only(common: &Common, reporting: &Reporting, console: &Console<'_>) -> anyhow::Result<Exit> {
    run(&Job { command: "resolve", common, input: Input::Ledger, resolves: true }, reporting, console)
}

/// Makes the ledger again, then resolves and publishes: one run with one report.
pub fn rebuild(
    common: &Common,
    reporting: &Reporting,
    again: &Again<'_>,
    console: &Console<'_>,
) -> anyhow::Result<Exit> {
    run(&Job { command: "rebuild", common, input: Input::Again(again), resolves: true }, reporting, console)
}

fn run(job: &Job<'_>, reporting: &Reporting, console: &Console<'_>) -> anyhow::Result<Exit> {
    let data = &job.common.data;
    let from_inbox = match &job.input {
        Input::Files(intake, files) => intake.inbox.is_some() || !files.is_empty(),
        Input::Ledger | Input::Again(_) => false,
    };
    if !from_inbox && !data.join("archive").is_dir() {
        let what = "is no data folder yet and there is no file to take in; check --data";
        return Err(Usage(format!("{} {what}", data.display())).into());
    }
    let mut run = Run::begin(job.command, data);
    let (folder, end) = match DataFolder::to_write(job.common) {
        Ok(folder) => {
            let end = work(job, &folder, &mut run, console);
            (Some(folder), end)
        }
        Err(error) => (None, Err(error)),
    };
    // Wrong usage and a run that has to wait outside are no runs: they leave the last one's report alone.
    if end.as_ref().is_err_and(|e| e.is::<Usage>() || e.is::<Busy>()) {
        return end.map(|end| end.exit);
    }
    let (code, error) = match &end {
        Ok(End { exit: Exit::Done, .. }) => (0, None),
        Ok(End { exit: Exit::Rejected, .. }) => (2, None),
        Err(error) => (1, Some(one_line(error))),
    };
    summary::written(&run.finish(code, error, reporting.metrics_file.as_deref()), console);
    drop(folder); // held until the report is written, so that reports are in the order of runs
    let End { exit, resolved } = end?;
    if let Some(resolved) = &resolved {
        summary::snapshot(resolved, console);
    }
    Ok(exit)
}

/// The run itself, by the one who holds the lock.
fn work(job: &Job<'_>, folder: &DataFolder, run: &mut Run, console: &Console<'_>) -> anyhow::Result<End> {
    let request = folder.request(job.common)?;
    run.options(&request, &folder.layouts);
    let pool = rayon::ThreadPoolBuilder::new().num_threads(folder.settings.threads).build()?;
    pool.install(|| {
        let (ledger, outcomes) = ledger_of(job, folder, run, console)?;
        run.ledger(&ledger);
        let snapshots = Snapshots::open(&folder.path)?;
        if job.resolves {
            let resolved = resolved(folder, &ledger, &snapshots, &request, run, console)?;
            let mut standings = BTreeMap::new();
            if !outcomes.is_empty() {
                standings = file_standings(&resolved.snapshot)?;
                run.standings(&outcomes, &standings);
            }
            let exit = exit_of(&outcomes, &standings, console);
            return Ok(End { exit, resolved: Some(resolved) });
        }
        // Stacking may have rejected records of files seen before; the newest snapshot knows. Of files
        // read now it knows nothing yet.
        let latest = snapshots.latest_id().map(|id| snapshots.find(&id)).transpose()?;
        let mut standings = latest.as_ref().map(file_standings).transpose()?.unwrap_or_default();
        for outcome in outcomes.iter().filter(|o| !o.duplicate) {
            standings.remove(&outcome.file_id);
        }
        run.standings(&outcomes, &standings);
        Ok(End { exit: exit_of(&outcomes, &standings, console), resolved: None })
    })
}

/// The ledger to resolve, and what became of the files given to the run.
fn ledger_of(
    job: &Job<'_>,
    folder: &DataFolder,
    run: &mut Run,
    console: &Console<'_>,
) -> anyhow::Result<(Ledger, Vec<FileOutcome>)> {
    if let Input::Again(again) = &job.input {
        let begun = Instant::now();
        let (ledger, outcomes) = again(folder)?;
        run.rebuilt(&outcomes, begun.elapsed().as_secs_f64());
        return Ok((ledger, Vec::new()));
    }
    let mut ledger = Ledger::open(&folder.path)?;
    readable(&ledger, &folder.spec)?;
    run.ledger(&ledger);
    let outcomes = match &job.input {
        Input::Files(intake, files) => {
            taken_in(intake, files, job.common, folder, &mut ledger, run, console)?
        }
        Input::Ledger | Input::Again(_) => Vec::new(),
    };
    Ok((ledger, outcomes))
}

fn resolved(
    folder: &DataFolder,
    ledger: &Ledger,
    snapshots: &Snapshots,
    request: &ResolveRequest,
    run: &mut Run,
    console: &Console<'_>,
) -> anyhow::Result<Resolved> {
    let place = Workplace {
        data: &folder.path,
        ledger,
        spec: &folder.spec,
        layouts: &folder.layouts,
        limits: folder.limits(),
        settings: folder.settings.for_manifest(),
    };
    let progress = console.progress("resolve and publish", "facts");
    let resolved = resolve(&place, request, &|done, total| progress.at(done, total))?;
    drop(progress);
    let latest = folder.is_by_settings(request);
    if latest {
        snapshots.set_latest(&resolved.snapshot.manifest.id)?;
    } else {
        console.note("published, but not as latest: made with other options than settings.toml");
    }
    run.resolved(&resolved, latest);
    summary::resolved(&resolved, console);
    Ok(resolved)
}

/// The files to take in, the inbox's first.
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
            "outcome": outcome_word(outcome),
            "records": outcome.records,
            "accepted": outcome.accepted,
            "rejected": outcome.rejected,
            "warned": outcome.warned,
            "errors": errors,
            "finding": outcome.duplicate.then_some(Code::F07.as_str()),
        }));
    }
}

fn taken_in(
    intake: &Intake,
    files: &[PathBuf],
    common: &Common,
    folder: &DataFolder,
    ledger: &mut Ledger,
    run: &mut Run,
    console: &Console<'_>,
) -> anyhow::Result<Vec<FileOutcome>> {
    let begun = Instant::now();
    let taken_in_on = common.on.unwrap_or_else(today_in_japan);
    run.takes_in_on(taken_in_on);
    let compiled = Compiled::new(std::sync::Arc::new(folder.spec.clone()));
    let options = TakeInOptions {
        data: &folder.path,
        compiled: &compiled,
        layouts: &folder.layouts,
        taken_in_on,
        recheck: intake.recheck,
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
    let seconds = begun.elapsed().as_secs_f64();
    run.taken_in(&outcomes, seconds);
    summary::taken_in(&outcomes, seconds, console);
    Ok(outcomes)
}

fn folder_errors(outcome: &FileOutcome) -> String {
    let errors: Vec<String> = outcome.file_errors.iter().map(|f| f.code.to_string()).collect();
    if errors.is_empty() { String::new() } else { format!(": {}", errors.join(", ")) }
}

/// 2 if a file of this run is rejected or has rejected records, by reader or by stacking; says which.
fn exit_of(outcomes: &[FileOutcome], standings: &BTreeMap<String, Standing>, console: &Console<'_>) -> Exit {
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
    exit
}
