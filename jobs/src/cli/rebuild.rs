//! `rebuild`: ledger and snapshot again from the archive alone.

use super::args::{Common, Reporting};
use super::console::{Console, Progress};
use super::data_folder::{DataFolder, today_in_japan};
use super::{Exit, expect_data_folder, nightly};
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;
use tsumiage_pipeline::ledger::Ledger;
use tsumiage_pipeline::reader::Compiled;
use tsumiage_pipeline::rebuild::rebuild;
use tsumiage_pipeline::take_in::{FileOutcome, TakeInOptions, Watch};

/// Takes every archived file in again as it arrived, by the layouts in force, then resolves by the settings.
/// Exit code 0 also if files are rejected: none was given to this run.
pub fn rebuild_all(common: &Common, reporting: &Reporting, console: &Console<'_>) -> anyhow::Result<Exit> {
    expect_data_folder(common)?;
    nightly::rebuild(common, reporting, &|folder| ledger_again(folder, console), console)
}

struct Watcher<'c, 'a> {
    progress: Progress<'c, 'a>,
    total: AtomicU64,
    done: AtomicU64,
}

impl Watch for Watcher<'_, '_> {
    fn began(&self, _files: usize, bytes: u64) {
        self.total.store(bytes, Ordering::Relaxed);
    }

    fn file(&self, outcome: &FileOutcome) {
        let done = self.done.fetch_add(outcome.bytes, Ordering::Relaxed) + outcome.bytes;
        self.progress.at(done, self.total.load(Ordering::Relaxed));
    }
}

fn ledger_again(folder: &DataFolder, console: &Console<'_>) -> anyhow::Result<(Ledger, Vec<FileOutcome>)> {
    let begun = Instant::now();
    let compiled = Compiled::new(Arc::new(folder.spec.clone()));
    let options = TakeInOptions {
        data: &folder.path,
        compiled: &compiled,
        layouts: &folder.layouts,
        taken_in_on: today_in_japan(), // nothing arrives: every file keeps its day
        recheck: false,
        batch_rows: folder.settings.batch_rows,
        memory_bytes: folder.settings.memory_mib << 19,
    };
    let progress = console.progress("rebuild the ledger", "bytes");
    let watcher = Watcher { progress, total: AtomicU64::new(0), done: AtomicU64::new(0) };
    let (ledger, outcomes) = rebuild(&options, &watcher)?;
    drop(watcher);
    let rejected = outcomes.iter().filter(|o| o.file_rejected).count();
    let records: i64 = outcomes.iter().map(|o| o.records).sum();
    let accepted: i64 = outcomes.iter().map(|o| o.accepted).sum();
    let seconds = begun.elapsed().as_secs_f64();
    if console.json {
        console.event(&json!({
            "event": "rebuilt",
            "files": outcomes.len(),
            "rejected": rejected,
            "records": records,
            "accepted": accepted,
            "commits": ledger.commits(),
            "seconds": seconds,
        }));
    } else {
        console.report(&format!(
            "rebuild    {} files taken in again, {rejected} of them rejected; {accepted} of {records} records accepted; {seconds:.2} s\n",
            outcomes.len()
        ));
    }
    Ok((ledger, outcomes))
}
