//! Sinks that are killed at any moment and begun anew where the ledger stands.

use super::dice::Dice;
use super::tale::Tale;
use super::workers::Place;
use crate::archive::Archive;
use crate::kafka::sink::Sink;
use crate::kafka::through::spool_folder;
use crate::ledger::Ledger;
use crate::log::LogError;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

/// Memory of a commit.
const MEMORY: usize = 64 << 20;

/// Begins a sink where a data folder's ledger stands.
pub fn begin(place: Place<'_>, data: &Path) -> Sink {
    let ledger = Ledger::open(data).unwrap();
    Sink::begin(place.link, place.topic, &ledger, &spool_folder(data), false).unwrap()
}

/// Commits into a data folder.
pub fn commit(sink: &mut Sink, data: &Path, archive: &Archive) {
    let mut ledger = Ledger::open(data).unwrap();
    let spec = super::plan::COMPILED.spec();
    let committed = sink.commit(&mut ledger, archive, spec, MEMORY).unwrap();
    assert!(committed.known.is_empty() && committed.refused.is_empty(), "{committed:?}");
}

/// Reads and commits until it is `done`; the sink that lives then, if it does.
pub fn read(place: Place<'_>, done: &AtomicBool, mut dice: Dice) -> Option<Sink> {
    let (data, tale) = (place.home.data(), place.tale);
    let nowhere = place.home.path("nowhere");
    loop {
        let mut sink = begin(place, &data);
        let (often, long) = (*dice.one(&[3, 10, 1_000]), *dice.one(&[20, 100, 10_000]));
        let killed = loop {
            if done.load(Relaxed) {
                return dice.once_in(2).then_some(sink);
            }
            match sink.poll(Duration::from_millis(20)) {
                Ok(polled) => tale.polled(&polled),
                Err(LogError::Kafka(_)) => break false,
                Err(error) => panic!("{error}"),
            }
            Tale::add(&tale.waiting, sink.assembly().waiting().count() as u64);
            let due = if sink.whole() > 0 { often } else { often * 10 };
            if dice.once_in(due) {
                Tale::add(&tale.commits, 1);
                if dice.once_in(5) {
                    // Killed after the commit and before the archive has its notes.
                    commit(&mut sink, &data, &Archive::shared(&nowhere).unwrap());
                    break true;
                }
                commit(&mut sink, &data, &place.home.archive());
            }
            if dice.once_in(long) {
                break true;
            }
        };
        Tale::add(if killed { &tale.crashes } else { &tale.failed_polls }, 1);
    }
}
