//! One column of a run from the parts its rows come from.
//!
//! Promise: the column holds the values of the places given, in their order, whatever buffers they stood in. Most items
//! of most records are blank: only what is there is touched.

use super::part::{Part, Place};
use arrow::array::{
    Array, ArrayRef, ArrowPrimitiveType, AsArray, BinaryArray, BooleanArray, FixedSizeBinaryArray,
    GenericByteArray, Int32Array, PrimitiveArray, StringArray, new_null_array,
};
use arrow::buffer::{BooleanBuffer, Buffer, NullBuffer, OffsetBuffer};
use arrow::compute::interleave;
use arrow::datatypes::{ByteArrayType, DataType, Date32Type, Int32Type, Int64Type};
use arrow::error::ArrowError;
use std::sync::Arc;

/// Facts in the order of a run.
pub(super) struct Ordered<'p> {
    parts: &'p [Part],
    order: Vec<Place>,
    /// The place in the run of every row of every part, in the order of the part's rows.
    places: Vec<Vec<u32>>,
    /// Column of the file numbers.
    seq_column: usize,
}

impl<'p> Ordered<'p> {
    /// Facts of parts in this order, which has each of them once.
    pub fn new(parts: &'p [Part], order: Vec<Place>) -> Result<Ordered<'p>, ArrowError> {
        let seq_column = parts[0].batch.schema_ref().index_of("file_seq")?; // no run without a part
        let mut places: Vec<Vec<u32>> = parts.iter().map(|part| vec![0; part.batch.num_rows()]).collect();
        for (at, place) in order.iter().enumerate() {
            places[place.part as usize][place.row as usize] = at as u32;
        }
        for (part, places) in parts.iter().zip(&mut places) {
            if let Some(rows) = &part.rows {
                *places = rows.iter().map(|row| places[*row as usize]).collect();
            }
        }
        Ok(Ordered { parts, order, places, seq_column })
    }

    /// Number of facts.
    pub fn rows(&self) -> usize {
        self.order.len()
    }

    /// A column of the run.
    ///
    /// # Errors
    /// Its text is more than Arrow takes in one array.
    pub fn column(&self, at: usize) -> Result<ArrayRef, ArrowError> {
        if at == self.seq_column {
            return Ok(Arc::new(self.seqs()));
        }
        let arrays: Vec<&ArrayRef> = self.parts.iter().map(|part| part.batch.column(at)).collect();
        if arrays.iter().all(|array| array.null_count() == array.len()) {
            return Ok(new_null_array(arrays[0].data_type(), self.rows()));
        }
        match arrays[0].data_type() {
            DataType::Int32 => Ok(self.primitives::<Int32Type>(&arrays)),
            DataType::Date32 => Ok(self.primitives::<Date32Type>(&arrays)),
            DataType::Int64 => Ok(self.primitives::<Int64Type>(&arrays)),
            DataType::Utf8 => {
                let (offsets, values, nulls) =
                    self.texts(&arrays.iter().map(|a| a.as_string::<i32>()).collect::<Vec<_>>())?;
                Ok(Arc::new(StringArray::try_new(offsets, values, nulls)?))
            }
            DataType::Binary => {
                let (offsets, values, nulls) =
                    self.texts(&arrays.iter().map(|a| a.as_binary::<i32>()).collect::<Vec<_>>())?;
                Ok(Arc::new(BinaryArray::try_new(offsets, values, nulls)?))
            }
            DataType::Boolean if arrays.iter().all(|array| array.null_count() == 0) => {
                let arrays: Vec<&BooleanArray> = arrays.iter().map(|array| array.as_boolean()).collect();
                let value = |at: usize| {
                    let Place { part, row } = self.order[at];
                    arrays[part as usize].value(row as usize)
                };
                Ok(Arc::new(BooleanArray::new(BooleanBuffer::collect_bool(self.rows(), value), None)))
            }
            DataType::FixedSizeBinary(_) if arrays.iter().all(|array| array.null_count() == 0) => {
                self.fixed(&arrays.iter().map(|array| array.as_fixed_size_binary()).collect::<Vec<_>>())
            }
            _ => {
                let arrays: Vec<&dyn Array> = arrays.iter().map(|array| array.as_ref()).collect();
                let order: Vec<(usize, usize)> =
                    self.order.iter().map(|place| (place.part as usize, place.row as usize)).collect();
                interleave(&arrays, &order)
            }
        }
    }

    fn seqs(&self) -> Int32Array {
        let seq = |place: &Place| self.parts[place.part as usize].seq(place.row as usize);
        self.order.iter().map(seq).collect::<Vec<i32>>().into()
    }

    /// Calls back for every value that is there: its place in the run, its array and its row in that.
    fn each_valid<'a, A: Array>(&self, arrays: &[&'a A], mut each: impl FnMut(usize, &'a A, usize)) {
        for ((part, places), array) in self.parts.iter().zip(&self.places).zip(arrays) {
            match (&part.rows, array.nulls().filter(|nulls| nulls.null_count() > 0)) {
                (None, Some(nulls)) => {
                    nulls.valid_indices().for_each(|row| each(places[row] as usize, array, row))
                }
                (None, None) => {
                    places.iter().enumerate().for_each(|(row, at)| each(*at as usize, array, row))
                }
                (Some(rows), _) => {
                    for (row, at) in rows.iter().zip(places).filter(|(row, _)| array.is_valid(**row as usize))
                    {
                        each(*at as usize, array, *row as usize);
                    }
                }
            }
        }
    }

    fn primitives<T: ArrowPrimitiveType>(&self, arrays: &[&ArrayRef]) -> ArrayRef {
        let arrays: Vec<&PrimitiveArray<T>> = arrays.iter().map(|array| array.as_primitive::<T>()).collect();
        if arrays.iter().all(|array| array.null_count() == 0) {
            let value = |place: &Place| arrays[place.part as usize].value(place.row as usize);
            let values: Vec<T::Native> = self.order.iter().map(value).collect();
            return Arc::new(PrimitiveArray::<T>::new(values.into(), None));
        }
        let mut values = vec![T::Native::default(); self.rows()];
        let mut present = Present::none(self.rows());
        self.each_valid(&arrays, |at, array, row| {
            values[at] = array.value(row);
            present.set(at);
        });
        Arc::new(PrimitiveArray::<T>::new(values.into(), Some(present.into_nulls(self.rows()))))
    }

    /// Offsets, bytes and nulls of texts or binary values.
    fn texts<T: ByteArrayType<Offset = i32>>(
        &self,
        arrays: &[&GenericByteArray<T>],
    ) -> Result<(OffsetBuffer<i32>, Buffer, Option<NullBuffer>), ArrowError> {
        let has_nulls = arrays.iter().any(|array| array.null_count() > 0);
        let mut present = Present::none(if has_nulls { self.rows() } else { 0 });
        let mut lengths = vec![0_usize; self.rows()];
        self.each_valid(arrays, |at, array, row| {
            lengths[at] = array.value_length(row) as usize;
            if has_nulls {
                present.set(at);
            }
        });
        let bytes: usize = lengths.iter().sum();
        if i32::try_from(bytes).is_err() {
            return Err(ArrowError::OffsetOverflowError(bytes));
        }
        let offsets = OffsetBuffer::<i32>::from_lengths(lengths);
        let mut values = vec![0; bytes];
        self.each_valid(arrays, |at, array, row| {
            let value: &[u8] = array.value(row).as_ref();
            let from = offsets[at] as usize;
            values[from..from + value.len()].copy_from_slice(value);
        });
        let nulls = has_nulls.then(|| present.into_nulls(self.rows()));
        Ok((offsets, Buffer::from_vec(values), nulls))
    }

    fn fixed(&self, arrays: &[&FixedSizeBinaryArray]) -> Result<ArrayRef, ArrowError> {
        let width = arrays[0].value_length();
        let mut values = Vec::with_capacity(self.rows() * width as usize);
        for place in &self.order {
            values.extend_from_slice(arrays[place.part as usize].value(place.row as usize));
        }
        Ok(Arc::new(FixedSizeBinaryArray::try_new(width, Buffer::from_vec(values), None)?))
    }
}

/// Which rows have a value, one bit each.
struct Present(Vec<u8>);

impl Present {
    fn none(rows: usize) -> Present {
        Present(vec![0; rows.div_ceil(8)])
    }

    fn set(&mut self, row: usize) {
        self.0[row / 8] |= 1 << (row % 8);
    }

    fn into_nulls(self, rows: usize) -> NullBuffer {
        NullBuffer::new(BooleanBuffer::new(Buffer::from_vec(self.0), 0, rows))
    }
}
