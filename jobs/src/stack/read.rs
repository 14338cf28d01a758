//! From Arrow to facts: what the fold is told of every row, who holds it, and whether its sender may speak
//! for it.

use super::fact::{Change, Fact, FileOrder, Inheritance, NEVER, flag};
use super::gather::{column, file_seqs, masks};
use arrow::array::{Array, AsArray, RecordBatch, StringArray};
use arrow::datatypes::{Date32Type, Int32Type, Int64Type, Schema};
use arrow::error::ArrowError;
use std::sync::Arc;
use tsumiage_schemas::holder::Holders;
use tsumiage_schemas::{Day, Month};

/// The item that is never inherited.
const REASON: &str = "movement_reason";

/// Movement reason of a registration by merger (domain 3; grade B).
const MERGER: &str = "04";

/// How facts are stacked: everything besides the rows and who holds them.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StackRules {
    /// Place of every file in the order of application, by its number in the ledger.
    pub orders: Arc<Vec<FileOrder>>,
    /// Insurer number in the control record of every file, by its number in the ledger.
    pub senders: Arc<Vec<Option<String>>>,
    /// Whether a record whose sender may not speak for it is refused (S12 is an error).
    pub refuse_wrong_sender: bool,
    /// How blanks are filled.
    pub inheritance: Inheritance,
}

/// The insurer number of a row's sender, if its control record had one.
pub(super) fn sender<'a>(chunk: &RecordBatch, rules: &'a StackRules, row: usize) -> Option<&'a str> {
    let seq = usize::try_from(file_seqs(chunk).value(row)).ok()?;
    rules.senders.get(seq)?.as_deref()
}

pub(super) fn check_sender(fact: &mut Fact, rules: &StackRules, may_send: bool) {
    if !may_send {
        fact.flags |= flag::S12;
        fact.refused = rules.refuse_wrong_sender;
    }
}

/// Tells the facts of recipients who holds them, when they are cut off, and whether their sender may speak
/// for them.
pub(super) fn hold(
    facts: &mut [Fact],
    chunk: &RecordBatch,
    rules: &StackRules,
    holders: &Holders,
) -> Result<(), ArrowError> {
    let insurers: &StringArray = chunk.column(column::INSURER).as_string();
    let months = chunk.column(column::PROCESSING_MONTH).as_primitive::<Date32Type>();
    let mut known: Option<(&str, u32)> = None; // rows of one insurer mostly stand together
    for (row, fact) in facts.iter_mut().enumerate() {
        let insurer_no = insurers.value(row);
        let insurer = match known {
            Some((no, place)) if no == insurer_no => place,
            _ => holders.place(insurer_no).ok_or_else(|| {
                ArrowError::ComputeError(format!("insurer {insurer_no} is not in the ledger"))
            })?,
        };
        known = Some((insurer_no, insurer));
        let date = Day(fact.date);
        let holding = holders.holding(insurer, date, fact.change == Change::End);
        fact.holder = holding.holder;
        fact.holder_before = holding.holder;
        fact.cut_off = holding.cut_off.map_or(NEVER, |cut| cut.day.0);
        if fact.change.is_correction() {
            fact.holder_before = holders.holder_on(insurer, Day(date.0 - 1));
        }
        let Some(sender) = sender(chunk, rules, row) else { continue };
        fact.sent_by_holder_before = holders.number(fact.holder_before) == sender;
        let may_send = sender == insurer_no || {
            let month: Month = Day(months.value(row)).month();
            holders.may_send(sender, insurer, &[fact.holder, fact.holder_before], month)
        };
        check_sender(fact, rules, may_send);
    }
    Ok(())
}

/// The place of the movement reason among the items.
pub(super) fn reason_item(schema: &Schema) -> Option<usize> {
    schema.index_of(REASON).ok()?.checked_sub(column::ITEMS)
}

/// The rows of a chunk as facts, not held by anybody yet.
pub(super) fn facts_of(chunk: &RecordBatch, rules: &StackRules) -> Result<Vec<Fact>, ArrowError> {
    let dates = chunk.column(column::DATE).as_primitive::<Date32Type>();
    let correction = chunk.column(column::IS_CORRECTION).as_boolean();
    let types = chunk.column(column::CHANGE_TYPE).as_string::<i32>();
    let correction_dates = chunk.column(column::CORRECTION_DATE).as_primitive::<Date32Type>();
    let seqs = chunk.column(column::FILE_SEQ).as_primitive::<Int32Type>();
    let records = chunk.column(column::RECORD_NO).as_primitive::<Int64Type>();
    let given = masks(chunk.column(column::GIVEN));
    let cleared = masks(chunk.column(column::CLEARED));
    // Facts may have been read by a layout with more items at its end.
    let items = u32::try_from(chunk.num_columns() - column::ITEMS).unwrap_or(u32::MAX);
    let known = 1u128.checked_shl(items).map_or(u128::MAX, |bit| bit - 1);
    let reasons = reason_item(&chunk.schema()).map(|item| chunk.column(column::ITEMS + item));
    let reasons: Option<&StringArray> = reasons.and_then(|reasons| reasons.as_string_opt());
    let fact = |row: usize| {
        let seq = seqs.value(row);
        let order = usize::try_from(seq).ok().and_then(|s| rules.orders.get(s));
        let order = order
            .ok_or_else(|| ArrowError::ComputeError(format!("file number {seq} is not in the ledger")))?;
        let change_type = types.value(row).as_bytes().first().copied().unwrap_or(b'0');
        Ok(Fact {
            order: *order,
            record_no: records.value(row),
            date: dates.value(row),
            change: Change::of(correction.value(row), change_type),
            correction_date: correction_dates.value(row),
            given: given(row) & known,
            cleared: cleared(row) & known,
            by_merger: reasons.is_some_and(|reasons| reasons.is_valid(row) && reasons.value(row) == MERGER),
            holder: 0,
            holder_before: 0,
            sent_by_holder_before: false,
            cut_off: NEVER,
            refused: false,
            flags: 0,
        })
    };
    (0..chunk.num_rows()).map(fact).collect()
}
