//! A merged run is its sources, one after another and sorted, whatever their sizes and layouts.

use super::super::manifest::RunEntry;
use super::super::merge::{merge, read_back};
use super::super::part::Part;
use super::super::runs::{RunWriter, write_run};
use super::sorted;
use crate::disk;
use arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, Date32Array, FixedSizeBinaryArray, Int32Array, Int64Array,
    ListArray, RecordBatch, StringArray, new_null_array,
};
use arrow::buffer::OffsetBuffer;
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::Path;
use std::sync::Arc;
use tsumiage_schemas::tables::{FACT_KEY_COLUMNS, MASK_BYTES, fact_schema};
use tsumiage_schemas::{FactTable, Spec};

/// Numbers that look random.
pub(super) struct Numbers(pub u64);

impl Numbers {
    pub fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }
}

/// Values of a column; now and then null where it may be.
fn column(field: &Field, rows: usize, numbers: &mut Numbers) -> ArrayRef {
    let drawn: Vec<Option<u64>> = (0..rows)
        .map(|_| (!field.is_nullable() || numbers.below(3) > 0).then(|| numbers.below(1_000)))
        .collect();
    let text = || drawn.iter().map(|n| n.map(|n| format!("値{n}")));
    match field.data_type() {
        DataType::Utf8 => Arc::new(text().collect::<StringArray>()),
        DataType::Date32 => Arc::new(drawn.iter().map(|n| n.map(|n| n as i32)).collect::<Date32Array>()),
        DataType::Int32 => Arc::new(drawn.iter().map(|n| n.map(|n| n as i32)).collect::<Int32Array>()),
        DataType::Int64 => Arc::new(drawn.iter().map(|n| n.map(|n| n as i64)).collect::<Int64Array>()),
        DataType::Boolean => Arc::new(drawn.iter().map(|n| n.map(|n| n > 500)).collect::<BooleanArray>()),
        DataType::Binary => {
            let bytes: Vec<Option<Vec<u8>>> = text().map(|text| text.map(String::into_bytes)).collect();
            Arc::new(bytes.iter().map(Option::as_deref).collect::<BinaryArray>())
        }
        DataType::FixedSizeBinary(_) => {
            let masks = drawn.iter().map(|n| [n.unwrap_or_default() as u8; MASK_BYTES as usize]);
            Arc::new(FixedSizeBinaryArray::try_from_iter(masks).unwrap())
        }
        DataType::List(each) => {
            let lengths: Vec<usize> = drawn.iter().map(|n| n.unwrap_or_default() as usize % 4).collect();
            let values = column(each, lengths.iter().sum(), numbers);
            Arc::new(ListArray::new(Arc::clone(each), OffsetBuffer::from_lengths(lengths), values, None))
        }
        other => panic!("no fact has {other}"),
    }
}

/// So many facts with the first so many items; their places `(file_seq, record_no)` are given.
pub(super) fn facts(schema: &SchemaRef, places: &[(i32, i64)], numbers: &mut Numbers) -> RecordBatch {
    let columns = schema.fields().iter().map(|field| -> ArrayRef {
        match field.name().as_str() {
            "file_seq" => Arc::new(places.iter().map(|(seq, _)| Some(*seq)).collect::<Int32Array>()),
            "record_no" => Arc::new(places.iter().map(|(_, no)| Some(*no)).collect::<Int64Array>()),
            "insured_no" if field.is_nullable() => new_null_array(&DataType::Utf8, places.len()),
            "insured_no" => {
                let people = places.iter().map(|_| Some(format!("{:010}", numbers.below(40))));
                Arc::new(people.collect::<StringArray>())
            }
            _ => column(field, places.len(), numbers),
        }
    });
    RecordBatch::try_new(Arc::clone(schema), columns.collect()).unwrap()
}

fn part(facts: &RecordBatch) -> Vec<Part> {
    vec![Part::numbered(facts.clone()).unwrap()]
}

fn read(path: &Path) -> Vec<RecordBatch> {
    let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(path).unwrap()).unwrap();
    reader.build().unwrap().map(Result::unwrap).collect()
}

/// Columns the batch does not have are null.
fn widened(batch: &RecordBatch, schema: &SchemaRef) -> RecordBatch {
    let column = |field: &Arc<Field>| {
        let own = batch.column_by_name(field.name()).cloned();
        own.unwrap_or_else(|| new_null_array(field.data_type(), batch.num_rows()))
    };
    RecordBatch::try_new(Arc::clone(schema), schema.fields().iter().map(column).collect()).unwrap()
}

/// Writes a run for every (rows, items it lacks), merges them, and compares.
fn check(table: FactTable, runs: &[(usize, usize)], seed: u64) {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let whole = fact_schema(&Spec::embedded().unwrap(), table);
    let mut numbers = Numbers(seed);
    let (mut entries, mut batches): (Vec<RunEntry>, Vec<RecordBatch>) = (Vec::new(), Vec::new());
    for (at, (rows, lacks)) in runs.iter().enumerate() {
        let items = whole.fields().len() - lacks;
        let schema = Arc::new(Schema::new(whole.fields()[..items.max(FACT_KEY_COLUMNS)].to_vec()));
        // Now and then two runs hold facts of the same file.
        let place = |row: usize| ((at / 2 * 3 + row % 4) as i32, (at * 100_000 + row) as i64);
        let facts = facts(&schema, &(0..*rows).map(place).collect::<Vec<_>>(), &mut numbers);
        let insurer_no = if table == FactTable::Recipient { "141003" } else { "" }.to_owned();
        entries.push(write_run(root, table, insurer_no, &format!("{at}.parquet"), part(&facts)).unwrap());
        batches.push(facts);
    }
    let widest = batches.iter().map(RecordBatch::schema).max_by_key(|s| s.fields().len()).unwrap();
    let expected = sorted(&batches.iter().map(|batch| widened(batch, &widest)).collect::<Vec<_>>());
    let (run, items) = merge(root, &entries, "merged.parquet").unwrap();
    let got = read(&root.join(&run.path));
    assert_eq!(concat_batches(&got[0].schema(), &got).unwrap(), expected);
    assert_eq!(
        (run.rows as usize, items.len()),
        (expected.num_rows(), widest.fields().len() - FACT_KEY_COLUMNS)
    );
    let files: BTreeSet<i32> = entries.iter().flat_map(|run| run.files.clone()).collect();
    assert_eq!((run.table, run.files), (table, files.into_iter().collect::<Vec<_>>()));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn a_merged_run_is_its_sources_sorted(
        runs in prop::collection::vec((1_usize..200, prop_oneof![Just(0_usize), 0_usize..60]), 1..20),
        large in 1_usize..10_000,
        seed in any::<u64>(),
    ) {
        let mut runs = runs;
        runs[0].0 = large;
        check(FactTable::Recipient, &runs, seed);
    }
}

#[test]
fn every_table_and_batches_of_every_source_are_merged() {
    for table in FactTable::ALL {
        check(table, &[(3, 0), (1, 0), (200, 0)], 5);
    }
    // Several batches of each source and of the merged run.
    check(FactTable::Insurer, &[(40_000, 0), (35_000, 1), (1, 3)], 6);
}

#[test]
fn a_run_that_is_not_what_was_written_is_not_merged() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let schema = fact_schema(&Spec::embedded().unwrap(), FactTable::Recipient);
    let run = |name: &str, seq: i32| {
        let facts = facts(&schema, &[(seq, 1), (seq, 2)], &mut Numbers(seq as u64));
        write_run(root, FactTable::Recipient, "141003".to_owned(), name, part(&facts)).unwrap()
    };
    let runs = [run("1.parquet", 1), run("2.parquet", 2)];
    let fails = |runs: &[RunEntry], says: &str| {
        let error = merge(root, runs, "merged.parquet").unwrap_err().to_string();
        assert!(error.contains(says), "{error}");
    };
    let other_rows = RunEntry { rows: 3, ..runs[0].clone() };
    fails(&[other_rows, runs[1].clone()], "other rows than its manifest says");
    let path = root.join(&runs[1].path);
    let mut bytes = fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&path, &bytes).unwrap();
    fails(&runs, "tsumiage rebuild");
    fs::remove_file(&path).unwrap();
    fails(&runs, "2.parquet");
    let other_items = Schema::new(
        schema.fields()[..=FACT_KEY_COLUMNS]
            .iter()
            .enumerate()
            .map(|(at, field)| match at {
                FACT_KEY_COLUMNS => Arc::new(field.as_ref().clone().with_name("another")),
                _ => Arc::clone(field),
            })
            .collect::<Vec<_>>(),
    );
    let others = facts(&Arc::new(other_items), &[(3, 1)], &mut Numbers(3));
    let others =
        write_run(root, FactTable::Recipient, "141003".to_owned(), "3.parquet", part(&others)).unwrap();
    fails(&[runs[0].clone(), others], "has other items");
    assert!(
        disk::entries(&root.join("facts/141003")).unwrap().len() >= 2,
        "nothing of the sources is touched"
    );
}

#[test]
fn what_is_read_back_tells_other_rows_and_another_order() {
    let folder = tempfile::tempdir().unwrap();
    let schema = fact_schema(&Spec::embedded().unwrap(), FactTable::Insurer);
    let facts = facts(&schema, &[(1, 1), (1, 2), (2, 7)], &mut Numbers(1));
    let read = |name: &str, parts: &[RecordBatch]| {
        let table = FactTable::Insurer;
        let mut run = RunWriter::create(folder.path(), table, String::new(), name, &schema).unwrap();
        parts.iter().for_each(|part| run.write(part).unwrap());
        read_back(folder.path(), &run.finish().unwrap(), &schema).map_err(|error| error.to_string())
    };
    let whole = read("1.parquet", std::slice::from_ref(&facts)).unwrap();
    assert_eq!(read("2.parquet", &[facts.slice(0, 2), facts.slice(2, 1)]).unwrap(), whole);
    assert_ne!(read("3.parquet", &[facts.slice(0, 2)]).unwrap(), whole);
    let mut columns = facts.columns().to_vec();
    let changed = column(schema.field(columns.len() - 1), 3, &mut Numbers(2));
    assert_ne!(&changed, columns.last().unwrap());
    *columns.last_mut().unwrap() = changed;
    let changed = RecordBatch::try_new(Arc::clone(&schema), columns).unwrap();
    assert_ne!(read("4.parquet", &[changed]).unwrap(), whole, "one value differs");
    let order = read("5.parquet", &[facts.slice(2, 1), facts.slice(0, 2)]).unwrap_err();
    assert!(order.contains("not sorted"), "{order}");
}
