//! Builds batches of KHS facts (`tables::fact_schema`).

use arrow::array::{
    ArrayRef, BinaryBuilder, BooleanArray, Date32Array, FixedSizeBinaryArray, Int32Array, Int64Array,
    RecordBatch, StringBuilder, new_null_array,
};
use arrow::buffer::Buffer;
use arrow::datatypes::{DataType, SchemaRef};
use std::sync::Arc;
use tsumiage_schemas::tables::MASK_BYTES;
use tsumiage_schemas::{Day, Month};

/// A person's record that was accepted.
pub(super) struct Accepted<'r> {
    pub insurer_no: &'r str,
    pub insured_no: &'r str,
    pub status: &'r str,
    pub end_date: Option<Day>,
    pub end_cancel_date: Option<Day>,
    pub record_no: i64,
    pub byte_offset: usize,
    pub warned: bool,
}

/// Rows of a batch in the making.
pub(super) struct Facts {
    schema: SchemaRef,
    on: Day,
    processing_month: Month,
    insurer_no: StringBuilder,
    insured_no: StringBuilder,
    status: StringBuilder,
    end_date: Vec<Option<i32>>,
    end_cancel_date: Vec<Option<i32>>,
    record_no: Vec<i64>,
    byte_offset: Vec<i64>,
    warned: Vec<bool>,
    given: Vec<u8>,
}

impl Facts {
    /// Facts of a file that came on a day: their movement date.
    pub fn new(schema: SchemaRef, on: Day, processing_month: Month) -> Facts {
        Facts {
            schema,
            on,
            processing_month,
            insurer_no: StringBuilder::new(),
            insured_no: StringBuilder::new(),
            status: StringBuilder::new(),
            end_date: Vec::new(),
            end_cancel_date: Vec::new(),
            record_no: Vec::new(),
            byte_offset: Vec::new(),
            warned: Vec::new(),
            given: Vec::new(),
        }
    }

    /// Rows so far.
    pub fn rows(&self) -> usize {
        self.record_no.len()
    }

    pub fn push(&mut self, person: &Accepted<'_>) {
        self.insurer_no.append_value(person.insurer_no);
        self.insured_no.append_value(person.insured_no);
        self.status.append_value(person.status);
        self.end_date.push(person.end_date.map(|day| day.0));
        self.end_cancel_date.push(person.end_cancel_date.map(|day| day.0));
        self.record_no.push(person.record_no);
        self.byte_offset.push(person.byte_offset as i64);
        self.warned.push(person.warned);
        // Bits of the items in their order: status, end_date, end_cancel_date.
        let dates = [person.end_date.is_some(), person.end_cancel_date.is_some()];
        let given = 1_u128 | u128::from(dates[0]) << 1 | u128::from(dates[1]) << 2;
        self.given.extend_from_slice(&given.to_le_bytes());
    }

    /// The rows as a batch; none are left.
    pub fn take(&mut self) -> RecordBatch {
        let rows = self.rows();
        let mask = |bytes: Vec<u8>| -> ArrayRef {
            Arc::new(FixedSizeBinaryArray::new(MASK_BYTES, Buffer::from_vec(bytes), None))
        };
        let mut change_type = StringBuilder::new();
        let mut extra_items = BinaryBuilder::new();
        for _ in 0..rows {
            change_type.append_value("1");
            extra_items.append_null();
        }
        let take = std::mem::take::<Vec<Option<i32>>>;
        let columns: Vec<ArrayRef> = vec![
            Arc::new(self.insurer_no.finish()),
            Arc::new(self.insured_no.finish()),
            Arc::new(Date32Array::from(vec![self.on.0; rows])),
            Arc::new(BooleanArray::from(vec![false; rows])),
            Arc::new(change_type.finish()),
            new_null_array(&DataType::Date32, rows),
            Arc::new(Int32Array::from(vec![0; rows])),
            Arc::new(Date32Array::from(vec![self.processing_month.first_day().0; rows])),
            Arc::new(Int64Array::from(std::mem::take(&mut self.record_no))),
            Arc::new(Int64Array::from(std::mem::take(&mut self.byte_offset))),
            Arc::new(BooleanArray::from(std::mem::take(&mut self.warned))),
            Arc::new(extra_items.finish()),
            mask(std::mem::take(&mut self.given)),
            mask(vec![0; rows * MASK_BYTES as usize]),
            Arc::new(self.status.finish()),
            Arc::new(Date32Array::from(take(&mut self.end_date))),
            Arc::new(Date32Array::from(take(&mut self.end_cancel_date))),
        ];
        RecordBatch::try_new(Arc::clone(&self.schema), columns).expect("the columns of this very schema")
    }
}
