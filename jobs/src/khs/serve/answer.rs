//! Answers in the form of the interfaces' responses.
//!
//! Promise: every answer has the fields of its message in their order; `result_detail` only stands where something
//! failed and never has more characters than its field.

use super::document::Slice;
use axum::body::{Body, Bytes};
use axum::http::header::{CACHE_CONTROL, CONNECTION, CONTENT_TYPE};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::Response;
use tsumiage_schemas::khs::{FAILURE, Message, SUCCESS, name};

/// What stands for a number that could not be read.
const NO_NUMBER: &str = "000000";

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// The values of an answer.
#[derive(Clone, Copy, Debug, Default)]
pub struct Values<'a> {
    /// As asked; none if it was not legible.
    pub insurer_no: Option<&'a str>,
    /// As asked.
    pub insured_no: Option<&'a str>,
    /// Why it failed; none if it did not.
    pub detail: Option<&'a str>,
    /// Where the file is.
    pub url: Option<&'a str>,
    /// `file_if_id`.
    pub file_if_id: &'a str,
    /// Records of the body.
    pub records: u64,
}

/// An answer up to its records and from there on; all of it comes before if it has none to hold.
pub fn envelope(message: &Message, values: &Values<'_>) -> (String, String) {
    let (mut before, mut behind, mut in_body) = ("{".to_owned(), String::new(), false);
    for field in &message.fields {
        let detail = values.detail.map(|detail| clipped(detail, field.length));
        let quoted = |text: &str| Some(serde_json::Value::from(text).to_string());
        let value = match field.name.as_str() {
            name::INSURER_NO => quoted(values.insurer_no.unwrap_or(NO_NUMBER)),
            name::INSURED_NO => values.insured_no.and_then(quoted),
            name::RESULT => quoted(if values.detail.is_some() { FAILURE } else { SUCCESS }),
            name::DETAIL => detail.as_deref().and_then(quoted),
            name::URL => values.url.and_then(quoted),
            name::FILE_IF_ID => quoted(values.file_if_id),
            name::RECORD_NUM => Some(values.records.to_string()),
            name::BODY => Some("[".to_owned()),
            _ => None,
        };
        let Some(value) = value else { continue };
        let out = if in_body { &mut behind } else { &mut before };
        if out != "{" {
            out.push(',');
        }
        out.push_str(&format!("\"{}\":{value}", field.name));
        if field.name == name::BODY {
            in_body = true;
            behind.push(']');
        }
    }
    if in_body { &mut behind } else { &mut before }.push('}');
    (before, behind)
}

/// A text of at most so many characters, none of them a control character.
fn clipped(text: &str, length: usize) -> String {
    text.chars().filter(|c| !c.is_control()).take(length).collect()
}

/// What is sent.
pub enum Content {
    /// All at once.
    Whole(Bytes),
    /// Piece by piece.
    Slice(Box<Slice>),
}

/// An answer on its way.
pub struct Reply {
    /// Its status.
    pub status: StatusCode,
    /// Further headers.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// Its body.
    pub content: Content,
    /// Whether it says 成功.
    pub succeeded: bool,
    /// Records told of.
    pub records: u64,
}

impl Reply {
    /// JSON.
    pub fn json(content: Content, succeeded: bool, records: u64) -> Reply {
        Reply { status: StatusCode::OK, headers: vec![(CONTENT_TYPE, JSON)], content, succeeded, records }
    }

    /// The same, as the last answer of its connection.
    pub fn closing(mut self) -> Reply {
        self.headers.push((CONNECTION, HeaderValue::from_static("close")));
        self
    }

    /// `result`, as the audit log tells it.
    pub fn result(&self) -> &'static str {
        if self.succeeded { SUCCESS } else { FAILURE }
    }

    /// As HTTP; nobody on the way keeps it.
    pub fn into_response(self) -> Response {
        let mut response = Response::new(match self.content {
            Content::Whole(bytes) => Body::from(bytes),
            Content::Slice(slice) => Body::new(*slice),
        });
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.extend(self.headers);
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tsumiage_schemas::Spec;

    fn whole(message: &Message, values: &Values<'_>) -> String {
        let (before, behind) = envelope(message, values);
        before + &behind
    }

    #[test]
    fn answers_have_the_seeds_fields_in_their_order() {
        let khs = Spec::embedded().unwrap().khs;
        let asked = Values { insurer_no: Some("141003"), file_if_id: "IFI601040", ..Values::default() };
        assert_eq!(
            whole(&khs.json_response, &asked),
            r#"{"care_insure_provider_number":"141003","result":"成功","file_if_id":"IFI601040","record_num":0,"body":[]}"#
        );
        let person = Values { insured_no: Some("0000000010"), records: 1, ..asked };
        assert_eq!(
            whole(&khs.json_response, &person),
            r#"{"care_insure_provider_number":"141003","care_insurer_number":"0000000010","result":"成功","file_if_id":"IFI601040","record_num":1,"body":[]}"#
        );
        let url = Values { url: Some("https://x/"), ..asked };
        assert_eq!(
            whole(&khs.file_response, &url),
            r#"{"care_insure_provider_number":"141003","result":"成功","presigned_url":"https://x/"}"#
        );
        let failed = Values { insurer_no: None, detail: Some("だめ"), ..asked };
        assert_eq!(
            whole(&khs.file_response, &failed),
            r#"{"care_insure_provider_number":"000000","result":"失敗","result_detail":"だめ"}"#
        );
        assert_eq!(
            whole(&khs.json_response, &failed),
            r#"{"care_insure_provider_number":"000000","result":"失敗","result_detail":"だめ","file_if_id":"IFI601040","record_num":0,"body":[]}"#
        );
    }

    #[test]
    fn a_detail_fits_into_its_field() {
        let khs = Spec::embedded().unwrap().khs;
        let long = "あ\n".repeat(200);
        let text = whole(&khs.file_response, &Values { detail: Some(&long), ..Values::default() });
        assert_eq!(text.matches('あ').count(), 150);
        assert!(!text.contains("\\n"));
    }
}
