//! Random ledgers of unions and cities: several worlds of towns, unions and people side by side, each with
//! numbers of its own.
//!
//! Promise: as for [`super::ledger`]; the findings about holders (S07–S09, S12, S13, S15) are frequent.

mod makeup;
mod people;
mod registry;

use super::empty_file;
use super::rng::Rng;
use crate::oracle::{Date, FileFact, RecordFact, RegistryFact, Ym};
use makeup::Change;
use std::collections::BTreeMap;

/// Processing months of a union ledger. Between them nothing is sent.
pub const UNION_PROCESSING_MONTHS: [Ym; 5] = [202404, 202410, 202504, 202510, 202604];

/// The days on which files are taken in, in the order of application: two in some processing months. They are
/// few because every one leaves a run of each insurer in the ledger.
const TAKE_IN_DAYS: [Date; 7] = [20240405, 20240420, 20241005, 20250405, 20250420, 20251005, 20260405];

/// Movement dates and valid-from dates: few, on first and last days of months and inside them.
const DATES: [Date; 18] = [
    20240401, 20240531, 20240601, 20241001, 20241231, 20250101, 20250331, 20250401, 20250402, 20250416,
    20250501, 20250601, 20250701, 20250930, 20251001, 20251101, 20260228, 20260401,
];

/// One of [`TAKE_IN_DAYS`].
type Slot = usize;

/// One record as it will be sent.
enum Line {
    Registry(RegistryFact),
    Recipient(RecordFact),
}

/// Towns, unions and what was sent of them.
struct World {
    towns: Vec<String>,
    /// The last one is a designated city.
    unions: Vec<String>,
    /// What the lists tell, as a guide for the rest; lists may say otherwise than they are understood.
    changes: Vec<Change>,
    /// `None` = sent by another office.
    sent: Vec<(Slot, Option<String>, Line)>,
}

/// Worlds without people to each one with people: make-ups are many, what is published of people stays small.
const BARE_WORLDS: usize = 6;

/// A ledger of `worlds` worlds of 8 to 12 towns and three unions, with `people` lives in each, and of as many
/// times [`BARE_WORLDS`] more without people.
pub fn union_ledger(seed: u64, worlds: usize, people: usize) -> Vec<FileFact> {
    let mut rng = Rng::new(seed);
    let mut files: BTreeMap<(Slot, Option<String>, bool), Vec<Line>> = BTreeMap::new();
    for world in 0..worlds * (1 + BARE_WORLDS) {
        let people = if world < worlds { people } else { 0 };
        for (slot, sender_no, line) in World::random(&mut rng, world, people).sent {
            // Files are what costs time: bare worlds send through one office.
            let sender_no = sender_no.filter(|_| people > 0 || rng.chance(2));
            // Some senders send two files on a day.
            files.entry((slot, sender_no, rng.chance(10))).or_default().push(line);
        }
    }
    let mut ledger = Vec::new();
    for ((slot, sender_no, _), mut lines) in files {
        rng.shuffle(&mut lines);
        let mut file = empty_file(sender_no, processing_month(slot), TAKE_IN_DAYS[slot]);
        // The number keeps names apart, the letters before it keep their order random.
        file.name = format!("{:04X}{:04}.CSV", rng.below(0x1_0000), ledger.len());
        file.hash = format!("{:016x}{:048x}", rng.bits(), ledger.len());
        for (record_no, line) in (2..).zip(lines) {
            match line {
                Line::Registry(fact) => file.registry.push(RegistryFact { record_no, ..fact }),
                Line::Recipient(record) => file.records.push(RecordFact { record_no, ..record }),
            }
        }
        ledger.push(file);
    }
    rng.shuffle(&mut ledger);
    ledger
}

fn processing_month(slot: Slot) -> Ym {
    TAKE_IN_DAYS[slot] / 100
}

/// The slot in which a movement of a date is sent: mostly the next one, often late, sometimes ahead of time.
fn slot_for(rng: &mut Rng, date: Date) -> Slot {
    let slots = TAKE_IN_DAYS.len();
    let next = TAKE_IN_DAYS.iter().position(|day| day / 100 >= date / 100).unwrap_or(slots - 1);
    let slot = match rng.below(10) {
        0..4 => next,
        4..7 => next + 1,
        7..9 => next + 1 + rng.below(4),
        _ => rng.below(slots),
    };
    slot.min(slots - 1)
}

/// The day before, as far as [`DATES`] need it.
fn day_before(date: Date) -> Date {
    let (year, month) = (date / 10_000, date / 100 % 100);
    match (date % 100, month) {
        (2.., _) => date - 1,
        (_, 1) => (year - 1) * 10_000 + 1231,
        (_, 3) => year * 10_000 + 228,
        (_, 5 | 7 | 10 | 12) => year * 10_000 + (month - 1) * 100 + 30,
        _ => year * 10_000 + (month - 1) * 100 + 31,
    }
}

/// A date and its neighbours.
fn near(rng: &mut Rng, date: Date) -> Date {
    match rng.below(10) {
        0..6 => date,
        6..9 => day_before(date),
        // No date here is the last of a month with 30 or fewer days, the 28th of February excepted.
        _ if date % 100 < 28 => date + 1,
        _ => date,
    }
}

impl World {
    fn random(rng: &mut Rng, world: usize, people: usize) -> World {
        let no = |place: usize| format!("{:06}", 140_000 + world * 100 + place);
        let towns = (1..=8 + rng.below(5)).map(no).collect();
        let unions = (91..=93).map(no).collect();
        let mut world = World { towns, unions, changes: Vec::new(), sent: Vec::new() };
        world.make_up(rng);
        world.register(rng, people > 0);
        for _ in 0..people {
            world.life(rng);
        }
        world
    }

    fn any_town(&self, rng: &mut Rng) -> String {
        self.towns[rng.below(self.towns.len())].clone()
    }

    fn any_union(&self, rng: &mut Rng) -> String {
        self.unions[rng.below(self.unions.len())].clone()
    }

    /// Sends a record of the registry; mostly by itself, sometimes by another office or by somebody else.
    fn send_registry(&mut self, rng: &mut Rng, slot: Slot, fact: RegistryFact) {
        let sender_no = match rng.below(20) {
            0..12 => Some(fact.insurer_no.clone()),
            12..19 => None,
            _ => Some(self.any_union(rng)),
        };
        self.sent.push((slot, sender_no, Line::Registry(fact)));
    }
}
