//! What is run: resolving and publishing, the commands, the command line.

pub mod cli;
pub mod diff;
pub mod error_lists;
pub mod facts;
pub mod khs;
pub mod plan;
pub mod publish;
pub mod published;
pub mod registry;
pub mod report;
pub mod resolve;
pub mod serve;
pub mod settings;
pub mod stack;
pub mod timeline;
