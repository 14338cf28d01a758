//! Resolving the ledger and publishing a snapshot.
//!
//! Units (insurers) are stacked one after another; while one chunk is published on all cores the next is
//! read and stacked. What is published depends on facts and options alone.

use crate::facts::KnownFiles;
use crate::publish::calendar::Levels;
use crate::publish::digest::RowsDigest;
use crate::publish::explain::explanations;
use crate::publish::files::StackedFile;
use crate::publish::findings::{FileCounts, Spool, count_by_file, stacking_findings};
use crate::publish::recipients::{UnitFiles, UnitPublished, month_path};
use crate::publish::snapshot::{
    Building, Snapshot, SnapshotManifest, SnapshotOptions, Snapshots, TableEntry,
};
use crate::publish::table_file::{PublishedFile, RECIPIENT_TABLE, TableFile};
use crate::publish::tables::{Context, chunk_tables};
use crate::stack::Inheritance;
use crate::stack::scan::Run;
use crate::stack::unit::{EngineLimits, StackRequest, Unit, engine, physical_plan, run_chunks};
use arrow::array::RecordBatch;
use datafusion::execution::SessionState;
use futures::StreamExt;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::{Duration, Instant};
use tsumiage_pipeline::archive::Archive;
use tsumiage_pipeline::disk::{self, DiskError};
use tsumiage_pipeline::ledger::{FileEntry, Ledger, read_findings};
use tsumiage_schemas::holder::Holders;
use tsumiage_schemas::tables::{fact_schema, recipient_history_schema, recipient_month_schema};
use tsumiage_schemas::{Day, FactTable, Month, MonthRange, Spec};

/// What is to be resolved.
#[derive(Clone, Debug)]
pub struct ResolveRequest {
    /// Only what was known as of this processing month.
    pub as_of: Option<Month>,
    /// How blanks are filled.
    pub inheritance: Inheritance,
    /// Months to publish; `None` = the default window.
    pub months: Option<MonthRange>,
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
    /// Facts stacked.
    pub facts: u64,
    /// Streams with a live record.
    pub streams: u64,
    /// Rows of `recipient_month`.
    pub month_rows: u64,
    /// Months published.
    pub months: u64,
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
    let inputs_digest = inputs_digest(place, &known, &options)?;
    let snapshots = Snapshots::open(place.data)?;
    if let Some(standing) =
        snapshots.list()?.into_iter().rev().find(|s| s.manifest.inputs_digest == inputs_digest)
    {
        return Ok(Resolved { snapshot: standing, is_new: false, stats: ResolveStats::default() });
    }
    let building = snapshots.begin()?;
    let mut work = Work::new(place, &known, &options)?;
    work.recipients(&building, request, progress)?;
    let (manifest, mut stats) = work.complete(&building, options, inputs_digest)?;
    let before: Option<String> = snapshots.list()?.last().map(|s| s.manifest.id.clone());
    let snapshot = snapshots.complete(building, manifest)?;
    stats.wall_seconds = begun.elapsed().as_secs_f64();
    let is_new = before.is_none_or(|id| id < snapshot.manifest.id);
    Ok(Resolved { snapshot, is_new, stats })
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
            table.kind().name()
        ),
    }
}

/// Digest of everything that determines the content.
fn inputs_digest(
    place: &Workplace<'_>,
    known: &KnownFiles<'_>,
    options: &SnapshotOptions,
) -> anyhow::Result<String> {
    let mut hash = Sha256::new();
    hash.update(env!("CARGO_PKG_VERSION"));
    hash.update(env!("TSUMIAGE_RULES")); // other code may give another answer
    hash.update(place.layouts);
    hash.update(serde_json::to_vec(options)?);
    for file in &known.files {
        hash.update(serde_json::to_vec(&(&file.arrival, &file.layouts))?);
    }
    hash.update(serde_json::to_vec(&known.withdrawn)?);
    Ok(disk::hex(&hash.finalize()))
}

struct Work<'a> {
    place: &'a Workplace<'a>,
    known: &'a KnownFiles<'a>,
    by_seq: BTreeMap<i32, &'a FileEntry>,
    range: Option<MonthRange>,
    levels: Levels,
    engine: SessionState,
    runtime: tokio::runtime::Runtime,
    history_schema: arrow::datatypes::SchemaRef,
    month_schema: arrow::datatypes::SchemaRef,
    spool: Spool<'a>,
    counts: Vec<FileCounts>,
    published: UnitPublished,
    stats: ResolveStats,
}

enum Message {
    Chunk(RecordBatch),
    EndOfUnit,
}

impl<'a> Work<'a> {
    fn new(
        place: &'a Workplace<'a>,
        known: &'a KnownFiles<'a>,
        options: &SnapshotOptions,
    ) -> anyhow::Result<Work<'a>> {
        let temp = &place.limits.temp;
        if temp.exists() {
            std::fs::remove_dir_all(temp).map_err(disk::io(temp))?; // what a killed run spilled
        }
        disk::make_folder(temp)?;
        let range =
            options.first_month.zip(options.last_month).map(|(first, last)| MonthRange { first, last });
        let threads = place.limits.partitions.max(2);
        Ok(Work {
            place,
            known,
            by_seq: known.by_seq(),
            range,
            levels: Levels::new(&place.spec.limits),
            engine: engine(&place.limits)?,
            runtime: tokio::runtime::Builder::new_multi_thread()
                .worker_threads(threads)
                .enable_all()
                .build()?,
            history_schema: recipient_history_schema(place.spec),
            month_schema: recipient_month_schema(place.spec),
            spool: Spool::create(temp, place.spec)?,
            counts: vec![FileCounts::default(); usize::try_from(place.ledger.next_seq()).unwrap_or(0)],
            published: UnitPublished::default(),
            stats: ResolveStats::default(),
        })
    }

    /// Stacks every unit and writes its tables; stacking runs one chunk ahead of writing.
    fn recipients(
        &mut self,
        building: &Building,
        request: &ResolveRequest,
        progress: Progress<'_>,
    ) -> anyhow::Result<()> {
        // With nothing known there are no months, and nobody effective; any range serves.
        let range = self.range.unwrap_or(MonthRange { first: Month(0), last: Month(0) });
        let limits = self.levels.in_months(range);
        let levels = self.levels.clone();
        let context = Context {
            range,
            levels: &levels,
            limits: &limits,
            file_ids: &self.known.file_ids,
            history: &self.history_schema.clone(),
            month: &self.month_schema.clone(),
        };
        let units = units(self.place.ledger);
        let total: i64 = units.iter().map(|(_, rows)| rows).sum();
        let request = StackRequest {
            facts: fact_schema(self.place.spec, FactTable::Recipient),
            orders: Arc::new(self.known.orders.clone()),
            inheritance: request.inheritance,
            as_of: request.as_of,
            left_out: self.known.left_out.clone(),
            insured_no: None,
            with_lineage: false,
        };
        let (engine, handle) = (self.engine.clone(), self.runtime.handle().clone());
        let (send, receive) = sync_channel(1);
        let units = &units;
        std::thread::scope(|scope| {
            let stacking = scope.spawn(move || -> anyhow::Result<Duration> {
                let mut busy = Duration::ZERO;
                let mut done = 0;
                for (unit, _) in units {
                    let since = Instant::now();
                    let plan = handle.block_on(physical_plan(&engine, unit, &request))?;
                    let mut chunks = run_chunks(&engine, &plan)?;
                    busy += since.elapsed();
                    loop {
                        let since = Instant::now();
                        let chunk = handle.block_on(chunks.next()).transpose()?;
                        busy += since.elapsed();
                        let message = chunk.map_or(Message::EndOfUnit, Message::Chunk);
                        let ended = matches!(message, Message::EndOfUnit);
                        if let Message::Chunk(chunk) = &message {
                            done += chunk.num_rows() as u64;
                            progress(done, total.unsigned_abs());
                        }
                        if send.send(message).is_err() {
                            return Ok(busy); // a writer that is gone has its own error to tell
                        }
                        if ended {
                            break;
                        }
                    }
                }
                Ok(busy)
            });
            let written = self.write_units(building, units, &context, receive);
            let stacked = stacking.join().map_err(|_| anyhow::anyhow!("stacking stopped unexpectedly"))?;
            written?;
            self.stats.stack_seconds = stacked?.as_secs_f64();
            Ok(())
        })
    }

    fn write_units(
        &mut self,
        building: &Building,
        units: &[(Unit, i64)],
        context: &Context<'_>,
        receive: Receiver<Message>,
    ) -> anyhow::Result<()> {
        for (unit, _) in units {
            let mut files = UnitFiles::new(&building.path, &unit.insurer_no, context);
            // A closed channel means that stacking failed; its error is told by its thread.
            while let Ok(Message::Chunk(chunk)) = receive.recv() {
                let since = Instant::now();
                self.chunk(&chunk, &mut files, context)?;
                self.stats.publish_seconds += since.elapsed().as_secs_f64();
            }
            let since = Instant::now();
            let published = files.finish()?;
            self.published.files.extend(published.files);
            self.published.history.merge(published.history);
            self.published.months.merge(published.months);
            self.stats.publish_seconds += since.elapsed().as_secs_f64();
        }
        Ok(())
    }

    fn chunk(
        &mut self,
        chunk: &RecordBatch,
        files: &mut UnitFiles<'_>,
        context: &Context<'_>,
    ) -> anyhow::Result<()> {
        let tables = chunk_tables(chunk, context)?;
        let findings = stacking_findings(chunk, &tables.remarks, self.place.spec)?;
        count_by_file(chunk, &findings, &mut self.counts)?;
        let seqs = crate::stack::gather::file_seqs(chunk);
        for (row, finding) in &findings {
            if let Some(file) = self.by_seq.get(&seqs.value(*row)) {
                let rank = self.known.orders[file.seq as usize].rank;
                self.spool.add(file, rank, finding)?;
            }
        }
        self.stats.facts += chunk.num_rows() as u64;
        self.stats.streams += tables.streams as u64;
        Ok(files.write(&tables)?)
    }

    /// The tables that are not recipients', the explanations, and the manifest.
    fn complete(
        mut self,
        building: &Building,
        options: SnapshotOptions,
        inputs_digest: String,
    ) -> anyhow::Result<(SnapshotManifest, ResolveStats)> {
        let mut files = std::mem::take(&mut self.published.files);
        let has = |prefix: &str, files: &[PublishedFile]| files.iter().any(|f| f.path.starts_with(prefix));
        let empty_months: Vec<String> = match self.range {
            Some(range) => range.months().map(|month| month_path(month, "empty")).collect(),
            None => vec!["recipient_month/month=__HIVE_DEFAULT_PARTITION__/empty.parquet".to_owned()],
        };
        for path in empty_months {
            if !has(path.trim_end_matches("empty.parquet"), &files) {
                files.push(empty(building, &path, &self.month_schema)?);
            }
        }
        if !has("recipient_history/", &files) {
            files.push(empty(building, "recipient_history/empty.parquet", &self.history_schema)?);
        }
        for path in self.place.ledger.findings_paths() {
            let mut failed = Ok(());
            read_findings(&path, &mut |seq, finding| {
                if let (Some(file), true) = (self.by_seq.get(&seq), failed.is_ok()) {
                    failed = self.spool.add(file, self.known.orders[seq as usize].rank, &finding);
                }
            })?;
            failed?;
        }
        let (file, findings, findings_by_code) =
            self.runtime.block_on(self.spool.publish(&self.engine, &building.path))?;
        files.push(file);
        let stacked = |file: &&'a FileEntry| StackedFile {
            file,
            counts: self.counts[file.seq as usize].clone(),
            withdrawn: self.known.is_withdrawn(file),
        };
        let stacked: Vec<StackedFile<'_>> = self.known.files.iter().map(stacked).collect();
        let (file, of_files) = crate::publish::files::publish(&building.path, &stacked)?;
        files.push(file);
        files.extend(explanations(building, self.place.spec)?);
        self.stats.month_rows = self.published.months.rows();
        self.stats.months = self.range.map_or(0, MonthRange::len) as u64;
        let entry = |digest: RowsDigest| TableEntry { rows: digest.rows(), rows_digest: digest.to_string() };
        let tables = BTreeMap::from([
            ("recipient_month".to_owned(), entry(self.published.months)),
            ("recipient_history".to_owned(), entry(self.published.history)),
            ("files".to_owned(), entry(of_files)),
            ("findings".to_owned(), entry(findings)),
        ]);
        let manifest = SnapshotManifest {
            id: String::new(),
            options,
            program_version: env!("CARGO_PKG_VERSION").to_owned(),
            layouts: self.place.layouts.to_owned(),
            settings: self.place.settings.clone(),
            inputs_digest,
            content_digest: String::new(),
            tables,
            findings_by_code,
            files,
        };
        Ok((manifest, self.stats))
    }
}

fn empty(
    building: &Building,
    path: &str,
    schema: &arrow::datatypes::SchemaRef,
) -> Result<PublishedFile, DiskError> {
    Ok(TableFile::create(&building.path, path, schema, &RECIPIENT_TABLE)?.finish()?.0)
}

/// The insurers of the ledger with their runs and numbers of facts.
pub fn units(ledger: &Ledger) -> Vec<(Unit, i64)> {
    let unit = |(insurer_no, runs): (&str, Vec<&tsumiage_pipeline::ledger::RunEntry>)| {
        let rows = runs.iter().map(|run| run.rows).sum();
        let runs = runs.iter().map(|run| Run { path: ledger.path(&run.path), bytes: run.bytes }).collect();
        // A stand-alone insurer has one holder whatever the date.
        let holder_no = Holders.holder(insurer_no, Day(0), false).to_owned();
        (Unit { insurer_no: insurer_no.to_owned(), holder_no, runs }, rows)
    };
    ledger.runs().into_iter().map(unit).collect()
}
