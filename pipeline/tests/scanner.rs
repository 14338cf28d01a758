//! The scanner gives the records and items that csv-core gives.

#![allow(clippy::unwrap_used)] // a test may fail loudly

mod csv_core;

use crate::csv_core::{Compared, compare};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

/// Raw bytes of an item: mostly as real ones, some with what only a scanner at fault would mistake.
fn item() -> impl Strategy<Value = Vec<u8>> {
    let quoted = |content: Vec<u8>| {
        let doubled = content.iter().flat_map(|b| if *b == b'"' { vec![b'"'; 2] } else { vec![*b] });
        [b"\"".to_vec(), doubled.collect(), b"\"".to_vec()].concat()
    };
    // Lead bytes with and without a trail byte, trail bytes that look like letters or `|`.
    let wide = || {
        let byte = prop_oneof![Just(0x81u8), 0x40u8..=0x7e, 0x81u8..=0xfc, Just(0xff), Just(b'2')];
        prop::collection::vec(byte, 0..6)
    };
    let text = || prop::collection::vec(prop::sample::select(&b"a1 ,\"\"\r\n2'\x00*"[..]), 0..8);
    prop_oneof![
        10 => "[A-Z0-9]{0,12}".prop_map(String::into_bytes),
        6 => Just(Vec::new()),
        3 => text().prop_map(quoted),
        3 => wide().prop_map(quoted),
        3 => wide(),
        1 => (text(), wide()).prop_map(move |(text, wide)| [quoted(text), wide].concat()),
        1 => (wide(), wide()).prop_map(move |(before, behind)| [quoted(before), behind].concat()),
        1 => wide().prop_map(|wide| [b"a\"".to_vec(), wide, b"\"".to_vec()].concat()),
        1 => "[ \r]{1,2}\"?".prop_map(String::into_bytes),
    ]
}

fn record() -> impl Strategy<Value = Vec<u8>> {
    let start = prop_oneof![3 => Just(&b"2,17,"[..]), 1 => Just(&b"\"3\",\"4\""[..]), 3 => Just(&b""[..])];
    let garbage = prop::collection::vec(prop::sample::select(&b"\"\",\r\n2 a\x81"[..]), 0..20);
    let items = prop::collection::vec(item(), 0..12).prop_map(|items| items.join(&b','));
    let body = prop_oneof![99 => items, 1 => garbage];
    let end = prop_oneof![8 => Just("\r\n"), 2 => Just("\n"), 1 => Just("\r\r\n"), 1 => Just("\n\r\n\n")];
    (start, body, end).prop_map(|(start, body, end)| [start, &body, end.as_bytes()].concat())
}

fn file() -> impl Strategy<Value = Vec<u8>> {
    let end = prop_oneof![8 => Just(""), 1 => Just("\x1a"), 1 => Just("3,4"), 1 => Just("a\r")];
    (prop::collection::vec(record(), 0..8), end)
        .prop_map(|(records, end)| [records.concat(), end.as_bytes().to_vec()].concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(debug_assertions) { 1_000 } else { 100_000 }))]

    #[test]
    fn same_as_csv_core(bytes in file()) {
        compare(&bytes).map_err(TestCaseError::fail)?;
    }

    /// Few bytes, all of which matter.
    #[test]
    fn same_on_garbage(bytes in prop::collection::vec(prop::sample::select(&b"\"\"\",,\r\n\n1 2\x81\x82a"[..]), 0..40)) {
        compare(&bytes).map_err(TestCaseError::fail)?;
    }
}

/// What is not compared is little.
#[test]
fn nearly_all_files_are_compared_whole() {
    let mut runner = TestRunner::deterministic();
    let files = 2_000;
    let whole = (0..files).filter(|_| {
        let bytes = file().new_tree(&mut runner).unwrap().current();
        compare(&bytes).unwrap() == Compared::Whole
    });
    let whole = whole.count();
    assert!(whole * 10 > files * 9, "{whole} of {files}");
}

#[test]
fn known_cases() {
    for (bytes, how) in [
        (&b""[..], Compared::Whole),
        (b"\r\n\r\n", Compared::Whole),
        (b"a,\"b\"\"c\"d,\"e\r\nf\"\r\n\n\"\"\r\n,\n", Compared::Whole),
        (b"\"a\x81\"b\n", Compared::Whole), // half a character and a letter are no character
        (b"\"a\x81\"\"b\"\n", Compared::Whole),
        (b"2,2,\"a\r\n2,3,b\r\n", Compared::InPart),
        (b"2,2,\"a\r\n", Compared::InPart),
        (b"2,2,\"a\r\nb\r\n", Compared::InPart),
    ] {
        assert_eq!(compare(bytes), Ok(how), "{}", String::from_utf8_lossy(bytes));
    }
    let many = [",".repeat(3_000).as_bytes(), b"\r\n2,3\r\n"].concat();
    assert_eq!(compare(&many), Ok(Compared::Whole));
    let long = [b"2,2\n".to_vec(), vec![b'a'; (1 << 20) + 1], b"\n2,3\n".to_vec()].concat();
    assert_eq!(compare(&long), Ok(Compared::InPart));
}
