//! Whether a worker or a sink is well, for whoever starts it anew when it is not.
//!
//! Promise: one line, without values of options, secrets or people's data; it decides nothing.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

/// How a running worker or sink is; clones tell of the same one.
#[derive(Clone, Debug)]
pub struct Health(Arc<Mutex<State>>);

#[derive(Debug)]
enum State {
    Well,
    /// Why it is not, and since when.
    Ailing(String, Instant),
}

impl Default for Health {
    /// Of one that is starting: not well yet.
    fn default() -> Health {
        Health(Arc::new(Mutex::new(State::Ailing("starting".to_owned(), Instant::now()))))
    }
}

impl Health {
    /// It is well: its last try at whatever it does went through.
    pub fn well(&self) {
        self.set(|_| State::Well);
    }

    /// It is not well, and why: one line that names no option's value. Said again with the same words it keeps
    /// the time since which it is so.
    pub fn ailing(&self, why: &str) {
        let why = why.split_whitespace().collect::<Vec<_>>().join(" ");
        self.set(|before| match before {
            State::Ailing(said, since) if *said == why => State::Ailing(why, *since),
            _ => State::Ailing(why, Instant::now()),
        });
    }

    /// `None` if it is well, else why not and for how long.
    pub fn reason(&self) -> Option<String> {
        match &*self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            State::Well => None,
            State::Ailing(why, since) => Some(format!("{why} (for {} s)", since.elapsed().as_secs())),
        }
    }

    fn set(&self, to: impl FnOnce(&State) -> State) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *state = to(&state);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a test may fail loudly
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn it_starts_unwell_and_says_why_in_one_line() {
        let health = Health::default();
        assert_eq!(health.reason().unwrap(), "starting (for 0 s)");
        let other = health.clone();
        other.well();
        assert_eq!(health.reason(), None);
        health.ailing("no broker\nanswers");
        assert_eq!(other.reason().unwrap(), "no broker answers (for 0 s)");
    }

    #[test]
    fn the_same_reason_keeps_its_time_and_another_does_not() {
        let health = Health::default();
        health.ailing("no broker answers");
        let long_ago = Instant::now().checked_sub(Duration::from_secs(90)).unwrap();
        health.set(|_| State::Ailing("no broker answers".to_owned(), long_ago));
        health.ailing("no broker answers");
        assert_eq!(health.reason().unwrap(), "no broker answers (for 90 s)");
        health.ailing("the disk is full");
        assert_eq!(health.reason().unwrap(), "the disk is full (for 0 s)");
    }
}
