//! What the next resolve would recompute and why, with an estimate of time; nothing is changed.
//!
//! * `touched` the people that changed files are about
//!
//! Promise: the units and reasons are those of `resolve::prepare`, by which a resolve works too.

mod touched;

pub use touched::TouchedRecipient;

use crate::facts::KnownFiles;
use crate::publish::snapshot::Snapshots;
use crate::registry::Registry;
use crate::resolve::OfNoUnit;
use crate::resolve::inputs::FileInputs;
use crate::resolve::prepare::Prepared;
use crate::resolve::verdict::{Verdict, Why};
use crate::resolve::{ResolveRequest, Workplace, effective_options, inputs_digest};
use crate::stack::Inheritance;
use crate::stack::unit::engine;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use tsumiage_pipeline::events::Event;
use tsumiage_pipeline::ledger::FileEntry;
use tsumiage_schemas::{Day, Month, MonthRange};

/// Recipients that a plan lists by number at most; more are only counted.
pub const MOST_LISTED: usize = 10_000;

/// Seconds that stacking and publishing a fact takes where no report tells: measured with 36 months.
const SECONDS_PER_FACT: f64 = 25e-6;

/// Seconds of a resolve that has next to nothing to do.
const LEAST_SECONDS: f64 = 0.2;

/// The plan.
#[derive(Clone, Debug, Serialize)]
pub struct Plan {
    /// The snapshot that holds the answer already: nothing is to be done.
    pub stands: Option<String>,
    /// The snapshot whose files are taken over where they stand.
    pub base: Option<String>,
    /// Only what was known as of this month.
    pub as_of: Option<Month>,
    /// How blanks are filled.
    pub inheritance: Inheritance,
    /// Months to be published.
    pub months: Option<MonthRange>,
    /// Units of the snapshot.
    pub units: usize,
    /// Units to be recomputed.
    pub units_again: usize,
    /// Facts in all units, and in those to be recomputed.
    pub facts: i64,
    /// See `facts`.
    pub facts_again: i64,
    /// Recipients that changed files are about.
    pub recipients_touched: usize,
    /// How long it will take, by the runs before.
    pub estimated_seconds: f64,
    /// The units to be recomputed, by their first insurer.
    pub again: Vec<PlannedUnit>,
}

/// A unit to be recomputed.
#[derive(Clone, Debug, Serialize)]
pub struct PlannedUnit {
    /// Its insurers with facts.
    pub insurers: Vec<String>,
    /// Holders whose files are made again, as far as the snapshot before had them.
    pub holders: Vec<String>,
    /// Its facts.
    pub facts: i64,
    /// Recipients of the snapshot before.
    pub recipients: Option<u64>,
    /// Months whose files are made.
    pub months: Option<MonthRange>,
    /// Why.
    pub reasons: Vec<Reason>,
    /// Recipients that changed files are about; `None`: all, whatever the files.
    pub recipients_touched: Option<usize>,
    /// They, at most [`MOST_LISTED`] in a plan.
    pub touched: Vec<TouchedRecipient>,
}

/// A reason, with what is known of its file.
#[derive(Clone, Debug, Serialize)]
pub struct Reason {
    /// What it is.
    #[serde(flatten)]
    pub why: Why,
    /// Its file, if it is about one.
    #[serde(flatten)]
    pub file: Option<ReasonFile>,
}

/// A file that is a reason.
#[derive(Clone, Debug, Serialize)]
pub struct ReasonFile {
    /// Its name.
    pub name: String,
    /// Its processing month.
    pub processing_month: Option<Month>,
    /// When it was taken in.
    pub taken_in_on: Day,
    /// Its movements in this unit.
    pub movements: u64,
    /// Its correction slips in this unit.
    pub corrections: u64,
}

/// Makes the plan of a request.
///
/// # Errors
/// The ledger or a snapshot cannot be read.
pub fn plan(place: &Workplace<'_>, request: &ResolveRequest, events: &[Event]) -> anyhow::Result<Plan> {
    let known = KnownFiles::new(place.ledger, events, request.as_of);
    let options = effective_options(request, &known);
    let all = Snapshots::open(place.data)?; // makes nothing
    let (snapshots, latest) = (all.list()?, all.latest_id());
    let files = FileInputs::new(&known);
    let digest = inputs_digest(place, &known, &files, &options)?;
    let stands = snapshots.iter().rev().find(|snapshot| snapshot.manifest.inputs_digest == digest);
    let rules = known.rules(place.spec, options.inheritance);
    let engine = engine(&place.limits)?;
    let runtime = tokio::runtime::Runtime::new()?;
    let reading = Registry::read(&engine, place.ledger, place.spec, &known, &rules, options.as_of);
    let registry = runtime.block_on(reading)?;
    let of_no_unit = OfNoUnit::new(&registry, &known, place.spec, place.ledger)?;
    let prepared = Prepared::new(
        place,
        &known,
        files,
        &options,
        &registry,
        &of_no_unit.findings,
        (&snapshots, latest.as_deref()),
    );
    let facts_again = if stands.is_some() { 0 } else { prepared.facts_to_stack() };
    let mut plan = Plan {
        stands: stands.map(|snapshot| snapshot.manifest.id.clone()),
        base: prepared.base.as_ref().map(|base| base.snapshot.manifest.id.clone()),
        as_of: options.as_of,
        inheritance: options.inheritance,
        months: options.months(),
        units: prepared.units.len(),
        units_again: 0,
        facts: prepared.units.iter().map(|unit| unit.rows).sum(),
        facts_again,
        recipients_touched: 0,
        estimated_seconds: 0.0,
        again: Vec::new(),
    };
    if stands.is_some() {
        return Ok(plan);
    }
    let names: BTreeMap<&str, &FileEntry> =
        place.ledger.files().map(|file| (file.arrival.file_id.as_str(), file)).collect();
    let again = prepared.verdicts.iter().enumerate().filter(|(_, verdict)| **verdict != Verdict::Stands);
    for (at, verdict) in again {
        let unit = planned(&prepared, at, verdict, place, &names, plan.months)?;
        plan.recipients_touched +=
            unit.recipients_touched.or(unit.recipients.map(|n| n as usize)).unwrap_or(0);
        plan.again.push(unit);
    }
    plan.units_again = plan.again.len();
    let seconds = LEAST_SECONDS + facts_again as f64 * seconds_per_fact(place.data);
    plan.estimated_seconds = (seconds * 10.0).round() / 10.0;
    let mut listed = 0;
    for unit in &mut plan.again {
        unit.touched.truncate(MOST_LISTED.saturating_sub(listed));
        listed += unit.touched.len();
    }
    Ok(plan)
}

fn planned(
    prepared: &Prepared,
    at: usize,
    verdict: &Verdict,
    place: &Workplace<'_>,
    names: &BTreeMap<&str, &FileEntry>,
    months: Option<MonthRange>,
) -> anyhow::Result<PlannedUnit> {
    let (unit, inputs) = (&prepared.units[at], &prepared.inputs[at]);
    let months_only = [Why::Months];
    let reasons = match verdict {
        Verdict::Again(reasons) => reasons.as_slice(),
        Verdict::OtherMonths | Verdict::Stands => &months_only,
    };
    let file_of = |why: &Why| match why {
        Why::FileCame { file_id } | Why::FileGone { file_id } | Why::FileChanged { file_id } => {
            names.get(file_id.as_str()).copied()
        }
        _ => None,
    };
    // Only of a file that both know some records may have changed.
    let changed = |why: &Why| match why {
        Why::FileChanged { file_id } => prepared.changed_records(file_id),
        _ => None,
    };
    let files: Vec<(&FileEntry, Option<BTreeSet<i64>>)> =
        reasons.iter().filter_map(|why| Some((file_of(why)?, changed(why)))).collect();
    let touched = touched::touched(place.ledger, &inputs.insurers, &files)?;
    let only_files = reasons.iter().all(|why| file_of(why).is_some());
    let reason = |why: &Why| {
        let file = file_of(why).map(|file| {
            let (movements, corrections) = touched.counts.get(&file.seq).copied().unwrap_or_default();
            let (name, processing_month) = (file.arrival.name.clone(), file.processing_month);
            ReasonFile {
                name,
                processing_month,
                taken_in_on: file.arrival.taken_in_on,
                movements,
                corrections,
            }
        });
        Reason { why: why.clone(), file }
    };
    let before = prepared.base.as_ref().and_then(|base| base.record.unit_of(&inputs.insurers));
    Ok(PlannedUnit {
        insurers: inputs.insurers.clone(),
        holders: before.map(|unit| unit.outcome.holders.clone()).unwrap_or_default(),
        facts: unit.rows,
        recipients: before.map(|unit| unit.outcome.streams),
        months,
        reasons: reasons.iter().map(reason).collect(),
        recipients_touched: only_files.then_some(touched.recipients.len()),
        touched: touched.recipients,
    })
}

/// What a fact took in the newest run whose report tells.
fn seconds_per_fact(data: &Path) -> f64 {
    const FEW: f64 = 1_000.0; // of fewer facts the rest of a run would count as theirs
    let measured = crate::report::newest_resolves(data)
        .into_iter()
        .find(|(facts, _)| *facts >= FEW)
        .map(|(facts, seconds)| (seconds - LEAST_SECONDS).max(0.0) / facts);
    measured.unwrap_or(SECONDS_PER_FACT)
}
