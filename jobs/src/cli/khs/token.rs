//! `khs token`: those who may ask the KHS API.

use crate::cli::args::{Common, Format, TokenAction};
use crate::cli::console::Console;
use crate::cli::data_folder::today_in_japan;
use crate::cli::output::print_batches;
use crate::cli::{Exit, Usage};
use crate::khs::tokens::{Tokens, is_insurer_no, issue, revoke};
use arrow::array::{ArrayRef, RecordBatch, StringArray};
use serde_json::json;
use std::path::Path;
use std::sync::Arc;
use tsumiage_schemas::Day;

/// Makes, lists or revokes tokens.
///
/// # Errors
/// The file cannot be read or written, or there is no such token.
pub fn token(common: &Common, action: &TokenAction, console: &Console<'_>) -> anyhow::Result<Exit> {
    let today = common.on.unwrap_or_else(today_in_japan);
    match action {
        TokenAction::New { tokens, insurer, valid_to } => {
            if !is_insurer_no(insurer) {
                return Err(Usage(format!("--insurer {insurer:?} is not a number of 6 digits")).into());
            }
            if let Some(past) = valid_to.filter(|last| *last < today) {
                return Err(Usage(format!("--valid-to {past} is past; the token would never be good")).into());
            }
            new(tokens, insurer, *valid_to, common.format, console)
        }
        TokenAction::List { tokens } => list(&Tokens::read(tokens)?, today, common.format, console),
        TokenAction::Revoke { tokens, id } => {
            let Some(token) = revoke(tokens, id)? else {
                let file = tokens.display();
                let how = format!("`tsumiage khs token list --tokens {file}` lists them");
                return Err(Usage(format!("there is no token {id:?} in {file}; {how}")).into());
            };
            console.note(&format!("token {} of {} is good for nothing any more", token.id, token.insurer_no));
            Ok(Exit::Done)
        }
    }
}

fn new(
    tokens: &Path,
    insurer: &str,
    valid_to: Option<Day>,
    format: Format,
    console: &Console<'_>,
) -> anyhow::Result<Exit> {
    let issued = issue(tokens, insurer, valid_to)?;
    let valid_to = valid_to.map(|day| day.to_string());
    let text = match format {
        Format::Table => issued.token,
        Format::Json => {
            json!({"id": issued.id, "insurer_no": insurer, "valid_to": valid_to, "token": issued.token})
                .to_string()
        }
        Format::Csv => {
            let last = valid_to.unwrap_or_default();
            format!("id,insurer_no,valid_to,token\n{},{insurer},{last},{}", issued.id, issued.token)
        }
    };
    console.print(&format!("{text}\n"))?;
    console.note(&format!("token {} for {insurer}: it is shown only now; hand it over safely", issued.id));
    Ok(Exit::Done)
}

fn list(tokens: &Tokens, today: Day, format: Format, console: &Console<'_>) -> anyhow::Result<Exit> {
    let all = tokens.all();
    let text = |values: Vec<Option<String>>| Arc::new(StringArray::from(values)) as ArrayRef;
    let state = |expired: bool| if expired { "expired" } else { "good" };
    let batch = RecordBatch::try_from_iter_with_nullable([
        ("id", text(all.iter().map(|token| Some(token.id.clone())).collect()), true),
        ("insurer_no", text(all.iter().map(|token| Some(token.insurer_no.clone())).collect()), true),
        ("valid_to", text(all.iter().map(|token| token.valid_to.map(|day| day.to_string())).collect()), true),
        (
            "state",
            text(all.iter().map(|token| Some(state(!token.is_valid_on(today)).to_owned())).collect()),
            true,
        ),
    ])?;
    print_batches(&[batch], format, console)?;
    Ok(Exit::Done)
}
