//! What is withdrawn of a person: records that stood in the stack until then, shown with why they do not.
//!
//! Promise: nothing of them takes part in the stacking. Their holder is the one they would have if they stood.

use super::columns::{Key, date, is_correction, record_key, text};
use super::model::{Coded, Entry, EntryKind, Standing, Timeline, Withdrawal};
use super::read::Reading;
use crate::stack::gather::{Cells, column, stack_chunk, stacked_schema};
use crate::stack::unit::LeftOut;
use arrow::array::{Array, AsArray, BooleanArray, RecordBatch};
use arrow::compute::filter_record_batch;
use arrow::datatypes::Date32Type;
use std::collections::BTreeMap;
use tsumiage_schemas::Day;

/// A person's facts without those that do not count.
///
/// # Errors
/// Arrow refuses the batch.
pub fn kept(facts: &RecordBatch, left_out: &LeftOut) -> anyhow::Result<RecordBatch> {
    let kept = |row| Some(!is_left_out(record_key(facts, row), left_out));
    Ok(filter_record_batch(facts, &(0..facts.num_rows()).map(kept).collect::<BooleanArray>())?)
}

fn is_left_out((seq, record_no): Key, left_out: &LeftOut) -> bool {
    left_out.files.contains(&seq) || left_out.records.contains(&(seq, record_no))
}

impl Reading<'_> {
    /// The withdrawn records of a person with their holders, in the order of application; `facts` is the operator's
    /// input of an insured number with all that is withdrawn.
    ///
    /// # Errors
    /// The batch is not such an input.
    pub fn withdrawn(&self, facts: &RecordBatch, left_out: &LeftOut) -> anyhow::Result<Vec<(String, Entry)>> {
        let mut rows: Vec<usize> =
            (0..facts.num_rows()).filter(|row| is_left_out(record_key(facts, *row), left_out)).collect();
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        let schema = stacked_schema(&facts.schema(), Cells::Values);
        let stacked = stack_chunk(facts, self.rules, self.registry.holders(), &schema)?;
        let holders: BTreeMap<Key, &str> = (0..stacked.num_rows())
            .map(|row| (record_key(&stacked, row), text(&stacked, column::HOLDER, row)))
            .collect();
        rows.sort_by_key(|row| self.place(record_key(facts, *row)));
        let entry = |row: usize| {
            let holder_no = holders.get(&record_key(facts, row)).copied().unwrap_or_default().to_owned();
            (holder_no.clone(), self.withdrawn_entry(facts, row, holder_no))
        };
        Ok(rows.into_iter().map(entry).collect())
    }

    fn withdrawn_entry(&self, facts: &RecordBatch, row: usize, holder_no: String) -> Entry {
        let is_correction = is_correction(facts, row);
        let key = record_key(facts, row);
        let file = self.files.get(&key.0);
        let dates = facts.column(column::CORRECTION_DATE).as_primitive::<Date32Type>();
        let types = if is_correction { "correction_type" } else { "movement_type" };
        let reason = self.labelled(facts.column(column::ITEMS), 0, row);
        Entry {
            kind: if is_correction { EntryKind::Correction } else { EntryKind::Movement },
            movement_date: date(facts, row),
            insurer_no: text(facts, column::INSURER, row).to_owned(),
            holder_no,
            change_type: self.coded(types, text(facts, column::CHANGE_TYPE, row)),
            reason: reason.map(|held| Coded { code: held.value.to_string(), label_ja: held.code_label }),
            correction_date: (is_correction && dates.is_valid(row)).then(|| Day(dates.value(row))),
            standing: Standing::Withdrawn,
            withdrawn: self.withdrawal(key),
            cut_off: None,
            findings: Vec::new(),
            source: self.source(key),
            processing_month: file.and_then(|file| file.processing_month),
            taken_in_on: file.map(|file| file.arrival.taken_in_on),
            corrects: None,
            sent: self.sent(facts, row, None),
            items: Vec::new(),
        }
    }

    /// The event that withdrew a record, the record itself before its file.
    fn withdrawal(&self, (seq, record_no): Key) -> Option<Withdrawal> {
        let of = |position: Option<i64>| {
            self.known.withdrawn.iter().find(|what| what.seq == seq && what.record_no == position)
        };
        let what = of(Some(record_no)).or_else(|| of(None))?;
        Some(Withdrawal {
            on: what.on,
            processing_month: what.processing_month,
            reason: what.reason.clone(),
            whole_file: what.record_no.is_none(),
        })
    }

    /// Where a record stands in the order of application, but for the passes.
    fn place(&self, (seq, record_no): Key) -> (u32, i64) {
        let order = usize::try_from(seq).ok().and_then(|seq| self.rules.orders.get(seq));
        (order.copied().unwrap_or_default().rank, record_no)
    }

    /// Puts withdrawn records into the timelines of their holders, behind the others of their movement date; holders
    /// that have nothing else of the person get a timeline of their own.
    pub fn put_in(&self, timelines: &mut Vec<Timeline>, insured_no: &str, withdrawn: Vec<(String, Entry)>) {
        for (holder_no, entry) in withdrawn {
            let at = timelines.iter().position(|timeline| timeline.holder_no == holder_no);
            let at = at.unwrap_or_else(|| {
                timelines.push(self.empty(&holder_no, insured_no));
                timelines.len() - 1
            });
            let records = &mut timelines[at].records;
            let behind = records.partition_point(|other| other.movement_date <= entry.movement_date);
            records.insert(behind, entry);
        }
    }
}
