//! The file behind a download address: CSV in UTF-8 of the five items of a record, with or without a line that names them.
//!
//! Promise: nobody is lost without a finding: what stands where no column is, a name that is none and a quote that is never
//! closed are told.

use super::super::item::content;
use super::super::kind_of_file::kind_of_file;
use super::super::split::{Items, MAX_RECORD, Record, Splitter, whole};
use super::person::{Person, Value, shown};
use super::{Reading, Sink};
use tsumiage_schemas::finding::Code;
use tsumiage_schemas::khs::{Field, Khs};

/// Reads the file; `at` is its offset behind the first line.
pub(super) fn read<E>(
    body: &[u8],
    at: usize,
    reading: &mut Reading<'_>,
    sink: &mut Sink<'_, E>,
) -> Result<(), E> {
    // What is no text of ours at all is named, as where an exchange file is wanted.
    let kind = kind_of_file(body);
    if !kind.starts_with("no_control_record:") {
        reading.report.file(Code::F01, None, at, None, kind);
        return Ok(());
    }
    let mut splitter = Splitter::new(whole(body, &mut |_, _| ()));
    let mut columns: Option<Columns> = None;
    while let Some(record) = splitter.advance() {
        let items = splitter.items();
        let offset = at + items.offset(0);
        if record.too_long {
            let why = format!("khs_csv:{MAX_RECORD} bytes or more");
            reading.report.file(Code::F01, Some(reading.records + 2), offset, None, why);
            return Ok(());
        }
        if items.len() == 1 && items.raw(0).is_empty() {
            continue; // an empty line
        }
        // Lines that end with CR alone would be one record, and nobody would miss the others.
        if !record.unclosed && (0..items.len()).any(|at| items.raw(at).contains(&b'\r')) {
            let why = "khs_csv:CR".to_owned();
            reading.report.file(Code::F01, Some(reading.records + 2), offset, None, why);
            return Ok(());
        }
        let known = match columns.take() {
            Some(known) => known,
            None => {
                let named = Columns::named(&reading.compiled.spec().khs, items, reading);
                match named {
                    Named::Not(columns) => columns,
                    Named::By(known) => {
                        columns = Some(known);
                        continue;
                    }
                    Named::Wrong => return Ok(()),
                }
            }
        };
        person(&known, &record, items, offset, reading, sink)?;
        columns = Some(known);
    }
    if columns.is_none() {
        reading.report.file(Code::F01, None, at, None, "blank".to_owned());
    }
    Ok(())
}

fn person<E>(
    columns: &Columns,
    record: &Record,
    items: Items<'_, '_>,
    offset: usize,
    reading: &mut Reading<'_>,
    sink: &mut Sink<'_, E>,
) -> Result<(), E> {
    let cell = |at: usize| String::from_utf8_lossy(&content(items.raw(at))).into_owned();
    let spec = reading.compiled.spec();
    let mut of = |field: &Field| {
        let at = columns.0.iter().position(|name| *name == field.name)?;
        Some(Value::Text(cell(at).into()))
    };
    let mut person = Person::read(&spec.khs, &spec.codes, &mut of);
    let beyond = (columns.0.len()..items.len()).map(cell).find(|cell| !cell.is_empty());
    if let Some(cell) = beyond {
        person.found.push((
            Code::R01,
            None,
            format!("{} > {}; {}", items.len(), columns.0.len(), shown(&cell)),
        ));
    }
    if record.unclosed {
        person.found.push((Code::R06, None, shown(&cell(items.len() - 1))));
    }
    reading.person(person, offset, sink)
}

/// Names of the columns, in their order.
struct Columns(Vec<String>);

/// What the first row is.
enum Named {
    /// A record: the columns are the fields in their order.
    Not(Columns),
    /// The names of the columns.
    By(Columns),
    /// Names, but not those that are needed.
    Wrong,
}

impl Columns {
    fn named(khs: &Khs, items: Items<'_, '_>, reading: &mut Reading<'_>) -> Named {
        let name = |at| String::from_utf8_lossy(&content(items.raw(at))).trim().to_owned();
        let names: Vec<String> = (0..items.len()).map(name).collect();
        let fields = &khs.person.fields;
        if !names.iter().any(|name| khs.person.field(name).is_some()) {
            return Named::Not(Columns(fields.iter().map(|field| field.name.clone()).collect()));
        }
        let missing = fields.iter().find(|field| field.required && !names.contains(&field.name));
        let twice = fields.iter().find(|field| names.iter().filter(|name| **name == field.name).count() > 1);
        if let Some(field) = missing.or(twice) {
            let detail = if missing.is_some() { "" } else { "× 2" };
            reading.of_answer(Code::F02, &field.name, detail.to_owned());
            return Named::Wrong;
        }
        // A misspelt name of a field that may be left out would empty its column.
        for other in names.iter().filter(|name| !name.is_empty() && khs.person.field(name).is_none()) {
            reading.report.file(Code::F09, Some(1), 0, None, format!("khs_column:{}", shown(other)));
        }
        Named::By(Columns(names))
    }
}
