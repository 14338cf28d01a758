//! `reopen`: a closed processing month and all later ones are open again: an event that is kept, with its reason.
//!
//! Nothing is published: files that came too late are checked again by the next run that takes in.

use super::args::{Common, ReopenArgs};
use super::console::Console;
use super::data_folder::{DataFolder, today_in_japan};
use super::{Exit, Usage, expect_data_folder};
use serde_json::json;
use tsumiage_pipeline::archive::Archive;
use tsumiage_pipeline::events::{self, Closings, What, reason};
use tsumiage_pipeline::ledger::Ledger;
use tsumiage_pipeline::take_in::{Circumstances, Decision, decide};
use tsumiage_schemas::{Day, Month};

/// Keeps the event and says what follows from it.
pub fn reopen(common: &Common, args: &ReopenArgs, console: &Console<'_>) -> anyhow::Result<Exit> {
    let reason = reason::checked(&args.reason).map_err(|fault| Usage(format!("--reason {fault}")))?;
    expect_data_folder(common)?;
    let (month, on) = (args.month, common.on.unwrap_or_else(today_in_japan));
    let folder = DataFolder::to_write(common)?;
    let ledger = Ledger::open(&folder.path)?;
    let mut known = events::read(&folder.path)?;
    let closings = Closings::of(&known);
    if !closings.closed(month) {
        let through = closings.through.map_or_else(
            || "no processing month is".to_owned(),
            |through| format!("{through} and all earlier ones are"),
        );
        return Err(Usage(format!("{month} is not closed, {through}; see `tsumiage status`")).into());
    }
    // As in a closing: what workers are just noting is there before it, or sees it.
    let _gate = Archive::to_read(&folder.path).closing()?;
    known.push(events::keep(&folder.path, &known, What::Reopen, month, on, Some(reason.clone()))?);
    let closings = Closings::of(&known);
    let due = due(&ledger, &folder.layouts, &closings, on);
    if console.json {
        console.event(&json!({
            "event": "reopened",
            "month": month,
            "closed_through": closings.through,
            "on": on,
            "reason": reason,
            "files_to_check": due,
        }));
    } else {
        console.report(&told(month, closings.through, due));
    }
    console.note(&format!(
        "nothing is published yet: run `tsumiage nightly` to take in what came too late, then `tsumiage close {month}` to freeze the month again"
    ));
    Ok(Exit::Done)
}

/// Files that the next run that takes in checks again, whether or not they are given to it.
fn due(ledger: &Ledger, layouts: &str, closings: &Closings, taken_in_on: Day) -> usize {
    let now = Circumstances { layouts, closings, recheck: false, taken_in_on };
    ledger.files().filter(|file| decide(Some(file), &now) != Decision::Known).count()
}

fn told(month: Month, closed_through: Option<Month>, due: usize) -> String {
    let stay =
        closed_through.map_or_else(String::new, |last| format!("; {last} and earlier ones stay closed"));
    format!(
        "reopened   {month} and all later processing months{stay}\n\
         files      {due} are checked again by the next run that takes in\n"
    )
}
