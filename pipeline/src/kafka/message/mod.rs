//! What a message says: the protocol of the contract's section "Kafka".
//!
//! Promise: whatever bytes and headers a message has, reading it gives a message of this protocol or
//! [`NotOurs`]; it never panics and never takes more memory than the largest batch may. The bytes of the values
//! depend on the batches of the attempt only.
//!
//! * Headers, all text: `file_id` (SHA-256 of the file, hex), `attempt` (UUID), `reading` (1, 2, …), `kind`
//!   (`facts.<table>`, `findings`, `seal`), `batch` (0-based number within the attempt; a seal: how many there
//!   are), `layouts` (digest), `xxh3` (XXH3-64 of the value, hex).
//! * Value of a batch: an Arrow IPC stream of its schema and one record batch, ZSTD ([`Encoder`], [`decode`]).
//! * Value of a seal: JSON of [`SealMessage`].

mod decode;
mod encode;
#[cfg(test)]
mod tests;

pub use decode::decode;
pub use encode::{Encoder, MESSAGE_BYTES};

use crate::log::Seal;
use rdkafka::message::{Header as RdHeader, Headers, Message, OwnedHeaders};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use tsumiage_schemas::FactTable;
use uuid::Uuid;
use xxhash_rust::xxh3::xxh3_64;

/// Names of our headers, in the order in which they are sent.
const NAMES: [&str; 7] = ["file_id", "attempt", "reading", "kind", "batch", "layouts", "xxh3"];

/// Most headers of a message that is looked at.
const MOST_HEADERS: usize = 64;

/// Digits of a SHA-256.
const DIGEST_DIGITS: usize = 64;

/// A message that is not one of this protocol, or not whole.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a message of this program: {0}")]
pub struct NotOurs(pub String);

/// What a message carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A batch of facts of a table.
    Facts(FactTable),
    /// A batch of findings.
    Findings,
    /// The seal, which makes the attempt's batches count.
    Seal,
}

/// Which message of which attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// SHA-256 of the file's bytes, hex.
    pub file_id: String,
    /// UUID of the attempt, in lower case.
    pub attempt: String,
    /// See [`Seal::reading`].
    pub reading: u32,
    /// What it carries.
    pub kind: Kind,
    /// Number of the batch within the attempt, from 0; of a seal how many batches there are.
    pub batch: u32,
    /// Digest of the layouts the file was read with.
    pub layouts: String,
}

/// The value of a seal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SealMessage {
    /// The seal itself.
    pub seal: Seal,
    /// Batches of the attempt, of facts and findings.
    pub batches: u32,
    /// The attempt.
    pub attempt: String,
}

/// A message as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Taken {
    /// A batch; its value can be decoded, but for damage that only the decoding itself can find.
    Batch(Header),
    /// A seal that agrees with its header.
    Seal(Header, Box<SealMessage>),
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Kind::Facts(table) => write!(f, "facts.{}", table.name()),
            Kind::Findings => f.write_str("findings"),
            Kind::Seal => f.write_str("seal"),
        }
    }
}

impl Kind {
    /// The kind of a text such as `facts.recipient`.
    pub fn parse(text: &str) -> Option<Kind> {
        let tables = FactTable::ALL.into_iter().map(Kind::Facts);
        tables.chain([Kind::Findings, Kind::Seal]).find(|kind| kind.to_string() == text)
    }
}

impl Header {
    /// The headers of a message with this value.
    pub fn headers(&self, value: &[u8]) -> OwnedHeaders {
        let mut headers = OwnedHeaders::new_with_capacity(NAMES.len());
        for (key, text) in NAMES.into_iter().zip(self.texts(value)) {
            headers = headers.insert(RdHeader { key, value: Some(text.as_str()) });
        }
        headers
    }

    fn texts(&self, value: &[u8]) -> [String; NAMES.len()] {
        [
            self.file_id.clone(),
            self.attempt.clone(),
            self.reading.to_string(),
            self.kind.to_string(),
            self.batch.to_string(),
            self.layouts.clone(),
            checksum(value),
        ]
    }

    /// Reads headers and checks the value's checksum. Headers of other names do no harm.
    fn read<'h>(headers: impl IntoIterator<Item = Text<'h>>, value: &[u8]) -> Result<Header, NotOurs> {
        let mut texts: [Option<&str>; NAMES.len()] = Default::default();
        for (name, text) in headers {
            let Some(at) = NAMES.iter().position(|known| *known == name) else { continue };
            let text = text.and_then(|text| std::str::from_utf8(text).ok());
            let text = text.ok_or_else(|| NotOurs(format!("header {name} is not a text")))?;
            if texts[at].replace(text).is_some() {
                return Err(NotOurs(format!("header {name} stands twice")));
            }
        }
        if let Some(at) = texts.iter().position(Option::is_none) {
            return Err(NotOurs(format!("there is no header {}", NAMES[at])));
        }
        let [file_id, attempt, reading, kind, batch, layouts, sum] = texts.map(Option::unwrap_or_default);
        let wrong = |name: &str| NotOurs(format!("header {name} is none"));
        let header = Header {
            file_id: Some(file_id).filter(|id| is_digest(id)).ok_or_else(|| wrong("file_id"))?.to_owned(),
            attempt: Some(attempt).filter(|id| is_uuid(id)).ok_or_else(|| wrong("attempt"))?.to_owned(),
            reading: number(reading).filter(|reading| *reading > 0).ok_or_else(|| wrong("reading"))?,
            kind: Kind::parse(kind).ok_or_else(|| wrong("kind"))?,
            batch: number(batch).ok_or_else(|| wrong("batch"))?,
            layouts: Some(layouts).filter(|id| is_digest(id)).ok_or_else(|| wrong("layouts"))?.to_owned(),
        };
        if sum != checksum(value) {
            return Err(NotOurs("its value is not the one that was sent (xxh3)".to_owned()));
        }
        Ok(header)
    }
}

/// XXH3-64 of a value, hex.
fn checksum(value: &[u8]) -> String {
    format!("{:016x}", xxh3_64(value))
}

fn is_digest(text: &str) -> bool {
    text.len() == DIGEST_DIGITS && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

fn is_uuid(text: &str) -> bool {
    Uuid::try_parse(text).is_ok_and(|uuid| uuid.to_string() == text)
}

/// A number as this program writes it.
fn number(text: &str) -> Option<u32> {
    text.parse().ok().filter(|number: &u32| number.to_string() == text)
}

impl SealMessage {
    /// The value of its message.
    pub fn encode(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("all its maps have texts as keys")
    }

    /// Reads a seal and checks that it agrees with its header.
    fn decode(header: &Header, value: &[u8]) -> Result<SealMessage, NotOurs> {
        // What serde_json says may quote the value.
        let read = serde_json::from_slice(value);
        let message: SealMessage = read.map_err(|_| NotOurs("its value is no seal".to_owned()))?;
        let seal = &message.seal;
        let said = (&seal.arrival.file_id, &message.attempt, seal.reading, message.batches, &seal.layouts);
        if said != (&header.file_id, &header.attempt, header.reading, header.batch, &header.layouts) {
            return Err(NotOurs("the seal is not that of its headers".to_owned()));
        }
        Ok(message)
    }
}

impl Taken {
    /// Reads a message of Kafka.
    ///
    /// # Errors
    /// It is not one of this protocol.
    pub fn of(message: &impl Message) -> Result<Taken, NotOurs> {
        let headers = message.headers().map(texts_of).transpose()?.unwrap_or_default();
        Taken::read(headers, message.payload())
    }

    /// Reads a message from its headers, name and value, and its own value.
    ///
    /// # Errors
    /// It is not one of this protocol.
    pub fn read<'h>(
        headers: impl IntoIterator<Item = Text<'h>>,
        value: Option<&[u8]>,
    ) -> Result<Taken, NotOurs> {
        let value = value.ok_or_else(|| NotOurs("it has no value".to_owned()))?;
        let header = Header::read(headers, value)?;
        if header.kind == Kind::Seal {
            let seal = SealMessage::decode(&header, value)?;
            return Ok(Taken::Seal(header, Box::new(seal)));
        }
        decode::check(header.kind, value)?;
        Ok(Taken::Batch(header))
    }
}

/// Name and value of a header.
type Text<'h> = (&'h str, Option<&'h [u8]>);

/// The headers of a message. rdkafka panics over a header whose name is not UTF-8, and offers no other way to
/// see it: one such message of another program must not stop the sink for ever.
fn texts_of<H: Headers>(headers: &H) -> Result<Vec<Text<'_>>, NotOurs> {
    if headers.count() > MOST_HEADERS {
        return Err(NotOurs("it has too many headers".to_owned()));
    }
    let texts = || headers.iter().map(|header| (header.key, header.value)).collect();
    catch_unwind(AssertUnwindSafe(texts)).map_err(|_| NotOurs("a header's name is not a text".to_owned()))
}
