//! Days and months of the western calendar, as the exchange files write them (YYYYMMDD, YYYYMM).
//!
//! Promise: a `Day` is always a real day, a `Month` always a real month; both are plain integers
//! that order as time does. Neither knows a clock.

use std::fmt;
use std::str::FromStr;

/// A calendar day: days since 1970-01-01, the representation of Arrow `Date32`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Day(pub i32);

/// A calendar month: months since 0000-01 (`year * 12 + month - 1`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Month(pub i32);

/// An inclusive range of months, `A..B` on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MonthRange {
    /// First month.
    pub first: Month,
    /// Last month, not before `first`.
    pub last: Month,
}

/// A text that is not a day, month or range in the form asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not {form}")]
pub struct CalendarError {
    /// What was given.
    pub text: String,
    /// What would have been right.
    pub form: &'static str,
}

fn wrong(text: &str, form: &'static str) -> CalendarError {
    CalendarError { text: text.to_owned(), form }
}

impl Day {
    /// The day of a year, month 1..=12 and day of month, or `None` if there is no such day.
    #[inline]
    pub fn from_civil(year: i32, month: i32, day: i32) -> Option<Day> {
        if let Some(&[first, next]) = month_in_table(year, month) {
            return (day >= 1 && day <= next - first).then_some(Day(first + day - 1));
        }
        Day::from_any_civil(year, month, day)
    }

    /// The same for years that are in no table too.
    fn from_any_civil(year: i32, month: i32, day: i32) -> Option<Day> {
        if !(1..=12).contains(&month) || day < 1 || day > days_in_month(year, month) {
            return None;
        }
        Some(Day(days_from_civil(year, month, day)))
    }

    /// Reads exactly eight digits YYYYMMDD of years 1000 to 9999; `None` for anything else.
    pub fn from_digits(text: &[u8]) -> Option<Day> {
        if text.len() != 8 {
            return None;
        }
        let year = digits(&text[..4])?;
        if year < 1000 {
            return None;
        }
        Day::from_civil(year, digits(&text[4..6])?, digits(&text[6..])?)
    }

    /// The month this day lies in.
    pub fn month(self) -> Month {
        let (year, month, _) = civil_from_days(self.0);
        Month(year * 12 + month - 1)
    }

    /// YYYYMMDD, as the exchange files write it.
    pub fn digits(self) -> String {
        let (y, m, d) = civil_from_days(self.0);
        format!("{y:04}{m:02}{d:02}")
    }
}

impl Month {
    /// The month of a year and month 1..=12.
    pub fn from_civil(year: i32, month: i32) -> Option<Month> {
        (1..=12).contains(&month).then(|| Month(year * 12 + month - 1))
    }

    /// Reads exactly six digits YYYYMM of years 1000 to 9999; `None` for anything else.
    pub fn from_digits(text: &[u8]) -> Option<Month> {
        if text.len() != 6 {
            return None;
        }
        let year = digits(&text[..4])?;
        if year < 1000 {
            return None;
        }
        Month::from_civil(year, digits(&text[4..])?)
    }

    /// Its first day.
    pub fn first_day(self) -> Day {
        Day(days_from_civil(self.0.div_euclid(12), self.0.rem_euclid(12) + 1, 1))
    }

    /// Its last day.
    pub fn last_day(self) -> Day {
        Day(self.next().first_day().0 - 1)
    }

    /// The month after it.
    pub fn next(self) -> Month {
        Month(self.0 + 1)
    }

    /// YYYYMM, as the exchange files write it.
    pub fn digits(self) -> String {
        format!("{:04}{:02}", self.0.div_euclid(12), self.0.rem_euclid(12) + 1)
    }
}

impl MonthRange {
    /// Whether a month is in it.
    pub fn holds(self, month: Month) -> bool {
        self.first <= month && month <= self.last
    }

    /// All months of the range in order.
    pub fn months(self) -> impl Iterator<Item = Month> {
        (self.first.0..=self.last.0).map(Month)
    }

    /// Number of months, at least 1.
    pub fn len(self) -> usize {
        (self.last.0 - self.first.0 + 1).max(0) as usize
    }

    /// Never true for a parsed range.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (y, m, d) = civil_from_days(self.0);
        write!(f, "{y:04}-{m:02}-{d:02}")
    }
}

impl fmt::Display for Month {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}", self.0.div_euclid(12), self.0.rem_euclid(12) + 1)
    }
}

impl fmt::Display for MonthRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}..{}", self.first, self.last)
    }
}

impl FromStr for Day {
    type Err = CalendarError;
    /// YYYY-MM-DD.
    fn from_str(text: &str) -> Result<Day, CalendarError> {
        let parsed = || {
            let b = text.as_bytes();
            (b.len() == 10 && b[4] == b'-' && b[7] == b'-').then_some(())?;
            Day::from_civil(digits(&b[..4])?, digits(&b[5..7])?, digits(&b[8..])?)
        };
        parsed().ok_or_else(|| wrong(text, "a day like 2026-10-31"))
    }
}

impl FromStr for Month {
    type Err = CalendarError;
    /// YYYY-MM.
    fn from_str(text: &str) -> Result<Month, CalendarError> {
        let parsed = || {
            let b = text.as_bytes();
            (b.len() == 7 && b[4] == b'-').then_some(())?;
            Month::from_civil(digits(&b[..4])?, digits(&b[5..])?)
        };
        parsed().ok_or_else(|| wrong(text, "a month like 2026-10"))
    }
}

impl FromStr for MonthRange {
    type Err = CalendarError;
    /// YYYY-MM..YYYY-MM, inclusive, the first not after the last.
    fn from_str(text: &str) -> Result<MonthRange, CalendarError> {
        let form = "a range of months like 2026-04..2026-10";
        let (a, b) = text.split_once("..").ok_or_else(|| wrong(text, form))?;
        let range = MonthRange { first: a.parse()?, last: b.parse()? };
        if range.first > range.last { Err(wrong(text, form)) } else { Ok(range) }
    }
}

impl serde::Serialize for Month {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for Month {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
    }
}

impl serde::Serialize for Day {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for Day {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
    }
}

impl serde::Serialize for MonthRange {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for MonthRange {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
    }
}

fn digits(text: &[u8]) -> Option<i32> {
    let mut n = 0;
    for &b in text {
        if !b.is_ascii_digit() {
            return None;
        }
        n = n * 10 + i32::from(b - b'0');
    }
    Some(n)
}

fn days_in_month(year: i32, month: i32) -> i32 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        _ => 31,
    }
}

/// Nearly all days lie in these years.
const TABLE_YEARS: std::ops::Range<i32> = 1900..2100;

/// The first day of every month of these years, and of the one after them.
static FIRST_DAYS: [i32; 12 * 200 + 1] = {
    let mut days = [0; 12 * 200 + 1];
    let mut at = 0;
    while at < days.len() {
        days[at] = days_from_civil(TABLE_YEARS.start + at as i32 / 12, at as i32 % 12 + 1, 1);
        at += 1;
    }
    days
};

/// First day of a month and of the next, where they are in the table.
#[inline]
fn month_in_table(year: i32, month: i32) -> Option<&'static [i32; 2]> {
    if !TABLE_YEARS.contains(&year) || !(1..=12).contains(&month) {
        return None;
    }
    let at = ((year - TABLE_YEARS.start) * 12 + month - 1) as usize;
    FIRST_DAYS.get(at..)?.first_chunk()
}

/// Days since 1970-01-01, by counting in years that begin in March so that the leap day comes last.
const fn days_from_civil(year: i32, month: i32, day: i32) -> i32 {
    let y = if month <= 2 { year - 1 } else { year };
    let era = y.div_euclid(400);
    let yoe = y.rem_euclid(400);
    let doy = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719_468
}

fn civil_from_days(days: i32) -> (i32, i32, i32) {
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let doe = z.rem_euclid(146_097);
    let yoe = (doe - doe / 1_460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let month = if mp < 10 { mp + 3 } else { mp - 9 };
    (era * 400 + yoe + i32::from(month <= 2), month, doy - (153 * mp + 2) / 5 + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_in_and_outside_the_table_are_counted_alike() {
        for year in 1898..2103 {
            for month in -1..=14 {
                for day in -1..=33 {
                    let counted = Day::from_any_civil(year, month, day);
                    assert_eq!(Day::from_civil(year, month, day), counted, "{year} {month} {day}");
                }
            }
        }
    }

    #[test]
    fn every_day_of_five_centuries_survives_the_round_trip() {
        let first = Day::from_digits(b"16000101").unwrap().0;
        let last = Day::from_digits(b"21001231").unwrap().0;
        let mut month = Day(first).month();
        for d in first..=last {
            let day = Day(d);
            assert_eq!(Day::from_digits(day.digits().as_bytes()), Some(day));
            assert_eq!(day.to_string().parse::<Day>(), Ok(day));
            if day.month() != month {
                assert_eq!(day.month(), month.next());
                assert_eq!(day.month().first_day(), day);
                assert_eq!(month.last_day(), Day(d - 1));
                month = day.month();
            }
        }
        assert_eq!(last - first, 182_986);
    }

    #[test]
    fn what_is_not_a_day_is_refused() {
        for text in ["20260229", "20261301", "2026130", "00000000", "20260100", "2026-1-1", "２０"] {
            assert_eq!(Day::from_digits(text.as_bytes()), None, "{text}");
        }
        assert_eq!(Day::from_digits(b"20240229"), Day::from_civil(2024, 2, 29));
        assert!("2026-10..2026-09".parse::<MonthRange>().is_err());
        assert_eq!("2026-10..2026-12".parse::<MonthRange>().unwrap().len(), 3);
    }
}
