//! One attempt at a file.

use super::flight::Flight;
use super::{KafkaLog, Producing};
use crate::aside::bytes_of;
use crate::kafka::KafkaError;
use crate::kafka::link::words;
use crate::kafka::message::{Encoder, Header, Kind, SealMessage};
use crate::ledger::findings_batches;
use crate::log::{Attempt, Begun, LogError, Seal};
use arrow::array::RecordBatch;
use rdkafka::producer::{BaseRecord, Producer};
use rdkafka::types::RDKafkaErrorCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};
use tsumiage_schemas::{FactTable, Finding};
use uuid::Uuid;

/// Bytes of an attempt's values that may be on their way.
const IN_FLIGHT_BYTES: usize = 16 << 20;

/// A full queue of the producer is tried again after so long.
const QUEUE_PAUSE: Duration = Duration::from_millis(20);

/// The key of a file without a valid sender.
const UNKNOWN: &str = "unknown";

/// A file on its way into Kafka. Dropped before its seal it leaves messages that nobody counts.
pub(super) struct KafkaAttempt<'a> {
    encoder: Encoder,
    line: Line<'a>,
}

/// The attempt's messages, one after the other into one partition.
struct Line<'a> {
    log: &'a KafkaLog,
    producer: Arc<Producing>,
    flight: Arc<Flight>,
    key: String,
    partition: i32,
    /// Of the message that comes next.
    header: Header,
}

impl<'a> KafkaAttempt<'a> {
    pub(super) fn begin(log: &'a KafkaLog, begun: &Begun<'_>) -> Result<KafkaAttempt<'a>, KafkaError> {
        let key = begun.sender_no.unwrap_or(UNKNOWN);
        let header = Header {
            file_id: begun.file_id.to_owned(),
            attempt: Uuid::new_v4().to_string(),
            reading: begun.reading,
            kind: Kind::Seal,
            batch: 0,
            layouts: begun.layouts.to_owned(),
        };
        let line = Line {
            log,
            producer: log.producer()?,
            flight: Arc::default(),
            key: key.to_owned(),
            partition: log.partition(key),
            header,
        };
        Ok(KafkaAttempt { encoder: Encoder::new()?, line })
    }

    fn batch(&mut self, kind: Kind, batch: &RecordBatch) -> Result<(), KafkaError> {
        let KafkaAttempt { encoder, line } = self;
        let sent = &line.log.sent;
        sent.arrow_bytes.fetch_add(bytes_of(batch) as u64, Relaxed);
        let begun = Instant::now();
        let mut sending = Duration::ZERO;
        let encoded = encoder.encode::<KafkaError>(batch, &mut |value| {
            let begun = Instant::now();
            let done = line.batch(kind, &value);
            sending += begun.elapsed();
            done
        });
        spent(&sent.encoding_ns, begun.elapsed().saturating_sub(sending));
        encoded
    }
}

impl Attempt for KafkaAttempt<'_> {
    fn append(&mut self, table: FactTable, batch: &RecordBatch) -> Result<(), LogError> {
        Ok(self.batch(Kind::Facts(table), batch)?)
    }

    fn seal(mut self: Box<Self>, seal: &Seal, findings: &[Finding]) -> Result<(), LogError> {
        for batch in findings_batches(findings) {
            let batch = batch.map_err(KafkaError::Message)?;
            self.batch(Kind::Findings, &batch)?;
        }
        let line = &mut self.line;
        line.landed()?;
        let Header { attempt, batch, .. } = &line.header;
        let message = SealMessage { seal: seal.clone(), batches: *batch, attempt: attempt.clone() };
        line.send(Kind::Seal, &message.encode())?;
        Ok(line.landed()?)
    }
}

impl Line<'_> {
    /// Sends a batch and counts it.
    fn batch(&mut self, kind: Kind, value: &[u8]) -> Result<(), KafkaError> {
        self.send(kind, value)?;
        self.header.batch = self.header.batch.saturating_add(1);
        Ok(())
    }

    /// Hands a message over to the producer, after waiting for room.
    fn send(&mut self, kind: Kind, value: &[u8]) -> Result<(), KafkaError> {
        self.header.kind = kind;
        let begun = Instant::now();
        let handed_over = self.flight.depart(value.len(), IN_FLIGHT_BYTES).and_then(|()| {
            self.enqueue(value).inspect_err(|_| self.flight.land(value.len(), None)) // no one else will
        });
        spent(&self.log.sent.waiting_ns, begun.elapsed());
        handed_over.map_err(|code| self.failure(code))
    }

    fn enqueue(&self, value: &[u8]) -> Result<(), RDKafkaErrorCode> {
        let mut record = BaseRecord::with_opaque_to(self.log.link.topic(), Arc::clone(&self.flight))
            .partition(self.partition)
            .key(self.key.as_str())
            .payload(value)
            .headers(self.header.headers(value));
        loop {
            let (error, back) = match self.producer.send(record) {
                Ok(()) => return Ok(()),
                Err(refused) => refused,
            };
            match error.rdkafka_error_code() {
                Some(RDKafkaErrorCode::QueueFull) => self.flight.pause(QUEUE_PAUSE),
                code => return Err(code.unwrap_or(RDKafkaErrorCode::Fail)),
            }
            record = back;
        }
    }

    /// Waits until the brokers have acknowledged every message.
    fn landed(&self) -> Result<(), KafkaError> {
        let begun = Instant::now();
        let landed = self.flight.all_landed();
        spent(&self.log.sent.waiting_ns, begun.elapsed());
        landed.map_err(|code| self.failure(code))
    }

    fn failure(&self, code: RDKafkaErrorCode) -> KafkaError {
        let link = &self.log.link;
        let reason = match self.producer.client().fatal_error() {
            Some((_, text)) => format!("{}; {text}", words(code)),
            None => words(code),
        };
        KafkaError::Produce { topic: link.topic().to_owned(), code, reason: link.heard(&reason) }
    }
}

fn spent(counter: &AtomicU64, time: Duration) {
    counter.fetch_add(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX), Relaxed);
}
