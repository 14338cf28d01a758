use super::table;
use crate::timeline::csv::csv;
use crate::timeline::model::*;
use tsumiage_schemas::{Code, Day, Severity};

fn day(text: &str) -> Day {
    text.parse().unwrap()
}

fn text(value: &str, label: Option<&str>) -> Option<Labelled> {
    Some(Labelled { value: Value::Text(value.to_owned()), code_label: label.map(str::to_owned) })
}

fn source(record_no: i64) -> Source {
    Source { file_name: "a.csv".to_owned(), file_id: "f1".to_owned(), record_no }
}

fn coded(code: &str, label: &str) -> Coded {
    Coded { code: code.to_owned(), label_ja: Some(label.to_owned()) }
}

fn entry(date: &str, change: Coded, standing: Standing, record_no: i64) -> Entry {
    Entry {
        kind: EntryKind::Movement,
        movement_date: day(date),
        insurer_no: "141003".to_owned(),
        change_type: change,
        reason: Some(coded("99", "その他")),
        correction_date: None,
        standing,
        findings: Vec::new(),
        source: source(record_no),
        processing_month: Some("2026-07".parse().unwrap()),
        taken_in_on: Some(day("2026-07-02")),
        corrects: None,
        sent: Vec::new(),
        items: Vec::new(),
    }
}

fn cell(item: &str, label: &str, held: Option<Labelled>, record_no: i64, own: bool) -> Cell {
    let source = held.is_some().then(|| source(record_no));
    Cell { item: item.to_owned(), label_ja: label.to_owned(), held, source, own }
}

fn person(name: &str, level: Option<Labelled>, until: Option<&str>, record_no: i64) -> Vec<Cell> {
    let until = until.map(|d| Labelled { value: Value::Day(day(d)), code_label: None });
    vec![
        cell("movement_reason", "異動事由", text("99", Some("その他")), record_no, true),
        cell("name_kana", "氏名（カナ）", text(name, None), 2, record_no == 2),
        cell("care_level", "要介護状態区分コード", level, record_no, true),
        cell("certification_end_date", "認定有効期間（終了年月日）", until, record_no, true),
    ]
}

fn remark(code: Code, severity: Severity, message: &str) -> Remark {
    Remark { code, severity, item: None, message_ja: message.to_owned(), message_en: String::new() }
}

fn timeline() -> Timeline {
    let mut first = entry("2026-04-01", coded("1", "新規"), Standing::Live, 2);
    first.items = person("ｼﾞﾛｳ", text("22", Some("要介護２")), Some("2027-03-31"), 2);
    let mut slip = entry("2026-04-01", coded("2", "修正"), Standing::Applied, 9);
    slip.kind = EntryKind::Correction;
    slip.correction_date = Some(day("2026-10-20"));
    slip.corrects = Some(source(2));
    slip.sent = vec![Sent {
        item: "name_kana".to_owned(),
        label_ja: "氏名（カナ）".to_owned(),
        held: text("ｼﾞﾛｳ", None),
        before: text("ﾀﾛｳ", None),
    }];
    let mut second = entry("2026-06-10", coded("2", "変更"), Standing::Live, 3);
    second.items = person("ﾀﾛｳ", text("21", Some("要介護１")), None, 3);
    second.findings = vec![remark(Code::S11, Severity::Warning, "引き継いだまま")];
    let mut refused = entry("2026-06-10", coded("2", "変更"), Standing::Refused, 4);
    refused.findings = vec![remark(Code::S01, Severity::Error, "すでにあります")];
    refused.sent = vec![Sent {
        item: "care_level".to_owned(),
        label_ja: "要介護状態区分コード".to_owned(),
        held: text("23", Some("要介護３")),
        before: None,
    }];
    let deleted = entry("2026-08-01", coded("3", "終了"), Standing::Deleted, 5);
    let mut delete = entry("2026-08-01", coded("3", "削除"), Standing::Applied, 6);
    delete.kind = EntryKind::Correction;
    delete.correction_date = Some(day("2026-09-01"));
    delete.corrects = Some(source(5));
    Timeline {
        holder_no: "141003".to_owned(),
        insured_no: "1000000001".to_owned(),
        name_kana: Some("ﾀﾛｳ".to_owned()),
        records: vec![first, slip, second, refused, deleted, delete],
    }
}

#[test]
fn the_table_tells_what_changed_from_record_to_record() {
    let place = |no: i64| format!("処理2026-07 取込2026-07-02 a.csv レコード{no}");
    let expected = format!(
        "\
被保険者番号 1000000001  保険者番号 141003  氏名 ﾀﾛｳ

2026-04-01 新規 99 その他  {}
  氏名（カナ）                ｼﾞﾛｳ
  要介護状態区分コード        22 要介護２
  認定有効期間（終了年月日）  2027-03-31
  訂正 2026-10-20 修正: 氏名（カナ）  ﾀﾛｳ → ｼﾞﾛｳ  [{}]

2026-06-10 変更 99 その他  {}
  ！ S11 引き継いだまま
  氏名（カナ）                ｼﾞﾛｳ → ﾀﾛｳ
  要介護状態区分コード        22 要介護２ → 21 要介護１
  認定有効期間（終了年月日）  2027-03-31 → （未設定）

× 2026-06-10 変更 99 その他  {}
  × 取込不可 S01 すでにあります
  要介護状態区分コード  23 要介護３

2026-08-01 終了 99 その他  {}  削除済み
  訂正 2026-09-01 削除  [{}]
",
        place(2),
        place(9),
        place(3),
        place(4),
        place(5),
        place(6)
    );
    assert_eq!(table(&[timeline()]), expected);
}

#[test]
fn a_refused_correction_stands_alone() {
    let mut slip = entry("2026-05-01", coded("2", "修正"), Standing::Refused, 7);
    slip.kind = EntryKind::Correction;
    slip.correction_date = Some(day("2026-10-20"));
    slip.findings = vec![remark(Code::S03, Severity::Error, "ありません")];
    let alone = Timeline { name_kana: None, records: vec![slip], ..timeline() };
    let shown = table(&[alone]);
    assert!(shown.contains("\n× 2026-05-01 訂正 2026-10-20 修正  処理2026-07"), "{shown}");
    assert!(shown.contains("\n  × 取込不可 S03 ありません\n"), "{shown}");
}

#[test]
fn the_document_names_every_items_source() {
    let document = serde_json::to_value([timeline()]).unwrap();
    let record = &document[0]["records"][2];
    assert_eq!(record["movement_date"], "2026-06-10");
    assert_eq!(record["type"]["label_ja"], "変更");
    let name = &record["items"]["name_kana"];
    assert_eq!((&name["value"], &name["own"]), (&"ﾀﾛｳ".into(), &false.into()));
    assert_eq!(name["source"]["record_no"], 2);
    assert_eq!(record["items"]["care_level"]["code_label"], "要介護１");
    let end = &record["items"]["certification_end_date"];
    assert!(end["value"].is_null() && end["source"].is_null() && end["own"] == true);
    let slip = &document[0]["records"][1];
    assert_eq!(slip["corrects"]["record_no"], 2);
    assert_eq!(slip["sent"]["name_kana"]["before"]["value"], "ﾀﾛｳ");
    assert!(slip["items"].as_object().unwrap().is_empty());
}

#[test]
fn csv_has_one_row_per_live_record_and_set_item() {
    let text = csv(&[timeline()]).unwrap();
    assert_eq!(text.lines().count(), 1 + 4 + 3);
    let row = "141003,1000000001,2026-06-10,care_level,要介護状態区分コード,21,要介護１,a.csv,3,true";
    assert!(text.lines().any(|line| line == row), "{text}");
}
