//! What determines the findings about a sender's files: the files, the units that their records are in, and what
//! is found of no unit (the registry's findings). Pure.

use super::inputs::{FileInputs, FileRecord, UnitInputs};
use crate::facts::KnownFiles;
use crate::publish::spool::sender_name;
use serde::Serialize;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use tsumiage_pipeline::disk;
use tsumiage_schemas::{Finding, MonthRange};

/// A sender with all that bears on the findings about its files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SenderInputs {
    /// Numbers of its files in the ledger.
    pub seqs: BTreeSet<i32>,
    /// Units that hold facts of its files, as places.
    pub units: BTreeSet<usize>,
    /// Digest of it all; `None` if the ledger does not tell.
    pub digest: Option<String>,
}

#[derive(Serialize)]
struct Everything<'a> {
    months: Option<MonthRange>,
    files: Vec<&'a FileRecord>,
    units: Vec<&'a str>,
    of_no_unit: Vec<(&'a str, &'a Finding)>,
}

/// The senders of all files known, by name. `of_no_unit` are findings with their file's number.
pub fn of_senders(
    known: &KnownFiles<'_>,
    files: &FileInputs,
    units: &[UnitInputs],
    months: Option<MonthRange>,
    of_no_unit: &[(i32, Finding)],
) -> BTreeMap<String, SenderInputs> {
    let name_of: Vec<&str> = known.files.iter().map(|file| sender_name(file.sender_no.as_deref())).collect();
    let mut senders: BTreeMap<String, SenderInputs> = BTreeMap::new();
    for (file, name) in known.files.iter().zip(&name_of) {
        senders.entry((*name).to_owned()).or_default().seqs.insert(file.seq);
    }
    for (at, unit) in units.iter().enumerate() {
        for name in unit.files.iter().map(|&place| name_of[place]).collect::<BTreeSet<&str>>() {
            senders.entry(name.to_owned()).or_default().units.insert(at);
        }
    }
    for sender in senders.values_mut() {
        let places: Vec<usize> = sender.seqs.iter().filter_map(|seq| files.place(*seq)).collect();
        let mut of_files: Vec<&FileRecord> = files.at(&places).collect();
        of_files.sort_unstable_by(|a, b| a.file_id.cmp(&b.file_id));
        let digests: Option<Vec<&str>> = sender.units.iter().map(|&at| units[at].digest.as_deref()).collect();
        let mut found: Vec<(&str, &Finding)> = of_no_unit
            .iter()
            .filter(|(seq, _)| sender.seqs.contains(seq))
            .filter_map(|(seq, finding)| Some((files.files[files.place(*seq)?].file_id.as_str(), finding)))
            .collect();
        found.sort_by_cached_key(|(file_id, finding)| (*file_id, format!("{finding:?}")));
        sender.digest = digests.map(|units| {
            let all = Everything { months, files: of_files, units, of_no_unit: found };
            // Plain data always has a JSON form.
            disk::hex(&Sha256::digest(serde_json::to_vec(&all).unwrap_or_default()))
        });
    }
    senders
}
