//! The worker as a whole, with a log in memory that can fail on command.

#![allow(clippy::unwrap_used)] // a test may fail loudly

mod claims;
mod desk;
mod faults;
mod several;

use super::*;
use crate::archive::{Archive, Arrival, hash_file};
use crate::events;
use crate::kafka::KafkaError;
use crate::log::{Attempt, Begun, Log, Seal};
use crate::stop::Stop;
use crate::take_in::FileOutcome;
use crate::writer::{FileHeader, Quoting, write_file};
use arrow::array::RecordBatch;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{LazyLock, Mutex};
use std::time::Instant;
use tsumiage_schemas::{FactTable, Finding, Spec};

static COMPILED: LazyLock<Arc<Compiled>> =
    LazyLock::new(|| Arc::new(Compiled::new(Arc::new(Spec::embedded().unwrap()))));

const TTL: Duration = Duration::from_millis(600);

/// A log in memory.
#[derive(Default)]
struct Memory {
    seals: Mutex<Vec<Seal>>,
    /// So many attempts fail from now on.
    fails: AtomicU32,
    /// So many milliseconds a seal takes.
    slow: AtomicU32,
}

impl Memory {
    fn seals(&self) -> Vec<Seal> {
        self.seals.lock().unwrap().clone()
    }

    fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = self.seals().into_iter().map(|seal| seal.arrival.name).collect();
        names.sort();
        names
    }
}

impl Log for Memory {
    fn begin(&self, _: &Begun<'_>) -> Result<Box<dyn Attempt + '_>, LogError> {
        let less = |left: u32| left.checked_sub(1);
        if self.fails.fetch_update(Ordering::SeqCst, Ordering::SeqCst, less).is_ok() {
            let (brokers, reason) = ("b:1".to_owned(), "on command".to_owned());
            return Err(KafkaError::Unreachable { brokers, reason }.into());
        }
        Ok(Box::new(InMemory(self)))
    }
}

struct InMemory<'a>(&'a Memory);

impl Attempt for InMemory<'_> {
    fn append(&mut self, _: FactTable, _: &RecordBatch) -> Result<(), LogError> {
        Ok(())
    }

    fn seal(self: Box<Self>, seal: &Seal, _: &[Finding]) -> Result<(), LogError> {
        std::thread::sleep(Duration::from_millis(u64::from(self.0.slow.load(Ordering::SeqCst))));
        self.0.seals.lock().unwrap().push(seal.clone());
        Ok(())
    }
}

/// What a worker told.
#[derive(Default)]
struct Told {
    outcomes: Mutex<Vec<FileOutcome>>,
    /// Name, how often, whether it is tried again.
    failures: Mutex<Vec<(Option<String>, u32, bool)>>,
    warnings: Mutex<Vec<String>>,
    waiting: Mutex<Waiting>,
}

impl Told {
    /// Names of files that were taken in, and of duplicates.
    fn names(&self, duplicate: bool) -> Vec<String> {
        let outcomes = self.outcomes.lock().unwrap();
        let mut names: Vec<String> =
            outcomes.iter().filter(|o| o.duplicate == duplicate).map(|o| o.name.clone()).collect();
        names.sort();
        names
    }
}

impl Watch for Told {
    fn began(&self, _: usize, _: u64) {}
    fn file(&self, outcome: &FileOutcome) {
        self.outcomes.lock().unwrap().push(outcome.clone());
    }
}

impl WorkerWatch for Told {
    fn waiting(&self, waiting: &Waiting) {
        *self.waiting.lock().unwrap() = *waiting;
    }
    fn failed(&self, failure: &Failure<'_>) {
        let name = failure.name.map(str::to_owned);
        self.failures.lock().unwrap().push((name, failure.failures, failure.again_in.is_some()));
    }
    fn warned(&self, what: &str) {
        self.warnings.lock().unwrap().push(what.to_owned());
    }
}

/// An inbox and an archive, with a log and what workers told.
struct Home {
    folder: tempfile::TempDir,
    log: Arc<Memory>,
    told: Arc<Told>,
    stop: Stop,
}

impl Home {
    fn new() -> Home {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("inbox")).unwrap();
        Home { folder, log: Arc::default(), told: Arc::default(), stop: Stop::default() }
    }

    fn inbox(&self, name: &str) -> PathBuf {
        self.folder.path().join("inbox").join(name)
    }

    fn put(&self, name: &str, text: &str) {
        std::fs::write(self.inbox(name), text).unwrap();
    }

    fn archive(&self) -> Archive {
        Archive::shared(&self.folder.path().join("archive")).unwrap()
    }

    /// Of a worker that drains and takes files as they are.
    fn options(&self) -> WorkerOptions {
        WorkerOptions {
            name: "w".to_owned(),
            inbox: Some(self.folder.path().join("inbox")),
            files: Vec::new(),
            archive: self.folder.path().join("archive"),
            to: "cluster topic".to_owned(),
            compiled: Arc::clone(&COMPILED),
            layouts: "a".to_owned(),
            one_off: false,
            recheck: false,
            taken_in_on: Arc::new(|| "2026-10-05".parse().unwrap()),
            batch_rows: 100,
            threads: 2,
            poll: Duration::from_millis(20),
            settle: Duration::ZERO,
            ttl: TTL,
            retry: Duration::from_millis(10),
            drain: true,
        }
    }

    fn run(&self, options: WorkerOptions) -> Result<Totals, WorkerError> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_time().build();
        let (log, told) = (Arc::clone(&self.log), Arc::clone(&self.told));
        runtime.unwrap().block_on(run(options, log, told, self.stop.clone()))
    }

    /// A worker that does not drain, while `meanwhile` happens; then it is stopped.
    fn run_while(&self, options: WorkerOptions, meanwhile: impl FnOnce()) -> Totals {
        let options = WorkerOptions { drain: false, ..options };
        std::thread::scope(|scope| {
            let worker = scope.spawn(|| self.run(options));
            meanwhile();
            self.stop.ask();
            worker.join().unwrap().unwrap()
        })
    }

    /// Files in the folder of claims.
    fn claims(&self) -> Vec<PathBuf> {
        let mut paths = crate::disk::entries(&self.folder.path().join("archive/claims")).unwrap();
        paths.retain(|path| path.extension().is_some_and(|e| e == "json"));
        paths
    }
}

/// Waits until something is so.
fn until(mut so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !so() {
        assert!(begun.elapsed() < Duration::from_secs(60), "waited too long");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn every_file_is_sent_once_and_known_the_next_time() {
    let home = Home::new();
    (0..5).for_each(|n| home.put(&format!("{n}.csv"), &format!("text {n}")));
    home.put("6.csv.part", "half");
    let totals = home.run(home.options()).unwrap();
    assert_eq!((totals.files, totals.rejected, totals.bytes, totals.duplicates), (5, 5, 30, 0));
    assert_eq!(home.log.names(), ["0.csv", "1.csv", "2.csv", "3.csv", "4.csv"]);
    assert_eq!(home.told.names(false), home.log.names());
    assert_eq!(home.told.names(true).len(), 0);
    for seal in home.log.seals() {
        assert_eq!(home.archive().sent(&seal.arrival.file_id, "cluster topic"), Some(seal));
    }
    assert!(home.claims().is_empty());
    // The next run, and one for another topic.
    let totals = home.run(home.options()).unwrap();
    assert_eq!((totals.files, totals.duplicates), (0, 5));
    assert_eq!(home.told.names(true), home.log.names());
    let totals = home.run(WorkerOptions { to: "cluster other".to_owned(), ..home.options() }).unwrap();
    assert_eq!((totals.files, totals.duplicates), (5, 0));
    let (first, second) = (home.log.names()[0].clone(), home.log.names()[1].clone());
    assert_eq!(first, second, "under the name of the archive's note");
}

#[test]
fn the_same_bytes_under_two_names_are_one_file_and_told_once() {
    let home = Home::new();
    home.put("a.csv", "same");
    home.put("b.csv", "same");
    home.log.slow.store(100, Ordering::SeqCst);
    home.run_while(home.options(), || {
        until(|| home.told.outcomes.lock().unwrap().len() == 2);
        std::thread::sleep(Duration::from_millis(200)); // some more looks
    });
    assert_eq!(home.log.seals().len(), 1);
    let (taken, again) = (home.told.names(false), home.told.names(true));
    assert_eq!((taken.len(), again.len()), (1, 1));
    assert_ne!(taken, again);
    let codes = |outcome: &FileOutcome| outcome.findings.entries().map(|e| e.code).collect::<Vec<_>>();
    let outcomes = home.told.outcomes.lock().unwrap();
    assert_eq!(codes(&outcomes[1]), [tsumiage_schemas::Code::F07]);
}

#[test]
fn what_a_killed_worker_left_in_the_archive_is_sent_as_it_arrived() {
    let home = Home::new();
    home.put("first.csv", "text");
    let (source, archive) = (home.inbox("first.csv"), home.archive());
    let arrival = Arrival {
        file_id: hash_file(&source).unwrap(),
        name: "first.csv".to_owned(),
        taken_in_on: "2026-09-01".parse().unwrap(),
        source: "inbox".to_owned(),
        closed_through: None,
    };
    archive.store(&source, arrival.clone()).unwrap();
    std::fs::rename(source, home.inbox("second.csv")).unwrap();
    home.run(home.options()).unwrap();
    let sent: Vec<Arrival> = home.log.seals().into_iter().map(|seal| seal.arrival).collect();
    assert_eq!(sent, std::slice::from_ref(&arrival));
    // Found in the archive before it had settled in the inbox.
    std::fs::rename(home.inbox("second.csv"), home.inbox("first.csv")).unwrap();
    let fresh = std::fs::File::options().append(true).open(home.inbox("first.csv")).unwrap();
    fresh.set_modified(std::time::SystemTime::now()).unwrap();
    let settle = Duration::from_millis(500);
    let third = WorkerOptions { to: "cluster third".to_owned(), settle, ..home.options() };
    let totals = home.run(third).unwrap();
    assert_eq!((totals.files, totals.duplicates), (1, 0));
    std::fs::rename(home.inbox("first.csv"), home.inbox("second.csv")).unwrap();
    // Without any file in the inbox.
    std::fs::remove_file(home.inbox("second.csv")).unwrap();
    let other = WorkerOptions { to: "cluster other".to_owned(), inbox: None, ..home.options() };
    assert_eq!(home.run(other).unwrap().files, 1);
    assert!(home.log.seals().iter().all(|seal| seal.arrival == arrival) && home.log.seals().len() == 3);
}

#[test]
fn a_rejected_file_is_read_again_with_other_layouts_or_once_at_the_users_wish() {
    let home = Home::new();
    home.put("a.csv", "text");
    home.put("b.csv", "text");
    home.run(home.options()).unwrap();
    std::fs::remove_file(home.inbox("a.csv")).unwrap();
    std::fs::remove_file(home.inbox("b.csv")).unwrap();
    let readings = || home.log.seals().iter().map(|seal| seal.reading).collect::<Vec<_>>();
    let other = || WorkerOptions { layouts: "b".to_owned(), ..home.options() };
    assert_eq!(home.run(other()).unwrap().files, 1);
    assert_eq!(home.run(other()).unwrap().files, 0);
    assert_eq!(readings(), [1, 2]);
    home.put("c.csv", "text");
    home.put("d.csv", "text");
    let totals = home.run(WorkerOptions { recheck: true, ..other() }).unwrap();
    assert_eq!(readings(), [1, 2, 3]);
    assert_eq!(totals.files, 1);
}

#[test]
fn named_files_are_taken_at_once_and_must_be_there() {
    let home = Home::new();
    home.put("a.csv", "text");
    let settle = Duration::from_secs(3_600);
    let named =
        |name: &str| WorkerOptions { inbox: None, files: vec![home.inbox(name)], settle, ..home.options() };
    assert_eq!(home.run(named("a.csv")).unwrap().files, 1);
    assert!(matches!(home.run(named("b.csv")), Err(WorkerError::Disk(_))));
}

#[test]
fn a_file_that_grows_is_not_touched_and_a_part_not_before_it_is_renamed() {
    let settle = Duration::from_millis(800);
    let home = Home::new();
    home.put("b.csv.part", "whole");
    let mut longest = Duration::ZERO;
    home.run_while(WorkerOptions { settle, ..home.options() }, || {
        let (begun, mut text, mut last) = (Instant::now(), String::new(), Instant::now());
        while begun.elapsed() < settle * 2 {
            text.push('x');
            home.put("a.csv", &text);
            longest = longest.max(last.elapsed());
            last = Instant::now();
            std::thread::sleep(Duration::from_millis(10));
        }
        // Should the machine have stood still for so long, the file was complete by all that can be seen.
        assert!(longest >= settle || home.log.names().is_empty());
        std::fs::rename(home.inbox("b.csv.part"), home.inbox("b.csv")).unwrap();
        until(|| home.log.names().contains(&"b.csv".to_owned()) && home.log.names().len() > 1);
    });
    assert!(longest >= settle || home.log.names() == ["a.csv", "b.csv"]);
    let grown = hash_file(&home.inbox("a.csv")).unwrap();
    assert!(home.log.seals().iter().any(|seal| seal.arrival.file_id == grown));
}

#[test]
fn what_came_too_late_is_sent_again_once_its_month_is_open_again() {
    let home = Home::new();
    let (may, on) = ("2026-05".parse().unwrap(), "2026-06-30".parse().unwrap());
    let empty = write_file(&FileHeader::new("531", "141003", may), Quoting::Needed, &[]).unwrap();
    let keep = |what| {
        let known = events::read(home.folder.path()).unwrap();
        events::keep(home.folder.path(), &known, what, may, on, None).unwrap();
    };
    keep(events::What::Close { rejected_files: Vec::new() });
    std::fs::write(home.inbox("late.csv"), empty).unwrap();
    home.run(home.options()).unwrap();
    std::fs::remove_file(home.inbox("late.csv")).unwrap();
    assert_eq!(home.run(home.options()).unwrap().files, 0, "F08, and nothing changed since");
    keep(events::What::Reopen);
    assert_eq!(home.run(home.options()).unwrap().files, 1, "from the archive, nobody gives it again");
    assert_eq!(home.run(home.options()).unwrap().files, 0);
    let seals = home.log.seals();
    let told: Vec<(bool, u32)> = seals.iter().map(|seal| (seal.file_rejected, seal.reading)).collect();
    assert_eq!(told, [(true, 1), (false, 2)]);
    let [first, again] = [&seals[0].arrival, &seals[1].arrival];
    assert_eq!((&first.name, first.taken_in_on), (&again.name, again.taken_in_on), "as it arrived");
    let through = |arrival: &Arrival| arrival.closed_through.unwrap().to_string();
    assert_eq!([through(first), through(again)], ["2026-05", "2026-04"]);
}
