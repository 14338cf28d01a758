//! The command line: arguments in, exit code out.
//!
//! Exit codes (contract): 0 done, 1 failed, 2 done but a file of this run is rejected or has rejected
//! records, 64 wrong usage.

pub mod args;
pub mod console;
mod data_folder;
mod findings;
mod nightly;
mod output;
mod query;
mod snapshots;
mod status;
mod synth;
mod timeline;

use args::{Cli, Command};
use clap::Parser;
use clap::error::ErrorKind;
use console::Console;
use std::ffi::OsString;
use std::io::{IsTerminal, Write};

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// 0
    Done,
    /// 2: done, but a file of this run is rejected or has rejected records.
    Rejected,
}

/// Wrong usage that only shows once files are looked at, such as a missing inbox: exit code 64.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Usage(pub String);

/// Runs one command line and returns its exit code. `args` is without the program's name.
pub fn run<I, T>(args: I, stdout: &mut (dyn Write + Send), stderr: &mut (dyn Write + Send)) -> u8
where
    I: IntoIterator<Item = T>,
    T: Into<OsString>,
{
    let args = std::iter::once(OsString::from("tsumiage")).chain(args.into_iter().map(Into::into));
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(error) => {
            let help = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
            let text = error.render().to_string();
            let _ = if help { stdout.write_all(text.as_bytes()) } else { stderr.write_all(text.as_bytes()) };
            return if help { 0 } else { 64 };
        }
    };
    let terminal = std::io::stderr().is_terminal();
    let console = Console::new(stdout, stderr, terminal, cli.common.json, cli.common.quiet);
    match dispatch(&cli, &console) {
        Ok(Exit::Done) => 0,
        Ok(Exit::Rejected) => 2,
        Err(error) if error.downcast_ref::<std::io::Error>().is_some_and(is_closed_pipe) => 0,
        Err(error) => {
            console.complain(&format!("tsumiage: {}", one_line(&error)));
            if error.downcast_ref::<Usage>().is_some() { 64 } else { 1 }
        }
    }
}

/// Whoever read our output has read enough, as in `tsumiage query … | head`.
fn is_closed_pipe(error: &std::io::Error) -> bool {
    error.kind() == std::io::ErrorKind::BrokenPipe
}

fn one_line(error: &anyhow::Error) -> String {
    let mut text = error.to_string();
    for cause in error.chain().skip(1) {
        let cause = cause.to_string();
        if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn dispatch(cli: &Cli, console: &Console<'_>) -> anyhow::Result<Exit> {
    let common = &cli.common;
    match &cli.command {
        Command::Nightly(intake) => nightly::nightly(common, Some(intake), true, console),
        Command::Ingest(intake) => nightly::nightly(common, Some(intake), false, console),
        Command::Resolve => nightly::nightly(common, None, true, console),
        Command::Status => status::status(common, console),
        Command::Timeline(args) => timeline::timeline(common, args, console),
        Command::Findings(args) => findings::findings(common, args, console),
        Command::Snapshots { action } => snapshots::snapshots(common, action, console),
        Command::Query { sql } => query::query(common, sql, console),
        Command::Synth(args) => synth::synth(common, args, console),
    }
}
