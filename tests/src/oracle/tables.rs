//! The published tables of the registry (contract.md) and what rows of people take from them.

use super::calendar::{day_before, day_text, first_day, last_day};
use super::columns::registry_items;
use super::holders::{Registry, begins, last_valid_day};
use super::registry::{END, Entry};
use super::{Date, RegistryKind, Row, Ym};

/// A record of the registry and the days for which it is published.
struct Period<'a> {
    entry: &'a Entry,
    /// `None` = from always: of an end with nothing before it.
    from: Option<Date>,
    /// Last day, `None` = open.
    to: Option<Date>,
}

/// The periods of one kind of records of an insurer, by keys of the stream, first day, movement date.
fn periods<'a>(registry: &'a Registry, insurer_no: &str, kind: RegistryKind) -> Vec<Period<'a>> {
    let entries: Vec<&Entry> = registry.of(insurer_no, kind).collect();
    let mut all: Vec<Period> = entries.iter().filter_map(|entry| period(entry, &entries)).collect();
    all.sort_by_key(|period| {
        let key = |item: &str| period.entry.values.get(item).cloned();
        let keys = ["care_level", "service_type", "service_code"].map(key);
        (keys, period.from, period.entry.movement_date)
    });
    all
}

/// The periods of all insurers.
fn all_periods(registry: &Registry, kind: RegistryKind) -> Vec<Period<'_>> {
    registry.entries.keys().flat_map(|insurer_no| periods(registry, insurer_no, kind)).collect()
}

/// `None`: not a day of it is left.
fn period<'a>(entry: &'a Entry, others: &[&Entry]) -> Option<Period<'a>> {
    let stream: Vec<&&Entry> = others.iter().filter(|other| other.same_stream(entry)).collect();
    if entry.movement_type == END {
        let alone = !stream.iter().any(|other| !other.is_end() && other.movement_date < entry.movement_date);
        return alone.then(|| Period { entry, from: None, to: Some(last_valid_day(entry)) });
    }
    let from = begins(entry);
    let later = stream.iter().filter(|other| other.movement_date > entry.movement_date);
    let last_before =
        |other: &&&Entry| if other.is_end() { last_valid_day(other) } else { day_before(begins(other)) };
    // A last day inherited from the record before cannot end this one before it begins.
    let inherited = entry.date_sent("valid_to_date").is_none();
    let own = entry.date("valid_to_date").filter(|to| *to >= from || !inherited);
    let to = later.map(last_before).chain(own).min();
    to.is_none_or(|to| from <= to).then_some(Period { entry, from: Some(from), to })
}

/// The name of an insurer on a day: of the record valid from the greatest day not after it, else of the
/// earliest.
pub(super) fn name_on(registry: &Registry, insurer_no: &str, day: Date) -> Option<String> {
    let own = periods(registry, insurer_no, RegistryKind::Insurer);
    let known = own.iter().rfind(|period| period.from.is_none_or(|from| from <= day));
    known.or(own.first())?.entry.values.get("insurer_name").cloned()
}

/// The units that a holder's own records (5511) give for a care level in a month.
pub(super) fn municipal_limit(
    registry: &Registry,
    holder_no: &str,
    level: &str,
    month: Ym,
) -> Option<String> {
    let mut found = periods(registry, holder_no, RegistryKind::Limit);
    found.retain(|period| {
        let value = |item: &str| period.entry.values.get(item).map(String::as_str);
        value("category_limit_units").is_some()
            && value("care_level").is_none_or(|of| of == level)
            && period.from.is_none_or(|from| from <= last_day(month))
            && period.to.is_none_or(|to| to >= first_day(month))
    });
    // For the level before for all, for all services before for one, the latest, the one applied later.
    let best = found.into_iter().max_by_key(|period| {
        let set = |item: &str| period.entry.values.contains_key(item);
        (set("care_level"), !set("service_type"), period.from, period.entry.applied)
    });
    best.and_then(|period| period.entry.values.get("category_limit_units").cloned())
}

/// `insurers`.
pub(super) fn insurer_rows(registry: &Registry) -> Vec<Row> {
    let rows = all_periods(registry, RegistryKind::Insurer).into_iter().map(|period| {
        let value = |item: &str| period.entry.values.get(item).cloned();
        let mut row = period_columns(&period);
        row.insert("insurer_no".to_owned(), Some(period.entry.insurer_no.clone()));
        row.insert("insurer_name".to_owned(), value("insurer_name"));
        row.insert("insurer_type".to_owned(), value("insurer_type"));
        row
    });
    rows.collect()
}

/// `municipal_limits` or `special_benefits`: the items of the layout and the period.
pub(super) fn item_rows(registry: &Registry, kind: RegistryKind) -> Vec<Row> {
    let rows = all_periods(registry, kind).into_iter().map(|period| {
        let mut row = period_columns(&period);
        for item in registry_items(kind) {
            let as_text = |value: &String| match value.parse() {
                Ok(day) if item.ends_with("_date") => day_text(day),
                _ => value.clone(),
            };
            row.insert((*item).to_owned(), period.entry.values.get(*item).map(as_text));
        }
        row.insert("insurer_no".to_owned(), Some(period.entry.insurer_no.clone()));
        row.insert("movement_date".to_owned(), Some(day_text(period.entry.movement_date)));
        row.insert("movement_type".to_owned(), Some(period.entry.movement_type.to_string()));
        row
    });
    rows.collect()
}

/// `memberships`.
pub(super) fn membership_rows(registry: &Registry) -> Vec<Row> {
    let mut all: Vec<_> = registry.memberships.values().flatten().collect();
    all.sort_by_key(|m| (&m.union_no, &m.member_no, m.from));
    let row = |m: &&super::memberships::Membership| {
        let cells = [
            ("union_no", Some(m.union_no.clone())),
            ("member_no", Some(m.member_no.clone())),
            ("valid_from", Some(day_text(m.from))),
            ("valid_to", m.until.map(|until| day_text(day_before(until)))),
            ("file_id", Some(m.file_hash.clone())),
            ("record_no", Some(m.record_no.to_string())),
        ];
        cells.into_iter().map(|(name, cell)| (name.to_owned(), cell)).collect()
    };
    all.iter().map(row).collect()
}

fn period_columns(period: &Period) -> Row {
    let cells = [
        ("valid_from", period.from.map(day_text)),
        ("valid_to", period.to.map(day_text)),
        ("file_id", Some(period.entry.file_hash.clone())),
        ("record_no", Some(period.entry.record_no.to_string())),
    ];
    cells.into_iter().map(|(name, cell)| (name.to_owned(), cell)).collect()
}
