//! The program against the naive oracle on random ledgers, and against itself under other thread counts,
//! batch sizes, partitions and orders of take-in.

use crate::support::{Table, snapshot_of, tsumiage};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use tsumiage_pipeline::ledger::Ledger;
use tsumiage_schemas::Spec;
use tsumiage_tests::oracle::{FileFact, Inheritance, Limit, OracleFinding, Resolved, Row, resolve};
use tsumiage_tests::random::{
    PROCESSING_MONTHS, SERVICE_MONTHS, UNION_PROCESSING_MONTHS, ledger, union_ledger, write_into,
};

fn is_soak() -> bool {
    std::env::var_os("SOAK").is_some()
}

/// People in the random ledger; each has 1 to 12 records.
fn people() -> usize {
    if is_soak() { 20_000 } else { 2_000 }
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
fn compare(view: &str, snapshot: &Path, table: &str, expected: &[Row]) {
    let columns: Vec<String> = expected.first().map(|row| row.keys().cloned().collect()).unwrap_or_default();
    let got = Table::read_snapshot(snapshot, table, &columns);
    let cells =
        |row: &Row| -> Vec<String> { columns.iter().map(|c| row[c].clone().unwrap_or_default()).collect() };
    for (at, row) in expected.iter().enumerate() {
        let want = cells(row);
        let found =
            got.rows.get(at).unwrap_or_else(|| panic!("{view} {table}: row {at} is missing: {want:?}"));
        if *found != want {
            let differ = columns.iter().zip(want.iter().zip(found)).filter(|(_, (a, b))| a != b);
            let differ: Vec<_> =
                differ.map(|(c, (a, b))| format!("{c}: {a:?} expected, {b:?} got")).collect();
            panic!("{view} {table} row {at} {row:?}: {differ:#?}");
        }
    }
    assert_eq!(got.rows.len(), expected.len(), "{view} {table}: rows");
}

/// Findings of stacking one by one; of equal places (lists that name many) as sets. A message names who it is
/// about; the keys are those of the record it points at.
fn compare_findings(view: &str, snapshot: &Path, files: &[FileFact], expected: &Resolved) {
    let columns =
        ["file_id", "record_no", "code", "item", "message_ja", "insurer_no", "insured_no", "movement_date"]
            .map(str::to_owned);
    let keys = keys(files);
    let mut got: Vec<Vec<String>> = Table::read_snapshot(snapshot, "findings", &columns)
        .rows
        .into_iter()
        .filter(|row| row[2].starts_with('S'))
        .collect();
    let place = |f: &OracleFinding| {
        vec![f.file_hash.clone(), f.record_no.to_string(), f.code.clone(), f.item.clone().unwrap_or_default()]
    };
    for (at, want) in expected.findings.iter().enumerate() {
        let same_place: Vec<usize> =
            (at..got.len()).take_while(|other| got[*other][..4] == place(want)).collect();
        let named = |other: &&usize| want.names.iter().all(|name| got[**other][4].contains(name));
        let Some(found) = same_place.iter().find(named) else {
            panic!("{view}: finding {at} expected: {want:?}\ngot: {:?}", got.get(at));
        };
        got.swap(at, *found);
        assert_eq!(
            got[at][5..],
            keys[&(want.file_hash.as_str(), want.record_no)],
            "{view}: keys of {want:?}"
        );
    }
    assert_eq!(expected.findings.len(), got.len(), "{view}: findings, besides: {:?}", got.last());
}

/// Insurer number, insured number, movement date of every record.
fn keys(files: &[FileFact]) -> BTreeMap<(&str, i64), [String; 3]> {
    let mut keys = BTreeMap::new();
    for file in files {
        for record in &file.records {
            let key = [record.insurer_no.clone(), record.insured_no.clone(), day(record.movement_date)];
            keys.insert((file.hash.as_str(), record.record_no), key);
        }
        for fact in &file.registry {
            let key = [fact.insurer_no.clone(), String::new(), day(fact.movement_date)];
            keys.insert((file.hash.as_str(), fact.record_no), key);
        }
    }
    keys
}

/// Everything that a resolve publishes of people and registry.
fn compare_all(view: &str, snapshot: &Path, files: &[FileFact], expected: &Resolved) {
    compare(view, snapshot, "insurers", &expected.insurers);
    compare(view, snapshot, "memberships", &expected.memberships);
    compare(view, snapshot, "municipal_limits", &expected.municipal_limits);
    compare(view, snapshot, "special_benefits", &expected.special_benefits);
    compare(view, snapshot, "recipient_history", &expected.history);
    compare(view, snapshot, "recipient_month", &expected.months);
    compare_findings(view, snapshot, files, expected);
}

/// Resolves and publishes some service months; the snapshot.
fn resolved(data: &Path, as_of: Option<i32>, mode: &str, months: (i32, i32)) -> std::path::PathBuf {
    let months = format!("{}..{}", text(months.0), text(months.1));
    let mut args = vec!["resolve", "--quiet", "--months", &months, "--inheritance", mode];
    let month = as_of.map(text);
    if let Some(month) = &month {
        args.extend(["--as-of", month]);
    }
    let data = data.display().to_string();
    args.extend(["--data", &data]);
    snapshot_of(&tsumiage(args))
}

const MODES: [(&str, Inheritance); 2] = [("arrival", Inheritance::Arrival), ("lazy", Inheritance::Lazy)];

#[test]
fn random_ledgers_resolve_as_the_oracle_says() {
    let spec = Spec::embedded().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (inbox, data) = (folder.path().join("inbox"), folder.path().join("data"));
    fs::create_dir_all(&inbox).unwrap();
    let mut files = ledger(20_261_121, people());
    write_into(&inbox, &spec, &mut files).unwrap();
    take_in(&files, &inbox, &data, 1);
    let limits = limits(&spec);
    let as_of = (PROCESSING_MONTHS.0..=PROCESSING_MONTHS.1).map(Some).chain([None]);
    for as_of in as_of {
        for (mode, inheritance) in MODES {
            let snapshot = resolved(&data, as_of, mode, SERVICE_MONTHS);
            let view = format!("as of {as_of:?}, {mode}:");
            let expected = resolve(&files, as_of, inheritance, SERVICE_MONTHS, &limits);
            assert!(!expected.months.is_empty(), "{view} the ledger says nothing");
            compare_all(&view, &snapshot, &files, &expected);
        }
    }
}

/// Service months published: all of them once, else those before the processing month, to keep files few.
fn union_months(as_of: Option<i32>, mode: Inheritance) -> (i32, i32) {
    let back = |month: i32| if month % 100 == 1 { month - 89 } else { month - 1 };
    match (as_of, mode) {
        (Some(month), _) => (back(back(back(month))), month),
        (None, Inheritance::Arrival) => (202403, 202612),
        (None, Inheritance::Lazy) => (202503, 202507),
    }
}

#[test]
fn random_unions_resolve_as_the_oracle_says() {
    for seed in 0..if is_soak() { 20 } else { 1 } {
        unions_resolve_as_the_oracle_says(20_261_122 + seed, 3, 80);
    }
}

fn unions_resolve_as_the_oracle_says(seed: u64, worlds: usize, people: usize) {
    let spec = Spec::embedded().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (inbox, data) = (folder.path().join("inbox"), folder.path().join("data"));
    fs::create_dir_all(&inbox).unwrap();
    let mut files = union_ledger(seed, worlds, people);
    write_into(&inbox, &spec, &mut files).unwrap();
    take_in(&files, &inbox, &data, 1);
    let limits = limits(&spec);
    let as_of = UNION_PROCESSING_MONTHS.into_iter().map(Some).chain([None]);
    for as_of in as_of {
        for (mode, inheritance) in MODES {
            let months = union_months(as_of, inheritance);
            let snapshot = resolved(&data, as_of, mode, months);
            let view = format!("seed {seed}, as of {as_of:?}, {mode}:");
            let expected = resolve(&files, as_of, inheritance, months, &limits);
            compare_all(&view, &snapshot, &files, &expected);
            if inheritance == Inheritance::Arrival {
                nobody_is_under_two_holders(&view, &snapshot);
            }
        }
    }
}

/// Who holds an insurer on a day, by the published memberships.
fn holder_on(memberships: &Table, insurer_no: &str, day: &str) -> String {
    let is_in = |row: &&Vec<String>| {
        row[1] == insurer_no && row[2].as_str() <= day && (row[3].is_empty() || day <= row[3].as_str())
    };
    let found: Vec<&Vec<String>> = memberships.rows.iter().filter(is_in).collect();
    assert!(found.len() <= 1, "{insurer_no} is in two unions on {day}: {found:?}");
    found.first().map_or(insurer_no.to_owned(), |row| row[0].clone())
}

/// By the published tables alone: a person who is there on a month's first day is there under the holder that
/// the insurer has on that day; who comes later in the month, under the one of the day of coming. So nobody is
/// under two holders on one day, and two rows of one insured number of an insurer stand in a month only when the
/// insurer changed hands inside it.
fn nobody_is_under_two_holders(view: &str, snapshot: &Path) {
    let columns = ["union_no", "member_no", "valid_from", "valid_to"].map(str::to_owned);
    let memberships = Table::read_snapshot(snapshot, "memberships", &columns);
    let columns =
        ["service_month", "insurer_no", "insured_no", "holder_no", "movement_date", "ended_in_month"]
            .map(str::to_owned);
    let months = Table::read_snapshot(snapshot, "recipient_month", &columns);
    let mut there: BTreeMap<(&str, &str, &str), (&str, bool)> = BTreeMap::new();
    for row in &months.rows {
        let [month, insurer_no, insured_no, holder_no, movement_date] =
            [0, 1, 2, 3, 4].map(|column| row[column].as_str());
        let on_first_day = movement_date <= month;
        // The date of an end is the first day out.
        let last_day_in =
            tsumiage_schemas::Day(movement_date.parse::<tsumiage_schemas::Day>().unwrap().0 - 1);
        let day = match row[5].as_str() {
            "true" => last_day_in.to_string(),
            _ => movement_date.max(month).to_owned(),
        };
        assert_eq!(holder_on(&memberships, insurer_no, &day), holder_no, "{view} {row:?} on {day}");
        let another = there.insert((month, insurer_no, insured_no), (holder_no, on_first_day));
        if let Some((other, other_on_first_day)) = another {
            assert!(other != holder_no && !(on_first_day && other_on_first_day), "{view} {row:?}, {other}");
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

/// Ways of taking in and resolving the same facts: name, settings, runs a day.
const WAYS: [(&str, &str, usize); 4] = [
    ("plain", "", 1),
    ("three partitions, many runs", "batch_rows = 5000\npartitions = 3\nmerged_runs = 4\n", 4),
    ("small batches, one thread", "batch_rows = 100\nthreads = 1\n", 1),
    ("eight partitions", "partitions = 8\nmemory_mib = 300\n", 2),
];

#[test]
fn the_same_facts_give_the_same_bytes() {
    // Enough records for several chunks per insurer.
    resolve_in_ways(ledger(7, 9_000), &WAYS, "");
}

#[test]
fn the_same_facts_of_a_union_give_the_same_bytes() {
    let files = union_ledger(7, 1, 5_000);
    let records: usize = files.iter().map(|file| file.records.len()).sum();
    assert!(records > 20_000, "{records} records are no two chunks");
    resolve_in_ways(files, &WAYS[..2], "months = \"2025-03..2025-08\"\n");
}

/// Fails if a way gives other rows or bytes than the first; `also` goes into all settings.
fn resolve_in_ways(mut files: Vec<FileFact>, ways: &[(&str, &str, usize)], also: &str) {
    let spec = Spec::embedded().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let inbox = folder.path().join("inbox");
    fs::create_dir_all(&inbox).unwrap();
    write_into(&inbox, &spec, &mut files).unwrap();
    let mut first: Option<(serde_json::Value, Vec<(String, String)>)> = None;
    for &(way, settings, groups) in ways {
        let data = folder.path().join(way.replace([' ', ','], "-"));
        fs::create_dir_all(&data).unwrap();
        fs::write(data.join("settings.toml"), format!("{also}{settings}")).unwrap();
        take_in(&files, &inbox, &data, groups);
        if way.ends_with("many runs") {
            assert!(Ledger::open(&data).unwrap().most_runs() > 4, "{way}: they are merged, not sorted");
        }
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
