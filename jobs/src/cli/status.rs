//! `status`: what is in the data folder.

use super::Exit;
use super::args::{Common, Format};
use super::console::Console;
use super::data_folder::DataFolder;
use crate::publish::snapshot::Snapshots;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use tsumiage_pipeline::events::{self, Closings, Withdrawals};
use tsumiage_pipeline::ledger::{FileEntry, Ledger};
use tsumiage_schemas::Month;

/// Rejected files named in the table form; JSON has them all.
const REJECTED_SHOWN: usize = 10;

/// Prints files per processing month, which months are closed, what is rejected or withdrawn, the newest
/// snapshot, who sent last month but not this, and the settings.
pub fn status(common: &Common, console: &Console<'_>) -> anyhow::Result<Exit> {
    let folder = DataFolder::to_read(common)?;
    let ledger = Ledger::open(&folder.path)?;
    let snapshots = Snapshots::open(&folder.path)?;
    let events = events::read(&folder.path)?;
    let (closings, withdrawals) = (Closings::of(&events), Withdrawals::of(&events, None));
    let files: Vec<&FileEntry> = ledger.files().collect();
    let counting: Vec<&FileEntry> =
        files.iter().copied().filter(|f| !f.file_rejected && !withdrawals.file(&f.arrival.file_id)).collect();
    let months = months(&files, &closings);
    let newest = snapshots.latest_id().map(|id| snapshots.find(&id)).transpose()?;
    let document = json!({
        "data": folder.path.display().to_string(),
        "files": {
            "known": files.len(),
            "rejected": files.iter().filter(|f| f.file_rejected).count(),
            "withdrawn": files.iter().filter(|f| withdrawals.file(&f.arrival.file_id)).count(),
            "withdrawn_records": withdrawals.files().map(|id| withdrawals.records(id).count()).sum::<usize>(),
            "other_layouts": files.iter().filter(|f| !f.file_rejected && f.layouts != folder.layouts).count(),
        },
        "rejected_files": files.iter().filter(|f| f.file_rejected).map(|f| json!({
            "file_id": f.arrival.file_id,
            "name": f.arrival.name,
            "processing_month": f.processing_month,
            "taken_in_on": f.arrival.taken_in_on,
        })).collect::<Vec<_>>(),
        "closed_through": closings.through,
        "open_months": months.iter().filter(|m| m["state"] == "open").map(|m| &m["month"]).collect::<Vec<_>>(),
        "processing_months": months,
        "missing_senders": missing_senders(&counting),
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
fn months(files: &[&FileEntry], closings: &Closings) -> Vec<Value> {
    let mut by_month: BTreeMap<Option<Month>, Vec<&&FileEntry>> = BTreeMap::new();
    for file in files {
        by_month.entry(file.processing_month).or_default().push(file);
    }
    let row = |(month, files): (&Option<Month>, &Vec<&&FileEntry>)| {
        let sum = |f: &dyn Fn(&FileEntry) -> i64| files.iter().map(|file| f(file)).sum::<i64>();
        json!({
            "month": month,
            "state": month.map(|m| if closings.closed(m) { "closed" } else { "open" }),
            "files": files.len(),
            "rejected_files": files.iter().filter(|f| f.file_rejected).count(),
            "records": sum(&|f| f.records),
            "accepted": sum(&|f| f.accepted),
            "rejected": sum(&|f| f.rejected),
        })
    };
    by_month.iter().map(row).collect()
}

/// Senders of the month before the newest one that have not sent for the newest, by the files that count.
fn missing_senders(counting: &[&FileEntry]) -> Value {
    let Some(newest) = counting.iter().filter_map(|f| f.processing_month).max() else { return json!(null) };
    let of = |month: Month| -> BTreeSet<&str> {
        counting
            .iter()
            .filter(|f| f.processing_month == Some(month))
            .filter_map(|f| f.sender_no.as_deref())
            .collect()
    };
    let (now, before) = (of(newest), of(Month(newest.0 - 1)));
    json!({"month": newest, "senders": before.difference(&now).collect::<Vec<_>>()})
}

const COLUMNS: [&str; 7] = ["month", "files", "rejected_files", "records", "accepted", "rejected", "state"];

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
    let _ = writeln!(
        out,
        "files        {} known, {} rejected, {} withdrawn (and {} single records)",
        files["known"], files["rejected"], files["withdrawn"], files["withdrawn_records"]
    );
    let _ = match document["closed_through"].as_str() {
        Some(month) => writeln!(out, "closed       {month} and all earlier processing months"),
        None => writeln!(out, "closed       no processing month yet"),
    };
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
    month_rows(&mut out, months);
    to_do(&mut out, document);
    let _ = writeln!(out, "\nsettings (settings.toml)");
    for (name, value) in document["settings"].as_object().into_iter().flatten() {
        let _ =
            writeln!(out, "  {name:12} {}", value.as_str().map_or_else(|| value.to_string(), str::to_owned));
    }
    out
}

fn month_rows(out: &mut String, months: &[Value]) {
    let heads = [
        ["processing", "", "files", "files", "records", "records", "records"],
        ["month", "", "", "rejected", "", "accepted", "rejected"],
    ];
    out.push('\n');
    for [month, state, files, rejected_files, records, accepted, rejected] in heads {
        let row = format!(
            "{month:10} {state:6} {files:>7} {rejected_files:>9} {records:>10} {accepted:>10} {rejected:>9}"
        );
        let _ = writeln!(out, "{}", row.trim_end());
    }
    for row in months {
        let month = if row["month"].is_null() { "(none)".to_owned() } else { cell(row, "month") };
        let [_, files, rejected_files, records, accepted, rejected, state] =
            COLUMNS.map(|name| cell(row, name));
        let _ = writeln!(
            out,
            "{month:10} {state:6} {files:>7} {rejected_files:>9} {records:>10} {accepted:>10} {rejected:>9}"
        );
    }
}

/// What somebody should look after.
fn to_do(out: &mut String, document: &Value) {
    let missing = &document["missing_senders"];
    let senders: Vec<&str> =
        missing["senders"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    if !senders.is_empty() {
        let month = cell(missing, "month");
        let _ = writeln!(out, "\nsent for the month before but not for {month}: {}", senders.join(", "));
    }
    let rejected = document["rejected_files"].as_array().map_or(&[][..], Vec::as_slice);
    if !rejected.is_empty() {
        let _ = writeln!(out, "\nrejected files (see `tsumiage findings --file ID`)");
        for file in rejected.iter().take(REJECTED_SHOWN) {
            let (id, month) = (cell(file, "file_id"), cell(file, "processing_month"));
            let _ = writeln!(out, "  {:12} {month:7} {}", id.get(..12).unwrap_or(&id), cell(file, "name"));
        }
        if rejected.len() > REJECTED_SHOWN {
            let _ = writeln!(out, "  and {} more", rejected.len() - REJECTED_SHOWN);
        }
    }
    let other = document["files"]["other_layouts"].as_u64().unwrap_or(0);
    if other > 0 {
        let _ = writeln!(
            out,
            "\n{other} files were read with other layouts than those in force; to read them again: \
             `tsumiage nightly --recheck` or `tsumiage rebuild`"
        );
    }
}
