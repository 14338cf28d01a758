//! Findings about the stack as it stands in the end: S07, S08, S10, S11, S13, S14, S15.

use super::calendar::{day_after, first_day, last_day, month_of};
use super::columns::inherited_items;
use super::holders::Registry;
use super::memberships::Membership;
use super::months::{certification_covers, date_of, latest_on, record_of_month, settled_month};
use super::order::finding as finding_at;
use super::registry::END;
use super::stacking::Stored;
use super::{FileOrder, OracleFinding, Ym, calendar};
use std::collections::BTreeSet;

fn finding(record: &Stored, code: &str, item: Option<&str>) -> OracleFinding {
    OracleFinding { item: item.map(str::to_owned), ..finding_at(&record.file_hash, record.record_no, code) }
}

/// S07: the union number that a record itself or its corrections gave is not that of its holder.
pub(super) fn s07(live: &[Stored]) -> Vec<OracleFinding> {
    let wrong = |record: &&Stored| {
        let given = record.values.get("union_no").filter(|_| record.own.contains("union_no"));
        given.is_some_and(|union_no| *union_no != record.holder_no)
    };
    let find = |record: &Stored| OracleFinding {
        names: vec![record.holder_no.clone()],
        ..finding(record, "S07", None)
    };
    live.iter().filter(wrong).map(find).collect()
}

/// S08: holders without any 5411 record. At the first record of each; `accepted`: holder, file in file order
/// and record number.
pub(super) fn s08(
    registry: &Registry,
    accepted: &[(String, (Option<FileOrder>, i64))],
) -> Vec<OracleFinding> {
    let holders: BTreeSet<&String> = accepted.iter().map(|(holder_no, _)| holder_no).collect();
    let unknown = holders.into_iter().filter(|holder_no| registry.of_insurer(holder_no).next().is_none());
    let first = |holder_no: &String| {
        let own = accepted.iter().filter(|(other, _)| other == holder_no);
        let (file, record_no) = own.map(|(_, position)| position).min()?;
        let (_, _, _, hash) = file.as_ref()?;
        let names = vec![holder_no.clone()];
        Some(OracleFinding { names, ..finding_at(hash, *record_no, "S08") })
    };
    unknown.filter_map(first).collect()
}

/// S13: not an end, cut off, and otherwise the record in force in a month that begins after that. Once per
/// record, whatever months are published.
pub(super) fn s13(live: &[Stored]) -> Vec<OracleFinding> {
    let settled = settled_month(live);
    let out = |record: &&Stored| {
        let Some(cut_off) = record.cut_off.filter(|_| record.movement_type != END) else { return false };
        let months = calendar::months(month_of(record.movement_date.min(cut_off)), settled);
        months.into_iter().filter(|month| first_day(*month) >= cut_off).any(|month| {
            let latest = latest_on(live, last_day(month));
            latest.is_some_and(|other| other.movement_date == record.movement_date)
        })
    };
    live.iter().filter(out).map(|record| finding(record, "S13", None)).collect()
}

/// S15: a member whose own registration is in force on a day of the membership. At the list that made it.
pub(super) fn s15(registry: &Registry) -> Vec<OracleFinding> {
    // From the day after the last one that any record names nothing changes any more.
    let days = registry.entries.values().flatten().flat_map(|entry| {
        let dates = ["valid_from_date", "valid_to_date"].map(|item| entry.date(item));
        dates.into_iter().flatten().chain([entry.movement_date])
    });
    let settled = day_after(day_after(days.filter(|day| *day < 99_990_101).max().unwrap_or_default()));
    let registered = |membership: &&Membership| {
        let last = membership.until.unwrap_or(membership.from.max(settled));
        std::iter::successors(Some(membership.from), |day| Some(day_after(*day)))
            .take_while(|day| *day <= last && membership.has_day(*day))
            .any(|day| registry.is_registered_on(&membership.member_no, day))
    };
    let find = |membership: &Membership| OracleFinding {
        item: Some("member_insurer_no".to_owned()),
        names: vec![membership.member_no.clone()],
        ..finding_at(&membership.file_hash, membership.record_no, "S15")
    };
    registry.memberships.values().flatten().filter(registered).map(find).collect()
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
        other.live
            && other.holder_no == source.holder_no
            && other.movement_date == source.movement_date
            && other.values.get(item) == value
    });
    value.is_some() && !sent_anew
}
