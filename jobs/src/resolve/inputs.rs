//! What determines a unit's part of a snapshot, besides what holds for all of it: which files as they arrived,
//! and what the registry says of its insurers.
//!
//! Promise: pure functions of facts. Nothing of how the ledger keeps them (numbers, runs, compactions) goes in,
//! so that equal digests mean equal facts in every data folder.

use crate::facts::KnownFiles;
use crate::registry::Registry;
use crate::registry::limits::MunicipalLimit;
use crate::stack::unit::Unit;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use tsumiage_pipeline::disk;
use tsumiage_pipeline::ledger::{FileEntry, Ledger};

/// What the registry says that bears on a unit, as digests of each side of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegistryInputs {
    /// Who belongs to which union or city, and when.
    pub memberships: String,
    /// When insurers and holders are ended.
    pub ended: String,
    /// Names of the holders.
    pub names: String,
    /// Limits that the holders have of their own.
    pub limits: String,
    /// Which holders have an insurer record at all.
    pub registered: String,
}

/// Everything that determines what a unit publishes in a service month.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnitInputs {
    /// Insurers with facts, in number order.
    pub insurers: Vec<String>,
    /// Its files with facts that count, as places in [`FileInputs`], ascending.
    pub files: Vec<usize>,
    /// What the registry says.
    pub registry: RegistryInputs,
    /// Digest of all that; `None` if the ledger does not say which files its runs hold.
    pub digest: Option<String>,
}

/// A file as it counts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileRecord {
    /// SHA-256 of its bytes.
    pub file_id: String,
    /// Digest of how it arrived and was read.
    pub counts: String,
    /// Whether the whole file is withdrawn.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub withdrawn: bool,
    /// Records that are withdrawn by themselves.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub withdrawn_records: BTreeSet<i64>,
}

/// The files known, in the order of application.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FileInputs {
    /// The files.
    pub files: Vec<FileRecord>,
    /// Place of a file by its number in the ledger.
    by_seq: BTreeMap<i32, usize>,
    /// Place of a file by its id.
    by_id: HashMap<String, usize>,
}

/// Hex digits of a digest that only tells what changed.
const SHORT: usize = 16;

/// A short digest of anything.
pub fn short_digest(value: &impl Serialize) -> String {
    let mut digest = digest(value);
    digest.truncate(SHORT);
    digest
}

fn digest(value: &impl Serialize) -> String {
    // Plain data always has a JSON form; without one the digest is that of nothing and equals no other.
    let json = serde_json::to_vec(value).unwrap_or_default();
    disk::hex(&Sha256::digest(json))
}

impl FileInputs {
    /// The files of a resolve.
    pub fn new(known: &KnownFiles<'_>) -> FileInputs {
        let mut records: BTreeMap<&str, BTreeSet<i64>> = BTreeMap::new();
        for withdrawn in &known.withdrawn {
            records.entry(&withdrawn.file_id).or_default().extend(withdrawn.record_no);
        }
        let mut inputs = FileInputs::default();
        for (place, file) in known.files.iter().enumerate() {
            let file_id = &file.arrival.file_id;
            inputs.files.push(FileRecord {
                file_id: file_id.clone(),
                counts: short_digest(&counts(file)),
                withdrawn: known.is_withdrawn(file),
                withdrawn_records: records.remove(file_id.as_str()).unwrap_or_default(),
            });
            inputs.by_seq.insert(file.seq, place);
            inputs.by_id.insert(file_id.clone(), place);
        }
        inputs
    }

    /// Files without numbers.
    #[cfg(test)]
    pub(super) fn of(files: Vec<FileRecord>) -> FileInputs {
        FileInputs { files, ..FileInputs::default() }
    }

    /// The place of a file by its number in the ledger, if it is known.
    pub fn place(&self, seq: i32) -> Option<usize> {
        self.by_seq.get(&seq).copied()
    }

    /// The place of a file by its id.
    pub fn place_of(&self, file_id: &str) -> Option<usize> {
        self.by_id.get(file_id).copied()
    }

    /// The files at these places.
    pub fn at<'a>(&'a self, places: &'a [usize]) -> impl Iterator<Item = &'a FileRecord> {
        places.iter().map(|&place| &self.files[place])
    }
}

/// How a file counts: how it arrived, with its place in the order of application, who sent it, and what reading it by
/// which layouts came to.
fn counts(file: &FileEntry) -> impl Serialize + '_ {
    let arrival = &file.arrival;
    let order = (&file.processing_month, arrival.taken_in_on, &arrival.name, &arrival.file_id);
    let read = (file.file_rejected, file.wrong_time, file.records, file.accepted, file.rejected, file.warned);
    (order, arrival.closed_through, &file.sender_no, &file.sender_insurer_no, &file.layouts, read)
}

/// The inputs of every unit.
pub fn of_units(
    units: &[Unit],
    ledger: &Ledger,
    known: &KnownFiles<'_>,
    files: &FileInputs,
    registry: &Registry,
) -> Vec<UnitInputs> {
    let runs = ledger.runs();
    let components = Components::new(registry);
    let of_unit = |unit: &Unit| {
        let (mut places, mut insurers, mut all_named) = (BTreeSet::new(), Vec::new(), true);
        for insurer_no in &unit.insurers {
            let mut of_insurer = BTreeSet::new();
            let mut named = true;
            for run in runs.get(insurer_no.as_str()).into_iter().flatten() {
                named &= run.rows == 0 || !run.files.is_empty();
                let counting = run.files.iter().filter(|seq| !known.left_out.files.contains(seq));
                of_insurer.extend(counting.filter_map(|seq| files.place(*seq)));
            }
            // Facts that are not known as of the month asked for, or read again since, make nobody an insurer of it.
            if !named || !of_insurer.is_empty() {
                insurers.push(insurer_no.clone());
            }
            all_named &= named;
            places.extend(of_insurer);
        }
        let files_of_unit: Vec<usize> = places.into_iter().collect();
        let registry = registry_inputs(components.of(&unit.insurers), registry);
        let all = (&insurers, files.at(&files_of_unit).collect::<Vec<_>>(), &registry);
        let digest = all_named.then(|| digest(&all));
        UnitInputs { insurers, files: files_of_unit, registry, digest }
    };
    units.iter().map(of_unit).collect()
}

/// Everybody who shares a union with whom, whether there are facts of them or not.
struct Components<'a> {
    root: BTreeMap<&'a str, &'a str>,
    numbers: BTreeMap<&'a str, BTreeSet<&'a str>>,
}

impl<'a> Components<'a> {
    fn new(registry: &'a Registry) -> Components<'a> {
        let root = registry.memberships().components();
        let mut numbers: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for (no, root) in &root {
            numbers.entry(root).or_default().insert(no);
        }
        Components { root, numbers }
    }

    /// All numbers of a unit: who may hold a record of these insurers is among them.
    fn of<'b>(&'b self, insurers: &'b [String]) -> BTreeSet<&'b str> {
        let shared = insurers.iter().find_map(|no| self.numbers.get(self.root.get(no.as_str())?));
        let own = insurers.iter().map(String::as_str);
        own.chain(shared.into_iter().flatten().copied()).collect()
    }
}

/// What the registry says of these numbers; those it says nothing of leave no trace.
fn registry_inputs(numbers: BTreeSet<&str>, registry: &Registry) -> RegistryInputs {
    let holders = registry.holders();
    let known = || numbers.iter().filter_map(|no| Some((*no, holders.place(no)?)));
    let stays = known().map(|(no, at)| (no, holders.stays(at).collect::<Vec<_>>()));
    let ended =
        known().map(|(no, at)| (no, holders.ended(at).iter().map(|e| (e.from, e.until)).collect::<Vec<_>>()));
    let names = numbers.iter().map(|no| (*no, registry.names().known(no).to_vec()));
    let limits = numbers.iter().map(|no| {
        // Only who was applied before whom matters, not at which place among all files.
        let mut limits: Vec<&MunicipalLimit> = registry.limits().of(no).iter().collect();
        limits.sort_by_key(|limit| limit.applied);
        let limit = |l: &MunicipalLimit| (l.care_level.clone(), l.of_service, l.from, l.to, l.units);
        (*no, limits.into_iter().map(limit).collect::<Vec<_>>())
    });
    let registered: Vec<&&str> = numbers.iter().filter(|no| registry.has_insurer(no)).collect();
    RegistryInputs {
        memberships: said(stays),
        ended: said(ended),
        names: said(names),
        limits: said(limits),
        registered: short_digest(&registered),
    }
}

/// Digest of what is said of numbers, without those of which nothing is.
fn said<'a, T: Serialize>(of: impl Iterator<Item = (&'a str, Vec<T>)>) -> String {
    short_digest(&of.filter(|(_, said)| !said.is_empty()).collect::<Vec<_>>())
}
