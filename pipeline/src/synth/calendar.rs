//! The days of the window of months that is filled, and their digits, worked out once.
//!
//! A day is counted from the first day of the window (0); days before it are negative.

use tsumiage_schemas::{Day, Month};

/// Months after the window whose days certifications and reductions may end on.
const AHEAD: u32 = 62;
/// The first day anyone may be born on.
const EARLIEST: Day = Day(-29_219); // 1890-01-01

/// The window of months, with the digits of every day that can be written.
pub(super) struct Calendar {
    /// First month.
    pub(super) first: Month,
    /// Number of months.
    pub(super) months: u32,
    /// Number of days.
    pub(super) days: u32,
    starts: Vec<i32>,
    month_of: Vec<u32>,
    digits: Vec<[u8; 8]>,
    base: i32,
}

impl Calendar {
    /// The calendar of `months` months from `first`.
    pub(super) fn new(first: Month, months: u32) -> Calendar {
        let origin = first.first_day().0;
        let month = |n: u32| Month(first.0 + n as i32);
        let starts: Vec<i32> = (0..=months + AHEAD).map(|n| month(n).first_day().0 - origin).collect();
        let lengths = (0..months).map(|n| (n, starts[n as usize + 1] - starts[n as usize]));
        let month_of: Vec<u32> =
            lengths.flat_map(|(n, days)| std::iter::repeat_n(n, days as usize)).collect();
        let last = origin + starts[starts.len() - 1];
        let digits = (EARLIEST.0..last).map(|day| {
            let mut bytes = [b'0'; 8];
            let text = Day(day).digits();
            bytes.copy_from_slice(&text.as_bytes()[..8]);
            bytes
        });
        Calendar {
            first,
            months,
            days: month_of.len() as u32,
            digits: digits.collect(),
            base: origin - EARLIEST.0,
            starts,
            month_of,
        }
    }

    /// YYYYMMDD of a day; a day outside the calendar is moved to its nearest end.
    pub(super) fn text(&self, day: i32) -> &[u8] {
        let place = (self.base + day).clamp(0, self.digits.len() as i32 - 1);
        &self.digits[place as usize]
    }

    /// The month, from 0, of a day of the window.
    pub(super) fn month_of(&self, day: u32) -> u32 {
        self.month_of.get(day as usize).copied().unwrap_or(self.months - 1)
    }

    /// The first day of a month (from 0); months far after the window are taken as the last known.
    pub(super) fn start(&self, month: u32) -> i32 {
        self.starts[(month as usize).min(self.starts.len() - 1)]
    }

    /// Number of days of a month of the window.
    pub(super) fn length(&self, month: u32) -> u32 {
        (self.start(month + 1) - self.start(month)) as u32
    }

    /// Month of the year, 1 to 12.
    pub(super) fn month_of_year(&self, month: u32) -> u32 {
        (self.first.0 as u32 + month) % 12 + 1
    }

    /// The processing month in which the movements of a month are sent (domain 5: the next one).
    pub(super) fn processing_month(&self, month: u32) -> Month {
        Month(self.first.0 + month as i32 + 1)
    }

    /// A real date as a day of this calendar; a 29 February that is none becomes the 28th.
    pub(super) fn day(&self, year: i32, month: u32, day: u32) -> i32 {
        let at = |day: u32| Day::from_civil(year, month as i32, day as i32);
        let found = at(day).or_else(|| at(28)).unwrap_or(EARLIEST);
        found.0 - EARLIEST.0 - self.base
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_digits_agree() {
        let calendar = Calendar::new("2023-11".parse().unwrap(), 36);
        assert_eq!(EARLIEST, "1890-01-01".parse().unwrap());
        assert_eq!(calendar.text(0), b"20231101");
        assert_eq!(calendar.text(-1), b"20231031");
        assert_eq!(calendar.days, 1096);
        assert_eq!(calendar.month_of(30), 1);
        assert_eq!(calendar.month_of_year(2), 1);
        assert_eq!(calendar.text(calendar.day(2024, 2, 29)), b"20240229");
        assert_eq!(calendar.text(calendar.day(2023, 2, 29)), b"20230228");
    }
}
