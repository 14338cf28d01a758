//! What the writer writes, the reader reads as the same three states: every item of every layout at its
//! least and greatest width, and any mix of records.

use super::*;
use crate::writer::encode;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use std::collections::BTreeMap;
use tsumiage_schemas::tables::fact_items;
use tsumiage_schemas::{Item, Kind, Layout};

/// Items without which a record cannot be accepted.
const KEYS: [&str; 6] =
    ["movement_date", "correction_date", "movement_type", "correction_type", "insurer_no", "insured_no"];

/// Items in which eight digits with two zeros in front stand for six (domain 1).
const EIGHT_FOR_SIX: [&str; 4] =
    ["insurer_no", "union_no", "member_insurer_no", "address_exception_facility_insurer_no"];

const QUOTINGS: [Quoting; 3] = [Quoting::Needed, Quoting::All, Quoting::Mixed];

/// A record as it is sent: the texts of its items behind the envelope, and members.
#[derive(Clone, Debug)]
struct Sent {
    kind: RecordKind,
    texts: Vec<String>,
    members: Vec<(String, String)>,
}

/// What an item is to be read as, told from `domain.md` without the reader.
#[derive(Debug, PartialEq)]
enum State {
    Blank,
    Clear,
    Value(String),
}

fn layout(kind: RecordKind) -> &'static Layout {
    COMPILED.spec().layout(kind)
}

/// The items behind the envelope that do not repeat.
fn items(kind: RecordKind) -> &'static [Item] {
    let layout = layout(kind);
    &layout.items[3..layout.items.len() - layout.repeating().len()]
}

fn state(item: &Item, text: &str) -> State {
    let run_of = |b: u8| !text.is_empty() && text.bytes().all(|other| other == b);
    let in_table =
        item.codes.as_ref().is_some_and(|table| COMPILED.spec().codes[table].labels.contains_key(text));
    let like_blank = matches!(item.kind, Kind::Code | Kind::Date | Kind::Month | Kind::Identifier);
    if text.trim_matches(' ').is_empty() {
        State::Blank
    } else if run_of(b'*') && item.clear.star || run_of(b'0') && item.clear.zeros {
        State::Clear
    } else if run_of(b'0') && like_blank && !item.is_key() && !in_table {
        State::Blank
    } else if item.kind == Kind::Integer {
        State::Value(text.parse::<i64>().unwrap().to_string())
    } else if EIGHT_FOR_SIX.contains(&item.name.as_str()) && text.len() == 8 {
        State::Value(text[2..].to_owned())
    } else {
        State::Value(text.to_owned())
    }
}

/// Texts of an item that are values: the shortest, the longest, every code.
fn values(item: &Item) -> Vec<String> {
    let of = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
    let width = item.width;
    match (item.name.as_str(), item.kind) {
        ("insurer_no", _) => of(&["000000", "999999", "00999999"]),
        ("insured_no", _) => of(&["0000000000", "ZZZZZZZZZZ", "H000000001"]),
        (_, Kind::Date) => of(&["10000101", "99991231", "20240229"]),
        (_, Kind::Month) => of(&["100001", "999912"]),
        (_, Kind::Code) => {
            COMPILED.spec().codes[item.codes.as_ref().unwrap()].labels.keys().cloned().collect()
        }
        (_, Kind::Integer) => {
            assert!(width <= 9, "{}: nine digits fit into 32 bits, more do not", item.name);
            vec!["7".to_owned(), "9".repeat(width), format!("{:0>width$}", 7)]
        }
        (_, Kind::Decimal) => vec!["7".to_owned(), format!("{:.<width$}", 1), "9".repeat(width)]
            .into_iter()
            .map(|text| if text.contains("..") { "0.25".to_owned() } else { text })
            .collect(),
        (name, Kind::Identifier) => {
            let mut texts = vec!["1".to_owned(), "Z".repeat(width), format!("{:0>width$}", 1)];
            texts.extend(EIGHT_FOR_SIX.contains(&name).then(|| "00142034".to_owned()));
            texts
        }
        (_, Kind::Kana) => vec!["ｱ".to_owned(), "ﾟ".repeat(width), "\"".to_owned(), ",".repeat(width)],
        (_, Kind::Text) => {
            vec![
                "A".to_owned(),
                "熙".repeat(width / 2),
                "\"".repeat(width),
                format!("{}, ", "ｱ".repeat(width - 2)),
            ]
        }
    }
}

/// Every text of an item that is worth a record of its own.
fn texts(item: &Item) -> Vec<String> {
    let mut texts = values(item);
    if KEYS.contains(&item.name.as_str()) {
        return texts;
    }
    let marks = [('*', item.clear.star), ('0', item.kind != Kind::Kana && item.kind != Kind::Text)];
    for (mark, _) in marks.iter().filter(|(_, may)| *may) {
        texts.extend([mark.to_string(), mark.to_string().repeat(item.width)]);
    }
    texts.extend([String::new(), " ".to_owned(), " ".repeat(item.width)]);
    texts
}

fn blank(kind: RecordKind) -> Sent {
    let text = |item: &Item| match item.name.as_str() {
        "movement_date" | "correction_date" => "20260910",
        "movement_type" | "correction_type" => "2",
        "insurer_no" => "142018",
        "insured_no" => "0000000001",
        _ => "",
    };
    let texts = items(kind).iter().map(|item| text(item).to_owned()).collect();
    Sent { kind, texts, members: Vec::new() }
}

fn written(sent: &Sent) -> OutRecord {
    let mut items = sent.texts.clone();
    items.extend(sent.members.iter().flat_map(|(no, from)| [no.clone(), from.clone()]));
    OutRecord { exchange_id: layout(sent.kind).id.clone(), items }
}

/// Writes, reads and compares a whole file; nothing of it may be rejected.
fn check_file(sent: &[Sent], quoting: Quoting) {
    let records: Vec<OutRecord> = sent.iter().map(written).collect();
    let (report, batches) = read_with(&COMPILED, &file_of(&records, quoting));
    let errors: Vec<_> = report.findings.iter().filter(|f| f.severity == Severity::Error).collect();
    assert!(errors.is_empty() && !report.file_rejected, "{errors:#?}");
    assert_eq!((report.records, report.accepted), (sent.len() as i64, sent.len() as i64));
    let mut of_tables: BTreeMap<FactTable, Vec<_>> = BTreeMap::new();
    for (table, batch) in batches {
        of_tables.entry(table).or_default().push((table, batch));
    }
    for table in FactTable::ALL {
        let rows: Vec<(usize, &Sent)> =
            sent.iter().enumerate().filter(|(_, sent)| sent.kind.table() == table).collect();
        check_table(table, &rows, &of_tables.remove(&table).unwrap_or_default());
    }
}

fn check_table(table: FactTable, sent: &[(usize, &Sent)], batches: &[(FactTable, RecordBatch)]) {
    let rows: Vec<usize> = batches.iter().map(|(_, batch)| batch.num_rows()).collect();
    assert_eq!(rows.iter().sum::<usize>(), sent.len(), "{table:?}");
    assert!(rows.iter().rev().skip(1).all(|rows| *rows == OPTIONS.batch_rows), "{table:?} {rows:?}");
    if sent.is_empty() {
        return;
    }
    let numbers: Vec<i64> = batches.iter().flat_map(|(_, batch)| record_nos(batch)).collect();
    assert_eq!(numbers, sent.iter().map(|(at, _)| *at as i64 + 2).collect::<Vec<_>>());
    let (given, cleared) = (bits(batches, "given"), bits(batches, "cleared"));
    for (number, item) in fact_items(COMPILED.spec(), table).into_iter().enumerate() {
        for ((row, (_, sent)), got) in sent.iter().enumerate().zip(shown(batches, &item.name)) {
            let wanted = sent.state_of(&item.name);
            let bit = |mask: &[u128]| mask[row] >> number & 1 == 1;
            let got = match (got, bit(&given), bit(&cleared)) {
                (Some(value), true, false) => State::Value(value),
                (None, false, true) => State::Clear,
                (None, false, false) => State::Blank,
                other => panic!("{} of {sent:?}: {other:?}", item.name),
            };
            assert_eq!(got, wanted, "{} of {sent:?}", item.name);
        }
    }
    for (column, names) in [
        ("movement_date", &["movement_date"][..]),
        ("correction_date", &["correction_date"]),
        ("change_type", &["movement_type", "correction_type"]),
        ("insurer_no", &["insurer_no"]),
        ("insured_no", &["insured_no"]),
    ] {
        for ((_, sent), got) in sent.iter().zip(shown(batches, column)) {
            let states = names.iter().map(|name| sent.state_of(name));
            let value = states.into_iter().find_map(|state| match state {
                State::Value(value) => Some(value),
                _ => None,
            });
            assert_eq!(got, value, "{column} of {sent:?}");
        }
    }
    if table == FactTable::Membership {
        let lists: Vec<_> = batches.iter().flat_map(|(_, batch)| members(batch)).collect();
        let wanted = |(_, sent): &(usize, &Sent)| {
            let given = sent.members.iter().filter(|(no, _)| !no.is_empty());
            given.cloned().collect::<Vec<_>>()
        };
        assert_eq!(lists, sent.iter().map(wanted).collect::<Vec<_>>());
    }
}

impl Sent {
    /// The state of an item; blank where the record has no such column.
    fn state_of(&self, name: &str) -> State {
        let found = items(self.kind).iter().zip(&self.texts).find(|(item, _)| item.name == name);
        found.map_or(State::Blank, |(item, text)| state(item, text))
    }
}

fn record_nos(batch: &RecordBatch) -> Vec<i64> {
    batch.column_by_name("record_no").unwrap().as_primitive::<arrow::datatypes::Int64Type>().values().to_vec()
}

fn bits(batches: &[(FactTable, RecordBatch)], mask: &str) -> Vec<u128> {
    let of = |(_, batch): &(FactTable, RecordBatch)| {
        let mask = batch.column_by_name(mask).unwrap().as_fixed_size_binary();
        mask.iter().map(|bits| u128::from_le_bytes(bits.unwrap().try_into().unwrap())).collect::<Vec<_>>()
    };
    batches.iter().flat_map(of).collect()
}

#[test]
fn every_item_of_every_layout_at_its_widths() {
    let mut records = 0;
    for kind in RecordKind::ALL {
        let mut sent = vec![blank(kind)];
        for (column, item) in items(kind).iter().enumerate() {
            for text in texts(item) {
                let mut one = blank(kind);
                one.texts[column] = text;
                sent.push(one);
            }
        }
        for revision in layout(kind).revisions() {
            let columns = revision.min(items(kind).len() + 3) - 3;
            let cut: Vec<Sent> = sent
                .iter()
                .cloned()
                .map(|mut one| {
                    one.texts.truncate(columns);
                    one
                })
                .collect();
            // All quotings of the newest revision, one of each older one.
            let newest = revision == layout(kind).items.len();
            let quotings = if newest { &QUOTINGS[..] } else { &QUOTINGS[revision % 3..][..1] };
            quotings.iter().for_each(|quoting| check_file(&cut, *quoting));
            records += sent.len() * quotings.len();
        }
    }
    assert!(records > 5_000, "{records}");
}

/// Nine digits always fit into the 32 bits of an integer. A layout may allow more; a number beyond
/// 2147483647 is then no number (R08), and never another one.
#[test]
fn an_integer_of_more_than_nine_digits() {
    let path = "layouts/5411-insurer-movement.csv";
    let own = tsumiage_schemas::data::FILES.iter().find(|(own, _)| *own == path).unwrap().1;
    let text = format!("{own}12,households,世帯数,integer,12,2000-04,,,D,\n");
    let compiled = rules_as_data::with(&[(path, &text)]);
    let layout = compiled.spec().layout(RecordKind::InsurerMovement);
    let keys = [("movement_date", "20260910"), ("movement_type", "1"), ("insurer_no", "142018")];
    let read = |number: &str| {
        let bytes = file(&[record(layout, &keys, &[("households", number)])]);
        let (report, batches) = read_with(&compiled, &bytes);
        (told(&report), shown(&batches, "households"))
    };
    for (number, value) in [("999999999", "999999999"), ("2147483647", "2147483647"), ("000000000001", "1")] {
        assert_eq!(read(number), (vec![], vec![Some(value.to_owned())]), "{number}");
    }
    for number in ["2147483648", "4294967297", "999999999999"] {
        assert_eq!(read(number), (vec!["R08 error households 2×1".to_owned()], vec![]), "{number}");
    }
    assert_eq!(read("0000000000001").0, ["R05 error households 2×1"]);
}

/// What an item shall be in a random record.
#[derive(Clone, Debug)]
enum Wanted {
    Blank,
    Clear,
    Value(Index),
    Free(i32, String),
}

fn wanted() -> impl Strategy<Value = Wanted> {
    let free = (0..99_999i32, "[A-Z0-9 ,\"ｱ-ﾝ亜-滌]{1,6}");
    prop_oneof![
        4 => Just(Wanted::Blank),
        1 => Just(Wanted::Clear),
        2 => any::<Index>().prop_map(Wanted::Value),
        2 => free.prop_map(|(number, text)| Wanted::Free(number, text)),
    ]
}

/// The text of an item that shall be so. Keys get a value always; what cannot be cleared is blank.
fn text(item: &Item, wanted: &Wanted) -> String {
    let of = |index: &Index| index.get(&values(item)).clone();
    match (wanted, item.kind) {
        (Wanted::Value(index), _) => of(index),
        (Wanted::Free(number, _), Kind::Date) => Day(*number).digits(),
        (Wanted::Free(number, _), Kind::Month) => Day(*number).month().digits(),
        (Wanted::Free(number, _), Kind::Integer) => (number % 10i32.pow(item.width as u32)).to_string(),
        (Wanted::Free(_, free), Kind::Kana | Kind::Text) => {
            let has = |c: &char| encode(&c.to_string(), &mut Vec::new()).is_ok();
            format!("A{}", free.chars().filter(has).collect::<String>()) // only spaces would be blank
        }
        _ if KEYS.contains(&item.name.as_str()) => values(item)[0].clone(),
        (Wanted::Clear, _) if item.clear.star => "*".repeat(item.width),
        (Wanted::Clear, _) if item.clear.zeros => "0".repeat(item.width),
        _ => String::new(),
    }
}

fn sent() -> impl Strategy<Value = Sent> {
    let members = prop::collection::vec((any::<bool>(), 0..999_999u32, 0..40_000i32), 0..40);
    let wanted = prop::collection::vec(wanted(), 80);
    (select(&RecordKind::ALL[..]), any::<Index>(), wanted, members).prop_map(
        |(kind, index, wanted, members)| {
            let columns = *index.get(&layout(kind).revisions()) - 3;
            let mut texts: Vec<String> =
                items(kind).iter().zip(&wanted).map(|(item, wanted)| text(item, wanted)).collect();
            texts.truncate(columns);
            let pair = |(given, no, from): (bool, u32, i32)| match given {
                true => (format!("{:06}", no.max(1)), Day(from).digits()),
                false => (String::new(), String::new()),
            };
            let listed = kind == RecordKind::UnionMembershipMovement;
            let members = members.into_iter().filter(|_| listed).map(pair).collect();
            Sent { kind, texts, members }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(debug_assertions) { 200 } else { 3_000 }))]

    /// Any mix of exchange ids, revisions, states and quotes in one file.
    #[test]
    fn reader_of_writer(sent in prop::collection::vec(sent(), 1..10), quoting in select(&QUOTINGS[..])) {
        check_file(&sent, quoting);
    }
}
