//! The buffers of Arrow columns in the making: numbers, texts, lists of members.
//!
//! Promise: a blank costs nothing when it comes: numbers start as null zeros, and texts are padded when the next
//! value or the end of the batch comes. Rows of one column can be appended to another of its kind.

use super::item::Value;
use super::record::Row;
use arrow::array::{ArrayRef, BinaryArray, Date32Array, Int32Array, ListArray, StringArray, StringBuilder};
use arrow::buffer::{BooleanBuffer, Buffer, NullBuffer, OffsetBuffer};
use arrow::datatypes::{DataType, FieldRef};
use arrow::util::bit_mask::set_bits;
use std::ops::Range;
use std::sync::Arc;

/// Bytes of text after which a batch is full, however few rows it has.
pub(super) const MOST_BYTES: usize = 8 << 20;

/// The lists of members and days.
pub(super) struct Members {
    /// Members of every row so far, with a zero in front.
    offsets: Vec<i32>,
    numbers: StringBuilder,
    days: Vec<i32>,
    fields: [FieldRef; 2],
}

impl Members {
    pub fn new(lists: &[FieldRef]) -> Option<Members> {
        let each = |list: &FieldRef| match list.data_type() {
            DataType::List(each) => Some(Arc::clone(each)),
            _ => None,
        };
        let [numbers, days] = lists else { return None };
        let fields = [each(numbers)?, each(days)?];
        Some(Members { offsets: vec![0], numbers: StringBuilder::new(), days: Vec::new(), fields })
    }

    pub fn push(&mut self, row: &Row<'_>) {
        for (member, day) in &row.members {
            self.numbers.append_value(String::from_utf8_lossy(row.bytes(member)));
            self.days.push(*day);
        }
        self.offsets.push(self.days.len() as i32); // far below: a batch has at most some million rows
    }

    /// Appends rows of another.
    pub fn append(&mut self, other: &Members, rows: &Range<usize>) {
        let (first, last) = (other.offsets[rows.start], other.offsets[rows.end]);
        let (texts, ends) = (other.numbers.values_slice(), other.numbers.offsets_slice());
        for member in first as usize..last as usize {
            let number = &texts[ends[member] as usize..ends[member + 1] as usize];
            self.numbers.append_value(String::from_utf8_lossy(number));
            self.days.push(other.days[member]);
        }
        let base = self.days.len() as i32 - last;
        self.offsets.extend(other.offsets[rows.start + 1..=rows.end].iter().map(|end| end + base));
    }

    pub fn into_arrays(mut self) -> [ArrayRef; 2] {
        let offsets = OffsetBuffer::new(self.offsets.into());
        let [number, day] = self.fields;
        let (numbers, days) = (Arc::new(self.numbers.finish()), Arc::new(Date32Array::from(self.days)));
        [
            Arc::new(ListArray::new(number, offsets.clone(), numbers, None)),
            Arc::new(ListArray::new(day, offsets, days, None)),
        ]
    }
}

/// Which rows have a value, one bit each.
#[derive(Default)]
struct Present(Vec<u8>);

impl Present {
    fn set(&mut self, row: usize) {
        self.0[row / 8] |= 1 << (row % 8);
    }

    /// Appends rows of another behind the row `at`; gives how many have a value.
    fn append(&mut self, at: usize, other: &Present, rows: &Range<usize>) -> usize {
        rows.len() - set_bits(&mut self.0, &other.0, at, rows.start, rows.len())
    }

    fn into_nulls(self, rows: usize) -> NullBuffer {
        NullBuffer::new(BooleanBuffer::new(Buffer::from_vec(self.0), 0, rows))
    }
}

pub(super) struct Numbers {
    values: Vec<i32>,
    present: Present,
}

impl Numbers {
    pub fn new(rows: usize) -> Numbers {
        Numbers { values: vec![0; rows], present: Present(vec![0; rows.div_ceil(8)]) }
    }

    pub fn set(&mut self, row: usize, value: i32) {
        self.values[row] = value;
        self.present.set(row);
    }

    /// Sets the rows from `at` on to rows of another column.
    pub fn append(&mut self, at: usize, other: &Numbers, rows: &Range<usize>) {
        if self.present.append(at, &other.present, rows) > 0 {
            self.values[at..at + rows.len()].copy_from_slice(&other.values[rows.clone()]);
        }
    }

    pub fn into_days(mut self, rows: usize) -> ArrayRef {
        self.values.truncate(rows);
        Arc::new(Date32Array::new(self.values.into(), Some(self.present.into_nulls(rows))))
    }

    pub fn into_integers(mut self, rows: usize) -> ArrayRef {
        self.values.truncate(rows);
        Arc::new(Int32Array::new(self.values.into(), Some(self.present.into_nulls(rows))))
    }
}

pub(super) struct Texts {
    /// End of every row so far, with a zero in front.
    offsets: Vec<i32>,
    bytes: Vec<u8>,
    present: Present,
}

impl Texts {
    pub fn new(rows: usize) -> Texts {
        let mut offsets = Vec::with_capacity(rows + 1);
        offsets.push(0);
        Texts { offsets, bytes: Vec::new(), present: Present(vec![0; rows.div_ceil(8)]) }
    }

    fn end(&self) -> i32 {
        self.bytes.len() as i32 // `set` keeps it in range
    }

    /// Sets a row after all rows set so far. What would make the column greater than 2 GiB is left
    /// out: no layout has items that wide, and the archive has the bytes.
    pub fn set(&mut self, row: usize, value: &[u8]) {
        self.begin(row);
        if i32::try_from(self.bytes.len() + value.len()).is_ok() {
            self.bytes.extend_from_slice(value);
        }
        self.offsets.push(self.end());
        self.present.set(row);
    }

    /// Sets a row to a text value of a record; gives the number of its bytes.
    #[inline(always)]
    pub fn set_value(&mut self, row: usize, record: &Row<'_>, value: &Value<'_>) -> usize {
        match value {
            // Sixteen bytes are copied, and those that count are kept: no call, no loop.
            Value::Short(bytes, len) if self.bytes.len() < MOST_BYTES => {
                self.begin(row);
                let end = self.bytes.len() + usize::from(*len);
                self.bytes.extend_from_slice(bytes);
                self.bytes.truncate(end);
                self.offsets.push(self.end());
                self.present.set(row);
                usize::from(*len)
            }
            _ => {
                let bytes = record.bytes(value);
                self.set(row, bytes);
                bytes.len()
            }
        }
    }

    /// Sets the rows from `at` on to rows of another column that is padded.
    pub fn append(&mut self, at: usize, other: &Texts, rows: &Range<usize>) {
        if self.present.append(at, &other.present, rows) == 0 {
            return;
        }
        self.begin(at);
        let (first, last) = (other.offsets[rows.start], other.offsets[rows.end]);
        let base = self.end() - first;
        self.bytes.extend_from_slice(&other.bytes[first as usize..last as usize]);
        self.offsets.extend(other.offsets[rows.start + 1..=rows.end].iter().map(|end| end + base));
    }

    /// Pads to before a row.
    #[inline]
    pub fn begin(&mut self, row: usize) {
        if self.offsets.len() <= row {
            self.offsets.resize(row + 1, self.end());
        }
    }

    fn pad(&mut self, rows: usize) -> OffsetBuffer<i32> {
        self.offsets.resize(rows + 1, self.end());
        OffsetBuffer::new(std::mem::take(&mut self.offsets).into())
    }

    pub fn into_strings(mut self, rows: usize, nullable: bool) -> ArrayRef {
        let offsets = self.pad(rows);
        if nullable && self.bytes.is_empty() && self.present.0.iter().all(|bits| *bits == 0) {
            return Arc::new(StringArray::new_null(rows));
        }
        let nulls = nullable.then(|| self.present.into_nulls(rows));
        // Only ASCII and decoded text is put in.
        Arc::new(StringArray::new(offsets, Buffer::from_vec(self.bytes), nulls))
    }

    pub fn into_binary(mut self, rows: usize) -> ArrayRef {
        let offsets = self.pad(rows);
        let nulls = self.present.into_nulls(rows);
        Arc::new(BinaryArray::new(offsets, Buffer::from_vec(self.bytes), Some(nulls)))
    }
}
