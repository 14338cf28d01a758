//! Code tables as data (`schemas/data/codes`): which codes exist, what they are called, and what a
//! care level is worth in a month.

use crate::csv_table::{DataError, Row, Table};
use crate::day::Month;
use crate::sources::SourceText;
use std::collections::BTreeMap;

/// One code table: code to Japanese label.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CodeTable {
    /// Name of the table, as layouts refer to it.
    pub name: String,
    /// Codes and labels.
    pub labels: BTreeMap<String, String>,
}

impl CodeTable {
    /// Reads one code table.
    ///
    /// # Errors
    /// A line that has no code and label, a code that stands twice.
    pub fn parse(name: &str, source: &SourceText<'_>) -> Result<CodeTable, DataError> {
        let mut labels = BTreeMap::new();
        for row in Table::read(source, &["code", "name_ja"])?.rows() {
            let code = row.given("code")?;
            if labels.insert(code.to_owned(), row.given("name_ja")?.to_owned()).is_some() {
                return Err(row.fault("code", format!("{code:?} stands twice")));
            }
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

/// Reads the table of limits.
///
/// # Errors
/// A line with a wrong month or number.
pub fn parse_limits(source: &SourceText<'_>) -> Result<Vec<CareLevelLimit>, DataError> {
    let columns = ["care_level", "valid_from", "valid_to", "limit_units", "weight"];
    let limit = |row: Row<'_>| {
        Ok(CareLevelLimit {
            care_level: row.given("care_level")?.to_owned(),
            valid_from: row.value("valid_from", "a month like 2000-04")?,
            valid_to: match row.text("valid_to") {
                "" => None,
                _ => Some(row.value("valid_to", "a month like 2000-04, or empty")?),
            },
            limit_units: row.value("limit_units", "a number of units")?,
            weight: row.value("weight", "a number")?,
        })
    };
    Table::read(source, &columns)?.rows().map(limit).collect()
}
