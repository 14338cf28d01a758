//! Many nights: the ledger's runs stay few, and what is published is what the archive alone gives.

use crate::place::{Place, hashes, manifest};
use serde_json::Value;
use std::fs;
use std::path::Path;

/// Nights in which something comes: the 21st brings the one run too many.
const NIGHTS: usize = 27;

/// Takes in what comes on a night: a person's change, a new person, now and then another town's.
fn night(place: &Place, at: usize, command: &[&str]) -> (u8, String, String) {
    let (month, day) = (5 + at / 20, 1 + at % 20);
    let (name, on) = (format!("{at:02}.csv"), format!("2026-{month:02}-{day:02}"));
    let (date, person) = (format!("2026{month:02}{day:02}"), format!("{}", 20 + at));
    let change = ("10", date.as_str(), if at == 0 { "1" } else { "2" }, ["12", "21", "22"][at % 3]);
    let town = if at % 5 == 4 { "142018" } else { "141003" };
    let change = (town == "141003").then_some(change);
    let rows: Vec<_> = change.into_iter().chain([(person.as_str(), date.as_str(), "1", "12")]).collect();
    let file = place.file_of(town, &name, &format!("2026-{month:02}"), &rows);
    place.run(&[command, &["--on", &on, &file]].concat())
}

#[test]
fn many_nights_give_few_runs_and_what_the_archive_alone_gives() {
    let place = Place::new();
    let mut compacted = Vec::new();
    for at in 0..NIGHTS {
        let (code, out, err) = night(&place, at, &["ingest", "--json"]);
        assert_eq!(code, 0, "{out}{err}");
        let events: Vec<Value> = out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        compacted.extend(events.into_iter().filter(|event| event["event"] == "compacted"));
        assert!(place.status()["ledger"]["most_runs"].as_u64().unwrap() <= 16);
        if at == 21 {
            place.snapshot(&["close", "2026-05", "--on", "2026-06-02"]);
        }
    }
    let told: Vec<(&Value, &Value)> =
        compacted.iter().map(|event| (&event["runs"], &event["into"])).collect();
    assert_eq!(told, [(&17.into(), &1.into())], "{compacted:?}");
    let table = place.run(&["status"]).1;
    assert!(table.contains("\nledger       28 commits, 2 insurers, at most 6 runs of one\n"), "{table}");
    let latest = place.snapshot(&["resolve"]);
    let id = place.file_id("03.csv");
    assert_eq!(place.run(&["withdraw", &format!("{id}:2"), "--reason", "x", "--on", "2026-06-20"]).0, 0);
    let withdrawn = place.snapshot(&["resolve"]);
    let frozen = place.snapshot(&["resolve", "--as-of", "2026-05"]);
    assert_ne!(hashes(&latest), hashes(&withdrawn));
    fs::rename(place.path("data/snapshots"), place.path("before")).unwrap();
    let before = |snapshot: &Path| Path::new(&place.path("before")).join(snapshot.file_name().unwrap());
    let again = place.snapshot(&["rebuild"]);
    assert_eq!(place.status()["ledger"]["commits"], 1, "a new ledger");
    assert_eq!(hashes(&again), hashes(&before(&withdrawn)));
    assert_eq!(manifest(&again)["tables"], manifest(&before(&withdrawn))["tables"]);
    let frozen_again = place.snapshot(&["resolve", "--as-of", "2026-05"]);
    assert_eq!(hashes(&frozen_again), hashes(&before(&frozen)));
}

#[test]
fn people_are_told_of_a_compaction_in_one_line() {
    let place = Place::new();
    for at in 0..21 {
        let (code, out, err) = night(&place, at, &["ingest"]);
        let lines: Vec<&str> = out.lines().filter(|line| line.starts_with("compacted ")).collect();
        assert_eq!((code, lines.len()), (0, usize::from(at == 20)), "{at}: {out}{err}");
        assert!(lines.iter().all(|line| line.contains("17 runs of the ledger into 1; ")), "{out}");
    }
    // A timeline reads what was merged.
    let told = place.run(&["timeline", "--insured", "0000000010", "--format", "csv"]);
    assert!(told.0 == 0 && told.1.contains("2026-05-01"), "{}{}", told.1, told.2);
}
