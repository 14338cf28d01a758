//! The server from a request to its answer, without a network but where that is what is tested.

mod asking;
mod conforming;
mod files;
mod running;
mod telling;

use super::access::Unions;
use super::api::Api;
use super::routes::{Resource, router, routes};
use super::served::Served;
use super::{ServeOptions, Server, openapi, read};
use crate::facts::KnownFiles;
use crate::khs::people::People;
use crate::khs::settings::{FileForm, KhsSettings};
use crate::khs::tokens::issue;
use crate::published::Membership;
use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};
use tower::ServiceExt;
use tsumiage_pipeline::ledger::Ledger;
use tsumiage_schemas::{Day, Spec};

const UNION: &str = "141003";
const TOWN: &str = "142018";
const SISTER: &str = "142034";
const STRANGER: &str = "151001";

/// People of the town: more than two blocks.
const MANY: usize = 1_100;

struct Fixture {
    folder: tempfile::TempDir,
    api: Arc<Api>,
    router: Router,
    document: Value,
    told: Receiver<String>,
    /// Tokens of union, town, sister and stranger.
    tokens: [String; 4],
}

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    bytes: Vec<u8>,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.bytes).unwrap_or_else(|e| panic!("{e}: {}", self.text()))
    }
    fn text(&self) -> String {
        String::from_utf8(self.bytes.clone()).unwrap()
    }
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

fn run(words: &[&str]) {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let code = crate::cli::run(words, &mut out, &mut err);
    assert_eq!(code, 0, "{words:?}: {}", String::from_utf8_lossy(&err));
}

/// A data folder in which the town has many people and its sister one, of the same number as one of the town's.
fn data_folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let mut text =
        "care_insure_provider_number,care_insurer_number,care_insurance_status,care_insurance_end_date,\
                    care_insurance_end_cancel_date\r\n"
            .to_owned();
    for number in 0..MANY {
        let date = if number % 3 == 0 { "2026-04-01" } else { "" };
        write!(text, "{TOWN},{number:010},1,{date},\r\n").unwrap();
    }
    write!(text, "{SISTER},0000000007,2,2026-04-01,2026-05-01\r\n").unwrap();
    let file = folder.path().join("people.csv");
    fs::write(&file, text).unwrap();
    let data = folder.path().join("data");
    run(&["khs", "load", file.to_str().unwrap(), "--data", data.to_str().unwrap(), "--on", "2026-06-01"]);
    folder
}

fn options(folder: &std::path::Path, settings: KhsSettings) -> ServeOptions {
    ServeOptions {
        data: folder.join("data"),
        settings,
        khs: Spec::embedded().unwrap().khs,
        tokens: folder.join("tokens.csv"),
        listen: "127.0.0.1:0".parse().unwrap(),
        signing_key: None,
        public_url: None,
        tls: None,
        metrics: None,
        audit: folder.join("audit.ndjson"),
        threads: 2,
        today: Box::new(|| Day(20_000)),
    }
}

fn fixture_with(settings: KhsSettings, audit: Option<&str>) -> Fixture {
    let folder = data_folder();
    let tokens = [UNION, TOWN, SISTER, STRANGER]
        .map(|no| issue(&folder.path().join("tokens.csv"), no, None).unwrap().token);
    let mut options = options(folder.path(), settings.clone());
    options.audit = audit.map_or(options.audit, PathBuf::from);
    let (tell, told) = channel();
    let api = read(options, "127.0.0.1:1".parse().unwrap(), false, tell).unwrap();
    let ledger = Ledger::open(&folder.path().join("data")).unwrap();
    let people = People::read(&ledger, &KnownFiles::new(&ledger, &[], None)).unwrap();
    let member = |member_no: &str| Membership {
        union_no: UNION.to_owned(),
        member_no: member_no.to_owned(),
        from: Day(0),
        to: None,
    };
    let unions = Unions::new(vec![member(TOWN), member(SISTER)]);
    api.state.replace(Served::new(people, unions, &api.khs.person, &settings));
    let document = openapi::document(&api.khs, &settings, true, None);
    let api = Arc::new(api);
    let router = router(&api, true, document.to_string());
    Fixture { folder, api, router, document, told, tokens }
}

fn fixture() -> Fixture {
    fixture_with(KhsSettings::default(), None)
}

impl Fixture {
    async fn send(&self, request: Request<Body>) -> Answer {
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (head, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes().to_vec();
        let answer = Answer { status: head.status, headers: head.headers, bytes };
        self.documented(&method, &path, &answer);
        answer
    }

    async fn post(&self, path: &str, token: &str, requester: &str, body: &Value) -> Answer {
        self.send(request(path, token, requester, body.to_string())).await
    }

    async fn json(&self, token: usize, requester: &str, asked: &str, person: Option<&str>) -> Answer {
        let mut body = json!({"care_insure_provider_number": asked});
        if let Some(person) = person {
            body["care_insurer_number"] = json!(person);
        }
        self.post("/khs-api/json", &self.tokens[token], requester, &body).await
    }

    async fn url(&self, token: usize, requester: &str, asked: &str) -> Value {
        let body = json!({"care_insure_provider_number": asked});
        self.post("/khs-api/file", &self.tokens[token], requester, &body).await.json()
    }

    async fn get(&self, method: &str, url: &str, headers: &[(&str, &str)]) -> Answer {
        let path = url.strip_prefix("http://khs.example.jp:81").unwrap_or(url);
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.send(request.body(Body::empty()).unwrap()).await
    }

    fn audit(&self) -> Vec<Value> {
        let text = fs::read_to_string(self.folder.path().join("audit.ndjson")).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

fn request(path: &str, token: &str, requester: &str, body: String) -> Request<Body> {
    Request::post(path)
        .header("host", "khs.example.jp:81")
        .header("content-type", "application/json")
        .header("authorization", token)
        .header("care_insure_provider_number", requester)
        .body(Body::from(body))
        .unwrap()
}
