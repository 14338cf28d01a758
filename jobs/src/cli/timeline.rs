//! `timeline`: one person's records, stacked from the ledger as it is now.

use super::args::{Common, Format, TimelineArgs};
use super::console::Console;
use super::data_folder::DataFolder;
use super::{Exit, Usage};
use crate::facts::KnownFiles;
use crate::resolve::{ResolveRequest, readable, units};
use crate::stack::unit::{EngineLimits, StackRequest, Unit, engine, logical_plan, physical_plan};
use crate::timeline::read::Reading;
use crate::timeline::{Timeline, csv, table};
use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use datafusion::execution::SessionState;
use datafusion::physical_plan::{ExecutionPlan, collect};
use std::sync::Arc;
use tsumiage_pipeline::ledger::Ledger;
use tsumiage_schemas::tables::fact_schema;

/// Characters of an insured number (被保険者番号).
const INSURED_NO: usize = 10;

/// Prints the timeline of a person under every holder that knows the number, or under one.
pub fn timeline(common: &Common, args: &TimelineArgs, console: &Console<'_>) -> anyhow::Result<Exit> {
    if args.insured.chars().count() != INSURED_NO {
        let what = "--insured wants all ten characters of the insured number, leading zeros too";
        return Err(Usage(what.to_owned()).into());
    }
    let folder = DataFolder::to_read(common)?;
    let request = folder.request(common)?;
    let ledger = Ledger::open(&folder.path)?;
    readable(&ledger, &folder.spec)?;
    let timelines = tokio::runtime::Runtime::new()?.block_on(timelines(&folder, &ledger, &request, args))?;
    if timelines.is_empty() {
        let under = if args.holder.is_some() { " under this holder" } else { "" };
        let known = request.as_of.map(|month| format!(" as of {month}")).unwrap_or_default();
        anyhow::bail!(
            "no record of this insured number{under}{known}; check --insured, --holder and --as-of"
        );
    }
    console.print(&match common.format {
        Format::Table => table::table(&timelines),
        Format::Json => format!("{}\n", serde_json::to_string_pretty(&timelines)?),
        Format::Csv => csv::csv(&timelines)?,
    })?;
    Ok(Exit::Done)
}

async fn timelines(
    folder: &DataFolder,
    ledger: &Ledger,
    request: &ResolveRequest,
    args: &TimelineArgs,
) -> anyhow::Result<Vec<Timeline>> {
    let events = tsumiage_pipeline::events::read(&folder.path)?;
    let known = KnownFiles::new(ledger, &events, request.as_of);
    // One person's facts never spill, so that reading needs no right to write into the data folder.
    let engine = engine(&EngineLimits { temp: std::env::temp_dir(), ..folder.limits() })?;
    let stacking = StackRequest {
        facts: fact_schema(&folder.spec, tsumiage_schemas::FactTable::Recipient),
        orders: Arc::new(known.orders.clone()),
        inheritance: request.inheritance,
        as_of: request.as_of,
        left_out: known.left_out.clone(),
        insured_no: Some(args.insured.clone()),
        with_lineage: true,
    };
    let reading = Reading::new(&folder.spec, &known, request.inheritance);
    let mut timelines = Vec::new();
    for (unit, _) in units(ledger) {
        if args.holder.as_ref().is_some_and(|holder| *holder != unit.holder_no) {
            continue;
        }
        let facts = facts(&engine, &unit, &stacking).await?;
        if facts.num_rows() > 0 {
            let stacked = collected(&engine, physical_plan(&engine, &unit, &stacking).await?).await?;
            timelines.push(reading.timeline(&facts, &stacked)?);
        }
    }
    Ok(timelines)
}

/// The person's facts in a unit as they were sent: the input of stacking.
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
