//! The interfaces: from a request to its answer, in the order of the checks.
//!
//! Promise: a stranger learns nothing but that there is no way in: the token comes first, then how often it may ask, then
//! what the request says, then who may ask for whom. Every request is in the audit log before its answer goes.

use super::Interface;
use super::access::{Question, permitted};
use super::answer::{Content, Reply, Values, envelope};
use super::api::Api;
use super::audit::Seen;
use super::document::Document;
use super::file;
use super::limits::{drop_unwanted, unwanted, whole};
use super::net::Peer;
use super::refusal::Refusal;
use super::request::{Asked, is_json, requester, requester_wanted, token};
use super::rows::few_rows;
use super::served::Served;
use super::shape::Which;
use crate::khs::tokens::Token;
use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::HeaderMap;
use axum::http::header::HOST;
use axum::http::request::Parts;
use axum::response::Response;
use futures::FutureExt;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Instant;
use tsumiage_schemas::khs::Message;

/// Answers a request that came to an interface.
pub async fn answered(api: Arc<Api>, interface: Interface, request: Request) -> Response {
    let begun = Instant::now();
    let peer = request.extensions().get::<Peer>().map(|peer| peer.0);
    let mut seen = Seen::new(interface, peer);
    // A fault of the program ends the request, not the connection, and is audited like any other.
    let answering = AssertUnwindSafe(answer(&api, request, &mut seen)).catch_unwind().await;
    let answer = answering.unwrap_or_else(|_| Err(Refusal::fault()));
    let reply = answer.unwrap_or_else(|refusal| api.refused(&seen, refusal));
    let reply = api.audited(&seen, reply);
    api.metrics.request(interface, reply.status.as_u16(), begun.elapsed());
    if let Content::Whole(bytes) = &reply.content {
        api.metrics.bytes.inc_by(bytes.len() as u64);
    }
    reply.into_response()
}

async fn answer(api: &Api, request: Request, seen: &mut Seen) -> Result<Reply, Refusal> {
    let (head, body) = request.into_parts();
    match seen.interface {
        Interface::Json | Interface::File => exchange(api, head, body, seen).await,
        Interface::Download => {
            let is_read = drop_unwanted(body).await;
            match file::download(api, &head, seen) {
                answer if is_read => answer,
                Ok(reply) => Ok(reply.closing()),
                Err(refusal) => Err(refusal.closing()),
            }
        }
        Interface::None => Err(unwanted(body, Refusal::nothing_here()).await),
    }
}

/// Refuses a request by another method than those there are.
pub async fn no_method(
    api: Arc<Api>,
    interface: Interface,
    request: Request,
    allow: &'static str,
) -> Response {
    let seen = Seen::new(interface, request.extensions().get::<Peer>().map(|peer| peer.0));
    let refusal = unwanted(request.into_body(), Refusal::no_method(allow)).await;
    let reply = api.audited(&seen, api.refused(&seen, refusal));
    api.metrics.request(interface, reply.status.as_u16(), std::time::Duration::ZERO);
    reply.into_response()
}

/// A call of one of the two interfaces.
async fn exchange(api: &Api, head: Parts, body: Body, seen: &mut Seen) -> Result<Reply, Refusal> {
    let message = api.request_of(seen.interface);
    seen.requester = requester(&head.headers, message).map(str::to_owned);
    let (gate, today) = (api.state.gate(), (api.today)());
    let Some(token) = token(&head.headers).and_then(|token| gate.tokens.find(token, today)) else {
        return Err(unwanted(body, Refusal::no_token()).await);
    };
    seen.token = Some(token.id.clone());
    if let Err(seconds) = gate.rates.count(&token.id) {
        return Err(unwanted(body, Refusal::too_often(seconds)).await);
    }
    let body = whole(&head.headers, body, &api.settings).await?;
    checked(message, &head.headers, &body, seen)?;
    // Both are there: they were checked.
    let (Some(requester), Some(asked)) = (&seen.requester, &seen.insurer_no) else {
        return Err(Refusal::fault());
    };
    let served = api.state.served();
    let question = Question { owner: &token.insurer_no, requester, asked };
    let numbers = permitted(&served.unions, question, today).ok_or_else(Refusal::not_permitted)?;
    match (seen.interface, &seen.insured_no) {
        (Interface::Json, Some(insured_no)) => Ok(person(api, &served, &numbers, insured_no, seen)),
        (Interface::Json, None) => {
            let records = records(&served, &numbers);
            gate.rates.count_people(&token.id, records).map_err(Refusal::too_often)?;
            Ok(people(api, served, numbers, records, seen))
        }
        _ => address(api, records(&served, &numbers), token, &head, seen),
    }
}

/// Reads headers and body and keeps what is legible; refuses what is not as the interface says.
fn checked(message: &Message, headers: &HeaderMap, body: &Bytes, seen: &mut Seen) -> Result<(), Refusal> {
    let asked = Asked::read(message, body);
    (seen.insurer_no, seen.insured_no) = (asked.insurer_no, asked.insured_no);
    if !is_json(headers) {
        return Err(Refusal::wrong("Content-Typeにはapplication/jsonを設定してください。"));
    }
    if seen.requester.is_none() {
        return Err(Refusal::wrong(&requester_wanted(message)));
    }
    asked.fault.map_or(Ok(()), |fault| Err(Refusal::wrong(&fault)))
}

/// How many people these numbers have.
fn records(served: &Served, numbers: &[Box<str>]) -> u64 {
    numbers.iter().map(|number| served.people.of(number).len() as u64).sum()
}

/// IF-I6-01-04-02: all people of these numbers.
fn people(api: &Api, served: Arc<Served>, numbers: Vec<Box<str>>, records: u64, seen: &Seen) -> Reply {
    let (head, tail) = envelope(&api.khs.json_response, &Values { records, ..api.values(seen) });
    let document = Document::new(served, Which::Json, numbers, head.into(), tail.into());
    let all = 0..document.len();
    let slice = document.slice(all, api.metrics.bytes.clone());
    Reply::json(Content::Slice(Box::new(slice)), true, records)
}

/// IF-I6-01-04-02: one person, as often as these numbers have one of this number.
fn person(api: &Api, served: &Served, numbers: &[Box<str>], insured_no: &str, seen: &Seen) -> Reply {
    let found = numbers.iter().filter_map(|no| Some((&**no, served.people.find(no, insured_no)?)));
    let found: Vec<_> = found.collect();
    let records = found.len() as u64;
    let (head, tail) = envelope(&api.khs.json_response, &Values { records, ..api.values(seen) });
    let mut text = head.into_bytes();
    text.extend(few_rows(served.form(Which::Json), &served.people, &found));
    text.extend(tail.into_bytes());
    Reply::json(Content::Whole(text.into()), true, records)
}

/// IF-I6-01-04-01: where the file is, good as long as this token is.
fn address(api: &Api, records: u64, token: &Token, head: &Parts, seen: &Seen) -> Result<Reply, Refusal> {
    let insurer_no = seen.insurer_no.as_ref().ok_or_else(Refusal::fault)?;
    let path = file::path_of(&api.settings.file_path, insurer_no);
    let until = super::signing::ends(file::now(), api.settings.url_seconds);
    let base = api.bases.of(head.headers.get(HOST).map(|host| host.as_bytes()));
    let base = base.ok_or_else(Refusal::no_host)?;
    let url = base + &path + &api.signer.query(&path, &token.insurer_no, until, &token.id);
    let (before, behind) = envelope(&api.khs.file_response, &Values { url: Some(&url), ..api.values(seen) });
    Ok(Reply::json(Content::Whole((before + &behind).into()), true, records))
}
