//! `khs serve`: the KHS API, until it is stopped.

use crate::cli::args::{Common, ServeArgs};
use crate::cli::console::Console;
use crate::cli::data_folder::{DataFolder, today_in_japan};
use crate::cli::signals::caught;
use crate::cli::{Exit, Usage};
use crate::khs::serve::{ServeOptions, Server};
use serde_json::json;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;
use tsumiage_pipeline::stop::Stop;

/// So soon a stop signal is told of.
const HEED: Duration = Duration::from_millis(200);

/// Serves until it is stopped by SIGTERM or SIGINT, which is no failure.
///
/// # Errors
/// Something it needs cannot be read, or the address is not ours to take.
pub fn serve(common: &Common, args: &ServeArgs, console: &Console<'_>) -> anyhow::Result<Exit> {
    let folder = DataFolder::to_read(common)?;
    if !args.tokens.is_file() {
        let tokens = args.tokens.display();
        let how = format!("make it with `tsumiage khs token new --tokens {tokens} --insurer NO`");
        return Err(Usage(format!("there is no token file {tokens}; {how}")).into());
    }
    let stop = Stop::default();
    let _caught = caught(&stop)?;
    let (tell, told) = channel();
    let server = Server::start(options(common, args, folder), tell)?;
    if args.signing_key.is_none() {
        console.note("no --signing-key: download addresses end with this process");
    }
    listens(&server, args, console);
    while !stop.is_asked() {
        match told.recv_timeout(HEED) {
            Ok(text) => console.complain(&text),
            Err(RecvTimeoutError::Timeout) if server.is_serving() => {}
            Err(_) => anyhow::bail!("a thread of the server died: a fault of the program"),
        }
    }
    console.note("stopping: answers under way may end; a second signal ends at once");
    server.stop();
    Ok(Exit::Done)
}

fn options(common: &Common, args: &ServeArgs, folder: DataFolder) -> ServeOptions {
    let on = common.on;
    ServeOptions {
        audit: args.audit.clone().unwrap_or_else(|| folder.path.join("khs/audit.ndjson")),
        settings: folder.settings.khs,
        khs: folder.spec.khs,
        data: folder.path,
        tokens: args.tokens.clone(),
        listen: args.listen,
        signing_key: args.signing_key.clone(),
        public_url: args.public_url.clone(),
        tls: args.tls_cert.clone().zip(args.tls_key.clone()),
        metrics: args.metrics,
        threads: folder.settings.threads,
        today: Box::new(move || on.unwrap_or_else(today_in_japan)),
    }
}

fn listens(server: &Server, args: &ServeArgs, console: &Console<'_>) {
    let (scheme, address) = (server.scheme, server.address);
    let [file, json] = server.paths();
    let mut text = format!("serves {scheme}://{address}{json} and {scheme}://{address}{file}");
    let mut event = json!({"event": "listening", "address": address.to_string()});
    if let Some(metrics) = server.metrics {
        text = format!("{text}; http://{metrics}/metrics and http://{metrics}/health");
        event["metrics"] = json!(metrics.to_string());
    }
    if let Some(public) = &args.public_url {
        text = format!("{text}; reached at {public}");
    }
    console.note(&text);
    console.event(&event);
}
