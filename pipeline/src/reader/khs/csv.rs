//! The file behind a download address: CSV in UTF-8 of the five items of a record, with or without a line that names them.

use super::super::kind_of_file::kind_of_file;
use super::person::{Person, Value, shown};
use super::{Reading, Sink};
use ::csv::{ByteRecord, ReaderBuilder};
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
    if kind != "utf8_bom" && !kind.starts_with("no_control_record:") {
        reading.report.file(Code::F01, None, at, None, kind);
        return Ok(());
    }
    let text = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    let at = at + body.len() - text.len();
    let mut rows = ReaderBuilder::new().has_headers(false).flexible(true).from_reader(text);
    let mut row = ByteRecord::new();
    let mut columns: Option<Columns> = None;
    loop {
        match rows.read_byte_record(&mut row) {
            Ok(true) => {}
            Ok(false) => break,
            Err(error) => {
                no_file(reading, &error.to_string());
                return Ok(());
            }
        }
        let offset = at + row.position().map_or(0, |position| position.byte() as usize);
        let khs = &reading.compiled.spec().khs;
        let Some(columns) = &columns else {
            let (found, is_header) = Columns::of(khs, &row);
            match found {
                Ok(found) => columns = Some(found),
                Err(missing) => {
                    reading.of_answer(Code::F02, &missing, String::new());
                    return Ok(());
                }
            }
            if !is_header && let Some(columns) = &columns {
                person(columns, &row, offset, reading, sink)?;
            }
            continue;
        };
        person(columns, &row, offset, reading, sink)?;
    }
    if columns.is_none() {
        no_file(reading, "0 bytes");
    }
    Ok(())
}

fn no_file(reading: &mut Reading<'_>, why: &str) {
    reading.report.file(Code::F01, None, 0, None, format!("khs_csv:{}", shown(why)));
}

fn person<E>(
    columns: &Columns,
    row: &ByteRecord,
    offset: usize,
    reading: &mut Reading<'_>,
    sink: &mut Sink<'_, E>,
) -> Result<(), E> {
    let spec = reading.compiled.spec();
    let mut of = |field: &Field| {
        let cell = columns.0.iter().position(|name| *name == field.name).and_then(|at| row.get(at))?;
        Some(Value::Text(String::from_utf8_lossy(cell)))
    };
    let person = Person::read(&spec.khs, &spec.codes, &mut of);
    reading.person(person, offset, sink)
}

/// Names of the columns, in their order.
struct Columns(Vec<String>);

impl Columns {
    /// The columns by the first row, and whether it names them; or the name that is missing.
    fn of(khs: &Khs, row: &ByteRecord) -> (Result<Columns, String>, bool) {
        let names: Vec<String> =
            row.iter().map(|cell| String::from_utf8_lossy(cell).trim().to_owned()).collect();
        let fields = &khs.person.fields;
        if !names.iter().any(|name| khs.person.field(name).is_some()) {
            return (Ok(Columns(fields.iter().map(|field| field.name.clone()).collect())), false);
        }
        let missing = fields.iter().find(|field| field.required && !names.contains(&field.name));
        (missing.map_or(Ok(Columns(names)), |field| Err(field.name.clone())), true)
    }
}
