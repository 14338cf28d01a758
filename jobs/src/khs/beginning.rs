//! People read on from a snapshot's table, so that a refresh costs what it brings and not all that ever came.
//!
//! Promise: what comes of it is what comes of all facts: the files that the snapshot knew must be the first of those known
//! now, each as it counts now, and the table's files those that were published; and no newer file may have come on a day
//! before one of those was taken in.

use super::people::{People, Person, Told};
use crate::facts::KnownFiles;
use crate::publish::snapshot::Snapshot;
use crate::publish::table_file::PublishedFile;
use crate::published::batches;
use crate::resolve::inputs::{FileInputs, FileRecord};
use crate::resolve::record::Record;
use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::Date32Type;
use std::collections::HashSet;
use tsumiage_pipeline::disk::DiskError;
use tsumiage_pipeline::ledger::{FileEntry, Ledger};
use tsumiage_schemas::Day;

/// Where reading begins.
pub struct Beginning<'s> {
    /// The snapshot.
    pub snapshot: &'s Snapshot,
    /// Numbers in the ledger of the KHS files that the snapshot does not know.
    pub newer: HashSet<i32>,
    /// The newest day on which one that it knows was taken in: none of those came later.
    pub taken_in: Day,
}

impl<'s> Beginning<'s> {
    /// The beginning that a snapshot made by the same rules and layouts is; none if it is none.
    pub fn of(
        snapshot: &'s Snapshot,
        record: &Record,
        ledger: &Ledger,
        known: &KnownFiles<'_>,
        inputs: &FileInputs,
    ) -> Option<Beginning<'s>> {
        let entries: Option<Vec<(&FileEntry, &FileRecord)>> =
            record.files.iter().map(|file| Some((ledger.file(&file.file_id)?, file))).collect();
        let before = entries?.into_iter().filter(|(entry, _)| entry.is_khs()); // none if one is not known any more
        let (entries, before): (Vec<&FileEntry>, Vec<&FileRecord>) = before.unzip();
        let taken_in = entries.iter().map(|entry| entry.arrival.taken_in_on).max();
        let now = known.files.iter().zip(&inputs.files).filter(|(file, _)| file.is_khs());
        let now: Vec<(&&FileEntry, &FileRecord)> = now.collect();
        if before.is_empty() || before.len() > now.len() {
            return None;
        }
        let same = before.iter().zip(&now).all(|(before, (_, now))| before == now);
        let newer = now[before.len()..].iter().map(|(file, _)| file.seq).collect();
        let beginning = Beginning { snapshot, newer, taken_in: taken_in? };
        let is_whole = || beginning.files().all(|file| file.is_whole(&snapshot.path));
        (same && is_whole()).then_some(beginning)
    }

    /// The table's files.
    pub fn files(&self) -> impl Iterator<Item = &'s PublishedFile> + use<'s> {
        self.snapshot.manifest.files.iter().filter(|file| file.table() == "khs")
    }

    /// Everybody in the snapshot's table, with the number on the card.
    ///
    /// # Errors
    /// The table cannot be read.
    pub fn people(&self, of: &mut Told<'_>) -> Result<(), DiskError> {
        for file in self.files() {
            let path = self.snapshot.path.join(&file.path);
            for batch in batches(&path, None)? {
                rows(&batch?, of).ok_or_else(|| DiskError::invalid(&path, "is no table of KHS"))?;
            }
        }
        Ok(())
    }
}

fn rows(batch: &RecordBatch, of: &mut Told<'_>) -> Option<()> {
    let column = |name: &str| batch.column_by_name(name);
    let text = |name: &str| column(name)?.as_string_opt::<i32>();
    let day = |name: &str| column(name)?.as_primitive_opt::<Date32Type>();
    let (members, insured, status) = (text("member_no")?, text("insured_no")?, text("status")?);
    let (ends, cancels, known) = (day("end_date")?, day("end_cancel_date")?, day("known_on")?);
    for row in 0..batch.num_rows() {
        let person = Person {
            end_date: ends.is_valid(row).then(|| Day(ends.value(row))),
            end_cancel_date: cancels.is_valid(row).then(|| Day(cancels.value(row))),
            ..Person::new(insured.value(row), Day(known.value(row)))
        };
        of(members.value(row), status.value(row), person);
    }
    Some(())
}

impl People {
    /// Reads the facts known, on from a snapshot where there is one to begin with.
    ///
    /// # Errors
    /// The table or a run of the ledger cannot be read.
    pub fn read_on(
        ledger: &Ledger,
        known: &KnownFiles<'_>,
        beginning: Option<&Beginning<'_>>,
    ) -> Result<People, DiskError> {
        if let Some(from) = beginning {
            let people =
                People::read_from(ledger, known, (&from.newer, from.taken_in), &|of| from.people(of))?;
            if let Some(people) = people {
                return Ok(people);
            } // else an answer that came earlier was taken in late
        }
        People::read(ledger, known)
    }
}
