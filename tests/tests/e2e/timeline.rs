//! `timeline` against what is published, and the truth of every cell's source.

use crate::properties::{day, take_in};
use crate::support::{Table, snapshot_of, tsumiage};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use tsumiage_schemas::Spec;
use tsumiage_tests::oracle::{Body, FileFact, RecordFact, State};
use tsumiage_tests::random::{ledger, write_into};

/// A ledger taken in: the facts and the data folder.
fn place(folder: &Path, people: usize) -> (Vec<FileFact>, String) {
    let spec = Spec::embedded().unwrap();
    let (inbox, data) = (folder.join("inbox"), folder.join("data"));
    fs::create_dir_all(&inbox).unwrap();
    let mut files = ledger(3, people);
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
    let (files, data) = place(folder.path(), 400);
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
