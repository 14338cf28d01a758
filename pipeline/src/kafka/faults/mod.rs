//! Faults injected by seed, into librdkafka's mock cluster and into the messages themselves.
//!
//! Whatever happens, the ledger at the end holds what the embedded log makes of the same files. `SEED=n` runs one
//! seed again (its decisions, not its threads' timing), `SEEDS=n` so many, `SOAK=1` a thousand.

#![allow(clippy::unwrap_used)] // a test may fail loudly

mod compare;
mod dice;
mod end;
mod found;
mod hand;
mod home;
mod plan;
mod sinks;
mod tale;
mod trouble;
mod workers;

use dice::Dice;
use hand::Hand;
use home::Home;
use plan::{Mode, Plan, TOPIC};
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tale::Tale;
use trouble::{Cluster, Trouble};
use workers::Place;

/// Seeds at once; most of their time they wait.
const AT_ONCE: usize = 6;

/// Longer than this a seed hangs.
const LIMIT: Duration = Duration::from_secs(120);

/// So long brokers that are well may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// Tries faults by a seed.
fn run(seed: u64) -> Tale {
    let mut dice = Dice::new(seed);
    let plan = Plan::of(&mut dice);
    let home = Home::new(&plan);
    let cluster = Cluster::new(plan.brokers).unwrap();
    cluster.create_topic(TOPIC, plan.partitions, plan.brokers).unwrap();
    let brokers = cluster.bootstrap_servers();
    let link = plan.link(&brokers);
    let topic = crate::kafka::topic::look(&link, PATIENCE).unwrap();
    let tale = Tale::default();
    let place = Place { plan: &plan, home: &home, link: &link, topic: &topic, tale: &tale };
    let tried = catch_unwind(AssertUnwindSafe(|| tried(place, &cluster, &brokers, &mut dice)));
    if let Err(panic) = tried {
        if !workers::forgot(place) {
            resume_unwind(panic);
        }
        Tale::add(&tale.forgot, 1);
    }
    tale
}

fn tried(place: Place<'_>, cluster: &Cluster, brokers: &str, dice: &mut Dice) {
    let (plan, done) = (place.plan, AtomicBool::new(false));
    let by_hand = Hand::new(plan, place.home, brokers, dice.fork());
    let [mut of_workers, of_sink, of_trouble] = [dice.fork(), dice.fork(), dice.fork()];
    let (by_hand, sink) = std::thread::scope(|scope| {
        let by_hand = scope.spawn(|| by_hand.work());
        let workers = scope.spawn(|| workers::take_in(place, &mut of_workers));
        let sink = scope.spawn(|| match plan.mode {
            Mode::Through => None,
            _ => sinks::read(place, &done, of_sink),
        });
        Trouble::new(cluster, plan, of_trouble).make();
        while !(by_hand.is_finished() && workers.is_finished()) {
            std::thread::sleep(Duration::from_millis(5));
        }
        done.store(true, Relaxed);
        let (workers, by_hand, sink) = (workers.join(), by_hand.join(), sink.join());
        workers.unwrap_or_else(|panic| resume_unwind(panic));
        by_hand.and_then(|by_hand| Ok((by_hand, sink?))).unwrap_or_else(|panic| resume_unwind(panic))
    });
    end::check(place, sink, &by_hand);
}

/// The seeds to try.
fn seeds() -> Vec<u64> {
    let number = |name| std::env::var(name).ok().and_then(|text| text.parse().ok());
    let soak = std::env::var_os("SOAK").is_some_and(|value| value == "1");
    match (number("SEED"), number("SEEDS")) {
        (Some(seed), _) => vec![seed],
        (None, Some(seeds)) => (0..seeds).collect(),
        (None, None) => (0..if soak { 1_000 } else { 100 }).collect(),
    }
}

#[test]
fn what_comes_through_faults_is_what_the_embedded_log_makes() {
    let (seeds, begun) = (Arc::new(seeds()), Instant::now());
    let (next, running) = (Arc::new(AtomicU64::new(0)), Arc::new(Mutex::new(BTreeMap::new())));
    let (tells, hears) = channel();
    for _ in 0..AT_ONCE {
        let (seeds, next, running) = (Arc::clone(&seeds), Arc::clone(&next), Arc::clone(&running));
        let tells = tells.clone();
        std::thread::spawn(move || {
            while let Some(&seed) = seeds.get(next.fetch_add(1, Relaxed) as usize) {
                running.lock().unwrap().insert(seed, Instant::now());
                let ended = catch_unwind(AssertUnwindSafe(|| run(seed))).map_err(|panic| {
                    let text = panic.downcast_ref::<String>().cloned();
                    text.or_else(|| Some((*panic.downcast_ref::<&str>()?).to_owned())).unwrap_or_default()
                });
                let took = running.lock().unwrap().remove(&seed).map_or(Duration::ZERO, |at| at.elapsed());
                if tells.send((seed, ended, took)).is_err() {
                    return; // enough failed
                }
            }
        });
    }
    drop(tells);
    let (all, mut failed, mut longest) = (Tale::default(), Vec::new(), Duration::ZERO);
    loop {
        match hears.recv_timeout(Duration::from_secs(1)) {
            Ok((_, Ok(tale), took)) => {
                all.plus(&tale);
                longest = longest.max(took);
            }
            Ok((seed, Err(why), _)) => failed.push(format!("SEED={seed}: {why}")),
            Err(RecvTimeoutError::Timeout) => {
                let running = running.lock().unwrap();
                let hung = running.iter().filter(|(_, begun)| begun.elapsed() > LIMIT);
                failed.extend(hung.map(|(seed, _)| format!("SEED={seed}: it hangs")));
            }
            Err(RecvTimeoutError::Disconnected) => break,
        }
        if failed.len() >= 3 {
            break;
        }
    }
    println!("{} seeds in {:.1?}, the longest {longest:.1?}: {all}", seeds.len(), begun.elapsed());
    assert!(failed.is_empty(), "run one again with `SEED=n`:\n{}", failed.join("\n"));
    // Brokers of the mock keep 5 MiB of a partition; what many tries at large files overflow shows nothing.
    let forgot = all.forgot.load(Relaxed);
    assert!(
        forgot * 50 <= seeds.len() as u64,
        "the mock cluster forgot in {forgot} seeds: make smaller files"
    );
    let never = all.never();
    assert!(seeds.len() < 50 || never.is_empty(), "never happened: {never:?}");
}
