//! Closings, withdrawals and checking again: what holds as of which month.

use crate::place::{Place, hashes, manifest};
use crate::support::{names_in, snapshot_of, tsumiage};
use serde_json::Value;
use std::fs;
use std::path::Path;

#[test]
fn what_is_withdrawn_does_not_count_from_its_processing_month_on() {
    let place = Place::new();
    place.two_months();
    let (may, june) = (place.file_id("may.csv"), place.file_id("june.csv"));
    let before = place.snapshot(&["resolve", "--as-of", "2026-06"]);
    assert_eq!(place.people(&before), ["10", "20", "30"]);

    let record = format!("{}:3", &june[..8]);
    let withdraw = ["withdraw", &record, "--reason", "誤送付", "--on", "2026-07-02"];
    let (code, out, err) = place.run(&withdraw);
    assert_eq!(code, 0, "{err}");
    assert!(out.contains("june.csv") && out.contains("record 3") && out.contains("2026-07"), "{out}");
    assert!(err.contains("tsumiage resolve"), "{err}");
    let event: Value = serde_json::from_str(
        &fs::read_to_string(place.path("data/archive/events/00000001-withdraw.json")).unwrap(),
    )
    .unwrap();
    assert_eq!(
        event,
        serde_json::json!({"number": 1, "kind": "withdraw", "file_id": june, "record_no": 3,
            "processing_month": "2026-07", "on": "2026-07-02", "reason": "誤送付"})
    );
    let without = place.snapshot(&["resolve"]);
    assert_eq!(place.people(&without), ["10", "20"]);
    assert_eq!(place.files(&without), ["june.csv,accepted,2,2,0", "may.csv,accepted,2,2,0"]);
    assert_eq!(place.snapshot(&["resolve", "--as-of", "2026-06"]), before, "as of June it still counts");
    let july = place.snapshot(&["resolve", "--as-of", "2026-07"]);
    assert_eq!(place.people(&july), ["10", "20"]);

    // The same again is a no-op that says so, under the record's name or the file's.
    let (code, out, _) = place.run(&withdraw);
    assert_eq!((code, out.contains("nothing to do")), (0, true), "{out}");
    assert_eq!(names_in(Path::new(&place.path("data/archive/events"))).len(), 1);

    // Without May the change of June has nothing to change, and the months begin with June.
    let (code, out, _) =
        place.run(&["withdraw", &may.to_uppercase(), "--reason", "x", "--on", "2026-07-03", "--json"]);
    let told: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, &told["event"], &told["new"]), (0, &"withdrawn".into(), &true.into()), "{out}");
    let (_, out, _) = place.run(&["withdraw", &format!("{may}:2"), "--reason", "x", "--format", "json"]);
    assert!(out.contains("\"new\":false"), "its file is withdrawn: {out}");
    let without = place.snapshot(&["resolve"]);
    assert!(place.people(&without).is_empty());
    assert_eq!(place.files(&without), ["june.csv,partly_rejected,2,1,1", "may.csv,withdrawn,2,2,0"]);
    assert_eq!(manifest(&without)["first_month"], "2026-06");
    assert_eq!(place.query(&without, "SELECT code FROM findings WHERE severity = 'error'"), ["S02"]);
    tsumiage(["snapshots", "verify", "--data", &place.data()]);
    assert_eq!(place.snapshot(&["resolve", "--as-of", "2026-06"]), before);
    // Given again it is a duplicate, and whoever gave it is told that it does not count again.
    let again = [place.path("may.csv"), place.path("june.csv")];
    let (code, out, err) = place.run(&["nightly", "--on", "2026-07-04", &again[0], &again[1]]);
    assert_eq!((code, out.contains("0 taken in, 2 duplicate")), (2, true), "{out}{err}");
    assert!(err.contains("may.csv was withdrawn on 2026-07-03; it stays so"), "{err}");
    assert!(!err.contains("june.csv was withdrawn"), "one record of it is: {err}");
    let status = place.status();
    assert_eq!(status["files"]["withdrawn"], 1);
    assert_eq!(status["files"]["withdrawn_records"], 1);
}

#[test]
fn withdrawing_what_was_rejected_anyway_says_so() {
    let place = Place::new();
    place.two_months();
    let half =
        place.file("half.csv", "2026-06", &[("60", "20260612", "1", "12"), ("70", "20260613", "1", "98")]);
    let whole = place.miscounted("whole.csv", "2026-06");
    assert_eq!(place.run(&["nightly", "--on", "2026-06-21", &half, &whole]).0, 2);
    let (half, whole) = (place.file_id("half.csv"), place.file_id("whole.csv"));
    for (what, rejected) in [
        (format!("{half}:2"), false),
        (format!("{half}:3"), true),
        (half, false),
        (format!("{whole}:2"), true),
        (whole, true),
    ] {
        let (code, out, err) = place.run(&["withdraw", &what, "--reason", "x", "--on", "2026-07-02"]);
        assert_eq!((code, out.contains("counted for nothing anyway")), (0, rejected), "{what}: {out}{err}");
        let (_, out, _) = place.run(&["withdraw", &what, "--reason", "x", "--json"]);
        let told: Value = serde_json::from_str(&out).unwrap();
        assert_eq!(told["rejected_by_reader"], rejected, "{what}: {out}");
    }
}

#[test]
fn what_cannot_be_withdrawn_or_closed_is_wrong_usage() {
    let place = Place::new();
    let wrong = |args: &[&str], says: &str| {
        let (code, out, err) = place.run(args);
        assert_eq!((code, out.as_str(), err.lines().count()), (64, "", 1), "{args:?}: {err}");
        assert!(err.contains(says), "{args:?}: {err}");
    };
    wrong(&["withdraw", "0123456789", "--reason", "x"], "no data folder");
    wrong(&["close", "2026-05", "--on", "2026-06-01"], "no data folder");
    wrong(&["rebuild"], "no data folder");
    place.two_months();
    let id = place.file_id("may.csv");
    let record = |no: &str| format!("{id}:{no}");
    wrong(&["withdraw", &id[..7], "--reason", "x"], "at least 8");
    wrong(&["withdraw", "may.csv.and.more", "--reason", "x"], "no file id");
    wrong(&["withdraw", "0123456789", "--reason", "x"], "no file");
    wrong(&["withdraw", &record("1"), "--reason", "x"], "2 to 3");
    wrong(&["withdraw", &record("4"), "--reason", "x"], "2 to 3");
    wrong(&["withdraw", &record("-3"), "--reason", "x"], "2 to 3");
    wrong(&["withdraw", &record("x"), "--reason", "x"], "no record number");
    for command in [&["withdraw", &id][..], &["reopen", "2026-05"]] {
        let with = |reason: &'static str| [command, &["--reason", reason]].concat();
        wrong(command, "--reason");
        wrong(&with(" "), "--reason wants a text");
        wrong(&with("a\u{1b}[2J"), "--reason holds a control character");
        wrong(&with("被保険者9876543210の分"), "--reason holds ten digits");
    }
    wrong(&["reopen", "2026-05", "--reason", "x"], "2026-05 is not closed, no processing month is");
    wrong(&["reopen", "2026-05", "--reason", "x", "--as-of", "2026-05"], "--as-of");
    wrong(&["close", "2026-07", "--on", "2026-06-30"], "not begun");
    wrong(&["close", "2026-06", "--as-of", "2026-06"], "--as-of");
    assert!(!Path::new(&place.path("data/archive/events")).exists());
}

#[test]
fn a_closed_month_is_published_and_never_changes() {
    let place = Place::new();
    place.two_months();
    let latest = fs::read_to_string(place.path("data/snapshots/LATEST")).unwrap();
    let rejected = place.miscounted("before.csv", "2026-05");
    assert_eq!(place.run(&["ingest", "--on", "2026-06-21", &rejected]).0, 2);
    let (code, out, err) = place.run(&["close", "2026-05", "--on", "2026-06-30"]);
    assert_eq!(code, 0, "{err}");
    assert!(out.contains("closed     2026-05"), "{out}");
    assert!(!err.contains("not as latest"), "that is what closing is for: {err}");
    let frozen = snapshot_of(&out);
    assert_eq!(manifest(&frozen)["as_of"], "2026-05");
    assert_eq!(place.people(&frozen), ["10", "20"]);
    assert_eq!(place.files(&frozen), ["before.csv,rejected,2,0,2", "may.csv,accepted,2,2,0"]);
    assert_eq!(fs::read_to_string(place.path("data/snapshots/LATEST")).unwrap(), latest);
    for month in ["2026-05", "2026-03"] {
        let (code, out, _) = place.run(&["close", month, "--on", "2026-06-30"]);
        assert_eq!((code, out.contains("nothing to do")), (0, true), "{out}");
        assert_eq!(snapshot_of(&out) == frozen, month == "2026-05");
    }
    let (_, out, _) = place.run(&["close", "2026-05", "--on", "2026-06-30", "--json"]);
    let kinds: Vec<Value> =
        out.lines().map(|l| serde_json::from_str::<Value>(l).unwrap()["event"].clone()).collect();
    assert!(kinds.contains(&"closed".into()) && kinds.last() == Some(&"snapshot".into()), "{out}");
    assert_eq!(names_in(Path::new(&place.path("data/archive/events"))), ["00000001-close.json"]);

    // Late for May: rejected whole, also when it is checked again; June is open.
    let late = place.file("late.csv", "2026-05", &[("60", "20260505", "1", "12")]);
    let late_in_june = place.file("open.csv", "2026-06", &[("70", "20260505", "1", "12")]);
    let (code, out, err) = place.run(&["nightly", "--on", "2026-07-01", &late, &late_in_june]);
    assert_eq!((code, err.contains("F08")), (2, true), "{err}");
    let now = snapshot_of(&out);
    assert_eq!(place.people(&now), ["10", "20", "30", "70"]);
    let said =
        place.query(&now, "SELECT code, severity, record_no, message_en FROM findings WHERE code = 'F08'");
    assert!(
        said.len() == 1 && said[0].starts_with("F08,error,1,") && said[0].contains("2026-05"),
        "{said:?}"
    );
    let (code, _, err) = place.run(&["nightly", "--recheck", "--on", "2026-07-02", &late]);
    assert_eq!((code, err.contains("F08")), (2, true), "{err}");
    assert_eq!(place.snapshot(&["resolve", "--as-of", "2026-05"]), frozen, "late files are not known there");

    // What stood rejected when the month was closed stays so, and as it was: given again, or read leniently.
    let (code, _, err) = place.run(&["nightly", "--recheck", "--on", "2026-07-03", &rejected]);
    assert_eq!((code, err.contains("F03")), (2, true), "{err}");
    assert_eq!(place.snapshot(&["resolve", "--as-of", "2026-05"]), frozen);
    place.set_profile("lenient");
    let (code, _, err) = place.run(&["nightly", "--on", "2026-07-04"]);
    assert_eq!((code, err.contains("F08")), (2, true), "{err}");
    for command in ["resolve", "rebuild"] {
        let now = place.snapshot(&[command]);
        assert_eq!(place.people(&now), ["10", "20", "30", "70"], "{command}");
    }

    // A withdrawal after closing June is known from July on, whatever the day.
    place.snapshot(&["close", "2026-06", "--on", "2026-06-30"]);
    let id = place.file_id("may.csv");
    let (_, out, _) = place.run(&["withdraw", &id, "--reason", "x", "--on", "2026-06-30"]);
    assert!(out.contains("from processing month 2026-07 on"), "{out}");
}

#[test]
fn a_rejected_file_is_checked_again_when_the_settings_change() {
    let place = Place::new();
    place.two_months();
    let (wrong, on) = (place.miscounted("wrong.csv", "2026-06"), "2026-06-21");
    assert_eq!(place.run(&["nightly", "--on", on, &wrong]).0, 2);
    assert_eq!(place.status()["rejected_files"][0]["name"], "wrong.csv");
    let (code, out, _) = place.run(&["nightly", "--on", "2026-06-22"]);
    assert_eq!((code, out.contains("0 taken in, 0 duplicate, 0 rejected")), (0, true), "{out}");
    place.set_profile("lenient");
    fs::remove_file(&wrong).unwrap();
    // The file is not at hand: it is read from the archive, and arrived when it arrived.
    let now = place.snapshot(&["nightly", "--on", "2026-06-23"]);
    assert_eq!(place.people(&now), ["10", "20", "30", "40", "50"]);
    let sql = "SELECT taken_in_on FROM files WHERE name = 'wrong.csv'";
    assert_eq!(place.query(&now, sql), [on]);
    // Back again: what is accepted is read again only when asked for.
    place.set_profile("strict");
    let status = place.run(&["status"]).1;
    assert!(status.contains("1 files were read with other layouts"), "{status}");
    assert!(status.contains("nightly --recheck"), "{status}");
    assert_eq!(place.people(&place.snapshot(&["nightly", "--on", "2026-06-24"])).len(), 5);
    let (code, out, _) = place.run(&["nightly", "--recheck", "--on", "2026-06-25"]);
    assert_eq!((code, place.people(&snapshot_of(&out)).len()), (2, 3), "{out}");
}

#[test]
fn read_again_is_the_same_as_read_first() {
    let again = Place::new();
    again.two_months();
    let wrong = again.miscounted("wrong.csv", "2026-06");
    again.run(&["nightly", "--on", "2026-06-21", &wrong]);
    again.set_profile("lenient");
    assert_eq!(again.status()["files"]["other_layouts"], 2);
    let (code, out, err) = again.run(&["nightly", "--recheck", "--on", "2026-07-21"]);
    assert_eq!(code, 0, "{err}");
    assert!(out.contains("3 taken in"), "{out}");
    assert_eq!(again.status()["files"]["other_layouts"], 0);
    let read_again = snapshot_of(&out);

    let fresh = Place::new();
    fs::create_dir(fresh.data()).unwrap();
    fs::write(fresh.path("data/settings.toml"), "profile = \"lenient\"\n").unwrap();
    fresh.two_months();
    let wrong = fresh.miscounted("wrong.csv", "2026-06");
    let read_first = fresh.snapshot(&["nightly", "--on", "2026-06-21", &wrong]);
    assert_eq!(hashes(&read_again), hashes(&read_first));
    assert_eq!(manifest(&read_again)["tables"], manifest(&read_first)["tables"]);
    // Nothing is left to do.
    let (_, out, _) = again.run(&["nightly", "--recheck", "--on", "2026-07-22"]);
    assert!(out.contains("0 taken in") && snapshot_of(&out) == read_again, "{out}");
}

#[test]
fn closing_takes_in_first_what_a_killed_run_left() {
    let place = Place::new();
    place.two_months();
    fs::remove_dir_all(place.path("data/ledger")).unwrap();
    let frozen = place.snapshot(&["close", "2026-06", "--on", "2026-07-01"]);
    assert_eq!(place.people(&frozen), ["10", "20", "30"]);
    assert_eq!(place.snapshot(&["nightly", "--on", "2026-07-02"]).parent(), frozen.parent());
    assert_eq!(place.status()["files"]["rejected"], 0, "what arrived before the closing is not late");
}
