//! The KHS API served (IF-I6-01-04-01 and IF-I6-01-04-02; domain 6).
//!
//! * `access` who may ask for whom, `request` what a request says, `answer` and `refusal` what it is answered,
//!   `interfaces` the way from one to the other, `routes` which path leads where
//! * `file` the download, `addresses` and `signing` what leads to it
//! * `served` what is served, `state` what of it is in force, `watched` and `looking` when it is read again, `rows` people as
//!   text, `document` many of them
//! * `limits` of requests, `net` and `places` of connections
//! * `api` what all need, `audit` who asked, `metrics` how often, `openapi` how to ask
//!
//! Promise: nobody reads another insurer's people, nobody is told anything that is not in the audit log, and no input
//! ends the server.

mod access;
mod addresses;
mod answer;
mod api;
mod audit;
mod document;
mod file;
mod interfaces;
mod limits;
mod looking;
mod metrics;
mod net;
mod openapi;
mod places;
mod refusal;
mod request;
mod routes;
mod rows;
mod served;
mod shape;
mod signing;
mod state;
#[cfg(test)]
mod tests;
mod watched;

use super::settings::KhsSettings;
use crate::serve::Address;
use addresses::Bases;
use anyhow::Context;
use api::Api;
pub use api::Today;
use audit::Audit;
use looking::looking;
use metrics::Metrics;
use net::Net;
use places::Places;
use served::Place;
use signing::Signer;
use state::State;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::Duration;
use tokio::runtime::Runtime;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tsumiage_schemas::khs::{Khs, name};

/// Connections at once to an address for metrics and health alone.
const WATCHERS: usize = 64;

/// What a request is about, as audit log and metrics call it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interface {
    /// IF-I6-01-04-02.
    Json,
    /// IF-I6-01-04-01.
    File,
    /// The file behind its address.
    Download,
    /// None that there is.
    None,
}

impl Interface {
    const ALL: [Interface; 4] = [Interface::Json, Interface::File, Interface::Download, Interface::None];

    fn label(self) -> &'static str {
        match self {
            Interface::Json => "json",
            Interface::File => "file",
            Interface::Download => "download",
            Interface::None => "none",
        }
    }
}

/// What is served, and how.
pub struct ServeOptions {
    /// Data folder.
    pub data: PathBuf,
    /// Its settings.
    pub settings: KhsSettings,
    /// Messages.
    pub khs: Khs,
    /// File of tokens.
    pub tokens: PathBuf,
    /// Where.
    pub listen: Address,
    /// File of the key that signs download addresses; none = a new key.
    pub signing_key: Option<PathBuf>,
    /// What download addresses begin with; none = as the request names the host.
    pub public_url: Option<String>,
    /// Certificate chain and private key.
    pub tls: Option<(PathBuf, PathBuf)>,
    /// Where metrics and health are instead.
    pub metrics: Option<Address>,
    /// Audit log.
    pub audit: PathBuf,
    /// Threads; 0 = as many as there are cores.
    pub threads: usize,
    /// Which day it is in Japan.
    pub today: Box<Today>,
}

/// A server at work until it is stopped.
pub struct Server {
    runtime: Runtime,
    /// Where it serves.
    pub address: SocketAddr,
    /// Where metrics and health are, if they are not there too.
    pub metrics: Option<SocketAddr>,
    /// http or https.
    pub scheme: &'static str,
    paths: (String, String),
    stop: watch::Sender<bool>,
    serving: Vec<JoinHandle<()>>,
    looking: JoinHandle<()>,
    api: Arc<Api>,
}

impl Server {
    /// Reads everything and begins to serve. What the operator should know later goes to `tell`.
    ///
    /// # Errors
    /// Something cannot be read, an option cannot be right, or the address is not ours to take.
    pub fn start(options: ServeOptions, tell: Sender<String>) -> anyhow::Result<Server> {
        let tls = options.tls.as_ref().map(|(chain, key)| net::tls(chain, key)).transpose()?;
        let scheme = if tls.is_some() { "https" } else { "http" };
        let (listener, address) = listening(options.listen)?;
        let watched = options.metrics.map(listening).transpose()?;
        let (beside, settings) = (watched.is_none(), options.settings.clone());
        let (public, threads) = (options.public_url.clone(), options.threads);
        let api = Arc::new(read(options, address, tls.is_some(), tell.clone())?);
        let runtime = runtime(threads)?;
        let (stop, stopped) = watch::channel(false);
        let seconds = |seconds: u32| Duration::from_secs(seconds.into());
        let net = |tls, places, of_peer| Net {
            tls,
            request: seconds(settings.request_seconds),
            stall: seconds(settings.stall_seconds),
            answer: seconds(settings.answer_seconds),
            slowest: net::SLOWEST,
            places: Arc::new(Places::new(places, of_peer, api.metrics.connections.clone())),
        };
        let document = openapi::document(&api.khs, &settings, beside, public.as_deref());
        let router = routes::router(&api, beside, document.to_string());
        let inside = runtime.enter();
        let begin = |listener| tokio::net::TcpListener::from_std(listener);
        let main = Arc::new(net(tls, settings.connections, settings.connections_per_peer));
        let accepting = net::accept(begin(listener)?, router, main, stopped.clone(), tell.clone());
        let mut serving = vec![runtime.spawn(accepting)];
        let metrics = watched.as_ref().map(|(_, address)| *address);
        if let Some((listener, _)) = watched {
            let (router, net) = (routes::watching(&api), Arc::new(net(None, WATCHERS, WATCHERS)));
            serving.push(runtime.spawn(net::accept(begin(listener)?, router, net, stopped, tell)));
        }
        let looking = runtime.spawn(looking(Arc::clone(&api)));
        drop(inside);
        let paths = (settings.file_path, settings.json_path);
        Ok(Server { runtime, address, metrics, scheme, paths, stop, serving, looking, api })
    }

    /// Paths of IF-I6-01-04-01 and IF-I6-01-04-02.
    pub fn paths(&self) -> [&str; 2] {
        [&self.paths.0, &self.paths.1]
    }

    /// Whether it still serves; if not, the program has a fault.
    pub fn is_serving(&self) -> bool {
        !self.looking.is_finished() && !self.serving.iter().any(JoinHandle::is_finished)
    }

    /// Takes no more requests, lets answers under way end, but not for long.
    pub fn stop(self) {
        let Server { runtime, stop, serving, looking, api, .. } = self;
        let _ = stop.send(true); // whoever listens is there until then
        for accepting in serving {
            let _ = runtime.block_on(accepting); // a fault was told already
        }
        looking.abort();
        let _ = api.audit.summarise(); // told while the server ran
        runtime.shutdown_background();
    }
}

/// All that answers need, read and checked.
fn read(options: ServeOptions, own: SocketAddr, tls: bool, tell: Sender<String>) -> anyhow::Result<Api> {
    let signer = match &options.signing_key {
        Some(path) => Signer::of_file(path)?,
        None => Signer::random()?,
    };
    let url =
        options.khs.file_response.field(name::URL).context("the file interface has no presigned_url")?;
    let bases = Bases::new(options.public_url.as_deref(), tls, own, &options.settings, url)?;
    let state = State::new(Place {
        data: options.data,
        tokens: options.tokens,
        person: options.khs.person.clone(),
        settings: options.settings.clone(),
    })?;
    let metrics = Metrics::new(env!("CARGO_PKG_VERSION"));
    state.count(&metrics);
    Ok(Api {
        khs: options.khs,
        settings: options.settings,
        state,
        signer,
        bases,
        audit: Audit::open(&options.audit)?,
        troubles: api::Troubles::default(),
        metrics,
        today: options.today,
        tell: std::sync::Mutex::new(tell),
    })
}

fn runtime(threads: usize) -> std::io::Result<Runtime> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    if threads > 0 {
        builder.worker_threads(threads);
    }
    builder.thread_name("khs").enable_io().enable_time().build()
}

fn listening(at: Address) -> anyhow::Result<(TcpListener, SocketAddr)> {
    let listener = at.listen()?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    Ok((listener, address))
}
