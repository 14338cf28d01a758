//! `findings --out`: what is sent back is what was sent, and adds up.

mod folder;
mod holders;
mod pages;
mod values;

use crate::support::{names_in, tsumiage};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use tsumiage_pipeline::writer::{self, FileHeader, OutRecord, Quoting, RecordBuilder, write_file};
use tsumiage_schemas::{Month, Spec};

/// A place with a data folder, an inbox and a folder for lists.
struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    fn new() -> Place {
        let place = Place { folder: tempfile::tempdir().unwrap() };
        fs::create_dir(place.path("inbox")).unwrap();
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn put(&self, name: &str, bytes: &[u8]) {
        fs::write(self.path("inbox").join(name), bytes).unwrap();
    }

    fn nightly(&self) {
        self.nightly_on("2026-11-01");
    }

    fn nightly_on(&self, day: &str) {
        let args = ["nightly", "--quiet", "--on", day].map(OsString::from);
        let folders =
            ["--inbox".into(), self.path("inbox").into(), "--data".into(), self.path("data").into()];
        tsumiage(args.into_iter().chain(folders));
    }

    /// `findings --out`: exit code, standard output, standard error.
    fn findings(&self, out: &str, more: &[&str]) -> (u8, String, String) {
        let out = self.path(out).display().to_string();
        self.command(&[&["findings", "--out", &out], more].concat())
    }

    /// Any command: exit code, standard output, standard error.
    fn command(&self, args: &[&str]) -> (u8, String, String) {
        let mut args: Vec<OsString> = args.iter().map(OsString::from).collect();
        args.extend(["--data".into(), self.path("data").into()]);
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        let code = tsumiage_jobs::cli::run(args, &mut stdout, &mut stderr);
        (code, String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
    }

    /// Puts the samples into the inbox.
    fn put_samples(&self) {
        let inbox = Path::new(env!("CARGO_MANIFEST_DIR")).join("../samples/inbox");
        for name in names_in(&inbox) {
            self.put(&name, &fs::read(inbox.join(&name)).unwrap());
        }
    }

    /// A sender's page as text.
    fn page(&self, out: &str, sender: &str) -> Vec<Vec<String>> {
        let page = cells(&self.path(out).join(format!("{sender}-summary.csv")));
        page.iter().map(|row| row.iter().map(|cell| decoded(cell)).collect()).collect()
    }

    /// The lines of a CSV without its header, by (record number, code, item).
    fn list(&self, name: &str) -> BTreeMap<(String, String, String), Vec<Vec<u8>>> {
        let lines = cells(&self.path("out").join(name));
        let text = |cell: &Vec<u8>| decoded(cell);
        lines[1..].iter().map(|row| ((text(&row[3]), text(&row[8]), text(&row[9])), row.clone())).collect()
    }
}

/// The cells of a CSV as bytes.
pub fn cells(path: &Path) -> Vec<Vec<Vec<u8>>> {
    let bytes = fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    assert!(bytes.ends_with(b"\r\n"));
    assert!(bytes.iter().zip(&bytes[1..]).all(|(a, b)| *b != b'\n' || *a == b'\r'), "CR LF only");
    let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(&bytes[..]);
    reader.byte_records().map(|row| row.unwrap().iter().map(<[u8]>::to_vec).collect()).collect()
}

/// CP932 as text; panics on what is not CP932. Lists are short, so it is enough to look characters up.
pub fn decoded(bytes: &[u8]) -> String {
    let mut record = b"2,2,\"".to_vec();
    record.extend_from_slice(bytes);
    let mut records = tsumiage_pipeline::reader::Records::new(&record);
    assert!(records.go_to(1));
    let text = records.text(2);
    assert!(!text.contains('\u{fffd}'), "{bytes:x?} is not CP932");
    text
}

fn encoded(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    writer::encode(text, &mut bytes).unwrap();
    bytes
}

/// A registration with some items changed.
fn registration(spec: &Spec, insured_no: &str, changed: &[(&str, &str)]) -> OutRecord {
    let given = [
        ("movement_date", "20260915"),
        ("movement_type", "1"),
        ("movement_reason", "01"),
        ("insurer_no", "141003"),
        ("insured_no", insured_no),
        ("name_kana", "ｶｲｺﾞ"),
        ("birth_date", "19400101"),
        ("sex", "1"),
    ];
    let empty = RecordBuilder::new(spec.movement());
    given.iter().chain(changed).fold(empty, |record, (item, value)| record.set(item, *value).unwrap()).build()
}

/// A file of 141003, these bytes put for others.
fn file(records: &[OutRecord], (find, replace): (&[u8], &[u8])) -> Vec<u8> {
    let header = FileHeader::new("531", "141003", Month::from_civil(2026, 10).unwrap());
    let mut bytes = write_file(&header, Quoting::Needed, records).unwrap();
    let at = bytes.windows(find.len()).position(|window| window == find).unwrap();
    bytes.splice(at..at + find.len(), replace.iter().copied());
    bytes
}

/// What `query` gives as CSV, without its header.
fn query(place: &Place, sql: &str) -> Vec<Vec<String>> {
    let (code, text, said) = place.command(&["query", sql, "--format", "csv"]);
    assert_eq!(code, 0, "{said}");
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    reader.records().map(|row| row.unwrap().iter().map(str::to_owned).collect()).collect()
}
