//! What stacking found, as findings, and what becomes of each file's counts.

use super::calendar::Remark;
use crate::stack::details::Details;
use crate::stack::fact::{State, flag};
use crate::stack::gather::{column, masks};
use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{Date32Type, Int32Type, Int64Type, UInt8Type, UInt32Type};
use tsumiage_schemas::{Code, Day, Finding, Month, Severity, Spec};

/// Findings of stacking in one chunk, with the row of the stacked chunk they point at.
///
/// # Errors
/// The chunk is not a stacked one.
pub fn stacking_findings(
    stacked: &RecordBatch,
    remarks: &[Remark],
    spec: &Spec,
    details: &Details<'_>,
) -> anyhow::Result<Vec<(usize, Finding)>> {
    let mut found = Vec::new();
    let outcome =
        |name: &str| stacked.column_by_name(name).ok_or_else(|| anyhow::anyhow!("not a stacked chunk"));
    let flags = outcome("flags")?.as_primitive::<UInt32Type>();
    let states = outcome("state")?.as_primitive::<UInt8Type>();
    let stale = masks(outcome("stale")?);
    let items = tsumiage_schemas::tables::stacked_items(spec);
    let codes = [
        (flag::S01, Code::S01),
        (flag::S02, Code::S02),
        (flag::S03, Code::S03),
        (flag::S04, Code::S04),
        (flag::S05, Code::S05),
        (flag::S06, Code::S06),
        (flag::S07, Code::S07),
        (flag::S12, Code::S12),
    ];
    let finding = Describe { stacked, spec };
    for row in 0..stacked.num_rows() {
        for (bit, code) in codes.iter().filter(|(bit, _)| flags.value(row) & bit != 0) {
            debug_assert!(*bit > flag::S03 || states.value(row) == State::Refused as u8);
            found.push((row, finding.at(row, *code, None, details.of(*code, stacked, row))));
        }
        let mask = stale(row);
        if mask != 0 {
            for (at, item) in items.iter().enumerate().filter(|(at, _)| mask >> at & 1 == 1) {
                debug_assert!(at > 0, "the movement reason is never inherited");
                let detail = details.of(Code::S11, stacked, row);
                found.push((row, finding.at(row, Code::S11, Some(item.name.clone()), detail)));
            }
        }
    }
    for remark in remarks {
        let (row, code, detail) = match remark {
            Remark::NotCovered { row, months } => (row, Code::S10, spans(months)),
            Remark::CertifiedEarlier { row, from } => (row, Code::S14, from.to_string()),
            Remark::CutOff { row } => (row, Code::S13, details.cut_off(stacked, *row as usize)),
        };
        let row = *row as usize;
        found.push((row, finding.at(row, code, None, detail)));
    }
    Ok(found)
}

struct Describe<'a> {
    stacked: &'a RecordBatch,
    spec: &'a Spec,
}

impl Describe<'_> {
    fn text(&self, at: usize, row: usize) -> Option<String> {
        let texts = self.stacked.column(at).as_string::<i32>();
        texts.is_valid(row).then(|| texts.value(row).to_owned())
    }

    fn at(&self, row: usize, code: Code, item: Option<String>, detail: String) -> Finding {
        Finding {
            code,
            severity: self.spec.catalogue.severity(code),
            record_no: Some(self.stacked.column(column::RECORD_NO).as_primitive::<Int64Type>().value(row)),
            byte_offset: None,
            insurer_no: self.text(column::INSURER, row),
            insured_no: self.text(column::INSURED, row),
            movement_date: Some(Day(self
                .stacked
                .column(column::DATE)
                .as_primitive::<Date32Type>()
                .value(row))),
            item,
            count: 1,
            detail,
        }
    }
}

/// Months as spans: `2026-05, 2026-07..2026-09`.
fn spans(months: &[Month]) -> String {
    let parts: Vec<String> = months
        .chunk_by(|a, b| a.next() == *b)
        .map(|span| match span {
            [only] => only.to_string(),
            [first, .., last] => format!("{first}..{last}"),
            [] => String::new(),
        })
        .collect();
    parts.join(", ")
}

/// What stacking decided about the records of each file, by file number.
#[derive(Clone, Debug, Default)]
pub struct FileCounts {
    /// Records refused by a stacking rule.
    pub refused: i64,
    /// Accepted records with a warning of reader or stacking.
    pub warned: i64,
}

/// Which rows of a chunk have a warning of reader or stacking.
pub fn warned_rows(stacked: &RecordBatch, findings: &[(usize, Finding)]) -> Vec<bool> {
    let warned = stacked.column(column::WARNED).as_boolean();
    let mut warned: Vec<bool> = (0..stacked.num_rows()).map(|row| warned.value(row)).collect();
    for (row, finding) in findings {
        warned[*row] |= finding.severity == Severity::Warning;
    }
    warned
}

/// Counts refused and warned records of a chunk per file; `warned` from [`warned_rows`].
///
/// # Errors
/// The chunk is not a stacked one.
pub fn count_by_file(
    stacked: &RecordBatch,
    warned: &[bool],
    counts: &mut [FileCounts],
) -> anyhow::Result<()> {
    let states = stacked.column_by_name("state").ok_or_else(|| anyhow::anyhow!("not a stacked chunk"))?;
    let states = states.as_primitive::<UInt8Type>();
    let seqs = stacked.column(column::FILE_SEQ).as_primitive::<Int32Type>();
    for (row, &warned) in warned.iter().enumerate() {
        let Some(count) = usize::try_from(seqs.value(row)).ok().and_then(|seq| counts.get_mut(seq)) else {
            continue;
        };
        if states.value(row) == State::Refused as u8 {
            count.refused += 1;
        } else if warned {
            count.warned += 1;
        }
    }
    Ok(())
}
