//! What determines a unit's part of a snapshot, besides what holds for all of it: which files as they arrived,
//! and what the registry says of its insurers.
//!
//! Promise: pure functions of facts. Nothing of how the ledger keeps them (numbers, runs, compactions) goes in,
//! so that equal digests mean equal facts in every data folder.

use crate::facts::KnownFiles;
use crate::registry::Registry;
use crate::stack::unit::Unit;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
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

/// The files known, in the order of application, each with a digest of how it arrived and how it counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FileInputs {
    /// File ids with their digests.
    pub files: Vec<(String, String)>,
    /// Place of a file by its number in the ledger.
    by_seq: BTreeMap<i32, usize>,
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
        let mut records: BTreeMap<&str, Vec<i64>> = BTreeMap::new();
        for withdrawn in &known.withdrawn {
            let of_file = records.entry(&withdrawn.file_id).or_default();
            of_file.extend(withdrawn.record_no);
        }
        let mut inputs = FileInputs::default();
        for (place, file) in known.files.iter().enumerate() {
            let file_id = &file.arrival.file_id;
            let withdrawn = (known.is_withdrawn(file), records.get(file_id.as_str()));
            inputs.files.push((file_id.clone(), short_digest(&(counts(file), withdrawn))));
            inputs.by_seq.insert(file.seq, place);
        }
        inputs
    }

    /// The place of a file by its number in the ledger, if it is known.
    pub fn place(&self, seq: i32) -> Option<usize> {
        self.by_seq.get(&seq).copied()
    }

    /// Id and digest of the files at these places.
    pub fn at<'a>(&'a self, places: &'a [usize]) -> impl Iterator<Item = (&'a str, &'a str)> {
        places.iter().map(|&place| (self.files[place].0.as_str(), self.files[place].1.as_str()))
    }
}

/// How a file counts: its place in the order of application, who sent it, by which layouts it was read.
fn counts(file: &FileEntry) -> impl Serialize + '_ {
    let arrival = &file.arrival;
    let order = (&file.processing_month, arrival.taken_in_on, &arrival.name, &arrival.file_id);
    (order, &file.sender_no, &file.sender_insurer_no, &file.layouts, file.file_rejected, file.warned)
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
    let of_unit = |unit: &Unit| {
        let runs = unit.insurers.iter().filter_map(|no| runs.get(no.as_str())).flatten();
        let (mut places, mut all_named) = (BTreeSet::new(), true);
        for run in runs {
            all_named &= run.rows == 0 || !run.files.is_empty();
            let counting = run.files.iter().filter(|seq| !known.left_out.files.contains(seq));
            places.extend(counting.filter_map(|seq| files.place(*seq)));
        }
        let files_of_unit: Vec<usize> = places.into_iter().collect();
        let registry = registry_inputs(&unit.insurers, registry);
        let all = (&unit.insurers, files.at(&files_of_unit).collect::<Vec<_>>(), &registry);
        let digest = all_named.then(|| digest(&all));
        UnitInputs { insurers: unit.insurers.clone(), files: files_of_unit, registry, digest }
    };
    units.iter().map(of_unit).collect()
}

/// Everybody who may hold a record of these insurers: they themselves and the unions they are ever in.
fn holders_of<'a>(insurers: &'a [String], registry: &'a Registry) -> BTreeSet<&'a str> {
    let holders = registry.holders();
    let places = insurers.iter().filter_map(|no| holders.place(no));
    let unions = places.flat_map(|place| holders.stays(place).map(|(union_no, ..)| union_no));
    insurers.iter().map(String::as_str).chain(unions).collect()
}

fn registry_inputs(insurers: &[String], registry: &Registry) -> RegistryInputs {
    let holders = registry.holders();
    let all = holders_of(insurers, registry);
    let place = |no: &str| holders.place(no);
    let stays: Vec<_> =
        insurers.iter().map(|no| (no, place(no).map(|at| holders.stays(at).collect::<Vec<_>>()))).collect();
    let ended: Vec<_> = all
        .iter()
        .map(|no| {
            (no, place(no).map(|at| holders.ended(at).iter().map(|e| (e.from, e.until)).collect::<Vec<_>>()))
        })
        .collect();
    let names: Vec<_> = all.iter().map(|no| (no, registry.names().known(no))).collect();
    let limits: Vec<_> = all
        .iter()
        .map(|no| {
            // Only who was applied before whom matters, not at which place among all files.
            let mut limits: Vec<_> = registry.limits().of(no).iter().collect();
            limits.sort_by_key(|limit| limit.applied);
            let limit = |l: &crate::registry::limits::MunicipalLimit| {
                (l.care_level.clone(), l.of_service, l.from, l.to, l.units)
            };
            (no, limits.into_iter().map(limit).collect::<Vec<_>>())
        })
        .collect();
    let registered: Vec<_> = all.iter().map(|no| (no, registry.has_insurer(no))).collect();
    RegistryInputs {
        memberships: short_digest(&stays),
        ended: short_digest(&ended),
        names: short_digest(&names),
        limits: short_digest(&limits),
        registered: short_digest(&registered),
    }
}
