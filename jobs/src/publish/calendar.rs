//! From live records to service months (domain 3, "Service month"), on positions only.
//!
//! Promise: pure; every question about a month (who is effective, which level is heaviest, what the
//! certification covers) is answered here and nowhere else.

use tsumiage_schemas::codes::CareLevelLimit;
use tsumiage_schemas::{Day, Month, MonthRange};

/// No record.
pub const NONE: u32 = u32::MAX;

/// One live record of a stream as the calendar sees it.
#[derive(Clone, Copy, Debug)]
pub struct Live {
    /// Row that later gathering refers to.
    pub row: u32,
    /// Movement date.
    pub date: Day,
    /// 終了
    pub is_end: bool,
    /// Day from which it is cut off (domain 4).
    pub cut_off: Option<Day>,
    /// Certification start, filled in.
    pub certified_from: Option<Day>,
    /// Certification end, filled in.
    pub certified_to: Option<Day>,
    /// Care level's place in [`Levels`].
    pub level: Option<u16>,
}

impl Live {
    /// Whether it is out of force in a month: cut off when the month begins.
    fn is_out_of_force(&self, days: &Days) -> bool {
        self.cut_off.is_some_and(|cut| cut <= days.first)
    }

    /// Whether its certification covers any day of a month.
    fn covers(&self, days: &Days) -> bool {
        self.certified_from.is_some_and(|from| {
            let ends_in_time = |to: Day| to >= days.first && to >= from;
            from <= days.last && self.certified_to.is_none_or(ends_in_time)
        })
    }
}

/// The days of a month, found out once.
#[derive(Clone, Copy, Debug)]
struct Days {
    month: Month,
    first: Day,
    last: Day,
}

impl Days {
    fn of(month: Month) -> Days {
        Days { month, first: month.first_day(), last: month.last_day() }
    }
}

/// What care levels are worth, by level and month.
#[derive(Clone, Debug, Default)]
pub struct Levels {
    codes: Vec<String>,
    limits: Vec<CareLevelLimit>,
}

impl Levels {
    /// From the table of limits.
    pub fn new(limits: &[CareLevelLimit]) -> Levels {
        let mut codes: Vec<String> = limits.iter().map(|limit| limit.care_level.clone()).collect();
        codes.sort();
        codes.dedup();
        Levels { codes, limits: limits.to_vec() }
    }

    /// The place of a care level, if the table has it.
    pub fn level(&self, code: &str) -> Option<u16> {
        self.codes.binary_search_by(|known| known.as_str().cmp(code)).ok().map(|at| at as u16)
    }

    /// The code at a place.
    pub fn code(&self, level: u16) -> &str {
        &self.codes[usize::from(level)]
    }

    /// The row of the table for a level that is valid in a month.
    pub fn limit(&self, level: u16, month: Month) -> Option<&CareLevelLimit> {
        let code = self.code(level);
        let valid = |limit: &&CareLevelLimit| {
            limit.care_level == code
                && limit.valid_from <= month
                && limit.valid_to.is_none_or(|last| month <= last)
        };
        self.limits.iter().find(valid)
    }

    /// Weight and units of every level in every month of a range, for quick look-up.
    pub fn in_months(&self, range: MonthRange) -> Vec<Vec<Option<(i32, i32)>>> {
        let of = |month: Month| {
            let limit = |level: usize| self.limit(level as u16, month).map(|l| (l.weight, l.limit_units));
            (0..self.codes.len()).map(limit).collect()
        };
        range.months().map(of).collect()
    }
}

/// Rows of one service month, one entry per effective recipient, in stream order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MonthRows {
    /// Record in force.
    pub rows: Vec<u32>,
    /// Live records dated in the month.
    pub movements: Vec<i32>,
    /// The record in force is an end.
    pub ended: Vec<bool>,
    /// Record in force on the first day, [`NONE`] if there is none or it is an end.
    pub first_day: Vec<u32>,
    /// Heaviest care level's place in [`Levels`].
    pub heaviest: Vec<Option<u16>>,
    /// Whether the record in force's certification covers the month.
    pub covers: Vec<bool>,
    /// Latest live record whose certification covers the month, or [`NONE`].
    pub covering: Vec<u32>,
}

/// Where a live record stands in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Row of the record.
    pub row: u32,
    /// Last valid day, `None` = open.
    pub valid_to: Option<Day>,
    /// First service month it is the record of, `None` = never.
    pub from_month: Option<Month>,
    /// Last one, `None` = open (or never).
    pub to_month: Option<Month>,
}

/// A finding of the calendar.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Remark {
    /// S10: the record in force does not cover these published months.
    NotCovered {
        /// Row of the record.
        row: u32,
        /// The months, in order.
        months: Vec<Month>,
    },
    /// S14: certified before the first movement.
    CertifiedEarlier {
        /// Row of the first record.
        row: u32,
        /// First day of its certification.
        from: Day,
    },
    /// S13: out of force because its holder or membership ended.
    CutOff {
        /// Row of the record.
        row: u32,
    },
}

impl Remark {
    /// Row of the record it is about.
    pub fn row(&self) -> u32 {
        match self {
            Remark::NotCovered { row, .. }
            | Remark::CertifiedEarlier { row, .. }
            | Remark::CutOff { row } => *row,
        }
    }

    /// The same about the record in another row.
    pub fn at(mut self, at: u32) -> Remark {
        match &mut self {
            Remark::NotCovered { row, .. }
            | Remark::CertifiedEarlier { row, .. }
            | Remark::CutOff { row } => *row = at,
        }
        self
    }
}

/// Everything a chunk of streams says about the months published.
#[derive(Debug)]
pub struct Calendar<'a> {
    /// The months of the range.
    days: Vec<Days>,
    limits: &'a [Vec<Option<(i32, i32)>>],
    /// One per month of the range.
    pub months: Vec<MonthRows>,
    /// One per live record, in stream and date order.
    pub spans: Vec<Span>,
    /// Findings.
    pub remarks: Vec<Remark>,
}

impl<'a> Calendar<'a> {
    /// An empty calendar; `limits` from [`Levels::in_months`] of the same range.
    pub fn new(range: MonthRange, limits: &'a [Vec<Option<(i32, i32)>>]) -> Calendar<'a> {
        let months = vec![MonthRows::default(); range.len()];
        let days = range.months().map(Days::of).collect();
        Calendar { days, limits, months, spans: Vec::new(), remarks: Vec::new() }
    }

    /// Adds a stream: its live records by date.
    pub fn stream(&mut self, live: &[Live]) {
        let Some(first) = live.first() else { return };
        self.certified_earlier(first);
        for at in 0..live.len() {
            self.spans.push(span(live, at));
            self.remarks.extend(cut_off(live, at));
        }
        let mut uncovered: Vec<(u32, Vec<Month>)> = Vec::new();
        let mut after = 0; // live records dated up to the month's last day
        for (index, days) in self.days.iter().enumerate() {
            while after < live.len() && live[after].date <= days.last {
                after += 1;
            }
            let up_to_first_day =
                live[..after].iter().rposition(|r| r.date <= days.first).map_or(0, |at| at + 1);
            let Some(at) = in_force(live, after, days) else { continue };
            let record = &live[at];
            let dated_in = live[..after].iter().rev().take_while(|r| r.date >= days.first).count();
            let rows = &mut self.months[index];
            rows.rows.push(record.row);
            rows.movements.push(dated_in as i32);
            rows.ended.push(record.is_end);
            let on_first_day = up_to_first_day.checked_sub(1).map(|at| &live[at]);
            let on_first_day = on_first_day.filter(|r| !r.is_end && !r.is_out_of_force(days));
            rows.first_day.push(on_first_day.map_or(NONE, |r| r.row));
            rows.heaviest.push(heaviest(
                on_first_day,
                &live[after - dated_in..after],
                days,
                &self.limits[index],
            ));
            let covers = record.covers(days);
            rows.covers.push(covers);
            let covering = live.iter().rev().find(|r| r.covers(days));
            rows.covering.push(covering.map_or(NONE, |r| r.row));
            if !covers {
                match uncovered.last_mut() {
                    Some((row, months)) if *row == record.row => months.push(days.month),
                    _ => uncovered.push((record.row, vec![days.month])),
                }
            }
        }
        self.remarks.extend(uncovered.into_iter().map(|(row, months)| Remark::NotCovered { row, months }));
    }

    fn certified_earlier(&mut self, first: &Live) {
        if let Some(from) = first.certified_from.filter(|_| !first.is_end) {
            let in_order = first.certified_to.is_none_or(|to| to >= from);
            if from.month() < first.date.month() && in_order {
                self.remarks.push(Remark::CertifiedEarlier { row: first.row, from });
            }
        }
    }
}

/// The record of the month's row: the last of those dated up to its last day, unless it is out of force, an
/// end on or before the first day, or an end with nothing but ends before it.
fn in_force(live: &[Live], after: usize, days: &Days) -> Option<usize> {
    let at = after.checked_sub(1)?;
    if live[at].is_out_of_force(days) {
        return None;
    }
    if !live[at].is_end {
        return Some(at);
    }
    let effective = live[at].date > days.first && live[..at].iter().any(|r| !r.is_end);
    effective.then_some(at)
}

/// S13: a record that is no end and would be in force in some month if it were not cut off. Of the months in
/// which it is out of force the first decides: later ones have no fewer records after it.
fn cut_off(live: &[Live], at: usize) -> Option<Remark> {
    let record = &live[at];
    let from = record.cut_off.filter(|_| !record.is_end)?;
    let first_out = if from == from.month().first_day() { from.month() } else { from.month().next() };
    let month = first_out.max(record.date.month());
    let in_force = live.get(at + 1).is_none_or(|next| next.date > month.last_day());
    in_force.then_some(Remark::CutOff { row: record.row })
}

/// The heaviest level among the record in force on the first day and those dated in the month.
fn heaviest(
    on_first_day: Option<&Live>,
    dated_in: &[Live],
    days: &Days,
    limits: &[Option<(i32, i32)>],
) -> Option<u16> {
    let candidates = on_first_day.into_iter().chain(dated_in).filter(|r| !r.is_end);
    let weighed = candidates.filter(|r| r.covers(days)).filter_map(|r| {
        let level = r.level?;
        limits[usize::from(level)].map(|(weight, _)| (weight, level))
    });
    weighed.reduce(|best, next| if next.0 >= best.0 { next } else { best }).map(|(_, level)| level)
}

fn span(live: &[Live], at: usize) -> Span {
    let record = &live[at];
    let next = live.get(at + 1);
    let month = record.date.month();
    let last_before_next = next.map(|next| Month(next.date.month().0 - 1));
    // A month is out of force if it begins when the record is cut off.
    let last_in_force = record.cut_off.map(|cut| Day(cut.0 - 1).month());
    let last_month = last_before_next.into_iter().chain(last_in_force).min();
    let valid_to = match next {
        Some(next) => Some(Day(next.date.0 - 1)),
        None if record.is_end => Some(record.date),
        None => record.cut_off.map(|cut| Day(cut.0 - 1).max(record.date)),
    };
    let (from_month, to_month) = if last_month.is_some_and(|last| last < month) {
        (None, None)
    } else if record.is_end {
        let effective = in_force(live, at + 1, &Days::of(month)).map(|_| month);
        (effective, effective)
    } else {
        (Some(month), last_month)
    };
    Span { row: record.row, valid_to, from_month, to_month }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn live(row: u32, date: &str, is_end: bool) -> Live {
        Live {
            row,
            date: date.parse().unwrap(),
            is_end,
            cut_off: None,
            certified_from: None,
            certified_to: None,
            level: None,
        }
    }

    #[test]
    fn the_seeds_first_table() {
        let stream: Vec<Live> = ["2026-04-01", "2026-06-01", "2026-07-03", "2026-09-15"]
            .iter()
            .enumerate()
            .map(|(n, date)| live(n as u32 + 1, date, false))
            .collect();
        let range: MonthRange = "2026-03..2026-10".parse().unwrap();
        let limits = vec![Vec::new(); range.len()];
        let mut calendar = Calendar::new(range, &limits);
        calendar.stream(&stream);
        let rows: Vec<Vec<u32>> = calendar.months.iter().map(|m| m.rows.clone()).collect();
        assert_eq!(rows, [vec![], vec![1], vec![1], vec![2], vec![3], vec![3], vec![4], vec![4]]);
        let to: Vec<Option<String>> =
            calendar.spans.iter().map(|s| s.to_month.map(|m| m.to_string())).collect();
        let expected = ["2026-05", "2026-06", "2026-08"].map(|m| Some(m.to_owned()));
        assert_eq!(to[..3], expected);
        assert_eq!(to[3], None);
    }

    #[test]
    fn a_certification_that_ends_before_it_starts_covers_nothing() {
        let day = |text: &str| Some(text.parse().unwrap());
        let mut record = live(1, "2026-06-01", false);
        let june: Month = "2026-06".parse().unwrap();
        for (from, to, covers) in [
            (day("2026-06-20"), day("2026-06-10"), false),
            (day("2026-06-20"), day("2026-06-20"), true),
            (day("2026-06-30"), None, true),
            (None, day("2026-06-10"), false),
            (day("2026-05-01"), day("2026-05-31"), false),
            (day("2026-07-01"), None, false),
        ] {
            (record.certified_from, record.certified_to) = (from, to);
            assert_eq!(record.covers(&Days::of(june)), covers, "{from:?} {to:?}");
        }
    }

    #[test]
    fn what_is_cut_off_is_out_of_force_from_the_next_month() {
        let range: MonthRange = "2026-04..2026-08".parse().unwrap();
        let limits = vec![Vec::new(); range.len()];
        let cut = |row: u32, date: &str, cut_off: &str| Live {
            cut_off: Some(cut_off.parse().unwrap()),
            ..live(row, date, false)
        };
        // Stream, row of each month, (valid_to, from_month, to_month) of the first record, rows of S13.
        type Case = (Vec<Live>, [usize; 5], &'static str, &'static [u32]);
        let first = || cut(1, "2026-04-10", "2026-06-15");
        let cases: [Case; 6] = [
            (vec![first()], [1, 1, 1, 0, 0], "2026-06-14 2026-04 2026-06", &[1]),
            (vec![cut(1, "2026-04-10", "2026-06-01")], [1, 1, 0, 0, 0], "2026-05-31 2026-04 2026-05", &[1]),
            (vec![first(), live(2, "2026-06-20", true)], [1, 1, 2, 0, 0], "2026-06-19 2026-04 2026-05", &[]),
            (vec![first(), live(2, "2026-07-20", false)], [1, 1, 1, 2, 2], "2026-07-19 2026-04 2026-06", &[]),
            (
                vec![first(), live(2, "2026-08-20", false)],
                [1, 1, 1, 0, 2],
                "2026-08-19 2026-04 2026-06",
                &[1],
            ),
            (vec![cut(1, "2026-06-20", "2026-06-15")], [0, 0, 1, 0, 0], "2026-06-20 2026-06 2026-06", &[1]),
        ];
        for (stream, expected, span_of_first, warned) in cases {
            let mut calendar = Calendar::new(range, &limits);
            calendar.stream(&stream);
            let row = |m: &MonthRows| m.rows.first().map_or(0, |&row| row as usize);
            assert_eq!(calendar.months.iter().map(row).collect::<Vec<_>>(), expected, "{stream:?}");
            let span = calendar.spans[0];
            let text = |month: Option<Month>| month.map(|m| m.to_string()).unwrap_or_default();
            let valid_to = span.valid_to.map(|day| day.to_string()).unwrap_or_default();
            let found = format!("{valid_to} {} {}", text(span.from_month), text(span.to_month));
            assert_eq!(found, span_of_first, "{stream:?}");
            let cut = |r: &Remark| matches!(r, Remark::CutOff { .. }).then_some(r.row());
            let cut: Vec<u32> = calendar.remarks.iter().filter_map(cut).collect();
            assert_eq!(cut, warned, "{stream:?}");
        }
    }

    #[test]
    fn an_end_is_the_first_day_out() {
        let range: MonthRange = "2026-04..2026-06".parse().unwrap();
        let limits = vec![Vec::new(); range.len()];
        for (date, effective) in
            [("2026-05-01", [1, 0, 0]), ("2026-05-02", [1, 1, 0]), ("2026-05-31", [1, 1, 0])]
        {
            let mut calendar = Calendar::new(range, &limits);
            calendar.stream(&[live(1, "2026-04-10", false), live(2, date, true)]);
            let rows: Vec<usize> = calendar.months.iter().map(|m| m.rows.len()).collect();
            assert_eq!(rows, effective, "{date}");
        }
        let mut alone = Calendar::new(range, &limits);
        alone.stream(&[live(2, "2026-05-20", true)]);
        assert!(alone.months.iter().all(|m| m.rows.is_empty()));
        assert_eq!(alone.spans[0].from_month, None);
    }
}
