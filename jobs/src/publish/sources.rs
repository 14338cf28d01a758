//! Where the columns of `recipient_history` and `recipient_month` come from, and a holder's values of each.
//!
//! Promise: a column that both tables have is looked at once, on the rows of the history; a month's column of it is
//! the same numbers at the month's rows.

use super::digest::{OWN_MONTH_COLUMNS, mix};
use super::months::{ChunkMonths, Context};
use crate::registry::Names;
use crate::stack::gather::column;
use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Date32Type, Int32Type, SchemaRef, UInt32Type};
use rayon::prelude::*;
use tsumiage_pipeline::coded::{NOT_SET, Numbers, Values};
use tsumiage_schemas::{Day, Month};

/// The columns of both tables as places among their sources.
#[derive(Clone, Debug)]
pub struct Sources {
    sources: Vec<Source>,
    /// Of every column of the history.
    pub history: Vec<usize>,
    /// Of every column of a month.
    pub month: Vec<usize>,
    /// The movement date, and the insurer number on the certificate.
    pub(super) movement_date: usize,
    pub(super) insurer_no: usize,
}

#[derive(Clone, Debug)]
struct Source {
    name: String,
    data_type: DataType,
    from: From,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum From {
    /// A column of the stacked chunk.
    Stacked,
    /// Made of the calendar's span, the file's number, or the holder's name on the record's day.
    ValidTo,
    FirstMonth,
    LastMonth,
    FileId,
    HolderName,
    /// A month's own.
    Month,
}

impl Sources {
    /// Of tables with these schemas.
    pub fn new(history: &SchemaRef, month: &SchemaRef) -> Sources {
        let mut sources: Vec<Source> = Vec::new();
        let mut place = |name: &str, data_type: &DataType, from: From| {
            let is_it = |source: &Source| {
                source.name == name && (source.from == From::Month) == (from == From::Month)
            };
            sources.iter().position(is_it).unwrap_or_else(|| {
                sources.push(Source { name: name.to_owned(), data_type: data_type.clone(), from });
                sources.len() - 1
            })
        };
        let movement_date = place("movement_date", &DataType::Date32, From::Stacked);
        let insurer_no = place("insurer_no", &DataType::Utf8, From::Stacked);
        let history = history.fields().iter().map(|field| {
            let (name, from) = in_history(field.name());
            place(name, field.data_type(), from)
        });
        let history = history.collect();
        let month = month.fields().iter().map(|field| match field.name().as_str() {
            "first_day_insurer_no" => insurer_no,
            "covering_movement_date" => movement_date,
            name if OWN_MONTH_COLUMNS.contains(&name) => place(name, field.data_type(), From::Month),
            name => {
                let (name, from) = in_history(name);
                place(name, field.data_type(), from)
            }
        });
        let month = month.collect();
        Sources { sources, history, month, movement_date, insurer_no }
    }

    /// The name of a source that is a month's own.
    pub(super) fn own_name(&self, at: usize) -> Option<&str> {
        let source = &self.sources[at];
        (source.from == From::Month).then_some(source.name.as_str())
    }

    /// No values yet, of a holder.
    pub fn values(&self) -> Vec<Values> {
        self.sources.iter().map(|source| Values::new(&source.data_type)).collect()
    }

    /// The columns of the history of a chunk, by source; empty for those that are a month's own. All rows of the
    /// chunk have one holder.
    pub fn history(
        &self,
        stacked: &RecordBatch,
        chunk: &ChunkMonths,
        context: &Context<'_>,
        values: &mut [Values],
    ) -> Vec<Numbers> {
        let sources = self.sources.par_iter().zip(values).with_max_len(1);
        sources.map(|(source, values)| numbers(source, stacked, chunk, context, values)).collect()
    }

    /// Hashes of the cells that a month's row takes over from the history, by row of the history.
    pub fn shared_hashes(&self, history: &[Numbers], values: &[Values], month: &SchemaRef) -> Vec<u64> {
        let rows = history.iter().map(|numbers| numbers.rows).max().unwrap_or_default();
        let mut hashes = vec![0; rows];
        let shared = self.month.iter().zip(month.fields());
        for (&at, _) in shared.filter(|(_, field)| !OWN_MONTH_COLUMNS.contains(&field.name().as_str())) {
            chain(&mut hashes, &history[at], &values[at]);
        }
        hashes
    }
}

/// Chains the cells of a column to the rows' hashes.
pub(super) fn chain(hashes: &mut [u64], numbers: &Numbers, values: &Values) {
    if let Some(only) = numbers.only {
        let cell = values.cell_hash(only);
        hashes.iter_mut().for_each(|hash| *hash = mix(*hash, cell));
        return;
    }
    for (hash, number) in hashes.iter_mut().zip(&numbers.of_rows) {
        *hash = mix(*hash, values.cell_hash(*number));
    }
}

/// Where a column of the history comes from.
fn in_history(name: &str) -> (&str, From) {
    match name {
        "valid_to" => (name, From::ValidTo),
        "from_month" => (name, From::FirstMonth),
        "to_month" => (name, From::LastMonth),
        "file_id" => (name, From::FileId),
        "holder_name" => (name, From::HolderName),
        "valid_from" => ("movement_date", From::Stacked),
        "movement_type" => ("change_type", From::Stacked),
        _ => (name, From::Stacked),
    }
}

fn numbers(
    source: &Source,
    stacked: &RecordBatch,
    chunk: &ChunkMonths,
    context: &Context<'_>,
    values: &mut Values,
) -> Numbers {
    let rows = &chunk.live_rows;
    let days = |day: &dyn Fn(&super::calendar::Span) -> Option<i32>, values: &mut Values| {
        let number = |span| day(span).map_or(NOT_SET, |day| values.number(day.into()));
        Numbers::new(chunk.spans.iter().map(number).collect())
    };
    let first_of = |month: Option<Month>| month.map(|month| month.first_day().0);
    match source.from {
        From::Month => Numbers::default(),
        From::ValidTo => days(&|span| span.valid_to.map(|day| day.0), values),
        From::FirstMonth => days(&|span| first_of(span.from_month), values),
        From::LastMonth => days(&|span| first_of(span.to_month), values),
        From::FileId => file_ids(stacked, rows, context.file_ids, values),
        From::HolderName => holder_names(stacked, rows, context.names, values),
        From::Stacked => match stacked.column_by_name(&source.name) {
            Some(array) => of_stacked(array, rows, values),
            None => Numbers::same(NOT_SET, rows.len()),
        },
    }
}

/// A column of a stacked chunk at some rows: of values, or of positions of values.
fn of_stacked(array: &ArrayRef, rows: &[u32], values: &mut Values) -> Numbers {
    if array.null_count() == array.len() {
        return Numbers::same(NOT_SET, rows.len());
    }
    let all = rows.len() == array.len();
    let Some(positions) = array.as_dictionary_opt::<UInt32Type>() else {
        let numbers = values.of_array(array);
        return Numbers::new(if all { numbers } else { at_rows(&numbers, rows) });
    };
    let numbers = values.of_array(positions.values());
    let keys = positions.keys();
    let set = |row: usize| keys.is_valid(row);
    let at = |row: usize| numbers[keys.values()[row] as usize];
    let of_rows = match (keys.null_count(), all) {
        (0, true) => keys.values().iter().map(|key| numbers[*key as usize]).collect(),
        (0, false) => rows.iter().map(|row| at(*row as usize)).collect(),
        _ => {
            rows.iter().map(|row| *row as usize).map(|row| if set(row) { at(row) } else { NOT_SET }).collect()
        }
    };
    Numbers::new(of_rows)
}

fn at_rows(numbers: &[u32], rows: &[u32]) -> Vec<u32> {
    rows.iter().map(|row| numbers[*row as usize]).collect()
}

fn file_ids(stacked: &RecordBatch, rows: &[u32], ids: &[String], values: &mut Values) -> Numbers {
    let seqs = stacked.column(column::FILE_SEQ).as_primitive::<Int32Type>().values();
    let mut known: Option<(i32, u32)> = None;
    let mut number = |row: &u32| {
        let seq = seqs[*row as usize];
        let found = match known {
            Some((of, number)) if of == seq => number,
            _ => usize::try_from(seq)
                .ok()
                .and_then(|at| ids.get(at))
                .map_or(NOT_SET, |id| values.text(id.as_bytes())),
        };
        known = Some((seq, found));
        found
    };
    Numbers::new(rows.iter().map(&mut number).collect())
}

/// The names that the holder had on the days of its records.
fn holder_names(stacked: &RecordBatch, rows: &[u32], names: &Names, values: &mut Values) -> Numbers {
    let holders: &StringArray = stacked.column(column::HOLDER).as_string();
    let Some(first) = rows.first() else { return Numbers::default() };
    let names = names.of(holders.value(*first as usize));
    let mut number = |name: Option<&str>| name.map_or(NOT_SET, |name| values.text(name.as_bytes()));
    match names.only() {
        Some(name) => Numbers::same(number(name), rows.len()),
        None => {
            let dates = stacked.column(column::DATE).as_primitive::<Date32Type>().values();
            Numbers::new(rows.iter().map(|row| number(names.on(Day(dates[*row as usize])))).collect())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{Date32Array, DictionaryArray, UInt32Array};
    use arrow::datatypes::{Field, Schema};
    use std::sync::Arc;

    /// A chunk of one holder with the dates of its rows.
    fn chunk(holder: &str, dates: &[&str]) -> RecordBatch {
        let days = dates.iter().map(|date| date.parse::<Day>().unwrap().0);
        let mut fields: Vec<Field> =
            (0..=column::DATE).map(|at| Field::new(at.to_string(), DataType::Utf8, true)).collect();
        fields[column::DATE] = Field::new("movement_date", DataType::Date32, true);
        let texts: ArrayRef = Arc::new(StringArray::from(vec![holder; dates.len()]));
        let mut columns = vec![texts; column::DATE];
        columns.push(Arc::new(Date32Array::from_iter_values(days)));
        RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap()
    }

    fn texts(numbers: &Numbers, values: &Values) -> Vec<String> {
        let text = |number: &u32| match *number {
            NOT_SET => "-".to_owned(),
            number => String::from_utf8(values.bytes_of(number).to_vec()).unwrap(),
        };
        (0..numbers.rows).map(|row| text(&numbers.at(row))).collect()
    }

    #[test]
    fn a_record_has_the_name_that_its_holder_had_on_its_day() {
        let row = |no: &str, from: &str, name: &str| {
            (no.to_owned(), Some(from.parse().unwrap()), Some(name.to_owned()))
        };
        let names = Names::new([
            row("1", "2026-04-01", "旧"),
            row("1", "2026-07-01", "新"),
            row("3", "2026-04-01", "同"),
        ]);
        let of = |holder: &str, rows: &[u32]| {
            let mut values = Values::new(&DataType::Utf8);
            let chunk = chunk(holder, &["2026-04-01", "2026-07-01", "2026-01-01", "2026-06-30"]);
            texts(&holder_names(&chunk, rows, &names, &mut values), &values)
        };
        assert_eq!(of("1", &[0, 1, 2, 3]), ["旧", "新", "旧", "旧"]);
        assert_eq!(of("1", &[3, 1]), ["旧", "新"]);
        assert_eq!((of("2", &[0, 1]), of("3", &[2])), (vec!["-".to_owned(); 2], vec!["同".to_owned()]));
        assert!(of("1", &[]).is_empty());
    }

    #[test]
    fn positions_give_what_values_give() {
        let values: ArrayRef =
            Arc::new(StringArray::from(vec![Some("a"), None, Some("b"), Some("a"), Some("c")]));
        let keys = UInt32Array::from(vec![Some(2), None, Some(0), Some(3), Some(2)]);
        let positions: ArrayRef = Arc::new(DictionaryArray::new(keys, Arc::clone(&values)));
        let flat: ArrayRef =
            Arc::new(StringArray::from(vec![Some("b"), None, Some("a"), Some("a"), Some("b")]));
        for rows in [&[0, 1, 2, 3, 4][..], &[4, 1], &[0, 2, 3]] {
            let of = |array: &ArrayRef| {
                let mut known = Values::new(&DataType::Utf8);
                let numbers = of_stacked(array, rows, &mut known);
                (texts(&numbers, &known), numbers.only.is_some(), numbers.all_set)
            };
            assert_eq!(of(&positions), of(&flat), "{rows:?}");
        }
        let nothing: ArrayRef = Arc::new(StringArray::new_null(3));
        assert_eq!(of_stacked(&nothing, &[0, 2], &mut Values::new(&DataType::Utf8)).only, Some(NOT_SET));
    }
}
