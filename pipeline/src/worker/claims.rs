//! Claims: which worker is at work on what, so that several who share an inbox and an archive do not do the
//! same work twice.
//!
//! Promise: claims save work and decide nothing. A claim is a small file in `archive/claims`, made only if it
//! is not there, its time set anew while its worker lives; one that was not renewed for `ttl` is taken over.
//! Where the folder fails, work goes on without claims (but no two threads of one worker do the same), and
//! [`Claims::fault`] tells it once. Two workers may believe that a claim is theirs; then both do the work.
//!
//! Ages are measured by the clock of the folder (that of a file just written there), not by ours; and a claim
//! whose time does not change while we watch for `ttl` is dead whatever the clocks say.

use crate::disk::{self, DiskError, io};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// After so many times `ttl` a claim is removed when a worker starts: nobody asks for it any more.
const FORGOTTEN: u32 = 10;

/// How a claim on its way is named.
const PART: &str = ".part-";

/// The claims of one worker.
pub struct Claims {
    shared: Arc<Shared>,
    /// Dropped, it ends the thread that renews.
    _renews: Sender<()>,
}

/// The right to work on something, until it is dropped.
pub struct Claim {
    shared: Arc<Shared>,
    path: PathBuf,
}

struct Shared {
    folder: PathBuf,
    ttl: Duration,
    mine: Holder,
    /// What this worker has claimed; no file where the folder failed.
    held: Mutex<BTreeMap<PathBuf, Option<Arc<File>>>>,
    /// Claims of others.
    seen: Mutex<BTreeMap<PathBuf, Seen>>,
    /// How far the folder's clock is ahead of ours, in milliseconds.
    ahead: AtomicI64,
    fault: Mutex<Fault>,
}

/// What stands in a claim.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Holder {
    /// Name of the worker, for people.
    worker: String,
    /// Another one each time a worker starts.
    token: String,
}

/// A claim of another worker: its time, since when it has it, when it was looked at last.
struct Seen {
    renewed: SystemTime,
    since: Instant,
    looked: Instant,
}

#[derive(Default)]
enum Fault {
    #[default]
    None,
    New(DiskError),
    Told,
}

/// The key of a file of an inbox that was not read yet.
pub fn key_of(name: &str, bytes: u64, modified: Option<SystemTime>) -> String {
    let since_epoch = modified.and_then(|time| time.duration_since(UNIX_EPOCH).ok()).unwrap_or_default();
    let text = format!("{name}\n{bytes}\n{}", since_epoch.as_nanos());
    disk::hex(&Sha256::digest(text))
}

impl Claims {
    /// The claims of a worker of this name in an archive. Leftovers of dead workers are removed.
    pub fn open(archive: &Path, worker: &str, ttl: Duration) -> Claims {
        let (worker, token) = (worker.to_owned(), uuid::Uuid::new_v4().to_string());
        let shared = Arc::new(Shared {
            folder: archive.join("claims"),
            ttl,
            mine: Holder { worker, token },
            held: Mutex::default(),
            seen: Mutex::default(),
            ahead: AtomicI64::new(0),
            fault: Mutex::default(),
        });
        shared.note(shared.set_up());
        let (renews, ended) = channel();
        let of_thread = Arc::clone(&shared);
        let thread = std::thread::Builder::new().name("claims".to_owned());
        if let Err(error) = thread.spawn(move || of_thread.renew_until(&ended)) {
            shared.note(Err(DiskError::new(&shared.folder, error)));
        }
        Claims { shared, _renews: renews }
    }

    /// Claims something, if nobody else has it.
    pub fn claim(&self, key: &str) -> Option<Claim> {
        let shared = &self.shared;
        let path = shared.folder.join(format!("{key}.json"));
        match lock(&shared.held).entry(path.clone()) {
            Entry::Occupied(_) => return None,
            Entry::Vacant(entry) => entry.insert(None),
        };
        let file = match shared.take(&path) {
            Ok(Some(file)) => Some(Arc::new(file)),
            Ok(None) => {
                lock(&shared.held).remove(&path);
                return None;
            }
            Err(error) => {
                shared.note(Err(error));
                None
            }
        };
        if file.is_some() {
            shared.note(Ok(()));
            lock(&shared.held).insert(path.clone(), file);
        }
        Some(Claim { shared: Arc::clone(shared), path })
    }

    /// Why the folder fails, once from when it begins to fail until it works again.
    pub fn fault(&self) -> Option<DiskError> {
        let mut fault = lock(&self.shared.fault);
        match std::mem::take(&mut *fault) {
            Fault::None => None,
            Fault::Told => {
                *fault = Fault::Told;
                None
            }
            Fault::New(error) => {
                *fault = Fault::Told;
                Some(error)
            }
        }
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.shared.release(&self.path);
    }
}

impl Shared {
    /// Makes the folder, learns its clock and removes what nobody asks for any more.
    fn set_up(&self) -> Result<(), DiskError> {
        self.make_folder()?;
        let mut probe = self.part()?;
        probe.write_all(b"{}").map_err(io(&self.folder))?;
        self.learn_clock(probe.as_file()).map_err(io(&self.folder))?;
        let claims = |path: &PathBuf| path.extension().is_some_and(|e| e == "json") || is_part(path);
        for path in disk::entries(&self.folder)?.into_iter().filter(claims) {
            let renewed = path.metadata().and_then(|m| m.modified());
            if renewed.is_ok_and(|renewed| self.age(renewed) > self.ttl * FORGOTTEN) {
                let _ = std::fs::remove_file(&path); // another worker may have been quicker
            }
        }
        Ok(())
    }

    /// Not the folders above it: an archive that is not there is not made here.
    fn make_folder(&self) -> Result<(), DiskError> {
        match std::fs::create_dir(&self.folder) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => {
                Err(DiskError::new(&self.folder, error))
            }
            _ => Ok(()),
        }
    }

    fn part(&self) -> Result<tempfile::NamedTempFile, DiskError> {
        tempfile::Builder::new().prefix(PART).tempfile_in(&self.folder).map_err(io(&self.folder))
    }

    /// The claim's file, if it is ours now.
    fn take(&self, path: &Path) -> Result<Option<File>, DiskError> {
        let mut made = make(path);
        if made.as_ref().is_err_and(|error| error.kind() == ErrorKind::NotFound) {
            self.make_folder()?;
            made = make(path);
        }
        match made {
            Ok(mut file) => {
                let written = self.write(&mut file);
                if written.is_err() {
                    let _ = std::fs::remove_file(path); // no room: others shall not wait for it
                }
                written.map_err(io(path))?;
                lock(&self.seen).remove(path);
                Ok(Some(file))
            }
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                if self.dead(path)? {
                    self.take_over(path)
                } else {
                    Ok(None)
                }
            }
            Err(error) => Err(DiskError::new(path, error)),
        }
    }

    fn take_over(&self, path: &Path) -> Result<Option<File>, DiskError> {
        let mut part = self.part()?;
        self.write(part.as_file_mut()).map_err(io(path))?;
        let file = part.persist(path).map_err(|e| DiskError::new(path, e.error))?;
        lock(&self.seen).remove(path);
        Ok(self.is_mine(path).then_some(file)) // not if another took it over after us
    }

    fn write(&self, file: &mut File) -> std::io::Result<()> {
        file.write_all(&serde_json::to_vec(&self.mine)?)?;
        self.learn_clock(file)
    }

    fn is_mine(&self, path: &Path) -> bool {
        disk::read_json::<Holder>(path).is_ok_and(|holder| holder == self.mine)
    }

    /// Whether the worker that claimed this does not live any more.
    fn dead(&self, path: &Path) -> Result<bool, DiskError> {
        let renewed = match path.metadata().and_then(|metadata| metadata.modified()) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false), // released just now
            renewed => renewed.map_err(io(path))?,
        };
        let now = Instant::now();
        let mut seen = lock(&self.seen);
        seen.retain(|_, seen| now - seen.looked < self.ttl * FORGOTTEN);
        let seen = seen.entry(path.to_owned()).or_insert(Seen { renewed, since: now, looked: now });
        if seen.renewed != renewed {
            *seen = Seen { renewed, since: now, looked: now };
        }
        seen.looked = now;
        Ok(self.age(renewed) > self.ttl || now - seen.since > self.ttl)
    }

    /// Our clock set to the folder's.
    fn now(&self) -> SystemTime {
        let ahead = self.ahead.load(Ordering::Relaxed);
        let by = Duration::from_millis(ahead.unsigned_abs());
        let now = SystemTime::now();
        if ahead < 0 { now.checked_sub(by) } else { now.checked_add(by) }.unwrap_or(now)
    }

    fn age(&self, renewed: SystemTime) -> Duration {
        self.now().duration_since(renewed).unwrap_or_default()
    }

    fn learn_clock(&self, just_written: &File) -> std::io::Result<()> {
        let (there, here) = (just_written.metadata()?.modified()?, SystemTime::now());
        let ahead = match there.duration_since(here) {
            Ok(ahead) => ahead.as_millis() as i64,
            Err(behind) => -(behind.duration().as_millis() as i64),
        };
        self.ahead.store(ahead, Ordering::Relaxed);
        Ok(())
    }

    fn renew_until(&self, ended: &Receiver<()>) {
        while ended.recv_timeout(self.ttl / 3) == Err(RecvTimeoutError::Timeout) {
            // Through the open file: should another have taken the claim over, theirs is not touched.
            let held: Vec<_> = lock(&self.held)
                .iter()
                .filter_map(|(path, file)| Some((path.clone(), file.clone()?)))
                .collect();
            for (path, file) in held {
                if let Err(error) = file.set_modified(self.now()) {
                    self.note(Err(DiskError::new(&path, error)));
                }
            }
        }
    }

    fn release(&self, path: &Path) {
        let released = lock(&self.held).remove(path);
        if released.flatten().is_some() && self.is_mine(path) {
            let _ = std::fs::remove_file(path); // what stays is taken over after `ttl`
        }
    }

    fn note(&self, outcome: Result<(), DiskError>) {
        let mut fault = lock(&self.fault);
        match (outcome, &*fault) {
            (Ok(()), Fault::Told) => *fault = Fault::None,
            (Err(error), Fault::None) => *fault = Fault::New(error),
            _ => {}
        }
    }
}

fn is_part(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(PART))
}

fn make(path: &Path) -> std::io::Result<File> {
    let mut options = OpenOptions::new();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o640);
    options.write(true).create_new(true).open(path)
}

/// A thread that panicked while it held the lock left nothing half done: every change is one step.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
