//! The status: files, months, who is missing, counted as the tables count.

use crate::place::Place;
use crate::support::tsumiage;
use serde_json::{Value, json};
use std::fs;

#[test]
fn status_tells_what_is_open_closed_missing_and_withdrawn() {
    let place = Place::eventful();
    let status = place.status();
    assert_eq!(status["closed_through"], "2026-07");
    assert_eq!(status["open_months"], serde_json::json!(["2026-08"]));
    let files = &status["files"];
    let told = [&files["known"], &files["rejected"], &files["withdrawn"], &files["withdrawn_records"]];
    assert_eq!(told, [4, 1, 0, 1].map(Value::from).each_ref());
    assert_eq!(status["rejected_files"][0]["name"], "late.csv");
    let table = place.run(&["status"]).1;
    for says in ["closed       2026-07 and all earlier", "2026-05    closed", "2026-08    open", "late.csv"] {
        assert!(table.contains(says), "{says}\n{table}");
    }
    let csv = place.run(&["status", "--format", "csv"]).1;
    assert!(csv.starts_with("month,files,rejected_files,records,accepted,rejected,state\n"), "{csv}");
    assert!(csv.contains("2026-05,2,1,3,2,1,closed\n"), "{csv}");
}

#[test]
fn who_has_not_sent_is_told_for_every_open_month() {
    let place = Place::new();
    let registration = [("10", "20260401", "1", "12")];
    let send = |insurer_no: &str, month: &str, on: &str| {
        let name = format!("{insurer_no}-{month}.csv");
        let file = place.file_of(insurer_no, &name, month, &registration);
        place.run(&["ingest", "--on", on, &file]).0
    };
    for (insurer_no, months) in [
        ("141003", &["2026-04", "2026-05", "2026-06", "2026-07"][..]),
        ("142018", &["2026-04", "2026-06"]),
        ("142034", &["2026-04", "2026-05"]),
        ("142042", &["2026-05"]),
    ] {
        for month in months {
            send(insurer_no, month, &format!("{month}-20"));
        }
    }
    let missing = |expected: Value| assert_eq!(place.status()["missing_senders"], expected);
    let (may, june, july) = (
        json!({"month": "2026-05", "senders": ["142018"]}),
        json!({"month": "2026-06", "senders": ["142034", "142042"]}),
        json!({"month": "2026-07", "senders": ["142018"]}),
    );
    missing(json!([may, june, july]));
    let table = place.run(&["status"]).1;
    let lines: Vec<&str> =
        table.lines().skip_while(|l| !l.starts_with("sent for the month before")).collect();
    assert_eq!(lines[1..5], ["  2026-05: 142018", "  2026-06: 142034, 142042", "  2026-07: 142018", ""]);
    // A month too far ahead does not begin (F10); one that is closed is over.
    assert_eq!(send("141003", "2026-08", "2026-06-21"), 2);
    missing(json!([may, june, july]));
    place.run(&["close", "2026-05", "--on", "2026-07-31"]);
    missing(json!([june, july]));
    // Who sent what was rejected, or withdrawn since, did not send.
    let rejected = place.miscounted("wrong.csv", "2026-08");
    assert_eq!(place.run(&["nightly", "--on", "2026-08-20", &rejected]).0, 2);
    missing(json!([june, july, {"month": "2026-08", "senders": ["141003"]}]));
    let id = place.file_id("142018-2026-06.csv");
    place.run(&["withdraw", &id, "--reason", "x", "--on", "2026-08-20"]);
    let june = json!({"month": "2026-06", "senders": ["142034", "142042"]});
    missing(json!([june, {"month": "2026-08", "senders": ["141003"]}]));
}

#[test]
fn what_stacking_refused_is_rejected_once_a_snapshot_knows() {
    let place = Place::new();
    place.two_months();
    // The first has no registration before it (S02), the second is right.
    let rows = [("80", "20260612", "2", "12"), ("90", "20260613", "1", "12")];
    let file = place.file("refused.csv", "2026-06", &rows);
    assert_eq!(place.run(&["ingest", "--on", "2026-06-21", &file]).0, 0, "the reader has nothing against it");
    let june = || {
        let status = place.status();
        let months = status["processing_months"].as_array().unwrap();
        let row = months.iter().find(|row| row["month"] == "2026-06").unwrap();
        ["records", "accepted", "rejected"].map(|name| row[name].as_i64().unwrap())
    };
    assert_eq!(june(), [4, 4, 0], "no snapshot knows it yet");
    let (_, out, _) = place.run(&["resolve"]);
    assert!(
        out.contains(
            "stacking   0 records refused, 0 warned of this run's files; 1 refused, 5 warned of all files\n"
        ),
        "{out}"
    );
    assert_eq!(june(), [4, 3, 1]);
    let sql = "SELECT sum(records) AS r, sum(accepted) AS a, sum(rejected) AS j FROM files \
               WHERE processing_month = DATE '2026-06-01'";
    let table = tsumiage(["query", sql, "--format", "csv", "--data", &place.data()]);
    assert_eq!(table.lines().last(), Some("4,3,1"));
    let csv = place.run(&["status", "--format", "csv"]).1;
    assert!(csv.contains("2026-06,2,0,4,3,1,open\n"), "{csv}");
}

#[test]
fn a_snapshot_without_months_is_told_so() {
    let place = Place::new();
    let wrong = place.miscounted("wrong.csv", "2026-05");
    assert_eq!(place.run(&["nightly", "--on", "2026-05-20", &wrong]).0, 2);
    let table = place.run(&["status"]).1;
    assert!(table.contains(", no months, one of 1 snapshots"), "{table}");
    assert_eq!(place.status()["latest"]["first_month"], json!(null));
    // The settings stand as in their file.
    let settings = fs::read_to_string(place.path("data/settings.toml")).unwrap();
    for line in settings.lines().filter(|line| !line.starts_with('#')) {
        assert!(table.contains(&format!("  {line}\n")), "{line}\n{table}");
    }
}

#[test]
fn unions_and_their_members_are_told() {
    let place = Place::new();
    place.two_months();
    place.run(&["resolve"]);
    assert!(!place.run(&["status"]).1.contains("unions"), "there is none");
    assert_eq!(place.status()["unions"], json!([]));

    let place = Place::new();
    let inbox = concat!(env!("CARGO_MANIFEST_DIR"), "/../samples/union/inbox");
    let (_, out, _) = place.run(&["nightly", "--on", "2026-05-01", "--inbox", inbox]);
    // The reader has nothing against the files; four towns' people are out of force under their own numbers.
    assert!(out.contains(" 0 rejected, 0 warned\n"), "{out}");
    assert!(out.contains("0 records refused, 4 warned of this run's files; 0 refused, 4 warned"), "{out}");
    assert!(out.contains("\nfindings   S13 4\n"), "{out}");
    let table = place.run(&["status"]).1;
    assert!(table.contains("\nunions       1 with 4 members; newest change 2026-04-01\n"), "{table}");
    let members = ["142018", "142034", "143014", "143219"];
    let union = json!({"union_no": "141003", "members": members, "newest_change": "2026-04-01"});
    assert_eq!(place.status()["unions"], json!([union]));
}
