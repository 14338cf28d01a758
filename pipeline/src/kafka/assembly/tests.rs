//! The state machine: its rules one by one, and random logs against a naive model.

#![allow(clippy::unwrap_used)] // a test may fail loudly

mod random;

use super::*;
use crate::archive::Arrival;
use crate::kafka::message::Kind::Findings;
use crate::log::Seal;
use crate::tally::Tally;
use std::convert::Infallible;
use tsumiage_schemas::{Day, FactTable};

const FACTS: Kind = Kind::Facts(FactTable::Recipient);

/// The header of a message of an attempt such as `a1` of file `f`; layouts of another reading differ.
fn header(file: &str, attempt: &str, reading: u32, kind: Kind, batch: u32) -> Header {
    let layouts = format!("layouts {reading}");
    Header { file_id: file.to_owned(), attempt: attempt.to_owned(), reading, kind, batch, layouts }
}

fn batch(file: &str, attempt: &str, reading: u32, number: u32) -> Taken {
    Taken::Batch(header(file, attempt, reading, FACTS, number))
}

fn seal(file: &str, attempt: &str, reading: u32, batches: u32) -> Taken {
    let header = header(file, attempt, reading, Kind::Seal, batches);
    let seal = Seal {
        arrival: Arrival {
            file_id: file.to_owned(),
            name: format!("{file}.csv"),
            taken_in_on: Day(20_750),
            source: "inbox".to_owned(),
            closed_through: None,
        },
        data_type: None,
        sender_no: None,
        sender_insurer_no: None,
        processing_month: None,
        records: 0,
        accepted: 0,
        rejected: 0,
        warned: 0,
        file_rejected: false,
        first_movement: None,
        findings: Tally::default(),
        file_errors: Vec::new(),
        layouts: header.layouts.clone(),
        one_off: false,
        reading,
    };
    let message = SealMessage { seal, batches, attempt: attempt.to_owned() };
    Taken::Seal(header, Box::new(message))
}

/// Takes messages of one partition from an offset on; a batch is kept as its offset. Tells what became of each:
/// `kept`, `waiting`, `whole 0 1` (the batches' offsets), or why it was dropped.
fn told(assembly: &mut Assembly<i64>, partition: i32, from: i64, messages: Vec<Taken>) -> Vec<String> {
    let take = |(offset, message)| {
        let Ok(step) = assembly.take(partition, offset, Ok(message), || Ok::<_, Infallible>(offset));
        match step {
            Step::Dropped(Why::Again) => "again".to_owned(),
            Step::Dropped(Why::Known) => "known".to_owned(),
            Step::Dropped(Why::Contradicts) => "contradicts".to_owned(),
            Step::Dropped(Why::NotOurs(NotOurs(why))) => why,
            Step::Kept => "kept".to_owned(),
            Step::Waiting => "waiting".to_owned(),
            Step::Whole(file) => {
                file.batches.iter().fold("whole".to_owned(), |s, (_, at)| format!("{s} {at}"))
            }
        }
    };
    (from..).zip(messages).map(take).collect()
}

fn assembly() -> Assembly<i64> {
    Assembly::new(BTreeMap::new())
}

fn low(assembly: &Assembly<i64>) -> Vec<(i32, i64)> {
    assembly.low_watermark().into_iter().collect()
}

#[test]
fn a_seal_makes_its_batches_count() {
    let mut all = assembly();
    let messages =
        vec![batch("f", "a", 1, 0), batch("f", "a", 1, 1), seal("f", "a", 1, 2), seal("g", "b", 1, 0)];
    assert_eq!(told(&mut all, 0, 0, messages), ["kept", "kept", "whole 0 1", "whole"]);
    assert_eq!((all.open(), low(&all)), (0, vec![(0, 4)]));
    let again = vec![batch("f", "z", 1, 0), seal("f", "z", 1, 1), batch("f", "a", 1, 0)];
    assert_eq!(told(&mut all, 1, 0, again), ["known"; 3], "the first seal wins");
}

#[test]
fn batches_come_out_in_their_order_with_what_they_carry() {
    let mut all = assembly();
    let findings = Taken::Batch(header("f", "a", 1, Findings, 1));
    told(&mut all, 0, 0, vec![batch("f", "a", 1, 2), findings, batch("f", "a", 1, 0)]);
    let Ok(step) = all.take(0, 3, Ok(seal("f", "a", 1, 3)), || Ok::<_, Infallible>(99));
    let Step::Whole(file) = step else { panic!("{step:?}") };
    assert_eq!(file.batches, [(FACTS, 2), (Findings, 1), (FACTS, 0)]);
    assert_eq!(file.seal.arrival.name, "f.csv");
}

#[test]
fn what_was_seen_is_dropped() {
    let mut all = Assembly::new(BTreeMap::from([(0, 5)]));
    assert_eq!(told(&mut all, 0, 4, vec![batch("f", "a", 1, 0), batch("f", "a", 1, 0)]), ["again", "kept"]);
    assert_eq!(told(&mut all, 0, 5, vec![batch("f", "a", 1, 1)]), ["again"]);
    assert_eq!(told(&mut all, 1, 0, vec![batch("g", "b", 1, 0)]), ["kept"], "partitions count by themselves");
    let twice =
        vec![batch("f", "a", 1, 0), seal("f", "a", 1, 2), seal("f", "a", 1, 2), batch("f", "a", 1, 1)];
    assert_eq!(told(&mut all, 0, 6, twice), ["again", "waiting", "again", "whole 5 9"]);
}

#[test]
fn a_seal_that_lacks_batches_waits_and_another_attempt_may_be_whole() {
    let mut all = assembly();
    assert_eq!(told(&mut all, 0, 7, vec![batch("f", "a", 1, 1), seal("f", "a", 1, 3)]), ["kept", "waiting"]);
    let waiting: Vec<&str> = all.waiting().map(|seal| seal.arrival.name.as_str()).collect();
    assert_eq!((waiting, all.open(), low(&all)), (vec!["f.csv"], 0, vec![(0, 7)]));
    let other = vec![batch("f", "b", 1, 0), seal("f", "b", 1, 1)];
    assert_eq!(told(&mut all, 1, 0, other), ["kept", "whole 0"]);
    assert_eq!((all.waiting().count(), all.open(), low(&all)), (0, 0, vec![(0, 9), (1, 2)]));
    assert_eq!(told(&mut all, 0, 9, vec![batch("f", "a", 1, 0)]), ["known"]);
}

#[test]
fn a_higher_reading_is_a_file_of_its_own() {
    let mut all = assembly();
    all.known("f", 1);
    let second =
        vec![batch("f", "b", 2, 0), batch("f", "a", 1, 0), batch("f", "c", 3, 0), seal("f", "b", 2, 1)];
    assert_eq!(told(&mut all, 0, 0, second), ["kept", "known", "kept", "whole 0"]);
    assert_eq!((all.open(), low(&all)), (1, vec![(0, 2)]), "the third goes on");
    all.known("f", 1);
    let messages = vec![seal("f", "d", 2, 0), seal("f", "c", 3, 1), seal("f", "a", 1, 0)];
    assert_eq!(told(&mut all, 0, 4, messages), ["known", "whole 2", "known"]);
    told(&mut all, 0, 7, vec![batch("f", "e", 4, 0)]);
    all.known("f", 4);
    assert_eq!(all.open(), 0);
}

#[test]
fn what_contradicts_its_attempt_is_dropped() {
    let mut all = assembly();
    let of_attempt = header("f", "a", 1, FACTS, 0);
    let layouts = Taken::Batch(Header { layouts: "others".to_owned(), ..of_attempt.clone() });
    let reading = Taken::Batch(Header { reading: 2, ..of_attempt });
    let messages = vec![
        batch("f", "a", 1, 1),
        layouts,
        reading,
        seal("f", "a", 1, 1), // it has a batch 1, so at least two
        seal("f", "a", 1, 2),
        batch("f", "a", 1, 2),
        batch("f", "a", 1, 0),
    ];
    let drop = "contradicts";
    assert_eq!(told(&mut all, 0, 0, messages), ["kept", drop, drop, drop, "waiting", drop, "whole 6 0"]);
}

#[test]
fn what_is_not_ours_counts_as_seen() {
    let mut all = assembly();
    let not_ours = NotOurs("its value is cut off".to_owned());
    let Ok(step) = all.take(3, 8, Err(not_ours.clone()), || Ok::<_, Infallible>(0));
    assert_eq!(step, Step::Dropped(Why::NotOurs(not_ours)));
    assert_eq!((low(&all), all.next(3), all.next(0)), (vec![(3, 9)], 9, 0));
}

#[test]
fn a_message_that_cannot_be_stored_was_not_seen() {
    let mut all = assembly();
    assert_eq!(
        all.take(0, 0, Ok(batch("f", "a", 1, 0)), || Err("the disk is full")),
        Err("the disk is full")
    );
    assert_eq!((all.open(), low(&all)), (0, vec![]));
    assert_eq!(told(&mut all, 0, 0, vec![batch("f", "a", 1, 0), seal("f", "a", 1, 1)]), ["kept", "whole 0"]);
    let Ok(dropped) = all.take(0, 2, Ok(batch("f", "b", 1, 0)), || -> Result<i64, Infallible> { panic!() });
    assert_eq!(dropped, Step::Dropped(Why::Known), "what is dropped is not stored");
}

#[test]
fn what_is_kept_can_be_put_elsewhere() {
    let mut all = assembly();
    told(&mut all, 0, 0, vec![batch("g", "a", 1, 1), batch("f", "b", 1, 0), batch("g", "a", 1, 0)]);
    let kept: Vec<i64> = all.kept_mut().map(|kept| *kept).collect();
    assert_eq!(kept, [1, 2, 0]);
    all.kept_mut().for_each(|kept| *kept += 100);
    assert_eq!(told(&mut all, 0, 3, vec![seal("g", "a", 1, 2)]), ["whole 102 100"]);
}
