//! Workers, sink and broker killed (`kill -9`) at random moments and started again: nothing is lost or doubled.
//!
//! Two workers share an inbox into which files come one after the other, one sink commits in short steps. Whom it
//! strikes and when is drawn from a seed that is printed; where the machine stands then is not, so that no two runs
//! are the same. `TSUMIAGE_TEST_SEED` gives another seed, `SOAK=1` makes it 300 kills.

use super::process::Process;
use super::{OwnBroker, Scene, Topic, broker_sh, is_soak, raw, tell};
use crate::place::hashes;
use crate::support::snapshot_of;
use proptest::prelude::Rng as _;
use proptest::test_runner::{RngAlgorithm, TestRng};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Kills of one ledger's life.
const KILLS: usize = 40;

/// Lives with `SOAK=1`: 300 kills in all, beside those of the broker.
const SOAK_LIVES: u64 = 8;

/// A life has failed that takes longer.
const LONGEST: Duration = Duration::from_secs(300);

/// Each sends a file for every month.
const INSURERS: u32 = 16;

/// So many milliseconds after its start a process may be at work on its first messages.
const START_UP: u64 = 900;

/// Most milliseconds between two kills.
const PAUSE: u64 = 1_500;

/// Most milliseconds between the beginning of a work and a kill amidst it: of a worker, of the sink.
const AMIDST: [u64; 2] = [700, 25];

/// So long it is waited for a work to begin.
const WORK: Duration = Duration::from_secs(4);

/// Messages wait so long for others: what a worker does for one file lasts long enough to be struck.
const WORKER_OPTIONS: &str = "linger.ms=150\n";

/// Whom a kill may strike.
const NAMES: [&str; 3] = ["worker-a", "worker-b", "sink"];
const SINK: usize = 2;

/// The seed of this run.
pub fn seed() -> u64 {
    std::env::var("TSUMIAGE_TEST_SEED").map_or(1, |seed| seed.parse().unwrap())
}

/// Draws by a seed.
pub struct Rng(TestRng);

impl Rng {
    pub fn new(seed: u64) -> Rng {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&seed.to_le_bytes());
        Rng(TestRng::from_seed(RngAlgorithm::ChaCha, &bytes))
    }

    /// Below `n`.
    pub fn below(&mut self, n: u64) -> u64 {
        self.0.next_u64() % n
    }

    /// At most so many milliseconds.
    pub fn millis(&mut self, most: u64) -> Duration {
        Duration::from_millis(self.below(most + 1))
    }
}

/// What kills struck.
#[derive(Debug, Default)]
struct Struck {
    workers: usize,
    /// A claim stood: a file was in hand.
    in_hand: usize,
    sinks: usize,
    /// Parts of a commit stood without its manifest.
    in_commit: usize,
    paused: usize,
    brokers: usize,
}

impl Struck {
    fn processes(&self) -> usize {
        self.workers + self.sinks
    }
}

/// A ledger's life among kills.
struct Life {
    scene: Scene,
    topic: Topic,
    rng: Rng,
    processes: Vec<Process>,
    starts: usize,
    /// Whom the last kill struck.
    last: usize,
    struck: Struck,
    begun: Instant,
}

impl Life {
    fn begin(seed: u64, topic: Topic) -> Life {
        let scene = Scene::of(INSURERS, 600, seed);
        fs::create_dir(scene.path("arriving")).unwrap();
        fs::write(scene.path("kafka.properties"), WORKER_OPTIONS).unwrap();
        let (rng, struck, begun) = (Rng::new(seed), Struck::default(), Instant::now());
        let (processes, last) = (Vec::new(), SINK);
        let mut life = Life { scene, topic, rng, processes, starts: 0, last, struck, begun };
        life.processes = (0..NAMES.len()).map(|who| life.started(who)).collect();
        life
    }

    fn started(&mut self, who: usize) -> Process {
        let (data, short) =
            (self.scene.path("data"), |args: &[&str]| args.iter().map(|a| (*a).to_owned()).collect());
        let args: Vec<String> = if who == SINK {
            short(&["sink", "--data", &data, "--commit-seconds", "0.3", "--metrics", "127.0.0.1:0"])
        } else {
            let config = self.scene.path("kafka.properties");
            let more = ["--poll", "0.1", "--claim-ttl", "1", "--batch-rows", "20", "--threads", "1"];
            let more = [&more[..], &["--metrics", "127.0.0.1:0", "--kafka-config", &config]].concat();
            [self.scene.worker("arriving", "data"), short(&more)].concat()
        };
        self.starts += 1;
        let said = self.scene.path(&format!("{}-{}.said", NAMES[who], self.starts));
        Process::start(&[args, self.topic.args()].concat(), Path::new(&said))
    }

    /// Lets as many files arrive as there are for this share of the life.
    fn arrive(&self, share: f64) {
        let arriving = PathBuf::from(self.scene.path("arriving"));
        let there = fs::read_dir(&arriving).unwrap().count();
        let due = (self.scene.files.len() as f64 * share).ceil() as usize;
        for file in self.scene.files.iter().take(due).skip(there) {
            let part = arriving.join("part.part");
            fs::copy(file, &part).unwrap();
            fs::rename(&part, arriving.join(file.file_name().unwrap())).unwrap();
        }
    }

    /// One kill: in the start-up of what was killed last, at any moment of any, or amidst its work.
    fn kill(&mut self) {
        let mut who = [0, 1, SINK, SINK][self.rng.below(4) as usize];
        match self.rng.below(4) {
            0 => {
                who = self.last;
                let at = self.rng.millis(START_UP);
                std::thread::sleep(at.saturating_sub(self.processes[who].age()));
            }
            1 => std::thread::sleep(self.rng.millis(PAUSE)),
            _ => {
                self.await_work(who);
                std::thread::sleep(self.rng.millis(AMIDST[usize::from(who == SINK)]));
            }
        }
        self.strike(who);
    }

    fn strike(&mut self, who: usize) {
        self.processes.iter_mut().for_each(Process::runs);
        self.processes[who].kill();
        let at_work = usize::from(self.is_at_work(who));
        if who == SINK {
            self.struck.sinks += 1;
            self.struck.in_commit += at_work;
        } else {
            self.struck.workers += 1;
            self.struck.in_hand += at_work;
        }
        self.processes[who] = self.started(who);
        self.last = who;
    }

    /// Whether a process has something in hand, or had when it was killed.
    fn is_at_work(&self, who: usize) -> bool {
        if who == SINK { self.is_in_commit() } else { self.claims_of(self.processes[who].pid()) > 0 }
    }

    /// Waits for something in hand, but not for ever.
    fn await_work(&self, who: usize) {
        let until = Instant::now() + WORK;
        while !self.is_at_work(who) && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// A worker stands still for longer than its claims last: the other does the same file.
    fn pause(&mut self) {
        let who = self.rng.below(2) as usize;
        self.await_work(who);
        self.processes[who].signal("STOP");
        std::thread::sleep(Duration::from_millis(1_200));
        self.processes[who].signal("CONT");
        self.struck.paused += 1;
    }

    /// Claims that a worker left.
    fn claims_of(&self, pid: u32) -> usize {
        let Ok(claims) = fs::read_dir(self.scene.path("data/archive/claims")) else { return 0 };
        let texts = claims.filter_map(|claim| fs::read_to_string(claim.unwrap().path()).ok());
        texts.filter(|text| text.contains(&format!(" {pid}\""))).count()
    }

    /// Whether the ledger holds runs of a commit that does not count.
    fn is_in_commit(&self) -> bool {
        let ledger = PathBuf::from(self.scene.path("data/ledger"));
        let made = fs::read_dir(ledger.join("manifests")).map_or(0, Iterator::count);
        let next = format!("{:08}", made + 1);
        let named = |path: &PathBuf| path.file_name().is_some_and(|n| n.to_string_lossy().starts_with(&next));
        all_files(&ledger).iter().any(named)
    }

    /// Stops everything in order, sends and reads what is left, and looks at what came of it. Gives the number of
    /// attempts that were cut off, and what was struck.
    fn end(mut self) -> (usize, Struck) {
        self.arrive(1.0);
        self.processes.iter().for_each(Process::wait_until_well);
        self.processes.iter_mut().for_each(Process::stop);
        self.processes.clear();
        let more = ["--poll", "0.1", "--claim-ttl", "1"];
        let worker = self.scene.worker("arriving", "data");
        self.topic.drain(&worker.iter().map(String::as_str).chain(more).collect::<Vec<_>>());
        self.scene.reads_all(&self.topic, "data");
        self.scene.is_the_same("data");
        // So does the topic alone, with all that was cut off in it.
        self.scene.reads_all(&self.topic, "alone");
        self.scene.is_the_same("alone");
        let Life { struck, topic, scene, begun, starts, .. } = &self;
        let messages = raw::messages(topic);
        let attempts: BTreeSet<(&str, &str)> =
            messages.iter().map(|message| (message.header("file_id"), message.header("attempt"))).collect();
        let mut sealed: BTreeMap<&str, usize> = BTreeMap::new();
        for seal in messages.iter().filter(|message| message.is_seal()) {
            *sealed.entry(seal.header("file_id")).or_default() += 1;
        }
        let unsealed = attempts.len() - sealed.values().sum::<usize>();
        tell(&format!(
            "{} kills, {struck:?}, {starts} starts in {:.1} s; {} files in {} commits; {} messages, {} attempts, {} \
             without seal, {} files sealed more than once",
            struck.processes() + struck.brokers,
            begun.elapsed().as_secs_f64(),
            scene.files.len(),
            super::manifests(&scene.path("data")).len(),
            messages.len(),
            attempts.len(),
            unsealed,
            sealed.values().filter(|times| **times > 1).count(),
        ));
        assert_eq!(sealed.len(), scene.files.len());
        (unsealed, self.struck)
    }
}

fn all_files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let paths = entries.map(|entry| entry.unwrap().path());
    paths.flat_map(|path| if path.is_dir() { all_files(&path) } else { vec![path] }).collect()
}

fn live(seed: u64, kills: usize) {
    tell(&format!("seed {seed}"));
    let mut life = Life::begin(seed, Topic::new(3));
    for n in 0..kills {
        life.arrive((n + 1) as f64 / kills as f64);
        life.kill();
        if n % 10 == 7 {
            life.pause();
        }
        assert!(life.begun.elapsed() < LONGEST, "only {} kills", life.struck.processes());
    }
    assert_eq!(life.struck.processes(), kills);
    let (unsealed, struck) = life.end();
    assert!(
        unsealed > 0 && struck.in_hand > 0 && struck.in_commit > 0,
        "the kills struck nothing: {struck:?}"
    );
}

#[test]
#[ignore = "needs a Kafka broker: tests/run.sh"]
fn killed_workers_and_sinks_lose_and_double_nothing() {
    let lives = if is_soak() { SOAK_LIVES } else { 1 };
    for life in 0..lives {
        live(seed() + life, KILLS);
    }
}

#[test]
#[ignore = "needs a Kafka broker: tests/run.sh"]
fn a_killed_broker_loses_and_doubles_nothing() {
    let (broker, seed) = (OwnBroker::start(), seed() + 100);
    tell(&format!("seed {seed}"));
    let mut life = Life::begin(seed, Topic::at(broker.folder(), 3));
    let brokers = if is_soak() { 20 } else { 3 };
    let told = |process: &Process| process.get("/health").is_some_and(|(status, _)| status == 503);
    for n in 0..brokers {
        life.arrive((n as f64 + 0.5) / brokers as f64);
        std::thread::sleep(life.rng.millis(PAUSE));
        broker_sh("kill", broker.folder());
        life.struck.brokers += 1;
        life.arrive((n + 1) as f64 / brokers as f64);
        if n == 0 {
            // All say so, and that all is well again after.
            for (process, name) in life.processes.iter().zip(NAMES) {
                process.wait_until(&format!("{name}: 503"), Duration::from_secs(20), told);
            }
        }
        life.strike(n % NAMES.len());
        broker_sh("restart", broker.folder());
        life.kill();
        life.processes.iter_mut().for_each(Process::runs);
        life.processes.iter().for_each(Process::wait_until_well);
    }
    assert_eq!((life.struck.brokers, life.struck.processes()), (brokers, 2 * brokers));
    life.end();
}

/// `nightly --kafka` is both in one process.
#[test]
#[ignore = "needs a Kafka broker: tests/run.sh"]
fn a_killed_night_is_carried_on_by_the_next() {
    let nights = if is_soak() { 60 } else { 6 };
    let seed = seed() + 200;
    tell(&format!("seed {seed}"));
    let (scene, mut rng, topic) = (Scene::new(300, seed), Rng::new(seed), Topic::new(3));
    let (data, inbox) = (scene.path("data"), scene.path("inbox"));
    let args = ["nightly", "--data", &data, "--inbox", &inbox, "--on", super::DAY];
    let owned = [args.map(str::to_owned).to_vec(), topic.args()].concat();
    let mut kills = 0;
    for night in 0..nights {
        if night % 6 == 0 && night > 0 {
            fs::remove_dir_all(&data).unwrap(); // the topic stays: what is in it is read first
        }
        let mut process = Process::start(&owned, Path::new(&scene.path("said")));
        std::thread::sleep(rng.millis(3_000));
        kills += usize::from(process.kill_if_it_runs());
    }
    tell(&format!("{kills} kills of {nights} nights; {} commits", super::manifests(&data).len()));
    assert!(kills > nights / 3, "{kills} kills");
    let (code, out, err) = topic.run(&args);
    assert!(matches!(code, 0 | 2), "{err}");
    assert_eq!(hashes(&snapshot_of(&out)), scene.expected);
    scene.is_the_same("data");
}
