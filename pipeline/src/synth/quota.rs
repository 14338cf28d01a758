//! How many records a person gets so that all together are exactly as many as asked for.
//!
//! Promise: every person keeps its registration; fewer than the natural number are taken away in
//! proportion to what each has, more are given in proportion to the days each has left. The
//! remainders are carried from person to person in order, so the sum is exact.

use super::plan::Plan;

/// What all plans of some people add up to.
#[derive(Clone, Copy, Default)]
pub(super) struct Totals {
    pub(super) people: u64,
    /// Natural records.
    pub(super) records: u64,
    /// Records that could be added.
    pub(super) room: u64,
}

impl Totals {
    /// With one more person.
    pub(super) fn add(&mut self, plan: &Plan) {
        self.people += 1;
        self.records += plan.records();
        self.room += plan.room();
    }

    /// Both together.
    pub(super) fn plus(self, other: Totals) -> Totals {
        Totals {
            people: self.people + other.people,
            records: self.records + other.records,
            room: self.room + other.room,
        }
    }
}

/// The rule by which records are given out, and how far it has got.
#[derive(Clone, Copy)]
pub(super) struct Quota {
    fewer: bool,
    give: u64,
    of: u64,
    before: u64,
}

impl Quota {
    /// Everyone has what its life gives.
    pub(super) const NATURAL: Quota = Quota { fewer: false, give: 0, of: 1, before: 0 };

    /// The rule for `wanted` records of people with these totals; `None` if that cannot be.
    pub(super) fn of(wanted: u64, totals: Totals) -> Option<Quota> {
        if wanted < totals.people || wanted > totals.records + totals.room {
            return None;
        }
        let fewer = wanted < totals.records;
        let (give, of) = if fewer {
            (wanted - totals.people, totals.records - totals.people)
        } else {
            (wanted - totals.records, totals.room)
        };
        Some(Quota { fewer, give, of: of.max(1), before: 0 })
    }

    /// The rule after the people with these totals.
    pub(super) fn after(mut self, totals: Totals) -> Quota {
        self.before += if self.fewer { totals.records - totals.people } else { totals.room };
        self
    }

    /// The records of the next person.
    pub(super) fn next(&mut self, plan: &Plan) -> u64 {
        let rule = *self;
        let share = |upto: u64| (u128::from(rule.give) * u128::from(upto) / u128::from(rule.of)) as u64;
        let records = plan.records();
        let (kept, weight) = if self.fewer { (1, records - 1) } else { (records, plan.room()) };
        let given = share(self.before);
        self.before += weight;
        kept + (share(self.before) - given)
    }
}
