//! The naive oracle: domain.md section 3, written down once more, slow and obvious.
//!
//! Promise: shares no code with the production fold (only `std`), reads no files, and recomputes
//! instead of caching. For recipients whose holder is their own insurer; no unions yet, so none of
//! S07–S09, S12, S13, S15. Where the domain text is silent, the decision stands beside the code.

mod calendar;
mod columns;
mod findings;
mod months;
mod stacking;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

pub use columns::ITEMS;

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

/// One accepted exchange file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileFact {
    /// Base name.
    pub name: String,
    /// `file_id`: sha256 of the bytes in hex.
    pub hash: String,
    /// From the control record.
    pub processing_month: Ym,
    /// Day of take-in, in Japan.
    pub taken_in_on: Date,
    /// Its accepted data records.
    pub records: Vec<RecordFact>,
}

/// The three states of an item (domain.md section 2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// Stays as it was; in a registration not set.
    Blank,
    /// Changes to this; dates as YYYYMMDD, integers without leading zeros.
    Value(String),
    /// Becomes not set.
    Clear,
}

/// One accepted data record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordFact {
    /// Position in the file: control record 1, first data record 2.
    pub record_no: i64,
    /// Six digits.
    pub insurer_no: String,
    /// Ten characters.
    pub insured_no: String,
    /// Of the movement, or of the record being corrected.
    pub movement_date: Date,
    /// Movement or correction.
    pub body: Body,
    /// Every other item by name (see [`ITEMS`]); absent = [`State::Blank`].
    pub items: BTreeMap<String, State>,
}

/// What a record is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// 5311.
    Movement {
        /// 1 registration, 2 change, 3 end.
        movement_type: u8,
    },
    /// 5321.
    Correction {
        /// Orders the corrections of a batch.
        correction_date: Date,
        /// 2 modify, 3 delete.
        correction_type: u8,
    },
}

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
    /// S01–S06, S10, S11, S14.
    pub code: String,
    /// The item, for S11.
    pub item: Option<String>,
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
}

/// A record together with the file it came in.
#[derive(Clone, Copy)]
struct Fact<'a> {
    file: &'a FileFact,
    record: &'a RecordFact,
}

/// Resolves all files known as of a processing month (`None`: all), publishing the service months
/// `months` (both inclusive); the holder of a record is its insurer.
pub fn resolve(
    files: &[FileFact],
    as_of: Option<Ym>,
    inheritance: Inheritance,
    months: (Ym, Ym),
    limits: &[Limit],
) -> Resolved {
    resolve_for(files, as_of, inheritance, months, limits, &|record| record.insurer_no.clone())
}

/// [`resolve`] with the holder of a record given by a function.
pub fn resolve_for(
    files: &[FileFact],
    as_of: Option<Ym>,
    inheritance: Inheritance,
    months: (Ym, Ym),
    limits: &[Limit],
    holder: &dyn Fn(&RecordFact) -> String,
) -> Resolved {
    // "As of processing month T" means: only records of processing months up to T.
    let known: Vec<&FileFact> =
        files.iter().filter(|file| as_of.is_none_or(|month| file.processing_month <= month)).collect();
    let facts: Vec<Fact> =
        known.iter().flat_map(|file| file.records.iter().map(|record| Fact { file, record })).collect();
    // A stream is one person at one holder.
    let mut streams: BTreeMap<(String, String), Vec<Fact>> = BTreeMap::new();
    for fact in facts {
        streams.entry((holder(fact.record), fact.record.insured_no.clone())).or_default().push(fact);
    }

    let mut resolved = Resolved::default();
    for ((holder_no, _), facts) in streams {
        let (records, refusals) = stacking::stack(&facts);
        resolved.findings.extend(refusals);
        let live = match inheritance {
            Inheritance::Arrival => stacking::live_by_date(&records),
            Inheritance::Lazy => stacking::filled_lazily(&records),
        };
        if inheritance == Inheritance::Arrival {
            resolved.findings.extend(findings::s11(&records));
        }
        resolved.findings.extend(findings::s10(&live, months));
        resolved.findings.extend(findings::s14(&live));
        resolved.months.extend(months::month_rows(&holder_no, &live, months, limits));
        resolved.history.extend(months::history_rows(&holder_no, &live));
    }
    let row_order = |row: &Row| {
        ["service_month", "holder_no", "insured_no", "movement_date"].map(|name| row.get(name).cloned())
    };
    resolved.months.sort_by_key(row_order);
    resolved.history.sort_by_key(row_order);
    resolved.findings.sort_by_key(|finding| (file_order(&known, finding), finding.clone()));
    resolved
}

/// Where the file of a finding stands in the table `files`.
fn file_order(files: &[&FileFact], finding: &OracleFinding) -> Option<(Ym, Date, String, String)> {
    files
        .iter()
        .find(|file| file.hash == finding.file_hash)
        .map(|file| (file.processing_month, file.taken_in_on, file.name.clone(), file.hash.clone()))
}
