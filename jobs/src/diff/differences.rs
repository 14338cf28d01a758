//! All differences of two snapshots, holder by holder.

use super::cause::{Cause, CauseKind, Fact, cause};
use super::cells::{RowChange, compare};
use super::facts::Differing;
use super::months::{self, differing, is_whole, read};
use super::{Change, Kind, Side};
use crate::resolve::inputs::RegistryInputs;
use crate::resolve::record::{Record, UnitRecord};
use arrow::array::RecordBatch;
use rayon::prelude::*;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use tsumiage_pipeline::events::Event;
use tsumiage_pipeline::ledger::Ledger;
use tsumiage_schemas::tables::{recipient_month_schema, stacked_items};
use tsumiage_schemas::{FactTable, Month, Spec};

/// What explains differences.
#[derive(Clone, Copy)]
pub struct Sources<'a> {
    /// The ledger both were made of.
    pub ledger: &'a Ledger,
    /// Closings and withdrawals.
    pub events: &'a [Event],
    /// Layouts in force.
    pub spec: &'a Spec,
}

/// Hands every holder's differences on, by month, insured number and column; holders by their numbers. Gives the
/// paths of files that are not what was published on either side: what differs there is not told.
///
/// # Errors
/// A file of a snapshot or of the ledger cannot be read.
pub fn each_holder(
    before: &Side<'_>,
    after: &Side<'_>,
    sources: &Sources<'_>,
    each: &mut dyn FnMut(&str, Vec<Change>) -> anyhow::Result<()>,
) -> anyhow::Result<Vec<String>> {
    let mut differ = differing(before, after);
    let damaged = set_damaged_aside(&mut differ, before, after);
    if differ.is_empty() {
        return Ok(damaged);
    }
    let facts = Differing::new(before, after, sources.ledger, sources.events)?;
    let items = items(sources.spec);
    let schema = recipient_month_schema(sources.spec);
    let of_basis = of_basis(before, after);
    for (holder_no, months) in &differ {
        let compared: anyhow::Result<Vec<(Month, Vec<RowChange>)>> = months
            .par_iter()
            .map(|(month, a, b)| {
                let rows = |side: &Side<'_>, path: &Option<&str>| match path {
                    Some(path) => Ok(read(side.path, path)?),
                    None => Ok::<RecordBatch, anyhow::Error>(RecordBatch::new_empty(schema.clone())),
                };
                Ok((*month, compare(&rows(before, a)?, &rows(after, b)?)?))
            })
            .collect();
        let compared = compared?;
        let (a, b) = units_of(before.record, after.record, holder_no);
        let people: BTreeSet<&str> =
            compared.iter().flat_map(|(_, rows)| rows).map(|row| row.insured_no.as_str()).collect();
        let insurers: BTreeSet<&str> =
            [a, b].into_iter().flatten().flat_map(|unit| &unit.insurers).map(String::as_str).collect();
        let holder = Holder {
            items: &items,
            facts: facts.facts_of(&insurers, &people)?,
            registry: registry(holder_no, a, b, &facts)?,
            of_basis,
        };
        let changes: Vec<Change> =
            compared.into_iter().flat_map(|(month, rows)| holder.changes(month, rows)).collect();
        each(holder_no, changes)?;
    }
    Ok(damaged)
}

/// Takes months out whose files are not what was published; gives their paths.
fn set_damaged_aside(differ: &mut months::Differing<'_>, a: &Side<'_>, b: &Side<'_>) -> Vec<String> {
    let mut damaged = Vec::new();
    for months in differ.values_mut() {
        months.retain(|(_, of_a, of_b)| {
            let whole = |side, path: &Option<&str>| path.is_none_or(|path| is_whole(side, path));
            let both = whole(a, of_a) && whole(b, of_b);
            damaged.extend(of_a.or(*of_b).filter(|_| !both).map(str::to_owned));
            both
        });
    }
    differ.retain(|_, months| !months.is_empty());
    damaged
}

/// What one holder's differences are explained by.
struct Holder<'a> {
    items: &'a HashMap<String, u128>,
    facts: HashMap<String, Vec<Fact>>,
    registry: BTreeMap<CauseKind, Cause>,
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
        let of_registry = |kind: CauseKind| self.registry.get(&kind).cloned();
        let level_changed = row.items.iter().any(|(name, ..)| name == "heaviest_care_level");
        match item {
            Some("holder_name") => return of_registry(CauseKind::Insurer).unwrap_or_else(|| self.rest()),
            Some("limit_units" | "limit_source") if !level_changed => {
                return of_registry(CauseKind::Limits).unwrap_or_else(|| self.rest());
            }
            _ => {}
        }
        let bits = item.and_then(|name| self.items.get(name)).copied().unwrap_or(0);
        let moved = of_registry(CauseKind::Membership).or_else(|| of_registry(CauseKind::Insurer));
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
    items
}

/// The holder's unit on both sides; where it holds nobody the one with its insurers.
fn units_of<'r>(
    before: &'r Record,
    after: &'r Record,
    holder_no: &str,
) -> (Option<&'r UnitRecord>, Option<&'r UnitRecord>) {
    let of = |record: &'r Record| {
        record.units.iter().find(|unit| unit.outcome.holders.iter().any(|no| no == holder_no))
    };
    let (a, b) = (of(before), of(after));
    let or =
        |side: &'r Record, other: Option<&UnitRecord>| other.and_then(|unit| side.unit_of(&unit.insurers));
    (a.or_else(|| or(before, b)), b.or_else(|| or(after, a)))
}

/// What the registry changed for a holder, each with the record that did it, as far as it is one.
fn registry(
    holder_no: &str,
    a: Option<&UnitRecord>,
    b: Option<&UnitRecord>,
    facts: &Differing<'_>,
) -> anyhow::Result<BTreeMap<CauseKind, Cause>> {
    let of = |unit: Option<&UnitRecord>| unit.map(|unit| unit.registry.clone()).unwrap_or_default();
    let (x, y): (RegistryInputs, RegistryInputs) = (of(a), of(b));
    let units = [a, b].into_iter().flatten();
    let numbers: BTreeSet<&str> = units
        .flat_map(|unit| unit.insurers.iter().chain(&unit.outcome.holders))
        .map(String::as_str)
        .chain([holder_no])
        .collect();
    let insurer = x.ended != y.ended || x.names != y.names || x.registered != y.registered;
    let differ = [
        (x.memberships != y.memberships, CauseKind::Membership, FactTable::Membership),
        (insurer, CauseKind::Insurer, FactTable::Insurer),
        (x.limits != y.limits, CauseKind::Limits, FactTable::MunicipalLimit),
    ];
    let mut registry = BTreeMap::new();
    for (_, kind, table) in differ.into_iter().filter(|(differs, ..)| *differs) {
        let cause = match facts.of_registry(table, &numbers)? {
            Some((file_id, record_no, date)) => {
                Cause { kind, file_id: Some(file_id), record_no: Some(record_no), date: Some(date) }
            }
            None => Cause::of(kind),
        };
        registry.insert(kind, cause);
    }
    Ok(registry)
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
