//! Big hostile files are taken in with little memory: archived, rejected with a clear F01, and never
//! pulled into memory as a whole. Files of 64 MiB; `SOAK=1` makes them 1 GiB and adds slower ones.
//!
//! Each file is taken in by a process of its own (this test binary again), whose greatest resident
//! memory the kernel tells, mapped pages included.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)] // a test may fail loudly

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use tsumiage_pipeline::ledger::Ledger;
use tsumiage_pipeline::reader::Compiled;
use tsumiage_pipeline::take_in::{FileOutcome, TakeInOptions, Watch, take_in};
use tsumiage_schemas::{Day, Spec};

const CONTROL: &str = "1,1,0,1,531,,142018,,,1,202610,0\r\n";
const MIB: usize = 1 << 20;

/// Tells the process of its own which file to take in.
const FILE: &str = "TSUMIAGE_TEST_BIG_FILE";

fn soak() -> bool {
    std::env::var_os("SOAK").is_some_and(|value| value == "1")
}

struct Silent;

impl Watch for Silent {
    fn began(&self, _: usize, _: u64) {}
    fn file(&self, _: &FileOutcome) {}
}

/// Takes one file into a new data folder beside it.
fn take_in_one(file: &Path) -> FileOutcome {
    let compiled = Compiled::new(Arc::new(Spec::embedded().unwrap()));
    let data = file.with_extension("data");
    std::fs::create_dir(&data).unwrap();
    let options = TakeInOptions {
        data: &data,
        compiled: &compiled,
        one_off: false,
        layouts: "test",
        taken_in_on: Day(20_750),
        recheck: false,
        batch_rows: 8_192,
        memory_bytes: 64 * MIB,
    };
    let mut ledger = Ledger::open(&data).unwrap();
    take_in(&[file.to_owned()], &mut ledger, &options, &Silent).unwrap().remove(0)
}

/// Greatest resident memory of this process so far, in KiB.
fn peak_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// No test by itself: what the process of its own does.
#[test]
fn process_of_its_own() {
    let Some(file) = std::env::var_os(FILE).map(PathBuf::from) else { return };
    let small = file.with_file_name("small.csv");
    std::fs::write(&small, format!("{CONTROL}3,2\r\n")).unwrap();
    take_in_one(&small);
    let before = peak_kib();
    let outcome = take_in_one(&file);
    let told: Vec<String> = outcome.file_errors.iter().map(|f| format!("{} {}", f.code, f.detail)).collect();
    println!("\ngrown {} told {}", peak_kib() - before, told.join("; "));
    assert!(outcome.file_rejected && outcome.accepted == 0);
}

/// Takes a file in and gives by how many KiB memory grew, and the file errors.
fn measured(file: &Path) -> (u64, String) {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "process_of_its_own", "--nocapture"]).env(FILE, file);
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
    let line = text.lines().find_map(|line| line.strip_prefix("grown ")).unwrap();
    let (grown, told) = line.split_once(" told ").unwrap();
    (grown.parse().unwrap(), told.to_owned())
}

/// A file that begins so and goes on with a pattern over and over; no pattern: zeros that take no disk.
fn made(folder: &Path, start: &[u8], pattern: &[u8], bytes: usize) -> PathBuf {
    let path = folder.join("file.csv");
    let mut file = File::create(&path).unwrap();
    file.write_all(start).unwrap();
    if pattern.is_empty() {
        file.set_len(bytes as u64).unwrap();
    } else {
        let block = pattern.repeat(MIB / pattern.len());
        (0..bytes.div_ceil(block.len())).for_each(|_| file.write_all(&block).unwrap());
    }
    path
}

#[test]
fn a_big_hostile_file_is_one_finding_and_takes_no_memory() {
    let bytes = if soak() { 1 << 30 } else { 64 * MIB };
    for (start, pattern, told) in [
        ("", &b""[..], "F01 nul_bytes"),
        (CONTROL, b"", "F01 long_line:2"),
        ("PK\x03\x04", b"", "F01 zip_file"),
        ("1,1,0,", b"a", "F01 long_line:1"),
        ("", b"\"", "F01 no_control_record:\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\""),
        (CONTROL, b"\"", "F01 long_line:2"),
        (CONTROL, b",", "F01 long_line:2"),
        (&format!("{CONTROL}2,2,\""), b"\r\nx", "F01 long_line:2"),
        ("", b"\r\n", "F01 blank"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let file = made(folder.path(), start.as_bytes(), pattern, bytes);
        let (grown, found) = measured(&file);
        assert_eq!(found, told, "{start:?} {pattern:?}");
        assert!(grown < 12 * 1024, "{start:?} {pattern:?}: {grown} KiB more");
    }
}

/// So many records that errors cannot stand one by one: memory is bounded by the bound on them.
#[test]
fn countless_empty_records_take_bounded_memory() {
    if !soak() {
        return; // `countless_errors_are_counted` shows the bound
    }
    let folder = tempfile::tempdir().unwrap();
    let start = format!("{CONTROL}2,2,5311\r\n");
    let file = made(folder.path(), start.as_bytes(), b"\nx", 64 * MIB);
    let (grown, found) = measured(&file);
    assert!(found.contains("F03") && found.contains("F04"), "{found}");
    assert!(grown < 2 << 20, "{grown} KiB more");
}
