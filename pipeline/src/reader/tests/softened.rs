//! Severities are data, but none makes a fact of what steers the stacking wrongly, lets a record go without
//! an error that tells why, or opens a closed month.

use super::rules_as_data::with;
use super::*;

/// What is told, and how many records are accepted, where these codes only warn.
fn softened(codes: &[&str], bytes: &[u8]) -> (Vec<String>, i64) {
    let lines: String = codes.iter().map(|code| format!("{code},warning\n")).collect();
    let compiled = with(&[("findings.csv", &format!("code,severity\n{lines}"))]);
    let (report, batches) = read_with(&compiled, bytes);
    let rows: usize = batches.iter().map(|(_, batch)| batch.num_rows()).sum();
    assert!(report.file_rejected || rows as i64 == report.accepted, "accepted records are facts");
    assert_eq!(report.records, report.accepted + report.rejected);
    (told(&report), report.accepted)
}

#[test]
fn a_file_without_a_month_is_rejected() {
    let bytes = replaced(&file(&[movement(&[])]), b"202610", b"202613");
    let (told, accepted) = softened(&["F02"], &bytes);
    assert_eq!((told.last().unwrap().as_str(), accepted), ("F02 error processing_month 1×1", 0));
}

#[test]
fn a_closed_month_stays_closed() {
    let lenient = with(&[("findings.csv", "code,severity\nF08,warning\n")]);
    let options = ReadOptions { closed_through: Month::from_civil(2026, 10), ..OPTIONS };
    let bytes = file(&[movement(&[])]);
    let Ok(report) = read(&bytes, &lenient, &options, &mut |_, _| Ok::<_, Infallible>(()));
    assert!(report.file_rejected);
}

#[test]
fn a_change_of_no_known_type_is_no_fact() {
    for wrong in ["13", "31", "9", "'", "x", "1 "] {
        let bytes = file(&[movement(&[("movement_type", wrong)]), correction(&[("correction_type", wrong)])]);
        let (told, accepted) = softened(&["R02", "R04", "R05", "R06", "R13"], &bytes);
        assert_eq!(accepted, 0, "{wrong}: {told:?}");
        for (record, item) in [(2, "movement_type"), (3, "correction_type")] {
            assert!(told.contains(&format!("R04 error {item} {record}×1")), "{wrong}: {told:?}");
        }
    }
}

#[test]
fn a_rejected_record_always_has_an_error() {
    let unknown = OutRecord { exchange_id: "9999".into(), items: vec!["x".into()] };
    let short = OutRecord { exchange_id: "5311".into(), items: vec!["20260910".into(), "1".into()] };
    let day = movement(&[("movement_date", "20269999")]);
    let bytes = file(&[movement(&[]), unknown, short, day, movement(&[("insured_no", "12")])]);
    let (told, accepted) = softened(&["R01", "R02", "R03", "R05", "R14"], &bytes);
    assert_eq!(accepted, 1);
    for record in 3..=6 {
        let error = |line: &&String| line.contains(" error ") && line.contains(&format!(" {record}×"));
        assert!(told.iter().any(|line| error(&line)), "record {record}: {told:?}");
    }
}

#[test]
fn the_end_record_follows_its_layout() {
    let end =
        tsumiage_schemas::data::FILES.iter().find(|(path, _)| path.ends_with("envelope-end.csv")).unwrap().1;
    let compiled =
        with(&[("layouts/envelope-end.csv", &format!("{end}3,remark,備考,text,10,2000-04,,,D,\n"))]);
    let bytes = replaced(&file(&[movement(&[])]), b"3,3\r\n", b"3,3,x\r\n");
    assert!(read_all(&bytes).0.file_rejected);
    assert!(!read_with(&compiled, &bytes).0.file_rejected);
}

#[test]
fn a_word_for_a_line_end_is_no_item_and_an_item_is_no_word() {
    use tsumiage_schemas::sources::{Profile, Sources};
    let lenient = Sources::embedded().with_profile(Profile::Lenient);
    let lenient = Compiled::new(Arc::new(Spec::parse(lenient).unwrap()));
    // A name that is a word for a line end, last of a short row; and a list with such a word and an empty column.
    let mut benefit = own_change(RecordKind::SpecialBenefitMovement, &[("service_name", "LF")]);
    benefit.items.truncate(6);
    let mut list = own_change(RecordKind::UnionMembershipMovement, &[]);
    list.items.extend(["142018", "20260401", "CRLF", ""].map(str::to_owned));
    let (report, batches) = read_with(&lenient, &file(&[benefit, list]));
    assert_eq!(report.accepted, 2, "{:?}", report.findings);
    let named = batches.iter().find(|(table, _)| *table == FactTable::SpecialBenefit).unwrap();
    assert_eq!(shown(std::slice::from_ref(named), "service_name"), [Some("LF".to_owned())]);
    let lists = batches.iter().find(|(table, _)| *table == FactTable::Membership).unwrap();
    assert_eq!(members(&lists.1), [[("142018".to_owned(), "20260401".to_owned())]]);
}
