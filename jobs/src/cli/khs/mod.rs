//! `khs`: the status of insurance cards, loaded, fetched and served.

mod fetch;
mod load;
mod serve;
mod token;

use super::args::{Common, KhsAction};
use super::console::Console;
use super::data_folder::DataFolder;
use super::{Exit, nightly};
use crate::khs::staging::{Came, stage};
use std::sync::{Mutex, PoisonError};
use tsumiage_pipeline::ledger::Ledger;
use tsumiage_schemas::Day;

/// Takes in what came on a day, in order.
fn taken_in(
    command: &'static str,
    common: &Common,
    on: Day,
    came: &[Came],
    console: &Console<'_>,
) -> anyhow::Result<Exit> {
    let staged = Mutex::new(None); // until the run ends
    let make = |folder: &DataFolder, ledger: &Ledger| {
        let made = stage(&folder.path, ledger, on, came)?;
        let files = made.files.clone();
        *staged.lock().unwrap_or_else(PoisonError::into_inner) = Some(made);
        Ok(files)
    };
    nightly::takes_in_made(command, common, &make, console)
}

/// Does what is asked.
pub fn khs(common: &Common, action: &KhsAction, console: &Console<'_>) -> anyhow::Result<Exit> {
    match action {
        KhsAction::Load { files } => load::load(common, files, console),
        KhsAction::Fetch(args) => fetch::fetch(common, args, console),
        KhsAction::Serve(args) => serve::serve(common, args, console),
        KhsAction::Token { action } => token::token(common, action, console),
    }
}
