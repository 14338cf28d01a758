//! `close`: a processing month and all earlier ones are closed; what is frozen is published and told.
//!
//! A run that is killed on the way is carried on by the same command again: the event is kept once, and a
//! snapshot that stands is named.

use super::args::{CloseArgs, Common};
use super::console::Console;
use super::data_folder::{DataFolder, today_in_japan};
use super::{Exit, Usage, expect_data_folder, nightly};
use serde_json::json;
use tsumiage_pipeline::events::{self, Closings, What};
use tsumiage_pipeline::ledger::{FileEntry, Ledger};
use tsumiage_schemas::{Day, Month};

/// Takes in what a killed run left, closes, and publishes what is known as of the month.
pub fn close(common: &Common, args: &CloseArgs, console: &Console<'_>) -> anyhow::Result<Exit> {
    let (month, on) = (args.month, common.on.unwrap_or_else(today_in_japan));
    if month > on.month() {
        let what = format!("{month} has not begun on {on}: only a month that has begun can be closed");
        return Err(Usage(what).into());
    }
    expect_data_folder(common)?;
    // What arrived before the closing counts, also if a killed run left it in the archive only.
    let as_of = Common { as_of: Some(month), ..common.clone() };
    nightly::close(&as_of, &|folder, ledger| keep(folder, ledger, month, on, console), console)
}

fn keep(
    folder: &DataFolder,
    ledger: &Ledger,
    month: Month,
    on: Day,
    console: &Console<'_>,
) -> anyhow::Result<()> {
    let known = events::read(&folder.path)?;
    let closings = Closings::of(&known);
    let is_new = !closings.closed(month);
    if is_new {
        let stands_rejected = |file: &&FileEntry| {
            file.file_rejected && !file.wrong_time && file.processing_month.is_none_or(|m| m <= month)
        };
        let rejected_files =
            ledger.files().filter(stands_rejected).map(|file| file.arrival.file_id.clone()).collect();
        events::keep(&folder.path, &known, What::Close { rejected_files }, month, on, None)?;
    }
    let through = closings.through.max(Some(month));
    if console.json {
        console.event(&json!({"event": "closed", "month": month, "closed_through": through, "new": is_new}));
    } else if is_new {
        console.report(&format!("closed     {month} and all earlier processing months\n"));
    } else {
        console.report(&format!("closed     nothing to do, {month} is closed already\n"));
    }
    Ok(())
}
