//! One person's record: every field against what the seed says it holds.
//!
//! Promise: all faults of a record are told, not only the first.

use std::borrow::Cow;
use std::collections::BTreeMap;
use tsumiage_schemas::codes::CodeTable;
use tsumiage_schemas::khs::{Fault, Field, Form, Khs, day_of};
use tsumiage_schemas::{Code, Day};

/// The value of a field as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Value<'v> {
    /// Text, or the cell of a CSV file.
    Text(Cow<'v, str>),
    /// A JSON number, by its digits: tolerated where digits are wanted.
    Number(String),
    /// Something else, as JSON.
    Other(String),
}

/// A fault of a record: code, item (none: the record), detail.
pub(super) type Found = (Code, Option<String>, String);

/// A record, as far as it can be read.
#[derive(Clone, Debug, Default)]
pub(super) struct Person {
    pub texts: BTreeMap<String, String>,
    pub days: BTreeMap<String, Day>,
    pub found: Vec<Found>,
    /// Fields that came as numbers.
    pub numbers: usize,
}

impl Person {
    /// Reads a record whose fields are given by name.
    pub fn read<'v>(
        khs: &Khs,
        codes: &BTreeMap<String, CodeTable>,
        value: &mut dyn FnMut(&Field) -> Option<Value<'v>>,
    ) -> Person {
        let mut person = Person::default();
        for field in &khs.person.fields {
            let Some(item) = &field.item else { continue };
            let text = match value(field) {
                None => None,
                Some(Value::Text(text)) => Some(text).filter(|text| !text.is_empty()),
                Some(Value::Number(text)) => {
                    person.numbers += 1;
                    Some(Cow::Owned(text))
                }
                Some(Value::Other(text)) => {
                    let code = if field.form == Form::Date { Code::R03 } else { Code::R02 };
                    person.found.push((code, Some(item.clone()), shown(&text)));
                    continue;
                }
            };
            match text {
                Some(text) => person.field(field, item, &text, codes),
                None if field.required => person.found.push((Code::R02, Some(item.clone()), String::new())),
                None => {}
            }
        }
        if let (Some(end), Some(cancel)) = (person.days.get("end_date"), person.days.get("end_cancel_date"))
            && end > cancel
        {
            person.found.push((Code::R10, Some("end_cancel_date".to_owned()), format!("{end} > {cancel}")));
        }
        person
    }

    fn field(&mut self, field: &Field, item: &str, text: &str, codes: &BTreeMap<String, CodeTable>) {
        let is_key = matches!(item, "insurer_no" | "insured_no");
        let fault = field.fault(text);
        let code = match fault {
            None => {
                let table = field.codes.as_ref().and_then(|name| codes.get(name));
                // An empty table allows everything: what the codes mean is not published.
                let unknown =
                    |table: &CodeTable| !table.labels.is_empty() && !table.labels.contains_key(text);
                table.is_some_and(unknown).then_some(Code::R04)
            }
            Some(_) if is_key => Some(Code::R02),
            Some(Fault::NotADate) => Some(Code::R03),
            Some(Fault::TooLong) => Some(Code::R05),
            Some(Fault::TooShort) => Some(Code::R02),
            Some(Fault::Characters) => Some(Code::R08),
        };
        if let Some(code) = code {
            let detail = match code {
                Code::R03 => shown(text),
                Code::R05 => format!("{}; {} > {}", shown(text), text.chars().count(), field.length),
                _ => shown(text),
            };
            self.found.push((code, Some(item.to_owned()), detail));
        }
        if fault.is_none() {
            if let Some(day) = day_of(text).filter(|_| field.form == Form::Date) {
                self.days.insert(item.to_owned(), day);
            }
            self.texts.insert(item.to_owned(), text.to_owned());
        }
    }

    pub fn text(&self, item: &str) -> &str {
        self.texts.get(item).map_or("", String::as_str)
    }
}

/// Most characters of a value that a finding shows.
const MOST_SHOWN: usize = 60;

/// A value as a finding shows it.
pub(super) fn shown(text: &str) -> String {
    let short: String = text.chars().take(MOST_SHOWN).collect();
    let more = if short.len() < text.len() { "…" } else { "" };
    let escaped: String = short
        .chars()
        .flat_map(|c| if c.is_control() { c.escape_default().collect::<Vec<_>>() } else { vec![c] })
        .collect();
    escaped + more
}
