//! Which files of the inbox are complete and not done yet.
//!
//! Promise: a file is ready once its size and time were the same at two looks at least `settle` apart (by a
//! clock that only goes forward), so that one that is still being written is not touched. It is ready once: again
//! only if it changed since, or was away. The inbox itself is only read.
//!
//! A worker that drains takes the files of its first look, those that did not change for `settle` by the wall clock
//! at once; a file that is still being written after [`PATIENCE`] times `settle` is left for the next run.

use crate::disk::{DiskError, io};
use crate::take_in::inbox_files;
use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

/// So many times `settle` a worker that drains waits for a file that is being written.
const PATIENCE: u32 = 12;

/// What tells whether a file changed, without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shape {
    pub bytes: u64,
    pub modified: Option<SystemTime>,
}

/// A file that is complete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ready {
    pub path: PathBuf,
    pub shape: Shape,
}

/// What lay in the inbox when it was looked at.
#[derive(Clone, Debug)]
pub(super) struct Listing {
    pub files: BTreeMap<PathBuf, Shape>,
    /// When it was begun and ended to look.
    pub began: Instant,
    pub ended: Instant,
    /// The wall clock then.
    pub at: SystemTime,
}

/// What is remembered of the inbox.
pub(super) struct Inbox {
    settle: Duration,
    /// Files that are taken as they are: the user named them.
    given: BTreeSet<PathBuf>,
    drain: bool,
    /// When it was looked at first.
    first: Option<Instant>,
    files: BTreeMap<PathBuf, Seen>,
}

#[derive(Clone, Copy)]
struct Seen {
    shape: Shape,
    since: Instant,
    stage: Stage,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Settling,
    Ready,
    Done,
    /// Still being written when a worker that drains had waited long enough.
    Left,
}

impl Listing {
    /// Looks at a folder and at files named by the user, as far as they are there.
    ///
    /// # Errors
    /// The folder or a file cannot be read.
    pub fn of(inbox: Option<&Path>, given: &[PathBuf]) -> Result<Listing, DiskError> {
        let (began, at) = (Instant::now(), SystemTime::now());
        let mut files = BTreeMap::new();
        for path in inbox.map(inbox_files).transpose()?.into_iter().flatten().chain(given.iter().cloned()) {
            match shape_of(&path) {
                Err(error) if error.error.kind() == ErrorKind::NotFound => {} // taken away just now
                shape => drop(files.insert(path, shape?)),
            }
        }
        Ok(Listing { files, began, ended: Instant::now(), at })
    }
}

/// # Errors
/// The file is not there or cannot be asked.
pub(super) fn shape_of(path: &Path) -> Result<Shape, DiskError> {
    let metadata = path.metadata().map_err(io(path))?;
    Ok(Shape { bytes: metadata.len(), modified: metadata.modified().ok() })
}

impl Inbox {
    pub fn new(settle: Duration, given: &[PathBuf], drain: bool) -> Inbox {
        let given = given.iter().cloned().collect();
        Inbox { settle, given, drain, first: None, files: BTreeMap::new() }
    }

    /// Takes in what lies there now; gives the files that are ready since, sorted by path.
    pub fn see(&mut self, listing: &Listing) -> Vec<Ready> {
        let first_look = self.first.is_none();
        let first = *self.first.get_or_insert(listing.ended);
        let impatient = self.drain && listing.began.duration_since(first) >= self.settle * PATIENCE;
        self.files.retain(|path, _| listing.files.contains_key(path));
        let mut ready = Vec::new();
        for (path, &shape) in &listing.files {
            if self.drain && !first_look && !self.files.contains_key(path) {
                continue; // it came later: it is the next run's
            }
            let anew = Seen { shape, since: listing.ended, stage: Stage::Settling };
            let known = self.files.get(path).filter(|seen| seen.shape == shape).copied();
            let mut seen = known.unwrap_or(anew);
            if seen.stage == Stage::Settling {
                let settled = listing.began.saturating_duration_since(seen.since) >= self.settle;
                let old = first_look && self.drain && shape.older(self.settle, listing.at);
                if settled || old || self.given.contains(path) {
                    seen.stage = Stage::Ready;
                    ready.push(Ready { path: path.clone(), shape });
                } else if impatient {
                    seen.stage = Stage::Left;
                }
            }
            self.files.insert(path.clone(), seen);
        }
        ready
    }

    /// Whether a file that was ready still is what it was, as far as is known.
    pub fn still(&self, file: &Ready) -> bool {
        self.files.get(&file.path).is_some_and(|seen| seen.shape == file.shape && seen.stage == Stage::Ready)
    }

    /// A file that was ready is done.
    pub fn done(&mut self, file: &Ready) {
        if let Some(seen) = self.files.get_mut(&file.path).filter(|seen| seen.shape == file.shape) {
            seen.stage = Stage::Done;
        }
    }

    /// A file that was ready turned out to be still in the making.
    pub fn not_yet(&mut self, file: &Ready) {
        if let Some(seen) = self.files.get_mut(&file.path) {
            *seen = Seen { since: Instant::now(), stage: Stage::Settling, ..*seen };
        }
    }

    /// Number of files that are waited for.
    pub fn settling(&self) -> usize {
        self.in_stage(Stage::Settling).count()
    }

    /// Files that were still being written when the time for them was over.
    pub fn left(&self) -> impl Iterator<Item = &Path> {
        self.in_stage(Stage::Left)
    }

    fn in_stage(&self, stage: Stage) -> impl Iterator<Item = &Path> {
        self.files.iter().filter(move |(_, seen)| seen.stage == stage).map(|(path, _)| path.as_path())
    }
}

impl Shape {
    /// Whether the file did not change for so long.
    fn older(&self, settle: Duration, now: SystemTime) -> bool {
        self.modified.and_then(|modified| now.duration_since(modified).ok()).is_some_and(|age| age >= settle)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a test may fail loudly
mod tests {
    use super::*;

    const SETTLE: Duration = Duration::from_secs(5);

    /// A worker's inbox over time, in seconds.
    struct Course {
        inbox: Inbox,
        zero: Instant,
        wall: SystemTime,
    }

    impl Course {
        fn new(drain: bool) -> Course {
            let inbox = Inbox::new(SETTLE, &[PathBuf::from("given")], drain);
            Course { inbox, zero: Instant::now(), wall: SystemTime::now() }
        }

        fn file(&self, (name, bytes, modified): (&str, u64, i64)) -> Ready {
            let by = Duration::from_secs(modified.unsigned_abs());
            let modified = if modified < 0 { self.wall - by } else { self.wall + by };
            Ready { path: PathBuf::from(name), shape: Shape { bytes, modified: Some(modified) } }
        }

        /// Files (name, bytes, time) as seen at a second; the names of those that are ready then.
        fn see(&mut self, second: u64, files: &[(&str, u64, i64)]) -> Vec<String> {
            let files = files.iter().map(|file| self.file(*file)).map(|file| (file.path, file.shape));
            let began = self.zero + Duration::from_secs(second);
            let listing = Listing {
                files: files.collect(),
                began,
                ended: began + Duration::from_millis(100),
                at: self.wall + Duration::from_secs(second),
            };
            let ready = self.inbox.see(&listing).into_iter();
            ready.map(|file| file.path.to_string_lossy().into_owned()).collect()
        }
    }

    #[test]
    fn a_file_is_ready_once_it_was_the_same_at_two_looks_that_far_apart() {
        let mut course = Course::new(false);
        let none: [&str; 0] = [];
        assert_eq!(course.see(0, &[("a", 1, -99), ("b", 1, 0)]), none, "old or not");
        assert_eq!(course.see(5, &[("a", 1, -99), ("b", 2, 0)]), none, "4.9 s after the first look ended");
        assert_eq!(course.see(6, &[("a", 1, -99), ("b", 2, 0)]), ["a"]);
        assert_eq!(course.see(9, &[("a", 1, -99), ("b", 2, 7)]), none, "b changed again, its time only");
        assert_eq!(course.see(14, &[("a", 1, -99), ("b", 2, 7)]), none);
        assert_eq!(course.see(15, &[("a", 1, -99), ("b", 2, 7)]), ["b"]);
        assert_eq!(course.see(99, &[("a", 1, -99), ("b", 2, 7)]), none, "ready once");
        assert_eq!(course.inbox.settling(), 0);
    }

    #[test]
    fn a_file_that_changed_or_was_away_is_looked_at_anew() {
        let mut course = Course::new(false);
        let a = course.file(("a", 1, 0));
        course.see(0, &[("a", 1, 0)]);
        assert_eq!(course.see(6, &[("a", 1, 0)]), ["a"]);
        assert!(course.inbox.still(&a));
        course.inbox.done(&a);
        assert!(!course.inbox.still(&a));
        assert!(course.see(12, &[("a", 2, 0)]).is_empty());
        course.inbox.done(&a); // the other content was meant
        assert_eq!(course.see(18, &[("a", 2, 0)]), ["a"]);
        assert!(course.see(20, &[]).is_empty());
        assert!(course.see(30, &[("a", 2, 0)]).is_empty());
        assert_eq!(course.see(36, &[("a", 2, 0)]), ["a"]);
        let a = course.file(("a", 2, 0));
        course.inbox.not_yet(&a);
        assert!(!course.inbox.still(&a) && course.inbox.settling() == 1, "it changed while it was read");
    }

    #[test]
    fn what_the_user_names_is_taken_as_it_is() {
        let mut course = Course::new(false);
        assert_eq!(course.see(0, &[("a", 1, 0), ("given", 1, 0)]), ["given"]);
    }

    #[test]
    fn a_worker_that_drains_takes_old_files_at_once_and_leaves_what_is_not_complete() {
        let mut course = Course::new(true);
        let files = [("fresh", 1, -1), ("future", 1, 99), ("grows", 1, -9), ("old", 1, -5)];
        assert_eq!(course.see(0, &files), ["grows", "old"]);
        let files = [("fresh", 1, -1), ("future", 1, 99), ("grows", 2, 3), ("late", 1, -99), ("old", 1, -5)];
        assert_eq!(course.see(6, &files), ["fresh", "future"], "what came later is the next run's");
        for second in 7..60 {
            let grows = [("grows", second, 3)];
            assert!(course.see(second, &grows).is_empty());
            assert_eq!(course.inbox.settling(), 1);
        }
        assert!(course.see(61, &[("grows", 61, 3)]).is_empty());
        assert_eq!(course.inbox.settling(), 0);
        assert_eq!(course.inbox.left().collect::<Vec<_>>(), [Path::new("grows")]);
    }

    #[test]
    fn only_whole_plain_files_are_listed() {
        let inbox = tempfile::tempdir().unwrap();
        for name in ["a.csv", ".hidden", "b.csv.part", "c.tmp"] {
            std::fs::write(inbox.path().join(name), "x").unwrap();
        }
        std::fs::create_dir(inbox.path().join("folder")).unwrap();
        let names =
            || -> Vec<PathBuf> { Listing::of(Some(inbox.path()), &[]).unwrap().files.into_keys().collect() };
        assert_eq!(names(), [inbox.path().join("a.csv")]);
        std::fs::rename(inbox.path().join("b.csv.part"), inbox.path().join("b.csv")).unwrap();
        assert_eq!(names().len(), 2);
        assert!(Listing::of(None, &[inbox.path().join("not there")]).unwrap().files.is_empty());
        assert!(Listing::of(Some(&inbox.path().join("not there")), &[]).is_err());
    }
}
