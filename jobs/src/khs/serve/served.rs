//! What is served, read from a data folder: the newest status of everybody, and who belongs to whom.
//!
//! Promise: it is read whole or not at all. A ledger that a rebuild is just putting in place of another is no empty one,
//! and what comes of two ledgers is not served.

use super::access::Unions;
use super::rows::RowForm;
use super::shape::{Shape, Which};
use super::watched::{FolderLooks, looks_of_folder};
use crate::facts::KnownFiles;
use crate::khs::beginning::Beginning;
use crate::khs::people::People;
use crate::khs::settings::KhsSettings;
use crate::publish::snapshot::Snapshots;
use crate::published::memberships;
use crate::resolve::inputs::FileInputs;
use crate::resolve::record::Record;
use crate::resolve::verdict::Basis;
use std::collections::HashMap;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};
use tsumiage_pipeline::disk::DiskError;
use tsumiage_pipeline::events;
use tsumiage_pipeline::ledger::Ledger;
use tsumiage_schemas::khs::Message;

/// Times that data are read where they change meanwhile.
const TRIES: usize = 3;

/// So long the first reading waits for a ledger that is not there: a rebuild puts one in its place within moments.
const SWAP: Duration = Duration::from_secs(2);

/// Everybody, and who belongs to whom.
#[derive(Debug)]
pub struct Served {
    /// The newest status of everybody.
    pub people: People,
    /// Unions and cities of the newest snapshot; none without one.
    pub unions: Unions,
    /// By [`Which`].
    forms: [RowForm; 2],
    /// How the rows of every number on cards are laid out, by [`Which`].
    shapes: HashMap<Box<str>, [Shape; 2]>,
}

impl Served {
    /// These people, to be told in these forms.
    pub fn new(people: People, unions: Unions, person: &Message, settings: &KhsSettings) -> Served {
        let forms = [RowForm::json(person), RowForm::of_file(settings.file_form, person)];
        let mut served = Served { people, unions, forms, shapes: HashMap::new() };
        let shape = |(member_no, people)| {
            let of = |form| Shape::new(form, &served.people, member_no, people);
            (Box::from(member_no), [of(&served.forms[0]), of(&served.forms[1])])
        };
        served.shapes = served.people.members().map(shape).collect();
        served
    }

    /// How rows are written.
    pub fn form(&self, which: Which) -> &RowForm {
        let [json, file] = &self.forms;
        if which == Which::Json { json } else { file }
    }

    /// How the rows of a number on cards are laid out.
    pub fn shape(&self, which: Which, member_no: &str) -> Option<&Shape> {
        let [json, file] = self.shapes.get(member_no)?;
        Some(if which == Which::Json { json } else { file })
    }
}

/// How what data are made of looks from outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataMark {
    manifests: FolderLooks,
    events: FolderLooks,
    latest: Option<String>,
}

impl DataMark {
    /// Whether the ledger is where it belongs.
    fn has_ledger(&self) -> bool {
        self.manifests.0.is_some()
    }

    /// Whether what looks like this now is what looked like the other before, or that and more: what was read between
    /// is of one ledger.
    fn goes_on(&self, before: &DataMark) -> bool {
        let more = |now: &FolderLooks, before: &FolderLooks| now.0 == before.0 && now.1 >= before.1;
        before.has_ledger() && more(&self.manifests, &before.manifests) && more(&self.events, &before.events)
    }
}

/// Where what is served comes from.
#[derive(Clone, Debug)]
pub struct Place {
    /// Data folder.
    pub data: PathBuf,
    /// File of tokens.
    pub tokens: PathBuf,
    /// The record of a person.
    pub person: Message,
    /// Settings of the API.
    pub settings: KhsSettings,
}

impl Place {
    fn manifests(&self) -> PathBuf {
        self.data.join("ledger/manifests")
    }

    /// How data look now.
    pub fn mark(&self) -> DataMark {
        DataMark {
            manifests: looks_of_folder(&self.manifests()),
            events: looks_of_folder(&self.data.join("archive/events")),
            latest: fs::read_to_string(self.data.join("snapshots/LATEST")).ok(),
        }
    }

    /// Reads data, and tells how they looked before: where they look different by now they are to be read again.
    pub fn read(&self) -> (DataMark, Result<Served, DiskError>) {
        for _ in 1..TRIES {
            let (mark, read) = self.tried();
            if read.is_ok() || self.mark() == mark {
                return (mark, read);
            }
        }
        self.tried()
    }

    /// Reads data for the first time.
    ///
    /// # Errors
    /// They cannot be read, also not when whoever changes them is done.
    pub fn first(&self) -> Result<(DataMark, Served), DiskError> {
        let begun = Instant::now();
        loop {
            let (mark, read) = self.read();
            let may_come = !mark.has_ledger() && begun.elapsed() < SWAP;
            match read {
                Err(_) if may_come || self.mark() != mark => sleep(Duration::from_millis(50)),
                read => return Ok((mark, read?)),
            }
        }
    }

    fn tried(&self) -> (DataMark, Result<Served, DiskError>) {
        let mark = self.mark();
        let read = caught(&self.data, || self.served());
        let wrong = |what: &str| Err(DiskError::invalid(&self.manifests(), what));
        let read = match read {
            _ if !mark.has_ledger() => wrong(
                "is not there: nothing was taken in yet (`tsumiage nightly`, `khs load`), or a new ledger is just put in its place",
            ),
            Ok(_) if !self.mark().goes_on(&mark) => {
                wrong("was put in the place of another while it was read")
            }
            read => read,
        };
        (mark, read)
    }

    /// The ledger, and the memberships of the newest snapshot.
    fn served(&self) -> Result<Served, DiskError> {
        let ledger = Ledger::open(&self.data)?;
        let events = events::read(&self.data)?;
        let known = KnownFiles::new(&ledger, &events, None);
        let snapshots = Snapshots::open(&self.data)?;
        let latest = snapshots.latest_id().map(|id| snapshots.find(&id)).transpose()?;
        let unions = match &latest {
            Some(snapshot) => Unions::new(memberships(snapshot)?),
            None => Unions::default(), // everybody is only themselves
        };
        let latest = latest.filter(|snapshot| snapshot.manifest.rules == Basis::RULES);
        let record = latest.as_ref().and_then(Record::read);
        let beginning = latest.as_ref().zip(record.as_ref()).and_then(|(snapshot, record)| {
            Beginning::of(snapshot, record, &ledger, &known, &FileInputs::new(&known))
        });
        let people = People::read_on(&ledger, &known, beginning.as_ref())?;
        Ok(Served::new(people, unions, &self.person, &self.settings))
    }
}

/// What is read from there. A fault of the program while it reads, such as a damaged file may bring out, is an error like
/// any other.
pub fn caught<T>(path: &Path, read: impl FnOnce() -> Result<T, DiskError>) -> Result<T, DiskError> {
    let fault = |_| Err(DiskError::invalid(path, "cannot be read for a fault of the program"));
    catch_unwind(AssertUnwindSafe(read)).unwrap_or_else(fault) // what is read is new, or nobody's
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::SystemTime;

    fn mark(ledger: Option<u64>, manifests: usize) -> DataMark {
        let folder = |which| (which, 0, SystemTime::UNIX_EPOCH);
        DataMark { manifests: (ledger.map(folder), manifests, None), events: (None, 0, None), latest: None }
    }

    #[test]
    fn what_is_read_is_of_one_ledger() {
        let before = mark(Some(1), 3);
        assert!(before.goes_on(&before) && mark(Some(1), 4).goes_on(&before), "a commit came behind it");
        for other in [mark(None, 0), mark(Some(2), 3), mark(Some(2), 9), mark(Some(1), 2)] {
            assert!(!other.goes_on(&before), "{other:?}");
        }
        assert!(!mark(None, 0).goes_on(&mark(None, 0)) && !before.goes_on(&mark(None, 0)));
    }

    #[test]
    fn a_fault_of_the_program_is_an_error_like_any_other() {
        let fault = || -> Result<(), DiskError> { panic!("a damaged file") };
        let error = caught(Path::new("/data"), fault).unwrap_err().to_string();
        assert!(error.starts_with("/data: ") && error.contains("fault of the program"), "{error}");
        assert!(caught(Path::new("/data"), || Ok(())).is_ok());
    }
}
