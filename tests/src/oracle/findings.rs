//! Findings about the stack as it stands in the end: S10, S11, S14.

use super::calendar::month_of;
use super::columns::inherited_items;
use super::months::{certification_covers, date_of, record_of_month};
use super::stacking::{END, Stored};
use super::{OracleFinding, Ym, calendar};

fn finding(record: &Stored, code: &str, item: Option<&str>) -> OracleFinding {
    OracleFinding {
        file_hash: record.file_hash.clone(),
        record_no: record.record_no,
        code: code.to_owned(),
        item: item.map(str::to_owned),
    }
}

/// S10: the certification of a record does not cover a published month that it is the record of. Once per
/// record.
pub(super) fn s10(live: &[Stored], (first, last): (Ym, Ym)) -> Vec<OracleFinding> {
    let does_not_cover = |record: &&Stored| {
        calendar::months(first, last).into_iter().any(|month| {
            let of_month = record_of_month(live, month);
            of_month.is_some_and(|other| other.movement_date == record.movement_date)
                && !certification_covers(record, month)
        })
    };
    live.iter().filter(does_not_cover).map(|record| finding(record, "S10", None)).collect()
}

/// S14: certified in months before its first movement. At the first live record if that is not an end.
pub(super) fn s14(live: &[Stored]) -> Option<OracleFinding> {
    let first = live.first()?;
    let start = date_of(first, "certification_start_date")?;
    let end = date_of(first, "certification_end_date");
    let before = month_of(start) < month_of(first.movement_date) && end.is_none_or(|end| end >= start);
    (first.movement_type != END && before).then(|| finding(first, "S14", None))
}

/// S11: items that a live record still holds only because it inherited them from a record that was
/// corrected or deleted since. One finding per record and item. `records`: all, also the deleted ones.
pub(super) fn s11(records: &[Stored]) -> Vec<OracleFinding> {
    let mut found = Vec::new();
    for record in records.iter().filter(|record| record.live) {
        for item in inherited_items() {
            if is_stale(records, record, item) {
                found.push(finding(record, "S11", Some(item)));
            }
        }
    }
    found
}

/// Whether a record's item is inherited and what it was inherited from no longer says so.
fn is_stale(records: &[Stored], record: &Stored, item: &str) -> bool {
    if record.own.contains(item) {
        return false;
    }
    // A registration inherits nothing.
    let Some(source) = record.filled_from.map(|at| &records[at]) else { return false };
    let value = record.values.get(item);
    if source.live {
        // The source was corrected, or is itself stale (never, if the item is its own).
        return source.values.get(item) != value || is_stale(records, source, item);
    }
    if !source.own.contains(item) {
        return is_stale(records, source, item);
    }
    // The value went with the deleted record, unless that was sent anew with the same value.
    let sent_anew = records.iter().any(|other| {
        other.live && other.movement_date == source.movement_date && other.values.get(item) == value
    });
    value.is_some() && !sent_anew
}
