//! `snapshots list | show | diff | verify | gc`.

mod gc;

use super::Exit;
use super::args::{Common, Format, SnapshotsAction};
use super::console::Console;
use super::data_folder::DataFolder;
use crate::publish::snapshot::{Snapshot, Snapshots};
use crate::publish::verify::verify;
use serde_json::{Value, json};
use std::fmt::Write;

/// Runs one of the actions.
pub fn snapshots(common: &Common, action: &SnapshotsAction, console: &Console<'_>) -> anyhow::Result<Exit> {
    let folder = DataFolder::to_read(common)?;
    let all = Snapshots::open(&folder.path)?;
    match action {
        SnapshotsAction::Gc(args) => return gc::gc(common, args, console),
        SnapshotsAction::List => {
            let rows: Vec<Value> = all.list()?.iter().map(row).collect();
            console.print(&listed(&rows, all.latest_id().as_deref(), common.format))?;
        }
        SnapshotsAction::Show { id } => console.print(&shown(&all.find(id)?, common.format)?)?,
        SnapshotsAction::Diff { before, after, out } => {
            let (before, after) = (all.find(before)?, all.find(after)?);
            super::diff::diff(common, &folder, (&before, &after), out.as_deref(), console)?;
        }
        SnapshotsAction::Verify { id } => {
            let snapshot = all.find(id.as_deref().unwrap_or("latest"))?;
            let faults = verify(&snapshot)?;
            for fault in &faults {
                console.complain(&format!("snapshot {}: {fault}", snapshot.manifest.id));
            }
            let (id, files) = (&snapshot.manifest.id, snapshot.manifest.files.len());
            if common.format == Format::Json {
                let document =
                    json!({"id": id, "files": files, "whole": faults.is_empty(), "faults": faults});
                console.print(&format!("{document}\n"))?;
            } else if faults.is_empty() {
                console.print(&format!("snapshot {id} is whole: {files} files checked\n"))?;
            }
            if !faults.is_empty() {
                anyhow::bail!(
                    "snapshot {id} is damaged; move its folder away, then make it again with `tsumiage resolve`"
                );
            }
        }
    }
    Ok(Exit::Done)
}

fn row(snapshot: &Snapshot) -> Value {
    let manifest = &snapshot.manifest;
    json!({
        "id": manifest.id,
        "path": snapshot.path.display().to_string(),
        "as_of": manifest.options.as_of,
        "inheritance": manifest.options.inheritance,
        "first_month": manifest.options.first_month,
        "last_month": manifest.options.last_month,
        "rows": manifest.tables.get("recipient_month").map_or(0, |t| t.rows),
    })
}

fn listed(rows: &[Value], latest: Option<&str>, format: Format) -> String {
    const COLUMNS: [&str; 7] = ["id", "as_of", "inheritance", "first_month", "last_month", "rows", "path"];
    let text = |row: &Value, name: &str| match &row[name] {
        Value::Null if name == "as_of" && format == Format::Table => "all".to_owned(),
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let mut out = String::new();
    match format {
        Format::Json => {
            let _ = writeln!(out, "{}", Value::Array(rows.to_vec()));
        }
        Format::Csv => {
            let _ = writeln!(out, "{}", COLUMNS.join(","));
            for row in rows {
                let _ = writeln!(out, "{}", COLUMNS.map(|name| text(row, name)).join(","));
            }
        }
        Format::Table => {
            let _ = writeln!(
                out,
                "  {:16} {:8} {:12} {:19} {:>12}",
                "id", "as of", "inheritance", "months", "rows"
            );
            for row in rows {
                let mark = if row["id"].as_str() == latest { "*" } else { " " };
                let months = format!("{}..{}", text(row, "first_month"), text(row, "last_month"));
                let _ = writeln!(
                    out,
                    "{mark} {:16} {:8} {:12} {months:19} {:>12}",
                    text(row, "id"),
                    text(row, "as_of"),
                    text(row, "inheritance"),
                    text(row, "rows")
                );
            }
        }
    }
    out
}

fn shown(snapshot: &Snapshot, format: Format) -> anyhow::Result<String> {
    let manifest = &snapshot.manifest;
    if format == Format::Json {
        return Ok(format!("{}\n", serde_json::to_string_pretty(manifest)?));
    }
    let row = row(snapshot);
    let mut out = String::new();
    for (name, value) in row.as_object().into_iter().flatten() {
        let _ =
            writeln!(out, "{name:16} {}", value.as_str().map_or_else(|| value.to_string(), str::to_owned));
    }
    let _ = writeln!(out, "{:16} {}", "program", manifest.program_version);
    let _ = writeln!(out, "{:16} {}", "content_digest", manifest.content_digest);
    for (name, table) in &manifest.tables {
        let _ = writeln!(out, "{name:20} {:>12} rows  {}", table.rows, table.rows_digest);
    }
    let since =
        manifest.changes.since.as_deref().map_or("nothing before".to_owned(), |id| format!("since {id}"));
    let _ = writeln!(out, "{:20} {:>12} rows  {since}", "changes", manifest.changes.rows);
    let bytes: u64 = manifest.files.iter().map(|f| f.bytes).sum();
    let _ = writeln!(out, "{} files, {bytes} bytes", manifest.files.len());
    Ok(out)
}
