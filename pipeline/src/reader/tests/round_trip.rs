//! What the writer writes, the reader reads as the same three states.

use super::*;
use arrow::array::{Array, AsArray};
use arrow::datatypes::{DataType, Date32Type, Int32Type};
use proptest::prelude::*;
use proptest::sample::{Index, select};
use tsumiage_schemas::{Item, Kind, Layout};

/// What an item shall be: blank, cleared, or a value.
#[derive(Clone, Debug)]
enum Wanted {
    Blank,
    Clear,
    Value(Index, i32, String),
}

fn wanted() -> impl Strategy<Value = Wanted> {
    prop_oneof![
        4 => Just(Wanted::Blank),
        1 => Just(Wanted::Clear),
        3 => (any::<Index>(), 0..99_999i32, "[A-Z0-9 ,\"ｱ-ﾝ亜-滌]{1,6}").prop_map(|(i, n, s)| Wanted::Value(i, n, s)),
    ]
}

/// The text of an item that shall be so; a kind that cannot be cleared is left blank.
fn text(item: &Item, wanted: &Wanted) -> String {
    match wanted {
        Wanted::Blank => String::new(),
        Wanted::Clear if item.clear.star => "*".repeat(item.width),
        Wanted::Clear if item.clear.zeros => "0".repeat(item.width),
        Wanted::Clear => String::new(),
        Wanted::Value(index, number, free) => match item.kind {
            Kind::Date => Day(*number).digits(),
            Kind::Month => Day(*number).month().digits(),
            Kind::Integer => (number % 999 % 10i32.pow(item.width.min(9) as u32) + 1).to_string(),
            Kind::Decimal => "0.25".to_owned(),
            Kind::Code => {
                let table = &COMPILED.spec().codes[item.codes.as_ref().unwrap()].labels;
                table.keys().nth(index.index(table.len())).unwrap().clone()
            }
            Kind::Identifier => format!("{:0width$}", number + 1, width = item.width.min(6)),
            Kind::Kana | Kind::Text => encodable(free),
        },
    }
}

/// Leaves out what CP932 does not have; only spaces would be blank.
fn encodable(free: &str) -> String {
    let has = |c: &char| crate::writer::encode(&c.to_string(), &mut Vec::new()).is_ok();
    format!("A{}", free.chars().filter(has).collect::<String>())
}

fn shown(batch: &RecordBatch, name: &str, row: usize) -> Option<String> {
    let column = batch.column_by_name(name).unwrap();
    if column.is_null(row) {
        return None;
    }
    Some(match column.data_type() {
        DataType::Date32 => Day(column.as_primitive::<Date32Type>().value(row)).digits(),
        DataType::Int32 => column.as_primitive::<Int32Type>().value(row).to_string(),
        _ => column.as_string::<i32>().value(row).to_owned(),
    })
}

fn make(layout: &Layout, columns: usize, wanted: &[Wanted]) -> (OutRecord, Vec<(String, String)>) {
    let keys = if layout.id == "5311" { movement(&[]) } else { correction(&[]) };
    let mut items = keys.items;
    let mut sent = Vec::new();
    for (column, (item, wanted)) in layout.items[3..].iter().zip(wanted).enumerate() {
        if items[column].is_empty() {
            items[column] = text(item, wanted);
            let absent = column + 3 >= columns;
            sent.push((item.name.clone(), if absent { String::new() } else { items[column].clone() }));
        }
    }
    items.truncate(columns - 3);
    (OutRecord { exchange_id: layout.id.clone(), items }, sent)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(debug_assertions) { 100 } else { 3_000 }))]

    #[test]
    fn reader_of_writer(
        rows in prop::collection::vec(
            (any::<bool>(), any::<Index>(), prop::collection::vec(wanted(), 80)), 1..8),
        quoting in select(&[Quoting::Needed, Quoting::All, Quoting::Mixed][..]),
    ) {
        let spec = COMPILED.spec();
        let made: Vec<_> = rows.iter().map(|(slip, columns, wanted)| {
            let layout = if *slip { spec.correction() } else { spec.movement() };
            make(layout, *columns.get(&layout.revisions()), wanted)
        }).collect();
        let records: Vec<OutRecord> = made.iter().map(|(record, _)| record.clone()).collect();
        let data_type = &records[0].exchange_id[..3];
        let header = FileHeader::new(data_type, "142018", Month::from_civil(2026, 10).unwrap());
        let (report, batches) = read_all(&write_file(&header, quoting, &records).unwrap());
        prop_assert!(!report.file_rejected, "{:?}", report.findings);
        prop_assert_eq!(report.accepted, records.len() as i64, "{:?}", report.findings);
        let stacked = tsumiage_schemas::tables::stacked_items(spec);
        for (row, (_, sent)) in made.iter().enumerate() {
            let (batch, at) = (&batches[row / OPTIONS.batch_rows], row % OPTIONS.batch_rows);
            let bit = |mask: &str, i: usize| {
                let bytes = batch.column_by_name(mask).unwrap().as_fixed_size_binary().value(at);
                bytes[i / 8] >> (i % 8) & 1 == 1
            };
            for (name, text) in sent {
                let Some(i) = stacked.iter().position(|item| item.name == *name) else { continue };
                let clear = !text.is_empty()
                    && (text.bytes().all(|b| b == b'*') || stacked[i].clear.zeros && text.bytes().all(|b| b == b'0'));
                let value = (!text.is_empty() && !clear).then(|| text.clone());
                prop_assert_eq!(shown(batch, name, at), value.clone(), "{}", name);
                prop_assert_eq!((bit("given", i), bit("cleared", i)), (value.is_some(), clear), "{}", name);
            }
        }
    }
}
