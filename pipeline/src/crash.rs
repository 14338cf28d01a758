//! Fail points: named moments before and after every step that writes, at which the tests of crashes let a run die or
//! a disk fail.
//!
//! Promise: only builds with debug assertions have them, in others [`point`] is nothing; and there they do nothing
//! unless the environment variable `TSUMIAGE_FAIL`, read once, says so:
//!
//! * `<point>[:<nth>]=kill` the process dies as by kill -9 when the point is passed for the nth time (the first)
//! * `<point>[:<nth>]=full` the disk is full at that moment, `…=readonly` read-only: an error like any other
//! * `trace=<file>` every pass is written down there: the point, a tab, the path it is about

use crate::disk::DiskError;
use std::path::Path;

/// All points, in groups by what is written; each is called in one place.
pub const POINTS: &[&str] = &[
    // A small file that appears whole: notes, events, manifests, settings, `LATEST`, reports.
    "whole.before",
    "whole.written",
    "whole.named",
    "whole.after",
    // The archive: bytes that arrive, the note of their arrival, the note of a file that arrived anew; an event.
    "archive.bytes.before",
    "archive.bytes.copied",
    "archive.bytes.named",
    "archive.bytes.after",
    "archive.note.before",
    "archive.note.named",
    "archive.note.after",
    "archive.renew.before",
    "archive.renew.after",
    "event.before",
    "event.after",
    // An answer of a KHS API on its way to the archive.
    "khs.staged.before",
    "khs.staged.after",
    // The ledger: what a killed run left goes, runs, findings, their sync, manifest.
    "ledger.leftovers.before",
    "ledger.leftovers.after",
    "ledger.run.before",
    "ledger.run.written",
    "ledger.run.after",
    "ledger.findings.before",
    "ledger.findings.written",
    "ledger.sync.before",
    "ledger.sync.after",
    "ledger.manifest.before",
    "ledger.manifest.after",
    // Batches set aside.
    "aside.before",
    "aside.begun",
    "aside.added",
    "aside.after",
    // A rebuild: the new ledger, the swap, the old one goes.
    "rebuild.before",
    "rebuild.made",
    "rebuild.old.before",
    "rebuild.old.after",
    "rebuild.new.before",
    "rebuild.new.after",
    "rebuild.remove.before",
    "rebuild.remove.after",
    // The data folder: what a killed run left goes, settings.
    "folder.leftovers.before",
    "folder.leftovers.after",
    "settings.before",
    "settings.after",
    // A snapshot: begun, what stands, its tables and texts, shared files, manifest, name.
    "temp.before",
    "temp.after",
    "snapshot.begin.before",
    "snapshot.begin.after",
    "snapshot.standing.before",
    "snapshot.standing.after",
    "snapshot.spool.before",
    "snapshot.spool.after",
    "snapshot.table.before",
    "snapshot.table.begun",
    "snapshot.table.written",
    "snapshot.table.after",
    "snapshot.text.before",
    "snapshot.text.written",
    "snapshot.text.after",
    "snapshot.link.before",
    "snapshot.link.made",
    "snapshot.link.after",
    "snapshot.manifest.before",
    "snapshot.manifest.after",
    "snapshot.folders.after",
    "snapshot.rename.before",
    "snapshot.rename.after",
    // Which snapshot is the newest.
    "latest.link.before",
    "latest.link.made",
    "latest.link.after",
    "latest.text.before",
    "latest.text.after",
    // An old snapshot goes: its name, then its files.
    "gc.rename.before",
    "gc.rename.after",
    "gc.removed",
    // The report of a run.
    "report.before",
    "report.after",
];

/// A point is passed; `path` is what is written there.
///
/// # Errors
/// The disk fails here because the test of a crash wants it so.
#[cfg(not(debug_assertions))]
#[inline(always)]
pub fn point(_name: &'static str, _path: &Path) -> Result<(), DiskError> {
    Ok(())
}

#[cfg(debug_assertions)]
pub use armed::point;

#[cfg(debug_assertions)]
mod armed {
    use super::{DiskError, Path};
    use nix::errno::Errno;
    use nix::sys::signal::{Signal, kill};
    use nix::unistd::Pid;
    use std::fs::File;
    use std::io::{Error, Write};
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU64, Ordering};

    /// What the environment wants.
    #[derive(Debug)]
    enum Wish {
        Trace(File),
        Strike { point: String, nth: u64, passed: AtomicU64, how: How },
    }

    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    enum How {
        Kill,
        Fail(Errno),
    }

    static WISH: OnceLock<Option<Wish>> = OnceLock::new();

    /// A point is passed; `path` is what is written there.
    ///
    /// # Errors
    /// The disk fails here because the test of a crash wants it so.
    pub fn point(name: &'static str, path: &Path) -> Result<(), DiskError> {
        let wish = WISH.get_or_init(|| std::env::var("TSUMIAGE_FAIL").ok().and_then(|text| Wish::of(&text)));
        match wish {
            Some(wish) => wish.passes(name, path),
            None => Ok(()),
        }
    }

    impl Wish {
        /// `None` if the text is no wish; the test that has it notices that nothing happens.
        fn of(text: &str) -> Option<Wish> {
            let (what, how) = text.split_once('=')?;
            if what == "trace" {
                return File::options().create(true).append(true).open(how).ok().map(Wish::Trace);
            }
            let (point, nth) = what.split_once(':').unwrap_or((what, "1"));
            let how = match how {
                "kill" => How::Kill,
                "full" => How::Fail(Errno::ENOSPC),
                "readonly" => How::Fail(Errno::EROFS),
                _ => return None,
            };
            let passed = AtomicU64::new(0);
            Some(Wish::Strike { point: point.to_owned(), nth: nth.parse().ok()?, passed, how })
        }

        fn passes(&self, name: &str, path: &Path) -> Result<(), DiskError> {
            match self {
                Wish::Trace(file) => {
                    let mut file = file;
                    // In one piece: other threads write too.
                    file.write_all(format!("{name}\t{}\n", path.display()).as_bytes())
                        .map_err(|error| DiskError::new(path, error))
                }
                Wish::Strike { point, nth, passed, how } => {
                    if point != name || passed.fetch_add(1, Ordering::SeqCst) + 1 != *nth {
                        return Ok(());
                    }
                    match how {
                        How::Fail(errno) => {
                            Err(DiskError::new(path, Error::from_raw_os_error(*errno as i32)))
                        }
                        How::Kill => {
                            let _ = kill(Pid::this(), Signal::SIGKILL); // does not come back
                            Ok(())
                        }
                    }
                }
            }
        }
    }

    #[cfg(test)]
    mod tests {
        use super::*;
        use std::io::ErrorKind::{ReadOnlyFilesystem, StorageFull};

        #[test]
        fn a_point_fails_at_the_pass_that_is_wished_for() {
            let passes = |wish: &str| -> Vec<bool> {
                let wish = Wish::of(wish).unwrap();
                let points = ["whole.before", "whole.after", "whole.before"];
                points.iter().map(|name| wish.passes(name, Path::new("x")).is_err()).collect()
            };
            assert_eq!(passes("whole.before=full"), [true, false, false]);
            assert_eq!(passes("whole.before:2=full"), [false, false, true]);
            assert_eq!(passes("whole.before:3=readonly"), [false, false, false]);
            for (how, kind) in [("full", StorageFull), ("readonly", ReadOnlyFilesystem)] {
                let error = Wish::of(&format!("a={how}")).unwrap().passes("a", Path::new("x")).unwrap_err();
                assert_eq!((error.error.kind(), error.path.as_path()), (kind, Path::new("x")));
            }
            for none in ["", "a", "a=", "a=b", "a:b=kill"] {
                assert!(Wish::of(none).is_none(), "{none}");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn names_are_of_their_own() {
        assert_eq!(POINTS.iter().collect::<BTreeSet<_>>().len(), POINTS.len());
    }
}
