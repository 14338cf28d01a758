//! Code tables as data (`schemas/data/codes`): which codes exist, what they are called, and what a
//! care level is worth in a month.

use crate::day::Month;
use crate::layout::DataError;
use serde::Deserialize;
use std::collections::BTreeMap;

/// One code table: code to Japanese label.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CodeTable {
    /// Name of the table, as layouts refer to it.
    pub name: String,
    /// Codes and labels.
    pub labels: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct CodeRow {
    code: String,
    name_ja: String,
}

impl CodeTable {
    /// Reads one code table.
    ///
    /// # Errors
    /// A line that has no code and label.
    pub fn parse(name: &str, file: &str, text: &str) -> Result<CodeTable, DataError> {
        let mut labels = BTreeMap::new();
        for (n, row) in csv::Reader::from_reader(text.as_bytes()).deserialize::<CodeRow>().enumerate() {
            let row = row.map_err(|e| DataError::new(file, n as u64 + 2, e))?;
            labels.insert(row.code, row.name_ja);
        }
        Ok(CodeTable { name: name.to_owned(), labels })
    }
}

/// What a care level is worth in a span of months (支給限度額, domain 3). Grade D: data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CareLevelLimit {
    /// Care level code.
    pub care_level: String,
    /// First month.
    pub valid_from: Month,
    /// Last month; `None` = open.
    pub valid_to: Option<Month>,
    /// Units per month.
    pub limit_units: i32,
    /// Order of heaviness, greater is heavier.
    pub weight: i32,
}

#[derive(Deserialize)]
struct LimitRow {
    care_level: String,
    valid_from: String,
    valid_to: String,
    limit_units: i32,
    weight: i32,
}

/// Reads the table of limits.
///
/// # Errors
/// A line with a wrong month or number.
pub fn parse_limits(file: &str, text: &str) -> Result<Vec<CareLevelLimit>, DataError> {
    let mut limits = Vec::new();
    for (n, row) in csv::Reader::from_reader(text.as_bytes()).deserialize::<LimitRow>().enumerate() {
        let wrong = |what: String| DataError::new(file, n as u64 + 2, what);
        let row = row.map_err(|e| wrong(e.to_string()))?;
        let month = |text: &str| text.parse::<Month>().map_err(|e| wrong(e.to_string()));
        limits.push(CareLevelLimit {
            valid_from: month(&row.valid_from)?,
            valid_to: if row.valid_to.is_empty() { None } else { Some(month(&row.valid_to)?) },
            care_level: row.care_level,
            limit_units: row.limit_units,
            weight: row.weight,
        });
    }
    Ok(limits)
}
