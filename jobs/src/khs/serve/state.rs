//! What is in force: what is served, and the tokens; read again when they change.
//!
//! Promise: a request sees one state from its beginning to its end. What cannot be read leaves what was served before in
//! force, is told, and is tried again.

use super::limits::Rates;
use super::metrics::Metrics;
use super::served::{DataMark, Place, Served, caught};
use super::watched::{Looks, Watched, looks};
use crate::khs::tokens::Tokens;
use std::path::Path;
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use tsumiage_pipeline::disk::DiskError;

/// Who may ask, and how often.
pub struct Gate {
    /// The tokens there are.
    pub tokens: Tokens,
    /// What they have used up.
    pub rates: Rates,
}

/// What is served now.
pub struct State {
    place: Place,
    served: RwLock<Arc<Served>>,
    gate: RwLock<Arc<Gate>>,
    data: Mutex<Watched<DataMark>>,
    tokens: Mutex<Watched<Looks>>,
}

impl State {
    /// Reads everything for the first time.
    ///
    /// # Errors
    /// The token file or the data folder cannot be read.
    pub fn new(place: Place) -> Result<State, DiskError> {
        let (token_mark, tokens) = loop {
            let (mark, tokens) = tokens_of(&place.tokens);
            if let Some(tokens) = tokens {
                break (mark, tokens?);
            }
        };
        let (mark, served) = place.first()?;
        let rates = Rates::new(&place.settings).renewed(&tokens);
        Ok(State {
            served: RwLock::new(Arc::new(served)),
            gate: RwLock::new(Arc::new(Gate { tokens, rates })),
            data: Mutex::new(Watched::new(mark)),
            tokens: Mutex::new(Watched::new(token_mark)),
            place,
        })
    }

    /// The people and unions served now.
    pub fn served(&self) -> Arc<Served> {
        Arc::clone(&self.served.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The tokens in force now.
    pub fn gate(&self) -> Arc<Gate> {
        Arc::clone(&self.gate.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Serves something else, until data change.
    #[cfg(test)]
    pub fn replace(&self, served: Served) {
        *self.served.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(served);
    }

    /// Why not the newest is served, if it is so; what exactly is wrong is for the operator only.
    pub fn fault(&self) -> Option<&'static str> {
        if guard(&self.tokens).is_at_fault() {
            return Some("the newest tokens cannot be read; those read before are in force");
        }
        let data = guard(&self.data).is_at_fault();
        data.then_some("the newest data cannot be read; those read before are served")
    }

    /// Reads again what changed.
    pub fn refresh(&self, metrics: &Metrics, tell: &Sender<String>) {
        self.refresh_tokens(metrics, tell);
        self.refresh_data(metrics, tell);
        self.count(metrics);
    }

    /// Tells metrics what is served.
    pub fn count(&self, metrics: &Metrics) {
        metrics.people.set(i64::try_from(self.served().people.len()).unwrap_or(i64::MAX));
        metrics.tokens.set(i64::try_from(self.gate().tokens.all().len()).unwrap_or(i64::MAX));
        metrics.fresh.set(i64::from(self.fault().is_none()));
    }

    fn refresh_tokens(&self, metrics: &Metrics, tell: &Sender<String>) {
        if !guard(&self.tokens).is_due(&looks(&self.place.tokens)) {
            return;
        }
        let (mark, Some(read)) = tokens_of(&self.place.tokens) else { return }; // until the next look
        metrics.reload("tokens", read.is_ok());
        let fault = read.as_ref().err().map(ToString::to_string);
        if let Ok(tokens) = read {
            let rates = self.gate().rates.renewed(&tokens);
            *self.gate.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(Gate { tokens, rates });
        }
        guard(&self.tokens).outcome(mark, fault, tell, "the tokens");
    }

    fn refresh_data(&self, metrics: &Metrics, tell: &Sender<String>) {
        if !guard(&self.data).is_due(&self.place.mark()) {
            return;
        }
        let (mark, read) = self.place.read();
        metrics.reload("data", read.is_ok());
        let fault = read.as_ref().err().map(ToString::to_string);
        if let Ok(served) = read {
            *self.served.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(served);
        }
        guard(&self.data).outcome(mark, fault, tell, "the data");
    }
}

/// The tokens of a file and how it looks; none if somebody is just writing it.
fn tokens_of(path: &Path) -> (Looks, Option<Result<Tokens, DiskError>>) {
    let mark = looks(path);
    let read = caught(path, || Tokens::read(path));
    let is_at_rest = looks(path) == mark;
    (mark, is_at_rest.then_some(read))
}

fn guard<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
