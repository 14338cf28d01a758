//! `khs fetch`: asks a KHS API, and takes the answer in as any other file.

use super::super::args::{Common, FetchArgs};
use super::super::console::{Console, Progress};
use super::super::data_folder::{Busy, seconds_in_japan, spec_in_force, today_in_japan};
use super::super::{Exit, Usage};
use super::taken_in;
use crate::khs::fetch::{Link, Question, Trust, Watch, address, fetch as fetched};
use crate::khs::staging::put;
use crate::publish::snapshot::Snapshots;
use crate::published::memberships;
use crate::settings::Settings;
use serde_json::json;
use std::cell::OnceCell;
use std::path::Path;
use std::time::{Duration, Instant};
use tsumiage_pipeline::disk::io;
use tsumiage_pipeline::reader::khs::Asked;
use tsumiage_schemas::khs::name;
use tsumiage_schemas::{Day, Spec};
use url::Url;

/// So long a run that is at work is waited for.
const PATIENCE: Duration = Duration::from_secs(3_600);

/// Pause before its lock is tried again.
const PAUSE: Duration = Duration::from_secs(1);

/// Asks, and takes the answer in or puts it into an inbox.
pub fn fetch(common: &Common, args: &FetchArgs, console: &Console<'_>) -> anyhow::Result<Exit> {
    let spec = spec_in_force(common)?;
    checked(args, &spec)?;
    let settings = Settings::read(&common.data)?.unwrap_or_default().khs;
    let url = address(&args.url, args.file, &settings).map_err(|error| Usage(error.to_string()))?;
    let on = common.on.unwrap_or_else(today_in_japan);
    let members = members(&common.data, &args.insurer, on)?;
    let asked = Asked { insurer_no: Some(args.insurer.clone()), insured_no: args.insured.clone(), members };
    let question = Question { asked, by_file: args.file };
    let link = link(args, &url, console)?;
    let watcher = Watcher { console, progress: OnceCell::new() };
    let came = fetched(&link, &url, &question, &watcher)?;
    drop(watcher);
    if let Some(inbox) = &args.to_inbox {
        let path = put(inbox, on, time_of_day(), &came)?;
        console.event(&json!({"event": "fetched", "path": path}));
        if !console.json {
            console.print(&format!("fetched {}\n", path.display()))?;
        }
        return Ok(Exit::Done);
    }
    waiting(console, &|| taken_in("khs fetch", common, on, std::slice::from_ref(&came), console))
}

/// Takes in what was fetched; where another run is at work, once it has ended: an answer is not thrown away.
fn waiting(console: &Console<'_>, take_in: &dyn Fn() -> anyhow::Result<Exit>) -> anyhow::Result<Exit> {
    let begun = Instant::now();
    let mut told = false;
    loop {
        match take_in() {
            Err(error) if error.is::<Busy>() && begun.elapsed() < PATIENCE => {
                if !std::mem::replace(&mut told, true) {
                    console.note(&format!("{error}: waits for its end"));
                }
                std::thread::sleep(PAUSE);
            }
            ended => return ended,
        }
    }
}

/// Numbers as the interface wants them, and files that are there.
fn checked(args: &FetchArgs, spec: &Spec) -> Result<(), Usage> {
    let numbers = [
        ("--insurer", name::INSURER_NO, Some(&args.insurer)),
        ("--requester", name::INSURER_NO, args.requester.as_ref()),
        ("--insured", name::INSURED_NO, args.insured.as_ref()),
    ];
    for (option, name, number) in numbers {
        let field = spec.khs.json_request.field(name);
        if let (Some(field), Some(number)) = (field, number)
            && field.fault(number).is_some()
        {
            return Err(Usage(format!(
                "{option} wants a number of {} digits, leading zeros too",
                field.length
            )));
        }
    }
    if let Some(gone) = args.to_inbox.as_ref().filter(|folder| !folder.is_dir()) {
        return Err(Usage(format!("there is no inbox folder {}; check --to-inbox", gone.display())));
    }
    Ok(())
}

fn link(args: &FetchArgs, url: &Url, console: &Console<'_>) -> anyhow::Result<Link> {
    let path = &args.token_file;
    let text = std::fs::read_to_string(path).map_err(io(path))?;
    let token = text.lines().next().unwrap_or_default().trim();
    if token.is_empty() || !token.bytes().all(|b| b.is_ascii_graphic() || b == b' ') {
        return Err(Usage(format!("{} has no token on its first line", path.display())).into());
    }
    let is_here = matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
    if url.scheme() == "http" && !is_here {
        console.complain(
            "http: the token and people's records go over the network in the clear; https protects them",
        );
    }
    let trust = args.ca.as_deref().map(Trust::of).transpose()?.unwrap_or(Trust::Public);
    let requester = args.requester.as_ref().unwrap_or(&args.insurer);
    Ok(Link::new(token.to_owned(), requester.clone(), trust, args.attempts, url.scheme() == "https"))
}

/// The members that an insurer has on a day by the newest snapshot; none if there is none.
fn members(data: &Path, insurer_no: &str, on: Day) -> anyhow::Result<Option<Vec<String>>> {
    if !data.join("snapshots").is_dir() {
        return Ok(None);
    }
    let snapshots = Snapshots::open(data)?;
    let Some(latest) = snapshots.latest_id() else { return Ok(None) };
    let of = memberships(&snapshots.find(&latest)?)?;
    let holding = of.into_iter().filter(|of| of.union_no == insurer_no && of.holds(on));
    Ok(Some(holding.map(|of| of.member_no).collect()))
}

/// Hours, minutes and seconds in Japan, as HHMMSS.
fn time_of_day() -> u32 {
    let seconds = u32::try_from(seconds_in_japan().rem_euclid(86_400)).unwrap_or(0);
    seconds / 3_600 * 10_000 + seconds / 60 % 60 * 100 + seconds % 60
}

struct Watcher<'c, 'a> {
    console: &'c Console<'a>,
    /// From the first bytes of a download on.
    progress: OnceCell<Progress<'c, 'a>>,
}

impl Watch for Watcher<'_, '_> {
    fn note(&self, text: &str) {
        self.console.note(text);
    }

    fn came(&self, bytes: u64, of: u64) {
        self.progress.get_or_init(|| self.console.progress("download", "bytes")).at(bytes, of);
    }
}
