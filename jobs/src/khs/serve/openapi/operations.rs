//! What can be asked on every path, and what is answered.
//!
//! Promise: every status, header and type that the server answers with stands here, and no other.

use super::schema;
use crate::khs::serve::routes::Resource;
use crate::khs::settings::{FileForm, KhsSettings};
use serde_json::{Value, json};
use tsumiage_pipeline::kafka::gauges::Exposed;
use tsumiage_schemas::khs::{Khs, name};

/// The operations of a path.
pub fn path_item(resource: Resource, khs: &Khs, settings: &KhsSettings) -> Value {
    match resource {
        Resource::File => json!({"post": interface(
            "IF-I6-01-04-01",
            "介護被保険者証利用情報（KHS）の取得要求（ファイル連携）",
            "File",
            "成功（対象者がいない場合は0件のファイルのURL）、または参照する権限がない場合の失敗",
            khs,
        )}),
        Resource::Json => json!({"post": interface(
            "IF-I6-01-04-02",
            "介護被保険者証利用情報（KHS）の取得要求（JSON形式連携）",
            "Json",
            "成功（該当する情報がない場合はrecord_numが0）、または参照する権限がない場合の失敗",
            khs,
        )}),
        Resource::Download => download(khs, settings),
        Resource::OpenApi => {
            plain("openapi", "この文書", "application/json", json!({"type": "object"}), None)
        }
        Resource::Health => {
            let text = json!({"type": "string"});
            plain("health", "稼働状況", "text/plain", text, Some(("503", "一部の情報が最新ではない")))
        }
        Resource::Metrics => {
            let kind = Exposed::CONTENT_TYPE.split(';').next().unwrap_or(Exposed::CONTENT_TYPE);
            plain("metrics", "計測値（OpenMetrics）", kind, json!({"type": "string"}), None)
        }
    }
}

/// A call of an interface; `form` is how its messages are called, `answered` what 200 is.
fn interface(id: &str, summary: &str, form: &str, answered: &str, khs: &Khs) -> Value {
    let message = if form == "File" { &khs.file_request } else { &khs.json_request };
    let requester = message.field(name::INSURER_NO).map(schema).unwrap_or_default();
    let failed = |description: &str| answer(description, &format!("{form}Failure"));
    json!({
        "operationId": id,
        "summary": summary,
        "security": [{"token": []}],
        "parameters": [{
            "name": name::INSURER_NO,
            "in": "header",
            "required": true,
            "description": "リクエスト送信元介護保険者番号（自治体トークンを保有する介護保険者番号）",
            "schema": requester,
        }],
        "requestBody": {"required": true, "content": content(&format!("{form}Request"))},
        "responses": {
            "200": answer(answered, &format!("{form}Response")),
            "400": failed("リクエストの誤り"),
            "401": with(failed("自治体トークンの誤り"), "WWW-Authenticate", json!({"const": "Bearer"})),
            "405": with(failed("POST以外のメソッド"), "Allow", json!({"const": "POST"})),
            "408": failed("リクエストボディの受信の時間切れ"),
            "413": failed("リクエストボディの大きさの超過"),
            "429": too_often(&format!("{form}Failure")),
            "500": failed("処理中のエラー"),
            "503": failed("一時的に処理できない状態"),
        },
    })
}

fn content(schema: &str) -> Value {
    json!({"application/json": {"schema": {"$ref": format!("#/components/schemas/{schema}")}}})
}

fn answer(description: &str, schema: &str) -> Value {
    json!({
        "description": description,
        "headers": {"Cache-Control": {"required": true, "schema": {"const": "no-store"}}},
        "content": content(schema),
    })
}

/// An answer with one more header.
fn with(mut answer: Value, header: &str, schema: Value) -> Value {
    answer["headers"][header] = json!({"required": true, "schema": schema});
    answer
}

fn too_often(schema: &str) -> Value {
    with(answer("要求数の上限の超過", schema), "Retry-After", json!({"type": "integer", "minimum": 1}))
}

/// The file behind its address.
fn download(khs: &Khs, settings: &KhsSettings) -> Value {
    let digits = |length: usize| json!({"type": "string", "pattern": format!("^[0-9]{{{length}}}$")});
    let insurer_no = khs.file_request.field(name::INSURER_NO).map(schema).unwrap_or_default();
    let query = |name: &str, description: &str, schema: Value| json!({"name": name, "in": "query", "required": true, "description": description, "schema": schema});
    let signature = json!({"type": "string", "pattern": "^[0-9A-Za-z_-]{43}$"});
    let parameters = json!([
        {
            "name": "insurer_no",
            "in": "path",
            "required": true,
            "description": "取得対象となる介護保険者番号",
            "schema": insurer_no,
        },
        query("by", "署名付きURLを要求した介護保険者番号", digits(6)),
        query("until", "有効期限（1970年からの秒数）", json!({"type": "string", "pattern": "^[0-9]{1,11}$"})),
        query("sig", "署名", signature),
    ]);
    let file = match settings.file_form {
        FileForm::Csv | FileForm::CsvWithoutHeader => json!({"text/csv": {"schema": {"type": "string"}}}),
        FileForm::Json => json!({"application/json": {"schema": {
            "type": "array",
            "items": {"$ref": "#/components/schemas/Person"},
        }}}),
    };
    let text = || json!({"required": true, "schema": {"type": "string"}});
    let sent = |description: &str, part: bool| {
        let mut headers = json!({
            "Accept-Ranges": {"required": true, "schema": {"const": "bytes"}},
            "Cache-Control": {"required": true, "schema": {"const": "no-store"}},
            "Content-Disposition": text(),
            "ETag": text(),
        });
        if part {
            headers["Content-Range"] = text();
        }
        json!({"description": description, "headers": headers, "content": file})
    };
    let failed = |description: &str| answer(description, "FileFailure");
    let allow = json!({"const": "GET, HEAD"});
    let responses = json!({
        "200": sent("ファイル", false),
        "206": sent("ファイルの一部", true),
        "403": failed("署名付きURLの誤り、有効期限切れ、または権限なし"),
        "405": with(failed("GETおよびHEAD以外のメソッド"), "Allow", allow),
        "416": with(failed("ファイルに含まれない範囲"), "Content-Range", json!({"type": "string"})),
        "429": too_often("FileFailure"),
        "500": failed("処理中のエラー"),
        "503": failed("一時的に処理できない状態"),
    });
    let heads = without_body(&responses, &["206", "416"]);
    let range =
        |name: &str| json!({"name": name, "in": "header", "required": false, "schema": {"type": "string"}});
    json!({
        "parameters": parameters,
        "get": {
            "operationId": "download",
            "summary": "署名付きURLのファイル（範囲を指定できる）",
            "security": [],
            "parameters": [range("Range"), range("If-Range")],
            "responses": responses,
        },
        "head": {
            "operationId": "downloadHead",
            "summary": "署名付きURLのファイルの大きさ",
            "security": [],
            "responses": heads,
        },
    })
}

/// Something that is only read.
fn plain(id: &str, summary: &str, kind: &str, schema: Value, also: Option<(&str, &str)>) -> Value {
    let headers = json!({"Cache-Control": {"required": true, "schema": {"const": "no-store"}}});
    let response = |description: &str| json!({"description": description, "headers": headers, "content": {kind: {"schema": schema}}});
    let mut responses = json!({
        "200": response(summary),
        "405": {
            "description": "GETおよびHEAD以外のメソッド",
            "headers": {"Allow": {"required": true, "schema": {"const": "GET, HEAD"}}},
        },
    });
    if let Some((status, description)) = also {
        responses[status] = response(description);
    }
    let heads = without_body(&responses, &[]);
    json!({
        "get": {"operationId": id, "summary": summary, "security": [], "responses": responses},
        "head": {"operationId": format!("{id}Head"), "summary": summary, "security": [], "responses": heads},
    })
}

/// The responses to HEAD: the same without bodies, and without those that only a GET has.
fn without_body(responses: &Value, not: &[&str]) -> Value {
    let kept =
        responses.as_object().into_iter().flatten().filter(|(status, _)| !not.contains(&status.as_str()));
    let bare = kept.map(|(status, response)| {
        let mut response = response.clone();
        if let Some(response) = response.as_object_mut() {
            response.remove("content");
        }
        (status.clone(), response)
    });
    Value::Object(bare.collect())
}
