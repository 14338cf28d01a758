//! The sink: reads the topic and commits whole sealed files to the ledger.
//!
//! Promise: the ledger says where reading goes on, nobody else; what is committed is whole, once, and stands there
//! together with the offsets it was read to. Whatever is read again does no harm. Between commits it needs no lock.

mod commit;
mod whole;

pub use commit::{Committed, Refused};

use super::assembly::{Assembly, Step, WholeFile, Why};
use super::link::{KafkaError, Link, LinkContext};
use super::message::{NotOurs, Taken};
use super::spool::{Span, Spool};
use super::topic::Topic;
use crate::ledger::{Ledger, Mark};
use crate::log::LogError;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError as RdError;
use rdkafka::message::Message;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use rdkafka::types::RDKafkaErrorCode;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::{Duration, Instant};
use xxhash_rust::xxh3::xxh3_64;

/// How long one poll waits.
const POLL: Duration = Duration::from_millis(100);

/// So long a partition's leader may not know of its newest messages.
const LEADER_LAG: Duration = Duration::from_secs(2);

/// So many bytes of messages on disk make a commit due.
pub const SPOOL_BYTES: u64 = 1 << 30;

/// What a message came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Polled {
    /// Nothing came in time.
    Nothing,
    /// A message whose value has so many bytes was taken.
    Message {
        /// Bytes of its value.
        bytes: u64,
        /// Why it was dropped, if it was.
        dropped: Option<Why>,
    },
    /// A partition has been read to its end, for now.
    End,
    /// The brokers cannot be reached for now; why.
    Away(String),
}

/// Reads a topic for one ledger.
pub struct Sink {
    link: Link,
    consumer: BaseConsumer<LinkContext>,
    /// Cluster and topic.
    of: String,
    partitions: i32,
    /// Where the ledger stands.
    from: BTreeMap<i32, i64>,
    /// The last message of each partition that was seen, and those the ledger expects to see again.
    seen: BTreeMap<i32, Mark>,
    expected: BTreeMap<i32, Mark>,
    /// Bytes of messages on disk after the last commit.
    kept_bytes: u64,
    /// When a message came last.
    last_message: Instant,
    assembly: Assembly<Span>,
    spool: Spool,
    /// Files that the next commit takes.
    whole: Vec<WholeFile<Span>>,
    at_end: BTreeSet<i32>,
    /// Messages read since the last commit.
    read: u64,
    /// It began at the beginning, and the ledger does not know it yet.
    anew: bool,
    /// The archive has the notes that an earlier sink did not come to.
    noted: bool,
}

/// The name under which ledger and sent notes know a topic.
pub fn name_of(link: &Link, topic: &Topic) -> String {
    format!("{}/{}", topic.cluster_id, link.topic())
}

impl Sink {
    /// Begins where the ledger stands, or at the beginning; messages wait on the disk of the folder `spool`.
    ///
    /// # Errors
    /// The spool cannot be made, or librdkafka makes no consumer.
    pub fn begin(
        link: &Link,
        topic: &Topic,
        ledger: &Ledger,
        spool: &Path,
        from_start: bool,
    ) -> Result<Sink, LogError> {
        let of = name_of(link, topic);
        let from = ledger.kafka(&of);
        let begin = if from_start { BTreeMap::new() } else { from.clone() };
        let consumer: BaseConsumer<LinkContext> = link.create(&link.consumer_config(), link.context())?;
        let seen = if from_start { BTreeMap::new() } else { ledger.kafka_seen(&of) };
        let expected = seen.clone();
        assign(link, &consumer, topic.partitions, &known_again(&begin, &expected))?;
        let mut assembly = Assembly::new(begin);
        for entry in ledger.files() {
            assembly.known(&entry.arrival.file_id, entry.reading);
        }
        Ok(Sink {
            link: link.clone(),
            consumer,
            of,
            partitions: topic.partitions,
            from,
            seen,
            expected,
            kept_bytes: 0,
            last_message: Instant::now(),
            assembly,
            spool: Spool::open(spool)?,
            whole: Vec::new(),
            at_end: BTreeSet::new(),
            read: 0,
            anew: from_start,
            noted: false,
        })
    }

    /// Takes the next message, if one comes in time.
    ///
    /// # Errors
    /// The spool cannot be written, or Kafka no longer has what the ledger needs.
    pub fn poll(&mut self, patience: Duration) -> Result<Polled, LogError> {
        match self.consumer.poll(patience) {
            None => Ok(Polled::Nothing),
            Some(Ok(message)) => {
                let (partition, offset) = (message.partition(), message.offset());
                let value = message.payload().unwrap_or_default();
                let taken = Taken::of(&message);
                let mark = Mark { offset, message: identity(&taken, value) };
                if !recognized(&mut self.expected, partition, &mark) {
                    return Err(gone(&self.link).into());
                }
                let spool = &mut self.spool;
                let step = self.assembly.take(partition, offset, taken, || spool.append(value))?;
                self.seen.insert(partition, mark);
                self.last_message = Instant::now();
                let bytes = value.len() as u64;
                drop(message);
                self.at_end.remove(&partition);
                self.read += 1;
                Ok(Polled::Message { bytes, dropped: self.stepped(step) })
            }
            Some(Err(error)) => self.failed(&error),
        }
    }

    fn stepped(&mut self, step: Step<Span>) -> Option<Why> {
        match step {
            Step::Kept | Step::Waiting => None,
            Step::Dropped(why) => Some(why),
            Step::Whole(file) => {
                self.whole.push(file);
                None
            }
        }
    }

    fn failed(&mut self, error: &RdError) -> Result<Polled, LogError> {
        if let RdError::PartitionEOF(partition) = error {
            self.at_end.insert(*partition);
            return Ok(Polled::End);
        }
        let code = error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Unknown);
        let error = KafkaError::Consume {
            topic: self.link.topic().to_owned(),
            code,
            reason: self.link.heard(&code.to_string()),
        };
        if matches!(code, RDKafkaErrorCode::AutoOffsetReset | RDKafkaErrorCode::OffsetOutOfRange) {
            return Err(gone(&self.link).into());
        }
        if error.may_pass() { Ok(Polled::Away(error.to_string())) } else { Err(error.into()) }
    }

    /// Reads what the topic holds by now; `told` hears of every message, and may say no more (`false`).
    ///
    /// # Errors
    /// As [`Self::poll`]; or no broker answers for longer than `patience`.
    pub fn drain(
        &mut self,
        patience: Duration,
        told: &mut dyn FnMut(&Sink, &Polled) -> bool,
    ) -> Result<(), LogError> {
        let ends = self.ends(patience)?;
        let mut heard = Instant::now();
        while !self.has_read(&ends) {
            let polled = self.poll(POLL)?;
            match &polled {
                Polled::Nothing if heard.elapsed() > patience => {
                    return Err(self.link.unreachable("no message came").into());
                }
                Polled::Away(why) if heard.elapsed() > patience => {
                    return Err(self.link.unreachable(why).into());
                }
                Polled::Nothing | Polled::Away(_) => {}
                Polled::Message { .. } | Polled::End => heard = Instant::now(),
            }
            if !told(self, &polled) {
                break;
            }
        }
        Ok(())
    }

    /// The offsets before which the partitions end now.
    fn ends(&mut self, patience: Duration) -> Result<BTreeMap<i32, i64>, KafkaError> {
        let until = Instant::now() + patience;
        let ends: BTreeMap<i32, i64> = (0..self.partitions)
            .map(|partition| Ok((partition, self.end(partition, until)?)))
            .collect::<Result<_, KafkaError>>()?;
        if ends.iter().any(|(partition, end)| self.is_beyond(*partition, *end)) {
            return Err(gone(&self.link));
        }
        if ends.iter().any(|(partition, end)| self.assembly.next(*partition) < *end) {
            // What librdkafka has in hand may still tell of an end that was one before: it reads anew.
            let next = |partition: &i32| (*partition, self.assembly.next(*partition));
            let mut begin = known_again(&ends.keys().map(next).collect(), &self.expected);
            begin.retain(|_, at| *at > 0); // others from their beginning
            assign(&self.link, &self.consumer, self.partitions, &begin)?;
            self.at_end.clear();
        }
        Ok(ends)
    }

    /// Whether the ledger has read further than a partition that ends there goes.
    fn is_beyond(&self, partition: i32, end: i64) -> bool {
        let expected = self.expected.get(&partition).is_some_and(|mark| mark.offset >= end);
        expected || self.assembly.next(partition) > end
    }

    /// A topic that forgot once, and was mended since, is told: what it lost the archive has.
    fn tell_forgotten(&self, partition: i32, first: i64) {
        if self.assembly.next(partition) < first {
            let topic = self.link.topic();
            tracing::warn!(
                "topic {topic}: partition {partition} begins at {first} only: what it had before is in archives alone"
            );
        }
    }

    /// The offset before which a partition ends now. What librdkafka knows of a topic may be out of date, when
    /// brokers come back for example; so it is asked again.
    fn end(&self, partition: i32, until: Instant) -> Result<i64, KafkaError> {
        loop {
            let left = until.saturating_duration_since(Instant::now());
            match self.consumer.fetch_watermarks(self.link.topic(), partition, left.max(POLL)) {
                Ok((first, end)) => {
                    self.tell_forgotten(partition, first);
                    return Ok(end);
                }
                Err(error) if left.is_zero() => return Err(self.link.unreachable(error)),
                Err(_) => std::thread::sleep(POLL),
            }
        }
    }

    fn has_read(&self, ends: &BTreeMap<i32, i64>) -> bool {
        let read = |(partition, end): (&i32, &i64)| {
            // Offsets may lie between messages that no one reads; but a leader may also be behind for a moment.
            let ended = self.at_end.contains(partition) && self.last_message.elapsed() > LEADER_LAG;
            let known_again = !self.expected.contains_key(partition);
            known_again && (self.assembly.next(*partition) >= *end || ended)
        };
        ends.iter().all(read)
    }

    /// Whether every partition has been read to its end, as it was when it was last looked at.
    pub fn caught_up(&self) -> bool {
        (0..self.partitions).all(|partition| self.at_end.contains(&partition))
    }

    /// Names of files whose seals came, but not all of their batches.
    pub fn waiting_files(&self) -> Vec<String> {
        self.assembly.waiting().map(|seal| seal.arrival.name.clone()).collect()
    }

    /// Number of files that a commit would take.
    pub fn whole(&self) -> usize {
        self.whole.len()
    }

    /// Whether the ledger does not know yet where reading stands.
    pub fn has_read_on(&self) -> bool {
        self.read > 0 || self.anew
    }

    /// Bytes of messages that came since the last commit.
    pub fn new_bytes(&self) -> u64 {
        self.spool.bytes().saturating_sub(self.kept_bytes)
    }

    /// Whether so much waits on disk that a commit is due, if one can be made.
    pub fn is_full(&self) -> bool {
        self.whole() > 0 && self.new_bytes() >= SPOOL_BYTES
    }

    /// When a message came last.
    pub fn last_message(&self) -> Instant {
        self.last_message
    }

    /// Bytes of messages on disk.
    pub fn spool_bytes(&self) -> u64 {
        self.spool.bytes()
    }

    /// What is known of attempts on their way.
    pub fn assembly(&self) -> &Assembly<Span> {
        &self.assembly
    }

    /// Cluster and topic.
    pub fn of(&self) -> &str {
        &self.of
    }

    /// Number of partitions the topic has now; more than [`Self::partitions`] if somebody added some.
    ///
    /// # Errors
    /// No broker answers in time.
    pub fn partitions_now(&self, patience: Duration) -> Result<i32, KafkaError> {
        let metadata = self.consumer.fetch_metadata(Some(self.link.topic()), patience);
        let metadata = metadata.map_err(|error| self.link.unreachable(error))?;
        Ok(metadata.topics().first().map_or(0, |topic| topic.partitions().len() as i32))
    }

    /// Number of partitions that are read.
    pub fn partitions(&self) -> i32 {
        self.partitions
    }
}

/// Whether the topic is still the one that was read before, as far as this message tells.
fn recognized(expected: &mut BTreeMap<i32, Mark>, partition: i32, mark: &Mark) -> bool {
    match expected.get(&partition) {
        Some(before) if mark.offset >= before.offset => {
            let same = mark == before;
            expected.remove(&partition);
            same
        }
        _ => true,
    }
}

/// What a message is, so that it is known again.
fn identity(taken: &Result<Taken, NotOurs>, value: &[u8]) -> String {
    let sum = xxh3_64(value);
    match taken {
        Ok(Taken::Batch(header) | Taken::Seal(header, _)) => {
            format!("{} {} {} {sum:016x}", header.attempt, header.kind, header.batch)
        }
        Err(_) => format!("{sum:016x}"),
    }
}

/// Where to begin so that the expected messages are seen again.
fn known_again(begin: &BTreeMap<i32, i64>, expected: &BTreeMap<i32, Mark>) -> BTreeMap<i32, i64> {
    let mut begin = begin.clone();
    for (partition, mark) in expected {
        let at = begin.entry(*partition).or_insert(mark.offset);
        *at = (*at).min(mark.offset);
    }
    begin
}

/// Assigns all partitions by hand: no group decides where we read.
fn assign(
    link: &Link,
    consumer: &BaseConsumer<LinkContext>,
    partitions: i32,
    begin: &BTreeMap<i32, i64>,
) -> Result<(), KafkaError> {
    let mut list = TopicPartitionList::new();
    for partition in 0..partitions {
        let offset = begin.get(&partition).map_or(Offset::Beginning, |at| Offset::Offset(*at));
        list.add_partition_offset(link.topic(), partition, offset)
            .map_err(|error| link.unreachable(error))?;
    }
    if begin.keys().any(|partition| *partition >= partitions) {
        return Err(gone(link));
    }
    consumer.assign(&list).map_err(|error| link.unreachable(error))
}

fn gone(link: &Link) -> KafkaError {
    KafkaError::Topic {
        topic: link.topic().to_owned(),
        what: "it no longer has the messages after those the ledger has read: it was made anew or has forgotten"
            .to_owned(),
        advice: "mend the topic, or read it from its beginning with `tsumiage sink --from-start` (what is known is \
                 dropped) and take what it lost from the archive with `tsumiage ingest` without --kafka"
            .to_owned(),
    }
}
