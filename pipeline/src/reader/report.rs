//! Gathers findings (domain 7): errors once per record and item, warnings and infos once per file,
//! code and item with a count.
//!
//! Promise: severities come from the catalogue; a finding that is only counted costs no allocation.

use super::compiled::{Column, Compiled, Plan};
use super::item::{content, printable};
use super::record::{Fault, Row};
use super::split::{Items, MAX_ITEMS};
use tsumiage_schemas::finding::{Code, Finding, Severity};

/// Most errors of records that stand one by one; what comes after them is gathered per code and item,
/// as warnings are. A protection of the machine: a file of 1 GiB can hold 500 million empty records.
const MOST_ERRORS: usize = if cfg!(test) { 1_000 } else { 100_000 };

/// Most values of a repeating item that one finding tells.
const MOST_TOLD: i64 = 10;

/// Most bytes of all of them, so that a message stays one.
const MOST_TOLD_BYTES: usize = 400;

/// Findings of one file so far.
pub(super) struct Report<'c> {
    compiled: &'c Compiled,
    findings: Vec<Finding>,
    /// Per code, item and severity the finding that gathers them, plus one; 0 = none yet.
    slots: Vec<u32>,
    /// Tolerated forms seen and the finding that counts each.
    forms: Vec<(&'static str, usize)>,
    /// Some file error was found.
    pub file_rejected: bool,
}

impl<'c> Report<'c> {
    pub fn new(compiled: &'c Compiled) -> Report<'c> {
        let slots = vec![0; Code::ALL.len() * (compiled.item_names + 1) * 3];
        Report { compiled, findings: Vec::new(), slots, forms: Vec::new(), file_rejected: false }
    }

    /// A finding about the file (F codes).
    pub fn file(
        &mut self,
        code: Code,
        record_no: Option<i64>,
        offset: usize,
        item: Option<&str>,
        detail: String,
    ) {
        // What is no exchange file cannot be tolerated, whatever the catalogue says.
        // What cannot be read, and what would change a closed month, is no matter of taste.
        let fatal = matches!(code, Code::F01 | Code::F08);
        let severity = if fatal { Severity::Error } else { self.compiled.severity(code) };
        self.push_file(code, severity, record_no, offset, item, detail);
    }

    /// A finding without which the file could be accepted, but must not be: an error whatever the catalogue
    /// says.
    pub fn fatal(&mut self, code: Code, record_no: Option<i64>, offset: usize, item: Option<&str>) {
        self.push_file(code, Severity::Error, record_no, offset, item, String::new());
    }

    fn push_file(
        &mut self,
        code: Code,
        severity: Severity,
        record_no: Option<i64>,
        offset: usize,
        item: Option<&str>,
        detail: String,
    ) {
        self.file_rejected |= severity == Severity::Error;
        self.findings.push(Finding {
            code,
            severity,
            record_no,
            byte_offset: Some(offset as u64),
            insurer_no: None,
            insured_no: None,
            movement_date: None,
            item: item.map(str::to_owned),
            count: 1,
            detail,
        });
    }

    /// Whether a finding of this code is there; for the few codes that stand once per file.
    pub fn has(&self, code: Code) -> bool {
        self.findings.iter().any(|finding| finding.code == code)
    }

    /// A tolerated form (F09), counted per form.
    pub fn form(&mut self, form: &'static str, record_no: Option<i64>, offset: usize) {
        match self.forms.iter().find(|(known, _)| *known == form) {
            Some((_, at)) => self.findings[*at].count += 1,
            None => {
                self.forms.push((form, self.findings.len()));
                self.file(Code::F09, record_no, offset, None, form.to_owned());
            }
        }
    }

    /// All faults of one data record.
    pub fn row(&mut self, row: &Row<'_>, record_no: i64, items: Items<'_, '_>) {
        let plan = &self.compiled.plans[row.plan.unwrap_or(0)];
        let of_row = self.findings.len();
        for fault in &row.faults {
            if fault.severity == Severity::Error && self.findings.len() < MOST_ERRORS {
                let item = item_of(plan, fault).map(|column| column.name.as_str());
                let same = |f: &&mut Finding| f.code == fault.code && f.item.as_deref() == item;
                // Only an item that repeats has an error of one kind twice.
                let known = plan.repeats().then(|| self.findings[of_row..].iter_mut().find(same)).flatten();
                match known {
                    Some(known) => {
                        known.count += 1;
                        let more = detail(plan, fault, items);
                        let room = known.detail.len() + more.len() < MOST_TOLD_BYTES;
                        if known.count <= MOST_TOLD && room && !more.is_empty() {
                            known.detail = format!("{}, {more}", known.detail);
                        }
                    }
                    None => self.findings.push(row_finding(row, plan, fault, record_no, items)),
                }
                continue;
            }
            let item = item_of(plan, fault).map_or(self.compiled.item_names, |column| column.item_id);
            let kind = (fault.code as usize) * (self.compiled.item_names + 1) + item;
            let slot = kind * 3 + fault.severity as usize;
            match self.slots[slot] {
                0 => {
                    self.findings.push(row_finding(row, plan, fault, record_no, items));
                    self.slots[slot] = self.findings.len() as u32;
                }
                at => self.findings[at as usize - 1].count += 1,
            }
        }
    }

    /// Whether what was said of a part would have been said so by this report.
    pub fn can_take(&self, part: &Report<'_>) -> bool {
        !part.file_rejected && self.findings.len() + part.findings.len() < MOST_ERRORS
    }

    /// Takes over what was said of a part behind so many records.
    pub fn take(&mut self, part: Report<'_>, before: i64) {
        let mut slots = vec![None; part.findings.len()];
        for (slot, at) in part.slots.iter().enumerate().filter(|(_, at)| **at > 0) {
            slots[*at as usize - 1] = Some(slot);
        }
        let mut forms = vec![None; part.findings.len()];
        part.forms.iter().for_each(|(form, at)| forms[*at] = Some(*form));
        for (mut finding, (slot, form)) in part.findings.into_iter().zip(slots.into_iter().zip(forms)) {
            let known = match (slot, form) {
                (Some(slot), _) => (self.slots[slot] as usize).checked_sub(1),
                (_, Some(form)) => self.forms.iter().find(|(known, _)| *known == form).map(|(_, at)| *at),
                _ => None,
            };
            if let Some(at) = known {
                self.findings[at].count += finding.count;
                continue;
            }
            finding.record_no = finding.record_no.map(|no| no + before);
            form.into_iter().for_each(|form| self.forms.push((form, self.findings.len())));
            self.findings.push(finding);
            slot.into_iter().for_each(|slot| self.slots[slot] = self.findings.len() as u32);
        }
    }

    /// All findings, by record, code and item; those about the file as a whole first.
    pub fn into_findings(mut self) -> Vec<Finding> {
        self.findings.sort_by(|a, b| (a.record_no, a.code, &a.item).cmp(&(b.record_no, b.code, &b.item)));
        self.findings
    }
}

fn row_finding(row: &Row<'_>, plan: &Plan, fault: &Fault, record_no: i64, items: Items<'_, '_>) -> Finding {
    let (insurer_no, insured_no, movement_date) = row.keys();
    Finding {
        code: fault.code,
        severity: fault.severity,
        record_no: Some(record_no),
        byte_offset: Some(items.offset(fault.column.unwrap_or(0)) as u64),
        insurer_no,
        insured_no,
        movement_date,
        item: item_of(plan, fault).map(|column| column.name.clone()),
        count: 1,
        detail: detail(plan, fault, items),
    }
}

/// The plan's column a fault is about.
fn item_of<'p>(plan: &'p Plan, fault: &Fault) -> Option<&'p Column> {
    fault.column.and_then(|column| plan.column(column)).map(|column| &plan.columns[column])
}

/// What stands in the brackets of a message: the value as sent and, where it helps, what was expected.
fn detail(plan: &Plan, fault: &Fault, items: Items<'_, '_>) -> String {
    let shown = |column: usize| printable(&content(items.raw(column)));
    let (Some(at), Some(column)) = (fault.column, item_of(plan, fault)) else {
        if fault.code != Code::R01 {
            return printable(items.tail(plan.newest())); // in the unknown tail
        }
        if items.len() >= MAX_ITEMS {
            return format!("too_many_columns:{MAX_ITEMS}");
        }
        let known: Vec<String> = plan.revisions.iter().map(usize::to_string).collect();
        return format!("{} ≠ {}", items.len(), known.join(", "));
    };
    match fault.code {
        Code::R05 => format!("{}; {} > {}", shown(at), content(items.raw(at)).len(), column.width),
        Code::R10 => match plan.periods.iter().find(|period| period.end_column == at) {
            Some(period) => format!("{} > {}", shown(period.start_column), shown(at)),
            None => shown(at),
        },
        Code::R12 => format!("{}; {}", shown(at), shown(plan.movement_date)),
        _ => shown(at),
    }
}
