//! A run in Prometheus' text format, for node_exporter's textfile collector (docs/operations.md, "Metrics").
//!
//! Promise: one file per data folder is always complete, whatever command wrote it: what a run did not
//! come to keeps its last value. Labels are few and bounded: no senders, no file names, no people.

use super::document::{RunReport, rows};
use crate::publish::snapshot::SnapshotManifest;
use chrono::DateTime;
use std::fmt::{Display, Write};
use tsumiage_pipeline::tally::Tally;

/// Seconds that Japan's clocks are ahead of UTC.
const JAPAN: i64 = 9 * 3600;

struct Text(String);

/// One value and its labels.
type Sample<'a> = (Vec<(&'static str, &'a str)>, f64);

impl Text {
    /// A family of gauges; left out if it has no sample.
    fn gauges<'a>(&mut self, name: &str, help: &str, samples: impl IntoIterator<Item = Sample<'a>>) {
        let mut samples = samples.into_iter().peekable();
        if samples.peek().is_some() {
            self.line(format_args!("# HELP tsumiage_{name} {help}\n# TYPE tsumiage_{name} gauge"));
        }
        for (labels, value) in samples {
            let labels: Vec<String> =
                labels.iter().map(|(l, text)| format!("{l}=\"{}\"", escaped(text))).collect();
            let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
            self.line(format_args!("tsumiage_{name}{labels} {value}"));
        }
    }

    fn gauge(&mut self, name: &str, help: &str, value: Option<f64>) {
        self.gauges(name, help, value.map(|value| (Vec::new(), value)));
    }

    fn line(&mut self, line: impl Display) {
        let _ = writeln!(self.0, "{line}"); // a String takes everything
    }
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

/// Seconds since 1970 of a time as a report has it.
fn seconds(time: &str) -> Option<f64> {
    DateTime::parse_from_rfc3339(time).ok().map(|time| time.timestamp() as f64)
}

/// The metrics after a run; `latest` is the manifest of the snapshot that `latest` points at.
pub fn metrics(run: &RunReport, latest: Option<&SnapshotManifest>) -> String {
    let mut text = Text(String::new());
    run_gauges(&mut text, run);
    file_gauges(&mut text, run);
    if let Some(latest) = latest {
        let rows = rows(latest);
        let of_table = rows.iter().map(|(table, rows)| (vec![("table", table.as_str())], *rows as f64));
        text.gauges(
            "snapshot_rows",
            "Rows per table of the newest snapshot made with the settings.",
            of_table,
        );
        let help = "Findings of the newest snapshot made with the settings, all files.";
        findings(&mut text, "snapshot_findings", help, &latest.findings_by_code);
    }
    let month = run.newest_processing_month.map(|m| (i64::from(m.first_day().0) * 86_400 - JAPAN) as f64);
    let help = "First day, 0:00 in Japan, of the newest processing month of an accepted file.";
    text.gauge("newest_processing_month_timestamp_seconds", help, month);
    text.0
}

fn run_gauges(text: &mut Text, run: &RunReport) {
    let (command, version) = (run.command.as_str(), run.program_version.as_str());
    let info = [(vec![("command", command), ("version", version)], 1.0)];
    text.gauges("last_run_info", "Command and program version of the last run.", info);
    text.gauge("last_run_timestamp_seconds", "When the last run ended.", seconds(&run.finished_at));
    let succeeded = run.last_success.iter().filter_map(|(command, time)| Some((command, seconds(time)?)));
    text.gauges(
        "last_success_timestamp_seconds",
        "When a run of this command last ended with exit code 0 or 2.",
        succeeded.map(|(command, time)| (vec![("command", command.as_str())], time)),
    );
    text.gauge(
        "last_run_exit_code",
        "Exit code of the last run: 0 done, 1 failed, 2 done with rejected files or records.",
        Some(f64::from(run.exit_code)),
    );
    text.gauges(
        "last_run_duration_seconds",
        "How long the steps of the last run took; stack and publish overlap.",
        run.timings.iter().map(|timing| (vec![("step", timing.step)], timing.seconds)),
    );
}

fn file_gauges(text: &mut Text, run: &RunReport) {
    let totals = &run.totals;
    let by_outcome = |counts: &'static [&'static str], values: Vec<f64>| {
        counts.iter().zip(values).map(|(outcome, value)| (vec![("outcome", *outcome)], value))
    };
    let files = [totals.files_taken_in, totals.files_duplicate, totals.files_rejected];
    text.gauges(
        "last_run_files",
        "Files of the last run.",
        by_outcome(&["taken_in", "duplicate", "rejected"], files.map(|n| n as f64).to_vec()),
    );
    let of = &totals.records;
    let records = [of.found, of.accepted, of.rejected, of.refused, of.warned];
    text.gauges(
        "last_run_records",
        "Records of the last run's files, duplicates aside; refused ones were accepted by the reader.",
        by_outcome(
            &["found", "accepted", "rejected", "refused", "warned"],
            records.map(|n| n as f64).to_vec(),
        ),
    );
    findings(text, "last_run_findings", "Findings of the reader in the last run's files.", &run.findings);
    let stacked = run.facts_stacked as f64;
    text.gauge("last_run_facts_stacked", "Facts stacked; 0 if nothing had changed.", Some(stacked));
}

fn findings(text: &mut Text, name: &str, help: &str, tally: &Tally) {
    let entries = tally.entries().map(|entry| {
        (vec![("code", entry.code.as_str()), ("severity", entry.severity.as_str())], entry.count as f64)
    });
    text.gauges(name, help, entries);
}
