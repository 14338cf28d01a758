//! `khs serve`: the KHS API, until it is stopped.

use crate::cli::args::{Common, ServeArgs};
use crate::cli::console::Console;
use crate::cli::data_folder::{DataFolder, today_in_japan};
use crate::cli::signals::caught;
use crate::cli::{Exit, Usage};
use crate::khs::serve::{ServeOptions, Server};
use serde_json::json;
use std::path::Path;
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
    listens(&server, args, console);
    notes(&server, common, args).iter().for_each(|note| console.note(note));
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

/// What an operator may not have meant.
fn notes(server: &Server, common: &Common, args: &ServeArgs) -> Vec<String> {
    let mut notes = Vec::new();
    if args.signing_key.is_none() {
        notes.push("no --signing-key: download addresses end with this process".to_owned());
    }
    let keys = [(&args.signing_key, "the signing key"), (&args.tls_key, "the TLS key")];
    for (path, what) in keys.iter().filter_map(|(path, what)| Some((path.as_ref()?, what))) {
        if is_open(path) {
            let path = path.display();
            notes.push(format!(
                "{path}: every user of this machine can read {what}; `chmod o= {path}` ends that"
            ));
        }
    }
    if server.scheme == "http" && !server.address.ip().to_canonical().is_loopback() {
        let what = "tokens and people's records go in the clear, unless a proxy with TLS stands before this";
        notes.push(format!("no --tls-cert: {what}"));
    }
    if let Some(day) = common.on {
        notes.push(format!("--on {day}: the day stands still; tokens and memberships do not end meanwhile"));
    }
    notes
}

/// Whether users other than a file's owner and group can read it.
#[cfg(unix)]
fn is_open(path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata(path).is_ok_and(|metadata| metadata.mode() & 0o004 != 0)
}

#[cfg(not(unix))]
fn is_open(_: &Path) -> bool {
    false
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::fs::{Permissions, set_permissions, write};
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_key_that_everybody_can_read_is_seen() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        write(&path, "key").unwrap();
        for (mode, open) in [(0o600, false), (0o640, false), (0o644, true), (0o604, true)] {
            set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            assert_eq!(is_open(&path), open, "{mode:o}");
        }
        assert!(!is_open(&folder.path().join("none")));
    }
}
