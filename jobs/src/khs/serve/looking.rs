//! What is looked at every second: whether data, tokens or the audit log changed, and whether what was wrong still is.
//!
//! Promise: nothing that goes wrong here ends the server, and what is well again is found to be so without a request.

use super::api::Api;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError};
use std::time::Duration;
use tokio::task::spawn_blocking;
use tokio::time::sleep;

/// So often it is looked.
const LOOK: Duration = Duration::from_secs(1);

/// Looks until it is aborted. The audit log does not wait until a large ledger is read.
pub async fn looking(api: Arc<Api>) {
    futures::join!(every(Arc::clone(&api), data), every(api, audit));
}

async fn every(api: Arc<Api>, look: fn(&Api)) {
    loop {
        sleep(LOOK).await;
        let looker = Arc::clone(&api);
        let looked = spawn_blocking(move || look(&looker)).await;
        let is_at_fault = looked.is_err_and(|error| error.is_panic());
        if turned(&api.troubles.not_looked, is_at_fault) && is_at_fault {
            let what = "a fault of the program while it looked what changed; it is looked again every second";
            api.tell(what.to_owned());
        }
    }
}

/// Looks at everything once.
#[cfg(test)]
pub fn look(api: &Api) {
    data(api);
    audit(api);
}

/// Looks at data and tokens once.
fn data(api: &Api) {
    let tell = api.tell.lock().unwrap_or_else(PoisonError::into_inner).clone();
    api.state.refresh(&api.metrics, &tell);
}

/// Looks at the audit log once.
fn audit(api: &Api) {
    let path = api.audit.path().display();
    let followed = api.audit.follow();
    if turned(&api.troubles.not_followed, followed.is_err()) {
        api.tell(match followed {
            Ok(()) => format!("{path}: the audit log is in its place again"),
            Err(error) => format!(
                "{path}: {error}: the audit log was moved away and no new one can be begun; lines go into the old one"
            ),
        });
    }
    if let Err(error) = api.audit.summarise() {
        api.cannot_audit(&error);
    }
    if api.troubles.unaudited.load(Ordering::Relaxed)
        && api.audit.probe().is_ok()
        && turned(&api.troubles.unaudited, false)
    {
        api.tell(format!("{path}: the audit log can be written again"));
    }
}

/// Sets whether something is so; whether that is news.
fn turned(flag: &AtomicBool, is_so: bool) -> bool {
    flag.swap(is_so, Ordering::Relaxed) != is_so
}
