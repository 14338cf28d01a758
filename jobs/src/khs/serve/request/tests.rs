//! Bodies and headers of all kinds.

use super::*;
use tsumiage_schemas::Spec;

fn read(body: &[u8]) -> Asked {
    Asked::read(&Spec::embedded().unwrap().khs.json_request, body)
}

#[test]
fn a_body_is_read_field_by_field() {
    let whole =
        read(br#"{"care_insure_provider_number":"141003","care_insurer_number":"0000000010","x":[1,{}]}"#);
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
        format!(r#"{{"care_insure_provider_number":"141003","x":{0}{1}}}"#, "[".repeat(999), "]".repeat(999))
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

#[test]
fn fields_that_are_not_known_are_left_alone() {
    let deep = |open: &str, close: &str, levels: usize| open.repeat(levels) + "1" + &close.repeat(levels);
    let read = |x: &str| read(format!(r#"{{"care_insure_provider_number":"272010","x":{x}}}"#).as_bytes());
    for x in [
        "[1e999]",
        "-1e999",
        r#"{"a":[1e-999,123456789012345678901234567890]}"#,
        r#"{"a":1,"a":2}"#,
        r#""[[[[\\""#,
        r#"["\"]}",{"\\":"{"}]"#,
        &format!("\"{}\"", "[{".repeat(200)),
        &format!("[{}1]", "[1],{\"a\":1},".repeat(200)),
        &deep("[", "]", 100),
        &deep(r#"{"a":"#, "}", 100),
    ] {
        let asked = read(x);
        assert_eq!((asked.insurer_no.as_deref(), asked.fault), (Some("272010"), None), "{x}");
    }
    for x in ["1e", "01", "+1", "[1,]", "{1:2}", "NaN", &deep("[", "]", 101), &deep(r#"{"a":["#, "]}", 51)] {
        assert!(read(x).fault.is_some(), "{x}");
    }
}
