//! Claims, with several workers in one folder.

use super::super::claims::{Claims, key_of};
use super::{TTL, until};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

fn path(archive: &Path) -> PathBuf {
    archive.join("claims/k.json")
}

/// A claim left by a worker that was killed so long ago.
fn left(archive: &Path, ago: Duration) {
    std::fs::create_dir_all(archive.join("claims")).unwrap();
    let file = File::create(path(archive)).unwrap();
    file.set_modified(SystemTime::now() - ago).unwrap();
}

#[test]
fn one_has_it_until_it_is_dropped() {
    let archive = tempfile::tempdir().unwrap();
    let (a, b) = (Claims::open(archive.path(), "a", TTL), Claims::open(archive.path(), "b", TTL));
    let claim = a.claim("k").unwrap();
    assert!(a.claim("k").is_none() && b.claim("k").is_none());
    assert!(b.claim("other").is_some());
    let stands = std::fs::read_to_string(path(archive.path())).unwrap();
    assert!(stands.contains("\"worker\":\"a\""), "{stands}");
    drop(claim);
    assert!(!path(archive.path()).exists());
    assert!(b.claim("k").is_some());
    assert!(a.fault().is_none() && b.fault().is_none());
}

#[test]
fn one_who_lives_keeps_it_and_one_who_died_loses_it() {
    let archive = tempfile::tempdir().unwrap();
    let (a, b) = (Claims::open(archive.path(), "a", TTL), Claims::open(archive.path(), "b", TTL));
    let claim = a.claim("k").unwrap();
    let begun = std::time::Instant::now();
    while begun.elapsed() < TTL * 3 {
        assert!(b.claim("k").is_none() || stalled(archive.path()), "taken from a live worker");
        std::thread::sleep(TTL / 10);
    }
    std::mem::forget(claim);
    drop(a); // nobody renews any more
    let mut taken = None;
    until(|| {
        taken = b.claim("k");
        taken.is_some()
    });
    assert!(std::fs::read_to_string(path(archive.path())).unwrap().contains("\"worker\":\"b\""));
}

/// Whether the thread that renews did not come to its turn in time.
fn stalled(archive: &Path) -> bool {
    let renewed = path(archive).metadata().and_then(|m| m.modified()).unwrap();
    renewed.elapsed().unwrap_or_default() > TTL / 2
}

#[test]
fn one_who_lost_it_leaves_it_to_the_other() {
    let archive = tempfile::tempdir().unwrap();
    let slow = Claims::open(archive.path(), "slow", Duration::from_secs(3_600));
    let claim = slow.claim("k").unwrap();
    left(archive.path(), Duration::from_secs(60)); // it stood still
    let quick = Claims::open(archive.path(), "quick", Duration::from_secs(20));
    let taken = quick.claim("k").unwrap();
    drop(claim);
    assert!(path(archive.path()).exists(), "it is not the slow one's to remove");
    drop(taken);
    assert!(!path(archive.path()).exists());
}

#[test]
fn a_claim_of_a_clock_that_is_ahead_is_taken_over_too() {
    let archive = tempfile::tempdir().unwrap();
    left(archive.path(), Duration::ZERO);
    let tomorrow = SystemTime::now() + Duration::from_secs(86_400);
    File::options().write(true).open(path(archive.path())).unwrap().set_modified(tomorrow).unwrap();
    let claims = Claims::open(archive.path(), "w", TTL);
    assert!(claims.claim("k").is_none());
    until(|| claims.claim("k").is_some());
}

#[test]
fn what_nobody_asks_for_is_removed_and_the_lock_stays() {
    let archive = tempfile::tempdir().unwrap();
    left(archive.path(), TTL * 20);
    let folder = archive.path().join("claims");
    for name in [".arriving", ".part-x"] {
        let file = File::create(folder.join(name)).unwrap();
        file.set_modified(SystemTime::now() - TTL * 20).unwrap();
    }
    let _claims = Claims::open(archive.path(), "w", TTL);
    assert_eq!(crate::disk::entries(&folder).unwrap(), [folder.join(".arriving")]);
}

#[test]
fn without_the_folder_work_goes_on_but_not_twice_in_one_worker() {
    let archive = tempfile::tempdir().unwrap();
    let folder = archive.path().join("claims");
    std::fs::write(&folder, "no folder").unwrap();
    let claims = Claims::open(archive.path(), "w", TTL);
    let claim = claims.claim("k").unwrap();
    assert!(claims.claim("k").is_none());
    drop(claim);
    assert!(claims.claim("k").is_some());
    assert!(claims.fault().unwrap().to_string().contains("claims"));
    assert!(claims.fault().is_none(), "told once");
    std::fs::remove_file(&folder).unwrap();
    assert!(claims.claim("k").is_some());
    assert!(folder.is_dir(), "made again");
    std::fs::remove_dir_all(&folder).unwrap();
    std::fs::write(&folder, "no folder").unwrap();
    assert!(claims.claim("k").is_some());
    assert!(claims.fault().is_some(), "told again after it worked");
}

#[test]
fn a_key_tells_name_size_and_time_apart() {
    let time = Some(SystemTime::now());
    let keys = [key_of("a", 1, time), key_of("b", 1, time), key_of("a", 2, time), key_of("a", 1, None)];
    let distinct: std::collections::BTreeSet<&String> = keys.iter().collect();
    assert_eq!(distinct.len(), 4);
    assert_eq!(keys[0], key_of("a", 1, time));
}
