//! `samples/inbox` is byte for byte what the writer makes of `samples/sources`; with
//! `TSUMIAGE_WRITE_SAMPLES=1` it is written. `samples/README.md` says what is in the files.

use crate::support::{self, Source, Table};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use tsumiage_pipeline::writer::{self, Quoting};
use tsumiage_schemas::Spec;

fn samples(folder: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../samples").join(folder)
}

#[test]
fn inbox_is_made_from_the_sources() {
    let wanted = made_from_sources();
    assert!(!wanted.is_empty(), "samples/sources is missing");
    let inbox = samples("inbox");
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
    let again = "TSUMIAGE_WRITE_SAMPLES=1 writes samples/inbox again";
    assert_eq!(found, wanted.keys().cloned().collect::<Vec<_>>(), "{again}");
    let differ = |name: &&String| fs::read(inbox.join(name)).unwrap() != wanted[*name];
    let wrong: Vec<&String> = found.iter().filter(differ).collect();
    assert!(wrong.is_empty(), "{wrong:?} are not what their sources say; {again}");
}

#[test]
fn samples_give_the_findings_the_readme_tells() {
    let temp = tempfile::tempdir().unwrap();
    let data = temp.path().join("data");
    let on = ["ingest", "--on", "2026-11-01", "--inbox"].map(PathBuf::from);
    support::tsumiage(on.into_iter().chain([samples("inbox"), "--data".into(), data.clone()]));
    crate::golden::compare(&samples(""), &data);
}

/// Names and bytes of all samples. Insurer 141003 quotes every item, the others only where they must.
fn made_from_sources() -> BTreeMap<String, Vec<u8>> {
    let spec = Spec::embedded().unwrap();
    let dir = samples("sources");
    let mut made = BTreeMap::new();
    for name in support::names_in(&dir).iter().filter(|name| name.ends_with(".csv")) {
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
