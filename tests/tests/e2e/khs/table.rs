//! From a file of cards to table, views and timeline.

use super::{cards, rows};
use crate::place::{Place, manifest};
use crate::support::{names_in, snapshot_of};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Inodes of a snapshot's files by path, of some tables.
fn inodes(snapshot: &Path, tables: &[&str]) -> BTreeMap<String, u64> {
    let manifest = manifest(snapshot);
    let paths = manifest["files"].as_array().unwrap().iter().map(|file| file["path"].as_str().unwrap());
    let of_tables = paths.filter(|path| tables.iter().any(|table| path.starts_with(&format!("{table}/"))));
    of_tables.map(|path| (path.to_owned(), snapshot.join(path).metadata().unwrap().ino())).collect()
}

#[test]
fn the_newest_status_counts_and_a_refresh_rewrites_no_month() {
    let place = Place::new();
    place.two_months();
    let before = place.snapshot(&["resolve"]);
    assert_eq!(rows(&before), Vec::<String>::new());
    let first =
        cards(&place, &["141003,0000000010,1,,", "141003,0000000020,1,,", "142018,0000000010,2,2026-04-01,"]);
    assert_eq!(place.run(&["khs", "load", "--on", "2026-09-01", &first]).0, 0);
    let second = cards(&place, &["141003,0000000010,2,2026-08-30,", "141003,0000000020,1,,"]);
    assert_eq!(place.run(&["khs", "load", "--on", "2026-09-02", &second]).0, 0);
    let after = place.snapshot(&["resolve"]);
    assert_eq!(
        rows(&after),
        [
            "141003 0000000010 2 2026-08-30 - 2026-09-02",
            "141003 0000000020 1 - - 2026-09-02",
            "142018 0000000010 2 2026-04-01 - 2026-09-01",
        ]
    );
    assert_eq!(names_in(&after.join("khs")), ["141003.parquet", "142018.parquet"]);
    let recipients = ["recipient_month", "recipient_history"];
    assert_eq!(inodes(&before, &recipients), inodes(&after, &recipients), "all as before, months too");
    // One that says nothing of 142018 shares its file.
    let third = cards(&place, &["141003,0000000010,1,2026-08-30,2026-09-03"]);
    assert_eq!(place.run(&["khs", "load", "--on", "2026-09-03", &third]).0, 0);
    let last = place.snapshot(&["resolve"]);
    assert_eq!(rows(&last)[0], "141003 0000000010 1 2026-08-30 2026-09-03 2026-09-03");
    let of = |snapshot| inodes(snapshot, &["khs"])["khs/142018.parquet"];
    assert_eq!(of(&after), of(&last));
    assert_eq!(place.run(&["snapshots", "verify"]).0, 0);
}

#[test]
fn the_same_again_is_nothing_and_back_again_is_something() {
    let place = Place::new();
    let load = |status: &str| {
        let file = cards(&place, &[&format!("141003,0000000010,{status},,")]);
        let (code, out, err) = place.run(&["khs", "load", "--on", "2026-09-01", &file]);
        assert_eq!(code, 0, "{out}{err}");
        out.contains("1 taken in")
    };
    let status = || rows(&place.snapshot(&["resolve"]))[0].split(' ').nth(2).unwrap().to_owned();
    assert!(load("1") && !load("1") && !load("1"));
    assert_eq!(status(), "1");
    assert!(load("2"));
    assert_eq!(status(), "2");
    assert!(load("1"), "the same bytes as at first, but news");
    assert_eq!(status(), "1");
    assert!(!load("1"));
}

#[test]
fn what_is_wrong_is_found_and_the_rest_counts() {
    let place = Place::new();
    let file = cards(&place, &["141003,0000000010,1,,", "141003,20,1,,", "14100,0000000030,12,2026-02-30,x"]);
    let (code, out, err) = place.run(&["khs", "load", "--on", "2026-09-01", &file]);
    assert_eq!(code, 2, "{out}{err}");
    assert!(out.contains("3 found: 1 accepted, 2 rejected"), "{out}");
    let snapshot = snapshot_of(&place.run(&["resolve"]).1);
    assert_eq!(rows(&snapshot).len(), 1);
    let codes =
        place.query(&snapshot, "SELECT code || ' ' || item FROM findings ORDER BY record_no, code, item");
    assert_eq!(
        codes,
        ["R02 insured_no", "R02 insurer_no", "R03 end_cancel_date", "R03 end_date", "R05 status"]
    );
    let no_cards = place.write_text("no-cards.csv", "");
    assert_eq!(place.run(&["khs", "load", "--on", "2026-09-01", &no_cards]).0, 2);
    assert_eq!(place.run(&["khs", "load", "gone.csv"]).0, 64);
}

#[test]
fn what_is_closed_or_withdrawn_does_not_know_it() {
    let place = Place::new();
    place.two_months();
    let load = |on: &str, status: &str| {
        let file = cards(&place, &[&format!("141003,0000000010,{status},,")]);
        assert_eq!(place.run(&["khs", "load", "--on", on, &file]).0, 0);
    };
    load("2026-07-02", "1");
    let closed = place.snapshot(&["close", "2026-07", "--on", "2026-07-31"]);
    assert_eq!(rows(&closed), ["141003 0000000010 1 - - 2026-07-02"]);
    load("2026-07-31", "2"); // of a closed month: known from the next on
    let now = place.snapshot(&["resolve"]);
    assert_eq!(rows(&now), ["141003 0000000010 2 - - 2026-07-31"]);
    let as_of = place.snapshot(&["resolve", "--as-of", "2026-07"]);
    assert_eq!(rows(&as_of), ["141003 0000000010 1 - - 2026-07-02"]);
    let sql = "SELECT file_id FROM files WHERE name LIKE 'khs-2026-07-31%'";
    let id = place.run(&["query", sql, "--format", "csv"]).1.lines().last().unwrap().to_owned();
    assert_eq!(place.run(&["withdraw", &id, "--reason", "x", "--on", "2026-08-01"]).0, 0);
    assert_eq!(rows(&place.snapshot(&["resolve"])), ["141003 0000000010 1 - - 2026-07-02"]);
    let before = manifest(&place.snapshot(&["resolve"]));
    let again = manifest(&place.snapshot(&["rebuild"]));
    assert_eq!(again["content_digest"], before["content_digest"], "from the archive alone");
    assert_eq!(place.status()["missing_senders"], serde_json::json!([]), "nobody has to send cards");
}

#[test]
fn an_answer_that_counts_too_late_is_refused_until_its_month_is_open() {
    let place = Place::new();
    place.two_months();
    let head = r#"{"khs":1,"form":"json","insurer_no":"141003","on":"2026-07-02","number":1}"#;
    let body = r#"{"care_insure_provider_number":"141003","result":"成功","file_if_id":"IFI601040","record_num":2,"body":[
        {"care_insure_provider_number":"141003","care_insurer_number":"0000000010","care_insurance_status":"1"}]}"#;
    let miscounted = place.write_text("khs-2026-07-02-000001-141003.json", &format!("{head}\n{body}"));
    assert_eq!(place.run(&["nightly", "--on", "2026-07-02", &miscounted]).0, 2, "F03");
    place.snapshot(&["close", "2026-07", "--on", "2026-07-31"]);
    place.set_profile("lenient");
    let resolved = |args: &[&str]| {
        let (code, out, err) = place.run(args);
        assert!(code != 1, "{out}{err}");
        snapshot_of(&out)
    };
    assert_eq!(rows(&resolved(&["nightly", "--on", "2026-08-01"])), Vec::<String>::new(), "F08");
    let tables = |snapshot: &Path| manifest(snapshot)["tables"].clone();
    let before = tables(&resolved(&["resolve"]));
    assert_eq!(tables(&resolved(&["rebuild"])), before);
    let again = resolved(&["nightly", "--recheck", "--on", "2026-08-01"]);
    assert_eq!(rows(&again), Vec::<String>::new(), "its month is closed still");
    assert_eq!(place.run(&["reopen", "2026-07", "--reason", "x", "--on", "2026-08-02"]).0, 0);
    let open = resolved(&["nightly", "--on", "2026-08-02"]);
    assert_eq!(rows(&open), ["141003 0000000010 1 - - 2026-07-02"]);
    assert_eq!(tables(&resolved(&["rebuild"])), tables(&open));
}

#[test]
fn warnings_are_counted_and_senders_are_not_told_of_answers() {
    let place = Place::new();
    place.two_months();
    let head = r#"{"khs":1,"form":"csv","insurer_no":"141003","insured_no":"0000000010","on":"2026-07-02","number":1}"#;
    let file = place.write_text("khs.csv", &format!("{head}\n141003,0000000020,1,,\n"));
    let snapshot = place.snapshot(&["nightly", "--on", "2026-07-02", &file]);
    let sql = "SELECT accepted, warned FROM files WHERE data_type = 'KHS'";
    assert_eq!(place.query(&snapshot, sql), ["1,1"]);
    let lists = place.path("lists");
    assert_eq!(place.run(&["findings", "--out", &lists]).0, 0);
    for name in names_in(Path::new(&lists)) {
        let list = std::fs::read(Path::new(&lists).join(&name)).unwrap();
        assert!(!String::from_utf8_lossy(&list).contains("khs.csv"), "{name}");
    }
    assert_eq!(place.status()["open_months"], serde_json::json!(["2026-05", "2026-06"]), "no month's work");
}

#[test]
fn a_withdrawn_answer_can_come_again_on_its_day() {
    let place = Place::new();
    let load = || {
        let file = cards(&place, &["141003,0000000010,1,,"]);
        assert_eq!(place.run(&["khs", "load", "--on", "2026-09-01", &file]).0, 0);
    };
    load();
    let sql = "SELECT file_id FROM files";
    let id = place.query(&place.snapshot(&["resolve"]), sql).remove(0);
    assert_eq!(place.run(&["withdraw", &id, "--reason", "x", "--on", "2026-09-01"]).0, 0);
    assert_eq!(rows(&place.snapshot(&["resolve"])), Vec::<String>::new());
    load();
    assert_eq!(rows(&place.snapshot(&["resolve"])).len(), 1);
    assert!(fs::read_dir(place.path("data/temp")).unwrap().next().is_none(), "nothing is left behind");
}

#[test]
fn a_person_of_another_holder_is_not_shown() {
    let place = Place::new();
    place.two_months();
    // 141003 becomes a member of 149997 with new insured numbers: the old number is somebody else's there.
    let list = place.union_list("149997", "2026-07", "20260701", "141003:20260701");
    place.snapshot(&["nightly", "--on", "2026-07-20", &list]);
    let file = cards(&place, &["141003,0000000010,2,,"]);
    assert_eq!(place.run(&["khs", "load", "--on", "2026-08-01", &file]).0, 0);
    let timeline = place.run(&["timeline", "--insured", "0000000010"]).1;
    assert!(!timeline.contains("被保険者証利用情報"), "{timeline}");
}

#[test]
fn the_window_of_months_stays() {
    let place = Place::new();
    place.two_months();
    let months = |snapshot: &Path| names_in(&snapshot.join("recipient_month"));
    let before = months(&place.snapshot(&["resolve"]));
    let file = cards(&place, &["141003,0000000010,1,,"]);
    assert_eq!(place.run(&["khs", "load", "--on", "2026-12-01", &file]).0, 0);
    assert_eq!(months(&place.snapshot(&["resolve"])), before);
}

#[test]
fn the_timeline_shows_it_with_the_label_of_a_code_table() {
    let place = Place::new();
    place.two_months();
    let file = cards(&place, &["141003,0000000010,1,2026-08-30,2026-09-03", "142018,0000000010,2,,"]);
    assert_eq!(place.run(&["khs", "load", "--on", "2026-09-04", &file]).0, 0);
    let timeline = |more: &[&str]| {
        let args = [&["timeline", "--insured", "0000000010"], more].concat();
        let (code, out, err) = place.run(&args);
        assert_eq!(code, 0, "{err}");
        out
    };
    let line = "被保険者証利用情報  証記載保険者番号 141003  ステータス 1  利用停止日 2026-08-30  利用停止解除日 2026-09-03  取得日 2026-09-04\n";
    let table = timeline(&[]);
    assert!(table.contains(line), "{table}");
    assert!(!table.contains("142018"), "not a number of its records");
    let json: Value = serde_json::from_str(&timeline(&["--format", "json"])).unwrap();
    assert_eq!(json[0]["khs"][0]["status"]["code"], "1");
    assert_eq!(json[0]["khs"][0]["known_on"], "2026-09-04");
    let csv = timeline(&["--format", "csv"]);
    assert!(csv.contains("khs_end_date,介護被保険者証利用停止日,2026-08-30"), "{csv}");
    place.write_text("layouts/khs_status.csv", "code,name_ja\n1,利用可\n");
    let layouts = place.path("layouts");
    let labelled = timeline(&["--layouts", &layouts]);
    assert!(labelled.contains("ステータス 1 利用可"), "{labelled}");
    // A table that has codes is one that decides.
    let data = place.path("other");
    let args = ["khs", "load", "--on", "2026-09-04", &file, "--data", &data, "--layouts", &layouts];
    assert_eq!(crate::place::run(&args).0, 2, "2 is no code of this table");
}
