//! `rebuild`: ledger and snapshot again from the archive alone.

use super::args::{Common, Reporting};
use super::console::Console;
use super::data_folder::{DataFolder, today_in_japan};
use super::summary::rounded;
use super::taking_in::Watcher;
use super::{Exit, expect_data_folder, nightly};
use serde_json::json;
use std::sync::Arc;
use std::time::Instant;
use tsumiage_pipeline::ledger::Ledger;
use tsumiage_pipeline::reader::Compiled;
use tsumiage_pipeline::rebuild::{Rebuilt, rebuild};
use tsumiage_pipeline::take_in::FileOutcome;

/// Takes every archived file in again as it arrived, by the layouts in force, then resolves by the settings.
/// Exit code 0 also if files are rejected: none was given to this run.
pub fn rebuild_all(common: &Common, reporting: &Reporting, console: &Console<'_>) -> anyhow::Result<Exit> {
    expect_data_folder(common)?;
    nightly::rebuild(common, reporting, &|folder| ledger_again(folder, console), console)
}

fn ledger_again(folder: &DataFolder, console: &Console<'_>) -> anyhow::Result<(Ledger, Vec<FileOutcome>)> {
    let begun = Instant::now();
    let compiled = Compiled::new(Arc::new(folder.spec.clone()));
    // Nothing arrives: every file keeps its day.
    let options = folder.take_in_options(&compiled, today_in_japan(), false);
    let watcher = Watcher::new(console, "rebuild the ledger");
    let Rebuilt { ledger, outcomes, without_note, old_unreadable } = rebuild(&options, &watcher)?;
    drop(watcher);
    if let Some(error) = old_unreadable {
        console.complain(&format!(
            "the old ledger could not be read, so a file that the archive lost with its note goes unnoticed: {error}"
        ));
    }
    if let Some(first) = without_note.first() {
        console.complain(&format!(
            "{} files lie in the archive without the note of their arrival and were not taken in, the first is \
             {first}: if a run was just killed give them again, else restore the notes from a backup",
            without_note.len()
        ));
    }
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
            "seconds": rounded(seconds),
        }));
    } else {
        console.report(&format!(
            "rebuild    {} files taken in again, {rejected} of them rejected; {accepted} of {records} records accepted; {seconds:.2} s\n",
            outcomes.len()
        ));
    }
    Ok((ledger, outcomes))
}
