//! What a run sums up on standard output: as lines for people, or as events.

use super::console::Console;
use crate::report::Written;
use crate::resolve::Resolved;
use serde_json::json;
use tsumiage_pipeline::take_in::FileOutcome;

/// What became of the files of a run.
pub fn taken_in(outcomes: &[FileOutcome], seconds: f64, console: &Console<'_>) {
    let new = || outcomes.iter().filter(|o| !o.duplicate);
    let sum = |f: &dyn Fn(&FileOutcome) -> i64| new().map(f).sum::<i64>();
    let (taken, rejected) =
        (new().filter(|o| !o.file_rejected).count(), new().filter(|o| o.file_rejected).count());
    let duplicate = outcomes.iter().filter(|o| o.duplicate).count();
    let (records, accepted) = (sum(&|o| o.records), sum(&|o| o.accepted));
    let (not_accepted, warned) = (sum(&|o| o.rejected), sum(&|o| o.warned));
    let bytes: u64 = new().map(|o| o.bytes).sum();
    if console.json {
        return console.event(&json!({
            "event": "taken_in",
            "files": {"taken_in": taken, "duplicate": duplicate, "rejected": rejected},
            "records": {"found": records, "accepted": accepted, "rejected": not_accepted, "warned": warned},
            "bytes": bytes,
            "seconds": seconds,
            "records_per_second": rate(records, seconds),
        }));
    }
    console.report(&format!(
        "files      {taken} taken in, {duplicate} duplicate, {rejected} rejected\n\
         records    {records} found: {accepted} accepted, {not_accepted} rejected, {warned} warned\n\
         take in    {seconds:.2} s, {} records/s, {:.1} MB\n",
        rate(records, seconds),
        bytes as f64 / 1e6,
    ));
}

/// What resolving came to.
pub fn resolved(resolved: &Resolved, console: &Console<'_>) {
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

fn rate(count: i64, seconds: f64) -> u64 {
    if seconds > 0.0 { (count as f64 / seconds) as u64 } else { 0 }
}
