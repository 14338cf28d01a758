//! One resolve at work: units stacked on one thread, published by another.

use super::told::Told;
use super::{Progress, ResolveRequest, ResolveStats, Workplace};
use crate::facts::KnownFiles;
use crate::publish::calendar::Levels;
use crate::publish::digest::RowsDigest;
use crate::publish::explain::explanations;
use crate::publish::files::StackedFile;
use crate::publish::findings::stacking_findings;
use crate::publish::holders::{Gathering, by_holder};
use crate::publish::recipients::{HolderFiles, HolderPublished, month_path};
use crate::publish::snapshot::{Building, SnapshotManifest, SnapshotOptions, TableEntry};
use crate::publish::table_file::{PublishedFile, RECIPIENT_TABLE, TableFile};
use crate::publish::tables::{Context, chunk_tables};
use crate::registry::Registry;
use crate::stack::StackRules;
use crate::stack::unit::{StackRequest, Unit, engine, physical_plan, run_chunks, units};
use arrow::array::RecordBatch;
use datafusion::execution::SessionState;
use futures::StreamExt;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::{Duration, Instant};
use tsumiage_pipeline::aside::Aside;
use tsumiage_pipeline::crash;
use tsumiage_pipeline::disk::{self, DiskError};
use tsumiage_pipeline::ledger::FileEntry;
use tsumiage_schemas::tables::{fact_schema, recipient_history_schema, recipient_month_schema};
use tsumiage_schemas::{FactTable, Month, MonthRange};

/// What a resolve holds while it works.
pub(super) struct Work<'a> {
    place: &'a Workplace<'a>,
    known: &'a KnownFiles<'a>,
    range: Option<MonthRange>,
    levels: Levels,
    engine: SessionState,
    runtime: tokio::runtime::Runtime,
    rules: StackRules,
    registry: Arc<Registry>,
    told: Told<'a>,
    history_schema: arrow::datatypes::SchemaRef,
    month_schema: arrow::datatypes::SchemaRef,
    published: HolderPublished,
    stats: ResolveStats,
}

enum Message {
    Chunk(RecordBatch),
    EndOfUnit,
}

impl<'a> Work<'a> {
    pub fn new(
        place: &'a Workplace<'a>,
        known: &'a KnownFiles<'a>,
        options: &SnapshotOptions,
    ) -> anyhow::Result<Work<'a>> {
        let temp = &place.limits.temp;
        crash::point("temp.before", temp)?;
        if temp.exists() {
            std::fs::remove_dir_all(temp).map_err(disk::io(temp))?; // what a killed run spilled
        }
        disk::make_folder(temp)?;
        crash::point("temp.after", temp)?;
        let range =
            options.first_month.zip(options.last_month).map(|(first, last)| MonthRange { first, last });
        let threads = place.limits.partitions.max(2);
        let engine = engine(&place.limits)?;
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(threads).enable_all().build()?;
        let rules = known.rules(place.spec, options.inheritance);
        let reading = Registry::read(&engine, place.ledger, place.spec, known, &rules, options.as_of);
        let registry = Arc::new(runtime.block_on(reading)?);
        Ok(Work {
            place,
            known,
            range,
            levels: Levels::new(&place.spec.limits),
            engine,
            runtime,
            rules,
            registry,
            told: Told::new(temp, place.spec, known, place.ledger)?,
            history_schema: recipient_history_schema(place.spec),
            month_schema: recipient_month_schema(place.spec),
            published: HolderPublished::default(),
            stats: ResolveStats::default(),
        })
    }

    /// Stacks every unit and writes its tables; stacking runs one chunk ahead of writing.
    pub fn recipients(
        &mut self,
        building: &Building,
        request: &ResolveRequest,
        progress: Progress<'_>,
    ) -> anyhow::Result<()> {
        // With nothing known there are no months, and nobody effective; any range serves.
        let range = self.range.unwrap_or(MonthRange { first: Month(0), last: Month(0) });
        let limits = self.levels.in_months(range);
        let levels = self.levels.clone();
        let registry = Arc::clone(&self.registry);
        let context = Context {
            range,
            levels: &levels,
            limits: &limits,
            file_ids: &self.known.file_ids,
            names: registry.names(),
            municipal: registry.limits(),
            history: &self.history_schema.clone(),
            month: &self.month_schema.clone(),
        };
        let units = units(self.place.ledger, self.registry.memberships());
        let total: i64 = units.iter().map(|unit| unit.rows).sum();
        let request = StackRequest {
            facts: fact_schema(self.place.spec, FactTable::Recipient),
            rules: self.rules.clone(),
            holders: Arc::clone(self.registry.holders()),
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
                for unit in units {
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
        units: &[Unit],
        context: &Context<'_>,
        receive: Receiver<Message>,
    ) -> anyhow::Result<()> {
        for _ in units {
            // The holder with most rows in the first chunk is written as its rows come, the others' are set
            // aside, so that only one holder's files are open at a time.
            let mut first: Option<(HolderFiles<'_>, Gathering)> = None;
            let mut others = Aside::new(self.place.limits.temp.join("holders.arrow"));
            // A closed channel means that stacking failed; its error is told by its thread.
            while let Ok(Message::Chunk(chunk)) = receive.recv() {
                let since = Instant::now();
                let holders = by_holder(&chunk)?;
                if first.is_none()
                    && let Some((holder_no, _)) = holders.iter().rev().max_by_key(|(_, rows)| rows.num_rows())
                {
                    first =
                        Some((HolderFiles::new(&building.path, holder_no, context), Gathering::default()));
                }
                for (holder_no, rows) in holders {
                    let Some((files, gathering)) = &mut first else { continue };
                    if *files.holder_no() != holder_no {
                        others.add(&holder_no, &rows)?;
                    } else if let Some(rows) = gathering.add(rows)? {
                        self.chunk(&rows, files, context)?;
                    }
                }
                self.stats.publish_seconds += since.elapsed().as_secs_f64();
            }
            let since = Instant::now();
            if let Some((files, gathering)) = first {
                self.last_of_holder(files, gathering, context)?;
            }
            let others = others.finish()?;
            for (holder_no, kept) in &others.kept {
                let mut files = HolderFiles::new(&building.path, holder_no, context);
                let mut gathering = Gathering::default();
                for rows in others.batches(kept)? {
                    if let Some(rows) = gathering.add(rows?)? {
                        self.chunk(&rows, &mut files, context)?;
                    }
                }
                self.last_of_holder(files, gathering, context)?;
            }
            self.stats.publish_seconds += since.elapsed().as_secs_f64();
        }
        Ok(())
    }

    fn last_of_holder(
        &mut self,
        mut files: HolderFiles<'_>,
        mut gathering: Gathering,
        context: &Context<'_>,
    ) -> anyhow::Result<()> {
        if let Some(rows) = gathering.rest()? {
            self.chunk(&rows, &mut files, context)?;
        }
        self.published.add(files.finish()?);
        Ok(())
    }

    fn chunk(
        &mut self,
        chunk: &RecordBatch,
        files: &mut HolderFiles<'_>,
        context: &Context<'_>,
    ) -> anyhow::Result<()> {
        let tables = chunk_tables(chunk, context)?;
        let findings = stacking_findings(chunk, &tables.remarks, self.place.spec, &self.registry.details())?;
        let warned = self.told.rows(chunk, &findings)?;
        if !self.registry.has_insurer(files.holder_no()) {
            self.told.unregistered(files.holder_no(), chunk, &warned);
        }
        self.stats.facts += chunk.num_rows() as u64;
        self.stats.streams += tables.streams as u64;
        Ok(files.write(&tables)?)
    }

    /// The tables that are not recipients', the explanations, and the manifest.
    pub fn complete(
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
        self.told.others(&self.registry, self.place.ledger)?;
        let (file, findings, findings_by_code) =
            self.runtime.block_on(self.told.spool.publish(&self.engine, &building.path))?;
        files.push(file);
        let counts = self.told.counts;
        let stacked = |file: &&'a FileEntry| StackedFile {
            file,
            counts: counts[file.seq as usize].clone(),
            withdrawn: self.known.is_withdrawn(file),
        };
        let stacked: Vec<StackedFile<'_>> = self.known.files.iter().map(stacked).collect();
        let (file, of_files) = crate::publish::files::publish(&building.path, &stacked)?;
        files.push(file);
        files.extend(explanations(building, self.place.spec)?);
        self.stats.month_rows = self.published.months.rows();
        self.stats.months = self.range.map_or(0, MonthRange::len) as u64;
        let entry = |digest: RowsDigest| TableEntry { rows: digest.rows(), rows_digest: digest.to_string() };
        let mut tables = BTreeMap::from([
            ("recipient_month".to_owned(), entry(self.published.months)),
            ("recipient_history".to_owned(), entry(self.published.history)),
            ("files".to_owned(), entry(of_files)),
            ("findings".to_owned(), entry(findings)),
        ]);
        for (table, file, rows) in
            crate::publish::registry::publish(&building.path, &self.registry, self.known, self.place.spec)?
        {
            files.push(file);
            tables.insert(table.to_owned(), entry(rows));
        }
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
