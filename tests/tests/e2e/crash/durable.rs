//! What is synced before what, as the system sees it (strace): a power cut must find everything that counts.
//!
//! * a file has its bytes on the disk before it gets its name, and its name before the run goes on
//! * a manifest of the ledger comes after all runs and findings and their folders, the note of an arrival after its bytes
//! * a snapshot gets its name after all its files and folders, `LATEST` after the name

use super::life::Life;
use crate::kafka_broker::process::program;
use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

/// What a run did with the disk: when it began (its line in the trace) and when it was done.
#[derive(Debug)]
struct Call {
    begun: usize,
    done: usize,
    what: What,
}

#[derive(Debug)]
enum What {
    /// A file was made.
    Made(String),
    Folder(String),
    Synced(String),
    /// Everything on the file system of the data folder.
    SyncedAll,
    /// From, to; also by a link.
    Named(String, String),
}

const CALLS: &str =
    "openat,mkdir,mkdirat,fsync,fdatasync,syncfs,rename,renameat,renameat2,link,linkat,symlink,symlinkat";

/// Runs a step under strace; none, said loudly, where that cannot be.
fn traced(life: &Life, step: usize, data: &Path) -> Option<Vec<Call>> {
    let trace = data.with_extension("strace");
    let mut command = Command::new("strace");
    command.args(["-f", "-y", "-qq", "-s", "4096", "-e", &format!("trace={CALLS}"), "-o"]).arg(&trace);
    command.arg(program()).args(life.args(step, data)).stdin(Stdio::null());
    match command.output() {
        Ok(output) if matches!(output.status.code(), Some(0 | 2)) => {}
        other => {
            let said =
                format!("SKIPPED: TESTS OF WHAT IS SYNCED (strace is missing or may not trace: {other:?})\n");
            std::io::stderr().write_all(said.as_bytes()).unwrap(); // not kept back like what a test prints
            return None;
        }
    }
    let data = data.canonicalize().unwrap().display().to_string();
    Some(calls(&fs::read_to_string(trace).unwrap(), &format!("{data}/")))
}

/// The calls of a trace that succeeded, on paths below the data folder; the folder itself is the empty path.
fn calls(trace: &str, data: &str) -> Vec<Call> {
    let (mut calls, mut open): (Vec<Call>, BTreeMap<&str, (usize, &str)>) = (Vec::new(), BTreeMap::new());
    for (at, line) in trace.lines().enumerate() {
        let (pid, rest) = line.split_once(' ').unwrap();
        let rest = rest.trim_start();
        if let Some(begin) = rest.strip_suffix(" <unfinished ...>") {
            open.insert(pid, (at, begin));
            continue;
        }
        let (begun, text) = match rest.strip_prefix("<... ") {
            Some(resumed) => {
                let Some((begun, begin)) = open.remove(pid) else { continue };
                (begun, format!("{begin}{}", resumed.split_once("resumed>").unwrap().1))
            }
            None => (at, rest.to_owned()),
        };
        if let Some(what) = what(&text, data) {
            calls.push(Call { begun, done: at, what });
        }
    }
    calls
}

fn what(text: &str, data: &str) -> Option<What> {
    let (call, result) = text.rsplit_once(" = ")?;
    if result.starts_with('-') {
        return None;
    }
    let (name, args) = call.split_once('(')?;
    let below =
        |path: &str| format!("{path}/").strip_prefix(data).map(|p| p.trim_end_matches('/').to_owned());
    let paths: Vec<&str> = args.split('"').skip(1).step_by(2).collect();
    match name {
        "openat" if args.contains("O_CREAT") => Some(What::Made(below(paths.first()?)?)),
        "mkdir" | "mkdirat" => Some(What::Folder(below(paths.first()?)?)),
        "fsync" | "fdatasync" => Some(What::Synced(below(args.split('<').nth(1)?.split('>').next()?)?)),
        "syncfs" => Some(What::SyncedAll),
        "openat" => None,
        _ => Some(What::Named(below(paths.first()?).unwrap_or_default(), below(paths.get(1)?)?)),
    }
}

fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}

/// Scratch, or made again from the archive.
fn need_not_last(path: &str) -> bool {
    ["log/", "temp/", "ledger/.aside", ".rebuild/ledger/.aside", ".lock", "archive/events/."]
        .iter()
        .any(|begins| path.starts_with(begins))
        || path == "log"
        || path == "temp"
}

/// Whether a path was synced between two lines.
fn synced(calls: &[Call], path: &str, after: usize, before: usize) -> bool {
    calls.iter().any(|call| {
        let it = match &call.what {
            What::Synced(synced) => synced == path,
            What::SyncedAll => true,
            _ => false,
        };
        it && call.begun > after && call.done < before
    })
}

/// When a path got its name.
fn named<'c>(calls: &'c [Call], ends: &'c str) -> impl Iterator<Item = (&'c Call, &'c str)> {
    let to = move |call: &'c Call| match &call.what {
        What::Named(_, to) if to.ends_with(ends) => Some((call, to.as_str())),
        _ => None,
    };
    calls.iter().filter_map(to)
}

/// Faults of any run.
fn faults(calls: &[Call]) -> Vec<String> {
    let mut faults = Vec::new();
    let later = |path: &str, call: &Call| synced(calls, path, call.done, usize::MAX);
    for call in calls {
        let (path, is_file) = match &call.what {
            What::Made(path) => (path, true),
            What::Folder(path) | What::Named(_, path) => (path, false),
            What::Synced(_) | What::SyncedAll => continue,
        };
        if need_not_last(path) {
            continue;
        }
        if is_file && !later(path, call) {
            faults.push(format!("{path} is never synced"));
        }
        if !is_file && !later(parent(path), call) {
            faults.push(format!("the name {path} is never synced"));
        }
        if let What::Named(from, _) = &call.what
            && from.contains(".part-")
            && !synced(calls, from, 0, call.begun)
        {
            faults.push(format!("{path} gets its name before its bytes are synced"));
        }
    }
    faults
}

/// What must be on the disk, with its name in its folder, before something else gets its name.
fn not_before(calls: &[Call], counts: &Call, name: &str, needs: impl Fn(&str) -> bool) -> Vec<String> {
    let mut faults = Vec::new();
    for call in calls.iter().filter(|call| call.done < counts.begun) {
        let (path, is_file) = match &call.what {
            What::Made(path) => (path, true),
            What::Folder(path) | What::Named(_, path) => (path, false),
            What::Synced(_) | What::SyncedAll => continue,
        };
        if needs(path) && is_file && !synced(calls, path, call.done, counts.begun) {
            faults.push(format!("{name} counts before the bytes of {path} are synced"));
        }
        if needs(path) && !synced(calls, parent(path), call.done, counts.begun) {
            faults.push(format!("{name} counts before the name of {path} is synced"));
        }
    }
    faults
}

#[test]
fn what_counts_is_synced_before_it_counts() {
    let (life, folder) = (Life::shared(), tempfile::tempdir().unwrap());
    // The first night of a data folder, one that shares files, an arrival anew, a closing, a rebuild.
    for step in [0, 1, 3, 5, 8] {
        let data = folder.path().join(format!("data-{step}"));
        life.data_before(step, &data);
        let Some(calls) = traced(&life, step, &data) else { return };
        let mut found = faults(&calls);
        let mut counted = 0;
        for (manifest, name) in named(&calls, ".json").filter(|(_, to)| to.contains("ledger/manifests/")) {
            let ledger = name.split("manifests/").next().unwrap();
            let needs = |path: &str| {
                path.starts_with(&format!("{ledger}f")) || path.starts_with(&format!("{ledger}r"))
            };
            found.extend(not_before(&calls, manifest, name, needs));
            counted += 1;
        }
        for (note, name) in named(&calls, ".json").filter(|(_, to)| to.starts_with("archive/")) {
            let bytes = name.trim_end_matches(".json");
            found.extend(not_before(&calls, note, name, |path| path == bytes));
            counted += 1;
        }
        for (snapshot, name) in named(&calls, "")
            .filter(|(call, _)| matches!(&call.what, What::Named(from, _) if from == "snapshots/.building"))
        {
            found.extend(not_before(&calls, snapshot, name, |path| path.starts_with("snapshots/.building/")));
            let (latest, _) = named(&calls, "snapshots/LATEST").next().unwrap_or((snapshot, ""));
            if latest.begun != snapshot.begun {
                found.extend(not_before(&calls, latest, "LATEST", |path| {
                    path == name || path == "snapshots/latest"
                }));
            }
            counted += 1;
        }
        assert!(found.is_empty(), "step {step}:\n{}", found.join("\n"));
        assert!(counted > 0, "step {step}: nothing was seen to count");
    }
}
