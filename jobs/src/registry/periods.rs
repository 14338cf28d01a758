//! From the live records of a registry stream to the days each of them holds (domain 4). Pure.
//!
//! Promise: the periods of one stream stand in time, and those whose first day is known never overlap.

use crate::stack::fact::Change;
use tsumiage_schemas::Day;
use tsumiage_schemas::holder::Ended;

/// A live record of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its row among the stacked ones.
    pub row: u32,
    /// Movement date.
    pub date: Day,
    /// Registration, change or end.
    pub change: Change,
    /// `valid_from_date` as it stands.
    pub valid_from: Option<Day>,
    /// `valid_to_date` as it stands.
    pub valid_to: Option<Day>,
    /// `valid_to_date` as this record gave it; one that it inherited cannot end it before it begins.
    pub sent_valid_to: Option<Day>,
}

/// Days on which a record holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Period {
    /// Row of the record.
    pub row: u32,
    /// First day, `None` = not known.
    pub from: Option<Day>,
    /// Last day, `None` = open.
    pub to: Option<Day>,
}

impl Record {
    /// Whether it is an end.
    pub fn is_end(&self) -> bool {
        self.change == Change::End
    }

    /// The first day on which it holds; a change never before its movement date.
    pub fn start(&self) -> Day {
        let from = self.valid_from.unwrap_or(self.date);
        if self.change == Change::Registration { from } else { from.max(self.date) }
    }

    /// Of an end: the last valid day.
    pub fn last_day(&self) -> Day {
        self.sent_valid_to.unwrap_or(Day(self.date.0 - 1))
    }
}

/// The periods of a stream, given by movement date. A record holds until a later one begins or ends; one that
/// would end before it begins never does. An end without anything before it tells a last day only.
pub fn periods(stream: &[Record]) -> Vec<Period> {
    let first = stream.iter().position(|record| !record.is_end()).unwrap_or(stream.len());
    let mut found = Vec::with_capacity(stream.len());
    let mut later: Option<Day> = None; // the earliest last day that a later record leaves
    for (at, record) in stream.iter().enumerate().rev() {
        let leaves = if record.is_end() {
            if at < first {
                found.push(Period { row: record.row, from: None, to: Some(record.last_day()) });
            }
            record.last_day()
        } else {
            let from = record.start();
            let own = record.valid_to.filter(|&to| to >= from || record.sent_valid_to.is_some());
            let to = own.into_iter().chain(later).min();
            if to.is_none_or(|to| from <= to) {
                found.push(Period { row: record.row, from: Some(from), to });
            }
            Day(from.0 - 1)
        };
        later = Some(later.map_or(leaves, |day| day.min(leaves)));
    }
    found.reverse();
    found
}

/// The times in which an insurer is ended: from the day after the last valid day of each end until one of
/// its registrations is valid again. None where that is the very next day, or where the last valid day is the
/// last one that can be written.
pub fn ended_times(stream: &[Record]) -> Vec<Ended> {
    let registrations = stream.iter().filter(|record| record.change == Change::Registration);
    let mut starts: Vec<Day> = registrations.map(Record::start).collect();
    starts.sort();
    let mut ended: Vec<Ended> = Vec::new();
    for end in stream.iter().filter(|record| record.is_end()) {
        let last_day = end.last_day();
        let from = Day(last_day.0 + 1);
        let until = starts.get(starts.partition_point(|start| *start <= last_day)).copied();
        if until != Some(from) && Some(last_day) < Day::from_civil(9999, 12, 31) {
            ended.push(Ended { from, until });
        }
    }
    ended.sort();
    ended.dedup();
    ended
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> Day {
        text.parse().unwrap()
    }

    /// Records as "kind date valid_from valid_to", `-` = blank; kinds 1, 2, 3. Ends give their valid_to.
    fn stream(of: &[&str]) -> Vec<Record> {
        let record = |(row, text): (usize, &&str)| {
            let parts: Vec<&str> = text.split(' ').collect();
            let date = |at: usize| Some(parts[at]).filter(|text| *text != "-").map(day);
            let change = Change::of(false, parts[0].as_bytes()[0]);
            Record {
                row: row as u32,
                date: day(parts[1]),
                change,
                valid_from: date(2),
                valid_to: date(3),
                sent_valid_to: date(3).filter(|_| change == Change::End),
            }
        };
        of.iter().enumerate().map(record).collect()
    }

    /// `row from..to`.
    fn of(records: &[&str]) -> Vec<String> {
        let text = |day: Option<Day>| day.map(|d| d.to_string()).unwrap_or_default();
        let periods = periods(&stream(records)).into_iter();
        periods.map(|p| format!("{} {}..{}", p.row, text(p.from), text(p.to))).collect()
    }

    #[test]
    fn a_record_holds_until_the_next_begins() {
        let registered = "1 2026-04-01 - -";
        assert_eq!(of(&[registered]), ["0 2026-04-01.."]);
        assert_eq!(of(&["1 2026-04-01 2026-05-01 2026-12-31"]), ["0 2026-05-01..2026-12-31"]);
        assert_eq!(
            of(&[registered, "2 2026-06-01 2026-04-01 -"]),
            ["0 2026-04-01..2026-05-31", "1 2026-06-01.."],
            "what a change says holds from its date on, whatever it inherited"
        );
        assert_eq!(
            of(&[registered, "2 2026-06-01 2026-08-01 2026-08-31"]),
            ["0 2026-04-01..2026-07-31", "1 2026-08-01..2026-08-31"]
        );
        assert_eq!(
            of(&[registered, "1 2026-06-01 2026-03-01 -"]),
            ["1 2026-03-01.."],
            "a registration anew may say what held before"
        );
    }

    #[test]
    fn an_inherited_last_day_does_not_end_a_record_before_it_begins() {
        let limited = "1 2023-04-01 2023-04-01 2026-03-31";
        // The change left its last day blank and has that of the record before.
        let renewed = stream(&[limited, "2 2026-04-01 2023-04-01 2026-03-31"]);
        let of = |stream: &[Record]| -> Vec<(u32, Option<Day>)> {
            periods(stream).into_iter().map(|period| (period.row, period.to)).collect()
        };
        assert_eq!(of(&renewed), [(0, Some(day("2026-03-31"))), (1, None)]);
        let within = stream(&[limited, "2 2025-04-01 2023-04-01 2026-03-31"]);
        assert_eq!(of(&within), [(0, Some(day("2025-03-31"))), (1, Some(day("2026-03-31")))]);
        let mut sent = renewed;
        sent[1].sent_valid_to = sent[1].valid_to;
        assert_eq!(of(&sent), [(0, Some(day("2026-03-31")))], "as sent it never holds");
    }

    #[test]
    fn an_end_ends_what_is_before_it() {
        let registered = "1 2026-04-01 - -";
        assert_eq!(of(&[registered, "3 2026-10-01 - -"]), ["0 2026-04-01..2026-09-30"]);
        assert_eq!(of(&[registered, "3 2026-10-01 - 2026-10-31"]), ["0 2026-04-01..2026-10-31"]);
        assert_eq!(
            of(&[registered, "2 2026-06-01 - -", "3 2026-10-01 - 2026-05-20"]),
            ["0 2026-04-01..2026-05-20"]
        );
        assert_eq!(of(&["3 2026-10-01 - -"]), ["0 ..2026-09-30"]);
        assert_eq!(
            of(&["3 2026-10-01 - -", "3 2026-11-01 - -", "1 2027-04-01 - -", "3 2027-06-01 - -"]),
            ["0 ..2026-09-30", "1 ..2026-10-31", "2 2027-04-01..2027-05-31"]
        );
    }

    /// `from..until` of the ended times.
    fn ended(records: &[&str]) -> Vec<String> {
        let until = |ended: &Ended| ended.until.map(|d| d.to_string()).unwrap_or_default();
        ended_times(&stream(records)).iter().map(|e| format!("{}..{}", e.from, until(e))).collect()
    }

    #[test]
    fn an_insurer_is_ended_until_it_is_registered_anew() {
        let (new, end) = ("1 2020-04-01 - -", "3 2026-10-01 - 2026-10-31");
        assert!(ended(&[new]).is_empty());
        assert_eq!(ended(&[new, end]), ["2026-11-01.."]);
        assert_eq!(ended(&[new, "3 2026-10-01 2020-04-01 -"]), ["2026-10-01.."]);
        assert_eq!(ended(&[new, end, "1 2027-04-01 - -"]), ["2026-11-01..2027-04-01"]);
        assert_eq!(ended(&[new, end, "2 2027-04-01 - -"]), ["2026-11-01.."], "a change registers nothing");
        assert!(ended(&[new, end, "1 2027-04-01 2026-11-01 -"]).is_empty(), "a mistaken end, mended");
        assert_eq!(ended(&[new, end, "1 2027-04-01 2026-11-02 -"]), ["2026-11-01..2026-11-02"]);
        assert!(ended(&[new, "3 2026-10-01 - 9999-12-31"]).is_empty(), "never");
        let again = ["1 2027-04-01 - -", "3 2028-01-01 - -"];
        assert_eq!(ended(&[&[new, end], &again[..]].concat()), ["2026-11-01..2027-04-01", "2028-01-01.."]);
    }

    #[test]
    fn the_valid_to_that_an_end_inherited_is_not_its_last_day() {
        let mut records = stream(&["1 2020-04-01 - 2030-03-31", "3 2026-10-01 - -"]);
        records[1].valid_to = day("2030-03-31").into();
        assert_eq!(records[1].last_day(), day("2026-09-30"));
    }
}
