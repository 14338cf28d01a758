//! Calendar arithmetic on the numbers yyyymmdd and yyyymm.

use super::{Date, Ym};

/// The month of a day.
pub(super) fn month_of(day: Date) -> Ym {
    day / 100
}

/// The first day of a month.
pub(super) fn first_day(month: Ym) -> Date {
    month * 100 + 1
}

/// The last day of a month.
pub(super) fn last_day(month: Ym) -> Date {
    day_before(first_day(next_month(month)))
}

/// The month after.
pub(super) fn next_month(month: Ym) -> Ym {
    if month % 100 == 12 { (month / 100 + 1) * 100 + 1 } else { month + 1 }
}

/// All months from `first` to `last`, both inclusive.
pub(super) fn months(first: Ym, last: Ym) -> Vec<Ym> {
    std::iter::successors(Some(first), |month| Some(next_month(*month)))
        .take_while(|month| *month <= last)
        .collect()
}

/// The day before.
pub(super) fn day_before(day: Date) -> Date {
    let (year, month) = (day / 10_000, day / 100 % 100);
    if day % 100 > 1 {
        return day - 1;
    }
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        1 => (year - 1) * 10_000 + 1231,
        3 if leap => year * 10_000 + 229,
        3 => year * 10_000 + 228,
        5 | 7 | 10 | 12 => year * 10_000 + (month - 1) * 100 + 30,
        _ => year * 10_000 + (month - 1) * 100 + 31,
    }
}

/// YYYY-MM-DD.
pub(super) fn day_text(day: Date) -> String {
    format!("{:04}-{:02}-{:02}", day / 10_000, day / 100 % 100, day % 100)
}

/// YYYY-MM-01.
pub(super) fn month_text(month: Ym) -> String {
    day_text(first_day(month))
}

/// The day after.
pub(super) fn day_after(day: Date) -> Date {
    let last = last_day(month_of(day));
    if day < last { day + 1 } else { first_day(next_month(month_of(day))) }
}
