//! A small life of a data folder: nights with corrections, rejected files and a union's list, a withdrawal, a
//! closing, a rebuild, old snapshots that go. It is led once undisturbed; what a folder was before each step and after is kept.

use super::Ended;
use crate::place::Place;
use crate::support::tsumiage;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use tsumiage_jobs::publish::snapshot::Snapshots;
use tsumiage_jobs::publish::verify::verify;
use tsumiage_pipeline::archive::hash_file;
use tsumiage_pipeline::ledger::Ledger;

/// One command of a life.
pub struct Step {
    args: Vec<String>,
    /// The exit code it ends with.
    code: i32,
}

/// The passes of points in one step: point, path below the data folder.
type Passes = Vec<(String, String)>;

/// A life led undisturbed.
pub struct Life {
    /// Its files.
    _place: Place,
    folder: tempfile::TempDir,
    pub steps: Vec<Step>,
    /// What the data folder was before each step, and after the last.
    trees: Vec<Tree>,
    pub passes: Vec<Passes>,
}

/// What is in a data folder, by path: bytes, rights and number of links of files, targets of links. Not the runs' reports, which
/// tell of clocks, nor lock files.
pub type Tree = BTreeMap<String, String>;

static SHARED: Mutex<Weak<Life>> = Mutex::new(Weak::new());

fn samples(folder: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../samples").join(folder)
}

/// Files of a folder of samples whose names begin so.
fn sample_files(folder: &str, begins: &[&str]) -> Vec<String> {
    let mut files: Vec<String> = fs::read_dir(samples(folder))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| begins.iter().any(|begins| name.starts_with(begins)))
        .map(|name| samples(folder).join(name).display().to_string())
        .collect();
    files.sort();
    files
}

fn steps(place: &Place) -> Vec<Step> {
    let union = samples("union/inbox").display().to_string();
    let towns = sample_files("union/inbox", &["142018-202602", "142034-202602"]);
    let spring = sample_files("inbox", &["141003-202605", "141003-202606", "142018-202606"]);
    let autumn = sample_files("inbox", &["141003-202610", "142018-202609"]);
    let rejected = place.miscounted("rejected.csv", "2026-06");
    let early = place.file("early.csv", "2026-10", &[("80", "20261001", "1", "12")]);
    let late = place.file("late.csv", "2026-05", &[("60", "20260505", "1", "12")]);
    let cards = place.write_text("cards.csv", "142018,1400000010,1,,\r\n142034,1400000020,2,2026-09-01,\r\n");
    let withdrawn = hash_file(Path::new(&spring[0])).unwrap();
    let step = |code: i32, args: &[&str], files: &[String]| {
        let args = args.iter().map(|arg| (*arg).to_owned()).chain(files.iter().cloned()).collect();
        Step { args, code }
    };
    vec![
        step(0, &["nightly", "--on", "2026-03-01"], &towns),
        step(0, &["nightly", "--on", "2026-05-01", "--inbox", &union], &[]),
        step(2, &["nightly", "--on", "2026-08-01", &rejected, &early], &spring),
        step(2, &["ingest", "--recheck", "--on", "2026-09-21", &early], &[]),
        step(0, &["withdraw", &format!("{withdrawn}:2"), "--reason", "誤送付", "--on", "2026-09-22"], &[]),
        step(0, &["close", "2026-07", "--on", "2026-09-23"], &[]),
        step(2, &["nightly", "--on", "2026-09-24", &late], &[]),
        step(0, &["khs", "load", "--on", "2026-09-25", &cards], &[]),
        step(0, &["resolve", "--as-of", "2026-05"], &[]),
        step(0, &["rebuild"], &[]),
        step(2, &["nightly", "--on", "2026-11-01"], &autumn),
        step(0, &["snapshots", "gc", "--keep", "2"], &[]),
    ]
}

impl Life {
    /// The one life of all tests that run now.
    pub fn shared() -> Arc<Life> {
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(life) = shared.upgrade() {
            return life;
        }
        let life = Arc::new(Life::lead());
        *shared = Arc::downgrade(&life);
        life
    }

    fn lead() -> Life {
        let place = Place::new();
        let steps = steps(&place);
        let mut life = Life { _place: place, folder: folder(), steps, trees: Vec::new(), passes: Vec::new() };
        let data = life.before(0);
        fs::create_dir(&data).unwrap();
        for at in 0..life.steps.len() {
            life.trees.push(tree(&data));
            copy(&data, &life.before(at));
            let trace = life.folder.path().join("trace").display().to_string();
            life.run(at, &data, Some(&format!("trace={trace}")));
            whole(&data);
            life.passes.push(passes(&trace, &data));
            fs::remove_file(trace).unwrap();
        }
        life.trees.push(tree(&data));
        life
    }

    /// The data folder as it was before a step; that of the first is the one in which the life was led.
    fn before(&self, step: usize) -> PathBuf {
        self.folder.path().join(if step == 0 { "data".to_owned() } else { format!("before-{step}") })
    }

    /// A data folder of one's own as it was before a step.
    pub fn data_before(&self, step: usize, data: &Path) {
        if step == 0 { fs::create_dir(data).unwrap() } else { copy(&self.before(step), data) }
    }

    /// Runs the command of a step to its end.
    pub fn run(&self, step: usize, data: &Path, fail: Option<&str>) {
        let ended = self.start(step, data, fail);
        let Step { args, code } = &self.steps[step];
        assert_eq!(ended.code, Some(*code), "{args:?}, {fail:?}: {ended:?}");
    }

    /// Runs the command of a step, however it ends.
    pub fn start(&self, step: usize, data: &Path, fail: Option<&str>) -> Ended {
        Ended::of(&self.args(step, data), fail)
    }

    /// The command line of a step.
    pub fn args(&self, step: usize, data: &Path) -> Vec<String> {
        let to = ["--data".to_owned(), data.display().to_string()];
        self.steps[step].args.iter().cloned().chain(to).collect()
    }

    /// What a step that did not come to its end left: what is published and archived stands as it did, what is newly
    /// published is whole, the ledger opens, and who reads finds an answer.
    pub fn lost_nothing(&self, step: usize, data: &Path) {
        let (before, stands) = (&self.trees[step], tree(data));
        let unlinked =
            |what: &String| what.split(" links").next().unwrap().rsplit_once(", ").map(|(w, _)| w.to_owned());
        for (path, what) in before {
            let is_note = path.starts_with("archive/") && path.ends_with(".json");
            // Old snapshots may be what the step removes.
            let published = path.starts_with("snapshots/0") && self.trees[step + 1].contains_key(path);
            let stays = published || path.starts_with("archive/");
            let same = stands.get(path).is_some_and(|now| is_note || unlinked(now) == unlinked(what));
            assert!(!stays || same, "{path} ({what}) is lost: {:?}", stands.get(path));
        }
        Ledger::open(data).unwrap();
        for snapshot in Snapshots::open(data).unwrap().list().unwrap() {
            if !before.contains_key(&format!("snapshots/{}/", snapshot.manifest.id)) {
                assert!(verify(&snapshot).unwrap().is_empty(), "{}", snapshot.path.display());
            }
        }
        // Between the two renames of a rebuild there is no ledger, until the next run gives the new one its name.
        if stands.contains_key("snapshots/LATEST") && stands.contains_key("ledger/") {
            tsumiage(["status", "--data", &data.display().to_string()]);
        }
    }

    /// After a step the folder must be what it was in the undisturbed life: then it goes on as that did. With
    /// `to_the_end` it really does.
    pub fn is_as_undisturbed(&self, step: usize, data: &Path, to_the_end: bool, what: &str) {
        // `--recheck` reads and commits again what it finds rejected: the ledger alone may tell.
        let commits_again = self.steps[step].args.iter().any(|arg| arg == "--recheck");
        let but = commits_again.then_some("ledger/");
        same_but(&self.trees[step + 1], data, but, what);
        if !to_the_end && !commits_again {
            return;
        }
        for later in step + 1..self.steps.len() {
            self.run(later, data, None);
        }
        same_but(self.trees.last().unwrap(), data, but, what);
    }
}

/// Fails with what differs.
pub fn same(undisturbed: &Tree, data: &Path, what: &str) {
    same_but(undisturbed, data, None, what);
}

fn same_but(undisturbed: &Tree, data: &Path, but: Option<&str>, what: &str) {
    let found = tree(data);
    let all: BTreeSet<&String> = undisturbed.keys().chain(found.keys()).collect();
    let differ: Vec<String> = all
        .into_iter()
        .filter(|path| but.is_none_or(|but| !path.starts_with(but)))
        .filter(|path| undisturbed.get(*path) != found.get(*path))
        .map(|path| format!("{path}: {:?}, should be {:?}", found.get(path), undisturbed.get(path)))
        .collect();
    assert!(differ.is_empty(), "{what}: other than undisturbed:\n{}", differ.join("\n"));
}

/// Every snapshot that can be seen is whole, the ledger opens, who reads finds an answer.
pub fn whole(data: &Path) {
    Ledger::open(data).unwrap();
    let snapshots = Snapshots::open(data).unwrap();
    for snapshot in snapshots.list().unwrap() {
        assert!(verify(&snapshot).unwrap().is_empty(), "{}", snapshot.path.display());
    }
    if snapshots.latest_id().is_some() {
        tsumiage(["status", "--data", &data.display().to_string()]);
    }
}

/// A folder of one's own, in memory where there is room: whether a kill is survived does not hang on the disk, and
/// most of the time would go into syncing.
pub fn folder() -> tempfile::TempDir {
    const ROOM: u64 = 1 << 20;
    static HAS_ROOM: OnceLock<bool> = OnceLock::new();
    let memory = Path::new("/dev/shm");
    let has_room = HAS_ROOM.get_or_init(|| memory.is_dir() && kib(memory, "avail") > ROOM);
    if *has_room { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.unwrap()
}

/// What `df` says of a file system: `used` or `avail`.
pub fn kib(at: &Path, what: &str) -> u64 {
    let output = Command::new("df").args(["-k", &format!("--output={what}")]).arg(at).output().unwrap();
    String::from_utf8(output.stdout).unwrap().lines().last().unwrap().trim().parse().unwrap()
}

fn passes(trace: &str, data: &Path) -> Passes {
    let data = data.canonicalize().unwrap();
    let below = |path: &str| {
        let path = Path::new(path);
        path.strip_prefix(&data).map_or_else(|_| "outside".to_owned(), |p| p.display().to_string())
    };
    let text = fs::read_to_string(trace).unwrap_or_default();
    let lines = text.lines().map(|line| line.split_once('\t').unwrap());
    lines.map(|(point, path)| (point.to_owned(), below(path))).collect()
}

/// Copies a folder with its links.
fn copy(from: &Path, to: &Path) {
    if from != to {
        assert!(Command::new("cp").arg("-a").args([from, to]).status().unwrap().success());
    }
}

/// Of a data folder.
pub fn tree(data: &Path) -> Tree {
    let mut tree = Tree::new();
    add(data, "", &mut tree);
    tree
}

fn add(folder: &Path, prefix: &str, tree: &mut Tree) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = format!("{prefix}{}", path.file_name().unwrap().to_str().unwrap());
        let found = path.symlink_metadata().unwrap();
        if found.is_dir() {
            tree.insert(format!("{name}/"), format!("{:o}", found.mode() & 0o7777));
            add(&path, &format!("{name}/"), tree);
        } else if found.is_symlink() {
            tree.insert(name, format!("-> {}", fs::read_link(&path).unwrap().display()));
        } else if !is_report(&name)
            && !matches!(name.as_str(), ".lock" | "archive/events/.gate" | "archive/events/.arriving")
        {
            let (bytes, hash) = (found.len(), &hash_file(&path).unwrap()[..8]);
            tree.insert(
                name,
                format!("{bytes} bytes, {hash}, {:o}, {} links", found.mode() & 0o7777, found.nlink()),
            );
        }
    }
}

fn is_report(name: &str) -> bool {
    name.starts_with("reports/0") && name.ends_with(".json")
}
