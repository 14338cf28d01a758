//! What a request says: its headers and its body, held against the interface's message.
//!
//! Promise: any bytes are read without a fault of ours; what is wrong is told in Japanese with the name of the field and
//! nothing of what was sent. Fields that are not known are left alone.

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

/// Whether a value is nested deeper than anybody means it; such are refused even where nobody looks at them.
fn is_too_deep(value: &RawValue) -> bool {
    value.get().starts_with(['[', '{']) && serde_json::from_str::<serde_json::Value>(value.get()).is_err()
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

#[cfg(test)]
mod tests {
    use super::*;
    use tsumiage_schemas::Spec;

    fn read(body: &[u8]) -> Asked {
        Asked::read(&Spec::embedded().unwrap().khs.json_request, body)
    }

    #[test]
    fn a_body_is_read_field_by_field() {
        let whole = read(
            br#"{"care_insure_provider_number":"141003","care_insurer_number":"0000000010","x":[1,{}]}"#,
        );
        assert_eq!((whole.insurer_no.as_deref(), whole.fault), (Some("141003"), None));
        assert_eq!(whole.insured_no.as_deref(), Some("0000000010"));
        let escaped = read(br#" {"care_insure\u005fprovider_number":"\u003141003"} "#);
        assert_eq!(
            (escaped.insurer_no.as_deref(), escaped.insured_no, escaped.fault),
            (Some("141003"), None, None)
        );
        let legible = read(br#"{"care_insure_provider_number":"141003","care_insurer_number":10}"#);
        assert_eq!(legible.insurer_no.as_deref(), Some("141003"));
        assert!(
            legible
                .fault
                .unwrap()
                .contains("介護保険被保険者番号（care_insurer_number）には半角数字10桁の文字列")
        );
    }

    #[test]
    fn whatever_is_wrong_is_told_and_never_repeated() {
        let deep = "[".repeat(16_000);
        let long = format!(r#"{{"care_insure_provider_number":"{}"}}"#, "9".repeat(15_000));
        for body in [
            &b""[..],
            b"{",
            b"[]",
            b"null",
            b"\"141003\"",
            b"{}",
            b"{} {}",
            b"\xef\xbb\xbf{}",
            b"{\"care_insure_provider_number\":\"141003\xff\"}",
            b"{\"care_insure_provider_number\":\"141003\",\"x\":\"\xff\"}",
            br#"{"care_insure_provider_number":141003}"#,
            br#"{"care_insure_provider_number":null}"#,
            br#"{"care_insure_provider_number":["141003"]}"#,
            br#"{"care_insure_provider_number":"14100"}"#,
            br#"{"care_insure_provider_number":"14100\n"}"#,
            br#"{"care_insure_provider_number":"14100\u0000"}"#,
            br#"{"care_insure_provider_number":"\ud800"}"#,
            br#"{"care_insure_provider_number":"141003","care_insure_provider_number":"141003"}"#,
            br#"{"care_insure_provider_number":"141003","care_insurer_number":null}"#,
            br#"{"care_insure_provider_number":"141003","care_insurer_number":""}"#,
            "{\"care_insure_provider_number\":\"１４１００３\"}".as_bytes(),
            deep.as_bytes(),
            format!("{{\"x\":{deep}").as_bytes(),
            format!(
                r#"{{"care_insure_provider_number":"141003","x":{0}{1}}}"#,
                "[".repeat(999),
                "]".repeat(999)
            )
            .as_bytes(),
            long.as_bytes(),
        ] {
            let fault = read(body).fault.unwrap_or_else(|| panic!("{}", String::from_utf8_lossy(body)));
            assert!(fault.chars().count() <= 150 && !fault.chars().any(char::is_control), "{fault}");
            assert!(!fault.contains("141003") && !fault.contains("999"), "{fault}");
        }
    }

    #[test]
    fn headers_are_read_strictly() {
        let message = &Spec::embedded().unwrap().khs.json_request;
        let headers = |name: &str, values: &[&[u8]]| {
            let mut headers = HeaderMap::new();
            for value in values {
                let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
                headers.append(name, axum::http::HeaderValue::from_bytes(value).unwrap());
            }
            headers
        };
        for (value, found) in [
            (&[&b"abc"[..]][..], Some(&b"abc"[..])),
            (&[b"Bearer abc"], Some(b"abc")),
            (&[b"bearer   abc "], Some(b"abc")),
            (&[b"Bearer "], Some(b"Bearer")), // a token like any other, and nobody's
            (&[b""], None),
            (&[b"a", b"a"], None),
            (&[b"\xff\xfe"], Some(b"\xff\xfe")),
            (&[], None),
        ] {
            assert_eq!(token(&headers("authorization", value)), found);
        }
        for (value, json) in [
            (&b"application/json"[..], true),
            (b"Application/JSON ; charset=utf-8", true),
            (b"application/jsonx", false),
            (b"text/plain", false),
            (b"", false),
        ] {
            assert_eq!(is_json(&headers("content-type", &[value])), json);
        }
        for (values, found) in [
            (&[&b"141003"[..]][..], Some("141003")),
            (&[b"14100"], None),
            (&[b"14100a"], None),
            (&[b"\xef\xbc\x91"], None),
            (&[b"141003", b"142018"], None),
            (&[], None),
        ] {
            assert_eq!(requester(&headers(name::INSURER_NO, values), message), found);
        }
    }
}
