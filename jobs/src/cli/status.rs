//! `status`: what is in the data folder.

use super::Exit;
use super::args::{Common, Format};
use super::console::Console;
use super::data_folder::DataFolder;
use crate::publish::snapshot::Snapshots;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use tsumiage_pipeline::ledger::{FileEntry, Ledger};
use tsumiage_schemas::Month;

/// Prints files per processing month, the newest snapshot, who sent last month but not this, and the
/// settings.
pub fn status(common: &Common, console: &Console<'_>) -> anyhow::Result<Exit> {
    let folder = DataFolder::to_read(common)?;
    let ledger = Ledger::open(&folder.path)?;
    let snapshots = Snapshots::open(&folder.path)?;
    let files: Vec<&FileEntry> = ledger.files().collect();
    let months = months(&files);
    let newest = snapshots.latest_id().map(|id| snapshots.find(&id)).transpose()?;
    let document = json!({
        "data": folder.path.display().to_string(),
        "files": {
            "known": files.len(),
            "rejected": files.iter().filter(|f| f.file_rejected).count(),
        },
        "processing_months": months,
        "missing_senders": missing_senders(&files),
        "ledger": {"commits": ledger.commits(), "insurers": ledger.runs().len()},
        "latest": newest.map(|s| json!({
            "id": s.manifest.id,
            "path": s.path.display().to_string(),
            "first_month": s.manifest.options.first_month,
            "last_month": s.manifest.options.last_month,
        })),
        "snapshots": snapshots.list()?.len(),
        "settings": folder.settings,
    });
    let text = match common.format {
        Format::Json => format!("{}\n", serde_json::to_string_pretty(&document)?),
        Format::Csv => csv(&months),
        Format::Table => table(&document, &months),
    };
    console.print(&text)?;
    Ok(Exit::Done)
}

/// Files and records per processing month, newest last; files without a valid month come first.
fn months(files: &[&FileEntry]) -> Vec<Value> {
    let mut by_month: BTreeMap<Option<Month>, Vec<&&FileEntry>> = BTreeMap::new();
    for file in files {
        by_month.entry(file.processing_month).or_default().push(file);
    }
    let row = |(month, files): (&Option<Month>, &Vec<&&FileEntry>)| {
        let sum = |f: &dyn Fn(&FileEntry) -> i64| files.iter().map(|file| f(file)).sum::<i64>();
        json!({
            "month": month,
            "files": files.len(),
            "rejected_files": files.iter().filter(|f| f.file_rejected).count(),
            "records": sum(&|f| f.records),
            "accepted": sum(&|f| f.accepted),
            "rejected": sum(&|f| f.rejected),
        })
    };
    by_month.iter().map(row).collect()
}

/// Senders of the month before the newest one that have not sent for the newest.
fn missing_senders(files: &[&FileEntry]) -> Value {
    let accepted = || files.iter().filter(|f| !f.file_rejected);
    let Some(newest) = accepted().filter_map(|f| f.processing_month).max() else { return json!(null) };
    let of = |month: Month| -> BTreeSet<&str> {
        accepted()
            .filter(|f| f.processing_month == Some(month))
            .filter_map(|f| f.sender_no.as_deref())
            .collect()
    };
    let (now, before) = (of(newest), of(Month(newest.0 - 1)));
    json!({"month": newest, "senders": before.difference(&now).collect::<Vec<_>>()})
}

const COLUMNS: [&str; 6] = ["month", "files", "rejected_files", "records", "accepted", "rejected"];

fn cell(row: &Value, name: &str) -> String {
    match &row[name] {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn csv(months: &[Value]) -> String {
    let mut out = format!("{}\n", COLUMNS.join(","));
    for row in months {
        let _ = writeln!(out, "{}", COLUMNS.map(|name| cell(row, name)).join(","));
    }
    out
}

fn table(document: &Value, months: &[Value]) -> String {
    let mut out = format!("data folder  {}\n", cell(document, "data"));
    let files = &document["files"];
    let _ = writeln!(out, "files        {} known, {} rejected", files["known"], files["rejected"]);
    let latest = &document["latest"];
    let _ = match latest["id"].as_str() {
        Some(id) => writeln!(
            out,
            "latest       {id}, months {}..{}, one of {} snapshots",
            cell(latest, "first_month"),
            cell(latest, "last_month"),
            document["snapshots"]
        ),
        None => writeln!(out, "latest       no snapshot yet"),
    };
    let _ = writeln!(
        out,
        "\n{:10} {:>7} {:>9} {:>10} {:>10} {:>9}",
        "processing", "files", "files", "records", "records", "records"
    );
    let _ = writeln!(
        out,
        "{:10} {:>7} {:>9} {:>10} {:>10} {:>9}",
        "month", "", "rejected", "", "accepted", "rejected"
    );
    for row in months {
        let month = if row["month"].is_null() { "(none)".to_owned() } else { cell(row, "month") };
        let [_, files, rejected_files, records, accepted, rejected] = COLUMNS.map(|name| cell(row, name));
        let _ = writeln!(
            out,
            "{month:10} {files:>7} {rejected_files:>9} {records:>10} {accepted:>10} {rejected:>9}"
        );
    }
    let missing = &document["missing_senders"];
    let senders: Vec<&str> =
        missing["senders"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    if !senders.is_empty() {
        let _ = writeln!(
            out,
            "\nsent for the month before but not for {}: {}",
            cell(missing, "month"),
            senders.join(", ")
        );
    }
    let _ = writeln!(out, "\nsettings (settings.toml)");
    for (name, value) in document["settings"].as_object().into_iter().flatten() {
        let _ =
            writeln!(out, "  {name:12} {}", value.as_str().map_or_else(|| value.to_string(), str::to_owned));
    }
    out
}
