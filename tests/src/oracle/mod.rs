//! The naive oracle: domain.md sections 3 and 4, written down once more, slow and obvious.
//!
//! Promise: shares no code with the production crates (only `std`), reads no files, and recomputes
//! instead of caching. Where the domain text is silent, the decision stands beside the code.

mod calendar;
mod columns;
mod facts;
mod findings;
mod holders;
mod memberships;
mod months;
mod order;
mod registry;
mod stacking;
mod tables;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod union_tests;

use holders::Registry;
use std::collections::{BTreeMap, BTreeSet};

pub use columns::ITEMS;
pub use facts::{Body, FileFact, RecordFact, RegistryFact, RegistryKind, State};

/// A day as the number yyyymmdd.
pub type Date = i32;
/// A month as the number yyyymm.
pub type Ym = i32;
/// A row of a published table: column name to text, `None` = null. Dates are YYYY-MM-DD (months their
/// first day), booleans `true` / `false`.
pub type Row = BTreeMap<String, Option<String>>;
/// A row of `recipient_month`.
pub type MonthRow = Row;
/// A row of `recipient_history`.
pub type HistoryRow = Row;

/// How blanks are filled in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inheritance {
    /// When the record is applied.
    Arrival,
    /// At the end, over the corrected sequence of live records.
    Lazy,
}

/// A row of `codes/care_level_limits.csv`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limit {
    /// Code of the care level.
    pub care_level: String,
    /// First month.
    pub valid_from: Ym,
    /// Last month; `None` = open.
    pub valid_to: Option<Ym>,
    /// Units per month.
    pub limit_units: i32,
    /// The heavier level has the greater weight.
    pub weight: i32,
}

/// A finding of stacking; its fields are in the order in which findings of one file are sorted.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct OracleFinding {
    /// `file_id`.
    pub file_hash: String,
    /// Position in the file.
    pub record_no: i64,
    /// S01–S15.
    pub code: String,
    /// The item, for S09, S11, S15.
    pub item: Option<String>,
    /// Insurers that the message names.
    pub names: Vec<String>,
}

/// What a resolve publishes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resolved {
    /// By (service month, holder, insured number, movement date).
    pub months: Vec<MonthRow>,
    /// By (holder, insured number, movement date).
    pub history: Vec<HistoryRow>,
    /// By (file order, record number, code, item).
    pub findings: Vec<OracleFinding>,
    /// By (insurer, valid from).
    pub insurers: Vec<Row>,
    /// By (union, member, valid from).
    pub memberships: Vec<Row>,
    /// By (insurer, care level, service type, valid from).
    pub municipal_limits: Vec<Row>,
    /// By (insurer, service code, valid from).
    pub special_benefits: Vec<Row>,
}

/// A record together with the file it came in.
#[derive(Clone, Copy)]
struct Fact<'a> {
    file: &'a FileFact,
    record: &'a RecordFact,
}

/// Resolves all files known as of a processing month (`None`: all), publishing the service months
/// `months` (both inclusive).
pub fn resolve(
    files: &[FileFact],
    as_of: Option<Ym>,
    inheritance: Inheritance,
    months: (Ym, Ym),
    limits: &[Limit],
) -> Resolved {
    // "As of processing month T" means: only records of processing months up to T.
    let known: Vec<&FileFact> =
        files.iter().filter(|file| as_of.is_none_or(|month| file.processing_month <= month)).collect();
    let (registry, findings) = Registry::new(&known, inheritance);
    let mut resolved = Resolved {
        findings,
        insurers: tables::insurer_rows(&registry),
        memberships: tables::membership_rows(&registry),
        municipal_limits: tables::item_rows(&registry, RegistryKind::Limit),
        special_benefits: tables::item_rows(&registry, RegistryKind::Benefit),
        ..Resolved::default()
    };
    // A stream is one person at one holder; streams of one insured number are stacked side by side.
    let mut numbers: BTreeMap<&str, Vec<Fact>> = BTreeMap::new();
    for &file in &known {
        for record in &file.records {
            numbers.entry(&record.insured_no).or_default().push(Fact { file, record });
        }
    }
    let mut accepted = Vec::new();
    for facts in numbers.values() {
        let stacked = stacking::stack(facts, &registry);
        resolved.findings.extend(stacked.findings);
        if inheritance == Inheritance::Arrival {
            resolved.findings.extend(findings::s11(&stacked.records));
        }
        accepted.extend(stacked.accepted);
        let holders: BTreeSet<&String> = stacked.records.iter().map(|record| &record.holder_no).collect();
        for holder_no in holders {
            let live = match inheritance {
                Inheritance::Arrival => stacking::live_by_date(&stacked.records, holder_no),
                Inheritance::Lazy => stacking::filled_lazily(&stacked.records, holder_no),
            };
            resolved.findings.extend(findings::s07(&live));
            resolved.findings.extend(findings::s10(&live, months));
            resolved.findings.extend(findings::s13(&live));
            resolved.findings.extend(findings::s14(&live));
            resolved.months.extend(months::month_rows(&registry, &live, months, limits));
            resolved.history.extend(months::history_rows(&registry, &live));
        }
    }
    let place = |(hash, record_no): (String, i64)| (file_order(&known, &hash), record_no);
    let accepted: Vec<_> = accepted.into_iter().map(|(holder_no, at)| (holder_no, place(at))).collect();
    resolved.findings.extend(findings::s08(&registry, &accepted));
    resolved.findings.extend(findings::s15(&registry));
    let row_order = |row: &Row| {
        ["service_month", "holder_no", "insured_no", "movement_date"].map(|name| row.get(name).cloned())
    };
    resolved.months.sort_by_key(row_order);
    resolved.history.sort_by_key(row_order);
    resolved.findings.sort_by_cached_key(|finding| (file_order(&known, &finding.file_hash), finding.clone()));
    resolved
}

/// Where a file stands in the table `files`: processing month, take-in day, name, hash.
type FileOrder = (Ym, Date, String, String);

fn file_order(files: &[&FileFact], hash: &str) -> Option<FileOrder> {
    files
        .iter()
        .find(|file| file.hash == hash)
        .map(|file| (file.processing_month, file.taken_in_on, file.name.clone(), file.hash.clone()))
}
