//! Layouts, codes and profiles are data: replaced without a rebuild, and the past read again by them.

use crate::support::{Table, names_in, snapshot_of};
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use tsumiage_pipeline::layout_files::load_spec;
use tsumiage_pipeline::writer::{FileHeader, OutRecord, Quoting, RecordBuilder, write_file};
use tsumiage_schemas::sources::Profile;
use tsumiage_schemas::{RecordKind, Spec};

const MOVEMENT: &str = "layouts/5311-recipient-movement.csv";

fn run(args: &[&str]) -> (u8, String, String) {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let code = tsumiage_jobs::cli::run(args.iter().map(OsString::from), &mut out, &mut err);
    (code, String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap())
}

fn embedded(path: &str) -> &'static str {
    tsumiage_schemas::data::FILES.iter().find(|(own, _)| *own == path).unwrap().1
}

struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Place {
        Place(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).display().to_string()
    }

    fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> String {
        let path = self.0.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, bytes).unwrap();
        path.display().to_string()
    }

    /// Runs a command on a data folder; 0 or 2 and the snapshot it names.
    fn snapshot(&self, data: &str, args: &[&str]) -> PathBuf {
        let data = self.path(data);
        let (code, out, err) = run(&[args, &["--data", &data]].concat());
        assert!(matches!(code, 0 | 2), "{args:?} ended with {code}: {err}");
        snapshot_of(&out)
    }

    fn spec(&self, layouts: &str) -> Spec {
        load_spec(Profile::Strict, Some(Path::new(&self.path(layouts)))).unwrap()
    }
}

/// A registration with these items besides its keys.
fn registration(spec: &Spec, insured_no: &str, items: &[(&str, &str)]) -> OutRecord {
    let keys = [
        ("movement_date", "20260910"),
        ("movement_type", "1"),
        ("movement_reason", "01"),
        ("insurer_no", "142018"),
        ("insured_no", insured_no),
    ];
    let mut builder = RecordBuilder::new(spec.movement());
    for (item, text) in keys.iter().chain(items) {
        builder = builder.set(item, *text).unwrap();
    }
    builder.build()
}

fn file(records: &[OutRecord]) -> Vec<u8> {
    let header = FileHeader::new(&records[0].exchange_id[..3], "142018", "2026-10".parse().unwrap());
    write_file(&header, Quoting::Needed, records).unwrap()
}

fn column(snapshot: &Path, table: &str, name: &str) -> Vec<String> {
    let table = Table::read_snapshot(snapshot, table, &[name.to_owned()]);
    table.rows.into_iter().map(|mut row| row.remove(0)).collect()
}

/// Everything but the manifest, whose id tells how many snapshots came before, and the difference to these.
fn bytes_of(snapshot: &Path) -> Vec<(String, Vec<u8>)> {
    let mut files = Vec::new();
    for name in names_in(snapshot) {
        let path = snapshot.join(&name);
        if name == "changes" {
            continue; // it tells what was published before
        }
        if path.is_dir() {
            files
                .extend(bytes_of(&path).into_iter().map(|(inner, bytes)| (format!("{name}/{inner}"), bytes)));
        } else if name != "manifest.json" {
            files.push((name, fs::read(path).unwrap()));
        }
    }
    files
}

/// Writes the folder as the settings' layouts, as an operator edits the file.
fn set_layouts(place: &Place, data: &str, layouts: &str) {
    let settings = place.path(&format!("{data}/settings.toml"));
    let text = fs::read_to_string(&settings).unwrap();
    fs::write(settings, format!("layouts = {:?}\n{text}", place.path(layouts))).unwrap();
}

#[test]
fn an_appended_item_becomes_a_column_and_is_filled_from_the_kept_tail() {
    let place = Place::new();
    let appended =
        format!("{}80,dementia_level,認知症高齢者の自立度,code,1,2026-04,*,yes_no,C,\n", embedded(MOVEMENT));
    place.write(&format!("layouts/{MOVEMENT}"), appended);
    let spec = place.spec("layouts");
    let records = [
        registration(&spec, "0000000001", &[("dementia_level", "2")]),
        registration(&spec, "0000000002", &[("sex", "1")]),
    ];
    let input = place.write("in/a.csv", file(&records));
    let on = ["--on", "2026-11-01"];
    let before = place.snapshot("data", &[&["nightly", &input], &on[..]].concat());
    assert!(column(&before, "findings", "code").contains(&"R01".to_owned()));
    set_layouts(&place, "data", "layouts");
    // Old facts are read by the new layouts: the column is there, not yet filled.
    let resolved = place.snapshot("data", &["resolve"]);
    assert_eq!(column(&resolved, "recipient_month", "dementia_level"), ["", "", "", ""]);
    let (_, status, _) = run(&["status", "--data", &place.path("data")]);
    assert!(status.contains("--recheck"), "{status}");
    let again = place.snapshot("data", &[&["nightly", "--recheck"], &on[..]].concat());
    assert_eq!(column(&again, "recipient_history", "dementia_level"), ["2", ""]);
    assert!(!column(&again, "findings", "code").contains(&"R01".to_owned()));
    let rebuilt = place.snapshot("data", &["rebuild"]);
    let layouts = place.path("layouts");
    let fresh = place.snapshot("fresh", &[&["nightly", &input, "--layouts", &layouts], &on[..]].concat());
    assert!(bytes_of(&fresh) == bytes_of(&again), "read again = read so from the start");
    assert!(bytes_of(&fresh) == bytes_of(&rebuilt), "rebuilt = read so from the start");
    assert!(fs::read_to_string(place.path("fresh/settings.toml")).unwrap().contains("layouts = "), "kept");
}

#[test]
fn an_item_in_between_asks_for_a_rebuild() {
    let place = Place::new();
    let input = place
        .write("in/a.csv", file(&[registration(&Spec::embedded().unwrap(), "0000000001", &[("sex", "2")])]));
    place.snapshot("data", &["nightly", &input, "--on", "2026-11-01"]);
    // Two items change their places: the columns of old facts cannot be told apart by position.
    let text = embedded(MOVEMENT);
    let (nine, ten) = (text.lines().nth(9).unwrap(), text.lines().nth(10).unwrap());
    let rest = |line: &str| line.split_once(',').unwrap().1.to_owned();
    let swapped = text.replace(nine, "#").replace(ten, &format!("10,{}", rest(nine)));
    let swapped = swapped.replace('#', &format!("9,{}", rest(ten)));
    place.write(&format!("layouts/{MOVEMENT}"), swapped);
    set_layouts(&place, "data", "layouts");
    for command in ["resolve", "nightly"] {
        let (code, _, err) = run(&[command, "--data", &place.path("data")]);
        assert_eq!((code, err.lines().count()), (1, 1), "{err}");
        assert!(err.contains("tsumiage rebuild"), "{err}");
    }
    let rebuilt = place.snapshot("data", &["rebuild"]);
    assert_eq!(column(&rebuilt, "recipient_history", "insured_no"), ["0000000001"]);
}

#[test]
fn broken_layouts_are_one_line_with_file_line_and_column() {
    let place = Place::new();
    place.write(
        &format!("layouts/{MOVEMENT}"),
        embedded(MOVEMENT).replace("sex,性別コード,code,1", "sex,性別コード,code,one"),
    );
    let (data, layouts) = (place.path("data"), place.path("layouts"));
    let input = place.write("in/a.csv", "x");
    for args in [
        &["nightly", &input, "--data", &data, "--layouts", &layouts][..],
        &["layouts", "check", &layouts, "--data", &data],
        &["layouts", "show", "--layouts", &layouts, "--data", &data],
    ] {
        let (code, out, err) = run(args);
        assert_eq!((code, err.lines().count()), (1, 1), "{args:?}: {err}");
        assert!(!out.contains("snapshot"), "{out}");
        assert!(err.contains("line 12, column 5 (width)") && err.contains(MOVEMENT), "{err}");
    }
    assert!(!Path::new(&data).join("settings.toml").exists(), "broken layouts are not kept");
    let (code, _, err) = run(&["nightly", &input, "--data", &data, "--layouts", &place.path("none")]);
    assert_eq!((code, err.lines().count()), (64, 1), "{err}");
    let other = place.path("other");
    place.write("other/settings.toml", "layouts = \"mine\"\n");
    let (code, _, err) = run(&["nightly", &input, "--data", &other]);
    assert_eq!((code, err.lines().count()), (1, 1), "{err}");
    assert!(err.contains("settings.toml names the layouts folder") && err.contains("other/mine"), "{err}");
    place.write("other/mine/sex.csv", "code,name_ja\n9,不明\n");
    assert_eq!(run(&["nightly", &input, "--data", &other]).0, 2, "relative to the data folder");
}

#[test]
fn codes_ids_and_severities_are_replaced_without_a_rebuild() {
    let place = Place::new();
    let own = Spec::embedded().unwrap();
    let records = [registration(&own, "0000000001", &[("sex", "9")]), registration(&own, "0000000002", &[])];
    let input = place.write("in/a.csv", file(&records));
    let nightly = ["nightly", input.as_str(), "--on", "2026-11-01"];
    let before = place.snapshot("data", &nightly);
    assert_eq!(column(&before, "files", "rejected"), ["1"]);
    place.write("layouts/codes/sex.csv", "code,name_ja\n1,男\n2,女\n9,不明\n");
    place.write("layouts/5388-recipient-movement.csv", embedded(MOVEMENT));
    place.write("layouts/findings.csv", "code,severity\nR14,warning\n");
    place.write("layouts/eras.csv", "item,last_month\nsecks,2020-01\n");
    let layouts = place.path("layouts");
    let (code, out, err) = run(&["layouts", "check", &layouts]);
    assert_eq!(code, 0, "{err}");
    assert!(out.contains("5388-recipient-movement.csv") && out.contains(&layouts), "{out}");
    for says in [
        "exchange id 5388 instead of 5311",
        "code table sex",
        "R14 is warning",
        "no layout has the item secks",
        "4 changes",
    ] {
        assert!(err.contains(says), "{says}: {err}");
    }
    let spec = place.spec("layouts");
    let new = place.write("in/b.csv", file(&[registration(&spec, "0000000003", &[("sex", "9")])]));
    let read = place.snapshot("data2", &["nightly", &new, "--on", "2026-11-01", "--layouts", &layouts]);
    assert_eq!(column(&read, "recipient_history", "sex"), ["9"]);
    // Given to a folder that has other settings they are used, but not for `latest`; the next run reads by
    // the settings again what was read by them.
    let latest = || fs::read_to_string(place.path("data/snapshots/LATEST")).unwrap();
    let standing = latest();
    let other = place.snapshot("data", &["nightly", &new, "--on", "2026-11-01", "--layouts", &layouts]);
    assert_eq!(column(&other, "recipient_history", "insured_no"), ["0000000002", "0000000003"]);
    assert_eq!(latest(), standing);
    let by_settings = place.snapshot("data", &["nightly", "--on", "2026-11-02"]);
    assert_ne!(latest(), standing);
    assert_eq!(column(&by_settings, "recipient_history", "insured_no"), ["0000000002"]);
    let rebuilt = place.snapshot("data", &["rebuild"]);
    assert!(bytes_of(&by_settings) == bytes_of(&rebuilt), "as if those layouts had never been");
    // A rebuild with them reads everything by them, and keeps them.
    let kept = place.snapshot("data", &["rebuild", "--layouts", &layouts]);
    assert_eq!(column(&kept, "recipient_history", "insured_no"), ["0000000003"], "5311 is no id any more");
    assert_eq!(kept.file_name().unwrap().to_str().unwrap(), latest().trim());
    assert!(fs::read_to_string(place.path("data/settings.toml")).unwrap().contains(&layouts));
}

#[test]
fn a_lenient_profile_accepts_what_real_senders_get_wrong() {
    let place = Place::new();
    let own = Spec::embedded().unwrap();
    let records = [registration(&own, "0000000001", &[]), registration(&own, "0000000002", &[])];
    let text = String::from_utf8(file(&records)).unwrap();
    // Record count 1, record number 2 on every row, and a last column with the text of a line end.
    let text = text.replace("1,1,0,2,", "1,1,0,1,").replace("\r\n2,3,", "\r\n2,2,");
    let text = text.replace(",,\r\n", ",,\"\r\n\"\r\n");
    let input = place.write("in/a.csv", text);
    let nightly = ["nightly", input.as_str(), "--on", "2026-11-01"];
    let strict = place.snapshot("strict", &nightly);
    assert_eq!(column(&strict, "files", "status"), ["rejected"]);
    let lenient = place.snapshot("lenient", &[&nightly[..], &["--profile", "lenient"]].concat());
    assert_eq!(column(&lenient, "files", "accepted"), ["2"]);
    assert_eq!(column(&lenient, "findings", "severity").iter().filter(|s| *s == "error").count(), 0);
    let (_, status, _) = run(&["status", "--data", &place.path("lenient")]);
    assert!(status.contains("lenient"), "{status}");
}

#[test]
fn layouts_are_shown_to_people_and_to_be_edited() {
    let place = Place::new();
    let data = place.path("data");
    let (code, out, _) = run(&["layouts", "show", "--data", &data]);
    assert_eq!(code, 0);
    for kind in RecordKind::ALL {
        assert!(out.contains(kind.name()), "{out}");
    }
    let (_, csv, _) = run(&["layouts", "show", "5311", "--format", "csv", "--data", &data]);
    assert_eq!(csv, embedded(MOVEMENT));
    let (_, json, _) =
        run(&["layouts", "show", "union-membership-movement", "--format", "json", "--data", &data]);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["items"][7]["repeats"], true);
    for name in ["control", "care_level", "care_level_limits", "periods", "findings", "sex"] {
        let (code, out, err) = run(&["layouts", "show", name, "--data", &data]);
        assert!(code == 0 && out.lines().count() > 1, "{name}: {err}");
    }
    let (code, _, err) = run(&["layouts", "show", "9999", "--data", &data]);
    assert_eq!((code, err.lines().count()), (64, 1));
    assert!(!Path::new(&data).exists());
}
