//! JSON objects and lists, a value at a time: no more of a list is held than one value.

use super::person::Value;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;

/// The fields of an object, as raw JSON.
#[derive(Debug, Default)]
pub(super) struct Object<'b> {
    fields: Vec<(String, &'b RawValue)>,
    /// A name that stands twice, of those that are wanted.
    pub twice: Option<String>,
}

impl<'b> Object<'b> {
    /// Reads an object, keeping only fields of these names.
    ///
    /// # Errors
    /// The text is no JSON object.
    pub fn read(text: &'b str, wanted: &dyn Fn(&str) -> bool) -> serde_json::Result<Object<'b>> {
        let mut json = serde_json::Deserializer::from_str(text);
        let object = json.deserialize_map(Wanted(wanted))?;
        json.end()?;
        Ok(object)
    }

    /// The value of a field.
    pub fn raw(&self, name: &str) -> Option<&'b RawValue> {
        self.fields.iter().find(|(known, _)| known == name).map(|(_, raw)| *raw)
    }

    /// The value of a field, unless it is `null` or an empty text.
    pub fn value(&self, name: &str) -> Option<Value<'b>> {
        self.raw(name).map(value).filter(|value| *value != Value::Text(Cow::Borrowed("")))
    }
}

struct Wanted<'w>(&'w dyn Fn(&str) -> bool);

impl<'b> Visitor<'b> for Wanted<'_> {
    type Value = Object<'b>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<M: MapAccess<'b>>(self, mut map: M) -> Result<Object<'b>, M::Error> {
        let mut object = Object::default();
        while let Some(name) = map.next_key::<String>()? {
            if !(self.0)(&name) {
                map.next_value::<IgnoredAny>()?;
                continue;
            }
            let raw: &RawValue = map.next_value()?;
            if object.raw(&name).is_some() {
                object.twice = Some(name);
            } else {
                object.fields.push((name, raw));
            }
        }
        Ok(object)
    }
}

/// Hands every value of a list to `each`; their number, and what `each` says if it wants no more.
///
/// # Errors
/// The text is no JSON list.
pub(super) fn each<'b, E>(
    text: &'b str,
    each: &mut dyn FnMut(&'b RawValue) -> Result<(), E>,
) -> serde_json::Result<Result<usize, E>> {
    let mut stopped = None;
    let mut count = 0;
    let mut one = |raw: &'b RawValue| {
        count += 1;
        each(raw).is_err_and(|error| {
            stopped = Some(error);
            true
        })
    };
    let mut json = serde_json::Deserializer::from_str(text);
    let read = Values(&mut one).deserialize(&mut json).and_then(|()| json.end());
    match (stopped, read) {
        (Some(error), _) => Ok(Err(error)),
        (None, read) => read.map(|()| Ok(count)),
    }
}

struct Values<'e, 'b>(&'e mut dyn FnMut(&'b RawValue) -> bool);

impl<'b> DeserializeSeed<'b> for Values<'_, 'b> {
    type Value = ();

    fn deserialize<D: Deserializer<'b>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_seq(self)
    }
}

impl<'b> Visitor<'b> for Values<'_, 'b> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<S: SeqAccess<'b>>(self, mut list: S) -> Result<(), S::Error> {
        while let Some(raw) = list.next_element::<&'b RawValue>()? {
            if (self.0)(raw) {
                return Err(S::Error::custom("stopped"));
            }
        }
        Ok(())
    }
}

/// A value; `null` as if it were empty.
fn value(raw: &RawValue) -> Value<'_> {
    let text = raw.get();
    match text.as_bytes().first() {
        Some(b'"') => match serde_json::from_str::<String>(text) {
            Ok(text) => Value::Text(Cow::Owned(text)),
            Err(_) => Value::Other(text.to_owned()), // half a surrogate pair
        },
        Some(b'-' | b'0'..=b'9') => Value::Number(text.to_owned()),
        Some(b'n') => Value::Text(Cow::Borrowed("")),
        _ => Value::Other(text.to_owned()),
    }
}
