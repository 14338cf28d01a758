//! No input makes the reader panic, and a cut file never passes.

use super::*;
use proptest::prelude::*;

#[test]
fn a_file_cut_anywhere_is_rejected() {
    let records: Vec<OutRecord> = (0..9).map(|_| movement(&[("name_kana", "ｱ \"ｲ")])).collect();
    for quoting in [Quoting::Needed, Quoting::All, Quoting::Mixed] {
        let header = FileHeader::new("531", "142018", Month::from_civil(2026, 10).unwrap());
        let whole = write_file(&header, quoting, &records).unwrap();
        for cut in 0..whole.len() - 2 {
            let (report, _) = read_all(&whole[..cut]);
            let told = [Code::F01, Code::F03, Code::F04];
            let all_but_line_end = whole[..cut].ends_with(b"3,11") || whole[..cut].ends_with(b"\"11\"");
            assert!(
                all_but_line_end || report.findings.iter().any(|f| told.contains(&f.code)) || f05(&report),
                "cut at {cut}: {:?}",
                report.findings
            );
            assert_eq!(report.file_rejected, !all_but_line_end);
        }
    }
}

/// An end record cut inside its number shows as a break in the sequence.
fn f05(report: &FileReport) -> bool {
    report.findings.iter().any(|f| f.code == Code::F05 && f.record_no == Some(11))
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
