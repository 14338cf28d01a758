//! The command line: every command and option, documented where it is defined.

mod kafka;
mod khs;

pub use kafka::{KafkaArgs, KafkaChoice, SinkArgs, Watching, WorkerArgs};
pub use khs::{FetchArgs, KhsAction, ServeArgs, TokenAction};

use super::Usage;
use crate::stack::Inheritance;
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;
use std::str::FromStr;
use tsumiage_pipeline::synth::SynthOptions;
use tsumiage_schemas::day::CalendarError;
use tsumiage_schemas::sources::Profile;
use tsumiage_schemas::{Day, Month, MonthRange};

/// Stacks the movement files of Japan's long-term-care insurance and publishes what held for every
/// recipient in every service month.
#[derive(Debug, Parser)]
#[command(name = "tsumiage", version, propagate_version = true, arg_required_else_help = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// Options that mean the same everywhere.
    #[command(flatten)]
    pub common: Common,
}

/// Options that mean the same everywhere.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Common options")]
pub struct Common {
    /// Data folder
    #[arg(long, global = true, value_name = "DIR", default_value = "./data")]
    pub data: PathBuf,
    /// Whether `--data` stands on the command line.
    #[arg(skip)]
    pub data_given: bool,
    /// Take-in day of new files; day of a closing, reopening or withdrawal [default: today in Japan]
    /// (findings: only of files taken in on this day)
    #[arg(long, global = true, value_name = "YYYY-MM-DD")]
    pub on: Option<Day>,
    /// Only what was known as of this processing month [default: all that is known]
    #[arg(long, global = true, value_name = "YYYY-MM")]
    pub as_of: Option<Month>,
    /// Service months to publish, inclusive [default: the settings', else the newest 36]
    /// (synth: the number of service months)
    #[arg(long, global = true, value_name = "A..B")]
    pub months: Option<MonthsArg>,
    /// How blank items are filled [default: the settings', else arrival]
    #[arg(long, global = true, value_name = "MODE")]
    pub inheritance: Option<InheritanceArg>,
    /// Folder of layouts, code tables, rules and severities that replace those built in
    /// [default: the settings']
    #[arg(long, global = true, value_name = "DIR")]
    pub layouts: Option<PathBuf>,
    /// How strictly files are read [default: the settings', else strict]
    #[arg(long, global = true, value_name = "PROFILE")]
    pub profile: Option<ProfileArg>,
    /// Snapshot to read: an id, or latest [default: latest]
    #[arg(long, global = true, value_name = "ID")]
    pub snapshot: Option<String>,
    /// Form of results
    #[arg(long, global = true, value_name = "FORM", default_value = "table")]
    pub format: Format,
    /// Run events as NDJSON on standard output, nothing else there
    #[arg(long, global = true)]
    pub json: bool,
    /// No progress and no notes on standard error
    #[arg(long, global = true)]
    pub quiet: bool,
    /// Kafka.
    #[command(flatten)]
    pub kafka: KafkaArgs,
}

/// `--months`: a range to publish, or for `synth` a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MonthsArg {
    /// A..B
    Range(MonthRange),
    /// How many.
    Number(u32),
}

impl FromStr for MonthsArg {
    type Err = CalendarError;
    fn from_str(text: &str) -> Result<MonthsArg, CalendarError> {
        match text.parse() {
            Ok(number) => Ok(MonthsArg::Number(number)),
            Err(_) => text.parse().map(MonthsArg::Range),
        }
    }
}

impl Common {
    /// The snapshot to read.
    pub fn snapshot(&self) -> &str {
        self.snapshot.as_deref().unwrap_or("latest")
    }

    /// `--months` as a range to publish.
    ///
    /// # Errors
    /// It is a number.
    pub fn range(&self) -> Result<Option<MonthRange>, Usage> {
        match self.months {
            None => Ok(None),
            Some(MonthsArg::Range(range)) => Ok(Some(range)),
            Some(MonthsArg::Number(_)) => {
                Err(Usage("--months wants a range like 2026-04..2026-10".to_owned()))
            }
        }
    }
}

/// Form of results.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    Table,
    /// One JSON document.
    Json,
    /// CSV with a header line.
    Csv,
}

/// `--inheritance`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum InheritanceArg {
    /// A blank is filled when its record is applied.
    Arrival,
    /// Blanks are filled at the end, over the corrected sequence.
    Lazy,
}

impl From<InheritanceArg> for Inheritance {
    fn from(arg: InheritanceArg) -> Inheritance {
        match arg {
            InheritanceArg::Arrival => Inheritance::Arrival,
            InheritanceArg::Lazy => Inheritance::Lazy,
        }
    }
}

/// `--profile`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ProfileArg {
    /// As the exchange specification says.
    Strict,
    /// Accept what real senders are known to get wrong.
    Lenient,
}

impl From<ProfileArg> for Profile {
    fn from(arg: ProfileArg) -> Profile {
        match arg {
            ProfileArg::Strict => Profile::Strict,
            ProfileArg::Lenient => Profile::Lenient,
        }
    }
}

/// Files to take in.
#[derive(Clone, Debug, Args)]
pub struct Intake {
    /// Take in the plain files of this folder (not hidden, not *.part or *.tmp); it is only read
    #[arg(long, value_name = "DIR")]
    pub inbox: Option<PathBuf>,
    /// Files to take in
    #[arg(value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Check rejected files again, and read again what was read with other layouts
    #[arg(long)]
    pub recheck: bool,
    /// What the run is to leave behind.
    #[command(flatten)]
    pub reporting: Reporting,
}

/// What a run leaves behind besides its report.
#[derive(Clone, Debug, Args)]
pub struct Reporting {
    /// Write metrics for node_exporter's textfile collector here, also when the run fails
    #[arg(long, value_name = "FILE")]
    pub metrics_file: Option<PathBuf>,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// The main job: take in, resolve, publish, report
    Nightly(Intake),
    /// Only take in: archive, check, append to the log and ledger
    Ingest(Intake),
    /// Ingest worker: reads exchange files as they come into an inbox and sends them sealed to Kafka
    Worker(WorkerArgs),
    /// Reads sealed files from Kafka into the ledger; one per data folder
    Sink(SinkArgs),
    /// Only resolve the ledger and publish a snapshot
    Resolve(Reporting),
    /// What the next resolve would recompute and why; changes nothing (--format csv: the recipients that
    /// changed files are about)
    Plan,
    /// What is in the data folder: files, months open and closed, newest snapshot, who is missing, settings
    Status,
    /// Close this processing month and all earlier ones; publishes what is frozen
    Close(CloseArgs),
    /// Open this closed processing month and all later ones again (an event that is kept)
    Reopen(ReopenArgs),
    /// Take a file or record out of the stack (an event that is kept, never an erasure)
    Withdraw(WithdrawArgs),
    /// Ledger and snapshot again from the archive alone
    Rebuild(Reporting),
    /// One person: every record, what changed, which record gave every item; or the insurance card on a day
    Timeline(TimelineArgs),
    /// Findings of a snapshot
    Findings(FindingsArgs),
    /// List, show, verify or remove snapshots
    Snapshots {
        /// What to do with them.
        #[command(subcommand)]
        action: SnapshotsAction,
    },
    /// Layouts, code tables and rules in force
    Layouts {
        /// What to do with them.
        #[command(subcommand)]
        action: LayoutsAction,
    },
    /// The status of insurance cards (KHS, 介護被保険者証利用情報): load, fetch, serve
    Khs {
        /// What to do.
        #[command(subcommand)]
        action: KhsAction,
    },
    /// SQL over the published tables of a snapshot
    Query {
        /// The statement, e.g. "SELECT count(*) FROM recipient_month"
        sql: String,
    },
    /// Realistic exchange files at any scale, deterministic by seed
    Synth(SynthArgs),
}

/// `close`.
#[derive(Clone, Debug, Args)]
pub struct CloseArgs {
    /// Newest processing month to close; it must have begun
    #[arg(value_name = "YYYY-MM")]
    pub month: Month,
}

/// `reopen`.
#[derive(Clone, Debug, Args)]
pub struct ReopenArgs {
    /// First processing month to open again; earlier ones stay closed
    #[arg(value_name = "YYYY-MM")]
    pub month: Month,
    /// Why: kept with the event, one line of at most 200 characters; no names or insured numbers here
    #[arg(long, value_name = "TEXT")]
    pub reason: String,
}

/// `withdraw`.
#[derive(Clone, Debug, Args)]
pub struct WithdrawArgs {
    /// File id, or at least 8 characters of its beginning, and the position of a record if only that one is
    /// meant (the control record is 1)
    #[arg(value_name = "FILE_ID[:RECORD]")]
    pub what: String,
    /// Why: kept with the event and told to the sender, one line of at most 200 characters; no names or insured
    /// numbers here
    #[arg(long, value_name = "TEXT")]
    pub reason: String,
}

/// `timeline`.
#[derive(Clone, Debug, Args)]
pub struct TimelineArgs {
    /// Insured number (被保険者番号), ten characters
    #[arg(long, value_name = "NO")]
    pub insured: String,
    /// Only under this holder [default: every holder that knows the number]
    #[arg(long, value_name = "NO")]
    pub holder: Option<String>,
    /// What the insurance card (被保険者証) shows on this day, instead of the records
    #[arg(long, value_name = "YYYY-MM-DD")]
    pub on_day: Option<Day>,
}

/// `findings`.
#[derive(Clone, Debug, Args)]
pub struct FindingsArgs {
    /// Only of this file (id or its beginning)
    #[arg(long, value_name = "ID")]
    pub file: Option<String>,
    /// Only of this sender; `unknown` for files without a valid one
    #[arg(long, value_name = "NO")]
    pub sender: Option<String>,
    /// Only of files of this processing month
    #[arg(long, value_name = "YYYY-MM")]
    pub month: Option<Month>,
    /// Write the error lists to send back into this folder: per sender a list and a summary (CSV, CP932);
    /// made if missing, files of the same names are replaced
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
}

/// `snapshots`.
#[derive(Clone, Debug, Subcommand)]
pub enum SnapshotsAction {
    /// All snapshots, oldest first
    List,
    /// One snapshot: options, tables, files
    Show {
        /// Snapshot id, or latest
        id: String,
    },
    /// Which recipients' months differ in two snapshots, item by item, and which correction or movement did it
    Diff {
        /// Snapshot before: an id, or latest
        before: String,
        /// Snapshot after: an id, or latest
        after: String,
        /// Write the differences into this Parquet file instead
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Check every file and table of a snapshot against its manifest
    Verify {
        /// Snapshot id [default: latest]
        id: Option<String>,
    },
    /// Remove old snapshots; never the latest, or one as of a month that was closed
    Gc(GcArgs),
}

/// `snapshots gc`.
#[derive(Clone, Debug, Args)]
pub struct GcArgs {
    /// So many of the newest stay, at least 1
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub keep: u32,
    /// Only say what would go
    #[arg(long)]
    pub dry_run: bool,
}

/// `layouts`.
#[derive(Clone, Debug, Subcommand)]
pub enum LayoutsAction {
    /// All that is in force and where it comes from, or one file: `--format csv` gives its text, to edit
    Show {
        /// Exchange id, record name, code table or rules, e.g. 5311, control, care_level, periods, findings
        name: Option<String>,
    },
    /// Check a folder, or what is in force: files, exchange ids, what it changes
    Check {
        /// Folder [default: --layouts, else the settings']
        dir: Option<PathBuf>,
    },
}

/// `synth`.
#[derive(Clone, Debug, Args)]
pub struct SynthArgs {
    /// Folder for the files; made if missing, must be empty
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// People
    #[arg(long, value_name = "N", default_value_t = 1_000)]
    pub recipients: u64,
    /// Insurers
    #[arg(long, value_name = "K", default_value_t = 40)]
    pub insurers: u32,
    /// The insurers are the members of one union (広域連合) that sends for them; people move between them
    #[arg(long)]
    pub union: bool,
    /// Seed: the same seed gives the same bytes
    #[arg(long, value_name = "S", default_value_t = 1)]
    pub seed: u64,
    /// Exact number of movements [default: what the lives give, about 10 a person]
    #[arg(long, value_name = "N")]
    pub movements: Option<u64>,
    /// One record in so many has a movement date that is none
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub errors_every: Option<u64>,
    /// Share of the insurers that send full records; the others send what changed
    #[arg(long, value_name = "0..1", default_value_t = SynthOptions::default().full_share, value_parser = share)]
    pub full_share: f64,
    /// No corrections, late files or duplicates
    #[arg(long)]
    pub clean: bool,
}

/// A number from 0 to 1.
fn share(text: &str) -> Result<f64, String> {
    let share = text.parse().ok().filter(|share| (0.0..=1.0).contains(share));
    share.ok_or_else(|| "wants a number from 0 to 1".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_a_number_from_0_to_1() {
        let synth = |share: &[&str]| {
            let words = ["tsumiage", "synth", "--out", "x"].iter().chain(share);
            let Command::Synth(args) = Cli::try_parse_from(words).ok()?.command else { return None };
            Some(args.full_share)
        };
        assert_eq!(synth(&[]), Some(0.5));
        for (text, share) in [("0", Some(0.0)), ("0.25", Some(0.25)), ("1", Some(1.0))] {
            assert_eq!(synth(&["--full-share", text]), share);
        }
        for text in ["1.1", "-0.5", "NaN", "inf", "half", ""] {
            assert_eq!(synth(&["--full-share", text]), None, "{text}");
        }
    }
}
