//! The log between several machines: an attempt's batches as messages to Kafka, its seal after them.
//!
//! Promise: a seal is sent only after the brokers have acknowledged every message of its attempt, and `seal`
//! returns only after they have acknowledged the seal. Memory is bounded whatever the file's size: an attempt
//! waits while too much of it is on its way. Nothing waits longer than a message may wait for a broker.

mod attempt;
mod flight;
#[cfg(test)]
mod tests;

use super::KafkaError;
use super::link::Link;
use crate::log::{Attempt, Begun, Log, LogError};
use attempt::KafkaAttempt;
use flight::Delivery;
use rdkafka::producer::{Producer, ThreadedProducer};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError};
use xxhash_rust::xxh3::xxh3_64;

/// The log between several machines. Several threads may write attempts to it at once.
pub struct KafkaLog {
    link: Link,
    partitions: i32,
    producer: Mutex<Arc<Producing>>,
    sent: Arc<Sent>,
}

/// What was sent since the log was opened.
#[derive(Debug, Default)]
pub struct Sent {
    /// Messages that were acknowledged.
    pub messages: AtomicU64,
    /// Bytes of their values.
    pub value_bytes: AtomicU64,
    /// Messages that were not taken.
    pub failed: AtomicU64,
    /// Bytes that the batches held in memory before they were encoded (`aside::bytes_of`).
    pub arrow_bytes: AtomicU64,
    /// Nanoseconds that attempts spent on encoding, all threads together.
    pub encoding_ns: AtomicU64,
    /// Nanoseconds that attempts spent on waiting for the brokers, all threads together.
    pub waiting_ns: AtomicU64,
}

/// A producer with its own thread.
type Producing = ThreadedProducer<Delivery>;

impl KafkaLog {
    /// The log of a topic of so many partitions (`topic::ensure`). Does not wait for the brokers.
    ///
    /// # Errors
    /// librdkafka refuses the options.
    pub fn open(link: &Link, partitions: i32) -> Result<KafkaLog, KafkaError> {
        let sent = Arc::default();
        let producer = Mutex::new(producer(link, &sent)?);
        Ok(KafkaLog { link: link.clone(), partitions: partitions.max(1), producer, sent })
    }

    /// What was sent.
    pub fn sent(&self) -> &Sent {
        &self.sent
    }

    /// The producer; another one if that of before has come to its end.
    fn producer(&self) -> Result<Arc<Producing>, KafkaError> {
        let mut current = self.producer.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, reason)) = current.client().fatal_error() {
            tracing::warn!("the producer is made anew: {}", self.link.heard(&reason));
            *current = producer(&self.link, &self.sent)?;
        }
        Ok(Arc::clone(&current))
    }

    /// The partition of a key.
    fn partition(&self, key: &str) -> i32 {
        let partitions = u64::from(self.partitions.unsigned_abs());
        i32::try_from(xxh3_64(key.as_bytes()) % partitions).unwrap_or_default()
    }
}

fn producer(link: &Link, sent: &Arc<Sent>) -> Result<Arc<Producing>, KafkaError> {
    let context = Delivery { link: link.context(), sent: Arc::clone(sent) };
    link.create(&link.producer_config(), context).map(Arc::new)
}

impl Log for KafkaLog {
    fn begin(&self, begun: &Begun<'_>) -> Result<Box<dyn Attempt + '_>, LogError> {
        Ok(Box::new(KafkaAttempt::begin(self, begun)?))
    }
}
