//! Lists and summaries say what the tables say.

use super::{Place, cells, decoded, query};
use crate::support::names_in;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use tsumiage_schemas::Spec;

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
