//! The oracle on unions and cities: the cases of domain.md section 4 and the rules one by one. Numbers are
//! letters here: A to D towns, U and V unions.

use super::*;

const PERSON: &str = "0000000010";

/// A line of a file: what is sent, in one word of kind, insurer, date, type, and what it carries.
enum Line {
    Registry(RegistryFact),
    Recipient(RecordFact),
}

/// `item=value item=value`; `item=*` clears.
fn items(text: &str) -> BTreeMap<String, State> {
    let item = |word: &str| {
        let (item, value) = word.split_once('=').unwrap();
        let state = if value == "*" { State::Clear } else { State::Value(value.to_owned()) };
        (item.to_owned(), state)
    };
    text.split_whitespace().map(item).collect()
}

fn registry(kind: RegistryKind, insurer_no: &str, movement_date: Date, movement_type: u8) -> RegistryFact {
    let (items, members) = (BTreeMap::new(), Vec::new());
    let insurer_no = insurer_no.into();
    RegistryFact { record_no: 0, kind, insurer_no, movement_date, movement_type, items, members }
}

/// 5711; members as `A:20260401 B` (without a day: from the movement date).
fn list(union_no: &str, date: Date, movement_type: u8, members: &str) -> Line {
    let member = |word: &str| match word.split_once(':') {
        Some((member, from)) => (member.to_owned(), from.parse().unwrap()),
        None => (word.to_owned(), date),
    };
    let members = members.split_whitespace().map(member).collect();
    Line::Registry(RegistryFact {
        members,
        ..registry(RegistryKind::Membership, union_no, date, movement_type)
    })
}

/// 5411.
fn insurer(insurer_no: &str, date: Date, movement_type: u8, given: &str) -> Line {
    let fact = registry(RegistryKind::Insurer, insurer_no, date, movement_type);
    Line::Registry(RegistryFact { items: items(given), ..fact })
}

/// 5511.
fn limit(insurer_no: &str, date: Date, movement_type: u8, given: &str) -> Line {
    let fact = registry(RegistryKind::Limit, insurer_no, date, movement_type);
    Line::Registry(RegistryFact { items: items(given), ..fact })
}

fn recipient(insurer_no: &str, movement_date: Date, body: Body, given: &str) -> Line {
    let (insurer_no, insured_no) = (insurer_no.into(), PERSON.into());
    Line::Recipient(RecordFact {
        record_no: 0,
        insurer_no,
        insured_no,
        movement_date,
        body,
        items: items(given),
    })
}

/// 5311.
fn movement(insurer_no: &str, date: Date, movement_type: u8, given: &str) -> Line {
    recipient(insurer_no, date, Body::Movement { movement_type }, given)
}

/// 5321 that modifies.
fn slip(insurer_no: &str, date: Date, given: &str) -> Line {
    recipient(insurer_no, date, Body::Correction { correction_date: 20270101, correction_type: 2 }, given)
}

/// A file named like its hash; the sender `-` is another office.
fn file(name: &str, processing_month: Ym, sender: &str, lines: Vec<Line>) -> FileFact {
    let mut file = FileFact {
        name: name.into(),
        hash: name.into(),
        sender_no: Some(sender.to_owned()).filter(|sender| sender != "-"),
        processing_month,
        taken_in_on: processing_month * 100 + 5,
        records: Vec::new(),
        registry: Vec::new(),
    };
    for (record_no, line) in (2..).zip(lines) {
        match line {
            Line::Registry(fact) => file.registry.push(RegistryFact { record_no, ..fact }),
            Line::Recipient(record) => file.records.push(RecordFact { record_no, ..record }),
        }
    }
    file
}

fn limits() -> Vec<Limit> {
    let level = |care_level: &str, limit_units, weight| Limit {
        care_level: care_level.into(),
        valid_from: 201910,
        valid_to: None,
        limit_units,
        weight,
    };
    vec![level("21", 16765, 5), level("22", 19705, 6)]
}

fn all(files: &[FileFact]) -> Resolved {
    resolve(files, None, Inheritance::Arrival, (202603, 202609), &limits())
}

fn cell(row: &Row, column: &str) -> String {
    row[column].clone().unwrap_or("-".into())
}

/// Each month with the holder and the insurer on the record: `03:A/A 04:U/A`.
fn by_month(resolved: &Resolved) -> String {
    let month = |row: &Row| {
        format!(
            "{}:{}/{}",
            &cell(row, "service_month")[5..7],
            cell(row, "holder_no"),
            cell(row, "insurer_no")
        )
    };
    resolved.months.iter().map(month).collect::<Vec<_>>().join(" ")
}

/// Some columns of a table, a row each.
fn rows(table: &[Row], columns: &[&str]) -> Vec<String> {
    let row = |row: &Row| columns.iter().map(|c| cell(row, c)).collect::<Vec<_>>().join(" ");
    table.iter().map(row).collect()
}

/// Memberships with the list that made them.
fn members(resolved: &Resolved) -> Vec<String> {
    rows(&resolved.memberships, &["union_no", "member_no", "valid_from", "valid_to", "file_id"])
}

/// Findings as `code@file:record names`, without S10 and S14.
fn codes(resolved: &Resolved) -> Vec<String> {
    let text = |f: &OracleFinding| {
        let names: String = f.names.iter().map(|name| format!(" {name}")).collect();
        format!("{}@{}:{}{names}", f.code, f.file_hash, f.record_no)
    };
    let told = |f: &&OracleFinding| f.code != "S10" && f.code != "S14";
    resolved.findings.iter().filter(told).map(text).collect()
}

/// Town A with a registration and a person since January.
fn town(no: &str) -> FileFact {
    let lines = vec![
        insurer(no, 20260101, 1, "insurer_name=town insurer_type=1"),
        movement(no, 20260110, 1, "care_level=21 certification_start_date=20260101"),
    ];
    file(&format!("town{no}"), 202601, no, lines)
}

/// Union U of A and B from January, a person at A.
fn union() -> FileFact {
    let lines = vec![
        insurer("U", 20260101, 1, "insurer_name=union insurer_type=3"),
        list("U", 20260101, 1, "A B"),
        movement("A", 20260110, 1, "care_level=21 certification_start_date=20260101"),
    ];
    file("union", 202601, "U", lines)
}

#[test]
fn case_2_and_3_a_town_joins() {
    let end = file("end", 202603, "A", vec![insurer("A", 20260401, 3, "valid_to_date=20260331")]);
    let joins = || {
        let lines = vec![
            insurer("U", 20260401, 1, "insurer_name=union insurer_type=3"),
            list("U", 20260401, 1, "A B"),
            movement("A", 20260401, 1, "movement_reason=01"),
        ];
        file("joins", 202604, "U", lines)
    };
    let resolved = all(&[town("A"), end.clone(), joins()]);
    assert_eq!(by_month(&resolved), "03:A/A 04:U/A 05:U/A 06:U/A 07:U/A 08:U/A 09:U/A");
    assert_eq!(codes(&resolved), ["S13@townA:3"]);
    assert_eq!(
        rows(&resolved.history, &["holder_no", "valid_from", "valid_to", "to_month"]),
        ["A 2026-01-10 2026-03-31 2026-03-01", "U 2026-04-01 - -"]
    );
    let names = rows(&resolved.months[..2], &["holder_name", "first_day_insurer_no"]);
    assert_eq!(names, ["town A", "union A"]);
    // The person's end says the same as what cut the record off: on the leaving day and the day before.
    for date in [20260331, 20260401] {
        let person = file("person", 202604, "A", vec![movement("A", date, 3, "")]);
        let resolved = all(&[town("A"), end.clone(), joins(), person]);
        assert_eq!(by_month(&resolved), "03:A/A 04:U/A 05:U/A 06:U/A 07:U/A 08:U/A 09:U/A");
        assert!(codes(&resolved).is_empty(), "{date}: {:?}", codes(&resolved));
    }
    // Without the town's end: S15 at the list; before the list is known: as if nothing were.
    let resolved = all(&[town("A"), joins()]);
    assert_eq!(codes(&resolved), ["S13@townA:3", "S15@joins:3 A"]);
    let before = resolve(&[town("A"), joins()], Some(202603), Inheritance::Arrival, (202603, 202604), &[]);
    assert_eq!(by_month(&before), "03:A/A 04:A/A");
}

#[test]
fn case_4_a_town_leaves() {
    let leaves =
        file("leaves", 202606, "U", vec![list("U", 20260601, 2, "B"), movement("A", 20260601, 3, "")]);
    let alone = vec![
        insurer("A", 20260601, 1, "insurer_name=town"),
        limit("A", 20260601, 1, "category_limit_units=20000"),
        movement("A", 20260601, 1, "care_level=21 certification_start_date=20260601"),
    ];
    let files = [union(), leaves, file("alone", 202606, "A", alone)];
    let resolved = all(&files);
    assert_eq!(by_month(&resolved), "03:U/A 04:U/A 05:U/A 06:A/A 07:A/A 08:A/A 09:A/A");
    assert!(codes(&resolved).is_empty(), "{:?}", codes(&resolved));
    let units = rows(&resolved.months[2..4], &["limit_units", "limit_source"]);
    assert_eq!(units, ["16765 table", "20000 municipal"]);
    assert_eq!(members(&resolved), ["U A 2026-01-01 2026-05-31 union", "U B 2026-01-01 - union"]);
}

#[test]
fn case_6_members_merge() {
    let merger = vec![
        list("U", 20260615, 2, "C"),
        movement("C", 20260615, 1, "movement_reason=04 care_level=22 certification_start_date=20260101"),
    ];
    let resolved = all(&[union(), file("merger", 202606, "U", merger)]);
    assert_eq!(by_month(&resolved), "03:U/A 04:U/A 05:U/A 06:U/C 07:U/C 08:U/C 09:U/C");
    assert_eq!(cell(&resolved.months[3], "first_day_insurer_no"), "A");
    assert_eq!(cell(&resolved.months[3], "heaviest_care_level"), "22");
    assert!(codes(&resolved).is_empty(), "{:?}", codes(&resolved));
}

#[test]
fn case_7_unions_merge_whatever_is_known_first() {
    let lines = || {
        vec![
            insurer("V", 20260601, 1, "insurer_name=new insurer_type=3"),
            list("V", 20260601, 1, "A B C"),
            movement("A", 20260601, 1, "movement_reason=04"),
        ]
    };
    let ends = || vec![insurer("U", 20260601, 3, "valid_to_date=20260531"), list("U", 20260601, 3, "")];
    let mut seen = Vec::new();
    for (first, second) in [(202605, 202606), (202606, 202605)] {
        let files = [union(), file("new", first, "V", lines()), file("old", second, "U", ends())];
        let resolved = all(&files);
        assert_eq!(by_month(&resolved), "03:U/A 04:U/A 05:U/A 06:V/A 07:V/A 08:V/A 09:V/A");
        assert_eq!(codes(&resolved), ["S13@union:4"]);
        seen.push((resolved.memberships, resolved.insurers));
        // Before the old union's end is known, the new one wins and S09 tells.
        if first < second {
            let early = resolve(&files, Some(first), Inheritance::Arrival, (202605, 202606), &[]);
            assert_eq!(by_month(&early), "05:U/A 06:V/A");
            assert_eq!(codes(&early), ["S13@union:4", "S09@new:3 A U", "S09@new:3 B U"]);
        }
    }
    assert_eq!(seen[0], seen[1]);
}

#[test]
fn case_8_a_person_moves_between_members() {
    let moves = vec![movement("B", 20260615, 2, "movement_reason=03")];
    let resolved = all(&[union(), file("moves", 202606, "U", moves)]);
    assert_eq!(by_month(&resolved), "03:U/A 04:U/A 05:U/A 06:U/B 07:U/B 08:U/B 09:U/B");
    assert_eq!(cell(&resolved.months[3], "first_day_insurer_no"), "A");
    assert_eq!(
        cell(&resolved.months[3], "care_level"),
        "21",
        "inherited from the record of the other member"
    );
    assert!(codes(&resolved).is_empty());
}

#[test]
fn a_forgotten_member_is_mended_and_one_that_comes_back_later_is_not() {
    let forgets = |from: &str| {
        vec![
            union(),
            file("forgets", 202604, "U", vec![list("U", 20260401, 2, "B")]),
            file("again", 202607, "U", vec![list("U", 20260701, 2, &format!("B A:{from}"))]),
        ]
    };
    for from in ["20260401", "20260301", "20260101"] {
        let resolved = all(&forgets(from));
        assert_eq!(members(&resolved)[0], "U A 2026-01-01 - union", "{from}");
        assert_eq!(by_month(&resolved), "03:U/A 04:U/A 05:U/A 06:U/A 07:U/A 08:U/A 09:U/A");
    }
    let resolved = all(&forgets("20260402"));
    assert_eq!(members(&resolved)[..2], ["U A 2026-01-01 2026-03-31 union", "U A 2026-04-02 - again"]);
    assert_eq!(by_month(&resolved), "03:U/A");
    assert_eq!(codes(&resolved), ["S13@union:4"]);
}

#[test]
fn restated_days_and_members_named_twice() {
    let lists = vec![list("V", 20260301, 1, "C:20260415 D:20260501 D:20260415")];
    let restated = vec![list("V", 20260601, 2, "C:20260201 D:20260701")];
    let resolved = all(&[file("one", 202603, "V", lists), file("two", 202606, "V", restated)]);
    assert_eq!(members(&resolved), ["V C 2026-02-01 - two", "V D 2026-04-15 - one"]);
    // Never a day in it: named from a day on which it is out again.
    let lists = vec![list("V", 20260301, 1, "C:20260601 D"), list("V", 20260501, 2, "D")];
    let resolved = all(&[file("one", 202603, "V", lists)]);
    assert_eq!(members(&resolved), ["V D 2026-03-01 - one"]);
}

#[test]
fn the_later_start_wins_for_good() {
    let other = |name: &str, date: Date, from: &str| {
        file(name, 202605, "V", vec![list("V", date, 1, &format!("A:{from}")), list("V", 20260701, 2, "C")])
    };
    let resolved = all(&[union(), other("other", 20260401, "20260401")]);
    assert_eq!(members(&resolved)[0], "U A 2026-01-01 2026-03-31 union");
    assert_eq!(members(&resolved)[2], "V A 2026-04-01 2026-06-30 other");
    assert_eq!(codes(&resolved), ["S13@union:4", "S09@other:2 A U"]);
    // The earlier start loses, whenever it is known.
    let resolved = all(&[union(), other("other", 20260401, "20250401")]);
    assert_eq!(members(&resolved)[2], "V A 2025-04-01 2025-12-31 other");
    assert_eq!(codes(&resolved), ["S09@union:3 A V"]);
    // Equal starts: the list with the later date.
    let resolved = all(&[union(), other("other", 20260301, "20260101")]);
    assert_eq!(
        members(&resolved),
        ["U B 2026-01-01 - union", "V A 2026-01-01 2026-06-30 other", "V C 2026-07-01 - other"]
    );
    // Equal dates as well: the one applied later.
    let resolved = all(&[union(), other("other", 20260101, "20260101")]);
    assert_eq!(members(&resolved)[1], "V A 2026-01-01 2026-06-30 other");
}

#[test]
fn an_ended_insurer_and_a_mistaken_end_mended() {
    let ends = |valid_to: &str, again: Option<(Date, &str)>| {
        let mut lines = vec![insurer("A", 20260401, 3, valid_to)];
        lines.extend(again.map(|(date, given)| insurer("A", date, 1, given)));
        let files = [town("A"), file("ends", 202605, "A", lines)];
        let resolved = all(&files);
        (by_month(&resolved), codes(&resolved).join(" "))
    };
    let open = "03:A/A 04:A/A 05:A/A 06:A/A 07:A/A 08:A/A 09:A/A";
    assert_eq!(ends("", None), ("03:A/A".into(), "S13@townA:3".into()));
    assert_eq!(ends("valid_to_date=20260401", None), ("03:A/A 04:A/A".into(), "S13@townA:3".into()));
    // Valid from the very next day, as sent or by its date: no gap. A later registration: people stay out.
    assert_eq!(ends("", Some((20260510, "valid_from_date=20260401"))).0, open);
    assert_eq!(ends("valid_to_date=20260430", Some((20260501, ""))).0, open);
    assert_eq!(ends("", Some((20260402, ""))), ("03:A/A".into(), "S13@townA:3".into()));
}

#[test]
fn who_is_dated_in_an_ended_time_is_cut_off_from_its_first_day() {
    let with = |date: Date| {
        let ends = vec![insurer("A", 20260201, 3, ""), insurer("A", 20260601, 1, "")];
        let lines = vec![movement("A", date, 1, "")];
        let resolved = all(&[
            file("start", 202601, "A", vec![insurer("A", 20260101, 1, "")]),
            file("ends", 202602, "A", ends),
            file("person", 202604, "A", lines),
        ]);
        (by_month(&resolved), rows(&resolved.history, &["valid_to"]).join(" "), codes(&resolved).join(" "))
    };
    assert_eq!(with(20260410), (String::new(), "2026-04-10".into(), "S13@person:2".into()));
    assert_eq!(with(20260531).0, "");
    assert_eq!(with(20260601).0, "06:A/A 07:A/A 08:A/A 09:A/A");
    assert_eq!(with(20260601).2, "");
}

#[test]
fn nobody_comes_back_with_a_town_that_leaves() {
    let lines = vec![list("U", 20260401, 1, "A B"), list("U", 20260601, 2, "B")];
    let change = vec![movement("A", 20260701, 2, ""), movement("A", 20260801, 1, "")];
    let resolved = all(&[town("A"), file("union", 202604, "U", lines), file("change", 202608, "A", change)]);
    assert_eq!(by_month(&resolved), "03:A/A 08:A/A 09:A/A");
    // A registration warns of nothing where the old record is cut off; a change finds no open record.
    assert_eq!(codes(&resolved), ["S13@townA:3", "S15@union:2 A", "S02@change:2"]);
}

#[test]
fn a_slip_for_the_day_of_a_move_may_mean_two_records() {
    let files = |sender: &str| {
        let leaves = vec![
            list("U", 20260601, 2, "B"),
            insurer("A", 20260601, 1, ""),
            movement("A", 20260601, 3, "name_kana=END"),
            movement("A", 20260601, 1, "name_kana=NEW"),
        ];
        let mut files = vec![union(), file("leaves", 202606, "-", leaves)];
        files.push(file("slip", 202607, sender, vec![slip("A", 20260601, "name_kana=SLIP")]));
        rows(&all(&files).history, &["holder_no", "name_kana"])
    };
    assert_eq!(files("A"), ["A SLIP", "U -", "U END"]);
    assert_eq!(files("U"), ["A NEW", "U -", "U SLIP"]);
    assert_eq!(files("-"), ["A SLIP", "U -", "U END"]);
}

#[test]
fn who_may_send() {
    let send = |sender: &str, month: Ym, line: Line| {
        let files = [
            union(),
            file("leaves", 202604, "U", vec![list("U", 20260401, 2, "B")]),
            file("sent", month, sender, vec![line]),
        ];
        codes(&all(&files)).iter().any(|code| code == "S12@sent:2")
    };
    let late = || movement("A", 20260402, 1, "");
    assert!(!send("A", 202605, late()) && !send("-", 202605, late()));
    assert!(!send("U", 202603, late()), "a member in the processing month");
    assert!(send("U", 202604, late()) && send("V", 202604, late()) && send("B", 202604, late()));
    assert!(!send("U", 202604, movement("A", 20260401, 3, "")), "of an end the day before");
    assert!(!send("U", 202604, slip("A", 20260401, "")), "of a correction the day and the day before");
    assert!(send("U", 202604, slip("A", 20260402, "")));
    assert!(
        send("U", 202604, insurer("B", 20260402, 1, "")) && !send("B", 202604, insurer("B", 20260402, 1, ""))
    );
}

#[test]
fn union_numbers_and_unknown_holders() {
    let lines = vec![
        movement("B", 20260401, 1, "union_no=U"),
        movement("A", 20260402, 2, "union_no=V"),
        movement("A", 20260403, 2, ""),
        movement("C", 20260401, 1, "union_no=U"),
        slip("A", 20260110, "union_no=C"),
    ];
    let resolved = all(&[union(), file("more", 202604, "-", lines)]);
    let told = ["S07@union:4 U", "S04@more:2", "S07@more:3 U", "S07@more:5 C", "S08@more:5 C"];
    assert_eq!(codes(&resolved), told);
}

#[test]
fn registry_periods_and_inheritance() {
    let lines = vec![
        insurer("A", 20260301, 1, "insurer_name=one insurer_type=1"),
        insurer("A", 20260501, 2, "insurer_name=two"),
        insurer("A", 20260701, 3, ""),
        insurer("A", 20260901, 1, "insurer_name=three valid_from_date=20261001"),
        insurer("B", 20260501, 3, "insurer_name=gone valid_to_date=20260515"),
        limit("A", 20260301, 1, "care_level=21 category_limit_units=100 valid_to_date=20260430"),
        limit("A", 20260301, 1, "category_limit_units=50"),
        limit("A", 20260301, 1, "care_level=21 service_type=11 category_limit_units=70"),
        limit("A", 20260601, 2, "care_level=21 category_limit_units=200 valid_to_date=*"),
        movement("A", 20260301, 1, "care_level=21 certification_start_date=20260301"),
    ];
    let resolved = all(&[file("a", 202603, "-", lines)]);
    assert_eq!(
        rows(&resolved.insurers, &["insurer_no", "insurer_name", "insurer_type", "valid_from", "valid_to"]),
        [
            "A one 1 2026-03-01 2026-04-30",
            "A two 1 2026-05-01 2026-06-30",
            "A three - 2026-10-01 -",
            "B gone - - 2026-05-15"
        ]
    );
    assert_eq!(
        rows(&resolved.municipal_limits, &["care_level", "service_type", "category_limit_units", "valid_to"]),
        ["- - 50 -", "21 - 100 2026-04-30", "21 - 200 -", "21 11 70 -"]
    );
    // For the level before for all, for all services before for one, as long as they hold.
    let units = rows(&resolved.months, &["service_month", "limit_units", "holder_name"]);
    assert_eq!(
        units,
        ["2026-03-01 100 one", "2026-04-01 100 one", "2026-05-01 70 two", "2026-06-01 200 two"]
    );
}

#[test]
fn registry_faults_and_the_lazy_reading() {
    let lines = vec![insurer("A", 20260301, 1, "insurer_name=one"), insurer("A", 20260601, 2, "")];
    let more = vec![
        insurer("A", 20260601, 2, "insurer_name=double"),
        insurer("A", 20260401, 3, "insurer_name=late"),
        insurer("A", 20260701, 1, "insurer_name=open"),
        list("A", 20260301, 2, "B"),
        list("A", 20260401, 1, "B"),
    ];
    let files = [file("a", 202603, "A", lines), file("b", 202604, "A", more)];
    let arrival = all(&files);
    assert_eq!(codes(&arrival), ["S01@b:2", "S06@b:3", "S04@b:4", "S04@b:6"]);
    let names = |resolved: &Resolved| rows(&resolved.insurers, &["insurer_name", "valid_from"]);
    assert_eq!(names(&arrival), ["one 2026-03-01", "one 2026-06-01", "open 2026-07-01"]);
    let lazy = resolve(&files, None, Inheritance::Lazy, (202603, 202604), &[]);
    assert_eq!(names(&lazy), ["one 2026-03-01", "late 2026-06-01", "open 2026-07-01"]);
}
