//! Holders without any insurer record: their people are effective all the same, and their first record
//! says so (domain 4, S08).

use crate::stack::FileOrder;
use crate::stack::fact::State;
use crate::stack::gather::{column, file_seqs};
use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::{Date32Type, Int64Type, UInt8Type};
use std::collections::BTreeMap;
use tsumiage_schemas::{Code, Day, Finding, Spec};

/// The first accepted record of each holder that has no insurer record.
#[derive(Debug, Default)]
pub struct Unregistered {
    first: BTreeMap<String, First>,
}

#[derive(Debug)]
struct First {
    /// Place of its file in the order of application, and its position there.
    place: (u32, i64),
    seq: i32,
    insurer_no: String,
    insured_no: String,
    movement_date: Day,
    warned: bool,
}

impl Unregistered {
    /// Looks through stacked rows of one holder; `warned` tells which of them have a warning already.
    pub fn see(&mut self, holder_no: &str, stacked: &RecordBatch, orders: &[FileOrder], warned: &[bool]) {
        let Some(states) = stacked.column_by_name("state") else { return };
        let states = states.as_primitive::<UInt8Type>();
        let seqs = file_seqs(stacked);
        let records = stacked.column(column::RECORD_NO).as_primitive::<Int64Type>();
        let text = |at: usize, row: usize| stacked.column(at).as_string::<i32>().value(row).to_owned();
        let place = |row: usize| {
            let order = usize::try_from(seqs.value(row)).ok().and_then(|seq| orders.get(seq));
            order.map(|order| (order.rank, records.value(row)))
        };
        let accepted = (0..stacked.num_rows()).filter(|&row| states.value(row) != State::Refused as u8);
        let Some((place, row)) = accepted.filter_map(|row| Some((place(row)?, row))).min() else { return };
        if self.first.get(holder_no).is_some_and(|first| first.place <= place) {
            return;
        }
        let first = First {
            place,
            seq: seqs.value(row),
            insurer_no: text(column::INSURER, row),
            insured_no: text(column::INSURED, row),
            movement_date: Day(stacked.column(column::DATE).as_primitive::<Date32Type>().value(row)),
            warned: warned.get(row).copied().unwrap_or_default(),
        };
        self.first.insert(holder_no.to_owned(), first);
    }

    /// The findings with their file's number, and whether their record had no warning before.
    pub fn findings(self, spec: &Spec) -> Vec<(i32, Finding, bool)> {
        let finding = |(holder_no, first): (String, First)| {
            let finding = Finding {
                code: Code::S08,
                severity: spec.catalogue.severity(Code::S08),
                record_no: Some(first.place.1),
                byte_offset: None,
                insurer_no: Some(first.insurer_no),
                insured_no: Some(first.insured_no),
                movement_date: Some(first.movement_date),
                item: None,
                count: 1,
                detail: format!("insurer:{holder_no}"),
            };
            (first.seq, finding, !first.warned)
        };
        self.first.into_iter().map(finding).collect()
    }
}
