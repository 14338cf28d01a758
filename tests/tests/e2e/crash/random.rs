//! The program killed (`kill -9`) at random moments of a longer life, and the same command run again, until it comes
//! to its end: the folder is then what it is undisturbed.
//!
//! The moments are drawn from a seed that is printed: any moment of a run, or shortly after a work is seen on the
//! disk. Where the machine stands then is not drawn, so that no two runs are the same. `TSUMIAGE_TEST_SEED` gives
//! another seed, `SOAK=1` makes it 300 kills.

use super::life::{Tree, folder, same, tree, whole};
use crate::kafka_broker::is_soak;
use crate::kafka_broker::kills::{Rng, seed};
use crate::kafka_broker::process::Process;
use crate::support::{names_in, tsumiage};
use std::collections::BTreeMap;
use std::fs::{self, DirEntry};
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};
use tsumiage_jobs::publish::snapshot::Snapshots;
use tsumiage_jobs::publish::verify::verify;
use tsumiage_pipeline::ledger::Ledger;

/// Kills that count, in CI and with `SOAK=1`.
const KILLS: [usize; 2] = [60, 300];

/// Lives are led at once.
const AT_ONCE: u64 = 2;

/// A new life is not begun when so much time has gone, if there were as many kills as CI wants.
const BOX: Duration = Duration::from_secs(180);

/// Most milliseconds between the begin of a work and a kill amidst it.
const AMIDST: u64 = 8;

/// A command is killed so often at most, then it may come to its end.
const OF_A_COMMAND: usize = 4;

/// What a run is seen to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Work {
    /// Nothing to be seen: it begins, or is done.
    Nothing,
    TakeIn,
    Ledger,
    Rebuild,
    Resolve,
    Publish,
}

/// Works whose begin a kill may wait for.
const AIMS: [Work; 5] = [Work::TakeIn, Work::Ledger, Work::Rebuild, Work::Resolve, Work::Publish];

impl Work {
    /// What the disk shows of a run that began then; what an earlier one left shows nothing.
    fn seen(data: &Path, since: SystemTime) -> Work {
        let is_new = |path: &Path| path.metadata().and_then(|m| m.modified()).is_ok_and(|at| at >= since);
        let has = |path: &str| is_new(&data.join(path));
        let new_in = |folder: &Path, begins: &str| -> bool {
            let ours = |entry: &DirEntry| entry.file_name().to_string_lossy().starts_with(begins);
            fs::read_dir(folder).is_ok_and(|found| found.flatten().any(|e| ours(&e) && is_new(&e.path())))
        };
        // Runs of a commit that has no manifest yet.
        let next = format!("{:08}-", names_in(&data.join("ledger/manifests")).len() + 1);
        let facts = data.join("ledger/facts");
        if has("snapshots/.building/manifest.json") {
            Work::Publish
        } else if has("snapshots/.building") {
            Work::Resolve
        } else if has(".rebuild") {
            Work::Rebuild
        } else if names_in(&facts).iter().any(|insurer| new_in(&facts.join(insurer), &next)) {
            Work::Ledger
        } else if new_in(&data.join("log"), "") || new_in(&data.join("archive"), ".part-") {
            Work::TakeIn
        } else {
            Work::Nothing
        }
    }
}

/// The commands of the life, in order.
fn commands(folder: &Path) -> Vec<Vec<String>> {
    let files = folder.join("files").display().to_string();
    tsumiage(["synth", "--out", &files, "--recipients", "300", "--months", "6", "--insurers", "6"]);
    let mut nights: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for name in names_in(Path::new(&files)) {
        let month = format!("{}-{}", &name[7..11], &name[11..13]);
        nights.entry(month).or_default().push(format!("{files}/{name}"));
    }
    let words = |words: &[&str]| -> Vec<String> { words.iter().map(|word| (*word).to_owned()).collect() };
    let mut commands: Vec<Vec<String>> = Vec::new();
    for (month, files) in &nights {
        commands.push([words(&["nightly", "--on", &format!("{month}-25")]), files.clone()].concat());
    }
    let (first, last) = (nights.keys().next().unwrap(), nights.keys().last().unwrap());
    commands.insert(4, words(&["close", first, "--on", &format!("{last}-20")]));
    commands.insert(6, words(&["rebuild"]));
    commands
}

/// A life led undisturbed: what came of it, how every command ended and how long it took.
struct Undisturbed {
    commands: Vec<Vec<String>>,
    ends: Vec<(i32, Duration)>,
    tree: Tree,
}

fn started(command: &[String], data: &Path) -> Process {
    let args = [command, &["--data".to_owned(), data.display().to_string()]].concat();
    Process::start(&args, &data.with_extension("said"))
}

impl Undisturbed {
    fn lead(folder: &Path) -> Undisturbed {
        let (commands, data) = (commands(folder), folder.join("undisturbed"));
        let mut ends = Vec::new();
        for command in &commands {
            let mut process = started(command, &data);
            let code = process.ends(Duration::from_secs(120));
            assert!(matches!(code, 0 | 2), "{}", process.said());
            ends.push((code, process.age()));
        }
        whole(&data);
        Undisturbed { commands, ends, tree: tree(&data) }
    }

    /// Leads the life with kills; how many struck what.
    fn disturb(&self, data: &Path, rng: &mut Rng) -> BTreeMap<Work, usize> {
        let mut struck = BTreeMap::new();
        for (command, (code, takes)) in self.commands.iter().zip(&self.ends) {
            for nth in 0..OF_A_COMMAND {
                // What is first done is done when it is run again: it is aimed at first.
                let aim = AIMS.get(if nth < 2 { nth } else { rng.below(2 * AIMS.len() as u64) as usize });
                if let Some(work) = killed(command, data, aim, *takes, rng) {
                    *struck.entry(work).or_default() += 1;
                }
            }
            let mut process = started(command, data);
            assert_eq!(process.ends(Duration::from_secs(120)), *code, "{}", process.said());
        }
        same(&self.tree, data, "after kills");
        struck
    }
}

/// Starts a command and kills it, at any moment or shortly after a work is seen; what that struck, none if it had ended.
fn killed(
    command: &[String],
    data: &Path,
    aim: Option<&Work>,
    takes: Duration,
    rng: &mut Rng,
) -> Option<Work> {
    let moment = rng.millis(if aim.is_some() { AMIDST } else { takes.as_millis() as u64 });
    // The clock of file systems is a little behind.
    let since = SystemTime::now() - Duration::from_millis(10);
    let mut process = started(command, data);
    while aim.is_some_and(|aim| Work::seen(data, since) != *aim) && process.age() < takes {
        std::thread::sleep(Duration::from_micros(200));
    }
    std::thread::sleep(moment);
    let struck = process.kill_if_it_runs().then(|| Work::seen(data, since));
    Ledger::open(data).unwrap();
    if data.join("snapshots").is_dir() {
        // Those before it are compared at the end.
        let newest = Snapshots::open(data).unwrap().list().unwrap().pop();
        assert!(newest.is_none_or(|newest| verify(&newest).unwrap().is_empty()));
    }
    struck
}

#[test]
fn whatever_kill_9_strikes_is_carried_on() {
    let (seed, wanted) = (seed(), KILLS[usize::from(is_soak())]);
    println!("seed {seed}: TSUMIAGE_TEST_SEED={seed} draws the same moments");
    let (folder, begun) = (folder(), Instant::now());
    let undisturbed = Undisturbed::lead(folder.path());
    let lives = |stream: u64| {
        let mut rng = Rng::new(seed * AT_ONCE + stream);
        let mut struck: BTreeMap<Work, usize> = BTreeMap::new();
        let enough = |struck: &BTreeMap<Work, usize>| {
            let kills = struck.values().sum::<usize>() * AT_ONCE as usize;
            kills >= wanted || (kills >= KILLS[0] && !is_soak() && begun.elapsed() > BOX)
        };
        for life in 0.. {
            let data = folder.path().join(format!("data-{stream}-{life}"));
            for (work, times) in undisturbed.disturb(&data, &mut rng) {
                *struck.entry(work).or_default() += times;
            }
            fs::remove_dir_all(data).unwrap();
            if enough(&struck) {
                break;
            }
        }
        struck
    };
    let mut struck: BTreeMap<Work, usize> = BTreeMap::new();
    std::thread::scope(|scope| {
        let streams: Vec<_> = (0..AT_ONCE).map(|stream| scope.spawn(move || lives(stream))).collect();
        for stream in streams {
            for (work, times) in stream.join().unwrap() {
                *struck.entry(work).or_default() += times;
            }
        }
    });
    let kills: usize = struck.values().sum();
    println!("seed {seed}: {kills} kills in {:?}, of runs at work on: {struck:?}", begun.elapsed());
    assert!(kills >= wanted, "too few: {struck:?}");
    for work in [Work::TakeIn, Work::Ledger, Work::Resolve] {
        assert!(struck.contains_key(&work), "none struck {work:?}: {struck:?}");
    }
}
