//! An answer of IF-I6-01-04-02, or a bare list of its records.

use super::object::{Object, each};
use super::person::{Person, Value, shown};
use super::{Reading, Sink};
use serde_json::value::RawValue;
use tsumiage_schemas::finding::Code;
use tsumiage_schemas::khs::{FAILURE, Field, Message, SUCCESS, name};

/// Reads the answer; `at` is its offset in the file.
pub(super) fn read<E>(
    body: &[u8],
    at: usize,
    reading: &mut Reading<'_>,
    sink: &mut Sink<'_, E>,
) -> Result<(), E> {
    let text = match std::str::from_utf8(body) {
        Ok(text) => text,
        Err(error) => {
            no_answer(reading, &error);
            return Ok(());
        }
    };
    let place = Place { text, at };
    if text.trim_start().starts_with('[') {
        return persons(text, &place, reading, sink).map(|_| ());
    }
    let message = reading.compiled.spec().khs.json_response.clone();
    let answer = match Object::read(text, &|name| message.field(name).is_some()) {
        Ok(answer) => answer,
        Err(error) => {
            no_answer(reading, &error);
            return Ok(());
        }
    };
    if let Some(twice) = &answer.twice {
        reading.of_answer(Code::F02, twice, "× 2".to_owned());
    }
    around(&answer, &message, reading);
    match answer.raw(name::BODY).filter(|raw| raw.get().starts_with('[')) {
        Some(list) => {
            let found = persons(list.get(), &place, reading, sink)?;
            count(&answer, &message, found, reading);
        }
        None => reading.of_answer(Code::F02, name::BODY, String::new()),
    }
    Ok(())
}

/// A text at an offset of the file.
struct Place<'b> {
    text: &'b str,
    at: usize,
}

impl Place<'_> {
    /// Offset of a value of the text.
    fn of(&self, raw: &RawValue) -> usize {
        self.at + (raw.get().as_ptr() as usize).saturating_sub(self.text.as_ptr() as usize)
    }
}

fn no_answer(reading: &mut Reading<'_>, why: &dyn std::fmt::Display) {
    reading.report.file(Code::F01, None, 0, None, format!("khs_json:{}", shown(&why.to_string())));
}

/// The fields around the records, but their number.
fn around(answer: &Object<'_>, message: &Message, reading: &mut Reading<'_>) {
    match answer.value(name::RESULT) {
        Some(Value::Text(result)) if result == SUCCESS => {}
        Some(Value::Text(result)) if result == FAILURE => {
            let detail = answer.value(name::DETAIL).map(Value::text).unwrap_or_default();
            reading.report.file(Code::F01, None, 0, None, format!("khs_failure:{}", shown(&detail)));
        }
        other => {
            let text = other.map(Value::text).unwrap_or_default();
            reading.of_answer(Code::F02, name::RESULT, shown(&text));
        }
    }
    let head = reading.head.as_ref();
    let asked_for = head.map(|head| (head.insurer_no.clone(), head.insured_no.clone())).unwrap_or_default();
    for (name, asked) in [(name::INSURER_NO, asked_for.0), (name::INSURED_NO, asked_for.1)] {
        let Some(field) = message.field(name) else { continue };
        let text = match answer.value(name) {
            None if field.required => {
                reading.of_answer(Code::F02, name, String::new());
                continue;
            }
            None => continue,
            Some(Value::Number(text)) => {
                reading.report.form("khs_number", Some(1), 0);
                text
            }
            Some(value) => value.text(),
        };
        let other = asked.filter(|asked| *asked != text);
        if field.fault(&text).is_some() || other.is_some() {
            let asked = other.map_or(String::new(), |asked| format!(" ≠ {asked}"));
            reading.of_answer(Code::F02, name, format!("{}{asked}", shown(&text)));
        }
    }
    // The seed wants nine characters of a name that has ten.
    let file_if_id = answer.value(name::FILE_IF_ID).map(Value::text);
    let field = message.field(name::FILE_IF_ID);
    if field.is_some_and(|field| file_if_id.as_ref().is_none_or(|text| field.fault(text).is_some())) {
        reading.report.form("khs_file_if_id", Some(1), 0);
    }
}

/// F03: `record_num` is not the length of the list. A number, by some as text.
fn count(answer: &Object<'_>, message: &Message, found: usize, reading: &mut Reading<'_>) {
    let promised = match answer.value(name::RECORD_NUM) {
        Some(Value::Number(text)) => text,
        Some(Value::Text(text)) => {
            reading.report.form("khs_record_num", Some(1), 0);
            text.into_owned()
        }
        other => {
            let text = other.map(Value::text).unwrap_or_default();
            return reading.of_answer(Code::F02, name::RECORD_NUM, shown(&text));
        }
    };
    let fits = message.field(name::RECORD_NUM).is_none_or(|field| field.fault(&promised).is_none());
    match promised.parse::<i64>().ok().filter(|_| fits) {
        Some(promised) => {
            reading.control.record_count = Some(promised);
            if promised != found as i64 {
                reading.report.file(Code::F03, Some(1), 0, None, format!("{promised} ≠ {found}"));
            }
        }
        None => reading.of_answer(Code::F02, name::RECORD_NUM, shown(&promised)),
    }
}

/// Reads the records of a list; their number.
fn persons<E>(
    list: &str,
    place: &Place<'_>,
    reading: &mut Reading<'_>,
    sink: &mut Sink<'_, E>,
) -> Result<usize, E> {
    let read = each(list, &mut |raw| {
        let spec = reading.compiled.spec();
        let wanted = |name: &str| spec.khs.person.field(name).is_some();
        let object = Object::read(raw.get(), &wanted).unwrap_or_default(); // else every key is missing
        let mut person = Person::read(&spec.khs, &spec.codes, &mut |field: &Field| object.value(&field.name));
        if let Some(twice) = &object.twice {
            person.found.push((Code::R02, spec.khs.item_of(twice), "× 2".to_owned()));
        }
        reading.person(person, place.of(raw), sink)
    });
    match read {
        Ok(read) => read,
        Err(error) => {
            no_answer(reading, &error);
            Ok(0)
        }
    }
}

impl Value<'_> {
    fn text(self) -> String {
        match self {
            Value::Text(text) => text.into_owned(),
            Value::Number(text) | Value::Other(text) => text,
        }
    }
}
