//! Folders of a run, and what the embedded log makes of its files.

use super::compare::Content;
use super::plan::{Again, COMPILED, Mode, Plan};
use crate::archive::Archive;
use crate::ledger::Ledger;
use crate::take_in::{FileOutcome, TakeInOptions, Watch, take_in};
use std::path::{Path, PathBuf};

/// Folders of a run.
pub struct Home {
    folder: tempfile::TempDir,
}

pub struct Silent;

impl Watch for Silent {
    fn began(&self, _: usize, _: u64) {}
    fn file(&self, _: &FileOutcome) {}
}

impl Home {
    pub fn new(plan: &Plan) -> Home {
        let home = Home { folder: tempfile::tempdir().unwrap() };
        std::fs::create_dir(home.inbox(0)).unwrap();
        for (name, bytes) in &plan.files {
            std::fs::write(home.inbox(0).join(name), bytes).unwrap();
        }
        if plan.again == Again::Recheck {
            std::fs::create_dir(home.inbox(1)).unwrap();
            for (name, bytes) in plan.files.iter().filter(|(name, _)| !plan.twice.contains(name)) {
                std::fs::write(home.inbox(1).join(format!("0-{name}")), bytes).unwrap();
            }
        }
        home
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn inbox(&self, reading: usize) -> PathBuf {
        self.path(["inbox", "inbox-again"][reading])
    }

    /// Where files lie for their first and second reading.
    pub fn inbox_of(&self, plan: &Plan, reading: usize) -> PathBuf {
        self.inbox(if plan.again == Again::Recheck { reading } else { 0 })
    }

    /// The data folder that Kafka leads to.
    pub fn data(&self) -> PathBuf {
        self.path("data")
    }

    pub fn archive(&self) -> Archive {
        Archive::shared(&self.data().join("archive")).unwrap()
    }

    /// What the embedded log makes of the files.
    pub fn embedded(&self, plan: &Plan) -> Content {
        let data = self.path("embedded");
        let mut ledger = Ledger::open(&data).unwrap();
        for reading in 0..plan.readings() {
            let mut files = crate::disk::entries(&self.inbox_of(plan, reading)).unwrap();
            // Of equal bytes the first counts; which that was is in the archive.
            let noted = self.noted_names();
            files.sort_by_key(|path| !noted.iter().any(|name| path.ends_with(name)));
            let options = TakeInOptions { batch_rows: 8_192, ..plan.take_in(reading, &data) };
            take_in(&files, &mut ledger, &options, &Silent).unwrap();
        }
        Content::of(&data)
    }

    fn noted_names(&self) -> Vec<String> {
        let arrivals = self.archive().arrivals_but(|_| false).unwrap();
        arrivals.into_iter().map(|arrival| arrival.name).collect()
    }
}

impl Plan {
    pub fn readings(&self) -> usize {
        if self.again == Again::Nothing { 1 } else { 2 }
    }

    /// Whether another worker may be at the second reading before the first: it reads with other layouts then, and
    /// who looks into the ledger would read a third time with those of the first.
    pub fn may_read_ahead(&self) -> bool {
        matches!(self.again, Again::Rejected | Again::All) && self.mode != Mode::Through
    }

    /// Digest of the layouts of the first and the second reading.
    pub fn layouts(&self, reading: usize) -> &str {
        &self.layouts[if self.again == Again::Recheck { 0 } else { reading }]
    }

    pub fn one_off(&self, reading: usize) -> bool {
        self.again == Again::All && reading == 0
    }

    pub fn take_in<'a>(&'a self, reading: usize, data: &'a Path) -> TakeInOptions<'a> {
        TakeInOptions {
            data,
            compiled: &COMPILED,
            layouts: self.layouts(reading),
            one_off: self.one_off(reading),
            taken_in_on: self.days[reading],
            recheck: self.again == Again::Recheck && reading == 1,
            batch_rows: self.batch_rows,
            memory_bytes: 64 << 20,
        }
    }
}
