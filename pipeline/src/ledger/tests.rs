//! What was set aside on disk makes the same facts as what stayed in memory, and so do runs that were merged.

mod compaction;
mod gathered;
mod merged;

use super::Ledger;
use crate::disk;
use crate::reader::Compiled;
use crate::synth::{SynthOptions, synth};
use crate::take_in::{FileOutcome, TakeInOptions, Watch, take_in};
use arrow::array::{AsArray, RecordBatch};
use arrow::compute::{SortColumn, concat_batches, lexsort_to_indices, take_record_batch};
use arrow::datatypes::Int32Type;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tsumiage_schemas::{Day, Spec};

struct Silent;

impl Watch for Silent {
    fn began(&self, _files: usize, _bytes: u64) {}
    fn file(&self, _outcome: &FileOutcome) {}
}

/// Every insurer's number of runs and all its facts in order.
fn facts(data: &Path) -> BTreeMap<String, (usize, RecordBatch)> {
    facts_of(&Ledger::open(data).unwrap())
}

/// The same of a ledger that is open.
fn facts_of(ledger: &Ledger) -> BTreeMap<String, (usize, RecordBatch)> {
    let read = |path: &str| -> Vec<RecordBatch> {
        let file = std::fs::File::open(ledger.path(path)).unwrap();
        let reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap();
        reader.map(Result::unwrap).collect()
    };
    let of_insurer = |(insurer_no, runs): (&str, Vec<&super::RunEntry>)| {
        let batches: Vec<RecordBatch> = runs.iter().flat_map(|run| read(&run.path)).collect();
        let read: usize = batches.iter().map(RecordBatch::num_rows).sum();
        assert_eq!(runs.iter().map(|run| run.rows).sum::<i64>(), read as i64);
        let named: BTreeSet<i32> = runs.iter().flat_map(|run| run.files.iter().copied()).collect();
        let seqs = batches.iter().map(|batch| batch.column_by_name("file_seq").unwrap());
        let held = seqs.flat_map(|seqs| seqs.as_primitive::<Int32Type>().values().to_vec()).collect();
        assert_eq!(named, held, "{insurer_no}: the files its runs name");
        (insurer_no.to_owned(), (runs.len(), sorted(&batches)))
    };
    ledger.runs().into_iter().map(of_insurer).collect()
}

/// One batch by (insured number, file number, record number).
fn sorted(batches: &[RecordBatch]) -> RecordBatch {
    let all = concat_batches(&batches[0].schema(), batches).unwrap();
    let key = |name| SortColumn { values: Arc::clone(all.column_by_name(name).unwrap()), options: None };
    let order = lexsort_to_indices(&["insured_no", "file_seq", "record_no"].map(key), None).unwrap();
    take_record_batch(&all, &order).unwrap()
}

/// Takes files in with one commit.
fn take_in_with(data: &Path, files: &[PathBuf], compiled: &Compiled, memory_bytes: usize) -> Ledger {
    let options = TakeInOptions {
        data,
        compiled,
        layouts: "test",
        one_off: false,
        taken_in_on: Day(20_750),
        recheck: false,
        batch_rows: 8_192,
        memory_bytes,
    };
    let mut ledger = Ledger::open(data).unwrap();
    take_in(files, &mut ledger, &options, &Silent).unwrap();
    ledger
}

#[test]
fn facts_set_aside_are_those_kept_in_memory() {
    let folder = tempfile::tempdir().unwrap();
    let inbox = folder.path().join("inbox");
    let options = SynthOptions {
        recipients: 300,
        movements: Some(3_000),
        months: 6,
        insurers: 12,
        seed: 5,
        ..SynthOptions::default()
    };
    let spec = Arc::new(Spec::embedded().unwrap());
    synth(&options, &spec, &inbox).unwrap();
    let files = disk::entries(&inbox).unwrap();
    let compiled = Compiled::new(spec);
    let taken_in = |name: &str, memory_bytes: usize| {
        let data = folder.path().join(name);
        std::fs::create_dir_all(&data).unwrap();
        take_in_with(&data, &files, &compiled, memory_bytes);
        assert!(
            disk::entries(&data.join("ledger")).unwrap().iter().all(|path| path.is_dir()),
            "scratch is left"
        );
        facts(&data)
    };
    let in_memory = taken_in("memory", usize::MAX);
    assert_eq!(in_memory.values().map(|(runs, _)| *runs).collect::<Vec<_>>(), [1; 12]);
    for (name, memory_bytes, one_run) in [("some", 1 << 20, true), ("little", 100_000, false)] {
        let aside = taken_in(name, memory_bytes);
        assert_eq!(aside.values().all(|(runs, _)| *runs == 1), one_run, "{name}");
        for (insurer_no, (_, rows)) in &aside {
            assert_eq!(*rows, in_memory[insurer_no].1, "{name}: {insurer_no}");
        }
        assert_eq!(aside.len(), 12);
    }
}
