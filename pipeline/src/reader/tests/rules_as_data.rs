//! Rules, codes, marks, severities and exchange ids are data: what replaces them changes what the reader
//! says. And the lenient profile, which is data too.

use super::*;
use crate::writer::encode;
use tsumiage_schemas::data::FILES;
use tsumiage_schemas::sources::{Layer, Profile, Sources};

/// The embedded files with these over them.
pub(super) fn with(files: &[(&str, &str)]) -> Compiled {
    let own = |(path, text): &(&str, &str)| ((*path).to_owned(), (*text).to_owned());
    let layer = Layer { name: "mine".to_owned(), files: files.iter().map(own).collect(), ..Layer::default() };
    Compiled::new(Arc::new(Spec::parse(Sources::embedded().with(layer)).unwrap()))
}

fn embedded(path: &str) -> &'static str {
    FILES.iter().find(|(own, _)| *own == path).unwrap().1
}

/// An embedded file with one text in it replaced.
fn edited(path: &'static str, from: &str, to: &str) -> (&'static str, String) {
    let text = embedded(path).replacen(from, to, 1);
    assert_ne!(text, embedded(path), "{path} has no {from}");
    (path, text)
}

/// What is told of a file with the embedded files, and with one of them edited.
fn before_and_after(bytes: &[u8], (path, text): (&str, String)) -> (Vec<String>, Vec<String>) {
    (told(&read_all(bytes).0), told(&read_with(&with(&[(path, &text)]), bytes).0))
}

const MOVEMENT: &str = "layouts/5311-recipient-movement.csv";

#[test]
fn periods() {
    let period = [("certification_start_date", "20260401"), ("certification_end_date", "20260331")];
    let bytes = file(&[movement(&period)]);
    let (before, after) = before_and_after(
        &bytes,
        edited("rules/periods.csv", "certification_start_date,certification_end_date,C\n", ""),
    );
    assert_eq!((before, after), (vec!["R10 warning certification_end_date 2×1".to_owned()], vec![]));
    let bytes = file(&[movement(&[("qualified_date", "20260402"), ("application_date", "20260401")])]);
    let (before, after) = before_and_after(
        &bytes,
        edited("rules/periods.csv", "grade\n", "grade\nqualified_date,application_date,D\n"),
    );
    assert_eq!((before, after), (vec![], vec!["R10 warning application_date 2×1".to_owned()]));
}

#[test]
fn check_digits() {
    // 131016 is right by modulus 11 only, 131011 by modulus 10 only.
    let told_of = |rules: &str| {
        let (path, text) = edited("rules/check_digits.csv", "union_no,modulus_11 modulus_10", rules);
        let compiled = with(&[(path, &text)]);
        let findings = |no: &str| {
            let (report, _) = read_with(&compiled, &file(&[movement(&[("union_no", no)])]));
            assert!(told(&report).iter().all(|told| told == "R11 info union_no 2×1"));
            report.findings.len()
        };
        [findings("131016"), findings("131011"), findings("131015")]
    };
    assert_eq!(told_of("union_no,modulus_10 modulus_11"), [0, 0, 1]);
    assert_eq!(told_of("union_no,modulus_11"), [0, 1, 1]);
    assert_eq!(told_of("union_no,modulus_10"), [1, 0, 1]);
    assert_eq!(told_of("other_no,modulus_10"), [0, 0, 0]);
}

#[test]
fn eras() {
    let bytes = file(&[movement(&[("standard_copay_amount", "5"), ("union_no", "142034")])]);
    let (before, after) = before_and_after(
        &bytes,
        edited("rules/eras.csv", "standard_copay_amount,2005-09", "union_no,2026-08"),
    );
    assert_eq!(before, ["R12 warning standard_copay_amount 2×1"]);
    assert_eq!(after, ["R12 warning union_no 2×1"]);
    let early = file(&[movement(&[("movement_date", "20050930"), ("food_cost_cap", "0")])]);
    let text: String = embedded(MOVEMENT).replace(",2005-10,", ",2005-09,");
    let (before, after) = before_and_after(&early, (MOVEMENT, text));
    assert_eq!((before, after), (vec!["R12 warning food_cost_cap 2×1".to_owned()], vec![]));
}

#[test]
fn characters() {
    let kana = file(&[movement(&[("name_kana", "アイ"), ("nhi_certificate_no", "ｱa")])]);
    let change = edited("rules/characters.csv", "kana,report,accept,report", "kana,report,accept,accept");
    let (before, after) = before_and_after(&kana, change);
    assert_eq!(before, ["R13 warning name_kana 2×1", "R13 warning nhi_certificate_no 2×1"]);
    assert_eq!(after, before[1..]);
    let lower = edited("rules/characters.csv", "identifier,report,accept", "identifier,accept,report");
    assert_eq!(before_and_after(&kana, lower).1, before, "now for the half-width kana in it");
    let lower = edited("rules/characters.csv", "identifier,report,", "identifier,accept,");
    assert_eq!(before_and_after(&kana, lower).1, before[..1]);
}

#[test]
fn codes() {
    let bytes = file(&[movement(&[("sex", "3")]), movement(&[("sex", "1")])]);
    let change = edited("codes/sex.csv", "2,女,A", "3,女,A");
    let (before, after) = before_and_after(&bytes, change);
    assert_eq!((before, after), (vec!["R04 error sex 2×1".to_owned()], vec![]));
    let (_, after) = before_and_after(&bytes, edited("codes/sex.csv", "1,男,A\n", ""));
    assert_eq!(after, ["R04 error sex 2×1", "R04 error sex 3×1"]);
    // Zeros that stand in the code table are a value.
    let zero = file(&[movement(&[("sex", "0")])]);
    let (path, text) = edited("codes/sex.csv", "1,男,A", "0,不明,D");
    let (_, batches) = read_with(&with(&[(path, &text)]), &zero);
    assert_eq!(shown(&batches, "sex"), [Some("0".to_owned())]);
    assert_eq!(shown(&read_with(&COMPILED, &zero).1, "sex"), [None]);
}

#[test]
fn clear_marks() {
    let line = embedded(MOVEMENT).lines().find(|line| line.contains(",sex,")).unwrap();
    let stars = file(&[movement(&[("sex", "*")])]);
    let zeros = file(&[movement(&[("sex", "0")])]);
    for (mark, stars_clear, zeros_clear) in
        [("", false, false), ("*", true, false), ("0", false, true), ("0|*", true, true)]
    {
        let mut cells: Vec<&str> = line.split(',').collect();
        cells[6] = mark;
        let text = embedded(MOVEMENT).replace(line, &cells.join(","));
        let compiled = with(&[(MOVEMENT, &text)]);
        let cleared = |bytes: &[u8]| {
            let (_, batches) = read_with(&compiled, bytes);
            let mask = |batch: &RecordBatch| {
                let mask = batch.column_by_name("cleared").unwrap().as_fixed_size_binary().value(0);
                u128::from_le_bytes(mask.try_into().unwrap()) != 0
            };
            batches.first().map(|(_, batch)| mask(batch))
        };
        assert_eq!(cleared(&stars), stars_clear.then_some(true), "{mark}: else R09");
        assert_eq!(cleared(&zeros), Some(zeros_clear), "{mark}: else blank");
    }
}

#[test]
fn severities() {
    let bytes = replaced(&file(&[movement(&[("sex", "7")])]), b"1,1,0,1", b"1,1,0,9");
    let own = "code,severity\nF03,info\nR04,warning\n";
    let (report, batches) = read_with(&with(&[("findings.csv", own)]), &bytes);
    assert_eq!(told(&report), ["F03 info - 1×1", "R04 warning sex 2×1"]);
    assert_eq!((report.accepted, report.warned, batches.len()), (1, 1, 1));
    let graver = with(&[("findings.csv", "code,severity\nR10,error\nR13,info\n")]);
    let items =
        [("qualified_date", "20260402"), ("disqualified_date", "20260401"), ("nhi_certificate_no", "a")];
    let (report, batches) = read_with(&graver, &file(&[movement(&items)]));
    assert_eq!(told(&report), ["R10 error disqualified_date 2×1", "R13 info nhi_certificate_no 2×1"]);
    assert_eq!((report.rejected, batches.len()), (1, 0));
}

#[test]
fn exchange_ids() {
    let path = "layouts/5999-union-membership-movement.csv";
    let compiled = with(&[(path, embedded("layouts/5711-union-membership-movement.csv"))]);
    let keys = [("movement_date", "20260910"), ("movement_type", "1"), ("insurer_no", "143990")];
    let list =
        |compiled: &Compiled| record(compiled.spec().layout(RecordKind::UnionMembershipMovement), &keys, &[]);
    let (new, old) = (file(&[list(&compiled)]), file(&[list(&COMPILED)]));
    assert!(String::from_utf8_lossy(&new).contains(",599,,142018"), "data type");
    check(&new, &["F06 error - 1×1", "R14 error exchange_id 2×1"]);
    assert_eq!(told(&read_with(&compiled, &new).0), [""; 0]);
    assert_eq!(told(&read_with(&compiled, &old).0), ["F06 error - 1×1", "R14 error exchange_id 2×1"]);
}

static LENIENT: LazyLock<Compiled> = LazyLock::new(|| {
    Compiled::new(Arc::new(Spec::parse(Sources::embedded().with_profile(Profile::Lenient)).unwrap()))
});

/// Some real senders write 1 as record count and 2 as every record number (domain 7).
#[test]
fn record_count_one_and_record_number_two_everywhere() {
    let mut bytes = file(&[movement(&[]), correction(&[]), movement(&[])]);
    for (from, to) in
        [("1,1,0,3,", "1,1,0,1,"), ("2,3,5321", "2,2,5321"), ("2,4,5311", "2,2,5311"), ("3,5\r", "3,2\r")]
    {
        bytes = replaced(&bytes, from.as_bytes(), to.as_bytes());
    }
    let (report, batches) = read_with(&LENIENT, &bytes);
    assert_eq!(told(&report), ["F03 warning - 1×1", "F05 warning - 3×1"]);
    assert_eq!((report.accepted, report.warned, report.file_rejected), (3, 0, false));
    let numbers = batches[0].1.column_by_name("record_no").unwrap();
    assert_eq!(numbers.as_primitive::<arrow::datatypes::Int64Type>().values(), &[2, 3, 4], "their positions");
    check(&bytes, &["F03 error - 1×1", "F05 error - 3×1"]);
    let two = replaced(&file(&[movement(&[])]), b"3,3\r", b"3,2\r");
    assert_eq!(told(&read_with(&LENIENT, &two).0), ["F05 warning - 3×1"], "in the end record alone");
}

/// A file with this text as one more column of every data record and of the end record.
fn with_last_column(records: &[OutRecord], text: &str) -> Vec<u8> {
    let mut column = b",".to_vec();
    encode(text, &mut column).unwrap();
    let whole = file(records);
    let mut bytes = Vec::new();
    for (at, line) in whole.split_inclusive(|b| *b == b'\n').enumerate() {
        let content = line.strip_suffix(b"\r\n").unwrap();
        bytes.extend_from_slice(content);
        bytes.extend_from_slice(if at > 0 { &column } else { b"" });
        bytes.extend_from_slice(b"\r\n");
    }
    bytes
}

fn revisions(kind: RecordKind, full: &OutRecord) -> Vec<OutRecord> {
    let cut = |columns: &usize| {
        let mut record = full.clone();
        record.items.truncate(columns - 3);
        record
    };
    COMPILED.spec().layout(kind).revisions().iter().map(cut).collect()
}

#[test]
fn the_text_of_a_line_end_as_last_column() {
    let mut records = revisions(RecordKind::RecipientMovement, &movement(&[]));
    records.extend(revisions(RecordKind::RecipientCorrection, &correction(&[])));
    records.push(own_change(RecordKind::InsurerMovement, &[]));
    records.push(own_change(RecordKind::MunicipalLimitMovement, &[]));
    records.push(own_change(RecordKind::SpecialBenefitMovement, &[]));
    let members = RecordBuilder::new(COMPILED.spec().layout(RecordKind::UnionMembershipMovement));
    let keys = [("movement_date", "20260910"), ("movement_type", "1"), ("insurer_no", "143990")];
    let members = keys.iter().fold(members, |list, (item, text)| list.set(item, *text).unwrap());
    records.push(members.clone().build());
    records.push(members.member("142018", "20260401").unwrap().build());
    let all = records.len() as i64;
    for text in ["\"\r\n\"", "\"\n\"", "\"\r\"", "CRLF", "\"CR+LF\"", "CR/LF", "LF", "\"改行\"", "ブランク"]
    {
        let bytes = with_last_column(&records, text);
        let (report, batches) = read_with(&LENIENT, &bytes);
        assert_eq!(told(&report), [format!("F09 warning - 2×{}", all + 1)], "{text:?}");
        assert_eq!((report.accepted, report.warned), (all, 0), "{text:?}");
        assert!(shown_extra(&batches).iter().all(Option::is_none), "{text:?} is no item");
        let (strict, _) = read_with(&COMPILED, &bytes);
        assert!(strict.file_rejected, "{text:?}");
        assert!(
            told(&strict).contains(&format!("F04 error - {}×1", all + 2)),
            "{text:?} {:?}",
            told(&strict)
        );
    }
    let other = with_last_column(&records, "CRCR");
    assert!(read_with(&LENIENT, &other).0.file_rejected, "not every text");
}

fn shown_extra(batches: &[(FactTable, RecordBatch)]) -> Vec<Option<Vec<u8>>> {
    let extra = |(_, batch): &(FactTable, RecordBatch)| {
        let column = batch.column_by_name("extra_items").unwrap().as_binary::<i32>();
        column.iter().map(|bytes| bytes.map(<[u8]>::to_vec)).collect::<Vec<_>>()
    };
    batches.iter().flat_map(extra).collect()
}

/// Without the profile the text of a line end is an item like any other: behind the newest revision it is
/// kept, in the place of an item it is judged as one.
#[test]
fn the_text_of_a_line_end_is_an_item_to_the_strict() {
    let last = |columns: usize, text: &str| {
        let mut record = movement(&[]);
        record.items.truncate(columns - 3);
        record.items.push(text.to_owned());
        file(&[record])
    };
    let (report, batches) = read_with(&COMPILED, &last(79, "CRLF"));
    assert_eq!(told(&report), ["R01 info - 2×1"]);
    assert_eq!(shown_extra(&batches), [Some(b"CRLF".to_vec())]);
    let strict = told(&read_with(&COMPILED, &last(47, "CRLF")).0);
    assert!(
        strict.len() == 2 && strict[0] == "R01 warning - 2×1" && strict[1].contains("error"),
        "{strict:?}"
    );
    for columns in [47, 79] {
        let (report, batches) = read_with(&LENIENT, &last(columns, "CRLF"));
        assert_eq!(
            (told(&report), shown_extra(&batches)),
            (vec!["F09 warning - 2×1".to_owned()], vec![None])
        );
    }
}
