//! End-to-end tests: one binary, since every test binary links the whole engine.

// A test may fail loudly, its helpers too.
#![allow(clippy::unwrap_used)]

mod golden;
mod operator;
mod properties;
mod samples;
mod support;
mod timeline;
