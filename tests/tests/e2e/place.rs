//! A place of their own for tests of events, rebuilds and the status: files of made-up people, taken in by the
//! program.

use crate::support::{Source, snapshot_of, tsumiage};
use serde_json::Value;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use tsumiage_pipeline::writer::Quoting;
use tsumiage_schemas::Spec;

/// Runs the program; exit code, standard output, standard error. Nobody's insured number is told.
pub fn run(args: &[&str]) -> (u8, String, String) {
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

/// A folder with exchange files and a data folder.
pub struct Place {
    folder: tempfile::TempDir,
    spec: Spec,
    /// Options of every command that takes in.
    through: Vec<String>,
}

impl Place {
    /// An empty one.
    pub fn new() -> Place {
        let (folder, spec) = (tempfile::tempdir().unwrap(), Spec::embedded().unwrap());
        Place { folder, spec, through: Vec::new() }
    }

    /// A data folder with closings, withdrawals, late and rejected files.
    pub fn eventful() -> Place {
        Place::eventful_through(Vec::new())
    }

    /// The same, where all that takes in has more options.
    pub fn eventful_through(through: Vec<String>) -> Place {
        let place = Place { through, ..Place::new() };
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

    /// A path in it.
    pub fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    /// The data folder.
    pub fn data(&self) -> String {
        self.path("data")
    }

    /// Runs a command on the data folder.
    pub fn run(&self, args: &[&str]) -> (u8, String, String) {
        let data = self.data();
        let takes_in = matches!(args[0], "nightly" | "ingest");
        let through = self.through.iter().filter(|_| takes_in).map(String::as_str);
        let args: Vec<&str> = args.iter().copied().chain(["--data", &data]).chain(through).collect();
        run(&args)
    }

    /// Like `run` of a command that ends with 0; gives the snapshot it names.
    pub fn snapshot(&self, args: &[&str]) -> PathBuf {
        let (code, out, err) = self.run(args);
        assert_eq!(code, 0, "{args:?}: {out}{err}");
        snapshot_of(&out)
    }

    /// Writes a file of 141003: (insured number's last digits, movement date, type, care level) each.
    pub fn file(&self, name: &str, month: &str, rows: &[(&str, &str, &str, &str)]) -> String {
        self.file_of("141003", name, month, rows)
    }

    /// The same of any insurer.
    pub fn file_of(
        &self,
        insurer_no: &str,
        name: &str,
        month: &str,
        rows: &[(&str, &str, &str, &str)],
    ) -> String {
        let row = |(insured, date, movement_type, care_level): &(&str, &str, &str, &str)| {
            let items = [
                ("movement_date", (*date).to_owned()),
                ("movement_type", (*movement_type).to_owned()),
                ("movement_reason", if *movement_type == "1" { "01" } else { "99" }.to_owned()),
                ("insurer_no", insurer_no.to_owned()),
                ("insured_no", format!("{insured:0>10}")),
                ("care_level", (*care_level).to_owned()),
            ];
            ("5311".to_owned(), items.map(|(item, value)| (item.to_owned(), value)).to_vec())
        };
        self.written(insurer_no, name, month, rows.iter().map(row).collect())
    }

    /// Writes a file of 141003 with a slip that corrects a care level: insured number's last digits, movement date,
    /// correction date, care level.
    pub fn slip(&self, name: &str, month: &str, [insured, date, corrected, care_level]: [&str; 4]) -> String {
        let items = [
            ("movement_date", date.to_owned()),
            ("correction_date", corrected.to_owned()),
            ("correction_type", "2".to_owned()),
            ("insurer_no", "141003".to_owned()),
            ("insured_no", format!("{insured:0>10}")),
            ("care_level", care_level.to_owned()),
        ];
        let items = items.map(|(item, value)| (item.to_owned(), value)).to_vec();
        self.written("141003", name, month, vec![("5321".to_owned(), items)])
    }

    fn written(
        &self,
        insurer_no: &str,
        name: &str,
        month: &str,
        rows: Vec<(String, Vec<(String, String)>)>,
    ) -> String {
        let source = Source {
            name: name.to_owned(),
            processing_month: month.parse().unwrap(),
            taken_in_on: "2026-01-01".parse().unwrap(), // told when it is taken in
            sender_no: insurer_no.to_owned(),
            rows,
        };
        let path = self.path(name);
        fs::write(&path, source.to_exchange_file(&self.spec, Quoting::Needed)).unwrap();
        path
    }

    /// Writes a union's list of members, `member:valid from` apart by spaces.
    pub fn union_list(&self, union_no: &str, month: &str, date: &str, members: &str) -> String {
        let items =
            [("movement_date", date), ("movement_type", "1"), ("insurer_no", union_no), ("members", members)];
        let items = items.map(|(item, value)| (item.to_owned(), value.to_owned())).to_vec();
        self.written(union_no, &format!("{union_no}-list.csv"), month, vec![("5711".to_owned(), items)])
    }

    /// Two people registered in May, one changed and a third registered in June; both taken in.
    pub fn two_months(&self) {
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
    pub fn miscounted(&self, name: &str, month: &str) -> String {
        let path = self.file(name, month, &[("40", "20260503", "1", "12"), ("50", "20260504", "1", "12")]);
        let bytes = fs::read(&path).unwrap();
        let at = bytes.windows(8).position(|w| w == b"1,1,0,2,").unwrap();
        fs::write(&path, [&bytes[..at], b"1,1,0,1,", &bytes[at + 8..]].concat()).unwrap();
        path
    }

    /// Writes a text; gives its path.
    pub fn write_text(&self, name: &str, text: &str) -> String {
        let path = self.path(name);
        fs::create_dir_all(Path::new(&path).parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    }

    /// Publishes these months from now on.
    pub fn set_months(&self, months: &str) {
        let path = self.path("data/settings.toml");
        let settings = fs::read_to_string(&path).unwrap();
        fs::write(path, format!("months = \"{months}\"\n{settings}")).unwrap();
    }

    /// Changes the profile in the settings.
    pub fn set_profile(&self, profile: &str) {
        let path = self.path("data/settings.toml");
        let settings = fs::read_to_string(&path).unwrap();
        let other = if profile == "lenient" { "strict" } else { "lenient" };
        let changed =
            settings.replace(&format!("profile = \"{other}\""), &format!("profile = \"{profile}\""));
        assert_ne!(settings, changed);
        fs::write(path, changed).unwrap();
    }

    /// One column of a query over a snapshot.
    pub fn query(&self, snapshot: &Path, sql: &str) -> Vec<String> {
        let id = snapshot.file_name().unwrap().to_str().unwrap();
        let out = tsumiage(["query", sql, "--snapshot", id, "--format", "csv", "--data", &self.data()]);
        out.lines().skip(1).map(str::to_owned).collect()
    }

    /// The last two digits of everybody in the history.
    pub fn people(&self, snapshot: &Path) -> Vec<String> {
        self.query(snapshot, "SELECT DISTINCT right(insured_no, 2) AS p FROM recipient_history ORDER BY p")
    }

    /// Name, status and counts of every file.
    pub fn files(&self, snapshot: &Path) -> Vec<String> {
        self.query(snapshot, "SELECT name, status, records, accepted, rejected FROM files ORDER BY name")
    }

    /// Id of a file of the snapshot `latest`.
    pub fn file_id(&self, name: &str) -> String {
        let latest = PathBuf::from(fs::read_to_string(self.path("data/snapshots/LATEST")).unwrap().trim());
        self.query(&latest, &format!("SELECT file_id FROM files WHERE name = '{name}'")).remove(0)
    }

    /// Where the archive has a file's bytes and its note.
    pub fn archived(&self, file_id: &str) -> (PathBuf, PathBuf) {
        let folder = Path::new(&self.path("data/archive")).join(&file_id[..2]);
        (folder.join(file_id), folder.join(format!("{file_id}.json")))
    }

    /// A copy of a data folder's archive and settings, from which another data folder can be made.
    pub fn copied_archive(&self, to: &str) -> String {
        let (from, to) = (PathBuf::from(self.data()), PathBuf::from(self.path(to)));
        copy(&from.join("archive"), &to.join("archive"));
        fs::copy(from.join("settings.toml"), to.join("settings.toml")).unwrap();
        to.display().to_string()
    }

    /// The status as JSON.
    pub fn status(&self) -> Value {
        serde_json::from_str(&self.run(&["status", "--format", "json"]).1).unwrap()
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let (path, name) = entry.map(|e| (e.path(), e.file_name())).unwrap();
        if path.is_dir() {
            copy(&path, &to.join(name));
        } else {
            fs::copy(&path, to.join(name)).unwrap();
        }
    }
}

/// The bytes of what a snapshot publishes as a function of facts and options alone, by path: not its manifest, which
/// has its id, and not the difference to another snapshot.
pub fn published(snapshot: &Path) -> BTreeMap<String, Vec<u8>> {
    let listed = manifest(snapshot)["files"].as_array().unwrap().clone();
    let paths = listed.iter().map(|file| file["path"].as_str().unwrap().to_owned());
    let paths = paths.filter(|path| !path.starts_with("changes/"));
    paths.map(|path| (path.clone(), fs::read(snapshot.join(path)).unwrap())).collect()
}

/// A snapshot's manifest.
pub fn manifest(snapshot: &Path) -> Value {
    serde_json::from_str(&fs::read_to_string(snapshot.join("manifest.json")).unwrap()).unwrap()
}

/// (path, sha256) of every file of a snapshot.
pub fn hashes(snapshot: &Path) -> Value {
    manifest(snapshot)["content_digest"].clone()
}
