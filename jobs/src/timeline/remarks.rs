//! What stacking and the calendar find about the records of one stream, in words.
//!
//! Promise: the same findings as a snapshot's of the same facts and settings, those about whole holders and
//! lists excepted (S08, S09, S15).

use super::model::Remark;
use crate::facts::KnownFiles;
use crate::publish::calendar::Levels;
use crate::publish::findings::stacking_findings;
use crate::publish::months::{Context, chunk_months};
use crate::registry::Registry;
use arrow::array::RecordBatch;
use std::collections::BTreeMap;
use tsumiage_schemas::{MonthRange, Spec};

/// Finds remarks.
pub struct Remarks<'a> {
    spec: &'a Spec,
    file_ids: &'a [String],
    registry: &'a Registry,
    range: MonthRange,
    levels: Levels,
}

impl<'a> Remarks<'a> {
    /// With these layouts, files and registry, in these service months (S10).
    pub fn new(
        spec: &'a Spec,
        known: &'a KnownFiles<'_>,
        registry: &'a Registry,
        range: MonthRange,
    ) -> Remarks<'a> {
        Remarks { spec, file_ids: &known.file_ids, registry, range, levels: Levels::new(&spec.limits) }
    }

    /// The remarks by stacked row.
    ///
    /// # Errors
    /// The rows are not stacked ones.
    pub fn of(&self, stacked: &RecordBatch) -> anyhow::Result<BTreeMap<usize, Vec<Remark>>> {
        let context = Context {
            range: self.range,
            levels: &self.levels,
            limits: &self.levels.in_months(self.range),
            file_ids: self.file_ids,
            names: self.registry.names(),
            municipal: self.registry.limits(),
        };
        let of_calendar = chunk_months(stacked, &context)?.remarks;
        let mut remarks: BTreeMap<usize, Vec<Remark>> = BTreeMap::new();
        let details = self.registry.details();
        for (row, finding) in stacking_findings(stacked, &of_calendar, self.spec, &details)? {
            let item = finding.item.as_deref().unwrap_or_default();
            let label = self.spec.label(item);
            let (message_ja, message_en) =
                self.spec.catalogue.messages(finding.code, item, label, &finding.detail);
            remarks.entry(row).or_default().push(Remark {
                code: finding.code,
                severity: finding.severity,
                item: finding.item,
                message_ja,
                message_en,
            });
        }
        remarks.values_mut().for_each(|remarks| remarks.sort_by_key(|remark| remark.code));
        Ok(remarks)
    }
}
