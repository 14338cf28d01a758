//! What is refused, with which status and words.
//!
//! Promise: what is refused for want of right has one text, whatever the reason.

use super::answer::{Content, Reply, Values, envelope};
use axum::http::header::{ALLOW, CONNECTION, CONTENT_RANGE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use tsumiage_schemas::khs::Message;

/// What may not be asked, whether it is there or not: one text for all.
pub const NOT_PERMITTED: &str = "指定された保険者番号の情報を参照する権限がないか、対象が存在しません。";

/// Why a request is not answered.
#[derive(Clone, Debug)]
pub struct Refusal {
    /// Status of the answer.
    pub status: StatusCode,
    /// What the requester is told.
    pub detail: String,
    /// Further headers.
    pub headers: Vec<(HeaderName, HeaderValue)>,
}

impl Refusal {
    fn new(status: StatusCode, detail: &str) -> Refusal {
        Refusal { status, detail: detail.to_owned(), headers: Vec::new() }
    }

    fn with(mut self, name: HeaderName, value: HeaderValue) -> Refusal {
        self.headers.push((name, value));
        self
    }

    /// The same, as the last answer of its connection.
    pub fn closing(self) -> Refusal {
        self.with(CONNECTION, HeaderValue::from_static("close"))
    }

    /// 200 with 失敗: there is no right to it, whether it is there or not.
    pub fn not_permitted() -> Refusal {
        Refusal::new(StatusCode::OK, NOT_PERMITTED)
    }

    /// 400: the request is not as the interface says.
    pub fn wrong(detail: &str) -> Refusal {
        Refusal::new(StatusCode::BAD_REQUEST, detail)
    }

    /// 400: the body ended too early.
    pub fn broken_off() -> Refusal {
        Refusal::wrong("リクエストボディを受信できませんでした。")
    }

    /// 400: there is no host that a download address could begin with.
    pub fn no_host() -> Refusal {
        Refusal::wrong(
            "署名付きURLを作成できません。リクエストヘッダのHostに有効なホスト名を設定してください。",
        )
    }

    /// 401: no token, or none that is good.
    pub fn no_token() -> Refusal {
        Refusal::new(StatusCode::UNAUTHORIZED, "自治体トークンが設定されていないか、有効ではありません。")
            .with(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))
    }

    /// 403: an address that is not, or no longer, good.
    pub fn no_address() -> Refusal {
        Refusal::new(StatusCode::FORBIDDEN, "署名付きURLが正しくないか、有効期限が切れています。")
    }

    /// 404.
    pub fn nothing_here() -> Refusal {
        Refusal::new(StatusCode::NOT_FOUND, "指定されたパスは存在しません。")
    }

    /// 405; `allow` is what is possible.
    pub fn no_method(allow: &'static str) -> Refusal {
        Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "指定されたメソッドでは要求できません。")
            .with(ALLOW, HeaderValue::from_static(allow))
    }

    /// 408.
    pub fn too_late() -> Refusal {
        Refusal::new(StatusCode::REQUEST_TIMEOUT, "リクエストボディを時間内に受信できませんでした。")
    }

    /// 413.
    pub fn too_large() -> Refusal {
        Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, "リクエストボディが大きすぎます。")
    }

    /// 416, for a file of so many bytes.
    pub fn no_range(length: u64) -> Refusal {
        let refusal =
            Refusal::new(StatusCode::RANGE_NOT_SATISFIABLE, "指定された範囲はファイルに含まれていません。");
        match HeaderValue::from_str(&format!("bytes */{length}")) {
            Ok(value) => refusal.with(CONTENT_RANGE, value),
            Err(_) => refusal, // cannot be
        }
    }

    /// 429; after so many seconds it may be asked again.
    pub fn too_often(seconds: u64) -> Refusal {
        Refusal::new(
            StatusCode::TOO_MANY_REQUESTS,
            "要求数の上限を超えました。時間をおいてから再度要求してください。",
        )
        .with(RETRY_AFTER, HeaderValue::from(seconds))
    }

    /// 500.
    pub fn fault() -> Refusal {
        Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "処理中にエラーが発生しました。")
    }

    /// 503.
    pub fn unavailable() -> Refusal {
        Refusal::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "現在、要求を処理できません。時間をおいてから再度要求してください。",
        )
    }

    /// The answer that says so, in the form of a message.
    pub fn reply(self, message: &Message, asked: Values<'_>) -> Reply {
        let values = Values { detail: Some(&self.detail), records: 0, url: None, ..asked };
        let (before, behind) = envelope(message, &values);
        let mut reply = Reply::json(Content::Whole((before + &behind).into()), false, 0);
        reply.status = self.status;
        reply.headers.extend(self.headers);
        reply
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tsumiage_schemas::Spec;
    use tsumiage_schemas::khs::name;

    #[test]
    fn every_text_fits_into_its_field() {
        let khs = Spec::embedded().unwrap().khs;
        for refusal in [
            Refusal::not_permitted(),
            Refusal::broken_off(),
            Refusal::no_host(),
            Refusal::no_token(),
            Refusal::no_address(),
            Refusal::nothing_here(),
            Refusal::no_method("POST"),
            Refusal::too_late(),
            Refusal::too_large(),
            Refusal::no_range(1),
            Refusal::too_often(1),
            Refusal::fault(),
            Refusal::unavailable(),
        ] {
            let field = khs.json_response.field(name::DETAIL).unwrap();
            assert_eq!(field.fault(&refusal.detail), None, "{}", refusal.detail);
        }
    }
}
