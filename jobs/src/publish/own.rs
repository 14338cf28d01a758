//! The columns that a month's row has of its own, as numbers of their values.

use super::calendar::{MonthRows, NONE};
use super::months::Context;
use super::sources::Sources;
use tsumiage_pipeline::coded::{NOT_SET, Numbers, Values};
use tsumiage_schemas::Month;

/// What a month's own column is made of.
pub(super) struct OwnColumn<'a> {
    pub context: &'a Context<'a>,
    pub sources: &'a Sources,
    pub holder_no: &'a str,
    /// The columns of the history of the chunk.
    pub history: &'a [Numbers],
}

impl OwnColumn<'_> {
    /// A column at the rows of a month of the range; `values` are its values.
    pub fn numbers(&self, name: &str, index: usize, rows: &MonthRows, values: &mut Values) -> Numbers {
        let month = Month(self.context.range.first.0 + index as i32);
        let count = rows.rows.len();
        match name {
            "service_month" => Numbers::same(values.number(month.first_day().0.into()), count),
            "holder_name" => {
                let name = self.context.names.of(self.holder_no).on(month.last_day());
                Numbers::same(name.map_or(NOT_SET, |name| values.text(name.as_bytes())), count)
            }
            "movements_in_month" => each(&rows.movements, |movements| values.number((*movements).into())),
            "ended_in_month" => truths(&rows.ended, values),
            "certification_covers_month" => truths(&rows.covers, values),
            "heaviest_care_level" => of_levels(rows, values, |level, values| {
                Some(values.text(self.context.levels.code(level).as_bytes()))
            }),
            "limit_units" => of_levels(rows, values, |level, values| {
                self.limit(level, month, index).map(|(units, _)| values.number(units.into()))
            }),
            "limit_source" => of_levels(rows, values, |level, values| {
                self.limit(level, month, index).map(|(_, source)| values.text(source.as_bytes()))
            }),
            _ => Numbers::same(NOT_SET, count),
        }
    }

    /// A column whose values are those of a column of the history.
    pub fn of_history(&self, name: &str, rows: &MonthRows) -> Option<Numbers> {
        let (rows, source) = match name {
            "first_day_insurer_no" => (&rows.first_day, self.sources.insurer_no),
            "covering_movement_date" => (&rows.covering, self.sources.movement_date),
            _ => return None,
        };
        let numbers = &self.history[source];
        Some(each(rows, |row| if *row == NONE { NOT_SET } else { numbers.at(*row as usize) }))
    }

    /// Units and source of a level's limit: the holder's own, else the table's.
    fn limit(&self, level: u16, month: Month, index: usize) -> Option<(i32, &'static str)> {
        let own = self.context.municipal.units(self.holder_no, self.context.levels.code(level), month);
        let of_table = self.context.limits[index].get(usize::from(level)).copied().flatten();
        own.map(|units| (units, "municipal")).or_else(|| of_table.map(|(_, units)| (units, "table")))
    }
}

fn each<T: PartialEq>(of_rows: &[T], mut number: impl FnMut(&T) -> u32) -> Numbers {
    let mut before: Option<(&T, u32)> = None;
    let number = |value| {
        let found = match before {
            Some((of, found)) if of == value => found,
            _ => number(value),
        };
        before = Some((value, found));
        found
    };
    Numbers::new(of_rows.iter().map(number).collect())
}

fn truths(of_rows: &[bool], values: &mut Values) -> Numbers {
    let numbers = [values.number(0), values.number(1)];
    Numbers::new(of_rows.iter().map(|truth| numbers[usize::from(*truth)]).collect())
}

/// What each heaviest level of a month gives, asked once a level.
fn of_levels(
    rows: &MonthRows,
    values: &mut Values,
    number: impl Fn(u16, &mut Values) -> Option<u32>,
) -> Numbers {
    let mut known: Vec<Option<u32>> = Vec::new();
    let mut of = |level: &Option<u16>| {
        let Some(level) = *level else { return NOT_SET };
        let at = usize::from(level);
        if known.len() <= at {
            known.resize(at + 1, None);
        }
        *known[at].get_or_insert_with(|| number(level, values).unwrap_or(NOT_SET))
    };
    Numbers::new(rows.heaviest.iter().map(&mut of).collect())
}
