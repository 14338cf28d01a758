//! librdkafka options of the user's, read from a file of properties.
//!
//! Promise: their values leave this module only in a client's configuration.

use super::KafkaError;
use crate::disk::io;
use rdkafka::config::ClientConfig;
use rdkafka::error::KafkaError as RdError;
use rdkafka::types::RDKafkaConfRes;
use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

/// Stands for a value in a text.
const HIDDEN: &str = "***";

/// Other names of options, and the name librdkafka files them under.
const ALIASES: &[(&str, &str)] = &[
    ("acks", "request.required.acks"),
    ("bootstrap.servers", "metadata.broker.list"),
    ("compression.type", "compression.codec"),
    ("delivery.timeout.ms", "message.timeout.ms"),
    ("linger.ms", "queue.buffering.max.ms"),
    ("max.in.flight", "max.in.flight.requests.per.connection"),
    ("max.partition.fetch.bytes", "fetch.message.max.bytes"),
    ("retries", "message.send.max.retries"),
    ("sasl.mechanism", "sasl.mechanisms"),
    ("sasl.oauthbearer.client.credentials.client.id", "sasl.oauthbearer.client.id"),
    ("sasl.oauthbearer.client.credentials.client.secret", "sasl.oauthbearer.client.secret"),
];

/// Options that the protocol rests on.
const FIXED: &[&str] = &[
    "allow.auto.create.topics",
    "auto.commit.enable",
    "auto.offset.reset",
    "delivery.report.only.error",
    "enable.auto.commit",
    "enable.auto.offset.store",
    "enable.idempotence",
    "enable.partition.eof",
    "isolation.level",
    "metadata.broker.list",
    "partitioner",
    "request.required.acks",
    "test.mock.num.brokers",
    "transactional.id",
];

/// Parts of the names of options whose values are secrets, however short.
const SECRET: &[&str] =
    &["password", "secret", "key", "pem", "token", "username", "oauthbearer.config", "jaas"];

/// The name librdkafka files an option under.
pub(super) fn canonical(key: &str) -> &str {
    ALIASES.iter().find(|(alias, _)| *alias == key).map_or(key, |(_, name)| name)
}

/// librdkafka options, by the names the user gave.
#[derive(Clone, Default)]
pub struct Options(BTreeMap<String, String>);

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.0.keys().map(|key| (key, HIDDEN))).finish()
    }
}

impl Options {
    /// Reads a file of librdkafka properties: `key=value` lines, spaces around both dropped, and remarks after
    /// `#` at a line's begin.
    ///
    /// # Errors
    /// The file cannot be read, a line is wrong, or an option is fixed by the protocol.
    pub fn read(path: &Path) -> Result<Options, KafkaError> {
        let bytes = std::fs::read(path).map_err(io(path)).map_err(KafkaError::ConfigFile)?;
        let wrong = |line, key: Option<&str>, why| {
            let key = key.map(str::to_owned);
            Err(KafkaError::ConfigLine { path: path.to_owned(), line, key, why })
        };
        let mut options = BTreeMap::new();
        let mut seen = BTreeMap::new();
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
        for (line, text) in (1..).zip(bytes.split(|b| *b == b'\n')) {
            let Ok(text) = std::str::from_utf8(text).map(str::trim) else {
                return wrong(line, None, "is not UTF-8 text");
            };
            if text.is_empty() || text.starts_with('#') {
                continue;
            }
            let Some((key, value)) = text.split_once('=').map(|(key, value)| (key.trim(), value.trim()))
            else {
                return wrong(line, None, "has no `=`");
            };
            // What does not look like a key may be a part of a secret.
            let legal =
                |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'_' | b'-');
            if key.is_empty() || !key.bytes().all(legal) {
                return wrong(line, None, "does not begin with the name of an option");
            }
            if FIXED.contains(&canonical(key)) {
                return Err(KafkaError::Fixed { path: path.to_owned(), line, key: key.to_owned() });
            }
            if value.contains('\0') {
                return wrong(line, Some(key), "has a NUL character");
            }
            if seen.insert(canonical(key).to_owned(), line).is_some() {
                return wrong(line, Some(key), "is given a second time");
            }
            options.insert(key.to_owned(), value.to_owned());
        }
        Ok(Options(options))
    }

    /// The options.
    pub(super) fn entries(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// The value of an option, whatever name it was given by.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.entries().find(|(key, _)| canonical(key) == name).map(|(_, value)| value)
    }

    /// Lets librdkafka look at every option by itself.
    pub(super) fn check(&self) -> Result<(), KafkaError> {
        for (key, value) in self.entries() {
            let one = ClientConfig::from_iter([(key.to_owned(), value.to_owned())]);
            one.create_native_config().map_err(|error| self.refused(error))?;
        }
        Ok(())
    }

    /// librdkafka's refusal without the value that it holds.
    pub(super) fn refused(&self, error: RdError) -> KafkaError {
        match error {
            RdError::ClientConfig(why, _, key, _) => {
                KafkaError::Refused { key, known: why != RDKafkaConfRes::RD_KAFKA_CONF_UNKNOWN }
            }
            RdError::ClientCreation(text) => KafkaError::Client { reason: self.scrub(&text) },
            other => KafkaError::Client { reason: self.scrub(&other.to_string()) },
        }
    }

    /// A text of librdkafka's without the values of options. Numbers and switches are not hidden, nor what is
    /// too short to be a secret, unless the option's name says that it is one.
    pub(super) fn scrub(&self, text: &str) -> String {
        let plain = |value: &str| {
            value.len() < 4 || value.parse::<f64>().is_ok() || value == "true" || value == "false"
        };
        let secret = |key: &str| SECRET.iter().any(|part| key.contains(part));
        let hidden = |(key, value): &(&str, &str)| !value.is_empty() && (secret(key) || !plain(value));
        let mut values: Vec<&str> = self.entries().filter(hidden).map(|(_, value)| value).collect();
        values.sort_by_key(|value| std::cmp::Reverse(value.len())); // one may be a part of another
        values.into_iter().fold(text.to_owned(), |text, value| text.replace(value, HIDDEN))
    }
}
