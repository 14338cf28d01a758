//! Reads the facts of one registry table from the ledger, sorted into streams (domain 4).
//!
//! Promise: what is read is what is known as of the month asked for, without what was withdrawn or read
//! again. All of it is held in memory: insurers, not people.

use crate::facts::KnownFiles;
use crate::stack::gather::column;
use crate::stack::scan::{LedgerRuns, Run};
use arrow::array::{ArrayRef, AsArray, ListArray, RecordBatch};
use arrow::compute::{SortColumn, concat_batches, lexsort_to_indices, partition, take_record_batch};
use arrow::datatypes::{DataType, Field, Int32Type, Int64Type, Schema, SchemaRef};
use arrow::error::ArrowError;
use datafusion::common::ScalarValue;
use datafusion::execution::SessionState;
use datafusion::prelude::{SessionContext, col, lit};
use std::collections::BTreeMap;
use std::sync::Arc;
use tsumiage_pipeline::ledger::Ledger;
use tsumiage_schemas::tables::fact_schema;
use tsumiage_schemas::{FactTable, Month, Spec};

/// The facts of one table.
#[derive(Clone, Debug)]
pub struct Facts {
    /// `holder_no` (the insurer number) and the fact schema without its lists.
    pub rows: RecordBatch,
    /// The last row + 1 of every stream.
    pub ends: Vec<usize>,
    /// The lists of memberships: members and the days they are valid from.
    pub lists: Option<[ListArray; 2]>,
}

/// What tells streams of a table apart besides the insurer number.
fn key(table: FactTable) -> &'static [&'static str] {
    match table {
        FactTable::MunicipalLimit => &["care_level", "service_type"],
        FactTable::SpecialBenefit => &["service_code"],
        _ => &[],
    }
}

/// Reads a table as of a processing month.
///
/// # Errors
/// A run cannot be read.
pub async fn read(
    engine: &SessionState,
    ledger: &Ledger,
    spec: &Spec,
    known: &KnownFiles<'_>,
    as_of: Option<Month>,
    table: FactTable,
) -> anyhow::Result<Facts> {
    let schema = fact_schema(spec, table);
    let run =
        |run: &tsumiage_pipeline::ledger::RunEntry| Run { path: ledger.path(&run.path), bytes: run.bytes };
    let runs = LedgerRuns::new(ledger.runs_of(table).map(run).collect(), Arc::clone(&schema));
    let mut facts = SessionContext::new_with_state(engine.clone()).read_table(Arc::new(runs))?;
    if let Some(month) = as_of {
        let last = ScalarValue::Date32(Some(month.first_day().0));
        facts = facts.filter(col("processing_month").lt_eq(lit(last)))?;
    }
    if let Some(kept) = known.left_out.kept() {
        facts = facts.filter(kept)?;
    }
    let all = concat_batches(&schema, &facts.collect().await?)?;
    Ok(by_stream(&all, key(table))?)
}

/// Sorts facts into streams of one insurer and, if the table has these items, equal values of them.
fn by_stream(all: &RecordBatch, key: &[&str]) -> Result<Facts, ArrowError> {
    let schema = all.schema();
    let of_stream = std::iter::once(&"insurer_no").chain(key);
    let of_stream: Vec<usize> = of_stream.filter_map(|name| schema.index_of(name).ok()).collect();
    let position = [schema.index_of("file_seq")?, schema.index_of("record_no")?];
    let by = of_stream.iter().chain(&position).map(|&at| Arc::clone(all.column(at)));
    let by: Vec<SortColumn> = by.map(|values| SortColumn { values, options: None }).collect();
    let sorted = take_record_batch(all, &lexsort_to_indices(&by, None)?)?;
    let of_stream: Vec<ArrayRef> = of_stream.iter().map(|&at| Arc::clone(sorted.column(at))).collect();
    let ends = partition(&of_stream)?.ranges().into_iter().map(|range| range.end).collect();
    let list = |name: &str| sorted.column_by_name(name)?.as_list_opt::<i32>().cloned();
    let lists = list("member_insurer_no").zip(list("member_valid_from_date")).map(|(no, from)| [no, from]);
    Ok(Facts { rows: without_lists(&sorted)?, ends, lists })
}

fn without_lists(facts: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    let schema = facts.schema();
    let plain = |field: &Arc<Field>| !matches!(field.data_type(), DataType::List(_));
    let plain: Vec<usize> = (0..facts.num_columns()).filter(|&at| plain(&schema.fields()[at])).collect();
    let insurer_no = schema.index_of("insurer_no")?;
    let holder = Arc::new(schema.field(insurer_no).clone().with_name("holder_no"));
    let fields = plain.iter().map(|&at| Arc::clone(&schema.fields()[at]));
    let schema: SchemaRef = Arc::new(Schema::new(std::iter::once(holder).chain(fields).collect::<Vec<_>>()));
    let columns = std::iter::once(&insurer_no).chain(&plain).map(|&at| Arc::clone(facts.column(at)));
    RecordBatch::try_new(schema, columns.collect())
}

impl Facts {
    /// The row of every fact by its file's number and position.
    pub fn places(&self) -> BTreeMap<(i32, i64), usize> {
        let seqs = self.rows.column(column::FILE_SEQ).as_primitive::<Int32Type>();
        let records = self.rows.column(column::RECORD_NO).as_primitive::<Int64Type>();
        (0..self.rows.num_rows()).map(|row| ((seqs.value(row), records.value(row)), row)).collect()
    }
}
