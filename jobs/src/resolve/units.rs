//! Units at work: each stacked and published by one thread, several at once.
//!
//! Promise: what comes of a unit depends on it alone; which thread takes it, and when, cannot be seen. Of a unit only
//! one holder's files are open at a time, its other holders' rows wait on the disk.

use super::Progress;
use super::record::UnitOutcome;
use super::told::{OfUnit, Told};
use crate::publish::findings::stacking_findings;
use crate::publish::holders::{Gathering, by_holder};
use crate::publish::months::{Context, chunk_months};
use crate::publish::recipients::{HolderFiles, RecipientTables, Standing};
use crate::publish::table_file::PublishedFile;
use crate::registry::Registry;
use crate::stack::gather::flat_batch;
use crate::stack::unit::{StackRequest, Unit, physical_plan, run_chunks};
use arrow::array::RecordBatch;
use datafusion::execution::{SendableRecordBatchStream, SessionState};
use futures::StreamExt;
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tsumiage_pipeline::aside::Aside;
use tsumiage_schemas::Spec;

/// A unit to be stacked.
pub(super) struct Job<'a> {
    /// Its place among all units.
    pub at: usize,
    pub unit: &'a Unit,
    /// Its files, as places among those known; `None` if its runs do not name them.
    pub files: Option<&'a [usize]>,
    /// What of it stands already.
    pub standing: Standing,
}

/// What all units share.
pub(super) struct Workshop<'a> {
    pub engine: SessionState,
    pub handle: tokio::runtime::Handle,
    /// Writes columns and files side by side.
    pub pool: rayon::ThreadPool,
    pub request: StackRequest,
    pub registry: &'a Registry,
    pub spec: &'a Spec,
    pub context: Context<'a>,
    pub tables: RecipientTables,
    /// The snapshot's folder, and one for what waits.
    pub root: &'a Path,
    pub temp: &'a Path,
    /// Facts in all units.
    pub total: u64,
    pub progress: Progress<'a>,
}

/// What became of a unit.
pub(super) struct Done {
    pub at: usize,
    pub outcome: UnitOutcome,
    pub files: Vec<PublishedFile>,
    pub stacking: Duration,
    pub publishing: Duration,
}

impl Workshop<'_> {
    /// Works through all jobs, `at_once` at a time, the largest first; gives what became of them in their order.
    ///
    /// # Errors
    /// The first of a thread's.
    pub fn all(&self, jobs: &[Job<'_>], at_once: usize, told: &Told<'_>) -> anyhow::Result<Vec<Done>> {
        let mut order: Vec<&Job<'_>> = jobs.iter().collect();
        order.sort_by_key(|job| std::cmp::Reverse(job.unit.rows));
        let (next, failed, facts) = (AtomicUsize::new(0), AtomicBool::new(false), AtomicU64::new(0));
        let work = || -> anyhow::Result<Vec<Done>> {
            let mut done = Vec::new();
            let mut of_unit = told.of_unit();
            let _stops = StopsOthers(&failed);
            while !failed.load(Ordering::Relaxed) {
                let Some(job) = order.get(next.fetch_add(1, Ordering::Relaxed)) else { break };
                let worked = AtWork::new(self, job, told, &mut of_unit, &facts).run();
                failed.fetch_or(worked.is_err(), Ordering::Relaxed);
                done.push(worked?);
            }
            Ok(done)
        };
        let of_threads: Vec<anyhow::Result<Vec<Done>>> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..at_once.min(jobs.len())).map(|_| scope.spawn(work)).collect();
            let stopped = || Err(anyhow::anyhow!("stacking stopped unexpectedly"));
            threads.into_iter().map(|thread| thread.join().unwrap_or_else(|_| stopped())).collect()
        });
        let mut done = Vec::new();
        for of_thread in of_threads {
            done.extend(of_thread?);
        }
        done.sort_by_key(|done| done.at);
        Ok(done)
    }
}

/// A thread that panics stops the others as one that fails does.
struct StopsOthers<'f>(&'f AtomicBool);

impl Drop for StopsOthers<'_> {
    fn drop(&mut self) {
        self.0.fetch_or(std::thread::panicking(), Ordering::Relaxed);
    }
}

/// One unit at work.
struct AtWork<'w, 'u, 't> {
    shop: &'w Workshop<'w>,
    job: &'w Job<'w>,
    told: &'u Told<'t>,
    of_unit: &'u mut OfUnit,
    facts_of_all: &'u AtomicU64,
    outcome: UnitOutcome,
    holders: BTreeSet<String>,
    files: Vec<PublishedFile>,
    stacking: Duration,
}

impl<'w, 'u, 't> AtWork<'w, 'u, 't> {
    fn new(
        shop: &'w Workshop<'w>,
        job: &'w Job<'w>,
        told: &'u Told<'t>,
        of_unit: &'u mut OfUnit,
        facts_of_all: &'u AtomicU64,
    ) -> AtWork<'w, 'u, 't> {
        let (outcome, holders, files) = Default::default();
        AtWork { shop, job, told, of_unit, facts_of_all, outcome, holders, files, stacking: Duration::ZERO }
    }

    fn run(mut self) -> anyhow::Result<Done> {
        let begun = Instant::now();
        let plan =
            self.shop.handle.block_on(physical_plan(&self.shop.engine, self.job.unit, &self.shop.request))?;
        let mut chunks = run_chunks(&self.shop.engine, &plan)?;
        self.stacking += begun.elapsed();
        // The holder with most rows in the first chunk is written as its rows come, the others' are set aside, so
        // that only one holder's files are open at a time.
        let mut first: Option<(HolderFiles<'_>, Gathering)> = None;
        let mut others = Aside::new(self.shop.temp.join(format!("holders-{}.arrow", self.job.at)));
        while let Some(chunk) = self.next_chunk(&mut chunks)? {
            let of_chunk = by_holder(&chunk)?;
            // What waits for more must not keep all of its chunk.
            let several = of_chunk.len() > 1;
            if first.is_none()
                && let Some((holder_no, _)) = of_chunk.iter().rev().max_by_key(|(_, rows)| rows.num_rows())
            {
                first = Some((self.files_of(holder_no), Gathering::default()));
            }
            for (holder_no, rows) in of_chunk {
                if !self.holders.contains(&holder_no) {
                    self.holders.insert(holder_no.clone());
                }
                let Some((files, gathering)) = &mut first else { continue };
                if *files.holder_no() != holder_no {
                    others.add(&holder_no, &flat_batch(&rows)?)?;
                } else if let Some(rows) = gathering.add(if several { flat_batch(&rows)? } else { rows })? {
                    self.chunk(&rows, files)?;
                }
            }
        }
        if let Some((files, gathering)) = first {
            self.last_of_holder(files, gathering)?;
        }
        let others = others.finish()?;
        for (holder_no, kept) in &others.kept {
            let mut files = self.files_of(holder_no);
            let mut gathering = Gathering::default();
            for rows in others.batches(kept)? {
                if let Some(rows) = gathering.add(rows?)? {
                    self.chunk(&rows, &mut files)?;
                }
            }
            self.last_of_holder(files, gathering)?;
        }
        self.outcome.counts = self.told.end_of_unit(self.of_unit, self.job.files)?;
        self.outcome.holders = self.holders.into_iter().collect();
        let publishing = begun.elapsed().saturating_sub(self.stacking);
        Ok(Done {
            at: self.job.at,
            outcome: self.outcome,
            files: self.files,
            stacking: self.stacking,
            publishing,
        })
    }

    fn next_chunk(&mut self, chunks: &mut SendableRecordBatchStream) -> anyhow::Result<Option<RecordBatch>> {
        let begun = Instant::now();
        let chunk = self.shop.handle.block_on(chunks.next()).transpose()?;
        self.stacking += begun.elapsed();
        if let Some(chunk) = &chunk {
            let rows = chunk.num_rows() as u64;
            let facts = self.facts_of_all.fetch_add(rows, Ordering::Relaxed) + rows;
            (self.shop.progress)(facts, self.shop.total);
        }
        Ok(chunk)
    }

    fn files_of(&self, holder_no: &str) -> HolderFiles<'w> {
        HolderFiles::new(self.shop.root, holder_no, &self.shop.context, &self.shop.tables, &self.job.standing)
    }

    fn chunk(&mut self, chunk: &RecordBatch, files: &mut HolderFiles<'_>) -> anyhow::Result<()> {
        let months = chunk_months(chunk, &self.shop.context)?;
        let registry = self.shop.registry;
        let findings = stacking_findings(chunk, &months.remarks, self.shop.spec, &registry.details())?;
        let warned = self.told.rows(self.of_unit, chunk, &findings)?;
        if !registry.has_insurer(files.holder_no()) {
            self.told.unregistered(self.of_unit, files.holder_no(), chunk, &warned);
        }
        self.outcome.facts += chunk.num_rows() as u64;
        self.outcome.streams += months.streams as u64;
        Ok(self.shop.pool.install(|| files.write(chunk, &months))?)
    }

    fn last_of_holder(&mut self, mut files: HolderFiles<'_>, mut gathering: Gathering) -> anyhow::Result<()> {
        if let Some(rows) = gathering.rest()? {
            self.chunk(&rows, &mut files)?;
        }
        self.files.extend(self.shop.pool.install(|| files.finish())?);
        Ok(())
    }
}
