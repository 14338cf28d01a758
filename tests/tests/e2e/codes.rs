//! One registry of codes: every code of `domain.md` is in `docs/findings.md` and is published for a specimen
//! that has this fault and no other; no code is published that a specimen does not expect.

mod specimens;

use crate::support::{Table, snapshot_of, tsumiage};
use specimens::Specimen;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use tsumiage_schemas::{Code, Spec};

fn nightly(folder: &Path, on: &str, specimens: &[Specimen], more: &[&str]) -> String {
    let inbox = folder.join(format!("inbox-{on}"));
    fs::create_dir_all(&inbox).unwrap();
    for specimen in specimens {
        fs::write(inbox.join(specimen.name), &specimen.bytes).unwrap();
    }
    let (data, inbox) = (folder.join("data").display().to_string(), inbox.display().to_string());
    tsumiage([&["nightly", "--on", on, "--data", &data, "--inbox", &inbox], more].concat())
}

/// Codes published for each file.
fn published(snapshot: &Path) -> BTreeMap<String, BTreeSet<Code>> {
    let columns = ["file_name", "code"].map(str::to_owned);
    let mut codes: BTreeMap<String, BTreeSet<Code>> = BTreeMap::new();
    for row in Table::read_snapshot(snapshot, "findings", &columns).rows {
        codes.entry(row[0].clone()).or_default().insert(Code::parse(&row[1]).unwrap());
    }
    codes
}

/// The codes in a specimen's name.
fn expected(name: &str) -> BTreeSet<Code> {
    name.split([' ', '-', '.']).filter_map(Code::parse).collect()
}

#[test]
fn every_code_is_published_for_its_specimen_and_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let nights = specimens::nights();
    nightly(folder.path(), "2026-05-10", &nights.first, &["--months", "2026-04..2026-06"]);
    nightly(folder.path(), "2026-05-11", &nights.second, &[]);
    let data = folder.path().join("data").display().to_string();
    let sql = "SELECT file_id FROM files WHERE name = 'F11.csv'";
    let answer = tsumiage(["query", sql, "--format", "csv", "--data", &data]);
    let id = answer.lines().last().unwrap();
    tsumiage(["withdraw", id, "--reason", "誤送付", "--on", "2026-05-12", "--data", &data]);
    tsumiage(["close", "2026-05", "--on", "2026-06-01", "--data", &data]);
    let got = published(&snapshot_of(&nightly(folder.path(), "2026-06-02", &nights.closed, &[])));

    let mut wrong = Vec::new();
    for specimen in nights.first.iter().chain(&nights.second).chain(&nights.closed) {
        let (got, want) = (got.get(specimen.name).cloned().unwrap_or_default(), expected(specimen.name));
        if got != want {
            wrong.push(format!("{}: {got:?} published instead of {want:?}", specimen.name));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));

    let mut produced: BTreeSet<Code> = got.into_values().flatten().collect();
    let again = nightly(folder.path(), "2026-06-02", &nights.closed, &["--json"]);
    assert!(again.contains("\"finding\":\"F07\""), "told in the run's events only: {again}");
    produced.insert(Code::F07);
    assert_eq!(produced, Code::ALL.iter().copied().collect());
}

/// The table in `docs/findings.md`, as the data files say it.
fn registry(spec: &Spec) -> String {
    let line = |code: &Code| {
        let severity = spec.catalogue.severity(*code).as_str();
        let (japanese, english) = spec.catalogue.messages(*code, "(item)", "項目", "");
        let (what, to_do) = english.split_once(". ").unwrap();
        format!("| {code} | {severity} | {what}. | {to_do} | {japanese} |\n")
    };
    let header =
        "| code | severity | what it means | what to do | as the sender reads it |\n|---|---|---|---|---|\n";
    Code::ALL.iter().map(line).fold(header.to_owned(), |table, line| table + &line)
}

#[test]
fn the_registry_is_documented_as_it_is() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/findings.md");
    let page = fs::read_to_string(page).unwrap();
    let table = registry(&Spec::embedded().unwrap());
    assert!(page.contains(&table), "docs/findings.md should hold this table:\n{table}");
    let listed = page.lines().filter_map(|line| Code::parse(line.strip_prefix("| ")?.get(..3)?));
    assert_eq!(listed.collect::<Vec<_>>(), Code::ALL, "every code once");
}
