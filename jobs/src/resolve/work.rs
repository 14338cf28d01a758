//! One resolve at work: units stacked on one thread, published by another.

use super::base::{Base, files_of_unit, take_over};
use super::inputs::FileInputs;
use super::prepare::Prepared;
use super::record::UnitOutcome;
use super::told::{OfNoUnit, Told};
use super::verdict::Verdict;
use super::{Progress, ResolveRequest, ResolveStats, Workplace};
use crate::facts::KnownFiles;
use crate::publish::calendar::Levels;
use crate::publish::findings::stacking_findings;
use crate::publish::holders::{Gathering, by_holder};
use crate::publish::recipients::{HolderFiles, Standing};
use crate::publish::snapshot::{Building, Snapshot, SnapshotOptions};
use crate::publish::spool::findings_path;
use crate::publish::table_file::PublishedFile;
use crate::publish::tables::{Context, chunk_tables};
use crate::registry::Registry;
use crate::stack::StackRules;
use crate::stack::unit::{StackRequest, Unit, engine, physical_plan, run_chunks};
use arrow::array::RecordBatch;
use datafusion::execution::SessionState;
use futures::StreamExt;
use rayon::prelude::*;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::{Duration, Instant};
use tsumiage_pipeline::aside::Aside;
use tsumiage_pipeline::crash;
use tsumiage_pipeline::disk;
use tsumiage_schemas::tables::{fact_schema, recipient_history_schema, recipient_month_schema};
use tsumiage_schemas::{FactTable, Month, MonthRange};

/// What a resolve holds while it works.
pub(super) struct Work<'a> {
    pub(super) place: &'a Workplace<'a>,
    pub(super) known: &'a KnownFiles<'a>,
    pub(super) range: Option<MonthRange>,
    pub(super) levels: Levels,
    pub(super) engine: SessionState,
    pub(super) runtime: tokio::runtime::Runtime,
    pub(super) rules: StackRules,
    pub(super) registry: Arc<Registry>,
    pub(super) prepared: Prepared,
    pub(super) of_no_unit: OfNoUnit,
    pub(super) told: Told<'a>,
    pub(super) history_schema: arrow::datatypes::SchemaRef,
    pub(super) month_schema: arrow::datatypes::SchemaRef,
    pub(super) files: Vec<PublishedFile>,
    /// What became of each unit; of those that stand at once.
    pub(super) outcomes: Vec<UnitOutcome>,
    pub(super) stats: ResolveStats,
}

enum Message {
    Chunk(RecordBatch),
    EndOfUnit,
}

impl<'a> Work<'a> {
    /// Finds what is to be done; the snapshots there are go from old to new, with the id of `latest`.
    pub fn new(
        place: &'a Workplace<'a>,
        known: &'a KnownFiles<'a>,
        files: FileInputs,
        options: &SnapshotOptions,
        snapshots: (&[Snapshot], Option<&str>),
    ) -> anyhow::Result<Work<'a>> {
        let temp = &place.limits.temp;
        crash::point("temp.before", temp)?;
        if temp.exists() {
            std::fs::remove_dir_all(temp).map_err(disk::io(temp))?; // what a killed run spilled
        }
        disk::make_folder(temp)?;
        crash::point("temp.after", temp)?;
        let range = options.months();
        let threads = place.limits.partitions.max(2);
        let engine = engine(&place.limits)?;
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(threads).enable_all().build()?;
        let rules = known.rules(place.spec, options.inheritance);
        let reading = Registry::read(&engine, place.ledger, place.spec, known, &rules, options.as_of);
        let registry = Arc::new(runtime.block_on(reading)?);
        let of_no_unit = OfNoUnit::new(&registry, known, place.spec, place.ledger)?;
        let prepared =
            Prepared::new(place, known, files, options, &registry, &of_no_unit.findings, snapshots);
        let again = prepared.senders_again.clone();
        Ok(Work {
            place,
            known,
            range,
            levels: Levels::new(&place.spec.limits),
            engine,
            runtime,
            rules,
            registry,
            outcomes: vec![UnitOutcome::default(); prepared.units.len()],
            prepared,
            of_no_unit,
            told: Told::new(temp, place.spec, known, place.ledger, again)?,
            history_schema: recipient_history_schema(place.spec),
            month_schema: recipient_month_schema(place.spec),
            files: Vec::new(),
            stats: ResolveStats::default(),
        })
    }

    /// Takes over what stands.
    pub fn standing(&mut self, building: &mut Building) -> anyhow::Result<()> {
        let Some(base) = &self.prepared.base else { return Ok(()) };
        let files = base.files();
        let mut standing: Vec<&PublishedFile> = Vec::new();
        for (at, verdict) in self.prepared.verdicts.iter().enumerate() {
            let record = base.record.unit_of(&self.prepared.inputs[at].insurers);
            let Some(record) = record.filter(|_| !matches!(verdict, Verdict::Again(_))) else { continue };
            if let Some(range) = self.range {
                standing.extend(files_of_unit(record, &files, range));
            }
            if *verdict == Verdict::Stands {
                self.stats.units_standing += 1;
                self.outcomes[at] = self.prepared.outcome_of(base, record);
            }
        }
        let stands = |name: &&String| !self.prepared.senders_again.contains(*name);
        let findings = self.prepared.senders.keys().filter(stands).map(|name| findings_path(name));
        standing.extend(findings.filter_map(|path| files.get(path.as_str()).copied()));
        standing.par_chunks(64).try_for_each(|part| take_over(&base.snapshot, &building.path, part))?;
        building.taken_over = standing.iter().map(|file| file.path.clone()).collect();
        self.files.extend(standing.into_iter().cloned());
        Ok(())
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
        let total = self.prepared.facts_to_stack();
        let to_stack = |at: &usize| self.prepared.verdicts[*at] != Verdict::Stands;
        let places: Vec<usize> = (0..self.prepared.units.len()).filter(to_stack).collect();
        let units: Vec<Unit> = places.iter().map(|&at| self.prepared.units[at].clone()).collect();
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
            let written = self.write_units(building, &places, &context, receive);
            let stacked = stacking.join().map_err(|_| anyhow::anyhow!("stacking stopped unexpectedly"))?;
            written?;
            self.stats.stack_seconds = stacked?.as_secs_f64();
            Ok(())
        })
    }

    fn write_units(
        &mut self,
        building: &Building,
        places: &[usize],
        context: &Context<'_>,
        receive: Receiver<Message>,
    ) -> anyhow::Result<()> {
        let nothing = Standing::default();
        for &at in places {
            let of_base = self.prepared.base.as_ref().map(Base::standing);
            let standing = of_base.filter(|_| self.prepared.verdicts[at] == Verdict::OtherMonths);
            let standing = standing.as_ref().unwrap_or(&nothing);
            let before = (self.stats.facts, self.stats.streams);
            let mut holders: BTreeSet<String> = BTreeSet::new();
            // The holder with most rows in the first chunk is written as its rows come, the others' are set
            // aside, so that only one holder's files are open at a time.
            let mut first: Option<(HolderFiles<'_>, Gathering)> = None;
            let mut others = Aside::new(self.place.limits.temp.join("holders.arrow"));
            // A closed channel means that stacking failed; its error is told by its thread.
            while let Ok(Message::Chunk(chunk)) = receive.recv() {
                let since = Instant::now();
                let of_chunk = by_holder(&chunk)?;
                if first.is_none()
                    && let Some((holder_no, _)) =
                        of_chunk.iter().rev().max_by_key(|(_, rows)| rows.num_rows())
                {
                    let files = HolderFiles::new(&building.path, holder_no, context, standing);
                    first = Some((files, Gathering::default()));
                }
                for (holder_no, rows) in of_chunk {
                    if !holders.contains(&holder_no) {
                        holders.insert(holder_no.clone());
                    }
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
                let mut files = HolderFiles::new(&building.path, holder_no, context, standing);
                let mut gathering = Gathering::default();
                for rows in others.batches(kept)? {
                    if let Some(rows) = gathering.add(rows?)? {
                        self.chunk(&rows, &mut files, context)?;
                    }
                }
                self.last_of_holder(files, gathering, context)?;
            }
            self.outcomes[at] = UnitOutcome {
                holders: holders.into_iter().collect(),
                facts: self.stats.facts - before.0,
                streams: self.stats.streams - before.1,
                counts: self.told.end_of_unit(&self.prepared.inputs[at].files)?,
            };
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
        self.files.extend(files.finish()?);
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
}
