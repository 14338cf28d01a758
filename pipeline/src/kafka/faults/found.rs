//! Faults of the program that seeds found, each by itself.

use super::home::Home;
use super::plan::{COMPILED, TOPIC};
use super::trouble::Cluster;
use super::{PATIENCE, dice::Dice, plan::Plan};
use crate::archive::Archive;
use crate::kafka::KafkaLog;
use crate::kafka::link::Link;
use crate::kafka::sink::Sink;
use crate::kafka::topic::{Topic, look};
use crate::ledger::{FileEntry, Ledger};
use crate::log::{Attempt, Begun, Log, LogError, Seal};
use crate::take_in::{Candidate, Intake, TakeInOptions};
use arrow::array::RecordBatch;
use std::time::Duration;
use tsumiage_schemas::{FactTable, Finding};

/// A cluster that is well, with a topic of one partition.
struct Well {
    plan: Plan,
    home: Home,
    _cluster: Cluster,
    link: Link,
    topic: Topic,
    log: KafkaLog,
}

impl Well {
    fn new() -> Well {
        let plan = Plan::of(&mut Dice::new(0));
        let cluster = Cluster::new(1).unwrap();
        cluster.create_topic(TOPIC, 1, 1).unwrap();
        let link = plan.link(&cluster.bootstrap_servers());
        let topic = look(&link, PATIENCE).unwrap();
        let log = KafkaLog::open(&link, 1).unwrap();
        Well { home: Home::new(&plan), plan, _cluster: cluster, link, topic, log }
    }

    fn sink(&self) -> Sink {
        let data = self.home.data();
        let ledger = Ledger::open(&data).unwrap();
        Sink::begin(&self.link, &self.topic, &ledger, &data.join("spool"), false).unwrap()
    }

    fn drain(&self, sink: &mut Sink) {
        sink.drain(PATIENCE, &mut |_, _| true).unwrap();
    }

    fn commit(&self, sink: &mut Sink, archive: &Archive) {
        let mut ledger = Ledger::open(&self.home.data()).unwrap();
        sink.commit(&mut ledger, archive, COMPILED.spec(), 1 << 20).unwrap();
    }

    /// Sends a file.
    fn send(&self, n: usize) {
        self.send_through(n, &self.log, &self.home.archive());
    }

    fn send_through(&self, n: usize, log: &dyn Log, archive: &Archive) {
        let data = self.home.data();
        let options = self.plan.take_in(0, &data);
        let intake = Intake::new(archive.clone(), log, &options).unwrap();
        let mut others = self.plan.files.iter().filter(|(name, _)| !self.plan.twice.contains(name));
        let path = self.home.inbox_of(&self.plan, 0).join(&others.nth(n).unwrap().0);
        intake.seal(&Candidate::at(&path).unwrap(), None).unwrap();
    }
}

/// Never seals.
struct Unsealed<'a>(&'a KafkaLog);

struct UnsealedAttempt<'a>(Box<dyn Attempt + 'a>);

impl Log for Unsealed<'_> {
    fn begin(&self, begun: &Begun<'_>) -> Result<Box<dyn Attempt + '_>, LogError> {
        Ok(Box::new(UnsealedAttempt(self.0.begin(begun)?)))
    }
}

impl Attempt for UnsealedAttempt<'_> {
    fn append(&mut self, table: FactTable, batch: &RecordBatch) -> Result<(), LogError> {
        self.0.append(table, batch)
    }

    fn seal(self: Box<Self>, _: &Seal, _: &[Finding]) -> Result<(), LogError> {
        Ok(())
    }
}

#[test]
fn an_end_from_before_is_not_taken_for_the_end() {
    let well = Well::new();
    let mut sink = well.sink();
    for n in 0..3 {
        well.send(n);
        well.drain(&mut sink);
        assert_eq!(sink.whole(), n + 1);
        // All there is was read; that it ends there is told later, and nobody listens.
        std::thread::sleep(Duration::from_millis(300));
    }
}

#[test]
fn what_a_killed_sink_did_not_note_the_next_one_notes() {
    let well = Well::new();
    let (data, archive) = (well.home.data(), well.home.archive());
    let path = well.home.path("none.csv");
    std::fs::write(&path, "no exchange file").unwrap();
    let first = TakeInOptions { recheck: true, ..well.plan.take_in(0, &data) };
    let intake = Intake::new(archive.clone(), &well.log, &first).unwrap();
    let seal = intake.seal(&Candidate::at(&path).unwrap(), None).unwrap();
    let again = Candidate { name: "again.csv".to_owned(), ..Candidate::at(&path).unwrap() };
    let again = intake.seal(&again, Some(&FileEntry::of(seal.clone(), 0))).unwrap();
    assert_eq!((seal.reading, again.reading), (1, 2));
    let mut sink = well.sink();
    well.drain(&mut sink);
    well.commit(&mut sink, &Archive::shared(&well.home.path("nowhere")).unwrap());
    let noted = || archive.arrival(&seal.arrival.file_id).unwrap();
    assert_eq!(noted(), Some(seal.arrival.clone()));
    well.commit(&mut well.sink(), &archive);
    assert_eq!(noted(), Some(again.arrival));
}

#[test]
fn an_attempt_at_the_very_beginning_holds_reading_there() {
    let well = Well::new();
    let lost = Archive::shared(&well.home.path("lost")).unwrap();
    well.send_through(0, &Unsealed(&well.log), &lost);
    well.send(1);
    for _ in 0..3 {
        let mut sink = well.sink();
        well.drain(&mut sink);
        assert_eq!(sink.assembly().open(), 1);
        well.commit(&mut sink, &well.home.archive());
    }
    let ledger = Ledger::open(&well.home.data()).unwrap();
    assert_eq!((ledger.files().count(), ledger.kafka(well.sink().of()).get(&0)), (1, Some(&0)));
}
