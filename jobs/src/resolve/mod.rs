//! Resolving the ledger and publishing a snapshot.
//!
//! The registry is stacked first: it tells who holds whom. Then units are stacked and published, several at
//! once. What is published depends on facts and options alone.
//!
//! * `inputs` what every unit is made of, `senders` the findings about a sender's files, `record` both as a
//!   document of the snapshot
//! * `verdict` what stands of an earlier snapshot and why the rest does not (pure), `base` that snapshot,
//!   `prepare` all of it together
//! * `work` one resolve at work, `units` its units, `told` its findings, `finish` the other tables and the manifest
//!
//! Promise: what a resolve leaves is the same whether it goes by an earlier snapshot or not.

use crate::diff::{self, Side, differences::Sources};
use crate::facts::KnownFiles;
use crate::publish::snapshot::{
    Building, CHANGES, ChangesEntry, Snapshot, SnapshotManifest, SnapshotOptions, Snapshots, TableEntry,
};
use crate::stack::Inheritance;
use crate::stack::unit::EngineLimits;
use sha2::{Digest, Sha256};
use std::path::Path;
use std::time::Instant;
use tsumiage_pipeline::archive::Archive;
use tsumiage_pipeline::disk;
use tsumiage_pipeline::ledger::Ledger;
use tsumiage_schemas::{Month, MonthRange, Spec};

pub mod base;
mod finish;
pub mod inputs;
pub mod prepare;
pub mod record;
pub mod senders;
mod told;
mod units;
pub mod verdict;
mod work;

use inputs::FileInputs;
use record::Record;
use verdict::Basis;
use work::Work;

pub use told::OfNoUnit;

/// What is to be resolved.
#[derive(Clone, Debug)]
pub struct ResolveRequest {
    /// Only what was known as of this processing month.
    pub as_of: Option<Month>,
    /// How blanks are filled.
    pub inheritance: Inheritance,
    /// Months to publish; `None` = the default window.
    pub months: Option<MonthRange>,
    /// Whether the snapshot becomes `latest`, so that it tells what changed since the one before it.
    pub becomes_latest: bool,
}

/// What a resolve works with.
pub struct Workplace<'a> {
    /// The data folder.
    pub data: &'a Path,
    /// The ledger.
    pub ledger: &'a Ledger,
    /// Layouts, codes, catalogue.
    pub spec: &'a Spec,
    /// Digest of them.
    pub layouts: &'a str,
    /// Engine limits.
    pub limits: EngineLimits,
    /// Settings as the manifest shows them.
    pub settings: serde_json::Value,
}

/// Told how far a resolve is: facts stacked of facts in all.
pub type Progress<'a> = &'a (dyn Fn(u64, u64) + Sync);

/// How much was done and how long it took; steps overlap, each is its own busy time.
#[derive(Clone, Debug, Default, serde::Serialize)]
pub struct ResolveStats {
    /// Units of the snapshot.
    pub units: u64,
    /// Of these taken over from an earlier snapshot.
    pub units_standing: u64,
    /// Facts stacked by this run.
    pub facts: u64,
    /// Streams of the snapshot.
    pub streams: u64,
    /// Files taken over, and files made.
    pub files_standing: u64,
    /// See `files_standing`.
    pub files_written: u64,
    /// Bytes of the files made.
    pub bytes_written: u64,
    /// Rows of `recipient_month`.
    pub month_rows: u64,
    /// Months published.
    pub months: u64,
    /// Rows of `changes`.
    pub changes: u64,
    /// Reading the ledger and stacking.
    pub stack_seconds: f64,
    /// Building and writing tables.
    pub publish_seconds: f64,
    /// The whole resolve.
    pub wall_seconds: f64,
}

/// The outcome.
pub struct Resolved {
    /// The snapshot that holds the answer.
    pub snapshot: Snapshot,
    /// Whether it is new; else nothing had changed and it stood already.
    pub is_new: bool,
    /// Figures; zero if nothing was done.
    pub stats: ResolveStats,
    /// Files of the snapshot before that are damaged, so that `changes` does not tell what differs from them.
    pub damaged: Vec<String>,
}

/// The options a request comes to, given what is known.
pub fn effective_options(request: &ResolveRequest, known: &KnownFiles<'_>) -> SnapshotOptions {
    let months = request.months.or_else(|| known.default_months());
    SnapshotOptions {
        as_of: request.as_of,
        inheritance: request.inheritance,
        first_month: months.map(|m| m.first),
        last_month: months.map(|m| m.last),
    }
}

/// Resolves and publishes; if a snapshot of the same facts and options stands, that one is returned.
///
/// # Errors
/// The machine failed; then nothing is published.
pub fn resolve(
    place: &Workplace<'_>,
    request: &ResolveRequest,
    progress: Progress<'_>,
) -> anyhow::Result<Resolved> {
    let begun = Instant::now();
    readable(place.ledger, place.spec)?;
    if place.ledger.files().next().is_none()
        && !Archive::to_read(place.data).arrivals_but(|_| false)?.is_empty()
    {
        anyhow::bail!("the ledger is empty, but the archive is not; run `tsumiage rebuild`");
    }
    let events = tsumiage_pipeline::events::read(place.data)?;
    let known = KnownFiles::new(place.ledger, &events, request.as_of);
    let options = effective_options(request, &known);
    let files = FileInputs::new(&known);
    let inputs_digest = inputs_digest(place, &known, &files, &options)?;
    let snapshots = Snapshots::open(place.data)?;
    let published = snapshots.list()?;
    if let Some(standing) = published.iter().rev().find(|s| s.manifest.inputs_digest == inputs_digest) {
        let snapshot = standing.clone();
        return Ok(Resolved { snapshot, is_new: false, stats: ResolveStats::default(), damaged: Vec::new() });
    }
    let mut building = snapshots.begin()?;
    let latest = snapshots.latest_id();
    let mut work = Work::new(place, &known, files, &options, (&published, latest.as_deref()))?;
    work.standing(&mut building)?;
    work.recipients(&building, request, progress)?;
    work.cards(&mut building)?;
    let (mut manifest, record, mut stats) = work.complete(&building, options, inputs_digest)?;
    let since = latest.filter(|_| request.becomes_latest);
    let since = since.and_then(|id| published.iter().find(|snapshot| snapshot.manifest.id == id));
    let sources = Sources { ledger: place.ledger, spec: place.spec };
    let damaged = changes(&building, &mut manifest, &record, since, &sources)?;
    stats.changes = manifest.changes.rows;
    let before: Option<String> = published.last().map(|s| s.manifest.id.clone());
    let snapshot = snapshots.complete(building, manifest, &published)?;
    stats.wall_seconds = begun.elapsed().as_secs_f64();
    let is_new = before.is_none_or(|id| id < snapshot.manifest.id);
    Ok(Resolved { snapshot, is_new, stats, damaged })
}

/// Adds the table `changes` to a snapshot that is being made; gives the paths of files before that are damaged.
fn changes(
    building: &Building,
    manifest: &mut SnapshotManifest,
    record: &Record,
    since: Option<&Snapshot>,
    sources: &Sources<'_>,
) -> anyhow::Result<Vec<String>> {
    let earlier = since.map(|snapshot| Record::read(snapshot).unwrap_or_default());
    let before = since.zip(earlier.as_ref()).map(|(snapshot, record)| Side {
        path: &snapshot.path,
        manifest: &snapshot.manifest,
        record,
        is_new: false,
    });
    let after = Side { path: &building.path, manifest, record, is_new: true };
    let (files, damaged) = diff::table::write(&building.path, before.as_ref(), &after, sources)?;
    let TableEntry { rows, rows_digest } = finish::tables(&files).remove(CHANGES).unwrap_or_default();
    let since = since.map(|snapshot| snapshot.manifest.id.clone());
    manifest.changes = ChangesEntry { since, rows, rows_digest };
    manifest.files.extend(files);
    Ok(damaged)
}

/// Refuses layouts that do not fit the facts: masks and columns of facts follow the items' order.
///
/// # Errors
/// Other items than appended ones changed since the facts were read.
pub fn readable(ledger: &Ledger, spec: &Spec) -> anyhow::Result<()> {
    match ledger.unreadable_with(spec) {
        None => Ok(()),
        Some(table) => anyhow::bail!(
            "the layout of {} changed in more than appended items since its records were taken in; \
             run `tsumiage rebuild` to read them again",
            table.kind().map_or(table.name(), tsumiage_schemas::RecordKind::name)
        ),
    }
}

/// Digest of everything that determines the content.
///
/// # Errors
/// None on plain data.
pub fn inputs_digest(
    place: &Workplace<'_>,
    known: &KnownFiles<'_>,
    files: &FileInputs,
    options: &SnapshotOptions,
) -> anyhow::Result<String> {
    let mut hash = Sha256::new();
    hash.update(Basis::RULES); // other code may give another answer
    hash.update(place.layouts);
    hash.update(serde_json::to_vec(options)?);
    hash.update(serde_json::to_vec(&files.files)?);
    hash.update(serde_json::to_vec(&known.withdrawn)?);
    Ok(disk::hex(&hash.finalize()))
}
