//! What a request says: its headers and its body, held against the interface's message.
//!
//! Promise: any bytes are read without a fault of ours; what is wrong is told in Japanese with the name of the field and
//! nothing of what was sent. Fields that are not known are left alone, but for how deep they are nested.

#[cfg(test)]
mod tests;

use axum::http::HeaderMap;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderName};
use serde::Deserialize;
use serde::de::{MapAccess, Visitor};
use serde_json::value::RawValue;
use std::fmt;
use tsumiage_schemas::khs::{Field, Form, Message, name};

/// The token that is presented, raw or behind `Bearer`; `None` if there is none, or several.
pub fn token(headers: &HeaderMap) -> Option<&[u8]> {
    let value = only(headers, &AUTHORIZATION)?.trim_ascii();
    let token = match value.split_at_checked("bearer ".len()) {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case(b"bearer ") => token.trim_ascii(),
        _ => value,
    };
    Some(token).filter(|token| !token.is_empty())
}

/// The value of a header that is there once.
fn only<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h [u8]> {
    let mut values = headers.get_all(name).iter();
    values.next().filter(|_| values.next().is_none()).map(|value| value.as_bytes())
}

/// Whether the body is said to be JSON, whatever parameters the type has.
pub fn is_json(headers: &HeaderMap) -> bool {
    let essence = |value: &[u8]| value.split(|b| *b == b';').next().map(|kind| kind.trim_ascii().to_vec());
    let kind = only(headers, &CONTENT_TYPE).and_then(essence);
    kind.is_some_and(|kind| kind.eq_ignore_ascii_case(b"application/json"))
}

/// The insurer number of the requester, if the header has one.
pub fn requester<'h>(headers: &'h HeaderMap, message: &Message) -> Option<&'h str> {
    let value = only(headers, &HeaderName::from_static(name::INSURER_NO))?;
    let text = std::str::from_utf8(value).ok()?;
    message.field(name::INSURER_NO)?.fault(text).is_none().then_some(text)
}

/// What is asked for, as far as it is legible, and what is wrong with the body.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    /// Whose people.
    pub insurer_no: Option<String>,
    /// Only this person.
    pub insured_no: Option<String>,
    /// The first thing that is wrong, as the requester is told.
    pub fault: Option<String>,
}

impl Asked {
    /// Reads a body.
    pub fn read(message: &Message, body: &[u8]) -> Asked {
        let mut asked = Asked::default();
        let members = serde_json::from_slice(body).ok().map(|Members(members)| members);
        let Some(members) = members.filter(|members| !members.iter().any(|(_, value)| is_too_deep(value)))
        else {
            asked.fault =
                Some("リクエストボディにはJSON（UTF-8）のオブジェクトを設定してください。".to_owned());
            return asked;
        };
        for field in &message.fields {
            match value(field, &members) {
                Ok(value) if field.name == name::INSURER_NO => asked.insurer_no = value,
                Ok(value) if field.name == name::INSURED_NO => asked.insured_no = value,
                Ok(_) => {}
                Err(fault) => asked.fault = asked.fault.or(Some(fault)),
            }
        }
        asked
    }
}

/// Levels in each other that a value may have.
const DEEPEST: usize = 100;

/// Whether a value is nested deeper than anybody means it; such are refused even where nobody looks at them.
fn is_too_deep(value: &RawValue) -> bool {
    let (mut depth, mut in_text, mut is_escaped) = (0_usize, false, false);
    for byte in value.get().bytes() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = true, // only texts have one
            b'"' => in_text = !in_text,
            b'[' | b'{' if !in_text => depth += 1,
            b']' | b'}' if !in_text => depth -= 1, // it is JSON: every bracket has its like before it
            _ => {}
        }
        if depth > DEEPEST {
            return true;
        }
    }
    false
}

/// The value of a field, if it is there; else what is wrong with it.
fn value(field: &Field, members: &[(String, &RawValue)]) -> Result<Option<String>, String> {
    let mut values = members.iter().filter(|(name, _)| *name == field.name).map(|(_, value)| value.get());
    let told = |what: &str| Err(format!("{}（{}）{what}", field.name_ja, field.name));
    match (values.next(), values.next()) {
        (None, _) if field.required => told("が設定されていません。"),
        (None, _) => Ok(None),
        (Some(_), Some(_)) => told("が重複しています。"),
        (Some(value), None) => match serde_json::from_str::<String>(value) {
            Ok(text) if field.fault(&text).is_none() => Ok(Some(text)),
            _ => told(&wanted(field)),
        },
    }
}

/// What is wanted of a field.
fn wanted(field: &Field) -> String {
    let kind = match field.form {
        Form::Digits | Form::Number => "半角数字",
        Form::Alnum => "半角英数字",
        Form::Ascii => "半角文字",
        Form::Date => return "にはYYYY-MM-DDの日付（文字列）を設定してください。".to_owned(),
        Form::Text | Form::List => "文字",
    };
    let (length, within) = (field.length, if field.fixed { "" } else { "以内" });
    format!("には{kind}{length}桁{within}の文字列を設定してください。")
}

/// What a requester is told whose header is missing or wrong.
pub fn requester_wanted(message: &Message) -> String {
    let wanted = message.field(name::INSURER_NO).map(wanted).unwrap_or_default();
    format!("リクエストヘッダのリクエスト送信元介護保険者番号（{}）{wanted}", name::INSURER_NO)
}

/// The members of an object, in order, with their values as they stand.
struct Members<'b>(Vec<(String, &'b RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Members<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Object)
    }
}
