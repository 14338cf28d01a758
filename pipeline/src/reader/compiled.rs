//! A `Spec` prepared for reading.
//!
//! Promise: everything that can be looked up once per program instead of once per item is looked up
//! here: column plans, code tables by bytes, times in which items exist, severities.

use super::lane::Lane;
use crate::writer::encode;
use arrow::datatypes::SchemaRef;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use tsumiage_schemas::finding::{Code, Severity};
use tsumiage_schemas::rules::{CheckDigits, Reported};
use tsumiage_schemas::{ClearMark, Day, FactTable, Item, Kind, RecordKind, Spec, tables};

/// Items in which eight digits with two leading zeros stand for six (domain 1).
const EIGHT_FOR_SIX: [&str; 4] =
    ["insurer_no", "union_no", "member_insurer_no", "address_exception_facility_insurer_no"];

/// Columns before the first item of the movement itself: record type, record number, exchange id.
pub(super) const ENVELOPE_COLUMNS: usize = 3;

/// A `Spec` prepared for reading; `Send` and `Sync`, made once and shared by all workers.
pub struct Compiled {
    spec: Arc<Spec>,
    /// Schemas of the fact tables, in the order of [`FactTable::ALL`].
    pub(super) schemas: [SchemaRef; 6],
    /// In the order of [`RecordKind::ALL`].
    pub(super) plans: [Plan; 6],
    /// Texts of a last column that only stands for the line end, in CP932.
    pub(super) line_end_texts: Vec<Vec<u8>>,
    /// Number of different item names over all plans.
    pub(super) item_names: usize,
    severities: Vec<Severity>,
}

/// How the records of one exchange id are read.
pub(super) struct Plan {
    pub exchange_id: String,
    pub kind: RecordKind,
    pub columns: Vec<Column>,
    /// How items of the columns are read whose form is plain; as many as `columns`.
    pub lanes: Vec<Lane>,
    /// First column that repeats to the end of the row; the number of columns if none does.
    pub repeats_from: usize,
    /// Known numbers of columns, ascending.
    pub revisions: Vec<usize>,
    /// Columns that may not be blank: keys, and the type of the change.
    pub needed: Vec<usize>,
    /// Columns a record must have to have all of `keys` and `needed`.
    pub least_columns: usize,
    /// The stacked items among `needed`.
    pub needed_items: u128,
    /// Some of `needed` are neither stacked items nor what every fact of the kind has.
    pub needs_more: bool,
    /// Key columns in order, for rows too short to hold them.
    pub keys: Vec<usize>,
    pub movement_date: usize,
    /// Column of the movement or correction type.
    pub change_type: Option<usize>,
    pub periods: Vec<Period>,
    /// The stacked items in which periods end.
    pub period_ends: u128,
    pub eras: Vec<Era>,
    /// From each day on, in ascending order, the stacked items that do not exist.
    absent: Vec<(i32, u128)>,
}

/// Stacked items that exist from a first to a last day.
pub(super) struct Era {
    pub first: i32,
    pub last: i32,
    /// Bit i: stacked item i.
    pub items: u128,
}

/// A start and an end date as stacked items, and their columns.
pub(super) struct Period {
    pub start: usize,
    pub end: usize,
    /// The bits of both.
    pub both: u128,
    pub start_column: usize,
    pub end_column: usize,
}

/// What a column's value is used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    MovementDate,
    CorrectionDate,
    ChangeType,
    InsurerNo,
    InsuredNo,
    /// Stacked item of this index.
    Stacked(usize),
    /// Member of a union's list; repeats.
    Member,
    /// Day from which the member before it is one.
    MemberFrom,
    /// Checked, but kept nowhere.
    Unkept,
}

/// How one item is read.
pub(super) struct Column {
    pub name: String,
    /// Number of the item's name over all plans.
    pub item_id: usize,
    pub kind: Kind,
    pub width: usize,
    pub clear: ClearMark,
    pub codes: Option<CodeSet>,
    pub key: bool,
    /// A run of zeros is the same as blank.
    pub zeros_are_blank: bool,
    pub eight_for_six: bool,
    pub check_digits: Option<CheckDigits>,
    pub reported: Reported,
    /// First and last day on which the item exists.
    pub exists: (i32, i32),
    pub role: Role,
}

impl Compiled {
    /// Prepares a spec.
    pub fn new(spec: Arc<Spec>) -> Compiled {
        let mut item_ids = BTreeMap::new();
        let plans = RecordKind::ALL.map(|kind| Plan::new(&spec, kind, &mut item_ids));
        let encoded = |text: &String| {
            let mut bytes = Vec::new();
            encode(text, &mut bytes).ok().map(|()| bytes)
        };
        Compiled {
            schemas: FactTable::ALL.map(|table| tables::fact_schema(&spec, table)),
            plans,
            line_end_texts: spec.rules.line_end_texts.iter().filter_map(encoded).collect(),
            item_names: item_ids.len(),
            severities: Code::ALL.iter().map(|code| spec.catalogue.severity(*code)).collect(),
            spec,
        }
    }

    /// The spec it was made of.
    pub fn spec(&self) -> &Spec {
        &self.spec
    }

    /// The severity a code has by the catalogue.
    pub(super) fn severity(&self, code: Code) -> Severity {
        self.severities[code as usize]
    }

    /// The plan for an exchange id, as an index into `plans`; `likely` is that of the record before.
    pub(super) fn plan_of(&self, exchange_id: &[u8], likely: usize) -> Option<usize> {
        let is = |plan: &Plan| plan.exchange_id.as_bytes() == exchange_id;
        if is(&self.plans[likely]) {
            return self.plans[..likely].iter().position(is).or(Some(likely));
        }
        self.plans.iter().position(is)
    }
}

impl Plan {
    fn new(spec: &Spec, kind: RecordKind, item_ids: &mut BTreeMap<String, usize>) -> Plan {
        let layout = spec.layout(kind);
        let stacked = tables::fact_items(spec, kind.table());
        let column = |item: &Item| {
            let next = item_ids.len();
            let item_id = *item_ids.entry(item.name.clone()).or_insert(next);
            Column::new(spec, item, &stacked, item_id)
        };
        let columns: Vec<Column> = layout.items.iter().map(column).collect();
        let stacked_of = |name: &str| stacked.iter().position(|item| item.name == name);
        let period = |(start, end): &(String, String)| {
            let (start_column, end_column) = (layout.column(start)?, layout.column(end)?);
            let is_day = |i: &usize| matches!(stacked[*i].kind, Kind::Date | Kind::Month);
            let (start, end) = (stacked_of(start).filter(is_day)?, stacked_of(end).filter(is_day)?);
            Some(Period { start, end, both: 1 << start | 1 << end, start_column, end_column })
        };
        let periods: Vec<Period> = spec.rules.periods.iter().filter_map(period).collect();
        let keys: Vec<usize> = (ENVELOPE_COLUMNS..columns.len()).filter(|i| columns[*i].key).collect();
        let may_be_blank =
            |role: Role| matches!(role, Role::Stacked(_) | Role::Member | Role::MemberFrom | Role::Unkept);
        let must = |c: &Column| c.key || !may_be_blank(c.role);
        let eras = eras(&columns);
        let needed: Vec<usize> = (ENVELOPE_COLUMNS..columns.len()).filter(|i| must(&columns[*i])).collect();
        let needed_item = |i: &usize| match columns[*i].role {
            Role::Stacked(item) => 1 << item,
            _ => 0,
        };
        Plan {
            least_columns: keys.iter().chain(&needed).max().map_or(0, |last| last + 1),
            needed_items: needed.iter().map(needed_item).fold(0, |items, item| items | item),
            needs_more: needed.iter().any(|i| match columns[*i].role {
                Role::Unkept => true,
                Role::InsuredNo => kind.table() != FactTable::Recipient,
                Role::CorrectionDate => kind != RecordKind::RecipientCorrection,
                _ => false,
            }),
            needed,
            exchange_id: layout.id.clone(),
            kind,
            repeats_from: layout.items.len() - layout.repeating().len(),
            keys,
            change_type: columns.iter().position(|column| column.role == Role::ChangeType),
            movement_date: layout.column("movement_date").unwrap_or(ENVELOPE_COLUMNS),
            period_ends: periods.iter().fold(0, |ends, period| ends | 1 << period.end),
            periods,
            revisions: layout.revisions(),
            absent: absent(&eras),
            eras,
            lanes: columns.iter().map(Lane::of).collect(),
            columns,
        }
    }

    /// The stacked items that do not exist on a day.
    pub fn absent_on(&self, day: i32) -> u128 {
        // Nearly all days lie behind the last change.
        if let Some((_, items)) = self.absent.last().filter(|(from, _)| *from <= day) {
            return *items;
        }
        let after = self.absent.partition_point(|(from, _)| *from <= day);
        self.absent[..after].last().map_or(0, |(_, items)| *items)
    }

    /// The number of columns of the newest revision.
    pub fn newest(&self) -> usize {
        self.columns.len()
    }

    /// Whether its last columns repeat to the end of the row.
    pub fn repeats(&self) -> bool {
        self.repeats_from < self.columns.len()
    }

    /// Whether a record of a known revision has so many columns.
    pub fn fits(&self, columns: usize) -> bool {
        if !self.repeats() {
            // Nearly all records are of the newest.
            return columns == self.newest() && self.revisions.last() == Some(&columns)
                || self.revisions.binary_search(&columns).is_ok();
        }
        let repeating = self.columns.len() - self.repeats_from;
        columns.checked_sub(self.repeats_from).is_some_and(|beyond| beyond % repeating == 0)
    }

    /// The plan's column for a record's column: repeating columns stand for all that follow them.
    pub fn column(&self, at: usize) -> Option<usize> {
        match at.checked_sub(self.repeats_from) {
            None => Some(at),
            Some(_) if !self.repeats() => None,
            Some(beyond) => Some(self.repeats_from + beyond % (self.columns.len() - self.repeats_from)),
        }
    }

    /// Whether its records are corrections.
    pub fn is_correction(&self) -> bool {
        self.kind == RecordKind::RecipientCorrection
    }

    /// Whether a record must have an insured number.
    pub fn has_insured_no(&self) -> bool {
        self.kind.table() == FactTable::Recipient
    }
}

impl Column {
    /// Whether it is an insurer's or a person's number, which has one form only.
    pub fn is_number(&self) -> bool {
        matches!(self.role, Role::InsurerNo | Role::InsuredNo | Role::Member)
    }

    fn new(spec: &Spec, item: &Item, stacked: &[&Item], item_id: usize) -> Column {
        let role = match item.name.as_str() {
            "movement_date" => Role::MovementDate,
            "correction_date" => Role::CorrectionDate,
            "movement_type" | "correction_type" => Role::ChangeType,
            "insurer_no" => Role::InsurerNo,
            "insured_no" => Role::InsuredNo,
            "member_insurer_no" if item.repeats() => Role::Member,
            "member_valid_from_date" if item.repeats() => Role::MemberFrom,
            name => stacked.iter().position(|other| other.name == name).map_or(Role::Unkept, Role::Stacked),
        };
        // A correction's item is typed as the item it corrects: both go into one fact column.
        let kind = match role {
            Role::MovementDate | Role::CorrectionDate | Role::MemberFrom => Kind::Date,
            Role::Stacked(i) => stacked[i].kind,
            _ => item.kind,
        };
        let last = spec.rules.abolished.get(&item.name).map_or(i32::MAX, |month| month.last_day().0);
        let Day(first) = item.since.first_day();
        let check_digits = spec.rules.check_digits.get(&item.name).copied();
        let like_blank = matches!(kind, Kind::Code | Kind::Date | Kind::Month | Kind::Identifier);
        Column {
            name: item.name.clone(),
            item_id,
            kind,
            width: item.width,
            clear: item.clear,
            codes: item
                .codes
                .as_ref()
                .and_then(|name| spec.codes.get(name))
                .map(|table| CodeSet::new(table.labels.keys())),
            key: item.is_key(),
            zeros_are_blank: like_blank && !item.is_key(),
            eight_for_six: EIGHT_FOR_SIX.contains(&item.name.as_str()),
            check_digits,
            reported: spec.rules.characters.get(&kind).copied().unwrap_or_default(),
            exists: (first, last),
            role,
        }
    }
}

fn eras(columns: &[Column]) -> Vec<Era> {
    let mut eras: BTreeMap<(i32, i32), u128> = BTreeMap::new();
    for column in columns {
        if let Role::Stacked(item) = column.role {
            *eras.entry(column.exists).or_default() |= 1 << item;
        }
    }
    eras.into_iter().map(|((first, last), items)| Era { first, last, items }).collect()
}

fn absent(eras: &[Era]) -> Vec<(i32, u128)> {
    let ends = eras.iter().filter_map(|era| era.last.checked_add(1));
    let days: BTreeSet<i32> = eras.iter().map(|era| era.first).chain(ends).chain([i32::MIN]).collect();
    let absent = |day: i32| {
        let outside = |era: &&Era| day < era.first || day > era.last;
        eras.iter().filter(outside).fold(0, |items, era| items | era.items)
    };
    days.into_iter().map(|day| (day, absent(day))).collect()
}

/// A code table, looked up by bytes.
pub(super) struct CodeSet {
    short: Vec<u64>,
    long: Vec<Vec<u8>>,
}

impl CodeSet {
    fn new<'a>(codes: impl Iterator<Item = &'a String>) -> CodeSet {
        let mut set = CodeSet { short: Vec::new(), long: Vec::new() };
        for code in codes {
            match packed(code.as_bytes()) {
                Some(word) => set.short.push(word),
                None => set.long.push(code.clone().into_bytes()),
            }
        }
        set
    }

    /// Whether the code is in the table; codes compare as text (domain 1).
    pub fn contains(&self, code: &[u8]) -> bool {
        match packed(code) {
            Some(word) => self.short.contains(&word),
            None => self.long.iter().any(|other| other == code),
        }
    }
}

/// Up to seven bytes and their number as one word.
fn packed(code: &[u8]) -> Option<u64> {
    (code.len() < 8).then(|| code.iter().fold(code.len() as u64, |word, b| word << 8 | u64::from(*b)))
}
