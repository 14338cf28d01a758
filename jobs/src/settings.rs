//! The settings of a data folder (`settings.toml`): what the first run was told holds for later runs.
//!
//! Promise: an unknown key or wrong value is an error with file and line, never ignored.

use crate::khs::settings::KhsSettings;
use crate::stack::Inheritance;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use tsumiage_pipeline::crash;
use tsumiage_pipeline::disk::{self, DiskError, io};
use tsumiage_schemas::MonthRange;
use tsumiage_schemas::sources::Profile;

/// Settings of a data folder. The first four shape what is read and published as `latest`; the others
/// only how fast it is made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// How blanks are filled.
    pub inheritance: Inheritance,
    /// Months to publish; none = the newest 36.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub months: Option<MonthRange>,
    /// How strictly files are read.
    pub profile: Profile,
    /// Folder of layouts, codes, rules and severities over the embedded ones; a relative path is one in the
    /// data folder.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub layouts: Option<PathBuf>,
    /// Memory for facts on their way and for sorts, in MiB; at least 128.
    pub memory_mib: usize,
    /// Cores to use; 0 = all.
    pub threads: usize,
    /// Partitions of a plan.
    pub partitions: usize,
    /// Rows of a batch.
    pub batch_rows: usize,
    /// Most runs of the ledger that are merged at once; more are sorted.
    pub merged_runs: usize,
    /// The KHS API; changes nothing that is read or published.
    #[serde(skip_serializing_if = "is_default")]
    pub khs: KhsSettings,
}

fn is_default(khs: &KhsSettings) -> bool {
    *khs == KhsSettings::default()
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            inheritance: Inheritance::Arrival,
            months: None,
            profile: Profile::Strict,
            layouts: None,
            memory_mib: 256,
            threads: 0,
            partitions: 1,
            batch_rows: 8_192,
            merged_runs: 128,
            khs: KhsSettings::default(),
        }
    }
}

const HEAD: &str = "\
# Settings of this data folder. Edit them, then run `tsumiage resolve`.
# inheritance: \"arrival\" or \"lazy\"; months: e.g. \"2026-04..2026-10\" (absent: the newest 36);
# profile: \"strict\" or \"lenient\"; layouts: a folder of layouts, codes and rules (absent: those built in);
# memory_mib (at least 128), threads (0 = all cores), partitions, batch_rows, merged_runs: speed only,
# never results; [khs]: the KHS API, see docs/khs.md.
";

const NAME: &str = "settings.toml";

impl Settings {
    /// Reads the settings of a data folder; `None` if there are none yet.
    ///
    /// # Errors
    /// The file cannot be read or holds something else than settings.
    pub fn read(data: &Path) -> Result<Option<Settings>, DiskError> {
        let path = data.join(NAME);
        if !path.exists() {
            return Ok(None);
        }
        let text = std::fs::read_to_string(&path).map_err(io(&path))?;
        let settings: Settings =
            toml::from_str(&text).map_err(|e| DiskError::invalid(&path, e.to_string().trim()))?;
        match settings.fault() {
            Some(fault) => Err(DiskError::invalid(&path, fault)),
            None => Ok(Some(settings)),
        }
    }

    /// The folder of layouts, given the data folder.
    pub fn layouts_in(&self, data: &Path) -> Option<PathBuf> {
        self.layouts.as_ref().map(|folder| data.join(folder))
    }

    fn fault(&self) -> Option<&'static str> {
        match self {
            Settings { memory_mib: ..128, .. } => Some("memory_mib must be at least 128"),
            Settings { partitions: 0 | 257.., .. } => Some("partitions must be 1 to 256"),
            Settings { batch_rows: 0 | 1_000_001.., .. } => Some("batch_rows must be 1 to 1000000"),
            Settings { merged_runs: 0 | 193.., .. } => Some("merged_runs must be 1 to 192"),
            Settings { threads: 1_025.., .. } => Some("threads must be 0 to 1024"),
            _ => self.khs.fault(),
        }
    }

    /// Keeps the settings in a data folder.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write(&self, data: &Path) -> Result<(), DiskError> {
        let path = data.join(NAME);
        let body = toml::to_string(self).map_err(|e| DiskError::invalid(&path, e))?;
        crash::point("settings.before", &path)?;
        disk::write_whole(&path, format!("{HEAD}{body}").as_bytes())?;
        crash::point("settings.after", &path)
    }

    /// What the settings say about content, for a snapshot's manifest.
    pub fn for_manifest(&self) -> serde_json::Value {
        serde_json::json!({
            "inheritance": self.inheritance,
            "months": self.months.map(|m| m.to_string()),
            "profile": self.profile,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_survive_and_mistakes_are_named() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(Settings::read(folder.path()).unwrap(), None);
        let settings = Settings {
            inheritance: Inheritance::Lazy,
            months: Some("2026-04..2026-10".parse().unwrap()),
            ..Settings::default()
        };
        settings.write(folder.path()).unwrap();
        assert_eq!(Settings::read(folder.path()).unwrap(), Some(settings));
        for (wrong, says) in [("inheritence = \"lazy\"", "inheritence"), ("memory_mib = 5", "128")] {
            std::fs::write(folder.path().join(NAME), wrong).unwrap();
            let error = Settings::read(folder.path()).unwrap_err().to_string();
            assert!(error.contains("settings.toml") && error.contains(says), "{error}");
        }
    }
}
