//! Which path leads where.
//!
//! Promise: what is routed is what [`routes`] lists, and the OpenAPI document is made from the same list; everything
//! else is refused in the form of the interfaces.

use super::Interface;
use super::interfaces::{Api, answered, no_method};
use super::metrics::CONTENT_TYPE as METRICS;
use crate::khs::settings::KhsSettings;
use axum::Router;
use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get, post};
use std::sync::Arc;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::SizeAbove;

/// Answers of fewer bytes fit into a packet as they are.
const WORTH_COMPRESSING: u64 = 1_400;

/// What there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resource {
    /// IF-I6-01-04-01.
    File,
    /// IF-I6-01-04-02.
    Json,
    /// The file behind its address.
    Download,
    /// How to ask.
    OpenApi,
    /// How the server is.
    Health,
    /// What it counted.
    Metrics,
}

impl Resource {
    /// The methods it has, as the header `Allow` names them.
    pub fn methods(self) -> &'static str {
        match self {
            Resource::File | Resource::Json => "POST",
            _ => "GET, HEAD",
        }
    }

    /// What audit log and metrics call it; none if they do not know of it.
    fn interface(self) -> Option<Interface> {
        match self {
            Resource::File => Some(Interface::File),
            Resource::Json => Some(Interface::Json),
            Resource::Download => Some(Interface::Download),
            Resource::OpenApi | Resource::Health | Resource::Metrics => None,
        }
    }
}

/// All paths; metrics and health only if they are not elsewhere.
pub fn routes(settings: &KhsSettings, beside: bool) -> Vec<(String, Resource)> {
    let mut routes = vec![
        (settings.file_path.clone(), Resource::File),
        (settings.json_path.clone(), Resource::Json),
        (format!("{}/{{insurer_no}}", settings.file_path), Resource::Download),
        ("/openapi.json".to_owned(), Resource::OpenApi),
    ];
    if beside {
        routes.extend(watched());
    }
    routes
}

fn watched() -> [(String, Resource); 2] {
    [("/health".to_owned(), Resource::Health), ("/metrics".to_owned(), Resource::Metrics)]
}

/// The routes of the server; `document` is how to ask.
pub fn router(api: &Arc<Api>, beside: bool, document: String) -> Router {
    let document = Bytes::from(document);
    let mut router = Router::new();
    for (path, resource) in routes(&api.settings, beside) {
        router = router.route(&path, leads_to(resource, &document));
    }
    let nothing = |State(api): State<Arc<Api>>, request| answered(api, Interface::None, request);
    router.fallback(nothing).with_state(Arc::clone(api))
}

/// Metrics and health alone.
pub fn watching(api: &Arc<Api>) -> Router {
    let mut router = Router::new();
    for (path, resource) in watched() {
        router = router.route(&path, leads_to(resource, &Bytes::new()));
    }
    let nothing = || async { (StatusCode::NOT_FOUND, "there are /metrics and /health\n") };
    router.fallback(nothing).with_state(Arc::clone(api))
}

fn leads_to(resource: Resource, document: &Bytes) -> MethodRouter<Arc<Api>> {
    let to =
        |interface| move |State(api): State<Arc<Api>>, request: Request| answered(api, interface, request);
    let document = document.clone();
    let route = match resource {
        Resource::File => post(to(Interface::File)),
        Resource::Json => {
            let gzip = CompressionLayer::new().gzip(true).compress_when(SizeAbove::new(WORTH_COMPRESSING));
            post(to(Interface::Json)).layer(gzip)
        }
        Resource::Download => get(to(Interface::Download)),
        Resource::OpenApi => get(|| async { kept_by_nobody("application/json", document) }),
        Resource::Health => get(health),
        Resource::Metrics => get(metrics),
    };
    route.fallback(move |State(api): State<Arc<Api>>, request: Request| async move {
        match resource.interface() {
            Some(interface) => no_method(&api, interface, &request, resource.methods()),
            None => {
                let allow = [(ALLOW, HeaderValue::from_static(resource.methods()))];
                (StatusCode::METHOD_NOT_ALLOWED, allow).into_response()
            }
        }
    })
}

fn kept_by_nobody(kind: &'static str, body: impl IntoResponse) -> Response {
    let headers = [(CONTENT_TYPE, kind), (CACHE_CONTROL, "no-store")];
    (headers, body).into_response()
}

async fn health(State(api): State<Arc<Api>>) -> Response {
    let kind = "text/plain; charset=utf-8";
    match api.fault() {
        None => kept_by_nobody(kind, "ok\n"),
        Some(why) => {
            (StatusCode::SERVICE_UNAVAILABLE, kept_by_nobody(kind, format!("{why}\n"))).into_response()
        }
    }
}

async fn metrics(State(api): State<Arc<Api>>) -> Response {
    match api.metrics.text() {
        Ok(text) => kept_by_nobody(METRICS, text),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, kept_by_nobody("text/plain", format!("{error}\n")))
            .into_response(),
    }
}
