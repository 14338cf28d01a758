//! How fast facts of a ledger are stacked and published, step by step, on one core.
//!
//!     cargo bench --workspace --bench stacking -- [RECIPIENTS [MOVEMENTS [FULL_SHARE [RUNS]]]]
//!
//! Medians. The ratios are of seconds to those of copying the same bytes in memory, in the same run: of the facts as Arrow
//! holds them, of what is published as Arrow would hold it.
#![allow(clippy::unwrap_used)] // a benchmark may fail loudly

use arrow::array::RecordBatch;
use futures::TryStreamExt;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use std::fs::{self, File};
use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;
use tsumiage_jobs::facts::KnownFiles;
use tsumiage_jobs::publish::calendar::Levels;
use tsumiage_jobs::publish::months::{Context, chunk_months};
use tsumiage_jobs::publish::recipients::{HolderFiles, RecipientTables, Standing};
use tsumiage_jobs::registry::Registry;
use tsumiage_jobs::stack::Inheritance;
use tsumiage_jobs::stack::cut::{CHUNK_ROWS, Cutter};
use tsumiage_jobs::stack::gather::{Cells, column, stack_chunk, stacked_schema};
use tsumiage_jobs::stack::unit::{
    EngineLimits, StackRequest, Unit, engine, facts_plan, physical_plan, run_chunks, units,
};
use tsumiage_pipeline::aside::bytes_of;
use tsumiage_pipeline::disk;
use tsumiage_pipeline::ledger::Ledger;
use tsumiage_pipeline::reader::Compiled;
use tsumiage_pipeline::synth::{SynthOptions, synth};
use tsumiage_pipeline::take_in::{FileOutcome, TakeInOptions, Watch, take_in};
use tsumiage_schemas::tables::{fact_schema, recipient_history_schema, recipient_month_schema};
use tsumiage_schemas::{Day, FactTable, Spec};

struct Silent;

impl Watch for Silent {
    fn began(&self, _: usize, _: u64) {}
    fn file(&self, _: &FileOutcome) {}
}

/// A ledger of synthetic files.
fn ledger(spec: &Spec, options: &SynthOptions, folder: &Path) -> Ledger {
    let (inbox, data) = (folder.join("inbox"), folder.join("data"));
    synth(options, spec, &inbox).unwrap();
    fs::create_dir(&data).unwrap();
    Ledger::make(&data).unwrap();
    let compiled = Compiled::new(Arc::new(spec.clone()));
    let taking = TakeInOptions {
        data: &data,
        compiled: &compiled,
        layouts: "bench",
        one_off: false,
        taken_in_on: Day(20_750),
        recheck: false,
        batch_rows: 16_384,
        memory_bytes: 512 << 20,
    };
    let mut ledger = Ledger::open(&data).unwrap();
    take_in(&disk::entries(&inbox).unwrap(), &mut ledger, &taking, &Silent).unwrap();
    ledger
}

/// Median seconds of some runs.
fn median(runs: usize, mut work: impl FnMut()) -> f64 {
    let mut seconds: Vec<f64> = (0..runs)
        .map(|_| {
            let begun = Instant::now();
            work();
            begun.elapsed().as_secs_f64()
        })
        .collect();
    seconds.sort_by(f64::total_cmp);
    seconds[runs / 2]
}

fn copied(runs: usize, bytes: usize) -> f64 {
    let (from, mut to) = (vec![1u8; bytes], vec![0u8; bytes]);
    median(runs, || black_box(&mut to).copy_from_slice(black_box(&from)))
}

fn printed(step: &str, seconds: f64, facts: u64, bytes: usize, copy: f64) {
    println!(
        "{step:44}{:8.2} s{:8.2} M facts/s{:8.0} MB/s of Arrow{:8.1} x copy",
        seconds,
        facts as f64 / seconds / 1e6,
        bytes as f64 / seconds / 1e6,
        seconds / copy
    );
}

/// The rows of a file as Arrow holds them, in bytes.
fn arrow_bytes(path: &Path) -> usize {
    let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(path).unwrap()).unwrap();
    reader.build().unwrap().map(|batch| bytes_of(&batch.unwrap())).sum()
}

fn published_bytes(folder: &Path) -> usize {
    let entries = disk::entries(folder).unwrap();
    entries.iter().map(|path| if path.is_dir() { published_bytes(path) } else { arrow_bytes(path) }).sum()
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with("--")).collect();
    let arg = |at: usize, default: f64| args.get(at).map_or(default, |text| text.parse().unwrap());
    let runs = (arg(3, 5.0) as usize).max(1);
    let options = SynthOptions {
        recipients: arg(0, 20_000.0) as u64,
        movements: Some(arg(1, 200_000.0) as u64),
        full_share: arg(2, 0.0),
        insurers: 4,
        corrections: false,
        ..SynthOptions::default()
    };
    let spec = Spec::embedded().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let ledger = ledger(&spec, &options, folder.path());
    let known = KnownFiles::new(&ledger, &[], None);
    let rules = known.rules(&spec, Inheritance::Arrival);
    let limits = EngineLimits {
        memory_bytes: 512 << 20,
        partitions: 1,
        batch_rows: 8_192,
        merged_runs: 64,
        temp: folder.path().join("temp"),
    };
    let engine = engine(&limits).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let reading = Registry::read(&engine, &ledger, &spec, &known, &rules, None);
    let registry = runtime.block_on(reading).unwrap();
    let request = StackRequest {
        facts: fact_schema(&spec, FactTable::Recipient),
        rules: rules.clone(),
        holders: Arc::clone(registry.holders()),
        as_of: None,
        left_out: known.left_out.clone(),
        insured_no: None,
        cells: Cells::Positions,
    };
    let units = units(&ledger, registry.memberships());
    let facts: u64 = units.iter().map(|unit| unit.rows.unsigned_abs()).sum();
    let chunks_of = |unit: &Unit, stacked: bool| -> Vec<RecordBatch> {
        runtime.block_on(async {
            if stacked {
                let plan = physical_plan(&engine, unit, &request).await.unwrap();
                return run_chunks(&engine, &plan).unwrap().try_collect().await.unwrap();
            }
            let plan = engine.create_physical_plan(&facts_plan(unit, &request).unwrap()).await.unwrap();
            plan.execute(0, engine.task_ctx()).unwrap().try_collect().await.unwrap()
        })
    };
    let in_memory: Vec<RecordBatch> = units
        .iter()
        .flat_map(|unit| {
            let batches = chunks_of(unit, false);
            let mut cutter = Cutter::new(column::INSURED, CHUNK_ROWS);
            batches.into_iter().for_each(|batch| cutter.push(batch));
            let mut chunks: Vec<RecordBatch> = std::iter::from_fn(|| cutter.next_chunk().unwrap()).collect();
            chunks.extend(cutter.rest().unwrap());
            chunks
        })
        .collect();
    let bytes: usize = in_memory.iter().map(bytes_of).sum();
    let copy = copied(runs, bytes);
    println!("{facts} facts of {} recipients, {bytes} bytes in Arrow; median of {runs}", options.recipients);
    let read = median(runs, || units.iter().for_each(|unit| drop(black_box(chunks_of(unit, false)))));
    printed("read from the ledger", read, facts, bytes, copy);
    let schema = stacked_schema(&in_memory[0].schema(), Cells::Positions);
    let fold = median(runs, || {
        for chunk in &in_memory {
            black_box(stack_chunk(chunk, &rules, registry.holders(), &schema).unwrap());
        }
    });
    printed("fold in memory", fold, facts, bytes, copy);
    let from_ledger = median(runs, || units.iter().for_each(|unit| drop(black_box(chunks_of(unit, true)))));
    printed("fold from the ledger", from_ledger, facts, bytes, copy);

    let range = known.default_months().unwrap();
    let levels = Levels::new(&spec.limits);
    let weights = levels.in_months(range);
    let context = Context {
        range,
        levels: &levels,
        limits: &weights,
        file_ids: &known.file_ids,
        names: registry.names(),
        municipal: registry.limits(),
    };
    let schemas = (recipient_history_schema(&spec), recipient_month_schema(&spec));
    let tables = RecipientTables::new(&schemas.0, &schemas.1).unwrap();
    let stacked: Vec<Vec<RecordBatch>> = units.iter().map(|unit| chunks_of(unit, true)).collect();
    let root = folder.path().join("published");
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    let standing = Standing::default();
    let publish = median(runs, || {
        let _ = fs::remove_dir_all(&root);
        for (unit, chunks) in units.iter().zip(&stacked) {
            let mut files = HolderFiles::new(&root, &unit.insurers[0], &context, &tables, &standing);
            pool.install(|| {
                for chunk in chunks {
                    files.write(chunk, &chunk_months(chunk, &context).unwrap()).unwrap();
                }
                files.finish().unwrap()
            });
        }
    });
    let bytes = published_bytes(&root);
    printed("history and months as Parquet", publish, facts, bytes, copied(runs, bytes));
}
