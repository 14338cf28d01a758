//! Messages sent by hand: what other workers, dead ones and faulty networks leave in a topic.

use super::dice::Dice;
use super::home::Home;
use super::plan::{Plan, TOPIC};
use crate::archive::Archive;
use crate::kafka::message::{Encoder, Header, Kind, SealMessage};
use crate::ledger::findings_batch;
use crate::log::{Attempt, Begun, Log, LogError, Seal};
use crate::take_in::{Candidate, Intake};
use arrow::array::RecordBatch;
use arrow::error::ArrowError;
use rdkafka::ClientConfig;
use rdkafka::message::{Header as RdHeader, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use std::collections::BTreeSet;
use std::sync::Mutex;
use std::time::Duration;
use tsumiage_schemas::{FactTable, Finding};
use uuid::Uuid;

/// Findings of a batch: few, so that there are several.
const FINDINGS: usize = 3;

/// A message.
type Message = (Header, Vec<u8>);

/// Keeps the messages of attempts as another worker would send them.
#[derive(Default)]
struct Tape(Mutex<Vec<Message>>);

struct Taped<'a> {
    tape: &'a Tape,
    encoder: Encoder,
    header: Header,
    messages: Vec<Message>,
}

impl Log for Tape {
    fn begin(&self, begun: &Begun<'_>) -> Result<Box<dyn Attempt + '_>, LogError> {
        let header = Header {
            file_id: begun.file_id.to_owned(),
            attempt: Uuid::new_v4().to_string(),
            reading: begun.reading,
            kind: Kind::Seal,
            batch: 0,
            layouts: begun.layouts.to_owned(),
        };
        Ok(Box::new(Taped { tape: self, encoder: Encoder::new().unwrap(), header, messages: Vec::new() }))
    }
}

impl Taped<'_> {
    fn batch(&mut self, kind: Kind, batch: &RecordBatch) {
        let Taped { encoder, header, messages, .. } = self;
        let mut keep = |value| {
            messages.push((Header { kind, ..header.clone() }, value));
            header.batch += 1;
            Ok::<_, ArrowError>(())
        };
        encoder.encode(batch, &mut keep).unwrap();
    }
}

impl Attempt for Taped<'_> {
    fn append(&mut self, table: FactTable, batch: &RecordBatch) -> Result<(), LogError> {
        self.batch(Kind::Facts(table), batch);
        Ok(())
    }

    fn seal(mut self: Box<Self>, seal: &Seal, findings: &[Finding]) -> Result<(), LogError> {
        for part in findings.chunks(FINDINGS) {
            self.batch(Kind::Findings, &findings_batch(part).unwrap());
        }
        let Header { attempt, batch, .. } = self.header.clone();
        let value = SealMessage { seal: seal.clone(), batches: batch, attempt }.encode();
        self.messages.push((self.header, value));
        self.tape.0.lock().unwrap().append(&mut self.messages);
        Ok(())
    }
}

/// What was sent by hand.
#[derive(Default)]
pub struct ByHand {
    /// Attempts.
    pub attempts: BTreeSet<String>,
    /// The file of which only an attempt is there that cannot count.
    pub orphan: Option<String>,
}

/// Sends by hand.
pub struct Hand<'a> {
    plan: &'a Plan,
    home: &'a Home,
    dice: Dice,
    producer: BaseProducer,
    done: ByHand,
}

impl<'a> Hand<'a> {
    pub fn new(plan: &'a Plan, home: &'a Home, brokers: &str, dice: Dice) -> Hand<'a> {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", brokers).set("message.timeout.ms", "3000");
        config.set("reconnect.backoff.ms", "10").set("reconnect.backoff.max.ms", "80");
        config.set("linger.ms", "1").set("socket.timeout.ms", "300");
        config.set("topic.metadata.refresh.fast.interval.ms", "20");
        Hand { plan, home, dice, producer: config.create().unwrap(), done: ByHand::default() }
    }

    /// Does its deeds, with pauses; gives what it sent.
    pub fn work(mut self) -> ByHand {
        if let Some(sealed) = self.plan.orphan {
            self.orphan(sealed);
        }
        for _ in 0..self.dice.between(2, 4) {
            let again = self.plan.may_read_ahead() && self.dice.once_in(3);
            let path =
                self.dice.one(&crate::disk::entries(&self.home.inbox_of(self.plan, 0)).unwrap()).clone();
            let candidate = Candidate::at(&path).unwrap();
            let messages = self.taped(&self.home.archive(), &candidate, again);
            self.deed(messages);
            std::thread::sleep(self.dice.ms(0, 60));
        }
        self.foreign();
        let _ = self.producer.flush(Duration::from_secs(5)); // what did not arrive is as good
        self.done
    }

    /// The messages of an attempt at a file, of its first reading or again.
    fn taped(&mut self, archive: &Archive, candidate: &Candidate, again: bool) -> Vec<Message> {
        let tape = Tape::default();
        let data = self.home.data();
        let mut known = None;
        for reading in 0..=usize::from(again) {
            let options = self.plan.take_in(reading, &data);
            let intake = Intake::new(archive.clone(), &tape, &options).unwrap();
            if known.is_some() && intake.decide(known.as_ref()) == crate::take_in::Decision::Known {
                break;
            }
            tape.0.lock().unwrap().clear();
            let seal = intake.seal(candidate, known.as_ref()).unwrap();
            known = Some(crate::ledger::FileEntry::of(seal, 0));
        }
        let messages = tape.0.into_inner().unwrap();
        self.done.attempts.insert(messages[0].0.attempt.clone());
        messages
    }

    /// One attempt, whole or not, in order or not, in one partition or several.
    fn deed(&mut self, mut messages: Vec<Message>) {
        let seal = messages.len() - 1;
        match self.dice.below(9) {
            0 => {}                                                        // as it should be
            1 => self.dice.shuffle(&mut messages),                         // in any order
            2 => messages.rotate_right(1),                                 // the seal first
            3 => drop(messages.drain(..seal)),                             // the seal only
            4 => drop(messages.pop()),                                     // never sealed
            5 if seal > 0 => drop(messages.remove(self.dice.below(seal))), // sealed, but not whole
            6 => messages.extend(messages.clone()),                        // twice
            7 => {
                // A batch that cannot be one of the attempt.
                let (header, value) = messages[0].clone();
                let beyond = Header { batch: 1_000, ..header.clone() };
                let other = Header { layouts: "c".repeat(64), ..header };
                let wrong = self.dice.one(&[beyond, other]).clone();
                messages.insert(self.dice.below(messages.len() + 1), (wrong, value));
            }
            _ => {
                for (header, value) in messages.clone() {
                    self.send(&header, &value, false); // twice, each by itself
                }
            }
        }
        if self.dice.once_in(2) {
            for (header, value) in &messages {
                self.damaged(header, value); // on its way, and then sent again
            }
        }
        let astray = self.dice.once_in(4);
        for (header, value) in messages {
            self.send(&header, &value, astray);
            if self.dice.once_in(8) {
                self.send(&header, &value, astray);
            }
        }
    }

    /// A file that is in nobody's inbox or archive, sealed but not whole or not sealed.
    fn orphan(&mut self, sealed: bool) {
        let path = self.home.path("orphan.csv");
        let bytes = &self.dice.one(&self.plan.files).1;
        std::fs::write(&path, [&bytes[..bytes.len() / 2], b"\r\n"].concat()).unwrap();
        let archive = Archive::shared(&self.home.path("lost")).unwrap();
        let candidate = Candidate::at(&path).unwrap();
        let mut messages = self.taped(&archive, &candidate, false);
        assert!(messages.len() > 1, "there is a finding at least");
        let lost = if sealed { 0 } else { messages.len() - 1 };
        messages.remove(lost);
        self.done.orphan = Some(candidate.file_id);
        let astray = self.dice.once_in(2);
        for (header, value) in messages {
            self.send(&header, &value, astray);
        }
    }

    fn damaged(&mut self, header: &Header, value: &[u8]) {
        if !value.is_empty() && self.dice.once_in(2) {
            let mut other = value.to_vec();
            let at = other.len() - 1 - self.dice.below(other.len().min(400));
            other[at] ^= 0x20;
            self.put(self.partition(&header.file_id), header.headers(value), &other);
        }
    }

    /// Messages of others.
    fn foreign(&mut self) {
        let text = |key, value| OwnedHeaders::new().insert(RdHeader { key, value: Some(value) });
        self.put(0, OwnedHeaders::new(), b"hello");
        self.put(0, text("file_id", &b"\xff"[..]), b"");
        self.put(0, text("kind", &b"seal"[..]), b"{}");
    }

    fn partition(&self, file_id: &str) -> i32 {
        i32::from(file_id.as_bytes()[0]) % self.plan.partitions
    }

    fn send(&mut self, header: &Header, value: &[u8], astray: bool) {
        let partition = if astray {
            self.dice.below(self.plan.partitions as usize) as i32
        } else {
            self.partition(&header.file_id)
        };
        self.put(partition, header.headers(value), value);
    }

    fn put(&self, partition: i32, headers: OwnedHeaders, value: &[u8]) {
        let record = BaseRecord::<(), [u8]>::to(TOPIC).partition(partition).payload(value).headers(headers);
        let _ = self.producer.send(record); // lost is as good
        self.producer.poll(Duration::ZERO);
    }
}
