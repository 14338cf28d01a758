//! `nightly`, `ingest`, `resolve`: the main job and its two halves; `rebuild` and `close` are the same job on
//! other facts. One run holds the lock from its first step to its report.

use super::args::{Common, Intake, Reporting};
use super::console::Console;
use super::data_folder::{Busy, DataFolder, put_in_order};
use super::summary::Stacked;
use super::taking_in::{Arriving, compacted, taken_in};
use super::{Exit, Usage, one_line, summary};
use crate::publish::snapshot::Snapshots;
use crate::published::{Standing, file_standings};
use crate::report::{Frozen, Run};
use crate::resolve::{ResolveRequest, Resolved, Workplace, readable, resolve};
use serde_json::json;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Instant;
use tsumiage_pipeline::archive::Archive;
use tsumiage_pipeline::ledger::Ledger;
use tsumiage_pipeline::take_in::{FileOutcome, inbox_files};

/// What a run is to do.
struct Job<'a> {
    command: &'static str,
    common: &'a Common,
    input: Input<'a>,
    /// What is to be done with the facts before they are resolved.
    closing: Option<&'a Closing<'a>>,
    resolves: bool,
}

/// Where the facts of a run come from.
enum Input<'a> {
    /// The ledger as it is.
    Ledger,
    /// Files to take in.
    Files(Arriving),
    /// Files that are made by the one who holds the lock.
    Made(&'a Made<'a>),
    /// A ledger made again.
    Again(&'a Again<'a>),
}

/// Closes a month by what the ledger knows.
pub type Closing<'a> = dyn Fn(&DataFolder, &Ledger) -> anyhow::Result<()> + Sync + 'a;

/// Makes the ledger again; gives it and what became of every file.
pub type Again<'a> = dyn Fn(&DataFolder) -> anyhow::Result<(Ledger, Vec<FileOutcome>)> + Sync + 'a;

/// Makes the files to take in.
pub type Made<'a> = dyn Fn(&DataFolder, &Ledger) -> anyhow::Result<Vec<PathBuf>> + Sync + 'a;

/// What a run came to.
struct End {
    exit: Exit,
    resolved: Option<Resolved>,
}

/// Takes in, resolves and publishes.
pub fn nightly(common: &Common, intake: &Intake, console: &Console<'_>) -> anyhow::Result<Exit> {
    takes_in("nightly", true, common, intake, console)
}

/// Only takes in.
pub fn ingest(common: &Common, intake: &Intake, console: &Console<'_>) -> anyhow::Result<Exit> {
    takes_in("ingest", false, common, intake, console)
}

fn takes_in(
    command: &'static str,
    resolves: bool,
    common: &Common,
    intake: &Intake,
    console: &Console<'_>,
) -> anyhow::Result<Exit> {
    let files = files_of(intake)?;
    let begins = intake.inbox.is_some() || !files.is_empty();
    let arriving = Arriving { files, recheck: intake.recheck, kafka: common.kafka.choice()? };
    let input = Input::Files(arriving);
    run(&Job { command, common, input, closing: None, resolves }, begins, &intake.reporting, console)
}

/// Only takes in what is made for it.
pub fn takes_in_made(
    command: &'static str,
    common: &Common,
    made: &Made<'_>,
    console: &Console<'_>,
) -> anyhow::Result<Exit> {
    let job = Job { command, common, input: Input::Made(made), closing: None, resolves: false };
    run(&job, true, &Reporting { metrics_file: None }, console)
}

/// Only resolves and publishes.
pub fn resolve_only(common: &Common, reporting: &Reporting, console: &Console<'_>) -> anyhow::Result<Exit> {
    let job = Job { command: "resolve", common, input: Input::Ledger, closing: None, resolves: true };
    run(&job, false, reporting, console)
}

/// Makes the ledger again, then resolves and publishes: one run with one report.
pub fn rebuild(
    common: &Common,
    reporting: &Reporting,
    again: &Again<'_>,
    console: &Console<'_>,
) -> anyhow::Result<Exit> {
    let job = Job { command: "rebuild", common, input: Input::Again(again), closing: None, resolves: true };
    run(&job, false, reporting, console)
}

/// Takes in what a killed run left, closes, and publishes: one run with one report.
pub fn close(common: &Common, closing: &Closing<'_>, console: &Console<'_>) -> anyhow::Result<Exit> {
    let input = Input::Files(Arriving { files: Vec::new(), recheck: false, kafka: None });
    let job = Job { command: "close", common, input, closing: Some(closing), resolves: true };
    run(&job, false, &Reporting { metrics_file: None }, console)
}

/// The data folder of a job. A rebuild reads everything by the layouts it is given: they become the
/// settings'.
fn opened(job: &Job<'_>) -> anyhow::Result<DataFolder> {
    let mut folder = DataFolder::to_write(job.common)?;
    if matches!(job.input, Input::Again(_)) {
        folder.keep_reading()?;
    }
    Ok(folder)
}

/// Runs a job; `begins` if it may make the data folder.
fn run(job: &Job<'_>, begins: bool, reporting: &Reporting, console: &Console<'_>) -> anyhow::Result<Exit> {
    let data = &job.common.data;
    if !begins && !data.join("archive").is_dir() {
        let what = "is no data folder yet and there is no file to take in; check --data";
        return Err(Usage(format!("{} {what}", data.display())).into());
    }
    let mut run = Run::begin(job.command, data);
    let (folder, end) = match opened(job) {
        Ok(folder) => {
            let end = work(job, &folder, &mut run, console);
            if end.is_err() {
                let _ = put_in_order(&folder.path); // the disk may be full of it; else the next run does it
            }
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
    // What workers noted before a closing is taken in before it; what they note after sees it.
    let closes = job.closing.map(|_| Archive::to_read(&folder.path).closing()).transpose()?;
    let pool = rayon::ThreadPoolBuilder::new().num_threads(folder.settings.threads).build()?;
    pool.install(|| {
        let (ledger, outcomes) = ledger_of(job, folder, run, console)?;
        run.ledger(&ledger);
        let snapshots = Snapshots::open(&folder.path)?;
        if let Some(close) = job.closing {
            close(folder, &ledger)?;
        }
        drop(closes);
        if job.resolves {
            let resolved = resolved(job, folder, &ledger, &snapshots, &request, run, console)?;
            let standings = file_standings(&resolved.snapshot)?;
            run.standings(&outcomes, &standings);
            let stacked = Stacked::of(&outcomes, &ledger, &standings);
            summary::resolved(&resolved, stacked, console);
            if job.closing.is_some() {
                let frozen = Frozen::of(&resolved.snapshot)?;
                run.frozen(&frozen);
                summary::frozen(&frozen, console);
            }
            let given = if matches!(job.input, Input::Again(_)) { &[] } else { &outcomes[..] };
            let exit = exit_of(given, &standings, console);
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

/// The ledger to resolve, and what became of the files that were read for it.
fn ledger_of(
    job: &Job<'_>,
    folder: &DataFolder,
    run: &mut Run,
    console: &Console<'_>,
) -> anyhow::Result<(Ledger, Vec<FileOutcome>)> {
    if let Input::Again(again) = &job.input {
        let begun = Instant::now();
        let (mut ledger, outcomes) = again(folder)?;
        compacted(&mut ledger, console)?;
        run.rebuilt(&outcomes, begun.elapsed().as_secs_f64());
        return Ok((ledger, outcomes));
    }
    let mut ledger = Ledger::open(&folder.path)?;
    readable(&ledger, &folder.spec)?;
    run.ledger(&ledger);
    let made;
    let arriving = match &job.input {
        Input::Files(arriving) => arriving,
        Input::Made(make) => {
            made = Arriving { files: make(folder, &ledger)?, recheck: false, kafka: None };
            &made
        }
        Input::Ledger | Input::Again(_) => return Ok((ledger, Vec::new())),
    };
    let outcomes = taken_in(arriving, job.common.on, folder, &mut ledger, run, console)?;
    compacted(&mut ledger, console)?;
    Ok((ledger, outcomes))
}

fn resolved(
    job: &Job<'_>,
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
    let latest = request.becomes_latest;
    if latest {
        snapshots.set_latest(&resolved.snapshot.manifest.id)?;
    } else if job.closing.is_none() {
        console.note("published, but not as latest: made with other options than settings.toml");
    }
    if let Some(first) = resolved.damaged.first() {
        console.complain(&format!(
            "the snapshot before is damaged in {} files, the first is {first}: `changes` does not tell what differs \
             from them; see `tsumiage snapshots verify`",
            resolved.damaged.len()
        ));
    }
    run.resolved(&resolved, latest);
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
