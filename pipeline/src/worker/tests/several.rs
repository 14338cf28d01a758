//! Several workers, workers that are stopped, and workers that died.

use super::*;
use crate::disk;
use std::collections::BTreeMap;
use std::fs::File;

#[test]
fn two_workers_on_one_inbox_send_every_file_and_twins_are_the_same() {
    let home = Home::new();
    (0..20).for_each(|n| home.put(&format!("{n:02}.csv"), &format!("text {}", n / 2)));
    home.log.slow.store(10, Ordering::SeqCst);
    let named = |name: &str| WorkerOptions { name: name.to_owned(), ..home.options() };
    let totals = std::thread::scope(|scope| {
        let workers = ["a", "b"].map(|name| scope.spawn(|| home.run(named(name)).unwrap()));
        workers.map(|worker| worker.join().unwrap())
    });
    let mut arrivals: BTreeMap<String, Arrival> = BTreeMap::new();
    for seal in home.log.seals() {
        let file_id = seal.arrival.file_id.clone();
        assert_eq!(seal.reading, 1);
        let first = arrivals.entry(file_id.clone()).or_insert(seal.arrival.clone());
        assert_eq!(*first, seal.arrival, "twins");
        assert!(home.archive().sent(&file_id, "cluster topic").is_some());
    }
    assert_eq!(arrivals.len(), 10, "pairs have the same bytes");
    let files: u64 = totals.iter().map(|totals| totals.files).sum();
    assert_eq!(files, home.log.seals().len() as u64);
    assert!(home.claims().is_empty());
    assert!(totals.iter().all(|totals| totals.failures == 0), "{totals:?}");
}

#[test]
fn a_long_running_worker_does_not_tell_of_files_that_another_took_in() {
    let home = Home::new();
    home.put("a.csv", "text");
    home.run(home.options()).unwrap();
    let totals = home.run_while(home.options(), || {
        until(|| home.told.waiting.lock().unwrap().well);
        home.put("b.csv", "text");
        until(|| home.told.names(true) == ["b.csv"]);
    });
    assert_eq!((totals.files, totals.duplicates), (0, 1));
    assert_eq!(home.told.names(false), ["a.csv"]);
}

#[test]
fn a_dead_workers_file_is_taken_over_when_its_claim_is_old() {
    let home = Home::new();
    home.put("a.csv", "text");
    let shape = super::super::inbox::shape_of(&home.inbox("a.csv")).unwrap();
    let folder = home.archive().root().join("claims");
    disk::make_folder(&folder).unwrap();
    let key = super::super::claims::key_of("a.csv", shape.bytes, shape.modified);
    for key in [key, hash_file(&home.inbox("a.csv")).unwrap()] {
        File::create(folder.join(format!("{key}.json"))).unwrap();
    }
    let begun = Instant::now();
    assert_eq!(home.run(home.options()).unwrap().files, 1);
    assert!(begun.elapsed() >= TTL * 9 / 10, "{:?}", begun.elapsed()); // the claims were made before
    assert!(home.claims().is_empty());
}

#[test]
fn a_worker_that_is_stopped_finishes_what_it_has_in_hand() {
    let home = Home::new();
    (0..6).for_each(|n| home.put(&format!("{n}.csv"), &format!("text {n}")));
    home.log.slow.store(300, Ordering::SeqCst);
    let totals = home.run_while(home.options(), || {
        until(|| home.told.waiting.lock().unwrap().in_hand == 2 && !home.log.seals().is_empty());
    });
    let seals = home.log.seals();
    assert!(seals.len() < 6, "it was stopped in the middle");
    assert_eq!(totals.files, seals.len() as u64);
    for seal in &seals {
        assert!(home.archive().sent(&seal.arrival.file_id, "cluster topic").is_some());
    }
    assert!(home.claims().is_empty());
    // The next one does the rest.
    let home = Home { stop: Stop::default(), ..home };
    home.log.slow.store(0, Ordering::SeqCst);
    let rest = home.run(home.options()).unwrap();
    assert_eq!(rest.files, 6 - totals.files);
    assert_eq!(home.log.names(), ["0.csv", "1.csv", "2.csv", "3.csv", "4.csv", "5.csv"]);
}

#[test]
fn a_worker_that_was_asked_before_it_began_does_nothing() {
    let home = Home::new();
    home.put("a.csv", "text");
    home.stop.ask();
    assert_eq!(home.run(home.options()).unwrap(), Totals::default());
    assert!(home.log.seals().is_empty());
}
