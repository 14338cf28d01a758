//! Facts on their way into a run: which rows of which batch, of which file.
//!
//! Promise: nothing is copied before the order of the run is known; each column is then gathered once.

use crate::aside::bytes_of;
use arrow::array::{Array, ArrayRef, AsArray, Int32Array, Int64Array, RecordBatch, StringArray, UInt32Array};
use arrow::compute::{concat_batches, take_record_batch};
use arrow::error::ArrowError;
use std::collections::BTreeMap;
use std::sync::Arc;
use tsumiage_schemas::FactTable;

/// Facts of one file and table, those of recipients of one insurer.
#[derive(Clone, Debug)]
pub(super) struct Part {
    /// They stand in it in the schema of their table. Its file numbers are not looked at.
    pub batch: RecordBatch,
    /// Which of its rows; `None`: all.
    pub rows: Option<Vec<u32>>,
    /// The number of the file of each row.
    pub seqs: Seqs,
    /// Bytes of its rows, nearly.
    pub bytes: usize,
}

/// Numbers of files.
#[derive(Clone, Debug)]
pub(super) enum Seqs {
    /// All rows are of one file.
    One(i32),
    /// As they stand in the batch.
    Each(Int32Array),
}

/// Where a row of a run comes from: the place of its part, and its row in the batch of that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub part: u32,
    pub row: u32,
}

/// The facts of a batch as parts, those of recipients by insurer, all of the file of this number.
pub(super) fn parts(
    table: FactTable,
    batch: RecordBatch,
    seq: i32,
) -> Result<Vec<(String, Part)>, ArrowError> {
    let (seqs, bytes) = (Seqs::One(seq), bytes_of(&batch));
    if table != FactTable::Recipient {
        return Ok(vec![(String::new(), Part { batch, rows: None, seqs, bytes })]);
    }
    let insurers: StringArray = column(&batch, "insurer_no")?.as_string().clone();
    let mut rows: BTreeMap<&str, Vec<u32>> = BTreeMap::new();
    let mut at = 0;
    while at < insurers.len() {
        let insurer_no = insurers.value(at);
        // It becomes the name of a folder.
        if insurers.is_null(at) || insurer_no.is_empty() || !insurer_no.bytes().all(|b| b.is_ascii_digit()) {
            return Err(ArrowError::InvalidArgumentError("an insurer number is none".to_owned()));
        }
        let end =
            (at..insurers.len()).find(|row| insurers.is_null(*row) || insurers.value(*row) != insurer_no);
        let end = end.unwrap_or(insurers.len()); // mostly all are of one
        rows.entry(insurer_no).or_default().extend(at as u32..end as u32);
        at = end;
    }
    let all = insurers.len();
    let part = |(insurer_no, rows): (&str, Vec<u32>)| {
        let bytes = bytes / all * rows.len();
        let rows = Some(rows).filter(|rows| rows.len() < all);
        (insurer_no.to_owned(), Part { batch: batch.clone(), rows, seqs: seqs.clone(), bytes })
    };
    Ok(rows.into_iter().map(part).collect())
}

fn column<'b>(batch: &'b RecordBatch, name: &str) -> Result<&'b ArrayRef, ArrowError> {
    Ok(batch.column(batch.schema_ref().index_of(name)?))
}

impl Part {
    /// A batch whose rows name their files.
    pub fn numbered(batch: RecordBatch) -> Result<Part, ArrowError> {
        let seqs = Seqs::Each(column(&batch, "file_seq")?.as_primitive().clone());
        Ok(Part { bytes: bytes_of(&batch), batch, rows: None, seqs })
    }

    /// Number of its rows.
    pub fn len(&self) -> usize {
        self.rows.as_ref().map_or(self.batch.num_rows(), Vec::len)
    }

    /// Its rows in the batch.
    pub fn rows(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.len()).map(|at| self.rows.as_ref().map_or(at, |rows| rows[at] as usize))
    }

    /// The file number of a row of the batch.
    pub fn seq(&self, row: usize) -> i32 {
        match &self.seqs {
            Seqs::One(seq) => *seq,
            Seqs::Each(seqs) => seqs.value(row),
        }
    }

    /// The facts of parts as one batch that has their file numbers, in the order given.
    pub fn in_one(parts: Vec<Part>) -> Result<RecordBatch, ArrowError> {
        let batches: Result<Vec<RecordBatch>, ArrowError> = parts.into_iter().map(Part::into_batch).collect();
        let batches = batches?;
        concat_batches(&batches[0].schema(), &batches) // nobody joins nothing
    }

    fn into_batch(self) -> Result<RecordBatch, ArrowError> {
        let schema = self.batch.schema();
        let mut columns = self.batch.columns().to_vec();
        if let Seqs::One(seq) = self.seqs {
            columns[schema.index_of("file_seq")?] =
                Arc::new(Int32Array::from_value(seq, self.batch.num_rows()));
        }
        let batch = RecordBatch::try_new(schema, columns)?;
        match self.rows {
            None => Ok(batch),
            Some(rows) => take_record_batch(&batch, &UInt32Array::from(rows)),
        }
    }
}

/// What rows are sorted by, and where they come from.
struct Keys {
    insured: Vec<StringArray>,
    records: Vec<Int64Array>,
}

/// All rows of parts by (insured number, file number, record number); numbers that are not there come first.
pub(super) fn order(parts: &[Part]) -> Result<Vec<Place>, ArrowError> {
    let mut keys = Keys { insured: Vec::new(), records: Vec::new() };
    for part in parts {
        keys.insured.push(column(&part.batch, "insured_no")?.as_string().clone());
        keys.records.push(column(&part.batch, "record_no")?.as_primitive().clone());
    }
    // By file and record first: of what was read in order nothing is to be done.
    let mut places = Vec::with_capacity(parts.iter().map(Part::len).sum());
    for (at, part) in parts.iter().enumerate() {
        places.extend(part.rows().map(|row| Place { part: at as u32, row: row as u32 }));
    }
    let in_files = |place: &Place| {
        let (part, row) = (place.part as usize, place.row as usize);
        (parts[part].seq(row), keys.records[part].value(row))
    };
    if !places.is_sorted_by_key(in_files) {
        places.sort_by_key(in_files);
    }
    match places.iter().map(|place| keys.number(place)).collect::<Option<Vec<(u64, Place)>>>() {
        Some(mut numbered) => {
            numbered.sort_by_key(|(number, _)| *number); // stable
            Ok(numbered.into_iter().map(|(_, place)| place).collect())
        }
        None => {
            places.sort_by(|a, b| keys.insured_no(a).cmp(&keys.insured_no(b)));
            Ok(places)
        }
    }
}

/// Digits of an insured number that is compared as a number: equal lengths compare as texts do.
const DIGITS: usize = 10;

impl Keys {
    fn insured_no(&self, place: &Place) -> Option<&str> {
        let (insured, row) = (&self.insured[place.part as usize], place.row as usize);
        insured.is_valid(row).then(|| insured.value(row))
    }

    /// An insured number of ten digits as a number; `None` if it is none.
    fn number(&self, place: &Place) -> Option<(u64, Place)> {
        let digits = self.insured_no(place).filter(|no| no.len() == DIGITS)?;
        let number = digits
            .bytes()
            .try_fold(0, |sum, digit| digit.is_ascii_digit().then(|| sum * 10 + u64::from(digit - b'0')))?;
        Some((number, *place))
    }
}
