//! What is gathered of parts is what taking, joining and sorting their rows would give.

use super::super::gather::Ordered;
use super::super::part::{Part, Seqs, order, parts};
use super::merged::{Numbers, facts};
use super::sorted;
use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StringArray};
use arrow::datatypes::SchemaRef;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::sync::Arc;
use tsumiage_schemas::tables::fact_schema;
use tsumiage_schemas::{FactTable, Spec};

/// The rows of parts in the order of a run, every column gathered.
fn gathered(parts: &[Part]) -> RecordBatch {
    let ordered = Ordered::new(parts, order(parts).unwrap()).unwrap();
    let schema = parts[0].batch.schema();
    let columns = (0..schema.fields().len()).map(|at| ordered.column(at).unwrap()).collect();
    RecordBatch::try_new(schema, columns).unwrap()
}

/// Facts with other values in a column of texts.
fn with(batch: &RecordBatch, name: &str, value: impl Fn(usize) -> String) -> RecordBatch {
    let mut columns = batch.columns().to_vec();
    let texts: StringArray = (0..batch.num_rows()).map(|row| Some(value(row))).collect();
    columns[batch.schema().index_of(name).unwrap()] = Arc::new(texts);
    RecordBatch::try_new(batch.schema(), columns).unwrap()
}

/// Batches of so many facts each, of few insurers; three batches a file.
fn batches(schema: &SchemaRef, rows: &[usize], numbers: &mut Numbers) -> Vec<(i32, RecordBatch)> {
    let mut batches = Vec::new();
    for (at, rows) in rows.iter().enumerate() {
        let seq = (at / 3) as i32;
        let places: Vec<(i32, i64)> = (0..*rows).map(|row| (seq, (at * 1_000 + row) as i64)).collect();
        let batch = facts(schema, &places, numbers);
        let insurers: Vec<u64> = (0..*rows).map(|_| numbers.below(3)).collect();
        batches.push((seq, with(&batch, "insurer_no", |row| format!("14100{}", insurers[row]))));
    }
    batches
}

/// All parts of batches, by insurer, and the rows of each by themselves.
type ByInsurer = BTreeMap<String, (Vec<Part>, Vec<RecordBatch>)>;

fn by_insurer(batches: &[(i32, RecordBatch)]) -> ByInsurer {
    let mut by_insurer = ByInsurer::new();
    for (seq, batch) in batches.iter().rev() {
        for (insurer_no, part) in parts(FactTable::Recipient, batch.clone(), *seq).unwrap() {
            let (parts, rows) = by_insurer.entry(insurer_no).or_default();
            parts.push(part.clone());
            rows.push(Part::in_one(vec![part]).unwrap());
        }
    }
    by_insurer
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn columns_are_those_of_the_rows_sorted(
        rows in prop::collection::vec(1_usize..120, 1..9),
        seed in any::<u64>(),
    ) {
        let schema = fact_schema(&Spec::embedded().unwrap(), FactTable::Recipient);
        let batches = batches(&schema, &rows, &mut Numbers(seed));
        let mut found = 0;
        for (insurer_no, (parts, rows)) in by_insurer(&batches) {
            let run = gathered(&parts);
            found += run.num_rows();
            let insurers = run.column_by_name("insurer_no").unwrap().as_string::<i32>();
            prop_assert!(insurers.iter().all(|no| no == Some(insurer_no.as_str())));
            prop_assert_eq!(&run, &sorted(&rows));
            // The same of what was set aside as one batch.
            let aside = Part::numbered(Part::in_one(parts).unwrap()).unwrap();
            prop_assert!(matches!(aside.seqs, Seqs::Each(_)));
            prop_assert_eq!(&gathered(&[aside]), &run);
        }
        prop_assert_eq!(found, rows.iter().sum::<usize>());
    }
}

#[test]
fn numbers_of_people_that_are_no_ten_digits_are_compared_as_texts() {
    let schema = fact_schema(&Spec::embedded().unwrap(), FactTable::Recipient);
    let batch = batches(&schema, &[60], &mut Numbers(7)).remove(0).1;
    for odd in ["123", "12345678901", "00000000a0", "", "９", "0000000001 "] {
        let people = |row: usize| if row == 30 { odd.to_owned() } else { format!("{:010}", row * 7 % 11) };
        let batch = with(&batch, "insured_no", people);
        assert_eq!(gathered(&[Part::numbered(batch.clone()).unwrap()]), sorted(&[batch]), "{odd}");
    }
}

#[test]
fn facts_of_the_registry_have_nobodys_number() {
    for table in FactTable::ALL.into_iter().filter(|table| *table != FactTable::Recipient) {
        let schema = fact_schema(&Spec::embedded().unwrap(), table);
        let facts = facts(&schema, &[(2, 1), (1, 9), (1, 3)], &mut Numbers(3));
        let part = |rows: &RecordBatch| Part::numbered(rows.clone()).unwrap();
        let run = gathered(&[part(&facts.slice(0, 1)), part(&facts.slice(1, 2))]);
        assert_eq!(run, sorted(&[facts]), "{}", table.name());
    }
}

#[test]
fn an_insurer_number_that_is_none_is_refused() {
    let schema = fact_schema(&Spec::embedded().unwrap(), FactTable::Recipient);
    let batch = batches(&schema, &[5], &mut Numbers(1)).remove(0).1;
    for wrong in ["", "..", "14100a", "１４１００３"] {
        let batch = with(&batch, "insurer_no", |row| if row == 3 { wrong } else { "141003" }.to_owned());
        assert!(parts(FactTable::Recipient, batch, 1).is_err(), "{wrong}");
    }
}

#[test]
fn a_column_without_values_is_null() {
    let schema = fact_schema(&Spec::embedded().unwrap(), FactTable::Recipient);
    let batch = batches(&schema, &[5], &mut Numbers(1)).remove(0).1;
    let mut columns = batch.columns().to_vec();
    let last = columns.len() - 1;
    columns[last] = arrow::array::new_null_array(columns[last].data_type(), 5);
    let batch = RecordBatch::try_new(schema, columns).unwrap();
    let parts = [Part::numbered(batch).unwrap()];
    let ordered = Ordered::new(&parts, order(&parts).unwrap()).unwrap();
    let column: ArrayRef = ordered.column(last).unwrap();
    assert_eq!((column.null_count(), column.len()), (5, 5));
}
