//! `findings`: what was found, of one file or sender or of all.

use super::args::{Common, FindingsArgs};
use super::console::Console;
use super::data_folder::DataFolder;
use super::{Exit, output};
use crate::publish::snapshot::Snapshots;
use crate::published::{run_query, session};

/// Prints findings of a snapshot, in the table's order.
pub fn findings(common: &Common, args: &FindingsArgs, console: &Console<'_>) -> anyhow::Result<Exit> {
    let folder = DataFolder::to_read(common)?;
    let snapshot = Snapshots::open(&folder.path)?.find(common.snapshot())?;
    let quoted = |text: &str| text.replace('\'', "''");
    let mut conditions = Vec::new();
    if let Some(file) = &args.file {
        conditions.push(format!("starts_with(file_id, '{}')", quoted(&file.to_lowercase())));
    }
    if let Some(sender) = &args.sender {
        conditions.push(format!("sender_no = '{}'", quoted(sender)));
    }
    let condition =
        if conditions.is_empty() { String::new() } else { format!(" WHERE {}", conditions.join(" AND ")) };
    let columns = match common.format {
        super::args::Format::Table => {
            "file_name, record_no, insurer_no, insured_no, movement_date, severity, code, item, count, message_ja"
        }
        _ => "*",
    };
    let runtime = tokio::runtime::Runtime::new()?;
    let batches = runtime.block_on(async {
        let context = session(&snapshot, &folder.spec, Some(1)).await?;
        run_query(&context, &format!("SELECT {columns} FROM findings{condition}")).await
    })?;
    output::print_batches(&batches, common.format, console)?;
    Ok(Exit::Done)
}
