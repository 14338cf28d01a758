//! The crash matrix: at every point that the life passes the run is killed, or the disk is full or read-only there,
//! and the same command is run again.
//!
//! A point that is passed for several kinds of files (notes, manifests, reports …) is tried for each of them; a kill
//! strikes the first and the last of its passes.

use super::life::{Life, folder};
use crate::kafka_broker::is_soak;
use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;
use tsumiage_pipeline::crash::POINTS;

/// A pass of a point in a step.
#[derive(Clone, Debug)]
struct Case {
    point: String,
    /// The nth of the step.
    nth: usize,
    step: usize,
    /// What it is about, below the data folder.
    path: String,
}

/// Of which kind a file is: where it lies, and how its name ends.
fn kind(path: &str) -> String {
    let parts: Vec<&str> = path.split('/').collect();
    let place = if parts[0] == "archive" && parts.get(1) != Some(&"events") { "archive" } else { parts[0] };
    let second = if place == "ledger" { parts.get(1).unwrap_or(&"") } else { "" };
    let ending = parts.last().and_then(|name| name.rsplit_once('.')).map_or("", |(_, ending)| ending);
    format!("{place}/{second}/{}.{ending}", parts.get(1) == Some(&"events"))
}

/// All passes of the life by point and kind of file.
fn passes(life: &Life) -> BTreeMap<(String, String), Vec<Case>> {
    let mut all: BTreeMap<(String, String), Vec<Case>> = BTreeMap::new();
    for (step, passes) in life.passes.iter().enumerate() {
        let mut passed: BTreeMap<&str, usize> = BTreeMap::new();
        for (point, path) in passes {
            let nth = passed.entry(point).or_default();
            *nth += 1;
            let case = Case { point: point.clone(), nth: *nth, step, path: path.clone() };
            all.entry((point.clone(), kind(path))).or_default().push(case);
        }
    }
    all
}

/// The first pass of every point and kind of file.
fn first(life: &Life) -> Vec<Case> {
    passes(life).into_values().map(|cases| cases[0].clone()).collect()
}

/// Of every point the first and the last pass, and the first of every other kind of file; with `SOAK=1` a middle one
/// too.
fn several(life: &Life) -> Vec<Case> {
    let mut chosen = Vec::new();
    for point in POINTS {
        let kinds: Vec<Vec<Case>> =
            passes(life).into_iter().filter(|((name, _), _)| name == point).map(|(_, cases)| cases).collect();
        chosen.extend(kinds.iter().map(|cases| cases[0].clone()));
        let mut all: Vec<&Case> = kinds.iter().flatten().collect();
        all.sort_by_key(|case| (case.step, case.nth));
        let middle = if is_soak() { all.len() / 2 } else { all.len() - 1 };
        let places = BTreeSet::from([middle, all.len() - 1]);
        let more = places.into_iter().filter(|_| all.len() > kinds.len()).map(|at| all[at].clone());
        chosen.extend(more);
    }
    chosen
}

/// Tries cases on all cores: `strikes` in a folder of its own, then the same command again. The life of every twentieth is
/// led to its end.
fn recover(what: &str, life: &Life, cases: &[Case], strikes: impl Fn(&Case, &Path) + Sync) {
    let (begun, next, failed) = (Instant::now(), AtomicUsize::new(0), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    let Some(case) = cases.get(at) else { return };
                    let tried = catch_unwind(AssertUnwindSafe(|| {
                        let folder = folder();
                        let data = folder.path().join("data");
                        life.data_before(case.step, &data);
                        strikes(case, &data);
                        life.lost_nothing(case.step, &data);
                        life.run(case.step, &data, None);
                        life.is_as_undisturbed(
                            case.step,
                            &data,
                            at % 20 == 0,
                            &format!("{what} at {case:?}"),
                        );
                    }));
                    failed.fetch_add(usize::from(tried.is_err()), Ordering::Relaxed); // told by its panic
                }
            });
        }
    });
    println!("{what}: {} cases in {:?}", cases.len(), begun.elapsed());
    assert_eq!(failed.into_inner(), 0, "{what}: cases failed, see above");
}

#[test]
fn a_run_killed_at_any_point_is_carried_on() {
    let life = Life::shared();
    recover("kill", &life, &several(&life), |case, data| {
        let ended = life.start(case.step, data, Some(&format!("{}:{}=kill", case.point, case.nth)));
        assert_eq!(ended.code, None, "{case:?} was not killed: {ended:?}");
    });
}

/// The disk fails once, with an error of this kind.
fn fails(life: &Life, case: &Case, data: &Path, how: &str, says: [&str; 2]) {
    let ended = life.start(case.step, data, Some(&format!("{}:{}={how}", case.point, case.nth)));
    let told = ended.err.lines().filter(|line| says.iter().all(|says| line.contains(says))).count();
    assert!(told > 0, "{case:?} says what is wrong and what to do: {ended:?}");
    assert!(ended.err.contains(&data.display().to_string()), "{case:?} names the path: {ended:?}");
    if case.path.starts_with("reports") {
        assert_ne!(ended.code, Some(1), "{case:?}: a report never fails a run: {ended:?}");
    } else {
        assert_eq!(ended.code, Some(1), "{case:?}: {ended:?}");
        let last = ended.out.lines().last().unwrap_or_default();
        assert!(!last.starts_with("snapshot "), "{case:?} names no snapshot: {ended:?}");
    }
}

#[test]
fn a_disk_full_at_any_point_half_publishes_nothing() {
    let life = Life::shared();
    // Every other one, with `SOAK=1` all: before and after a step the same is to be seen.
    let cases: Vec<Case> = first(&life).into_iter().step_by(if is_soak() { 1 } else { 2 }).collect();
    recover("full", &life, &cases, |case, data| {
        fails(&life, case, data, "full", ["No space left on device", "free some space and run again"]);
    });
}

#[test]
fn a_disk_read_only_at_a_point_half_publishes_nothing() {
    let life = Life::shared();
    let cases: Vec<Case> = first(&life).into_iter().step_by(5).collect(); // a sample
    recover("readonly", &life, &cases, |case, data| {
        fails(&life, case, data, "readonly", ["Read-only file system", "make it writable and run again"]);
    });
}
