//! Checks a snapshot against its manifest: every file's bytes, rows and hash, every table's rows digest,
//! the content digest, and that there is nothing besides.

use super::digest::{RowsDigest, is_of_this_kind};
use super::snapshot::{CHANGES, Snapshot, content_digest};
use super::table_file::PublishedFile;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use rayon::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::path::Path;
use tsumiage_pipeline::archive::hash_file;
use tsumiage_pipeline::disk::{self, DiskError, io};

/// What is wrong with a snapshot, one line each; empty if it is whole.
///
/// # Errors
/// A folder cannot be read. A file that cannot be read is a line, not an error.
pub fn verify(snapshot: &Snapshot) -> Result<Vec<String>, DiskError> {
    let manifest = &snapshot.manifest;
    let mut faults = Vec::new();
    if content_digest(&manifest.files) != manifest.content_digest {
        faults.push("manifest.json: content_digest does not fit its list of files".to_owned());
    }
    let checked: Vec<Checked> = manifest.files.par_iter().map(|file| check(snapshot, file)).collect();
    let mut tables: BTreeMap<String, RowsDigest> = BTreeMap::new();
    for (file, checked) in manifest.files.iter().zip(checked) {
        faults.extend(checked.faults);
        if let Some(digest) = checked.digest {
            tables.entry(file.table().to_owned()).or_default().merge(digest);
        }
    }
    for (name, entry) in &manifest.tables {
        let found = tables.get(name).copied().unwrap_or_default().to_string();
        // One of another kind cannot be compared; the files' bytes were.
        if is_of_this_kind(&entry.rows_digest) && found != entry.rows_digest {
            faults.push(format!("{name}: rows digest {found}, should be {}", entry.rows_digest));
        }
    }
    let found = tables.get(CHANGES).copied().unwrap_or_default().to_string();
    let of_changes = &manifest.changes.rows_digest;
    let told = manifest.files.iter().any(|file| file.table() == CHANGES) && is_of_this_kind(of_changes);
    if told && found != *of_changes {
        faults.push(format!("{CHANGES}: rows digest {found}, should be {}", manifest.changes.rows_digest));
    }
    let listed: BTreeSet<&str> = manifest.files.iter().map(|f| f.path.as_str()).collect();
    for path in files_below(&snapshot.path, "")? {
        if path != "manifest.json" && !listed.contains(path.as_str()) {
            faults.push(format!("{path}: does not belong to the snapshot"));
        }
    }
    Ok(faults)
}

/// What was found of one file.
struct Checked {
    faults: Vec<String>,
    /// Digest of its rows, if it belongs to a table and can be read.
    digest: Option<RowsDigest>,
}

fn check(snapshot: &Snapshot, file: &PublishedFile) -> Checked {
    let path = snapshot.path.join(&file.path);
    let mut faults = Vec::new();
    match path.metadata() {
        Ok(found) if found.len() != file.bytes => {
            faults.push(format!("{}: {} bytes, should be {}", file.path, found.len(), file.bytes));
        }
        _ => {} // a missing file is told below
    }
    match hash_file(&path) {
        Ok(hash) if hash != file.sha256 => faults.push(format!("{}: other content (sha256)", file.path)),
        Ok(_) => {}
        Err(error) => faults.push(error.to_string()),
    }
    let is_table = file.table() == CHANGES || snapshot.manifest.tables.contains_key(file.table());
    if !file.path.ends_with(".parquet") || !is_table {
        return Checked { faults, digest: None };
    }
    let digest = match rows_digest(&path) {
        Ok(digest) => {
            if digest.rows() != file.rows {
                faults.push(format!("{}: {} rows, should be {}", file.path, digest.rows(), file.rows));
            }
            Some(digest)
        }
        Err(error) => {
            faults.push(format!("{}: {error}", file.path));
            None
        }
    };
    Checked { faults, digest }
}

fn rows_digest(path: &Path) -> Result<RowsDigest, Box<dyn std::error::Error + Send + Sync>> {
    let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(path).map_err(io(path))?)?;
    let mut digest = RowsDigest::default();
    for batch in reader.with_batch_size(8_192).build()? {
        digest.add_batch(&batch?);
    }
    Ok(digest)
}

fn files_below(folder: &Path, prefix: &str) -> Result<Vec<String>, DiskError> {
    let mut found = Vec::new();
    for path in disk::entries(folder)? {
        let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        if path.is_dir() {
            found.extend(files_below(&path, &format!("{prefix}{name}/"))?);
        } else {
            found.push(format!("{prefix}{name}"));
        }
    }
    Ok(found)
}
