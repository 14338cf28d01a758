//! `timeline` against what is published, and the truth of every cell's source.

use crate::golden;
use crate::place::run;
use crate::properties::{day, take_in};
use crate::support::{Table, snapshot_of, tsumiage};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use tsumiage_schemas::Spec;
use tsumiage_tests::oracle::{Body, FileFact, RecordFact, State};
use tsumiage_tests::random::{ledger, union_ledger, write_into};

/// A ledger taken in: the facts and the data folder.
fn place(folder: &Path, mut files: Vec<FileFact>) -> (Vec<FileFact>, String) {
    let spec = Spec::embedded().unwrap();
    let (inbox, data) = (folder.join("inbox"), folder.join("data"));
    fs::create_dir_all(&inbox).unwrap();
    write_into(&inbox, &spec, &mut files).unwrap();
    take_in(&files, &inbox, &data, 1);
    (files, data.display().to_string())
}

fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// What a record sent for an item, as the published tables write it.
fn sent(record: &RecordFact, item: &str, is_date: bool) -> Option<String> {
    match record.items.get(item) {
        Some(State::Value(value)) if is_date => Some(day(value.parse().unwrap())),
        Some(State::Value(value)) => Some(value.clone()),
        _ => None,
    }
}

#[test]
fn every_cell_is_the_published_one_and_its_source_sent_it() {
    let folder = tempfile::tempdir().unwrap();
    let (files, data) = place(folder.path(), ledger(3, 400));
    let records: BTreeMap<(&str, i64), &RecordFact> =
        files.iter().flat_map(|f| f.records.iter().map(|r| ((f.hash.as_str(), r.record_no), r))).collect();
    let snapshot = snapshot_of(&tsumiage(["resolve", "--quiet", "--data", &data]));
    let items: Vec<String> = tsumiage_tests::oracle::ITEMS.iter().map(|i| (*i).to_owned()).collect();
    let mut columns: Vec<String> = ["holder_no", "insured_no", "movement_date"].map(str::to_owned).to_vec();
    columns.extend(items.clone());
    let history = Table::read_snapshot(&snapshot, "recipient_history", &columns);
    let published: BTreeMap<&[String], &[String]> =
        history.rows.iter().map(|row| (&row[..3], &row[3..])).collect();
    let people: BTreeSet<&String> = history.rows.iter().map(|row| &row[1]).collect();
    let (mut cells, mut corrected) = (0, 0);
    for insured_no in people.into_iter().step_by(11) {
        let json = tsumiage(["timeline", "--insured", insured_no, "--format", "json", "--data", &data]);
        let document: Value = serde_json::from_str(&json).unwrap();
        for holder in document.as_array().unwrap() {
            for record in holder["records"].as_array().unwrap().iter().filter(|r| r["standing"] == "live") {
                let key = [text(&holder["holder_no"]), insured_no.clone(), text(&record["movement_date"])];
                let row = published[&key[..]];
                for (item, want) in items.iter().zip(row) {
                    let cell = &record["items"][item];
                    assert_eq!(text(&cell["value"]), *want, "{key:?} {item}");
                    if want.is_empty() {
                        assert!(cell["source"].is_null(), "{key:?} {item}");
                        continue;
                    }
                    let at = (
                        cell["source"]["file_id"].as_str().unwrap(),
                        cell["source"]["record_no"].as_i64().unwrap(),
                    );
                    let source = records[&at];
                    assert_eq!(
                        sent(source, item, item.ends_with("_date")).as_ref(),
                        Some(want),
                        "{key:?} {item}"
                    );
                    corrected += usize::from(matches!(source.body, Body::Correction { .. }));
                    cells += 1;
                }
            }
        }
    }
    assert!(cells > 500 && corrected > 20, "{cells} cells, {corrected} from corrections");
}

/// What the timeline of a person says, with further options.
fn told(data: &str, insured_no: &str, options: &[&str]) -> Vec<Value> {
    let args = ["timeline", "--insured", insured_no, "--format", "json", "--data", data];
    let document: Value = serde_json::from_str(&tsumiage([&args, options].concat())).unwrap();
    document.as_array().unwrap().clone()
}

/// The same as text.
fn shown(data: &str, insured_no: &str, options: &[&str]) -> String {
    tsumiage([&["timeline", "--insured", insured_no, "--data", data], options].concat())
}

fn columns(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn list<'v>(of: &'v Value, name: &str) -> &'v Vec<Value> {
    of[name].as_array().unwrap()
}

fn live(stream: &Value) -> impl DoubleEndedIterator<Item = &Value> {
    list(stream, "records").iter().filter(|record| record["standing"] == "live")
}

/// The published tables of a ledger of unions.
struct Published {
    history: Table,
    findings: Table,
    months: Table,
}

impl Published {
    fn of(data: &str) -> Published {
        let snapshot = snapshot_of(&tsumiage(["resolve", "--quiet", "--data", data]));
        let read = |table: &str, names: &[&str]| Table::read_snapshot(&snapshot, table, &columns(names));
        Published {
            history: read(
                "recipient_history",
                &["insured_no", "holder_no", "movement_date", "insurer_no", "valid_to", "movement_type"],
            ),
            findings: read("findings", &["insured_no", "file_id", "record_no", "code", "item"]),
            months: read(
                "recipient_month",
                &["insured_no", "service_month", "holder_no", "first_day_insurer_no"],
            ),
        }
    }

    /// The rows of a person, without the insured number.
    fn of_person<'t>(table: &'t Table, insured_no: &str) -> Vec<&'t [String]> {
        table.rows.iter().filter(|row| row[0] == insured_no).map(|row| &row[1..]).collect()
    }
}

/// The live records as `recipient_history` has them: with their last day, if they end before another begins.
fn history_of(stream: &Value) -> Vec<Vec<String>> {
    let live: Vec<&Value> = live(stream).collect();
    let row = |(at, record): (usize, &&Value)| {
        let [date, cut_off] = [&record["movement_date"], &record["cut_off"]].map(text);
        let is_end = record["type"]["code"] == "3";
        let before = |day: &str| tsumiage_schemas::Day(day.parse::<tsumiage_schemas::Day>().unwrap().0 - 1);
        let valid_to = match live.get(at + 1) {
            Some(next) => before(&text(&next["movement_date"])).to_string(),
            None if is_end => date.clone(),
            None if cut_off.is_empty() => String::new(),
            None => before(&cut_off).to_string().max(date.clone()),
        };
        let of_record = [&stream["holder_no"], &record["movement_date"], &record["insurer_no"]].map(text);
        of_record.into_iter().chain([valid_to, text(&record["type"]["code"])]).collect()
    };
    live.iter().enumerate().map(row).collect()
}

/// Dates of the live records that are cut off before another one stands in their place.
fn goes_out(stream: &Value) -> BTreeSet<String> {
    let live: Vec<&Value> = live(stream).collect();
    let out = |(at, record): &(usize, &&Value)| {
        let cut = text(&record["cut_off"]);
        let next = live.get(at + 1).map(|next| text(&next["movement_date"]));
        record["type"]["code"] != "3" && !cut.is_empty() && next.is_none_or(|next| cut < next)
    };
    live.iter().enumerate().filter(out).map(|(_, record)| text(&record["movement_date"])).collect()
}

#[test]
fn random_unions_are_told_as_they_are_published() {
    let folder = tempfile::tempdir().unwrap();
    let (_, data) = place(folder.path(), union_ledger(11, 1, 60));
    let published = Published::of(&data);
    let people: BTreeSet<&String> = published.history.rows.iter().map(|row| &row[0]).collect();
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    let mut see = |what, count| *seen.entry(what).or_default() += count;
    let months = ["2024-10-01", "2025-07-01", "2026-05-01"].into_iter().cycle();
    for (insured_no, month) in people.into_iter().step_by(3).zip(months) {
        let streams = told(&data, insured_no, &[]);
        let history: Vec<Vec<String>> = streams.iter().flat_map(history_of).collect();
        assert_eq!(history, Published::of_person(&published.history, insured_no), "{insured_no}");
        let mut found = Vec::new();
        for stream in &streams {
            let goes_out = goes_out(stream);
            see("out by the day", goes_out.len());
            for record in list(stream, "records") {
                assert_eq!(record["holder_no"], stream["holder_no"]);
                let is_told = list(record, "findings").iter().any(|finding| finding["code"] == "S13");
                assert!(!is_told || goes_out.contains(&text(&record["movement_date"])), "{insured_no}");
                let place = [&record["source"]["file_id"], &record["source"]["record_no"]].map(text);
                for finding in list(record, "findings") {
                    see(if finding["code"] == "S13" { "S13" } else { "others" }, 1);
                    let of_finding = [&finding["code"], &finding["item"]].map(text);
                    found.push(place.iter().cloned().chain(of_finding).collect::<Vec<_>>());
                }
            }
        }
        let of_stacking = |row: &&[String]| row[2].starts_with('S') && row[2] != "S08";
        let mut expected = Published::of_person(&published.findings, insured_no);
        expected.retain(of_stacking);
        found.sort();
        expected.sort();
        assert_eq!(found, expected, "{insured_no}");
        see("holders", usize::from(streams.len() > 1));
        let card = |card: &Value| [&card["holder_no"], &card["insurer_no"]].map(text).to_vec();
        let cards: Vec<Vec<String>> =
            told(&data, insured_no, &["--on-day", month]).iter().map(card).collect();
        let rows = Published::of_person(&published.months, insured_no);
        let rows = rows.into_iter().filter(|row| row[0] == month && !row[2].is_empty());
        let expected: Vec<&[String]> = rows.map(|row| &row[1..]).collect();
        assert_eq!(cards, expected, "{insured_no} on {month}");
        see("cards", cards.len());
    }
    for what in ["S13", "others", "holders", "cards", "out by the day"] {
        assert!(seen.get(what).is_some_and(|count| *count >= 5), "{what}: {seen:?}");
    }
}

/// A golden scenario taken in; gives its data folder.
fn scenario(folder: &Path, name: &str) -> String {
    let data = folder.join("data");
    golden::take_in(&golden::folder(name).join("files"), folder, &data);
    data.display().to_string()
}

#[test]
fn a_person_moves_between_members_and_the_card_follows() {
    let folder = tempfile::tempdir().unwrap();
    let data = scenario(folder.path(), "case_8_union");
    let person = "1400000010";
    let story = shown(&data, person, &[]);
    assert!(story.contains("  保有者 141003 ひがし広域連合（広域連合の保険者）"), "{story}");
    for line in [
        "\n  構成市町村（行政区）間の異動: 証記載保険者番号 142018 → 143014  事由 03 ",
        "\n  構成市町村（行政区）間の異動: 証記載保険者番号 143014 → 142018  事由 03 ",
    ] {
        assert!(story.contains(line), "{line}\n{story}");
    }
    let on = |day: &str, options: &[&str]| told(&data, person, &[&["--on-day", day], options].concat());
    assert!(on("2026-03-31", &[]).is_empty());
    for (day, insurer_no, care_level, options) in [
        ("2026-04-01", "142018", "21", &[][..]),
        ("2026-06-30", "142018", "21", &[]),
        ("2026-07-01", "143014", "21", &[]),
        ("2026-08-19", "143014", "21", &[]),
        ("2026-08-20", "142018", "22", &[]),
        ("2026-07-15", "142018", "21", &["--as-of", "2026-07"]),
    ] {
        let cards = on(day, options);
        assert_eq!(cards.len(), 1, "{day}");
        for (key, value) in [
            ("on_day", day),
            ("insured_no", person),
            ("name_kana", "ｶｲｺﾞ ﾀﾛｳ"),
            ("insurer_no", insurer_no),
            ("insurer_name", "ひがし広域連合"),
            ("holder_no", "141003"),
            ("union_no", "141003"),
            ("care_level", care_level),
            ("certification_start_date", "2026-04-01"),
            ("certification_end_date", "2027-03-31"),
        ] {
            assert_eq!(cards[0][key], value, "{day} {key}");
        }
    }
    let card = shown(&data, person, &["--on-day", "2026-07-01"]);
    for line in [
        "広域保険者番号：141003",
        "被保険者番号：1400000010",
        "氏名：ｶｲｺﾞ ﾀﾛｳ",
        "要介護状態区分：21 要介護１",
        "認定有効期間：2026-04-01 ～ 2027-03-31",
        "保険者番号：143014  保険者名称：ひがし広域連合",
    ] {
        assert!(card.contains(line), "{line}\n{card}");
    }
    let csv = shown(&data, person, &["--on-day", "2026-07-01", "--format", "csv"]);
    assert_eq!(csv.lines().count(), 2);
    assert!(csv.lines().nth(1).unwrap().starts_with("2026-07-01,1400000010,ｶｲｺﾞ ﾀﾛｳ,143014,"), "{csv}");
}

#[test]
fn nobody_has_a_card_before_being_registered_and_nobody_unknown_has_any() {
    let folder = tempfile::tempdir().unwrap();
    let data = scenario(folder.path(), "case_8_union");
    let on_day = |insured_no: &str, day: &str| {
        run(&["timeline", "--insured", insured_no, "--on-day", day, "--data", &data])
    };
    let (code, out, _) = on_day("1400000010", "2026-03-31");
    let none = "2026-03-31 この日に有効な被保険者証はありません\n  \
                保有者 141003 ひがし広域連合: 最初の異動（2026-04-01）より前です\n";
    assert_eq!((code, out.as_str()), (0, none));
    assert_eq!(on_day("1400000099", "2026-04-01").0, 1);
    assert_eq!(on_day("1400000010", "2026-04-31").0, 64);
}

#[test]
fn a_town_that_joins_cuts_its_people_off_and_the_reason_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let data = scenario(folder.path(), "case_3_union");
    let cut_off = |options: &[&str]| {
        let streams = told(&data, "0000000020", options);
        let record = &streams[0]["records"][0];
        assert_eq!((streams.len(), &record["findings"][0]["code"]), (1, &"S13".into()));
        [&record["cut_off"], &record["cut_off_reason"], &record["cut_off_by"]].map(text)
    };
    assert_eq!(cut_off(&[]), ["2026-07-01", "membership_began", "141003"]);
    assert_eq!(cut_off(&["--as-of", "2026-06"]), ["2026-07-01", "holder_ended", "143219"]);
    let story = shown(&data, "0000000020", &[]);
    let line = "\n  × 2026-07-01 から無効: 143219 が 141003 の構成市町村（行政区）になったため\n";
    assert!(story.contains(line) && story.contains("！ S13 "), "{story}");
    // Ended as it should be: the same day, but nothing is told of it.
    let ended = shown(&data, "0000000010", &[]);
    assert!(!ended.contains("から無効") && !ended.contains("S13"), "{ended}");
    let on = |day: &str| told(&data, "0000000020", &["--on-day", day]);
    assert_eq!(
        (&on("2026-06-30")[0]["insurer_name"], &on("2026-06-30")[0]["union_no"]),
        (&"Ｃ町".into(), &Value::Null)
    );
    assert!(on("2026-07-01").is_empty());
}

#[test]
fn a_slip_of_the_boundary_day_stands_in_the_stream_it_was_applied_to() {
    let folder = tempfile::tempdir().unwrap();
    let data = scenario(folder.path(), "union_slip_on_the_boundary_day");
    // Per stream: kind, standing and source of every record.
    let streams = |insured_no: &str, options: &[&str]| -> Vec<String> {
        let of = |stream: &Value| {
            let record = |record: &Value| format!("{} {}", text(&record["kind"]), text(&record["standing"]));
            let records: Vec<String> = list(stream, "records").iter().map(record).collect();
            format!("{}: {}", text(&stream["holder_no"]), records.join(", "))
        };
        told(&data, insured_no, options).iter().map(of).collect()
    };
    let of_town = "143014: movement live";
    let of_union = "141003: movement live, movement live";
    let (slip_of_town, slip_of_union) =
        (format!("{of_town}, correction applied"), format!("{of_union}, correction applied"));
    assert_eq!(streams("0000000010", &[]), [&slip_of_union, of_town]);
    assert_eq!(streams("0000000020", &[]), [of_union, &slip_of_town]);
    assert_eq!(streams("0000000030", &[]), [of_union, &slip_of_town]);
    assert_eq!(
        streams("0000000040", &[]),
        ["141003: movement live, movement deleted, correction applied", of_town]
    );
    assert_eq!(streams("0000000050", &[]), [slip_of_union.as_str()]);
    assert_eq!(streams("0000000010", &["--holder", "143014"]), [of_town]);
    let slip = &told(&data, "0000000020", &["--holder", "143014"])[0]["records"][1];
    assert_eq!(slip["corrects"]["file_name"], "143014-202610.csv");
    assert_eq!(slip["sent"]["name_kana"]["before"]["value"], "ｶｲｺﾞ ﾊﾅｺ");
    let cut = &told(&data, "0000000040", &[])[0]["records"][0];
    assert_eq!((&cut["cut_off_reason"], &cut["cut_off_by"]), (&"membership_ended".into(), &"141003".into()));
    let card = |day: &str| {
        let cards = told(&data, "0000000040", &["--on-day", day]);
        assert_eq!(cards.len(), 1);
        [&cards[0]["insurer_no"], &cards[0]["insurer_name"], &cards[0]["union_no"]].map(text)
    };
    assert_eq!(card("2026-09-30"), ["143014", "ＸＸ広域連合", "141003"]);
    assert_eq!(card("2026-10-01"), ["143014", "Ｂ町", ""]);
}

#[test]
fn the_card_has_the_name_of_the_day() {
    let folder = tempfile::tempdir().unwrap();
    let data = scenario(folder.path(), "union_insurer_renamed");
    let name = |day: &str| text(&told(&data, "1400000010", &["--on-day", day])[0]["insurer_name"]);
    assert_eq!(name("2026-06-14"), "ＸＸ広域連合");
    assert_eq!(name("2026-06-15"), "ＸＸ中央広域連合");
    assert_eq!(told(&data, "1400000010", &[])[0]["holder_name"], "ＸＸ中央広域連合");
}

/// Takes in readable files, each named `<processing month>_<take-in day>_<name>.csv` (see `support::Source`).
fn readable(folder: &Path, files: &[(&str, &str)]) -> String {
    let (readable, data) = (folder.join("readable"), folder.join("data"));
    fs::create_dir(&readable).unwrap();
    for (name, rows) in files {
        fs::write(readable.join(name), rows).unwrap();
    }
    golden::take_in(&readable, folder, &data);
    data.display().to_string()
}

#[test]
fn a_town_that_left_without_registering_again_holds_nobody_and_every_line_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let head =
        "exchange_id,movement_date,movement_type,movement_reason,insurer_no,insured_no,name_kana,members";
    let data = readable(
        folder.path(),
        &[
            (
                "2026-07_2026-07-01_union.csv",
                &format!(
                    "{head}\n5711,20260401,1,01,141003,,,142018:20260401 143014:20260401\n\
                     5711,20260701,2,99,141003,,,143014:20260401\n\
                     5311,20260501,1,01,142018,1400000010,ﾀﾛｳ,\n"
                ),
            ),
            (
                "2026-08_2026-08-01_town.csv",
                &format!(
                    "{head}\n5411,20250401,1,01,142018,,,\n5411,20260401,3,01,142018,,,\n\
                     5311,20260801,1,01,142018,0000000020,ﾊﾅｺ,\n"
                ),
            ),
        ],
    );
    let streams = told(&data, "0000000020", &[]);
    let record = &list(&streams[0], "records")[0];
    let cut_off = [&record["cut_off"], &record["cut_off_reason"], &record["cut_off_by"]].map(text);
    assert_eq!(cut_off, ["2026-04-01", "holder_ended", "142018"]);
    let told_of = list(record, "findings").iter().filter(|finding| finding["code"] == "S13");
    let messages: Vec<String> = told_of.map(|finding| text(&finding["message_ja"])).collect();
    let still_ended = "（2026-04-01から保険者142018は登録が終了したままです。";
    assert!(messages.len() == 1 && messages[0].contains(still_ended), "{messages:?}");
    let story = shown(&data, "0000000020", &[]);
    let line = "\n  × 有効にならない: 保険者 142018 が 2026-04-01 から終了したままのため\n";
    assert!(story.contains(line) && !story.contains("になったため"), "{story}");
    let none = shown(&data, "0000000020", &["--on-day", "2026-08-15"]);
    assert!(none.contains(line.trim_start_matches("\n  × ")), "{none}");
}

#[test]
fn whoever_asks_with_the_number_of_the_card_is_told_the_holder() {
    let folder = tempfile::tempdir().unwrap();
    let data = scenario(folder.path(), "union_slip_on_the_boundary_day");
    let told = |holder: &str, insured_no: &str| {
        let (code, out, err) =
            run(&["timeline", "--insured", insured_no, "--holder", holder, "--data", &data]);
        assert_eq!((code, out.as_str()), (1, ""), "{err}");
        err
    };
    for (holder, under) in [
        ("142018", "141003 (142018 is its member)"),
        ("143014", "141003 (143014 is its member until 2026-10-01)"),
        ("143219", "141003 (143219 is its member)"),
        ("149999", "141003"),
    ] {
        let line = format!("no record under holder {holder}; this number is known under {under}");
        let err = told(holder, "0000000050");
        assert!(err.lines().any(|told| told.ends_with(&line)), "{err}");
    }
    let nobody = told("142018", "0000000099");
    assert!(nobody.contains("no record of this insured number under this holder;"), "{nobody}");
}

/// The value that every slip of a stream found, by its name.
fn before(stream: &Value) -> Vec<(String, String)> {
    let slips = list(stream, "records").iter().filter(|record| record["standing"] == "applied");
    let name = |slip: &Value| slip["sent"]["name_kana"].clone();
    slips.map(|slip| (text(&name(slip)["value"]), text(&name(slip)["before"]["value"]))).collect()
}

fn pairs(of: &[(&str, &str)]) -> Vec<(String, String)> {
    of.iter().map(|(name, before)| ((*name).to_owned(), (*before).to_owned())).collect()
}

#[test]
fn what_stood_before_a_slip_is_not_what_a_later_slip_for_another_record_said() {
    let folder = tempfile::tempdir().unwrap();
    let movement =
        "exchange_id,movement_date,movement_type,movement_reason,insurer_no,insured_no,name_kana\n";
    let slip = "exchange_id,movement_date,correction_date,correction_type,insurer_no,insured_no,name_kana\n";
    let sent = |name: &str| format!("{movement}5311,20260401,1,01,141003,0000000010,{name}\n");
    let corrected = |date: &str, kind: &str, name: &str| {
        format!("{slip}5321,20260401,{date},{kind},141003,0000000010,{name}\n")
    };
    let data = readable(
        folder.path(),
        &[
            ("2026-05_2026-05-01_a.csv", &sent("ｲﾁ")),
            ("2026-06_2026-06-01_b.csv", &corrected("20260520", "2", "ﾆ")),
            ("2026-07_2026-07-01_c.csv", &corrected("20260620", "3", "ｻﾝ")),
            ("2026-08_2026-08-01_d.csv", &sent("ﾖﾝ")),
            ("2026-09_2026-09-01_e.csv", &corrected("20260820", "2", "ｺﾞ")),
        ],
    );
    let stream = &told(&data, "0000000010", &[])[0];
    assert_eq!(before(stream), pairs(&[("ﾆ", "ｲﾁ"), ("ｻﾝ", ""), ("ｺﾞ", "ﾖﾝ")]));
    let story = shown(&data, "0000000010", &[]);
    assert!(story.contains("\n  訂正 2026-06-20 削除  ["), "a deletion changes no item\n{story}");
}

#[test]
fn what_stood_before_a_slip_is_not_what_a_later_slip_for_another_holder_said() {
    let folder = tempfile::tempdir().unwrap();
    let registry =
        "exchange_id,movement_date,movement_type,movement_reason,insurer_no,insured_no,name_kana,members\n";
    let slip = "exchange_id,sender_no,movement_date,correction_date,correction_type,insurer_no,insured_no,name_kana\n";
    let corrected = |date: &str, kind: &str, name: &str| {
        format!("{slip}5321,141003,20261001,{date},{kind},143014,0000000010,{name}\n")
    };
    let data = readable(
        folder.path(),
        &[
            (
                "2026-04_2026-04-01_union.csv",
                &format!(
                    "{registry}5711,20260401,1,01,141003,,,142018:20260401 143014:20260401\n\
                     5311,20260401,1,01,143014,0000000010,ﾀﾛｳ,\n"
                ),
            ),
            (
                "2026-10_2026-10-01_union-october.csv",
                &format!(
                    "{registry}5711,20261001,2,99,141003,,,142018:20260401\n\
                     5311,20261001,3,02,143014,0000000010,,\n"
                ),
            ),
            (
                "2026-10_2026-10-02_town.csv",
                &format!("{registry}5311,20261001,1,01,143014,0000000010,ﾊﾅｺ,\n"),
            ),
            ("2026-11_2026-11-01_a.csv", &corrected("20261020", "2", "ｲﾁ")),
            ("2026-11_2026-11-02_b.csv", &corrected("20261021", "3", "")),
            ("2026-11_2026-11-03_c.csv", &corrected("20261022", "2", "ｻﾝ")),
        ],
    );
    let streams = told(&data, "0000000010", &[]);
    assert_eq!(before(&streams[0]), pairs(&[("ｲﾁ", "ﾀﾛｳ"), ("", "")]), "under the union");
    assert_eq!(before(&streams[1]), pairs(&[("ｻﾝ", "ﾊﾅｺ")]), "under the town");
}

#[test]
fn the_samples_read_like_a_story() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data").display().to_string();
    let inbox = Path::new(env!("CARGO_MANIFEST_DIR")).join("../samples/inbox").display().to_string();
    tsumiage(["nightly", "--quiet", "--inbox", &inbox, "--data", &data, "--on", "2026-11-01"]);
    let sql =
        "SELECT DISTINCT insured_no FROM findings WHERE code IN ('S01', 'S03') AND insured_no IS NOT NULL";
    let refused = tsumiage(["query", sql, "--format", "csv", "--data", &data]);
    let sql = "SELECT DISTINCT insured_no FROM recipient_history WHERE corrections > 0";
    let corrected = tsumiage(["query", sql, "--format", "csv", "--data", &data]);
    for (list, marks) in [(refused, ["取込不可", "S0"]), (corrected, ["訂正", "→"])] {
        let numbers: Vec<&str> = list.lines().skip(1).collect();
        assert!(!numbers.is_empty());
        for number in numbers {
            let story = tsumiage(["timeline", "--insured", number, "--data", &data]);
            assert!(marks.iter().all(|mark| story.contains(mark)), "{number}: {marks:?}\n{story}");
        }
    }
}
