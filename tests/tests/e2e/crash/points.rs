//! The list of points, the source and the life agree: no point is missing, none is never reached.

use super::life::Life;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use tsumiage_pipeline::crash::POINTS;

/// The Rust files below a folder.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(sources(&path));
        } else if path.extension().is_some_and(|e| e == "rs") {
            files.push(path);
        }
    }
    files
}

#[test]
fn every_point_is_called_in_one_place_and_none_is_unlisted() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut called = Vec::new();
    for file in [sources(&root.join("pipeline/src")), sources(&root.join("jobs/src"))].concat() {
        let text = fs::read_to_string(&file).unwrap();
        for call in text.split("crash::point(").skip(1) {
            let name = call.trim_start().strip_prefix('"').and_then(|call| call.split('"').next());
            called.push(name.unwrap_or_else(|| panic!("{}: no name", file.display())).to_owned());
        }
    }
    called.sort();
    let mut listed = POINTS.to_vec();
    listed.sort_unstable();
    assert_eq!(called, listed);
    assert!(listed.len() >= 20);
}

#[test]
fn the_life_reaches_every_point() {
    let life = Life::shared();
    let reached: BTreeSet<&str> = life.passes.iter().flatten().map(|(point, _)| point.as_str()).collect();
    let never: Vec<_> = POINTS.iter().filter(|point| !reached.contains(*point)).collect();
    assert!(never.is_empty(), "never reached: {never:?}");
}
