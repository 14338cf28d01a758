//! The lists of unions and cities (5711): joins, leaves, members forgotten and mended, mergers, ends.

use super::{DATES, Rng, World, day_before, near, slot_for};
use crate::oracle::{Date, RegistryFact, RegistryKind};
use std::collections::{BTreeMap, BTreeSet};

/// A town joins or leaves a union on a day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Change {
    pub date: Date,
    pub town: String,
    pub union_no: String,
    pub joins: bool,
}

/// A union on the way through its lists.
struct Union {
    no: String,
    /// Who is in it, from when.
    members: BTreeMap<String, Date>,
    /// Left out of the list before: from when they had been in, and the day of that list.
    forgotten: BTreeMap<String, (Date, Date)>,
}

impl World {
    /// The lists of all unions; the second one may take over the first one's members, which then ends.
    pub(super) fn make_up(&mut self, rng: &mut Rng) {
        let mut taken_over: Option<(Date, BTreeMap<String, Date>)> = None;
        for (at, no) in self.unions.clone().into_iter().enumerate() {
            let mut dates: BTreeSet<Date> = (0..3 + rng.below(6)).map(|_| rng.pick(&DATES)).collect();
            let mut union = Union { no, members: BTreeMap::new(), forgotten: BTreeMap::new() };
            if let Some((date, members)) = taken_over.take() {
                union.members = members.into_keys().map(|town| (town, date)).collect();
                dates.retain(|other| *other > date);
                self.list(rng, &union, date, 1);
            }
            for date in dates {
                self.next_list(rng, &mut union, date);
            }
            if at == 0 && rng.chance(50) {
                let date = rng.pick(&DATES[8..]);
                self.list(rng, &union, date, 3);
                taken_over = Some((date, union.members));
            }
        }
        self.changes.sort_by_key(|change| (change.date, change.town.clone(), change.joins));
    }

    /// One step of a union and the list that tells of it.
    fn next_list(&mut self, rng: &mut Rng, union: &mut Union, date: Date) {
        let first = union.members.is_empty();
        let mut movement_type = if first || rng.chance(15) { 1 } else { 2 };
        for (town, (was_in_from, left_on)) in std::mem::take(&mut union.forgotten) {
            if rng.chance(80) {
                let (close, any) = (near(rng, left_on), rng.pick(&DATES));
                let from = rng.pick(&[was_in_from, was_in_from, left_on, left_on, date, close, any]);
                union.members.insert(town, from);
            }
        }
        for _ in 0..if first { 3 + rng.below(4) } else { rng.below(3) } {
            let town = self.any_member(rng);
            match union.members.remove(&town) {
                None => {
                    let from = match rng.below(20) {
                        0..13 => date,
                        13..17 => self.joined_another(&town).unwrap_or(date),
                        _ => rng.pick(&DATES),
                    };
                    union.members.insert(town, from);
                }
                Some(from) if rng.chance(50) => {
                    union.forgotten.insert(town, (from, date));
                }
                // Its day restated, or it leaves.
                Some(_) if rng.chance(30) => {
                    union.members.insert(town, rng.pick(&DATES));
                }
                Some(_) => {}
            }
        }
        if !first && rng.chance(6) {
            movement_type = 3;
        }
        self.list(rng, union, date, movement_type);
        if movement_type == 3 {
            let members = std::mem::take(&mut union.members).into_iter();
            union.forgotten = members.map(|(town, from)| (town, (from, date))).collect();
        }
    }

    /// Mostly a town, rarely a union, perhaps the same one.
    fn any_member(&self, rng: &mut Rng) -> String {
        if rng.chance(3) { self.any_union(rng) } else { self.any_town(rng) }
    }

    /// The day on which a town joined the union it joined last: equal starts in two unions.
    fn joined_another(&self, town: &str) -> Option<Date> {
        self.changes.iter().rfind(|change| change.joins && change.town == town).map(|change| change.date)
    }

    /// Sends the full list of a union, and remembers what changed in it since the last one.
    fn list(&mut self, rng: &mut Rng, union: &Union, date: Date, movement_type: u8) {
        let mut members: Vec<(String, Date)> = union.members.clone().into_iter().collect();
        // Of an end nothing counts that stands in it.
        if movement_type == 3 && rng.chance(60) {
            members.clear();
        }
        if !members.is_empty() && rng.chance(10) {
            let (town, _) = members[rng.below(members.len())].clone();
            members.push((town, rng.pick(&DATES)));
        }
        rng.shuffle(&mut members);
        self.remember(union, date, movement_type == 3);
        let fact = RegistryFact {
            record_no: 0,
            kind: RegistryKind::Membership,
            insurer_no: union.no.clone(),
            movement_date: date,
            movement_type,
            items: BTreeMap::new(),
            members,
        };
        // Sometimes a second list of the same day.
        if rng.chance(8) {
            let members = vec![(self.any_town(rng), day_before(date))];
            let slot = slot_for(rng, date);
            self.send_registry(rng, slot, RegistryFact { members, ..fact.clone() });
        }
        let slot = slot_for(rng, date);
        self.send_registry(rng, slot, fact);
    }

    fn remember(&mut self, union: &Union, date: Date, is_end: bool) {
        let mut before: BTreeSet<String> = BTreeSet::new();
        for change in self.changes.iter().filter(|change| change.union_no == union.no) {
            if change.joins {
                before.insert(change.town.clone())
            } else {
                before.remove(&change.town)
            };
        }
        let now: BTreeSet<String> =
            if is_end { BTreeSet::new() } else { union.members.keys().cloned().collect() };
        for town in before.symmetric_difference(&now) {
            let (town, union_no) = (town.clone(), union.no.clone());
            self.changes.push(Change { date, joins: now.contains(&town), town, union_no });
        }
    }
}
