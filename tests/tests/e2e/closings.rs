//! Closing and opening again: what is frozen, that it never changes, and what a reopening lets in.

use crate::place::{Place, manifest, published, run};
use crate::support::{names_in, snapshot_of};
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};

/// The events of a run with `--json`.
fn events_of(out: &str) -> Vec<Value> {
    out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The snapshot as of a month, resolved again where none stands.
fn again(place: &Place, month: &str) -> PathBuf {
    fs::rename(place.path("data/snapshots"), place.path("aside")).unwrap();
    let snapshot = place.snapshot(&["resolve", "--as-of", month]);
    fs::rename(place.path("data/snapshots"), place.path("again")).unwrap();
    fs::rename(place.path("aside"), place.path("data/snapshots")).unwrap();
    let again = Path::new(&place.path("again")).join(snapshot.file_name().unwrap());
    let kept = Path::new(&place.path("kept")).join(month);
    fs::create_dir_all(place.path("kept")).unwrap();
    let _ = fs::remove_dir_all(&kept);
    fs::rename(again, &kept).unwrap();
    fs::remove_dir_all(place.path("again")).unwrap();
    kept
}

#[test]
fn what_was_frozen_is_resolved_again_byte_for_byte() {
    let place = Place::new();
    place.two_months();
    let rejected = place.miscounted("before.csv", "2026-05");
    assert_eq!(place.run(&["ingest", "--on", "2026-06-21", &rejected]).0, 2);
    let may = place.snapshot(&["close", "2026-05", "--on", "2026-06-30"]);
    // Later: a file too late, a correction and a late movement of May's people, one withdrawn record of June.
    let late = place.file("late.csv", "2026-05", &[("60", "20260505", "1", "12")]);
    let slip = place.slip("slip.csv", "2026-06", ["10", "20260501", "20260625", "22"]);
    let movement = place.file("pattern4.csv", "2026-06", &[("20", "20260515", "2", "21")]);
    assert_eq!(place.run(&["nightly", "--on", "2026-06-30", &late, &slip, &movement]).0, 2, "F08");
    let id = place.file_id("june.csv");
    place.run(&["withdraw", &format!("{id}:3"), "--reason", "誤送付", "--on", "2026-06-30"]);
    let june = place.snapshot(&["close", "2026-06", "--on", "2026-07-01"]);
    assert_eq!(place.people(&june), ["10", "20"]);
    // Later still: May's file withdrawn, another correction, a file read again, July.
    place.run(&["withdraw", &place.file_id("may.csv"), "--reason", "取違え", "--on", "2026-07-02"]);
    let slip = place.slip("slip2.csv", "2026-07", ["10", "20260610", "20260702", "23"]);
    let july = place.file("july.csv", "2026-07", &[("90", "20260701", "1", "12")]);
    let newcomer = place.file_of("142018", "newcomer.csv", "2026-07", &[("95", "20260702", "1", "12")]);
    let files = [&slip, &july, &rejected, &newcomer].map(String::as_str);
    let args = ["nightly", "--recheck", "--on", "2026-07-20"].into_iter().chain(files);
    let (_, out, _) = place.run(&args.collect::<Vec<_>>());
    assert_eq!(place.people(&snapshot_of(&out)), ["90", "95"], "nothing of May is left");

    let other = place.copied_archive("other");
    assert_eq!(run(&["rebuild", "--data", &other]).0, 0);
    for (month, of) in [("2026-05", &may), ("2026-06", &june)] {
        let frozen = published(of);
        assert!(frozen.len() > 8 && frozen.keys().any(|path| path.starts_with("recipient_month/")));
        let today = again(&place, month);
        assert_eq!(published(&today), frozen, "{month} today");
        // Not even the id tells of an insurer that came later.
        assert_eq!(crate::place::hashes(&today), crate::place::hashes(of), "{month} today");
        let (code, out, err) = run(&["resolve", "--as-of", month, "--data", &other]);
        assert_eq!(code, 0, "{err}");
        assert_eq!(published(&snapshot_of(&out)), frozen, "{month} elsewhere, from the archive alone");
    }
    assert_eq!(place.snapshot(&["resolve", "--as-of", "2026-05"]), may, "and named where it stands");
}

#[test]
fn closing_tells_what_it_freezes() {
    let place = Place::new();
    place.two_months();
    let half =
        place.file("half.csv", "2026-06", &[("60", "20260612", "1", "12"), ("70", "20260613", "1", "98")]);
    assert_eq!(place.run(&["nightly", "--on", "2026-06-21", &half]).0, 2);
    let (code, out, err) = place.run(&["close", "2026-06", "--on", "2026-07-01"]);
    assert_eq!(code, 0, "{err}");
    let id = snapshot_of(&out).file_name().unwrap().to_str().unwrap().to_owned();
    let told = format!(
        "frozen     as of 2026-06: 3 files, 6 records: 5 accepted, 1 rejected\n\
         \x20          4 recipients, 6 rows, service months 2026-05..2026-06; snapshot {id}\n"
    );
    assert!(out.contains(&told), "{out}");
    // The same again as an event and in the report.
    let (_, out, _) = place.run(&["close", "2026-06", "--on", "2026-07-02", "--json"]);
    let events = events_of(&out);
    let frozen = events.iter().find(|event| event["event"] == "frozen").unwrap();
    let figures = json!({
        "month": "2026-06", "snapshot": id, "files": 3, "records": 6, "accepted": 5, "rejected": 1, "recipients": 4,
        "month_rows": 6, "first_month": "2026-05", "last_month": "2026-06",
    });
    for (name, value) in figures.as_object().unwrap() {
        assert_eq!(&frozen[name], value, "{name}");
    }
    let report = events.iter().find(|event| event["event"] == "report").unwrap()["path"].as_str().unwrap();
    let report: Value = serde_json::from_str(&fs::read_to_string(report).unwrap()).unwrap();
    assert_eq!(report["frozen"], figures);
    let rows = place.query(Path::new(&id), "SELECT count(*) AS n FROM recipient_month");
    assert_eq!(rows, ["6"]);
    // A run that closes nothing freezes nothing.
    let (_, out, _) = place.run(&["resolve", "--json"]);
    assert!(events_of(&out).iter().all(|event| event["event"] != "frozen"), "{out}");
}

#[test]
fn a_month_opened_again_takes_in_what_came_too_late_and_is_frozen_anew() {
    let place = Place::new();
    place.two_months();
    let [april, may] =
        ["2026-04", "2026-05"].map(|month| place.miscounted(&format!("wrong-{month}.csv"), month));
    assert_eq!(place.run(&["ingest", "--on", "2026-06-21", &april, &may]).0, 2);
    let frozen_april = published(&place.snapshot(&["close", "2026-04", "--on", "2026-06-30"]));
    let frozen = place.snapshot(&["close", "2026-05", "--on", "2026-06-30"]);
    let late = ["2026-04", "2026-05"].map(|month| {
        place.file(&format!("late-{month}.csv"), month, &[(&month[5..], "20260420", "1", "12")])
    });
    assert_eq!(place.run(&["nightly", "--on", "2026-07-01", &late[0], &late[1]]).0, 2, "F08 twice");
    // Read leniently May's file would be accepted, but it stood rejected when its month was closed.
    place.set_profile("lenient");
    assert_eq!(place.run(&["nightly", "--on", "2026-07-01"]).0, 2);
    let latest = place.snapshot(&["resolve"]);
    assert_eq!(place.people(&latest), ["10", "20", "30"]);

    let reopen = ["reopen", "2026-05", "--reason", " 遅延分の取込み ", "--on", "2026-07-02"];
    let (code, out, err) = place.run(&reopen);
    assert_eq!(code, 0, "{err}");
    let told = "reopened   2026-05 and all later processing months; 2026-04 and earlier ones stay closed\n\
                files      2 are checked again by the next run that takes in\n";
    assert_eq!(out, told);
    assert!(err.contains("nothing is published yet") && err.contains("tsumiage close 2026-05"), "{err}");
    let event = names_in(Path::new(&place.path("data/archive/events"))).pop().unwrap();
    let kept = fs::read_to_string(place.path(&format!("data/archive/events/{event}"))).unwrap();
    assert_eq!(
        serde_json::from_str::<Value>(&kept).unwrap(),
        json!({"number": 3, "kind": "reopen", "processing_month": "2026-05", "on": "2026-07-02",
            "reason": "遅延分の取込み"})
    );
    assert_eq!(place.snapshot(&["resolve"]), latest, "it changes no facts by itself");
    let (code, _, err) = place.run(&reopen);
    assert!(code == 64 && err.contains("2026-05 is not closed, 2026-04 and all earlier ones are"), "{err}");
    let status = place.status();
    let reopening = json!({
        "month": "2026-05", "on": "2026-07-02", "reason": "遅延分の取込み", "closed_again": false,
    });
    assert_eq!((&status["closed_through"], &status["reopenings"]), (&"2026-04".into(), &json!([reopening])));
    assert_eq!(status["open_months"], json!(["2026-05", "2026-06"]));
    let table = place.run(&["status"]).1;
    assert!(
        table.contains("\nreopened     2026-05 and later ones on 2026-07-02: 遅延分の取込み\n"),
        "{table}"
    );

    // Nobody gives the files again: they arrived when they arrived. April's stay out.
    let (code, out, err) = place.run(&["nightly", "--on", "2026-07-03"]);
    assert_eq!(code, 0, "{err}");
    let now = snapshot_of(&out);
    assert_eq!(place.people(&now), ["05", "10", "20", "30", "40", "50"]);
    let sql = "SELECT taken_in_on FROM files WHERE name LIKE '%-2026-05.csv' ORDER BY name";
    assert_eq!(place.query(&now, sql), ["2026-07-01", "2026-06-21"]);
    assert_eq!(place.run(&["nightly", "--on", "2026-07-04"]).0, 0, "and nothing is left to check");
    assert_eq!(place.status()["files"]["rejected"], 2);

    let new = place.snapshot(&["close", "2026-05", "--on", "2026-07-05"]);
    assert_ne!(new, frozen);
    assert!(frozen.join("manifest.json").is_file(), "what was told before stays");
    assert_eq!(
        (&manifest(&new)["as_of"], place.people(&frozen)),
        (&"2026-05".into(), place.people(&latest)[..2].to_vec())
    );
    assert_eq!(place.people(&new), ["05", "10", "20", "40", "50"]);
    assert_eq!(place.status()["reopenings"][0]["closed_again"], true);
    let late_again = place.file("late2.csv", "2026-05", &[("77", "20260501", "1", "12")]);
    assert_eq!(place.run(&["nightly", "--on", "2026-07-06", &late_again]).0, 2, "F08 again");

    let other = place.copied_archive("other");
    assert_eq!(run(&["rebuild", "--data", &other]).0, 0);
    for (month, frozen) in [("2026-04", &frozen_april), ("2026-05", &published(&new))] {
        assert_eq!(people_of(&published(&again(&place, month))), people_of(frozen), "{month} today");
        let (_, out, _) = run(&["resolve", "--as-of", month, "--data", &other]);
        assert_eq!(people_of(&published(&snapshot_of(&out))), people_of(frozen), "{month} elsewhere");
    }
}

/// What is published of people: the settings were changed in between, and messages of files read with others differ.
fn people_of(
    published: &std::collections::BTreeMap<String, Vec<u8>>,
) -> std::collections::BTreeMap<&String, &Vec<u8>> {
    published.iter().filter(|(path, _)| path.starts_with("recipient_")).collect()
}

#[test]
fn closing_again_takes_in_first_what_came_too_late() {
    let place = Place::new();
    place.two_months();
    place.snapshot(&["close", "2026-06", "--on", "2026-07-01"]);
    let late = place.file("late.csv", "2026-06", &[("60", "20260605", "1", "12")]);
    assert_eq!(place.run(&["ingest", "--on", "2026-07-02", &late]).0, 2, "F08");
    let (_, out, _) = place.run(&["reopen", "2026-06", "--reason", "遅延分", "--on", "2026-07-03", "--json"]);
    let told = json!({
        "event": "reopened", "month": "2026-06", "closed_through": "2026-05", "on": "2026-07-03", "reason": "遅延分",
        "files_to_check": 1,
    });
    assert_eq!(events_of(&out), [told]);
    let new = place.snapshot(&["close", "2026-06", "--on", "2026-07-03"]);
    assert_eq!(place.people(&new), ["10", "20", "30", "60"]);
}

#[test]
fn a_withdrawal_counts_in_a_month_that_is_open_again_if_it_is_dated_so() {
    let place = Place::new();
    place.two_months();
    place.snapshot(&["close", "2026-05", "--on", "2026-06-30"]);
    let record = format!("{}:3", place.file_id("may.csv"));
    let withdraw = |on: &str| place.run(&["withdraw", &record, "--reason", "x", "--on", on]).1;
    place.run(&["reopen", "2026-05", "--reason", "取下げのため", "--on", "2026-07-02"]);
    assert!(withdraw("2026-05-31").contains("from processing month 2026-05 on"));
    let new = place.snapshot(&["close", "2026-05", "--on", "2026-07-03"]);
    assert_eq!(place.people(&new), ["10"]);
}

#[test]
fn what_is_found_of_a_late_file_follows_a_reopening() {
    let place = Place::new();
    place.two_months();
    place.snapshot(&["close", "2026-05", "--on", "2026-06-30"]);
    let late = place.miscounted("late.csv", "2026-05");
    let (code, out, _) = place.run(&["nightly", "--on", "2026-06-30", &late]);
    let codes = |snapshot: &Path| {
        place.query(snapshot, "SELECT code FROM findings WHERE severity = 'error' ORDER BY code")
    };
    assert_eq!((code, codes(&snapshot_of(&out))), (2, vec!["F03".to_owned(), "F08".to_owned()]));
    place.run(&["reopen", "2026-05", "--reason", "追加", "--on", "2026-07-01"]);
    let (_, out, _) = place.run(&["nightly", "--on", "2026-07-01"]);
    let now = snapshot_of(&out);
    assert_eq!(codes(&now), ["F03"], "the month is open");
    let other = place.copied_archive("other");
    let (_, out, _) = run(&["rebuild", "--data", &other]);
    assert_eq!(crate::place::hashes(&snapshot_of(&out)), crate::place::hashes(&now));
}
