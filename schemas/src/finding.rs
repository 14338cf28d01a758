//! Findings: data faults as values (domain 7). One registry of codes; severities and messages are
//! data (`schemas/data/findings.csv`).

use crate::csv_table::{DataError, Row, Table};
use crate::day::Day;
use crate::sources::SourceText;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

macro_rules! codes {
    ($($code:ident)*) => {
        /// Every finding code there is, in the order of domain 7.
        #[allow(missing_docs)]
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum Code { $($code),* }

        impl Code {
            /// All codes.
            pub const ALL: &'static [Code] = &[$(Code::$code),*];

            /// The code as text, e.g. `R03`.
            pub fn as_str(self) -> &'static str {
                match self { $(Code::$code => stringify!($code)),* }
            }
        }
    };
}

codes! {
    F01 F02 F03 F04 F05 F06 F07 F08 F09 F10 F11
    R01 R02 R03 R04 R05 R06 R07 R08 R09 R10 R11 R12 R13 R14 R15
    S01 S02 S03 S04 S05 S06 S07 S08 S09 S10 S11 S12 S13 S14 S15
}

impl Code {
    /// The code of a text such as `R03`.
    pub fn parse(text: &str) -> Option<Code> {
        Code::ALL.iter().copied().find(|code| code.as_str() == text)
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How grave a finding is. A record with an error is rejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Good to know.
    Info,
    /// Accepted, but should be looked at.
    Warning,
    /// Rejected.
    Error,
}

impl Severity {
    /// `error`, `warning` or `info`.
    pub fn as_str(self) -> &'static str {
        match self {
            Severity::Info => "info",
            Severity::Warning => "warning",
            Severity::Error => "error",
        }
    }
}

impl FromStr for Severity {
    type Err = ();
    fn from_str(text: &str) -> Result<Severity, ()> {
        let all = [Severity::Info, Severity::Warning, Severity::Error];
        all.into_iter().find(|severity| severity.as_str() == text).ok_or(())
    }
}

/// One data fault, before it is put into words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// What kind of fault.
    pub code: Code,
    /// Severity it has by the catalogue in force.
    pub severity: Severity,
    /// Position of the record in its file, control record 1; `None` if the file is meant.
    pub record_no: Option<i64>,
    /// Offset of the item or record in the file's bytes.
    pub byte_offset: Option<u64>,
    /// Key of the record as far as it could be read.
    pub insurer_no: Option<String>,
    /// Key of the record as far as it could be read.
    pub insured_no: Option<String>,
    /// Key of the record as far as it could be read.
    pub movement_date: Option<Day>,
    /// Item name (column name of the layout).
    pub item: Option<String>,
    /// How often, for warnings and infos gathered per file, code and item.
    pub count: i64,
    /// What stands in the brackets of the message: the value as sent, the number expected …
    pub detail: String,
}

/// Severity and message templates of one code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CatalogueEntry {
    /// The code.
    pub code: Code,
    /// Its severity.
    pub severity: Severity,
    /// Japanese template with `{item}` and `{detail}`.
    pub message_ja: String,
    /// English template with `{item}` and `{detail}`.
    pub message_en: String,
}

/// A detail that is no value as sent: its texts (`schemas/data/details.csv`).
#[derive(Clone, Debug, PartialEq, Eq)]
struct Detail {
    ja: String,
    en: String,
}

/// Severities and messages of all codes, and the texts of details.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Catalogue {
    entries: Vec<CatalogueEntry>,
    details: BTreeMap<String, Detail>,
}

impl Catalogue {
    /// Reads the catalogue: in its first file every code must stand exactly once with its messages; later
    /// files change what they name, an empty message stays as it was. So do the files of details.
    ///
    /// # Errors
    /// A line that is no entry, a code missing or twice, a code that there is not.
    pub fn parse(findings: &[SourceText<'_>], details: &[SourceText<'_>]) -> Result<Catalogue, DataError> {
        let mut entries: Vec<Option<CatalogueEntry>> = vec![None; Code::ALL.len()];
        for source in findings {
            let mut seen = BTreeSet::new();
            for row in Table::read(source, &["code", "severity"])?.rows() {
                let code = row.given("code")?;
                let Some(known) = Code::parse(code) else {
                    return Err(row.fault("code", format!("there is no code {code:?}")));
                };
                if !seen.insert(known) {
                    return Err(row.fault("code", format!("{code} stands twice")));
                }
                let entry = &mut entries[known as usize];
                *entry = Some(CatalogueEntry::parse(&row, known, entry.take())?);
            }
        }
        let file = findings.first().map_or("findings.csv", |source| &source.file);
        let whole = |(entry, code): (Option<CatalogueEntry>, &Code)| {
            entry.ok_or_else(|| DataError::new(file, 0, format!("{code} is missing")))
        };
        let entries = entries.into_iter().zip(Code::ALL).map(whole).collect::<Result<_, _>>()?;
        let mut texts = BTreeMap::new();
        for source in details {
            for row in Table::read(source, &["key", "ja", "en"])?.rows() {
                let detail = Detail { ja: row.given("ja")?.to_owned(), en: row.given("en")?.to_owned() };
                texts.insert(row.given("key")?.to_owned(), detail);
            }
        }
        Ok(Catalogue { entries, details: texts })
    }

    /// The entry of a code.
    pub fn entry(&self, code: Code) -> &CatalogueEntry {
        &self.entries[code as usize] // `parse` put every code at its own place
    }

    /// The severity of a code.
    pub fn severity(&self, code: Code) -> Severity {
        self.entry(code).severity
    }

    /// The Japanese and English message of a fault; `label_ja` is the item's Japanese label, `item` is
    /// empty where the record or file is meant. A `detail` that is a key of the details, or `key:value`, is
    /// put into words; any other is a value as sent. So is that of an item, unless stacking found it.
    pub fn messages(&self, code: Code, item: &str, label_ja: &str, detail: &str) -> (String, String) {
        let entry = self.entry(code);
        let (key, value) = detail.split_once(':').unwrap_or((detail, ""));
        let may_be_words = item.is_empty() || code >= Code::S01; // stacking reads no texts
        let (detail_ja, detail_en) = match self.details.get(key).filter(|_| may_be_words) {
            Some(text) => (with_value(&text.ja, value), with_value(&text.en, value)),
            None => (detail.to_owned(), detail.to_owned()),
        };
        let (label_ja, item) =
            if item.is_empty() { ("レコード", "the record") } else { (label_ja, item) };
        (filled(&entry.message_ja, label_ja, &detail_ja), filled(&entry.message_en, item, &detail_en))
    }
}

/// The text of a detail with its value (`{value}`) or the parts of it between commas (`{1}`, `{2}`, and `{3}` with
/// all that follows). A value is put in as it is, whatever braces it holds.
fn with_value(text: &str, value: &str) -> String {
    let parts = ["{1}", "{2}", "{3}"].into_iter().zip(value.splitn(3, ','));
    let places: Vec<(&str, &str)> = parts.chain([("{value}", value)]).collect();
    let (mut filled, mut rest) = (String::new(), text);
    while let Some(at) = rest.find('{') {
        let (before, from) = rest.split_at(at);
        filled.push_str(before);
        let place = places.iter().find(|(place, _)| from.starts_with(place));
        let (put, length) = place.map_or(("{", 1), |(place, put)| (put, place.len()));
        filled.push_str(put);
        rest = &from[length..];
    }
    filled + rest
}

impl CatalogueEntry {
    fn parse(row: &Row<'_>, code: Code, before: Option<CatalogueEntry>) -> Result<CatalogueEntry, DataError> {
        let severity = row.value("severity", "error, warning or info")?;
        let message = |column: &str, before: Option<String>| match (row.text(column), before) {
            ("", Some(before)) => Ok(before),
            ("", None) => Err(row.fault(column, "is empty")),
            (text, _) => Ok(text.to_owned()),
        };
        let (ja, en) = before.map_or((None, None), |entry| (Some(entry.message_ja), Some(entry.message_en)));
        Ok(CatalogueEntry {
            code,
            severity,
            message_ja: message("message_ja", ja)?,
            message_en: message("message_en", en)?,
        })
    }
}

/// A template with its item and detail; the bracket around an empty detail goes with it.
fn filled(template: &str, item: &str, detail: &str) -> String {
    let bare = || {
        for (open, close) in [("（", "）"), (" (", ")")] {
            let Some(at) = template.find("{detail}") else { break };
            let (start, end) = (template[..at].rfind(open), template[at..].find(close));
            if let (Some(start), Some(end)) = (start, end) {
                return format!("{}{}", &template[..start], &template[at + end + close.len()..]);
            }
        }
        template.replace("{detail}", "")
    };
    let template = if detail.is_empty() { bare() } else { template.to_owned() };
    template.replace("{item}", item).replace("{detail}", detail)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sources::Sources;

    #[test]
    fn a_value_is_put_in_whole_or_in_parts() {
        assert_eq!(with_value("{2} of {1}; {value}", "a,b"), "b of a; a,b");
        assert_eq!(with_value("record {value}", "2,\"{1}\""), "record 2,\"{1}\"", "a value as sent");
        assert_eq!(
            with_value("{1}: {3} {", "a,b,c, {1}{value}"),
            "a: c, {1}{value} {",
            "the last part is the rest"
        );
    }

    #[test]
    fn a_later_file_changes_what_it_names() {
        let own = Sources::embedded();
        let base: Vec<SourceText<'_>> = own.each("findings.csv").collect();
        let text = |text| SourceText { file: "mine/findings.csv".to_owned(), text };
        let with = |more: &'static str| {
            let findings: Vec<SourceText<'_>> = base.iter().cloned().chain([text(more)]).collect();
            Catalogue::parse(&findings, &[text("key,ja,en\nzip,ZIP {value},a ZIP {value}\n")])
        };
        let catalogue = with("code,severity,message_ja\nF03,warning,\nF05,info,番号\n").unwrap();
        assert_eq!(catalogue.severity(Code::F03), Severity::Warning);
        assert_eq!(catalogue.entry(Code::F05).message_ja, "番号");
        assert_eq!(
            catalogue.messages(Code::F05, "", "", "zip:7"),
            (
                "番号".into(),
                "Record numbers are not consecutive (a ZIP 7). Number the records again and resend.".into()
            )
        );
        assert!(catalogue.messages(Code::R04, "sex", "性別", "zip").1.contains("(zip)"), "a value as sent");
        assert!(catalogue.messages(Code::S09, "sex", "性別", "zip:8").1.contains("(a ZIP 8)"), "stacking");
        for (more, line, column) in [
            ("code,severity\nF03,warning\nX01,error\n", 3, Some((1, "code".to_owned()))),
            ("code,severity\nF03,grave\n", 2, Some((2, "severity".to_owned()))),
            ("code,severity\nF03,error\nF03,error\n", 3, Some((1, "code".to_owned()))),
            ("code\nF03\n", 1, None),
            ("", 0, None),
        ] {
            let error = with(more).unwrap_err();
            assert_eq!(
                (error.file.as_str(), error.line, error.column),
                ("mine/findings.csv", line, column),
                "{more}"
            );
        }
    }
}
