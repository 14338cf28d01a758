//! `khs`: the status of insurance cards, loaded, fetched and served.

mod fetch;
mod load;
mod serve;
mod token;

use super::Exit;
use super::args::{Common, KhsAction};
use super::console::Console;

/// Does what is asked.
pub fn khs(common: &Common, action: &KhsAction, console: &Console<'_>) -> anyhow::Result<Exit> {
    match action {
        KhsAction::Load { files } => load::load(common, files, console),
        KhsAction::Fetch(args) => fetch::fetch(common, args, console),
        KhsAction::Serve(args) => serve::serve(common, args, console),
        KhsAction::Token { action } => token::token(common, action, console),
    }
}
