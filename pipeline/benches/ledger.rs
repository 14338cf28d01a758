//! How fast files come from an inbox into the ledger, step by step, and facts out of it again.
//!
//!     cargo bench -p tsumiage-pipeline --bench ledger -- [RECIPIENTS [MOVEMENTS [INSURERS [FULL_SHARE [RUNS]]]]]
//!
//! Medians; all cores but where it says one. The ratios are of core seconds to those of copying the same bytes in memory,
//! and of their SHA-256, in the same run. With no RUNS (0) files are only taken in once.
#![allow(clippy::unwrap_used)] // a benchmark may fail loudly

use arrow::array::RecordBatch;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use rayon::prelude::*;
use sha2::{Digest, Sha256};
use std::fs::{self, File};
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;
use tsumiage_pipeline::archive::{Archive, Arrival, hash_file};
use tsumiage_pipeline::disk;
use tsumiage_pipeline::ledger::{Commit, Ledger};
use tsumiage_pipeline::log::{ReadBy, Seal};
use tsumiage_pipeline::reader::{Compiled, ReadOptions, read};
use tsumiage_pipeline::synth::{SynthOptions, synth};
use tsumiage_pipeline::take_in::{FileOutcome, TakeInOptions, Watch, take_in};
use tsumiage_schemas::{Day, FactTable, Spec};

struct Silent;

impl Watch for Silent {
    fn began(&self, _: usize, _: u64) {}
    fn file(&self, _: &FileOutcome) {}
}

/// Half of the default memory, as a run has it.
const MEMORY: usize = 128 << 20;

const TAKEN_IN_ON: Day = Day(20_750);

struct Bench {
    compiled: Compiled,
    files: Vec<PathBuf>,
    bytes: u64,
    facts: u64,
    folder: tempfile::TempDir,
}

/// Seconds of every step of one round: by the clock, and of all cores.
type Round = Vec<(&'static str, [f64; 2])>;

/// Seconds of a processor that the threads of this process took; 0 where nobody counts them.
fn processor_seconds() -> f64 {
    let threads = fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let of = |thread: fs::DirEntry| -> Option<f64> {
        let text = fs::read_to_string(thread.path().join("schedstat")).ok()?;
        Some(text.split(' ').next()?.parse::<f64>().ok()? / 1e9)
    };
    threads.filter_map(of).sum()
}

fn timed<T>(round: &mut Round, step: &'static str, work: impl FnOnce() -> T) -> T {
    let (begun, processor) = (Instant::now(), processor_seconds());
    let done = work();
    round.push((step, [begun.elapsed().as_secs_f64(), processor_seconds() - processor]));
    done
}

impl Bench {
    fn data(&self, name: &str) -> PathBuf {
        let data = self.folder.path().join(name);
        let _ = fs::remove_dir_all(&data);
        fs::create_dir(&data).unwrap();
        data
    }

    fn round(&self) -> Round {
        let mut round = Round::new();
        self.whole(&mut round);
        let data = self.data("steps");
        let archive = Archive::open(&data).unwrap();
        let ids: Vec<String> = timed(&mut round, "archive: hash", || {
            self.files.par_iter().map(|path| hash_file(path).unwrap()).collect()
        });
        let arriving = self.files.iter().zip(ids).map(|(path, id)| (path.as_path(), arrival(path, id)));
        let arrivals =
            timed(&mut round, "archive: copy, sync", || archive.store_all(arriving.collect()).unwrap());
        self.read_and_commit(&archive, &arrivals, &data, &mut round);
        let runs = runs_of(&data);
        timed(&mut round, "runs to Arrow, 1 core", || assert_eq!(rows_of(&runs), self.facts));
        self.floors(&mut round);
        round
    }

    /// All of it, as `tsumiage ingest` does it.
    fn whole(&self, round: &mut Round) {
        let data = self.data("whole");
        let options = TakeInOptions {
            data: &data,
            compiled: &self.compiled,
            layouts: "bench",
            one_off: false,
            taken_in_on: TAKEN_IN_ON,
            recheck: false,
            batch_rows: 8_192,
            memory_bytes: MEMORY,
        };
        let mut ledger = Ledger::open(&data).unwrap();
        timed(round, "all of it", || take_in(&self.files, &mut ledger, &options, &Silent).unwrap());
    }

    /// Sender by sender, whose files stand together.
    fn read_and_commit(&self, archive: &Archive, arrivals: &[Arrival], data: &Path, round: &mut Round) {
        let mut ledger = Ledger::open(data).unwrap();
        let mut parts = Round::new();
        let mut commit = Commit::begin(&mut ledger, MEMORY).unwrap();
        for sent in arrivals.chunk_by(|a, b| a.name[..6] == b.name[..6]) {
            let files: Vec<_> = timed(&mut parts, "read", || {
                sent.par_iter().map(|arrival| self.read(archive, arrival)).collect()
            });
            timed(&mut parts, "commit", || {
                for (seal, batches) in files {
                    commit.add(seal, std::iter::empty(), batches.into_iter().map(Ok)).unwrap();
                }
                commit.write_runs().unwrap();
            });
        }
        timed(&mut parts, "commit", || commit.finish().unwrap());
        for step in ["read", "commit"] {
            let of = |at: usize| parts.iter().filter(|part| part.0 == step).map(|part| part.1[at]).sum();
            round.push((step, [of(0), of(1)]));
        }
    }

    fn read(&self, archive: &Archive, arrival: &Arrival) -> (Seal, Vec<(FactTable, RecordBatch)>) {
        let bytes = archive.bytes(&arrival.file_id).unwrap();
        let how = ReadOptions { batch_rows: 8_192, taken_in_on: TAKEN_IN_ON, closed_through: None };
        let mut batches = Vec::new();
        let report = read::<()>(&bytes, &self.compiled, &how, &mut |table, batch| {
            batches.push((table, batch));
            Ok(())
        });
        let by = ReadBy { layouts: "bench", one_off: false };
        (Seal::new(arrival.clone(), &report.unwrap(), by, 1), batches)
    }

    /// What the machine can do with the same bytes.
    fn floors(&self, round: &mut Round) {
        let bytes: Vec<u8> = self.files.iter().flat_map(|path| fs::read(path).unwrap()).collect();
        let mut copy = vec![1_u8; bytes.len()];
        timed(round, "memcpy, 1 core", || black_box(&mut copy).copy_from_slice(black_box(&bytes)));
        timed(round, "sha256, 1 core", || black_box(Sha256::digest(black_box(&bytes))));
    }
}

fn arrival(path: &Path, file_id: String) -> Arrival {
    let name = path.file_name().unwrap().to_string_lossy().into_owned();
    Arrival { file_id, name, taken_in_on: TAKEN_IN_ON, source: "inbox".to_owned(), closed_through: None }
}

fn runs_of(data: &Path) -> Vec<PathBuf> {
    let ledger = Ledger::open(data).unwrap();
    ledger.runs_of(FactTable::Recipient).map(|run| ledger.path(&run.path)).collect()
}

fn rows_of(runs: &[PathBuf]) -> u64 {
    let rows = |path: &PathBuf| -> u64 {
        let builder = ParquetRecordBatchReaderBuilder::try_new(File::open(path).unwrap()).unwrap();
        let batches = builder.with_batch_size(8_192).build().unwrap();
        batches.map(|batch| black_box(batch.unwrap()).num_rows() as u64).sum()
    };
    runs.iter().map(rows).sum()
}

fn main() {
    let given: Vec<f64> = std::env::args().filter_map(|arg| arg.parse().ok()).collect();
    let number = |at: usize, else_: f64| given.get(at).copied().unwrap_or(else_);
    let options = SynthOptions {
        recipients: number(0, 100_000.0) as u64,
        movements: Some(number(1, 1_000_000.0) as u64),
        insurers: number(2, 40.0) as u32,
        full_share: number(3, 0.0),
        ..SynthOptions::default()
    };
    let folder = tempfile::tempdir().unwrap();
    let spec = Arc::new(Spec::embedded().unwrap());
    let inbox = folder.path().join("inbox");
    let made = synth(&options, &spec, &inbox).unwrap();
    let files = disk::entries(&inbox).unwrap();
    let mut bench = Bench { compiled: Compiled::new(spec), files, bytes: made.bytes, facts: 0, folder };
    bench.whole(&mut Round::new());
    let runs = runs_of(&bench.folder.path().join("whole"));
    bench.facts = rows_of(&runs);
    let written: u64 = runs.iter().map(|path| path.metadata().unwrap().len()).sum();
    let megabytes = |bytes: u64| bytes as f64 / 1e6;
    let (given, kept) = (megabytes(made.bytes), megabytes(written));
    println!("{} files, {given:.1} MB, {} facts; runs {kept:.1} MB", made.files, bench.facts);
    let rounds: Vec<Round> = (0..number(4, 5.0) as usize).map(|_| bench.round()).collect();
    let Some(steps) = rounds.first().map(Vec::len) else { return }; // for who measures memory
    let median = |step: usize, of: usize| {
        let mut seconds: Vec<f64> = rounds.iter().map(|round| round[step].1[of]).collect();
        seconds.sort_by(f64::total_cmp);
        seconds[seconds.len() / 2]
    };
    let (copying, hashing) = (median(steps - 2, 1), median(steps - 1, 1));
    println!(
        "{:24}{:>9}{:>9}{:>9}{:>12}{:>10}{:>10}",
        "", "s", "core s", "MB/s", "facts/s", "x memcpy", "x sha256"
    );
    for (step, (name, _)) in rounds[0].iter().enumerate() {
        let (seconds, cores) = (median(step, 0), median(step, 1));
        let (bytes, facts) = (bench.bytes as f64 / 1e6 / seconds, bench.facts as f64 / seconds);
        let (to_copy, to_hash) = (cores / copying, cores / hashing);
        println!("{name:24}{seconds:9.3}{cores:9.3}{bytes:9.0}{facts:12.0}{to_copy:10.1}{to_hash:10.1}");
    }
}
