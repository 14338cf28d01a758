//! People of members: registrations at joining, moves between members, ends on the leaving day, the day
//! before or not at all, slips for what was sent in another union's time.

use super::makeup::Change;
use super::{DATES, Line, Rng, Slot, TAKE_IN_DAYS, World, day_before, near, processing_month, slot_for};
use crate::oracle::{Body, Date, RecordFact, State};
use crate::random::items;
use std::collections::BTreeMap;

/// Towns in which lives begin; people of every insurer cost a run of its own in the ledger.
const INHABITED: usize = 7;

/// Insured numbers of a world: fewer than lives, so that towns share them before they share a union.
const NUMBERS: usize = 25;

/// An item and values it may have; none can be cleared but the two of the certification's end.
const ITEMS: [(&str, &[&str], bool); 7] = [
    ("movement_reason", &["01", "02", "03", "04", "99"], false),
    ("name_kana", &["ｶｺﾞ ﾀﾛｳ", "ﾂﾐｱｹﾞ ﾊﾅｺ"], false),
    ("care_level", &["12", "21", "22", "01"], false),
    ("certification_start_date", &["20240401", "20240401", "20250101", "20251001"], false),
    ("certification_end_date", &["20250331", "20260331", "20270331"], true),
    ("copay_relief_benefit_rate", &["90", "100"], true),
    ("food_cost_cap", &["0", "390"], true),
];

/// One life: a person at a town.
struct Life {
    insured_no: String,
    town: String,
    /// Insurer numbers and dates sent so far.
    sent: Vec<(String, Date)>,
}

impl World {
    /// A registration and what follows.
    pub(super) fn life(&mut self, rng: &mut Rng) {
        let insured_no = format!("{:010}", 1 + rng.below(NUMBERS));
        let mut life = Life { insured_no, town: self.some_town(rng), sent: Vec::new() };
        let start = rng.pick(&DATES[..10]);
        self.movement(rng, &mut life, start, 1, None);
        if rng.chance(30) {
            return self.on_the_day(rng, &mut life, start);
        }
        let mut date = start;
        for _ in 0..1 + rng.below(7) {
            if let Some(later) = DATES.into_iter().find(|other| *other > date && rng.chance(40)) {
                date = later;
            }
            match rng.below(20) {
                0..5 => self.movement(rng, &mut life, date, 2, None),
                5..12 => date = self.at_a_change(rng, &mut life, date),
                12..14 => {
                    // Moves to another town, mostly of the same union.
                    let here = self.union_of(&life.town, date);
                    life.town = self.some_town(rng);
                    for _ in 0..4 {
                        if self.union_of(&life.town, date) != here {
                            life.town = self.some_town(rng);
                        }
                    }
                    let (movement_type, reason) = rng.pick(&[(2, "03"), (2, "03"), (1, "04"), (1, "01")]);
                    self.movement(rng, &mut life, date, movement_type, Some(reason));
                }
                14 => self.movement(rng, &mut life, date, 3, None),
                15..19 => {
                    for _ in 0..1 + rng.below(2) {
                        self.slip(rng, &life, 2);
                    }
                }
                _ => {
                    self.slip(rng, &life, 3);
                    if let Some((town, date)) = life.sent.last().cloned() {
                        life.town = town;
                        self.movement(rng, &mut life, date, 1, None);
                    }
                }
            }
        }
    }

    /// Mostly one that joins or leaves a union.
    fn some_town(&self, rng: &mut Rng) -> String {
        let of_change = self.changes.get(rng.below(self.changes.len())).map(|change| change.town.clone());
        let inhabited = |town: &String| self.towns[..INHABITED].contains(town);
        match of_change.filter(|town| rng.chance(80) && inhabited(town)) {
            Some(town) => town,
            None => self.towns[rng.below(INHABITED)].clone(),
        }
    }

    /// An end and a registration on the very day on which the person's town joins or leaves, and slips for that
    /// day, which may mean the one or the other.
    fn on_the_day(&mut self, rng: &mut Rng, life: &mut Life, start: Date) {
        let mut dates: Vec<Date> =
            self.changes.iter().filter(|c| c.town == life.town && c.date > start).map(|c| c.date).collect();
        dates.truncate(2);
        if dates.is_empty() {
            return;
        }
        let date = rng.pick(&dates);
        let slot = slot_for(rng, date);
        let (town, insured_no) = (life.town.clone(), life.insured_no.clone());
        for movement_type in [3, 1] {
            let given = items::draw_from(&ITEMS, rng, 60, 0);
            self.send(rng, slot, &town, &insured_no, date, Body::Movement { movement_type }, given);
        }
        life.sent = vec![(town, date)];
        for _ in 0..2 {
            self.slip(rng, life, 2);
        }
        self.slip(rng, life, 3);
    }

    /// What is sent when the person's town joins or leaves. Gives the day of that.
    fn at_a_change(&mut self, rng: &mut Rng, life: &mut Life, after: Date) -> Date {
        let of_town: Vec<&Change> =
            self.changes.iter().filter(|change| change.town == life.town && change.date >= after).collect();
        let Some(change) = of_town.first().map(|change| (*change).clone()) else { return after };
        let leaving = near(rng, change.date);
        match rng.below(10) {
            // Not sent at all.
            0..3 => {}
            3..6 => self.movement(rng, life, change.date, 3, None),
            6..8 => self.movement(rng, life, day_before(change.date), 3, None),
            _ => self.movement(rng, life, leaving, 3, None),
        }
        match rng.below(10) {
            0..4 => self.movement(rng, life, change.date, 1, Some("01")),
            4..6 => self.movement(rng, life, change.date, 1, Some("04")),
            // Towns merge: another number, no end, no reason but the merger.
            6..8 => {
                let same_day = |other: &&Change| other.date == change.date && other.joins;
                let other = self.changes.iter().find(same_day).map(|other| other.town.clone());
                life.town = other.unwrap_or_else(|| self.any_town(rng));
                self.movement(rng, life, change.date, 1, Some("04"));
            }
            8 => {
                let later = near_after(rng, change.date);
                self.movement(rng, life, later, 2, None);
            }
            _ => {}
        }
        change.date
    }

    fn movement(
        &mut self,
        rng: &mut Rng,
        life: &mut Life,
        date: Date,
        movement_type: u8,
        reason: Option<&str>,
    ) {
        let values = if movement_type == 1 { rng.pick(&[100, 80, 50]) } else { rng.pick(&[0, 10, 30]) };
        let mut given = items::draw_from(&ITEMS, rng, values, 10);
        if let Some(reason) = reason {
            given.insert("movement_reason".to_owned(), State::Value(reason.to_owned()));
        }
        self.union_no(rng, &life.town, date, &mut given);
        life.sent.push((life.town.clone(), date));
        let slot = slot_for(rng, date);
        self.send(rng, slot, &life.town, &life.insured_no, date, Body::Movement { movement_type }, given);
    }

    /// Mostly of a record that was sent last, in whatever slot.
    fn slip(&mut self, rng: &mut Rng, life: &Life, correction_type: u8) {
        let of = if rng.chance(50) { life.sent.len() - 1 } else { rng.below(life.sent.len()) };
        let (town, date) = life.sent[of].clone();
        // Sometimes under the wrong number.
        let town = if rng.chance(90) { town } else { life.town.clone() };
        let slot = slot_for(rng, date);
        let month = processing_month(slot);
        let correction_date = rng.pick(&[month * 100 + 1, month * 100 + 10, 20240601]);
        let mut given = items::draw_from(&ITEMS, rng, 25, 10);
        self.union_no(rng, &town, date, &mut given);
        let body = Body::Correction { correction_date, correction_type };
        // A slip for a day on which the town changed hands comes after that is known, as a rule.
        let last = TAKE_IN_DAYS.len() - 1;
        let slot = (slot + rng.below(3)).min(last);
        self.send(rng, slot, &town, &life.insured_no, date, body, given);
    }

    /// Sometimes the number of a union, right or wrong.
    fn union_no(&self, rng: &mut Rng, town: &str, date: Date, given: &mut BTreeMap<String, State>) {
        if rng.chance(15) {
            let number = self.union_of(town, date).filter(|_| rng.chance(70));
            let number = number.unwrap_or_else(|| self.any_union(rng));
            given.insert("union_no".to_owned(), State::Value(number));
        }
    }

    /// The union that a town is in on a day, by its last change.
    fn union_of(&self, town: &str, date: Date) -> Option<String> {
        let mut changes = self.changes.iter().filter(|change| change.town == town && change.date <= date);
        changes.next_back().filter(|change| change.joins).map(|change| change.union_no.clone())
    }

    #[allow(clippy::too_many_arguments)] // each is a part of the record
    fn send(
        &mut self,
        rng: &mut Rng,
        slot: Slot,
        town: &str,
        insured_no: &str,
        movement_date: Date,
        body: Body,
        items: BTreeMap<String, State>,
    ) {
        let is_slip = matches!(body, Body::Correction { .. });
        let decides = if is_slip { day_before(movement_date) } else { movement_date };
        let sender_no = match rng.below(20) {
            0..7 => Some(town.to_owned()),
            7..12 => None,
            // For the end of a town's time in a union the union speaks, too.
            12..18 => self.union_of(town, decides).or(Some(town.to_owned())),
            18 => Some(self.any_union(rng)),
            _ => Some(self.any_town(rng)),
        };
        let (insurer_no, insured_no) = (town.to_owned(), insured_no.to_owned());
        let record = RecordFact { record_no: 0, insurer_no, insured_no, movement_date, body, items };
        self.sent.push((slot, sender_no, Line::Recipient(record)));
    }
}

/// A date on or after.
fn near_after(rng: &mut Rng, date: Date) -> Date {
    DATES.into_iter().find(|other| *other > date && rng.chance(60)).unwrap_or(date)
}
