//! Kafka between ingest workers and the ledger (contract, "Kafka").
//!
//! Promise: a file counts once, whole, whatever the broker, the workers or the network do: batches carry their
//! attempt, a seal makes them count, the first seal of a reading wins, and the offsets used stand in the ledger's
//! manifest with the data. No transactions, no consumer group, no clock decides anything.

pub mod assembly;
#[cfg(test)]
mod faults;
pub mod gauges;
pub mod health;
pub mod link;
pub mod message;
pub mod producer;
pub mod sink;
pub mod spool;
pub mod through;
pub mod topic;

pub use link::KafkaError;
pub use producer::KafkaLog;
