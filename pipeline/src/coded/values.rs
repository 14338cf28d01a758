//! The distinct values of a column, numbered as they come.

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{DataType, Date32Type, Int32Type, Int64Type};
use hashbrown::HashTable;
use std::cmp::Ordering;
use xxhash_rust::xxh3::xxh3_64;

/// No value: the cell is null.
pub const NOT_SET: u32 = u32::MAX;

/// What a null cell adds to a row's digest.
const ABSENT: u64 = 0x9fb2_1c65_1e98_df25;

/// Distinct values of one column.
#[derive(Debug)]
pub struct Values {
    kept: Kept,
    /// By number, see [`Values::cell_hash`].
    hashes: Vec<u64>,
    table: HashTable<u32>,
}

#[derive(Debug)]
enum Kept {
    /// End of every text, with a zero in front, and all their bytes.
    Texts(Vec<usize>, Vec<u8>),
    /// Numbers, and how many bytes each has in a file.
    Numbers(Vec<i64>, usize),
}

/// A column of some rows as numbers of its values.
#[derive(Clone, Debug, Default)]
pub struct Numbers {
    /// How many rows.
    pub rows: usize,
    /// One per row, [`NOT_SET`] for null; none where all rows have the same.
    pub of_rows: Vec<u32>,
    /// All rows have this one.
    pub only: Option<u32>,
    /// No row is null.
    pub all_set: bool,
}

impl Numbers {
    /// With what is known of all rows found out.
    pub fn new(of_rows: Vec<u32>) -> Numbers {
        let first = of_rows.first().copied().unwrap_or(NOT_SET);
        if of_rows.iter().all(|number| *number == first) {
            return Numbers::same(first, of_rows.len());
        }
        Numbers { rows: of_rows.len(), all_set: !of_rows.contains(&NOT_SET), of_rows, only: None }
    }

    /// So many rows that all have the same.
    pub fn same(number: u32, rows: usize) -> Numbers {
        Numbers { rows, of_rows: Vec::new(), only: Some(number), all_set: number != NOT_SET }
    }

    /// The number of a row.
    pub fn at(&self, row: usize) -> u32 {
        self.only.unwrap_or_else(|| self.of_rows[row])
    }
}

impl Values {
    /// None yet, of a column of this type.
    pub fn new(data_type: &DataType) -> Values {
        let kept = match data_type {
            DataType::Utf8 => Kept::Texts(vec![0], Vec::new()),
            DataType::Int64 => Kept::Numbers(Vec::new(), 8),
            _ => Kept::Numbers(Vec::new(), 4),
        };
        Values { kept, hashes: Vec::new(), table: HashTable::new() }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.hashes.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.hashes.is_empty()
    }

    /// The number of a text.
    pub fn text(&mut self, value: &[u8]) -> u32 {
        let Kept::Texts(ends, bytes) = &mut self.kept else { return NOT_SET };
        let hash = xxh3_64(value);
        let is_it = |number: &u32| text_at(ends, bytes, *number) == value;
        if let Some(number) = self.table.find(hash, is_it) {
            return *number;
        }
        bytes.extend_from_slice(value);
        ends.push(bytes.len());
        self.keep(hash)
    }

    /// The number of a number, day or truth value.
    pub fn number(&mut self, value: i64) -> u32 {
        let Kept::Numbers(numbers, _) = &mut self.kept else { return NOT_SET };
        let hash = xxh3_64(&value.to_le_bytes());
        if let Some(number) = self.table.find(hash, |number| numbers[*number as usize] == value) {
            return *number;
        }
        numbers.push(value);
        self.keep(hash)
    }

    fn keep(&mut self, hash: u64) -> u32 {
        let number = self.hashes.len() as u32;
        self.hashes.push(hash);
        let hashes = &self.hashes;
        self.table.insert_unique(hash, number, |number| hashes[*number as usize]);
        number
    }

    /// The numbers of all cells of an array of the column's type.
    pub fn of_array(&mut self, array: &ArrayRef) -> Vec<u32> {
        if array.null_count() == array.len() {
            return vec![NOT_SET; array.len()];
        }
        match array.data_type() {
            DataType::Utf8 => {
                let texts = array.as_string::<i32>();
                self.each(
                    array,
                    |values, row| values.text(texts.value(row).as_bytes()),
                    |a, b| texts.value(a) == texts.value(b),
                )
            }
            DataType::Boolean => {
                let truths = array.as_boolean();
                let at = |row: usize| i64::from(truths.value(row));
                self.each(array, |values, row| values.number(at(row)), |a, b| at(a) == at(b))
            }
            DataType::Int64 => {
                let numbers = array.as_primitive::<Int64Type>().values();
                self.each(array, |values, row| values.number(numbers[row]), |a, b| numbers[a] == numbers[b])
            }
            DataType::Int32 => {
                let numbers = array.as_primitive::<Int32Type>().values();
                self.each(
                    array,
                    |values, row| values.number(numbers[row].into()),
                    |a, b| numbers[a] == numbers[b],
                )
            }
            _ => {
                let days = array.as_primitive::<Date32Type>().values();
                self.each(array, |values, row| values.number(days[row].into()), |a, b| days[a] == days[b])
            }
        }
    }

    /// Looks a value up only where it is another than the one before: records of a person stand together.
    fn each(
        &mut self,
        array: &ArrayRef,
        mut number: impl FnMut(&mut Values, usize) -> u32,
        same: impl Fn(usize, usize) -> bool,
    ) -> Vec<u32> {
        let mut before: Option<(usize, u32)> = None;
        let mut one = |row: usize| {
            let found = match before {
                Some((at, found)) if same(at, row) => found,
                _ => number(self, row),
            };
            before = Some((row, found));
            found
        };
        match array.nulls() {
            None => (0..array.len()).map(one).collect(),
            Some(nulls) => {
                let mut numbers = vec![NOT_SET; array.len()];
                nulls.valid_indices().for_each(|row| numbers[row] = one(row));
                numbers
            }
        }
    }

    /// The bytes of a text; none of a number.
    pub fn bytes_of(&self, number: u32) -> &[u8] {
        match &self.kept {
            Kept::Texts(ends, bytes) => text_at(ends, bytes, number),
            Kept::Numbers(..) => &[],
        }
    }

    /// The value of a number; 0 of a text.
    pub fn number_of(&self, number: u32) -> i64 {
        match &self.kept {
            Kept::Texts(..) => 0,
            Kept::Numbers(numbers, _) => numbers[number as usize],
        }
    }

    /// By their values: texts by bytes, numbers as numbers.
    pub fn compare(&self, a: u32, b: u32) -> Ordering {
        match &self.kept {
            Kept::Texts(ends, bytes) => text_at(ends, bytes, a).cmp(text_at(ends, bytes, b)),
            Kept::Numbers(numbers, _) => numbers[a as usize].cmp(&numbers[b as usize]),
        }
    }

    /// Bytes that [`Values::push_plain`] appends.
    pub(super) fn plain_bytes(&self, number: u32) -> usize {
        match &self.kept {
            Kept::Texts(ends, bytes) => 4 + text_at(ends, bytes, number).len(),
            Kept::Numbers(_, bytes) => *bytes,
        }
    }

    /// Appends a value as Parquet has it in plain pages and dictionaries.
    pub(super) fn push_plain(&self, number: u32, out: &mut Vec<u8>) {
        match &self.kept {
            Kept::Texts(ends, bytes) => {
                let text = text_at(ends, bytes, number);
                out.extend_from_slice(&(text.len() as u32).to_le_bytes());
                out.extend_from_slice(text);
            }
            Kept::Numbers(numbers, bytes) => {
                out.extend_from_slice(&numbers[number as usize].to_le_bytes()[..*bytes]);
            }
        }
    }

    /// XXH3-64 of a text, or of a number as eight bytes, little endian; of [`NOT_SET`] a constant.
    pub fn cell_hash(&self, number: u32) -> u64 {
        if number == NOT_SET { ABSENT } else { self.hashes[number as usize] }
    }

    /// [`Values::cell_hash`] of a value that is not kept.
    pub fn hash_of(cell: Option<&[u8]>) -> u64 {
        cell.map_or(ABSENT, xxh3_64)
    }
}

fn text_at<'b>(ends: &[usize], bytes: &'b [u8], number: u32) -> &'b [u8] {
    let at = number as usize;
    &bytes[ends[at]..ends[at + 1]]
}
