//! Lists of members (5711): pairs to the end of the row, and what is no pair. Whatever a list says that
//! is not understood, it is rejected; it is never read as a shorter one.

use super::*;

fn list(pairs: &[(&str, &str)]) -> OutRecord {
    let keys = [
        ("movement_date", "20260910"),
        ("movement_type", "2"),
        ("movement_reason", "99"),
        ("insurer_no", "143990"),
    ];
    let mut builder = RecordBuilder::new(COMPILED.spec().layout(RecordKind::UnionMembershipMovement));
    for (item, text) in keys {
        builder = builder.set(item, text).unwrap();
    }
    for (no, from) in pairs {
        builder = builder.member(*no, *from).unwrap();
    }
    builder.build()
}

fn read_lists(bytes: &[u8]) -> (Vec<String>, Vec<Vec<(String, String)>>) {
    let (report, batches) = read_with(&COMPILED, bytes);
    assert!(batches.iter().all(|(table, _)| *table == FactTable::Membership));
    let lists: Vec<_> = batches.iter().flat_map(|(_, batch)| members(batch)).collect();
    assert_eq!(lists.len() as i64, report.accepted);
    (told(&report), lists)
}

/// Different members, the days ascending from 2000-04-01; their numbers break no rule of check digits.
fn pairs(count: usize) -> Vec<(String, String)> {
    let valid = |no: &u32| tsumiage_schemas::rules::CheckDigits::BOTH.hold(no.to_string().as_bytes());
    let numbers = (100_000..999_999).filter(valid);
    numbers.take(count).zip(11_048..).map(|(no, day)| (no.to_string(), Day(day).digits())).collect()
}

fn borrowed(pairs: &[(String, String)]) -> Vec<(&str, &str)> {
    pairs.iter().map(|(no, from)| (no.as_str(), from.as_str())).collect()
}

/// Most pairs a record of `MOST_ITEMS` columns can hold.
const MOST_PAIRS: usize = (MOST_ITEMS - 7) / 2;

#[test]
fn lists_of_any_length() {
    let lists: Vec<_> = [0, 1, 33, 500, MOST_PAIRS].map(pairs).to_vec();
    let records: Vec<OutRecord> = lists.iter().map(|pairs| list(&borrowed(pairs))).collect();
    for quoting in [Quoting::Needed, Quoting::All, Quoting::Mixed] {
        assert_eq!(read_lists(&file_of(&records, quoting)), (vec![], lists.clone()));
    }
}

/// A list of more columns than are told apart would lose its end: it is rejected, however it is quoted,
/// and blank members behind do not make it another.
#[test]
fn a_list_that_is_too_long_is_rejected_and_never_cut() {
    for count in [MOST_PAIRS + 1, MOST_PAIRS + 2, 600, 5_000] {
        let mut long = pairs(count);
        for blank_from in [count, MOST_PAIRS, MOST_PAIRS + 1] {
            long[blank_from.min(count)..].fill((String::new(), String::new()));
            for quoting in [Quoting::Needed, Quoting::All, Quoting::Mixed] {
                let (told, lists) = read_lists(&file_of(&[list(&borrowed(&long))], quoting));
                assert!(lists.is_empty(), "{count} {blank_from} {quoting:?}");
                assert!(told.contains(&"R02 error member_insurer_no 2×1".to_owned()), "{told:?}");
            }
        }
    }
}

#[test]
fn blank_pairs_say_nothing() {
    let (first, last) = (("142018", "20260401"), ("142034", "20260501"));
    for blank in [("", ""), (" ", "  "), ("000000", "00000000"), ("", "00000000"), ("0", "")] {
        for pairs in [&[first, blank, last][..], &[blank, blank, first, last], &[first, last, blank]] {
            for quoting in [Quoting::Needed, Quoting::All, Quoting::Mixed] {
                let (told, lists) = read_lists(&file_of(&[list(pairs)], quoting));
                assert_eq!(told, [""; 0], "{pairs:?}");
                let wanted = [first, last].map(|(no, from)| (no.to_owned(), from.to_owned()));
                assert_eq!(lists, [wanted], "{pairs:?}");
            }
        }
    }
    let (told, lists) = read_lists(&file(&[list(&[("", ""), (" ", "00000000")])]));
    assert_eq!((told, lists), (vec![], vec![vec![]]));
}

#[test]
fn eight_digits_for_six() {
    let (told, lists) = read_lists(&file(&[list(&[("00142018", "20260401")])]));
    assert_eq!((told, lists[0][0].0.as_str()), (vec![], "142018"));
}

#[test]
fn what_is_no_pair() {
    const NO: &str = "R02 error member_insurer_no 2×1";
    const FROM: &str = "R02 error member_valid_from_date 2×1";
    let good = ("142018", "20260401");
    for (pair, expected) in [
        (("142034", ""), &[FROM][..]),
        (("142034", "  "), &[FROM]),
        (("142034", "00000000"), &[FROM]),
        (("", "20260401"), &[NO]),
        (("000000", "20260401"), &[NO]),
        (("14203", "20260401"), &[NO]),
        (("1420340", "20260401"), &[NO]),
        (("11142034", "20260401"), &[NO]),
        (("14203A", "20260401"), &[NO]),
        (("１", "20260401"), &[NO]),
        (("*", "20260401"), &["R09 error member_insurer_no 2×1"]),
        (("142034", "*"), &["R09 error member_valid_from_date 2×1"]),
        (("142034", "20260431"), &["R03 error member_valid_from_date 2×1"]),
        (("142034", "2026040"), &["R03 error member_valid_from_date 2×1"]),
        (("142034", "202604010"), &["R05 error member_valid_from_date 2×1"]),
        (("1420'4", "20260401"), &["R06 error member_insurer_no 2×1"]),
        (("14203", "x"), &[NO, "R03 error member_valid_from_date 2×1"]),
        (("14203", ""), &[NO, FROM][..1]),
        (("142035", "20260401"), &["R11 info member_insurer_no 2×1"]),
    ] {
        for pairs in [&[good, pair, good][..], &[good, good, pair], &[pair]] {
            let (told, lists) = read_lists(&file(&[list(pairs)]));
            assert_eq!(told, expected, "{pairs:?}");
            let accepted = expected.iter().all(|told| !told.contains("error"));
            assert_eq!(lists.len(), usize::from(accepted), "{pairs:?}");
        }
    }
}

/// An item that repeats is told of once, with a count; the first member that is wrong is shown.
#[test]
fn errors_of_a_list_are_counted() {
    let pairs = [("1", "20260401"), ("142018", "20260401"), ("2", "20260401"), ("", "20260401")];
    let (report, _) = read_with(&COMPILED, &file(&[list(&pairs), list(&pairs[..2])]));
    assert_eq!(told(&report), ["R02 error member_insurer_no 2×3", "R02 error member_insurer_no 3×1"]);
    assert_eq!(report.findings[0].detail, "1, 2", "a blank half has no value to tell");
    let odd: Vec<(String, String)> = (0..9).map(|_| ("142018".to_owned(), "\0".repeat(200))).collect();
    let (report, _) = read_with(&COMPILED, &file(&[list(&borrowed(&odd))]));
    assert_eq!(told(&report), ["R06 error member_valid_from_date 2×9"]);
    assert!(report.findings[0].detail.len() < 500, "a message stays one");
    let halves = [("142018", ""), ("142034", "x"), ("", "20260401"), ("142034", "")];
    check(
        &file(&[list(&halves)]),
        &[
            "R02 error member_insurer_no 2×1",
            "R02 error member_valid_from_date 2×2",
            "R03 error member_valid_from_date 2×1",
        ],
    );
    // Infos and warnings once a file, also behind the first pair.
    let odd = list(&[("142018", "20260401"), ("142035", "20260401"), ("142036", "20260401")]);
    check(&file(&[list(&[]), odd.clone(), odd]), &["R11 info member_insurer_no 3×4"]);
}

#[test]
fn columns_of_a_list() {
    let whole = file(&[list(&[("142018", "20260401")])]);
    let with = |from: &str, to: &str| replaced(&whole, from.as_bytes(), to.as_bytes());
    let end = ",142018,20260401\r\n3";
    check(&with(end, ",142018,20260401,\r\n3"), &["F09 warning - 2×1"]);
    check(&with(end, ",142018,20260401,\"\"\r\n3"), &["F09 warning - 2×1"]);
    check(&with(end, ",142018,20260401,,\r\n3"), &[]);
    check(&with(end, ",142018,20260401,,,\r\n3"), &["F09 warning - 2×1"]);
    check(&with(end, ",142018\r\n3"), &["R02 error member_valid_from_date 2×1"]);
    check(&with(end, ",142018,20260401,142034\r\n3"), &["R02 error member_valid_from_date 2×1"]);
    check(&with(end, ",\r\n3"), &["F09 warning - 2×1"]);
    check(&with(end, "\r\n3"), &[]);
    check(&with(",143990,142018,20260401\r\n3", "\r\n3"), &["R01 warning - 2×1", "R02 error insurer_no 2×1"]);
    check(&with(end, ",142018,\"20260401\r\n3"), &["R06 error member_valid_from_date 2×1"]);
}

/// Batches come of each table by itself; counts are those of the file.
#[test]
fn mixed_exchange_ids() {
    let insurer = own_change(RecordKind::InsurerMovement, &[("insurer_name", "市"), ("insurer_type", "3")]);
    let limit = own_change(RecordKind::MunicipalLimitMovement, &[("category_limit_units", "16765")]);
    let benefit = own_change(RecordKind::SpecialBenefitMovement, &[("service_code", "A10001")]);
    let bad = list(&[("142018", "")]);
    let members = list(&[("142018", "20260401")]);
    let records = [
        movement(&[]),
        insurer.clone(),
        members.clone(),
        bad,
        movement(&[("sex", "9")]),
        limit,
        correction(&[]),
        insurer.clone(),
        benefit,
        movement(&[]),
        insurer.clone(),
        insurer,
        movement(&[]),
        members,
    ];
    let bytes = file(&records);
    let (report, batches) = read_with(&COMPILED, &bytes);
    assert_eq!(told(&report), ["R02 error member_valid_from_date 5×1", "R04 error sex 6×1"]);
    assert_eq!((report.records, report.accepted, report.rejected), (14, 12, 2));
    let sizes: Vec<_> = batches.iter().map(|(table, batch)| (*table, batch.num_rows())).collect();
    use FactTable::{Insurer, Membership, MunicipalLimit, Recipient, SpecialBenefit};
    assert_eq!(
        sizes,
        [
            (Recipient, 3),
            (Insurer, 3),
            (Recipient, 1),
            (Insurer, 1),
            (MunicipalLimit, 1),
            (SpecialBenefit, 1),
            (Membership, 2)
        ]
    );
    assert_eq!(report.first_movement, Day::from_civil(2026, 9, 10));
    let own_only = file(&records[1..3]);
    assert_eq!(read_with(&COMPILED, &own_only).0.first_movement, None, "of recipients");
}
