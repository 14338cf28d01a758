//! A file read in parts says what it says in one pass, wherever it is cut and whatever is in it.

use super::*;
use crate::reader::inside::{compare_parts, compare_walks};
use proptest::prelude::*;
use proptest::sample::{Index, select};

/// Any record as it may come: mostly good, some with an error, a warning, quotes around line ends, another number.
fn line() -> impl Strategy<Value = Vec<u8>> {
    let keys = "20260910,1,01,142018,0000000001";
    let full = move |rest: &str| format!("2,#,5311,{keys},{rest}").into_bytes();
    prop_oneof![
        12 => Just(full("")),
        6 => Just(full(&format!("\"\u{ff}ｱ\",19400101,1,20260401{}", ",".repeat(60)))),
        3 => Just(full(&format!("{}abc", ",".repeat(30)))),
        2 => Just(b"2,#,5321,20260910,20260920,2,,142018,0000000001,,,,,,,,".to_vec()),
        2 => Just(b"\"2\",\"#\",\"5711\",\"20260910\",\"1\",\"01\",\"143014\",\"142018\",\"20260401\"".to_vec()),
        2 => Just(b"2,#,5711,20260910,1,01,143014,142018,,,20260401,xx,yy".to_vec()),
        2 => Just(full("\"a\r\n2,#,b\"")),
        2 => Just(full("\"a\nb\"\"\nc\"")),
        1 => Just(full("\"open")),
        1 => Just(b"2,7,5311,20261399,1,01,142018,1".to_vec()),
        1 => Just(b"2,,5311".to_vec()),
        1 => Just(b"3,#".to_vec()),
        1 => Just(b"9,#,5311".to_vec()),
        1 => Just(b"".to_vec()),
        1 => prop::collection::vec(select(&b"\",\n\r23,*a\x81"[..]), 0..30),
    ]
}

/// A file of such records, numbered; some with an end record, some with other counts.
fn file_of_lines() -> impl Strategy<Value = Vec<u8>> {
    let line = (line(), prop_oneof![9 => Just("\r\n"), 1 => Just("\n")]);
    (prop::collection::vec(line, 0..60), 0usize..12).prop_map(|(lines, how)| {
        let count = lines.len() + usize::from(how == 1);
        let mut file = format!("1,1,0,{count},531,,142018,,,1,202610,0\r\n").into_bytes();
        for (n, (line, end)) in lines.iter().enumerate() {
            let number = if how == 2 { 2 } else { n + 2 }.to_string();
            let parts: Vec<&[u8]> = line.split(|b| *b == b'#').collect();
            file.extend(parts.join(number.as_bytes()));
            file.extend(end.as_bytes());
        }
        if how != 3 {
            file.extend(format!("3,{}\r\n", lines.len() + 2).as_bytes());
        }
        file
    })
}

fn options(batch_rows: usize) -> ReadOptions {
    ReadOptions { batch_rows, ..OPTIONS }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(debug_assertions) { 300 } else { 20_000 }))]

    #[test]
    fn as_in_one_pass(
        file in file_of_lines(),
        batch_rows in 1usize..9,
        size in prop_oneof![1usize..200, 200usize..3_000],
        rows in 1usize..9,
    ) {
        compare_parts(&file, &COMPILED, &options(batch_rows), (size, rows)).map_err(TestCaseError::fail)?;
        compare_walks(&file).map_err(TestCaseError::fail)?;
    }

    /// The same of files of which some bytes were damaged.
    #[test]
    fn as_in_one_pass_when_damaged(
        file in file_of_lines(),
        hits in prop::collection::vec((any::<Index>(), select(&b"\",\n\r3\x00\x81x"[..])), 1..8),
        size in 1usize..500,
    ) {
        let mut file = file;
        hits.iter().for_each(|(at, byte)| { let at = at.index(file.len()); file[at] = *byte; });
        compare_parts(&file, &COMPILED, &options(3), (size, 2)).map_err(TestCaseError::fail)?;
        compare_walks(&file).map_err(TestCaseError::fail)?;
    }

    #[test]
    fn walks_of_garbage(bytes in prop::collection::vec(select(&b"\"\"\"\",,,\r\n\n1 2\x81\x82a"[..]), 0..300)) {
        compare_walks(&bytes).map_err(TestCaseError::fail)?;
    }
}

/// Good files are taken part by part: what is told of here is not only that everything is read twice.
#[test]
fn parts_of_a_good_file_are_taken() {
    use crate::reader::parts::{Cut, read as read_parts};
    let bytes = file(&vec![movement(&[("name_kana", "ｱ")]); 200]);
    let mut report = Report::new(&COMPILED);
    let mut splitter = Splitter::new(&bytes);
    splitter.advance().unwrap();
    let control = envelope::read_control(&COMPILED, splitter.items(), false, &OPTIONS, &mut report);
    let facts = control.processing_month.map(|month| facts::Facts::new(&COMPILED, 7, &bytes, month));
    let mut reading = Reading::new(&COMPILED, facts, control, report);
    let mut rows = Vec::new();
    let mut sink = |_, batch: RecordBatch| {
        rows.push(batch.num_rows());
        Ok::<_, Infallible>(())
    };
    let cut = Cut { bytes: 1_000, rows: 5, ahead: 4 };
    let Ok(splitter) = read_parts(cut, &mut reading, splitter, &mut sink);
    assert!(splitter.next() == bytes.len() && reading.taken > 10, "{}", reading.taken);
    assert_eq!(rows, vec![7; 200 / 7]);
}

/// Errors beyond the bound are gathered the same way.
#[test]
fn countless_errors_in_parts() {
    let lines = "2,2,5311,20261399,1,01,142018,1\r\n".repeat(3_000);
    let bytes = replaced(&file(&[movement(&[])]), b"3,3\r\n", format!("{lines}3,3002\r\n").as_bytes());
    for size in [500, 10_000, 50_000] {
        compare_parts(&bytes, &COMPILED, &options(10), (size, 100)).unwrap();
    }
}

/// Batches that are full by their bytes are so at the same row.
#[test]
fn batches_of_many_bytes_in_parts() {
    let wide =
        format!("2,#,5311,20260910,1,01,142018,0000000001{},{}\r\n", ",".repeat(72), "x".repeat(40_000));
    let lines: String = (2..502).map(|n| wide.replace('#', &n.to_string())).collect();
    let bytes = format!("1,1,0,500,531,,142018,,,1,202610,0\r\n{lines}3,502\r\n");
    for rows in [1, 17, 10_000] {
        compare_parts(bytes.as_bytes(), &COMPILED, &options(300), (1 << 20, rows)).unwrap();
    }
}
