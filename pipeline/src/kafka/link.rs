//! The link to Kafka: which brokers, which topic, which librdkafka options, and how the link does.
//!
//! Promise: options that the protocol rests on cannot be changed; no value of an option is ever printed, in an
//! error, a log line or a `Debug`, for it may be a secret.

mod error;
mod options;
mod pulse;
#[cfg(test)]
mod tests;

pub use error::{KafkaError, is_away, words};
pub use options::Options;
pub use pulse::{LinkContext, Pulse};

use rdkafka::ClientContext;
use rdkafka::config::{ClientConfig, FromClientConfigAndContext, RDKafkaLogLevel};
use std::sync::Arc;
use std::time::Duration;

/// Every topic of ours begins with it (contract, "Kafka").
pub const TOPIC_PREFIX: &str = "tsumiage.";

/// The topic if none is given.
pub const DEFAULT_TOPIC: &str = "tsumiage.facts";

/// Longest name of a topic that brokers take.
const TOPIC_NAME_BYTES: usize = 249;

/// How long a message may wait for a broker before its attempt fails, unless the options say otherwise.
const MESSAGE_TIMEOUT: Duration = Duration::from_secs(120);

/// Our settings of every client. Names as librdkafka files them, see [`options::canonical`].
const COMMON: &[(&str, &str)] = &[
    ("client.id", "tsumiage"),
    // A topic that a broker makes on its own would forget.
    ("allow.auto.create.topics", "false"),
    ("reconnect.backoff.max.ms", "2000"),
    ("socket.keepalive.enable", "true"),
];

/// Our settings of the producer.
const PRODUCER: &[(&str, &str)] = &[
    ("enable.idempotence", "true"),
    ("request.required.acks", "all"),
    // Batches are compressed already, inside.
    ("compression.codec", "none"),
    ("queue.buffering.max.kbytes", "65536"),
    ("queue.buffering.max.ms", "5"),
    // The broker has the say about a message's size, not librdkafka.
    ("message.max.bytes", "16777216"),
    ("statistics.interval.ms", "5000"),
];

/// Our settings of the consumer. Its group is a name only: partitions are assigned by hand, offsets are ours.
const CONSUMER: &[(&str, &str)] = &[
    ("group.id", "tsumiage"),
    ("enable.auto.commit", "false"),
    ("enable.auto.offset.store", "false"),
    ("auto.offset.reset", "error"),
    ("enable.partition.eof", "true"),
    ("isolation.level", "read_uncommitted"),
    ("check.crcs", "true"),
    ("queued.max.messages.kbytes", "65536"),
    ("fetch.message.max.bytes", "8388608"),
    ("fetch.queue.backoff.ms", "50"),
    ("statistics.interval.ms", "5000"),
];

/// Which brokers, which topic, which options. Its clones share one [`Pulse`].
#[derive(Clone, Debug)]
pub struct Link {
    brokers: String,
    topic: String,
    options: Options,
    pulse: Arc<Pulse>,
}

impl Link {
    /// A link to a topic of brokers given as `host:port,host:port`. Does not talk to them yet.
    ///
    /// # Errors
    /// Brokers or topic are not of their form, or librdkafka refuses an option.
    pub fn new(brokers: &str, topic: &str, options: Options) -> Result<Link, KafkaError> {
        let brokers = brokers.trim();
        // Who writes a password here must not read it in a log.
        if brokers.split(',').any(|broker| broker.trim().is_empty()) || brokers.contains('@') {
            return Err(KafkaError::Brokers);
        }
        let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        let named = topic.strip_prefix(TOPIC_PREFIX).is_some_and(|rest| !rest.is_empty());
        if !named || !topic.chars().all(legal) || topic.len() > TOPIC_NAME_BYTES {
            return Err(KafkaError::TopicName { topic: topic.to_owned() });
        }
        options.check()?;
        let pulse = Arc::default();
        Ok(Link { brokers: brokers.to_owned(), topic: topic.to_owned(), options, pulse })
    }

    /// The brokers as given.
    pub fn brokers(&self) -> &str {
        &self.brokers
    }

    /// The topic.
    pub fn topic(&self) -> &str {
        &self.topic
    }

    /// How the link does.
    pub fn pulse(&self) -> &Pulse {
        &self.pulse
    }

    /// How long a message may wait for a broker.
    pub fn message_timeout(&self) -> Duration {
        let given = self.options.get("message.timeout.ms").and_then(|ms| ms.parse().ok());
        given.map_or(MESSAGE_TIMEOUT, Duration::from_millis)
    }

    /// Settings of an idempotent producer of bounded memory. Holds the secrets: never print it.
    pub fn producer_config(&self) -> ClientConfig {
        let mut config = self.config(PRODUCER);
        if self.options.get("message.timeout.ms").is_none() {
            config.set("message.timeout.ms", MESSAGE_TIMEOUT.as_millis().to_string());
        }
        config
    }

    /// Settings of a consumer of bounded memory whose offsets are ours to keep. Holds the secrets: never print
    /// it.
    pub fn consumer_config(&self) -> ClientConfig {
        self.config(CONSUMER)
    }

    /// Settings of a client that only asks. Holds the secrets: never print it.
    pub fn admin_config(&self) -> ClientConfig {
        self.config(&[])
    }

    /// The context for a client of this link.
    pub fn context(&self) -> LinkContext {
        LinkContext::new(self.options.clone(), Arc::clone(&self.pulse))
    }

    /// Makes a client, with an error that holds no secret.
    ///
    /// # Errors
    /// librdkafka refuses the options as a whole.
    pub fn create<C, T>(&self, config: &ClientConfig, context: C) -> Result<T, KafkaError>
    where
        C: ClientContext,
        T: FromClientConfigAndContext<C>,
    {
        config.create_with_context(context).map_err(|error| self.options.refused(error))
    }

    /// No broker answered; with what was last heard of them.
    pub fn unreachable(&self, reason: impl ToString) -> KafkaError {
        let reason = self.heard(&reason.to_string());
        KafkaError::Unreachable { brokers: self.brokers.clone(), reason }
    }

    /// A reason with what was last heard of the brokers, without secrets.
    pub fn heard(&self, reason: &str) -> String {
        let reason = match self.pulse.last_error() {
            Some(last) => format!("{reason}; last heard: {last}"),
            None => reason.to_owned(),
        };
        self.options.scrub(&reason)
    }

    fn config(&self, of_client: &[(&str, &str)]) -> ClientConfig {
        let mut config = ClientConfig::new();
        for (key, value) in COMMON.iter().chain(of_client) {
            config.set(*key, *value);
        }
        for (key, value) in self.options.entries() {
            config.set(options::canonical(key), value);
        }
        config.set("metadata.broker.list", &self.brokers);
        let asked = self.options.get("debug").is_some();
        config.set_log_level(if asked { RDKafkaLogLevel::Debug } else { RDKafkaLogLevel::Info });
        config
    }
}
