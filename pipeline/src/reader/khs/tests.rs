#![allow(clippy::unwrap_used)] // a test may fail loudly

use super::*;
use crate::reader::{control_of, read};
use arrow::array::AsArray;
use arrow::datatypes::Date32Type;
use std::convert::Infallible;
use tsumiage_schemas::{Day, Spec};

fn day(text: &str) -> Day {
    text.parse().unwrap()
}

fn compiled() -> Compiled {
    Compiled::new(Arc::new(Spec::embedded().unwrap()))
}

fn options() -> ReadOptions {
    ReadOptions { batch_rows: 2, taken_in_on: day("2026-11-30"), closed_through: None }
}

fn file(form: Form, asked: Asked, body: &str) -> Vec<u8> {
    let mut bytes = Head::new(form, asked, day("2026-11-30"), 1).line();
    bytes.extend_from_slice(body.as_bytes());
    bytes
}

fn asked(insurer_no: &str) -> Asked {
    Asked { insurer_no: Some(insurer_no.to_owned()), ..Asked::default() }
}

/// The report, and the rows accepted as text.
fn outcome(bytes: &[u8]) -> (FileReport, Vec<String>) {
    let compiled = compiled();
    let mut rows = Vec::new();
    let report = read::<Infallible>(bytes, &compiled, &options(), &mut |table, batch| {
        assert_eq!((table, batch.schema()), (FactTable::Khs, Arc::clone(&compiled.schemas[table as usize])));
        let text =
            |name: &str, row| batch.column_by_name(name).unwrap().as_string::<i32>().value(row).to_owned();
        let date = |name: &str, row| {
            let days = batch.column_by_name(name).unwrap().as_primitive::<Date32Type>();
            days.iter().nth(row).flatten().map_or("-".to_owned(), |at| Day(at).to_string())
        };
        for row in 0..batch.num_rows() {
            let texts = ["insurer_no", "insured_no", "status"].map(|name| text(name, row)).join(" ");
            rows.push(format!("{texts} {} {}", date("end_date", row), date("end_cancel_date", row)));
        }
        Ok(())
    })
    .unwrap();
    assert_eq!(control_of(bytes, &compiled, &options()).sender_no, report.control.sender_no);
    (report, rows)
}

/// Codes with their items.
fn codes(report: &FileReport) -> Vec<String> {
    let code = |finding: &Finding| format!("{} {}", finding.code, finding.item.as_deref().unwrap_or("-"));
    report.findings.iter().map(code).collect()
}

const PERSON: &str = r#"{"care_insure_provider_number":"142018","care_insurer_number":"0000000010","care_insurance_status":"1"}"#;

fn answer(record_num: &str, body: &str) -> String {
    format!(
        r#"{{"care_insure_provider_number":"142018","result":"成功","file_if_id":"IFI601040","record_num":{record_num},"body":[{body}]}}"#
    )
}

#[test]
fn an_answer_becomes_facts() {
    let second = r#"{"care_insure_provider_number":"142018","care_insurer_number":"0000000020","care_insurance_status":"2",
        "care_insurance_end_date":"2026-04-01","care_insurance_end_cancel_date":"2026-05-01","more":[1]}"#;
    let (report, rows) =
        outcome(&file(Form::Json, asked("142018"), &answer("2", &format!("{PERSON},{second}"))));
    assert_eq!(rows, ["142018 0000000010 1 - -", "142018 0000000020 2 2026-04-01 2026-05-01"]);
    assert!(report.findings.is_empty(), "{:?}", report.findings);
    assert_eq!((report.records, report.accepted, report.rejected, report.warned), (2, 2, 0, 0));
    assert_eq!(report.control.data_type.as_deref(), Some("KHS"));
    assert_eq!(report.control.processing_month, Some("2026-11".parse().unwrap()));
}

#[test]
fn a_file_becomes_facts_with_and_without_names() {
    let lines = "142018,0000000010,1,,\r\n142018,\"0000000020\",2,2026-04-01\r\n";
    let header = "care_insure_provider_number,care_insurer_number,care_insurance_status,care_insurance_end_date,care_insurance_end_cancel_date\r\n";
    let other = "\u{feff}care_insurance_status,care_insurer_number,care_insure_provider_number\n1,0000000010,142018\n";
    for (body, rows_wanted) in [
        (format!("{header}{lines}"), 2),
        (lines.to_owned(), 2),
        (header.to_owned(), 0),
        (other.to_owned(), 1),
    ] {
        let (report, rows) = outcome(&file(Form::Csv, Asked::default(), &body));
        assert_eq!((rows.len(), codes(&report).len()), (rows_wanted, 0), "{body}: {:?}", report.findings);
        assert!(rows.iter().take(1).all(|row| row == "142018 0000000010 1 - -"), "{rows:?}");
    }
    assert_eq!(codes(&outcome(&file(Form::Csv, Asked::default(), "")).0), ["F01 -"]);
    let (report, _) = outcome(&file(Form::Csv, Asked::default(), "care_insurance_status\n1\n"));
    assert_eq!(codes(&report), ["F02 care_insure_provider_number"]);
    // Nobody is lost untold.
    let cr = format!("{header}{lines}").replace("\r\n", "\r");
    assert_eq!(codes(&outcome(&file(Form::Csv, Asked::default(), &cr)).0), ["F01 -"]);
    let gaps = format!("\r\n{}\r\n{lines}", other.trim_start_matches('\u{feff}'));
    assert_eq!(outcome(&file(Form::Csv, Asked::default(), &gaps)).0.records, 3, "empty lines are none");
    for (body, wanted) in [
        ("\u{feff}", "F01 -"),
        ("\u{feff}\r\n", "F01 -"),
        ("142018,0000000010,1,,,x\r\n", "R01 -"),
        ("142018,0000000010,1,,,\"x\r\n142018,0000000020,1,,\r\n", "R01 -, R06 -"),
        (
            "care_insure_provider_number,care_insurer_number,care_insurance_status,care_insurance_end_day\n",
            "F09 -",
        ),
        (
            "care_insure_provider_number,care_insurer_number,care_insurance_status,care_insurance_status\n",
            "F02 care_insurance_status",
        ),
    ] {
        let report = outcome(&file(Form::Csv, Asked::default(), body)).0;
        assert_eq!(codes(&report).join(", "), wanted, "{body}: {:?}", report.findings);
    }
    // More records than a batch has, faults between them.
    let (report, rows) =
        outcome(&file(Form::Csv, Asked::default(), &format!("{lines}{lines}x,y,z\r\n{lines}")));
    assert_eq!((rows.len(), report.records, report.rejected), (6, 7, 1));
    assert_eq!(report.findings[0].record_no, Some(6), "the first line is record 1");
}

#[test]
fn every_field_is_checked() {
    let person = |changes: &[(&str, &str)]| {
        let mut fields = [
            ("care_insure_provider_number", "\"142018\""),
            ("care_insurer_number", "\"0000000010\""),
            ("care_insurance_status", "\"1\""),
            ("care_insurance_end_date", "\"2026-04-01\""),
            ("care_insurance_end_cancel_date", "\"2026-05-01\""),
        ];
        for (name, value) in changes {
            fields.iter_mut().filter(|(known, _)| known == name).for_each(|field| field.1 = value);
        }
        let fields = fields.iter().filter(|(_, value)| !value.is_empty());
        let fields: Vec<String> = fields.map(|(name, value)| format!("\"{name}\":{value}")).collect();
        format!("{{{}}}", fields.join(","))
    };
    for (name, value, wanted) in [
        ("care_insure_provider_number", "", "R02 insurer_no"),
        ("care_insure_provider_number", "null", "R02 insurer_no"),
        ("care_insure_provider_number", "\"1420180\"", "R02 insurer_no"),
        ("care_insure_provider_number", "[142018]", "R02 insurer_no"),
        ("care_insurer_number", "\"000000001\"", "R02 insured_no"),
        ("care_insurer_number", "10", "F09 -, R02 insured_no"),
        ("care_insurance_status", "", "R02 status"),
        ("care_insurance_status", "\"12\"", "R05 status"),
        ("care_insurance_status", "\"x\"", "R08 status"),
        ("care_insurance_status", "true", "R02 status"),
        ("care_insurance_end_date", "\"20260401\"", "R03 end_date"),
        ("care_insurance_end_date", "\"2026-02-30\"", "R03 end_date"),
        ("care_insurance_end_cancel_date", "{}", "R03 end_cancel_date"),
        ("care_insurance_status", "\"1\",\"care_insurance_status\":\"2\"", "R02 status"),
        ("care_insurance_end_date", "\"2026-05-02\"", "R10 end_cancel_date"),
        ("care_insurance_end_date", "", ""),
        ("care_insurance_end_date", "null", ""),
        ("care_insurance_end_cancel_date", "\"\"", ""),
        ("care_insurance_status", "1", "F09 -"),
    ] {
        let body = answer("1", &person(&[(name, value)]));
        let (report, rows) = outcome(&file(Form::Json, asked("142018"), &body));
        assert_eq!(codes(&report).join(", "), wanted, "{name} {value}");
        let refused = wanted.contains("R0");
        assert_eq!((rows.len(), report.accepted), if refused { (0, 0) } else { (1, 1) }, "{name} {value}");
    }
    let broken = answer("3", &format!("7,null,{PERSON}"));
    let (report, rows) = outcome(&file(Form::Json, asked("142018"), &broken));
    assert_eq!(
        (rows.len(), report.rejected, report.findings.len()),
        (1, 2, 6),
        "every key of both is missing"
    );
}

#[test]
fn the_answer_around_the_records_is_checked() {
    let good = answer("1", PERSON);
    for (from, to, wanted, accepted) in [
        ("", "", "", 1),
        ("\"record_num\":1", "\"record_num\":\"1\"", "F09 -", 1),
        ("\"record_num\":1", "\"record_num\":\"0000001\"", "F09 -", 1),
        ("\"record_num\":1", "\"record_num\":2", "F03 -", 0),
        ("\"record_num\":1", "\"record_num\":-1", "F02 record_num", 0),
        ("\"record_num\":1", "\"record_num\":null", "F02 record_num", 0),
        ("\"record_num\":1,", "", "F02 record_num", 0),
        ("\"record_num\":1", "\"record_num\":10000000", "F02 record_num", 0),
        ("\"record_num\":1", "\"body\":[],\"record_num\":1", "F02 body, F03 -", 0),
        ("\"IFI601040\"", "\"IFI6010402\"", "F09 -", 1),
        ("\"file_if_id\":\"IFI601040\",", "", "F09 -", 1),
        ("\"成功\"", "\"失敗\"", "F01 -", 0),
        ("\"成功\"", "\"OK\"", "F02 result", 0),
        ("\"成功\"", "1", "F02 result", 0),
        (
            "{\"care_insure_provider_number\":\"142018\",\"result\"",
            "{\"result\"",
            "F02 care_insure_provider_number",
            0,
        ),
        (
            "{\"care_insure_provider_number\":\"142018\",\"result\"",
            "{\"care_insure_provider_number\":\"142019\",\"result\"",
            "F02 care_insure_provider_number",
            0,
        ),
        ("\"body\":[", "\"body\":null,\"x\":[", "F02 body", 0),
        ("\"body\":[", "\"body\":{},\"x\":[", "F02 body", 0),
        ("\"body\":[", "\"boddy\":[", "F02 body", 0),
        ("]}", "", "F01 -", 0),
    ] {
        let body = good.replacen(from, to, 1);
        let (report, _) = outcome(&file(Form::Json, asked("142018"), &body));
        assert_eq!(
            (codes(&report).join(", ").as_str(), report.accepted),
            (wanted, accepted),
            "{from} -> {to}"
        );
        assert_eq!(report.file_rejected, accepted == 0, "{from} -> {to}");
    }
    let failure = r#"{"care_insure_provider_number":"142018","result":"失敗","result_detail":"対象が存在しません。","file_if_id":"IFI601040","record_num":0,"body":[]}"#;
    let (report, _) = outcome(&file(Form::Json, asked("142018"), failure));
    assert_eq!(report.findings[0].detail, "khs_failure:対象が存在しません。");
}

#[test]
fn who_was_not_asked_for_is_told() {
    let members = |members: &[&str]| Some(members.iter().map(|no| (*no).to_owned()).collect());
    let body = answer("1", PERSON).replacen("142018", "141003", 1);
    let read = |members, insured: Option<&str>| {
        let asked = Asked { members, insured_no: insured.map(str::to_owned), ..asked("141003") };
        let (report, rows) = outcome(&file(Form::Json, asked, &body));
        (codes(&report).join(", "), rows.len())
    };
    assert_eq!(read(None, None), (String::new(), 1), "members that are not known are not missed");
    assert_eq!(read(members(&["142018"]), None), (String::new(), 1));
    assert_eq!(read(members(&["142034"]), None), ("R15 insurer_no".to_owned(), 1));
    assert_eq!(read(None, Some("0000000010")), (String::new(), 1));
    assert_eq!(read(None, Some("0000000020")), ("R15 insured_no".to_owned(), 1));
    assert_eq!(read(members(&[]), Some("0000000020")), ("R15 insured_no, R15 insurer_no".to_owned(), 1));
}

#[test]
fn nothing_closed_changes() {
    let bytes = file(Form::Csv, Asked::default(), "142018,0000000010,1,,\n");
    let month = |closed: Option<&str>| {
        let closed_through = closed.map(|month| month.parse().unwrap());
        let control = control_of(&bytes, &compiled(), &ReadOptions { closed_through, ..options() });
        control.processing_month.unwrap().to_string()
    };
    assert_eq!(
        [month(None), month(Some("2026-10")), month(Some("2026-11"))],
        ["2026-11", "2026-11", "2026-12"]
    );
}

#[test]
fn what_is_broken_is_told() {
    for bytes in [
        &b"{\"khs\":"[..],
        b"{\"khs\":1}\n",
        b"{\"khs\":2,\"form\":\"csv\",\"on\":\"2026-11-30\",\"number\":1}\n142018,0000000010,1,,\n",
        b"{\"khs\":1,\"form\":\"csv\",\"on\":\"2026-11-31\",\"number\":1}\n",
        b"{\"khs\":1,\"form\":\"csv\",\"insurer_no\":\"14201\",\"on\":\"2026-11-30\",\"number\":1}\n",
        b"{\"khs\":1,\"form\":\"json\",\"on\":\"2026-11-30\",\"number\":1}\n\xff",
        b"{\"khs\":1,\"form\":\"json\",\"on\":\"2026-11-30\",\"number\":1}\n",
    ] {
        let (report, rows) = outcome(bytes);
        assert_eq!((codes(&report), rows.len()), (vec!["F01 -".to_owned()], 0), "{}", bytes.escape_ascii());
    }
    let deep = "[".repeat(100_000);
    assert_eq!(codes(&outcome(&file(Form::Json, asked("142018"), &deep)).0), ["F01 -"]);
}

#[test]
fn heads_survive() {
    let head = Head::new(
        Form::Json,
        Asked { members: Some(vec!["142018".to_owned()]), ..asked("141003") },
        day("2026-11-30"),
        7,
    );
    let line = head.line();
    assert!(is_khs(&line));
    let (parsed, rest) = Head::parse(&line).unwrap();
    assert_eq!((&parsed, rest.len()), (&head, 0));
}
