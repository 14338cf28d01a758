//! Values that are none: nothing panics, and nothing takes memory without bounds.

use super::*;
use arrow::array::{
    Array, ArrayRef, DictionaryArray, Float64Array, Int16Array, Int32Array, ListArray, StringViewArray,
    StructArray,
};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{Field, Int32Type, Schema};
use arrow::ipc::CompressionType;
use arrow::ipc::writer::{IpcWriteOptions, StreamWriter};
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::sync::LazyLock;

/// One value of every schema, of few rows.
static VALUES: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let mut batches = vec![findings()];
    for (_, batch) in few_facts() {
        if batches.iter().all(|other| other.schema() != batch.schema()) {
            batches.push(batch.slice(0, batch.num_rows().min(5)));
        }
    }
    batches.iter().map(|batch| values(batch).remove(0)).collect()
});

fn why(value: &[u8]) -> String {
    decode(value).unwrap_err().0
}

fn stream(batches: &[&RecordBatch], schema: &Schema, compression: Option<CompressionType>) -> Vec<u8> {
    let options = IpcWriteOptions::default().try_with_compression(compression).unwrap();
    let mut writer = StreamWriter::try_new_with_options(Vec::new(), schema, options).unwrap();
    batches.iter().for_each(|batch| writer.write(batch).unwrap());
    writer.into_inner().unwrap()
}

#[test]
fn streams_of_others() {
    let zstd = Some(CompressionType::ZSTD);
    let batch = findings();
    let schema = batch.schema();
    let two = stream(&[&batch, &batch], &schema, zstd);
    assert_eq!(why(&two), "its value has more than one batch");
    assert_eq!(why(&stream(&[], &schema, zstd)), "its value is not an Arrow stream");
    assert_eq!(why(&stream(&[&batch.slice(0, 0)], &schema, zstd)), "its value has no rows");
    assert_eq!(why(&stream(&[&batch], &schema, None)), "its value is not compressed by ZSTD");
    let lz4 = stream(&[&batch], &schema, Some(CompressionType::LZ4_FRAME));
    assert_eq!(why(&lz4), "its value is not compressed by ZSTD");
    assert_eq!(decode(&stream(&[&batch], &schema, zstd)).unwrap(), batch, "any writer will do");

    let numbers: ArrayRef = Arc::new(Int32Array::from(vec![1, 2]));
    let nested = StructArray::try_from(vec![("n", numbers)]).unwrap();
    let list = || ListArray::from_iter_primitive::<Int32Type, _, _>([Some([Some(1)]), Some([Some(2)])]);
    let dictionary = || vec!["a", "b"].into_iter().collect::<DictionaryArray<Int32Type>>();
    let each = Arc::new(Field::new_list_field(dictionary().data_type().clone(), true));
    let of_dictionaries =
        ListArray::new(each, OffsetBuffer::from_lengths([1, 1]), Arc::new(dictionary()), None);
    let columns: [ArrayRef; 7] = [
        Arc::new(Float64Array::from(vec![1.0, 2.0])),
        Arc::new(StringViewArray::from(vec!["a", "b"])),
        Arc::new(dictionary()),
        Arc::new(DictionaryArray::new(Int32Array::from(vec![0, 1]), Arc::new(list()))),
        Arc::new(of_dictionaries),
        Arc::new(Int16Array::from(vec![1, 2])),
        Arc::new(nested),
    ];
    for column in columns {
        let batch = RecordBatch::try_from_iter([("c", column)]).unwrap();
        let value = stream(&[&batch], &batch.schema(), zstd);
        assert_eq!(why(&value), "its value has a column of an unknown type");
    }
}

#[test]
fn every_beginning_is_cut_off() {
    for value in VALUES.iter() {
        assert!((0..value.len()).step_by(value.len() / 500 + 1).all(|end| decode(&value[..end]).is_err()));
        assert!(decode(&[value.as_slice(), b"\0"].concat()).is_err(), "and nothing is behind the end");
    }
    for bytes in [&b""[..], b"\xff\xff\xff\xff", b"\xff\xff\xff\xff\xff\xff\xff\xff", &[0; 100]] {
        assert!(decode(bytes).is_err());
    }
}

/// Arrow would take what the stream says that it needs.
#[test]
fn a_small_value_that_says_it_is_huge_is_refused() {
    let value = few_facts().iter().map(|(_, batch)| values(batch).remove(0)).max_by_key(Vec::len).unwrap();
    let frame = [0x28, 0xb5, 0x2f, 0xfd]; // the beginning of what ZSTD makes
    let at = value.windows(4).rposition(|bytes| bytes == frame).unwrap() - 8;
    for length in [1_i64 << 40, i64::MAX, i64::MIN, -2] {
        let mut value = value.clone();
        value[at..at + 8].copy_from_slice(&length.to_le_bytes());
        assert_eq!(why(&value), "its value is larger than any batch");
    }
}

/// Arrow panics over some of them, found by the test below.
#[test]
fn every_number_of_a_batch_is_checked() {
    let mut told = BTreeSet::new();
    for value in VALUES.iter() {
        let batch = decode(value).unwrap();
        let schema = 8 + u32::from_le_bytes(value[4..8].try_into().unwrap()) as usize;
        let end = schema + 8 + u32::from_le_bytes(value[schema + 4..schema + 8].try_into().unwrap()) as usize;
        for at in (schema + 8..end).step_by(8) {
            let number = i64::from_le_bytes(value[at..at + 8].try_into().unwrap());
            for other in [number + 1, number - 1, number + 8, number - 8, 0, -1, 1 << 40, i64::MIN, i64::MAX]
            {
                let mut value = value.clone();
                value[at..at + 8].copy_from_slice(&other.to_le_bytes());
                match decode(&value) {
                    // Other values, but ones that can be used.
                    Ok(read) => {
                        assert_eq!(format!("{read:?}").is_empty(), read.num_rows() != batch.num_rows())
                    }
                    Err(NotOurs(why)) => drop(told.insert(why)),
                }
            }
        }
    }
    for why in [
        "its value has a column of no possible length",
        "its value has values of another width",
        "its value has a buffer outside of itself",
        "its value has a buffer without length",
        "its value does not say which values are missing",
        "its value has no rows",
        "its value is cut off",
    ] {
        assert!(told.contains(why), "{why}: {told:#?}");
    }
}

/// Changes: which value, and where something else stands.
fn changes() -> impl Strategy<Value = (usize, Vec<(prop::sample::Index, u8)>)> {
    let byte = prop_oneof![Just(0), Just(1), Just(0x7f), Just(0x80), Just(0xff), any::<u8>()];
    (0..VALUES.len(), proptest::collection::vec((any::<prop::sample::Index>(), byte), 1..6))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3_000))]

    #[test]
    fn damaged_values_never_panic((which, changes) in changes()) {
        let mut value = VALUES[which].clone();
        for (at, byte) in changes {
            let at = at.index(value.len());
            value[at] = byte;
        }
        if let Ok(batch) = decode(&value) {
            // What is read can be used.
            let shown = batch.columns().iter().map(|column| format!("{column:?}").len()).sum::<usize>();
            prop_assert!(shown > 0 && bytes_of(&batch) < 1 << 30);
        }
    }

    #[test]
    fn any_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300), which in 0..4_usize) {
        prop_assert!(decode(&bytes).is_err());
        let value = &VALUES[which % VALUES.len()];
        prop_assert!(decode(&[&value[..value.len() / 2], &bytes].concat()).is_err());
    }
}
