//! A data folder opened for a command: its settings, its lock, the limits that follow.

use super::Usage;
use super::args::Common;
use crate::publish::snapshot::Snapshots;
use crate::resolve::ResolveRequest;
use crate::settings::Settings;
use crate::stack::unit::EngineLimits;
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tsumiage_pipeline::crash;
use tsumiage_pipeline::disk::{self, DiskError, io};
use tsumiage_pipeline::layout_files::load_spec;
use tsumiage_pipeline::ledger::Ledger;
use tsumiage_pipeline::reader::Compiled;
use tsumiage_pipeline::take_in::TakeInOptions;
use tsumiage_schemas::sources::Profile;
use tsumiage_schemas::{Day, Spec};

/// Another run holds the data folder's lock.
#[derive(Debug, thiserror::Error)]
#[error("another run is at work in {0}; wait for it to end and run again")]
pub struct Busy(String);

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
    /// How the command line wants files to be read.
    given: Reading,
    /// Whether the layouts are those of the settings.
    by_settings: bool,
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
        let given = Reading::of(common)?;
        disk::make_folder(&common.data)?;
        let path = common.data.canonicalize().map_err(io(&common.data))?;
        let lock = lock(&path)?;
        put_in_order(&path)?;
        Ledger::make(&path)?;
        let kept = Settings::read(&path)?;
        let is_first = kept.is_none();
        let settings = kept.unwrap_or_else(|| Settings {
            inheritance: common.inheritance.map(Into::into).unwrap_or_default(),
            months,
            profile: common.profile.map(Into::into).unwrap_or_default(),
            layouts: given.layouts.clone(),
            ..Settings::default()
        });
        let folder = DataFolder::new(path, settings, given, Some(lock))?;
        if is_first {
            folder.settings.write(&folder.path)?; // only now: broken layouts are not kept
        }
        Ok(folder)
    }

    /// A data folder that is there, as it was left, and its lock: for what looks at leftovers itself.
    ///
    /// # Errors
    /// Another run holds it.
    pub fn locked(common: &Common) -> anyhow::Result<(PathBuf, File)> {
        let path = common.data.canonicalize().map_err(io(&common.data))?;
        let lock = lock(&path)?;
        Ok((path, lock))
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
        DataFolder::new(path, settings, Reading::of(common)?, None)
    }

    fn new(
        path: PathBuf,
        settings: Settings,
        given: Reading,
        lock: Option<File>,
    ) -> anyhow::Result<DataFolder> {
        let spec = given.spec(&settings, &path)?;
        let layouts = spec.digest();
        let by_settings = given.profile.is_none_or(|profile| profile == settings.profile)
            && given
                .layouts
                .as_ref()
                .is_none_or(|folder| settings.layouts_in(&path).as_ref() == Some(folder));
        Ok(DataFolder { path, settings, given, spec, layouts, by_settings, _lock: lock })
    }

    /// Makes the layouts and profile of this command line those of the settings: for `rebuild`, which reads
    /// everything by them.
    ///
    /// # Errors
    /// The settings cannot be written.
    pub fn keep_reading(&mut self) -> Result<(), DiskError> {
        if self.by_settings {
            return Ok(());
        }
        self.settings.profile = self.given.profile.unwrap_or(self.settings.profile);
        self.settings.layouts = self.given.layouts.clone().or(self.settings.layouts.take());
        self.by_settings = true;
        self.settings.write(&self.path)
    }

    /// Limits of the engine by the settings.
    pub fn limits(&self) -> EngineLimits {
        EngineLimits {
            memory_bytes: self.settings.memory_mib << 20,
            partitions: self.settings.partitions,
            batch_rows: self.settings.batch_rows,
            merged_runs: self.settings.merged_runs,
            temp: temp(&self.path),
        }
    }

    /// How files that arrive on a day are taken in.
    pub fn take_in_options<'a>(
        &'a self,
        compiled: &'a Compiled,
        taken_in_on: Day,
        recheck: bool,
    ) -> TakeInOptions<'a> {
        TakeInOptions {
            data: &self.path,
            compiled,
            layouts: &self.layouts,
            one_off: !self.by_settings,
            taken_in_on,
            recheck,
            batch_rows: self.settings.batch_rows,
            memory_bytes: self.settings.memory_mib << 19, // half: the other half is for sorting a run
        }
    }

    /// What a command line asks for, the settings filling in what it leaves out.
    ///
    /// # Errors
    /// An option has a value this command cannot use.
    pub fn request(&self, common: &Common) -> Result<ResolveRequest, Usage> {
        let inheritance = common.inheritance.map_or(self.settings.inheritance, Into::into);
        let months = common.range()?.or(self.settings.months);
        // What the settings say becomes `latest`.
        let becomes_latest = self.by_settings
            && common.as_of.is_none()
            && inheritance == self.settings.inheritance
            && months == self.settings.months;
        Ok(ResolveRequest { as_of: common.as_of, inheritance, months, becomes_latest })
    }
}

/// How a command line wants files to be read.
struct Reading {
    profile: Option<Profile>,
    /// Absolute.
    layouts: Option<PathBuf>,
}

impl Reading {
    fn of(common: &Common) -> Result<Reading, Usage> {
        let absolute = |folder: &PathBuf| {
            let gone = |_| Usage(format!("there is no folder {}; check --layouts", folder.display()));
            folder.canonicalize().map_err(gone)
        };
        let layouts = common.layouts.as_ref().map(absolute).transpose()?;
        Ok(Reading { profile: common.profile.map(Into::into), layouts })
    }

    /// What is in force, the settings filling in what the command line leaves out.
    fn spec(&self, settings: &Settings, data: &Path) -> anyhow::Result<Spec> {
        let profile = self.profile.unwrap_or(settings.profile);
        if let Some(folder) = &self.layouts {
            return Ok(load_spec(profile, Some(folder))?);
        }
        let folder = settings.layouts_in(data);
        if let Some(gone) = folder.as_ref().filter(|folder| !folder.is_dir()) {
            let (gone, data) = (gone.display(), data.display());
            anyhow::bail!("{data}/settings.toml names the layouts folder {gone}, which is not there");
        }
        Ok(load_spec(profile, folder.as_deref())?)
    }
}

/// The layouts a command line or else the settings name, for commands that need no data folder.
///
/// # Errors
/// A file is broken, or the settings cannot be read.
pub fn spec_in_force(common: &Common) -> anyhow::Result<Spec> {
    let settings = Settings::read(&common.data)?.unwrap_or_default();
    Reading::of(common)?.spec(&settings, &common.data)
}

/// The layouts a command line names, else those built in, for a command that has no data folder.
///
/// # Errors
/// A file is broken.
pub fn spec_given(common: &Common) -> anyhow::Result<Spec> {
    Reading::of(common)?.spec(&Settings::default(), Path::new(""))
}

/// Removes what a killed or failed run left on its way, for the one run that holds the lock: the disk may be full of
/// it. What is on its way to the archive, the log and the ledger is removed where files are taken in.
///
/// # Errors
/// Something cannot be removed.
pub fn put_in_order(data: &Path) -> Result<(), DiskError> {
    crash::point("folder.leftovers.before", data)?;
    for folder in [data, &data.join("reports"), &data.join("ledger/manifests")] {
        disk::remove_parts(folder)?;
    }
    let temp = temp(data);
    for path in if temp.is_dir() { disk::entries(&temp)? } else { Vec::new() } {
        if path.is_dir() { std::fs::remove_dir_all(&path) } else { std::fs::remove_file(&path) }
            .map_err(io(&path))?;
    }
    Snapshots::open(data)?.remove_leftovers()?;
    crash::point("folder.leftovers.after", data)?;
    tsumiage_pipeline::rebuild::carry_on(data)
}

/// Where a resolve sets aside and spills.
fn temp(data: &Path) -> PathBuf {
    data.join("temp")
}

/// So long a lock is tried. A program that another thread of this one is just starting has it for a moment.
const MOMENT: Duration = Duration::from_millis(500);

fn lock(data: &Path) -> anyhow::Result<File> {
    let begun = Instant::now();
    loop {
        match try_lock(&data.join(".lock"))? {
            Some(held) => return Ok(held),
            None if begun.elapsed() < MOMENT => std::thread::sleep(Duration::from_millis(20)),
            None => return Err(Busy(data.display().to_string()).into()),
        }
    }
}

/// The right to be the only sink of a data folder while the value lives. Unlike a run a sink does not keep others
/// out: it holds the folder's lock for a commit only.
///
/// # Errors
/// There is another sink.
pub fn only_sink(data: &Path) -> anyhow::Result<File> {
    let held = try_lock(&data.join(".lock-sink"))?;
    let what = "is read into from Kafka by a sink that is at work; leave it to that one";
    held.ok_or_else(|| anyhow::anyhow!("{} {what}", data.display()))
}

/// `None` if another process has it.
fn try_lock(path: &Path) -> Result<Option<File>, DiskError> {
    let file = File::options().create(true).truncate(false).write(true).open(path).map_err(io(path))?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(DiskError::new(path, error)),
    }
}

/// Seconds since 1970 by the clocks of Japan (UTC+9, no summer time).
pub fn seconds_in_japan() -> i64 {
    chrono::Utc::now().timestamp() + 9 * 3600
}

/// Today in Japan.
pub fn today_in_japan() -> Day {
    Day(i32::try_from(seconds_in_japan().div_euclid(86_400)).unwrap_or(i32::MAX))
}
