//! `query`: SQL over the published tables of a snapshot.

use super::args::Common;
use super::console::Console;
use super::data_folder::DataFolder;
use super::{Exit, output};
use crate::publish::snapshot::Snapshots;
use crate::published::{run_query, session};

/// Runs one statement.
pub fn query(common: &Common, sql: &str, console: &Console<'_>) -> anyhow::Result<Exit> {
    let folder = DataFolder::to_read(common)?;
    let snapshot = Snapshots::open(&folder.path)?.find(common.snapshot())?;
    let runtime = tokio::runtime::Runtime::new()?;
    let batches = runtime.block_on(async {
        let context = session(&snapshot, &folder.spec, None).await?;
        run_query(&context, sql).await
    })?;
    output::print_batches(&batches, common.format, console)?;
    Ok(Exit::Done)
}
