//! Everything the data files say, parsed and checked against each other, as one value.

use crate::codes::{CareLevelLimit, CodeTable, parse_limits};
use crate::finding::Catalogue;
use crate::layout::{DataError, Layout};
use crate::rules::Rules;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// What tells the layouts of recipients: ids are data, items are what the program relies on.
const MOVEMENT_ITEMS: [&str; 2] = ["insured_no", "movement_type"];
const CORRECTION_ITEMS: [&str; 2] = ["insured_no", "correction_type"];

/// Layouts, code tables, findings catalogue and rules in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spec {
    /// Control record.
    pub control: Layout,
    /// End record.
    pub end: Layout,
    /// Data records by exchange id.
    pub layouts: BTreeMap<String, Layout>,
    /// Exchange id of recipient movements (受給者異動).
    pub movement_id: String,
    /// Exchange id of recipient corrections (受給者訂正).
    pub correction_id: String,
    /// Code tables by name.
    pub codes: BTreeMap<String, CodeTable>,
    /// What care levels are worth.
    pub limits: Vec<CareLevelLimit>,
    /// Severities and messages.
    pub catalogue: Catalogue,
    /// Rules that warn.
    pub rules: Rules,
    /// The data files as they were read: (path, text) in path order. Their digest tells whether a
    /// result was made with the same layouts.
    pub sources: BTreeMap<String, String>,
}

impl Spec {
    /// The data files embedded in the binary.
    ///
    /// # Errors
    /// None in a binary that passes its tests; the type is that of files a user replaces.
    pub fn embedded() -> Result<Spec, DataError> {
        let own = |(path, text): &(&str, &str)| ((*path).to_owned(), (*text).to_owned());
        Spec::parse(crate::data::FILES.iter().map(own).collect())
    }

    /// Parses data files given as path (below `schemas/data`) and text.
    ///
    /// # Errors
    /// A file missing or malformed, or an item whose code table is not there.
    pub fn parse(sources: BTreeMap<String, String>) -> Result<Spec, DataError> {
        let text = |path: &str| {
            sources.get(path).map(String::as_str).ok_or_else(|| DataError::new(path, 0, "file is missing"))
        };
        let mut layouts = BTreeMap::new();
        let mut codes = BTreeMap::new();
        for (path, text) in &sources {
            if let Some(file) = path.strip_prefix("layouts/").filter(|f| !f.starts_with("envelope")) {
                let id = file.split('-').next().unwrap_or(file);
                layouts.insert(id.to_owned(), Layout::parse(id, path, text)?);
            }
            let table = path.strip_prefix("codes/").and_then(|f| f.strip_suffix(".csv"));
            if let Some(name) = table.filter(|name| *name != "care_level_limits") {
                codes.insert(name.to_owned(), CodeTable::parse(name, path, text)?);
            }
        }
        let movement_id = id_of(&layouts, &MOVEMENT_ITEMS)?;
        let correction_id = id_of(&layouts, &CORRECTION_ITEMS)?;
        let spec = Spec {
            movement_id,
            correction_id,
            control: Layout::parse(
                "control",
                "layouts/envelope-control.csv",
                text("layouts/envelope-control.csv")?,
            )?,
            end: Layout::parse("end", "layouts/envelope-end.csv", text("layouts/envelope-end.csv")?)?,
            layouts,
            codes,
            limits: parse_limits("codes/care_level_limits.csv", text("codes/care_level_limits.csv")?)?,
            catalogue: Catalogue::parse("findings.csv", text("findings.csv")?)?,
            rules: Rules::parse(
                text("rules/periods.csv")?,
                text("rules/check_digits.csv")?,
                text("rules/eras.csv")?,
            )?,
            sources: sources.clone(),
        };
        spec.check()?;
        Ok(spec)
    }

    fn check(&self) -> Result<(), DataError> {
        crate::tables::check_recipient_layout(self.movement(), false)?;
        crate::tables::check_recipient_layout(self.correction(), true)?;
        for layout in self.layouts.values().chain([&self.control, &self.end]) {
            for item in &layout.items {
                if let Some(table) = item.codes.as_ref().filter(|t| !self.codes.contains_key(*t)) {
                    let what = format!("item {}: there is no code table {table}", item.name);
                    return Err(DataError::new(&layout.id, item.position as u64 + 1, what));
                }
            }
        }
        Ok(())
    }

    /// Digest of the data files: equal digests mean equal layouts, codes, rules and messages.
    pub fn digest(&self) -> String {
        let mut hash = Sha256::new();
        for (path, text) in &self.sources {
            hash.update(format!("{path}\0{}\0", text.len()));
            hash.update(text);
        }
        hash.finalize().iter().map(|b| format!("{b:02x}")).collect()
    }

    /// The Japanese label of an item, or its name where no layout has it.
    pub fn label<'a>(&'a self, item: &'a str) -> &'a str {
        let envelope = [&self.control, &self.end];
        self.layouts
            .values()
            .chain(envelope)
            .find_map(|layout| layout.items.iter().find(|i| i.name == item))
            .map_or(item, |i| &i.name_ja)
    }

    /// The layout of recipient movements.
    pub fn movement(&self) -> &Layout {
        &self.layouts[&self.movement_id] // `parse` took the id from there
    }

    /// The layout of recipient corrections.
    pub fn correction(&self) -> &Layout {
        &self.layouts[&self.correction_id] // `parse` took the id from there
    }
}

/// The id of the one layout that has all these items.
fn id_of(layouts: &BTreeMap<String, Layout>, items: &[&str]) -> Result<String, DataError> {
    let has_all = |layout: &&Layout| items.iter().all(|item| layout.column(item).is_some());
    let mut found = layouts.values().filter(has_all);
    match (found.next(), found.next()) {
        (Some(only), None) => Ok(only.id.clone()),
        _ => {
            Err(DataError::new("layouts", 0, format!("one layout must have the items {}", items.join(", "))))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_embedded_data_is_whole() {
        let spec = Spec::embedded().unwrap();
        assert_eq!(spec.movement().revisions(), [47, 61, 62, 67, 70, 77, 79]);
        assert_eq!(spec.correction().revisions(), [48, 62, 63, 68, 71, 78, 80]);
        assert_eq!(spec.movement().columns_for_keys(), 8);
        assert_eq!(spec.label("care_level"), "要介護状態区分コード");
    }

    #[test]
    fn a_broken_file_is_named_with_its_line() {
        let mut sources = Spec::embedded().unwrap().sources;
        let path = "layouts/5311-recipient-movement.csv";
        let text = sources[path].replace("sex,性別コード,code,1", "sex,性別コード,kode,1");
        sources.insert(path.to_owned(), text);
        let error = Spec::parse(sources).unwrap_err();
        assert_eq!((error.file.as_str(), error.line), (path, 12));
    }
}
