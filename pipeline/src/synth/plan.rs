//! What happens to one person and when: the days of the window on which something is to be sent.
//!
//! Promise: at most one event set per day (everything of one day is one movement, domain 5), a
//! registration first, an end last; a pure function of seed, insurer and person.

use super::calendar::Calendar;
use super::insurer::Insurer;
use super::rng::Rng;

/// What happens on one day: a set of kinds and the months a certification granted then is to run.
#[derive(Clone, Copy, Default)]
pub(super) struct Event(u16);

impl Event {
    /// Registration.
    pub(super) const BEGIN: u16 = 1;
    /// End.
    pub(super) const END: u16 = 2;
    /// Renewal of the certification.
    pub(super) const RENEWAL: u16 = 4;
    /// Change of the care level on application.
    pub(super) const LEVEL: u16 = 8;
    /// Another care plan or provider.
    pub(super) const CARE_PLAN: u16 = 16;
    /// The yearly reductions.
    pub(super) const REDUCTION: u16 = 32;

    /// Whether this kind is among them.
    pub(super) fn has(self, kind: u16) -> bool {
        self.0 & kind != 0
    }

    /// Months of the new certification.
    pub(super) fn term(self) -> u32 {
        u32::from(self.0 >> 8)
    }
}

/// The plan of one person; its memory is used again for the next.
pub(super) struct Plan {
    /// Number of the person within its insurer, from 0.
    pub(super) person: u64,
    /// The last record is sent twice (S01).
    pub(super) duplicate: bool,
    events: Vec<Event>,
    taken: Vec<u64>,
    count: u64,
    begin: u32,
    /// The day of the end, or the first day after the window.
    until: u32,
    ends: bool,
    rng: Rng,
}

/// Certification terms: months, drawn alike.
const TERMS: [u16; 10] = [6, 12, 12, 12, 12, 24, 24, 24, 36, 36];

impl Plan {
    /// An empty plan for the days of a calendar.
    pub(super) fn new(calendar: &Calendar) -> Plan {
        let days = calendar.days as usize;
        Plan {
            person: 0,
            duplicate: false,
            events: vec![Event::default(); days],
            taken: vec![0; days.div_ceil(64)],
            count: 0,
            begin: 0,
            until: 0,
            ends: false,
            rng: Rng::keyed(&[]),
        }
    }

    /// Draws the natural life of a person. `faults`: some records are to be refused.
    pub(super) fn draw(&mut self, calendar: &Calendar, insurer: &Insurer, person: u64, faults: bool) {
        self.taken.fill(0);
        self.count = 0;
        self.person = person;
        self.rng = Rng::keyed(&[insurer.key, 3, person]);
        let month = self.window(calendar, insurer);
        let term = match month {
            // Those who are there from the start are somewhere inside their certification.
            0 => 1 + self.rng.below(30) as u16,
            _ => *self.rng.one(&TERMS[..8]),
        };
        self.put(self.begin, Event::BEGIN, term);
        if self.ends {
            self.put(self.until, Event::END, 0);
        }
        self.live(calendar, insurer, month, u32::from(term));
        if faults && self.ends && self.until + 1 < calendar.days && self.rng.below(800) == 0 {
            self.put(self.until + 1, Event::CARE_PLAN, 0); // a change after the end (S02)
        }
        self.duplicate = faults && self.rng.below(500) == 0 && self.count >= 2;
    }

    /// First and last day; returns the first month. As many begin in a month as end: 1 in 80 of those there.
    fn window(&mut self, calendar: &Calendar, insurer: &Insurer) -> u32 {
        let people = insurer.recipients;
        let from_start = (people * 80).div_ceil(79 + u64::from(calendar.months));
        let month = match self.person.checked_sub(from_start) {
            Some(later) => 1 + (later * u64::from(calendar.months - 1) / (people - from_start)) as u32,
            None => 0,
        };
        self.begin = calendar.start(month) as u32 + self.rng.below(calendar.length(month));
        (self.until, self.ends) = (calendar.days, false);
        for at in month + 1..calendar.months {
            if self.rng.below(80) == 0 {
                self.until = calendar.start(at) as u32 + self.rng.below(calendar.length(at));
                self.ends = true;
                break;
            }
        }
        month
    }

    /// The changes between the first and the last day.
    fn live(&mut self, calendar: &Calendar, insurer: &Insurer, month: u32, term: u32) {
        let mut renewed_in = month + term;
        let last = calendar.month_of(self.until.min(calendar.days - 1));
        for at in month..=last {
            let start = calendar.start(at) as u32;
            if at == renewed_in {
                let term = *self.rng.one(&TERMS);
                let early = if insurer.renews_early { 1 + self.rng.below(20) } else { 0 };
                self.change(start - early.min(start), Event::RENEWAL, term);
                renewed_in = at + u32::from(term);
            } else if self.rng.per_mille(20) {
                let day = start + self.rng.below(calendar.length(at));
                self.change(day, Event::LEVEL, 12);
                renewed_in = at + 12;
            }
            if self.rng.per_mille(215) {
                let day = start + self.rng.below(calendar.length(at));
                self.change(day, Event::CARE_PLAN, 0);
            }
            if calendar.month_of_year(at) == 8 && self.rng.per_mille(950) {
                let early = if self.rng.per_mille(600) { 0 } else { 1 + self.rng.below(22) };
                self.change(start - early.min(start), Event::REDUCTION, 0);
            }
        }
    }

    fn change(&mut self, day: u32, kind: u16, term: u16) {
        if day > self.begin && day < self.until {
            self.put(day, kind, term);
        }
    }

    fn put(&mut self, day: u32, kind: u16, term: u16) {
        let (word, bit) = (day as usize / 64, 1u64 << (day % 64));
        let event = &mut self.events[day as usize];
        if self.taken[word] & bit == 0 {
            self.taken[word] |= bit;
            self.count += 1;
            *event = Event::default();
        }
        let term = if term == 0 { event.0 >> 8 } else { term };
        *event = Event((event.0 & 0xFF) | kind | term << 8);
    }

    fn free(&mut self, day: u32) {
        self.taken[day as usize / 64] &= !(1 << (day % 64));
        self.count -= 1;
    }

    /// Number of 5311 records.
    pub(super) fn records(&self) -> u64 {
        self.count + u64::from(self.duplicate)
    }

    /// How many records could be added without a second movement on one day.
    pub(super) fn room(&self) -> u64 {
        let between = self.until.saturating_sub(self.begin + 1);
        let ends = 1 + u64::from(self.ends);
        // A change after the end stands outside `between`.
        (u64::from(between) + ends).saturating_sub(self.count)
    }

    /// Makes the plan have exactly this many records, 1 to `records() + room()`.
    pub(super) fn fit(&mut self, records: u64) {
        if self.duplicate && records < 3 {
            self.duplicate = false;
        }
        let days = records - u64::from(self.duplicate);
        while self.count < days {
            let between = self.until - self.begin - 1;
            let mut day = self.rng.below(between);
            while self.is_taken(self.begin + 1 + day) {
                day = (day + 1) % between;
            }
            self.put(self.begin + 1 + day, Event::CARE_PLAN, 0);
        }
        // What is given up first: care plans, then other changes, then the end.
        for kept in [!Event::CARE_PLAN & 0xFF, Event::BEGIN | Event::END, Event::BEGIN] {
            if self.count > days {
                self.drop_days(kept, days);
            }
        }
    }

    fn drop_days(&mut self, kept: u16, days: u64) {
        let span = self.events.len() as u32;
        let from = self.rng.below(span);
        for step in 0..span {
            let day = (from + step) % span;
            if self.count > days && self.is_taken(day) && !self.events[day as usize].has(kept) {
                self.free(day);
            }
        }
    }

    fn is_taken(&self, day: u32) -> bool {
        self.taken[day as usize / 64] >> (day % 64) & 1 == 1
    }

    /// The days and what happens on them, ascending.
    pub(super) fn days(&self) -> impl Iterator<Item = (u32, Event)> {
        self.taken.iter().enumerate().flat_map(move |(word, &bits)| {
            let mut rest = bits;
            std::iter::from_fn(move || {
                let bit = (rest != 0).then(|| rest.trailing_zeros())?;
                rest &= rest - 1;
                let day = word as u32 * 64 + bit;
                Some((day, self.events[day as usize]))
            })
        })
    }
}
