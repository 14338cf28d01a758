//! The status of insurance cards on the My Number card (KHS, 介護被保険者証利用情報; domain 6).
//!
//! * `people` the newest status of everybody, from the ledger, `beginning` on from a snapshot
//! * `settings` what a data folder says of the API
//! * `staging` an answer or file on its way to the archive, `fetch` the client that gets one
//! * `serve` the API, `tokens` who may ask it
//!
//! Promise: what is served, published and shown comes from the same facts; nobody's number goes into a log.

pub mod beginning;
pub mod fetch;
pub mod people;
pub mod serve;
pub mod settings;
pub mod staging;
pub mod tokens;
