//! Who takes the files in.

use super::dice::Dice;
use super::home::{Home, Silent};
use super::plan::{COMPILED, Mode, Plan, TOPIC};
use super::tale::Tale;
use crate::kafka::KafkaLog;
use crate::kafka::link::Link;
use crate::kafka::sink::name_of;
use crate::kafka::through::take_in_through;
use crate::kafka::topic::Topic;
use crate::ledger::Ledger;
use crate::log::LogError;
use crate::stop::Stop;
use crate::take_in::{Candidate, Decision, Intake};
use crate::worker::{Failure, Waiting, WorkerOptions, WorkerWatch, run};
use rdkafka::consumer::{BaseConsumer, Consumer};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

/// Pause before what failed is tried again.
const PAUSE: Duration = Duration::from_millis(10);

/// The link to the topic.
#[derive(Clone, Copy)]
pub struct Place<'a> {
    pub plan: &'a Plan,
    pub home: &'a Home,
    pub link: &'a Link,
    pub topic: &'a Topic,
    pub tale: &'a Tale,
}

/// Takes all files in, and again where the plan says so.
pub fn take_in(place: Place<'_>, dice: &mut Dice) {
    std::thread::sleep(dice.ms(0, 100)); // others may be there before
    for reading in 0..place.plan.readings() {
        match place.plan.mode {
            Mode::Workers(count) => std::thread::scope(|scope| {
                for n in 0..count {
                    let dice = dice.fork();
                    scope.spawn(move || worker(place, reading, n, dice));
                }
            }),
            Mode::OneByOne => one_by_one(place, reading),
            Mode::Through => through(place, reading),
        }
    }
}

impl WorkerWatch for Silent {
    fn waiting(&self, _: &Waiting) {}
    fn failed(&self, _: &Failure<'_>) {}
    fn warned(&self, _: &str) {}
}

/// A worker, begun again until it has done all; some are stopped in between.
fn worker(place: Place<'_>, reading: usize, n: usize, mut dice: Dice) {
    let Place { plan, home, link, topic, tale } = place;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    loop {
        let log = Arc::new(KafkaLog::open(link, topic.partitions).unwrap());
        let day = plan.days[reading];
        let options = WorkerOptions {
            name: n.to_string(),
            inbox: Some(home.inbox_of(plan, reading)),
            files: Vec::new(),
            archive: home.data().join("archive"),
            to: name_of(link, topic),
            compiled: Arc::clone(&COMPILED),
            layouts: plan.layouts(reading).to_owned(),
            one_off: plan.one_off(reading),
            recheck: false,
            taken_in_on: Arc::new(move || day),
            batch_rows: plan.batch_rows + n,
            threads: dice.between(1, 2),
            poll: Duration::from_millis(10),
            settle: Duration::ZERO,
            ttl: Duration::from_millis(500),
            retry: Duration::from_millis(10),
            drain: true,
        };
        let stop = Stop::default();
        let lives = dice.once_in(3).then(|| dice.ms(0, 150));
        let ended = runtime.block_on(async {
            let working = run(options, log, Arc::new(Silent), stop.clone());
            tokio::pin!(working);
            if let Some(lives) = lives {
                if let Ok(ended) = tokio::time::timeout(lives, &mut working).await {
                    return ended;
                }
                stop.ask();
            }
            working.await
        });
        match ended {
            Ok(totals) => {
                Tale::add(&tale.failed_attempts, totals.failures);
                if !stop.is_asked() {
                    return;
                }
            }
            Err(_) => Tale::add(&tale.failed_attempts, 1),
        }
        std::thread::sleep(PAUSE);
    }
}

/// Takes in file by file.
fn one_by_one(place: Place<'_>, reading: usize) {
    let Place { plan, home, link, topic, tale } = place;
    let log = KafkaLog::open(link, topic.partitions).unwrap();
    let data = home.data();
    let options = plan.take_in(reading, &data);
    let intake = Intake::new(home.archive(), &log, &options).unwrap().to(&name_of(link, topic));
    let mut done = BTreeSet::new();
    for path in crate::disk::entries(&home.inbox_of(plan, reading)).unwrap() {
        let candidate = Candidate::at(&path).unwrap();
        let known = intake.sent(&candidate.file_id);
        let first = done.insert(candidate.file_id.clone());
        if !first || intake.decide(known.as_ref()) == Decision::Known {
            continue;
        }
        while let Err(error) = intake.seal(&candidate, known.as_ref()) {
            assert!(matches!(error, LogError::Kafka(_)), "{error}");
            Tale::add(&tale.failed_attempts, 1);
            std::thread::sleep(PAUSE);
        }
    }
}

/// Whether the mock cluster no longer has the first message of a partition: it keeps 5 MiB of each.
pub fn forgot(place: Place<'_>) -> bool {
    let Ok(consumer) =
        place.link.create::<_, BaseConsumer<_>>(&place.link.consumer_config(), place.link.context())
    else {
        return false;
    };
    let first = |partition| consumer.fetch_watermarks(TOPIC, partition, Duration::from_secs(1));
    (0..place.topic.partitions).any(|partition| first(partition).is_ok_and(|(first, _)| first > 0))
}

/// Worker and sink in one go, again until it succeeds.
fn through(place: Place<'_>, reading: usize) {
    let Place { plan, home, link, topic, tale } = place;
    let (data, files) = (home.data(), crate::disk::entries(&home.inbox_of(plan, reading)).unwrap());
    let options = plan.take_in(reading, &data);
    loop {
        let mut ledger = Ledger::open(&data).unwrap();
        let patience = Duration::from_millis(500);
        match take_in_through(link, topic, &files, &mut ledger, &options, patience, &Silent) {
            Ok((outcomes, _)) => {
                assert_eq!(outcomes.len(), files.len(), "what became of every file is told");
                return;
            }
            Err(error) => assert!(matches!(error, LogError::Kafka(_)) && !forgot(place), "{error}"),
        }
        Tale::add(&tale.failed_attempts, 1);
        std::thread::sleep(PAUSE);
    }
}
