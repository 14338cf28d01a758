//! Random files of cards, not always in the order of their days, against a naive reading: what came last holds.

use super::{cards, rows};
use crate::place::Place;
use proptest::prelude::*;
use std::collections::BTreeMap;

/// A record: place of the number on the card, of the person, of the status, day of end.
type Told = (usize, usize, usize, Option<u32>);

/// Day on which they come, and the records.
type Loaded = (u32, Vec<Told>);

fn line(&(member, person, status, end): &Told) -> String {
    let end = end.map(|day| format!("2026-03-{:02}", day + 1)).unwrap_or_default();
    format!("14{member:04},{person:010},{status},{end},")
}

/// Days from the first of April 2026, over some months.
fn date(day: u32) -> String {
    format!("2026-{:02}-{:02}", 4 + day / 28, 1 + day % 28)
}

/// What is known when only files up to a month count.
fn naive(files: &[(String, Vec<Told>)], last_month: &str) -> Vec<String> {
    let mut known: BTreeMap<(usize, usize), String> = BTreeMap::new();
    let mut files: Vec<_> = files.iter().filter(|(day, _)| &day[..7] <= last_month).collect();
    files.sort_by_key(|(day, _)| day); // stable: of one day in the order in which they came
    for (day, told) in files {
        for record in told {
            let cells = line(record).replace(",,", ",-,").trim_end_matches(',').replace(',', " ");
            known.insert((record.0, record.1), format!("{cells} - {day}"));
        }
    }
    known.into_values().collect()
}

fn files() -> impl Strategy<Value = Vec<Loaded>> {
    let told = (0..3_usize, 0..4_usize, 0..3_usize, prop::option::of(0..28_u32));
    prop::collection::vec((0..80_u32, prop::collection::vec(told, 1..5)), 1..7)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if std::env::var_os("SOAK").is_some() { 400 } else { 20 }))]
    #[test]
    fn what_is_told_last_holds(loads in files()) {
        let place = Place::new();
        let mut told = Vec::new();
        for (at, (day, records)) in loads.iter().enumerate() {
            let day = *day;
            let lines: Vec<String> = records.iter().map(line).collect();
            let file = cards(&place, &lines.iter().map(String::as_str).collect::<Vec<_>>());
            let (code, out, err) = place.run(&["khs", "load", "--on", &date(day), &file]);
            prop_assert_eq!(code, 0, "{}{}", out, err);
            told.push((date(day), records.clone()));
            // Some are read on from a snapshot, some all at once.
            if at % 2 == 0 {
                prop_assert_eq!(rows(&place.snapshot(&["resolve"])), naive(&told, "9999-99"));
            }
        }
        prop_assert_eq!(rows(&place.snapshot(&["resolve"])), naive(&told, "9999-99"));
        for month in ["2026-04", "2026-06"] {
            prop_assert_eq!(rows(&place.snapshot(&["resolve", "--as-of", month])), naive(&told, month), "{}", month);
        }
    }
}
