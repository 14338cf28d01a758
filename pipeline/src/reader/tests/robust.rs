//! No input makes the reader panic, and a cut file never passes.

use super::*;
use proptest::prelude::*;

/// Whatever is missing of a small file, it is an error of the file; only the last line end may be.
#[test]
fn a_file_cut_anywhere_is_rejected() {
    let records = [movement(&[("name_kana", "ｱ \"ｲ")]), correction(&[("care_level", "21")]), movement(&[])];
    let header = FileHeader::new("531", "142018", Month::from_civil(2026, 10).unwrap());
    for quoting in [Quoting::Needed, Quoting::All, Quoting::Mixed] {
        for records in [&records[..], &records[..1], &[]] {
            let whole = write_file(&header, quoting, records).unwrap();
            let line_feeds: Vec<u8> = whole.iter().copied().filter(|b| *b != b'\r').collect();
            for whole in [whole, line_feeds] {
                assert!(!read_all(&whole).0.file_rejected);
                (0..whole.len()).for_each(|cut| check_cut(&whole, cut));
            }
        }
    }
}

fn check_cut(whole: &[u8], cut: usize) {
    let (report, batches) = read_all(&whole[..cut]);
    let shown = format!("cut at {cut}: {:?}", report.findings);
    if matches!(&whole[cut..], b"\r\n" | b"\n") {
        assert_eq!((report.file_rejected, report.accepted), (false, report.records), "{shown}");
        assert!(report.findings.iter().any(|f| f.detail == "no_line_end_at_end"), "{shown}");
        return;
    }
    let cut_off = [Code::F01, Code::F02, Code::F03, Code::F04];
    assert!(report.findings.iter().any(|f| cut_off.contains(&f.code)), "{shown}");
    assert_eq!((report.file_rejected, report.accepted, batches.len()), (true, 0, batches.len()), "{shown}");
}

/// Findings as `code detail` where the file is meant; what is no value as sent must have its texts.
fn details(bytes: &[u8]) -> Vec<String> {
    let (report, _) = read_all(bytes);
    assert_eq!(report.records, report.accepted + report.rejected);
    for finding in report.findings.iter().filter(|f| matches!(f.code, Code::F01 | Code::F04 | Code::F09)) {
        let (ja, en) = COMPILED.spec().catalogue.messages(finding.code, "", "", &finding.detail);
        assert!(!ja.contains(&format!("（{}）", finding.detail)), "{ja}");
        assert!(!en.contains(&format!("({})", finding.detail)), "{en}");
    }
    let of_file = report.findings.iter().filter(|f| f.code < Code::R01);
    of_file.map(|f| format!("{} {}", f.code, f.detail)).collect()
}

#[test]
fn what_came_instead_of_a_file_is_told() {
    let whole = file(&[movement(&[])]);
    let text = String::from_utf8_lossy(&whole).into_owned();
    let wide: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert_eq!(details(b""), ["F01 empty"]);
    assert_eq!(details(b"PK\x03\x04\n1,1,0,1"), ["F01 zip_file"]);
    assert_eq!(details(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"), ["F01 old_office_file"]);
    assert_eq!(details(&wide), ["F01 utf16"]);
    assert_eq!(details(&[b"\xff\xfe", &wide[..]].concat()), ["F01 utf16"]);
    assert_eq!(details(&[b"\xef\xbb\xbf", &whole[..]].concat()), ["F01 utf8_bom"]);
    assert_eq!(details(b" \r\n "), ["F01 blank", "F09 no_line_end_at_end"][..1]);
    assert_eq!(details(b"2,2,5311\r\n"), ["F01 no_control_record:2,2,5311\\r\\n"]);
    let starts: [&[u8]; 8] = [
        b"%PDF-1",
        b"\x1f\x8b",
        b"7z\xbc\xaf\x27\x1c",
        b"xx-lh5-",
        b"<html>",
        b"{\\rtf1",
        b"\0\0\0",
        b"PK\x05\x06",
    ];
    for start in starts {
        assert!(!details(start)[0].contains("no_control_record"), "{start:?}");
    }
    assert_eq!(details(&whole[..whole.len() - 5]), ["F04 missing_end_record"]);
    assert_eq!(details(&replaced(&whole, b"3,3", b"3,x")), ["F04 bad_end_record:3,x"]);
    assert_eq!(details(&[&whole[..], b"2,4,5311\r\n"].concat())[1], "F04 end_record_not_last");
}

/// The constant of the splitter, as it stands in the texts.
const MIB: usize = 1_048_576;

#[test]
fn a_record_of_more_than_a_mebibyte_ends_the_reading() {
    for end in ["\r\n", "\n", ""] {
        let of = |length: usize, behind: &str| {
            let start = "1,1,0,1,531,,142018,,,1,202610,0\r\n2,2,5311,";
            let item = "x".repeat(length - "2,2,5311,".len());
            format!("{start}{item}{end}{behind}").into_bytes()
        };
        let behind = if end.is_empty() { "" } else { "3,3\r\n" };
        let (report, _) = read_all(&of(MIB, behind));
        assert_eq!((report.records, report.findings.iter().any(|f| f.code == Code::F01)), (1, false));
        let (report, _) = read_all(&of(MIB + 1, behind));
        let last = report.findings.last().unwrap();
        assert_eq!((last.code, last.record_no, last.detail.as_str()), (Code::F01, Some(2), "long_line:2"));
        assert_eq!((report.records, report.file_rejected, last.byte_offset), (0, true, Some(34)));
    }
}

/// One line of one byte over and over, and lines that lead the scanner on: nothing is made of them.
#[test]
fn hostile_lines_are_one_finding() {
    let long = 2 * MIB;
    for byte in [b'"', b',', b'1', b' ', b'\0', b'\x81', b'\r'] {
        let (report, _) = read_all(&vec![byte; long]);
        assert_eq!((report.findings.len(), report.findings[0].code), (1, Code::F01), "{byte}");
    }
    for line in ["\"", ",", "\"\",", "\",\"", "\"\n", "\"\n2,", "\"x\r\n3,1", "a\"", "00000000"] {
        for start in ["1,", "1,1,0,1,531,,142018,,,1,202610,0\r\n2,2,5311,", "1,\""] {
            let bytes = format!("{start}{}", line.repeat(long / line.len()));
            let (report, _) = read_all(bytes.as_bytes());
            let count = report.findings.len();
            assert!(report.file_rejected && report.accepted == 0 && count < 1_100, "{start}{line}: {count}");
        }
    }
    // A text with line ends whose quote is never closed, though a number follows each that would be one.
    let lines = "\r\n2,123456789012345678901,".repeat(long / 25);
    assert_eq!(
        details(format!("1,1,0,1,531,,142018,,,1,202610,0\r\n2,2,\"{lines}").as_bytes()),
        ["F01 long_line:2"]
    );
}

/// Beyond a bound errors are counted, not told one by one; no record is accepted for that.
#[test]
fn countless_errors_are_counted() {
    let lines = 5_000;
    let bytes =
        replaced(&file(&[movement(&[])]), b"3,3\r\n", format!("{}3,3\r\n", "\n".repeat(lines)).as_bytes());
    let (report, _) = read_all(&bytes);
    assert_eq!((report.records, report.accepted), (1 + lines as i64, 0));
    let missing: Vec<i64> = report.findings.iter().filter(|f| f.code == Code::R02).map(|f| f.count).collect();
    assert_eq!(missing.iter().sum::<i64>(), lines as i64);
    assert!(missing.len() <= 1_001 && report.findings.len() < 1_010, "{}", report.findings.len());
}

/// Megabytes of empty lines or end marks behind a file: the first million are taken off as always.
#[test]
fn a_long_empty_end() {
    for end in ["\r\n", "\x1a"] {
        let short = [file(&[]), end.repeat(1_000).into_bytes()].concat();
        assert_eq!(details(&short).len(), 1, "a warning");
        let long = [file(&[]), end.repeat(2 * MIB).into_bytes()].concat();
        let (report, _) = read_all(&long);
        assert!(report.file_rejected && report.findings.len() < 1_100);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(debug_assertions) { 300 } else { 20_000 }))]

    #[test]
    fn random_bytes(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        read_all(&bytes);
    }

    /// Bytes that matter, after a control record.
    #[test]
    fn random_records(tail in "[23\",\r\n *0'a5311\u{80}-\u{ff}]{0,300}") {
        let start = b"1,1,0,1,531,,142018,,,1,202610,0\r\n2,2,5311,20260910,1,01,142018,0000000001,";
        let tail: Vec<u8> = tail.chars().map(|c| c as u8).collect();
        read_all(&[start.as_slice(), &tail].concat());
    }

    #[test]
    fn one_byte_changed(at in 0usize..10_000, byte in any::<u8>()) {
        let mut bytes = file(&[movement(&[("name_kana", "ｱ")]), correction(&[])]);
        let at = at % bytes.len();
        bytes[at] = byte;
        let (report, _) = read_all(&bytes);
        prop_assert_eq!(report.records, report.accepted + report.rejected);
    }
}
