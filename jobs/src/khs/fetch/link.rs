//! Requests to a KHS API, tried again with growing pauses while that may help.

use super::{Watch, legible};
use anyhow::{Context, bail};
use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tsumiage_pipeline::disk::io;
use tsumiage_schemas::khs::name;
use ureq::http::{Response, StatusCode};
use ureq::tls::{PemItem, RootCerts, TlsConfig, parse_pem};
use ureq::{Agent, Body};
use url::Url;

/// The first pause; each is twice the one before.
const FIRST_PAUSE: Duration = Duration::from_millis(500);

/// The longest pause, also where the server wants a longer one.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// So long a connection, an answer's beginning, and each piece of it may take.
const CONNECT: Duration = Duration::from_secs(10);
const ANSWER: Duration = Duration::from_secs(120);
const PIECE: Duration = Duration::from_secs(60);

/// So often a download may be sent on.
const MOST_REDIRECTS: u32 = 5;

/// Most bytes of an answer: seven digits of records, some 200 bytes each.
pub(super) const MOST_BYTES: u64 = 4 << 30;

/// Whose certificates are believed.
#[derive(Clone, Debug)]
pub enum Trust {
    /// The public authorities'.
    Public,
    /// Those of the authorities in this file.
    Only(RootCerts),
}

impl Trust {
    /// Reads a file of authorities' certificates.
    ///
    /// # Errors
    /// It cannot be read, or has none.
    pub fn of(file: &Path) -> anyhow::Result<Trust> {
        let pem = std::fs::read(file).map_err(io(file))?;
        let certificates = parse_pem(&pem).filter_map(|item| match item {
            Ok(PemItem::Certificate(certificate)) => Some(certificate),
            _ => None,
        });
        let certificates: Vec<_> = certificates.collect();
        if certificates.is_empty() {
            bail!("{} has no certificate (PEM)", file.display());
        }
        Ok(Trust::Only(RootCerts::Specific(Arc::new(certificates))))
    }
}

/// The way to a server.
pub struct Link {
    /// For requests with the token: it goes where the operator says and nowhere else.
    agent: Agent,
    /// For downloads, which have no token; object stores send on to others.
    loader: Agent,
    token: String,
    requester: String,
    /// Times a request is tried.
    pub attempts: u32,
}

/// An answer, its body in a file.
pub(super) struct Answered {
    pub file: File,
    pub status: u16,
}

/// Why a request is tried again.
struct Again {
    why: String,
    /// The server names a pause.
    after: Option<Duration>,
}

impl Link {
    /// A link with a requester's token; `only_https` where it began so.
    pub fn new(token: String, requester: String, trust: Trust, attempts: u32, only_https: bool) -> Link {
        let roots = match trust {
            Trust::Public => RootCerts::WebPki,
            Trust::Only(roots) => roots,
        };
        let agent = |redirects: u32| {
            let config = Agent::config_builder()
                .http_status_as_error(false)
                .max_redirects(redirects)
                .https_only(only_https)
                .user_agent(concat!("tsumiage/", env!("CARGO_PKG_VERSION")))
                .timeout_connect(Some(CONNECT))
                .timeout_recv_response(Some(ANSWER))
                .timeout_per_read(Some(PIECE))
                .tls_config(TlsConfig::builder().root_certs(roots.clone()).build())
                .build();
            Agent::new_with_config(config)
        };
        Link { agent: agent(0), loader: agent(MOST_REDIRECTS), token, requester, attempts }
    }

    /// Posts JSON until there is an answer that another attempt would not change.
    pub(super) fn post(&self, url: &Url, body: &[u8], watch: &dyn Watch) -> anyhow::Result<Answered> {
        self.tried(watch, &mut || {
            let request = self
                .agent
                .post(url.as_str())
                .header("Content-Type", "application/json")
                .header("Authorization", &self.token)
                .header(name::INSURER_NO, &self.requester);
            let answer = request.send(body).map_err(|error| Again::of(&error))?;
            kept(answer)
        })
    }

    /// Gets what lies at an address, from a byte on if it is the file of a tag still, without the token. The answer's
    /// body is to be read.
    pub(super) fn get(&self, url: &Url, from: Option<(u64, &str)>) -> Result<Response<Body>, String> {
        let mut request = self.loader.get(url.as_str()).header("Accept-Encoding", "identity");
        if let Some((from, tag)) = from {
            request = request.header("Range", format!("bytes={from}-")).header("If-Range", tag);
        }
        request.call().map_err(|error| Again::of(&error).why)
    }

    /// Waits before the next attempt.
    pub(super) fn pause(&self, attempt: u32, after: Option<Duration>) {
        let growing = FIRST_PAUSE.saturating_mul(1 << attempt.saturating_sub(1).min(10));
        std::thread::sleep(after.unwrap_or(growing).min(LONGEST_PAUSE));
    }

    fn tried<T>(
        &self,
        watch: &dyn Watch,
        once: &mut dyn FnMut() -> Result<anyhow::Result<T>, Again>,
    ) -> anyhow::Result<T> {
        let mut attempt = 1;
        loop {
            match once() {
                Ok(answer) => return answer,
                Err(Again { why, .. }) if attempt >= self.attempts => {
                    let times = if attempt == 1 { "once".to_owned() } else { format!("{attempt} times") };
                    bail!("{why}; tried {times}");
                }
                Err(Again { why, after }) => {
                    watch.note(&format!("{why}; tries again"));
                    self.pause(attempt, after);
                    attempt += 1;
                }
            }
        }
    }
}

impl Again {
    fn of(error: &ureq::Error) -> Again {
        Again { why: format!("no answer: {}", legible(&error.to_string())), after: None }
    }
}

/// Whether another attempt may help.
pub(super) fn may_pass(status: StatusCode) -> bool {
    matches!(status.as_u16(), 408 | 425 | 429 | 500 | 502 | 503 | 504)
}

/// The pause that a server wants.
pub(super) fn retry_after(answer: &Response<Body>) -> Option<Duration> {
    let after = answer.headers().get("Retry-After")?.to_str().ok()?.parse().ok()?;
    Some(Duration::from_secs(after))
}

/// The body of an answer in a file, or why it is asked for again.
fn kept(mut answer: Response<Body>) -> Result<anyhow::Result<Answered>, Again> {
    let status = answer.status();
    if may_pass(status) {
        let after = retry_after(&answer);
        return Err(Again { why: format!("the server answered {}", status.as_u16()), after });
    }
    if status.is_redirection() {
        let to = answer.headers().get("Location").and_then(|to| to.to_str().ok()).unwrap_or("elsewhere");
        let what =
            format!("the server sends requests on to {}; give that as --url if it is right", legible(to));
        return Ok(Err(anyhow::anyhow!(what)));
    }
    // Without a name: nobody's records are left behind, however the program ends.
    let mut file = match tempfile::tempfile().context("a file for the answer") {
        Ok(file) => file,
        Err(error) => return Ok(Err(error)),
    };
    let mut body = answer.body_mut().with_config().limit(MOST_BYTES).reader();
    match copied(&mut body, &mut file) {
        Ok(_) => Ok(Ok(Answered { file, status: status.as_u16() })),
        Err(Broken::Off(why)) => {
            Err(Again { why: format!("the answer broke off: {}", legible(&why)), after: None })
        }
        Err(Broken::Disk(error)) => Ok(Err(anyhow::Error::from(error).context("a file for the answer"))),
    }
}

/// Why copying ended early.
pub(super) enum Broken {
    /// The connection broke off.
    Off(String),
    /// The target cannot be written.
    Disk(std::io::Error),
}

/// Copies what comes.
pub(super) fn copied(source: &mut dyn std::io::Read, target: &mut dyn std::io::Write) -> Result<u64, Broken> {
    let mut buffer = vec![0; 64 << 10];
    let mut sum = 0;
    loop {
        match source.read(&mut buffer) {
            Ok(0) => return Ok(sum),
            Ok(read) => {
                target.write_all(&buffer[..read]).map_err(Broken::Disk)?;
                sum += read as u64;
            }
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(Broken::Off(error.to_string())),
        }
    }
}
