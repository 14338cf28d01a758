//! `inbox` of `samples` and of `samples/union` is byte for byte what the writer makes of `sources` beside it; with
//! `TSUMIAGE_WRITE_SAMPLES=1` it is written. `samples/README.md` says what is in the files, `expected` what comes
//! of them: of all of `samples/inbox`; of `samples/union/inbox` what the union sends (case 1), and all of it (case 2).

use crate::support::{self, Source, Table};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use tsumiage_pipeline::writer::{self, Quoting};
use tsumiage_schemas::Spec;

/// A folder below `samples`; the empty name is `samples` itself.
fn samples(folder: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../samples").join(folder)
}

#[test]
fn inbox_is_made_from_the_sources() {
    made_from_sources(&samples(""));
}

#[test]
fn union_inbox_is_made_from_the_sources() {
    made_from_sources(&samples("union"));
}

#[test]
fn samples_give_the_findings_the_readme_tells() {
    let all = files_in(&samples("inbox"), "");
    expected_tables_come_of(&all, "2026-11-01", &samples(""));
}

#[test]
fn what_the_union_sends_gives_case_1() {
    let of_the_union = files_in(&samples("union/inbox"), "141003-");
    expected_tables_come_of(&of_the_union, "2026-05-01", &samples("union/case_1"));
}

#[test]
fn what_union_and_towns_send_gives_case_2() {
    let all = files_in(&samples("union/inbox"), "");
    expected_tables_come_of(&all, "2026-05-01", &samples("union/case_2"));
}

#[test]
fn readme_shows_the_card_that_the_union_samples_give() {
    let temp = tempfile::tempdir().unwrap();
    let data = temp.path().join("data").display().to_string();
    let inbox = samples("union/inbox").display().to_string();
    support::tsumiage(["ingest", "--on", "2026-05-01", "--inbox", &inbox, "--data", &data]);
    let asked = ["timeline", "--insured", "1400000010", "--on-day", "2026-04-01", "--data", &data];
    let card: String = support::tsumiage(asked).lines().map(|line| format!("    {line}\n")).collect();
    for name in ["README.md", "README.ja.md"] {
        let text = fs::read_to_string(samples("..").join(name)).unwrap();
        assert!(text.contains(&asked[..5].join(" ")), "{name} does not tell the command");
        assert!(text.contains(&card), "{name} does not show the card as it is:\n{card}");
    }
}

/// Files of an inbox whose names begin so.
fn files_in(inbox: &Path, beginning: &str) -> Vec<PathBuf> {
    let names = support::names_in(inbox);
    names.iter().filter(|name| name.starts_with(beginning)).map(|name| inbox.join(name)).collect()
}

/// Takes the files in on a day and compares every view below `expected` of the folder.
fn expected_tables_come_of(files: &[PathBuf], on: &str, folder: &Path) {
    assert!(!files.is_empty() && folder.join("expected").is_dir(), "samples are missing");
    let temp = tempfile::tempdir().unwrap();
    let data = temp.path().join("data");
    let args = ["ingest", "--on", on, "--data"].map(PathBuf::from);
    support::tsumiage(args.into_iter().chain([data.clone()]).chain(files.iter().cloned()));
    crate::golden::compare(folder, &data);
}

/// Compares `inbox` of a folder with what its `sources` say, after writing it if asked to.
fn made_from_sources(folder: &Path) {
    let wanted = from_sources(&folder.join("sources"));
    assert!(!wanted.is_empty(), "{} has no sources", folder.display());
    let inbox = folder.join("inbox");
    if std::env::var_os("TSUMIAGE_WRITE_SAMPLES").is_some_and(|value| value == "1") {
        fs::create_dir_all(&inbox).unwrap();
        for name in support::names_in(&inbox).iter().filter(|name| !wanted.contains_key(*name)) {
            fs::remove_file(inbox.join(name)).unwrap();
        }
        for (name, bytes) in &wanted {
            fs::write(inbox.join(name), bytes).unwrap();
        }
    }
    let found = support::names_in(&inbox);
    let again = format!("TSUMIAGE_WRITE_SAMPLES=1 writes {} again", inbox.display());
    assert_eq!(found, wanted.keys().cloned().collect::<Vec<_>>(), "{again}");
    let differ = |name: &&String| fs::read(inbox.join(name)).unwrap() != wanted[*name];
    let wrong: Vec<&String> = found.iter().filter(differ).collect();
    assert!(wrong.is_empty(), "{wrong:?} are not what their sources say; {again}");
}

/// Names and bytes of all samples. Insurer 141003 quotes every item, the others only where they must.
fn from_sources(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let spec = Spec::embedded().unwrap();
    let mut made = BTreeMap::new();
    for name in support::names_in(dir).iter().filter(|name| name.ends_with(".csv")) {
        let source = Source::read(&dir.join(name));
        let quoting = if source.sender_no == "141003" { Quoting::All } else { Quoting::Needed };
        let mut bytes = source.to_exchange_file(&spec, quoting);
        let edits = dir.join(source.name.replace(".csv", ".edits"));
        if edits.exists() {
            bytes = edited(&bytes, &Table::read_csv(&edits));
        }
        made.insert(source.name, bytes);
    }
    made
}

/// Applies edits (1-based line, find, replace) to the lines of a file; a blank `find` takes the line out.
fn edited(bytes: &[u8], edits: &Table) -> Vec<u8> {
    let mut lines: Vec<Vec<u8>> = bytes.split_inclusive(|b| *b == b'\n').map(<[u8]>::to_vec).collect();
    for edit in &edits.rows {
        let line = &mut lines[edit[0].parse::<usize>().unwrap() - 1];
        let (find, replace) = (cp932(&edit[1]), cp932(&edit[2]));
        if find.is_empty() {
            line.clear();
            continue;
        }
        let at = line.windows(find.len()).position(|window| window == find);
        let at = at.unwrap_or_else(|| panic!("line {} does not hold {}", edit[0], edit[1]));
        line.splice(at..at + find.len(), replace);
    }
    lines.concat()
}

/// A text in CP932, where `\xNN` stands for one byte.
fn cp932(text: &str) -> Vec<u8> {
    let mut parts = text.split("\\x");
    let mut bytes = Vec::new();
    writer::encode(parts.next().unwrap_or_default(), &mut bytes).unwrap();
    for part in parts {
        bytes.push(u8::from_str_radix(&part[..2], 16).unwrap());
        writer::encode(&part[2..], &mut bytes).unwrap();
    }
    bytes
}
