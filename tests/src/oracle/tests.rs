//! The oracle against the seed's two tables and the rules one by one.

use super::*;

const INSURER: &str = "141003";
const PERSON: &str = "0000000010";

fn items(given: &[(&str, &str)]) -> BTreeMap<String, State> {
    let state = |text: &str| match text {
        "" => State::Blank,
        "*" => State::Clear,
        value => State::Value(value.to_owned()),
    };
    given.iter().map(|(item, text)| ((*item).to_owned(), state(text))).collect()
}

fn record(movement_date: Date, body: Body, given: &[(&str, &str)]) -> RecordFact {
    RecordFact {
        record_no: 2,
        insurer_no: INSURER.into(),
        insured_no: PERSON.into(),
        movement_date,
        body,
        items: items(given),
    }
}

fn movement(date: Date, movement_type: u8, given: &[(&str, &str)]) -> RecordFact {
    record(date, Body::Movement { movement_type }, given)
}

fn modify(date: Date, correction_date: Date, given: &[(&str, &str)]) -> RecordFact {
    record(date, Body::Correction { correction_date, correction_type: 2 }, given)
}

fn delete(date: Date, correction_date: Date) -> RecordFact {
    record(date, Body::Correction { correction_date, correction_type: 3 }, &[])
}

/// A file of a processing month, taken in on its fifth; records are numbered from 2, the hash is the name.
fn file(name: &str, processing_month: Ym, mut records: Vec<RecordFact>) -> FileFact {
    for (at, record) in records.iter_mut().enumerate() {
        record.record_no = at as i64 + 2;
    }
    let taken_in_on = processing_month * 100 + 5;
    FileFact {
        name: name.into(),
        hash: name.into(),
        sender_no: None,
        processing_month,
        taken_in_on,
        records,
        registry: Vec::new(),
    }
}

fn arrival(files: &[FileFact]) -> Resolved {
    resolve(files, None, Inheritance::Arrival, (202604, 202612), &limits())
}

fn limits() -> Vec<Limit> {
    let level = |care_level: &str, limit_units, weight| Limit {
        care_level: care_level.into(),
        valid_from: 201910,
        valid_to: None,
        limit_units,
        weight,
    };
    vec![level("06", 5032, 3), level("12", 5032, 3), level("21", 16765, 5), level("22", 19705, 6)]
}

/// Column `column` of each month, as "04:x 05:y"; months without a row are missing, null is "-".
fn by_month(resolved: &Resolved, column: &str) -> String {
    let cell = |row: &MonthRow| {
        let month = row["service_month"].clone().unwrap();
        format!("{}:{}", &month[5..7], row[column].as_deref().unwrap_or("-"))
    };
    resolved.months.iter().map(cell).collect::<Vec<_>>().join(" ")
}

fn history(resolved: &Resolved, column: &str) -> String {
    let cell = |row: &HistoryRow| row[column].clone().unwrap_or("-".into());
    resolved.history.iter().map(cell).collect::<Vec<_>>().join(" ")
}

/// Findings as "code@file:record item".
fn codes(resolved: &Resolved) -> Vec<String> {
    let text = |f: &OracleFinding| {
        let item = f.item.as_deref().map(|item| format!(" {item}")).unwrap_or_default();
        format!("{}@{}:{}{item}", f.code, f.file_hash, f.record_no)
    };
    resolved.findings.iter().filter(|f| f.code != "S10" && f.code != "S08").map(text).collect()
}

/// The seed's first table, each record in the file of its month; full records marked by their name.
fn seed_table() -> Vec<FileFact> {
    vec![
        file("a", 202604, vec![movement(20260401, 1, &[("name_kana", "1")])]),
        file("b", 202606, vec![movement(20260601, 2, &[("name_kana", "2")])]),
        file("c", 202607, vec![movement(20260703, 2, &[("name_kana", "3")])]),
        file("d", 202609, vec![movement(20260915, 2, &[("name_kana", "4")])]),
    ]
}

#[test]
fn the_seeds_first_table() {
    let resolved = arrival(&seed_table());
    assert_eq!(by_month(&resolved, "name_kana"), "04:1 05:1 06:2 07:3 08:3 09:4 10:4 11:4 12:4");
    assert_eq!(history(&resolved, "valid_to"), "2026-05-31 2026-07-02 2026-09-14 -");
    assert_eq!(history(&resolved, "from_month"), "2026-04-01 2026-06-01 2026-07-01 2026-09-01");
    assert_eq!(history(&resolved, "to_month"), "2026-05-01 2026-06-01 2026-08-01 -");
    assert!(codes(&resolved).is_empty());
}

/// The seed's table with one more file; what is known as of the month before it and as of its month.
fn seed_pattern(month: Ym, records: Vec<RecordFact>) -> (String, String) {
    let mut files = seed_table();
    files.push(file("p", month, records));
    let as_of =
        |t: Ym| by_month(&resolve(&files, Some(t), Inheritance::Arrival, (202604, t), &[]), "name_kana");
    (as_of(month - 1), as_of(month))
}

#[test]
fn the_seeds_second_table() {
    let fix = |date, to| modify(date, 20260425, &[("name_kana", to)]);
    let pattern = |month, records| seed_pattern(month, records);
    let (before, after) = pattern(202605, vec![fix(20260401, "I")]);
    assert_eq!((before.as_str(), after.as_str()), ("04:1", "04:I 05:I"));
    let (before, after) = pattern(202607, vec![fix(20260401, "I"), fix(20260601, "II")]);
    assert_eq!((before.as_str(), after.as_str()), ("04:1 05:1 06:2", "04:I 05:I 06:II 07:3"));
    let all = vec![fix(20260401, "I"), fix(20260601, "II"), fix(20260703, "III")];
    let (before, after) = pattern(202608, all);
    assert_eq!(before, "04:1 05:1 06:2 07:3");
    assert_eq!(after, "04:I 05:I 06:II 07:III 08:III");
    let late = |date| vec![movement(date, 2, &[("name_kana", "5")])];
    let (before, after) = pattern(202610, late(20260520));
    assert_eq!(before, "04:1 05:1 06:2 07:3 08:3 09:4");
    assert_eq!(after, "04:1 05:5 06:2 07:3 08:3 09:4 10:4");
    let (_, after) = pattern(202610, late(20260610));
    assert_eq!(after, "04:1 05:1 06:5 07:3 08:3 09:4 10:4");
}

#[test]
fn ends_close_months_and_refuse_changes() {
    let files = [
        file("a", 202604, vec![movement(20260401, 1, &[])]),
        file("b", 202607, vec![movement(20260601, 3, &[]), movement(20260610, 2, &[])]),
        file("c", 202608, vec![movement(20260815, 1, &[]), movement(20260920, 3, &[])]),
    ];
    let resolved = arrival(&files);
    assert_eq!(by_month(&resolved, "ended_in_month"), "04:false 05:false 08:false 09:true");
    assert_eq!(by_month(&resolved, "first_day_insurer_no"), "04:141003 05:141003 08:- 09:141003");
    assert_eq!(codes(&resolved), ["S02@b:3"]);
    assert_eq!(history(&resolved, "valid_to"), "2026-05-31 2026-08-14 2026-09-19 2026-09-20");
    assert_eq!(history(&resolved, "from_month"), "2026-04-01 - 2026-08-01 2026-09-01");
    assert_eq!(history(&resolved, "to_month"), "2026-05-01 - 2026-08-01 2026-09-01");
}

#[test]
fn three_passes_of_a_batch() {
    // Delete and send anew, and a correction of what was sent anew, whatever the order in the file; a second
    // slip for the record that the first deleted is refused.
    let files = [
        file("a", 202604, vec![movement(20260401, 1, &[("name_kana", "1")])]),
        file(
            "b",
            202605,
            vec![
                movement(20260401, 1, &[("name_kana", "2")]),
                delete(20260401, 20260501),
                modify(20260401, 20260502, &[("name_kana", "3")]),
            ],
        ),
        file("c", 202606, vec![modify(20260601, 20260601, &[("sex", "2")]), movement(20260601, 2, &[])]),
    ];
    let resolved = arrival(&files);
    assert_eq!(by_month(&resolved, "name_kana").split(' ').next(), Some("04:2"));
    assert_eq!(codes(&resolved), ["S03@b:4"]);
    assert_eq!(history(&resolved, "corrections"), "0 1");
    assert_eq!(history(&resolved, "sex"), "- 2");
}

#[test]
fn refusals_and_warnings_of_order() {
    let files = [
        file("a", 202604, vec![movement(20260401, 1, &[]), movement(20260601, 2, &[])]),
        file("b", 202605, vec![movement(20260601, 3, &[]), movement(20260501, 1, &[])]),
        file("c", 202606, vec![modify(20260601, 20260610, &[]), modify(20260601, 20260609, &[])]),
        file("d", 202607, vec![modify(20260601, 20260608, &[]), movement(20260510, 3, &[])]),
        file("e", 202608, vec![delete(20260510, 20260801), delete(20260510, 20260801)]),
        file("f", 202609, vec![movement(20260515, 1, &[("movement_reason", "04")])]),
    ];
    let resolved = arrival(&files);
    assert_eq!(codes(&resolved), ["S01@b:2", "S04@b:3", "S05@d:2", "S06@d:3", "S06@e:2", "S03@e:3"]);
    assert_eq!(history(&resolved, "last_correction_date"), "- - - 2026-06-08");
}

#[test]
fn corrections_do_not_flow_on_but_are_reported() {
    let both = |mode| {
        let files = [
            file("a", 202604, vec![movement(20260401, 1, &[("care_level", "22"), ("name_kana", "A")])]),
            file("b", 202605, vec![movement(20260501, 2, &[("movement_reason", "99")])]),
            file("c", 202606, vec![movement(20260601, 2, &[("name_kana", "B")])]),
            file("d", 202607, vec![modify(20260401, 20260701, &[("care_level", "21")])]),
        ];
        resolve(&files, None, mode, (202604, 202606), &limits())
    };
    let arrival = both(Inheritance::Arrival);
    assert_eq!(history(&arrival, "care_level"), "21 22 22");
    assert_eq!(history(&arrival, "name_kana"), "A A B");
    assert_eq!(history(&arrival, "movement_reason"), "- 99 -");
    assert_eq!(codes(&arrival), ["S11@b:2 care_level", "S11@c:2 care_level"]);
    let lazy = both(Inheritance::Lazy);
    assert_eq!(history(&lazy, "care_level"), "21 21 21");
    assert!(codes(&lazy).is_empty());
}

#[test]
fn a_deleted_source_is_stale_unless_sent_anew_with_the_same_value() {
    let with = |level: &str| {
        let files = [
            file("a", 202604, vec![movement(20260401, 1, &[("care_level", "22"), ("sex", "1")])]),
            file("b", 202605, vec![movement(20260501, 2, &[])]),
            file(
                "c",
                202606,
                vec![
                    delete(20260401, 20260601),
                    movement(20260401, 1, &[("care_level", level), ("sex", "1")]),
                ],
            ),
        ];
        codes(&arrival(&files))
    };
    assert_eq!(with("22"), ["S06@c:2"]);
    assert_eq!(with("21"), ["S11@b:2 care_level", "S06@c:2"]);
}

#[test]
fn heaviest_level_and_certification() {
    let cert = |level, start, end| {
        [("care_level", level), ("certification_start_date", start), ("certification_end_date", end)]
    };
    let files = [
        file("a", 202604, vec![movement(20260410, 1, &cert("22", "20260301", "20260930"))]),
        // The seed's renewal: dated 9/10 from 10/1 on.
        file("b", 202609, vec![movement(20260910, 2, &cert("12", "20261001", "*"))]),
        file("c", 202610, vec![movement(20261015, 2, &cert("06", "20261015", ""))]),
    ];
    let resolved = resolve(&files, None, Inheritance::Arrival, (202608, 202611), &limits());
    assert_eq!(by_month(&resolved, "heaviest_care_level"), "08:22 09:22 10:06 11:06");
    assert_eq!(by_month(&resolved, "limit_units"), "08:19705 09:19705 10:5032 11:5032");
    assert_eq!(by_month(&resolved, "certification_covers_month"), "08:true 09:false 10:true 11:true");
    assert_eq!(
        by_month(&resolved, "covering_movement_date"),
        "08:2026-04-10 09:2026-04-10 10:2026-10-15 11:2026-10-15"
    );
    let codes: Vec<_> = resolved.findings.iter().map(|f| (f.file_hash.as_str(), f.code.as_str())).collect();
    assert_eq!(codes, [("a", "S08"), ("a", "S14"), ("b", "S10")]);
}

#[test]
fn names_are_those_of_layouts_and_tables() {
    use tsumiage_schemas::{Spec, layout::Kind, tables};
    let spec = Spec::embedded().unwrap();
    let items = tables::stacked_items(&spec);
    assert_eq!(items.iter().map(|item| item.name.as_str()).collect::<Vec<_>>(), ITEMS);
    for item in items {
        assert_eq!(item.name.ends_with("_date"), item.kind == Kind::Date, "{}", item.name);
    }
    let resolved = arrival(&seed_table());
    let tables = [
        (tables::recipient_month_schema(&spec), &resolved.months[0]),
        (tables::recipient_history_schema(&spec), &resolved.history[0]),
    ];
    for (schema, row) in tables {
        let mut columns: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
        columns.sort_unstable();
        assert_eq!(row.keys().collect::<Vec<_>>(), columns);
    }
}
