//! `plan`: what the next resolve would recompute and why; changes nothing.

use super::Exit;
use super::args::{Common, Format};
use super::console::Console;
use super::data_folder::DataFolder;
use crate::plan::{Plan, PlannedUnit, Reason, plan};
use crate::resolve::verdict::Why;
use crate::resolve::{Workplace, readable};
use std::fmt::Write;
use tsumiage_pipeline::events;
use tsumiage_pipeline::ledger::Ledger;

/// Reasons told of a unit in the table; the rest is counted.
const SHOWN: usize = 5;

/// Prints the plan.
pub fn planned(common: &Common, console: &Console<'_>) -> anyhow::Result<Exit> {
    let folder = DataFolder::to_read(common)?;
    let ledger = Ledger::open(&folder.path)?;
    readable(&ledger, &folder.spec)?;
    let events = events::read(&folder.path)?;
    let temp = tempfile::tempdir()?; // not in the data folder: a run may be at work there
    let mut limits = folder.limits();
    limits.temp = temp.path().to_owned();
    let place = Workplace {
        data: &folder.path,
        ledger: &ledger,
        spec: &folder.spec,
        layouts: &folder.layouts,
        limits,
        settings: folder.settings.for_manifest(),
    };
    let plan = plan(&place, &folder.request(common)?, &events)?;
    console.print(&match common.format {
        Format::Json => format!("{}\n", serde_json::to_string_pretty(&plan)?),
        Format::Csv => csv(&plan),
        Format::Table => table(&plan),
    })?;
    Ok(Exit::Done)
}

/// The recipients that changed files are about.
fn csv(plan: &Plan) -> String {
    let mut out = String::from("insurer_no,insured_no,from_month\n");
    for recipient in plan.again.iter().flat_map(|unit| &unit.touched) {
        let _ = writeln!(out, "{},{},{}", recipient.insurer_no, recipient.insured_no, recipient.from_month);
    }
    out
}

fn table(plan: &Plan) -> String {
    let mut out = String::new();
    if let Some(stands) = &plan.stands {
        let _ = writeln!(out, "nothing to recompute: snapshot {stands} stands");
        return out;
    }
    let months = plan.months.map_or("none".to_owned(), |months| months.to_string());
    let _ = writeln!(out, "goes by    {}", plan.base.as_deref().unwrap_or("no snapshot"));
    let _ = writeln!(out, "months     {months}");
    let _ = writeln!(
        out,
        "recompute  {} of {} units, {} of {} records, {} recipients touched; about {} s\n",
        plan.units_again,
        plan.units,
        plan.facts_again,
        plan.facts,
        plan.recipients_touched,
        plan.estimated_seconds
    );
    if plan.again.is_empty() {
        out.push_str("no unit: only tables of files, findings, insurers and KHS are made again\n");
        return out;
    }
    let _ = writeln!(out, "{:24} {:>10} {:>10} {:>8}  why", "insurers", "records", "recipients", "touched");
    for unit in &plan.again {
        row(&mut out, unit);
    }
    out
}

fn row(out: &mut String, unit: &PlannedUnit) {
    let insurers = match unit.insurers.as_slice() {
        [one] => one.clone(),
        [first, .., last] => format!("{first}..{last} ({})", unit.insurers.len()),
        [] => String::new(),
    };
    let count = |n: Option<u64>| n.map_or("-".to_owned(), |n| n.to_string());
    let touched = unit.recipients_touched.map_or("all".to_owned(), |n| n.to_string());
    let reasons: Vec<String> = unit.reasons.iter().take(SHOWN).map(reason).collect();
    let more = unit.reasons.len().saturating_sub(SHOWN);
    let mut lines = reasons.into_iter().chain((more > 0).then(|| format!("and {more} more")));
    let first = lines.next().unwrap_or_default();
    let _ = writeln!(
        out,
        "{insurers:24} {:>10} {:>10} {touched:>8}  {first}",
        unit.facts,
        count(unit.recipients)
    );
    for line in lines {
        let _ = writeln!(out, "{:56} {line}", "");
    }
}

/// A reason in words.
fn reason(Reason { why, file }: &Reason) -> String {
    let file = file.as_ref().map_or(String::new(), |file| {
        let month = file.processing_month.map_or("-".to_owned(), |month| month.to_string());
        let counts = match (file.movements, file.corrections) {
            (0, slips) => format!("{slips} corrections"),
            (movements, 0) => format!("{movements} movements"),
            (movements, slips) => format!("{movements} movements, {slips} corrections"),
        };
        format!("{} ({month}, {counts})", file.name)
    });
    match why {
        Why::NoSnapshot => "no snapshot yet".to_owned(),
        Why::Program => "another program version".to_owned(),
        Why::Layouts => "other layouts, codes or rules".to_owned(),
        Why::Inheritance => "another mode of inheritance".to_owned(),
        Why::NewUnit => "new insurers".to_owned(),
        Why::Insurers { before } => format!("other insurers together than before ({})", before.join(", ")),
        Why::FileCame { .. } => format!("came: {file}"),
        Why::FileGone { .. } => format!("does not count any more: {file}"),
        Why::FileChanged { .. } => format!("counts otherwise: {file}"),
        Why::Memberships => "who belongs to which union or city".to_owned(),
        Why::Ended => "an insurer's end".to_owned(),
        Why::Names => "the name of a holder".to_owned(),
        Why::Limits => "a municipality's own limits".to_owned(),
        Why::Registered => "an insurer's registration".to_owned(),
        Why::Damaged { path } => format!("a published file is damaged: {path}"),
        Why::Months => "other months to publish".to_owned(),
        Why::MostOfAll => "nearly everything is recomputed, so all is".to_owned(),
        Why::NotKnown => "not told what it was made of".to_owned(),
    }
}
