//! `snapshots gc`: old snapshots go.

use crate::cli::Exit;
use crate::cli::args::{Common, Format, GcArgs};
use crate::cli::console::Console;
use crate::cli::data_folder::DataFolder;
use crate::publish::gc::{Judged, Stays, freed, judged};
use crate::publish::snapshot::{Snapshot, Snapshots};
use serde::Serialize;
use std::fmt::Write;
use std::path::PathBuf;
use tsumiage_pipeline::events;
use tsumiage_schemas::Month;

/// What went and what stays; JSON shows it as it stands here.
#[derive(Serialize)]
struct Told<'a> {
    /// Nothing went: this is what would.
    dry_run: bool,
    snapshots: Vec<Row<'a>>,
    /// Folders that killed runs left.
    leftovers: usize,
    removed: usize,
    /// By snapshots and leftovers.
    freed_bytes: u64,
}

#[derive(Serialize)]
struct Row<'a> {
    id: &'a str,
    as_of: Option<Month>,
    removed: bool,
    /// Why it stays.
    stays: &'a [Stays],
    freed_bytes: u64,
}

/// Removes what may go, oldest first, and says what that freed; with `--dry-run` only says it.
pub fn gc(common: &Common, args: &GcArgs, console: &Console<'_>) -> anyhow::Result<Exit> {
    let (data, _lock) = DataFolder::locked(common)?;
    let all = Snapshots::open(&data)?;
    let keep = usize::try_from(args.keep).unwrap_or(usize::MAX);
    let judged = judged(all.list()?, keep, &all.pointed_at(), &events::read(&data)?);
    let leftovers = all.leftovers()?;
    let goes: Vec<&Snapshot> =
        judged.iter().filter(|one| one.stays.is_empty()).map(|one| &one.snapshot).collect();
    let folders: Vec<PathBuf> =
        leftovers.iter().cloned().chain(goes.iter().map(|snapshot| snapshot.path.clone())).collect();
    let freed = freed(&folders)?; // counted before they go
    if !args.dry_run {
        all.remove_leftovers()?;
        goes.iter().try_for_each(|snapshot| all.remove(snapshot))?;
    }
    let told = told(&judged, leftovers.len(), &freed, args.dry_run);
    console.print(&match common.format {
        Format::Json => format!("{}\n", serde_json::to_string(&told)?),
        Format::Csv => csv(&told)?,
        Format::Table => table(&told),
    })?;
    Ok(Exit::Done)
}

/// `freed` of the leftovers, then of the snapshots that go.
fn told<'a>(judged: &'a [Judged], leftovers: usize, freed: &[u64], dry_run: bool) -> Told<'a> {
    let mut of_snapshots = freed.iter().skip(leftovers).copied();
    let row = |Judged { snapshot, stays }: &'a Judged| Row {
        id: &snapshot.manifest.id,
        as_of: snapshot.manifest.options.as_of,
        removed: stays.is_empty(),
        stays,
        freed_bytes: if stays.is_empty() { of_snapshots.next().unwrap_or(0) } else { 0 },
    };
    let snapshots: Vec<Row<'a>> = judged.iter().map(row).collect();
    let removed = snapshots.iter().filter(|row| row.removed).count();
    Told { dry_run, snapshots, leftovers, removed, freed_bytes: freed.iter().sum() }
}

impl Row<'_> {
    /// What becomes of it, and why.
    fn words(&self) -> String {
        let why = |stays: &Stays| match stays {
            Stays::Newest => "newest",
            Stays::Latest => "latest",
            Stays::Closing => "closing",
        };
        let words: Vec<&str> = self.stays.iter().map(why).collect();
        words.join(" ")
    }
}

fn csv(told: &Told<'_>) -> anyhow::Result<String> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(["id", "as_of", "removed", "stays", "freed_bytes"])?;
    for row in &told.snapshots {
        let as_of = row.as_of.map(|month| month.to_string()).unwrap_or_default();
        let (removed, freed) = (row.removed.to_string(), row.freed_bytes.to_string());
        writer.write_record([row.id, &as_of, &removed, &row.words(), &freed])?;
    }
    Ok(String::from_utf8(writer.into_inner()?)?)
}

fn table(told: &Told<'_>) -> String {
    let goes = if told.dry_run { "would go" } else { "removed" };
    let mut out = String::new();
    for row in &told.snapshots {
        let as_of = row.as_of.map_or_else(|| "all".to_owned(), |month| month.to_string());
        let what = if row.removed {
            format!("{goes}, {} bytes", row.freed_bytes)
        } else {
            format!("stays: {}", row.words())
        };
        let _ = writeln!(out, "{:16} {as_of:8} {what}", row.id);
    }
    let Told { removed, leftovers, freed_bytes, .. } = told;
    let all = told.snapshots.len();
    let (went, came) = if told.dry_run { ("would go", "would come free") } else { ("went", "came free") };
    let left =
        if *leftovers == 0 { String::new() } else { format!(", {leftovers} leftovers of killed runs") };
    let _ = writeln!(out, "{removed} of {all} snapshots {went}{left}; {freed_bytes} bytes {came}");
    out
}
