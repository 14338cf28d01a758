//! The ingest worker: files of an inbox, shared with other workers or not, through the archive into the log.
//!
//! Promise: every complete file of the inbox is archived and sent at least once, whatever is killed, and what is sent
//! twice is the same but for its attempt; the inbox is only read. What is held of a file that is not in hand is its
//! name and id, and so many are in hand as there are threads. What fails is tried again for ever; a worker that drains gives up after [`ATTEMPTS`].
//!
//! [`inbox`] knows which files are complete, [`tasks`] whose turn it is, [`desk`] does the work on threads that may
//! block, [`claims`] keep workers out of each other's way, [`run`] holds them together.

mod claims;
mod desk;
mod inbox;
mod run;
mod tasks;
#[cfg(test)]
mod tests;

pub use run::run;

use crate::disk::DiskError;
use crate::log::LogError;
use crate::reader::Compiled;
use crate::take_in::Watch;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tsumiage_schemas::Day;

/// So often a worker that drains tries a file, or to look at its folders, before it gives up.
pub const ATTEMPTS: u32 = 5;

/// How a worker works.
pub struct WorkerOptions {
    /// Its name in its claims, for people.
    pub name: String,
    /// The folder that files arrive in.
    pub inbox: Option<PathBuf>,
    /// Files named by the user; they are taken as they are.
    pub files: Vec<PathBuf>,
    /// The archive folder.
    pub archive: PathBuf,
    /// Where the log carries files to (cluster and topic): what sent notes go by.
    pub to: String,
    /// Layouts to read with.
    pub compiled: Arc<Compiled>,
    /// Digest of these layouts.
    pub layouts: String,
    /// They are given for this run and are not those of the settings.
    pub one_off: bool,
    /// Check rejected files again, and read accepted ones again that were read with other layouts; each once.
    pub recheck: bool,
    /// Take-in day of what is new, asked for each file.
    pub taken_in_on: Arc<dyn Fn() -> Day + Send + Sync>,
    /// Rows of a batch.
    pub batch_rows: usize,
    /// Files in hand at once; at least 1.
    pub threads: usize,
    /// Time between two looks at the inbox.
    pub poll: Duration,
    /// So long a file must not have changed.
    pub settle: Duration,
    /// A claim that was not renewed for so long is taken over.
    pub ttl: Duration,
    /// First wait before what failed is tried again.
    pub retry: Duration,
    /// End when all files of the first look are sent.
    pub drain: bool,
}

/// What a worker did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Files sent.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Their data records.
    pub records: i64,
    /// Of them, rejected whole.
    pub rejected: u64,
    /// Files whose bytes were known (F07).
    pub duplicates: u64,
    /// Attempts that failed.
    pub failures: u64,
    /// Files that were still being written when the others were done: they are the next run's.
    pub left: u64,
}

/// What waits for a worker.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Waiting {
    /// Files of the inbox that may still be written to.
    pub settling: usize,
    /// Files that are ready, in hand with another worker, or wait to be tried again.
    pub waiting: usize,
    /// Files in hand.
    pub in_hand: usize,
    /// The inbox and the archive could be looked at, and Kafka takes files as far as is known.
    pub well: bool,
}

/// An attempt that failed.
#[derive(Clone, Copy, Debug)]
pub struct Failure<'a> {
    /// Name of the file; none = the inbox or the archive could not be looked at.
    pub name: Option<&'a str>,
    /// Why.
    pub error: &'a dyn std::error::Error,
    /// How often that failed now.
    pub failures: u32,
    /// When it is tried again; none = it is not.
    pub again_in: Option<Duration>,
}

/// Told what a worker does. `Watch::began` comes again whenever files were found, with those of the whole run.
pub trait WorkerWatch: Watch + Send {
    /// What waits has changed.
    fn waiting(&self, waiting: &Waiting);
    /// An attempt failed.
    fn failed(&self, failure: &Failure<'_>);
    /// Something that somebody should know and that does not stop the work.
    fn warned(&self, what: &str);
}

/// A worker gave up.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// The folders could not be used.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// A file could not be taken in.
    #[error("{name}: {error}")]
    File {
        /// Name of the file.
        name: String,
        /// Why.
        #[source]
        error: LogError,
    },
    /// A thread of the worker died, which is a fault of the program.
    #[error("a thread of the worker died: {0}")]
    Died(#[from] tokio::task::JoinError),
}
