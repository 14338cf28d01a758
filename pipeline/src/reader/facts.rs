//! Builds batches of facts (`tables::fact_schema`) column by column, a table at a time.
//!
//! Promise: a blank item of a record costs nothing here: numbers start as null zeros, and texts are
//! padded when the next value or the end of the batch comes.

use super::compiled::{Compiled, Plan};
use super::item::Value;
use super::record::Row;
use arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, Date32Array, FixedSizeBinaryArray, Int32Array, Int64Array,
    ListArray, RecordBatch, StringArray, StringBuilder,
};
use arrow::buffer::{BooleanBuffer, Buffer, NullBuffer, OffsetBuffer};
use arrow::datatypes::{DataType, FieldRef, SchemaRef};
use std::sync::Arc;
use tsumiage_schemas::tables::{FACT_KEY_COLUMNS, MASK_BYTES};
use tsumiage_schemas::{FactTable, Month};

/// Batches in the making, one of each table.
pub(super) struct Facts {
    schemas: [SchemaRef; 5],
    batch_rows: usize,
    processing_month: i32,
    /// Made with the first record of a batch.
    columns: [Option<Columns>; 5],
}

/// Bytes of text after which a batch is full, however few rows it has.
const MOST_BYTES: usize = 8 << 20;

/// Fewest bytes a record needs to hold its keys: no batch of a file can have more rows than that allows.
const LEAST_RECORD: usize = 24;

struct Columns {
    rows: usize,
    /// Bytes of the records in it, nearly.
    bytes: usize,
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

/// The lists of members and days.
struct Members {
    /// Members of every row so far, with a zero in front.
    offsets: Vec<i32>,
    numbers: StringBuilder,
    days: Vec<i32>,
    fields: [FieldRef; 2],
}

enum ItemColumn {
    Day(Numbers),
    Integer(Numbers),
    Text(Texts),
}

impl Facts {
    /// Batches of `batch_rows` rows for a file of so many bytes.
    pub fn new(compiled: &Compiled, batch_rows: usize, bytes: usize, processing_month: Month) -> Facts {
        Facts {
            columns: Default::default(),
            schemas: compiled.schemas.clone(),
            batch_rows: batch_rows.clamp(1, bytes / LEAST_RECORD + 1),
            processing_month: processing_month.first_day().0,
        }
    }

    /// Appends an accepted record; gives the batch that is full with it.
    pub fn push(
        &mut self,
        row: &Row<'_>,
        plan: &Plan,
        record_no: i64,
        byte_offset: usize,
    ) -> Option<(FactTable, RecordBatch)> {
        let table = plan.kind.table();
        let schema = &self.schemas[table as usize];
        let columns =
            self.columns[table as usize].get_or_insert_with(|| Columns::new(schema, self.batch_rows));
        columns.push(row, plan, record_no, byte_offset);
        if columns.rows == self.batch_rows || columns.bytes > MOST_BYTES {
            return self.take(table).map(|batch| (table, batch));
        }
        None
    }

    /// The rest of a table; `None` if there is none.
    pub fn take(&mut self, table: FactTable) -> Option<RecordBatch> {
        let arrays = self.columns[table as usize].take()?.into_arrays(self.processing_month);
        let schema = self.schemas[table as usize].clone();
        Some(RecordBatch::try_new(schema, arrays).expect("columns are made by this very schema"))
    }
}

impl Columns {
    fn new(schema: &SchemaRef, rows: usize) -> Columns {
        let item = |field: &Arc<arrow::datatypes::Field>| match field.data_type() {
            DataType::Date32 => ItemColumn::Day(Numbers::new(rows)),
            DataType::Int32 => ItemColumn::Integer(Numbers::new(rows)),
            _ => ItemColumn::Text(Texts::new(rows)),
        };
        let fields = &schema.fields()[FACT_KEY_COLUMNS..];
        let lists = fields.iter().position(|field| matches!(field.data_type(), DataType::List(_)));
        let (fields, lists) = fields.split_at(lists.unwrap_or(fields.len()));
        Columns {
            rows: 0,
            bytes: 0,
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
                self.bytes += row.bytes(value).len();
                column.set(at, row.bytes(value));
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
                (ItemColumn::Text(texts), value) => {
                    self.bytes += row.bytes(value).len();
                    texts.set(at, row.bytes(value));
                }
                _ => {} // a column and its item's values have one kind
            }
        }
        if let Some(members) = &mut self.members {
            self.bytes += 16 * row.members.len();
            members.push(row);
        }
        self.rows += 1;
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

impl Members {
    fn new(lists: &[FieldRef]) -> Option<Members> {
        let each = |list: &FieldRef| match list.data_type() {
            DataType::List(each) => Some(Arc::clone(each)),
            _ => None,
        };
        let [numbers, days] = lists else { return None };
        let fields = [each(numbers)?, each(days)?];
        Some(Members { offsets: vec![0], numbers: StringBuilder::new(), days: Vec::new(), fields })
    }

    fn push(&mut self, row: &Row<'_>) {
        for (member, day) in &row.members {
            self.numbers.append_value(String::from_utf8_lossy(row.bytes(member)));
            self.days.push(*day);
        }
        self.offsets.push(self.days.len() as i32); // far below: a batch has at most some million rows
    }

    fn into_arrays(mut self) -> [ArrayRef; 2] {
        let offsets = OffsetBuffer::new(self.offsets.into());
        let [number, day] = self.fields;
        let (numbers, days) = (Arc::new(self.numbers.finish()), Arc::new(Date32Array::from(self.days)));
        [
            Arc::new(ListArray::new(number, offsets.clone(), numbers, None)),
            Arc::new(ListArray::new(day, offsets, days, None)),
        ]
    }
}

fn mask(bytes: Vec<u8>) -> ArrayRef {
    Arc::new(FixedSizeBinaryArray::new(MASK_BYTES, Buffer::from_vec(bytes), None))
}

/// Which rows have a value, one bit each.
struct Present(Vec<u8>);

impl Present {
    fn set(&mut self, row: usize) {
        self.0[row / 8] |= 1 << (row % 8);
    }

    fn into_nulls(self, rows: usize) -> NullBuffer {
        NullBuffer::new(BooleanBuffer::new(Buffer::from_vec(self.0), 0, rows))
    }
}

struct Numbers {
    values: Vec<i32>,
    present: Present,
}

impl Numbers {
    fn new(rows: usize) -> Numbers {
        Numbers { values: vec![0; rows], present: Present(vec![0; rows.div_ceil(8)]) }
    }

    fn set(&mut self, row: usize, value: i32) {
        self.values[row] = value;
        self.present.set(row);
    }

    fn into_days(mut self, rows: usize) -> ArrayRef {
        self.values.truncate(rows);
        Arc::new(Date32Array::new(self.values.into(), Some(self.present.into_nulls(rows))))
    }

    fn into_integers(mut self, rows: usize) -> ArrayRef {
        self.values.truncate(rows);
        Arc::new(Int32Array::new(self.values.into(), Some(self.present.into_nulls(rows))))
    }
}

struct Texts {
    /// End of every row so far, with a zero in front.
    offsets: Vec<i32>,
    bytes: Vec<u8>,
    present: Present,
}

impl Texts {
    fn new(rows: usize) -> Texts {
        let mut offsets = Vec::with_capacity(rows + 1);
        offsets.push(0);
        Texts { offsets, bytes: Vec::new(), present: Present(vec![0; rows.div_ceil(8)]) }
    }

    fn end(&self) -> i32 {
        self.bytes.len() as i32 // `set` keeps it in range
    }

    /// Sets a row after all rows set so far. What would make the column greater than 2 GiB is left
    /// out: no layout has items that wide, and the archive has the bytes.
    fn set(&mut self, row: usize, value: &[u8]) {
        self.offsets.resize(row + 1, self.end());
        if i32::try_from(self.bytes.len() + value.len()).is_ok() {
            self.bytes.extend_from_slice(value);
        }
        self.offsets.push(self.end());
        self.present.set(row);
    }

    fn pad(&mut self, rows: usize) -> OffsetBuffer<i32> {
        self.offsets.resize(rows + 1, self.end());
        OffsetBuffer::new(std::mem::take(&mut self.offsets).into())
    }

    fn into_strings(mut self, rows: usize, nullable: bool) -> ArrayRef {
        let offsets = self.pad(rows);
        let nulls = nullable.then(|| self.present.into_nulls(rows));
        // Only ASCII and decoded text is put in.
        Arc::new(StringArray::new(offsets, Buffer::from_vec(self.bytes), nulls))
    }

    fn into_binary(mut self, rows: usize) -> ArrayRef {
        let offsets = self.pad(rows);
        let nulls = self.present.into_nulls(rows);
        Arc::new(BinaryArray::new(offsets, Buffer::from_vec(self.bytes), Some(nulls)))
    }
}
