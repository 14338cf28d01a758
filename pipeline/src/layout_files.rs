//! A user's folder of layouts, code tables, rules and findings (`--layouts DIR`), read as a layer over
//! the embedded data files.
//!
//! Promise: every CSV file in it is used or named as an error, never passed over; files may lie flat or in
//! `layouts/`, `codes/`, `rules/` and `khs/`, in UTF-8 or, as spreadsheets save them, in CP932.

use crate::disk::{self, DiskError, io};
use encoding_rs::SHIFT_JIS;
use std::path::Path;
use tsumiage_schemas::sources::{Layer, Profile};
use tsumiage_schemas::{DataError, Sources, Spec};

/// Sub-folders that are looked into.
const FOLDERS: [&str; 4] = ["layouts", "codes", "rules", "khs"];

/// Why layouts cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LayoutsError {
    /// The folder cannot be read.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// A file in it is broken.
    #[error(transparent)]
    Data(#[from] DataError),
}

/// The data files in force: embedded, a profile over them, a folder over both.
///
/// # Errors
/// The folder cannot be read, or a file in it is broken; the message names file, line and column.
pub fn load_spec(profile: Profile, folder: Option<&Path>) -> Result<Spec, LayoutsError> {
    let sources = Sources::embedded().with_profile(profile);
    let sources = match folder {
        Some(folder) => sources.with(read_folder(folder)?),
        None => sources,
    };
    Ok(Spec::parse(sources)?)
}

/// Reads a user's folder.
///
/// # Errors
/// It cannot be read, a file is no text, or it is not known what a file is.
pub fn read_folder(folder: &Path) -> Result<Layer, LayoutsError> {
    let mut layer = Layer { name: folder.display().to_string(), ..Layer::default() };
    for path in disk::entries(folder)? {
        let name = file_name(&path);
        if path.is_dir() {
            for inner in disk::entries(&path)?.iter().filter(|inner| is_csv(inner)) {
                if !FOLDERS.contains(&name.as_str()) {
                    let what = format!("lies in a folder that is none of {}", FOLDERS.join(", "));
                    return Err(DataError::new(&inner.display().to_string(), 0, what).into());
                }
                insert(&mut layer, format!("{name}/{}", place_name(inner)), inner, read_text(inner)?)?;
            }
        } else if is_csv(&path) {
            let text = read_text(&path)?;
            let place = place_of(&place_name(&path), &text).ok_or_else(|| {
                let what = "is neither a layout, a code table nor a rule; its first line tells which";
                DataError::new(&path.display().to_string(), 1, what)
            })?;
            insert(&mut layer, place, &path, text)?;
        }
    }
    if layer.files.is_empty() {
        return Err(DiskError::invalid(folder, "has no CSV file of a layout, a code table or a rule").into());
    }
    Ok(layer)
}

/// Puts a file at its place; messages call it by its own path.
fn insert(layer: &mut Layer, place: String, path: &Path, text: String) -> Result<(), DataError> {
    let known = |place: &str| tsumiage_schemas::data::FILES.iter().any(|(own, _)| *own == place);
    let file = path.display().to_string();
    for (folder, what) in
        [("rules/", "there are no rules of this name"), ("khs/", "there is no KHS message of this name")]
    {
        if place.starts_with(folder) && !known(&place) {
            return Err(DataError::new(&file, 0, what));
        }
    }
    if let Some(other) = layer.called.insert(place.clone(), file.clone()) {
        return Err(DataError::new(&file, 0, format!("is there twice: {other}; leave one")));
    }
    layer.files.insert(place, text);
    Ok(())
}

/// Where a file that lies flat belongs, by its name or its first line.
fn place_of(name: &str, text: &str) -> Option<String> {
    let first_line = text.lines().next().unwrap_or_default();
    let header: Vec<&str> = first_line.split(',').map(|column| column.trim().trim_matches('"')).collect();
    let rule = format!("rules/{name}");
    match header.as_slice() {
        _ if matches!(name, "findings.csv" | "details.csv") => Some(name.to_owned()),
        _ if tsumiage_schemas::data::FILES.iter().any(|(path, _)| *path == rule) => Some(rule),
        ["code", "severity", ..] => Some("findings.csv".to_owned()),
        ["key", ..] => Some("details.csv".to_owned()),
        ["name", "name_ja", ..] => Some(format!("khs/{name}")),
        ["position", ..] => Some(format!("layouts/{name}")),
        ["code" | "care_level", ..] => Some(format!("codes/{name}")),
        _ => None,
    }
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// A file's name with its extension in lower case.
fn place_name(path: &Path) -> String {
    path.with_extension("csv").file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn is_csv(path: &Path) -> bool {
    let is_csv = path.extension().is_some_and(|e| e.eq_ignore_ascii_case("csv"));
    is_csv && path.is_file() && !file_name(path).starts_with('.')
}

fn read_text(path: &Path) -> Result<String, LayoutsError> {
    let bytes = std::fs::read(path).map_err(io(path))?;
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
    if let Ok(text) = std::str::from_utf8(bytes) {
        return Ok(text.to_owned());
    }
    if let Some(text) = SHIFT_JIS.decode_without_bom_handling_and_without_replacement(bytes) {
        return Ok(text.into_owned());
    }
    // The place of the first byte that is no UTF-8.
    let good = std::str::from_utf8(bytes).map_or_else(|e| e.valid_up_to(), str::len);
    let line = bytes[..good].iter().filter(|b| **b == b'\n').count() as u64 + 1;
    Err(DataError::new(&path.display().to_string(), line, "is neither UTF-8 nor CP932").into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use tsumiage_schemas::{Code, RecordKind, Severity};

    fn folder(files: &[(&str, &[u8])]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (path, bytes) in files {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
        folder
    }

    fn embedded(path: &str) -> &'static str {
        tsumiage_schemas::data::FILES.iter().find(|(own, _)| *own == path).unwrap().1
    }

    fn load(folder: &tempfile::TempDir) -> Result<Spec, String> {
        load_spec(Profile::Strict, Some(folder.path())).map_err(|e| e.to_string())
    }

    #[test]
    fn files_lie_flat_or_in_folders_and_in_two_encodings() {
        let insurer = embedded("layouts/5411-insurer-movement.csv").as_bytes();
        let (cp932, _, _) = SHIFT_JIS.encode("code,name_ja\r\n1,男\r\n2,女\r\n9,不明\r\n");
        let bom = [b"\xef\xbb\xbf".as_slice(), b"code,severity\nR13,error\n"].concat();
        let files: [(&str, &[u8]); 5] = [
            ("5499-insurer-movement.csv", insurer),
            ("codes/sex.csv", &cp932),
            ("findings.csv", &bom),
            ("periods.csv", b"start_item,end_item\n"),
            ("README.txt", b"not looked at"),
        ];
        let spec = load(&folder(&files)).unwrap();
        assert_eq!(spec.layout(RecordKind::InsurerMovement).id, "5499");
        assert_eq!(spec.codes["sex"].labels["9"], "不明");
        assert_eq!(spec.catalogue.severity(Code::R13), Severity::Error);
        assert!(spec.rules.periods.is_empty());
    }

    #[test]
    fn what_is_not_understood_is_named() {
        for (path, bytes, says) in [
            ("sex.csv", b"kode,name\n1,x\n".as_slice(), "sex.csv, line 1: is neither a layout"),
            ("rules/period.csv", b"start_item,end_item\n", "no rules of this name"),
            ("codes/sex.csv", b"code,name_ja\n1,\xff\xff\n", "codes/sex.csv, line 2: is neither UTF-8"),
            ("codes/sex.csv", b"code,name_ja\n1,a\n1,b\n", "sex.csv, line 3, column 1 (code)"),
            ("codes/sex.csv", b"code,name_ja\n1,\"a\n", "line 2"),
            ("code/sex.csv", b"code,name_ja\n1,a\n", "code/sex.csv: lies in a folder that is none of"),
            ("FINDINGS.CSV", b"\"code\",\"severity\"\nR99,error\n", "FINDINGS.CSV, line 2, column 1 (code)"),
            ("sex.CSV", b"code,name_ja\n1,\n", "/sex.CSV, line 2, column 2 (name_ja)"),
            ("README.txt", b"x", "has no CSV file"),
        ] {
            let error = load(&folder(&[(path, bytes)])).unwrap_err();
            assert!(error.contains(says), "{path}: {error}");
        }
        let error = load_spec(Profile::Strict, Some(Path::new("no/such/folder"))).unwrap_err().to_string();
        assert!(error.contains("no/such/folder"), "{error}");
    }
}
