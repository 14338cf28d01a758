//! Random ledgers as exchange files.

use crate::oracle::{Body, FileFact, RecordFact, State};
use std::io;
use std::path::{Path, PathBuf};
use tsumiage_pipeline::archive::hash_file;
use tsumiage_pipeline::writer::{FileHeader, OutRecord, Quoting, RecordBuilder, WriteError, write_file};
use tsumiage_schemas::{Month, Spec};

/// Writes each file under its name into a folder and fills in its `hash` from the bytes. Returns the
/// paths in the order of the files.
///
/// # Errors
/// The folder cannot be written, or a file cannot be expressed in the layouts.
pub fn write_into(folder: &Path, spec: &Spec, files: &mut [FileFact]) -> io::Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for (at, file) in files.iter_mut().enumerate() {
        let path = folder.join(&file.name);
        let bytes = to_exchange_bytes(spec, file, at as u32 + 1).map_err(io::Error::other)?;
        std::fs::write(&path, bytes)?;
        file.hash = hash_file(&path).map_err(io::Error::other)?;
        paths.push(path);
    }
    Ok(paths)
}

/// One file, sent by the insurer of its first record. `file_no` goes into the control record, so that no
/// two files are equal, and chooses the quoting; both kinds of records stand side by side.
///
/// # Errors
/// An item is not in the layouts, or a character not in CP932.
pub fn to_exchange_bytes(spec: &Spec, file: &FileFact, file_no: u32) -> Result<Vec<u8>, WriteError> {
    let data_type = match file.records.first().map(|record| &record.body) {
        Some(Body::Correction { .. }) => "532",
        _ => "531",
    };
    let sender = file.records.first().map_or("", |record| record.insurer_no.as_str());
    let month = file.processing_month;
    // A month that does not exist is the caller's fault; the reader refuses year 0.
    let month = Month::from_civil(month / 100, month % 100).unwrap_or(Month(0));
    let header = FileHeader { file_no, ..FileHeader::new(data_type, sender, month) };
    let quoting = [Quoting::Needed, Quoting::All, Quoting::Mixed][file_no as usize % 3];
    let records =
        file.records.iter().map(|record| out_record(spec, record)).collect::<Result<Vec<_>, _>>()?;
    write_file(&header, quoting, &records)
}

fn out_record(spec: &Spec, record: &RecordFact) -> Result<OutRecord, WriteError> {
    let layout = match record.body {
        Body::Movement { .. } => spec.movement(),
        Body::Correction { .. } => spec.correction(),
    };
    let mut builder = RecordBuilder::new(layout)
        .set("movement_date", record.movement_date.to_string())?
        .set("insurer_no", record.insurer_no.as_str())?
        .set("insured_no", record.insured_no.as_str())?;
    builder = match record.body {
        Body::Movement { movement_type } => builder.set("movement_type", movement_type.to_string())?,
        Body::Correction { correction_date, correction_type } => builder
            .set("correction_date", correction_date.to_string())?
            .set("correction_type", correction_type.to_string())?,
    };
    for (name, state) in &record.items {
        let text = match state {
            State::Blank => String::new(),
            State::Value(value) => value.clone(),
            State::Clear => {
                // Zeros only where stars do not clear; runs of every length up to the width.
                let item = layout.items.iter().find(|item| item.name == *name);
                let (stars, width) = item.map_or((true, 1), |item| (item.clear.star, item.width));
                let length = 1 + record.record_no as usize % width.max(1);
                if stars { "*" } else { "0" }.repeat(length)
            }
        };
        builder = builder.set(name, text)?;
    }
    Ok(builder.build())
}
