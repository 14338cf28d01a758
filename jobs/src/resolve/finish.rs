//! The rest of a resolve: the tables that are not recipients', what explains them, and the manifest.

use super::base::take_over;
use super::record::{Record, SenderRecord, UNITS, UnitRecord};
use super::verdict::{Basis, Verdict};
use super::work::Work;
use super::{ResolveStats, Workplace};
use crate::khs::beginning::Beginning;
use crate::khs::people::People;
use crate::publish::digest::RowsDigest;
use crate::publish::explain::explanations;
use crate::publish::files::StackedFile;
use crate::publish::findings::FileCounts;
use crate::publish::recipients::month_path;
use crate::publish::snapshot::{
    Building, ChangesEntry, SnapshotManifest, SnapshotOptions, TableEntry, write_text,
};
use crate::publish::spool::no_findings;
use crate::publish::table_file::{PublishedFile, RECIPIENT_TABLE, TableFile};
use arrow::datatypes::SchemaRef;
use std::collections::BTreeMap;
use tsumiage_pipeline::disk::DiskError;
use tsumiage_pipeline::ledger::FileEntry;
use tsumiage_pipeline::tally::Tally;
use tsumiage_schemas::MonthRange;

impl Work<'_> {
    /// The tables that are not recipients', the explanations, and the manifest.
    pub fn complete(
        mut self,
        building: &Building,
        options: SnapshotOptions,
        inputs_digest: String,
    ) -> anyhow::Result<(SnapshotManifest, Record, ResolveStats)> {
        self.empty_tables(building)?;
        let senders = self.findings(building)?;
        self.files_table(building)?;
        self.files.extend(explanations(building, self.place.spec)?);
        self.files.extend(crate::publish::registry::publish(
            &building.path,
            &self.registry,
            self.known,
            self.place.spec,
        )?);
        let mut findings_by_code = Tally::default();
        senders.iter().for_each(|sender| findings_by_code.merge(&sender.findings));
        let units = self.prepared.inputs.iter().zip(&self.outcomes);
        let record = Record {
            files: self.prepared.files.files.clone(),
            units: units.map(|(inputs, outcome)| UnitRecord::new(inputs, outcome.clone())).collect(),
            senders,
        };
        self.files.push(write_text(building, UNITS, &record.text()?)?);
        let tables = tables(&self.files);
        self.stats.units = self.outcomes.len() as u64;
        self.stats.streams = self.outcomes.iter().map(|outcome| outcome.streams).sum();
        self.stats.month_rows = tables.get("recipient_month").map_or(0, |table| table.rows);
        self.stats.months = self.range.map_or(0, MonthRange::len) as u64;
        let made = self.files.iter().filter(|file| !building.taken_over.contains(&file.path));
        (self.stats.files_written, self.stats.bytes_written) =
            made.fold((0, 0), |(files, bytes), file| (files + 1, bytes + file.bytes));
        self.stats.files_standing = building.taken_over.len() as u64;
        let Workplace { layouts, settings, .. } = self.place;
        let manifest = SnapshotManifest {
            id: String::new(),
            options,
            program_version: env!("CARGO_PKG_VERSION").to_owned(),
            rules: Basis::RULES.to_owned(),
            layouts: (*layouts).to_owned(),
            settings: settings.clone(),
            inputs_digest,
            content_digest: String::new(),
            changes: ChangesEntry::default(),
            tables,
            findings_by_code,
            files: self.files,
        };
        Ok((manifest, record, self.stats))
    }

    /// The status of insurance cards: taken over where no file is newer than the snapshot to go by, else read on from it.
    pub fn cards(&mut self, building: &mut Building) -> anyhow::Result<()> {
        let (ledger, inputs) = (self.place.ledger, &self.prepared.files);
        let base = self.prepared.base.as_ref();
        let beginning =
            base.and_then(|base| Beginning::of(&base.snapshot, &base.record, ledger, self.known, inputs));
        if let Some(standing) = beginning.as_ref().filter(|beginning| beginning.newer.is_empty()) {
            let files: Vec<&PublishedFile> = standing.files().collect();
            take_over(standing.snapshot, &building.path, &files)?;
            building.taken_over.extend(files.iter().map(|file| file.path.clone()));
            self.files.extend(files.into_iter().cloned());
            return Ok(());
        }
        let people = People::read_on(ledger, self.known, beginning.as_ref())?;
        self.files.extend(crate::publish::khs::publish(&building.path, &people, self.place.spec)?);
        Ok(())
    }

    /// Every published month and table has a file.
    fn empty_tables(&mut self, building: &Building) -> Result<(), DiskError> {
        let mut missing: Vec<(String, &SchemaRef)> = match self.range {
            Some(range) => range.months().map(|m| (month_path(m, "empty"), &self.month_schema)).collect(),
            None => {
                let path = "recipient_month/month=__HIVE_DEFAULT_PARTITION__/empty.parquet".to_owned();
                vec![(path, &self.month_schema)]
            }
        };
        missing.push(("recipient_history/empty.parquet".to_owned(), &self.history_schema));
        let filled: std::collections::BTreeSet<&str> = self
            .files
            .iter()
            .filter_map(|file| file.path.rsplit_once('/'))
            .map(|(folder, _)| folder)
            .collect();
        let is_missing =
            |path: &str| path.rsplit_once('/').is_some_and(|(folder, _)| !filled.contains(folder));
        let made: Result<Vec<PublishedFile>, DiskError> = missing
            .iter()
            .filter(|(path, _)| is_missing(path))
            .map(|(path, schema)| TableFile::create(&building.path, path, schema, &RECIPIENT_TABLE)?.finish())
            .collect();
        self.files.extend(made?);
        Ok(())
    }

    /// The findings of all senders.
    fn findings(&mut self, building: &Building) -> anyhow::Result<Vec<SenderRecord>> {
        for (seq, finding) in std::mem::take(&mut self.of_no_unit.findings) {
            self.told.one(seq, &finding)?;
        }
        self.told.reading(self.place.ledger)?;
        if let Some(base) = &self.prepared.base {
            let (inputs, verdicts) = (&self.prepared.inputs, &self.prepared.verdicts);
            for (name, sender) in
                self.prepared.senders.iter().filter(|(name, _)| self.prepared.senders_again.contains(*name))
            {
                let standing = sender.units.iter().filter(|&&at| verdicts[at] == Verdict::Stands);
                let insurers: std::collections::HashSet<&str> =
                    standing.flat_map(|&at| inputs[at].insurers.iter().map(String::as_str)).collect();
                if !insurers.is_empty() {
                    self.told.take_over(base, name, &|insurer_no| insurers.contains(insurer_no))?;
                }
            }
        }
        let publishing = self.told.spool_mut().publish(&self.engine, &building.path);
        let mut tallies: BTreeMap<String, Tally> = BTreeMap::new();
        for (sender, file, tally) in self.runtime.block_on(publishing)? {
            self.files.push(file);
            tallies.insert(sender, tally);
        }
        for before in self.prepared.base.iter().flat_map(|base| &base.record.senders) {
            if self.prepared.senders.contains_key(&before.sender)
                && !self.prepared.senders_again.contains(&before.sender)
            {
                tallies.insert(before.sender.clone(), before.findings.clone());
            }
        }
        if !self.files.iter().any(|file| file.table() == "findings") {
            self.files.push(no_findings(&building.path)?);
        }
        let record = |(name, inputs): (&String, &super::senders::SenderInputs)| SenderRecord {
            sender: name.clone(),
            digest: inputs.digest.clone(),
            findings: tallies.remove(name).unwrap_or_default(),
        };
        Ok(self.prepared.senders.iter().map(record).collect())
    }

    /// The files, with what all units made of their records.
    fn files_table(&mut self, building: &Building) -> anyhow::Result<()> {
        let mut counts: Vec<FileCounts> =
            self.prepared.files.files.iter().map(|_| FileCounts::default()).collect();
        for count in self.outcomes.iter().flat_map(|outcome| &outcome.counts) {
            counts[count.file].refused += count.refused;
            counts[count.file].warned += count.warned;
        }
        let stacked = |(file, counts): (&&'_ FileEntry, FileCounts)| {
            let of_registry = &self.of_no_unit.counts[file.seq as usize];
            let counts = FileCounts {
                refused: counts.refused + of_registry.refused,
                // No stacking looks at cards: what the reader warned of stands.
                warned: counts.warned + of_registry.warned + if file.is_khs() { file.warned } else { 0 },
            };
            (counts, self.known.is_withdrawn(file))
        };
        let standing: Vec<(FileCounts, bool)> = self.known.files.iter().zip(counts).map(stacked).collect();
        let stacked: Vec<StackedFile<'_>> = self
            .known
            .files
            .iter()
            .zip(standing)
            .map(|(file, (counts, withdrawn))| StackedFile { file, counts, withdrawn })
            .collect();
        self.files.push(crate::publish::files::publish(&building.path, &stacked)?);
        Ok(())
    }
}

/// Rows and digests of the tables: what is in a folder.
pub(super) fn tables(files: &[PublishedFile]) -> BTreeMap<String, TableEntry> {
    let mut digests: BTreeMap<&str, RowsDigest> = BTreeMap::new();
    for file in files.iter().filter(|file| file.path.contains('/')) {
        let digest = digests.entry(file.table()).or_default();
        digest.merge(file.rows_digest.unwrap_or_default());
    }
    let entry = |digest: RowsDigest| TableEntry { rows: digest.rows(), rows_digest: digest.to_string() };
    digests.into_iter().map(|(table, digest)| (table.to_owned(), entry(digest))).collect()
}
