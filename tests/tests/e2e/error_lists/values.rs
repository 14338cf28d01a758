//! Lists show what was sent.

use super::{Place, cells, decoded, encoded, file, registration};
use tsumiage_schemas::Spec;

#[test]
fn values_stand_as_they_were_sent() {
    let spec = Spec::embedded().unwrap();
    let record = |no: &str, changed: &[(&str, &str)]| registration(&spec, no, changed);
    let long = "介護太郎".repeat(60);
    let records = [
        record("0000000010", &[("birth_date", "20260230"), ("care_level", "99")]),
        record("0000000020", &[("name_kana", &long)]),
        record("0000000030", &[("name_kana", "KOWARETA")]),
        record("0000000040", &[("name_kana", "\u{e000}ｶｲ")]),
        record("0000000050", &[("sex", "a,\"b\"\r\nc")]),
        record(
            "0000000060",
            &[("birth_date", "=1+1"), ("home_service_limit_units", "-1"), ("care_level", "＠")],
        ),
        record("0000000070", &[("insurer_no", "14100"), ("union_no", "'=1")]),
    ];
    let place = Place::new();
    place.put("141003-🙂=.csv", &file(&records, (b"KOWARETA", b"\x82\xa0\xffK\x07\x81")));
    place.nightly();
    assert_eq!(place.findings("out", &[]).0, 0);
    let list = place.list("141003-findings.csv");
    let value = |record: i64, code: &str, item: &str| {
        let key = (record.to_string(), code.to_owned(), spec.label(item).to_owned());
        list.get(&key).unwrap_or_else(|| panic!("no {key:?} in {:?}", list.keys()))[10].clone()
    };
    assert_eq!(value(2, "R03", "birth_date"), b"20260230");
    assert_eq!(value(2, "R04", "care_level"), b"99");
    let cut: String = long.chars().take(200).chain(['…']).collect();
    assert_eq!(value(3, "R05", "name_kana"), encoded(&cut));
    assert_eq!(value(4, "R07", "name_kana"), b"\x82\xa0\\xffK\\x07\\x81");
    assert_eq!(
        value(5, "R07", "name_kana"),
        encoded("\u{e000}ｶｲ"),
        "a user-defined character keeps its bytes"
    );
    assert_eq!(value(6, "R06", "sex"), br#"a,"b"\x0d\x0ac"#);
    assert_eq!(value(7, "R03", "birth_date"), b"'=1+1");
    assert_eq!(value(7, "R08", "home_service_limit_units"), b"-1", "a plain number");
    assert_eq!(value(7, "R04", "care_level"), encoded("'＠"));
    assert_eq!(value(8, "R02", "insurer_no"), b"14100");
    assert_eq!(value(8, "R06", "union_no"), b"'=1");
    let row = &list[&("2".into(), "R04".into(), "要介護状態区分コード".into())];
    let texts: Vec<String> = row.iter().map(|cell| decoded(cell)).collect();
    assert_eq!(
        texts[..10],
        [
            "141003-〓=.csv",
            "2026-10",
            "2026-11-01",
            "2",
            "141003",
            "0000000010",
            "2026-09-15",
            "エラー",
            "R04",
            "要介護状態区分コード"
        ]
    );
    assert_eq!(
        texts[11..],
        ["1", "「要介護状態区分コード」がコード表にありません（99）。コードを直して再送してください。"]
    );
}

#[test]
fn a_pair_of_a_union_list_is_told_by_its_number() {
    let place = Place::new();
    let pairs = "141011,20260401,141022,,141033,2026xx01,,20260501,1410,20260401,\"14x\",20260401";
    let text =
        format!("1,1,0,1,571,,149001,,,1,202610,0\r\n2,2,5711,20260401,1,99,149001,{pairs}\r\n3,3\r\n");
    place.put("union.csv", text.as_bytes());
    place.nightly();
    place.findings("out", &[]);
    let lines = cells(&place.path("out/149001-findings.csv"));
    let got: Vec<String> =
        lines[1..].iter().map(|row| [8, 9, 10, 11].map(|c| decoded(&row[c])).join(" ")).collect();
    let (member, from) = ("市町村番号（行政区番号）", "有効開始日");
    // One finding per record, code and item; the first is shown, 件数 says how many there are.
    let want = [
        format!("R02 {member}（4組目）  3"),
        format!("R02 {from}（2組目）  1"),
        format!("R03 {from}（3組目） 2026xx01 1"),
    ];
    let errors: Vec<&String> = got.iter().filter(|line| line.starts_with("R0")).collect();
    assert_eq!(errors, want.iter().collect::<Vec<_>>());
}
