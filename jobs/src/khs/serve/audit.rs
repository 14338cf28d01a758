//! The audit log: a line of JSON for every request, also those refused.
//!
//! Promise: a line is written before its answer goes, and whole: what is not written down is not answered. No token, no
//! insured number, no signature and no text of the requester's is in it, only numbers of insurers that have the form
//! of one.

use super::Interface;
use chrono::{SecondsFormat, Utc};
use serde::Serialize;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{PoisonError, RwLock};
use tsumiage_pipeline::disk::{self, DiskError};

/// What is known of a request.
#[derive(Clone, Debug)]
pub struct Seen {
    /// The interface it came to.
    pub interface: Interface,
    /// Where it came from, as far as the network tells.
    pub peer: Option<IpAddr>,
    /// Id of its token.
    pub token: Option<String>,
    /// Who says to ask.
    pub requester: Option<String>,
    /// Whose people are asked for.
    pub insurer_no: Option<String>,
    /// The one person asked for; never written down.
    pub insured_no: Option<String>,
}

impl Seen {
    /// Of a request of which nothing is known yet.
    pub fn new(interface: Interface, peer: Option<IpAddr>) -> Seen {
        Seen { interface, peer, token: None, requester: None, insurer_no: None, insured_no: None }
    }
}

#[derive(Serialize)]
struct Line<'a> {
    time: String,
    token: Option<&'a str>,
    requester: Option<&'a str>,
    interface: &'a str,
    insurer: Option<&'a str>,
    person: bool,
    result: &'a str,
    status: u16,
    records: u64,
    peer: Option<IpAddr>,
}

/// The log, open to be appended to.
#[derive(Debug)]
pub struct Audit {
    path: PathBuf,
    file: RwLock<File>,
    /// The last line was not written whole: the next one begins anew.
    torn: AtomicBool,
}

impl Audit {
    /// Opens the log; it is made with its folder if missing.
    ///
    /// # Errors
    /// It cannot be made or written to.
    pub fn open(path: &Path) -> Result<Audit, DiskError> {
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            disk::make_folder(folder)?;
        }
        let file = appending(path).map_err(disk::io(path))?;
        Ok(Audit { path: path.to_owned(), file: RwLock::new(file), torn: AtomicBool::new(false) })
    }

    /// Writes the line of a request that is answered so.
    ///
    /// # Errors
    /// The line cannot be written whole.
    pub fn write(&self, seen: &Seen, result: &str, status: u16, records: u64) -> io::Result<()> {
        let line = Line {
            time: Utc::now().to_rfc3339_opts(SecondsFormat::Millis, true),
            token: seen.token.as_deref(),
            requester: seen.requester.as_deref(),
            interface: seen.interface.label(),
            insurer: seen.insurer_no.as_deref(),
            person: seen.insured_no.is_some(),
            result,
            status,
            records,
            peer: seen.peer,
        };
        let mut text = Vec::with_capacity(256);
        if self.torn.load(Ordering::Relaxed) {
            text.push(b'\n');
        }
        serde_json::to_writer(&mut text, &line)?;
        text.push(b'\n');
        let file = self.file.read().unwrap_or_else(PoisonError::into_inner);
        // One write: the system puts lines of many threads one behind the other.
        let whole = match (&*file).write(&text) {
            Ok(bytes) if bytes == text.len() => Ok(()),
            Ok(_) => Err(io::Error::from(io::ErrorKind::StorageFull)),
            Err(error) => Err(error),
        };
        self.torn.store(whole.is_err(), Ordering::Relaxed);
        whole
    }

    /// Begins a new file where somebody moved the old one away, as log rotation does.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn follow(&self) -> io::Result<()> {
        let current = self.file.read().unwrap_or_else(PoisonError::into_inner).metadata()?;
        if fs::metadata(&self.path).is_ok_and(|there| same(&there, &current)) {
            return Ok(());
        }
        let file = appending(&self.path)?;
        *self.file.write().unwrap_or_else(PoisonError::into_inner) = file;
        Ok(())
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

fn appending(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.create(true).append(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o640);
    options.open(path)
}

#[cfg(unix)]
fn same(a: &fs::Metadata, b: &fs::Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    (a.dev(), a.ino()) == (b.dev(), b.ino())
}

#[cfg(not(unix))]
fn same(_: &fs::Metadata, _: &fs::Metadata) -> bool {
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_tell_who_asked_and_never_for_whom_in_person() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("khs/audit.ndjson");
        let audit = Audit::open(&path).unwrap();
        let mut seen = Seen::new(Interface::Json, Some("127.0.0.1".parse().unwrap()));
        audit.write(&seen, "失敗", 401, 0).unwrap();
        seen.token = Some("00c0ffee".to_owned());
        seen.insured_no = Some("0000000010".to_owned());
        audit.write(&seen, "成功", 200, 1).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        let lines: Vec<serde_json::Value> =
            text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert!(lines[0]["token"].is_null() && lines[0]["status"] == 401 && lines[0]["person"] == false);
        assert!(lines[1]["token"] == "00c0ffee" && lines[1]["person"] == true && lines[1]["records"] == 1);
        assert!(lines[1]["time"].as_str().unwrap().ends_with('Z') && lines[1]["peer"] == "127.0.0.1");
        assert!(!text.contains("0000000010"));
    }

    #[test]
    fn a_log_that_was_moved_away_begins_anew() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.ndjson");
        let audit = Audit::open(&path).unwrap();
        let seen = Seen::new(Interface::None, None);
        audit.write(&seen, "失敗", 404, 0).unwrap();
        fs::rename(&path, folder.path().join("audit.1")).unwrap();
        audit.follow().unwrap();
        audit.follow().unwrap();
        audit.write(&seen, "失敗", 404, 0).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap().lines().count(), 1);
    }
}
