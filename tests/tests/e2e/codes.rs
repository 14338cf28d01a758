//! One registry of codes: every code of `domain.md` is in `docs/findings.md` and is published for a specimen
//! that has this fault and no other; no code is published that a specimen does not expect.

use crate::support::{Table, snapshot_of, tsumiage};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use tsumiage_pipeline::writer::{FileHeader, OutRecord, Quoting, RecordBuilder, write_file};
use tsumiage_schemas::{Code, Layout, RecordKind, Spec};

/// Codes that nothing publishes yet, and why. Their specimens below are read like the others: one that
/// begins to be published has to be taken out of this list.
const PENDING: [(Code, &str); 6] = [
    (Code::S07, "rules about holders come with unions"),
    (Code::S08, "rules about holders come with unions"),
    (Code::S09, "rules about holders come with unions"),
    (Code::S12, "rules about holders come with unions"),
    (Code::S13, "rules about holders come with unions"),
    (Code::S15, "rules about holders come with unions"),
];

/// A file named by the codes it is to be told of: `R03.csv`, `S05-slip.csv`; nothing is told of one whose
/// name begins with `base`.
struct Specimen {
    name: &'static str,
    bytes: Vec<u8>,
}

/// Item names and texts.
type Items<'a> = &'a [(&'a str, &'a str)];

/// Makes specimens, each movement of a person of 142018 of whom no other file tells.
struct Maker {
    spec: Spec,
    person: u32,
}

impl Maker {
    fn layout(&self, kind: RecordKind) -> &Layout {
        self.spec.layout(kind)
    }

    /// A registration of 2026-04-01, certified from then on, with these items instead.
    fn movement(&self, items: Items<'_>) -> OutRecord {
        let person = format!("{:010}", self.person);
        let usual = [
            ("movement_date", "20260401"),
            ("movement_type", "1"),
            ("movement_reason", "01"),
            ("insurer_no", "142018"),
            ("insured_no", &person),
            ("care_level", "21"),
            ("certification_start_date", "20260401"),
            ("certification_end_date", "20270331"),
        ];
        record(self.layout(RecordKind::RecipientMovement), &[&usual, items])
    }

    /// A slip of 2026-05-08 that modifies that registration.
    fn slip(&self, items: Items<'_>) -> OutRecord {
        let person = format!("{:010}", self.person);
        let usual = [
            ("movement_date", "20260401"),
            ("correction_date", "20260508"),
            ("correction_type", "2"),
            ("insurer_no", "142018"),
            ("insured_no", &person),
        ];
        record(self.layout(RecordKind::RecipientCorrection), &[&usual, items])
    }

    fn insurer(&self, insurer_no: &str, items: Items<'_>) -> OutRecord {
        let usual = [
            ("movement_date", "20000401"),
            ("movement_type", "1"),
            ("movement_reason", "01"),
            ("insurer_no", insurer_no),
            ("insurer_name", "市"),
            ("insurer_type", "1"),
            ("valid_from_date", "20000401"),
        ];
        record(self.layout(RecordKind::InsurerMovement), &[&usual, items])
    }

    fn union(&self, union_no: &str, member_no: &str) -> OutRecord {
        let items = [("movement_date", "20260401"), ("movement_type", "1"), ("insurer_no", union_no)];
        let mut list = RecordBuilder::new(self.layout(RecordKind::UnionMembershipMovement));
        for (item, text) in items {
            list = list.set(item, text).unwrap();
        }
        list.member(member_no, "20260401").unwrap().build()
    }
}

/// Later texts of an item replace earlier ones.
fn record(layout: &Layout, items: &[Items<'_>]) -> OutRecord {
    let mut record = RecordBuilder::new(layout);
    for (item, text) in items.iter().copied().flatten() {
        record = record.set(item, *text).unwrap();
    }
    record.build()
}

fn file_of(sender_no: &str, month: &str, records: &[OutRecord]) -> Vec<u8> {
    let data_type = &records[0].exchange_id[..3];
    let header = FileHeader::new(data_type, sender_no, month.parse().unwrap());
    write_file(&header, Quoting::Needed, records).unwrap()
}

fn file(records: &[OutRecord]) -> Vec<u8> {
    file_of("142018", "2026-05", records)
}

fn replaced(bytes: &[u8], from: &str, to: &[u8]) -> Vec<u8> {
    let at = bytes.windows(from.len()).position(|w| w == from.as_bytes()).unwrap();
    [&bytes[..at], to, &bytes[at + from.len()..]].concat()
}

/// The specimens of the first night.
fn specimens(make: &mut Maker) -> Vec<Specimen> {
    let mut all = vec![Specimen { name: "base-insurer.csv", bytes: file(&[make.insurer("142018", &[])]) }];
    of_files(make, &mut all);
    of_records(make, &mut all);
    of_stacking(make, &mut all);
    of_holders(make, &mut all);
    all
}

fn of_files(make: &mut Maker, all: &mut Vec<Specimen>) {
    for (name, from, to) in [
        ("F01.csv", "1,1,0,1,531", "PK\u{3}\u{4}"),
        ("F02.csv", ",1,202605,", ",3,202605,"),
        ("F03.csv", "1,1,0,1,", "1,1,0,2,"),
        ("F04.csv", "3,3\r\n", ""),
        ("F05.csv", "2,2,5311", "2,7,5311"),
        ("F06.csv", "531,,142018", "532,,142018"),
        ("F09.csv", "3,3\r\n", "3,3"),
        ("F10.csv", ",202605,", ",202607,"),
        ("R01.csv", ",,,\r\n3", "\r\n3"),
        ("R01-longer.csv", "\r\n3", ",x\r\n3"),
    ] {
        make.person += 1;
        let bytes = replaced(&file(&[make.movement(&[])]), from, to.as_bytes());
        all.push(Specimen { name, bytes });
    }
    make.person += 1;
    let two = file(&[make.movement(&[]), make.movement(&[])]);
    all.push(Specimen { name: "R14.csv", bytes: replaced(&two, "2,3,5311", b"2,3,5999") });
    let kana = file(&[make.movement(&[("insured_no", "0000999999"), ("name_kana", "QQ")])]);
    all.push(Specimen { name: "R07.csv", bytes: replaced(&kana, "QQ", b"\x81") });
}

fn of_records(make: &mut Maker, all: &mut Vec<Specimen>) {
    let late = ("home_service_limit_start_date", "20260402");
    let early = ("home_service_limit_end_date", "20260401");
    for (name, items) in [
        ("R02.csv", &[("insured_no", "123")][..]),
        ("R03.csv", &[("birth_date", "20260230")]),
        ("R04.csv", &[("sex", "7")]),
        ("R05.csv", &[("nhi_personal_no", "12345678901")]),
        ("R06.csv", &[("nhi_personal_no", "1'")]),
        ("R08.csv", &[("home_service_limit_units", "x")]),
        ("R09.csv", &[("sex", "*")]),
        ("R10.csv", &[late, early]),
        ("R11.csv", &[("care_plan_provider_no", "1470000010")]),
        ("R12.csv", &[("standard_copay_amount", "5")]),
        ("R13.csv", &[("name_kana", "アイ")]),
        ("R13 R07-gaiji.csv", &[("name_kana", "\u{e000}")]),
    ] {
        make.person += 1;
        all.push(Specimen { name, bytes: file(&[make.movement(items)]) });
    }
}

fn of_stacking(make: &mut Maker, all: &mut Vec<Specimen>) {
    let change = [("movement_type", "2"), ("movement_reason", "99"), ("movement_date", "20260420")];
    let blank = [("care_level", ""), ("certification_start_date", ""), ("certification_end_date", "")];
    let inheriting = [&change[..], &blank].concat();
    let registered = |make: &Maker| make.movement(&[]);
    let mut push = |name, make: &mut Maker, records: &dyn Fn(&Maker) -> Vec<OutRecord>| {
        make.person += 1;
        all.push(Specimen { name, bytes: file(&records(make)) });
    };
    push("S01.csv", make, &|m| vec![registered(m), registered(m)]);
    push("S02.csv", make, &|m| vec![m.movement(&change)]);
    push("S03.csv", make, &|m| vec![m.slip(&[("care_level", "22")])]);
    push("S04.csv", make, &|m| vec![registered(m), m.movement(&[("movement_date", "20260420")])]);
    push("S10.csv", make, &|m| vec![m.movement(&[("certification_end_date", "20260430")])]);
    push("S11.csv", make, &|m| vec![registered(m), m.movement(&inheriting), m.slip(&[("care_level", "22")])]);
    push("S14.csv", make, &|m| vec![m.movement(&[("certification_start_date", "20260201")])]);
}

/// What is told of holders: one file each, the second with two unions that name one member.
fn of_holders(make: &mut Maker, all: &mut Vec<Specimen>) {
    let people = |make: &mut Maker, items: Items<'_>| {
        make.person += 1;
        make.movement(items)
    };
    let of = |insurer_no| [("insurer_no", insurer_no)];
    all.push(Specimen { name: "S07.csv", bytes: file(&[people(make, &[("union_no", "142034")])]) });
    let unknown = people(make, &of("143014"));
    all.push(Specimen { name: "S08.csv", bytes: file_of("143014", "2026-05", &[unknown]) });
    let unions = [
        make.insurer("149012", &[("insurer_type", "3")]),
        make.insurer("149021", &[("insurer_type", "3")]),
        make.union("149012", "143219"),
        make.union("149021", "143219"),
    ];
    all.push(Specimen { name: "S09.csv", bytes: file_of("149012", "2026-05", &unions) });
    let foreign = people(make, &[]);
    all.push(Specimen { name: "S12.csv", bytes: file_of("142034", "2026-05", &[foreign]) });
    let end = [("movement_date", "20260501"), ("movement_type", "3"), ("valid_to_date", "20260430")];
    let ended = [
        make.insurer("141003", &[("insurer_type", "2")]),
        make.insurer("141003", &end),
        people(make, &of("141003")),
    ];
    all.push(Specimen { name: "S13.csv", bytes: file_of("141003", "2026-05", &ended) });
    let members = [
        make.insurer("149039", &[("insurer_type", "3")]),
        make.insurer("131016", &[]),
        make.union("149039", "131016"),
    ];
    all.push(Specimen { name: "S15.csv", bytes: file_of("149039", "2026-05", &members) });
}

/// What the second night brings on records of the first, pairs of both nights.
fn of_two_nights(make: &mut Maker) -> [Vec<Specimen>; 2] {
    make.person += 1;
    let first = file(&[make.movement(&[]), make.slip(&[("sex", "1"), ("correction_date", "20260508")])]);
    let second = file(&[make.slip(&[("sex", "2"), ("correction_date", "20260507")])]);
    let late_slip = [("base-slip.csv", first), ("S05.csv", second)];
    make.person += 1;
    let change = [("movement_date", "20260601"), ("movement_type", "2"), ("movement_reason", "99")];
    let end = [("movement_date", "20260501"), ("movement_type", "3"), ("movement_reason", "02")];
    let first = file(&[make.movement(&[]), make.movement(&change)]);
    let late_end = [("base-change.csv", first), ("S06.csv", file(&[make.movement(&end)]))];
    let [mut firsts, mut seconds] = [Vec::new(), Vec::new()];
    for [(base, first), (name, second)] in [late_slip, late_end] {
        firsts.push(Specimen { name: base, bytes: first });
        seconds.push(Specimen { name, bytes: second });
    }
    [firsts, seconds]
}

fn nightly(folder: &Path, on: &str, specimens: &[Specimen], more: &[&str]) -> String {
    let inbox = folder.join(format!("inbox-{on}"));
    fs::create_dir_all(&inbox).unwrap();
    for specimen in specimens {
        fs::write(inbox.join(specimen.name), &specimen.bytes).unwrap();
    }
    let (data, inbox) = (folder.join("data").display().to_string(), inbox.display().to_string());
    tsumiage([&["nightly", "--on", on, "--data", &data, "--inbox", &inbox], more].concat())
}

/// Codes published for each file.
fn published(snapshot: &Path) -> BTreeMap<String, BTreeSet<Code>> {
    let columns = ["file_name", "code"].map(str::to_owned);
    let mut codes: BTreeMap<String, BTreeSet<Code>> = BTreeMap::new();
    for row in Table::read_snapshot(snapshot, "findings", &columns).rows {
        codes.entry(row[0].clone()).or_default().insert(Code::parse(&row[1]).unwrap());
    }
    codes
}

/// The codes in a specimen's name that are published already.
fn expected(name: &str) -> BTreeSet<Code> {
    let codes = name.split([' ', '-', '.']).filter_map(Code::parse);
    codes.filter(|code| PENDING.iter().all(|(pending, _)| pending != code)).collect()
}

#[test]
fn every_code_is_published_for_its_specimen_and_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let mut make = Maker { spec: Spec::embedded().unwrap(), person: 0 };
    let mut first = specimens(&mut make);
    let [more, second] = of_two_nights(&mut make);
    first.extend(more);
    make.person += 1;
    let closed = [Specimen { name: "F08.csv", bytes: file(&[make.movement(&[])]) }];

    nightly(folder.path(), "2026-05-10", &first, &["--months", "2026-04..2026-06"]);
    nightly(folder.path(), "2026-05-11", &second, &[]);
    let data = folder.path().join("data").display().to_string();
    tsumiage(["close", "2026-05", "--on", "2026-06-01", "--data", &data]);
    let got = published(&snapshot_of(&nightly(folder.path(), "2026-06-02", &closed, &[])));

    let mut wrong = Vec::new();
    for specimen in first.iter().chain(&second).chain(&closed) {
        let (got, want) = (got.get(specimen.name).cloned().unwrap_or_default(), expected(specimen.name));
        if got != want {
            wrong.push(format!("{}: {got:?} published instead of {want:?}", specimen.name));
        }
    }
    assert!(
        wrong.is_empty(),
        "{}\nif a code begins to be published, take it out of PENDING",
        wrong.join("\n")
    );

    let mut produced: BTreeSet<Code> = got.into_values().flatten().collect();
    let again = nightly(folder.path(), "2026-06-02", &closed, &["--json"]);
    assert!(again.contains("\"finding\":\"F07\""), "told in the run's events only: {again}");
    produced.insert(Code::F07);
    let pending: BTreeSet<Code> = PENDING.iter().map(|(code, _)| *code).collect();
    let (all, both) = (&produced | &pending, &produced & &pending);
    assert_eq!((all, both), (Code::ALL.iter().copied().collect(), BTreeSet::new()));
}

/// The table in `docs/findings.md`, as the data files say it.
fn registry(spec: &Spec) -> String {
    let line = |code: &Code| {
        let severity = spec.catalogue.severity(*code).as_str();
        let (japanese, english) = spec.catalogue.messages(*code, "(item)", "項目", "");
        let (what, to_do) = english.split_once(". ").unwrap();
        format!("| {code} | {severity} | {what}. | {to_do} | {japanese} |\n")
    };
    let header =
        "| code | severity | what it means | what to do | as the sender reads it |\n|---|---|---|---|---|\n";
    Code::ALL.iter().map(line).fold(header.to_owned(), |table, line| table + &line)
}

#[test]
fn the_registry_is_documented_as_it_is() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/findings.md");
    let page = fs::read_to_string(page).unwrap();
    let table = registry(&Spec::embedded().unwrap());
    assert!(page.contains(&table), "docs/findings.md should hold this table:\n{table}");
    let listed = page.lines().filter_map(|line| Code::parse(line.strip_prefix("| ")?.get(..3)?));
    assert_eq!(listed.collect::<Vec<_>>(), Code::ALL, "every code once");
    for (code, _) in PENDING {
        assert!(page.contains(&format!("`{code}`")), "{code} is said to be not published yet");
    }
}
