//! The random records of one person.

use super::items;
use super::rng::Rng;
use super::{processing_month, same_day, slots};
use crate::oracle::{Body, Date, RecordFact, State};
use std::collections::BTreeMap;

/// Number of a file of the person's insurer, in the order of application.
pub(super) type Slot = usize;

/// Movement dates of all people: few, with first and last days of months among them.
const DATES: [Date; 14] = [
    20260401, 20260402, 20260410, 20260430, 20260501, 20260515, 20260601, 20260630, 20260701, 20260810,
    20260831, 20260901, 20261001, 20261020,
];

const REGISTRATION: u8 = 1;
const CHANGE: u8 = 2;
const END: u8 = 3;
const MODIFY: u8 = 2;
const DELETE: u8 = 3;

struct Person<'a> {
    insurer_no: &'a str,
    insured_no: &'a str,
    /// The dates this person's movements are drawn from, ascending.
    dates: Vec<Date>,
    /// Movement dates sent so far.
    sent: Vec<Date>,
    records: Vec<(Slot, RecordFact)>,
}

/// 1 to 12 records of one person and the files they go into.
pub(super) fn records(rng: &mut Rng, insurer_no: &str, insured_no: &str) -> Vec<(Slot, RecordFact)> {
    let mut dates: Vec<Date> = (0..3 + rng.below(7)).map(|_| rng.pick(&DATES)).collect();
    dates.sort_unstable();
    dates.dedup();
    let mut person = Person { insurer_no, insured_no, dates, sent: Vec::new(), records: Vec::new() };
    let wanted = 1 + rng.below(12);
    let mut slot = rng.below(slots() / 2);
    while person.records.len() < wanted {
        let room_for_two = person.records.len() + 1 < wanted;
        match rng.below(100) {
            0..50 => person.movement(rng, slot),
            50..82 => person.correction(rng, slot, MODIFY),
            82..92 if room_for_two => person.delete_and_send_anew(rng, slot),
            _ => person.correction(rng, slot, DELETE),
        }
        // Often the same day again, sometimes weeks later.
        slot = if rng.chance(45) { same_day(rng, slot) } else { (slot + 1 + rng.below(5)).min(slots() - 1) };
    }
    person.records
}

impl Person<'_> {
    fn movement(&mut self, rng: &mut Rng, slot: Slot) {
        if self.sent.is_empty() && rng.chance(90) {
            return self.send(rng, slot, self.dates[0], REGISTRATION);
        }
        // Mostly a date that was not sent yet, in any order.
        let unsent: Vec<Date> = self.dates.iter().copied().filter(|date| !self.sent.contains(date)).collect();
        let among = if unsent.is_empty() || rng.chance(15) { &self.dates } else { &unsent };
        let date = rng.pick(among);
        let movement_type = rng.pick(&[REGISTRATION, CHANGE, CHANGE, CHANGE, CHANGE, CHANGE, END]);
        self.send(rng, slot, date, movement_type);
    }

    fn send(&mut self, rng: &mut Rng, slot: Slot, date: Date, movement_type: u8) {
        let (values, clears) = match rng.below(10) {
            0..3 => (100, 0),
            3..7 => (35, 10),
            7..9 => (10, 5),
            _ => (0, 0),
        };
        self.sent.push(date);
        self.push(slot, date, Body::Movement { movement_type }, items::draw(rng, values, clears));
    }

    fn correction(&mut self, rng: &mut Rng, slot: Slot, correction_type: u8) {
        // Mostly of a record that was sent, sometimes of one that may not be there.
        let date = match self.sent.last() {
            Some(newest) if rng.chance(45) => *newest,
            Some(_) if rng.chance(85) => rng.pick(&self.sent),
            _ => rng.pick(&self.dates),
        };
        self.correct(rng, slot, date, correction_type);
    }

    fn correct(&mut self, rng: &mut Rng, slot: Slot, date: Date, correction_type: u8) {
        // Few correction dates, so that they tie and run backwards.
        let month = processing_month(slot) - rng.below(3) as Date;
        let correction_date = month * 100 + rng.pick(&[1, 10, 15]);
        // Deletes carry items too sometimes; they mean nothing.
        let values = if correction_type == MODIFY { 25 } else { rng.pick(&[0, 0, 0, 20]) };
        let clears = if correction_type == MODIFY { 10 } else { 0 };
        let items = items::draw(rng, values, clears);
        self.push(slot, date, Body::Correction { correction_date, correction_type }, items);
    }

    fn delete_and_send_anew(&mut self, rng: &mut Rng, slot: Slot) {
        let among = if self.sent.is_empty() { &self.dates } else { &self.sent };
        let date = rng.pick(among);
        self.correct(rng, slot, date, DELETE);
        let movement_type = rng.pick(&[REGISTRATION, CHANGE, CHANGE]);
        let slot = same_day(rng, slot);
        self.send(rng, slot, date, movement_type);
    }

    fn push(&mut self, slot: Slot, movement_date: Date, body: Body, items: BTreeMap<String, State>) {
        let (insurer_no, insured_no) = (self.insurer_no.to_owned(), self.insured_no.to_owned());
        // Numbered when the file is complete.
        let record = RecordFact { record_no: 0, insurer_no, insured_no, movement_date, body, items };
        self.records.push((slot, record));
    }
}
