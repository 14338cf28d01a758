//! Stacking (domain 3): one stream's facts become its live records, on positions only.
//!
//! Promise: the fold never touches a value. For every live record and item it finds the *row* whose
//! value holds (or that it is not set); columns are gathered once afterwards, and the same matrix is the
//! lineage of every cell. It knows no clock, no file system and no Arrow; order comes only from
//! [`FileOrder`] and record numbers.

use super::stale::mark_stale;

/// How blanks of a change or end are filled (domain 3; grade C, a setting).
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Inheritance {
    /// When its record is applied.
    #[default]
    Arrival,
    /// At the end, over the corrected sequence of live records.
    Lazy,
}

/// Where a file stands in the order of application.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FileOrder {
    /// Rank of its (processing month, take-in day): files of one batch share it.
    pub batch: u32,
    /// Rank of the file itself: batch, then name, then hash.
    pub rank: u32,
}

/// What a fact is by its movement or correction type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// 新規
    Registration,
    /// 変更
    Change,
    /// 終了
    End,
    /// 修正
    Modify,
    /// 削除
    Delete,
}

impl Change {
    /// From the fact's `is_correction` and first byte of `change_type`; what is no known type is
    /// treated as a plain change, which the reader's code table has excluded.
    pub fn of(is_correction: bool, change_type: u8) -> Change {
        match (is_correction, change_type) {
            (false, b'1') => Change::Registration,
            (false, b'3') => Change::End,
            (false, _) => Change::Change,
            (true, b'3') => Change::Delete,
            (true, _) => Change::Modify,
        }
    }

    fn is_correction(self) -> bool {
        matches!(self, Change::Modify | Change::Delete)
    }
}

/// One fact as the fold sees it.
#[derive(Clone, Copy, Debug)]
pub struct Fact {
    /// Its file's place in the order of application.
    pub order: FileOrder,
    /// Position in its file.
    pub record_no: i64,
    /// Movement date, days since 1970.
    pub date: i32,
    /// What it does.
    pub change: Change,
    /// Correction date of a correction.
    pub correction_date: i32,
    /// Stacked items it gives a value.
    pub given: u128,
    /// Stacked items it clears.
    pub cleared: u128,
    /// Movement reason 04: a registration by merger, which may find the stream open.
    pub by_merger: bool,
}

/// Values behind the positions; asked only where two cells must be compared (S11) or two keys.
pub trait Values {
    /// Whether the values of an item in two rows are equal.
    fn same_value(&self, item: usize, a: usize, b: usize) -> bool;
    /// Whether two rows have the same insurer number.
    fn same_insurer(&self, a: usize, b: usize) -> bool;
}

/// What became of a fact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum State {
    /// A live record.
    Live = 0,
    /// A correction that was applied.
    Applied = 1,
    /// A record that a correction deleted.
    Deleted = 2,
    /// Refused by a stacking rule.
    Refused = 3,
}

/// Bits of [`Outcome::flags`].
pub mod flag {
    /// Second movement of its date.
    pub const S01: u32 = 1 << 1;
    /// Change or end without an open registration.
    pub const S02: u32 = 1 << 2;
    /// Correction of a record that is not there.
    pub const S03: u32 = 1 << 3;
    /// Registration while open.
    pub const S04: u32 = 1 << 4;
    /// Correction dated before one already applied.
    pub const S05: u32 = 1 << 5;
    /// Registration or end deleted, or end inserted, under later records.
    pub const S06: u32 = 1 << 6;
}

/// No row: the item is not set.
pub const NOT_SET: u32 = u32::MAX;

/// What became of one fact; `cells` of live records stand in [`Folded::cells`].
#[derive(Clone, Copy, Debug)]
pub struct Outcome {
    /// Row of the fact in the input.
    pub row: u32,
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

/// The result for a run of streams: one outcome per fact, in stream order and by (movement date, order
/// of application) within a stream.
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
    pub date: i32,
    pub change: Change,
    /// The record it was filled from when it was applied.
    pub parent: Option<usize>,
    pub deleted: bool,
    /// Items given or cleared by its movement or its corrections; all of them for a registration.
    pub own: u128,
    max_correction: Option<i32>,
    last_correction: Option<i32>,
    corrections: i32,
}

/// Folds streams one after another, reusing its memory.
pub struct Folder {
    items: usize,
    inheritance: Inheritance,
    pub(super) records: Vec<Record>,
    /// `records.len() * items` cells.
    pub(super) cells: Vec<u32>,
    /// Indices into `records`, by movement date.
    pub(super) live: Vec<usize>,
    outcomes: Vec<Outcome>,
    sequence: Vec<usize>,
    corrected: bool,
}

impl Folder {
    /// A folder for facts of `items` stacked items, of which item 0 is never inherited.
    pub fn new(items: usize, inheritance: Inheritance) -> Folder {
        Folder {
            items,
            inheritance,
            records: Vec::new(),
            cells: Vec::new(),
            live: Vec::new(),
            outcomes: Vec::new(),
            sequence: Vec::new(),
            corrected: false,
        }
    }

    /// Folds one stream: `facts` in any order, `first_row` the input row of `facts[0]`.
    pub fn stream(&mut self, facts: &[Fact], first_row: usize, values: &dyn Values, out: &mut Folded) {
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
        self.emit(facts, first_row, out);
    }

    /// One batch in its three passes (domain 3, "Order of application").
    fn batch(&mut self, facts: &[Fact], first_row: usize, batch: &[usize], values: &dyn Values) {
        let in_date_order = batch.is_sorted_by_key(|&i| facts[i].date);
        if batch.iter().all(|&i| !facts[i].change.is_correction()) && in_date_order {
            for &i in batch {
                self.movement(&facts[i], first_row + i);
            }
            return;
        }
        let (mut corrections, mut movements): (Vec<usize>, Vec<usize>) =
            batch.iter().partition(|&&i| facts[i].change.is_correction());
        corrections.sort_by_key(|&i| facts[i].correction_date);
        movements.sort_by_key(|&i| facts[i].date);
        let target = |folder: &Folder, i: usize| folder.target(&facts[i], first_row + i, values);
        let (before, after): (Vec<usize>, Vec<usize>) =
            corrections.into_iter().partition(|&i| target(self, i).is_some());
        for i in before {
            self.correction(&facts[i], first_row + i, values);
        }
        for i in movements {
            self.movement(&facts[i], first_row + i);
        }
        for i in after {
            self.correction(&facts[i], first_row + i, values);
        }
    }

    /// Applies a movement (domain 3, "Movement with date d").
    fn movement(&mut self, fact: &Fact, row: usize) {
        let date_of = |&r: &usize| self.records[r].date;
        let place = match self.live.binary_search_by_key(&fact.date, date_of) {
            Ok(_) => return self.note(row, State::Refused, flag::S01),
            Err(place) => place,
        };
        let before = place.checked_sub(1).map(|p| self.live[p]);
        let open = before.filter(|&p| self.records[p].change != Change::End);
        let mut flags = 0;
        if fact.change == Change::Registration {
            if open.is_some() && !fact.by_merger {
                flags |= flag::S04;
            }
        } else if open.is_none() {
            return self.note(row, State::Refused, flag::S02);
        }
        if fact.change == Change::End && place < self.live.len() {
            flags |= flag::S06;
        }
        let parent = open.filter(|_| fact.change != Change::Registration);
        self.push_record(fact, row, parent);
        self.live.insert(place, self.records.len() - 1);
        self.note(row, State::Live, flags);
    }

    fn push_record(&mut self, fact: &Fact, row: usize, parent: Option<usize>) {
        let from = self.cells.len();
        match parent.filter(|_| self.inheritance == Inheritance::Arrival) {
            Some(p) => {
                self.cells.extend_from_within(p * self.items..(p + 1) * self.items);
                self.cells[from] = NOT_SET; // the movement reason is never inherited
            }
            None => self.cells.resize(from + self.items, NOT_SET),
        }
        overlay(&mut self.cells[from..], fact, row);
        let own = if fact.change == Change::Registration { u128::MAX } else { fact.given | fact.cleared | 1 };
        self.records.push(Record {
            row,
            date: fact.date,
            change: fact.change,
            parent,
            deleted: false,
            own,
            max_correction: None,
            last_correction: None,
            corrections: 0,
        });
    }

    /// The live record a correction means: same insurer number, same movement date.
    fn target(&self, fact: &Fact, row: usize, values: &dyn Values) -> Option<usize> {
        let place = self.live.binary_search_by_key(&fact.date, |&r| self.records[r].date).ok()?;
        values.same_insurer(self.records[self.live[place]].row, row).then_some(place)
    }

    /// Applies a correction (domain 3, "Correction").
    fn correction(&mut self, fact: &Fact, row: usize, values: &dyn Values) {
        let Some(place) = self.target(fact, row, values) else {
            return self.note(row, State::Refused, flag::S03);
        };
        let r = self.live[place];
        let under_later = place + 1 < self.live.len();
        let record = &mut self.records[r];
        let mut flags = 0;
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
        self.note(row, State::Applied, flags);
    }

    /// The other reading (`lazy`): blanks of changes and ends take the value of the live record before.
    fn fill_lazily(&mut self) {
        for pair in self.live.windows(2) {
            let (before, r) = (pair[0], pair[1]);
            if self.records[r].change == Change::Registration {
                continue;
            }
            for item in 1..self.items {
                if self.records[r].own >> item & 1 == 0 {
                    self.cells[r * self.items + item] = self.cells[before * self.items + item];
                }
            }
        }
    }

    fn note(&mut self, row: usize, state: State, flags: u32) {
        let row = row as u32; // a chunk has far fewer rows than u32::MAX
        self.outcomes.push(Outcome { row, state, flags, stale: 0, last_correction: None, corrections: 0 });
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

    fn emit(&mut self, facts: &[Fact], first_row: usize, out: &mut Folded) {
        let mut records: Vec<Option<usize>> = vec![None; facts.len()];
        for (r, record) in self.records.iter().enumerate() {
            records[record.row - first_row] = Some(r);
        }
        let date = |o: &Outcome| facts[o.row as usize - first_row].date;
        if !self.outcomes.is_sorted_by_key(date) {
            self.outcomes.sort_by_key(date);
        }
        for mut outcome in self.outcomes.drain(..) {
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
                Some(r) => out.cells.extend_from_slice(&self.cells[r * self.items..(r + 1) * self.items]),
                None => {
                    let from = out.cells.len();
                    out.cells.resize(from + self.items, NOT_SET);
                    overlay(&mut out.cells[from..], &facts[row - first_row], row);
                }
            }
            out.outcomes.push(outcome);
        }
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
