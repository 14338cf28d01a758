//! How to ask, as an OpenAPI 3.1 document: made from the messages and the list of routes, so that it says what the
//! server does.

mod operations;

use super::routes::{Resource, routes};
use crate::khs::settings::KhsSettings;
use operations::path_item;
use serde_json::{Map, Value, json};
use tsumiage_schemas::khs::{FAILURE, Field, Form, Khs, Message, SUCCESS, name};

/// The document; `public` is where the server is reached, if that is known.
pub fn document(khs: &Khs, settings: &KhsSettings, beside: bool, public: Option<&str>) -> Value {
    let of = |(path, resource): (String, Resource)| (path, path_item(resource, khs, settings));
    let paths: Map<String, Value> = routes(settings, beside).into_iter().map(of).collect();
    let mut document = json!({
        "openapi": "3.1.0",
        "info": {
            "title": "介護被保険者証利用情報（KHS）参照API",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "IF-I6-01-04-01（ファイル連携）およびIF-I6-01-04-02（JSON形式連携）",
        },
        "paths": paths,
        "components": {
            "securitySchemes": {
                "token": {
                    "type": "apiKey",
                    "in": "header",
                    "name": "Authorization",
                    "description": "払い出された自治体トークン（そのまま、または「Bearer 」に続けて設定する）",
                },
            },
            "schemas": {
                "FileRequest": object(&khs.file_request, false),
                "FileResponse": response(&khs.file_response),
                "FileFailure": failure("FileResponse"),
                "JsonRequest": object(&khs.json_request, false),
                "JsonResponse": response(&khs.json_response),
                "JsonFailure": failure("JsonResponse"),
                "Person": object(&khs.person, true),
            },
        },
    });
    if let Some(public) = public {
        document["servers"] = json!([{"url": public.trim_end_matches('/')}]);
    }
    document
}

/// A message: `closed` if nothing else than its fields is ever in it.
fn object(message: &Message, closed: bool) -> Value {
    let properties: Map<String, Value> =
        message.fields.iter().map(|field| (field.name.clone(), schema(field))).collect();
    let required: Vec<&str> =
        message.fields.iter().filter(|field| field.required).map(|field| &*field.name).collect();
    let mut object = json!({"type": "object", "properties": properties, "required": required});
    if closed {
        object["additionalProperties"] = json!(false);
    }
    object
}

/// A response: what it has when it failed, and when it did not.
fn response(message: &Message) -> Value {
    let has = |name: &str| message.field(name).is_some();
    let mut object = object(message, true);
    let (mut failed, mut succeeded) = (json!({"required": [name::DETAIL]}), json!({}));
    succeeded["not"] = json!({"required": [name::DETAIL]});
    if has(name::URL) {
        failed["not"] = json!({"required": [name::URL]});
        succeeded["required"] = json!([name::URL]);
    }
    if has(name::BODY) {
        failed["properties"] = json!({name::RECORD_NUM: {"const": 0}, name::BODY: {"maxItems": 0}});
    }
    object["if"] = json!({"properties": {name::RESULT: {"const": FAILURE}}});
    (object["then"], object["else"]) = (failed, succeeded);
    object
}

/// A response that says why there is no other.
fn failure(response: &str) -> Value {
    json!({
        "allOf": [{"$ref": format!("#/components/schemas/{response}")}],
        "properties": {name::RESULT: {"const": FAILURE}},
        "required": [name::DETAIL],
    })
}

fn schema(field: &Field) -> Value {
    let (most, least) = (field.length, if field.fixed { field.length } else { 1 });
    let times = if least == most { format!("{{{most}}}") } else { format!("{{{least},{most}}}") };
    let text = |pattern: Option<String>| {
        let mut schema = json!({"type": "string", "minLength": least, "maxLength": most});
        if let Some(pattern) = pattern {
            schema["pattern"] = json!(pattern);
        }
        schema
    };
    let mut schema = match field.form {
        _ if field.name == name::RESULT => json!({"type": "string", "enum": [SUCCESS, FAILURE]}),
        Form::Digits => text(Some(format!("^[0-9]{times}$"))),
        Form::Alnum => text(Some(format!("^[0-9A-Za-z]{times}$"))),
        Form::Ascii => text(Some(format!("^[!-~]{times}$"))),
        Form::Text => text(None),
        Form::Date => {
            let mut date = text(Some("^[0-9]{4}-[0-9]{2}-[0-9]{2}$".to_owned()));
            date["format"] = json!("date");
            date
        }
        Form::Number => {
            let digits = u32::try_from(most).unwrap_or(u32::MAX);
            json!({"type": "integer", "minimum": 0, "maximum": 10_u64.saturating_pow(digits) - 1})
        }
        Form::List => json!({"type": "array", "items": {"$ref": "#/components/schemas/Person"}}),
    };
    schema["title"] = json!(field.name_ja);
    schema
}
