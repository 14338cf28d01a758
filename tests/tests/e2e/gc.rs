//! Old snapshots go; what stays is whole.

use crate::place::Place;
use crate::support::names_in;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

/// A data folder with seven snapshots, all of whose files are read-only; by what they are:
/// 1 and 2 nightly, 3 as of a closed month, 4 of other months, 5 nightly and `latest`, 6 and 7 as of open months.
fn seven() -> (Place, Vec<String>) {
    let place = Place::new();
    place.two_months();
    place.snapshot(&["close", "2026-05", "--on", "2026-06-30"]);
    place.snapshot(&["resolve", "--months", "2026-06..2026-06"]);
    let july = place.file("july.csv", "2026-07", &[("90", "20260701", "1", "12")]);
    place.snapshot(&["nightly", "--on", "2026-07-20", &july]);
    place.snapshot(&["resolve", "--as-of", "2026-06"]);
    place.snapshot(&["resolve", "--inheritance", "lazy"]);
    let ids = ids(&place);
    assert_eq!(ids.len(), 7, "{ids:?}");
    (place, ids)
}

fn ids(place: &Place) -> Vec<String> {
    let listed: Value =
        serde_json::from_str(&place.run(&["snapshots", "list", "--format", "json"]).1).unwrap();
    listed.as_array().unwrap().iter().map(|row| row["id"].as_str().unwrap().to_owned()).collect()
}

fn root(place: &Place) -> PathBuf {
    PathBuf::from(place.path("data/snapshots"))
}

/// Bytes of all files below a folder, each counted once whatever its names.
fn on_disk(folder: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt;
    fn look(folder: &Path, found: &mut BTreeMap<u64, u64>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let metadata = path.symlink_metadata().unwrap();
            if metadata.is_dir() {
                look(&path, found);
            } else if metadata.is_file() {
                found.insert(metadata.ino(), metadata.len());
            }
        }
    }
    let mut found = BTreeMap::new();
    look(folder, &mut found);
    found.values().sum()
}

fn gc(place: &Place, options: &[&str]) -> Value {
    let (code, out, err) = place.run(&[&["snapshots", "gc", "--format", "json"], options].concat());
    assert_eq!((code, err.as_str()), (0, ""), "{out}");
    serde_json::from_str(&out).unwrap()
}

/// All that stand are whole.
fn verified(place: &Place) {
    for id in ids(place) {
        let (code, _, err) = place.run(&["snapshots", "verify", &id]);
        assert_eq!(code, 0, "{id}: {err}");
    }
}

#[test]
fn the_newest_the_latest_and_closings_stay() {
    let (place, ids_before) = seven();
    let (before, archive) = (on_disk(&root(&place)), on_disk(Path::new(&place.path("data/archive"))));
    let dry = gc(&place, &["--keep", "1", "--dry-run"]);
    assert_eq!((ids(&place), on_disk(&root(&place))), (ids_before.clone(), before), "nothing went");
    let stays: Vec<String> =
        dry["snapshots"].as_array().unwrap().iter().map(|row| row["stays"].to_string()).collect();
    assert_eq!(stays, ["[]", "[]", "[\"closing\"]", "[]", "[\"latest\"]", "[]", "[\"newest\"]"]);
    let table = place.run(&["snapshots", "gc", "--keep", "1", "--dry-run"]).1;
    assert!(table.contains(&format!("{}  2026-05  stays: closing\n", ids_before[2])), "{table}");
    assert!(table.contains("4 of 7 snapshots would go; "), "{table}");

    let told = gc(&place, &["--keep", "1"]);
    assert_eq!((&told["removed"], &told["leftovers"]), (&4.into(), &0.into()));
    assert_eq!(ids(&place), [2, 4, 6].map(|at| ids_before[at].clone()));
    let freed = before - on_disk(&root(&place));
    assert_eq!(told["freed_bytes"], freed);
    assert_eq!((&dry["freed_bytes"], &dry["snapshots"]), (&told["freed_bytes"], &told["snapshots"]));
    let of_each =
        told["snapshots"].as_array().unwrap().iter().map(|row| row["freed_bytes"].as_u64().unwrap());
    assert_eq!(of_each.sum::<u64>(), freed);
    assert!(freed > 0, "they did not share everything");
    verified(&place);
    assert_eq!(on_disk(Path::new(&place.path("data/archive"))), archive);
    assert_eq!(place.people(&root(&place).join("latest")), ["10", "20", "30", "90"]);
    // Nothing is left to do; a new one gets a new number.
    assert_eq!(gc(&place, &["--keep", "1"])["removed"], 0);
    let next = place.snapshot(&["resolve", "--months", "2026-05..2026-05"]);
    assert!(next.file_name().unwrap().to_str().unwrap().starts_with("000008-"));
    // An open month that was closed before stays too: others were told of it.
    place.run(&["reopen", "2026-05", "--reason", "x", "--on", "2026-07-21"]);
    gc(&place, &["--keep", "1"]);
    assert_eq!(ids(&place)[..2], [2, 4].map(|at| ids_before[at].clone()));
    let csv = place.run(&["snapshots", "gc", "--keep", "9", "--format", "csv"]).1;
    assert!(csv.starts_with("id,as_of,removed,stays,freed_bytes\n"), "{csv}");
    assert!(csv.contains(&format!("{},2026-05,false,newest closing,0\n", ids_before[2])), "{csv}");
}

#[test]
fn what_a_killed_removal_left_is_cleared_away() {
    let (place, all) = seven();
    let hidden = |id: &str| root(&place).join(format!(".removing-{id}"));
    let leave = |id: &str| {
        fs::rename(root(&place).join(id), hidden(id)).unwrap();
        fs::remove_file(hidden(id).join("files/files.parquet")).unwrap();
    };
    leave(&all[0]);
    assert_eq!(ids(&place), all[1..], "no half snapshot is listed");
    let found = ["snapshots", "show"].map(str::to_owned).into_iter().chain([format!(".removing-{}", all[0])]);
    let found: Vec<String> = found.collect();
    assert_eq!(place.run(&found.iter().map(String::as_str).collect::<Vec<_>>()).0, 1, "nor found");
    let before = on_disk(&root(&place));
    let told = gc(&place, &["--keep", "6"]);
    assert_eq!((&told["removed"], &told["leftovers"]), (&0.into(), &1.into()));
    assert_eq!(told["freed_bytes"], before - on_disk(&root(&place)));
    assert!(!hidden(&all[0]).exists());
    verified(&place);
    // Or by the next snapshot that is begun.
    leave(&all[1]);
    place.snapshot(&["resolve", "--months", "2026-05..2026-05"]);
    assert!(!hidden(&all[1]).exists());
    verified(&place);
}

#[test]
fn a_run_at_work_and_a_link_that_is_ahead_are_respected() {
    let (place, all) = seven();
    let lock = File::options().write(true).open(place.path("data/.lock")).unwrap();
    lock.lock().unwrap();
    let (code, _, err) = place.run(&["snapshots", "gc", "--keep", "1"]);
    assert!(code == 1 && err.contains("another run is at work"), "{err}");
    drop(lock);
    // Killed between link and text: both stay.
    fs::write(root(&place).join("LATEST"), format!("{}\n", all[1])).unwrap();
    gc(&place, &["--keep", "1"]);
    assert_eq!(ids(&place), [1, 2, 4, 6].map(|at| all[at].clone()));
    for wrong in
        [&["snapshots", "gc"][..], &["snapshots", "gc", "--keep", "0"], &["snapshots", "gc", "--keep", "x"]]
    {
        assert_eq!(place.run(wrong).0, 64, "{wrong:?}");
    }
    assert_eq!(place.run(&["snapshots", "gc", "--keep", "1", "--on", "2026-07-01"]).0, 64);
    let nowhere = ["snapshots", "gc", "--keep", "1", "--data", &place.path("nowhere")];
    assert_eq!(crate::place::run(&nowhere).0, 64);
    assert!(!names_in(&root(&place)).is_empty());
}
