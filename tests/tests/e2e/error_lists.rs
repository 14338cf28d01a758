//! `findings --out`: what is sent back is what was sent, and adds up.

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
fn cells(path: &Path) -> Vec<Vec<Vec<u8>>> {
    let bytes = fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    assert!(bytes.ends_with(b"\r\n"));
    assert!(bytes.iter().zip(&bytes[1..]).all(|(a, b)| *b != b'\n' || *a == b'\r'), "CR LF only");
    let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(&bytes[..]);
    reader.byte_records().map(|row| row.unwrap().iter().map(<[u8]>::to_vec).collect()).collect()
}

/// CP932 as text; panics on what is not CP932. Lists are short, so it is enough to look characters up.
fn decoded(bytes: &[u8]) -> String {
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

#[test]
fn values_stand_as_they_were_sent() {
    let spec = Spec::embedded().unwrap();
    let record = |no: &str, changed: &[(&str, &str)]| registration(&spec, no, changed);
    let long = "介護太郎".repeat(60);
    let records = [
        record("0000000010", &[("birth_date", "20260230"), ("care_level", "99")]),
        record("0000000020", &[("name_kana", &long)]),
        record("0000000030", &[("name_kana", "KOWARETA")]),
        record("0000000040", &[("name_kana", "\u{e000}ｶｲ")]),
        record("0000000050", &[("sex", "a,\"b\"\r\nc")]),
        record(
            "0000000060",
            &[("birth_date", "=1+1"), ("home_service_limit_units", "-1"), ("care_level", "＠")],
        ),
        record("0000000070", &[("insurer_no", "14100"), ("union_no", "'=1")]),
    ];
    let place = Place::new();
    place.put("141003-🙂=.csv", &file(&records, (b"KOWARETA", b"\x82\xa0\xffK\x07\x81")));
    place.nightly();
    assert_eq!(place.findings("out", &[]).0, 0);
    let list = place.list("141003-findings.csv");
    let value = |record: i64, code: &str, item: &str| {
        let key = (record.to_string(), code.to_owned(), spec.label(item).to_owned());
        list.get(&key).unwrap_or_else(|| panic!("no {key:?} in {:?}", list.keys()))[10].clone()
    };
    assert_eq!(value(2, "R03", "birth_date"), b"20260230");
    assert_eq!(value(2, "R04", "care_level"), b"99");
    let cut: String = long.chars().take(200).chain(['…']).collect();
    assert_eq!(value(3, "R05", "name_kana"), encoded(&cut));
    assert_eq!(value(4, "R07", "name_kana"), b"\x82\xa0\\xffK\\x07\\x81");
    assert_eq!(
        value(5, "R07", "name_kana"),
        encoded("\u{e000}ｶｲ"),
        "a user-defined character keeps its bytes"
    );
    assert_eq!(value(6, "R06", "sex"), br#"a,"b"\x0d\x0ac"#);
    assert_eq!(value(7, "R03", "birth_date"), b"'=1+1");
    assert_eq!(value(7, "R08", "home_service_limit_units"), b"-1", "a plain number");
    assert_eq!(value(7, "R04", "care_level"), encoded("'＠"));
    assert_eq!(value(8, "R02", "insurer_no"), b"14100");
    assert_eq!(value(8, "R06", "union_no"), b"'=1");
    let row = &list[&("2".into(), "R04".into(), "要介護状態区分コード".into())];
    let texts: Vec<String> = row.iter().map(|cell| decoded(cell)).collect();
    assert_eq!(
        texts[..10],
        [
            "141003-〓=.csv",
            "2026-10",
            "2026-11-01",
            "2",
            "141003",
            "0000000010",
            "2026-09-15",
            "エラー",
            "R04",
            "要介護状態区分コード"
        ]
    );
    assert_eq!(
        texts[11..],
        ["1", "「要介護状態区分コード」がコード表にありません（99）。コードを直して再送してください。"]
    );
}

#[test]
fn a_pair_of_a_union_list_is_told_by_its_number() {
    let place = Place::new();
    let pairs = "141011,20260401,141022,,141033,2026xx01,,20260501,1410,20260401,\"14x\",20260401";
    let text =
        format!("1,1,0,1,571,,149001,,,1,202610,0\r\n2,2,5711,20260401,1,99,149001,{pairs}\r\n3,3\r\n");
    place.put("union.csv", text.as_bytes());
    place.nightly();
    place.findings("out", &[]);
    let lines = cells(&place.path("out/149001-findings.csv"));
    let got: Vec<String> =
        lines[1..].iter().map(|row| [8, 9, 10, 11].map(|c| decoded(&row[c])).join(" ")).collect();
    let (member, from) = ("市町村番号（行政区番号）", "有効開始日");
    // One finding per record, code and item; the first is shown, 件数 says how many there are.
    let want = [
        format!("R02 {member}（4組目）  3"),
        format!("R02 {from}（2組目）  1"),
        format!("R03 {from}（3組目） 2026xx01 1"),
    ];
    let errors: Vec<&String> = got.iter().filter(|line| line.starts_with("R0")).collect();
    assert_eq!(errors, want.iter().collect::<Vec<_>>());
}

/// What `query` gives as CSV, without its header.
fn query(place: &Place, sql: &str) -> Vec<Vec<String>> {
    let (code, text, said) = place.command(&["query", sql, "--format", "csv"]);
    assert_eq!(code, 0, "{said}");
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    reader.records().map(|row| row.unwrap().iter().map(str::to_owned).collect()).collect()
}

#[test]
fn lists_and_summaries_are_the_tables() {
    let place = Place::new();
    place.put_samples();
    place.put("archive.zip", b"PK\x03\x04\x14\x00\x00\x00");
    place.put("control.csv", b"1,1,0,0,531,,1410,,,1,2026XX,0\r\n3,2\r\n");
    place.put("nothing-wrong.csv", b"1,1,0,0,531,,140001,,,1,202610,0\r\n3,2\r\n");
    place.nightly();
    let before = tree(&place.path("data"));
    let (code, told, _) = place.findings("out/new", &["--format", "csv"]);
    assert_eq!(code, 0);
    assert_eq!(tree(&place.path("data")), before, "the data folder is only read");

    let lists: Vec<&str> = vec!["141003", "142018", "unknown"];
    let mut want: Vec<String> = lists.iter().map(|sender| format!("{sender}-findings.csv")).collect();
    want.extend(["140001", "141003", "142018", "unknown"].map(|sender| format!("{sender}-summary.csv")));
    want.sort();
    assert_eq!(names_in(&place.path("out/new")), want, "no empty list, nothing else");

    let label = |item: &str| Spec::embedded().unwrap().label(item).to_owned();
    for sender in &lists {
        let of = if *sender == "unknown" { "IS NULL".to_owned() } else { format!("= '{sender}'") };
        let columns =
            "file_name, record_no, insurer_no, insured_no, movement_date, code, item, count, message_ja";
        let table = query(&place, &format!("SELECT {columns} FROM findings WHERE sender_no {of}"));
        let list = cells(&place.path("out/new").join(format!("{sender}-findings.csv")));
        assert_eq!(list.len(), table.len() + 1);
        for (row, cells) in table.iter().zip(&list[1..]) {
            let cell = |at: usize| decoded(&cells[at]);
            let got = [cell(0), cell(3), cell(4), cell(5), cell(6), cell(8), cell(9), cell(11), cell(12)];
            let mut want: Vec<String> = row.clone();
            want[6] = label(&row[6]);
            want[8] = row[8].replace('\u{fffd}', "〓");
            assert_eq!(got.to_vec(), want);
        }
        page_adds_up(&place, sender, &of);
    }
    // What the messages of stacking are about was not sent, or is the whole record.
    let list = cells(&place.path("out/new/141003-findings.csv"));
    let stale: Vec<_> = list.iter().filter(|row| row[8] == b"S11").collect();
    assert!(!stale.is_empty() && stale.iter().all(|row| !row[9].is_empty() && row[10].is_empty()));
    let list = cells(&place.path("out/new/142018-findings.csv"));
    let s03: Vec<_> = list.iter().filter(|row| row[8] == b"S03").collect();
    assert!(!s03.is_empty() && s03.iter().all(|row| row[9].is_empty() && row[10].is_empty()));
    let unknown = cells(&place.path("out/new/unknown-findings.csv"));
    let values: Vec<(String, String)> =
        unknown[1..].iter().map(|row| (decoded(&row[8]), decoded(&row[10]))).collect();
    for want in [("F01", ""), ("F02", "1410"), ("F02", "2026XX")] {
        assert!(values.contains(&(want.0.to_owned(), want.1.to_owned())), "{want:?} in {values:?}");
    }
    let sql = "SELECT coalesce(sender_no, 'unknown') AS sender, sum(count) FILTER (WHERE severity = 'error'), \
               sum(count) FILTER (WHERE severity = 'warning') FROM findings GROUP BY 1 ORDER BY 1";
    let sums = query(&place, sql);
    for row in told.lines().skip(1).filter(|line| !line.starts_with("140001,")) {
        let row: Vec<&str> = row.split(',').collect();
        let sum = sums.iter().find(|sum| sum[0] == row[0]).unwrap();
        let zero = |text: &String| if text.is_empty() { "0".to_owned() } else { text.clone() };
        assert_eq!([row[2], row[3]], [zero(&sum[1]), zero(&sum[2])], "{told}");
    }
    assert!(told.lines().nth(1).unwrap().starts_with("140001,1,0,0,0,,"), "{told}");
}

/// The totals of a sender's page are those of the tables.
fn page_adds_up(place: &Place, sender: &str, of: &str) {
    let page = place.page("out/new", sender);
    let sums = "sum(records), sum(accepted), sum(rejected), sum(warned)";
    let totals = query(place, &format!("SELECT {sums} FROM files WHERE sender_no {of}"));
    let total: Vec<_> = page.iter().filter(|row| row[0] == "合計").collect();
    assert_eq!(total.len(), 1);
    assert_eq!(total[0][5..], totals[0][..]);
    let months = query(
        place,
        &format!(
            "SELECT processing_month, {sums} FROM files WHERE sender_no {of} GROUP BY 1 ORDER BY 1 NULLS FIRST"
        ),
    );
    let of_months: Vec<Vec<String>> = page
        .iter()
        .filter(|row| row[0] == "月計")
        .map(|row| {
            [&[format!("{}{}", row[2], if row[2].is_empty() { "" } else { "-01" })], &row[5..]].concat()
        })
        .collect();
    assert_eq!(of_months, months);
    let count = |from: &str| -> Vec<Vec<String>> {
        let at = page.iter().position(|row| row[0] == from).unwrap();
        page[at + 2..].iter().take_while(|row| !row[0].starts_with('【')).cloned().collect()
    };
    let codes = query(
        place,
        &format!(
            "SELECT code, sum(count) FROM findings WHERE sender_no {of} GROUP BY code, severity ORDER BY 1, severity DESC"
        ),
    );
    let by_code: BTreeMap<String, i64> =
        summed(count("【コード別件数】").iter().map(|row| (&row[0], &row[2])));
    let by_file: BTreeMap<String, i64> =
        summed(count("【ファイル・コード別件数】").iter().map(|row| (&row[3], &row[5])));
    let table: BTreeMap<String, i64> = summed(codes.iter().map(|row| (&row[0], &row[1])));
    assert_eq!(by_code, table);
    assert_eq!(by_file, table);
}

fn summed<'a>(rows: impl Iterator<Item = (&'a String, &'a String)>) -> BTreeMap<String, i64> {
    let mut sums = BTreeMap::new();
    for (code, count) in rows {
        *sums.entry(code.clone()).or_default() += count.parse::<i64>().unwrap();
    }
    sums
}

/// Every path below a folder with its bytes.
fn tree(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(tree(&path));
            files.insert(path, Vec::new());
        } else {
            files.insert(path.clone(), fs::read(&path).unwrap());
        }
    }
    files
}

#[test]
fn the_folder_for_lists() {
    let spec = Spec::embedded().unwrap();
    let place = Place::new();
    let wrong = registration(&spec, "0000000010", &[("sex", "7")]);
    place.put("a.csv", &file(&[wrong], (b"1,1,", b"1,1,")));
    place.put("b.csv", b"1,1,0,0,531,,140001,,,1,202610,0\r\n3,2\r\n");
    place.nightly();
    fs::write(place.path("a-file"), b"mine").unwrap();
    let (code, _, told) = place.findings("a-file", &[]);
    assert_eq!((code, told.lines().count()), (1, 1), "{told}");
    assert!(told.contains("is a file; give a folder"), "{told}");
    assert_eq!(fs::read(place.path("a-file")).unwrap(), b"mine");
    for inside in ["data", "data/lists/new"] {
        let (code, _, told) = place.findings(inside, &[]);
        assert_eq!((code, told.lines().count()), (64, 1), "{told}");
    }
    assert!(!place.path("data/lists").exists());

    // Lists of the same names are replaced whole; one that would be empty goes; all else stays.
    fs::create_dir(place.path("out")).unwrap();
    let old = ["140001-findings.csv", "141003-findings.csv", "142018-findings.csv", "notes.txt"];
    fs::create_dir(place.path("out/.tsumiage-lists-killed")).unwrap(); // holds people's data
    old.iter().for_each(|name| fs::write(place.path("out").join(name), "old".repeat(10_000)).unwrap());
    let (code, told, _) = place.findings("out", &["--format", "json"]);
    assert_eq!(code, 0, "{told}");
    let told: serde_json::Value = serde_json::from_str(&told).unwrap();
    assert_eq!((&told[1]["sender_no"], &told[1]["errors"]), (&"141003".into(), &1.into()), "{told}");
    assert_eq!(told[1]["list"], place.path("out/141003-findings.csv").display().to_string());
    assert_eq!(
        cells(&place.path("out/141003-findings.csv")).len(),
        1 + told[1]["infos"].as_i64().unwrap() as usize + 1
    );
    assert_eq!(
        fs::read(place.path("out/142018-findings.csv")).unwrap().len(),
        30_000,
        "not of this snapshot"
    );
    assert!(told[0]["list"].is_null() && !place.path("out/140001-findings.csv").exists(), "{told}");
    assert_eq!(fs::read_dir(place.path("out")).unwrap().count(), 5, "nothing is left behind");

    let (code, told, said) = place.findings("other", &["--sender", "142018"]);
    assert_eq!(code, 0);
    assert!(said.contains("no such file in the snapshot") && !told.contains("141003"), "{told}{said}");
    assert!(names_in(&place.path("other")).is_empty());
}

#[cfg(unix)]
#[test]
fn lists_are_not_readable_by_others() {
    use std::os::unix::fs::PermissionsExt;
    let spec = Spec::embedded().unwrap();
    let place = Place::new();
    place.put("a.csv", &file(&[registration(&spec, "0000000010", &[("sex", "7")])], (b"1,1,", b"1,1,")));
    place.nightly();
    place.findings("out", &[]);
    let names = names_in(&place.path("out"));
    assert_eq!(names.len(), 2);
    for path in names.iter().map(|name| place.path("out").join(name)).chain([place.path("out")]) {
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o007, 0, "{}", path.display());
    }
}

/// The rows of `findings --format csv`.
fn findings_rows(place: &Place, more: &[&str]) -> (Vec<String>, String) {
    let (code, told, said) = place.command(&[&["findings", "--format", "csv"], more].concat());
    assert_eq!(code, 0, "{said}");
    (told.lines().skip(1).map(str::to_owned).collect(), said)
}

#[test]
fn files_are_chosen_by_id_sender_month_and_day() {
    let place = Place::new();
    place.put_samples();
    place.put("archive.zip", b"PK\x03\x04\x14\x00\x00\x00");
    place.nightly();
    let wrong = registration(&Spec::embedded().unwrap(), "0000000990", &[("sex", "7")]);
    place.put("later.csv", &file(&[wrong], (b"1,1,", b"1,1,")));
    place.nightly_on("2026-11-02");
    let (all, said) = findings_rows(&place, &[]);
    assert_eq!(said, "");
    let ids = |condition: &str| -> Vec<String> {
        let rows = query(&place, &format!("SELECT file_id FROM files WHERE {condition}"));
        rows.into_iter().map(|row| row[0].clone()).collect()
    };
    let one = ids("name = '142018-202609-5311.csv'")[0].to_uppercase();
    let choices: [(&[&str], &str); 6] = [
        (&["--file", &one[..12]], "name = '142018-202609-5311.csv'"),
        (&["--sender", "142018"], "sender_no = '142018'"),
        (&["--sender", "unknown"], "sender_no IS NULL"),
        (&["--month", "2026-10"], "processing_month = DATE '2026-10-01'"),
        (&["--on", "2026-11-02"], "taken_in_on = DATE '2026-11-02'"),
        (&["--month", "2026-10", "--sender", "142018"], "name = '142018-202610-5311.csv'"),
    ];
    for (at, (choice, condition)) in choices.into_iter().enumerate() {
        let ids = ids(condition);
        let meant = |row: &&String| ids.iter().any(|id| row.starts_with(id.as_str()));
        let want: Vec<String> = all.iter().filter(meant).cloned().collect();
        assert!(!want.is_empty() && want.len() < all.len(), "{choice:?}");
        assert_eq!(findings_rows(&place, choice), (want.clone(), String::new()), "{choice:?}");
        let out = format!("lists-{at}");
        assert_eq!(place.findings(&out, choice).0, 0);
        let names = names_in(&place.path(&out));
        let lists = names.iter().filter(|name| name.ends_with("-findings.csv"));
        let lines: usize = lists.map(|name| cells(&place.path(&out).join(name)).len() - 1).sum();
        assert_eq!(lines, want.len(), "{choice:?}");
        let page = |name: &String| name.strip_suffix("-summary.csv").map(|sender| place.page(&out, sender));
        let listed = names.iter().filter_map(page).flatten();
        let listed = listed.skip_while(|row| row[0] != "ファイル名").filter(|row| row.len() == 9);
        let listed = listed.filter(|row| !["ファイル名", "月計", "合計"].contains(&row[0].as_str())).count();
        assert_eq!(listed, ids.len(), "{choice:?}");
    }
    let wrong: [&[&str]; 4] =
        [&["--file", "xyz"], &["--sender", "999999"], &["--month", "2020-01"], &["--on", "2020-01-01"]];
    for choice in wrong {
        let (rows, said) = findings_rows(&place, choice);
        assert!(rows.is_empty() && said.contains("no such file in the snapshot"), "{choice:?}: {said}");
        let (code, _, said_of_lists) = place.findings("none", choice);
        assert_eq!((code, said_of_lists), (0, said), "{choice:?}");
    }
}

#[test]
fn what_was_withdrawn_is_listed_and_does_not_count() {
    let place = Place::new();
    place.put_samples();
    place.nightly();
    place.findings("out", &[]);
    let note = "※「取下げ」のファイルは、月計・合計に含みません。";
    let before = place.page("out", "142018");
    assert_eq!(before[0], ["件数突合表"]);
    assert!(before.iter().all(|row| row[0] != note));
    let has = |row: [&str; 4]| before.iter().any(|line| *line == row);
    assert!(has(["R04", "エラー", "1", "「項目」がコード表にありません。コードを直して再送してください。"]));
    assert!(!before.concat().concat().contains("「レコード」"), "{before:?}");

    let id = &query(&place, "SELECT file_id FROM files WHERE name = '142018-202609-5311.csv'")[0][0];
    assert_eq!(place.command(&["withdraw", id, "--reason", "test", "--on", "2026-11-01"]).0, 0);
    assert!(place.command(&["resolve"]).0 != 1);
    place.findings("out", &[]);
    let after = place.page("out", "142018");
    let row = |page: &[Vec<String>], first: &str, month: &str| -> Vec<String> {
        page.iter().find(|row| row[0] == first && row[2] == month).unwrap()[4..].to_vec()
    };
    assert_eq!(row(&after, "142018-202609-5311.csv", "2026-09")[..2], ["取下げ", "12"]);
    assert_eq!(row(&after, "月計", "2026-09"), ["", "0", "0", "0", "0"]);
    let sums = "sum(records), sum(accepted), sum(rejected), sum(warned)";
    let of = "sender_no = '142018' AND status <> 'withdrawn'";
    let counted = &query(&place, &format!("SELECT {sums} FROM files WHERE {of}"))[0];
    assert_eq!(row(&after, "合計", "")[1..], counted[..]);
    assert_ne!(row(&after, "合計", ""), row(&before, "合計", ""));
    let total = after.iter().position(|row| row[0] == "合計").unwrap();
    assert_eq!(after[total + 1], [note]);
}

#[test]
fn a_file_gone_from_the_archive_is_to_be_restored() {
    let place = Place::new();
    let wrong = registration(&Spec::embedded().unwrap(), "0000000010", &[("sex", "7")]);
    place.put("a.csv", &file(&[wrong], (b"1,1,", b"1,1,")));
    place.nightly();
    let id = &query(&place, "SELECT file_id FROM files")[0][0];
    fs::remove_file(place.path("data/archive").join(&id[..2]).join(id)).unwrap();
    let (code, _, said) = place.findings("out", &[]);
    assert_eq!((code, said.lines().count()), (1, 1), "{said}");
    assert!(said.contains("is gone from the archive; restore it from a backup"), "{said}");
    assert!(names_in(&place.path("out")).is_empty());
}

#[test]
fn the_readme_shows_what_the_samples_give() {
    let place = Place::new();
    place.put_samples();
    place.nightly();
    place.findings("out", &[]);
    let readme = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md")).unwrap();
    let list: Vec<Vec<String>> = cells(&place.path("out/142018-findings.csv"))
        .iter()
        .map(|row| [0, 3, 5, 6, 7, 8, 9, 10, 12].map(|column| decoded(&row[column])).to_vec())
        .collect();
    let page: Vec<String> = place.page("out", "142018").iter().map(|row| row.join(",")).collect();
    let shown: Vec<&str> = readme.lines().filter(|line| line.starts_with("| 142018-")).collect();
    let counted = readme.lines().filter_map(|line| line.strip_prefix("    "));
    let counted: Vec<&str> = counted
        .filter(|line| line.starts_with("142018-") || line.contains("件数,") || line.starts_with("合計"))
        .collect();
    assert_eq!((shown.len(), counted.len()), (4, 4), "{shown:?} {counted:?}");
    for line in shown {
        let want: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let same = |row: &&Vec<String>| match want[8].strip_suffix('…') {
            Some(start) => row[..8] == want[..8] && row[8].starts_with(start),
            None => row[..] == want[..],
        };
        assert!(list.iter().any(|row| same(&row)), "{line}");
    }
    for line in counted {
        assert!(page.iter().any(|row| row == line), "{line} in {page:#?}");
    }
}
