//! `rows_digest`: a digest of a table's values that does not depend on encoding, file cuts or row order.
//!
//! Definition: a cell's hash is XXH3-64 of its text, or of its number, day or truth value as eight bytes, little endian;
//! that of a null cell is a constant. A row's hash takes in its cells one after the other ([`mix`], beginning with
//! 0): first those of the columns that a month's row takes over from the history, then [`OWN_MONTH_COLUMNS`], each
//! group in schema order ([`order`]). The digest is `2-<rows>-<sum of the row hashes in 128 bits, hex>`; one without the
//! `2-` was made by an earlier program in another way.

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Date32Type, Int32Type, Int64Type, Schema};
use serde::{Deserialize, Serialize};
use tsumiage_pipeline::coded::Values;

/// Columns whose values a row of `recipient_month` has of its own; the others are those of the history.
pub const OWN_MONTH_COLUMNS: [&str; 10] = [
    "service_month",
    "holder_name",
    "movements_in_month",
    "ended_in_month",
    "first_day_insurer_no",
    "heaviest_care_level",
    "limit_units",
    "limit_source",
    "certification_covers_month",
    "covering_movement_date",
];

/// The columns of a table in the order in which a row's hash takes them in.
pub(super) fn order(schema: &Schema) -> impl Iterator<Item = usize> + use<> {
    let own = |at: &usize| OWN_MONTH_COLUMNS.contains(&schema.field(*at).name().as_str());
    let (last, first): (Vec<usize>, Vec<usize>) = (0..schema.fields().len()).partition(own);
    first.into_iter().chain(last)
}

/// Whether a digest as text was made as the module says.
pub fn is_of_this_kind(digest: &str) -> bool {
    digest.starts_with(KIND)
}

/// Takes a cell's hash into a row's.
#[inline]
pub(super) fn mix(row: u64, cell: u64) -> u64 {
    let mixed = (row ^ cell).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed ^ mixed >> 32
}

/// Takes the cells of a column into the rows' hashes.
fn chain(hashes: &mut [u64], column: &ArrayRef) {
    let number = |value: i64| Values::hash_of(Some(&value.to_le_bytes()));
    match column.data_type() {
        DataType::Utf8 => {
            let values = column.as_string::<i32>();
            each(hashes, column, |row| Values::hash_of(Some(values.value(row).as_bytes())));
        }
        DataType::Boolean => {
            let values = column.as_boolean();
            each(hashes, column, |row| number(values.value(row).into()));
        }
        DataType::Int64 => {
            let values = column.as_primitive::<Int64Type>();
            each(hashes, column, |row| number(values.value(row)));
        }
        DataType::Int32 => {
            let values = column.as_primitive::<Int32Type>();
            each(hashes, column, |row| number(values.value(row).into()));
        }
        _ => {
            let values = column.as_primitive::<Date32Type>();
            each(hashes, column, |row| number(values.value(row).into()));
        }
    }
}

fn each(hashes: &mut [u64], column: &ArrayRef, cell: impl Fn(usize) -> u64) {
    let absent = Values::hash_of(None);
    for (row, hash) in hashes.iter_mut().enumerate() {
        *hash = mix(*hash, if column.is_null(row) { absent } else { cell(row) });
    }
}

/// What a digest begins with.
const KIND: &str = "2-";

/// A digest being summed up; in documents a text as defined above.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct RowsDigest {
    rows: u64,
    sum: u128,
}

impl RowsDigest {
    /// Adds rows by their hashes.
    pub fn add_hashes(&mut self, hashes: &[u64]) {
        self.rows += hashes.len() as u64;
        self.sum = hashes.iter().fold(self.sum, |sum, hash| sum.wrapping_add(u128::from(*hash)));
    }

    /// Adds the rows of a batch whose schema is that of the table.
    pub fn add_batch(&mut self, batch: &RecordBatch) {
        let mut hashes = vec![0; batch.num_rows()];
        for at in order(&batch.schema()) {
            chain(&mut hashes, batch.column(at));
        }
        self.add_hashes(&hashes);
    }

    /// Adds another digest of the same table.
    pub fn merge(&mut self, other: RowsDigest) {
        self.rows += other.rows;
        self.sum = self.sum.wrapping_add(other.sum);
    }

    /// Rows added.
    pub fn rows(&self) -> u64 {
        self.rows
    }
}

impl std::fmt::Display for RowsDigest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{KIND}{}-{:032x}", self.rows, self.sum)
    }
}

impl From<RowsDigest> for String {
    fn from(digest: RowsDigest) -> String {
        digest.to_string()
    }
}

impl TryFrom<String> for RowsDigest {
    type Error = String;

    fn try_from(text: String) -> Result<RowsDigest, String> {
        let read = |text: &str| {
            let (rows, sum) = text.strip_prefix(KIND).unwrap_or(text).split_once('-')?;
            Some(RowsDigest { rows: rows.parse().ok()?, sum: u128::from_str_radix(sum, 16).ok()? })
        };
        read(&text).ok_or_else(|| format!("{text:?} is no digest of rows"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_survives_as_text() {
        let mut digest = RowsDigest::default();
        digest.add_hashes(&[u64::MAX, u64::MAX, 7]);
        assert_eq!(RowsDigest::try_from(String::from(digest)), Ok(digest));
        for wrong in ["", "3", "3-", "x-0", "3-g"] {
            assert!(RowsDigest::try_from(wrong.to_owned()).is_err(), "{wrong}");
        }
        // Of an earlier program: it can be read, but not compared.
        let earlier = RowsDigest::try_from("3-00ff".to_owned()).unwrap();
        assert!(earlier.rows() == 3 && !is_of_this_kind("3-00ff") && is_of_this_kind(&earlier.to_string()));
    }
}
