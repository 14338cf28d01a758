//! The snapshot that a resolve goes by: what of it stands is taken over by hard links.
//!
//! Promise: a file is taken over only if its bytes still have the hash that they were published with; where
//! links fail it is copied.

use super::record::{Record, UnitRecord};
use super::verdict::{Basis, Why};
use crate::publish::recipients::{Standing, month_path};
use crate::publish::snapshot::Snapshot;
use crate::publish::table_file::PublishedFile;
use std::collections::HashMap;
use std::fs::{self, File};
use std::path::Path;
use tsumiage_pipeline::crash;
use tsumiage_pipeline::disk::{self, DiskError, io};
use tsumiage_schemas::MonthRange;

/// A snapshot with what it was made of.
pub struct Base {
    /// The snapshot.
    pub snapshot: Snapshot,
    /// What it was made of.
    pub record: Record,
}

impl Base {
    /// The one to go by, of snapshots from old to new: of the same basis, and as far as there is one as of the same
    /// month and for the same months, else the one that is `latest`, else the newest. If there is none, why.
    ///
    /// # Errors
    /// There is none; why the best of the others does not serve.
    pub fn choose(snapshots: &[Snapshot], latest: Option<&str>, basis: &Basis<'_>) -> Result<Base, Vec<Why>> {
        let rank = |snapshot: &Snapshot| {
            let manifest = &snapshot.manifest;
            let same_month = manifest.options.as_of == basis.options.as_of;
            let same_months = manifest.options.months() == basis.options.months();
            (!same_month, !same_months, latest != Some(manifest.id.as_str()))
        };
        let mut candidates: Vec<&Snapshot> = snapshots.iter().rev().collect();
        candidates.sort_by_key(|snapshot| rank(snapshot)); // stable: the newest of a rank is first
        let mut why: Option<Vec<Why>> = None;
        for snapshot in candidates {
            let differs = basis.differs(&snapshot.manifest);
            if !differs.is_empty() {
                why = why.or(Some(differs));
                continue;
            }
            match Record::read(snapshot) {
                Some(record) => return Ok(Base { snapshot: snapshot.clone(), record }),
                None => why = why.or(Some(vec![Why::NotKnown])),
            }
        }
        Err(why.unwrap_or_else(|| vec![Why::NoSnapshot]))
    }

    /// The months it published.
    pub fn months(&self) -> Option<MonthRange> {
        self.snapshot.manifest.options.months()
    }

    /// Its files by path.
    pub fn files(&self) -> HashMap<&str, &PublishedFile> {
        self.snapshot.manifest.files.iter().map(|file| (file.path.as_str(), file)).collect()
    }

    /// What a unit that is stacked again for other months need not write.
    pub fn standing(&self) -> Standing {
        Standing { months: self.months(), history: true }
    }
}

/// The files of a unit that are to be published for `range` and stand in the base already.
pub fn files_of_unit<'b>(
    unit: &UnitRecord,
    files: &HashMap<&str, &'b PublishedFile>,
    range: MonthRange,
) -> Vec<&'b PublishedFile> {
    let of_holder = |holder_no: &String| {
        let history = format!("recipient_history/{holder_no}.parquet");
        let months = range.months().map(move |month| month_path(month, holder_no));
        std::iter::once(history)
            .chain(months)
            .filter_map(|path| files.get(path.as_str()).copied())
            .collect::<Vec<_>>()
    };
    unit.outcome.holders.iter().flat_map(of_holder).collect()
}

/// The first of these files that is not what was published.
pub fn damaged<'f>(base: &Snapshot, files: &[&'f PublishedFile]) -> Option<&'f PublishedFile> {
    files.iter().find(|file| !file.is_whole(&base.path)).copied()
}

/// Puts files of a snapshot into one that is being made.
///
/// # Errors
/// A file can be neither linked nor copied.
pub fn take_over(base: &Snapshot, building: &Path, files: &[&PublishedFile]) -> Result<(), DiskError> {
    for file in files {
        let (from, to) = (base.path.join(&file.path), building.join(&file.path));
        if let Some(folder) = to.parent() {
            disk::make_folder(folder)?;
        }
        crash::point("snapshot.standing.before", &to)?;
        if fs::hard_link(&from, &to).is_err() {
            fs::copy(&from, &to).map_err(io(&to))?; // the right to write is copied too: there is none
            File::open(&to).and_then(|copy| copy.sync_all()).map_err(io(&to))?;
        }
        crash::point("snapshot.standing.after", &to)?;
    }
    Ok(())
}
