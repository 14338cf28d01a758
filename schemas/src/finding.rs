//! Findings: data faults as values (domain 7). One registry of codes; severities and messages are
//! data (`schemas/data/findings.csv`).

use crate::day::Day;
use crate::layout::DataError;
use serde::{Deserialize, Serialize};
use std::fmt;

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
    F01 F02 F03 F04 F05 F06 F07 F08 F09 F10
    R01 R02 R03 R04 R05 R06 R07 R08 R09 R10 R11 R12 R13 R14
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
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
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

/// Severities and messages of all codes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Catalogue {
    entries: Vec<CatalogueEntry>,
}

impl Catalogue {
    /// Reads the catalogue; every code must stand in it exactly once.
    ///
    /// # Errors
    /// A line that is no entry, a code missing or twice.
    pub fn parse(file: &str, text: &str) -> Result<Catalogue, DataError> {
        let mut found = Vec::new();
        for (n, row) in csv::Reader::from_reader(text.as_bytes()).deserialize::<CatalogueEntry>().enumerate()
        {
            found.push(row.map_err(|e| DataError::new(file, n as u64 + 2, e))?);
        }
        let mut entries = Vec::new();
        for code in Code::ALL {
            let mut of_code = found.iter().filter(|entry| entry.code == *code);
            match (of_code.next(), of_code.next()) {
                (Some(entry), None) => entries.push(entry.clone()),
                _ => return Err(DataError::new(file, 0, format!("{code} must stand there once"))),
            }
        }
        Ok(Catalogue { entries })
    }

    /// The entry of a code.
    pub fn entry(&self, code: Code) -> &CatalogueEntry {
        &self.entries[code as usize] // `parse` put every code at its own place
    }

    /// The severity of a code.
    pub fn severity(&self, code: Code) -> Severity {
        self.entry(code).severity
    }

    /// The Japanese and English message of a fault; `label_ja` is the item's Japanese label.
    pub fn messages(&self, code: Code, item: &str, label_ja: &str, detail: &str) -> (String, String) {
        let entry = self.entry(code);
        let fill = |template: &str, item: &str| {
            let text = template.replace("{item}", item);
            if detail.is_empty() {
                text.replace("（{detail}）", "").replace(" ({detail})", "").replace("{detail}", "")
            } else {
                text.replace("{detail}", detail)
            }
        };
        (fill(&entry.message_ja, label_ja), fill(&entry.message_en, item))
    }
}
