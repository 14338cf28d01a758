//! The facts that only one of two snapshots knows or lets count, read from the ledger.

use super::Side;
use super::cause::Fact;
use crate::publish::spool::{findings_path, sender_name};
use crate::published::batches;
use crate::resolve::inputs::FileRecord;
use crate::resolve::record::Record;
use crate::stack::fact::Change;
use crate::stack::gather::masks;
use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{Date32Type, Int32Type, Int64Type};
use arrow::error::ArrowError;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;
use tsumiage_pipeline::disk::DiskError;
use tsumiage_pipeline::ledger::{FileEntry, Ledger, RunEntry};
use tsumiage_schemas::FactTable;

const COLUMNS: [&str; 10] = [
    "insurer_no",
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

/// How the facts of a file differ in two snapshots.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Differ {
    /// All came.
    Came,
    /// None counts any more.
    Gone,
    /// Some records.
    Records {
        /// They count now: their withdrawal is not known there.
        came: BTreeSet<i64>,
        /// They do not count any more.
        gone: BTreeSet<i64>,
    },
}

impl Differ {
    /// How a file differs; `None` if it does not.
    fn of(before: Option<&FileRecord>, after: Option<&FileRecord>) -> Option<Differ> {
        let counts = |file: &&FileRecord| !file.withdrawn;
        match (before.filter(counts), after.filter(counts)) {
            (None, None) => None,
            (None, Some(_)) => Some(Differ::Came),
            (Some(_), None) => Some(Differ::Gone),
            (Some(a), Some(b)) if a.counts != b.counts => Some(Differ::Came), // read again
            (Some(a), Some(b)) if a.withdrawn_records != b.withdrawn_records => {
                let without = |a: &BTreeSet<i64>, b: &BTreeSet<i64>| a.difference(b).copied().collect();
                let came = without(&a.withdrawn_records, &b.withdrawn_records);
                let gone = without(&b.withdrawn_records, &a.withdrawn_records);
                Some(Differ::Records { came, gone })
            }
            _ => None,
        }
    }

    /// Whether a record came (`true`) or went; `None` if neither.
    fn came(&self, record_no: i64) -> Option<bool> {
        match self {
            Differ::Came => Some(true),
            Differ::Gone => Some(false),
            Differ::Records { came, .. } if came.contains(&record_no) => Some(true),
            Differ::Records { gone, .. } if gone.contains(&record_no) => Some(false),
            Differ::Records { .. } => None,
        }
    }
}

/// A record of the registry that differs.
struct OfRegistry {
    table: FactTable,
    insurer_no: String,
    order: (u32, i64),
    file_id: String,
    date: i32,
}

/// The files whose facts only one of two snapshots knows or lets count.
pub struct Differing<'a> {
    ledger: &'a Ledger,
    /// By number in the ledger: the file, its place in the order of application, and how.
    files: BTreeMap<i32, (&'a FileEntry, u32, Differ)>,
    /// Records that stacking refused in the newer one.
    refused: BTreeSet<(String, i64)>,
    /// The registry's records of these files.
    registry: Vec<OfRegistry>,
}

impl<'a> Differing<'a> {
    /// Of two snapshots.
    ///
    /// # Errors
    /// Findings, or the ledger's runs of the registry, cannot be read.
    pub fn new(before: &Side<'_>, after: &Side<'_>, ledger: &'a Ledger) -> Result<Differing<'a>, DiskError> {
        fn by_id(record: &Record) -> HashMap<&str, &FileRecord> {
            record.files.iter().map(|file| (file.file_id.as_str(), file)).collect()
        }
        let (a, b) = (by_id(before.record), by_id(after.record));
        let differ = |file_id: &str| Differ::of(a.get(file_id).copied(), b.get(file_id).copied());
        // A snapshot that does not say what it was made of tells of no file that differs.
        let both_say = !a.is_empty() && !b.is_empty();
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
        let mut differing = Differing { ledger, files, refused, registry: Vec::new() };
        for table in [FactTable::Membership, FactTable::Insurer, FactTable::MunicipalLimit] {
            differing.read_registry(table)?;
        }
        Ok(differing)
    }

    /// The file of a fact, its place and whether the fact came; `None` if it does not differ or was refused.
    fn differs(&self, seq: i32, record_no: i64) -> Option<(&'a FileEntry, u32, bool)> {
        let (file, place, how) = self.files.get(&seq)?;
        let came = how.came(record_no)?;
        let refused = came && self.refused.contains(&(file.arrival.file_id.clone(), record_no));
        (!refused).then_some((*file, *place, came))
    }

    fn may_differ(&self, run: &RunEntry) -> bool {
        run.files.is_empty() || run.files.iter().any(|seq| self.files.contains_key(seq))
    }

    fn read_registry(&mut self, table: FactTable) -> Result<(), DiskError> {
        let mut found = Vec::new();
        for run in self.ledger.runs_of(table).filter(|run| self.may_differ(run)) {
            let columns = ["insurer_no", "movement_date", "file_seq", "record_no"];
            each_batch(&self.ledger.path(&run.path), &columns, &mut |batch| {
                let insurers = batch.column(0).as_string::<i32>();
                let dates = batch.column(1).as_primitive::<Date32Type>();
                let seqs = batch.column(2).as_primitive::<Int32Type>();
                let records = batch.column(3).as_primitive::<Int64Type>();
                for row in 0..batch.num_rows() {
                    let record_no = records.value(row);
                    let Some((file, place, _)) = self.differs(seqs.value(row), record_no) else { continue };
                    found.push(OfRegistry {
                        table,
                        insurer_no: insurers.value(row).to_owned(),
                        order: (place, record_no),
                        file_id: file.arrival.file_id.clone(),
                        date: dates.value(row),
                    });
                }
                Ok(())
            })?;
        }
        self.registry.extend(found);
        Ok(())
    }

    /// The last record of a registry table that differs and is of one of these insurers or unions: file, position,
    /// movement date.
    pub fn of_registry(&self, table: FactTable, numbers: &BTreeSet<&str>) -> Option<(String, i64, i32)> {
        let of = |record: &&OfRegistry| record.table == table && numbers.contains(record.insurer_no.as_str());
        let last = self.registry.iter().filter(of).max_by_key(|record| record.order)?;
        Some((last.file_id.clone(), last.order.1, last.date))
    }

    /// The facts at these insurers that differ, by insured number and in the order of application.
    ///
    /// # Errors
    /// A run of the ledger cannot be read.
    pub fn facts_of(&self, insurers: &BTreeSet<&str>) -> Result<HashMap<String, Vec<Fact>>, DiskError> {
        let mut facts: HashMap<String, Vec<Fact>> = HashMap::new();
        let runs = self.ledger.runs();
        for run in insurers.iter().filter_map(|no| runs.get(no)).flatten().filter(|run| self.may_differ(run))
        {
            each_batch(&self.ledger.path(&run.path), &COLUMNS, &mut |batch| self.add(batch, &mut facts))?;
        }
        for of_person in facts.values_mut() {
            of_person.sort_by_key(|fact| fact.order);
        }
        Ok(facts)
    }

    fn add(&self, batch: &RecordBatch, facts: &mut HashMap<String, Vec<Fact>>) -> Result<(), ArrowError> {
        let column = |name: &str| {
            batch.column_by_name(name).ok_or_else(|| ArrowError::SchemaError(format!("no column {name}")))
        };
        let seqs = column("file_seq")?.as_primitive::<Int32Type>();
        let text = |name: &str| column(name).map(|column| column.as_string::<i32>());
        let (insurers, insured, types) = (text("insurer_no")?, text("insured_no")?, text("change_type")?);
        let records = column("record_no")?.as_primitive::<Int64Type>();
        let dates = column("movement_date")?.as_primitive::<Date32Type>();
        let correction = column("is_correction")?.as_boolean();
        let correction_dates = column("correction_date")?.as_primitive::<Date32Type>();
        let (given, cleared) = (masks(column("given")?), masks(column("cleared")?));
        for row in 0..batch.num_rows() {
            let record_no = records.value(row);
            let Some((file, place, came)) = self.differs(seqs.value(row), record_no) else { continue };
            let change_type = types.value(row).bytes().next().unwrap_or(b'0');
            facts.entry(insured.value(row).to_owned()).or_default().push(Fact {
                order: (place, record_no),
                file_id: file.arrival.file_id.clone(),
                record_no,
                insurer_no: insurers.value(row).to_owned(),
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
    for batch in batches(path, Some(columns))? {
        each(&batch?).map_err(|e| DiskError::invalid(path, e))?;
    }
    Ok(())
}
