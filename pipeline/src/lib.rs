//! Moving data: the exchange-file reader and writer, the archive, the log and the ledger.
//!
//! Promise: data faults are `Finding` values, `Err` is for the machine; nothing that arrived is ever
//! lost; what is not sealed or not in a manifest does not count. It knows nothing of stacking.

pub mod archive;
pub mod aside;
pub mod coded;
pub mod crash;
pub mod disk;
pub mod events;
pub mod hashing;
pub mod kafka;
pub mod layout_files;
pub mod ledger;
pub mod legible;
pub mod log;
pub mod reader;
pub mod rebuild;
pub mod stop;
pub mod syncing;
pub mod synth;
pub mod take_in;
pub mod tally;
pub mod worker;
pub mod writer;
