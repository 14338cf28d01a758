//! One data record: its items, its keys, and everything that is wrong with it (domain 1, 2, 7).
//!
//! Promise: all faults of a record are found, not only the first; blank items cost a comparison.

use super::compiled::{Column, Compiled, ENVELOPE_COLUMNS, Plan, Role};
use super::item::{Checked, Scratch, State, Value, check, is_blank, number, unquote};
use super::plain;
use super::split::Items;
use tsumiage_schemas::Day;
use tsumiage_schemas::finding::{Code, Severity};

/// Most stacked items there can be (`tables::MASK_BYTES` in bits).
const MOST_STACKED: usize = 128;

/// A broken rule; what is said about it is made of the record's bytes when it is needed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fault {
    pub code: Code,
    pub severity: Severity,
    /// Column of the record's plan.
    pub column: Option<usize>,
}

/// A last column that is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ExtraColumn {
    Empty,
    /// The text of a line end, which a profile tolerates.
    LineEndText,
}

/// What one record says; used again from record to record.
pub(super) struct Row<'f> {
    /// Index of its plan; `None` = exchange id unknown.
    pub plan: Option<usize>,
    /// The record number it carries.
    pub number: Option<i64>,
    /// It ends with one column too many, which says nothing.
    pub extra_column: Option<ExtraColumn>,
    pub movement_date: Option<i32>,
    pub correction_date: Option<i32>,
    pub change_type: Option<Value<'f>>,
    pub insurer_no: Option<Value<'f>>,
    pub insured_no: Option<Value<'f>>,
    /// Values of stacked items, by index of the item.
    pub values: Vec<(usize, Value<'f>)>,
    /// Bit i: stacked item i has a value.
    pub given: u128,
    /// Bit i: stacked item i has a clear mark.
    pub cleared: u128,
    /// Members of a union's list with the day they are ones from.
    pub members: Vec<(Value<'f>, i32)>,
    /// The member whose day comes next, and its column.
    member: Option<(Value<'f>, usize)>,
    /// The unknown tail of a longer row.
    pub extra: Option<&'f [u8]>,
    pub faults: Vec<Fault>,
    /// Values of dates and integers by stacked item; valid where `given` is set.
    numbers: [i32; MOST_STACKED],
    scratch: Scratch,
    /// Plan of a record before this one.
    last_plan: usize,
}

impl<'f> Row<'f> {
    pub fn new() -> Row<'f> {
        Row {
            plan: None,
            number: None,
            extra_column: None,
            movement_date: None,
            correction_date: None,
            change_type: None,
            insurer_no: None,
            insured_no: None,
            values: Vec::with_capacity(MOST_STACKED),
            given: 0,
            cleared: 0,
            members: Vec::new(),
            member: None,
            extra: None,
            faults: Vec::new(),
            numbers: [0; MOST_STACKED],
            scratch: Scratch::default(),
            last_plan: 0,
        }
    }

    /// Reads a record into this row. `unclosed` tells that its last item's quote was never closed.
    pub fn read(&mut self, compiled: &Compiled, items: Items<'_, 'f>, unclosed: bool) {
        self.clear();
        if items.is_empty() {
            let first_key = compiled.plans[0].keys.first().copied();
            return self.note(Code::R02, Severity::Error, first_key);
        }
        self.read_envelope(compiled, items);
        let Some(plan) = self.plan.map(|at| &compiled.plans[at]) else {
            return self.note(Code::R14, Severity::Error, Some(2));
        };
        let columns = self.count_columns(compiled, plan, items, unclosed);
        self.read_items(compiled, plan, items, columns, unclosed);
        self.check_pair(compiled, items.len());
        self.check_change_type(plan);
        self.check_needed(compiled, plan, items);
        self.check_eras(compiled, plan);
        self.check_periods(compiled, plan);
        self.check_told(plan);
    }

    /// Whether it can become a fact and no rule says otherwise.
    pub fn accepted(&self, compiled: &Compiled) -> bool {
        let whole = self.plan.is_some_and(|at| self.is_whole(&compiled.plans[at]));
        whole && self.faults.iter().all(|fault| fault.severity != Severity::Error)
    }

    /// Whether a rule warned.
    pub fn warned(&self) -> bool {
        self.faults.iter().any(|fault| fault.severity == Severity::Warning)
    }

    /// Insurer number, insured number and movement date, as far as they could be read.
    pub fn keys(&self) -> (Option<String>, Option<String>, Option<Day>) {
        let own = |value: &Option<Value<'f>>| {
            value.as_ref().map(|value| String::from_utf8_lossy(self.bytes(value)).into_owned())
        };
        (own(&self.insurer_no), own(&self.insured_no), self.movement_date.map(Day))
    }

    /// The UTF-8 bytes of a text value of this row; nothing for a number.
    pub fn bytes<'a>(&'a self, value: &'a Value<'f>) -> &'a [u8] {
        match value {
            Value::Number(_) => &[],
            Value::Ascii(bytes) => bytes,
            Value::Short(bytes, len) => &bytes[..usize::from(*len)],
            Value::Decoded(range) => &self.scratch.text.as_bytes()[range.clone()],
        }
    }

    fn clear(&mut self) {
        self.plan = None;
        self.number = None;
        self.extra_column = None;
        self.movement_date = None;
        self.correction_date = None;
        self.change_type = None;
        self.insurer_no = None;
        self.insured_no = None;
        self.values.clear();
        self.given = 0;
        self.cleared = 0;
        self.members.clear();
        self.member = None;
        self.extra = None;
        self.faults.clear();
        self.scratch.text.clear();
    }

    pub(super) fn fault(&mut self, compiled: &Compiled, code: Code, column: Option<usize>) {
        self.faults.push(Fault { code, severity: compiled.severity(code), column });
    }

    pub(super) fn note(&mut self, code: Code, severity: Severity, column: Option<usize>) {
        self.faults.push(Fault { code, severity, column });
    }

    /// Record type, record number and exchange id.
    fn read_envelope(&mut self, compiled: &Compiled, items: Items<'_, 'f>) {
        let mut buffer = Vec::new(); // allocates only for items with doubled quotes
        let mut unquoted = |column: usize| unquote(items.raw(column), &mut buffer).unwrap_or(b"\"");
        let (record_type, record_no, id) = (unquoted(0), unquoted(1), unquoted(2));
        self.number = plain::number(plain::word(record_no, 0), record_no.len())
            .map(i64::from)
            .or_else(|| number(record_no));
        self.plan = compiled.plan_of(id, self.last_plan);
        self.last_plan = self.plan.unwrap_or(self.last_plan);
        if record_type != [b'2'] {
            self.fault(compiled, Code::R04, Some(0));
        }
        if self.number.is_none() {
            self.fault(compiled, Code::R08, Some(1));
        }
    }

    fn read_items(
        &mut self,
        compiled: &Compiled,
        plan: &Plan,
        items: Items<'_, 'f>,
        columns: usize,
        unclosed: bool,
    ) {
        let open_item = if unclosed { items.len() - 1 } else { usize::MAX };
        let file = items.file();
        let first = items.given().iter().take_while(|given| given.column < ENVELOPE_COLUMNS).count();
        for given in &items.given()[first..] {
            let at = given.column;
            if at >= columns {
                break;
            }
            if let Some(lane) = plan.lanes.get(at).filter(|_| at != open_item)
                && let Some(value) = lane.read(file, given.start, given.end)
            {
                match lane.stacked {
                    Some((item, bit)) => {
                        if let Value::Number(number) = value {
                            self.numbers[item] = number;
                        }
                        self.given |= bit;
                        self.values.push((item, value));
                    }
                    None => self.keep_value(compiled, lane.role, at, value),
                }
                continue;
            }
            let Some(column) = plan.column(at) else { break };
            let item = &plan.columns[column];
            let checked = check(item, &file[given.start..given.end], at == open_item, &mut self.scratch);
            self.judge(compiled, at, &checked);
            self.keep(compiled, item.role, at, checked.state);
        }
    }

    /// R02: a pair of member and day has only one half (domain 7). `at` is the column of what comes after
    /// the pair.
    fn check_pair(&mut self, compiled: &Compiled, at: usize) {
        if let Some((_, column)) = self.member.take().filter(|(_, column)| *column < at)
            && !self.is_lately_faulty(column + 1)
        {
            self.fault(compiled, Code::R02, Some(column + 1));
        }
    }

    fn is_faulty(&self, at: usize) -> bool {
        self.faults.iter().any(|fault| fault.column == Some(at) && fault.severity == Severity::Error)
    }

    /// The same of a column next to the one being read: its faults are the last.
    fn is_lately_faulty(&self, at: usize) -> bool {
        let error = |fault: &Fault| fault.column == Some(at) && fault.severity == Severity::Error;
        self.faults.iter().rev().take(8).any(error)
    }

    /// The type of a change steers the stacking: one that is not known is an error whatever the catalogue
    /// says, and whatever else is wrong with it.
    fn check_change_type(&mut self, plan: &Plan) {
        let known = plan.kind.change_types();
        let is_known = |value: &Value<'f>| {
            let bytes = self.bytes(value);
            known.iter().any(|code| code.len() == bytes.len() && code.bytes().eq(bytes.iter().copied()))
        };
        if self.change_type.as_ref().is_some_and(|value| !is_known(value)) {
            self.change_type = None;
            if !plan.change_type.is_some_and(|column| self.is_faulty(column)) {
                self.note(Code::R04, Severity::Error, plan.change_type);
            }
        }
    }

    /// A record that cannot become a fact has an error, also where the catalogue made all of them warnings.
    fn check_told(&mut self, plan: &Plan) {
        let told = self.faults.iter().any(|fault| fault.severity == Severity::Error);
        if !told && !self.is_whole(plan) {
            self.note(Code::R02, Severity::Error, plan.needed.first().copied());
        }
    }

    fn is_whole(&self, plan: &Plan) -> bool {
        self.movement_date.is_some()
            && self.change_type.is_some()
            && self.insurer_no.is_some()
            && (self.insured_no.is_some() || !plan.has_insured_no())
            && (self.correction_date.is_some() || !plan.is_correction())
    }

    /// R02: a key, or the movement type, is blank. Nothing can be stacked without it.
    fn check_needed(&mut self, compiled: &Compiled, plan: &Plan, items: Items<'_, 'f>) {
        if self.is_whole(plan) && self.given & plan.needed_items == plan.needed_items && !plan.needs_more {
            return;
        }
        for &column in plan.needed.iter().take_while(|column| **column < items.len()) {
            let missing = match plan.columns[column].role {
                Role::MovementDate => self.movement_date.is_none(),
                Role::CorrectionDate => self.correction_date.is_none(),
                Role::ChangeType => self.change_type.is_none(),
                Role::InsurerNo => self.insurer_no.is_none(),
                Role::InsuredNo => self.insured_no.is_none(),
                Role::Member | Role::MemberFrom => false,
                Role::Stacked(at) if self.given >> at & 1 == 1 => false,
                Role::Stacked(_) | Role::Unkept => is_blank(items.raw(column)),
            };
            if missing && !self.is_faulty(column) {
                self.fault(compiled, Code::R02, Some(column));
            }
        }
    }

    /// R12: a value of an item that did not exist on the movement date.
    fn check_eras(&mut self, compiled: &Compiled, plan: &Plan) {
        let Some(day) = self.movement_date else { return };
        if self.given & plan.absent_on(day) == 0 {
            return;
        }
        for era in &plan.eras {
            let outside = if day < era.first || day > era.last { self.given & era.items } else { 0 };
            if outside == 0 {
                continue;
            }
            let is_outside = |c: &Column| matches!(c.role, Role::Stacked(at) if outside >> at & 1 == 1);
            for (column, _) in plan.columns.iter().enumerate().filter(|(_, column)| is_outside(column)) {
                self.fault(compiled, Code::R12, Some(column));
            }
        }
    }

    fn judge(&mut self, compiled: &Compiled, at: usize, checked: &Checked<'f>) {
        if let Some(code) = checked.fault {
            self.fault(compiled, code, Some(at));
            if compiled.severity(code) == Severity::Error {
                return;
            }
        }
        if checked.user_defined {
            self.note(Code::R07, compiled.severity(Code::R07).min(Severity::Warning), Some(at));
        }
        if checked.unusual {
            self.fault(compiled, Code::R13, Some(at));
        }
        if checked.check_digit_fails {
            self.fault(compiled, Code::R11, Some(at));
        }
    }

    fn keep(&mut self, compiled: &Compiled, role: Role, at: usize, state: State<'f>) {
        match state {
            State::Blank => {}
            State::Cleared => {
                if let Role::Stacked(at) = role {
                    self.cleared |= 1 << at;
                }
            }
            State::Value(value) => self.keep_value(compiled, role, at, value),
        }
    }

    fn keep_value(&mut self, compiled: &Compiled, role: Role, at: usize, value: Value<'f>) {
        if let Value::Number(number) = value {
            return self.keep_number(compiled, role, at, number);
        }
        match role {
            Role::ChangeType => self.change_type = Some(value),
            Role::InsurerNo => self.insurer_no = Some(value),
            Role::InsuredNo => self.insured_no = Some(value),
            Role::Stacked(item) => {
                self.given |= 1 << item;
                self.values.push((item, value));
            }
            Role::Member => {
                self.check_pair(compiled, at);
                self.member = Some((value, at));
            }
            Role::MovementDate | Role::CorrectionDate | Role::MemberFrom | Role::Unkept => {}
        }
    }

    fn keep_number(&mut self, compiled: &Compiled, role: Role, at: usize, number: i32) {
        match role {
            Role::MovementDate => self.movement_date = Some(number),
            Role::CorrectionDate => self.correction_date = Some(number),
            Role::ChangeType => self.change_type = Some(Value::Number(number)),
            Role::InsurerNo => self.insurer_no = Some(Value::Number(number)),
            Role::InsuredNo => self.insured_no = Some(Value::Number(number)),
            Role::Stacked(item) => {
                self.numbers[item] = number;
                self.given |= 1 << item;
                self.values.push((item, Value::Number(number)));
            }
            Role::MemberFrom => self.keep_pair(compiled, at, number),
            Role::Member | Role::Unkept => {}
        }
    }

    /// A day behind its member makes a pair; a day without a member lacks one half (R02).
    fn keep_pair(&mut self, compiled: &Compiled, at: usize, day: i32) {
        match self.member.take() {
            Some((member, column)) if column + 1 == at => self.members.push((member, day)),
            other => {
                self.member = other;
                self.check_pair(compiled, at);
                if !self.is_lately_faulty(at - 1) {
                    self.fault(compiled, Code::R02, Some(at - 1));
                }
            }
        }
    }

    /// R10: start after end, both given in this record.
    fn check_periods(&mut self, compiled: &Compiled, plan: &Plan) {
        if self.given & plan.period_ends == 0 {
            return;
        }
        for period in &plan.periods {
            if self.given & period.both == period.both
                && self.numbers[period.start] > self.numbers[period.end]
            {
                self.fault(compiled, Code::R10, Some(period.end_column));
            }
        }
    }
}
