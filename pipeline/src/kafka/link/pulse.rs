//! How the link does, as librdkafka tells it.

use super::Options;
use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::KafkaError as RdError;
use rdkafka::statistics::Statistics;
use rdkafka::types::RDKafkaErrorCode;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How the link does. Told by librdkafka's own threads; may lag behind by some seconds.
#[derive(Debug, Default)]
pub struct Pulse(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    down: bool,
    last_error: Option<String>,
    ends: BTreeMap<i32, i64>,
    retries: BTreeMap<String, u64>,
}

impl Pulse {
    /// No broker can be reached.
    pub fn is_down(&self) -> bool {
        self.state().down
    }

    /// What librdkafka said last about the connection, without secrets; none since it last was well.
    pub fn last_error(&self) -> Option<String> {
        self.state().last_error.clone()
    }

    /// The offset before which each partition of the consumer ends, where it is known.
    pub fn ends(&self) -> BTreeMap<i32, i64> {
        self.state().ends.clone()
    }

    /// Requests that librdkafka sent again.
    pub fn retries(&self) -> u64 {
        self.state().retries.values().sum()
    }

    /// A broker answered.
    pub fn well(&self) {
        let mut state = self.state();
        state.down = false;
        state.last_error = None;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn failed(&self, code: Option<RDKafkaErrorCode>, reason: String) {
        let mut state = self.state();
        if code == Some(RDKafkaErrorCode::AllBrokersDown) {
            // `1/1 brokers are down`; `0/1` if it is over by now. The error before it says why.
            state.down = !reason.starts_with("0/");
        } else {
            state.last_error = Some(reason);
        }
    }

    /// A connection broke; what librdkafka calls an error says more.
    fn dropped(&self, what: &str) {
        self.state().last_error.get_or_insert_with(|| what.to_owned());
    }

    fn told(&self, statistics: &Statistics) {
        let brokers = || statistics.brokers.values();
        if brokers().any(|broker| broker.state == "UP") {
            self.well();
        }
        let mut state = self.state();
        state.retries.insert(statistics.name.clone(), brokers().map(|broker| broker.txretries).sum());
        if statistics.client_type == "consumer" {
            let partitions = statistics.topics.values().flat_map(|topic| topic.partitions.values());
            // Its own `consumer_lag` knows only of offsets kept by the broker, where we keep none.
            let known = partitions.filter(|p| p.partition >= 0 && p.hi_offset >= 0);
            state.ends = known.map(|p| (p.partition, p.hi_offset)).collect();
        }
    }
}

/// Takes what librdkafka says: log lines to `tracing`, errors and statistics to [`Pulse`].
#[derive(Clone, Debug)]
pub struct LinkContext {
    options: Options,
    pulse: Arc<Pulse>,
}

impl LinkContext {
    pub(super) fn new(options: Options, pulse: Arc<Pulse>) -> LinkContext {
        LinkContext { options, pulse }
    }

    /// How the link does.
    pub fn pulse(&self) -> &Pulse {
        &self.pulse
    }
}

impl ClientContext for LinkContext {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, line: &str) {
        use RDKafkaLogLevel as Level;
        let line = self.options.scrub(line);
        // One file of options serves producer and consumer; that one ignores the other's is no news.
        if facility == "CONFWARN" && line.contains("will be ignored by this") {
            return tracing::debug!(target: "librdkafka", facility, "{line}");
        }
        if facility == "FAIL" {
            self.pulse.dropped(line.split_once("]: ").map_or(&*line, |(_, what)| what));
        }
        match level {
            Level::Emerg | Level::Alert | Level::Critical => {
                tracing::error!(target: "librdkafka", facility, "{line}");
            }
            // It goes on trying by itself; what fails for good comes back as an error of ours.
            Level::Error | Level::Warning => tracing::warn!(target: "librdkafka", facility, "{line}"),
            Level::Notice | Level::Info => tracing::info!(target: "librdkafka", facility, "{line}"),
            Level::Debug => tracing::debug!(target: "librdkafka", facility, "{line}"),
        }
    }

    fn stats(&self, statistics: Statistics) {
        self.pulse.told(&statistics);
    }

    fn error(&self, error: RdError, reason: &str) {
        let reason = self.options.scrub(steady(reason));
        tracing::debug!(target: "librdkafka", "{reason}");
        self.pulse.failed(error.rdkafka_error_code(), reason);
    }
}

impl ConsumerContext for LinkContext {}

/// What librdkafka says, without its timing: that is another one each time the same is said.
fn steady(reason: &str) -> &str {
    reason.find(" (after ").map_or(reason, |at| &reason[..at])
}
