//! An answer of IF-I6-01-04-02, or a bare list of its records.

use super::person::{Person, Value, shown};
use super::{Reading, Sink};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::HashMap;
use tsumiage_schemas::finding::Code;
use tsumiage_schemas::khs::{FAILURE, Field, SUCCESS, name};

type Object<'b> = HashMap<Cow<'b, str>, &'b RawValue>;

/// Reads the answer; `at` is its offset in the file.
pub(super) fn read<'b, E>(
    body: &'b [u8],
    at: usize,
    reading: &mut Reading<'_>,
    sink: &mut Sink<'_, E>,
) -> Result<(), E> {
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    let text = match std::str::from_utf8(body) {
        Ok(text) => text,
        Err(error) => {
            no_answer(reading, &error.to_string());
            return Ok(());
        }
    };
    let offset = |raw: &RawValue| at + (raw.get().as_ptr() as usize).saturating_sub(text.as_ptr() as usize);
    if text.trim_start().starts_with('[') {
        return match serde_json::from_str::<Vec<&RawValue>>(text) {
            Ok(list) => persons(list, &offset, reading, sink),
            Err(error) => {
                no_answer(reading, &error.to_string());
                Ok(())
            }
        };
    }
    let answer: Object<'b> = match serde_json::from_str(text) {
        Ok(answer) => answer,
        Err(error) => {
            no_answer(reading, &error.to_string());
            return Ok(());
        }
    };
    around(&answer, reading);
    let list = answer.get(name::BODY).map(|raw| serde_json::from_str::<Option<Vec<&RawValue>>>(raw.get()));
    match list {
        Some(Ok(Some(list))) => {
            let found = list.len();
            persons(list, &offset, reading, sink)?;
            count(&answer, found, reading);
        }
        Some(Err(_)) => reading.of_answer(Code::F02, name::BODY, String::new()),
        None | Some(Ok(None)) => reading.of_answer(Code::F02, name::BODY, String::new()),
    }
    Ok(())
}

fn no_answer(reading: &mut Reading<'_>, why: &str) {
    reading.report.file(Code::F01, None, 0, None, format!("khs_json:{}", shown(why)));
}

/// The fields around the records, but their number.
fn around(answer: &Object<'_>, reading: &mut Reading<'_>) {
    let message = reading.compiled.spec().khs.json_response.clone();
    let asked = |reading: &Reading<'_>, field: &str| {
        let head = reading.head.as_ref()?;
        if field == name::INSURER_NO { head.insurer_no.clone() } else { head.insured_no.clone() }
    };
    match answer.get(name::RESULT).map(|raw| value(raw)) {
        Some(Value::Text(result)) if result == SUCCESS => {}
        Some(Value::Text(result)) if result == FAILURE => {
            let detail = answer.get(name::DETAIL).map(|raw| value(raw).text()).unwrap_or_default();
            reading.report.file(Code::F01, None, 0, None, format!("khs_failure:{}", shown(&detail)));
        }
        other => {
            let text = other.map(|value| value.text()).unwrap_or_default();
            reading.of_answer(Code::F02, name::RESULT, shown(&text));
        }
    }
    for field in [name::INSURER_NO, name::INSURED_NO].into_iter().filter_map(|name| message.field(name)) {
        let text = answer.get(&*field.name).map(|raw| value(raw)).filter(|value| *value != Value::NOTHING);
        let Some(text) = text.map(|value| value.text()) else {
            if field.required {
                reading.of_answer(Code::F02, &field.name, String::new());
            }
            continue;
        };
        let other = asked(reading, &field.name).filter(|asked| *asked != text);
        if field.fault(&text).is_some() || other.is_some() {
            let asked = other.map_or(String::new(), |asked| format!(" ≠ {asked}"));
            reading.of_answer(Code::F02, &field.name, format!("{}{asked}", shown(&text)));
        }
    }
    // The seed wants nine characters of a name that has ten.
    let file_if_id = answer.get(name::FILE_IF_ID).map(|raw| value(raw).text());
    let field = message.field(name::FILE_IF_ID);
    if field.is_some_and(|field| file_if_id.as_ref().is_none_or(|text| field.fault(text).is_some())) {
        reading.report.form("khs_file_if_id", Some(1), 0);
    }
}

/// F03: `record_num` is not the length of the list. A number, by some as text.
fn count(answer: &Object<'_>, found: usize, reading: &mut Reading<'_>) {
    let given = answer.get(name::RECORD_NUM).map(|raw| value(raw)).filter(|value| *value != Value::NOTHING);
    let promised = match given {
        Some(Value::Number(text)) => text,
        Some(Value::Text(text)) => {
            reading.report.form("khs_record_num", Some(1), 0);
            text.into_owned()
        }
        other => {
            let text = other.map(|value| value.text()).unwrap_or_default();
            return reading.of_answer(Code::F02, name::RECORD_NUM, shown(&text));
        }
    };
    match promised.parse::<i64>() {
        Ok(promised) if promised == found as i64 => reading.control.record_count = Some(promised),
        Ok(promised) => {
            reading.control.record_count = Some(promised);
            reading.report.file(Code::F03, Some(1), 0, None, format!("{promised} ≠ {found}"));
        }
        Err(_) => reading.of_answer(Code::F02, name::RECORD_NUM, shown(&promised)),
    }
}

fn persons<E>(
    list: Vec<&RawValue>,
    offset: &dyn Fn(&RawValue) -> usize,
    reading: &mut Reading<'_>,
    sink: &mut Sink<'_, E>,
) -> Result<(), E> {
    for raw in list {
        let object = serde_json::from_str::<Object<'_>>(raw.get()).unwrap_or_default(); // else every key is missing
        let spec = reading.compiled.spec();
        let mut of =
            |field: &Field| object.get(&*field.name).map(|raw| value(raw)).filter(|v| *v != Value::NOTHING);
        let person = Person::read(&spec.khs, &spec.codes, &mut of);
        reading.person(person, offset(raw), sink)?;
    }
    Ok(())
}

impl Value<'_> {
    /// `null`.
    const NOTHING: Value<'static> = Value::Text(Cow::Borrowed(""));

    fn text(self) -> String {
        match self {
            Value::Text(text) => text.into_owned(),
            Value::Number(text) | Value::Other(text) => text,
        }
    }
}

/// The value of a field; `null` as if it were empty.
fn value(raw: &RawValue) -> Value<'_> {
    let text = raw.get();
    match text.as_bytes().first() {
        Some(b'"') => match serde_json::from_str::<Cow<'_, str>>(text) {
            Ok(text) => Value::Text(Cow::Owned(text.into_owned())),
            Err(_) => Value::Other(text.to_owned()),
        },
        Some(b'-' | b'0'..=b'9') => Value::Number(text.to_owned()),
        Some(b'n') => Value::NOTHING,
        _ => Value::Other(text.to_owned()),
    }
}
