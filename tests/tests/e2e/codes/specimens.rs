//! Specimens of every code: files named by the codes they are to be told of.

use crate::records::{Items, list, record};
use tsumiage_pipeline::writer::{FileHeader, OutRecord, Quoting, write_file};
use tsumiage_schemas::{Layout, RecordKind, Spec};

/// A file named by the codes it is to be told of: `R03.csv`, `S05-slip.csv`; nothing is told of one whose
/// name begins with `base`.
pub struct Specimen {
    /// Name of the file.
    pub name: &'static str,
    /// What is in it.
    pub bytes: Vec<u8>,
}

/// The specimens of three nights; before the last, their processing month is closed.
pub struct Nights {
    /// Taken in on 2026-05-10.
    pub first: Vec<Specimen>,
    /// What comes the day after about records of the first.
    pub second: Vec<Specimen>,
    /// What comes late.
    pub closed: [Specimen; 1],
}

/// All specimens.
pub fn nights() -> Nights {
    let mut make = Maker { spec: Spec::embedded().unwrap(), person: 0 };
    let mut first = vec![Specimen { name: "base-insurer.csv", bytes: file(&[make.insurer("142018", &[])]) }];
    of_files(&mut make, &mut first);
    of_records(&mut make, &mut first);
    of_stacking(&mut make, &mut first);
    of_holders(&mut make, &mut first);
    of_unions(&make, &mut first);
    let [more, second] = of_two_nights(&mut make);
    first.extend(more);
    make.person += 1;
    let closed = [Specimen { name: "F08.csv", bytes: file(&[make.movement(&[])]) }];
    Nights { first, second, closed }
}

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

    /// A registration of another kind.
    fn registry(&self, kind: RecordKind, insurer_no: &str, items: Items<'_>) -> OutRecord {
        let keys = [("movement_date", "20260401"), ("movement_type", "1"), ("insurer_no", insurer_no)];
        record(self.layout(kind), &[&keys, items])
    }

    fn list(&self, union_no: &str, member: (&str, &str)) -> OutRecord {
        list(&self.spec, union_no, &[member])
    }
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
    // An answer of a KHS API that has another person than was asked for.
    let head = r#"{"khs":1,"form":"csv","insurer_no":"142018","insured_no":"0000000010","on":"2026-05-10","number":1}"#;
    let khs = format!("{head}\n142018,0000000020,1,,\r\n");
    all.push(Specimen { name: "R15.csv", bytes: khs.into_bytes() });
    make.person += 1;
    all.push(Specimen { name: "F11.csv", bytes: file(&[make.movement(&[])]) }); // to be withdrawn
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

/// What is told of holders and senders of people.
fn of_holders(make: &mut Maker, all: &mut Vec<Specimen>) {
    let people = |make: &mut Maker, items: Items<'_>| {
        make.person += 1;
        make.movement(items)
    };
    let of = |insurer_no| [("insurer_no", insurer_no)];
    all.push(Specimen { name: "S07.csv", bytes: file(&[people(make, &[("union_no", "142034")])]) });
    let unknown = people(make, &of("143014"));
    all.push(Specimen { name: "S08.csv", bytes: file_of("143014", "2026-05", &[unknown]) });
    let foreign = people(make, &[]);
    all.push(Specimen { name: "S12.csv", bytes: file_of("142034", "2026-05", &[foreign]) });
    let end = [("movement_date", "20260501"), ("movement_type", "3"), ("valid_to_date", "20260430")];
    let ended = [
        make.insurer("141003", &[("insurer_type", "2")]),
        make.insurer("141003", &end),
        people(make, &of("141003")),
    ];
    all.push(Specimen { name: "S13.csv", bytes: file_of("141003", "2026-05", &ended) });
}

/// What is told of records of unions and insurers, each sent by itself but one.
fn of_unions(make: &Maker, all: &mut Vec<Specimen>) {
    let mut push = |name, sender_no, records: &[OutRecord]| {
        all.push(Specimen { name, bytes: file_of(sender_no, "2026-05", records) });
    };
    push("base-union.csv", "149012", &[make.list("149012", ("143219", "20260401"))]);
    push("S09.csv", "149021", &[make.list("149021", ("143219", "20260501"))]);
    push("base-member.csv", "131016", &[make.insurer("131016", &[])]);
    push("S15.csv", "149039", &[make.list("149039", ("131016", "20260401"))]);
    push("S12-insurer.csv", "142034", &[make.insurer("149012", &[])]);
    let limit = make.registry(RecordKind::MunicipalLimitMovement, "149012", &[("care_level", "21")]);
    push("S12-limit.csv", "142034", &[limit]);
    let benefit = make.registry(RecordKind::SpecialBenefitMovement, "149012", &[("service_code", "810001")]);
    push("S12-benefit.csv", "142034", &[benefit]);
    // The later day would win (S09), but the list is refused.
    push("S12-list.csv", "142034", &[make.list("149012", ("131016", "20260501"))]);
    push("S01-insurer.csv", "142034", &[make.insurer("142034", &[]), make.insurer("142034", &[])]);
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
