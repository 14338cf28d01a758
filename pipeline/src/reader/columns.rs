//! How many of a record's columns are items (domain 1): its revision, the unknown tail of a longer row,
//! keys that have no column, and a last column that is none.
//!
//! Promise: a row is never cut without a finding.

use super::compiled::{Compiled, Plan};
use super::item::{is_blank, is_line_end_text};
use super::record::{ExtraColumn, Row};
use super::split::{Items, MAX_ITEMS};
use tsumiage_schemas::Kind;
use tsumiage_schemas::finding::{Code, Severity};

impl<'f> Row<'f> {
    /// The revision by the number of columns (domain 1), the unknown tail, and keys that have no column.
    /// Gives the number of columns that are items.
    pub(super) fn count_columns(
        &mut self,
        compiled: &Compiled,
        plan: &Plan,
        items: Items<'_, 'f>,
        unclosed: bool,
    ) -> usize {
        let count = self.without_extra_columns(compiled, plan, items, unclosed);
        if items.len() >= MAX_ITEMS {
            self.note(Code::R01, Severity::Error, None); // the last of them may hold more than one
        } else if !plan.fits(count) {
            if !plan.repeats() && count > plan.newest() {
                self.note(Code::R01, compiled.severity(Code::R01).min(Severity::Info), None);
                self.extra = Some(items.part(plan.newest(), count));
            } else if !plan.repeats() || count < plan.repeats_from {
                self.fault(compiled, Code::R01, None);
            }
        }
        let missing = || plan.keys.iter().chain(&plan.needed).find(|column| **column >= count);
        if let Some(missing) = (count < plan.least_columns).then(missing).flatten() {
            self.fault(compiled, Code::R02, Some(*missing));
        }
        if unclosed && count > plan.newest() && !plan.repeats() {
            self.fault(compiled, Code::R06, None);
        }
        count
    }

    /// The number of columns without a last one that is none: the text of a line end, where a profile
    /// tolerates it, and an empty one.
    fn without_extra_columns(
        &mut self,
        compiled: &Compiled,
        plan: &Plan,
        items: Items<'_, 'f>,
        unclosed: bool,
    ) -> usize {
        let mut count = items.len();
        // A word is the text of an item where an item can have text and no column is one too many.
        let has_text = |at: usize| matches!(plan.columns[at].kind, Kind::Text | Kind::Kana);
        let may_be_item = |count: usize| {
            plan.column(count - 1).is_some_and(has_text) && (plan.fits(count) || !plan.fits(count - 1))
        };
        let is_control = |b: &u8| matches!(b, b'\r' | b'\n');
        let is_line_end = |count: usize| {
            let raw = items.raw(count - 1);
            is_line_end_text(compiled, raw) && (raw.iter().any(is_control) || !may_be_item(count))
        };
        if unclosed || count < 2 || (compiled.line_end_texts.is_empty() && plan.fits(count)) {
            return count;
        }
        let one_too_many = !plan.fits(count) && plan.fits(count - 1);
        if is_blank(items.raw(count - 1)) && (one_too_many || is_line_end(count - 1)) {
            self.extra_column = Some(ExtraColumn::Empty);
            count -= 1;
        }
        if count > 1 && is_line_end(count) {
            self.extra_column = Some(ExtraColumn::LineEndText);
            count -= 1;
        }
        count
    }
}
