//! A data folder opened for a command: its settings, its lock, the limits that follow.

use super::Usage;
use super::args::Common;
use crate::resolve::ResolveRequest;
use crate::settings::Settings;
use crate::stack::unit::EngineLimits;
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use tsumiage_pipeline::disk::{self, DiskError, io};
use tsumiage_schemas::{Day, Spec};

/// A data folder with its settings in force.
pub struct DataFolder {
    /// Absolute path.
    pub path: PathBuf,
    /// Settings, as kept.
    pub settings: Settings,
    /// Layouts, codes, catalogue.
    pub spec: Spec,
    /// Digest of them.
    pub layouts: String,
    /// Held as long as this value lives; released by the system if the process dies.
    _lock: Option<File>,
}

impl DataFolder {
    /// Opens a data folder to write: made if missing, locked, settings kept on the first run.
    ///
    /// # Errors
    /// It cannot be made or written, or another run holds it.
    pub fn to_write(common: &Common) -> anyhow::Result<DataFolder> {
        let months = common.range()?;
        disk::make_folder(&common.data)?;
        let path = common.data.canonicalize().map_err(io(&common.data))?;
        let lock = lock(&path)?;
        let settings = match Settings::read(&path)? {
            Some(settings) => settings,
            None => {
                let settings = Settings {
                    inheritance: common.inheritance.map(Into::into).unwrap_or_default(),
                    months,
                    ..Settings::default()
                };
                settings.write(&path)?;
                settings
            }
        };
        DataFolder::new(path, settings, Some(lock))
    }

    /// Opens a data folder to read.
    ///
    /// # Errors
    /// There is none, or its settings cannot be read.
    pub fn to_read(common: &Common) -> anyhow::Result<DataFolder> {
        if !common.data.join("ledger").is_dir() {
            let data = common.data.display();
            let what = format!("{data} is no data folder yet; run `tsumiage nightly --data {data}` first");
            return Err(Usage(what).into());
        }
        let path = common.data.canonicalize().map_err(io(&common.data))?;
        let settings = Settings::read(&path)?.unwrap_or_default();
        DataFolder::new(path, settings, None)
    }

    fn new(path: PathBuf, settings: Settings, lock: Option<File>) -> anyhow::Result<DataFolder> {
        let spec = Spec::embedded()?;
        let layouts = spec.digest();
        Ok(DataFolder { path, settings, spec, layouts, _lock: lock })
    }

    /// Limits of the engine by the settings.
    pub fn limits(&self) -> EngineLimits {
        EngineLimits {
            memory_bytes: self.settings.memory_mib << 20,
            partitions: self.settings.partitions,
            batch_rows: self.settings.batch_rows,
            temp: self.path.join("temp"),
        }
    }

    /// What a command line asks for, the settings filling in what it leaves out.
    ///
    /// # Errors
    /// An option has a value this command cannot use.
    pub fn request(&self, common: &Common) -> Result<ResolveRequest, Usage> {
        Ok(ResolveRequest {
            as_of: common.as_of,
            inheritance: common.inheritance.map_or(self.settings.inheritance, Into::into),
            months: common.range()?.or(self.settings.months),
        })
    }

    /// Whether a request is what the settings say, so that its snapshot becomes `latest`.
    pub fn is_by_settings(&self, request: &ResolveRequest) -> bool {
        request.as_of.is_none()
            && request.inheritance == self.settings.inheritance
            && request.months == self.settings.months
    }
}

fn lock(data: &Path) -> anyhow::Result<File> {
    let path = data.join(".lock");
    let file = File::options().create(true).truncate(false).write(true).open(&path).map_err(io(&path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            anyhow::bail!("another run is at work in {}; wait for it to end and run again", data.display())
        }
        Err(TryLockError::Error(error)) => Err(DiskError::new(&path, error).into()),
    }
}

/// Today in Japan (UTC+9, no summer time).
pub fn today_in_japan() -> Day {
    let seconds = chrono::Utc::now().timestamp() + 9 * 3600;
    Day(i32::try_from(seconds.div_euclid(86_400)).unwrap_or(i32::MAX))
}
