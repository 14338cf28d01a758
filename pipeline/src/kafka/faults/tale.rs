//! What happened, so that it is seen that something did.

use crate::kafka::assembly::Why;
use crate::kafka::sink::Polled;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// What happened in a run, or in all.
#[derive(Debug, Default)]
pub struct Tale {
    pub failed_attempts: AtomicU64,
    pub messages: AtomicU64,
    pub dropped_again: AtomicU64,
    pub dropped_known: AtomicU64,
    pub dropped_contradicting: AtomicU64,
    pub dropped_not_ours: AtomicU64,
    pub away: AtomicU64,
    pub failed_polls: AtomicU64,
    pub crashes: AtomicU64,
    pub commits: AtomicU64,
    pub waiting: AtomicU64,
    pub orphans: AtomicU64,
    /// Runs that show nothing, since the mock cluster forgot messages.
    pub forgot: AtomicU64,
}

impl Tale {
    pub fn add(counter: &AtomicU64, n: u64) {
        counter.fetch_add(n, Relaxed);
    }

    pub fn polled(&self, polled: &Polled) {
        let counter = match polled {
            Polled::Message { dropped: None, .. } => &self.messages,
            Polled::Message { dropped: Some(Why::Again), .. } => &self.dropped_again,
            Polled::Message { dropped: Some(Why::Known), .. } => &self.dropped_known,
            Polled::Message { dropped: Some(Why::Contradicts), .. } => &self.dropped_contradicting,
            Polled::Message { dropped: Some(Why::NotOurs(_)), .. } => &self.dropped_not_ours,
            Polled::Away(_) => &self.away,
            Polled::Nothing | Polled::End => return,
        };
        Tale::add(counter, 1);
    }

    fn counters(&self) -> [(&'static str, &AtomicU64); 12] {
        [
            ("failed attempts", &self.failed_attempts),
            ("messages", &self.messages),
            ("read again", &self.dropped_again),
            ("of known files", &self.dropped_known),
            ("that contradict", &self.dropped_contradicting),
            ("not ours", &self.dropped_not_ours),
            ("no broker", &self.away),
            ("sinks that failed", &self.failed_polls),
            ("sinks killed", &self.crashes),
            ("commits", &self.commits),
            ("polls while a seal waited", &self.waiting),
            ("orphans", &self.orphans),
        ]
    }

    pub fn plus(&self, other: &Tale) {
        for ((_, sum), (_, counter)) in self.counters().into_iter().zip(other.counters()) {
            Tale::add(sum, counter.load(Relaxed));
        }
        Tale::add(&self.forgot, other.forgot.load(Relaxed));
    }

    /// What never happened.
    pub fn never(&self) -> Vec<&'static str> {
        let counters = self.counters().into_iter();
        counters.filter(|(_, counter)| counter.load(Relaxed) == 0).map(|(name, _)| name).collect()
    }
}

impl fmt::Display for Tale {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = self.counters().map(|(name, counter)| format!("{} {name}", counter.load(Relaxed)));
        write!(f, "{}; the mock cluster forgot {} times", all.join(", "), self.forgot.load(Relaxed))
    }
}
