//! The folder for lists, and which files they are about.

use super::{Place, cells, file, query, registration};
use crate::support::names_in;
use std::fs;
use tsumiage_schemas::Spec;

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
