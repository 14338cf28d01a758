//! Which path leads where.
//!
//! Promise: what is routed is what [`routes`] lists, and the OpenAPI document is made from the same list; everything
//! else is refused in the form of the interfaces.

use super::Interface;
use super::api::Api;
use super::interfaces::{answered, no_method};
use super::limits::drop_unwanted;
use crate::khs::settings::KhsSettings;
use axum::Router;
use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::http::header::{ACCEPT_ENCODING, ALLOW, CACHE_CONTROL, CONNECTION, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get, post};
use std::convert::Infallible;
use std::sync::Arc;
use tower::util::MapRequestLayer;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::SizeAbove;
use tsumiage_pipeline::kafka::gauges::Exposed;

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
            let wanted = MapRequestLayer::new(gzip_or_nothing);
            post(to(Interface::Json)).layer::<_, Infallible>(gzip).layer(wanted)
        }
        Resource::Download => get(to(Interface::Download)),
        Resource::OpenApi => get(|| async { kept_by_nobody("application/json", document) }),
        Resource::Health => get(health),
        Resource::Metrics => get(metrics),
    };
    route.fallback(move |State(api): State<Arc<Api>>, request: Request| async move {
        match resource.interface() {
            Some(interface) => no_method(api, interface, request, resource.methods()).await,
            None => {
                let allow = [(ALLOW, HeaderValue::from_static(resource.methods()))];
                let mut response = (StatusCode::METHOD_NOT_ALLOWED, allow).into_response();
                if !drop_unwanted(request.into_body()).await {
                    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
                }
                response
            }
        }
    })
}

/// Says of the encodings only whether the answer is to be gzip: whoever wants neither that nor the answer as it is would
/// be answered 406, which the interfaces do not have. They get it as it is.
fn gzip_or_nothing(mut request: Request) -> Request {
    let wants_gzip = wants_gzip(request.headers());
    request.headers_mut().remove(ACCEPT_ENCODING);
    if wants_gzip {
        request.headers_mut().insert(ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
    }
    request
}

/// Whether gzip is wanted, and at least as much as the answer as it is.
fn wants_gzip(headers: &HeaderMap) -> bool {
    let (mut gzip, mut identity, mut others) = (None, None, None);
    let lines = headers.get_all(ACCEPT_ENCODING).iter().filter_map(|line| line.to_str().ok());
    for coding in lines.flat_map(|line| line.split(',')) {
        let (name, quality) = coding.split_once(';').unwrap_or((coding, "q=1"));
        let quality = quality.trim().strip_prefix(['q', 'Q']).and_then(|q| q.strip_prefix('='));
        let quality = quality.and_then(|quality| quality.parse::<f32>().ok()).unwrap_or(0.0);
        match name.trim().to_ascii_lowercase().as_str() {
            "gzip" | "x-gzip" => gzip = Some(quality),
            "identity" => identity = Some(quality),
            "*" => others = Some(quality),
            _ => {}
        }
    }
    let gzip = gzip.or(others).unwrap_or(0.0);
    gzip > 0.0 && gzip >= identity.or(others).unwrap_or(0.0)
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
        Ok(text) => kept_by_nobody(Exposed::CONTENT_TYPE, text),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, kept_by_nobody("text/plain", format!("{error}\n")))
            .into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gzip_is_what_is_wanted_or_nothing() {
        let wanted = |lines: &[&str]| {
            let lines = lines.iter().map(|line| (ACCEPT_ENCODING, line.parse().unwrap()));
            let headers = lines.fold(HeaderMap::new(), |mut headers, (name, value)| {
                headers.append(name, value);
                headers
            });
            wants_gzip(&headers)
        };
        for lines in [
            &["gzip"][..],
            &["X-Gzip; q=0.5"],
            &["deflate, gzip;q=1.0, *;q=0"],
            &["*"],
            &["br", "gzip"],
            &["identity;q=0, *;q=0.1"],
            &["identity;q=0.5, gzip;q=0.5"],
        ] {
            assert!(wanted(lines), "{lines:?}");
        }
        for lines in [
            &[][..],
            &[""],
            &["identity"],
            &["identity;q=0"],
            &["*;q=0"],
            &["gzip;q=0"],
            &["gzip;q=0, *"],
            &["gzip;q=0.4, identity;q=0.5"],
            &["br, deflate"],
            &["gzip;q=x"],
            &["gzip;q=NaN"],
            &["あ"],
        ] {
            assert!(!wanted(lines), "{lines:?}");
        }
    }
}
