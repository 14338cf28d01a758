//! What the oracle is told: accepted exchange files, record by record.

use super::{Date, Ym};
use std::collections::BTreeMap;

/// One accepted exchange file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileFact {
    /// Base name.
    pub name: String,
    /// `file_id`: sha256 of the bytes in hex.
    pub hash: String,
    /// The control record's insurer number; `None`: another office sends.
    pub sender_no: Option<String>,
    /// From the control record.
    pub processing_month: Ym,
    /// Day of take-in, in Japan.
    pub taken_in_on: Date,
    /// Its accepted data records of recipients.
    pub records: Vec<RecordFact>,
    /// Its accepted data records of the registry.
    pub registry: Vec<RegistryFact>,
}

/// The three states of an item (domain.md section 2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// Stays as it was; in a registration not set.
    Blank,
    /// Changes to this; dates as YYYYMMDD, integers without leading zeros.
    Value(String),
    /// Becomes not set.
    Clear,
}

/// One accepted data record of a recipient.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordFact {
    /// Position in the file: control record 1, first data record 2.
    pub record_no: i64,
    /// Six digits.
    pub insurer_no: String,
    /// Ten characters.
    pub insured_no: String,
    /// Of the movement, or of the record being corrected.
    pub movement_date: Date,
    /// Movement or correction.
    pub body: Body,
    /// Every other item by name (see [`super::ITEMS`]); absent = [`State::Blank`].
    pub items: BTreeMap<String, State>,
}

/// What a recipient's record is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// 5311.
    Movement {
        /// 1 registration, 2 change, 3 end.
        movement_type: u8,
    },
    /// 5321.
    Correction {
        /// Orders the corrections of a batch.
        correction_date: Date,
        /// 2 modify, 3 delete.
        correction_type: u8,
    },
}

/// One accepted data record of the registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegistryFact {
    /// Position in the file.
    pub record_no: i64,
    /// What it tells of.
    pub kind: RegistryKind,
    /// Six digits; of a list the union or city.
    pub insurer_no: String,
    /// Key.
    pub movement_date: Date,
    /// 1 registration, 2 change, 3 end.
    pub movement_type: u8,
    /// Every other item of the layout by name; absent = [`State::Blank`].
    pub items: BTreeMap<String, State>,
    /// Of a list: member and valid from, as sent.
    pub members: Vec<(String, Date)>,
}

/// The four kinds of registry records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RegistryKind {
    /// 5411.
    Insurer,
    /// 5511.
    Limit,
    /// 5611.
    Benefit,
    /// 5711.
    Membership,
}
