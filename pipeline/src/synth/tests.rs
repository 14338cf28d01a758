//! Tests of whole data sets.

mod union;

use super::{SynthError, SynthOptions, SynthReport, synth};
use crate::reader::{Compiled, ReadOptions, read};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::path::Path;
use std::sync::Arc;
use tsumiage_schemas::{Day, Month, Spec};

fn small() -> SynthOptions {
    SynthOptions { recipients: 900, insurers: 7, months: 24, seed: 7, ..SynthOptions::default() }
}

/// Name and bytes of every file.
fn made(options: &SynthOptions) -> (SynthReport, BTreeMap<String, Vec<u8>>) {
    let folder = tempfile::tempdir().unwrap();
    let report = synth(options, &Spec::embedded().unwrap(), folder.path()).unwrap();
    (report, files(folder.path()))
}

fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let entry = |entry: std::io::Result<std::fs::DirEntry>| {
        let path = entry.unwrap().path();
        (path.file_name().unwrap().to_string_lossy().into_owned(), std::fs::read(&path).unwrap())
    };
    std::fs::read_dir(folder).unwrap().map(entry).collect()
}

/// The items of all data records of one exchange id, in order of application within each processing month,
/// with the processing month.
fn records(files: &BTreeMap<String, Vec<u8>>, exchange_id: &str) -> Vec<(String, Vec<String>)> {
    let mut all = Vec::new();
    for (name, bytes) in files.iter().filter(|(name, _)| name.contains(exchange_id)) {
        let (text, _, failed) = encoding_rs::SHIFT_JIS.decode(bytes);
        assert!(!failed && text.ends_with("\r\n"));
        let mut lines = text.lines().map(|l| l.replace('"', ""));
        let control: Vec<String> = lines.next().unwrap().split(',').map(str::to_owned).collect();
        assert_eq!((control.len(), control[10].as_str()), (12, &name[7..13]));
        let mut rows: Vec<Vec<String>> = lines.map(|l| l.split(',').map(str::to_owned).collect()).collect();
        assert_eq!(rows.pop().unwrap(), ["3".to_owned(), (rows.len() + 2).to_string()]);
        assert_eq!(control[3], rows.len().to_string());
        assert!(rows.iter().zip(2..).all(|(row, n)| row[1] == n.to_string()));
        all.extend(rows.into_iter().map(|row| (control[10].clone(), row)));
    }
    all.sort_by(|a, b| (&a.0, &a.1[3]).cmp(&(&b.0, &b.1[3])));
    all
}

#[test]
fn bytes_depend_on_the_seed_and_not_on_threads() {
    let (report, one) = made(&small());
    let alone = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    assert!(one == alone.install(|| made(&small())).1);
    assert!(one != made(&SynthOptions { seed: 8, ..small() }).1);
    assert_eq!(report.files, one.len() as u64);
    assert_eq!(report.bytes, one.values().map(|b| b.len() as u64).sum::<u64>());
    assert_eq!(report.movements, records(&one, "-5311").len() as u64);
    assert_eq!(report.records - report.movements, records(&one, "-5321").len() as u64);
}

/// Over names, sizes and bytes of all files, in name order.
fn digest(files: &BTreeMap<String, Vec<u8>>) -> String {
    let mut hash = Sha256::new();
    for (name, bytes) in files {
        hash.update(format!("{name} {}\n", bytes.len()));
        hash.update(bytes);
    }
    crate::disk::hex(&hash.finalize())
}

#[test]
fn known_options_give_known_bytes() {
    // Data sets are named by their options in notes and benchmarks, so these change only on purpose (or with
    // the layouts and the table of limits built in).
    let stretched = SynthOptions { movements: Some(9_000), corrections: false, ..small() };
    let damaged = SynthOptions { errors_every: Some(10), full_share: 0.2, ..small() };
    assert_eq!(
        [small(), stretched, damaged].map(|options| digest(&made(&options).1)),
        [
            "7ad84d610a667c753fc7b8513b17da31b6af4e511aaa23680ef16ac44c8fcca7",
            "e8b5520b0d01584ddb09e33d37d97f533e498bb140d0342c09c0f097caaa728f",
            "334b70e71df12b6c3a9502687f72e38d214ba57cb7cbf6d8c69a7af298320dff"
        ]
    );
}

#[test]
fn there_are_as_many_movements_as_asked_for() {
    for wanted in [300, 301, 900, 2_000, 3_000, 30_000] {
        for corrections in [false, true] {
            let options = SynthOptions { recipients: 300, movements: Some(wanted), corrections, ..small() };
            let (report, files) = made(&options);
            let all = records(&files, "-5311");
            assert_eq!((report.movements, all.len() as u64), (wanted, wanted));
            let mut people: Vec<_> = all.iter().map(|(_, row)| (&row[6], &row[7])).collect();
            people.sort();
            people.dedup();
            assert_eq!(people.len(), 300);
        }
    }
    let impossible = SynthOptions { movements: Some(899), ..small() };
    let folder = tempfile::tempdir().unwrap();
    let error = synth(&impossible, &Spec::embedded().unwrap(), folder.path()).unwrap_err();
    assert!(matches!(error, SynthError::Options(_)));
}

#[test]
fn a_life_without_faults_is_stacked_without_refusal() {
    let (report, files) = made(&SynthOptions { corrections: false, ..small() });
    assert!(!files.keys().any(|name| name.contains("5321")));
    let per_person = report.movements as f64 / 900.0;
    assert!((5.0..10.0).contains(&per_person), "{per_person} in 24 months");
    let mut last: BTreeMap<(String, String), (String, String)> = BTreeMap::new();
    let mut kinds = [0u32; 4];
    for (month, row) in records(&files, "-5311") {
        let (date, kind) = (row[3].clone(), row[4].clone());
        assert!(date[..6] < month[..], "{date} is sent in {month}");
        let before = last.insert((row[6].clone(), row[7].clone()), (date.clone(), kind.clone()));
        match before {
            None => assert_eq!(kind, "1"),
            Some((earlier, of)) => assert!(earlier < date && of != "3" && kind != "1"),
        }
        kinds[kind.parse::<usize>().unwrap()] += 1;
    }
    assert_eq!(kinds[1], 900);
    assert!((120..250).contains(&kinds[3]), "{kinds:?}");
}

#[test]
fn faults_are_few_and_of_every_kind() {
    let (report, files) = made(&SynthOptions { recipients: 5_000, ..small() });
    let slips = report.records - report.movements;
    assert!((report.movements / 150..report.movements / 80).contains(&slips), "{slips}");
    let all = records(&files, "-5311");
    let mut keys: Vec<_> = all.iter().map(|(_, row)| (&row[6], &row[7], &row[3])).collect();
    keys.sort();
    let twice = keys.windows(2).filter(|pair| pair[0] == pair[1]).count();
    assert!((3..30).contains(&twice), "{twice}");
    let month = |digits: &str| Month::from_digits(&digits.as_bytes()[..6]).unwrap();
    let late = all.iter().filter(|(sent, row)| month(sent) > month(&row[3]).next()).count();
    assert!(late > 100, "{late}");
}

#[test]
fn the_reader_accepts_every_record() {
    let spec = Arc::new(Spec::embedded().unwrap());
    let compiled = Compiled::new(spec);
    let options = ReadOptions { batch_rows: 1_000, taken_in_on: Day(20_780), closed_through: None };
    let (report, files) = made(&small());
    let mut records = 0;
    for (name, bytes) in &files {
        let Ok(read) = read(bytes, &compiled, &options, &mut |_, _| Ok::<_, Infallible>(()));
        assert_eq!(read.findings, [], "{name}");
        assert_eq!(read.accepted, read.records);
        records += read.records as u64;
    }
    assert_eq!(records, report.records);
}

#[test]
fn one_record_in_so_many_has_an_error() {
    let compiled = Compiled::new(Arc::new(Spec::embedded().unwrap()));
    let options = ReadOptions { batch_rows: 1_000, taken_in_on: Day(20_780), closed_through: None };
    let (_, files) = made(&SynthOptions { errors_every: Some(10), ..small() });
    for (name, bytes) in &files {
        let Ok(read) = read(bytes, &compiled, &options, &mut |_, _| Ok::<_, Infallible>(()));
        assert_eq!(read.rejected, read.records / 10, "{name}");
        assert!(read.findings.iter().all(|f| f.code == tsumiage_schemas::Code::R03), "{name}");
    }
}

#[test]
fn a_folder_with_something_in_it_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("a.csv"), "x").unwrap();
    let error = synth(&small(), &Spec::embedded().unwrap(), folder.path()).unwrap_err();
    assert!(matches!(error, SynthError::NotEmpty(_)));
}
