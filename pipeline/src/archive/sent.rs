//! What the archive knows of files that went to Kafka.
//!
//! Promise: a note says that a seal was acknowledged; that it is missing says nothing. Whoever loses it sends the
//! file again, and the ledger drops the second seal.

use super::Archive;
use crate::disk::{self, DiskError};
use crate::log::Seal;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// A file that was sent.
#[derive(Debug, Serialize, Deserialize)]
struct Sent {
    /// Cluster and topic.
    to: String,
    /// The seal that was acknowledged.
    seal: Seal,
}

impl Archive {
    fn sent_path(&self, file_id: &str) -> PathBuf {
        self.folder(file_id).join(format!("{file_id}.sent"))
    }

    /// The seal under which a file went there (cluster and topic), if the archive knows of it. A note that
    /// cannot be read is none.
    pub fn sent(&self, file_id: &str, to: &str) -> Option<Seal> {
        let sent: Sent = disk::read_json(&self.sent_path(file_id)).ok()?;
        (sent.to == to && sent.seal.arrival.file_id == file_id).then_some(sent.seal)
    }

    /// Notes that a seal was acknowledged there. A note of another place is replaced.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn note_sent(&self, to: &str, seal: &Seal) -> Result<(), DiskError> {
        let sent = Sent { to: to.to_owned(), seal: seal.clone() };
        let path = self.sent_path(&seal.arrival.file_id);
        disk::write_whole_by(&self.part(), &path, &disk::to_json(&path, &sent)?)
    }
}
