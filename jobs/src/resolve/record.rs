//! `units.json` of a snapshot: what every unit was made of, so that the next resolve knows what it need not do
//! again, and people can be told why it does.
//!
//! Promise: a function of facts and options like the tables beside it; nothing but counts of people in it.

use super::inputs::{FileRecord, RegistryInputs, UnitInputs};
use crate::publish::snapshot::Snapshot;
use serde::{Deserialize, Serialize};
use tsumiage_pipeline::disk::{self, DiskError};
use tsumiage_pipeline::tally::Tally;

/// Its name in a snapshot.
pub const UNITS: &str = "units.json";

/// The document.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Files known, in the order of application.
    pub files: Vec<FileRecord>,
    /// Units by their first insurer.
    pub units: Vec<UnitRecord>,
    /// Senders whose files have findings.
    pub senders: Vec<SenderRecord>,
}

/// A unit and what it came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnitRecord {
    /// Insurers with facts, in number order.
    pub insurers: Vec<String>,
    /// Digest of all its inputs.
    pub digest: Option<String>,
    /// Its files, as places in [`Record::files`].
    pub files: Vec<usize>,
    /// What the registry said.
    pub registry: RegistryInputs,
    /// What it came to.
    #[serde(flatten)]
    pub outcome: UnitOutcome,
}

/// What a unit came to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnitOutcome {
    /// Holders of its records, each with files of its own, in number order.
    pub holders: Vec<String>,
    /// Facts stacked.
    pub facts: u64,
    /// Streams with a record.
    pub streams: u64,
    /// Records refused and warned, by file; files without any are left out.
    pub counts: Vec<FileCount>,
}

/// Records of a file that a unit refused or warned of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileCount {
    /// The file, as a place in [`Record::files`].
    pub file: usize,
    /// Records refused by a stacking rule.
    pub refused: i64,
    /// Accepted records with a warning of reader or stacking.
    pub warned: i64,
}

/// The findings about a sender's files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SenderRecord {
    /// Number of the sender, or `unknown`.
    pub sender: String,
    /// Digest of all that determines them.
    pub digest: Option<String>,
    /// Counted by code and severity.
    pub findings: Tally,
}

impl UnitRecord {
    /// Of a unit that came to something.
    pub fn new(inputs: &UnitInputs, outcome: UnitOutcome) -> UnitRecord {
        UnitRecord {
            insurers: inputs.insurers.clone(),
            digest: inputs.digest.clone(),
            files: inputs.files.clone(),
            registry: inputs.registry.clone(),
            outcome,
        }
    }
}

impl Record {
    /// Reads that of a snapshot; `None` if it has none that can be read.
    pub fn read(snapshot: &Snapshot) -> Option<Record> {
        disk::read_json(&snapshot.path.join(UNITS)).ok()
    }

    /// Its text.
    ///
    /// # Errors
    /// None on plain data.
    pub fn text(&self) -> Result<String, DiskError> {
        let json = serde_json::to_string(self).map_err(|e| DiskError::invalid(UNITS.as_ref(), e))?;
        Ok(json + "\n")
    }

    /// The unit of these insurers, or the one that has most of them.
    pub fn unit_of(&self, insurers: &[String]) -> Option<&UnitRecord> {
        let shared = |unit: &UnitRecord| unit.insurers.iter().filter(|no| insurers.contains(no)).count();
        let best = self.units.iter().max_by_key(|unit| (shared(unit), unit.insurers == insurers))?;
        (shared(best) > 0).then_some(best)
    }

    /// A unit's files.
    pub fn files_of_unit<'a>(&'a self, unit: &'a UnitRecord) -> impl Iterator<Item = &'a FileRecord> {
        unit.files.iter().filter_map(|&at| self.files.get(at))
    }
}
