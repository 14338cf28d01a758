//! The data dictionary: every column of every published table, for people (`data_dictionary.md`) and
//! for programs (`data_dictionary.parquet`).

use super::views::TableInfo;
use arrow::array::{ArrayRef, Int32Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::error::ArrowError;
use std::fmt::Write;
use std::sync::Arc;
use tsumiage_schemas::Spec;

/// Columns of `data_dictionary.parquet`.
pub fn dictionary_schema() -> SchemaRef {
    let text = |name: &str| Field::new(name, DataType::Utf8, true);
    Arc::new(Schema::new(vec![
        text("table_name"),
        Field::new("position", DataType::Int32, true),
        text("column_name"),
        text("label_ja"),
        text("type"),
        text("item_no"),
        text("codes"),
        text("note"),
    ]))
}

fn type_name(data_type: &DataType) -> &'static str {
    match data_type {
        DataType::Date32 => "date",
        DataType::Int32 => "int32",
        DataType::Int64 => "int64",
        DataType::Boolean => "boolean",
        _ => "string",
    }
}

/// The rows of `data_dictionary.parquet`.
///
/// # Errors
/// Arrow refuses a column.
pub fn dictionary(tables: &[TableInfo]) -> Result<RecordBatch, ArrowError> {
    let mut positions = Vec::new();
    let mut texts: [Vec<Option<String>>; 7] = Default::default();
    for table in tables {
        for (at, field) in table.schema.fields().iter().enumerate() {
            positions.push(at as i32 + 1);
            let about = |key: &str| field.metadata().get(key).cloned();
            let row = [
                Some(table.name.to_owned()),
                Some(field.name().clone()),
                about("label_ja"),
                Some(type_name(field.data_type()).to_owned()),
                about("item_no"),
                about("codes"),
                about("note"),
            ];
            for (column, value) in texts.iter_mut().zip(row) {
                column.push(value);
            }
        }
    }
    let [table, column, label, kind, item, codes, note] =
        texts.map(|values| Arc::new(StringArray::from(values)) as ArrayRef);
    let positions: ArrayRef = Arc::new(Int32Array::from(positions));
    let columns = vec![table, positions, column, label, kind, item, codes, note];
    RecordBatch::try_new(dictionary_schema(), columns)
}

/// The text of `data_dictionary.md`.
pub fn dictionary_md(tables: &[TableInfo], spec: &Spec) -> String {
    let mut text = String::from(
        "# Data dictionary\n\n\
         Plain Parquet. Dates and months are `date` (months: their first day), not set is null, text is as sent.\n\
         `item_no` is the item's number in the layout of its table's records; `codes` names a table below;\n\
         `note` is there for what this program derives.\n",
    );
    for table in tables {
        let _ = write!(
            text,
            "\n## {} ({})\n\n{}\n\n`{}`\n\n",
            table.name, table.name_ja, table.about, table.glob
        );
        text.push_str("| column | 項目 | type | item_no | codes | note |\n|---|---|---|---|---|---|\n");
        for field in table.schema.fields() {
            let about = |key: &str| field.metadata().get(key).map_or("", String::as_str);
            let _ = writeln!(
                text,
                "| {} | {} | {} | {} | {} | {} |",
                field.name(),
                about("label_ja"),
                type_name(field.data_type()),
                about("item_no"),
                about("codes"),
                about("note")
            );
        }
    }
    text.push_str("\n## Code tables\n");
    for table in spec.codes.values() {
        let _ = write!(text, "\n### {}\n\n| code | 名称 |\n|---|---|\n", table.name);
        for (code, name) in &table.labels {
            let _ = writeln!(text, "| {code} | {name} |");
        }
    }
    text
}
