//! Stacking (domain 3): the facts of one insured number become the live records of its streams, on
//! positions only.
//!
//! Promise: the fold never touches a value. For every live record and item it finds the *row* whose
//! value holds (or that it is not set); columns are gathered once afterwards, and the same matrix is the
//! lineage of every cell. It knows no clock, no file system and no Arrow; order comes only from
//! [`FileOrder`] and record numbers. Who holds a fact is told with it; the streams of one insured number
//! are folded together, since a correction may mean a record of one or the other (domain 3).

use super::fact::{Change, Fact, FileOrder, Inheritance, State, flag};
use super::stale::mark_stale;

/// Values behind the positions; asked only where two cells must be compared (S11) or two keys.
pub trait Values {
    /// Whether the values of an item in two rows are equal.
    fn same_value(&self, item: usize, a: usize, b: usize) -> bool;
    /// Whether two rows have the same insurer number.
    fn same_insurer(&self, a: usize, b: usize) -> bool;
    /// Whether the union number in a row is another one than its record's holder.
    fn other_union(&self, row: usize, holder: u32) -> bool;
}

/// No row: the item is not set.
pub const NOT_SET: u32 = u32::MAX;

/// What became of one fact; `cells` of live records stand in [`Folded::cells`].
#[derive(Clone, Copy, Debug)]
pub struct Outcome {
    /// Row of the fact in the input.
    pub row: u32,
    /// Its stream's holder; of a correction that of the record it was applied to.
    pub holder: u32,
    /// What became of it.
    pub state: State,
    /// Findings, bits of [`flag`].
    pub flags: u32,
    /// Items that still inherit a value corrected since (S11).
    pub stale: u128,
    /// Correction applied last to it.
    pub last_correction: Option<i32>,
    /// Number of corrections applied to it.
    pub corrections: i32,
}

/// The result for a run of insured numbers: one outcome per fact, within an insured number by (holder,
/// movement date, order of application).
#[derive(Debug, Default)]
pub struct Folded {
    /// One per fact.
    pub outcomes: Vec<Outcome>,
    /// `outcomes.len() * items` positions: the row that gave each item, or [`NOT_SET`]. For what is not
    /// live: the items as sent.
    pub cells: Vec<u32>,
}

/// A record while its stream is folded.
pub(super) struct Record {
    pub row: usize,
    pub holder: u32,
    pub date: i32,
    pub change: Change,
    cut_off: i32,
    /// The record it was filled from when it was applied.
    pub parent: Option<usize>,
    pub deleted: bool,
    /// Items given or cleared by its movement or its corrections; all of them for a registration.
    pub own: u128,
    max_correction: Option<i32>,
    last_correction: Option<i32>,
    corrections: i32,
}

/// What sort of records is folded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sort {
    /// Recipients, with the place of the union number among their items if the layout has one.
    Recipients {
        /// Its place.
        union_item: Option<usize>,
    },
    /// Insurers, limits, benefits and lists: a change or end needs no registration before it (domain 4).
    Registry,
}

/// Folds one insured number after another, reusing its memory.
pub struct Folder {
    items: usize,
    /// The movement reason's place, which is never inherited; a registry layout may have none.
    reason: Option<usize>,
    inheritance: Inheritance,
    sort: Sort,
    pub(super) records: Vec<Record>,
    /// `records.len() * items` cells.
    pub(super) cells: Vec<u32>,
    /// Indices into `records`, by (holder, movement date).
    pub(super) live: Vec<usize>,
    outcomes: Vec<Outcome>,
    sequence: Vec<usize>,
    corrected: bool,
}

impl Folder {
    /// A folder for facts of `items` stacked items, of which that at `reason` is never inherited.
    pub fn new(items: usize, reason: Option<usize>, inheritance: Inheritance, sort: Sort) -> Folder {
        Folder {
            items,
            reason,
            inheritance,
            sort,
            records: Vec::new(),
            cells: Vec::new(),
            live: Vec::new(),
            outcomes: Vec::new(),
            sequence: Vec::new(),
            corrected: false,
        }
    }

    /// Folds the streams of one insured number: `facts` in any order, `first_row` the input row of
    /// `facts[0]`.
    pub fn person(&mut self, facts: &[Fact], first_row: usize, values: &dyn Values, out: &mut Folded) {
        self.records.clear();
        self.cells.clear();
        self.live.clear();
        self.outcomes.clear();
        self.corrected = false;
        let mut sequence = std::mem::take(&mut self.sequence);
        sequence.clear();
        sequence.extend(0..facts.len());
        if !facts.is_sorted_by_key(order_of) {
            sequence.sort_by_key(|&i| order_of(&facts[i]));
        }
        for batch in sequence.chunk_by(|&a, &b| facts[a].order.batch == facts[b].order.batch) {
            self.batch(facts, first_row, batch, values);
        }
        self.sequence = sequence;
        if self.inheritance == Inheritance::Lazy {
            self.fill_lazily();
        } else if self.corrected {
            mark_stale(self, values, first_row, facts.len());
        }
        self.emit(facts, first_row, values, out);
    }

    /// One batch in its three passes (domain 3, "Order of application").
    fn batch(&mut self, facts: &[Fact], first_row: usize, batch: &[usize], values: &dyn Values) {
        let in_date_order = batch.is_sorted_by_key(|&i| facts[i].date);
        if batch.iter().all(|&i| !facts[i].change.is_correction() && !facts[i].refused) && in_date_order {
            for &i in batch {
                self.movement(&facts[i], first_row + i);
            }
            return;
        }
        for &i in batch.iter().filter(|&&i| facts[i].refused) {
            self.refuse(&facts[i], first_row + i, 0);
        }
        let stacked = batch.iter().filter(|&&i| !facts[i].refused);
        let (mut corrections, mut movements): (Vec<usize>, Vec<usize>) =
            stacked.partition(|&&i| facts[i].change.is_correction());
        corrections.sort_by_key(|&i| facts[i].correction_date);
        movements.sort_by_key(|&i| facts[i].date);
        let there_before: Vec<Option<usize>> =
            corrections.iter().map(|&i| self.target(&facts[i], first_row + i, values)).collect();
        for (&i, &record) in corrections.iter().zip(&there_before).filter(|(_, record)| record.is_some()) {
            self.correction(&facts[i], first_row + i, record);
        }
        for i in movements {
            self.movement(&facts[i], first_row + i);
        }
        let others = corrections.iter().zip(&there_before).filter(|(_, record)| record.is_none());
        let others: Vec<usize> = others.map(|(&i, _)| i).collect();
        let came_now: Vec<Option<usize>> =
            others.iter().map(|&i| self.target(&facts[i], first_row + i, values)).collect();
        for (i, record) in others.into_iter().zip(came_now) {
            self.correction(&facts[i], first_row + i, record);
        }
    }

    /// Applies a movement (domain 3, "Movement with date d").
    fn movement(&mut self, fact: &Fact, row: usize) {
        let place = match self.place(fact.holder, fact.date) {
            Ok(_) => return self.refuse(fact, row, flag::S01),
            Err(place) => place,
        };
        let of_stream = |&r: &usize| self.records[r].holder == fact.holder;
        let before = place.checked_sub(1).map(|p| self.live[p]).filter(of_stream);
        // Of an end the day before its date counts.
        let last_day = if fact.change == Change::End { fact.date - 1 } else { fact.date };
        let is_open = |p: &Record| p.change != Change::End && p.cut_off > last_day;
        let open = before.filter(|&p| is_open(&self.records[p]));
        let mut flags = fact.flags;
        let parent = match (fact.change, self.sort) {
            (Change::Registration, _) => {
                if open.is_some() && !fact.by_merger {
                    flags |= flag::S04;
                }
                None
            }
            (_, Sort::Registry) => before,
            (_, Sort::Recipients { .. }) if open.is_none() => return self.refuse(fact, row, flag::S02),
            _ => open,
        };
        if fact.change == Change::End && self.live.get(place).is_some_and(of_stream) {
            flags |= flag::S06;
        }
        self.push_record(fact, row, parent);
        self.live.insert(place, self.records.len() - 1);
        self.note(row, fact.holder, State::Live, flags);
    }

    /// The place of a holder's live record of a date, or where it would be.
    fn place(&self, holder: u32, date: i32) -> Result<usize, usize> {
        let key = |&r: &usize| (self.records[r].holder, self.records[r].date);
        self.live.binary_search_by_key(&(holder, date), key)
    }

    fn push_record(&mut self, fact: &Fact, row: usize, parent: Option<usize>) {
        let from = self.cells.len();
        match parent.filter(|_| self.inheritance == Inheritance::Arrival) {
            Some(p) => {
                self.cells.extend_from_within(p * self.items..(p + 1) * self.items);
                if let Some(reason) = self.reason {
                    self.cells[from + reason] = NOT_SET;
                }
            }
            None => self.cells.resize(from + self.items, NOT_SET),
        }
        overlay(&mut self.cells[from..], fact, row);
        let reason = self.reason.map_or(0, |reason| 1 << reason);
        let is_registration = fact.change == Change::Registration;
        let own = if is_registration { u128::MAX } else { fact.given | fact.cleared | reason };
        self.records.push(Record {
            row,
            holder: fact.holder,
            date: fact.date,
            change: fact.change,
            cut_off: fact.cut_off,
            parent,
            deleted: false,
            own,
            max_correction: None,
            last_correction: None,
            corrections: 0,
        });
    }

    /// The live record a correction means: same insurer number, same movement date. On the day a membership
    /// began or ended that may be a record of the new holder or an end of the old one; then the sender
    /// decides, else it is the one that is not an end (domain 3, "Correction").
    fn target(&self, fact: &Fact, row: usize, values: &dyn Values) -> Option<usize> {
        let of = |holder: u32| {
            let record = self.live[self.place(holder, fact.date).ok()?];
            values.same_insurer(self.records[record].row, row).then_some(record)
        };
        if fact.holder_before == fact.holder {
            return of(fact.holder);
        }
        let (new, old) = (of(fact.holder), of(fact.holder_before));
        if fact.sent_by_holder_before { old.or(new) } else { new.or(old) }
    }

    /// Applies a correction (domain 3, "Correction") to the record it means, if that is there and was not
    /// deleted by a slip of the same pass.
    fn correction(&mut self, fact: &Fact, row: usize, record: Option<usize>) {
        let Some(r) = record.filter(|&r| !self.records[r].deleted) else {
            return self.refuse(fact, row, flag::S03);
        };
        let holder = self.records[r].holder;
        let Ok(place) = self.place(holder, fact.date) else { return }; // it is live
        let under_later = self.live.get(place + 1).is_some_and(|&later| self.records[later].holder == holder);
        let record = &mut self.records[r];
        let mut flags = fact.flags;
        if record.max_correction.is_some_and(|latest| fact.correction_date < latest) {
            flags |= flag::S05;
        }
        record.max_correction = record.max_correction.max(Some(fact.correction_date));
        record.last_correction = Some(fact.correction_date);
        record.corrections += 1;
        if fact.change == Change::Delete {
            if under_later && matches!(record.change, Change::Registration | Change::End) {
                flags |= flag::S06;
            }
            record.deleted = true;
            self.live.remove(place);
        } else {
            record.own |= fact.given | fact.cleared;
            overlay(&mut self.cells[r * self.items..(r + 1) * self.items], fact, row);
        }
        self.corrected = true;
        self.note(row, holder, State::Applied, flags);
    }

    /// The other reading (`lazy`): blanks of changes and ends take the value of the live record before.
    fn fill_lazily(&mut self) {
        for pair in self.live.windows(2) {
            let (before, r) = (pair[0], pair[1]);
            let of_stream = self.records[before].holder == self.records[r].holder;
            if !of_stream || self.records[r].change == Change::Registration {
                continue;
            }
            for item in 0..self.items {
                // The reason counts as the record's own.
                if self.records[r].own >> item & 1 == 0 {
                    self.cells[r * self.items + item] = self.cells[before * self.items + item];
                }
            }
        }
    }

    /// Refuses a fact by a rule of stacking, or for what was known of it before (0).
    fn refuse(&mut self, fact: &Fact, row: usize, flag: u32) {
        self.note(row, fact.holder, State::Refused, if flag == 0 { fact.flags } else { flag });
    }

    fn note(&mut self, row: usize, holder: u32, state: State, flags: u32) {
        let row = row as u32; // a chunk has far fewer rows than u32::MAX
        let (last_correction, corrections) = (None, 0);
        self.outcomes.push(Outcome { row, holder, state, flags, stale: 0, last_correction, corrections });
    }

    /// Whether a record itself, or a correction of it, names another union than its holder (S07).
    fn names_other_union(&self, r: usize, values: &dyn Values) -> bool {
        let Sort::Recipients { union_item: Some(item) } = self.sort else { return false };
        let (record, cell) = (&self.records[r], self.cells[r * self.items + item]);
        record.own >> item & 1 == 1 && cell != NOT_SET && values.other_union(cell as usize, record.holder)
    }

    pub(super) fn set_stale(&mut self, row: usize, stale: u128) {
        if let Some(outcome) = self.outcomes.iter_mut().find(|o| o.row as usize == row) {
            outcome.stale = stale;
        }
    }

    /// Number of stacked items.
    pub(super) fn items(&self) -> usize {
        self.items
    }

    fn emit(&mut self, facts: &[Fact], first_row: usize, values: &dyn Values, out: &mut Folded) {
        let mut records: Vec<Option<usize>> = vec![None; facts.len()];
        for (r, record) in self.records.iter().enumerate() {
            records[record.row - first_row] = Some(r);
        }
        let key = |o: &Outcome| (o.holder, facts[o.row as usize - first_row].date);
        let mut outcomes = std::mem::take(&mut self.outcomes);
        if !outcomes.is_sorted_by_key(key) {
            outcomes.sort_by_key(key);
        }
        for mut outcome in outcomes.drain(..) {
            let row = outcome.row as usize;
            let record = records[row - first_row];
            if let Some(r) = record {
                let record = &self.records[r];
                outcome.last_correction = record.last_correction;
                outcome.corrections = record.corrections;
                if record.deleted {
                    outcome.state = State::Deleted;
                }
            }
            match record.filter(|_| outcome.state == State::Live) {
                Some(r) => {
                    if self.names_other_union(r, values) {
                        outcome.flags |= flag::S07;
                    }
                    out.cells.extend_from_slice(&self.cells[r * self.items..(r + 1) * self.items]);
                }
                None => {
                    let from = out.cells.len();
                    out.cells.resize(from + self.items, NOT_SET);
                    overlay(&mut out.cells[from..], &facts[row - first_row], row);
                }
            }
            out.outcomes.push(outcome);
        }
        self.outcomes = outcomes;
    }
}

fn order_of(fact: &Fact) -> (FileOrder, i64) {
    (fact.order, fact.record_no)
}

/// Lays a fact's given and cleared items over cells.
fn overlay(cells: &mut [u32], fact: &Fact, row: usize) {
    for_each_bit(fact.given, |item| cells[item] = row as u32);
    for_each_bit(fact.cleared, |item| cells[item] = NOT_SET);
}

/// Calls `f` with the index of every set bit.
pub(super) fn for_each_bit(mut mask: u128, mut f: impl FnMut(usize)) {
    while mask != 0 {
        f(mask.trailing_zeros() as usize);
        mask &= mask - 1;
    }
}
