//! End-to-end tests: one binary, since every test binary links the whole engine.

// A test may fail loudly, its helpers too.
#![allow(clippy::unwrap_used)]

mod changes;
mod closings;
mod codes;
mod compaction;
mod crash;
mod error_lists;
mod events;
mod exchange_ids;
mod gc;
mod golden;
mod kafka_broker;
mod khs;
mod layouts;
mod operator;
mod place;
mod properties;
mod rebuild;
mod records;
mod registry;
mod report;
mod samples;
mod sequences;
mod status;
mod support;
mod timeline;
mod withdrawn;
