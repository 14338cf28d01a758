//! Gives the code that determines results a digest, so that a snapshot made by other rules is never taken
//! for one that stands.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};
use std::{fs, io};

fn main() -> io::Result<()> {
    let mut files = Vec::new();
    for folder in
        ["../schemas/src", "../pipeline/src", "src/stack", "src/publish", "src/registry", "src/resolve"]
    {
        println!("cargo::rerun-if-changed={folder}");
        sources(Path::new(folder), &mut files)?;
    }
    for file in ["src/facts.rs", "src/khs/people.rs", "src/khs/beginning.rs"] {
        println!("cargo::rerun-if-changed={file}");
        files.push(PathBuf::from(file));
    }
    // Other versions of arrow and parquet may write other bytes.
    println!("cargo::rerun-if-changed=../Cargo.lock");
    files.push(PathBuf::from("../Cargo.lock"));
    files.sort();
    let mut hash = DefaultHasher::new();
    for file in files {
        fs::read_to_string(file)?.hash(&mut hash);
    }
    println!("cargo::rustc-env=TSUMIAGE_RULES={:016x}", hash.finish());
    Ok(())
}

fn sources(folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            sources(&path, files)?;
        } else if path.extension().is_some_and(|e| e == "rs") {
            files.push(path);
        }
    }
    Ok(())
}
