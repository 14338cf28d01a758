//! The timeline of one stream as values.
//!
//! Promise: serialized, it is the document of `timeline --format json`: English keys, ISO dates, items
//! as objects keyed by item name; what is not set is null.

use serde::{Serialize, Serializer};
use std::fmt;
use tsumiage_schemas::{Code, Day, Month, Severity};

/// Everything known about one (holder, insured number).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Timeline {
    /// Holder of the records.
    pub holder_no: String,
    /// The newest name of the holder that is known.
    pub holder_name: Option<String>,
    /// The newest insurer type of the holder that is known.
    pub holder_type: Option<Coded>,
    /// The person.
    pub insured_no: String,
    /// `name_kana` of the newest live record.
    pub name_kana: Option<String>,
    /// Newest status of the insurance card under the numbers that its records have.
    pub khs: Vec<KhsStatus>,
    /// Moves between members, in time.
    pub moves: Vec<Move>,
    /// By movement date, then in order of application; withdrawn ones last of their date.
    pub records: Vec<Entry>,
}

/// The status of the insurance card on the My Number card (KHS) under one number on the card.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct KhsStatus {
    /// Number on the card: the member's under a union or city.
    pub member_no: String,
    /// Status as sent; labelled if the code table has it.
    pub status: Coded,
    /// Day from which the card is no longer used.
    pub end_date: Option<Day>,
    /// Day on which that was taken back.
    pub end_cancel_date: Option<Day>,
    /// Take-in day of what says so.
    pub known_on: Day,
}

/// A move between members (構成市町村) of a union or wards (行政区) of a city.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Move {
    /// First day under the new number.
    pub movement_date: Day,
    /// The member before.
    pub from_insurer_no: String,
    /// The member from then on.
    pub to_insurer_no: String,
    /// Movement reason.
    pub reason: Option<Coded>,
    /// The record that says so.
    pub source: Source,
}

/// One record: a movement or a correction slip.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// Movement or correction.
    pub kind: EntryKind,
    /// Movement date; of a correction that of the record it means.
    pub movement_date: Day,
    /// Insurer number of the record: under a union or city the member's.
    pub insurer_no: String,
    /// Its holder; of a correction that of the record it means.
    pub holder_no: String,
    /// Movement type, or correction type of a correction.
    #[serde(rename = "type")]
    pub change_type: Coded,
    /// Movement reason: of a live record as corrected, else as sent.
    pub reason: Option<Coded>,
    /// Correction date of a correction.
    pub correction_date: Option<Day>,
    /// What became of it.
    pub standing: Standing,
    /// Of a withdrawn record how it was.
    pub withdrawn: Option<Withdrawal>,
    /// Of a live record from when it is cut off, whether or not another one follows before.
    #[serde(flatten, serialize_with = "flat_cut_off")]
    pub cut_off: Option<CutOff>,
    /// What stacking and the calendar found.
    pub findings: Vec<Remark>,
    /// Where it stands.
    pub source: Source,
    /// Processing month of its file.
    pub processing_month: Option<Month>,
    /// Take-in day of its file.
    pub taken_in_on: Option<Day>,
    /// The record an applied correction was applied to.
    pub corrects: Option<Source>,
    /// What it gave and cleared itself, as sent, in layout order.
    #[serde(serialize_with = "sent_by_name")]
    pub sent: Vec<Sent>,
    /// Of a live record every item with all blanks filled in, in layout order; else empty.
    #[serde(serialize_with = "cells_by_name")]
    pub items: Vec<Cell>,
}

/// What kind of record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum EntryKind {
    /// 5311
    Movement,
    /// 5321
    Correction,
}

/// What became of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Standing {
    /// A live record.
    Live,
    /// A correction that was applied.
    Applied,
    /// A record that a correction deleted.
    Deleted,
    /// Refused by a stacking rule.
    Refused,
    /// Taken out of the stack, by itself or with its file.
    Withdrawn,
}

/// How a record was taken out of the stack.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Withdrawal {
    /// The day it was said.
    pub on: Day,
    /// Known from this processing month on.
    pub processing_month: Month,
    /// Why.
    pub reason: String,
    /// Whether its whole file was.
    pub whole_file: bool,
}

/// The end of a record by its holder's doing (domain 4, "cut off").
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CutOff {
    /// First day on which it does not hold.
    pub from: Day,
    /// Why.
    pub reason: CutOffReason,
    /// Number of the union, city or insurer whose doing it is.
    pub by: String,
}

/// Why a record is cut off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CutOffReason {
    /// Its insurer is no member of the union or city any more.
    MembershipEnded,
    /// Its insurer became a member of a union or city.
    MembershipBegan,
    /// Its holder ended.
    HolderEnded,
}

/// A record by its place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Source {
    /// Name of its file.
    pub file_name: String,
    /// Id of its file.
    pub file_id: String,
    /// Its position in the file, control record 1.
    pub record_no: i64,
}

/// A code with its label, if the code table has one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Coded {
    /// The code.
    pub code: String,
    /// Its Japanese label.
    pub label_ja: Option<String>,
}

/// A stacking finding in words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Remark {
    /// Its code.
    pub code: Code,
    /// Its severity.
    pub severity: Severity,
    /// The item meant (S11).
    pub item: Option<String>,
    /// What is wrong and what to do.
    pub message_ja: String,
    /// The same in English.
    pub message_en: String,
}

/// The value of an item by its kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Value {
    /// Codes, identifiers, texts, decimals.
    Text(String),
    /// Integers.
    Number(i32),
    /// Dates.
    Day(Day),
    /// Months.
    Month(Month),
}

/// A value with the label of its code.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Labelled {
    /// The value.
    pub value: Value,
    /// Label of a code.
    pub code_label: Option<String>,
}

/// An item of a live record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Cell {
    /// Item name.
    #[serde(skip)]
    pub item: String,
    /// Japanese label of the item.
    pub label_ja: String,
    /// What it holds.
    #[serde(flatten, serialize_with = "flat")]
    pub held: Option<Labelled>,
    /// The record that gave the value.
    pub source: Option<Source>,
    /// Whether the record or a correction of it gave or cleared it; else it was inherited or never set.
    pub own: bool,
}

/// An item a record gave or cleared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Sent {
    /// Item name.
    #[serde(skip)]
    pub item: String,
    /// Japanese label of the item.
    pub label_ja: String,
    /// What was sent; `None` = a clear mark.
    #[serde(flatten, serialize_with = "flat")]
    pub held: Option<Labelled>,
    /// Of an applied correction, what the record held just before it (`None`: not a correction, or
    /// not set).
    pub before: Option<Labelled>,
}

fn flat<S: Serializer>(held: &Option<Labelled>, s: S) -> Result<S::Ok, S::Error> {
    use serde::ser::SerializeMap;
    let mut map = s.serialize_map(Some(2))?;
    map.serialize_entry("value", &held.as_ref().map(|h| &h.value))?;
    map.serialize_entry("code_label", &held.as_ref().and_then(|h| h.code_label.as_ref()))?;
    map.end()
}

/// `cut_off` the day, `cut_off_reason`, `cut_off_by`; all null if it is not cut off.
fn flat_cut_off<S: Serializer>(cut_off: &Option<CutOff>, s: S) -> Result<S::Ok, S::Error> {
    use serde::ser::SerializeMap;
    let mut map = s.serialize_map(Some(3))?;
    map.serialize_entry("cut_off", &cut_off.as_ref().map(|cut| cut.from))?;
    map.serialize_entry("cut_off_reason", &cut_off.as_ref().map(|cut| cut.reason))?;
    map.serialize_entry("cut_off_by", &cut_off.as_ref().map(|cut| &cut.by))?;
    map.end()
}

fn sent_by_name<S: Serializer>(sent: &[Sent], s: S) -> Result<S::Ok, S::Error> {
    s.collect_map(sent.iter().map(|sent| (&sent.item, sent)))
}

fn cells_by_name<S: Serializer>(cells: &[Cell], s: S) -> Result<S::Ok, S::Error> {
    s.collect_map(cells.iter().map(|cell| (&cell.item, cell)))
}

impl Entry {
    /// An item of a live record.
    pub fn item(&self, name: &str) -> Option<&Cell> {
        self.items.iter().find(|cell| cell.item == name)
    }

    /// What an item of a live record holds.
    pub fn held(&self, name: &str) -> Option<&Labelled> {
        self.item(name)?.held.as_ref()
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Text(text) => f.write_str(text),
            Value::Number(number) => number.fmt(f),
            Value::Day(day) => day.fmt(f),
            Value::Month(month) => month.fmt(f),
        }
    }
}

impl fmt::Display for Labelled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.code_label {
            Some(label) => write!(f, "{} {label}", self.value),
            None => self.value.fmt(f),
        }
    }
}

impl fmt::Display for Coded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.label_ja {
            Some(label) => write!(f, "{} {label}", self.code),
            None => f.write_str(&self.code),
        }
    }
}
