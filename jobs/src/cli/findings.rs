//! `findings`: what was found, of one file or sender or of all; with `--out` the error lists to send back.

use super::args::{Common, FindingsArgs, Format};
use super::console::Console;
use super::data_folder::DataFolder;
use super::{Exit, Usage, output};
use crate::error_lists::{self, Choice, Request, Written};
use crate::publish::snapshot::Snapshots;
use crate::published::{run_query, session};
use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tsumiage_pipeline::disk::io;

/// Said where nothing is meant, instead of nothing.
const NO_FILE: &str = "no such file in the snapshot; check --file, --sender, --month and --on";

/// Prints findings of a snapshot, in the table's order, or writes them as lists and says what was written.
pub fn findings(common: &Common, args: &FindingsArgs, console: &Console<'_>) -> anyhow::Result<Exit> {
    let folder = DataFolder::to_read(common)?;
    let snapshot = Snapshots::open(&folder.path)?.find(common.snapshot())?;
    let choice = Choice {
        file: args.file.clone(),
        sender: args.sender.clone(),
        month: args.month,
        taken_in_on: common.on,
    };
    let runtime = tokio::runtime::Runtime::new()?;
    let batches = if let Some(out) = &args.out {
        let out = outside(out, &folder.path)?;
        let (data, spec) = (folder.path.as_path(), &folder.spec);
        let request = Request { data, spec, snapshot: &snapshot, choice: &choice, out: &out };
        let written = runtime.block_on(error_lists::write(&request))?;
        if written.is_empty() {
            console.note(NO_FILE);
        }
        vec![told(&written)?]
    } else {
        let columns = match common.format {
            Format::Table => {
                "file_name, record_no, insurer_no, insured_no, movement_date, severity, code, item, count, \
                 message_ja"
            }
            _ => "*",
        };
        runtime.block_on(async {
            let context = session(&snapshot, &folder.spec, Some(1)).await?;
            let condition = choice.condition(&context).await?.unwrap_or_else(|| {
                console.note(NO_FILE);
                "false".to_owned()
            });
            run_query(&context, &format!("SELECT {columns} FROM findings WHERE {condition}")).await
        })?
    };
    output::print_batches(&batches, common.format, console)?;
    Ok(Exit::Done)
}

/// The absolute path of a folder that is not in the data folder, where nothing but its own may be.
fn outside(out: &Path, data: &Path) -> anyhow::Result<PathBuf> {
    let out = std::path::absolute(out).map_err(io(out))?;
    let there = out.ancestors().find(|path| path.exists()).unwrap_or(&out);
    let real = there.canonicalize().map_err(io(there))?;
    if real.starts_with(data) {
        let what = format!("--out {} is in the data folder; choose a folder elsewhere", out.display());
        return Err(Usage(what).into());
    }
    Ok(out)
}

/// What was written, a row per sender.
fn told(written: &[Written]) -> anyhow::Result<RecordBatch> {
    let text = |of: &dyn Fn(&Written) -> Option<String>| -> ArrayRef {
        Arc::new(written.iter().map(of).collect::<StringArray>())
    };
    let number = |of: fn(&Written) -> i64| -> ArrayRef {
        Arc::new(Int64Array::from_iter_values(written.iter().map(of)))
    };
    let path = |path: &Path| path.display().to_string();
    Ok(RecordBatch::try_from_iter_with_nullable([
        ("sender_no", text(&|w| Some(w.sender.clone())), false),
        ("files", number(|w| w.files), false),
        ("errors", number(|w| w.errors), false),
        ("warnings", number(|w| w.warnings), false),
        ("infos", number(|w| w.infos), false),
        ("list", text(&|w| w.list.as_deref().map(path)), true),
        ("summary", text(&|w| Some(path(&w.summary))), false),
    ])?)
}
