//! Rebuilding: the archive alone gives everything back, and what it lost is told.

use crate::place::{Place, hashes};
use crate::support::{names_in, snapshot_of};
use serde_json::Value;
use std::fs;
use std::path::Path;

#[test]
fn the_archive_alone_gives_everything_back() {
    let place = Place::eventful();
    let latest = place.snapshot(&["resolve"]);
    let frozen = place.snapshot(&["resolve", "--as-of", "2026-07"]);
    assert_eq!(place.people(&latest), ["10", "20", "80"]);
    let ledger = Path::new(&place.path("data/ledger")).to_owned();
    let (code, out, err) = place.run(&["rebuild"]);
    assert_eq!(code, 0, "{err}");
    assert!(out.contains("4 files taken in again, 1 of them rejected"), "{out}");
    assert_eq!(snapshot_of(&out), latest, "the snapshot that stands");
    assert_eq!(names_in(&ledger.join("manifests")), ["00000001.json"], "a new ledger");
    assert!(!Path::new(&place.path("data/.rebuild")).exists());

    fs::remove_dir_all(&ledger).unwrap();
    fs::rename(place.path("data/snapshots"), place.path("before")).unwrap();
    let again = place.snapshot(&["rebuild"]);
    let before = |snapshot: &Path| Path::new(&place.path("before")).join(snapshot.file_name().unwrap());
    assert_eq!(hashes(&again), hashes(&before(&latest)));
    let frozen_again = place.snapshot(&["resolve", "--as-of", "2026-07"]);
    assert_eq!(hashes(&frozen_again), hashes(&before(&frozen)));
    assert_eq!(place.status()["closed_through"], "2026-07");
}

#[test]
fn a_rebuild_killed_anywhere_is_carried_on() {
    let place = Place::eventful();
    let latest = place.snapshot(&["resolve"]);
    let (ledger, rebuild) = (place.path("data/ledger"), place.path("data/.rebuild"));
    // While the new ledger was made: the old one counts.
    fs::create_dir_all(format!("{rebuild}/ledger/manifests")).unwrap();
    fs::write(format!("{rebuild}/ledger/manifests/00000001.json"), "half").unwrap();
    assert_eq!(place.snapshot(&["resolve"]), latest);
    assert!(!Path::new(&rebuild).exists());
    // Between the two renames: the new one is whole.
    fs::create_dir_all(&rebuild).unwrap();
    fs::rename(&ledger, format!("{rebuild}/ledger")).unwrap();
    fs::create_dir_all(format!("{rebuild}/old")).unwrap();
    assert_eq!(place.snapshot(&["resolve"]), latest);
    // After the swap: only the old one is left to remove.
    fs::create_dir_all(format!("{rebuild}/old/manifests")).unwrap();
    assert_eq!(place.snapshot(&["rebuild"]), latest);
    assert!(!Path::new(&rebuild).exists());
    // A file the archive has lost is told before anything is given up.
    let id = place.file_id("june.csv");
    let (bytes, _) = place.archived(&id);
    fs::rename(&bytes, place.path("lost")).unwrap();
    let (code, _, err) = place.run(&["rebuild"]);
    assert_eq!((code, err.contains("backup")), (1, true), "{err}");
    assert_eq!(place.snapshot(&["resolve"]), latest, "the old ledger stays");
    fs::write(&bytes, "other bytes").unwrap();
    let (code, _, err) = place.run(&["rebuild"]);
    assert_eq!((code, err.contains("is not what arrived")), (1, true), "{err}");
}

#[test]
fn a_run_killed_between_ledger_and_archive_is_carried_on() {
    let place = Place::new();
    place.two_months();
    let early = place.file("early.csv", "2026-08", &[("80", "20260801", "1", "12")]);
    place.run(&["nightly", "--on", "2026-06-21", &early]);
    let id = place.file_id("early.csv");
    let (_, note) = place.archived(&id);
    let arrived_first = fs::read(&note).unwrap();
    let latest = place.snapshot(&["nightly", "--recheck", "--on", "2026-07-21", &early]);
    let arrived_anew = fs::read(&note).unwrap();
    assert_ne!(arrived_first, arrived_anew);
    for command in ["rebuild", "nightly"] {
        // The ledger knows that it arrived anew, the archive not yet.
        fs::remove_dir_all(place.path("data/ledger")).unwrap();
        place.snapshot(&["rebuild"]);
        fs::remove_dir_all(place.path("data/ledger")).unwrap();
        fs::write(&note, &arrived_first).unwrap();
        assert_eq!(place.run(&["ingest"]).0, 2, "F10");
        place.run(&["ingest", "--recheck", "--on", "2026-07-21", &early]);
        fs::write(&note, &arrived_first).unwrap();
        assert_eq!(place.snapshot(&[command]), latest, "{command}");
        assert_eq!(fs::read(&note).unwrap(), arrived_anew, "{command}");
    }
}

#[test]
fn a_loss_of_the_archive_is_told_with_and_without_a_ledger() {
    let place = Place::new();
    place.two_months();
    let latest = place.snapshot(&["resolve"]);
    let (bytes, note) = place.archived(&place.file_id("june.csv"));
    let kept = place.path("kept");
    fs::rename(&bytes, &kept).unwrap();
    let fails = |command: &[&str]| {
        let (code, _, err) = place.run(command);
        let says = "is gone from the archive; restore it from a backup";
        assert_eq!((code, err.contains(says)), (1, true), "{command:?}: {err}");
    };
    fails(&["rebuild"]);
    assert_eq!(place.snapshot(&["resolve"]), latest, "the old ledger stays");
    fs::remove_dir_all(place.path("data/ledger")).unwrap();
    let may = place.path("may.csv");
    for command in [
        &["rebuild"][..],
        &["nightly", "--on", "2026-07-01"],
        &["ingest", "--on", "2026-07-01", &may],
        &["close", "2026-06", "--on", "2026-07-01"],
    ] {
        fails(command);
    }
    let mut events = fs::read_dir(place.path("data/archive/events")).unwrap().map(|e| e.unwrap().file_name());
    assert!(
        events.all(|name| name.as_encoded_bytes().starts_with(b".")),
        "nothing but locks: nothing is closed"
    );
    fs::copy(&kept, &bytes).unwrap();
    assert_eq!(place.snapshot(&["rebuild"]), latest);
    // Or the file comes again: its bytes are back, and it arrived when it arrived first.
    fs::remove_dir_all(place.path("data/ledger")).unwrap();
    fs::remove_file(&bytes).unwrap();
    let june = place.path("june.csv");
    assert_eq!(place.snapshot(&["nightly", "--on", "2026-09-01", &june]), latest);
    assert!(bytes.is_file() && note.is_file());
}

#[test]
fn bytes_without_a_note_are_named_and_come_again_like_any_other() {
    let place = Place::new();
    place.two_months();
    let latest = place.snapshot(&["resolve"]);
    let id = place.file_id("june.csv");
    let (_, note) = place.archived(&id);
    let noted = fs::read(&note).unwrap();
    // The old ledger knows how it arrived.
    fs::remove_file(&note).unwrap();
    let (code, out, err) = place.run(&["rebuild"]);
    assert_eq!((code, err.as_str()), (0, ""));
    assert_eq!((snapshot_of(&out), fs::read(&note).unwrap()), (latest.clone(), noted));
    // Without a ledger nobody knows; the rest is taken in.
    fs::remove_file(&note).unwrap();
    fs::remove_dir_all(place.path("data/ledger")).unwrap();
    let (code, out, err) = place.run(&["rebuild"]);
    assert_eq!((code, err.lines().count()), (0, 1), "{err}");
    assert!(err.contains("1 files") && err.contains(&id) && err.contains("note"), "{err}");
    assert_eq!(place.people(&snapshot_of(&out)), ["10", "20"]);
    let june = place.path("june.csv");
    let again = place.snapshot(&["nightly", "--on", "2026-06-20", &june]);
    assert_eq!(hashes(&again), hashes(&latest));
    assert_eq!(place.run(&["rebuild"]).2, "");
}

#[test]
fn a_broken_ledger_is_made_again() {
    let place = Place::new();
    place.two_months();
    let latest = place.snapshot(&["resolve"]);
    let first = place.path("data/ledger/manifests/00000001.json");
    // One of two is gone, then the one that is there is cut off.
    let breaks: [&dyn Fn(); 2] =
        [&|| fs::remove_file(&first).unwrap(), &|| fs::write(&first, "{\"number\":").unwrap()];
    for break_it in breaks {
        break_it();
        for command in ["resolve", "nightly", "status"] {
            let (code, _, err) = place.run(&[command]);
            assert_eq!((code, err.contains("run `tsumiage rebuild`")), (1, true), "{command}: {err}");
            assert!(!err.contains("backup"), "{err}");
        }
        let (code, out, err) = place.run(&["rebuild"]);
        assert_eq!((code, err.lines().count()), (0, 1), "{err}");
        assert!(err.contains("the old ledger could not be read"), "{err}");
        assert_eq!(snapshot_of(&out), latest);
        assert_eq!(place.snapshot(&["resolve"]), latest);
    }
    // Its facts are gone: whoever needs them fails until they are made again.
    fs::remove_dir_all(place.path("data/ledger/facts")).unwrap();
    assert_eq!(place.run(&["resolve", "--inheritance", "lazy"]).0, 1);
    assert_eq!(place.snapshot(&["rebuild"]), latest);
    let lazy = place.snapshot(&["resolve", "--inheritance", "lazy"]);
    assert_eq!(place.people(&lazy), place.people(&latest));
}

#[test]
fn a_rebuild_tells_every_file_as_an_event() {
    let place = Place::eventful();
    let (code, out, _) = place.run(&["rebuild", "--json"]);
    let events: Vec<Value> = out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let mut files: Vec<(&str, &str)> = events
        .iter()
        .filter(|e| e["event"] == "file")
        .map(|e| (e["name"].as_str().unwrap(), e["outcome"].as_str().unwrap()))
        .collect();
    files.sort_unstable();
    let taken_in = ["early.csv", "june.csv", "late.csv", "may.csv"].map(|name| (name, "taken_in"));
    let expected = taken_in.map(|(name, word)| (name, if name == "late.csv" { "rejected" } else { word }));
    assert_eq!((code, files.as_slice()), (0, &expected[..]), "{out}");
}
