//! The audit log: a line of JSON for every request, also those refused.
//!
//! Promise: a line is written before its answer goes, and whole: what is not written down is not answered. Strangers, who
//! are answered nothing, cannot fill the disk: beyond some lines a second theirs are counted instead. No token, no
//! insured number, no signature and no text of the requester's is in it, only numbers of insurers that have the form of
//! one.

#[cfg(test)]
mod tests;

use super::Interface;
use chrono::{SecondsFormat, Utc};
use serde::Serialize;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use tsumiage_pipeline::disk::{self, DiskError};

/// Lines about strangers in a second at most.
const STRANGERS: u32 = 1_000;

/// What is known of a request.
#[derive(Clone, Debug)]
pub struct Seen {
    /// The interface it came to.
    pub interface: Interface,
    /// Where it came from, as far as the network tells.
    pub peer: Option<IpAddr>,
    /// Id of its token; none of a stranger's.
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

/// What was not written down since the last such line.
#[derive(Serialize)]
struct Unlogged {
    time: String,
    unlogged: u64,
}

/// Says that lines can be written again.
#[derive(Serialize)]
struct Again {
    time: String,
    audit: &'static str,
}

/// The log, open to be appended to.
#[derive(Debug)]
pub struct Audit {
    path: PathBuf,
    log: Mutex<Log>,
}

#[derive(Debug)]
struct Log {
    file: File,
    /// The last line was not written whole: the next one begins anew.
    torn: bool,
    /// The second, since 1970, in which as many lines about strangers were written.
    strangers: (i64, u32),
    /// How many more there were, since that was last told.
    unlogged: u64,
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
        let log = Log { file, torn: false, strangers: (0, 0), unlogged: 0 };
        Ok(Audit { path: path.to_owned(), log: Mutex::new(log) })
    }

    fn log(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes the line of a request that is answered so; counts it only, if it is one stranger's of too many.
    ///
    /// # Errors
    /// The line cannot be written whole.
    pub fn write(&self, seen: &Seen, result: &str, status: u16, records: u64) -> io::Result<()> {
        let line = Line {
            time: time(),
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
        let mut log = self.log();
        if seen.token.is_none() && !log.has_room(Utc::now().timestamp()) {
            log.unlogged += 1;
            return Ok(());
        }
        log.append(&line)
    }

    /// Tells how many strangers were only counted since it was last told, if there were any.
    ///
    /// # Errors
    /// The line cannot be written whole; it is told the next time.
    pub fn summarise(&self) -> io::Result<()> {
        let mut log = self.log();
        if log.unlogged > 0 {
            let line = Unlogged { time: time(), unlogged: log.unlogged };
            log.append(&line)?;
            log.unlogged = 0;
        }
        Ok(())
    }

    /// Tries whether lines can be written again where they could not.
    ///
    /// # Errors
    /// They cannot.
    pub fn probe(&self) -> io::Result<()> {
        self.log().append(&Again { time: time(), audit: "writable again" })
    }

    /// Begins a new file where somebody moved the old one away, as log rotation does; until that can be done lines go
    /// into the old one.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn follow(&self) -> io::Result<()> {
        let current = self.log().file.metadata()?;
        if fs::metadata(&self.path).is_ok_and(|there| same(&there, &current)) {
            return Ok(());
        }
        let file = appending(&self.path)?;
        let mut log = self.log();
        (log.file, log.torn) = (file, false);
        Ok(())
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Log {
    /// Whether a line about a stranger may be written in this second.
    fn has_room(&mut self, second: i64) -> bool {
        if self.strangers.0 != second {
            self.strangers = (second, 0);
        }
        let has_room = self.strangers.1 < STRANGERS;
        self.strangers.1 += u32::from(has_room);
        has_room
    }

    fn append(&mut self, line: &impl Serialize) -> io::Result<()> {
        let mut text = Vec::with_capacity(256);
        if self.torn {
            text.push(b'\n');
        }
        serde_json::to_writer(&mut text, line)?;
        text.push(b'\n');
        // One write: the system puts it behind those of other processes.
        let bytes = self.file.write(&text)?;
        self.torn = bytes < text.len() && (self.torn || bytes > 0);
        if bytes < text.len() { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }
}

fn time() -> String {
    Utc::now().to_rfc3339_opts(SecondsFormat::Millis, true)
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
