//! How files and folders look from outside, and what is to be read again when they look different.
//!
//! Promise: looking reads no content; what could not be read is tried again, and told once.

use std::fs;
use std::path::Path;
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant, SystemTime};

/// So long what could not be read is left alone, unless it changes.
const TRY_AGAIN: Duration = Duration::from_secs(10);

/// How a file or folder looks from outside; another one if it changed.
pub type Looks = Option<(u64, u64, SystemTime)>;

/// The same of a folder of numbered files: itself, how many there are, the last of them.
pub type FolderLooks = (Looks, usize, Looks);

/// How a file looks now; none if it is not there.
pub fn looks(path: &Path) -> Looks {
    let metadata = fs::metadata(path).ok()?;
    #[cfg(unix)]
    let which = std::os::unix::fs::MetadataExt::ino(&metadata);
    #[cfg(not(unix))]
    let which = 0;
    Some((which, if metadata.is_dir() { 0 } else { metadata.len() }, metadata.modified().ok()?))
}

/// A folder of numbered JSON files: which folder it is, how many there are, how the last of them looks.
pub fn looks_of_folder(path: &Path) -> FolderLooks {
    let names = fs::read_dir(path).into_iter().flatten().flatten().map(|entry| entry.file_name());
    let names: Vec<_> = names.filter(|name| name.as_encoded_bytes().ends_with(b".json")).collect();
    let last = names.iter().max().and_then(|name| looks(&path.join(name)));
    // When the folder itself changed says nothing: files on their way are in it too.
    let folder = looks(path).map(|(which, ..)| (which, 0, SystemTime::UNIX_EPOCH));
    (folder, names.len(), last)
}

/// Something that is read again when it changes.
#[derive(Debug)]
pub struct Watched<M> {
    /// How it looked when it was last read, or tried to be.
    mark: M,
    /// Why it could not be read, and when that was.
    fault: Option<(String, Instant)>,
}

impl<M: PartialEq> Watched<M> {
    /// It was read looking like this.
    pub fn new(mark: M) -> Watched<M> {
        Watched { mark, fault: None }
    }

    /// Whether it could not be read when it was last tried.
    pub fn is_at_fault(&self) -> bool {
        self.fault.is_some()
    }

    /// Whether it is to be read, looking like this now.
    pub fn is_due(&self, mark: &M) -> bool {
        *mark != self.mark || self.fault.as_ref().is_some_and(|(_, at)| at.elapsed() >= TRY_AGAIN)
    }

    /// It was read, or could not be; what is new of that is told.
    pub fn outcome(&mut self, mark: M, fault: Option<String>, tell: &Sender<String>, keeps: &str) {
        self.mark = mark;
        if let Some(fault) = &fault
            && self.fault.as_ref().is_none_or(|(told, _)| told != fault)
        {
            let _ = tell.send(format!("{fault}; goes on with {keeps} read before")); // nobody listens at the end
        }
        self.fault = fault.map(|fault| (fault, Instant::now()));
    }
}
