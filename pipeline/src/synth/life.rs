//! What is known of one person at its insurer: the values of all items, as its movements change them.

use super::World;
use super::insurer::Insurer;
use super::plan::Event;
use super::rng::Rng;
use super::row::{Row, columns};
use tsumiage_schemas::{Layout, Month, Spec};

columns! {
    /// Columns of layout 5311 that are used.
    Columns {
        record_type record_no exchange_id movement_date movement_type movement_reason insurer_no insured_no
        name_kana birth_date sex qualified_date disqualified_date union_no application_type
        change_application_status application_date deemed_care_level_type care_level
        certification_start_date certification_end_date care_plan_type care_plan_provider_no
        care_plan_start_date home_service_limit_units home_service_limit_start_date
        home_service_limit_end_date public_expense_cap_reduction copay_relief_application_status
        copay_relief_type copay_relief_benefit_rate copay_relief_start_date copay_relief_end_date
        facility_cap_application_status facility_cap_service_type facility_cap_special_reduction
        food_cost_cap room_cap_unit_private room_cap_unit_semi_private room_cap_conventional_welfare
        room_cap_conventional_medical room_cap_multi_bed facility_cap_start_date facility_cap_end_date
        late_elderly_insurer_no late_elderly_insured_no nhi_insurer_no nhi_certificate_no
        address_exception_type twenty_percent_copay_start_date twenty_percent_copay_end_date
    }
}

/// Care levels from light to heavy, and how many of 100 have them at first.
pub(super) const LEVELS: [(&str, u32); 7] =
    [("12", 17), ("13", 15), ("21", 22), ("22", 16), ("23", 13), ("24", 11), ("25", 6)];
/// Yen a day by income step: food, private, semi-private, conventional (welfare, medical), multi-bed.
const CAPS: [[u64; 6]; 3] =
    [[300, 820, 490, 320, 490, 0], [390, 820, 490, 420, 490, 370], [650, 1_310, 1_310, 820, 1_310, 370]];

/// Units a month of each of [`LEVELS`] in a month; 0 where the table has none.
pub(super) fn limits(spec: &Spec, month: Month) -> [u64; 7] {
    LEVELS.map(|(level, _)| {
        let valid = |l: &&tsumiage_schemas::codes::CareLevelLimit| {
            l.care_level == level && l.valid_from <= month && l.valid_to.is_none_or(|to| month <= to)
        };
        spec.limits.iter().find(valid).map_or(0, |l| l.limit_units.max(0) as u64)
    })
}

/// One person's items; its memory is used again for the next.
pub(super) struct Life<'w> {
    world: &'w World,
    insurer: &'w Insurer,
    /// The record as it stands.
    pub(super) row: Row,
    /// Where the person lives: the insurer, or in a union any member.
    pub(super) insurer_no: [u8; 6],
    rng: Rng,
    /// Apart from `rng`, so that lives are the same with and without a union.
    moving: Rng,
    level: usize,
    born: (i32, u32, u32),
    /// 0 to 2: income step with facility caps; 3: none.
    income: usize,
    twenty_percent: bool,
}

impl<'w> Life<'w> {
    /// Nobody yet.
    pub(super) fn new(world: &'w World, insurer: &'w Insurer, layout: &Layout) -> Life<'w> {
        Life {
            world,
            insurer,
            row: Row::new(layout),
            insurer_no: insurer.number,
            rng: Rng::keyed(&[]),
            moving: Rng::keyed(&[]),
            level: 0,
            born: (1940, 1, 1),
            income: 3,
            twenty_percent: false,
        }
    }

    /// Begins with another person, numbered from 0 within the insurer.
    pub(super) fn meet(&mut self, person: u64) {
        let c = &self.world.columns;
        self.rng = Rng::keyed(&[self.insurer.key, 4, person]);
        self.moving = Rng::keyed(&[self.insurer.key, 7, person]);
        self.insurer_no = self.insurer.number;
        self.row.clear();
        self.row.key(c.record_type, b"2");
        self.row.key(c.exchange_id, b"5311");
        self.row.key(c.insurer_no, &self.insurer.number);
        self.row.key(c.insured_no, &self.insurer.insured_no(person));
    }

    /// Applies what happens on a day: the record then holds the movement to send.
    pub(super) fn apply(&mut self, day: u32, event: Event) {
        let date = day as i32;
        if event.has(Event::BEGIN) {
            self.register(date);
        }
        if event.has(Event::BEGIN | Event::RENEWAL | Event::LEVEL) {
            self.certify(day, event);
        }
        if event.has(Event::BEGIN | Event::CARE_PLAN) {
            self.care_plan(date, event.has(Event::BEGIN));
        }
        if event.has(Event::REDUCTION) || (event.has(Event::BEGIN) && self.rng.per_mille(500)) {
            self.reduce(day, event.has(Event::BEGIN));
        }
        let world = self.world;
        let (c, text) = (&world.columns, |day| world.calendar.text(day));
        if event.has(Event::END) {
            self.row.set(c.disqualified_date, text(date));
        }
        let (kind, reason) = match () {
            () if event.has(Event::BEGIN) => (b"1", b"01"),
            () if event.has(Event::END) => (b"3", b"02"),
            () if self.moves() => (b"2", b"03"),
            () => (b"2", b"99"),
        };
        self.row.key(c.movement_date, text(date));
        self.row.key(c.movement_type, kind);
        self.row.key(c.movement_reason, reason);
    }

    /// Whether a change is a move to another member of the union.
    fn moves(&mut self) -> bool {
        let union = self.world.union.as_ref();
        let to = union.and_then(|union| union.moves_to(&mut self.moving, &self.insurer_no));
        let Some(to) = to else { return false };
        self.insurer_no = to;
        self.row.key(self.world.columns.insurer_no, &to);
        true
    }

    fn register(&mut self, date: i32) {
        let (c, calendar) = (&self.world.columns, &self.world.calendar);
        let (row, rng) = (&mut self.row, &mut self.rng);
        let woman = rng.per_mille(690);
        let mut name = [0; 30];
        let len = self.world.names.draw(rng, woman, &mut name);
        let bare = usize::from(self.insurer.quote_all); // quoted like every item then
        row.set(c.name_kana, &name[bare..len - bare]);
        row.set(c.sex, if woman { b"2" } else { b"1" });
        let first_year = calendar.first.0 / 12;
        let age = 66 + rng.below(20) + rng.below(14);
        let born = (first_year - age as i32, 1 + rng.below(12), 1 + rng.below(28));
        self.born = born;
        row.set(c.birth_date, calendar.text(calendar.day(born.0, born.1, born.2)));
        // Qualified at 65, or when the insurance began.
        let at_65 = calendar.day(born.0 + 65, born.1, born.2) - 1;
        row.set(c.qualified_date, calendar.text(at_65.max(calendar.day(2000, 4, 1))));
        let number = 10_000_000 + u64::from(rng.below(89_999_999));
        let mut insurer_no = *b"39000000";
        insurer_no[2..].copy_from_slice(&self.insurer.number);
        if age >= 76 {
            row.set(c.late_elderly_insurer_no, &insurer_no);
            row.number(c.late_elderly_insured_no, number);
        } else if rng.per_mille(700) {
            insurer_no[..2].copy_from_slice(b"00");
            row.set(c.nhi_insurer_no, &insurer_no);
            row.number(c.nhi_certificate_no, number);
        }
        let application = calendar.text(date);
        if let Some(union) = &self.world.union {
            row.set(c.union_no, &union.number);
        }
        row.set(c.application_date, application);
        row.set(c.change_application_status, b"1");
        row.set(c.deemed_care_level_type, b"1");
        row.set(c.public_expense_cap_reduction, b"1");
        row.set(c.address_exception_type, b"1");
        let mut share = rng.below(100);
        self.level = 0;
        while self.level + 1 < LEVELS.len() && share >= LEVELS[self.level].1 {
            share -= LEVELS[self.level].1;
            self.level += 1;
        }
        self.income = rng.below(8).min(3) as usize;
        self.twenty_percent = self.income == 3 && rng.per_mille(160);
    }

    /// A new certification: level, period and what follows from them.
    fn certify(&mut self, day: u32, event: Event) {
        let (c, calendar) = (&self.world.columns, &self.world.calendar);
        let begin = event.has(Event::BEGIN);
        let change = event.has(Event::LEVEL) && !begin;
        let early = self.insurer.renews_early && !begin && !change;
        // The level moves by one, mostly upwards; on a renewal it often stays.
        if change || (!begin && self.rng.per_mille(350)) {
            let up = self.level + 1 < LEVELS.len() && (self.level == 0 || self.rng.per_mille(700));
            self.level = if up { self.level + 1 } else { self.level - 1 };
        }
        let month = calendar.month_of(day) + u32::from(early);
        let start = if early { calendar.start(month) } else { day as i32 };
        let end = calendar.text(calendar.start(month + event.term().max(1)) - 1);
        let row = &mut self.row;
        if !begin {
            let applied = calendar.text(day as i32 - 14 - self.rng.below(30) as i32);
            row.set(c.application_date, if change { calendar.text(start) } else { applied });
        }
        let application_type = match (begin, change) {
            (true, _) => b"1",
            (_, true) => b"3",
            _ => b"2",
        };
        row.set(c.application_type, application_type);
        row.set(c.care_level, LEVELS[self.level].0.as_bytes());
        row.set(c.certification_start_date, calendar.text(start));
        row.set(c.certification_end_date, end);
        let units = self.world.limits[self.level];
        if units > 0 {
            row.number(c.home_service_limit_units, units);
            row.set(c.home_service_limit_start_date, calendar.text(start));
            row.set(c.home_service_limit_end_date, end);
        }
    }

    /// Another care plan: by a provider, or by the person itself.
    fn care_plan(&mut self, date: i32, begin: bool) {
        let c = &self.world.columns;
        let (row, rng) = (&mut self.row, &mut self.rng);
        if !begin && rng.per_mille(30) {
            row.set(c.care_plan_type, b"2");
            row.unset(c.care_plan_provider_no);
        } else {
            let home = self.level > 1;
            let pool = if home { &self.insurer.providers } else { &self.insurer.prevention_providers };
            row.set(c.care_plan_type, if home { b"1" } else { b"3" });
            row.set(c.care_plan_provider_no, &rng.one(pool)[..]);
        }
        row.set(c.care_plan_start_date, self.world.calendar.text(date));
    }

    /// The yearly reductions, from 1 August (or the registration) to 31 July.
    fn reduce(&mut self, day: u32, begin: bool) {
        let (c, calendar) = (&self.world.columns, &self.world.calendar);
        let month = calendar.month_of(day);
        let year = calendar.month_of_year(month);
        // A change is dated in July or August and means that August; a registration the current year.
        let august = if begin { month + (19 - year) % 12 + 1 } else { month + (20 - year) % 12 + 12 };
        let start = calendar.text(if begin { day as i32 } else { calendar.start(august - 12) });
        let end = calendar.text(calendar.start(august) - 1);
        let (row, rng) = (&mut self.row, &mut self.rng);
        if let Some(caps) = CAPS.get(self.income) {
            row.set(c.facility_cap_application_status, b"3");
            row.set(c.facility_cap_service_type, b"1");
            row.set(c.facility_cap_special_reduction, b"1");
            let columns = [
                c.food_cost_cap,
                c.room_cap_unit_private,
                c.room_cap_unit_semi_private,
                c.room_cap_conventional_welfare,
                c.room_cap_conventional_medical,
                c.room_cap_multi_bed,
            ];
            for (column, yen) in columns.into_iter().zip(caps) {
                row.number(column, *yen);
            }
            row.set(c.facility_cap_start_date, start);
            row.set(c.facility_cap_end_date, end);
        } else if self.twenty_percent {
            row.set(c.twenty_percent_copay_start_date, start);
            row.set(c.twenty_percent_copay_end_date, end);
        } else {
            row.set(c.copay_relief_application_status, b"3");
            row.set(c.copay_relief_type, b"1");
            row.number(c.copay_relief_benefit_rate, if rng.per_mille(900) { 90 } else { 95 });
            row.set(c.copay_relief_start_date, start);
            row.set(c.copay_relief_end_date, end);
        }
    }

    /// Finds that the record just sent was wrong and puts it right, here and on the slip.
    pub(super) fn correct(&mut self, slip: &mut Row) {
        let (c, to, calendar) = (&self.world.columns, &self.world.slip, &self.world.calendar);
        let row = &mut self.row;
        if row.has(c.care_plan_provider_no) && self.rng.per_mille(600) {
            let provider = self.rng.one(&self.insurer.providers);
            row.set(c.care_plan_provider_no, provider);
            row.set(c.care_plan_type, b"1");
            slip.key(to.care_plan_provider_no, provider);
            slip.key(to.care_plan_type, b"1");
        } else {
            let day = 1 + self.rng.below(28);
            let birth = calendar.text(calendar.day(self.born.0, self.born.1, day));
            row.set(c.birth_date, birth);
            slip.key(to.birth_date, birth);
        }
    }
}
