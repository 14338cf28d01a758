//! The generator is deterministic, legal, and makes every kind of fault happen often.

use super::*;
use crate::oracle::{Body, Inheritance, Limit, RegistryKind, Resolved, State, resolve};
use std::collections::{BTreeMap, BTreeSet};
use tsumiage_pipeline::reader::{Compiled, ReadOptions, read};
use tsumiage_schemas::Day;

fn resolved(files: &[FileFact], mode: Inheritance) -> Resolved {
    let limit = |(care_level, limit_units, weight): (&str, i32, i32)| Limit {
        care_level: care_level.into(),
        valid_from: 201910,
        valid_to: None,
        limit_units,
        weight,
    };
    let limits: Vec<Limit> = [("06", 5032, 3), ("12", 5032, 3), ("21", 16765, 5)].map(limit).into();
    resolve(files, None, mode, SERVICE_MONTHS, &limits)
}

#[test]
fn every_finding_of_stacking_is_frequent() {
    let files = ledger(1, 300);
    let mut count: BTreeMap<String, usize> = BTreeMap::new();
    for finding in resolved(&files, Inheritance::Arrival).findings {
        *count.entry(finding.code).or_default() += 1;
    }
    for code in ["S01", "S02", "S03", "S04", "S05", "S06", "S10", "S11", "S14"] {
        assert!(count.get(code).is_some_and(|n| *n >= 20), "{code} of {count:?}");
    }
}

#[test]
fn much_is_accepted_and_the_two_readings_differ() {
    let files = ledger(2, 300);
    let arrival = resolved(&files, Inheritance::Arrival);
    let lazy = resolved(&files, Inheritance::Lazy);
    let with = |column: &str, value: &str| {
        arrival.months.iter().filter(|row| row[column].as_deref() == Some(value)).count()
    };
    assert!(arrival.history.len() > 300 && arrival.months.len() > 500);
    assert!(with("ended_in_month", "true") > 10 && with("limit_source", "table") > 100);
    assert_eq!(arrival.history.len(), lazy.history.len());
    assert_ne!(arrival.history, lazy.history);
    let refusals = |resolved: &Resolved| {
        let early = resolved.findings.iter().filter(|f| f.code.as_str() < "S10");
        early.cloned().collect::<Vec<_>>()
    };
    assert_eq!(refusals(&arrival), refusals(&lazy));
    assert!(lazy.findings.iter().all(|finding| finding.code != "S11"));
}

#[test]
fn a_ledger_depends_on_its_seed_and_not_on_the_order_of_files() {
    let files = ledger(3, 60);
    assert_eq!(files, ledger(3, 60));
    assert_ne!(files, ledger(4, 60));
    let mut turned = files.clone();
    turned.reverse();
    turned.iter_mut().for_each(|file| file.records.reverse());
    assert_eq!(resolved(&files, Inheritance::Arrival), resolved(&turned, Inheritance::Arrival));
    let names: BTreeSet<&str> = files.iter().map(|file| file.name.as_str()).collect();
    assert_eq!(names.len(), files.len());
}

#[test]
fn clear_marks_and_codes_are_those_of_the_layouts() {
    let spec = tsumiage_schemas::Spec::embedded().unwrap();
    for layout in [spec.movement(), spec.correction()] {
        for (name, values, clearable) in items::ITEMS {
            let item = &layout.items[layout.column(name).unwrap()];
            assert_eq!(item.clear.star || item.clear.zeros, clearable, "{name}");
            assert!(values.iter().all(|value| value.chars().count() <= item.width), "{name}");
        }
    }
    let states: Vec<State> =
        ledger(5, 50).into_iter().flat_map(|f| f.records).flat_map(|r| r.items.into_values()).collect();
    assert!(states.contains(&State::Clear) && states.contains(&State::Blank));
}

/// Every processing month apart and all of it together.
fn union_codes(files: &[FileFact]) -> BTreeMap<String, usize> {
    let mut count = BTreeMap::new();
    for as_of in UNION_PROCESSING_MONTHS {
        let resolved = resolve(files, Some(as_of), Inheritance::Arrival, (202601, 202603), &[]);
        for finding in resolved.findings {
            *count.entry(finding.code).or_default() += 1;
        }
    }
    count
}

#[test]
fn every_finding_about_holders_is_frequent() {
    let files = union_ledger(1, 4, 40);
    let count = union_codes(&files);
    for code in (1..=15).map(|n| format!("S{n:02}")) {
        // Slips are those of the other ledger.
        let enough = if code == "S05" { 3 } else { 20 };
        assert!(count.get(&code).is_some_and(|n| *n >= enough), "{code} of {count:?}");
    }
}

#[test]
fn make_ups_of_every_kind_occur() {
    let files = union_ledger(2, 4, 40);
    let resolved = resolve(&files, None, Inheritance::Arrival, (202404, 202612), &[]);
    let cells = |table: &[crate::oracle::Row], column: &str| -> BTreeSet<String> {
        table.iter().filter_map(|row| row[column].clone()).collect()
    };
    assert!(resolved.memberships.len() > 40 && cells(&resolved.memberships, "valid_to").len() > 8);
    assert!(resolved.insurers.len() > 40 && resolved.municipal_limits.len() > 30);
    assert!(resolved.special_benefits.len() > 10 && resolved.history.len() > 200);
    let under_unions = |row: &&crate::oracle::Row| row["holder_no"] != row["insurer_no"];
    let many = resolved.months.iter().filter(under_unions).count();
    assert!(many > 300 && resolved.months.len() - many > 300, "{many} of {}", resolved.months.len());
    let moved = resolved.months.iter().filter(|row| {
        row["first_day_insurer_no"].is_some() && row["first_day_insurer_no"] != row["insurer_no"]
    });
    assert!(moved.count() > 5);
}

#[test]
fn a_union_ledger_depends_on_its_seed_and_not_on_the_order_of_files() {
    let files = union_ledger(3, 2, 30);
    assert_eq!(files, union_ledger(3, 2, 30));
    assert_ne!(files, union_ledger(4, 2, 30));
    let mut turned = files.clone();
    turned.reverse();
    turned.iter_mut().for_each(|file| file.records.reverse());
    turned.iter_mut().for_each(|file| file.registry.reverse());
    assert_eq!(resolved(&files, Inheritance::Arrival), resolved(&turned, Inheritance::Arrival));
}

#[test]
fn files_are_read_as_they_were_meant() {
    are_read_as_meant("people", ledger(6, 90));
    are_read_as_meant("unions", union_ledger(6, 3, 40));
}

fn are_read_as_meant(name: &str, mut files: Vec<FileFact>) {
    let spec = tsumiage_schemas::Spec::embedded().unwrap();
    let folder = std::env::temp_dir().join(format!("tsumiage-random-{name}-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let paths = write_into(&folder, &spec, &mut files).unwrap();
    let compiled = Compiled::new(std::sync::Arc::new(spec));
    let hashes: BTreeSet<&str> = files.iter().map(|file| file.hash.as_str()).collect();
    assert_eq!(hashes.len(), files.len());
    for (file, path) in files.iter().zip(&paths) {
        let bytes = std::fs::read(path).unwrap();
        let day = file.taken_in_on;
        let taken_in_on = Day::from_civil(day / 10_000, day / 100 % 100, day % 100).unwrap();
        let options = ReadOptions { batch_rows: 1000, taken_in_on, closed_through: None };
        let Ok(report) =
            read(&bytes, &compiled, &options, &mut |_, _| Ok::<(), std::convert::Infallible>(()));
        assert_eq!((report.file_rejected, report.rejected), (false, 0), "{:?}", report.findings);
        let records = file.records.len() + file.registry.len();
        assert_eq!(report.accepted, records as i64);
        let lines: Vec<&[u8]> = bytes.split(|byte| *byte == b'\n').collect();
        // Control and end record, and nothing behind the last CR LF.
        assert_eq!(lines.len(), records + 3);
        let starts = |record_no: i64, id: &str, date: i32| {
            let line = String::from_utf8_lossy(lines[record_no as usize - 1]).replace('"', "");
            let wanted = format!("2,{record_no},{id},{date},");
            assert!(line.starts_with(&wanted), "{line} {wanted}");
        };
        for record in &file.records {
            let id = if matches!(record.body, Body::Movement { .. }) { "5311" } else { "5321" };
            starts(record.record_no, id, record.movement_date);
        }
        for fact in &file.registry {
            let id = match fact.kind {
                RegistryKind::Insurer => "5411",
                RegistryKind::Limit => "5511",
                RegistryKind::Benefit => "5611",
                RegistryKind::Membership => "5711",
            };
            starts(fact.record_no, id, fact.movement_date);
        }
    }
    std::fs::remove_dir_all(&folder).unwrap();
}
