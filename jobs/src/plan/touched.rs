//! Whom changed files are about, read from the ledger.

use crate::diff::facts::each_batch;
use arrow::array::AsArray;
use arrow::datatypes::{Date32Type, Int32Type, Int64Type};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use tsumiage_pipeline::disk::DiskError;
use tsumiage_pipeline::ledger::{FileEntry, Ledger};
use tsumiage_schemas::{Day, Month};

/// A recipient that changed files are about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TouchedRecipient {
    /// Insurer number of its facts.
    pub insurer_no: String,
    /// Its insured number.
    pub insured_no: String,
    /// Month of its earliest movement date in these files: months from then on may change, and earlier ones as
    /// far as a certification reaches back.
    pub from_month: Month,
}

/// All of them, and how many movements and slips each file has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Touched {
    /// By insurer and insured number.
    pub recipients: Vec<TouchedRecipient>,
    /// Movements and correction slips by file number.
    pub counts: BTreeMap<i32, (u64, u64)>,
}

/// Reads whom these files, or some of their records, are about at these insurers.
pub fn touched(
    ledger: &Ledger,
    insurers: &[String],
    files: &[(&FileEntry, Option<BTreeSet<i64>>)],
) -> Result<Touched, DiskError> {
    let seqs: BTreeMap<i32, Option<&BTreeSet<i64>>> =
        files.iter().map(|(file, records)| (file.seq, records.as_ref())).collect();
    let mut touched = Touched::default();
    if seqs.is_empty() {
        return Ok(touched);
    }
    let runs = ledger.runs();
    for insurer_no in insurers {
        let mut first: BTreeMap<String, i32> = BTreeMap::new();
        for run in runs.get(insurer_no.as_str()).into_iter().flatten() {
            if !run.files.is_empty() && !run.files.iter().any(|seq| seqs.contains_key(seq)) {
                continue;
            }
            let columns = ["insured_no", "movement_date", "is_correction", "file_seq", "record_no"];
            each_batch(&ledger.path(&run.path), &columns, &mut |batch| {
                let numbers = batch.column(0).as_string::<i32>();
                let dates = batch.column(1).as_primitive::<Date32Type>();
                let corrections = batch.column(2).as_boolean();
                let of = batch.column(3).as_primitive::<Int32Type>();
                let records = batch.column(4).as_primitive::<Int64Type>();
                let is_meant = |row: &usize| {
                    let meant = seqs.get(&of.value(*row));
                    meant.is_some_and(|some| some.is_none_or(|some| some.contains(&records.value(*row))))
                };
                for row in (0..batch.num_rows()).filter(is_meant) {
                    let (movements, slips) = touched.counts.entry(of.value(row)).or_default();
                    *(if corrections.value(row) { slips } else { movements }) += 1;
                    match first.get_mut(numbers.value(row)) {
                        Some(date) => *date = (*date).min(dates.value(row)),
                        None => {
                            first.insert(numbers.value(row).to_owned(), dates.value(row));
                        }
                    }
                }
                Ok(())
            })?;
        }
        touched.recipients.extend(first.into_iter().map(|(insured_no, date)| TouchedRecipient {
            insurer_no: insurer_no.clone(),
            insured_no,
            from_month: Day(date).month(),
        }));
    }
    Ok(touched)
}
