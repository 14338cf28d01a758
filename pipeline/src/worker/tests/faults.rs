//! What fails is tried again.

use super::*;

#[test]
fn a_log_that_fails_for_a_while_costs_attempts_only() {
    let home = Home::new();
    (0..4).for_each(|n| home.put(&format!("{n}.csv"), &format!("text {n}")));
    home.log.fails.store(3, Ordering::SeqCst);
    let totals = home.run(home.options()).unwrap();
    assert_eq!((totals.files, totals.failures), (4, 3));
    assert_eq!(home.log.names().len(), 4);
    let failures = home.told.failures.lock().unwrap();
    assert!(failures.iter().all(|(name, _, again)| name.is_some() && *again), "{failures:?}");
    assert!(home.told.waiting.lock().unwrap().well);
}

#[test]
fn a_worker_that_drains_gives_up_and_one_that_runs_long_does_not() {
    let home = Home::new();
    (0..9).for_each(|n| home.put(&format!("{n}.csv"), &format!("text {n}")));
    home.log.fails.store(u32::MAX, Ordering::SeqCst);
    let error = home.run(home.options()).unwrap_err().to_string();
    assert!(error.contains(".csv: no answer from Kafka at b:1 (on command)"), "{error}");
    let failures = std::mem::take(&mut *home.told.failures.lock().unwrap());
    assert!(failures.len() <= 12, "an outage costs one attempt per wait and thread: {failures:?}");
    assert!(failures.iter().any(|(_, times, again)| *times == ATTEMPTS && !again), "{failures:?}");
    assert!(home.log.seals().is_empty() && home.claims().is_empty());
    let totals = home.run_while(home.options(), || {
        until(|| home.told.failures.lock().unwrap().iter().any(|(_, times, _)| *times > ATTEMPTS));
        assert!(!home.told.waiting.lock().unwrap().well);
        home.log.fails.store(0, Ordering::SeqCst);
        until(|| home.told.waiting.lock().unwrap().well && home.log.seals().len() == 9);
    });
    assert_eq!(totals.files, 9);
    assert!(home.told.failures.lock().unwrap().iter().all(|(_, _, again)| *again));
}

#[test]
fn a_file_that_cannot_be_archived_does_not_hold_up_the_others() {
    let home = Home::new();
    (0..4).for_each(|n| home.put(&format!("{n}.csv"), &format!("text {n}")));
    // Where the archive wants a folder for 0.csv there is a file.
    let folder = home.archive().path(&hash_file(&home.inbox("0.csv")).unwrap());
    std::fs::write(folder.parent().unwrap(), "no folder").unwrap();
    let error = home.run(home.options()).unwrap_err();
    assert!(matches!(&error, WorkerError::File { name, .. } if name == "0.csv"), "{error}");
    assert_eq!(home.log.names(), ["1.csv", "2.csv", "3.csv"]);
    let failures = home.told.failures.lock().unwrap();
    let times: Vec<u32> = failures.iter().map(|(_, times, _)| *times).collect();
    assert_eq!(times, [1, 2, 3, 4, 5]);
}

#[test]
fn an_inbox_that_is_away_is_told_once_and_looked_for_again() {
    let home = Home::new();
    home.put("a.csv", "text");
    let (inbox, away) = (home.inbox("."), home.folder.path().join("away"));
    let inbox = inbox.parent().unwrap().join("inbox");
    let totals = home.run_while(home.options(), || {
        until(|| home.log.names() == ["a.csv"]);
        std::fs::rename(&inbox, &away).unwrap();
        until(|| !home.told.waiting.lock().unwrap().well);
        std::thread::sleep(Duration::from_millis(200)); // some more looks
        std::fs::rename(&away, &inbox).unwrap();
        home.put("b.csv", "other");
        until(|| home.log.names() == ["a.csv", "b.csv"]);
    });
    assert_eq!(*home.told.failures.lock().unwrap(), [(None, 1, true)]);
    assert_eq!((totals.files, totals.duplicates), (2, 0));
    std::fs::rename(&inbox, &away).unwrap();
    let home = Home { stop: Stop::default(), ..home };
    assert!(matches!(home.run(home.options()), Err(WorkerError::Disk(_))), "a worker that drains gives up");
}

#[test]
fn a_worker_that_drains_leaves_a_file_that_is_still_being_written() {
    let home = Home::new();
    home.put("a.csv", "text");
    let settle = Duration::from_millis(100);
    let totals = std::thread::scope(|scope| {
        let worker = scope.spawn(|| home.run(WorkerOptions { settle, ..home.options() }).unwrap());
        let mut text = String::new();
        while !worker.is_finished() {
            text.push('x');
            home.put("b.csv", &text);
            std::thread::sleep(Duration::from_millis(5));
        }
        worker.join().unwrap()
    });
    assert!(home.log.names().contains(&"a.csv".to_owned()));
    assert!(totals.left == 1 || totals.files > 1, "or the machine stood still: {totals:?}");
    assert_eq!(home.told.warnings.lock().unwrap().len() as u64, totals.left);
}
