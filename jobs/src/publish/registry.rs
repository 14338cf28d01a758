//! The tables of the registry: `insurers`, `memberships`, `municipal_limits`, `special_benefits`.
//!
//! Promise: one file each, empty if nothing is known, sorted as the contract says (not set first).

use super::table_file::{PublishedFile, TableFile, TableLayout};
use crate::facts::KnownFiles;
use crate::registry::{Registry, Stacked};
use arrow::array::{
    ArrayRef, Date32Array, Int64Array, RecordBatch, StringArray, UInt32Array, new_null_array,
};
use arrow::compute::take;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use std::path::Path;
use std::sync::Arc;
use tsumiage_schemas::membership::Interval;
use tsumiage_schemas::tables::{
    insurers_schema, memberships_schema, municipal_limits_schema, special_benefits_schema,
};
use tsumiage_schemas::{Day, FactTable, Spec};

const LAYOUT: TableLayout = TableLayout { sorted_by: &[], bloom: false };

/// Writes the tables.
///
/// # Errors
/// A file cannot be written.
pub fn publish(
    root: &Path,
    registry: &Registry,
    known: &KnownFiles<'_>,
    spec: &Spec,
) -> anyhow::Result<Vec<PublishedFile>> {
    let of_table = |stacked: &&Stacked| -> anyhow::Result<_> {
        let (name, rows) = match stacked.table {
            FactTable::Membership => {
                ("memberships", memberships(registry, known, &memberships_schema(spec))?)
            }
            FactTable::MunicipalLimit => {
                ("municipal_limits", periods(stacked, known, &municipal_limits_schema(spec))?)
            }
            FactTable::SpecialBenefit => {
                ("special_benefits", periods(stacked, known, &special_benefits_schema(spec))?)
            }
            FactTable::Insurer | FactTable::Recipient | FactTable::Khs => {
                ("insurers", periods(stacked, known, &insurers_schema(spec))?)
            }
        };
        let relative = format!("{name}/{name}.parquet");
        let mut file = TableFile::create(root, &relative, &rows.schema(), &LAYOUT)?;
        file.write_digested(&rows)?;
        Ok(file.finish()?)
    };
    registry.tables().iter().map(of_table).collect()
}

fn file_ids(known: &KnownFiles<'_>, seqs: impl Iterator<Item = i32>) -> ArrayRef {
    let id = |seq: i32| usize::try_from(seq).ok().and_then(|seq| known.file_ids.get(seq));
    Arc::new(seqs.map(id).collect::<StringArray>())
}

fn days(days: impl Iterator<Item = Option<Day>>) -> ArrayRef {
    Arc::new(days.map(|day| day.map(|d| d.0)).collect::<Date32Array>())
}

/// The periods of a table's records; streams already stand in the order of the table.
fn periods(stacked: &Stacked, known: &KnownFiles<'_>, schema: &SchemaRef) -> Result<RecordBatch, ArrowError> {
    let periods = &stacked.periods;
    let rows = UInt32Array::from_iter_values(periods.iter().map(|period| period.row));
    let column = |name: &str| match name {
        "valid_from" => Ok(Some(days(periods.iter().map(|period| period.from)))),
        "valid_to" => Ok(Some(days(periods.iter().map(|period| period.to)))),
        "file_id" => {
            let seqs = periods.iter().map(|period| stacked.position(period.row as usize).0);
            Ok(Some(file_ids(known, seqs)))
        }
        _ => {
            let name = if name == "movement_type" { "change_type" } else { name };
            stacked.rows.column_by_name(name).map(|values| take(values, &rows, None)).transpose()
        }
    };
    let column = |field: &Arc<arrow::datatypes::Field>| {
        let values = column(field.name())?;
        Ok(values.unwrap_or_else(|| new_null_array(field.data_type(), periods.len())))
    };
    let columns: Result<Vec<ArrayRef>, ArrowError> = schema.fields().iter().map(column).collect();
    RecordBatch::try_new(Arc::clone(schema), columns?)
}

fn memberships(
    registry: &Registry,
    known: &KnownFiles<'_>,
    schema: &SchemaRef,
) -> Result<RecordBatch, ArrowError> {
    let mut rows: Vec<(&str, &Interval)> = registry.memberships().iter().collect();
    rows.sort_by_key(|(member_no, interval)| (&interval.union_no, *member_no, interval.from));
    let lists: Vec<(i32, i64)> = rows.iter().map(|(_, interval)| registry.list_of(interval)).collect();
    let columns: Vec<ArrayRef> = vec![
        Arc::new(StringArray::from_iter_values(rows.iter().map(|(_, interval)| &interval.union_no))),
        Arc::new(StringArray::from_iter_values(rows.iter().map(|(member_no, _)| member_no))),
        days(rows.iter().map(|(_, interval)| Some(interval.from))),
        days(rows.iter().map(|(_, interval)| interval.until.map(|until| Day(until.0 - 1)))),
        file_ids(known, lists.iter().map(|(seq, _)| *seq)),
        Arc::new(Int64Array::from_iter_values(lists.iter().map(|(_, record_no)| *record_no))),
    ];
    RecordBatch::try_new(Arc::clone(schema), columns)
}
