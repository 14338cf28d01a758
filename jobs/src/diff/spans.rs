//! Differences for people: months that changed alike in one line.

use super::cause::Cause;
use super::{Change, Kind};
use std::collections::BTreeMap;
use tsumiage_schemas::{Month, MonthRange};

/// A difference in months that follow each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    /// Whose.
    pub insured_no: String,
    /// The months.
    pub months: MonthRange,
    /// What happened.
    pub kind: Kind,
    /// Column, if it changed.
    pub item: Option<String>,
    /// Its value before.
    pub before: Option<String>,
    /// Its value now.
    pub after: Option<String>,
    /// What did it.
    pub cause: Cause,
}

/// Where a row's record is found: told only if nothing else changed.
const PLACE: [&str; 2] = ["file_id", "record_no"];

/// One holder's differences by insured number, first month and column.
pub fn spans(changes: &[Change]) -> Vec<Span> {
    let is_place = |change: &Change| change.item.as_deref().is_some_and(|item| PLACE.contains(&item));
    let mut others: BTreeMap<(&str, Month), bool> = BTreeMap::new();
    for change in changes {
        *others.entry((&change.insured_no, change.month)).or_default() |= !is_place(change);
    }
    let told = |change: &&Change| !is_place(change) || !others[&(change.insured_no.as_str(), change.month)];
    let mut spans: Vec<Span> = Vec::new();
    // The last span of every person's item.
    let mut last: BTreeMap<(&str, Option<&str>), usize> = BTreeMap::new();
    for change in changes.iter().filter(told) {
        let key = (change.insured_no.as_str(), change.item.as_deref());
        if let Some(&at) = last.get(&key)
            && spans[at].months.last.next() == change.month
            && is_alike(&spans[at], change)
        {
            spans[at].months.last = change.month;
            continue;
        }
        last.insert(key, spans.len());
        let Change { month, insured_no, kind, item, before, after, cause } = change.clone();
        let months = MonthRange { first: month, last: month };
        spans.push(Span { insured_no, months, kind, item, before, after, cause });
    }
    // Stable: columns stay in the order of the table.
    spans.sort_by(|a, b| (&a.insured_no, a.months.first).cmp(&(&b.insured_no, b.months.first)));
    spans
}

fn is_alike(span: &Span, change: &Change) -> bool {
    (span.kind, &span.before, &span.after, &span.cause)
        == (change.kind, &change.before, &change.after, &change.cause)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diff::cause::CauseKind;

    fn change(insured_no: &str, month: &str, item: &str, after: &str) -> Change {
        Change {
            month: month.parse().unwrap(),
            insured_no: insured_no.to_owned(),
            kind: Kind::Changed,
            item: Some(item.to_owned()),
            before: None,
            after: Some(after.to_owned()),
            cause: Cause::of(CauseKind::Unknown),
        }
    }

    #[test]
    fn months_that_changed_alike_are_one_line() {
        let changes = [
            change("1", "2026-04", "care_level", "12"),
            change("1", "2026-04", "file_id", "f"),
            change("2", "2026-04", "file_id", "f"),
            change("1", "2026-05", "care_level", "12"),
            change("1", "2026-07", "care_level", "12"),
            change("1", "2026-08", "care_level", "21"),
        ];
        let told: Vec<String> = spans(&changes)
            .iter()
            .map(|s| format!("{} {} {}", s.insured_no, s.months, s.item.as_deref().unwrap()))
            .collect();
        let expected = [
            "1 2026-04..2026-05 care_level",
            "1 2026-07..2026-07 care_level",
            "1 2026-08..2026-08 care_level",
            "2 2026-04..2026-04 file_id",
        ];
        assert_eq!(told, expected);
    }
}
