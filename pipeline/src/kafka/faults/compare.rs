//! What a ledger holds, without what depends on the order of arrival.

use crate::disk;
use crate::ledger::{FileEntry, Ledger, Manifest, read_findings};
use arrow::array::{AsArray, RecordBatch, UInt32Array};
use arrow::compute::{SortColumn, concat_batches, lexsort_to_indices, take_record_batch};
use arrow::datatypes::Int32Type;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use std::collections::BTreeMap;
use std::path::Path;
use tsumiage_schemas::{FactTable, Finding};

/// What counts in a ledger, by file.
pub struct Content {
    /// The entries in force, under no number.
    pub files: BTreeMap<String, FileEntry>,
    /// By record number, without the file's number.
    facts: BTreeMap<(String, FactTable), RecordBatch>,
    /// As the reader told them.
    findings: BTreeMap<String, Vec<Finding>>,
}

impl Content {
    pub fn of(data: &Path) -> Content {
        let ledger = Ledger::open(data).unwrap();
        let numbers: BTreeMap<i32, String> =
            ledger.files().map(|entry| (entry.seq, entry.arrival.file_id.clone())).collect();
        let files = ledger
            .files()
            .map(|entry| (entry.arrival.file_id.clone(), FileEntry { seq: 0, ..entry.clone() }));
        let mut findings: BTreeMap<String, Vec<Finding>> = BTreeMap::new();
        for path in ledger.findings_about(&numbers.keys().copied().collect()) {
            let mut each = |seq, finding| {
                if let Some(file_id) = numbers.get(&seq) {
                    findings.entry(file_id.clone()).or_default().push(finding);
                }
            };
            read_findings(&path, &|_| true, &mut each).unwrap();
        }
        let facts = FactTable::ALL.into_iter().flat_map(|table| facts(&ledger, table, &numbers)).collect();
        Content { files: files.collect(), facts, findings }
    }

    /// Facts and findings of all files.
    pub fn counts(&self) -> (usize, usize) {
        let facts = self.facts.values().map(RecordBatch::num_rows).sum();
        (facts, self.findings.values().map(Vec::len).sum())
    }

    /// Checks that the other holds the same.
    pub fn assert_same(&self, other: &Content, of: &str) {
        let names = |content: &Content| -> Vec<String> {
            content.files.values().map(|entry| format!("{} {}", entry.arrival.name, entry.reading)).collect()
        };
        assert_eq!(names(self), names(other), "files of {of}");
        assert_eq!(self.files, other.files, "files of {of}");
        let rows = |content: &Content| -> Vec<_> {
            content.facts.iter().map(|(key, facts)| (key.clone(), facts.num_rows())).collect()
        };
        assert_eq!(rows(self), rows(other), "numbers of facts of {of}");
        for (key, facts) in &self.facts {
            assert!(*facts == other.facts[key], "facts of {of}: {key:?}");
        }
        assert!(self.findings == other.findings, "findings of {of}");
    }
}

/// The facts of a table that count, by file.
fn facts(
    ledger: &Ledger,
    table: FactTable,
    numbers: &BTreeMap<i32, String>,
) -> Vec<((String, FactTable), RecordBatch)> {
    let read = |path: &Path| -> Vec<RecordBatch> {
        let file = std::fs::File::open(path).unwrap();
        let reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap();
        reader.map(Result::unwrap).collect()
    };
    let runs: Vec<RecordBatch> =
        ledger.runs_of(table).flat_map(|run| read(&ledger.path(&run.path))).collect();
    let Some(first) = runs.first() else { return Vec::new() };
    let mut all = concat_batches(&first.schema(), &runs).unwrap();
    let order = ["file_seq", "record_no"].map(|name| {
        let values = all.column_by_name(name).unwrap().clone();
        SortColumn { values, options: None }
    });
    all = take_record_batch(&all, &lexsort_to_indices(&order, None).unwrap()).unwrap();
    let seqs = all.remove_column(all.schema().index_of("file_seq").unwrap());
    let mut rows: BTreeMap<&String, Vec<u32>> = BTreeMap::new();
    for (row, seq) in seqs.as_primitive::<Int32Type>().values().iter().enumerate() {
        if let Some(file_id) = numbers.get(seq) {
            rows.entry(file_id).or_default().push(row as u32);
        }
    }
    let of_file = |(file_id, rows): (&String, Vec<u32>)| {
        ((file_id.clone(), table), take_record_batch(&all, &UInt32Array::from(rows)).unwrap())
    };
    rows.into_iter().map(of_file).collect()
}

/// Checks that no commit of a ledger fell behind the one before it in reading; the number of commits.
pub fn assert_goes_on(data: &Path) -> usize {
    let paths = disk::entries(&data.join("ledger/manifests")).unwrap();
    for path in &paths {
        let manifest: Manifest = disk::read_json(path).unwrap();
        if let Some(read) = manifest.kafka {
            let goes_on = read.from.iter().all(|(partition, from)| read.next.get(partition) >= Some(from));
            assert!(goes_on, "{path:?}: {:?}, then {:?}", read.from, read.next);
        }
    }
    paths.len()
}
