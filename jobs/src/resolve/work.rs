//! One resolve at work.

use super::base::{Base, files_of_unit, take_over};
use super::inputs::FileInputs;
use super::prepare::Prepared;
use super::record::UnitOutcome;
use super::told::{OfNoUnit, Told};
use super::units::{Job, Workshop};
use super::verdict::Verdict;
use super::{Progress, ResolveRequest, ResolveStats, Workplace};
use crate::facts::KnownFiles;
use crate::publish::calendar::Levels;
use crate::publish::months::Context;
use crate::publish::recipients::RecipientTables;
use crate::publish::snapshot::{Building, Snapshot, SnapshotOptions};
use crate::publish::spool::findings_path;
use crate::publish::table_file::PublishedFile;
use crate::registry::Registry;
use crate::stack::StackRules;
use crate::stack::gather::Cells;
use crate::stack::scan::AtOnce;
use crate::stack::unit::{StackRequest, engine};
use datafusion::execution::SessionState;
use rayon::prelude::*;
use std::sync::Arc;
use tsumiage_pipeline::crash;
use tsumiage_pipeline::disk;
use tsumiage_schemas::tables::{fact_schema, recipient_history_schema, recipient_month_schema};
use tsumiage_schemas::{FactTable, Month, MonthRange};

/// Memory that a unit at work needs: its chunk as facts, positions and numbers of values, and its row groups.
const UNIT_BYTES: usize = 96 << 20;

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

    /// Stacks every unit and writes its tables, as many at once as there are cores and memory for them.
    pub fn recipients(
        &mut self,
        building: &Building,
        request: &ResolveRequest,
        progress: Progress<'_>,
    ) -> anyhow::Result<()> {
        // With nothing known there are no months, and nobody effective; any range serves.
        let range = self.range.unwrap_or(MonthRange { first: Month(0), last: Month(0) });
        let limits = self.levels.in_months(range);
        let threads = rayon::current_num_threads();
        let at_once = threads.min(self.place.limits.memory_bytes / UNIT_BYTES).max(1);
        let mut engine = self.engine.clone();
        engine.config_mut().set_extension(Arc::new(AtOnce(at_once)));
        let shop = Workshop {
            engine,
            handle: self.runtime.handle().clone(),
            pool: rayon::ThreadPoolBuilder::new().num_threads(threads).build()?,
            request: StackRequest {
                facts: fact_schema(self.place.spec, FactTable::Recipient),
                rules: self.rules.clone(),
                holders: Arc::clone(self.registry.holders()),
                as_of: request.as_of,
                left_out: self.known.left_out.clone(),
                insured_no: None,
                cells: Cells::Positions,
            },
            registry: &self.registry,
            spec: self.place.spec,
            context: Context {
                range,
                levels: &self.levels,
                limits: &limits,
                file_ids: &self.known.file_ids,
                names: self.registry.names(),
                municipal: self.registry.limits(),
            },
            tables: RecipientTables::new(&self.history_schema, &self.month_schema)?,
            root: &building.path,
            temp: &self.place.limits.temp,
            total: self.prepared.facts_to_stack().unsigned_abs(),
            progress,
        };
        let jobs = self.jobs();
        let done = shop.all(&jobs, at_once, &self.told)?;
        drop(jobs);
        drop(shop);
        for unit in done {
            self.stats.facts += unit.outcome.facts;
            self.stats.stack_seconds += unit.stacking.as_secs_f64();
            self.stats.publish_seconds += unit.publishing.as_secs_f64();
            self.outcomes[unit.at] = unit.outcome;
            self.files.extend(unit.files);
        }
        Ok(())
    }

    /// The units that are to be stacked.
    fn jobs(&self) -> Vec<Job<'_>> {
        let of_base = self.prepared.base.as_ref().map(Base::standing);
        let verdicts = self.prepared.verdicts.iter().enumerate();
        let job = |(at, verdict): (usize, &Verdict)| Job {
            at,
            unit: &self.prepared.units[at],
            files: self.prepared.inputs[at].digest.is_some().then_some(&*self.prepared.inputs[at].files),
            standing: of_base.clone().filter(|_| *verdict == Verdict::OtherMonths).unwrap_or_default(),
        };
        verdicts.filter(|(_, verdict)| **verdict != Verdict::Stands).map(job).collect()
    }
}
