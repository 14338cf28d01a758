//! Builds batches of facts (`tables::fact_schema`) column by column, a table at a time.
//!
//! Promise: a blank item of a record costs nothing here: numbers start as null zeros, and texts are
//! padded when the next value or the end of the batch comes.

use super::buffers::{MOST_BYTES, Members, Numbers, Texts};
use super::compiled::{Compiled, Plan};
use super::item::Value;
use super::record::Row;
use arrow::array::{
    ArrayRef, BooleanArray, Date32Array, FixedSizeBinaryArray, Int32Array, Int64Array, RecordBatch,
};
use arrow::buffer::Buffer;
use arrow::datatypes::{DataType, SchemaRef};
use std::ops::Range;
use std::sync::Arc;
use tsumiage_schemas::tables::{FACT_KEY_COLUMNS, MASK_BYTES};
use tsumiage_schemas::{FactTable, Month};

/// Batches in the making, one of each table.
pub(super) struct Facts {
    schemas: [SchemaRef; 6],
    batch_rows: usize,
    processing_month: i32,
    /// Made with the first record of a batch.
    columns: [Option<Columns>; 6],
}

/// Bytes that hardly a record has.
const LARGE_RECORD: usize = 1024;

/// The rows of one table, not yet a batch.
pub(super) struct Columns {
    pub table: FactTable,
    rows: usize,
    /// Bytes of text of the records in it, nearly.
    bytes: usize,
    /// `bytes` after every row.
    bytes_by_row: Vec<usize>,
    insurer_no: Texts,
    insured_no: Texts,
    movement_date: Vec<i32>,
    is_correction: Vec<bool>,
    change_type: Texts,
    correction_date: Numbers,
    record_no: Vec<i64>,
    byte_offset: Vec<i64>,
    warned: Vec<bool>,
    extra_items: Texts,
    given: Vec<u8>,
    cleared: Vec<u8>,
    items: Vec<ItemColumn>,
    /// Of memberships.
    members: Option<Members>,
    has_insured_no: bool,
}

enum ItemColumn {
    Day(Numbers),
    Integer(Numbers),
    Text(Texts),
}

impl Facts {
    /// Batches of `batch_rows` rows for a file of these bytes; columns are not made for more rows than it has lines.
    pub fn new(compiled: &Compiled, batch_rows: usize, body: &[u8], processing_month: Month) -> Facts {
        let most = if body.len() / LARGE_RECORD < batch_rows {
            memchr::memchr_iter(b'\n', body).count() + 1
        } else {
            batch_rows // it hardly has fewer, and counting would be another pass over all of it
        };
        Facts {
            columns: Default::default(),
            schemas: compiled.schemas.clone(),
            batch_rows: batch_rows.min(most).max(1),
            processing_month: processing_month.first_day().0,
        }
    }

    /// The same for a part of the file, of which so many rows are taken together.
    pub fn apart(&self, rows: usize) -> Facts {
        let (schemas, processing_month) = (self.schemas.clone(), self.processing_month);
        Facts { columns: Default::default(), schemas, batch_rows: rows.max(1), processing_month }
    }

    /// Appends an accepted record; gives the rows of a batch that is full with it.
    #[inline]
    pub fn push(
        &mut self,
        row: &Row<'_>,
        plan: &Plan,
        record_no: i64,
        byte_offset: usize,
    ) -> Option<Columns> {
        let (table, batch_rows) = (plan.kind.table(), self.batch_rows);
        let columns = self.columns(table);
        columns.push(row, plan, record_no, byte_offset);
        if columns.rows == batch_rows || columns.bytes > MOST_BYTES {
            return self.take(table);
        }
        None
    }

    fn columns(&mut self, table: FactTable) -> &mut Columns {
        let schema = &self.schemas[table as usize];
        let rows = self.batch_rows;
        self.columns[table as usize].get_or_insert_with(|| Columns::new(table, schema, rows))
    }

    /// Appends rows that were read apart, their record numbers counted on from `record_no`; `full` gets the rows of
    /// every batch that is full with them, as if they came one by one.
    pub fn append<E>(
        &mut self,
        rows: &Columns,
        record_no: i64,
        full: &mut dyn FnMut(Columns) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut from = 0;
        while from < rows.rows {
            let batch_rows = self.batch_rows;
            let columns = self.columns(rows.table);
            let room = rows.rows.min(from + batch_rows - columns.rows);
            let before = if from == 0 { 0 } else { rows.bytes_by_row[from - 1] };
            let fits = |bytes: &usize| columns.bytes + (bytes - before) <= MOST_BYTES;
            let to = room.min(from + rows.bytes_by_row[from..room].partition_point(fits) + 1);
            columns.append(rows, from..to, record_no);
            if columns.rows == batch_rows || columns.bytes > MOST_BYTES {
                self.take(rows.table).map_or(Ok(()), &mut *full)?;
            }
            from = to;
        }
        Ok(())
    }

    /// The rest of a table; `None` if there is none.
    pub fn take(&mut self, table: FactTable) -> Option<Columns> {
        let mut columns = self.columns[table as usize].take()?;
        columns.pad();
        Some(columns)
    }

    /// The rows as a batch.
    pub fn batch(&self, columns: Columns) -> (FactTable, RecordBatch) {
        let table = columns.table;
        let schema = self.schemas[table as usize].clone();
        let arrays = columns.into_arrays(self.processing_month);
        (table, RecordBatch::try_new(schema, arrays).expect("columns are made by this very schema"))
    }
}

impl Columns {
    /// Number of the record the last row came from.
    pub fn last_record(&self) -> i64 {
        self.record_no.last().copied().unwrap_or_default()
    }

    fn new(table: FactTable, schema: &SchemaRef, rows: usize) -> Columns {
        let item = |field: &Arc<arrow::datatypes::Field>| match field.data_type() {
            DataType::Date32 => ItemColumn::Day(Numbers::new(rows)),
            DataType::Int32 => ItemColumn::Integer(Numbers::new(rows)),
            _ => ItemColumn::Text(Texts::new(rows)),
        };
        let fields = &schema.fields()[FACT_KEY_COLUMNS..];
        let lists = fields.iter().position(|field| matches!(field.data_type(), DataType::List(_)));
        let (fields, lists) = fields.split_at(lists.unwrap_or(fields.len()));
        Columns {
            table,
            rows: 0,
            bytes: 0,
            bytes_by_row: Vec::with_capacity(rows),
            insurer_no: Texts::new(rows),
            insured_no: Texts::new(rows),
            movement_date: Vec::with_capacity(rows),
            is_correction: Vec::with_capacity(rows),
            change_type: Texts::new(rows),
            correction_date: Numbers::new(rows),
            record_no: Vec::with_capacity(rows),
            byte_offset: Vec::with_capacity(rows),
            warned: Vec::with_capacity(rows),
            extra_items: Texts::new(rows),
            given: Vec::with_capacity(rows * MASK_BYTES as usize),
            cleared: Vec::with_capacity(rows * MASK_BYTES as usize),
            items: fields.iter().map(item).collect(),
            members: Members::new(lists),
            has_insured_no: !schema.field(1).is_nullable(),
        }
    }

    fn push(&mut self, row: &Row<'_>, plan: &Plan, record_no: i64, byte_offset: usize) {
        let at = self.rows;
        let texts = [
            (&mut self.insurer_no, &row.insurer_no),
            (&mut self.insured_no, &row.insured_no),
            (&mut self.change_type, &row.change_type),
        ];
        for (column, value) in texts {
            if let Some(value) = value {
                self.bytes += column.set_value(at, row, value);
            }
        }
        self.movement_date.push(row.movement_date.unwrap_or_default());
        self.is_correction.push(plan.is_correction());
        if let Some(day) = row.correction_date {
            self.correction_date.set(at, day);
        }
        self.record_no.push(record_no);
        self.byte_offset.push(byte_offset as i64);
        self.warned.push(row.warned());
        if let Some(extra) = row.extra {
            self.bytes += extra.len();
            self.extra_items.set(at, extra);
        }
        self.given.extend_from_slice(&row.given.to_le_bytes());
        self.cleared.extend_from_slice(&row.cleared.to_le_bytes());
        for (item, value) in &row.values {
            match (&mut self.items[*item], value) {
                (ItemColumn::Day(numbers) | ItemColumn::Integer(numbers), Value::Number(n)) => {
                    numbers.set(at, *n)
                }
                (ItemColumn::Text(texts), value) => self.bytes += texts.set_value(at, row, value),
                _ => {} // a column and its item's values have one kind
            }
        }
        if let Some(members) = &mut self.members {
            self.bytes += 16 * row.members.len();
            members.push(row);
        }
        self.rows += 1;
        self.bytes_by_row.push(self.bytes);
    }

    /// Appends rows of others that are padded.
    fn append(&mut self, other: &Columns, rows: Range<usize>, record_no: i64) {
        let at = self.rows;
        let texts = [
            (&mut self.insurer_no, &other.insurer_no),
            (&mut self.insured_no, &other.insured_no),
            (&mut self.change_type, &other.change_type),
            (&mut self.extra_items, &other.extra_items),
        ];
        texts.into_iter().for_each(|(column, other)| column.append(at, other, &rows));
        self.movement_date.extend_from_slice(&other.movement_date[rows.clone()]);
        self.is_correction.extend_from_slice(&other.is_correction[rows.clone()]);
        self.correction_date.append(at, &other.correction_date, &rows);
        self.record_no.extend(other.record_no[rows.clone()].iter().map(|no| no + record_no));
        self.byte_offset.extend_from_slice(&other.byte_offset[rows.clone()]);
        self.warned.extend_from_slice(&other.warned[rows.clone()]);
        let mask = MASK_BYTES as usize;
        self.given.extend_from_slice(&other.given[mask * rows.start..mask * rows.end]);
        self.cleared.extend_from_slice(&other.cleared[mask * rows.start..mask * rows.end]);
        for (item, other) in self.items.iter_mut().zip(&other.items) {
            match (item, other) {
                (ItemColumn::Day(numbers), ItemColumn::Day(other))
                | (ItemColumn::Integer(numbers), ItemColumn::Integer(other)) => {
                    numbers.append(at, other, &rows)
                }
                (ItemColumn::Text(texts), ItemColumn::Text(other)) => texts.append(at, other, &rows),
                _ => {} // both are made by one schema
            }
        }
        if let (Some(members), Some(other)) = (&mut self.members, &other.members) {
            members.append(other, &rows);
        }
        let before = if rows.start == 0 { 0 } else { other.bytes_by_row[rows.start - 1] };
        let base = self.bytes;
        self.bytes_by_row.extend(other.bytes_by_row[rows.clone()].iter().map(|bytes| base + bytes - before));
        self.bytes = self.bytes_by_row.last().copied().unwrap_or_default();
        self.rows += rows.len();
    }

    /// Pads all texts to the last row.
    fn pad(&mut self) {
        let rows = self.rows;
        let items = self.items.iter_mut().filter_map(|item| match item {
            ItemColumn::Text(texts) => Some(texts),
            _ => None,
        });
        let own = [&mut self.insurer_no, &mut self.insured_no, &mut self.change_type, &mut self.extra_items];
        items.chain(own).for_each(|texts| texts.begin(rows));
    }

    /// The arrays in the order of `tables::fact_schema`.
    fn into_arrays(self, processing_month: i32) -> Vec<ArrayRef> {
        let rows = self.rows;
        let mut arrays: Vec<ArrayRef> = vec![
            self.insurer_no.into_strings(rows, false),
            self.insured_no.into_strings(rows, !self.has_insured_no),
            Arc::new(Date32Array::from(self.movement_date)),
            Arc::new(BooleanArray::from(self.is_correction)),
            self.change_type.into_strings(rows, false),
            self.correction_date.into_days(rows),
            Arc::new(Int32Array::from(vec![0; rows])),
            Arc::new(Date32Array::from(vec![processing_month; rows])),
            Arc::new(Int64Array::from(self.record_no)),
            Arc::new(Int64Array::from(self.byte_offset)),
            Arc::new(BooleanArray::from(self.warned)),
            self.extra_items.into_binary(rows),
            mask(self.given),
            mask(self.cleared),
        ];
        let members = self.members.map(Members::into_arrays);
        arrays.extend(self.items.into_iter().map(|item| match item {
            ItemColumn::Day(numbers) => numbers.into_days(rows),
            ItemColumn::Integer(numbers) => numbers.into_integers(rows),
            ItemColumn::Text(texts) => texts.into_strings(rows, true),
        }));
        arrays.extend(members.into_iter().flatten());
        arrays
    }
}

fn mask(bytes: Vec<u8>) -> ArrayRef {
    Arc::new(FixedSizeBinaryArray::new(MASK_BYTES, Buffer::from_vec(bytes), None))
}
