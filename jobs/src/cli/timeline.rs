//! `timeline`: one person's records, or the insurance card on a day, stacked from the ledger as it is now.

use super::args::{Common, Format, TimelineArgs};
use super::console::Console;
use super::data_folder::DataFolder;
use super::{Exit, Usage};
use crate::facts::KnownFiles;
use crate::khs::people::People;
use crate::publish::holders::by_holder;
use crate::registry::Registry;
use crate::resolve::{ResolveRequest, effective_options, readable};
use crate::stack::gather::Cells;
use crate::stack::unit::{
    EngineLimits, LeftOut, StackRequest, Unit, engine, logical_plan, physical_plan, units,
};
use crate::timeline::model::{Coded, KhsStatus};
use crate::timeline::read::Reading;
use crate::timeline::withdrawn::kept;
use crate::timeline::{Card, Timeline, card, csv, table};
use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use datafusion::execution::SessionState;
use datafusion::physical_plan::{ExecutionPlan, collect};
use serde::Serialize;
use std::collections::BTreeSet;
use std::sync::Arc;
use tsumiage_pipeline::ledger::Ledger;
use tsumiage_schemas::holder::Holders;
use tsumiage_schemas::membership::Memberships;
use tsumiage_schemas::tables::fact_schema;
use tsumiage_schemas::{Day, Month, MonthRange};

/// Characters of an insured number (被保険者番号).
const INSURED_NO: usize = 10;

/// Other holders of a number that are named.
const SHOWN: usize = 5;

/// Prints the timeline or the card of a person under every holder that knows the number, or under one.
pub fn timeline(common: &Common, args: &TimelineArgs, console: &Console<'_>) -> anyhow::Result<Exit> {
    if args.insured.chars().count() != INSURED_NO {
        let what = "--insured wants all ten characters of the insured number, leading zeros too";
        return Err(Usage(what.to_owned()).into());
    }
    let folder = DataFolder::to_read(common)?;
    let request = folder.request(common)?;
    let ledger = Ledger::open(&folder.path)?;
    readable(&ledger, &folder.spec)?;
    let reading = read(&folder, &ledger, &request, args);
    let Answer { timelines, elsewhere, registry } = tokio::runtime::Runtime::new()?.block_on(reading)?;
    if timelines.is_empty() {
        let known = request.as_of.map(|month| format!(" as of {month}")).unwrap_or_default();
        match args.holder.as_ref().filter(|_| !elsewhere.is_empty()) {
            Some(holder) => {
                let under = known_under(holder, &elsewhere, registry.memberships());
                anyhow::bail!("no record under holder {holder}{known}; this number is known under {under}");
            }
            None => {
                let under = if args.holder.is_some() { " under this holder" } else { "" };
                anyhow::bail!(
                    "no record of this insured number{under}{known}; check --insured, --holder and --as-of"
                );
            }
        }
    }
    console.print(&match args.on_day {
        Some(day) => cards(&timelines, &registry, day, common.format)?,
        None => match common.format {
            Format::Table => table::table(&timelines),
            Format::Json => json(&timelines)?,
            Format::Csv => csv::csv(&timelines)?,
        },
    })?;
    Ok(Exit::Done)
}

/// What was asked for, and where else the number is known.
struct Answer {
    /// By holder.
    timelines: Vec<Timeline>,
    /// The holders that know the number but were not asked for, in number order.
    elsewhere: BTreeSet<String>,
    registry: Registry,
}

/// The unions that know the number and have, or had, the insurer asked for as member: who reads the numbers off
/// a card asks so. Without any, the holders that know it, not all if they are many.
fn known_under(asked: &str, holders: &BTreeSet<String>, memberships: &Memberships) -> String {
    let union = |holder: &String| {
        let stay = memberships.of(asked).iter().rfind(|stay| stay.union_no == *holder)?;
        let until = stay.until.map(|until| format!(" until {until}")).unwrap_or_default();
        Some(format!("{holder} ({asked} is its member{until})"))
    };
    let unions: Vec<String> = holders.iter().filter_map(union).collect();
    if !unions.is_empty() {
        return unions.join(", ");
    }
    let first: Vec<&str> = holders.iter().take(SHOWN).map(String::as_str).collect();
    let more = holders.len() - first.len();
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{}{more}", first.join(", "))
}

/// The cards that hold on a day; that there is none is an answer too.
fn cards(timelines: &[Timeline], registry: &Registry, day: Day, format: Format) -> anyhow::Result<String> {
    let card = |timeline| Card::on(timeline, day, registry.name_on(&timeline.holder_no, day));
    let cards: Vec<Card> = timelines.iter().filter_map(card).collect();
    Ok(match format {
        Format::Table => card::table(timelines, &cards, day),
        Format::Json => json(&cards)?,
        Format::Csv => card::csv(&cards)?,
    })
}

fn json<T: Serialize>(answer: &[T]) -> serde_json::Result<String> {
    Ok(format!("{}\n", serde_json::to_string_pretty(answer)?))
}

/// Reads the person's records.
async fn read(
    folder: &DataFolder,
    ledger: &Ledger,
    request: &ResolveRequest,
    args: &TimelineArgs,
) -> anyhow::Result<Answer> {
    let events = tsumiage_pipeline::events::read(&folder.path)?;
    let known = KnownFiles::new(ledger, &events, request.as_of);
    // One person's facts never spill, so that reading needs no right to write into the data folder.
    let engine = engine(&EngineLimits { temp: std::env::temp_dir(), ..folder.limits() })?;
    let rules = known.rules(&folder.spec, request.inheritance);
    let registry = Registry::read(&engine, ledger, &folder.spec, &known, &rules, request.as_of).await?;
    let stacking = StackRequest {
        facts: fact_schema(&folder.spec, tsumiage_schemas::FactTable::Recipient),
        rules: rules.clone(),
        holders: Arc::clone(registry.holders()),
        as_of: request.as_of,
        left_out: known.left_out.clone(),
        insured_no: Some(args.insured.clone()),
        cells: Cells::WithLineage,
    };
    let replaced = LeftOut { files: ledger.superseded().iter().copied().collect(), ..LeftOut::default() };
    let with_withdrawn = StackRequest { left_out: replaced, ..stacking.clone() };
    let options = effective_options(request, &known);
    // With nothing known there are no months, and nobody to tell of.
    let range = options.first_month.zip(options.last_month);
    let (first, last) = range.unwrap_or((Month(0), Month(0)));
    let reading = Reading::new(&folder.spec, &known, &rules, &registry, MonthRange { first, last });
    let (mut timelines, mut elsewhere) = (Vec::new(), BTreeSet::new());
    for unit in units(ledger, registry.memberships()) {
        let everything = facts(&engine, &unit, &with_withdrawn).await?;
        let withdrawn = reading.withdrawn(&everything, &known.left_out)?;
        let facts = kept(&everything, &known.left_out)?;
        let mut of_unit = Vec::new();
        if facts.num_rows() > 0 {
            let stacked = collected(&engine, physical_plan(&engine, &unit, &stacking).await?).await?;
            for (_, stream) in by_holder(&stacked)? {
                of_unit.push(reading.timeline(&facts, &stream)?);
            }
        }
        reading.put_in(&mut of_unit, &args.insured, withdrawn);
        for timeline in of_unit {
            if args.holder.as_ref().is_none_or(|holder| *holder == timeline.holder_no) {
                timelines.push(timeline);
            } else {
                elsewhere.insert(timeline.holder_no);
            }
        }
    }
    timelines.sort_by(|a, b| a.holder_no.cmp(&b.holder_no));
    let people = People::read_one(ledger, &known, &args.insured)?;
    timelines.iter_mut().for_each(|timeline| card_status(timeline, &people, registry.holders(), folder));
    Ok(Answer { timelines, elsewhere, registry })
}

/// Adds the status of the insurance card under the numbers that a timeline's records have, where it came while the people
/// of the number were this holder's: under another holder the insured number may have been another person's.
fn card_status(timeline: &mut Timeline, people: &People, holders: &Holders, folder: &DataFolder) {
    let of_records = timeline.records.iter().map(|entry| entry.insurer_no.as_str());
    let numbers: BTreeSet<&str> = of_records.chain([timeline.holder_no.as_str()]).collect();
    let status = |member_no: &str| {
        let person = people.find(member_no, &timeline.insured_no)?;
        let holder_on = |at| holders.number(holders.holder_on(at, person.known_on));
        if holders.place(member_no).map_or(member_no, holder_on) != timeline.holder_no {
            return None;
        }
        let code = people.status(person).to_owned();
        let label_ja = folder.spec.khs_status_label(&code).map(str::to_owned);
        Some(KhsStatus {
            member_no: member_no.to_owned(),
            status: Coded { code, label_ja },
            end_date: person.end_date,
            end_cancel_date: person.end_cancel_date,
            known_on: person.known_on,
        })
    };
    timeline.khs = numbers.into_iter().filter_map(status).collect();
}

/// The person's facts in a unit as they were sent: the input of stacking, here with what is withdrawn.
async fn facts(engine: &SessionState, unit: &Unit, request: &StackRequest) -> anyhow::Result<RecordBatch> {
    let stacking = logical_plan(unit, request)?;
    let inputs = stacking.inputs();
    let input = inputs.first().ok_or_else(|| anyhow::anyhow!("stacking has an input"))?;
    collected(engine, engine.create_physical_plan(input).await?).await
}

async fn collected(engine: &SessionState, plan: Arc<dyn ExecutionPlan>) -> anyhow::Result<RecordBatch> {
    let schema = plan.schema();
    let batches = collect(plan, engine.task_ctx()).await?;
    Ok(concat_batches(&schema, &batches)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tsumiage_schemas::membership::List;

    #[test]
    fn unions_of_the_insurer_asked_for_are_named_alone_and_many_others_not_all() {
        let from: Day = "2026-04-01".parse().unwrap();
        let members = vec![("1".to_owned(), from)];
        let list = List { union_no: "9".to_owned(), date: from, applied: 0, members };
        let (memberships, _) = Memberships::of_lists(&[list]).unwrap();
        let holders = |numbers: &[&str]| numbers.iter().map(|no| (*no).to_owned()).collect();
        let under = |asked: &str, numbers: &[&str]| known_under(asked, &holders(numbers), &memberships);
        assert_eq!(under("1", &["2", "3", "9"]), "9 (1 is its member)");
        assert_eq!(under("2", &["3", "9"]), "3, 9");
        assert_eq!(under("0", &["1", "2", "3", "4", "5", "6", "9"]), "1, 2, 3, 4, 5 and 2 more");
    }
}
