//! The interfaces: from a request to its answer, in the order of the checks.
//!
//! Promise: a stranger learns nothing but that there is no way in: the token comes first, then how often it may ask, then
//! what the request says, then who may ask for whom. Every request is in the audit log before its answer goes.

use super::Interface;
use super::access::{Question, permitted};
use super::addresses::Bases;
use super::answer::{Content, Reply, Values, envelope};
use super::audit::{Audit, Seen};
use super::document::{Document, Which};
use super::file;
use super::limits::{drop_unwanted, whole};
use super::metrics::Metrics;
use super::net::Peer;
use super::refusal::Refusal;
use super::request::{Asked, is_json, requester, requester_wanted, token};
use super::rows::few_rows;
use super::signing::Signer;
use super::state::{Served, State};
use crate::khs::settings::KhsSettings;
use axum::body::Bytes;
use axum::extract::Request;
use axum::http::HeaderMap;
use axum::http::header::HOST;
use axum::http::request::Parts;
use axum::response::Response;
use futures::FutureExt;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;
use tsumiage_schemas::Day;
use tsumiage_schemas::khs::{Khs, Message};

/// Tells which day it is in Japan.
pub type Today = dyn Fn() -> Day + Send + Sync;

/// All that answers need.
pub struct Api {
    /// Messages.
    pub khs: Khs,
    /// Settings.
    pub settings: KhsSettings,
    /// What is served.
    pub state: State,
    /// Signs download addresses.
    pub signer: Signer,
    /// What they begin with.
    pub bases: Bases,
    /// Audit log.
    pub audit: Audit,
    /// The last line could not be written.
    pub unaudited: AtomicBool,
    /// What is counted.
    pub metrics: Metrics,
    /// The day.
    pub today: Box<Today>,
    /// To the operator.
    pub tell: Mutex<Sender<String>>,
}

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
    match seen.interface {
        Interface::Json | Interface::File => exchange(api, request, seen).await,
        Interface::Download => file::download(api, &request, seen),
        Interface::None => Err(Refusal::nothing_here()),
    }
}

/// Refuses a request by another method than those there are.
pub fn no_method(api: &Api, interface: Interface, request: &Request, allow: &'static str) -> Response {
    let seen = Seen::new(interface, request.extensions().get::<Peer>().map(|peer| peer.0));
    let reply = api.audited(&seen, api.refused(&seen, Refusal::no_method(allow)));
    api.metrics.request(interface, reply.status.as_u16(), std::time::Duration::ZERO);
    reply.into_response()
}

impl Api {
    /// The response of an interface; what is none of them has the shorter form.
    fn response_of(&self, interface: Interface) -> &Message {
        if interface == Interface::Json { &self.khs.json_response } else { &self.khs.file_response }
    }

    fn values<'a>(&'a self, seen: &'a Seen) -> Values<'a> {
        Values {
            insurer_no: seen.insurer_no.as_deref(),
            insured_no: seen.insured_no.as_deref(),
            file_if_id: &self.settings.file_if_id,
            ..Values::default()
        }
    }

    fn refused(&self, seen: &Seen, refusal: Refusal) -> Reply {
        refusal.reply(self.response_of(seen.interface), self.values(seen))
    }

    /// The reply once it is written down; another one if it cannot be.
    fn audited(&self, seen: &Seen, reply: Reply) -> Reply {
        match self.audit.write(seen, reply.result(), reply.status.as_u16(), reply.records) {
            Ok(()) => {
                if self.unaudited.swap(false, Ordering::Relaxed) {
                    self.tell(format!("{}: the audit log can be written again", self.audit.path().display()));
                }
                reply
            }
            Err(error) => {
                self.cannot_audit(&error);
                self.refused(seen, Refusal::unavailable())
            }
        }
    }

    /// The audit log cannot be written: told once, until it can be again.
    pub fn cannot_audit(&self, error: &std::io::Error) {
        if !self.unaudited.swap(true, Ordering::Relaxed) {
            let path = self.audit.path().display();
            self.tell(format!("{path}: {error}: requests are refused while the audit log cannot be written"));
        }
    }

    /// Tells the operator.
    pub fn tell(&self, text: String) {
        let tell = self.tell.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = tell.send(text); // nobody listens at the end
    }

    /// Why the server is not well, if it is so.
    pub fn fault(&self) -> Option<&'static str> {
        let unaudited = self.unaudited.load(Ordering::Relaxed);
        unaudited.then_some("the audit log cannot be written").or_else(|| self.state.fault())
    }
}

/// A call of one of the two interfaces.
async fn exchange(api: &Api, request: Request, seen: &mut Seen) -> Result<Reply, Refusal> {
    let (head, body) = request.into_parts();
    let (gate, today) = (api.state.gate(), (api.today)());
    let Some(token) = token(&head.headers).and_then(|token| gate.tokens.find(token, today)) else {
        drop_unwanted(body).await;
        return Err(Refusal::no_token());
    };
    seen.token = Some(token.id.clone());
    if let Err(seconds) = gate.rates.count(&token.id) {
        drop_unwanted(body).await;
        return Err(Refusal::too_often(seconds));
    }
    let body = whole(&head.headers, body, &api.settings).await?;
    checked(api, &head.headers, &body, seen)?;
    // Both are there: they were checked.
    let (Some(requester), Some(asked)) = (&seen.requester, &seen.insurer_no) else {
        return Err(Refusal::fault());
    };
    let served = api.state.served();
    let question = Question { owner: &token.insurer_no, requester, asked };
    let numbers = permitted(&served.unions, question, today).ok_or_else(Refusal::not_permitted)?;
    match seen.interface {
        Interface::Json => Ok(people(api, served, numbers, seen)),
        _ => address(api, &served, &numbers, &head, seen),
    }
}

/// Reads headers and body and keeps what is legible; refuses what is not as the interface says.
fn checked(api: &Api, headers: &HeaderMap, body: &Bytes, seen: &mut Seen) -> Result<(), Refusal> {
    let message =
        if seen.interface == Interface::Json { &api.khs.json_request } else { &api.khs.file_request };
    let asked = Asked::read(message, body);
    (seen.insurer_no, seen.insured_no) = (asked.insurer_no, asked.insured_no);
    seen.requester = requester(headers, message).map(str::to_owned);
    if !is_json(headers) {
        return Err(Refusal::wrong("Content-Typeにはapplication/jsonを設定してください。"));
    }
    if seen.requester.is_none() {
        return Err(Refusal::wrong(&requester_wanted(message)));
    }
    asked.fault.map_or(Ok(()), |fault| Err(Refusal::wrong(&fault)))
}

/// IF-I6-01-04-02: the people of these numbers, or one of them.
fn people(api: &Api, served: Arc<Served>, numbers: Vec<Box<str>>, seen: &Seen) -> Reply {
    let message = &api.khs.json_response;
    let Some(insured_no) = &seen.insured_no else {
        // How many there are must be known before the head is written; the rows are where they are.
        let records = numbers.iter().map(|number| served.people.of(number).len() as u64).sum();
        let (head, tail) = envelope(message, &Values { records, ..api.values(seen) });
        let document = Document::new(served, Which::Json, numbers, head.into(), tail.into());
        let all = 0..document.len();
        let slice = document.slice(all, api.metrics.bytes.clone());
        return Reply::json(Content::Slice(Box::new(slice)), true, records);
    };
    let found = numbers.iter().filter_map(|no| Some((&**no, served.people.find(no, insured_no)?)));
    let found: Vec<_> = found.collect();
    let records = found.len() as u64;
    let (head, tail) = envelope(message, &Values { records, ..api.values(seen) });
    let mut text = head.into_bytes();
    text.extend(few_rows(served.form(Which::Json), &served, &found));
    text.extend(tail.into_bytes());
    Reply::json(Content::Whole(text.into()), true, records)
}

/// IF-I6-01-04-01: where the file is.
fn address(
    api: &Api,
    served: &Served,
    numbers: &[Box<str>],
    head: &Parts,
    seen: &Seen,
) -> Result<Reply, Refusal> {
    let (Some(by), Some(insurer_no)) = (&seen.requester, &seen.insurer_no) else {
        return Err(Refusal::fault());
    };
    let path = file::path_of(&api.settings.file_path, insurer_no);
    let until = file::now() + u64::from(api.settings.url_seconds);
    let base = api.bases.of(head.headers.get(HOST).map(|host| host.as_bytes()));
    let url = base + &path + &api.signer.query(&path, by, until);
    let (before, behind) = envelope(&api.khs.file_response, &Values { url: Some(&url), ..api.values(seen) });
    let records = numbers.iter().map(|number| served.people.of(number).len() as u64).sum();
    Ok(Reply::json(Content::Whole((before + &behind).into()), true, records))
}
