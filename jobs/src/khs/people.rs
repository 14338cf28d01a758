//! The newest status of everybody, as the facts known say (domain 6).
//!
//! Promise: a function of the facts: of several that name a person that counts which came last: by the day it came, the
//! order of application of its file, its place in it. Somebody whom a newer answer does not name keeps what was known.

use crate::facts::KnownFiles;
use crate::published::batches_about;
use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{Date32Type, Int32Type, Int64Type};
use std::collections::{BTreeMap, HashMap, HashSet};
use tsumiage_pipeline::disk::DiskError;
use tsumiage_pipeline::ledger::Ledger;
use tsumiage_schemas::{Day, FactTable};

/// The status of one person under one number of an insurer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// Insured number.
    pub insured_no: Box<str>,
    /// Place of the status among those there are.
    pub(super) status: u32,
    /// 介護被保険者証利用停止日.
    pub end_date: Option<Day>,
    /// 介護被保険者証利用停止解除日.
    pub end_cancel_date: Option<Day>,
    /// Take-in day of what says so.
    pub known_on: Day,
}

impl Person {
    /// Somebody whose status is still to be told.
    pub(super) fn new(insured_no: &str, known_on: Day) -> Person {
        Person { insured_no: insured_no.into(), status: 0, end_date: None, end_cancel_date: None, known_on }
    }
}

/// Everybody, by the number on the card and the insured number.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct People {
    statuses: Vec<Box<str>>,
    members: BTreeMap<Box<str>, Vec<Person>>,
}

/// Columns of the facts that are read.
const COLUMNS: [&str; 8] = [
    "insurer_no",
    "insured_no",
    "movement_date", // the day it came
    "file_seq",
    "record_no",
    "status",
    "end_date",
    "end_cancel_date",
];

impl People {
    /// Reads the facts known.
    ///
    /// # Errors
    /// A run of the ledger cannot be read.
    pub fn read(ledger: &Ledger, known: &KnownFiles<'_>) -> Result<People, DiskError> {
        People::read_by(ledger, Gathering::new(known, None))
    }

    /// Reads what is known of one insured number, under every number on the card.
    ///
    /// # Errors
    /// As [`read`](People::read).
    pub fn read_one(ledger: &Ledger, known: &KnownFiles<'_>, insured_no: &str) -> Result<People, DiskError> {
        People::read_by(ledger, Gathering::new(known, Some(insured_no)))
    }

    /// Takes what was known before from `before`, then reads the facts of newer files; none if one of these came before
    /// a day, so that it may be older than what was known.
    pub(super) fn read_from(
        ledger: &Ledger,
        known: &KnownFiles<'_>,
        (newer, day): (&HashSet<i32>, Day),
        before: &dyn Fn(&mut Told<'_>) -> Result<(), DiskError>,
    ) -> Result<Option<People>, DiskError> {
        let mut gathering = Gathering::new(known, None);
        let counts = gathering.counts.iter_mut().enumerate();
        let older = counts.filter(|(seq, _)| !newer.contains(&(*seq as i32)));
        older.for_each(|(_, counts)| *counts = None);
        before(&mut |member_no, status, mut person| {
            person.status = gathering.status(status);
            gathering.tell(member_no, (None, person));
        })?;
        gathering.read(ledger)?;
        let in_order = gathering.first_came.is_none_or(|first| first >= day);
        Ok(in_order.then(|| gathering.finish()))
    }

    fn read_by(ledger: &Ledger, mut gathering: Gathering<'_>) -> Result<People, DiskError> {
        gathering.read(ledger)?;
        Ok(gathering.finish())
    }

    /// The people of a number on the card, by insured number.
    pub fn of(&self, member_no: &str) -> &[Person] {
        self.members.get(member_no).map_or(&[], Vec::as_slice)
    }

    /// One of them.
    pub fn find(&self, member_no: &str, insured_no: &str) -> Option<&Person> {
        let people = self.of(member_no);
        let at = people.binary_search_by(|person| (*person.insured_no).cmp(insured_no)).ok()?;
        people.get(at)
    }

    /// A person's status, as sent.
    pub fn status(&self, person: &Person) -> &str {
        self.statuses.get(person.status as usize).map_or("", |status| status)
    }

    /// All numbers on cards, in order, with their people.
    pub fn members(&self) -> impl Iterator<Item = (&str, &[Person])> {
        self.members.iter().map(|(member_no, people)| (&**member_no, people.as_slice()))
    }

    /// How many people there are.
    pub fn len(&self) -> usize {
        self.members.values().map(Vec::len).sum()
    }

    /// Whether there is nobody.
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }
}

/// Told of somebody: number on the card, status, the rest.
pub(super) type Told<'t> = dyn FnMut(&str, &str, Person) + 't;

/// A person and which record says so: the day it came, the place of its file in the order of application, and its
/// position. Of what a snapshot says none is known; it is before all others.
type Known = (Option<(Day, u32, i64)>, Person);

struct Gathering<'k> {
    known: &'k KnownFiles<'k>,
    only: Option<&'k str>,
    /// By a file's number in the ledger its place in the order of application and take-in day, if it counts.
    counts: Vec<Option<(u32, Day)>>,
    statuses: HashMap<Box<str>, u32>,
    members: HashMap<Box<str>, HashMap<Box<str>, Known>>,
    /// The earliest day on which one came.
    first_came: Option<Day>,
}

impl<'k> Gathering<'k> {
    fn new(known: &'k KnownFiles<'k>, only: Option<&'k str>) -> Gathering<'k> {
        let mut counts = vec![None; known.orders.len()];
        for file in known.files.iter().filter(|file| !known.is_withdrawn(file)) {
            if let Some(place) = usize::try_from(file.seq).ok().and_then(|seq| counts.get_mut(seq)) {
                *place = Some((known.orders[file.seq as usize].rank, file.arrival.taken_in_on));
            }
        }
        Gathering { known, only, counts, statuses: HashMap::new(), members: HashMap::new(), first_came: None }
    }

    /// Reads the ledger's facts.
    fn read(&mut self, ledger: &Ledger) -> Result<(), DiskError> {
        for run in ledger.runs_of(FactTable::Khs) {
            let counts = |seq: &i32| self.counts.get(*seq as usize).is_some_and(Option::is_some);
            if !run.files.is_empty() && !run.files.iter().any(counts) {
                continue;
            }
            let path = ledger.path(&run.path);
            for batch in batches_about(&path, Some(&COLUMNS), self.only)? {
                let batch = batch?;
                let missing = || DiskError::invalid(&path, "is no run of KHS facts");
                self.add(&batch).ok_or_else(missing)?;
            }
        }
        Ok(())
    }

    /// Adds facts; `None` if the batch is none of them.
    fn add(&mut self, batch: &RecordBatch) -> Option<()> {
        let column = |name: &str| batch.column_by_name(name);
        let members = column("insurer_no")?.as_string_opt::<i32>()?;
        let insured = column("insured_no")?.as_string_opt::<i32>()?;
        let status = column("status")?.as_string_opt::<i32>()?;
        let came = column("movement_date")?.as_primitive_opt::<Date32Type>()?;
        let seqs = column("file_seq")?.as_primitive_opt::<Int32Type>()?;
        let records = column("record_no")?.as_primitive_opt::<Int64Type>()?;
        let ends = column("end_date")?.as_primitive_opt::<Date32Type>()?;
        let cancels = column("end_cancel_date")?.as_primitive_opt::<Date32Type>()?;
        for row in 0..batch.num_rows() {
            let (seq, record_no) = (seqs.value(row), records.value(row));
            let Some((rank, known_on)) = self.counts.get(seq as usize).copied().flatten() else { continue };
            let others = self.only.is_some_and(|only| insured.value(row) != only);
            if insured.is_null(row) || others || self.known.left_out.records.contains(&(seq, record_no)) {
                continue;
            }
            let day = Day(came.value(row));
            self.first_came = Some(self.first_came.map_or(day, |first| first.min(day)));
            let person = Person {
                status: self.status(if status.is_valid(row) { status.value(row) } else { "" }),
                end_date: ends.is_valid(row).then(|| Day(ends.value(row))),
                end_cancel_date: cancels.is_valid(row).then(|| Day(cancels.value(row))),
                ..Person::new(insured.value(row), known_on)
            };
            self.tell(members.value(row), (Some((day, rank, record_no)), person));
        }
        Some(())
    }

    fn tell(&mut self, member_no: &str, told: Known) {
        if !self.members.contains_key(member_no) {
            self.members.insert(member_no.into(), HashMap::new());
        }
        let Some(people) = self.members.get_mut(member_no) else { return };
        match people.get_mut(&*told.1.insured_no) {
            Some(before) if before.0 < told.0 => *before = told,
            Some(_) => {}
            None => {
                people.insert(told.1.insured_no.clone(), told);
            }
        }
    }

    /// The number of a status.
    fn status(&mut self, text: &str) -> u32 {
        if let Some(number) = self.statuses.get(text) {
            return *number;
        }
        let number = self.statuses.len() as u32; // they are held in memory: never so many
        self.statuses.insert(text.into(), number);
        number
    }

    fn finish(self) -> People {
        let mut statuses = vec![Box::default(); self.statuses.len()];
        for (text, number) in self.statuses {
            statuses[number as usize] = text;
        }
        let people = |people: HashMap<Box<str>, Known>| {
            let mut people: Vec<Person> = people.into_values().map(|(_, person)| person).collect();
            people.sort_unstable_by(|a, b| a.insured_no.cmp(&b.insured_no));
            people
        };
        let members = self.members.into_iter().map(|(member_no, of)| (member_no, people(of))).collect();
        People { statuses, members }
    }
}
