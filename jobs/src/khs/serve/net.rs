//! Connections: accepted, with TLS if wanted, limited in number and in how long they may be silent.
//!
//! Promise: a client that says nothing, does not take its answer or breaks the handshake costs a connection for some
//! seconds and nothing else; one that takes its answer byte by byte is cut off after a while. When the server stops,
//! answers under way have a few seconds to end.

#[cfg(test)]
mod tests;

use super::places::Places;
use anyhow::{Context, bail};
use axum::Router;
use axum::body::{Body, HttpBody};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::io;
use std::net::IpAddr;
use std::path::Path;
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tokio_io_timeout::TimeoutStream;
use tokio_rustls::TlsAcceptor;
use tower::Service;

/// How long answers under way may take once the server stops.
const LAST_ANSWERS: Duration = Duration::from_secs(5);

/// Bytes of a request's head, and of an answer that wait to be sent.
const BUFFER: usize = 64 << 10;

/// Pause when the system gives no connection, such as for want of file handles.
const PAUSE: Duration = Duration::from_millis(200);

/// Where a request came from.
#[derive(Clone, Copy, Debug)]
pub struct Peer(pub IpAddr);

/// How connections are treated.
pub struct Net {
    /// TLS, if wanted.
    pub tls: Option<TlsAcceptor>,
    /// In this time a handshake and a request's head must have come.
    pub request: Duration,
    /// So long a client may take no byte of an answer.
    pub stall: Duration,
    /// So long a client may take for an answer.
    pub answer: Duration,
    /// And a second more for every so many bytes of it; at least 1.
    pub slowest: u64,
    /// As many connections at once.
    pub places: Arc<Places>,
}

/// Accepts connections until `stop`, then waits for answers under way, but not for long.
pub async fn accept(
    listener: TcpListener,
    router: Router,
    net: Arc<Net>,
    mut stop: watch::Receiver<bool>,
    tell: Sender<String>,
) {
    let graceful = GracefulShutdown::new();
    let mut told = false;
    loop {
        let next = async {
            let free = net.places.free().await;
            (free, listener.accept().await)
        };
        let (free, accepted) = tokio::select! {
            next = next => next,
            _ = stop.wait_for(|stop| *stop) => break,
        };
        let Some(free) = free else { break };
        match accepted {
            Ok((stream, peer)) => {
                told = false;
                let peer = peer.ip().to_canonical();
                let Some(place) = net.places.take(free, peer) else { continue }; // closed at once
                let (router, net, watcher) = (router.clone(), Arc::clone(&net), graceful.watcher());
                tokio::spawn(async move {
                    let _place = place;
                    connection(stream, Peer(peer), router, &net, watcher).await;
                });
            }
            Err(error) if is_of_one_client(&error) => {}
            Err(error) => {
                if !std::mem::replace(&mut told, true) {
                    let _ = tell.send(format!("cannot accept connections: {error}; tries on")); // or at the end
                }
                sleep(PAUSE).await;
            }
        }
    }
    drop(listener); // the port is free from here on
    let _ = timeout(LAST_ANSWERS, graceful.shutdown()).await; // whoever is not done is cut off
}

/// An error that says nothing of the next connection.
fn is_of_one_client(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

async fn connection(stream: TcpStream, peer: Peer, router: Router, net: &Net, watcher: Watcher) {
    let _ = stream.set_nodelay(true); // slower without, not wrong
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(net.stall));
    let stream = Box::pin(stream);
    match &net.tls {
        None => serve(stream, peer, router, net, watcher).await,
        Some(tls) => {
            // Whoever fails here was no client of ours.
            if let Ok(Ok(stream)) = timeout(net.request, tls.accept(stream)).await {
                serve(stream, peer, router, net, watcher).await;
            }
        }
    }
}

async fn serve<S>(stream: S, peer: Peer, router: Router, net: &Net, watcher: Watcher)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let ends = Arc::new(Mutex::new(None));
    let (answers, limit, slowest) = (Arc::clone(&ends), net.answer, net.slowest);
    let service = service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(peer);
        set(&answers, None);
        let (answer, answers) = (router.clone().call(request), Arc::clone(&answers));
        async move {
            let answer = answer.await;
            let bytes = answer.as_ref().map_or(0, |answer| answer.body().size_hint().lower());
            set(&answers, Some(Instant::now() + limit + Duration::from_secs(bytes / slowest)));
            answer
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(net.request)
        .max_buf_size(BUFFER)
        .serve_connection(TokioIo::new(stream), service);
    tokio::select! {
        _ = watcher.watch(connection) => {} // a client that is gone is no news
        () = overdue(&ends, net.answer) => {} // and one that never ends is left
    }
}

/// Bytes a second of the slowest line on which a large answer may come.
pub const SLOWEST: u64 = 16 << 10;

/// When the last answer of a connection must have ended; none while there is none.
type Ends = Mutex<Option<Instant>>;

fn set(ends: &Ends, at: Option<Instant>) {
    *ends.lock().unwrap_or_else(PoisonError::into_inner) = at;
}

/// Waits until the answer of a connection takes longer than it may. Whether it is with the client nobody knows; one that
/// is and asks nothing more for as long is gone too.
async fn overdue(ends: &Ends, limit: Duration) {
    loop {
        let at = *ends.lock().unwrap_or_else(PoisonError::into_inner);
        let left = at.map_or(limit, |at| at.saturating_duration_since(Instant::now()));
        if left.is_zero() {
            return;
        }
        sleep(left).await;
    }
}

/// TLS with the certificate chain and the key of these files (PEM).
///
/// # Errors
/// A file cannot be read, or they do not fit together.
pub fn tls(chain: &Path, key: &Path) -> anyhow::Result<TlsAcceptor> {
    let of = |path: &Path, what: &str| format!("{}: {what}", path.display());
    let certificates: Result<Vec<_>, _> =
        CertificateDer::pem_file_iter(chain).with_context(|| of(chain, "certificate chain"))?.collect();
    let certificates = certificates.with_context(|| of(chain, "certificate chain"))?;
    if certificates.is_empty() {
        bail!("{}", of(chain, "has no certificate (PEM)"));
    }
    let private = PrivateKeyDer::from_pem_file(key).with_context(|| of(key, "private key (PEM)"))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(certificates, private)
        .with_context(|| of(key, "does not fit the certificate"))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}
