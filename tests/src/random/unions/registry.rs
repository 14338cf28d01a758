//! Insurers (5411), their limits (5511) and special benefits (5611).

use super::{DATES, Rng, World, day_before, near, slot_for};
use crate::oracle::{Date, RegistryFact, RegistryKind, State};
use std::collections::BTreeMap;

/// The day after, as far as the ends here need it: of days before one of [`DATES`], and those.
fn day_after(date: Date) -> Date {
    let next = DATES.into_iter().find(|other| day_before(*other) == date);
    next.unwrap_or(if date % 100 < 28 { date + 1 } else { (date / 100 + 1) * 100 + 1 })
}

impl World {
    /// What is sent of all insurers besides the lists; limits and benefits only where they are `wanted`.
    pub(super) fn register(&mut self, rng: &mut Rng, wanted: bool) {
        for town in self.towns.clone() {
            // Wards and some towns have no record of their own.
            if rng.chance(75) {
                self.town(rng, &town);
            }
        }
        for (at, union_no) in self.unions.clone().into_iter().enumerate() {
            if rng.chance(80) {
                self.union(rng, &union_no, if at == 2 { "2" } else { "3" });
            }
        }
        for insurer_no in self.towns.clone().iter().chain(&self.unions.clone()) {
            if wanted && rng.chance(70) {
                self.limits(rng, insurer_no);
            }
            if wanted && rng.chance(35) {
                self.benefits(rng, insurer_no);
            }
        }
    }

    fn town(&mut self, rng: &mut Rng, town: &str) {
        let start = rng.pick(&DATES[..3]);
        self.insurer(rng, town, start, 1, &[("insurer_type", "1")]);
        let changes: Vec<_> = self.changes.iter().filter(|change| change.town == town).cloned().collect();
        for change in changes {
            if rng.chance(35) {
                continue;
            }
            let date = near(rng, change.date);
            if change.joins {
                let valid_to =
                    rng.pick(&[day_before(change.date), day_before(change.date), change.date, 0, 0]);
                self.insurer_until(rng, town, date, valid_to);
            } else {
                self.insurer(rng, town, date, 1, &[("insurer_type", "1")]);
            }
        }
        if rng.chance(40) {
            self.mistaken_end(rng, town);
        }
        self.renamed(rng, town);
    }

    fn union(&mut self, rng: &mut Rng, union_no: &str, insurer_type: &str) {
        let dates: Vec<Date> =
            self.changes.iter().filter(|c| c.union_no == union_no).map(|c| c.date).collect();
        let first = dates.first().copied().unwrap_or(DATES[0]);
        self.insurer(rng, union_no, first, 1, &[("insurer_type", insurer_type)]);
        if let Some(last) = dates.last().copied().filter(|last| *last > first && rng.chance(40)) {
            let valid_to = rng.pick(&[0, day_before(last)]);
            self.insurer_until(rng, union_no, last, valid_to);
        }
        if rng.chance(30) {
            self.mistaken_end(rng, union_no);
        }
        self.renamed(rng, union_no);
    }

    /// An end and a registration valid from the very next day, or nearly so.
    fn mistaken_end(&mut self, rng: &mut Rng, insurer_no: &str) {
        let date = rng.pick(&DATES);
        let any = rng.pick(&DATES);
        let valid_to = rng.pick(&[0, 0, any, any, 99991231]);
        self.insurer_until(rng, insurer_no, date, valid_to);
        if valid_to == 99991231 {
            return;
        }
        let v = if valid_to == 0 { day_before(date) } else { valid_to };
        let from = if rng.chance(70) { day_after(v) } else { near(rng, date) };
        let any = rng.pick(&DATES);
        let date = rng.pick(&[from, any, day_after(from)]);
        self.insurer(rng, insurer_no, date, 1, &[("valid_from_date", &from.to_string())]);
    }

    fn renamed(&mut self, rng: &mut Rng, insurer_no: &str) {
        for _ in 0..rng.below(3) {
            let date = rng.pick(&DATES);
            let from = rng.pick(&DATES).to_string();
            let given = [("valid_from_date", from.as_str())];
            let movement_type = rng.pick(&[2, 2, 2, 1]);
            let given: &[_] = if rng.chance(30) { &given } else { &[] };
            self.insurer(rng, insurer_no, date, movement_type, given);
        }
    }

    /// An end; `valid_to` 0 = blank.
    fn insurer_until(&mut self, rng: &mut Rng, insurer_no: &str, date: Date, valid_to: Date) {
        let valid_to = valid_to.to_string();
        let given = [("valid_to_date", valid_to.as_str())];
        self.insurer(rng, insurer_no, date, 3, if valid_to == "0" { &[] } else { &given });
    }

    fn insurer(
        &mut self,
        rng: &mut Rng,
        insurer_no: &str,
        date: Date,
        movement_type: u8,
        given: &[(&str, &str)],
    ) {
        let name = rng.pick(&["積上町", "異動市", "広域連合", "*", "", ""]);
        let reason = rng.pick(&["01", "02", "99", ""]);
        let valid_from = rng.pick(&DATES).to_string();
        let mut all = vec![("insurer_name", name), ("movement_reason", reason)];
        if movement_type == 1 && rng.chance(20) {
            all.push(("valid_from_date", &valid_from));
        }
        if rng.chance(5) {
            all.push(("valid_to_date", rng.pick(&["*", "20251231", "99991231"])));
        }
        all.extend(given);
        self.sent_once_or_twice(rng, RegistryKind::Insurer, insurer_no, date, movement_type, &all);
    }

    fn limits(&mut self, rng: &mut Rng, insurer_no: &str) {
        for _ in 0..4 + rng.below(5) {
            let given = [
                ("movement_reason", rng.pick(&["", "01", "99"])),
                ("care_level", rng.pick(&["", "21", "21", "22"])),
                ("category_limit_units", rng.pick(&["10000", "0", "20000", "30000", "40000", "", "*"])),
                ("service_type", rng.pick(&["", "", "11"])),
                ("service_type_limit_units", rng.pick(&["", "500"])),
                ("valid_from_date", rng.pick(&["", "", "20240601", "20250402", "20251001"])),
                ("valid_to_date", rng.pick(&["", "", "", "20250331", "20250410", "99991231", "*"])),
            ];
            // Often two in one month.
            let date = if rng.chance(50) { rng.pick(&DATES) } else { rng.pick(&DATES[7..10]) };
            let movement_type = rng.pick(&[1, 1, 2, 2, 3]);
            self.sent_once_or_twice(rng, RegistryKind::Limit, insurer_no, date, movement_type, &given);
        }
    }

    fn benefits(&mut self, rng: &mut Rng, insurer_no: &str) {
        for _ in 0..1 + rng.below(3) {
            let given = [
                ("movement_reason", rng.pick(&["", "", "01"])),
                ("service_code", rng.pick(&["", "811111", "812222"])),
                ("service_name", rng.pick(&["", "*", "配食", "寝具乾燥"])),
                ("service_points", rng.pick(&["", "*", "0", "250"])),
                ("valid_from_date", rng.pick(&["", "", "20240615", "20251101"])),
                ("valid_to_date", rng.pick(&["", "", "", "20250331"])),
            ];
            let (date, movement_type) = (rng.pick(&DATES), rng.pick(&[1, 2, 2, 3]));
            self.sent_once_or_twice(rng, RegistryKind::Benefit, insurer_no, date, movement_type, &given);
        }
    }

    /// `""` = blank, `*` = cleared; what comes later in `given` counts.
    fn sent_once_or_twice(
        &mut self,
        rng: &mut Rng,
        kind: RegistryKind,
        insurer_no: &str,
        movement_date: Date,
        movement_type: u8,
        given: &[(&str, &str)],
    ) {
        let mut items = BTreeMap::new();
        for (item, text) in given {
            let state = match *text {
                "" => continue,
                "*" => State::Clear,
                value => State::Value(value.to_owned()),
            };
            items.insert((*item).to_owned(), state);
        }
        let insurer_no = insurer_no.to_owned();
        let (record_no, members) = (0, Vec::new());
        let fact = RegistryFact { record_no, kind, insurer_no, movement_date, movement_type, items, members };
        if rng.chance(5) {
            let slot = slot_for(rng, movement_date);
            self.send_registry(rng, slot, fact.clone());
        }
        let slot = slot_for(rng, movement_date);
        self.send_registry(rng, slot, fact);
    }
}
