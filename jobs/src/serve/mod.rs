//! What a long-running command tells over HTTP: `/metrics` for Prometheus, `/health` for whoever watches it.
//!
//! Promise: it only reads, takes no input but a path, and holds nothing up: it has a thread of its own and ends
//! with the command, within seconds whatever its clients do. There is nothing personal to see (gauges, health),
//! and no protection: it belongs on an address that only the operator reaches.

mod address;

pub use address::{Address, NoAddress};

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use std::io::Result;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::oneshot;
use tsumiage_pipeline::kafka::gauges::Exposed;

/// Tells why the command is not well; `None` if it is.
pub type Reason = dyn Fn() -> Option<String> + Send + Sync;

/// How long answers under way may take once the command ends.
const LAST_ANSWERS: Duration = Duration::from_secs(2);

/// A server at work until it is dropped.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Begins to serve.
    ///
    /// # Errors
    /// It cannot listen there, or the system gives no thread.
    pub fn start(at: Address, exposed: Exposed, health: Arc<Reason>) -> Result<Server> {
        let listener = at.listen()?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::Builder::new().name("metrics".to_owned()).spawn(move || {
            if let Err(error) = runtime.block_on(serve(listener, router(exposed, health), stopped)) {
                tracing::error!("metrics and health are no longer served: {error}");
            }
            runtime.shutdown_background();
        })?;
        Ok(Server { address, stop: Some(stop), thread: Some(thread) })
    }

    /// The address it has, with the port the system chose if it was to.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.stop.take()); // as good as a message
        if let Some(thread) = self.thread.take() {
            let _ = thread.join(); // it panics on nothing; and nothing is left to do if it did
        }
    }
}

/// Serves until `stopped`, then lets answers under way end, but not for long.
async fn serve(listener: TcpListener, router: Router, stopped: oneshot::Receiver<()>) -> Result<()> {
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let (ending, ended) = oneshot::channel::<()>();
    let serving = axum::serve(listener, router).with_graceful_shutdown(async {
        let _ = stopped.await; // an error too means that the command ended
        drop(ending);
    });
    let too_long = async {
        let _ = ended.await;
        tokio::time::sleep(LAST_ANSWERS).await;
    };
    tokio::select! {
        served = serving.into_future() => served,
        () = too_long => Ok(()),
    }
}

fn router(exposed: Exposed, health: Arc<Reason>) -> Router {
    Router::new()
        .route("/metrics", get(metrics).with_state(exposed))
        .route("/health", get(how_it_is).with_state(health))
        .fallback(|| async { (StatusCode::NOT_FOUND, "there are /metrics and /health\n") })
}

async fn metrics(State(exposed): State<Exposed>) -> Response {
    match exposed.text() {
        Ok(text) => ([(CONTENT_TYPE, Exposed::CONTENT_TYPE)], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response(),
    }
}

async fn how_it_is(State(health): State<Arc<Reason>>) -> Response {
    let (status, text) = match health() {
        None => (StatusCode::OK, "ok\n".to_owned()),
        Some(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")),
    };
    (status, [(CACHE_CONTROL, "no-store")], text).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::net::TcpStream;
    use std::time::Instant;
    use tsumiage_pipeline::kafka::gauges::SinkGauges;
    use tsumiage_pipeline::kafka::health::Health;
    use tsumiage_pipeline::kafka::link::{Link, Options};

    fn server() -> (Server, SinkGauges, Health) {
        let link = Link::new("127.0.0.1:1", "tsumiage.test", Options::default()).unwrap();
        let (gauges, health) = (SinkGauges::new("0", &link), Health::default());
        let (at, asked) = ("127.0.0.1:0".parse().unwrap(), health.clone());
        let server = Server::start(at, gauges.exposed.clone(), Arc::new(move || asked.reason())).unwrap();
        (server, gauges, health)
    }

    /// Head and body of the answer to a request.
    fn ask(server: &Server, request: &str) -> (String, String) {
        let mut stream = TcpStream::connect(server.address()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        write!(stream, "{request} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        (head.to_ascii_lowercase(), body.to_owned())
    }

    #[test]
    fn metrics_are_those_of_this_moment() {
        let (server, gauges, _) = server();
        let (head, body) = ask(&server, "GET /metrics");
        assert!(head.starts_with("http/1.1 200 "), "{head}");
        let kind = "content-type: application/openmetrics-text; version=1.0.0; charset=utf-8";
        assert!(head.lines().any(|line| line == kind), "{head}");
        assert!(body.contains("\ntsumiage_sink_messages_total 0\n") && body.ends_with("\n# EOF\n"), "{body}");
        gauges.message(3, None);
        let (_, body) = ask(&server, "GET /metrics");
        assert!(body.contains("\ntsumiage_sink_messages_total 1\n"), "{body}");
        let (head, body) = ask(&server, "HEAD /metrics");
        assert!(head.starts_with("http/1.1 200 ") && body.is_empty(), "{head}");
    }

    #[test]
    fn health_has_a_reason_if_it_is_none() {
        let (server, _, health) = server();
        let (head, body) = ask(&server, "GET /health");
        assert!(head.starts_with("http/1.1 503 ") && body.starts_with("starting "), "{head} {body}");
        health.well();
        let (head, body) = ask(&server, "GET /health");
        assert!(head.starts_with("http/1.1 200 ") && body == "ok\n", "{head} {body}");
        health.ailing("no broker answers");
        let (head, body) = ask(&server, "GET /health");
        assert!(
            head.starts_with("http/1.1 503 ") && body == "no broker answers (for 0 s)\n",
            "{head} {body}"
        );
    }

    #[test]
    fn nothing_else_is_there() {
        let (server, ..) = server();
        for (request, status) in [
            ("GET /", "404"),
            ("GET /metrics/", "404"),
            ("GET /../../etc/passwd", "404"),
            ("POST /metrics", "405"),
            ("DELETE /health", "405"),
        ] {
            let (head, _) = ask(&server, request);
            assert!(head.starts_with(&format!("http/1.1 {status} ")), "{request}: {head}");
        }
    }

    #[test]
    fn it_ends_with_its_command_though_a_client_hangs() {
        let (server, ..) = server();
        let address = server.address();
        let mut hanging = TcpStream::connect(address).unwrap();
        hanging.write_all(b"GET /metrics HTTP/1.1\r\n").unwrap(); // never ends
        ask(&server, "GET /health");
        let begun = Instant::now();
        drop(server);
        assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
        assert!(TcpStream::connect(address).is_err(), "the port is free again");
    }
}
