//! What is withdrawn is shown wherever somebody may look for it: in the timeline, the files, the findings and the
//! lists that are sent back.

use crate::error_lists::{cells, decoded};
use crate::place::Place;
use crate::support::tsumiage;
use serde_json::{Value, json};
use std::fs;
use std::path::Path;

/// A person's timeline as JSON.
fn timeline(place: &Place, options: &[&str]) -> Value {
    let args = [&["timeline", "--insured", "0000000030", "--format", "json"], options].concat();
    let (code, out, err) = place.run(&args);
    assert_eq!(code, 0, "{err}");
    serde_json::from_str(&out).unwrap()
}

fn standings(timeline: &Value) -> Vec<&str> {
    let records = timeline[0]["records"].as_array().unwrap();
    records.iter().map(|record| record["standing"].as_str().unwrap()).collect()
}

#[test]
fn a_withdrawn_record_stands_in_the_timeline_and_gives_nothing() {
    let place = Place::new();
    place.two_months();
    // A change of the withdrawn registration, and one that nothing is withdrawn of.
    let july =
        place.file("july.csv", "2026-07", &[("30", "20260705", "2", "23"), ("20", "20260705", "2", "23")]);
    assert_eq!(place.run(&["nightly", "--on", "2026-07-20", &july]).0, 0);
    let june = place.file_id("june.csv");
    let reason = "二重送付, \"取消\"";
    place.run(&["withdraw", &format!("{june}:3"), "--reason", reason, "--on", "2026-08-02"]);
    assert_eq!(place.run(&["resolve"]).0, 0);

    let now = timeline(&place, &[]);
    assert_eq!(standings(&now), ["withdrawn", "refused"], "without it the change has nothing to change");
    let record = &now[0]["records"][0];
    let withdrawn =
        json!({"on": "2026-08-02", "processing_month": "2026-08", "reason": reason, "whole_file": false});
    assert_eq!(record["withdrawn"], withdrawn);
    assert_eq!(record["sent"]["care_level"]["value"], "22", "what it said");
    assert_eq!((&record["items"], &record["movement_date"]), (&json!({}), &"2026-06-11".into()));
    assert_eq!((&record["holder_no"], &record["source"]["record_no"]), (&"141003".into(), &3.into()));
    assert!(now[0]["records"][1]["withdrawn"].is_null());
    // As of months before it is what it was.
    let before = timeline(&place, &["--as-of", "2026-07"]);
    assert_eq!(standings(&before), ["live", "live"]);
    assert!(before[0]["records"][0]["withdrawn"].is_null());

    let table = place.run(&["timeline", "--insured", "0000000030"]).1;
    let line = "× 2026-06-11 新規 01";
    assert!(
        table.lines().any(|l| l.starts_with(line) && l.ends_with("june.csv レコード3  取下げ済み")),
        "{table}"
    );
    assert!(table.contains(&format!("\n  × 取下げ 2026-08-02 処理2026-08から: {reason}\n")), "{table}");
    let csv = place.run(&["timeline", "--insured", "0000000030", "--format", "csv"]).1;
    let mut rows = csv::Reader::from_reader(csv.as_bytes());
    let header = rows.headers().unwrap().clone();
    let rows: Vec<csv::StringRecord> = rows.records().map(Result::unwrap).collect();
    assert_eq!(rows.len(), 1, "a withdrawn record has no items, a refused one no row: {csv}");
    let cell = |name: &str| &rows[0][header.iter().position(|column| column == name).unwrap()];
    let cells =
        ["movement_date", "item", "value", "source_file", "standing", "withdrawn_on", "withdrawn_reason"];
    assert_eq!(cells.map(cell), ["2026-06-11", "", "", "june.csv", "withdrawn", "2026-08-02", reason]);
    assert_eq!(cell("withdrawn_from_month"), "2026-08");
}

#[test]
fn a_person_all_of_whose_records_are_withdrawn_is_known() {
    let place = Place::new();
    place.two_months();
    let june = place.file_id("june.csv");
    place.run(&["withdraw", &june, "--reason", "取違え", "--on", "2026-07-02"]);
    let now = timeline(&place, &[]);
    assert_eq!(standings(&now), ["withdrawn"]);
    assert_eq!(now[0]["records"][0]["withdrawn"]["whole_file"], true);
    assert_eq!((&now[0]["name_kana"], &now[0]["moves"]), (&Value::Null, &json!([])));
    let table = place.run(&["timeline", "--insured", "0000000030", "--holder", "141003"]).1;
    assert!(table.contains("  × ファイルの取下げ 2026-07-02 処理2026-07から: 取違え\n"), "{table}");
    let card = place.run(&["timeline", "--insured", "0000000030", "--on-day", "2026-07-01"]).1;
    assert!(card.contains("この日に有効な被保険者証はありません"), "{card}");
    let (code, _, err) = place.run(&["timeline", "--insured", "0000000030", "--holder", "142018"]);
    assert!(code == 1 && err.contains("this number is known under 141003"), "{err}");
    assert_eq!(standings(&timeline(&place, &["--as-of", "2026-06"])), ["live"]);
    assert_eq!(place.run(&["timeline", "--insured", "0000000099"]).0, 1, "nobody");
    // Among the living: the other record of the file was a change.
    let args = ["timeline", "--insured", "0000000010", "--format", "json"];
    assert_eq!(standings(&serde_json::from_str(&place.run(&args).1).unwrap()), ["live", "withdrawn"]);
}

#[test]
fn a_withdrawal_is_a_finding_from_its_processing_month_on_and_is_sent_back() {
    let place = Place::new();
    place.two_months();
    let (may, june) = (place.file_id("may.csv"), place.file_id("june.csv"));
    place.snapshot(&["close", "2026-06", "--on", "2026-06-30"]);
    let reason = "誤送付, {item}{1} \"一部\"";
    place.run(&["withdraw", &format!("{june}:3"), "--reason", reason, "--on", "2026-07-02"]);
    place.run(&["withdraw", &format!("{june}:2"), "--reason", "x", "--on", "2026-08-02"]);
    place.run(&["withdraw", &may, "--reason", "取違え", "--on", "2026-08-02"]);
    // An archive may hold reasons from before they were checked.
    let event = place.path("data/archive/events/00000003-withdraw.json");
    let text = fs::read_to_string(&event).unwrap();
    fs::write(&event, text.replace("\"x\"", "\"a\\u001b[31m\\nb\"")).unwrap();

    let found = |as_of: &[&str]| {
        let snapshot = place.snapshot(&[&["resolve"], as_of].concat());
        let sql = "SELECT file_name, record_no, severity, count, insured_no, message_ja FROM findings \
                   WHERE code = 'F11' ORDER BY file_name, record_no";
        (snapshot.clone(), place.query(&snapshot, sql))
    };
    let ja = |when: &str| {
        format!(
            "国保連合会で取り下げたため、積み上げの対象から外しました（{when}）。必要な内容であれば、新しいファイルで送付し直してください。"
        )
    };
    let first = format!(
        "june.csv,3,info,1,,\"{}\"",
        ja(&format!("2026-07-02に取下げ、処理対象年月2026-07から、理由：{}", reason.replace('"', "\"\"")))
    );
    assert_eq!(found(&["--as-of", "2026-06"]).1, [""; 0]);
    assert_eq!(found(&["--as-of", "2026-07"]).1, [first.as_str()]);
    let (snapshot, all) = found(&[]);
    let second =
        format!("june.csv,2,info,1,,{}", ja("2026-08-02に取下げ、処理対象年月2026-08から、理由：a〓[31m〓b"));
    let whole =
        format!("may.csv,,info,1,,{}", ja("2026-08-02に取下げ、処理対象年月2026-08から、理由：取違え"));
    assert_eq!(all, [second.as_str(), &first, &whole]);
    let en =
        place.query(&snapshot, "SELECT message_en FROM findings WHERE code = 'F11' AND record_no IS NULL");
    assert!(
        en[0].contains("withdrawn on 2026-08-02, from processing month 2026-08 on, reason: 取違え"),
        "{en:?}"
    );
    assert_eq!(place.files(&snapshot), ["june.csv,accepted,2,2,0", "may.csv,withdrawn,2,2,0"]);

    let out = place.path("lists");
    tsumiage(["findings", "--out", &out, "--data", &place.data()]);
    let lines = cells(&Path::new(&out).join("141003-findings.csv"));
    let lines: Vec<Vec<String>> =
        lines.iter().map(|line| line.iter().map(|cell| decoded(cell)).collect()).collect();
    let told: Vec<&Vec<String>> = lines.iter().filter(|line| line[8] == "F11").collect();
    assert!(told.iter().any(|line| line[7] == "情報" && line[12].contains("理由：取違え")), "{told:?}");
    assert!(
        told.iter().any(|line| line[3] == "3" && line[12].contains("理由：誤送付, {item}{1} ")),
        "{told:?}"
    );
    assert!(
        told.len() == 3 && !told.iter().any(|line| line.concat().chars().any(char::is_control)),
        "{told:?}"
    );
}
