//! How findings are gathered (domain 7): errors once per record and item, warnings and infos once per
//! file, code and item with a count and the first record's number. Held against a naive recount.

use super::*;
use proptest::prelude::*;
use proptest::sample::{Index, subsequence};
use std::collections::BTreeMap;

/// What is to be told of an item.
type Told = &'static [(Code, Severity)];

/// What can be wrong with a movement: an item, its text, and what is to be told of it.
const WRONG: [(&str, &str, Told); 13] = [
    ("birth_date", "20260230", &[(Code::R03, Severity::Error)]),
    ("sex", "3", &[(Code::R04, Severity::Error)]),
    ("care_level", "*", &[(Code::R09, Severity::Error)]),
    ("nhi_personal_no", "1'", &[(Code::R06, Severity::Error)]),
    ("nhi_certificate_no", "12a", &[(Code::R13, Severity::Warning)]),
    ("union_no", "142035", &[(Code::R11, Severity::Info)]),
    ("union_no", "11142034", &[(Code::R05, Severity::Error)]),
    ("address_exception_facility_insurer_no", "142035", &[(Code::R11, Severity::Info)]),
    ("standard_copay_amount", "5", &[(Code::R12, Severity::Warning)]),
    ("home_service_limit_units", "x", &[(Code::R08, Severity::Error)]),
    ("name_kana", "ア", &[(Code::R13, Severity::Warning)]),
    ("name_kana", "\u{e000}", &[(Code::R07, Severity::Warning), (Code::R13, Severity::Warning)]),
    ("movement_reason", "77", &[(Code::R04, Severity::Error)]),
];

/// What is to be told of the items of a pair.
type ToldOfPair = &'static [(&'static str, Code, Severity)];

/// What can be wrong with a pair of a list.
const PAIRS: [(&str, &str, ToldOfPair); 6] = [
    ("142018", "20260401", &[]),
    ("", "", &[]),
    ("1", "20260401", &[("member_insurer_no", Code::R02, Severity::Error)]),
    ("142018", "", &[("member_valid_from_date", Code::R02, Severity::Error)]),
    ("142018", "20260431", &[("member_valid_from_date", Code::R03, Severity::Error)]),
    ("142035", "20260401", &[("member_insurer_no", Code::R11, Severity::Info)]),
];

/// One record and every single fault in it.
#[derive(Clone, Debug)]
struct Faulty {
    record: OutRecord,
    faults: Vec<(String, Code, Severity)>,
}

fn faulty_movement(wrong: &[usize]) -> Faulty {
    let mut of_items: BTreeMap<&str, (&str, Told)> = BTreeMap::new();
    for at in wrong {
        let (item, text, faults) = WRONG[*at];
        of_items.insert(item, (text, faults));
    }
    let texts: Vec<(&str, &str)> = of_items.iter().map(|(item, (text, _))| (*item, *text)).collect();
    let fault = |item: &str, (code, severity): &(Code, Severity)| (item.to_owned(), *code, *severity);
    let faults = of_items.iter().flat_map(|(item, (_, faults))| faults.iter().map(|f| fault(item, f)));
    Faulty { faults: faults.collect(), record: movement(&texts) }
}

fn faulty_list(pairs: &[Index]) -> Faulty {
    let layout = COMPILED.spec().layout(RecordKind::UnionMembershipMovement);
    let keys = [("movement_date", "20260910"), ("movement_type", "1"), ("insurer_no", "143990")];
    let mut list =
        keys.iter().fold(RecordBuilder::new(layout), |list, (item, text)| list.set(item, *text).unwrap());
    let mut faults = Vec::new();
    for pair in pairs {
        let (no, from, wrong) = PAIRS[pair.index(PAIRS.len())];
        list = list.member(no, from).unwrap();
        faults.extend(wrong.iter().map(|(item, code, severity)| ((*item).to_owned(), *code, *severity)));
    }
    Faulty { record: list.build(), faults }
}

fn faulty() -> impl Strategy<Value = Faulty> {
    let all: Vec<usize> = (0..WRONG.len()).collect();
    prop_oneof![
        subsequence(all, 0..=WRONG.len()).prop_map(|wrong| faulty_movement(&wrong)),
        prop::collection::vec(any::<Index>(), 0..8).prop_map(|pairs| faulty_list(&pairs)),
    ]
}

/// Record number, code, item, severity and count, in the order of findings.
type Line = (i64, Code, String, Severity, i64);

fn recounted(records: &[Faulty]) -> Vec<Line> {
    let mut lines: Vec<Line> = Vec::new();
    for (at, record) in records.iter().enumerate() {
        let number = at as i64 + 2;
        for (item, code, severity) in &record.faults {
            let same = |line: &&mut Line| {
                let of_file = *severity != Severity::Error || line.0 == number;
                of_file && (line.1, line.2.as_str(), line.3) == (*code, item, *severity)
            };
            match lines.iter_mut().find(same) {
                Some(line) => line.4 += 1,
                None => lines.push((number, *code, item.clone(), *severity, 1)),
            }
        }
    }
    lines.sort();
    lines
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(debug_assertions) { 200 } else { 5_000 }))]

    #[test]
    fn findings_are_gathered_as_a_naive_recount(records in prop::collection::vec(faulty(), 1..30)) {
        let written: Vec<OutRecord> = records.iter().map(|faulty| faulty.record.clone()).collect();
        let (report, batches) = read_all(&file(&written));
        let line = |f: &Finding| (f.record_no.unwrap(), f.code, f.item.clone().unwrap(), f.severity, f.count);
        let got: Vec<Line> = report.findings.iter().map(line).collect();
        prop_assert_eq!(got, recounted(&records));
        let with = |severity| records.iter().filter(|r| r.faults.iter().any(|f| f.2 == severity)).count() as i64;
        let rejected = with(Severity::Error);
        prop_assert_eq!((report.rejected, report.accepted), (rejected, records.len() as i64 - rejected));
        let warned = |r: &&Faulty| {
            r.faults.iter().any(|f| f.2 == Severity::Warning) && r.faults.iter().all(|f| f.2 != Severity::Error)
        };
        prop_assert_eq!(report.warned, records.iter().filter(warned).count() as i64);
        prop_assert_eq!(batches.iter().map(RecordBatch::num_rows).sum::<usize>() as i64, report.accepted);
    }
}
