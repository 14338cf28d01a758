//! What a run holds is free again when it is killed, without a person's help.

use super::life::{Life, folder, whole};
use crate::kafka_broker::process::Process;
use std::fs::File;
use std::path::Path;
use std::time::Duration;

/// Whether a run holds the folder's lock.
fn is_locked(data: &Path) -> bool {
    File::open(data.join(".lock")).is_ok_and(|file| file.try_lock().is_err())
}

/// A run that is stopped while it holds the lock; none if it was too quick.
fn stopped(life: &Life, step: usize, data: &Path) -> Option<Process> {
    let process = Process::start(&life.args(step, data), &data.with_extension("said"));
    while !is_locked(data) && process.age() < Duration::from_secs(10) {
        std::thread::sleep(Duration::from_millis(1));
    }
    process.signal("STOP");
    is_locked(data).then_some(process)
}

#[test]
fn a_lock_is_free_as_soon_as_its_run_is_killed() {
    let (life, folder, step) = (Life::shared(), folder(), 1);
    let (data, mut holder) = (1..20)
        .find_map(|nth| {
            let data = folder.path().join(format!("data-{nth}"));
            life.data_before(step, &data);
            stopped(&life, step, &data).map(|process| (data, process))
        })
        .expect("no run was stopped at work");
    // Nobody waits for it by itself, and who only reads is not kept out.
    let second = life.start(step, &data, None);
    assert_eq!(second.code, Some(1), "{second:?}");
    assert!(second.err.contains("another run is at work"), "{second:?}");
    whole(&data);
    holder.kill();
    life.run(step, &data, None);
    life.is_as_undisturbed(step, &data, false, "after the lock");
}
