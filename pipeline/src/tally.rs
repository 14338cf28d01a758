//! Findings counted by code and severity: what a run report tells of findings without repeating them.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use tsumiage_schemas::{Code, Finding, Severity};

/// Findings counted by code and severity; in JSON a list of [`TallyEntry`], by code.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "Vec<TallyEntry>", from = "Vec<TallyEntry>")]
pub struct Tally(BTreeMap<(Code, Severity), (u64, i64)>);

/// How many findings of one code and severity there are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TallyEntry {
    /// The code.
    pub code: Code,
    /// Its severity.
    pub severity: Severity,
    /// Findings, that is rows of a findings table.
    pub rows: u64,
    /// How often in all: the sum of their counts.
    pub count: i64,
}

impl Tally {
    /// Counts one finding.
    pub fn add(&mut self, finding: &Finding) {
        self.add_many(finding.code, finding.severity, 1, finding.count);
    }

    /// Counts so many findings of one kind.
    pub fn add_many(&mut self, code: Code, severity: Severity, rows: u64, count: i64) {
        let sum = self.0.entry((code, severity)).or_default();
        *sum = (sum.0 + rows, sum.1 + count);
    }

    /// Counts what another one counted.
    pub fn merge(&mut self, other: &Tally) {
        for entry in other.entries() {
            self.add_many(entry.code, entry.severity, entry.rows, entry.count);
        }
    }

    /// What was counted, by code and severity.
    pub fn entries(&self) -> impl Iterator<Item = TallyEntry> {
        self.0.iter().map(|(&(code, severity), &(rows, count))| TallyEntry { code, severity, rows, count })
    }
}

impl<'a> FromIterator<&'a Finding> for Tally {
    fn from_iter<I: IntoIterator<Item = &'a Finding>>(findings: I) -> Tally {
        let mut tally = Tally::default();
        findings.into_iter().for_each(|finding| tally.add(finding));
        tally
    }
}

impl From<Tally> for Vec<TallyEntry> {
    fn from(tally: Tally) -> Vec<TallyEntry> {
        tally.entries().collect()
    }
}

impl From<Vec<TallyEntry>> for Tally {
    fn from(entries: Vec<TallyEntry>) -> Tally {
        let mut tally = Tally::default();
        for entry in entries {
            tally.add_many(entry.code, entry.severity, entry.rows, entry.count);
        }
        tally
    }
}
