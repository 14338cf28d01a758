//! Reports on runs: one JSON document per run in `reports/`, and metrics where they are asked for.
//!
//! Promise: every run that held the lock leaves a report, a failed one too, whole or not at all; no
//! values of people in it; a report or metrics that cannot be written never fail the run.

mod document;
mod metrics;

pub use document::{FileReport, Frozen, Outcome, RunReport, Timing, outcome_word};

use crate::publish::snapshot::{Snapshot, Snapshots};
use crate::published::Standing;
use crate::resolve::{ResolveRequest, Resolved};
use chrono::{FixedOffset, SecondsFormat, Utc};
use document::{FORMAT, Options, SnapshotSummary, Totals};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Instant;
use tsumiage_pipeline::crash;
use tsumiage_pipeline::disk::{self, DiskError};
use tsumiage_pipeline::ledger::Ledger;
use tsumiage_pipeline::take_in::FileOutcome;
use tsumiage_pipeline::tally::Tally;
use tsumiage_schemas::{Day, Month};

/// A run under way, gathering its report. What it is not told stays not set.
pub struct Run {
    data: PathBuf,
    begun: Instant,
    report: RunReport,
    /// Whether the report lists the files of the run, not only their sums.
    lists_files: bool,
}

/// What the report before this one hands on, so that no other needs to be read.
#[derive(Default, Deserialize)]
struct Before {
    last_success: BTreeMap<String, String>,
    newest_processing_month: Option<Month>,
}

/// What became of the report and the metrics.
pub struct Written {
    /// Where the report is; `None` if there is not even a data folder.
    pub report: Option<Result<PathBuf, DiskError>>,
    /// Whether the metrics could be written, if they were asked for.
    pub metrics: Result<(), DiskError>,
}

impl Run {
    /// A run of a command on a data folder begins.
    pub fn begin(command: &str, data: &Path) -> Run {
        let report = RunReport {
            format: FORMAT,
            number: 0,
            program_version: env!("CARGO_PKG_VERSION").to_owned(),
            command: command.to_owned(),
            outcome: Outcome::Failed,
            exit_code: 1,
            error: None,
            started_at: now_in_japan(),
            finished_at: String::new(),
            taken_in_on: None,
            options: None,
            totals: Totals::default(),
            senders: Vec::new(),
            findings: Tally::default(),
            timings: Vec::new(),
            facts_stacked: 0,
            snapshot: None,
            frozen: None,
            newest_processing_month: None,
            last_success: BTreeMap::new(),
            files: Vec::new(),
        };
        Run { data: data.to_owned(), begun: Instant::now(), report, lists_files: true }
    }

    /// The options and the digest of the layouts in force.
    pub fn options(&mut self, request: &ResolveRequest, layouts: &str) {
        self.report.options = Some(Options::new(request, layouts));
    }

    /// Files are to be taken in on this day.
    pub fn takes_in_on(&mut self, day: Day) {
        self.report.taken_in_on = Some(day);
    }

    /// Files were taken in; `seconds` by the wall clock.
    pub fn taken_in(&mut self, files: &[FileOutcome], seconds: f64) {
        self.standings(files, &BTreeMap::new());
        let records = self.report.totals.records.found.unsigned_abs();
        self.report.timings.push(Timing::new("take_in", seconds, records));
    }

    /// The ledger was made again of these files. They are summed up, not listed: there may be very many.
    pub fn rebuilt(&mut self, files: &[FileOutcome], seconds: f64) {
        self.lists_files = false;
        self.taken_in(files, seconds);
    }

    /// What the ledger knows now.
    pub fn ledger(&mut self, ledger: &Ledger) {
        let accepted = ledger.files().filter(|file| !file.file_rejected && !file.is_khs()); // cards come without months
        self.report.newest_processing_month = accepted.filter_map(|file| file.processing_month).max();
    }

    /// A snapshot holds the answer; `latest` if it is the one of the settings.
    pub fn resolved(&mut self, resolved: &Resolved, latest: bool) {
        self.report.snapshot = Some(SnapshotSummary::new(resolved, latest));
        self.report.facts_stacked = resolved.stats.facts;
        self.report.timings.extend(Timing::of_resolve(&resolved.stats));
    }

    /// A closing froze this.
    pub fn frozen(&mut self, frozen: &Frozen) {
        self.report.frozen = Some(frozen.clone());
    }

    /// How the files of the run stand after stacking, by file id.
    pub fn standings(&mut self, files: &[FileOutcome], standings: &BTreeMap<String, Standing>) {
        let file = |file: &FileOutcome| FileReport::new(file, standings.get(&file.file_id));
        self.report.set_files(files.iter().map(file).collect());
        if !self.lists_files {
            self.report.files.clear();
        }
    }

    /// The run is over: writes its report, and the metrics if a file for them is given. `error` is one
    /// line if it failed.
    pub fn finish(mut self, exit_code: u8, error: Option<String>, metrics_file: Option<&Path>) -> Written {
        let report = &mut self.report;
        report.outcome = match (exit_code, &error) {
            (0, None) => Outcome::Done,
            (2, None) => Outcome::DoneWithRejections,
            _ => Outcome::Failed,
        };
        report.exit_code = exit_code;
        report.error = error;
        report.finished_at = now_in_japan();
        let records = report.totals.records.found.unsigned_abs();
        report.timings.push(Timing::new("total", self.begun.elapsed().as_secs_f64(), records));
        let reports = self.data.join("reports");
        let before = newest(&reports);
        report.last_success = before.last_success;
        if report.outcome != Outcome::Failed {
            report.last_success.insert(report.command.clone(), report.finished_at.clone());
        }
        report.newest_processing_month = report.newest_processing_month.or(before.newest_processing_month);
        let written = self.data.is_dir().then(|| write(&reports, report));
        let metrics = metrics_file.map_or(Ok(()), |file| {
            let latest = latest_snapshot(&self.data);
            let text = metrics::metrics(&self.report, latest.as_ref().map(|snapshot| &snapshot.manifest));
            disk::write_whole(file, text.as_bytes())
        });
        Written { report: written, metrics }
    }
}

fn now_in_japan() -> String {
    let utc = Utc::now();
    match FixedOffset::east_opt(9 * 3600) {
        Some(japan) => utc.with_timezone(&japan).to_rfc3339_opts(SecondsFormat::Secs, false),
        None => utc.to_rfc3339_opts(SecondsFormat::Secs, false),
    }
}

/// Numbers of the reports that are there, with their paths, in order.
fn numbered(reports: &Path) -> Result<BTreeMap<u64, PathBuf>, DiskError> {
    let number = |path: PathBuf| {
        let name = path.file_name()?.to_str()?.strip_suffix(".json")?;
        let ours = name.len() == 8 && name.bytes().all(|b| b.is_ascii_digit());
        Some((name.parse().ok().filter(|_| ours)?, path))
    };
    Ok(disk::entries(reports)?.into_iter().filter_map(number).collect())
}

/// Facts stacked and seconds of the resolves that reports tell of, the newest first.
pub fn newest_resolves(data: &Path) -> Vec<(f64, f64)> {
    #[derive(Deserialize)]
    struct Told {
        facts_stacked: f64,
        timings: Vec<ToldTiming>,
    }
    #[derive(Deserialize)]
    struct ToldTiming {
        step: String,
        seconds: f64,
    }
    let resolve = |path: PathBuf| {
        let told: Told = disk::read_json(&path).ok()?;
        let timing = told.timings.into_iter().find(|timing| timing.step == "resolve")?;
        Some((told.facts_stacked, timing.seconds))
    };
    let reports = numbered(&data.join("reports")).unwrap_or_default();
    reports.into_values().rev().filter_map(resolve).collect()
}

/// What the newest report that can be read hands on.
fn newest(reports: &Path) -> Before {
    let reports = numbered(reports).unwrap_or_default();
    reports.into_values().rev().find_map(|path| disk::read_json(&path).ok()).unwrap_or_default()
}

/// Writes a report under the next number.
fn write(reports: &Path, report: &mut RunReport) -> Result<PathBuf, DiskError> {
    disk::make_folder(reports)?;
    let reports = &reports.canonicalize().map_err(disk::io(reports))?;
    loop {
        report.number = numbered(reports)?.into_keys().max().unwrap_or(0) + 1;
        let path = reports.join(format!("{:08}.json", report.number));
        crash::point("report.before", &path)?;
        if disk::write_if_absent(&path, &disk::to_json(&path, report)?)? {
            crash::point("report.after", &path)?;
            return Ok(path);
        }
    }
}

fn latest_snapshot(data: &Path) -> Option<Snapshot> {
    if !data.join("snapshots").is_dir() {
        return None;
    }
    Snapshots::open(data).ok()?.find("latest").ok()
}
