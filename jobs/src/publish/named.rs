//! What the registry gives rows of people: the holder's name and the limit of the heaviest care level.
//!
//! Promise: a name or limit is looked up once per run of equal holder numbers, not once per row, wherever it
//! is the same for all of them.

use super::calendar::MonthRows;
use super::tables::Context;
use crate::registry::Names;
use arrow::array::{ArrayRef, StringArray, StringBuilder};
use std::sync::Arc;
use tsumiage_schemas::{Day, Month};

/// The holders' names at rows of `holders`, each on the day of its row; not set where not known.
pub fn holder_names(
    names: &Names,
    holders: &StringArray,
    rows: &[u32],
    day: impl Fn(u32) -> Day,
) -> ArrayRef {
    let mut column = StringBuilder::with_capacity(rows.len(), 0);
    let holder = |row: &u32| holders.value(*row as usize);
    for of_holder in rows.chunk_by(|a, b| holder(a) == holder(b)) {
        let names = names.of(holder(&of_holder[0]));
        match names.only() {
            Some(name) => of_holder.iter().for_each(|_| column.append_option(name)),
            None => of_holder.iter().for_each(|&row| column.append_option(names.on(day(row)))),
        }
    }
    Arc::new(column.finish())
}

/// Units and source of the heaviest level of a month's rows: the holder's own limit, else the table's.
pub fn units_of_rows<'a>(
    context: &'a Context<'_>,
    holders: &'a StringArray,
    rows: &'a MonthRows,
    month: Month,
    index: usize,
) -> impl Iterator<Item = Option<(i32, &'static str)>> + 'a {
    let table = &context.limits[index];
    let mut known: Option<(&str, Vec<Option<i32>>)> = None; // own limits of the last row's holder
    rows.rows.iter().zip(&rows.heaviest).map(move |(&row, level)| {
        let level = usize::from((*level)?);
        let holder_no = holders.value(row as usize);
        let own = match &mut known {
            Some((no, own)) if *no == holder_no => own,
            known => {
                let own_units = |level: usize| {
                    let level = context.levels.code(level as u16);
                    context.municipal.units(holder_no, level, month)
                };
                let has = context.municipal.has(holder_no);
                let own = if has { (0..table.len()).map(own_units).collect() } else { Vec::new() };
                &mut known.insert((holder_no, own)).1
            }
        };
        let own = own.get(level).copied().flatten().map(|units| (units, "municipal"));
        own.or_else(|| table[level].map(|(_, units)| (units, "table")))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{Array, AsArray};

    #[test]
    fn every_row_has_the_name_of_its_holder_on_its_day() {
        let day = |text: &str| -> Day { text.parse().unwrap() };
        let row = |no: &str, from: &str, name: &str| (no.to_owned(), Some(day(from)), Some(name.to_owned()));
        let names = Names::new([
            row("1", "2026-04-01", "旧"),
            row("1", "2026-07-01", "新"),
            row("3", "2026-04-01", "同"),
        ]);
        let holders = StringArray::from(vec!["1", "1", "2", "3", "1"]);
        let days = ["2026-04-01", "2026-07-01", "2026-07-01", "2026-01-01", "2026-06-30"].map(day);
        let of = |rows: &[u32]| -> Vec<String> {
            let column = holder_names(&names, &holders, rows, |row| days[row as usize]);
            assert_eq!(column.len(), rows.len());
            column.as_string::<i32>().iter().map(|name| name.unwrap_or("-").to_owned()).collect()
        };
        assert_eq!(of(&[0, 1, 2, 3, 4]), ["旧", "新", "-", "同", "旧"]);
        assert_eq!(of(&[4, 2, 2]), ["旧", "-", "-"]);
        assert!(of(&[]).is_empty());
    }
}
