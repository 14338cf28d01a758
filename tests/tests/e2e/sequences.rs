//! Random sequences of uploads, corrections, withdrawals, membership changes, closings and settings: what an
//! incremental resolve publishes is, byte for byte, what one from scratch publishes.
//!
//! `SOAK=1` runs thousands of sequences, `TSUMIAGE_TEST_SEED` begins with another seed.

use crate::place::{hashes, manifest};
use crate::support::{snapshot_of, tsumiage};
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use tsumiage_pipeline::archive::hash_file;
use tsumiage_schemas::Spec;
use tsumiage_tests::oracle::FileFact;
use tsumiage_tests::random::{Rng, ledger, union_ledger, write_into};

/// Sequences in all, over [`PARTS`] tests that run side by side.
const SEQUENCES: u64 = 50;
const PARTS: u64 = 5;

/// Steps of a sequence.
const STEPS: usize = 20;

/// Months to publish: few, so that files are few.
const WINDOWS: [&str; 3] = ["2024-09..2024-10", "2024-10..2025-01", "2025-03..2025-05"];

fn is_soak() -> bool {
    std::env::var_os("SOAK").is_some()
}

fn first_seed() -> u64 {
    std::env::var("TSUMIAGE_TEST_SEED").map_or(1, |seed| seed.parse().unwrap())
}

macro_rules! parts {
    ($($name:ident $part:literal)*) => { $(#[test] fn $name() { part($part); })* };
}

parts! { sequences_0 0 sequences_1 1 sequences_2 2 sequences_3 3 sequences_4 4 }

/// Every fifth sequence.
fn part(part: u64) {
    let all = if is_soak() { SEQUENCES * 40 } else { SEQUENCES };
    let mut done = Done::default();
    for sequence in (part..all).step_by(PARTS as usize) {
        let seed = first_seed() + sequence;
        let mut life = Life::new(seed);
        for step in 0..STEPS {
            life.context = format!("seed {seed}, step {step}");
            life.step();
        }
        life.end();
        done.add(&life.done);
    }
    println!("{done:?}");
    // The test would tell nothing if all were made again, or nothing.
    assert!(done.standing > 100 && done.again > 100 && done.months > 0, "{done:?}");
    assert!(
        done.compared > 40 && done.changed_snapshots > 40 && done.damaged > 0 && done.cards > 5,
        "{done:?}"
    );
}

/// What sequences did.
#[derive(Clone, Debug, Default)]
struct Done {
    standing: u64,
    again: u64,
    months: u64,
    compared: u64,
    changed_snapshots: u64,
    damaged: u64,
    withdrawals: u64,
    closings: u64,
    reopenings: u64,
    cards: u64,
}

impl Done {
    fn add(&mut self, other: &Done) {
        self.standing += other.standing;
        self.again += other.again;
        self.months += other.months;
        self.compared += other.compared;
        self.changed_snapshots += other.changed_snapshots;
        self.damaged += other.damaged;
        self.withdrawals += other.withdrawals;
        self.closings += other.closings;
        self.reopenings += other.reopenings;
        self.cards += other.cards;
    }
}

/// A data folder and the files that are still to come.
struct Life {
    folder: tempfile::TempDir,
    /// Files by take-in day, the next one last.
    deck: Vec<FileFact>,
    /// Files given before, with their day.
    given: Vec<FileFact>,
    day: i32,
    rng: Rng,
    context: String,
    done: Done,
}

/// In memory if there is such a folder: every step makes hundreds of files durable.
fn folder() -> tempfile::TempDir {
    match Path::new("/dev/shm") {
        memory if memory.is_dir() => tempfile::tempdir_in(memory).unwrap(),
        _ => tempfile::tempdir().unwrap(),
    }
}

impl Life {
    fn new(seed: u64) -> Life {
        let mut rng = Rng::new(seed);
        // Unions, or a few insurers by themselves.
        let mut deck = match rng.below(4) {
            0 => ledger(seed, 12),
            _ => union_ledger(seed, 1, 10),
        };
        let folder = folder();
        let (inbox, data) = (folder.path().join("inbox"), folder.path().join("data"));
        fs::create_dir_all(&inbox).unwrap();
        fs::create_dir_all(&data).unwrap();
        write_into(&inbox, &Spec::embedded().unwrap(), &mut deck).unwrap();
        deck.sort_by_key(|file| std::cmp::Reverse(file.taken_in_on));
        let day = deck.last().unwrap().taken_in_on;
        let life =
            Life { folder, deck, given: Vec::new(), day, rng, context: String::new(), done: Done::default() };
        life.settings(&format!("months = \"{}\"\n", WINDOWS[1]));
        life
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn settings(&self, text: &str) {
        fs::write(self.data().join("settings.toml"), text).unwrap();
    }

    fn run(&self, args: &[&str]) -> String {
        let data = self.data().display().to_string();
        tsumiage(args.iter().copied().chain(["--data", &data]))
    }

    fn on(&self) -> String {
        format!("{:04}-{:02}-{:02}", self.day / 10_000, self.day / 100 % 100, self.day % 100)
    }

    /// A random next step.
    fn step(&mut self) {
        let begun = !self.given.is_empty();
        match self.rng.below(100) {
            _ if !begun => self.arrive("nightly"),
            0..55 => self.arrive("nightly"),
            55..60 => self.arrive("ingest"),
            60..62 => self.cards(),
            62..66 => self.again(),
            66..76 => self.withdraw(),
            76..79 => self.close(),
            79..81 => self.reopen(),
            81..84 => self.as_of(),
            84..89 => self.other_settings(),
            89..93 => self.damage(),
            93..95 => self.rebuild(),
            95..96 => self.remove(),
            96..98 => self.cards(),
            _ => self.resolve(&[]),
        }
    }

    /// The next files, some on a later day.
    fn arrive(&mut self, command: &str) {
        let count = 1 + self.rng.below(6);
        let Some(first) = self.deck.last() else { return self.resolve(&[]) };
        self.day = self.day.max(first.taken_in_on);
        let of_day = |file: &FileFact| file.taken_in_on <= self.day;
        let count = self.deck.iter().rev().take(count).take_while(|file| of_day(file)).count();
        let files = self.deck.split_off(self.deck.len() - count);
        self.give(command, &files);
        self.given.extend(files);
    }

    /// Files that were given before.
    fn again(&mut self) {
        let file = self.given[self.rng.below(self.given.len())].clone();
        self.give("nightly", &[file]);
    }

    fn give(&mut self, command: &str, files: &[FileFact]) {
        let on = self.on();
        let inbox = self.folder.path().join("inbox");
        let paths: Vec<String> = files.iter().map(|f| inbox.join(&f.name).display().to_string()).collect();
        let args: Vec<&str> =
            [command, "--on", &on].into_iter().chain(paths.iter().map(String::as_str)).collect();
        let out = self.run(&args);
        if command == "nightly" {
            self.published(&out, &[]);
        }
    }

    fn withdraw(&mut self) {
        let file = &self.given[self.rng.below(self.given.len())];
        let records = file.records.len() + file.registry.len();
        let what = match self.rng.below(3) {
            0 => file.hash.clone(),
            _ => format!("{}:{}", file.hash, 2 + self.rng.below(records)),
        };
        self.run(&["withdraw", &what, "--reason", "誤送付", "--on", &self.on()]);
        self.done.withdrawals += 1;
        self.resolve(&[]);
    }

    /// Closes a month that has begun; mostly an early one, so that files still come.
    fn close(&mut self) {
        let month = self.given[self.rng.below(self.given.len())].processing_month.min(self.day / 100);
        let month = format!("{:04}-{:02}", month / 100, month % 100);
        let out = self.run(&["close", &month, "--on", &self.on()]);
        self.done.closings += 1;
        self.published(&out, &["--as-of", &month]);
    }

    /// Opens the newest closed month again, if there is one.
    fn reopen(&mut self) {
        let status = self.run(&["status", "--format", "json"]);
        let status: serde_json::Value = serde_json::from_str(&status).unwrap();
        if let Some(month) = status["closed_through"].as_str() {
            self.run(&["reopen", month, "--reason", "追加の訂正", "--on", &self.on()]);
            self.done.reopenings += 1;
            self.resolve(&[]);
        }
    }

    /// The status of a few insurance cards comes.
    fn cards(&mut self) {
        let line = |rng: &mut Rng| {
            let (member, person, status) = (rng.below(3), rng.below(6), rng.below(3));
            format!("14{member:04},{person:010},{status},,\r\n")
        };
        let lines: String = (0..1 + self.rng.below(4)).map(|_| line(&mut self.rng)).collect();
        let path = self.folder.path().join("cards.csv");
        fs::write(&path, lines).unwrap();
        self.run(&["khs", "load", "--on", &self.on(), &path.display().to_string()]);
        self.done.cards += 1;
        self.resolve(&[]);
    }

    /// Removes old snapshots; those that stay keep what they share.
    fn remove(&mut self) {
        self.run(&["snapshots", "gc", "--keep", "1"]);
        self.run(&["snapshots", "verify"]);
        self.resolve(&[]);
    }

    fn as_of(&mut self) {
        let month = self.given[self.rng.below(self.given.len())].processing_month;
        let month = format!("{:04}-{:02}", month / 100, month % 100);
        self.resolve(&["--as-of", &month]);
    }

    fn other_settings(&mut self) {
        let window = WINDOWS[self.rng.below(WINDOWS.len())];
        let mode = if self.rng.below(4) == 0 { "lazy" } else { "arrival" };
        self.settings(&format!("months = \"{window}\"\ninheritance = \"{mode}\"\n"));
        self.resolve(&[]);
    }

    fn rebuild(&mut self) {
        let out = self.run(&["rebuild"]);
        self.published(&out, &[]);
    }

    fn resolve(&mut self, options: &[&str]) {
        let out = self.run(&[&["resolve"], options].concat());
        self.published(&out, options);
    }

    /// Changes a byte of a published file; what is published next must not take it over.
    fn damage(&mut self) {
        let snapshot = self.data().join("snapshots/latest");
        let Ok(snapshot) = snapshot.canonicalize() else { return };
        let files = manifest(&snapshot)["files"].as_array().unwrap().clone();
        let tables: Vec<&str> = files
            .iter()
            .filter_map(|file| file["path"].as_str())
            .filter(|path| ["recipient_", "findings/", "khs/"].iter().any(|table| path.starts_with(table)))
            .collect();
        let path = snapshot.join(tables[self.rng.below(tables.len())]);
        let mut bytes = fs::read(&path).unwrap();
        let at = self.rng.below(bytes.len());
        bytes[at] ^= 1;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        fs::write(&path, bytes).unwrap();
        self.done.damaged += 1;
        self.arrive("nightly");
        // Snapshots that share the damaged file are gone for the comparison of those to come.
        for entry in fs::read_dir(self.data().join("snapshots")).unwrap() {
            let folder = entry.unwrap().path();
            let name = folder.file_name().unwrap().to_string_lossy().into_owned();
            let number: Option<u32> = name.split('-').next().and_then(|number| number.parse().ok());
            if number.is_some() && !folder.ends_with(self.latest()) {
                fs::remove_dir_all(folder).unwrap();
            }
        }
    }

    fn latest(&self) -> String {
        fs::read_to_string(self.data().join("snapshots/LATEST")).unwrap().trim().to_owned()
    }

    /// Compares a snapshot with one from scratch, most of the time.
    fn published(&mut self, out: &str, options: &[&str]) {
        let snapshot = snapshot_of(out);
        self.count(out);
        self.shared(&snapshot);
        if self.rng.below(4) == 0 {
            let scratch = self.copy(&["archive", "ledger", "settings.toml"]);
            let data = scratch.path().join("data").display().to_string();
            let args = [&["resolve", "--data", &data], options].concat();
            self.compare(&snapshot, &snapshot_of(&tsumiage(args)));
        }
    }

    fn count(&mut self, out: &str) {
        let words = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        let Some(line) = out.lines().find(|line| line.starts_with("resolve ")) else { return };
        // resolve    3 of 14 units, …
        if let [_, again, _, all, ..] = words(line).as_slice()
            && let (Ok(again), Ok(all)) = (again.parse::<u64>(), all.parse::<u64>())
        {
            self.done.again += again;
            self.done.standing += all - again;
            self.done.changed_snapshots += 1;
            self.done.months += u64::from(out.contains("as before"));
        }
    }

    /// Files that equal those of the snapshot that stood before are the same files on disk.
    fn shared(&self, snapshot: &Path) {
        let mut names: Vec<PathBuf> =
            fs::read_dir(snapshot.parent().unwrap()).unwrap().map(|e| e.unwrap().path()).collect();
        names.retain(|path| path.join("manifest.json").is_file() && !path.is_symlink());
        names.sort();
        let Some(at) = names.iter().position(|path| path == snapshot).filter(|at| *at > 0) else { return };
        let of = |path: &Path| -> BTreeMap<String, String> {
            let files = manifest(path)["files"].as_array().unwrap().clone();
            let text = |v: &serde_json::Value| v.as_str().unwrap().to_owned();
            files.iter().map(|file| (text(&file["path"]), text(&file["sha256"]))).collect()
        };
        let (before, now) = (&names[at - 1], of(snapshot));
        for (path, hash) in of(before).into_iter().filter(|(path, hash)| now.get(path) == Some(hash)) {
            let inode = |folder: &Path| folder.join(&path).metadata().unwrap().ino();
            if hash_file(&before.join(&path)).unwrap() != hash {
                continue; // damaged since
            }
            assert_eq!(inode(before), inode(snapshot), "{}: {path} {hash} is there twice", self.context);
        }
    }

    /// A copy of parts of the data folder, by links.
    fn copy(&self, parts: &[&str]) -> tempfile::TempDir {
        let scratch = folder();
        for part in parts {
            link_tree(&self.data().join(part), &scratch.path().join("data").join(part));
        }
        scratch
    }

    fn compare(&mut self, incremental: &Path, scratch: &Path) {
        self.done.compared += 1;
        if hashes(incremental) == hashes(scratch) {
            return;
        }
        let of = |path: &Path| manifest(path)["files"].as_array().unwrap().clone();
        let (a, b) = (of(incremental), of(scratch));
        let differ: Vec<String> = a
            .iter()
            .filter(|file| {
                !b.iter().any(|other| other["path"] == file["path"] && other["sha256"] == file["sha256"])
            })
            .chain(b.iter().filter(|file| !a.iter().any(|other| other["path"] == file["path"])))
            .map(|file| file["path"].as_str().unwrap().to_owned())
            .filter(|path| !path.starts_with("changes/"))
            .collect();
        let kept = std::env::temp_dir().join("sequence-that-failed");
        let _ = fs::remove_dir_all(&kept);
        link_or_copy(&self.data(), &kept);
        panic!(
            "{}: {} differs from scratch in {differ:?}; kept in {}",
            self.context,
            incremental.display(),
            kept.display()
        );
    }

    /// At the end everything is whole, and the archive alone gives the same.
    fn end(&mut self) {
        self.context.push_str(", end");
        self.resolve(&[]);
        let latest = self.data().join("snapshots").join(self.latest());
        self.run(&["snapshots", "verify"]);
        let scratch = self.copy(&["archive", "settings.toml"]);
        let data = scratch.path().join("data").display().to_string();
        let rebuilt = snapshot_of(&tsumiage(["rebuild", "--data", &data]));
        self.compare(&latest, &rebuilt);
    }
}

/// The same tree with hard links for files.
fn link_tree(from: &Path, to: &Path) {
    if from.is_dir() {
        fs::create_dir_all(to).unwrap();
        for entry in fs::read_dir(from).unwrap() {
            let entry = entry.unwrap();
            link_tree(&entry.path(), &to.join(entry.file_name()));
        }
    } else {
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::hard_link(from, to).unwrap();
    }
}

fn link_or_copy(from: &Path, to: &Path) {
    if from.is_symlink() {
        return;
    }
    if from.is_dir() {
        fs::create_dir_all(to).unwrap();
        for entry in fs::read_dir(from).unwrap() {
            let entry = entry.unwrap();
            link_or_copy(&entry.path(), &to.join(entry.file_name()));
        }
    } else {
        let _ = fs::copy(from, to);
    }
}
