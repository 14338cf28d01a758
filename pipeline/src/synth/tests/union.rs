//! The insurers as members of one union.

use super::{digest, made, records, small};
use crate::reader::{Compiled, ReadOptions, read};
use crate::synth::SynthOptions;
use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::sync::Arc;
use tsumiage_schemas::{Day, Spec};

type Files = BTreeMap<String, Vec<u8>>;
/// Processing month and items.
type Records = Vec<(String, Vec<String>)>;

const UNION: &str = "140996";
const DATE: usize = 3;
const TYPE: usize = 4;
const REASON: usize = 5;
const INSURER: usize = 6;
const INSURED: usize = 7;
const UNION_NO: usize = 15;
const LIMIT: usize = 27;

fn union() -> SynthOptions {
    SynthOptions { recipients: 3_000, union: true, ..small() }
}

fn registry(files: &Files) -> Records {
    let records = records(files, "-5411");
    assert!(files.contains_key(&format!("{UNION}-202312-5411.csv")));
    assert_eq!(files.keys().filter(|name| name.ends_with("-5411.csv")).count(), 1);
    records
}

/// The numbers that files are named by, without the union.
fn members(files: &Files) -> BTreeSet<String> {
    files.keys().map(|name| name[..6].to_owned()).filter(|no| no != UNION).collect()
}

#[test]
fn it_registers_itself_and_its_members_before_anyone_moves() {
    let (_, files) = made(&union());
    let registry = registry(&files);
    let ids: Vec<&str> = registry.iter().map(|(_, row)| row[2].as_str()).collect();
    assert_eq!(ids, ["5411", "5511", "5511", "5511", "5611", "5711"]);
    let first = records(&files, "-5311").iter().map(|(_, row)| row[DATE].clone()).min().unwrap();
    for (month, row) in &registry {
        assert_eq!(month, "202312");
        assert_eq!((&row[TYPE], &row[REASON], &row[INSURER]), (&"1".into(), &"01".into(), &UNION.into()));
        assert!(row[DATE] < first);
    }
    assert_eq!(registry[0].1[7..9], ["みなと広域連合", "3"]);
    assert_eq!(registry[1].1[7..9], ["23", "29752"]);
    let (movements, at_23) =
        (records(&files, "-5311"), |row: &[String]| row[20] == "23" && !row[LIMIT].is_empty());
    let mut units = movements.iter().filter(|(_, row)| at_23(row)).map(|(_, row)| row[LIMIT].as_str());
    assert!(units.next() == Some("29752") && units.all(|units| units == "29752"));
    let list = &registry[5].1;
    let named: BTreeSet<String> = list[7..].iter().step_by(2).cloned().collect();
    assert_eq!((named, list.len()), (members(&files), 7 + 2 * 7));
    assert!(list[8..].iter().step_by(2).all(|from| *from == list[DATE]));
}

#[test]
fn it_sends_for_its_members() {
    for bytes in made(&union()).1.values() {
        let control = String::from_utf8_lossy(bytes).lines().next().unwrap().replace('"', "");
        assert_eq!(control.split(',').nth(6), Some(UNION));
    }
}

#[test]
fn lives_are_those_of_insurers_that_stand_alone() {
    let (_, alone) = made(&SynthOptions { union: false, ..union() });
    let (report, together) = made(&union());
    let lives = |files: &Files| -> BTreeMap<String, Records> {
        let of_file = |(name, bytes): (&String, &Vec<u8>)| {
            let mut rows = records(&Files::from([(name.clone(), bytes.clone())]), "-5311");
            for (_, row) in &mut rows {
                for item in [REASON, INSURER, INSURED, UNION_NO, LIMIT] {
                    row[item].clear();
                }
            }
            (name.clone(), rows)
        };
        files.iter().filter(|(name, _)| name.contains("-5311")).map(of_file).collect()
    };
    assert_eq!(report.files, together.len() as u64);
    assert_eq!(report.files, alone.len() as u64 + 1);
    assert_eq!(report.movements, records(&alone, "-5311").len() as u64);
    assert!(lives(&alone) == lives(&together));
}

#[test]
fn nobody_shares_an_insured_number() {
    let (_, files) = made(&union());
    let all = records(&files, "-5311");
    let begun = all.iter().filter(|(_, row)| row[TYPE] == "1");
    let mut numbers: Vec<&String> = begun.map(|(_, row)| &row[INSURED]).collect();
    let people = numbers.len();
    numbers.sort();
    numbers.dedup();
    assert!((3_000..3_020).contains(&people), "{people}"); // a registration may be sent twice
    assert_eq!(numbers.len(), 3_000);
}

#[test]
fn some_changes_are_moves_to_another_member() {
    let (_, files) = made(&SynthOptions { corrections: false, ..union() });
    let members = members(&files);
    let mut lives_in: BTreeMap<String, String> = BTreeMap::new();
    let (mut changes, mut moves, mut tell_the_union) = (0, 0, 0);
    for (_, row) in records(&files, "-5311") {
        assert!(members.contains(&row[INSURER]));
        let before = lives_in.insert(row[INSURED].clone(), row[INSURER].clone());
        let moved = before.as_ref().is_some_and(|before| *before != row[INSURER]);
        assert_eq!(moved, row[REASON] == "03", "{row:?}");
        assert!(!moved || row[TYPE] == "2");
        changes += u32::from(row[TYPE] == "2");
        moves += u32::from(moved);
        assert!(row[UNION_NO] == UNION || (row[UNION_NO].is_empty() && row[TYPE] != "1"));
        tell_the_union += usize::from(row[UNION_NO] == UNION && row[TYPE] != "1");
    }
    let per_mille = f64::from(moves) * 1_000.0 / f64::from(changes);
    assert!((7.0..13.0).contains(&per_mille), "{per_mille}");
    assert!(tell_the_union > 1_000, "{tell_the_union}");
}

#[test]
fn a_slip_names_the_member_of_its_record() {
    let (_, files) = made(&SynthOptions { recipients: 20_000, ..union() });
    let all = records(&files, "-5311");
    let key =
        |row: &[String], insurer: usize| (row[insurer].clone(), row[insurer + 1].clone(), row[DATE].clone());
    let sent: BTreeMap<_, _> = all.iter().map(|(_, row)| (key(row, INSURER), row)).collect();
    let mut of_moves = 0;
    for (_, slip) in records(&files, "-5321") {
        let record = sent.get(&key(&slip, 7)).unwrap_or_else(|| panic!("{slip:?}"));
        of_moves += u32::from(record[REASON] == "03");
    }
    assert!(of_moves > 3, "{of_moves}");
}

#[test]
fn bytes_are_known_and_the_reader_accepts_all() {
    let options = SynthOptions { recipients: 900, ..union() };
    let (report, files) = made(&options);
    let alone = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    assert_eq!(digest(&files), digest(&alone.install(|| made(&options)).1));
    assert_eq!(digest(&files), "92daf6f820625abbd571244e5f2bb72d8ce41cb71a488c15e0fbce7267b37f67");
    let compiled = Compiled::new(Arc::new(Spec::embedded().unwrap()));
    let reading = ReadOptions { batch_rows: 1_000, taken_in_on: Day(20_780), closed_through: None };
    let mut accepted = 0;
    for (name, bytes) in &files {
        let Ok(read) = read(bytes, &compiled, &reading, &mut |_, _| Ok::<_, Infallible>(()));
        assert_eq!((read.findings.as_slice(), read.accepted), (&[][..], read.records), "{name}");
        accepted += read.accepted as u64;
    }
    assert_eq!((accepted, report.files), (report.records, files.len() as u64));
}

#[test]
fn the_largest_list_is_read_and_no_larger_one_is_made() {
    let options = SynthOptions { insurers: 508, months: 1, recipients: 600, ..union() };
    let (_, files) = made(&options);
    let compiled = Compiled::new(Arc::new(Spec::embedded().unwrap()));
    let reading = ReadOptions { batch_rows: 1_000, taken_in_on: Day(20_780), closed_through: None };
    let bytes = &files[&format!("{UNION}-202312-5411.csv")];
    let Ok(read) = read(bytes, &compiled, &reading, &mut |_, _| Ok::<_, Infallible>(()));
    assert_eq!((read.findings.as_slice(), read.accepted), (&[][..], 6));
    let larger = SynthOptions { insurers: 509, ..options };
    let folder = tempfile::tempdir().unwrap();
    assert!(crate::synth::synth(&larger, &Spec::embedded().unwrap(), folder.path()).is_err());
}
