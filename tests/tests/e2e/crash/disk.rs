//! A disk that is really full, in several sizes so that it is full at different steps, and one that is really
//! read-only: small file systems in memory, which only root may mount.

use super::Ended;
use super::life::{Life, kib, whole};
use std::collections::BTreeSet;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Sizes of a disk that is too small for a night, besides the one that is just right.
const SIZES: u64 = 12;

/// A file system in memory at a folder of its own. Dropped, it is gone.
struct Disk {
    folder: tempfile::TempDir,
}

fn mount(args: &[&str], at: &Path) -> bool {
    let output = Command::new("mount").args(args).arg(at).output();
    output.is_ok_and(|output| output.status.success())
}

impl Disk {
    /// None where this must not be mounted: said loudly, and a failure in CI.
    fn new() -> Option<Disk> {
        let disk = Disk { folder: tempfile::tempdir().unwrap() };
        if mount(&["-t", "tmpfs", "-o", "size=256m", "tsumiage-test"], disk.folder.path()) {
            return Some(disk);
        }
        assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "CI must be able to mount a tmpfs");
        let said = b"SKIPPED: TESTS OF A FULL AND A READ-ONLY DISK (only root may mount a tmpfs)\n";
        std::io::stderr().write_all(said).unwrap(); // not kept back like what a test prints
        None
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn remount(&self, options: &str) {
        assert!(mount(&["-o", &format!("remount,{options}")], self.folder.path()), "{options}");
    }

    /// KiB in use.
    fn used(&self) -> u64 {
        kib(self.folder.path(), "used")
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(self.folder.path()).status();
    }
}

/// KiB in use before a step and after it.
fn needed(life: &Life, step: usize) -> Option<(u64, u64)> {
    let disk = Disk::new()?;
    life.data_before(step, &disk.data());
    let before = disk.used();
    life.run(step, &disk.data(), None);
    Some((before, disk.used()))
}

/// The part of the data folder that an error names.
fn part_named(data: &Path, err: &str) -> String {
    let below = err.split(&format!("{}/", data.display())).nth(1).unwrap_or_else(|| panic!("no path: {err}"));
    below.split(['/', ':']).next().unwrap().to_owned()
}

#[test]
fn a_full_disk_half_publishes_nothing_and_room_is_all_it_takes() {
    let life = Life::shared();
    let mut struck = BTreeSet::new();
    for step in [1, 8, 9] {
        let Some((before, after)) = needed(&life, step) else { return };
        let mut failed = 0;
        for nth in 0..=SIZES {
            let Some(disk) = Disk::new() else { return };
            let data = disk.data();
            life.data_before(step, &data);
            let size = before + (after.max(before + 64) - before) * nth / SIZES;
            disk.remount(&format!("size={size}k"));
            let ended = life.start(step, &data, None);
            life.lost_nothing(step, &data);
            if ended.code == Some(1) {
                let says = ["No space left on device", "free some space and run again", "nothing was lost"];
                assert!(
                    says.iter().all(|says| ended.err.contains(says)),
                    "step {step}, {size} KiB: {ended:?}"
                );
                let error = ended.err.lines().last().unwrap();
                struck.insert(part_named(&data, error));
                let left = ["snapshots/.building", ".rebuild"].map(|path| data.join(path).exists());
                assert_eq!(left, [false; 2], "step {step}, {size} KiB: it keeps room that others need");
                failed += 1;
            }
            disk.remount("size=256m");
            life.run(step, &data, None);
            life.is_as_undisturbed(step, &data, false, &format!("step {step}, {size} KiB: {ended:?}"));
        }
        assert!(failed > 0, "step {step} never found the disk full");
    }
    println!("full at {struck:?}");
    assert!(struck.len() >= 4, "other steps must find the disk full too: {struck:?}");
}

fn ended(data: &Path, words: &[&str]) -> Ended {
    let to = ["--data".to_owned(), data.display().to_string()];
    Ended::of(&words.iter().map(|word| (*word).to_owned()).chain(to).collect::<Vec<_>>(), None)
}

#[test]
fn who_only_reads_needs_no_right_to_write() {
    let (life, last) = (Life::shared(), 9);
    let Some(disk) = Disk::new() else { return };
    let data = disk.data();
    life.data_before(last, &data);
    disk.remount("ro");
    whole(&data);
    for words in [
        &["status"][..],
        &["snapshots", "list"],
        &["snapshots", "show", "latest"],
        &["snapshots", "verify"],
        &["query", "SELECT count(*) FROM recipient_month"],
        &["timeline", "--insured", "0000000010"],
        &["timeline", "--insured", "1400000010", "--on-day", "2026-04-01"],
        &["findings"],
        &["findings", "--out", &disk.folder.path().with_extension("lists").display().to_string()],
    ] {
        let ended = ended(&data, words);
        assert_eq!((ended.code, ended.err.as_str()), (Some(0), ""), "{words:?}: {ended:?}");
    }
    std::fs::remove_dir_all(disk.folder.path().with_extension("lists")).unwrap();
    for words in [&["resolve"][..], &["rebuild"], &["close", "2026-08", "--on", "2026-10-01"]] {
        let ended = ended(&data, words);
        let says = ["Read-only file system", "make it writable and run again", &data.display().to_string()];
        assert_eq!(ended.code, Some(1), "{words:?}: {ended:?}");
        assert!(says.iter().all(|says| ended.err.contains(says)), "{words:?}: {ended:?}");
    }
    let night = life.start(last, &data, None);
    assert_eq!(night.code, Some(1), "{night:?}");
    disk.remount("rw");
    life.run(last, &data, None);
    life.is_as_undisturbed(last, &data, false, "writable again");
}

#[test]
fn who_only_reads_makes_nothing_in_a_new_data_folder() {
    let (life, step) = (Life::shared(), 0);
    let Some(disk) = Disk::new() else { return };
    let data = disk.data();
    life.data_before(step, &data);
    let mut args = life.args(step, &data);
    args[0] = "ingest".to_owned();
    assert_eq!(Ended::of(&args, None).code, Some(0));
    disk.remount("ro");
    let list = ended(&data, &["snapshots", "list", "--format", "json"]);
    assert_eq!((list.code, list.out.as_str()), (Some(0), "[]\n"), "{list:?}");
    for words in [&["status"][..], &["timeline", "--insured", "0000000010"]] {
        let ended = ended(&data, words);
        assert_eq!(ended.code, Some(0), "{words:?}: {ended:?}");
    }
    for words in [&["query", "SELECT 1"][..], &["findings"], &["snapshots", "verify"]] {
        let ended = ended(&data, words);
        assert_eq!(ended.code, Some(1), "{words:?}: {ended:?}");
        assert!(ended.err.contains("run `tsumiage resolve`"), "{words:?}: {ended:?}");
    }
}
