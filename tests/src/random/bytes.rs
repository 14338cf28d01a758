//! Random ledgers as exchange files.

use crate::oracle::{Body, FileFact, RecordFact, RegistryFact, RegistryKind, State};
use std::io;
use std::path::{Path, PathBuf};
use tsumiage_pipeline::archive::hash_file;
use tsumiage_pipeline::writer::{FileHeader, OutRecord, Quoting, RecordBuilder, WriteError, write_file};
use tsumiage_schemas::{Layout, Month, RecordKind, Spec};

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

/// One file. `file_no` goes into the control record, so that no two files are equal, and chooses the quoting;
/// records of all kinds stand side by side, by record number. Without a sender a prefecture sends.
///
/// # Errors
/// An item is not in the layouts, or a character not in CP932.
pub fn to_exchange_bytes(spec: &Spec, file: &FileFact, file_no: u32) -> Result<Vec<u8>, WriteError> {
    let mut records: Vec<(i64, OutRecord)> = Vec::new();
    for record in &file.records {
        records.push((record.record_no, out_record(spec, record)?));
    }
    for fact in &file.registry {
        records.push((fact.record_no, out_registry(spec, fact)?));
    }
    records.sort_by_key(|(record_no, _)| *record_no);
    let records: Vec<OutRecord> = records.into_iter().map(|(_, record)| record).collect();
    let data_type = records.first().and_then(|record| record.exchange_id.get(..3)).unwrap_or("531");
    let month = file.processing_month;
    // A month that does not exist is the caller's fault; the reader refuses year 0.
    let month = Month::from_civil(month / 100, month % 100).unwrap_or(Month(0));
    let prefecture_no = if file.sender_no.is_some() { "" } else { "14" }.to_owned();
    let sender_no = file.sender_no.as_deref().unwrap_or_default();
    let header = FileHeader { file_no, prefecture_no, ..FileHeader::new(data_type, sender_no, month) };
    let quoting = [Quoting::Needed, Quoting::All, Quoting::Mixed][file_no as usize % 3];
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
        builder = builder.set(name, text_of(layout, name, state, record.record_no))?;
    }
    Ok(builder.build())
}

fn out_registry(spec: &Spec, fact: &RegistryFact) -> Result<OutRecord, WriteError> {
    let layout = spec.layout(match fact.kind {
        RegistryKind::Insurer => RecordKind::InsurerMovement,
        RegistryKind::Limit => RecordKind::MunicipalLimitMovement,
        RegistryKind::Benefit => RecordKind::SpecialBenefitMovement,
        RegistryKind::Membership => RecordKind::UnionMembershipMovement,
    });
    let mut builder = RecordBuilder::new(layout)
        .set("movement_date", fact.movement_date.to_string())?
        .set("movement_type", fact.movement_type.to_string())?
        .set("insurer_no", fact.insurer_no.as_str())?;
    for (name, state) in &fact.items {
        builder = builder.set(name, text_of(layout, name, state, fact.record_no))?;
    }
    for (member_no, valid_from) in &fact.members {
        builder = builder.member(member_no, valid_from.to_string())?;
    }
    Ok(builder.build())
}

/// An item as it is sent. Clear marks: zeros only where stars do not clear; runs of every length up to the
/// width.
fn text_of(layout: &Layout, name: &str, state: &State, record_no: i64) -> String {
    match state {
        State::Blank => String::new(),
        State::Value(value) => value.clone(),
        State::Clear => {
            let item = layout.items.iter().find(|item| item.name == name);
            let (stars, width) = item.map_or((true, 1), |item| (item.clear.star, item.width));
            if stars { "*" } else { "0" }.repeat(1 + record_no as usize % width.max(1))
        }
    }
}
