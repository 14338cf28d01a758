use super::table;
use crate::timeline::card::{self, Card};
use crate::timeline::course::moves;
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
        holder_no: "141003".to_owned(),
        change_type: change,
        reason: Some(coded("99", "その他")),
        correction_date: None,
        standing,
        withdrawn: None,
        cut_off: None,
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
        holder_name: None,
        holder_type: None,
        insured_no: "1000000001".to_owned(),
        name_kana: Some("ﾀﾛｳ".to_owned()),
        khs: Vec::new(),
        moves: Vec::new(),
        records: vec![first, slip, second, refused, deleted, delete],
    }
}

#[test]
fn the_table_tells_what_changed_from_record_to_record() {
    let place = |no: i64| format!("処理2026-07 取込2026-07-02 a.csv レコード{no}");
    let expected = format!(
        "\
被保険者番号 1000000001  保有者 141003  氏名 ﾀﾛｳ

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

fn withdrawn(whole_file: bool) -> Timeline {
    let mut withdrawn = entry("2026-06-10", coded("1", "新規"), Standing::Withdrawn, 8);
    withdrawn.withdrawn = Some(Withdrawal {
        on: day("2026-08-02"),
        processing_month: "2026-09".parse().unwrap(),
        reason: "=誤送付, \"二重\"".to_owned(),
        whole_file,
    });
    withdrawn.sent = vec![Sent {
        item: "care_level".to_owned(),
        label_ja: "要介護状態区分コード".to_owned(),
        held: text("23", Some("要介護３")),
        before: None,
    }];
    let mut records = timeline().records;
    records.insert(4, withdrawn);
    Timeline { records, ..timeline() }
}

#[test]
fn a_withdrawn_record_is_shown_as_sent_and_the_next_is_compared_with_the_one_before_it() {
    let shown = table(&[withdrawn(false)]);
    let told = "\n\n× 2026-06-10 新規 99 その他  処理2026-07 取込2026-07-02 a.csv レコード8  取下げ済み\n  \
                × 取下げ 2026-08-02 処理2026-09から: =誤送付, \"二重\"\n  要介護状態区分コード  23 要介護３\n\n";
    assert!(shown.contains(told), "{shown}");
    assert_eq!(shown.replace(told, "\n\n"), table(&[timeline()]), "everything else is as without it");
    assert!(table(&[withdrawn(true)]).contains("  × ファイルの取下げ 2026-08-02"));
    let (with, without) = (csv(&[withdrawn(false)]).unwrap(), csv(&[timeline()]).unwrap());
    let more: Vec<&str> = with.lines().filter(|line| !without.lines().any(|other| other == *line)).collect();
    let row = "141003,1000000001,2026-06-10,,,,,a.csv,8,,141003,,,withdrawn,2026-08-02,2026-09,\"=誤送付, \"\"二重\"\"\"";
    assert_eq!(more, [row]);
    let alone = Timeline { records: vec![withdrawn(true).records.remove(4)], ..timeline() };
    assert!(alone.live().next().is_none() && moves(&alone.records).is_empty());
    assert!(Card::on(&alone, day("2026-07-01"), None).is_none());
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
    let row = "141003,1000000001,2026-06-10,care_level,要介護状態区分コード,21,要介護１,a.csv,3,true,141003,,,live,,,";
    assert!(text.lines().any(|line| line == row), "{text}");
}

/// A live record of a member of the union 141003.
fn of_member(date: &str, code: &str, insurer_no: &str, record_no: i64) -> Entry {
    let label = ["", "新規", "変更", "終了"][code.parse::<usize>().unwrap()];
    let mut entry = entry(date, coded(code, label), Standing::Live, record_no);
    entry.insurer_no = insurer_no.to_owned();
    entry.items = person("ﾀﾛｳ", text("21", Some("要介護１")), Some("2027-03-31"), 2);
    entry
}

fn cut(from: &str, reason: CutOffReason, by: &str) -> Option<CutOff> {
    Some(CutOff { from: day(from), reason, by: by.to_owned() })
}

/// A person of the union who moves twice, and whose last town leaves it.
fn mover() -> Timeline {
    let mut moved = of_member("2026-07-01", "2", "143014", 3);
    moved.reason = Some(coded("03", "転居"));
    moved.cut_off = cut("2026-10-01", CutOffReason::MembershipEnded, "141003");
    let mut back = of_member("2026-08-20", "2", "142018", 4);
    back.cut_off = cut("2026-09-01", CutOffReason::HolderEnded, "141003");
    let mut refused = of_member("2026-08-20", "2", "143219", 5);
    refused.standing = Standing::Refused;
    refused.items.clear();
    let records = vec![of_member("2026-04-01", "1", "142018", 2), moved, back, refused];
    Timeline {
        holder_name: Some("ひがし広域連合".to_owned()),
        holder_type: Some(coded("3", "広域連合の保険者")),
        moves: moves(&records),
        records,
        ..timeline()
    }
}

#[test]
fn moves_and_being_cut_off_have_lines_of_their_own() {
    let place = |no: i64| format!("処理2026-07 取込2026-07-02 a.csv レコード{no}");
    let expected = format!(
        "\
被保険者番号 1000000001  保有者 141003 ひがし広域連合（広域連合の保険者）  氏名 ﾀﾛｳ

2026-04-01 新規 99 その他  {}
  証記載保険者番号            142018
  氏名（カナ）                ﾀﾛｳ
  要介護状態区分コード        21 要介護１
  認定有効期間（終了年月日）  2027-03-31

2026-07-01 変更 03 転居  {}
  構成市町村（行政区）間の異動: 証記載保険者番号 142018 → 143014  事由 03 転居

2026-08-20 変更 99 その他  {}
  構成市町村（行政区）間の異動: 証記載保険者番号 143014 → 142018  事由 99 その他
  × 2026-09-01 から無効: 保険者 141003 が終了したため

× 2026-08-20 変更 99 その他  {}
  証記載保険者番号  143219
",
        place(2),
        place(3),
        place(4),
        place(5)
    );
    assert_eq!(table(&[mover()]), expected);
}

#[test]
fn a_reason_is_told_for_every_way_of_being_cut_off() {
    let shown = |reason: CutOffReason, by: &str| {
        let mut only = of_member("2026-04-01", "1", "142018", 2);
        only.cut_off = cut("2026-10-01", reason, by);
        table(&[Timeline { moves: Vec::new(), records: vec![only], ..mover() }])
    };
    for (reason, line) in [
        (CutOffReason::MembershipBegan, "142018 が 149005 の構成市町村（行政区）になったため"),
        (CutOffReason::MembershipEnded, "142018 が 149005 の構成市町村（行政区）でなくなったため"),
        (CutOffReason::HolderEnded, "保険者 149005 が終了したため"),
    ] {
        let shown = shown(reason, "149005");
        assert!(shown.ends_with(&format!("\n  × 2026-10-01 から無効: {line}\n")), "{shown}");
    }
}

#[test]
fn a_move_is_from_a_record_that_still_held() {
    let two = |first: &Entry, second: &Entry| moves(&[first.clone(), second.clone()]).len();
    let (from, to) = (of_member("2026-04-01", "1", "142018", 2), of_member("2026-07-01", "1", "143014", 3));
    assert_eq!(two(&from, &to), 1);
    assert_eq!(two(&from, &of_member("2026-07-01", "2", "142018", 3)), 0, "the same number");
    assert_eq!(two(&of_member("2026-04-01", "3", "142018", 2), &to), 0, "after an end");
    assert_eq!(two(&from, &of_member("2026-07-01", "3", "143014", 3)), 0, "an end moves nobody");
    let held_until = |day: &str| {
        let mut cut_off = from.clone();
        cut_off.cut_off = cut(day, CutOffReason::MembershipEnded, "141003");
        two(&cut_off, &to)
    };
    assert_eq!((held_until("2026-07-01"), held_until("2026-06-30")), (1, 0), "members merged; out before");
    let mut deleted = from.clone();
    deleted.standing = Standing::Deleted;
    assert_eq!(two(&deleted, &to), 0);
}

#[test]
fn a_record_goes_out_only_if_none_stands_in_its_place_by_then() {
    let out = |next: Option<Entry>| {
        let mut first = of_member("2026-04-01", "1", "142018", 2);
        first.cut_off = cut("2026-10-01", CutOffReason::MembershipEnded, "141003");
        let records: Vec<Entry> = std::iter::once(first).chain(next).collect();
        let timeline = Timeline { records, ..mover() };
        timeline.goes_out(&timeline.records[0]).is_some()
    };
    assert!(out(None));
    assert!(!out(Some(of_member("2026-10-01", "3", "142018", 3))), "ended as it should be");
    assert!(out(Some(of_member("2026-10-02", "3", "142018", 3))));
    assert!(!out(Some(of_member("2026-07-01", "2", "143014", 3))));
    let mut end = of_member("2026-10-01", "3", "142018", 3);
    end.cut_off = cut("2026-10-01", CutOffReason::MembershipEnded, "141003");
    assert!(mover().goes_out(&end).is_none(), "an end is out already");
}

#[test]
fn the_document_tells_moves_and_days_of_being_cut_off() {
    let document = serde_json::to_value(mover()).unwrap();
    assert_eq!(document["holder_name"], "ひがし広域連合");
    assert_eq!(document["holder_type"]["code"], "3");
    let moves = document["moves"].as_array().unwrap();
    assert_eq!(moves.len(), 2);
    assert_eq!(moves[0]["movement_date"], "2026-07-01");
    assert_eq!(
        (&moves[0]["from_insurer_no"], &moves[0]["to_insurer_no"]),
        (&"142018".into(), &"143014".into())
    );
    assert_eq!((&moves[0]["reason"]["code"], &moves[0]["source"]["record_no"]), (&"03".into(), &3.into()));
    let records = &document["records"];
    assert!(records[0]["cut_off"].is_null() && records[0]["cut_off_reason"].is_null());
    assert_eq!(records[1]["cut_off"], "2026-10-01");
    assert_eq!((&records[1]["insurer_no"], &records[1]["holder_no"]), (&"143014".into(), &"141003".into()));
    assert_eq!(records[2]["cut_off_reason"], "holder_ended");
    assert_eq!(records[2]["cut_off_by"], "141003");
}

#[test]
fn the_card_is_that_of_the_record_in_force_on_the_day() {
    let record = |on: &str| Some(Card::on(&mover(), day(on), None)?.source.record_no);
    for (on, expected) in [
        ("2026-03-31", None),
        ("2026-04-01", Some(2)),
        ("2026-06-30", Some(2)),
        ("2026-07-01", Some(3)),
        ("2026-08-19", Some(3)),
        ("2026-08-20", Some(4)),
        ("2026-08-31", Some(4)),
        ("2026-09-01", None),
        ("2026-10-01", None),
    ] {
        assert_eq!(record(on), expected, "{on}");
    }
    let mut ended = mover();
    ended.records.push(of_member("2026-08-25", "3", "142018", 6));
    let on = |on: &str| Card::on(&ended, day(on), None).map(|card| card.source.record_no);
    assert_eq!(
        (on("2026-08-24"), on("2026-08-25")),
        (Some(4), None),
        "the date of an end is the first day out"
    );
}

#[test]
fn the_card_has_the_members_number_and_the_unions_name() {
    let of_union = Card::on(&mover(), day("2026-07-15"), Some("ひがし広域連合")).unwrap();
    let expected = "\
2026-07-15 現在
ひがし広域連合  広域保険者番号：141003
+------------------------------------------------+
| 介護保険被保険者証                             |
|                                                |
| 被保険者番号：1000000001                       |
| 氏名：ﾀﾛｳ                                      |
| 要介護状態区分：21 要介護１                    |
| 認定有効期間：～ 2027-03-31                    |
|                                                |
| 保険者番号：143014  保険者名称：ひがし広域連合 |
+------------------------------------------------+
異動年月日 2026-07-01  a.csv レコード3
";
    assert_eq!(card::table(&[mover()], std::slice::from_ref(&of_union), of_union.on_day), expected);
    let document = serde_json::to_value(&of_union).unwrap();
    for (key, value) in [
        ("insured_no", "1000000001"),
        ("insurer_no", "143014"),
        ("insurer_name", "ひがし広域連合"),
        ("holder_no", "141003"),
        ("union_no", "141003"),
        ("care_level", "21"),
        ("care_level_label", "要介護１"),
        ("certification_end_date", "2027-03-31"),
    ] {
        assert_eq!(document[key], value, "{key}");
    }
    assert!(document["certification_start_date"].is_null());
    let lines = card::csv(&[of_union]).unwrap();
    let row = "2026-07-15,1000000001,ﾀﾛｳ,143014,ひがし広域連合,141003,141003,21,要介護１,,2027-03-31,2026-07-01,a.csv,3";
    assert_eq!(lines.lines().nth(1), Some(row));
}

#[test]
fn an_insurer_by_itself_has_no_union_on_its_card() {
    let alone = Card::on(&timeline(), day("2026-06-10"), None).unwrap();
    assert_eq!((alone.insurer_no.as_str(), alone.union_no.as_deref()), ("141003", None));
    let shown = card::table(&[], &[alone], day("2026-06-10"));
    assert!(!shown.contains("広域"), "{shown}");
    assert!(shown.contains("保険者番号：141003  保険者名称：（未登録）"), "{shown}");
}

#[test]
fn where_nobody_has_a_card_the_reason_is_told_under_every_holder() {
    let reason = |timeline: &Timeline, on: &str| {
        let shown = card::table(std::slice::from_ref(timeline), &[], day(on));
        let head = format!("{on} この日に有効な被保険者証はありません\n  保有者 141003 ひがし広域連合: ");
        shown.strip_prefix(&head).unwrap_or_else(|| panic!("{shown}")).to_owned()
    };
    assert_eq!(reason(&mover(), "2026-03-31"), "最初の異動（2026-04-01）より前です\n");
    let cut_off = "2026-08-20 の異動は 2026-09-01 から無効: 保険者 141003 が終了したため\n";
    assert_eq!(reason(&mover(), "2026-09-01"), cut_off);
    let mut ended = mover();
    ended.records.push(of_member("2026-08-25", "3", "142018", 6));
    assert_eq!(reason(&ended, "2026-08-25"), "2026-08-25 に資格終了\n");
    let refused = Timeline { records: mover().records.split_off(3), ..mover() };
    assert_eq!(reason(&refused, "2026-09-01"), "受け付けた異動がありません\n");
    assert_eq!(card::table(&[mover(), ended], &[], day("2026-03-31")).lines().count(), 3);
}

#[test]
fn a_certification_that_is_over_is_marked_on_the_card() {
    let is_marked = |on: &str| {
        let card = Card::on(&timeline(), day("2026-06-09"), None).unwrap();
        let card = Card { on_day: day(on), ..card };
        let shown = card::table(&[], &[card], day(on));
        assert!(shown.contains("認定有効期間：～ 2027-03-31"), "{shown}");
        shown.contains("2027-03-31（有効期間終了）")
    };
    assert_eq!((is_marked("2027-03-31"), is_marked("2027-04-01")), (false, true));
}

#[test]
fn a_record_dated_when_its_holder_was_ended_never_was_in_force() {
    let on = |from: &str| {
        let mut only = of_member("2026-08-01", "1", "141003", 2);
        only.cut_off = cut(from, CutOffReason::HolderEnded, "141003");
        let timeline = Timeline { moves: Vec::new(), records: vec![only], ..mover() };
        assert!(Card::on(&timeline, day("2026-08-15"), None).is_none());
        table(&[timeline])
    };
    let never =
        |from: &str| format!("\n  × 有効にならない: 保険者 141003 が {from} から終了したままのため\n");
    for from in ["2026-04-01", "2026-08-01"] {
        let shown = on(from);
        assert!(shown.ends_with(&never(from)), "{shown}");
    }
    let after = on("2026-08-02");
    assert!(after.ends_with("\n  × 2026-08-02 から無効: 保険者 141003 が終了したため\n"), "{after}");
}
