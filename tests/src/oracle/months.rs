//! domain.md section 3, "Service month", and the rows of the tables `recipient_month` and
//! `recipient_history` (contract.md).
//!
//! `live` is always the live records of one stream by movement date.

use super::calendar::{day_before, day_text, first_day, last_day, month_of, month_text, months, next_month};
use super::columns::ITEMS;
use super::holders::Registry;
use super::registry::END;
use super::stacking::Stored;
use super::tables::{municipal_limit, name_on};
use super::{Date, HistoryRow, Limit, MonthRow, Row, Ym};

/// The live record with the greatest movement date not after a day.
pub(super) fn latest_on(live: &[Stored], day: Date) -> Option<&Stored> {
    live.iter().filter(|record| record.movement_date <= day).max_by_key(|record| record.movement_date)
}

/// Whether a record is out of force in a month: the month begins when it is cut off.
fn out_of_force(record: &Stored, month: Ym) -> bool {
    record.cut_off.is_some_and(|from| from <= first_day(month))
}

/// The record in force in a month in which the recipient is effective; `None`: not effective.
pub(super) fn record_of_month(live: &[Stored], month: Ym) -> Option<&Stored> {
    let record = latest_on(live, last_day(month)).filter(|record| !out_of_force(record, month))?;
    if record.movement_type != END {
        return Some(record);
    }
    let opened_before =
        live.iter().any(|other| other.movement_date < record.movement_date && other.movement_type != END);
    (record.movement_date > first_day(month) && opened_before).then_some(record)
}

/// A date item of a record.
pub(super) fn date_of(record: &Stored, item: &str) -> Option<Date> {
    record.values.get(item).and_then(|text| text.parse().ok())
}

/// Whether a record's certification covers any day of a month.
pub(super) fn certification_covers(record: &Stored, month: Ym) -> bool {
    let Some(start) = date_of(record, "certification_start_date") else { return false };
    let end = date_of(record, "certification_end_date");
    start <= last_day(month) && end.is_none_or(|end| end >= first_day(month) && end >= start)
}

/// The record in force on a month's first day.
fn on_first_day(live: &[Stored], month: Ym) -> Option<&Stored> {
    latest_on(live, first_day(month)).filter(|record| !out_of_force(record, month))
}

/// The care level with the greatest weight in a month, and its row of the table.
fn heaviest<'a>(live: &[Stored], month: Ym, limits: &'a [Limit]) -> Option<&'a Limit> {
    // The record in force on the first day and every live record dated in the month, ends excepted (of
    // both: who is out on the first day has no level then).
    let first = on_first_day(live, month).map(|record| record.movement_date);
    let is_candidate = |record: &&Stored| {
        let dated = Some(record.movement_date) == first || month_of(record.movement_date) == month;
        dated && record.movement_type != END
    };
    let limit_of = |record: &Stored| {
        let level = record.values.get("care_level")?;
        limits.iter().find(|limit| {
            limit.care_level == *level
                && limit.valid_from <= month
                && limit.valid_to.is_none_or(|last| month <= last)
        })
    };
    // Of equal weights the later record, which comes later here: the last maximum.
    live.iter()
        .filter(is_candidate)
        .filter(|record| certification_covers(record, month))
        .filter_map(limit_of)
        .max_by_key(|limit| limit.weight)
}

/// The rows of `recipient_month` of a stream for the months from `first` to `last`.
pub(super) fn month_rows(
    registry: &Registry,
    live: &[Stored],
    (first, last): (Ym, Ym),
    limits: &[Limit],
) -> Vec<MonthRow> {
    let row =
        |month| record_of_month(live, month).map(|record| month_row(registry, live, month, record, limits));
    months(first, last).into_iter().filter_map(row).collect()
}

fn month_row(registry: &Registry, live: &[Stored], month: Ym, record: &Stored, limits: &[Limit]) -> MonthRow {
    let in_month = live.iter().filter(|other| month_of(other.movement_date) == month).count();
    let on_first_day = on_first_day(live, month).filter(|other| other.movement_type != END);
    let heaviest = heaviest(live, month, limits);
    let municipal =
        heaviest.and_then(|limit| municipal_limit(registry, &record.holder_no, &limit.care_level, month));
    let source = if municipal.is_some() { "municipal" } else { "table" };
    let covering =
        live.iter().filter(|other| certification_covers(other, month)).map(|other| other.movement_date).max();
    let mut row = record_columns(registry, record, last_day(month));
    set(&mut row, "service_month", Some(month_text(month)));
    set(&mut row, "movements_in_month", Some(in_month.to_string()));
    set(&mut row, "ended_in_month", Some((record.movement_type == END).to_string()));
    set(&mut row, "first_day_insurer_no", on_first_day.map(|other| other.insurer_no.clone()));
    set(&mut row, "heaviest_care_level", heaviest.map(|limit| limit.care_level.clone()));
    let national = heaviest.map(|limit| limit.limit_units.to_string());
    set(&mut row, "limit_units", municipal.or(national));
    set(&mut row, "limit_source", heaviest.map(|_| source.to_owned()));
    set(&mut row, "certification_covers_month", Some(certification_covers(record, month).to_string()));
    set(&mut row, "covering_movement_date", covering.map(day_text));
    row
}

/// The rows of `recipient_history`.
pub(super) fn history_rows(registry: &Registry, live: &[Stored]) -> Vec<HistoryRow> {
    live.iter().map(|record| history_row(registry, live, record)).collect()
}

fn history_row(registry: &Registry, live: &[Stored], record: &Stored) -> HistoryRow {
    let next = live.iter().map(|other| other.movement_date).filter(|date| *date > record.movement_date).min();
    let valid_to = match next {
        Some(next) => Some(day_before(next)),
        None if record.movement_type == END => Some(record.movement_date),
        None => record.cut_off.map(|from| day_before(from).max(record.movement_date)),
    };
    let for_ever = settled_month(live);
    let of_record: Vec<Ym> = months(month_of(record.movement_date), for_ever)
        .into_iter()
        .filter(|month| {
            record_of_month(live, *month).is_some_and(|other| other.movement_date == record.movement_date)
        })
        .collect();
    let to_month = of_record.last().copied().filter(|month| *month != for_ever);
    let mut row = record_columns(registry, record, record.movement_date);
    set(&mut row, "valid_from", Some(day_text(record.movement_date)));
    set(&mut row, "valid_to", valid_to.map(day_text));
    set(&mut row, "from_month", of_record.first().copied().map(month_text));
    set(&mut row, "to_month", to_month.map(month_text));
    set(&mut row, "processing_month", Some(month_text(record.processing_month)));
    set(&mut row, "corrections", Some(record.correction_dates.len().to_string()));
    row
}

/// From this month on nothing changes any more: all movements and cuts are behind it.
pub(super) fn settled_month(live: &[Stored]) -> Ym {
    let days = live.iter().flat_map(|record| [Some(record.movement_date), record.cut_off]).flatten();
    next_month(month_of(days.max().unwrap_or_default()))
}

/// The columns that both tables have; the holder is named as on a day.
fn record_columns(registry: &Registry, record: &Stored, day: Date) -> Row {
    let mut row = Row::new();
    for item in ITEMS {
        let as_text = |value: &String| match value.parse() {
            Ok(day) if item.ends_with("_date") => day_text(day),
            _ => value.clone(),
        };
        set(&mut row, item, record.values.get(item).map(as_text));
    }
    set(&mut row, "holder_no", Some(record.holder_no.clone()));
    set(&mut row, "holder_name", name_on(registry, &record.holder_no, day));
    set(&mut row, "insured_no", Some(record.insured_no.clone()));
    set(&mut row, "movement_date", Some(day_text(record.movement_date)));
    set(&mut row, "movement_type", Some(record.movement_type.to_string()));
    set(&mut row, "insurer_no", Some(record.insurer_no.clone()));
    set(&mut row, "file_id", Some(record.file_hash.clone()));
    set(&mut row, "record_no", Some(record.record_no.to_string()));
    // Of the correction applied last, not the greatest.
    set(&mut row, "last_correction_date", record.correction_dates.last().copied().map(day_text));
    row
}

fn set(row: &mut Row, column: &str, value: Option<String>) {
    row.insert(column.to_owned(), value);
}
