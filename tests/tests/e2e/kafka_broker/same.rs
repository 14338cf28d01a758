//! The same facts, the same bytes: embedded log or Kafka, any number of partitions, also from Kafka alone.

use super::{Topic, synth};
use crate::place::{Place, hashes, run};
use crate::support::snapshot_of;
use std::fs;
use std::path::{Path, PathBuf};

fn args<'a>(command: &[&'a str], more: &'a [String]) -> Vec<&'a str> {
    command.iter().copied().chain(more.iter().map(String::as_str)).collect()
}

/// Takes files in on two days, every third of them on the second, and gives the newest snapshot.
fn nights(data: &str, files: &[PathBuf], kafka: &[String]) -> PathBuf {
    let mut snapshot = PathBuf::new();
    for (day, takes) in [("2026-10-05", false), ("2026-10-06", true)] {
        let of_day = files.iter().enumerate().filter(|(n, _)| (n % 3 == 2) == takes);
        let paths: Vec<String> = of_day.map(|(_, path)| path.display().to_string()).collect();
        let mut args = args(&["nightly", "--quiet", "--data", data, "--on", day], kafka);
        args.extend(paths.iter().map(String::as_str));
        let (code, out, err) = run(&args);
        assert!(matches!(code, 0 | 2), "{code}\n{err}");
        snapshot = snapshot_of(&out);
    }
    snapshot
}

#[test]
#[ignore = "needs a Kafka broker: tests/run.sh"]
fn kafka_gives_what_the_embedded_log_gives_and_gives_it_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let files = synth(Path::new(&path("inbox")), 400, 7);
    let expected = hashes(&nights(&path("embedded"), &files, &[]));
    for partitions in [1, 3, 8] {
        let kafka = Topic::new(partitions).args();
        let data = path(&format!("data-{partitions}"));
        assert_eq!(hashes(&nights(&data, &files, &kafka)), expected, "{partitions} partitions");
        let log = fs::read_dir(Path::new(&data).join("log")).into_iter().flatten();
        let left: u64 = log.map(|entry| entry.unwrap().metadata().unwrap().len()).sum();
        assert_eq!(left, 0, "bytes are left in the log");
        // From Kafka alone: no archive, no inbox.
        let alone = path(&format!("alone-{partitions}"));
        let (code, _, err) = run(&args(&["sink", "--drain", "--data", &alone], &kafka));
        assert_eq!(code, 0, "what stacking rejects the sink does not know\n{err}");
        let (code, out, err) = run(&["resolve", "--data", &alone]);
        assert_eq!(code, 0, "{err}");
        assert_eq!(hashes(&snapshot_of(&out)), expected, "from Kafka alone, {partitions} partitions");
        // Once more: nothing is new.
        let manifests = || fs::read_dir(Path::new(&alone).join("ledger/manifests")).unwrap().count();
        let before = manifests();
        for more in [&["--drain"][..], &["--drain", "--from-start"]] {
            let (code, _, err) = run(&args(&[&["sink", "--data", &alone], more].concat(), &kafka));
            assert_eq!(code, 0, "{err}");
        }
        assert_eq!(manifests(), before, "nothing was committed again");
    }
}

#[test]
#[ignore = "needs a Kafka broker: tests/run.sh"]
fn an_eventful_folder_is_the_same_through_kafka() {
    let (embedded, through) = (Place::eventful(), Place::eventful_through(Topic::new(3).args()));
    for options in [&["resolve"][..], &["resolve", "--as-of", "2026-05"], &["resolve", "--as-of", "2026-07"]]
    {
        let (expected, got) = (embedded.snapshot(options), through.snapshot(options));
        assert_eq!(hashes(&got), hashes(&expected), "{options:?}");
    }
    // The archive alone gives it back, and the sink reads on where it stood.
    let latest = through.snapshot(&["resolve"]);
    let before = through.status()["ledger"]["kafka"].clone();
    assert!(before.as_object().is_some_and(|topics| topics.len() == 1), "{before}");
    assert_eq!(through.snapshot(&["rebuild"]), latest);
    assert_eq!(through.status()["ledger"]["kafka"], before);
}
