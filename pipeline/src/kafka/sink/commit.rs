//! Whole files from the spool into the ledger.

use super::super::assembly::WholeFile;
use super::super::message::Kind;
use super::super::spool::{Span, Spool};
use super::Sink;
use super::whole::{self, Batches};
use crate::archive::Archive;
use crate::disk::DiskError;
use crate::events::{self, Closings};
use crate::ledger::{Commit, KafkaRange, Ledger};
use crate::log::{LogError, Seal, first_reading};
use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use std::collections::BTreeMap;
use tsumiage_schemas::tables::fact_schema;
use tsumiage_schemas::{FactTable, Spec};

/// What a commit came to.
#[derive(Clone, Debug, Default)]
pub struct Committed {
    /// Seals of the files that the ledger has now, in order of application.
    pub seals: Vec<Seal>,
    /// Ids of files among them whose bytes the data folder's archive does not have.
    pub not_archived: Vec<String>,
    /// Ids of files that the ledger had by another way meanwhile.
    pub known: Vec<String>,
    /// Files that are not taken in.
    pub refused: Vec<Refused>,
}

/// A whole file that is not taken in.
#[derive(Clone, Debug)]
pub struct Refused {
    /// Its seal.
    pub seal: Seal,
    /// Why, for the operator.
    pub why: String,
}

impl Sink {
    /// Commits what is whole with the offsets read, for the one who holds the data folder's lock and whose layouts
    /// are `spec`. Files of one commit were all read with the same layouts, so that there may be several. With nothing
    /// whole and nothing read nothing happens. After an error the sink must be begun anew.
    ///
    /// # Errors
    /// The ledger cannot be written, or has read on by itself; then the last commit made stands.
    pub fn commit(
        &mut self,
        ledger: &mut Ledger,
        archive: &Archive,
        spec: &Spec,
        memory_bytes: usize,
    ) -> Result<Committed, LogError> {
        let mut committed = Committed::default();
        // Of a file's readings the last one committed counts: they come in order.
        let mut groups: BTreeMap<(u32, String), Vec<WholeFile<Span>>> = BTreeMap::new();
        let closings = Closings::of(&events::read_in(archive.root())?);
        for file in std::mem::take(&mut self.whole) {
            let arrival = &file.seal.arrival;
            if too_late(&file.seal, &closings) {
                let why = "its month was closed while it stood rejected".to_owned();
                committed.refused.push(Refused { seal: file.seal, why });
            } else if ledger.file(&arrival.file_id).is_some_and(|entry| entry.reading >= file.seal.reading) {
                committed.known.push(arrival.file_id.clone());
            } else {
                let group = (file.seal.reading, file.seal.layouts.clone());
                groups.entry(group).or_default().push(file);
            }
        }
        let (next, seen) = (self.assembly.low_watermark(), self.seen.clone());
        let range = KafkaRange { of: self.of.clone(), from: self.from.clone(), next, seen };
        let mut groups: Vec<Vec<WholeFile<Span>>> = groups.into_values().collect();
        let last = groups.pop().unwrap_or_default();
        for files in groups {
            self.commit_files(files, None, ledger, spec, memory_bytes, &mut committed)?;
        }
        let anew = self.anew && range.seen != ledger.kafka_seen(&self.of);
        let read = Some(range.clone()).filter(|range| !last.is_empty() || range.next != range.from || anew);
        self.commit_files(last, read.clone(), ledger, spec, memory_bytes, &mut committed)?;
        if read.is_some() {
            self.from = range.next;
        }
        for entry in ledger.files() {
            self.assembly.known(&entry.arrival.file_id, entry.reading); // what came by another way, too
        }
        if !std::mem::replace(&mut self.noted, true) {
            note_left(ledger, archive)?;
        }
        note(&committed.seals, ledger, archive, &mut committed.not_archived)?;
        committed.seals.sort_by(|a, b| a.order().cmp(&b.order()));
        self.spool.keep(self.assembly.kept_mut())?;
        self.kept_bytes = self.spool.bytes();
        (self.read, self.anew) = (0, false);
        Ok(committed)
    }

    fn commit_files(
        &self,
        mut files: Vec<WholeFile<Span>>,
        read: Option<KafkaRange>,
        ledger: &mut Ledger,
        spec: &Spec,
        memory_bytes: usize,
        committed: &mut Committed,
    ) -> Result<(), LogError> {
        if files.is_empty() && read.is_none() {
            return Ok(());
        }
        files.sort_by(|a, b| a.seal.order().cmp(&b.seal.order()));
        let mut commit = Commit::begin(ledger, memory_bytes)?;
        if let Some(range) = read {
            commit.reads(range)?;
        }
        let own: BTreeMap<FactTable, SchemaRef> =
            FactTable::ALL.into_iter().map(|table| (table, fact_schema(spec, table))).collect();
        let mut seals = Vec::new();
        for file in files {
            match whole::checked(&self.spool, &own, &file)? {
                Ok(batches) => {
                    add(&mut commit, &self.spool, &file, batches)?;
                    seals.push(file.seal);
                }
                Err(why) => committed.refused.push(Refused { seal: file.seal, why }),
            }
        }
        commit.finish()?;
        committed.seals.extend(seals);
        Ok(())
    }
}

/// Whether a file stood rejected when its month was closed: that it is accepted now, read by other layouts, comes too
/// late. A worker sees to it when it reads the file; the closing may have come after that.
fn too_late(seal: &Seal, closings: &Closings) -> bool {
    !seal.file_rejected && closings.froze(&seal.arrival.file_id, seal.processing_month)
}

/// Notes in the archive what the ledger decided about arrivals; without the bytes there is no arrival.
fn note(
    seals: &[Seal],
    ledger: &Ledger,
    archive: &Archive,
    not_archived: &mut Vec<String>,
) -> Result<(), DiskError> {
    for entry in seals.iter().filter_map(|seal| ledger.file(&seal.arrival.file_id)) {
        let file_id = &entry.arrival.file_id;
        if archive.path(file_id).is_file() {
            archive.renew(&entry.arrival)?;
        } else {
            not_archived.push(file_id.clone());
        }
    }
    Ok(())
}

/// Notes what a sink committed that was killed before it came to note it: only what was read again may have arrived
/// anew.
fn note_left(ledger: &Ledger, archive: &Archive) -> Result<(), DiskError> {
    for entry in ledger.files().filter(|entry| entry.reading > first_reading()) {
        if archive.path(&entry.arrival.file_id).is_file() {
            archive.renew(&entry.arrival)?;
        }
    }
    Ok(())
}

/// Adds a file that is what its seal says.
fn add(
    commit: &mut Commit<'_>,
    spool: &Spool,
    file: &WholeFile<Span>,
    batches: Batches,
) -> Result<(), DiskError> {
    type Decoded<'d> = Box<dyn Iterator<Item = Result<(Kind, RecordBatch), DiskError>> + 'd>;
    let decoded = |findings: bool| -> Decoded<'_> {
        let wanted = move |kind: Kind| (kind == Kind::Findings) == findings;
        match &batches {
            Batches::Decoded(all) => {
                let all = all.iter().filter(move |(kind, _)| wanted(*kind));
                Box::new(all.map(|(kind, batch)| Ok((*kind, batch.clone()))))
            }
            Batches::InSpool => {
                let all = whole::batches(spool, file).map(|batch| {
                    batch.and_then(|batch| batch.map_err(|why| DiskError::invalid(spool.path(), why)))
                });
                Box::new(all.filter(move |batch| batch.as_ref().map_or(true, |(kind, _)| wanted(*kind))))
            }
        }
    };
    let findings = decoded(true).map(|batch| batch.map(|(_, batch)| batch));
    let tables = decoded(false).filter_map(|batch| match batch {
        Ok((Kind::Facts(table), batch)) => Some(Ok((table, batch))),
        Ok(_) => None,
        Err(error) => Some(Err(error)),
    });
    commit.add(file.seal.clone(), findings, tables)
}
