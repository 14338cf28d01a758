//! Batches as values and back, and how fast.

use super::*;
use arrow::array::{ArrayRef, AsArray, Int32Array, StringArray, UInt32Array};
use arrow::compute::concat_batches;
use arrow::datatypes::Int32Type;
use arrow::ipc::reader::StreamReader;
use std::fmt::Write;
use std::time::Duration;

/// A batch of a number and a text that does not compress below half, per row.
fn texts(lengths: impl IntoIterator<Item = usize>) -> RecordBatch {
    let mut state = 1_u64;
    let text = |length: usize| {
        let mut text = String::new();
        while text.len() < length {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            write!(text, "{:08x}", state >> 32).unwrap();
        }
        text.truncate(length);
        text
    };
    let texts: Vec<String> = lengths.into_iter().map(text).collect();
    let numbers: ArrayRef = Arc::new(Int32Array::from_iter_values(0..texts.len() as i32));
    RecordBatch::try_from_iter([("n", numbers), ("text", Arc::new(StringArray::from(texts)) as _)]).unwrap()
}

fn decoded(values: &[Vec<u8>]) -> RecordBatch {
    let batches: Vec<RecordBatch> = values.iter().map(|value| decode(value).unwrap()).collect();
    concat_batches(&batches[0].schema(), &batches).unwrap()
}

#[test]
fn facts_and_findings_come_back() {
    let facts = few_facts();
    let tables: std::collections::BTreeSet<FactTable> = facts.iter().map(|(table, _)| *table).collect();
    assert_eq!(tables, FactTable::ALL.into(), "lists and all types are among them");
    let mut encoder = Encoder::new().unwrap();
    for batch in facts.into_iter().map(|(_, batch)| batch).chain([findings()]) {
        let values = encoded(&mut encoder, &batch);
        let [value] = values.as_slice() else { panic!("{}", values.len()) };
        assert_eq!(decode(value).unwrap(), batch);
        assert_eq!(decode(value).unwrap().schema(), batch.schema(), "with what describes the columns");
        let by_arrow: Vec<_> = StreamReader::try_new(value.as_slice(), None).unwrap().collect();
        assert_eq!(by_arrow.into_iter().map(Result::unwrap).collect::<Vec<_>>(), [batch], "a plain stream");
    }
}

#[test]
fn slices_leave_the_rest_behind() {
    for (_, batch) in few_facts() {
        let (rows, middle) = (batch.num_rows(), batch.num_rows() / 2);
        for (from, count) in [(0, 1), (middle, 1), (rows - 1, 1), (middle, rows - middle)] {
            let slice = batch.slice(from, count);
            let copied: UInt32Array = (from as u32..(from + count) as u32).collect();
            let copied = arrow::compute::take_record_batch(&batch, &copied).unwrap();
            let value = values(&slice).remove(0);
            assert_eq!(decode(&value).unwrap(), slice);
            assert!(value.len() <= values(&copied)[0].len() + 64, "{from} {count}");
        }
    }
}

#[test]
fn what_is_too_large_is_cut_in_row_order() {
    let mut encoder = Encoder::new().unwrap();
    for rows in [3_000, 3_000, 20_000, 1, 700] {
        let batch = texts((0..rows).map(|row| 1_000 + row % 7));
        let values = encoded(&mut encoder, &batch);
        assert!(values.iter().all(|value| value.len() <= MESSAGE_BYTES));
        let bytes: usize = values.iter().map(Vec::len).sum();
        assert!(values.len() <= bytes / (MESSAGE_BYTES / 2) + 1, "{} values of {bytes} bytes", values.len());
        assert_eq!(decoded(&values), batch);
    }
}

#[test]
fn rows_of_very_unequal_size_are_cut_too() {
    let lengths = [1_500_000, 1, 1, 700_000, 700_000, 600_000, 1, 2_700_000, 5, 5];
    let batch = texts(lengths);
    let values = values(&batch);
    assert_eq!(decoded(&values), batch);
    for value in &values {
        let rows = decode(value).unwrap().num_rows();
        assert!(value.len() <= MESSAGE_BYTES || rows == 1, "{} {rows}", value.len());
    }
    let one_row = values.iter().map(|value| decode(value).unwrap()).filter(|batch| batch.num_rows() == 1);
    let numbers: Vec<i32> =
        one_row.map(|batch| batch.column(0).as_primitive::<Int32Type>().value(0)).collect();
    assert!(numbers.contains(&7), "a row that is larger all by itself goes as it is: {numbers:?}");
}

#[test]
fn what_compresses_well_is_bounded_in_memory() {
    let text: ArrayRef = Arc::new(StringArray::from(vec!["あ".repeat(10_000); 2_000]));
    let batch = RecordBatch::try_from_iter([("text", text)]).unwrap();
    let values = values(&batch);
    assert!(values.iter().all(|value| bytes_of(&decode(value).unwrap()) <= 16 << 20), "{}", values.len());
    assert_eq!(decoded(&values), batch);
}

/// Against cutting in halves alone: an attempt learns how well its batches compress.
#[test]
fn rows_are_seldom_encoded_twice() {
    let mut encoder = Encoder::new().unwrap();
    let batch = texts([1_000; 4_000]);
    let first = encoded(&mut encoder, &batch).len();
    assert!((3..=4).contains(&first), "{first}");
    let second = encoded(&mut encoder, &batch);
    let rows: Vec<usize> = second.iter().map(|value| decode(value).unwrap().num_rows()).collect();
    assert_eq!(rows, [1_334, 1_334, 1_332], "in thirds at once");
}

#[test]
fn the_same_batches_give_the_same_bytes() {
    let batches: Vec<RecordBatch> = few_facts().into_iter().map(|(_, batch)| batch).collect();
    let all = || {
        let mut encoder = Encoder::new().unwrap();
        batches
            .iter()
            .chain([&texts([900; 3_000])])
            .map(|batch| encoded(&mut encoder, batch))
            .collect::<Vec<_>>()
    };
    assert_eq!(all(), all());
}

#[test]
fn no_rows_no_value_and_errors_are_passed_on() {
    let batch = findings();
    assert_eq!(values(&batch.slice(0, 0)), Vec::<Vec<u8>>::new());
    let full = |_| Err(ArrowError::from(std::io::Error::other("the queue is full")));
    assert!(Encoder::new().unwrap().encode::<ArrowError>(&batch, &mut { full }).is_err());
}

/// Time that this thread ran.
struct Ran(u64);

impl Ran {
    fn begin() -> Ran {
        let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
        Ran(text.split(' ').next().unwrap().parse().unwrap())
    }

    fn time(&self) -> Duration {
        Duration::from_nanos(Ran::begin().0 - self.0)
    }
}

/// `cargo test --release kafka::message::tests::values::speed -- --ignored --nocapture`
#[test]
#[ignore = "measures"]
fn speed() {
    let options = SynthOptions { recipients: 60_000, insurers: 2, months: 12, ..SynthOptions::default() };
    let batches: Vec<RecordBatch> = facts(options, 8_192).into_iter().map(|(_, batch)| batch).collect();
    let memory: usize = batches.iter().map(bytes_of).sum();
    let rate = |time: Duration| memory as f64 / 1e6 / time.as_secs_f64();
    println!("{} batches of {:.0} MB in memory", batches.len(), memory as f64 / 1e6);
    for _ in 0..5 {
        let mut encoder = Encoder::new().unwrap();
        let ran = Ran::begin();
        let values: Vec<Vec<u8>> = batches.iter().flat_map(|batch| encoded(&mut encoder, batch)).collect();
        let encoding = ran.time();
        let ran = Ran::begin();
        let kind = Kind::Facts(FactTable::Recipient);
        values
            .iter()
            .for_each(|value| assert!(decode::check(kind, value).is_ok() && !checksum(value).is_empty()));
        let checking = ran.time();
        let ran = Ran::begin();
        let rows: usize = values.iter().map(|value| decode(value).unwrap().num_rows()).sum();
        let decoding = ran.time();
        let bytes: usize = values.iter().map(Vec::len).sum();
        println!(
            "{rows} rows, {} values, {:.1} MB; MB/s in memory: encoded {:.0}, checked {:.0}, decoded {:.0}",
            values.len(),
            bytes as f64 / 1e6,
            rate(encoding),
            rate(checking),
            rate(decoding)
        );
    }
}
