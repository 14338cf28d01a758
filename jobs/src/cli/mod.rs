//! The command line: arguments in, exit code out.
//!
//! Exit codes (contract): 0 done, 1 failed, 2 done but a file of this run is rejected or has rejected
//! records, 64 wrong usage.

pub mod args;
mod close;
pub mod console;
mod data_folder;
mod diff;
mod findings;
mod khs;
mod layouts;
mod linked;
mod nightly;
mod output;
mod plan;
mod query;
mod rebuild;
mod reopen;
mod running;
mod signals;
mod sink;
mod snapshots;
mod status;
mod summary;
mod synth;
mod taking_in;
mod timeline;
mod withdraw;
mod worker;

use args::{Cli, Command, KhsAction};
use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{CommandFactory, FromArgMatches};
use console::Console;
use std::ffi::OsString;
use std::io::{IsTerminal, Write};
use tsumiage_pipeline::disk;

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
    let cli = match parsed(args) {
        Ok(mut cli) => {
            if cli.common.json {
                cli.common.format = args::Format::Json; // nothing but JSON on standard output
            }
            cli
        }
        Err(error) => {
            use ErrorKind::{DisplayHelp, DisplayHelpOnMissingArgumentOrSubcommand, DisplayVersion};
            let help = matches!(error.kind(), DisplayHelp | DisplayVersion);
            if error.kind() == DisplayHelpOnMissingArgumentOrSubcommand {
                let _ = write!(stderr, "{}", error.render());
                return 64;
            }
            let text = error.render().to_string();
            let _ = if help {
                stdout.write_all(text.as_bytes())
            } else {
                writeln!(stderr, "tsumiage: {}", usage_line(&text))
            };
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

fn parsed(args: impl Iterator<Item = OsString>) -> Result<Cli, clap::Error> {
    let matches = Cli::command().try_get_matches_from(args)?;
    let mut cli = Cli::from_arg_matches(&matches)?;
    cli.common.data_given = matches.value_source("data") == Some(ValueSource::CommandLine);
    Ok(cli)
}

/// Whoever read our output has read enough, as in `tsumiage query … | head`.
fn is_closed_pipe(error: &std::io::Error) -> bool {
    error.kind() == std::io::ErrorKind::BrokenPipe
}

/// An error with its causes, as one line. That the disk is full is told with what to do, whoever found it: the
/// engine, where it spills, does not say.
fn one_line(error: &anyhow::Error) -> String {
    let mut text = error.to_string();
    for cause in error.chain().skip(1) {
        let cause = cause.to_string();
        if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    let full = error.chain().filter_map(|cause| cause.downcast_ref::<std::io::Error>());
    let full = full.filter(|error| error.kind() == std::io::ErrorKind::StorageFull).map(disk::advice).next();
    if let Some(advice) = full.filter(|advice| !text.contains(advice)) {
        text.push_str(advice);
    }
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// What the parser says, as one line: its first, its tips, and where to read more.
fn usage_line(text: &str) -> String {
    let line = |line: &str| line.trim().trim_start_matches("error: ").to_owned();
    // What is missing or possible stands on indented lines below the first.
    let mut first: String = text.lines().take(1).map(line).collect();
    for below in text.lines().skip(1).take_while(|l| l.starts_with("  ")) {
        first = format!("{first} {}", below.trim());
    }
    let mut parts = vec![first];
    parts.extend(text.lines().map(str::trim).filter(|l| l.starts_with("tip:")).map(line));
    parts.push("see `tsumiage --help`".to_owned());
    parts.join("; ")
}

/// The first option given that the command would ignore: an answer to another question than was asked.
fn ignored_option(cli: &Cli) -> Option<&'static str> {
    use Command::{
        Close, Findings, Ingest, Khs, Layouts, Nightly, Plan, Query, Rebuild, Reopen, Resolve, Sink,
        Snapshots, Status, Synth, Timeline, Withdraw, Worker,
    };
    let common = &cli.common;
    let given = [
        ("--on", common.on.is_some()),
        ("--as-of", common.as_of.is_some()),
        ("--months", common.months.is_some()),
        ("--inheritance", common.inheritance.is_some()),
        ("--snapshot", common.snapshot.is_some()),
        ("--layouts", common.layouts.is_some()),
        ("--profile", common.profile.is_some()),
    ];
    let used: &[&str] = match &cli.command {
        Nightly(_) => &["--on", "--as-of", "--months", "--inheritance", "--layouts", "--profile"],
        Worker(_) => &["--on", "--layouts", "--profile"],
        Ingest(_) => &["--on", "--months", "--inheritance", "--layouts", "--profile"],
        Sink(_) => &["--months", "--inheritance", "--layouts", "--profile"], // the settings of a first run
        Resolve(_) | Plan => &["--as-of", "--months", "--inheritance", "--layouts", "--profile"],
        Timeline(_) => &["--as-of", "--inheritance", "--layouts", "--profile"],
        Findings(_) => &["--on", "--snapshot", "--layouts"],
        Query { .. } => &["--snapshot", "--layouts"],
        Withdraw(_) | Reopen(_) => &["--on"],
        Close(_) => &["--on", "--layouts", "--profile"],
        Synth(_) => &["--months"],
        Rebuild(_) | Layouts { .. } => &["--layouts", "--profile"],
        Khs { action: KhsAction::Load { .. } | KhsAction::Fetch(_) } => &["--on", "--layouts", "--profile"],
        Khs { action: KhsAction::Serve(_) } => &["--on", "--layouts", "--profile"],
        Status | Snapshots { .. } | Khs { .. } => &[],
    };
    let uses_kafka = matches!(cli.command, Nightly(_) | Ingest(_) | Worker(_) | Sink(_));
    let ignored = given.into_iter().find(|(name, given)| *given && !used.contains(name));
    let of_kafka = common.kafka.given().into_iter().find(|(_, given)| *given && !uses_kafka);
    let of_data = Some(("--data", true)).filter(|_| common.data_given && matches!(cli.command, Worker(_)));
    ignored.or(of_kafka).or(of_data).map(|(name, _)| name)
}

/// Refuses what only makes sense where something arrived already.
fn expect_data_folder(common: &args::Common) -> Result<(), Usage> {
    if common.data.join("archive").is_dir() {
        return Ok(());
    }
    Err(Usage(format!("{} is no data folder yet; check --data", common.data.display())))
}

fn dispatch(cli: &Cli, console: &Console<'_>) -> anyhow::Result<Exit> {
    if let Some(option) = ignored_option(cli) {
        return Err(Usage(format!("this command has no use for {option}; leave it out")).into());
    }
    let common = &cli.common;
    common.kafka.choice()?; // wrong usage, whatever the command
    match &cli.command {
        Command::Nightly(intake) => nightly::nightly(common, intake, console),
        Command::Ingest(intake) => nightly::ingest(common, intake, console),
        Command::Worker(args) => worker::worker(common, args, console),
        Command::Sink(args) => sink::sink(common, args, console),
        Command::Resolve(reporting) => nightly::resolve_only(common, reporting, console),
        Command::Withdraw(args) => withdraw::withdraw(common, args, console),
        Command::Close(args) => close::close(common, args, console),
        Command::Reopen(args) => reopen::reopen(common, args, console),
        Command::Rebuild(reporting) => rebuild::rebuild_all(common, reporting, console),
        Command::Plan => plan::planned(common, console),
        Command::Status => status::status(common, console),
        Command::Timeline(args) => timeline::timeline(common, args, console),
        Command::Findings(args) => findings::findings(common, args, console),
        Command::Snapshots { action } => snapshots::snapshots(common, action, console),
        Command::Layouts { action } => layouts::layouts(common, action, console),
        Command::Khs { action } => khs::khs(common, action, console),
        Command::Query { sql } => query::query(common, sql, console),
        Command::Synth(args) => synth::synth(common, args, console),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::error::DataFusionError;

    #[test]
    fn a_full_disk_is_told_once_with_what_to_do() {
        let full = || std::io::Error::from_raw_os_error(28);
        let spilled = anyhow::Error::from(DataFusionError::IoError(full())).context("sorting");
        let written = disk::DiskError::new(std::path::Path::new("/data/x"), full()).into();
        for error in [spilled, written] {
            let text = one_line(&error);
            assert_eq!(text.matches("free some space and run again").count(), 1, "{text}");
        }
        let other = anyhow::anyhow!("broken");
        assert_eq!(one_line(&other), "broken");
    }
}
