//! What is served: the newest status of everybody, who belongs to whom, and the tokens; read again when they change.
//!
//! Promise: a request sees one state from its beginning to its end. What cannot be read leaves what was served before in
//! force, is told, and is tried again.

use super::access::Unions;
use super::document::{Shape, Which};
use super::limits::Rates;
use super::metrics::Metrics;
use super::rows::RowForm;
use super::watched::{FolderLooks, Looks, Watched, looks, looks_of_folder};
use crate::facts::KnownFiles;
use crate::khs::beginning::Beginning;
use crate::khs::people::People;
use crate::khs::settings::KhsSettings;
use crate::khs::tokens::Tokens;
use crate::publish::snapshot::Snapshots;
use crate::published::memberships;
use crate::resolve::inputs::FileInputs;
use crate::resolve::record::Record;
use crate::resolve::verdict::Basis;
use std::collections::HashMap;
use std::fs;
use std::path::PathBuf;
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use tsumiage_pipeline::disk::DiskError;
use tsumiage_pipeline::events;
use tsumiage_pipeline::ledger::Ledger;
use tsumiage_schemas::khs::Message;

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
            let of = |form| Shape::new(form, &served, member_no, people);
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

/// Who may ask, and how often.
pub struct Gate {
    /// The tokens there are.
    pub tokens: Tokens,
    /// What they have used up.
    pub rates: Rates,
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

/// How what data are made of looks from outside.
#[derive(Clone, Debug, PartialEq, Eq)]
struct DataMark {
    manifests: FolderLooks,
    events: FolderLooks,
    latest: Option<String>,
}

impl Place {
    fn data_mark(&self) -> DataMark {
        DataMark {
            manifests: looks_of_folder(&self.data.join("ledger/manifests")),
            events: looks_of_folder(&self.data.join("archive/events")),
            latest: fs::read_to_string(self.data.join("snapshots/LATEST")).ok(),
        }
    }

    /// Reads the ledger, and the memberships of the newest snapshot.
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

/// What is served now.
pub struct State {
    place: Place,
    served: RwLock<Arc<Served>>,
    gate: RwLock<Arc<Gate>>,
    data: Mutex<Watched<DataMark>>,
    tokens: Mutex<Watched<Looks>>,
}

impl State {
    /// Reads everything for the first time.
    ///
    /// # Errors
    /// The token file or the data folder cannot be read.
    pub fn new(place: Place) -> Result<State, DiskError> {
        let token_mark = looks(&place.tokens);
        let tokens = Tokens::read(&place.tokens)?;
        let (mark, served) = first(&place)?;
        let rates = Rates::new(&place.settings).renewed(&tokens);
        Ok(State {
            served: RwLock::new(Arc::new(served)),
            gate: RwLock::new(Arc::new(Gate { tokens, rates })),
            data: Mutex::new(Watched::new(mark)),
            tokens: Mutex::new(Watched::new(token_mark)),
            place,
        })
    }

    /// The people and unions served now.
    pub fn served(&self) -> Arc<Served> {
        Arc::clone(&self.served.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The tokens in force now.
    pub fn gate(&self) -> Arc<Gate> {
        Arc::clone(&self.gate.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Serves something else, until data change.
    #[cfg(test)]
    pub fn replace(&self, served: Served) {
        *self.served.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(served);
    }

    /// Why not the newest is served, if it is so; what exactly is wrong is for the operator only.
    pub fn fault(&self) -> Option<&'static str> {
        if guard(&self.tokens).is_at_fault() {
            return Some("the newest tokens cannot be read; those read before are in force");
        }
        let data = guard(&self.data).is_at_fault();
        data.then_some("the newest data cannot be read; those read before are served")
    }

    /// Reads again what changed.
    pub fn refresh(&self, metrics: &Metrics, tell: &Sender<String>) {
        self.refresh_tokens(metrics, tell);
        self.refresh_data(metrics, tell);
        self.count(metrics);
    }

    /// Tells metrics what is served.
    pub fn count(&self, metrics: &Metrics) {
        metrics.people.set(i64::try_from(self.served().people.len()).unwrap_or(i64::MAX));
        metrics.tokens.set(i64::try_from(self.gate().tokens.all().len()).unwrap_or(i64::MAX));
        metrics.fresh.set(i64::from(self.fault().is_none()));
    }

    fn refresh_tokens(&self, metrics: &Metrics, tell: &Sender<String>) {
        let mark = looks(&self.place.tokens);
        if !guard(&self.tokens).is_due(&mark) {
            return;
        }
        let read = Tokens::read(&self.place.tokens);
        metrics.reload("tokens", read.is_ok());
        let fault = read.as_ref().err().map(ToString::to_string);
        if let Ok(tokens) = read {
            let rates = self.gate().rates.renewed(&tokens);
            *self.gate.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(Gate { tokens, rates });
        }
        guard(&self.tokens).outcome(mark, fault, tell, "the tokens");
    }

    fn refresh_data(&self, metrics: &Metrics, tell: &Sender<String>) {
        let mark = self.place.data_mark();
        if !guard(&self.data).is_due(&mark) {
            return;
        }
        let read = self.place.served();
        metrics.reload("data", read.is_ok());
        let fault = read.as_ref().err().map(ToString::to_string);
        if let Ok(served) = read {
            *self.served.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(served);
        }
        guard(&self.data).outcome(mark, fault, tell, "the data");
    }
}

fn guard<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The first reading. Another run may just be compacting the ledger or removing snapshots: it is tried again while
/// the folder changes.
fn first(place: &Place) -> Result<(DataMark, Served), DiskError> {
    loop {
        let mark = place.data_mark();
        match place.served() {
            Err(_) if place.data_mark() != mark => {}
            served => return Ok((mark, served?)),
        }
    }
}
