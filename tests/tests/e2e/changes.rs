//! What a correction, a late movement, a withdrawal or the registry changed: `plan` before, `changes` and
//! `snapshots diff` after, and which files were made again.

use crate::place::{Place, hashes, manifest};
use crate::support::{Source, snapshot_of, tsumiage};
use serde_json::Value;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use tsumiage_pipeline::writer::Quoting;
use tsumiage_schemas::Spec;

/// A file of any rows: exchange id, then items as `name=value`.
fn file(place: &Place, name: &str, month: &str, sender_no: &str, rows: &[(&str, &str)]) -> String {
    let item = |pair: &str| {
        let (name, value) = pair.split_once('=').unwrap();
        (name.to_owned(), value.to_owned())
    };
    let row = |(id, items): &(&str, &str)| ((*id).to_owned(), items.split(' ').map(item).collect());
    let source = Source {
        name: name.to_owned(),
        processing_month: month.parse().unwrap(),
        taken_in_on: "2026-01-01".parse().unwrap(), // told when it is taken in
        sender_no: sender_no.to_owned(),
        rows: rows.iter().map(row).collect(),
    };
    let path = place.path(name);
    fs::write(&path, source.to_exchange_file(&Spec::embedded().unwrap(), Quoting::Needed)).unwrap();
    path
}

fn slip(insured: &str, date: &str, correction_type: &str, more: &str) -> String {
    format!(
        "movement_date={date} correction_date=20260702 correction_type={correction_type} insurer_no=141003 \
         insured_no={insured:0>10}{more}"
    )
}

/// Three insurers: 141003 with two months of two people, the others with one person each.
fn three_insurers() -> Place {
    let place = Place::new();
    place.two_months();
    for insurer_no in ["142018", "143014"] {
        let name = format!("{insurer_no}.csv");
        let path = place.file_of(insurer_no, &name, "2026-06", &[("70", "20260601", "1", "12")]);
        place.snapshot(&["nightly", "--on", "2026-06-21", &path]);
    }
    place
}

/// Rows of `changes`: month, holder, insured number, what, item, before, after, cause, record, date.
fn changes(place: &Place, snapshot: &Path) -> Vec<String> {
    let sql = "SELECT service_month, holder_no, right(insured_no, 2) AS p, change, item, before, after, cause, \
               cause_record_no, cause_date FROM changes ORDER BY 1, 2, 3, 5";
    place.query(snapshot, sql)
}

/// The files that two snapshots do not share.
fn made(before: &Path, after: &Path) -> Vec<String> {
    let files = manifest(after)["files"].as_array().unwrap().clone();
    let paths = files.iter().map(|file| file["path"].as_str().unwrap().to_owned());
    let inode = |folder: &Path, path: &str| folder.join(path).metadata().ok().map(|m| m.ino());
    paths.filter(|path| inode(before, path) != inode(after, path)).collect()
}

/// The same with the standard output.
fn diff(place: &Place, before: &Path, after: &Path, format: &str) -> String {
    let id = |path: &Path| path.file_name().unwrap().to_str().unwrap().to_owned();
    let (a, b) = (id(before), id(after));
    tsumiage(["snapshots", "diff", &a, &b, "--format", format, "--data", &place.data()])
}

fn plan(place: &Place, options: &[&str]) -> Value {
    let data = place.data();
    let args = [&["plan", "--format", "json", "--data", &data], options].concat();
    serde_json::from_str(&tsumiage(args)).unwrap()
}

fn latest(place: &Place) -> PathBuf {
    fs::canonicalize(place.path("data/snapshots/latest")).unwrap()
}

#[test]
fn a_correction_remakes_its_insurer_and_says_what_it_changed() {
    let place = three_insurers();
    let before = latest(&place);
    assert_eq!(plan(&place, &[])["stands"], before.file_name().unwrap().to_str().unwrap());
    let slips = [slip("10", "20260610", "2", " care_level=22"), slip("20", "20260502", "3", "")];
    let rows: Vec<(&str, &str)> = slips.iter().map(|row| ("5321", row.as_str())).collect();
    let fix = file(&place, "fix.csv", "2026-07", "141003", &rows);
    place.run(&["ingest", "--on", "2026-07-05", &fix]);

    let months = ["--months", "2026-05..2026-06"];
    let planned = plan(&place, &months);
    assert_eq!(planned["units_again"], 1, "{planned}");
    assert_eq!(planned["again"][0]["insurers"], serde_json::json!(["141003"]));
    let reason = &planned["again"][0]["reasons"][0];
    assert_eq!((&reason["why"], &reason["name"]), (&"file_came".into(), &"fix.csv".into()), "{planned}");
    assert_eq!((&reason["movements"], &reason["corrections"]), (&0.into(), &2.into()));
    assert_eq!(planned["recipients_touched"], 2);
    assert_eq!(planned["again"][0]["touched"][1]["from_month"], "2026-05");
    let table = tsumiage(["plan", "--data", &place.data(), "--months", "2026-05..2026-06"]);
    assert!(table.contains("came: fix.csv (2026-07, 2 corrections)"), "{table}");
    let list = tsumiage(["plan", "--data", &place.data(), "--format", "csv"]);
    assert!(list.contains("141003,0000000010,2026-06\n141003,0000000020,2026-05\n"), "{list}");

    place.run(&["resolve"]); // the window moves: July is new
    let after = latest(&place);
    let expected = [
        "2026-05-01,141003,20,removed,,,,deletion,3,2026-07-02",
        "2026-06-01,141003,10,changed,care_level,21,22,correction,2,2026-07-02",
        "2026-06-01,141003,10,changed,last_correction_date,,2026-07-02,correction,2,2026-07-02",
        "2026-06-01,141003,20,removed,,,,deletion,3,2026-07-02",
    ];
    assert_eq!(changes(&place, &after), expected);
    assert_eq!(manifest(&after)["changes"]["since"], before.file_name().unwrap().to_str().unwrap());
    let again = made(&before, &after);
    let of_others = |path: &&String| path.contains("142018") || path.contains("143014");
    let of_others: Vec<&String> = again.iter().filter(of_others).collect();
    // July is new, also in what is found of the months (S10).
    let expected = [
        "findings/142018.parquet",
        "findings/143014.parquet",
        "recipient_month/month=2026-07/142018.parquet",
        "recipient_month/month=2026-07/143014.parquet",
    ];
    assert_eq!(of_others, expected);
    assert!(again.contains(&"recipient_month/month=2026-06/141003.parquet".to_owned()), "{again:?}");

    let told = diff(&place, &before, &after, "table");
    assert!(told.contains("141003 0000000010"), "{told}");
    assert!(
        told.contains("2026-06          care_level: 21 -> 22  (correction of 2026-07-02, fix.csv record 2)"),
        "{told}"
    );
    assert!(
        told.contains("2026-05..2026-06 not effective any more  (deletion of 2026-07-02, fix.csv record 3)"),
        "{told}"
    );
    assert!(told.contains("2 recipients differ in 3 months of theirs, 4 differences"), "{told}");
    let json: Value = serde_json::from_str(&diff(&place, &before, &after, "json")).unwrap();
    assert_eq!((&json["recipients"], &json["differences"]), (&2.into(), &4.into()));
    assert_eq!(json["changes"][1]["item"], "care_level");
    assert_eq!(json["changes"][0]["item"], Value::Null);
    let back = diff(&place, &after, &before, "csv");
    assert!(back.starts_with("service_month,holder_no,"), "{back}");
    assert!(back.contains("2026-06-01,141003,0000000010,changed,care_level,22,21,withdrawal,"), "{back}");
    assert!(back.contains("2026-05-01,141003,0000000020,added,,,,withdrawal,"), "{back}");
    assert!(diff(&place, &after, &after, "table").contains("no differences"));

    let out = place.path("differences.parquet");
    let ids = [&before, &after].map(|path| path.file_name().unwrap().to_str().unwrap().to_owned());
    let (code, said, err) = place.run(&["snapshots", "diff", &ids[0], &ids[1], "--out", &out]);
    assert_eq!((code, said.contains("4 differences")), (0, true), "{said}{err}");
    assert!(Path::new(&out).metadata().unwrap().len() > 1_000);
}

#[test]
fn a_late_movement_and_a_withdrawal_are_named_as_what_they_are() {
    let place = three_insurers();
    place.set_months("2026-05..2026-06");
    let late = place.file("late.csv", "2026-06", &[("20", "20260601", "2", "22")]);
    let after = place.snapshot(&["nightly", "--on", "2026-06-25", &late]);
    let found = changes(&place, &after);
    assert!(found.iter().all(|row| row.ends_with("movement,2,2026-06-01")), "{found:#?}");
    let level: Vec<&String> = found.iter().filter(|row| row.contains("care_level,")).collect();
    assert_eq!(level, ["2026-06-01,141003,20,changed,care_level,12,22,movement,2,2026-06-01"]);

    let id = place.file_id("late.csv");
    place.run(&["withdraw", &id, "--reason", "誤送付", "--on", "2026-06-26"]);
    let planned = plan(&place, &[]);
    assert_eq!(planned["again"][0]["reasons"][0]["why"], "file_gone", "{planned}");
    let back = place.snapshot(&["resolve"]);
    let found = changes(&place, &back);
    assert!(found.iter().all(|row| row.ends_with("withdrawal,2,2026-06-01")), "{found:#?}");
    assert!(found.iter().any(|row| row.contains("care_level,22,12")), "{found:#?}");

    // A refused record changes nothing and is no cause.
    let refused = place.file("refused.csv", "2026-06", &[("20", "20260502", "2", "13")]);
    let (_, out, _) = place.run(&["nightly", "--on", "2026-06-27", &refused]);
    assert!(changes(&place, &snapshot_of(&out)).is_empty());
}

#[test]
fn the_registry_is_named_where_no_record_did_it() {
    let place = three_insurers();
    place.set_months("2026-05..2026-06");
    place.snapshot(&["resolve"]);
    let named = file(
        &place,
        "named.csv",
        "2026-06",
        "142018",
        &[(
            "5411",
            "movement_date=20260401 movement_type=1 insurer_no=142018 insurer_name=Ａ市 insurer_type=1",
        )],
    );
    place.run(&["ingest", "--on", "2026-06-28", &named]);
    let planned = plan(&place, &[]);
    let why: Vec<&str> = planned["again"][0]["reasons"]
        .as_array()
        .unwrap()
        .iter()
        .map(|r| r["why"].as_str().unwrap())
        .collect();
    assert_eq!((why, &planned["units_again"]), (vec!["names", "registered"], &1.into()), "{planned}");
    place.run(&["resolve"]);
    let found = changes(&place, &latest(&place));
    assert_eq!(found, ["2026-06-01,142018,70,changed,holder_name,,Ａ市,insurer,2,2026-04-01"]);

    // The town joins a union: its person goes from one holder to the other.
    let union = file(
        &place,
        "union.csv",
        "2026-06",
        "149999",
        &[("5711", "movement_date=20260601 movement_type=1 insurer_no=149999 members=142018:20260601")],
    );
    place.run(&["ingest", "--on", "2026-06-29", &union]);
    place.run(&["resolve"]);
    let found = changes(&place, &latest(&place));
    let expected = [
        "2026-06-01,142018,70,removed,,,,membership,2,2026-06-01",
        "2026-06-01,149999,70,added,,,,membership,2,2026-06-01",
    ];
    assert_eq!(found, expected);
}

#[test]
fn what_does_not_become_latest_tells_no_changes_and_first_ones_neither() {
    let place = three_insurers();
    let first = fs::read_dir(place.path("data/snapshots")).unwrap();
    let mut names: Vec<PathBuf> =
        first.map(|e| e.unwrap().path()).filter(|p| p.is_dir() && !p.is_symlink()).collect();
    names.sort();
    assert_eq!(manifest(&names[0])["changes"]["since"], Value::Null);
    assert_eq!(manifest(&names[0])["changes"]["rows"], 0);
    let lazy = place.snapshot(&["resolve", "--inheritance", "lazy"]);
    assert_eq!(manifest(&lazy)["changes"]["since"], Value::Null);
    let as_of = place.snapshot(&["resolve", "--as-of", "2026-05"]);
    assert!(changes(&place, &as_of).is_empty());
    assert_eq!(
        plan(&place, &["--inheritance", "lazy"])["stands"],
        lazy.file_name().unwrap().to_str().unwrap()
    );
    let other = plan(&place, &["--inheritance", "lazy", "--as-of", "2026-05"]);
    assert_eq!(other["base"], lazy.file_name().unwrap().to_str().unwrap(), "{other}");
}

#[test]
fn a_plan_changes_nothing_and_knows_layouts_and_damage() {
    let place = three_insurers();
    let snapshot = latest(&place);
    let before: Vec<_> = fs::read_dir(place.data()).unwrap().map(|e| e.unwrap().file_name()).collect();
    place.set_profile("lenient");
    let planned = plan(&place, &[]);
    assert_eq!((&planned["units_again"], &planned["base"]), (&3.into(), &Value::Null), "{planned}");
    assert_eq!(planned["again"][2]["reasons"], serde_json::json!([{"why": "layouts"}]));
    assert!(tsumiage(["plan", "--data", &place.data()]).contains("other layouts, codes or rules"));
    place.set_profile("strict");
    // Other months: all is stacked, what was published stands.
    let planned = plan(&place, &["--months", "2026-04..2026-06"]);
    assert_eq!(planned["again"][0]["reasons"], serde_json::json!([{"why": "months"}]), "{planned}");
    // A damaged file is not taken over.
    let damaged = "recipient_month/month=2026-06/142018.parquet";
    let path = snapshot.join(damaged);
    let mut bytes = fs::read(&path).unwrap();
    bytes[100] ^= 1;
    fs::remove_file(&path).unwrap();
    fs::write(&path, bytes).unwrap();
    let more = place.file("more.csv", "2026-06", &[("20", "20260603", "2", "22")]);
    place.run(&["ingest", "--on", "2026-06-30", &more]);
    let planned = plan(&place, &[]);
    assert_eq!(planned["units_again"], 2, "{planned}");
    assert_eq!(planned["again"][1]["reasons"], serde_json::json!([{"why": "damaged", "path": damaged}]));
    let after: Vec<_> = fs::read_dir(place.data()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(before.len(), after.len());
    let (code, out, err) = place.run(&["resolve"]);
    assert_eq!(code, 0, "{err}");
    tsumiage(["snapshots", "verify", "--data", &place.data()]);
    assert_ne!(fs::read(snapshot_of(&out).join(damaged)).unwrap(), fs::read(&path).unwrap());
}

#[test]
fn findings_of_rejected_files_stand_though_no_month_is_published() {
    let place = Place::new();
    let miscounted = |insurer_no: &str| {
        let name = format!("{insurer_no}.csv");
        let rows = [("40", "20260503", "1", "12"), ("50", "20260504", "1", "12")];
        let path = place.file_of(insurer_no, &name, "2026-05", &rows);
        let bytes = fs::read(&path).unwrap();
        let at = bytes.windows(8).position(|w| w == b"1,1,0,2,").unwrap();
        fs::write(&path, [&bytes[..at], b"1,1,0,1,", &bytes[at + 8..]].concat()).unwrap();
        path
    };
    let [first, second] = ["142018", "143014"].map(miscounted);
    place.run(&["nightly", "--on", "2026-05-20", &first]);
    let (_, out, _) = place.run(&["nightly", "--on", "2026-05-21", &second]);
    let now = snapshot_of(&out);
    assert_eq!(manifest(&now)["first_month"], Value::Null);
    let sql = "SELECT sender_no FROM findings WHERE code = 'F03' ORDER BY 1";
    assert_eq!(place.query(&now, sql), ["142018", "143014"]);
    tsumiage(["snapshots", "verify", "--data", &place.data()]);
    let other = place.copied_archive("other");
    let (_, out, _) = crate::place::run(&["rebuild", "--data", &other]);
    assert_eq!(hashes(&snapshot_of(&out)), hashes(&now));
}

#[test]
fn a_snapshot_of_other_months_is_not_gone_by() {
    let place = three_insurers();
    place.set_months("2026-05..2026-06");
    let latest = place.snapshot(&["resolve"]);
    place.snapshot(&["resolve", "--months", "2026-06..2026-06"]);
    let more = place.file("more.csv", "2026-06", &[("20", "20260603", "2", "22")]);
    place.run(&["ingest", "--on", "2026-06-30", &more]);
    let planned = plan(&place, &[]);
    assert_eq!(planned["base"], latest.file_name().unwrap().to_str().unwrap(), "{planned}");
    assert_eq!(planned["units_again"], 1, "{planned}");
}
