//! Stacks a chunk: its rows as facts (`read`), folded, and the output columns gathered, one `take` each.

use super::fact::{Fact, NEVER};
use super::fold::{Folded, Folder, NOT_SET, Sort, Values};
use super::read::{StackRules, check_sender, facts_of, hold, reason_item, sender};
use arrow::array::{
    Array, ArrayRef, AsArray, Date32Array, DictionaryArray, FixedSizeBinaryArray, FixedSizeListArray,
    Int32Array, Int64Array, RecordBatch, StringArray, UInt8Array, UInt32Array, new_null_array,
};
use arrow::buffer::{BooleanBuffer, NullBuffer, ScalarBuffer};
use arrow::compute::take;
use arrow::datatypes::{DataType, Date32Type, Field, Int32Type, Int64Type, Schema, SchemaRef, UInt32Type};
use arrow::error::ArrowError;
use std::sync::Arc;
use tsumiage_schemas::holder::Holders;
use tsumiage_schemas::tables::{FACT_KEY_COLUMNS, MASK_BYTES};

/// The item that names a record's union; it decides nothing (S07).
const UNION: &str = "union_no";

/// Places in the operator's input: `holder_no`, then the fact schema.
pub mod column {
    /// Holder number, first in input and output. In the input the insurer number stands for it.
    pub const HOLDER: usize = 0;
    /// First column of the fact schema.
    pub const INSURER: usize = 1;
    /// Insured number.
    pub const INSURED: usize = 2;
    /// Movement date.
    pub const DATE: usize = 3;
    /// 5321 or 5311.
    pub const IS_CORRECTION: usize = 4;
    /// Movement or correction type.
    pub const CHANGE_TYPE: usize = 5;
    /// Correction date.
    pub const CORRECTION_DATE: usize = 6;
    /// File number in the ledger.
    pub const FILE_SEQ: usize = 7;
    /// Processing month.
    pub const PROCESSING_MONTH: usize = 8;
    /// Record number.
    pub const RECORD_NO: usize = 9;
    /// Whether the reader warned of the record.
    pub const WARNED: usize = 11;
    /// Mask of values.
    pub const GIVEN: usize = 13;
    /// Mask of clear marks.
    pub const CLEARED: usize = 14;
    /// First stacked item (`movement_reason`).
    pub const ITEMS: usize = super::FACT_KEY_COLUMNS + 1;
}

/// Columns the operator adds after the items, in this order.
pub const OUTCOME_COLUMNS: [&str; 6] =
    ["state", "flags", "stale", "last_correction_date", "corrections", "cut_off"];

/// What items come as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Cells {
    /// Their values.
    Values,
    /// Their values, and besides the facts that gave them.
    WithLineage,
    /// Positions in the input's column: a dictionary that is this very column. Nothing is copied.
    Positions,
}

/// The operator's output: the input's columns, the outcome, and, if asked for, `lineage`: for every
/// stacked item the fact that gave it as `file_seq << 32 | record_no`, null where it is not set.
pub fn stacked_schema(input: &Schema, cells: Cells) -> SchemaRef {
    let mut fields: Vec<Field> = input.fields().iter().map(|f| f.as_ref().clone()).collect();
    if cells == Cells::Positions {
        for item in fields.iter_mut().skip(column::ITEMS) {
            let values = Box::new(item.data_type().clone());
            *item = item.clone().with_data_type(DataType::Dictionary(Box::new(DataType::UInt32), values));
        }
    }
    let types = [
        DataType::UInt8,
        DataType::UInt32,
        DataType::FixedSizeBinary(MASK_BYTES),
        DataType::Date32,
        DataType::Int32,
        DataType::Date32,
    ];
    for (name, data_type) in OUTCOME_COLUMNS.iter().zip(types) {
        fields.push(Field::new(*name, data_type.clone(), data_type == DataType::Date32));
    }
    if cells == Cells::WithLineage {
        let items = input.fields().len().saturating_sub(column::ITEMS);
        let source = Arc::new(Field::new("source", DataType::Int64, true));
        fields.push(Field::new("lineage", DataType::FixedSizeList(source, items as i32), false));
    }
    Arc::new(Schema::new(fields))
}

struct Columns<'a> {
    insurer: &'a StringArray,
    items: &'a [ArrayRef],
    union: Option<&'a StringArray>,
    holders: &'a Holders,
}

impl Values for Columns<'_> {
    fn same_value(&self, item: usize, a: usize, b: usize) -> bool {
        let column = &self.items[item];
        match column.data_type() {
            DataType::Utf8 => column.as_string::<i32>().value(a) == column.as_string::<i32>().value(b),
            DataType::Int32 => {
                let values = column.as_primitive::<Int32Type>();
                values.value(a) == values.value(b)
            }
            DataType::Date32 => {
                let values = column.as_primitive::<Date32Type>();
                values.value(a) == values.value(b)
            }
            _ => column.slice(a, 1).to_data() == column.slice(b, 1).to_data(),
        }
    }

    fn same_insurer(&self, a: usize, b: usize) -> bool {
        self.insurer.value(a) == self.insurer.value(b)
    }

    fn other_union(&self, row: usize, holder: u32) -> bool {
        self.union.is_some_and(|union| union.value(row) != self.holders.number(holder))
    }
}

/// The masks of a `FixedSizeBinary(16)` column.
pub fn masks(array: &dyn Array) -> impl Fn(usize) -> u128 + '_ {
    let array = array.as_fixed_size_binary();
    move |row| array.value(row).try_into().map_or(0, u128::from_le_bytes)
}

/// The last row + 1 of every stream of a chunk sorted by (holder, insured number).
pub fn stream_ends(holder: &StringArray, insured: &StringArray) -> Vec<usize> {
    let rows = insured.len();
    let mut ends = Vec::new();
    for row in 1..rows {
        if insured.value(row) != insured.value(row - 1) || holder.value(row) != holder.value(row - 1) {
            ends.push(row);
        }
    }
    if rows > 0 {
        ends.push(rows);
    }
    ends
}

/// The last row + 1 of every insured number of a chunk sorted by it.
fn person_ends(insured: &StringArray) -> Vec<usize> {
    let other = |&row: &usize| insured.value(row) != insured.value(row - 1);
    (1..insured.len()).filter(other).chain((!insured.is_empty()).then_some(insured.len())).collect()
}

/// Stacks one chunk of recipients' facts, whole insured numbers. The output is by (insured number, holder,
/// movement date).
///
/// # Errors
/// A file or insurer number without a place, or Arrow refuses a column.
pub fn stack_chunk(
    chunk: &RecordBatch,
    rules: &StackRules,
    holders: &Holders,
    output: &SchemaRef,
) -> Result<RecordBatch, ArrowError> {
    let items = &chunk.columns()[column::ITEMS..];
    let mut facts = facts_of(chunk, rules)?;
    hold(&mut facts, chunk, rules, holders)?;
    let schema = chunk.schema();
    let union_item = schema.index_of(UNION).ok().and_then(|at| at.checked_sub(column::ITEMS));
    let union = union_item.and_then(|item| items[item].as_string_opt());
    let columns = Columns { insurer: chunk.column(column::INSURER).as_string(), items, union, holders };
    let ends = person_ends(chunk.column(column::INSURED).as_string());
    let sort = Sort::Recipients { union_item: union.and(union_item) };
    let folded = fold(
        &facts,
        &ends,
        Folder::new(items.len(), reason_item(&schema), rules.inheritance, sort),
        &columns,
    );
    let numbers = folded.outcomes.iter().map(|outcome| holders.number(outcome.holder));
    gather(chunk, &facts, &folded, Arc::new(StringArray::from_iter_values(numbers)), output)
}

/// Stacks registry facts (domain 4) without their lists; streams end before the rows `ends`. In input and
/// output the insurer stands for the holder. The output is by stream and movement date.
///
/// # Errors
/// A file number without a place, or Arrow refuses a column.
pub fn stack_registry(
    rows: &RecordBatch,
    ends: &[usize],
    rules: &StackRules,
) -> Result<RecordBatch, ArrowError> {
    let items = &rows.columns()[column::ITEMS..];
    let mut facts = facts_of(rows, rules)?;
    let insurers: &StringArray = rows.column(column::INSURER).as_string();
    for (row, fact) in facts.iter_mut().enumerate() {
        let sender = sender(rows, rules, row);
        check_sender(fact, rules, sender.is_none_or(|sender| sender == insurers.value(row)));
    }
    let holders = Holders::default();
    let columns = Columns { insurer: insurers, items, union: None, holders: &holders };
    let folder = Folder::new(items.len(), reason_item(&rows.schema()), rules.inheritance, Sort::Registry);
    let folded = fold(&facts, ends, folder, &columns);
    let order = UInt32Array::from_iter_values(folded.outcomes.iter().map(|outcome| outcome.row));
    gather(
        rows,
        &facts,
        &folded,
        take(rows.column(column::HOLDER), &order, None)?,
        &stacked_schema(&rows.schema(), Cells::Values),
    )
}

fn fold(facts: &[Fact], ends: &[usize], mut folder: Folder, values: &dyn Values) -> Folded {
    let mut folded = Folded::default();
    folded.outcomes.reserve(facts.len());
    folded.cells.reserve(facts.len() * folder.items());
    let mut start = 0;
    for &end in ends {
        folder.person(&facts[start..end], start, values, &mut folded);
        start = end;
    }
    folded
}

fn gather(
    chunk: &RecordBatch,
    facts: &[Fact],
    folded: &Folded,
    holder: ArrayRef,
    output: &SchemaRef,
) -> Result<RecordBatch, ArrowError> {
    let outcomes = &folded.outcomes;
    let items = chunk.num_columns() - column::ITEMS;
    let rows = UInt32Array::from_iter_values(outcomes.iter().map(|o| o.row));
    let in_order = rows.values().iter().enumerate().all(|(i, &row)| i == row as usize);
    let mut columns: Vec<ArrayRef> = Vec::with_capacity(output.fields().len());
    columns.push(holder);
    for key in &chunk.columns()[column::INSURER..column::ITEMS] {
        columns.push(if in_order { Arc::clone(key) } else { take(key, &rows, None)? });
    }
    let sets: Vec<bool> =
        chunk.columns()[column::ITEMS..].iter().map(|values| values.null_count() < values.len()).collect();
    for (item, cells) in by_item(&folded.cells, &sets).into_iter().enumerate() {
        let at = column::ITEMS + item;
        let (values, wanted) = (chunk.column(at), output.field(at).data_type());
        columns.push(match (sets[item], wanted) {
            (false, wanted) => new_null_array(wanted, outcomes.len()),
            (true, DataType::Dictionary(..)) => {
                Arc::new(DictionaryArray::<UInt32Type>::try_new(positions(cells), Arc::clone(values))?)
            }
            (true, _) => take(values, &positions(cells), None)?,
        });
    }
    columns.push(Arc::new(UInt8Array::from_iter_values(outcomes.iter().map(|o| o.state as u8))));
    columns.push(Arc::new(UInt32Array::from_iter_values(outcomes.iter().map(|o| o.flags))));
    let stale = FixedSizeBinaryArray::try_from_iter(outcomes.iter().map(|o| o.stale.to_le_bytes()));
    columns.push(if outcomes.is_empty() {
        new_null_array(&DataType::FixedSizeBinary(MASK_BYTES), 0)
    } else {
        Arc::new(stale?)
    });
    columns.push(Arc::new(outcomes.iter().map(|o| o.last_correction).collect::<Date32Array>()));
    columns.push(Arc::new(Int32Array::from_iter_values(outcomes.iter().map(|o| o.corrections))));
    let cut_off = outcomes.iter().map(|o| Some(facts[o.row as usize].cut_off).filter(|&day| day != NEVER));
    columns.push(Arc::new(cut_off.collect::<Date32Array>()));
    if output.fields().len() > columns.len() {
        columns.push(lineage(chunk, &folded.cells, items, output)?);
    }
    RecordBatch::try_new(Arc::clone(output), columns)
}

/// Rows that are turned at once: of each item a line of the processor's cache.
const TURNED: usize = 16;

/// The cells of every item that is set somewhere; of the others none.
fn by_item(cells: &[u32], sets: &[bool]) -> Vec<Vec<u32>> {
    let items = sets.len();
    let rows = cells.len() / items.max(1);
    let mut columns: Vec<Vec<u32>> =
        sets.iter().map(|set| Vec::with_capacity(if *set { rows } else { 0 })).collect();
    for block in cells.chunks(TURNED * items.max(1)) {
        for (item, column) in columns.iter_mut().enumerate().filter(|(item, _)| sets[*item]) {
            column.extend(block.iter().skip(item).step_by(items).copied());
        }
    }
    columns
}

/// The rows of one item's cells as `take` wants them: null where not set.
fn positions(mut rows: Vec<u32>) -> UInt32Array {
    let set = BooleanBuffer::collect_bool(rows.len(), |row| rows[row] != NOT_SET);
    let nulls = NullBuffer::new(set);
    if nulls.null_count() == 0 {
        return UInt32Array::new(ScalarBuffer::from(rows), None);
    }
    rows.iter_mut().for_each(|row| *row = if *row == NOT_SET { 0 } else { *row });
    UInt32Array::new(ScalarBuffer::from(rows), Some(nulls))
}

/// A column's values, where it has positions of them.
///
/// # Errors
/// Arrow refuses the column.
pub fn flat(column: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    match column.as_dictionary_opt::<UInt32Type>() {
        Some(positions) => take(positions.values(), positions.keys(), None),
        None => Ok(Arc::clone(column)),
    }
}

/// A stacked chunk with the values of all columns.
///
/// # Errors
/// Arrow refuses a column.
pub fn flat_batch(stacked: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    let columns = stacked.columns().iter().map(flat).collect::<Result<Vec<_>, _>>()?;
    let schema = stacked.schema();
    let fields = schema.fields().iter().zip(&columns);
    let fields: Vec<Field> = fields
        .map(|(field, column)| field.as_ref().clone().with_data_type(column.data_type().clone()))
        .collect();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)
}

fn lineage(
    chunk: &RecordBatch,
    cells: &[u32],
    items: usize,
    output: &SchemaRef,
) -> Result<ArrayRef, ArrowError> {
    let seqs = chunk.column(column::FILE_SEQ).as_primitive::<Int32Type>();
    let records = chunk.column(column::RECORD_NO).as_primitive::<Int64Type>();
    let source = |&row: &u32| {
        let row = (row != NOT_SET).then_some(row as usize)?;
        Some(i64::from(seqs.value(row)) << 32 | records.value(row))
    };
    let sources: Int64Array = cells.iter().map(source).collect();
    match output.field(output.fields().len() - 1).data_type() {
        DataType::FixedSizeList(field, _) => {
            let list = FixedSizeListArray::try_new(Arc::clone(field), items as i32, Arc::new(sources), None)?;
            Ok(Arc::new(list))
        }
        other => Err(ArrowError::SchemaError(format!("lineage cannot be {other}"))),
    }
}

/// The file numbers of a stacked chunk's rows.
pub fn file_seqs(stacked: &RecordBatch) -> &Int32Array {
    stacked.column(column::FILE_SEQ).as_primitive()
}
