//! The table `khs`: the newest status of every insurance card (domain 6), a file for every number on the card.
//!
//! Promise: rows by (member_no, insured_no); a file depends on its people alone, so that what no answer touched is shared
//! with the snapshot before.

use super::table_file::{PublishedFile, TableFile, TableLayout};
use crate::khs::people::{People, Person};
use arrow::array::{ArrayRef, Date32Array, RecordBatch, StringArray};
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use rayon::prelude::*;
use std::path::Path;
use std::sync::Arc;
use tsumiage_schemas::tables::khs_schema;
use tsumiage_schemas::{Day, Spec};

const LAYOUT: TableLayout = TableLayout { sorted_by: &["member_no", "insured_no"], bloom: true };

/// Rows of a batch: part of "same facts, same bytes".
const BATCH_ROWS: usize = 65_536;

/// Writes the table.
///
/// # Errors
/// A file cannot be written.
pub fn publish(root: &Path, people: &People, spec: &Spec) -> anyhow::Result<Vec<PublishedFile>> {
    let schema = khs_schema(spec);
    if people.is_empty() {
        let file = TableFile::create(root, "khs/empty.parquet", &schema, &LAYOUT)?;
        return Ok(vec![file.finish()?]);
    }
    let members: Vec<(&str, &[Person])> = people.members().collect();
    let file = |(member_no, of_member): &(&str, &[Person])| {
        let mut file = TableFile::create(root, &format!("khs/{member_no}.parquet"), &schema, &LAYOUT)?;
        for some in of_member.chunks(BATCH_ROWS) {
            file.write_digested(&rows(member_no, some, people, &schema)?)?;
        }
        Ok(file.finish()?)
    };
    members.par_iter().map(file).collect()
}

fn rows(
    member_no: &str,
    some: &[Person],
    people: &People,
    schema: &SchemaRef,
) -> Result<RecordBatch, ArrowError> {
    let days = |day: fn(&Person) -> Option<Day>| -> ArrayRef {
        Arc::new(some.iter().map(|person| day(person).map(|day| day.0)).collect::<Date32Array>())
    };
    let columns: Vec<ArrayRef> = vec![
        Arc::new(StringArray::from_iter_values(some.iter().map(|_| member_no))),
        Arc::new(StringArray::from_iter_values(some.iter().map(|person| &person.insured_no))),
        Arc::new(StringArray::from_iter_values(some.iter().map(|person| people.status(person)))),
        days(|person| person.end_date),
        days(|person| person.end_cancel_date),
        days(|person| Some(person.known_on)),
    ];
    RecordBatch::try_new(Arc::clone(schema), columns)
}
