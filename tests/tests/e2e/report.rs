//! What a run leaves behind: its report and its metrics, after good runs and bad ones.

use crate::support::{Source, names_in, snapshot_of, tsumiage};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

/// Runs the program; exit code, standard output, standard error.
fn run(args: &[&str]) -> (u8, String, String) {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let code = tsumiage_jobs::cli::run(args.iter().map(OsString::from), &mut out, &mut err);
    (code, String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap())
}

fn samples(name: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../samples").join(name).display().to_string()
}

struct Place {
    folder: tempfile::TempDir,
    data: String,
    metrics: String,
}

impl Place {
    fn new() -> Place {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).display().to_string();
        Place { data: path("data"), metrics: path("tsumiage.prom"), folder }
    }

    /// A command on this place, with metrics.
    fn run(&self, command: &str, args: &[&str]) -> (u8, String, String) {
        let common = [command, "--data", &self.data, "--metrics-file", &self.metrics];
        run(&[&common, args].concat())
    }

    /// `nightly` over all samples.
    fn nightly(&self) -> (u8, String, String) {
        self.run("nightly", &["--on", "2026-11-01", "--inbox", &samples("inbox")])
    }

    fn reports(&self) -> Vec<String> {
        names_in(&Path::new(&self.data).join("reports"))
    }

    /// The report with this number, as text.
    fn report_text(&self, number: u64) -> String {
        fs::read_to_string(format!("{}/reports/{number:08}.json", self.data)).unwrap()
    }

    fn report(&self, number: u64) -> Value {
        serde_json::from_str(&self.report_text(number)).unwrap()
    }

    fn metrics(&self) -> BTreeMap<String, f64> {
        samples_of(&fs::read_to_string(&self.metrics).unwrap())
    }
}

/// The samples of a text in Prometheus' format, `name{labels}` to value. Fails on whatever a parser might
/// refuse: families twice, samples without HELP and TYPE before them, the same sample twice.
fn samples_of(text: &str) -> BTreeMap<String, f64> {
    let word = |text: &str| {
        let plain = text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        plain && text.starts_with(|c: char| c.is_ascii_alphabetic())
    };
    assert!(text.ends_with('\n'), "the last line has no end");
    let mut lines = text.lines().peekable();
    let (mut families, mut samples) = (BTreeSet::new(), BTreeMap::new());
    while let Some(line) = lines.next() {
        let (name, help) = line.strip_prefix("# HELP ").and_then(|l| l.split_once(' ')).expect(line);
        assert!(word(name) && name.starts_with("tsumiage_") && !help.trim().is_empty(), "{line}");
        assert!(families.insert(name), "{name} comes twice");
        assert_eq!(lines.next(), Some(format!("# TYPE {name} gauge").as_str()));
        let mut any = false;
        while let Some(line) = lines.next_if(|line| !line.starts_with('#')) {
            let (key, value) = line.rsplit_once(' ').expect(line);
            let (sample, labels) = match key.split_once('{') {
                Some((sample, labels)) => (sample, labels.strip_suffix('}').expect(line)),
                None => (key, ""),
            };
            assert_eq!(sample, name);
            for label in labels.split(',').filter(|_| !labels.is_empty()) {
                let (label, text) = label.split_once('=').expect(line);
                let text = text.strip_prefix('"').and_then(|t| t.strip_suffix('"')).expect(line);
                assert!(word(label) && !text.is_empty() && !text.contains(['"', '\\']), "{line}");
            }
            let value: f64 = value.parse().expect(line);
            assert!(value.is_finite(), "{line}");
            assert!(samples.insert(key.to_owned(), value).is_none(), "{key} comes twice");
            any = true;
        }
        assert!(any, "{name} has no sample");
    }
    samples
}

/// Insured numbers and names of all people in the samples.
fn people() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for name in names_in(Path::new(&samples("sources"))).iter().filter(|name| name.ends_with(".csv")) {
        for (_, items) in Source::read(&PathBuf::from(samples("sources")).join(name)).rows {
            let personal = |item: &str| item == "insured_no" || item.contains("name");
            found.extend(items.into_iter().filter(|(item, _)| personal(item)).map(|(_, value)| value));
        }
    }
    found.retain(|value| value.chars().count() >= 5); // a damaged number of two digits is anywhere
    found
}

/// What a table says: rows of a query as JSON.
fn query(data: &str, sql: &str) -> Value {
    serde_json::from_str(&tsumiage(["query", sql, "--format", "json", "--data", data])).unwrap()
}

#[test]
fn a_clean_run_is_reported_whole() {
    let place = Place::new();
    let sample = samples("inbox/141003-202605-5311.csv");
    let (code, out, err) = place.run("nightly", &["--json", "--on", "2026-05-02", &sample]);
    assert_eq!((code, err.as_str()), (0, ""));
    let events: Vec<Value> = out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let [.., before_last, last] = events.as_slice() else { panic!("{out}") };
    assert_eq!((&before_last["event"], &last["event"]), (&json!("report"), &json!("snapshot")));
    let path = PathBuf::from(before_last["path"].as_str().unwrap());
    assert!(path.is_absolute() && path.ends_with("data/reports/00000001.json"), "{path:?}");
    let report = place.report(1);
    for (field, value) in [
        ("format", json!(1)),
        ("number", json!(1)),
        ("program_version", json!(env!("CARGO_PKG_VERSION"))),
        ("command", json!("nightly")),
        ("outcome", json!("done")),
        ("exit_code", json!(0)),
        ("error", json!(null)),
        ("taken_in_on", json!("2026-05-02")),
        ("newest_processing_month", json!("2026-05")),
    ] {
        assert_eq!(report[field], value, "{field}");
    }
    let options = &report["options"];
    assert_eq!((&options["as_of"], &options["inheritance"]), (&json!(null), &json!("arrival")));
    assert_eq!(options["layouts"].as_str().map(str::len), Some(64), "a digest");
    for time in ["started_at", "finished_at"] {
        let text = report[time].as_str().unwrap();
        assert!(text.len() == 25 && text.ends_with("+09:00"), "{text}");
    }
    assert_eq!(report["last_success"]["nightly"], report["finished_at"]);
    let file = &report["files"][0];
    assert_eq!(file["name"], "141003-202605-5311.csv");
    assert_eq!(
        (&file["outcome"], &file["status"], &file["sender_no"], &file["data_type"]),
        (&json!("taken_in"), &json!("accepted"), &json!("141003"), &json!("531"))
    );
    assert_eq!(file["bytes"], fs::metadata(&sample).unwrap().len());
    assert_eq!(file["records"], report["facts_stacked"], "all of them are stacked");
    let snapshot = &report["snapshot"];
    assert_eq!((&snapshot["id"], &snapshot["path"]), (&last["id"], &last["path"]));
    assert_eq!((&snapshot["new"], &snapshot["latest"]), (&json!(true), &json!(true)));
    let steps: Vec<&str> =
        report["timings"].as_array().unwrap().iter().map(|t| t["step"].as_str().unwrap()).collect();
    assert_eq!(steps, ["take_in", "stack", "publish", "resolve", "total"]);
    let metrics = place.metrics();
    assert_eq!(metrics["tsumiage_last_run_exit_code"], 0.0);
    assert_eq!(metrics["tsumiage_last_run_files{outcome=\"taken_in\"}"], 1.0);
    // 2026-05-01 00:00 in Japan.
    assert_eq!(metrics["tsumiage_newest_processing_month_timestamp_seconds"], 1_777_561_200.0);
    let last_success = metrics["tsumiage_last_success_timestamp_seconds{command=\"nightly\"}"];
    assert_eq!(last_success, metrics["tsumiage_last_run_timestamp_seconds"]);
}

#[test]
fn rejections_are_counted_as_the_tables_count_them() {
    let place = Place::new();
    let (code, out, _) = place.nightly();
    assert_eq!(code, 2);
    let report = place.report(1);
    assert_eq!((&report["outcome"], &report["exit_code"]), (&json!("done_with_rejections"), &json!(2)));
    assert!(
        out.contains(
            "stacking   3 records refused, 8 warned of this run's files; 3 refused, 8 warned of all files\n"
        ),
        "{out}"
    );
    let (inbox, data) = (samples("inbox"), place.data.as_str());
    let (_, out, _) = run(&["nightly", "--json", "--on", "2026-11-01", "--inbox", &inbox, "--data", data]);
    let events: Vec<Value> = out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let resolved = events.iter().find(|event| event["event"] == "resolved").unwrap();
    assert_eq!(resolved["refused"], json!({"of_run": 0, "of_all": 3}), "all files are duplicates");
    let table = query(&place.data, "SELECT * FROM files");
    let by_id: BTreeMap<&str, &Value> =
        table.as_array().unwrap().iter().map(|row| (row["file_id"].as_str().unwrap(), row)).collect();
    let files = report["files"].as_array().unwrap();
    assert_eq!(files.len(), by_id.len());
    for file in files {
        let row = by_id[file["file_id"].as_str().unwrap()];
        for same in ["name", "sender_no", "data_type", "records", "status"] {
            assert_eq!(file[same], row[same], "{same} of {}", file["name"]);
        }
        let rejected = file["rejected"].as_i64().unwrap() + file["refused"].as_i64().unwrap();
        assert_eq!(json!(rejected), row["rejected"], "{}", file["name"]);
    }
    let sum = |of: &Value, field: &str| -> i64 {
        of.as_array().unwrap().iter().map(|entry| entry[field].as_i64().unwrap()).sum()
    };
    for field in ["records", "accepted", "rejected", "refused", "warned"] {
        assert_eq!(report["totals"][field], sum(&report["files"], field), "{field} of all files");
        assert_eq!(report["totals"][field], sum(&report["senders"], field), "{field} of all senders");
    }
    assert_eq!(report["totals"]["files_rejected"], 1);
    // S01, S02 and S03 of the samples are one each.
    assert_eq!(report["totals"]["refused"], 3);
    let sql = "SELECT code, severity, count(*) AS rows, CAST(sum(count) AS BIGINT) AS count FROM findings \
               GROUP BY code, severity ORDER BY code, severity";
    let counted = query(&place.data, sql);
    assert_eq!(report["snapshot"]["findings"], counted);
    let of_reader: Vec<&Value> = counted
        .as_array()
        .unwrap()
        .iter()
        .filter(|e| !e["code"].as_str().unwrap().starts_with('S'))
        .collect();
    assert_eq!(report["findings"], json!(of_reader), "the first run saw every file");
    let metrics = place.metrics();
    for entry in counted.as_array().unwrap() {
        let text = |name: &str| entry[name].as_str().unwrap().to_owned();
        let labels = format!("{{code=\"{}\",severity=\"{}\"}}", text("code"), text("severity"));
        assert_eq!(json!(metrics[&format!("tsumiage_snapshot_findings{labels}")] as i64), entry["count"]);
    }
    let rows = query(&place.data, "SELECT count(*) AS n FROM recipient_history");
    assert_eq!(json!(metrics["tsumiage_snapshot_rows{table=\"recipient_history\"}"] as i64), rows[0]["n"]);
    assert_eq!(metrics["tsumiage_last_run_records{outcome=\"refused\"}"], 3.0);
}

#[test]
fn the_same_again_is_reported_as_duplicates_with_the_snapshot_that_stands() {
    let place = Place::new();
    place.nightly();
    let (code, out, _) = place.nightly();
    let lines: Vec<&str> = out.lines().collect();
    assert!(lines[lines.len() - 2].starts_with("report     /"), "the snapshot stays the last line: {out}");
    assert_eq!(code, 2);
    let (first, second) = (place.report(1), place.report(2));
    assert_eq!(second["snapshot"]["new"], false);
    for same in ["id", "path", "rows", "findings", "first_month", "last_month", "latest"] {
        assert_eq!(second["snapshot"][same], first["snapshot"][same], "{same}");
    }
    let files = names_in(Path::new(&samples("inbox"))).len();
    assert_eq!(second["totals"]["files_duplicate"], files);
    assert_eq!((&second["totals"]["records"], &second["facts_stacked"]), (&json!(0), &json!(0)));
    let f07 = json!([{"code": "F07", "severity": "info", "rows": files, "count": files}]);
    assert_eq!(second["findings"], f07);
    assert_eq!(second["outcome"], "done_with_rejections", "a file seen before has rejected records");
    assert_eq!(place.metrics()["tsumiage_last_run_files{outcome=\"duplicate\"}"], files as f64);
    // Other options: the report tells, the metrics stay with the snapshot of the settings.
    let before = place.metrics();
    assert_eq!(place.run("resolve", &["--as-of", "2026-06"]).0, 0);
    let third = place.report(3);
    assert_eq!(
        (&third["options"]["as_of"], &third["snapshot"]["latest"]),
        (&json!("2026-06"), &json!(false))
    );
    assert_eq!(third["taken_in_on"], json!(null));
    let rows = "tsumiage_snapshot_rows{table=\"recipient_month\"}";
    assert_eq!(place.metrics()[rows], before[rows]);
    assert_ne!(third["snapshot"]["rows"]["recipient_month"], json!(before[rows] as i64));
}

#[test]
fn a_failed_run_is_reported_and_the_last_success_stays() {
    let place = Place::new();
    place.nightly();
    let good = place.metrics();
    let success = "tsumiage_last_success_timestamp_seconds{command=\"nightly\"}";
    // The first failure comes before the ledger is opened, the second inside the run.
    let settings = format!("{}/settings.toml", place.data);
    let kept = fs::read_to_string(&settings).unwrap();
    fs::write(&settings, "inheritence = \"lazy\"\n").unwrap();
    let (code, out, err) = place.nightly();
    assert_eq!((code, out.lines().count(), err.lines().count()), (1, 1, 1), "{out}{err}");
    fs::write(&settings, kept).unwrap();
    fs::remove_dir_all(format!("{}/archive", place.data)).unwrap();
    fs::write(format!("{}/archive", place.data), "no folder").unwrap();
    let (code, _, err) = place.nightly();
    assert_eq!(code, 1);
    for (number, says) in [(2, "settings.toml"), (3, "archive")] {
        let report = place.report(number);
        assert_eq!((&report["outcome"], &report["exit_code"]), (&json!("failed"), &json!(1)));
        let error = report["error"].as_str().unwrap();
        assert!(error.contains(says) && error.lines().count() == 1, "{error}");
        assert_eq!(report["snapshot"], json!(null));
        assert_eq!(report["last_success"], place.report(1)["last_success"]);
    }
    assert!(err.contains(place.report(3)["error"].as_str().unwrap()), "the same line as the operator saw");
    let bad = place.metrics();
    assert_eq!((bad["tsumiage_last_run_exit_code"], bad[success]), (1.0, good[success]));
    for same in ["snapshot_rows{table=\"files\"}", "newest_processing_month_timestamp_seconds"] {
        assert_eq!(bad[&format!("tsumiage_{same}")], good[&format!("tsumiage_{same}")]);
    }
    assert_eq!(bad["tsumiage_last_run_records{outcome=\"found\"}"], 0.0);
    // A report that is only half there, or gone, does no harm.
    fs::remove_file(format!("{}/archive", place.data)).unwrap();
    fs::write(format!("{}/reports/00000003.json", place.data), "{\"format\":").unwrap();
    assert_eq!(place.run("resolve", &[]).0, 64, "the archive is gone");
    fs::create_dir(format!("{}/archive", place.data)).unwrap();
    assert_eq!(place.run("resolve", &[]).0, 0);
    assert_eq!(place.reports().last().map(String::as_str), Some("00000004.json"));
    assert_eq!(place.metrics()[success], good[success]);
    assert!(place.metrics().contains_key("tsumiage_last_success_timestamp_seconds{command=\"resolve\"}"));
}

#[test]
fn what_is_no_run_leaves_no_report() {
    let place = Place::new();
    place.nightly();
    let metrics = fs::read_to_string(&place.metrics).unwrap();
    assert_eq!(place.run("nightly", &["--inbox", "no-such-inbox"]).0, 64);
    assert_eq!(place.run("nightly", &["--months", "3"]).0, 64);
    let lock = fs::File::options().write(true).open(format!("{}/.lock", place.data)).unwrap();
    lock.lock().unwrap();
    assert_eq!(place.nightly().0, 1);
    assert_eq!(place.reports(), ["00000001.json"]);
    assert_eq!(fs::read_to_string(&place.metrics).unwrap(), metrics);
}

#[test]
fn reports_and_metrics_that_cannot_be_written_fail_nothing_but_are_said() {
    let place = Place::new();
    let sample = samples("inbox/141003-202605-5311.csv");
    fs::create_dir_all(&place.data).unwrap();
    fs::write(format!("{}/reports", place.data), "no folder").unwrap();
    let metrics = place.folder.path().join("no/such/folder/tsumiage.prom").display().to_string();
    let args =
        ["nightly", "--quiet", "--data", &place.data, "--on", "2026-05-02", "--metrics-file", &metrics];
    let (code, out, err) = run(&[&args[..], &[&sample]].concat());
    assert_eq!(code, 0, "{err}");
    assert!(snapshot_of(&out).is_dir());
    let said: Vec<&str> = err.lines().collect();
    assert_eq!(said.len(), 2, "{err}");
    assert!(said[0].contains("report") && said[0].contains("reports"), "{err}");
    assert!(said[1].contains("metrics") && said[1].contains("no/such/folder"), "{err}");
    // A machine that refuses the data folder itself: no report, but metrics that say so.
    let file = place.folder.path().join("file");
    fs::write(&file, "x").unwrap();
    let data = file.join("data").display().to_string();
    let (code, ..) = run(&["nightly", "--data", &data, "--metrics-file", &place.metrics, &sample]);
    assert_eq!((code, place.metrics()["tsumiage_last_run_exit_code"]), (1, 1.0));
}

#[test]
fn nobody_is_named_in_reports_and_metrics() {
    let place = Place::new();
    let mut told = String::new();
    for run in [place.nightly(), place.nightly(), place.run("resolve", &["--inheritance", "lazy"])] {
        told.extend([run.1, run.2]);
    }
    for number in 1..=3 {
        told.push_str(&place.report_text(number));
    }
    told.push_str(&fs::read_to_string(&place.metrics).unwrap());
    let people = people();
    assert!(people.contains("0000000010") && people.iter().any(|v| v.contains('ｶ')), "{people:?}");
    let named: Vec<&String> = people.iter().filter(|value| told.contains(value.as_str())).collect();
    assert!(named.is_empty(), "{named:?}");
}

#[cfg(unix)]
#[test]
fn reports_and_metrics_are_not_for_everyone() {
    use std::os::unix::fs::PermissionsExt;
    let place = Place::new();
    place.nightly();
    for path in [format!("{}/reports/00000001.json", place.data), place.metrics.clone()] {
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o007, 0, "{path}: {mode:o}");
    }
}

#[test]
fn a_file_checked_again_is_not_judged_by_the_snapshot_before_it() {
    let place = Place::new();
    let sample = samples("inbox/141003-202605-5311.csv");
    // Two months ahead of its day: F10, and the snapshot says so.
    assert_eq!(place.run("nightly", &["--on", "2026-03-01", &sample]).0, 2);
    let (code, _, err) = place.run("ingest", &["--on", "2026-05-02", "--recheck", &sample]);
    assert_eq!((code, err.as_str()), (0, ""));
    let file = &place.report(2)["files"][0];
    assert_eq!((&file["outcome"], &file["refused"]), (&json!("taken_in"), &json!(0)));
    assert_eq!(file["status"], json!(null), "no snapshot knows it yet");
}

#[test]
fn a_rebuild_is_one_run_and_sums_the_archive_up() {
    let place = Place::new();
    place.nightly();
    let (code, out, err) = place.run("rebuild", &[]);
    assert_eq!(code, 0, "{err}");
    let (first, again) = (place.report(1), place.report(2));
    assert_eq!(place.reports().len(), 2, "{out}");
    assert_eq!((&again["command"], &again["outcome"]), (&json!("rebuild"), &json!("done")));
    assert_eq!(again["files"], json!([]));
    for same in ["files_taken_in", "files_rejected", "records", "accepted", "rejected", "refused", "warned"] {
        assert_eq!(again["totals"][same], first["totals"][same], "{same}");
    }
    assert_eq!(again["findings"], first["findings"]);
    assert_eq!(again["snapshot"]["id"], first["snapshot"]["id"]);
    assert_eq!(again["senders"], first["senders"]);
    assert_eq!(again["last_success"].as_object().unwrap().len(), 2);
}

#[test]
fn a_closing_is_one_run_under_one_lock() {
    let place = Place::new();
    place.nightly();
    let args = ["close", "2026-05", "--on", "2026-11-01", "--data", &place.data];
    let lock = fs::File::options().write(true).open(format!("{}/.lock", place.data)).unwrap();
    lock.lock().unwrap();
    assert_eq!(run(&args).0, 1);
    assert_eq!(place.reports(), ["00000001.json"]);
    lock.unlock().unwrap();
    let (code, out, err) = run(&args);
    assert_eq!((code, err.as_str()), (0, ""), "{out}");
    assert_eq!(place.reports().len(), 2, "{out}");
    let report = place.report(2);
    assert_eq!((&report["command"], &report["outcome"]), (&json!("close"), &json!("done")));
    assert_eq!(
        (&report["options"]["as_of"], &report["snapshot"]["latest"]),
        (&json!("2026-05"), &json!(false))
    );
    let commands: Vec<&String> = report["last_success"].as_object().unwrap().keys().collect();
    assert_eq!(commands, ["close", "nightly"]);
    assert!(snapshot_of(&out).is_dir());
}

#[test]
fn the_status_counts_as_the_table_of_files() {
    let place = Place::new();
    place.nightly();
    let status = tsumiage(["status", "--format", "json", "--data", &place.data]);
    let status: Value = serde_json::from_str(&status).unwrap();
    let rows = status["processing_months"].as_array().unwrap();
    let counted: Vec<Value> =
        rows.iter().map(|row| json!({"accepted": row["accepted"], "rejected": row["rejected"]})).collect();
    let sql = "SELECT CAST(sum(accepted) AS BIGINT) AS accepted, CAST(sum(rejected) AS BIGINT) AS rejected \
               FROM files GROUP BY processing_month ORDER BY processing_month NULLS FIRST";
    assert_eq!(json!(counted), query(&place.data, sql));
}
