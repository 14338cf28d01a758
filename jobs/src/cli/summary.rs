//! What a run sums up on standard output: as lines for people, or as events.

use super::console::Console;
use crate::published::Standing;
use crate::report::{Frozen, Written};
use crate::resolve::{ResolveStats, Resolved};
use serde::Serialize;
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use tsumiage_pipeline::kafka::producer::Sent;
use tsumiage_pipeline::ledger::{Compacted, Ledger};
use tsumiage_pipeline::take_in::FileOutcome;
use tsumiage_pipeline::tally::Tally;
use tsumiage_schemas::Code;

/// Files summed up as they become done; duplicates count as files only.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sums {
    taken: u64,
    duplicate: u64,
    rejected: u64,
    found: i64,
    accepted: i64,
    not_accepted: i64,
    warned: i64,
    bytes: u64,
    any_rejected: bool,
}

impl Sums {
    /// One more file.
    pub fn add(&mut self, outcome: &FileOutcome) {
        self.any_rejected |= outcome.file_rejected || outcome.rejected > 0;
        if outcome.duplicate {
            self.duplicate += 1;
            return;
        }
        *if outcome.file_rejected { &mut self.rejected } else { &mut self.taken } += 1;
        self.found += outcome.records;
        self.accepted += outcome.accepted;
        self.not_accepted += outcome.rejected;
        self.warned += outcome.warned;
        self.bytes += outcome.bytes;
    }

    /// Whether a file, also one seen before, is rejected or has records the reader rejected.
    pub fn any_rejected(&self) -> bool {
        self.any_rejected
    }
}

/// What became of the files of a run.
pub fn taken_in(outcomes: &[FileOutcome], seconds: f64, console: &Console<'_>) {
    let mut sums = Sums::default();
    outcomes.iter().for_each(|outcome| sums.add(outcome));
    summed_up(&sums, seconds, console);
}

/// What became of files, summed up.
pub fn summed_up(sums: &Sums, seconds: f64, console: &Console<'_>) {
    let Sums { taken, duplicate, rejected, found, accepted, not_accepted, warned, bytes, .. } = sums;
    if console.json {
        return console.event(&json!({
            "event": "taken_in",
            "files": {"taken_in": taken, "duplicate": duplicate, "rejected": rejected},
            "records": {"found": found, "accepted": accepted, "rejected": not_accepted, "warned": warned},
            "bytes": bytes,
            "seconds": rounded(seconds),
            "records_per_second": rate(*found, seconds),
        }));
    }
    console.report(&format!(
        "files      {taken} taken in, {duplicate} duplicate, {rejected} rejected\n\
         records    {found} found: {accepted} accepted, {not_accepted} rejected, {warned} warned\n\
         take in    {seconds:.2} s, {} records/s, {:.1} MB\n",
        rate(*found, seconds),
        *bytes as f64 / 1e6,
    ));
}

/// That runs of the ledger were merged.
pub fn compacted(compacted: &Compacted, seconds: f64, console: &Console<'_>) {
    let Compacted { runs, into, rows, bytes } = compacted;
    if console.json {
        return console.event(&json!({
            "event": "compacted",
            "runs": runs,
            "into": into,
            "facts": rows,
            "bytes": bytes,
            "seconds": rounded(seconds),
        }));
    }
    console.report(&format!(
        "compacted  {runs} runs of the ledger into {into}; {seconds:.2} s, {rows} facts, {:.1} MB\n",
        *bytes as f64 / 1e6,
    ));
}

/// What went to Kafka, and the time that threads spent on it.
pub fn sent(sent: &Sent, console: &Console<'_>) {
    let of = |count: &AtomicU64| count.load(Ordering::Relaxed);
    let (messages, bytes, arrow) = (of(&sent.messages), of(&sent.value_bytes), of(&sent.arrow_bytes));
    let seconds = |nanos: &AtomicU64| of(nanos) as f64 / 1e9;
    let (encoding, waiting) = (seconds(&sent.encoding_ns), seconds(&sent.waiting_ns));
    if console.json {
        return console.event(&json!({
            "event": "sent",
            "messages": messages,
            "message_bytes": bytes,
            "arrow_bytes": arrow,
            "encoding_seconds": rounded(encoding),
            "waiting_seconds": rounded(waiting),
        }));
    }
    console.report(&format!(
        "sent       {messages} messages, {:.1} MB of {:.1} MB in memory; {encoding:.2} s encoding, {waiting:.2} s \
         waiting for brokers, all threads\n",
        bytes as f64 / 1e6,
        arrow as f64 / 1e6,
    ));
}

/// How many records there are of a kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Records {
    /// Of the files that this run read.
    pub of_run: i64,
    /// Of all files the snapshot knows.
    pub of_all: i64,
}

/// What stacking did to records, as the table `files` has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stacked {
    /// Refused by it.
    pub refused: Records,
    /// Accepted by it with a warning, its own or the reader's.
    pub warned: Records,
}

impl Stacked {
    /// Counts them, given how the snapshot's files stand.
    pub fn of(outcomes: &[FileOutcome], ledger: &Ledger, standings: &BTreeMap<String, Standing>) -> Stacked {
        let count = |of: &dyn Fn(&Standing, i64) -> i64| {
            let one = |file_id: &str, rejected: i64| standings.get(file_id).map_or(0, |s| of(s, rejected));
            let read = outcomes.iter().filter(|o| !o.duplicate);
            Records {
                of_run: read.map(|o| one(&o.file_id, o.rejected)).sum(),
                of_all: ledger.files().map(|file| one(&file.arrival.file_id, file.rejected)).sum(),
            }
        };
        Stacked { refused: count(&Standing::refused), warned: count(&|standing, _| standing.warned) }
    }
}

/// Rows of the snapshot's findings by code, in one line; a code stands once, whatever its severities.
fn by_code(findings: &Tally) -> String {
    let mut rows: BTreeMap<Code, u64> = BTreeMap::new();
    for entry in findings.entries() {
        *rows.entry(entry.code).or_default() += entry.rows;
    }
    let each: Vec<String> = rows.iter().map(|(code, rows)| format!("{code} {rows}")).collect();
    if each.is_empty() { "none".to_owned() } else { each.join(", ") }
}

/// What resolving came to.
pub fn resolved(resolved: &Resolved, Stacked { refused, warned }: Stacked, console: &Console<'_>) {
    let manifest = &resolved.snapshot.manifest;
    let stats = &resolved.stats;
    if console.json {
        let stats = ResolveStats {
            stack_seconds: rounded(stats.stack_seconds),
            publish_seconds: rounded(stats.publish_seconds),
            wall_seconds: rounded(stats.wall_seconds),
            ..stats.clone()
        };
        return console.event(&json!({
            "event": "resolved", "new": resolved.is_new, "stats": stats, "refused": refused, "warned": warned,
            "findings": manifest.findings_by_code,
        }));
    }
    let stacking = format!(
        "stacking   {} records refused, {} warned of this run's files; {} refused, {} warned of all files\n",
        refused.of_run, warned.of_run, refused.of_all, warned.of_all
    );
    let findings = format!("findings   {}\n", by_code(&manifest.findings_by_code));
    if !resolved.is_new && stats.facts == 0 {
        return console
            .report(&format!("resolve    nothing changed, {} stands\n{stacking}{findings}", manifest.id));
    }
    let (facts, rows) = (stats.facts as i64, stats.month_rows as i64);
    let table = |name: &str| manifest.tables.get(name).map_or(0, |t| t.rows);
    console.report(&format!(
        "resolve    {} of {} units, {} records; {} streams; {:.2} s wall\n\
         \u{20} stack    {:.2} s busy, {} records/s\n\
         \u{20} publish  {:.2} s busy, {} rows/s\n\
         {stacking}\
         publish    {} months, {} rows; history {} rows, findings {}, changes {}\n\
         files      {} made ({:.1} MB), {} as before\n{findings}",
        stats.units - stats.units_standing,
        stats.units,
        facts,
        stats.streams,
        stats.wall_seconds,
        stats.stack_seconds,
        rate(facts, stats.stack_seconds),
        stats.publish_seconds,
        rate(rows, stats.publish_seconds),
        stats.months,
        rows,
        table("recipient_history"),
        table("findings"),
        manifest.changes.rows,
        stats.files_written,
        stats.bytes_written as f64 / 1e6,
        stats.files_standing,
    ));
}

/// What a closing froze.
pub fn frozen(frozen: &Frozen, console: &Console<'_>) {
    let Frozen { snapshot, files, records, accepted, rejected, recipients, month_rows, .. } = frozen;
    if console.json {
        let mut event = json!(frozen);
        event["event"] = json!("frozen");
        return console.event(&event);
    }
    let month = frozen.month.map(|month| month.to_string()).unwrap_or_default();
    let months = match (frozen.first_month, frozen.last_month) {
        (Some(first), Some(last)) => format!("service months {first}..{last}"),
        _ => "no service months".to_owned(),
    };
    console.report(&format!(
        "frozen     as of {month}: {files} files, {records} records: {accepted} accepted, {rejected} rejected\n\
         \u{20}          {recipients} recipients, {month_rows} rows, {months}; snapshot {snapshot}\n"
    ));
}

/// Says where the report is; what could not be written is said even when quiet, and fails nothing.
pub fn written(written: &Written, console: &Console<'_>) {
    match &written.report {
        Some(Ok(path)) if console.json => {
            console.event(&json!({"event": "report", "path": path.display().to_string()}));
        }
        Some(Ok(path)) => console.report(&format!("report     {}\n", path.display())),
        Some(Err(error)) => console.complain(&format!("the run report could not be written: {error}")),
        None => {}
    }
    if let Err(error) = &written.metrics {
        console.complain(&format!("the metrics could not be written: {error}"));
    }
}

/// The last line: which snapshot holds the answer.
pub fn snapshot(resolved: &Resolved, console: &Console<'_>) {
    let id = &resolved.snapshot.manifest.id;
    let path = resolved.snapshot.path.display().to_string();
    if console.json {
        console.event(&json!({"event": "snapshot", "id": id, "path": path, "new": resolved.is_new}));
    } else {
        console.report(&format!("snapshot {id} {path}\n"));
    }
}

/// Seconds to the millisecond, so that an event has no long tails of digits.
pub fn rounded(seconds: f64) -> f64 {
    (seconds * 1000.0).round() / 1000.0
}

fn rate(count: i64, seconds: f64) -> u64 {
    if seconds > 0.0 { (count as f64 / seconds) as u64 } else { 0 }
}
