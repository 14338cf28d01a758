//! The facts that only one of two snapshots knows or lets count, read from the ledger.

use super::Side;
use super::cause::Fact;
use crate::publish::spool::{findings_path, sender_name};
use crate::stack::fact::Change;
use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{Date32Type, Int32Type, Int64Type};
use arrow::error::ArrowError;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::File;
use std::path::Path;
use tsumiage_pipeline::disk::{DiskError, io};
use tsumiage_pipeline::events::{Event, Withdrawals};
use tsumiage_pipeline::ledger::{FileEntry, Ledger, RunEntry};
use tsumiage_schemas::FactTable;

const COLUMNS: [&str; 9] = [
    "insured_no",
    "movement_date",
    "is_correction",
    "change_type",
    "correction_date",
    "file_seq",
    "record_no",
    "given",
    "cleared",
];

/// How a file's facts differ in two snapshots.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Differ {
    /// They came.
    Came,
    /// They do not count any more.
    Gone,
    /// Some records do not count any more.
    GoneRecords(BTreeSet<i64>),
}

/// The files whose facts only one of two snapshots knows or lets count.
pub struct Differing<'a> {
    ledger: &'a Ledger,
    /// By number in the ledger: the file, its place in the order of application, and how.
    files: BTreeMap<i32, (&'a FileEntry, u32, Differ)>,
    /// Records that stacking refused in the newer one.
    refused: BTreeSet<(String, i64)>,
}

impl<'a> Differing<'a> {
    /// Of two snapshots.
    ///
    /// # Errors
    /// Findings cannot be read.
    pub fn new(
        before: &Side<'_>,
        after: &Side<'_>,
        ledger: &'a Ledger,
        events: &[Event],
    ) -> Result<Differing<'a>, DiskError> {
        let counts = |side: &Side<'_>| -> HashMap<String, String> {
            side.record.files.iter().map(|file| (file.file_id.clone(), file.counts.clone())).collect()
        };
        let (a, b) = (counts(before), counts(after));
        let withdrawals = Withdrawals::of(events, after.manifest.options.as_of);
        let differ = |file_id: &str| match (a.get(file_id), b.get(file_id)) {
            (None, Some(_)) => Some(Differ::Came),
            (Some(_), None) => Some(Differ::Gone),
            (Some(a), Some(b)) if a != b => {
                let records: BTreeSet<i64> = withdrawals.records(file_id).collect();
                Some(match (withdrawals.file(file_id), records.is_empty()) {
                    (true, _) => Differ::Gone,
                    (_, false) => Differ::GoneRecords(records),
                    _ => Differ::Came,
                })
            }
            _ => None,
        };
        // A snapshot that does not say what it was made of tells of no file that differs.
        let both_say = !before.record.units.is_empty() && !after.record.units.is_empty();
        let mut files: Vec<(&FileEntry, Differ)> = ledger
            .files()
            .filter(|file| both_say && !file.file_rejected)
            .filter_map(|file| Some((file, differ(&file.arrival.file_id)?)))
            .collect();
        files.sort_by(|(a, _), (b, _)| {
            a.arrival.order(a.processing_month).cmp(&b.arrival.order(b.processing_month))
        });
        let numbered = (0..).zip(files).map(|(place, (file, differ))| (file.seq, (file, place, differ)));
        let files: BTreeMap<i32, (&FileEntry, u32, Differ)> = numbered.collect();
        let refused = refused(after, files.values().map(|(file, ..)| *file))?;
        Ok(Differing { ledger, files, refused })
    }

    /// The last record of a registry table that differs and is of one of these insurers or unions: file,
    /// position, movement date.
    ///
    /// # Errors
    /// A run of the ledger cannot be read.
    pub fn of_registry(
        &self,
        table: FactTable,
        numbers: &BTreeSet<&str>,
    ) -> Result<Option<(String, i64, i32)>, DiskError> {
        let mut last: Option<((u32, i64), (String, i64, i32))> = None;
        for run in self.ledger.runs_of(table).filter(|run| self.may_differ(run)) {
            let columns = ["insurer_no", "movement_date", "file_seq", "record_no"];
            each_batch(&self.ledger.path(&run.path), &columns, &mut |batch| {
                let insurers = batch.column(0).as_string::<i32>();
                let dates = batch.column(1).as_primitive::<Date32Type>();
                let seqs = batch.column(2).as_primitive::<Int32Type>();
                let records = batch.column(3).as_primitive::<Int64Type>();
                for row in (0..batch.num_rows()).filter(|&row| numbers.contains(insurers.value(row))) {
                    let Some((file, place, _)) = self.files.get(&seqs.value(row)) else { continue };
                    let order = (*place, records.value(row));
                    if last.as_ref().is_none_or(|(before, _)| *before < order) {
                        last = Some((order, (file.arrival.file_id.clone(), order.1, dates.value(row))));
                    }
                }
                Ok(())
            })?;
        }
        Ok(last.map(|(_, record)| record))
    }

    fn may_differ(&self, run: &RunEntry) -> bool {
        run.files.is_empty() || run.files.iter().any(|seq| self.files.contains_key(seq))
    }

    /// The facts about these people at these insurers, by insured number and in the order of application.
    ///
    /// # Errors
    /// A run of the ledger cannot be read.
    pub fn facts_of(
        &self,
        insurers: &BTreeSet<&str>,
        insured: &BTreeSet<&str>,
    ) -> Result<HashMap<String, Vec<Fact>>, DiskError> {
        let mut facts: HashMap<String, Vec<Fact>> = HashMap::new();
        let runs = self.ledger.runs();
        for run in insurers.iter().filter_map(|no| runs.get(no)).flatten() {
            if !self.may_differ(run) {
                continue;
            }
            let path = self.ledger.path(&run.path);
            each_batch(&path, &COLUMNS, &mut |batch| self.add(batch, insured, &mut facts))?;
        }
        for of_person in facts.values_mut() {
            of_person.sort_by_key(|fact| fact.order);
        }
        Ok(facts)
    }

    fn add(
        &self,
        batch: &RecordBatch,
        insured: &BTreeSet<&str>,
        facts: &mut HashMap<String, Vec<Fact>>,
    ) -> Result<(), ArrowError> {
        let column = |name: &str| {
            batch.column_by_name(name).ok_or_else(|| ArrowError::SchemaError(format!("no column {name}")))
        };
        let seqs = column("file_seq")?.as_primitive::<Int32Type>();
        let numbers = column("insured_no")?.as_string::<i32>();
        let records = column("record_no")?.as_primitive::<Int64Type>();
        let dates = column("movement_date")?.as_primitive::<Date32Type>();
        let correction = column("is_correction")?.as_boolean();
        let types = column("change_type")?.as_string::<i32>();
        let correction_dates = column("correction_date")?.as_primitive::<Date32Type>();
        let given = crate::stack::gather::masks(column("given")?);
        let cleared = crate::stack::gather::masks(column("cleared")?);
        for row in 0..batch.num_rows() {
            let Some((file, place, how)) = self.files.get(&seqs.value(row)) else { continue };
            let record_no = records.value(row);
            let came = match how {
                Differ::Came => true,
                Differ::Gone => false,
                Differ::GoneRecords(gone) if gone.contains(&record_no) => false,
                Differ::GoneRecords(_) => continue,
            };
            let insured_no = numbers.value(row);
            let file_id = &file.arrival.file_id;
            if !insured.contains(insured_no) || (came && self.refused.contains(&(file_id.clone(), record_no)))
            {
                continue;
            }
            let change_type = types.value(row).bytes().next().unwrap_or(b'0');
            facts.entry(insured_no.to_owned()).or_default().push(Fact {
                order: (*place, record_no),
                file_id: file_id.clone(),
                record_no,
                date: dates.value(row),
                correction_date: correction_dates.is_valid(row).then(|| correction_dates.value(row)),
                change: Change::of(correction.value(row), change_type),
                touches: given(row) | cleared(row),
                came,
            });
        }
        Ok(())
    }
}

/// Records of these files that stacking refused.
fn refused<'f>(
    side: &Side<'_>,
    files: impl Iterator<Item = &'f FileEntry>,
) -> Result<BTreeSet<(String, i64)>, DiskError> {
    let mut by_sender: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for file in files {
        by_sender.entry(sender_name(file.sender_no.as_deref())).or_default().insert(&file.arrival.file_id);
    }
    let mut refused = BTreeSet::new();
    for (sender, ids) in by_sender {
        let path = side.path.join(findings_path(sender));
        if !path.is_file() {
            continue; // nothing was found
        }
        each_batch(&path, &["file_id", "record_no", "severity", "code"], &mut |batch| {
            let text = |at: usize| batch.column(at).as_string::<i32>();
            let (files, severities, codes) = (text(0), text(2), text(3));
            let records = batch.column(1).as_primitive::<Int64Type>();
            for row in (0..batch.num_rows()).filter(|&row| records.is_valid(row)) {
                let by_stacking = codes.value(row).starts_with('S') && severities.value(row) == "error";
                if by_stacking && ids.contains(files.value(row)) {
                    refused.insert((files.value(row).to_owned(), records.value(row)));
                }
            }
            Ok(())
        })?;
    }
    Ok(refused)
}

/// Hands the batches of some columns of a Parquet file on, the columns in the order of the file.
///
/// # Errors
/// It cannot be read, or `each` refuses a batch.
pub fn each_batch(
    path: &Path,
    columns: &[&str],
    each: &mut dyn FnMut(&RecordBatch) -> Result<(), ArrowError>,
) -> Result<(), DiskError> {
    let invalid = |e: &dyn std::fmt::Display| DiskError::invalid(path, e);
    let file = File::open(path).map_err(io(path))?;
    let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(|e| invalid(&e))?;
    let mask = ProjectionMask::columns(builder.parquet_schema(), columns.iter().copied());
    for batch in builder.with_projection(mask).build().map_err(|e| invalid(&e))? {
        batch.and_then(|batch| each(&batch)).map_err(|e| invalid(&e))?;
    }
    Ok(())
}
