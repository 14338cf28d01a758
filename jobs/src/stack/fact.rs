//! What the fold is told of a fact, and what becomes of it.

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

    /// A slip, not a movement.
    pub fn is_correction(self) -> bool {
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
    /// Its holder, a number of the caller's that orders as holders do.
    pub holder: u32,
    /// Of a correction the holder on the day before, who holds an end of this date.
    pub holder_before: u32,
    /// Of a correction whether that holder sent it.
    pub sent_by_holder_before: bool,
    /// Day from which its record is cut off, [`NEVER`] if it is not.
    pub cut_off: i32,
    /// Refused before stacking: its sender may not speak for it.
    pub refused: bool,
    /// Findings known before stacking, bits of [`flag`].
    pub flags: u32,
}

/// A day that does not come.
pub const NEVER: i32 = i32::MAX;

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
    /// The record's own union number is not its holder.
    pub const S07: u32 = 1 << 7;
    /// The sender may not speak for the record.
    pub const S12: u32 = 1 << 12;
}
