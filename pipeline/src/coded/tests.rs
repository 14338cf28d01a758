//! Files are read back by the library, and must hold the rows, their statistics and nothing else.

use super::{ColumnWriter, GroupsWriter, Numbers, Shape, Values};
use arrow::array::{
    ArrayRef, BooleanArray, Date32Array, Int32Array, Int64Array, RecordBatch, StringArray, UInt32Array,
};
use arrow::compute::{concat_batches, take_record_batch};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use bytes::Bytes;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::{BoundaryOrder, Encoding};
use parquet::file::metadata::ParquetMetaData;
use parquet::file::page_index::column_index::ColumnIndexMetaData;
use parquet::file::properties::{ReaderProperties, WriterProperties};
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::file::serialized_reader::ReadOptionsBuilder;
use proptest::prelude::*;
use std::sync::Arc;

fn schema() -> SchemaRef {
    let field = |name: &str, data_type| Field::new(name, data_type, true);
    Arc::new(Schema::new(vec![
        field("key", DataType::Utf8),
        field("text", DataType::Utf8),
        field("day", DataType::Date32),
        field("small", DataType::Int32),
        field("large", DataType::Int64),
        field("truth", DataType::Boolean),
    ]))
}

type Row = (String, Option<String>, Option<i32>, Option<i32>, Option<i64>, Option<bool>);

fn batch(rows: &[Row]) -> RecordBatch {
    let columns: Vec<ArrayRef> = vec![
        Arc::new(rows.iter().map(|row| Some(row.0.as_str())).collect::<StringArray>()),
        Arc::new(rows.iter().map(|row| row.1.as_deref()).collect::<StringArray>()),
        Arc::new(rows.iter().map(|row| row.2).collect::<Date32Array>()),
        Arc::new(rows.iter().map(|row| row.3).collect::<Int32Array>()),
        Arc::new(rows.iter().map(|row| row.4).collect::<Int64Array>()),
        Arc::new(rows.iter().map(|row| row.5).collect::<BooleanArray>()),
    ];
    RecordBatch::try_new(schema(), columns).unwrap()
}

/// A file of these pages, row groups of so many pages; `before` are values of other files that came first.
fn written(pages: &[(RecordBatch, Option<Vec<u32>>)], in_group: usize, before: &RecordBatch) -> Vec<u8> {
    let shape =
        Shape::new(&schema(), &["key", "large"], &["key"], WriterProperties::builder().build()).unwrap();
    let mut values: Vec<Values> =
        schema().fields().iter().map(|field| Values::new(field.data_type())).collect();
    for (values, column) in values.iter_mut().zip(before.columns()) {
        values.of_array(column);
    }
    let mut file = GroupsWriter::new(Vec::new(), &shape).unwrap();
    for group in pages.chunks(in_group) {
        let mut columns: Vec<ColumnWriter> = (0..values.len()).map(|at| shape.column(at)).collect();
        for (batch, rows) in group {
            for ((column, values), array) in columns.iter_mut().zip(&mut values).zip(batch.columns()) {
                let numbers = Numbers::new(values.of_array(array));
                column.add(&numbers, rows.as_deref(), values).unwrap();
            }
        }
        file.group(columns.into_iter().zip(&values)).unwrap();
    }
    file.finish().unwrap();
    std::mem::take(file.inner_mut())
}

fn read(file: Vec<u8>) -> RecordBatch {
    let reader = ParquetRecordBatchReaderBuilder::try_new(Bytes::from(file)).unwrap();
    assert_eq!(reader.schema(), &schema());
    let batches: Vec<RecordBatch> =
        reader.with_batch_size(1 << 20).build().unwrap().map(Result::unwrap).collect();
    concat_batches(&schema(), &batches).unwrap()
}

fn metadata(file: Vec<u8>) -> ParquetMetaData {
    let options = ReadOptionsBuilder::new().with_page_index().build();
    SerializedFileReader::new_with_options(Bytes::from(file), options).unwrap().metadata().clone()
}

fn row() -> impl Strategy<Value = Row> {
    let few = prop_oneof![Just(None), Just(Some("13".to_owned())), "[a-z]{0,70}".prop_map(Some)];
    let day = prop_oneof![4 => Just(Some(20_000)), 1 => Just(None), 1 => (-9i32..9).prop_map(Some)];
    (
        "[0-9]{1,4}",
        few,
        day,
        proptest::option::of(0..70_000i32),
        proptest::option::of(any::<i64>()),
        any::<Option<bool>>(),
    )
}

fn pages() -> impl Strategy<Value = Vec<(RecordBatch, Option<Vec<u32>>)>> {
    let page = (proptest::collection::vec(row(), 1..60), 0..4u8, any::<bool>()).prop_flat_map(
        |(mut rows, same, all)| {
            match same {
                0 => rows = vec![rows[0].clone(); rows.len()],
                1 => rows.iter_mut().for_each(|row| (row.1, row.2, row.3) = (None, None, Some(7))),
                _ => {}
            }
            let count = rows.len() as u32;
            let taken =
                proptest::collection::vec(0..count, 0..40).prop_map(move |rows| (!all).then_some(rows));
            (Just(batch(&rows)), taken)
        },
    );
    proptest::collection::vec(page, 1..6)
}

/// The pages' rows as a reader must give them.
fn rows_of(pages: &[(RecordBatch, Option<Vec<u32>>)]) -> RecordBatch {
    let of_page = |(batch, rows): &(RecordBatch, Option<Vec<u32>>)| match rows {
        None => batch.clone(),
        Some(rows) => take_record_batch(batch, &UInt32Array::from(rows.clone())).unwrap(),
    };
    concat_batches(&schema(), &pages.iter().map(of_page).collect::<Vec<_>>()).unwrap()
}

proptest! {
    #[test]
    fn files_hold_the_rows_whatever_became_known_before(pages in pages(), in_group in 1..4usize, other in row()) {
        let nothing = batch(&[]);
        let file = written(&pages, in_group, &nothing);
        let expected = rows_of(&pages);
        prop_assert_eq!(written(&pages, in_group, &batch(&[other])), file.clone());
        let read = read(file.clone());
        prop_assert_eq!(&read, &expected);
        let metadata = metadata(file);
        let nulls = |at: usize| {
            let groups = metadata.row_groups().iter();
            groups.map(|group| group.column(at).statistics().unwrap().null_count_opt().unwrap()).sum::<u64>()
        };
        for (at, column) in expected.columns().iter().enumerate() {
            prop_assert_eq!(nulls(at), column.null_count() as u64);
        }
    }
}

#[test]
fn readers_can_prune_by_groups_pages_and_filters() {
    let of = |from: i32| -> Vec<Row> {
        let row = |n: i32| {
            (format!("{n:05}"), Some(format!("t{}", n % 3)), Some(n), None, Some(-i64::from(n)), Some(true))
        };
        (from..from + 100).map(row).collect()
    };
    let pages = [(batch(&of(0)), None), (batch(&of(100)), None), (batch(&of(200)), None)];
    let file = written(&pages, 2, &batch(&[]));
    let metadata = metadata(file.clone());
    let group = metadata.row_group(0);
    let stats = |at: usize| {
        let stats = group.column(at).statistics().unwrap();
        (stats.min_bytes_opt().map(<[u8]>::to_vec), stats.max_bytes_opt().map(<[u8]>::to_vec))
    };
    assert_eq!(stats(0), (Some(b"00000".to_vec()), Some(b"00199".to_vec())));
    assert_eq!(stats(1), (Some(b"t0".to_vec()), Some(b"t2".to_vec())));
    assert_eq!(stats(2), (Some(vec![0; 4]), Some(199i32.to_le_bytes().to_vec())));
    assert_eq!(stats(3), (None, None));
    assert_eq!(stats(4), (Some((-199i64).to_le_bytes().to_vec()), Some(0i64.to_le_bytes().to_vec())));
    assert_eq!(stats(5), (Some(vec![1]), Some(vec![1])));
    let offsets = &metadata.offset_index().unwrap()[0];
    let pages_of =
        |at: usize| offsets[at].page_locations().iter().map(|p| p.first_row_index).collect::<Vec<_>>();
    assert_eq!((pages_of(0), pages_of(3)), (vec![0, 100], vec![0]), "nothing is one page");
    let spans = |at: usize| -> Vec<(Vec<u8>, Vec<u8>)> {
        let ColumnIndexMetaData::BYTE_ARRAY(index) = &metadata.column_index().unwrap()[0][at] else {
            panic!("no texts")
        };
        let text = |text: Option<&[u8]>| text.unwrap_or_default().to_vec();
        (0..index.num_pages() as usize)
            .map(|page| (text(index.min_value(page)), text(index.max_value(page))))
            .collect()
    };
    let span = |from: &str, to: &str| (from.as_bytes().to_vec(), to.as_bytes().to_vec());
    assert_eq!(spans(0), [span("00000", "00099"), span("00100", "00199")]);
    assert_eq!(spans(1), [span("t0", "t2"), span("t0", "t2")]);
    let orders = &metadata.column_index().unwrap()[0];
    assert_eq!(orders[0].get_boundary_order(), Some(BoundaryOrder::ASCENDING));
    assert_eq!(orders[4].get_boundary_order(), Some(BoundaryOrder::DESCENDING));
    let column = metadata.row_group(1).column(0);
    assert!(
        column.bloom_filter_offset().is_some()
            && metadata.row_group(1).column(1).bloom_filter_offset().is_none()
    );
}

#[test]
fn filters_know_their_keys() {
    let row = |n: i32| (format!("{:05}", n / 2), None, None, None, None, None);
    let rows: Vec<Row> = (0..5_000).map(row).collect();
    let file = written(&[(batch(&rows), None)], 1, &batch(&[]));
    let properties = ReaderProperties::builder().set_read_bloom_filter(true).build();
    let options = ReadOptionsBuilder::new().with_reader_properties(properties).build();
    let reader = SerializedFileReader::new_with_options(Bytes::from(file), options).unwrap();
    let group = reader.get_row_group(0).unwrap();
    let filter = group.get_column_bloom_filter(0).unwrap();
    assert!((0..2_500).all(|n| filter.check(format!("{n:05}").as_str())));
    let wrong = (2_500..12_500).filter(|n| filter.check(format!("{n:05}").as_str())).count();
    assert!(wrong < 800, "{wrong} of 10,000 that are not there");
}

#[test]
fn a_dictionary_that_becomes_too_large_is_given_up() {
    let row = |n: i32| {
        let text = (n % 7 != 0).then(|| format!("{n:040}"));
        (n.to_string(), text, Some(n), Some(n % 3), None, None)
    };
    let page = |from: i32| (batch(&(from..from + 20_000).map(row).collect::<Vec<_>>()), None);
    // A page without values and one of a single value come behind it.
    let nothing: Vec<Row> = (0..50).map(|n| (n.to_string(), None, None, None, None, None)).collect();
    let same: Vec<Row> =
        (0..50).map(|n| (n.to_string(), Some("x".to_owned()), Some(5), None, None, None)).collect();
    let pages =
        [page(0), page(20_000), page(40_000), (batch(&nothing), None), (batch(&same), None), page(60_000)];
    let file = written(&pages, 6, &batch(&[]));
    assert_eq!(read(file.clone()), rows_of(&pages));
    let metadata = metadata(file);
    let encodings: Vec<Encoding> = metadata.row_group(0).column(1).encodings().collect();
    assert!(
        encodings.contains(&Encoding::PLAIN) && encodings.contains(&Encoding::RLE_DICTIONARY),
        "{encodings:?}"
    );
    let size = metadata.row_group(0).column(1).uncompressed_size();
    assert!(size < 80_000 * 46, "{size} bytes");
}
