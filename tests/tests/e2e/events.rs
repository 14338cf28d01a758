//! Closings, withdrawals, checking again and rebuilding: what holds as of which month, and that the archive
//! alone gives it all back.

use crate::support::{Source, names_in, snapshot_of, tsumiage};
use serde_json::Value;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use tsumiage_pipeline::writer::Quoting;
use tsumiage_schemas::Spec;

/// Runs the program; exit code, standard output, standard error. Nobody's insured number is told.
fn run(args: &[&str]) -> (u8, String, String) {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let code = tsumiage_jobs::cli::run(args.iter().map(OsString::from), &mut out, &mut err);
    let (out, err) = (String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap());
    if !matches!(args[0], "timeline" | "query") {
        assert!(
            !out.contains("00000000") && !err.contains("00000000"),
            "{args:?} tells a number\n{out}{err}"
        );
    }
    (code, out, err)
}

struct Place {
    folder: tempfile::TempDir,
    spec: Spec,
}

impl Place {
    fn new() -> Place {
        Place { folder: tempfile::tempdir().unwrap(), spec: Spec::embedded().unwrap() }
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    fn data(&self) -> String {
        self.path("data")
    }

    /// Runs a command on the data folder.
    fn run(&self, args: &[&str]) -> (u8, String, String) {
        let data = self.data();
        run(&[args, &["--data", &data]].concat())
    }

    /// Like `run` of a command that ends with 0; gives the snapshot it names.
    fn snapshot(&self, args: &[&str]) -> PathBuf {
        let (code, out, err) = self.run(args);
        assert_eq!(code, 0, "{args:?}: {out}{err}");
        snapshot_of(&out)
    }

    /// Writes a file of 141003: (insured number's last digits, movement date, type, care level) each.
    fn file(&self, name: &str, month: &str, rows: &[(&str, &str, &str, &str)]) -> String {
        let row = |(insured, date, movement_type, care_level): &(&str, &str, &str, &str)| {
            let items = [
                ("movement_date", (*date).to_owned()),
                ("movement_type", (*movement_type).to_owned()),
                ("movement_reason", if *movement_type == "1" { "01" } else { "99" }.to_owned()),
                ("insurer_no", "141003".to_owned()),
                ("insured_no", format!("{insured:0>10}")),
                ("care_level", (*care_level).to_owned()),
            ];
            ("5311".to_owned(), items.map(|(item, value)| (item.to_owned(), value)).to_vec())
        };
        let source = Source {
            name: name.to_owned(),
            processing_month: month.parse().unwrap(),
            taken_in_on: "2026-01-01".parse().unwrap(), // told when it is taken in
            sender_no: "141003".to_owned(),
            rows: rows.iter().map(row).collect(),
        };
        let path = self.path(name);
        fs::write(&path, source.to_exchange_file(&self.spec, Quoting::Needed)).unwrap();
        path
    }

    /// Two people registered in May, one changed and a third registered in June; both taken in.
    fn two_months(&self) {
        let may =
            self.file("may.csv", "2026-05", &[("10", "20260501", "1", "12"), ("20", "20260502", "1", "12")]);
        let june =
            self.file("june.csv", "2026-06", &[("10", "20260610", "2", "21"), ("30", "20260611", "1", "22")]);
        for (on, file) in [("2026-05-20", &may), ("2026-06-20", &june)] {
            let (code, out, err) = self.run(&["nightly", "--on", on, file]);
            assert_eq!(code, 0, "{out}{err}");
        }
    }

    /// A file whose control record promises one record too few (F03): rejected, but not by the lenient
    /// profile.
    fn miscounted(&self, name: &str, month: &str) -> String {
        let path = self.file(name, month, &[("40", "20260503", "1", "12"), ("50", "20260504", "1", "12")]);
        let bytes = fs::read(&path).unwrap();
        let at = bytes.windows(8).position(|w| w == b"1,1,0,2,").unwrap();
        fs::write(&path, [&bytes[..at], b"1,1,0,1,", &bytes[at + 8..]].concat()).unwrap();
        path
    }

    fn set_profile(&self, profile: &str) {
        let path = self.path("data/settings.toml");
        let settings = fs::read_to_string(&path).unwrap();
        let other = if profile == "lenient" { "strict" } else { "lenient" };
        let changed =
            settings.replace(&format!("profile = \"{other}\""), &format!("profile = \"{profile}\""));
        assert_ne!(settings, changed);
        fs::write(path, changed).unwrap();
    }

    /// One column of a query over a snapshot.
    fn query(&self, snapshot: &Path, sql: &str) -> Vec<String> {
        let id = snapshot.file_name().unwrap().to_str().unwrap();
        let out = tsumiage(["query", sql, "--snapshot", id, "--format", "csv", "--data", &self.data()]);
        out.lines().skip(1).map(str::to_owned).collect()
    }

    /// The last two digits of everybody in the history.
    fn people(&self, snapshot: &Path) -> Vec<String> {
        self.query(snapshot, "SELECT DISTINCT right(insured_no, 2) AS p FROM recipient_history ORDER BY p")
    }

    fn files(&self, snapshot: &Path) -> Vec<String> {
        self.query(snapshot, "SELECT name, status, records, accepted, rejected FROM files ORDER BY name")
    }

    fn file_id(&self, name: &str) -> String {
        let latest = PathBuf::from(fs::read_to_string(self.path("data/snapshots/LATEST")).unwrap().trim());
        self.query(&latest, &format!("SELECT file_id FROM files WHERE name = '{name}'")).remove(0)
    }

    fn status(&self) -> Value {
        serde_json::from_str(&self.run(&["status", "--format", "json"]).1).unwrap()
    }
}

fn manifest(snapshot: &Path) -> Value {
    serde_json::from_str(&fs::read_to_string(snapshot.join("manifest.json")).unwrap()).unwrap()
}

/// (path, sha256) of every file of a snapshot.
fn hashes(snapshot: &Path) -> Value {
    manifest(snapshot)["content_digest"].clone()
}

#[test]
fn what_is_withdrawn_does_not_count_from_its_processing_month_on() {
    let place = Place::new();
    place.two_months();
    let (may, june) = (place.file_id("may.csv"), place.file_id("june.csv"));
    let before = place.snapshot(&["resolve", "--as-of", "2026-06"]);
    assert_eq!(place.people(&before), ["10", "20", "30"]);

    let record = format!("{}:3", &june[..8]);
    let withdraw = ["withdraw", &record, "--reason", "誤送付", "--on", "2026-07-02"];
    let (code, out, err) = place.run(&withdraw);
    assert_eq!(code, 0, "{err}");
    assert!(out.contains("june.csv") && out.contains("record 3") && out.contains("2026-07"), "{out}");
    assert!(err.contains("tsumiage resolve"), "{err}");
    let event: Value = serde_json::from_str(
        &fs::read_to_string(place.path("data/archive/events/00000001-withdraw.json")).unwrap(),
    )
    .unwrap();
    assert_eq!(
        event,
        serde_json::json!({"number": 1, "kind": "withdraw", "file_id": june, "record_no": 3,
            "processing_month": "2026-07", "on": "2026-07-02", "reason": "誤送付"})
    );
    let without = place.snapshot(&["resolve"]);
    assert_eq!(place.people(&without), ["10", "20"]);
    assert_eq!(place.files(&without), ["june.csv,accepted,2,2,0", "may.csv,accepted,2,2,0"]);
    assert_eq!(place.run(&["timeline", "--insured", "0000000030"]).0, 1);
    assert_eq!(place.run(&["timeline", "--insured", "0000000030", "--as-of", "2026-06"]).0, 0);
    assert_eq!(place.snapshot(&["resolve", "--as-of", "2026-06"]), before, "as of June it still counts");
    let july = place.snapshot(&["resolve", "--as-of", "2026-07"]);
    assert_eq!(place.people(&july), ["10", "20"]);

    // The same again is a no-op that says so, under the record's name or the file's.
    let (code, out, _) = place.run(&withdraw);
    assert_eq!((code, out.contains("nothing to do")), (0, true), "{out}");
    assert_eq!(names_in(Path::new(&place.path("data/archive/events"))).len(), 1);

    // Without May the change of June has nothing to change, and the months begin with June.
    let (code, out, _) =
        place.run(&["withdraw", &may.to_uppercase(), "--reason", "x", "--on", "2026-07-03", "--json"]);
    let told: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, &told["event"], &told["new"]), (0, &"withdrawn".into(), &true.into()), "{out}");
    let (_, out, _) = place.run(&["withdraw", &format!("{may}:2"), "--reason", "x", "--format", "json"]);
    assert!(out.contains("\"new\":false"), "its file is withdrawn: {out}");
    let without = place.snapshot(&["resolve"]);
    assert!(place.people(&without).is_empty());
    assert_eq!(place.files(&without), ["june.csv,partly_rejected,2,1,1", "may.csv,withdrawn,2,2,0"]);
    assert_eq!(manifest(&without)["first_month"], "2026-06");
    assert_eq!(place.query(&without, "SELECT code FROM findings WHERE severity = 'error'"), ["S02"]);
    tsumiage(["snapshots", "verify", "--data", &place.data()]);
    assert_eq!(place.snapshot(&["resolve", "--as-of", "2026-06"]), before);
    let status = place.status();
    assert_eq!(status["files"]["withdrawn"], 1);
    assert_eq!(status["files"]["withdrawn_records"], 1);
}

#[test]
fn what_cannot_be_withdrawn_or_closed_is_wrong_usage() {
    let place = Place::new();
    let wrong = |args: &[&str], says: &str| {
        let (code, out, err) = place.run(args);
        assert_eq!((code, out.as_str(), err.lines().count()), (64, "", 1), "{args:?}: {err}");
        assert!(err.contains(says), "{args:?}: {err}");
    };
    wrong(&["withdraw", "0123456789", "--reason", "x"], "no data folder");
    wrong(&["close", "2026-05", "--on", "2026-06-01"], "no data folder");
    wrong(&["rebuild"], "no data folder");
    place.two_months();
    let id = place.file_id("may.csv");
    let record = |no: &str| format!("{id}:{no}");
    wrong(&["withdraw", &id[..7], "--reason", "x"], "at least 8");
    wrong(&["withdraw", "may.csv.and.more", "--reason", "x"], "no file id");
    wrong(&["withdraw", "0123456789", "--reason", "x"], "no file");
    wrong(&["withdraw", &record("1"), "--reason", "x"], "2 to 3");
    wrong(&["withdraw", &record("4"), "--reason", "x"], "2 to 3");
    wrong(&["withdraw", &record("-3"), "--reason", "x"], "2 to 3");
    wrong(&["withdraw", &record("x"), "--reason", "x"], "no record number");
    wrong(&["withdraw", &id, "--reason", " "], "--reason");
    wrong(&["withdraw", &id], "--reason");
    wrong(&["close", "2026-07", "--on", "2026-06-30"], "not begun");
    wrong(&["close", "2026-06", "--as-of", "2026-06"], "--as-of");
    assert!(!Path::new(&place.path("data/archive/events")).exists());
}

#[test]
fn a_closed_month_is_published_and_never_changes() {
    let place = Place::new();
    place.two_months();
    let latest = fs::read_to_string(place.path("data/snapshots/LATEST")).unwrap();
    let rejected = place.miscounted("before.csv", "2026-05");
    assert_eq!(place.run(&["ingest", "--on", "2026-06-21", &rejected]).0, 2);
    let (code, out, err) = place.run(&["close", "2026-05", "--on", "2026-06-30"]);
    assert_eq!(code, 0, "{err}");
    assert!(out.contains("closed     2026-05"), "{out}");
    let frozen = snapshot_of(&out);
    assert_eq!(manifest(&frozen)["as_of"], "2026-05");
    assert_eq!(place.people(&frozen), ["10", "20"]);
    assert_eq!(place.files(&frozen), ["before.csv,rejected,2,0,2", "may.csv,accepted,2,2,0"]);
    assert_eq!(fs::read_to_string(place.path("data/snapshots/LATEST")).unwrap(), latest);
    for month in ["2026-05", "2026-03"] {
        let (code, out, _) = place.run(&["close", month, "--on", "2026-06-30"]);
        assert_eq!((code, out.contains("nothing to do")), (0, true), "{out}");
        assert_eq!(snapshot_of(&out) == frozen, month == "2026-05");
    }
    let (_, out, _) = place.run(&["close", "2026-05", "--on", "2026-06-30", "--json"]);
    let kinds: Vec<Value> =
        out.lines().map(|l| serde_json::from_str::<Value>(l).unwrap()["event"].clone()).collect();
    assert!(kinds.contains(&"closed".into()) && kinds.last() == Some(&"snapshot".into()), "{out}");
    assert_eq!(names_in(Path::new(&place.path("data/archive/events"))), ["00000001-close.json"]);

    // Late for May: rejected whole, also when it is checked again; June is open.
    let late = place.file("late.csv", "2026-05", &[("60", "20260505", "1", "12")]);
    let late_in_june = place.file("open.csv", "2026-06", &[("70", "20260505", "1", "12")]);
    let (code, out, err) = place.run(&["nightly", "--on", "2026-07-01", &late, &late_in_june]);
    assert_eq!((code, err.contains("F08")), (2, true), "{err}");
    let now = snapshot_of(&out);
    assert_eq!(place.people(&now), ["10", "20", "30", "70"]);
    let said =
        place.query(&now, "SELECT code, severity, record_no, message_en FROM findings WHERE code = 'F08'");
    assert!(
        said.len() == 1 && said[0].starts_with("F08,error,1,") && said[0].contains("2026-05"),
        "{said:?}"
    );
    let (code, _, err) = place.run(&["nightly", "--recheck", "--on", "2026-07-02", &late]);
    assert_eq!((code, err.contains("F08")), (2, true), "{err}");
    assert_eq!(place.snapshot(&["resolve", "--as-of", "2026-05"]), frozen, "late files are not known there");

    // What stood rejected when the month was closed stays so, and as it was: given again, or read leniently.
    let (code, _, err) = place.run(&["nightly", "--recheck", "--on", "2026-07-03", &rejected]);
    assert_eq!((code, err.contains("F03")), (2, true), "{err}");
    assert_eq!(place.snapshot(&["resolve", "--as-of", "2026-05"]), frozen);
    place.set_profile("lenient");
    let (code, _, err) = place.run(&["nightly", "--on", "2026-07-04"]);
    assert_eq!((code, err.contains("F08")), (2, true), "{err}");
    for command in ["resolve", "rebuild"] {
        let now = place.snapshot(&[command]);
        assert_eq!(place.people(&now), ["10", "20", "30", "70"], "{command}");
    }

    // A withdrawal after closing June is known from July on, whatever the day.
    place.snapshot(&["close", "2026-06", "--on", "2026-06-30"]);
    let id = place.file_id("may.csv");
    let (_, out, _) = place.run(&["withdraw", &id, "--reason", "x", "--on", "2026-06-30"]);
    assert!(out.contains("from processing month 2026-07 on"), "{out}");
}

#[test]
fn a_rejected_file_is_checked_again_when_the_settings_change() {
    let place = Place::new();
    place.two_months();
    let (wrong, on) = (place.miscounted("wrong.csv", "2026-06"), "2026-06-21");
    assert_eq!(place.run(&["nightly", "--on", on, &wrong]).0, 2);
    assert_eq!(place.status()["rejected_files"][0]["name"], "wrong.csv");
    let (code, out, _) = place.run(&["nightly", "--on", "2026-06-22"]);
    assert_eq!((code, out.contains("0 taken in, 0 duplicate, 0 rejected")), (0, true), "{out}");
    place.set_profile("lenient");
    fs::remove_file(&wrong).unwrap();
    // The file is not at hand: it is read from the archive, and arrived when it arrived.
    let now = place.snapshot(&["nightly", "--on", "2026-06-23"]);
    assert_eq!(place.people(&now), ["10", "20", "30", "40", "50"]);
    let sql = "SELECT taken_in_on FROM files WHERE name = 'wrong.csv'";
    assert_eq!(place.query(&now, sql), [on]);
    // Back again: what is accepted is read again only when asked for.
    place.set_profile("strict");
    let status = place.run(&["status"]).1;
    assert!(status.contains("1 files were read with other layouts"), "{status}");
    assert!(status.contains("nightly --recheck"), "{status}");
    assert_eq!(place.people(&place.snapshot(&["nightly", "--on", "2026-06-24"])).len(), 5);
    let (code, out, _) = place.run(&["nightly", "--recheck", "--on", "2026-06-25"]);
    assert_eq!((code, place.people(&snapshot_of(&out)).len()), (2, 3), "{out}");
}

#[test]
fn read_again_is_the_same_as_read_first() {
    let again = Place::new();
    again.two_months();
    let wrong = again.miscounted("wrong.csv", "2026-06");
    again.run(&["nightly", "--on", "2026-06-21", &wrong]);
    again.set_profile("lenient");
    assert_eq!(again.status()["files"]["other_layouts"], 2);
    let (code, out, err) = again.run(&["nightly", "--recheck", "--on", "2026-07-21"]);
    assert_eq!(code, 0, "{err}");
    assert!(out.contains("3 taken in"), "{out}");
    assert_eq!(again.status()["files"]["other_layouts"], 0);
    let read_again = snapshot_of(&out);

    let fresh = Place::new();
    fs::create_dir(fresh.data()).unwrap();
    fs::write(fresh.path("data/settings.toml"), "profile = \"lenient\"\n").unwrap();
    fresh.two_months();
    let wrong = fresh.miscounted("wrong.csv", "2026-06");
    let read_first = fresh.snapshot(&["nightly", "--on", "2026-06-21", &wrong]);
    assert_eq!(hashes(&read_again), hashes(&read_first));
    assert_eq!(manifest(&read_again)["tables"], manifest(&read_first)["tables"]);
    // Nothing is left to do.
    let (_, out, _) = again.run(&["nightly", "--recheck", "--on", "2026-07-22"]);
    assert!(out.contains("0 taken in") && snapshot_of(&out) == read_again, "{out}");
}

/// A data folder with closings, withdrawals, late and rejected files.
fn eventful() -> Place {
    let place = Place::new();
    place.two_months();
    let early = place.file("early.csv", "2026-08", &[("80", "20260801", "1", "12")]);
    assert_eq!(place.run(&["ingest", "--on", "2026-06-21", &early]).0, 2, "F10");
    assert_eq!(place.run(&["ingest", "--recheck", "--on", "2026-07-21", &early]).0, 0, "arrives anew");
    place.snapshot(&["close", "2026-05", "--on", "2026-07-22"]);
    let late = place.file("late.csv", "2026-05", &[("60", "20260505", "1", "12")]);
    assert_eq!(place.run(&["nightly", "--on", "2026-07-23", &late]).0, 2, "F08");
    let id = place.file_id("june.csv");
    place.run(&["withdraw", &format!("{id}:3"), "--reason", "x", "--on", "2026-07-24"]);
    place.snapshot(&["close", "2026-07", "--on", "2026-07-31"]);
    place
}

#[test]
fn the_archive_alone_gives_everything_back() {
    let place = eventful();
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
    let place = eventful();
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
    let bytes = format!("{}/{}/{id}", place.path("data/archive"), &id[..2]);
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
    let note = format!("{}/{}/{id}.json", place.path("data/archive"), &id[..2]);
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
fn closing_takes_in_first_what_a_killed_run_left() {
    let place = Place::new();
    place.two_months();
    fs::remove_dir_all(place.path("data/ledger")).unwrap();
    let frozen = place.snapshot(&["close", "2026-06", "--on", "2026-07-01"]);
    assert_eq!(place.people(&frozen), ["10", "20", "30"]);
    assert_eq!(place.snapshot(&["nightly", "--on", "2026-07-02"]).parent(), frozen.parent());
    assert_eq!(place.status()["files"]["rejected"], 0, "what arrived before the closing is not late");
}

#[test]
fn status_tells_what_is_open_closed_missing_and_withdrawn() {
    let place = eventful();
    let status = place.status();
    assert_eq!(status["closed_through"], "2026-07");
    assert_eq!(status["open_months"], serde_json::json!(["2026-08"]));
    let files = &status["files"];
    let told = [&files["known"], &files["rejected"], &files["withdrawn"], &files["withdrawn_records"]];
    assert_eq!(told, [4, 1, 0, 1].map(Value::from).each_ref());
    assert_eq!(status["rejected_files"][0]["name"], "late.csv");
    let table = place.run(&["status"]).1;
    for says in ["closed       2026-07 and all earlier", "2026-05    closed", "2026-08    open", "late.csv"] {
        assert!(table.contains(says), "{says}\n{table}");
    }
    let csv = place.run(&["status", "--format", "csv"]).1;
    assert!(csv.starts_with("month,files,rejected_files,records,accepted,rejected,state\n"), "{csv}");
    assert!(csv.contains("2026-05,2,1,3,2,1,closed\n"), "{csv}");
    // A sender whose file is withdrawn has not sent; the newest month is then another one.
    let id = place.file_id("early.csv");
    place.run(&["withdraw", &id, "--reason", "x", "--on", "2026-08-01"]);
    assert_eq!(place.status()["missing_senders"]["month"], "2026-06");
}
