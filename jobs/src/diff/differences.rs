//! All differences of two snapshots, holder by holder.

use super::cause::{Cause, CauseKind, Fact, cause};
use super::cells::{RowChange, compare};
use super::facts::Differing;
use super::months::{Files, differing, is_whole, read};
use super::{Change, Kind, Side};
use crate::publish::table_file::PublishedFile;
use crate::resolve::inputs::RegistryInputs;
use crate::resolve::record::{Record, UnitRecord};
use arrow::array::RecordBatch;
use rayon::prelude::*;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use tsumiage_pipeline::ledger::Ledger;
use tsumiage_schemas::tables::{recipient_month_schema, stacked_items};
use tsumiage_schemas::{FactTable, Month, Spec};

/// What explains differences.
#[derive(Clone, Copy)]
pub struct Sources<'a> {
    /// The ledger both were made of.
    pub ledger: &'a Ledger,
    /// Layouts in force.
    pub spec: &'a Spec,
}

/// Hands every holder's differences on, month by month in time, by insured number and column; holders of one unit
/// after each other. Gives the paths of files that are not what was published on either side: what differs there is not
/// told.
///
/// # Errors
/// A file of a snapshot or of the ledger cannot be read.
pub fn each_month(
    before: &Side<'_>,
    after: &Side<'_>,
    sources: &Sources<'_>,
    each: &mut dyn FnMut(&str, Vec<Change>) -> anyhow::Result<()>,
) -> anyhow::Result<Vec<String>> {
    let differ = differing(before, after);
    if differ.is_empty() {
        return Ok(Vec::new());
    }
    let facts = Differing::new(before, after, sources.ledger)?;
    let items = items(sources.spec);
    let of_basis = of_basis(before, after);
    // Holders of one unit after each other, so that its facts are read once.
    let mut of_unit = ByUnit::new();
    for holder_no in differ.keys() {
        let units = units_of(before.record, after.record, holder_no);
        let key = [units.0, units.1].map(|unit| unit.map(|unit| &unit.insurers));
        of_unit.entry(key).or_insert_with(|| (units, Vec::new())).1.push(holder_no);
    }
    let mut damaged = Vec::new();
    for ((a, b), holders) in of_unit.into_values() {
        let insurers: BTreeSet<&str> =
            [a, b].into_iter().flatten().flat_map(|unit| &unit.insurers).map(String::as_str).collect();
        let facts_of_unit = facts.facts_of(&insurers)?;
        for holder_no in holders {
            let registry = OfRegistry::new(holder_no, a, b, &facts);
            let holder = Holder { items: &items, facts: &facts_of_unit, registry, of_basis };
            for months in differ[holder_no].chunks(rayon::current_num_threads()) {
                let compared: anyhow::Result<Vec<Option<Vec<RowChange>>>> =
                    months.par_iter().map(|files| compared(before, after, files, sources.spec)).collect();
                for ((month, of_a, of_b), rows) in months.iter().zip(compared?) {
                    match rows {
                        Some(rows) => each(holder_no, holder.changes(*month, rows))?,
                        None => damaged.extend(of_a.or(*of_b).map(|file| file.path.clone())),
                    }
                }
            }
        }
    }
    Ok(damaged)
}

/// The rows that differ in a month; `None` if a file is not what was published.
fn compared(
    before: &Side<'_>,
    after: &Side<'_>,
    (_, of_a, of_b): &Files<'_>,
    spec: &Spec,
) -> anyhow::Result<Option<Vec<RowChange>>> {
    let whole = |side, file: &Option<&PublishedFile>| file.is_none_or(|file| is_whole(side, file));
    if !whole(before, of_a) || !whole(after, of_b) {
        return Ok(None);
    }
    let rows = |side: &Side<'_>, file: &Option<&PublishedFile>| match file {
        Some(file) => read(side.path, &file.path),
        None => Ok(RecordBatch::new_empty(recipient_month_schema(spec))),
    };
    Ok(Some(compare(&rows(before, of_a)?, &rows(after, of_b)?)?))
}

/// What one holder's differences are explained by.
struct Holder<'a> {
    items: &'a HashMap<String, u128>,
    facts: &'a HashMap<String, Vec<Fact>>,
    registry: OfRegistry,
    of_basis: CauseKind,
}

impl Holder<'_> {
    fn changes(&self, month: Month, rows: Vec<RowChange>) -> Vec<Change> {
        let mut changes = Vec::new();
        for row in rows {
            let change = |item: Option<(String, Option<String>, Option<String>)>| {
                let cause = self.cause(&row, item.as_ref().map(|(name, ..)| name.as_str()), month);
                let (item, before, after) = match item {
                    Some((name, before, after)) => (Some(name), before, after),
                    None => (None, None, None),
                };
                Change {
                    month,
                    insured_no: row.insured_no.clone(),
                    kind: row.kind,
                    item,
                    before,
                    after,
                    cause,
                }
            };
            if row.kind == Kind::Changed {
                changes.extend(row.items.iter().cloned().map(|item| change(Some(item))));
            } else {
                changes.push(change(None));
            }
        }
        changes
    }

    fn cause(&self, row: &RowChange, item: Option<&str>, month: Month) -> Cause {
        let registry = &self.registry;
        let level_changed = row.items.iter().any(|(name, ..)| name == "heaviest_care_level");
        let of_registry = match item {
            Some("holder_name") => return registry.names.clone().unwrap_or_else(|| self.rest()),
            Some("limit_units" | "limit_source") if !level_changed => registry.limits.clone(),
            _ => None,
        };
        if let Some(cause) = of_registry {
            return cause;
        }
        let bits = item.and_then(|name| self.items.get(name)).copied().unwrap_or(0);
        let moved = registry.membership.clone().or_else(|| registry.ended.clone());
        let facts = self.facts.get(&row.insured_no).map_or(&[][..], Vec::as_slice);
        cause(row, bits, month, facts, moved.is_some()).or(moved).unwrap_or_else(|| self.rest())
    }

    fn rest(&self) -> Cause {
        Cause::of(self.of_basis)
    }
}

/// The stacked items that each column comes from.
fn items(spec: &Spec) -> HashMap<String, u128> {
    let mut items: HashMap<String, u128> = (0..)
        .zip(stacked_items(spec))
        .map(|(at, item)| (item.name.clone(), 1_u128.checked_shl(at).unwrap_or(0)))
        .collect();
    let of = |names: &[&str]| names.iter().filter_map(|name| items.get(*name)).fold(0, |all, bit| all | bit);
    let period = of(&["certification_start_date", "certification_end_date"]);
    let level = period | of(&["care_level"]);
    for name in ["heaviest_care_level", "limit_units", "limit_source"] {
        items.insert(name.to_owned(), level);
    }
    for name in ["certification_covers_month", "covering_movement_date"] {
        items.insert(name.to_owned(), period);
    }
    items.insert("last_correction_date".to_owned(), u128::MAX); // of any slip
    items
}

/// A unit before and after.
type Units<'r> = (Option<&'r UnitRecord>, Option<&'r UnitRecord>);

/// Units with their holders, by their insurers before and after.
type ByUnit<'r> = BTreeMap<[Option<&'r Vec<String>>; 2], (Units<'r>, Vec<&'r String>)>;

/// The holder's unit on both sides; where it holds nobody the one with its insurers.
fn units_of<'r>(before: &'r Record, after: &'r Record, holder_no: &str) -> Units<'r> {
    let of = |record: &'r Record| {
        record.units.iter().find(|unit| unit.outcome.holders.iter().any(|no| no == holder_no))
    };
    let (a, b) = (of(before), of(after));
    let or =
        |side: &'r Record, other: Option<&UnitRecord>| other.and_then(|unit| side.unit_of(&unit.insurers));
    (a.or_else(|| or(before, b)), b.or_else(|| or(after, a)))
}

/// What the registry changed for a holder, each with the record that did it, as far as it is one.
struct OfRegistry {
    membership: Option<Cause>,
    /// The end of an insurer or holder.
    ended: Option<Cause>,
    names: Option<Cause>,
    limits: Option<Cause>,
}

impl OfRegistry {
    fn new(
        holder_no: &str,
        a: Option<&UnitRecord>,
        b: Option<&UnitRecord>,
        facts: &Differing<'_>,
    ) -> OfRegistry {
        use CauseKind::{Insurer, Limits, Membership};
        let of = |unit: Option<&UnitRecord>| unit.map(|unit| unit.registry.clone()).unwrap_or_default();
        let (x, y): (RegistryInputs, RegistryInputs) = (of(a), of(b));
        let own = BTreeSet::from([holder_no]);
        let units = [a, b].into_iter().flatten();
        let all: BTreeSet<&str> = units
            .flat_map(|unit| unit.insurers.iter().chain(&unit.outcome.holders))
            .map(String::as_str)
            .chain([holder_no])
            .collect();
        let cause = |differs: bool, kind: CauseKind, table: FactTable, numbers: &BTreeSet<&str>| {
            differs.then(|| match facts.of_registry(table, numbers) {
                Some((file_id, record_no, date)) => {
                    Cause { kind, file_id: Some(file_id), record_no: Some(record_no), date: Some(date) }
                }
                None => Cause::of(kind),
            })
        };
        OfRegistry {
            membership: cause(x.memberships != y.memberships, Membership, FactTable::Membership, &all),
            ended: cause(x.ended != y.ended, Insurer, FactTable::Insurer, &all),
            names: cause(x.names != y.names, Insurer, FactTable::Insurer, &own),
            limits: cause(x.limits != y.limits, Limits, FactTable::MunicipalLimit, &own),
        }
    }
}

/// What differs for all, if anything does.
fn of_basis(before: &Side<'_>, after: &Side<'_>) -> CauseKind {
    let (a, b) = (before.manifest, after.manifest);
    if a.options.inheritance != b.options.inheritance {
        CauseKind::Inheritance
    } else if a.layouts != b.layouts {
        CauseKind::Layouts
    } else if (&a.rules, &a.program_version) != (&b.rules, &b.program_version) {
        CauseKind::Program
    } else {
        CauseKind::Unknown
    }
}
