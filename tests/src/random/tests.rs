//! The generator is deterministic, legal, and makes every kind of fault happen often.

use super::*;
use crate::oracle::{Body, Inheritance, Limit, Resolved, State, resolve};
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

#[test]
fn files_are_read_as_they_were_meant() {
    let spec = tsumiage_schemas::Spec::embedded().unwrap();
    let mut files = ledger(6, 90);
    let folder = std::env::temp_dir().join(format!("tsumiage-random-{}", std::process::id()));
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
        assert_eq!(report.accepted, file.records.len() as i64);
        let lines: Vec<&[u8]> = bytes.split(|byte| *byte == b'\n').collect();
        // Control and end record, and nothing behind the last CR LF.
        assert_eq!(lines.len(), file.records.len() + 3);
        for record in &file.records {
            let id = if matches!(record.body, Body::Movement { .. }) { "5311" } else { "5321" };
            let start: String =
                String::from_utf8_lossy(lines[record.record_no as usize - 1]).replace('"', "");
            let wanted = format!("2,{},{id},{},", record.record_no, record.movement_date);
            assert!(start.starts_with(&wanted), "{start} {wanted}");
        }
    }
    std::fs::remove_dir_all(&folder).unwrap();
}
