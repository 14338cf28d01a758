//! The run report as a document (docs/operations.md, "The run report").
//!
//! Promise: no values of people. Of a file it tells name, numbers and counts; of a finding only code and
//! severity.

use crate::publish::snapshot::{Snapshot, SnapshotManifest};
use crate::published::{Holds, Standing, holds};
use crate::resolve::{ResolveRequest, ResolveStats, Resolved};
use crate::stack::Inheritance;
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::PathBuf;
use tsumiage_pipeline::disk::DiskError;
use tsumiage_pipeline::take_in::FileOutcome;
use tsumiage_pipeline::tally::Tally;
use tsumiage_schemas::{Day, Month, MonthRange};

/// Version of the document's form; raised when a field changes its meaning or goes.
pub const FORMAT: u32 = 1;

/// One run. Times are RFC 3339 in Japan's time; `None` is what the run did not come to.
#[derive(Clone, Debug, Serialize)]
pub struct RunReport {
    /// [`FORMAT`].
    pub format: u32,
    /// Running number in the data folder.
    pub number: u64,
    /// Program version.
    pub program_version: String,
    /// `nightly`, `ingest`, `resolve`, …
    pub command: String,
    /// How it ended.
    pub outcome: Outcome,
    /// The exit code that goes with it.
    pub exit_code: u8,
    /// What went wrong, as one line, if it failed.
    pub error: Option<String>,
    /// When the run began.
    pub started_at: String,
    /// When this report was made.
    pub finished_at: String,
    /// Take-in day of new files, if files were to be taken in.
    pub taken_in_on: Option<Day>,
    /// Options in force.
    pub options: Option<Options>,
    /// Sums over the run's files.
    pub totals: Totals,
    /// Sums per sender and data type, over files that are not duplicates.
    pub senders: Vec<SenderTotals>,
    /// The reader's findings in this run's files.
    pub findings: Tally,
    /// Steps and how long they took; they overlap.
    pub timings: Vec<Timing>,
    /// Facts stacked; 0 if nothing had changed.
    pub facts_stacked: u64,
    /// The snapshot that holds the answer.
    pub snapshot: Option<SnapshotSummary>,
    /// Of `close`, what it froze: that snapshot in figures.
    pub frozen: Option<Frozen>,
    /// Newest processing month of an accepted file in the ledger.
    pub newest_processing_month: Option<Month>,
    /// When each command last succeeded, this run included.
    pub last_success: BTreeMap<String, String>,
    /// Files of this run.
    pub files: Vec<FileReport>,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Everything accepted.
    Done,
    /// Done; a file of the run is rejected or has rejected records.
    DoneWithRejections,
    /// The machine failed; nothing is half-published.
    Failed,
}

/// Options in force: the command line's, else the settings'.
#[derive(Clone, Debug, Serialize)]
pub struct Options {
    /// Only what was known as of this processing month; `None` = all.
    pub as_of: Option<Month>,
    /// Months to publish; `None` = the default window.
    pub months: Option<MonthRange>,
    /// How blanks are filled.
    pub inheritance: Inheritance,
    /// Digest of the layouts, codes and rules, profile included.
    pub layouts: String,
}

/// A file of the run.
#[derive(Clone, Debug, Serialize)]
pub struct FileReport {
    /// SHA-256 of its bytes.
    pub file_id: String,
    /// Name it came under in this run.
    pub name: String,
    /// Sender's number.
    pub sender_no: Option<String>,
    /// Data type.
    pub data_type: Option<String>,
    /// Processing month of the control record.
    pub processing_month: Option<Month>,
    /// `taken_in`, `duplicate` or `rejected`.
    pub outcome: &'static str,
    /// Its status in the snapshot's `files` table, if the snapshot knows it.
    pub status: Option<String>,
    /// Its size.
    pub bytes: u64,
    /// Its records.
    #[serde(flatten)]
    pub records: Records,
    /// The reader's findings; of a duplicate F07 only.
    pub findings: Tally,
}

/// Counts of records. found = accepted + rejected; `refused` are of the accepted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Records {
    /// Data records found.
    #[serde(rename = "records")]
    pub found: i64,
    /// Accepted by the reader.
    pub accepted: i64,
    /// Rejected by the reader.
    pub rejected: i64,
    /// Accepted by the reader and refused by a stacking rule, as far as the snapshot knows the file.
    pub refused: i64,
    /// Accepted with a warning of the reader.
    pub warned: i64,
}

impl Records {
    fn add(&mut self, other: Records) {
        self.found += other.found;
        self.accepted += other.accepted;
        self.rejected += other.rejected;
        self.refused += other.refused;
        self.warned += other.warned;
    }
}

/// Sums over the files of a run. Records and bytes are those of files that are not duplicates.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Totals {
    /// Files taken in.
    pub files_taken_in: u64,
    /// Files whose bytes were known before.
    pub files_duplicate: u64,
    /// Files rejected whole.
    pub files_rejected: u64,
    /// Bytes.
    pub bytes: u64,
    /// Records.
    #[serde(flatten)]
    pub records: Records,
}

/// Sums over the files of one sender and data type that are not duplicates.
#[derive(Clone, Debug, Serialize)]
pub struct SenderTotals {
    /// Sender's number; `None` if the control record names none.
    pub sender_no: Option<String>,
    /// Data type.
    pub data_type: Option<String>,
    /// Files.
    pub files: u64,
    /// Of these rejected whole.
    pub files_rejected: u64,
    /// Records.
    #[serde(flatten)]
    pub records: Records,
}

/// How long a step took.
#[derive(Clone, Debug, Serialize)]
pub struct Timing {
    /// `take_in`, `stack`, `publish`, `resolve` or `total`.
    pub step: &'static str,
    /// Busy time; of `take_in`, `resolve` and `total` time by the wall clock.
    pub seconds: f64,
    /// What went through: records, facts stacked, rows of `recipient_month`.
    pub records: u64,
    /// Of these per second.
    pub records_per_second: u64,
}

/// The snapshot of a run.
#[derive(Clone, Debug, Serialize)]
pub struct SnapshotSummary {
    /// Snapshot id.
    pub id: String,
    /// Its folder.
    pub path: PathBuf,
    /// Whether this run made it.
    pub new: bool,
    /// Whether it is the one `latest` points at.
    pub latest: bool,
    /// First service month published.
    pub first_month: Option<Month>,
    /// Last service month published.
    pub last_month: Option<Month>,
    /// Rows per table.
    pub rows: BTreeMap<String, u64>,
    /// Its findings.
    pub findings: Tally,
}

/// What is frozen with the closing of a month: the snapshot as of it, in figures.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Frozen {
    /// The processing month; all earlier ones are closed with it.
    pub month: Option<Month>,
    /// Id of the snapshot.
    pub snapshot: String,
    /// Files known as of the month.
    pub files: u64,
    /// Records in them, accepted and rejected.
    pub records: i64,
    /// Of these accepted.
    pub accepted: i64,
    /// Of these rejected, by reader or stacking.
    pub rejected: i64,
    /// People with a live record.
    pub recipients: u64,
    /// Rows of `recipient_month`.
    pub month_rows: u64,
    /// First service month published.
    pub first_month: Option<Month>,
    /// Last service month published.
    pub last_month: Option<Month>,
}

impl Frozen {
    /// The figures of a snapshot.
    ///
    /// # Errors
    /// A table of it cannot be read.
    pub fn of(snapshot: &Snapshot) -> Result<Frozen, DiskError> {
        let Holds { files, records, accepted, rejected, recipients } = holds(snapshot)?;
        let SnapshotManifest { id, options, tables, .. } = &snapshot.manifest;
        Ok(Frozen {
            month: options.as_of,
            snapshot: id.clone(),
            files,
            records,
            accepted,
            rejected,
            recipients,
            month_rows: tables.get("recipient_month").map_or(0, |table| table.rows),
            first_month: options.first_month,
            last_month: options.last_month,
        })
    }
}

impl Options {
    /// The options of a request, with the digest of the layouts in force.
    pub fn new(request: &ResolveRequest, layouts: &str) -> Options {
        Options {
            as_of: request.as_of,
            months: request.months,
            inheritance: request.inheritance,
            layouts: layouts.to_owned(),
        }
    }
}

impl Timing {
    /// So much in so long.
    pub fn new(step: &'static str, seconds: f64, records: u64) -> Timing {
        let rate = if seconds > 0.0 { records as f64 / seconds } else { 0.0 };
        let seconds = (seconds * 1000.0).round() / 1000.0;
        Timing { step, seconds, records, records_per_second: rate as u64 }
    }

    /// The steps of a resolve.
    pub fn of_resolve(stats: &ResolveStats) -> [Timing; 3] {
        [
            Timing::new("stack", stats.stack_seconds, stats.facts),
            Timing::new("publish", stats.publish_seconds, stats.month_rows),
            Timing::new("resolve", stats.wall_seconds, stats.facts),
        ]
    }
}

impl SnapshotSummary {
    /// What a report tells of a run's snapshot.
    pub fn new(resolved: &Resolved, latest: bool) -> SnapshotSummary {
        let manifest = &resolved.snapshot.manifest;
        SnapshotSummary {
            id: manifest.id.clone(),
            path: resolved.snapshot.path.clone(),
            new: resolved.is_new,
            latest,
            first_month: manifest.options.first_month,
            last_month: manifest.options.last_month,
            rows: rows(manifest),
            findings: manifest.findings_by_code.clone(),
        }
    }
}

/// Rows per table of a snapshot.
pub fn rows(manifest: &SnapshotManifest) -> BTreeMap<String, u64> {
    manifest.tables.iter().map(|(name, table)| (name.clone(), table.rows)).collect()
}

/// What became of a file, in one word.
pub fn outcome_word(file: &FileOutcome) -> &'static str {
    match (file.duplicate, file.file_rejected) {
        (true, _) => "duplicate",
        (false, true) => "rejected",
        (false, false) => "taken_in",
    }
}

impl FileReport {
    /// What a report tells of a file, given how the snapshot says it stands.
    pub fn new(file: &FileOutcome, standing: Option<&Standing>) -> FileReport {
        // The snapshot counts what either rejected; of a file rejected whole stacking knows nothing.
        let refused = standing.map_or(0, |standing| standing.refused(file.rejected));
        FileReport {
            file_id: file.file_id.clone(),
            name: file.name.clone(),
            sender_no: file.sender_no.clone(),
            data_type: file.data_type.clone(),
            processing_month: file.processing_month,
            outcome: outcome_word(file),
            status: standing.map(|standing| standing.status.clone()),
            bytes: file.bytes,
            records: Records {
                found: file.records,
                accepted: file.accepted,
                rejected: file.rejected,
                refused,
                warned: file.warned,
            },
            findings: file.findings.clone(),
        }
    }
}

impl RunReport {
    /// Puts in the files of the run, with all sums over them.
    pub fn set_files(&mut self, files: Vec<FileReport>) {
        let mut totals = Totals::default();
        let mut senders: BTreeMap<(Option<&str>, Option<&str>), SenderTotals> = BTreeMap::new();
        let mut findings = Tally::default();
        for file in &files {
            findings.merge(&file.findings);
            if file.outcome == "duplicate" {
                totals.files_duplicate += 1;
                continue;
            }
            let rejected = u64::from(file.outcome == "rejected");
            totals.files_rejected += rejected;
            totals.files_taken_in += 1 - rejected;
            totals.bytes += file.bytes;
            totals.records.add(file.records);
            let key = (file.sender_no.as_deref(), file.data_type.as_deref());
            let sender = senders.entry(key).or_insert_with(|| SenderTotals {
                sender_no: file.sender_no.clone(),
                data_type: file.data_type.clone(),
                files: 0,
                files_rejected: 0,
                records: Records::default(),
            });
            sender.files += 1;
            sender.files_rejected += rejected;
            sender.records.add(file.records);
        }
        let senders = senders.into_values().collect();
        (self.totals, self.senders, self.findings, self.files) = (totals, senders, findings, files);
    }
}
