//! The program against the naive oracle on random ledgers, and against itself under other thread counts,
//! batch sizes, partitions and orders of take-in.

use crate::support::{Table, snapshot_of, tsumiage};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use tsumiage_schemas::Spec;
use tsumiage_tests::oracle::{FileFact, Inheritance, Limit, Resolved, resolve};
use tsumiage_tests::random::{PROCESSING_MONTHS, SERVICE_MONTHS, ledger, write_into};

/// People in the random ledger; each has 1 to 12 records.
fn people() -> usize {
    if std::env::var_os("SOAK").is_some() { 20_000 } else { 2_000 }
}

fn text(ym: i32) -> String {
    format!("{:04}-{:02}", ym / 100, ym % 100)
}

pub fn day(date: i32) -> String {
    format!("{:04}-{:02}-{:02}", date / 10_000, date / 100 % 100, date % 100)
}

/// Takes files in, one run per take-in day; `groups` > 1 splits a day into several runs, last file first.
pub fn take_in(files: &[FileFact], inbox: &Path, data: &Path, groups: usize) {
    let mut days: BTreeMap<i32, Vec<&str>> = BTreeMap::new();
    for file in files {
        days.entry(file.taken_in_on).or_default().push(&file.name);
    }
    for (date, mut names) in days {
        names.sort_unstable();
        if groups > 1 {
            names.reverse();
        }
        let size = names.len().div_ceil(groups);
        for part in names.chunks(size) {
            let mut args = vec!["ingest".to_owned(), "--quiet".to_owned(), "--on".to_owned(), day(date)];
            args.extend(["--data".to_owned(), data.display().to_string()]);
            args.extend(part.iter().map(|name| inbox.join(name).display().to_string()));
            tsumiage(args);
        }
    }
}

fn limits(spec: &Spec) -> Vec<Limit> {
    let ym = |month: tsumiage_schemas::Month| month.digits().parse().unwrap();
    let limit = |l: &tsumiage_schemas::codes::CareLevelLimit| Limit {
        care_level: l.care_level.clone(),
        valid_from: ym(l.valid_from),
        valid_to: l.valid_to.map(ym),
        limit_units: l.limit_units,
        weight: l.weight,
    };
    spec.limits.iter().map(limit).collect()
}

/// Fails at the first row that differs.
fn compare(view: &str, snapshot: &Path, table: &str, expected: &[BTreeMap<String, Option<String>>]) {
    let Some(first) = expected.first() else { return };
    let columns: Vec<String> = first.keys().cloned().collect();
    let got = Table::read_snapshot(snapshot, table, &columns);
    let cells = |row: &BTreeMap<String, Option<String>>| -> Vec<String> {
        columns.iter().map(|c| row[c].clone().unwrap_or_default()).collect()
    };
    for (at, row) in expected.iter().enumerate() {
        let want = cells(row);
        let found =
            got.rows.get(at).unwrap_or_else(|| panic!("{view} {table}: row {at} is missing: {want:?}"));
        if *found != want {
            let differ = columns.iter().zip(want.iter().zip(found)).filter(|(_, (a, b))| a != b);
            let differ: Vec<_> =
                differ.map(|(c, (a, b))| format!("{c}: {a:?} expected, {b:?} got")).collect();
            panic!(
                "{view} {table} row {at} ({:?}/{:?}): {differ:#?}",
                row["insured_no"], row["movement_date"]
            );
        }
    }
    assert_eq!(got.rows.len(), expected.len(), "{view} {table}: rows");
}

fn compare_findings(view: &str, snapshot: &Path, expected: &Resolved) {
    let columns = ["file_id", "record_no", "code", "item"].map(str::to_owned);
    let got: Vec<Vec<String>> = Table::read_snapshot(snapshot, "findings", &columns)
        .rows
        .into_iter()
        .filter(|row| row[2].starts_with('S'))
        .collect();
    let row = |f: &tsumiage_tests::oracle::OracleFinding| {
        vec![f.file_hash.clone(), f.record_no.to_string(), f.code.clone(), f.item.clone().unwrap_or_default()]
    };
    let want: Vec<Vec<String>> = expected.findings.iter().map(row).collect();
    for (at, (want, got)) in want.iter().zip(&got).enumerate() {
        assert_eq!(want, got, "{view}: finding {at}");
    }
    assert_eq!(want.len(), got.len(), "{view}: findings");
}

#[test]
fn random_ledgers_resolve_as_the_oracle_says() {
    let spec = Spec::embedded().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (inbox, data) = (folder.path().join("inbox"), folder.path().join("data"));
    fs::create_dir_all(&inbox).unwrap();
    let mut files = ledger(20_261_121, people());
    write_into(&inbox, &spec, &mut files).unwrap();
    take_in(&files, &inbox, &data, 1);
    let months = format!("{}..{}", text(SERVICE_MONTHS.0), text(SERVICE_MONTHS.1));
    let limits = limits(&spec);
    let as_of = (PROCESSING_MONTHS.0..=PROCESSING_MONTHS.1).map(Some).chain([None]);
    for as_of in as_of {
        for (mode, inheritance) in [("arrival", Inheritance::Arrival), ("lazy", Inheritance::Lazy)] {
            let mut args = vec!["resolve", "--quiet", "--months", &months, "--inheritance", mode];
            let month = as_of.map(text);
            if let Some(month) = &month {
                args.extend(["--as-of", month]);
            }
            let data = data.display().to_string();
            args.extend(["--data", &data]);
            let snapshot = snapshot_of(&tsumiage(args));
            let view = format!("as of {as_of:?}, {mode}:");
            let expected = resolve(&files, as_of, inheritance, SERVICE_MONTHS, &limits);
            assert!(!expected.months.is_empty(), "{view} the ledger says nothing");
            compare(&view, &snapshot, "recipient_month", &expected.months);
            compare(&view, &snapshot, "recipient_history", &expected.history);
            compare_findings(&view, &snapshot, &expected);
        }
    }
}

fn manifest(snapshot: &Path) -> serde_json::Value {
    serde_json::from_str(&fs::read_to_string(snapshot.join("manifest.json")).unwrap()).unwrap()
}

/// (path, sha256) of every file of a snapshot.
fn hashes(snapshot: &Path) -> Vec<(String, String)> {
    let manifest = manifest(snapshot);
    let text = |v: &serde_json::Value| v.as_str().unwrap().to_owned();
    let files = manifest["files"].as_array().unwrap();
    files.iter().map(|file| (text(&file["path"]), text(&file["sha256"]))).collect()
}

#[test]
fn the_same_facts_give_the_same_bytes() {
    let spec = Spec::embedded().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let inbox = folder.path().join("inbox");
    fs::create_dir_all(&inbox).unwrap();
    // Enough records for several chunks per insurer.
    let mut files = ledger(7, 9_000);
    write_into(&inbox, &spec, &mut files).unwrap();
    let ways = [
        ("plain", "", 1),
        ("small batches, one thread", "batch_rows = 100\nthreads = 1\n", 1),
        ("three partitions, many runs", "batch_rows = 5000\npartitions = 3\n", 4),
        ("eight partitions", "partitions = 8\nmemory_mib = 300\n", 2),
    ];
    let mut first: Option<(serde_json::Value, Vec<(String, String)>)> = None;
    for (way, settings, groups) in ways {
        let data = folder.path().join(way.replace([' ', ','], "-"));
        fs::create_dir_all(&data).unwrap();
        fs::write(data.join("settings.toml"), settings).unwrap();
        take_in(&files, &inbox, &data, groups);
        let data = data.display().to_string();
        let snapshot = snapshot_of(&tsumiage(["resolve", "--quiet", "--data", &data]));
        tsumiage(["snapshots", "verify", "--data", &data]);
        let found = (manifest(&snapshot)["tables"].clone(), hashes(&snapshot));
        let Some(first) = &first else {
            first = Some(found);
            continue;
        };
        assert_eq!(first.0, found.0, "{way}: other rows");
        let differ: Vec<&String> =
            first.1.iter().filter(|file| !found.1.contains(file)).map(|(path, _)| path).collect();
        assert!(
            differ.is_empty() && first.1.len() == found.1.len(),
            "{way}: equal rows in other bytes: {differ:?}"
        );
    }
}
