//! What an operator of the nightly run relies on: exit codes, clear errors, no-ops, carrying on.

use crate::support::{names_in, snapshot_of, tsumiage};
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

/// Runs the program; exit code, standard output, standard error.
fn run(args: &[&str]) -> (u8, String, String) {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let code = tsumiage_jobs::cli::run(args.iter().map(OsString::from), &mut out, &mut err);
    (code, String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap())
}

fn samples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../samples/inbox")
}

struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    fn new() -> Place {
        Place { folder: tempfile::tempdir().unwrap() }
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    /// `nightly` over the samples.
    fn nightly(&self) -> (u8, String, String) {
        run(&[
            "nightly",
            "--inbox",
            &samples().display().to_string(),
            "--data",
            &self.path("data"),
            "--on",
            "2026-11-01",
        ])
    }
}

#[test]
fn wrong_usage_is_64_with_a_line_that_helps() {
    let place = Place::new();
    let (data, none) = (place.path("data"), place.path("no-such-inbox"));
    let inbox = samples().display().to_string();
    let wrong: &[(&[&str], &str)] = &[
        (&["nightly", "--no-such-option"], "--no-such-option"),
        (&["nightli"], "nightly"),
        (&["nightly", "--on", "2026-02-30"], "2026-02-30"),
        (&["nightly", "--months", "2026-10..2026-04", "--data", &data], "2026-10..2026-04"),
        (&["nightly", "--inbox", &none, "--data", &data], "no-such-inbox"),
        (&["nightly", "--data", &data, "no-such-file.csv"], "no-such-file.csv"),
        (&["resolve", "--data", &data], "check --data"),
        (&["query", "SELECT 1", "--as-of", "2026-05", "--data", &data], "--as-of"),
        (&["status", "--data", &data], "tsumiage nightly"),
        (&["timeline", "--insured", "12", "--data", &data], "ten characters"),
        (&["worker", "--inbox", &inbox, "--archive", &data], "needs --kafka"),
        (&["worker", "--kafka", "a:1", "--inbox", &inbox], "--archive"),
        (&["worker", "--kafka", "a:1", "--inbox", &none, "--archive", &data], "no-such-inbox"),
        (&["worker", "--kafka", "a:1", "--inbox", &inbox, "--archive", &data, "--data", &data], "--data"),
        (&["worker", "--kafka", "a:1", "--inbox", &inbox, "--archive", &data, "--recheck"], "--drain"),
        (&["worker", "--kafka", "a:1", "--inbox", &inbox, "--archive", &data, "--metrics", "here"], ":9464"),
        (&["sink", "--data", &data], "needs --kafka"),
        (&["sink", "--kafka", "a:1", "--data", &data, "--on", "2026-05-01"], "--on"),
        (&["sink", "--kafka", "a:1", "--data", &data, "--kafka-topic", "facts"], "tsumiage."),
        (&["sink", "--kafka", "a:1", "--data", &data, "--kafka-config", &none], "no-such-inbox"),
        (&["nightly", "--kafka", "user:secret@a:1", "--data", &data], "host:port"),
        (&["ingest", "--kafka-partitions", "8", "--data", &data], "--kafka BROKERS"),
        (&["resolve", "--kafka", "a:1", "--data", &data], "--kafka"),
        (&["status", "--kafka-topic", "tsumiage.x", "--data", &data], "--kafka-topic"),
    ];
    for (args, says) in wrong {
        let (code, out, err) = run(args);
        assert_eq!((code, out.as_str()), (64, ""), "{args:?}: {err}");
        assert!(err.contains(says) && !err.contains("secret"), "{args:?}: {err}");
        assert_eq!(err.lines().count(), 1, "{args:?}: {err}");
    }
    assert!(!Path::new(&data).exists(), "wrong usage makes no data folder");
}

#[test]
fn what_the_machine_refuses_is_1_and_one_line() {
    let place = Place::new();
    let file = place.path("a-file");
    fs::write(&file, "x").unwrap();
    let inbox = samples().display().to_string();
    let (code, _, err) = run(&["nightly", "--inbox", &inbox, "--data", &format!("{file}/data")]);
    assert_eq!(code, 1, "{err}");
    assert_eq!(err.lines().count(), 1, "{err}");
    assert!(err.contains("a-file"), "{err}");
    assert_eq!(place.nightly().0, 2);
    let (code, _, err) = run(&["query", "SELEC 1", "--data", &place.path("data")]);
    assert_eq!((code, err.lines().count()), (1, 1), "{err}");
    let (code, _, err) = run(&["query", "DROP TABLE files", "--data", &place.path("data")]);
    assert_eq!((code, err.lines().count()), (1, 1), "{err}");
    let (code, _, err) = run(&["snapshots", "show", "../data", "--data", &place.path("data")]);
    assert_eq!((code, err.lines().count()), (1, 1), "{err}");
}

#[test]
fn the_same_again_changes_nothing_and_still_tells_of_rejections() {
    let place = Place::new();
    let (code, out, _) = place.nightly();
    assert_eq!(code, 2, "a sample has rejected records");
    let snapshot = snapshot_of(&out);
    assert_eq!(
        snapshot.parent(),
        Some(Path::new(&place.path("data/snapshots")).canonicalize().unwrap().as_path())
    );
    let (code, again, _) = place.nightly();
    assert_eq!(code, 2, "rejected records were seen before, and are still there");
    assert!(again.contains("0 taken in"), "{again}");
    assert_eq!(snapshot_of(&again), snapshot);
    assert_eq!(
        names_in(Path::new(&place.path("data/snapshots"))).len(),
        3,
        "one snapshot, latest and LATEST"
    );
    let (code, resolved, _) = run(&["resolve", "--data", &place.path("data")]);
    assert_eq!((code, snapshot_of(&resolved)), (0, snapshot.clone()));
    // The same bytes under another name are the same file.
    let copy = place.path("copy.csv");
    fs::copy(samples().join(&names_in(&samples())[0]), &copy).unwrap();
    let (_, out, _) = run(&["nightly", "--data", &place.path("data"), &copy]);
    assert!(out.contains("0 taken in, 1 duplicate"), "{out}");
    assert_eq!(snapshot_of(&out), snapshot);
}

#[test]
fn other_options_are_published_but_not_latest_and_settings_are_kept() {
    let place = Place::new();
    let data = place.path("data");
    let latest = || fs::read_to_string(format!("{data}/snapshots/LATEST")).unwrap();
    place.nightly();
    let first = latest();
    let lazy = snapshot_of(&tsumiage(["resolve", "--inheritance", "lazy", "--data", &data]));
    let early = snapshot_of(&tsumiage(["resolve", "--as-of", "2026-06", "--data", &data]));
    assert_ne!(lazy, early);
    assert_eq!(latest(), first);
    let link = fs::read_link(format!("{data}/snapshots/latest")).unwrap();
    assert_eq!(link, PathBuf::from(first.trim()));
    let settings = fs::read_to_string(format!("{data}/settings.toml")).unwrap();
    fs::write(format!("{data}/settings.toml"), settings.replace("\"arrival\"", "\"lazy\"")).unwrap();
    let now = snapshot_of(&tsumiage(["resolve", "--data", &data]));
    assert_eq!(now, lazy, "the snapshot of the settings stands already");
    assert_eq!(latest().trim(), lazy.file_name().unwrap().to_str().unwrap());
    let list: serde_json::Value =
        serde_json::from_str(&tsumiage(["snapshots", "list", "--format", "json", "--data", &data])).unwrap();
    let as_of: Vec<_> = list.as_array().unwrap().iter().map(|s| s["as_of"].clone()).collect();
    assert_eq!(as_of, [serde_json::json!(null), serde_json::json!(null), serde_json::json!("2026-06")]);
}

#[test]
fn a_damaged_snapshot_is_found_out() {
    let place = Place::new();
    let snapshot = snapshot_of(&place.nightly().1);
    let data = place.path("data");
    assert_eq!(run(&["snapshots", "verify", "--data", &data]).0, 0);
    let file = snapshot.join("files/files.parquet");
    let mut bytes = fs::read(&file).unwrap();
    let middle = bytes.len() / 3;
    bytes[middle] ^= 1;
    fs::remove_file(&file).unwrap(); // published files are read-only
    fs::write(&file, bytes).unwrap();
    fs::write(snapshot.join("stray.txt"), "x").unwrap();
    let (code, _, err) = run(&["snapshots", "verify", "--data", &data]);
    assert_eq!(code, 1);
    assert!(err.contains("files/files.parquet: other content") && err.contains("stray.txt"), "{err}");
}

#[test]
fn events_are_ndjson_and_name_nobody() {
    let place = Place::new();
    let data = place.path("data");
    let inbox = samples().display().to_string();
    let (_, out, err) = run(&["nightly", "--json", "--inbox", &inbox, "--data", &data, "--on", "2026-11-01"]);
    let events: Vec<serde_json::Value> =
        out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(events.last().unwrap()["event"], "snapshot");
    assert_eq!(events.iter().filter(|e| e["event"] == "file").count(), names_in(&samples()).len());
    assert!(!out.contains("0000000010") && !err.contains("0000000010"), "an insured number was told");
}

#[test]
fn a_run_that_was_killed_is_carried_on_and_a_second_run_waits_outside() {
    let place = Place::new();
    let data = place.path("data");
    let whole = snapshot_of(&place.nightly().1);
    // As if killed after archiving: the bytes are there, the ledger knows nothing.
    let killed = place.path("killed");
    copy_folder(Path::new(&format!("{data}/archive")), Path::new(&format!("{killed}/archive")));
    fs::create_dir_all(format!("{killed}/ledger/facts/141003")).unwrap();
    fs::write(format!("{killed}/ledger/facts/141003/00000001-0000.parquet"), "half a run").unwrap();
    fs::create_dir_all(format!("{killed}/snapshots/.building/recipient_month")).unwrap();
    fs::create_dir_all(format!("{killed}/log")).unwrap();
    fs::write(format!("{killed}/log/left.arrow"), "half a segment").unwrap();
    let aside = format!("{killed}/ledger/.aside.arrow");
    fs::write(&aside, "facts set aside").unwrap();
    let lock = fs::File::create(format!("{killed}/.lock")).unwrap();
    lock.lock().unwrap();
    let (code, _, err) = run(&["nightly", "--data", &killed]);
    assert_eq!((code, err.contains("another run")), (1, true), "{err}");
    drop(lock);
    let (code, out, _) = run(&["nightly", "--data", &killed]);
    assert_eq!(code, 2);
    assert_eq!(snapshot_of(&out).file_name(), whole.file_name(), "same facts, same id");
    assert!(!Path::new(&aside).exists(), "what was set aside is left");
}

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for name in names_in(from) {
        let (from, to) = (from.join(&name), to.join(&name));
        if from.is_dir() { copy_folder(&from, &to) } else { fs::copy(&from, &to).map(|_| ()).unwrap() }
    }
}

#[test]
fn damaged_files_are_rejected_whole_and_kept() {
    let place = Place::new();
    let data = place.path("data");
    let good = fs::read(samples().join("141003-202605-5311.csv")).unwrap();
    let cut = &good[..good.len() / 2];
    let damaged: [(&str, &[u8], &str); 5] = [
        ("empty.csv", b"", "F01"),
        ("archive.zip", b"PK\x03\x04\x14\x00\x00\x00 not an exchange file", "F01"),
        ("utf16.csv", b"\xff\xfe1\x00,\x001\x00", "F01"),
        ("quotes.csv", &[b'"'; 5000], "F01"),
        ("cut.csv", cut, "F04"),
    ];
    let mut args = vec!["nightly".to_owned(), "--data".to_owned(), data.clone()];
    for (name, bytes, _) in &damaged {
        fs::write(place.path(name), bytes).unwrap();
        args.push(place.path(name));
    }
    let (code, out, err) = run(&args.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(code, 2, "{err}");
    assert!(out.contains("0 taken in, 0 duplicate, 5 rejected"), "{out}");
    let sql = "SELECT DISTINCT f.name, g.code FROM files f JOIN findings g ON f.file_id = g.file_id";
    let found = tsumiage(["query", sql, "--format", "csv", "--data", &data]);
    for (name, _, code) in &damaged {
        assert!(found.contains(&format!("{name},{code}")), "{name} should be {code}:\n{found}");
    }
    let archived: usize = names_in(Path::new(&format!("{data}/archive")))
        .iter()
        .map(|folder| names_in(Path::new(&format!("{data}/archive/{folder}"))).len())
        .sum();
    assert_eq!(archived, 2 * damaged.len(), "bytes and note of every file");
}

#[test]
fn any_folder_name_will_do_and_the_inbox_is_only_read() {
    let place = Place::new();
    let (inbox, data) = (place.path("受付 #1"), place.path("データ~[1] 100%?"));
    fs::create_dir_all(format!("{inbox}/sub")).unwrap();
    let sample = samples().join("141003-202605-5311.csv");
    for name in ["a.csv", ".hidden.csv", "b.part", "c.tmp", "sub/d.csv"] {
        fs::copy(&sample, format!("{inbox}/{name}")).unwrap();
    }
    let before = names_in(Path::new(&inbox));
    let (_, out, err) = run(&["nightly", "--inbox", &inbox, "--data", &data, "--on", "2026-11-01"]);
    assert!(out.contains("1 taken in, 0 duplicate, 0 rejected"), "{out}{err}");
    assert_eq!(names_in(Path::new(&inbox)), before);
    let (code, out, err) = run(&["query", "SELECT name FROM files", "--format", "csv", "--data", &data]);
    assert_eq!((code, out.as_str()), (0, "name\na.csv\n"), "{err}");
    let (code, out, _) = run(&["findings", "--format", "json", "--data", &data]);
    assert_eq!(code, 0);
    assert!(serde_json::from_str::<serde_json::Value>(&out).unwrap().is_array());
}

#[test]
fn many_small_nights_are_sorted_instead_of_merged_and_files_are_shared() {
    let place = Place::new();
    let data = place.path("data");
    let sample = fs::read(samples().join("141003-202605-5311.csv")).unwrap();
    // The same facts in other bytes: a volume number of its own makes every night's file distinct.
    let rest = sample.strip_prefix(b"\"1\",\"1\",\"0\",").unwrap();
    let file = |night: usize| {
        let path = place.path(&format!("night-{night:02}.csv"));
        fs::write(&path, [format!("1,1,{night},").as_bytes(), rest].concat()).unwrap();
        path
    };
    let mut snapshots = Vec::new();
    for night in 1..=30 {
        let on = format!("2026-06-{night:02}");
        let (_, out, err) = run(&["nightly", "--quiet", "--data", &data, "--on", &on, &file(night)]);
        assert!(out.contains("1 taken in"), "{night}: {out}{err}");
        snapshots.push(snapshot_of(&out));
    }
    let rows = |snapshot: &Path| {
        let manifest: serde_json::Value =
            serde_json::from_slice(&fs::read(snapshot.join("manifest.json")).unwrap()).unwrap();
        manifest["tables"]["recipient_month"]["rows_digest"].clone()
    };
    let (first, last) = (&snapshots[0], &snapshots[29]);
    assert_eq!(rows(first), rows(last), "only the first night's records are live, the others are S01");
    let month = "recipient_month/month=2026-05/141003.parquet";
    let identity =
        |snapshot: &Path| std::os::unix::fs::MetadataExt::ino(&fs::metadata(snapshot.join(month)).unwrap());
    assert_eq!(identity(first), identity(last), "unchanged files are hard links");
    let mode = fs::metadata(last.join(month)).unwrap().permissions();
    assert!(mode.readonly(), "published files are read-only");
}

#[test]
fn a_rejected_file_is_checked_again_when_asked() {
    let place = Place::new();
    let data = place.path("data");
    let sample = samples().join("141003-202605-5311.csv").display().to_string();
    // Two months ahead of its day: F10.
    let (code, out, _) = run(&["nightly", "--data", &data, "--on", "2026-03-01", &sample]);
    assert_eq!((code, out.contains("1 rejected")), (2, true), "{out}");
    let (code, out, err) = run(&["nightly", "--json", "--data", &data, "--on", "2026-05-02", &sample]);
    assert_eq!((code, out.contains("\"finding\":\"F07\"")), (2, true), "{out}{err}");
    let (code, out, err) = run(&["nightly", "--recheck", "--data", &data, "--on", "2026-05-02", &sample]);
    assert!(code == 0 && out.contains("1 taken in"), "{code} {out}{err}");
    let days =
        tsumiage(["query", "SELECT taken_in_on, status FROM files", "--format", "csv", "--data", &data]);
    assert_eq!(days, "taken_in_on,status\n2026-05-02,accepted\n");
}
