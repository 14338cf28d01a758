//! The streaming physical operator of stacking.
//!
//! Promise: rows of one insured number arrive in one partition and together (the operator requires that
//! distribution and ordering); it names their holders, holds one chunk of whole insured numbers at a time
//! and reserves that memory from the pool; its output is ordered by (insured number, holder, movement date).

use super::cut::{CHUNK_ROWS, Cutter};
use super::gather::{column, stack_chunk, stacked_schema};
use super::node::StackOptions;
use arrow::array::RecordBatch;
use arrow::compute::SortOptions;
use arrow::datatypes::SchemaRef;
use datafusion::common::Result;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::{
    Distribution, EquivalenceProperties, LexOrdering, LexRequirement, OrderingRequirements, PhysicalExpr,
    PhysicalSortExpr, PhysicalSortRequirement,
};
use datafusion::physical_plan::distribution_requirements::InputDistributionRequirements;
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::metrics::{BaselineMetrics, ExecutionPlanMetricsSet, MetricsSet};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, PlanProperties,
};
use futures::{StreamExt, TryStreamExt};
use std::fmt;
use std::sync::Arc;

/// The key: all streams of an insured number are folded together.
const KEY: (&str, usize) = ("insured_no", column::INSURED);

/// Stacks its input; see the module's promise.
#[derive(Debug)]
pub struct StackExec {
    input: Arc<dyn ExecutionPlan>,
    options: StackOptions,
    /// With one target partition all rows are gathered, with more they are dealt by key.
    partitions: usize,
    schema: SchemaRef,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
}

fn ascending() -> SortOptions {
    SortOptions { descending: false, nulls_first: false }
}

fn sort_expr((name, index): (&str, usize)) -> PhysicalSortExpr {
    PhysicalSortExpr::new(Arc::new(Column::new(name, index)), ascending())
}

impl StackExec {
    /// The operator over an input of the insurer number as `holder_no`, and the fact schema.
    ///
    /// # Errors
    /// The input's schema has not these columns.
    pub fn try_new(
        input: Arc<dyn ExecutionPlan>,
        options: StackOptions,
        partitions: usize,
    ) -> Result<StackExec> {
        for (name, index) in [("holder_no", column::HOLDER), KEY] {
            let found = input.schema().index_of(name)?;
            if found != index {
                return datafusion::common::plan_err!("Stack wants {name} as column {index}, not {found}");
            }
        }
        let schema = stacked_schema(&input.schema(), options.cells);
        let within = [("holder_no", column::HOLDER), ("movement_date", column::DATE)];
        let ordering = [KEY].into_iter().chain(within).map(sort_expr);
        let mut equivalence = EquivalenceProperties::new(Arc::clone(&schema));
        equivalence.add_orderings(LexOrdering::new(ordering));
        let partitioning = input.output_partitioning().clone();
        let properties =
            PlanProperties::new(equivalence, partitioning, EmissionType::Incremental, Boundedness::Bounded);
        let metrics = ExecutionPlanMetricsSet::new();
        Ok(StackExec { input, options, partitions, schema, properties: Arc::new(properties), metrics })
    }
}

impl DisplayAs for StackExec {
    fn fmt_as(&self, _t: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "StackExec: inheritance={:?}, cells={:?}",
            self.options.rules.inheritance, self.options.cells
        )
    }
}

impl ExecutionPlan for StackExec {
    fn name(&self) -> &str {
        "StackExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn input_distribution_requirements(&self) -> InputDistributionRequirements {
        let key = || Arc::new(Column::new(KEY.0, KEY.1)) as Arc<dyn PhysicalExpr>;
        InputDistributionRequirements::new(vec![if self.partitions == 1 {
            Distribution::SinglePartition
        } else {
            Distribution::KeyPartitioned(vec![key()])
        }])
    }

    fn required_input_ordering(&self) -> Vec<Option<OrderingRequirements>> {
        let requirement = LexRequirement::new([PhysicalSortRequirement::from(sort_expr(KEY))]);
        vec![requirement.map(OrderingRequirements::new)]
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        vec![true]
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn apply_expressions(
        &self,
        _f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        match <[Arc<dyn ExecutionPlan>; 1]>::try_from(children) {
            Ok([input]) => Ok(Arc::new(StackExec::try_new(input, self.options.clone(), self.partitions)?)),
            Err(children) => datafusion::common::plan_err!("Stack takes one input, not {}", children.len()),
        }
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let reservation =
            MemoryConsumer::new(format!("StackExec[{partition}]")).register(context.memory_pool());
        let work = Work {
            input: self.input.execute(partition, context)?,
            cutter: Cutter::new(column::INSURED, CHUNK_ROWS),
            reservation,
            options: self.options.clone(),
            schema: Arc::clone(&self.schema),
            metrics: BaselineMetrics::new(&self.metrics, partition),
            drained: false,
        };
        let chunks = futures::stream::try_unfold(work, |mut work| async move {
            let chunk = work.next().await?;
            Ok(chunk.map(|chunk| (chunk, work)))
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&self.schema), chunks.boxed())))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }
}

/// One partition at work.
struct Work {
    input: SendableRecordBatchStream,
    cutter: Cutter,
    reservation: MemoryReservation,
    options: StackOptions,
    schema: SchemaRef,
    metrics: BaselineMetrics,
    drained: bool,
}

impl Work {
    async fn next(&mut self) -> Result<Option<RecordBatch>> {
        loop {
            let chunk = if self.drained { self.cutter.rest()? } else { self.cutter.next_chunk()? };
            if let Some(chunk) = chunk {
                return self.stack(&chunk).map(Some);
            }
            if self.drained {
                return Ok(None);
            }
            match self.input.try_next().await? {
                Some(batch) => self.cutter.push(batch),
                None => self.drained = true,
            }
        }
    }

    fn stack(&mut self, chunk: &RecordBatch) -> Result<RecordBatch> {
        let _timer = self.metrics.elapsed_compute().timer();
        // The chunk, its positions (4 bytes a cell) and its output, about as large as the chunk.
        let positions = 4 * chunk.num_rows() * chunk.num_columns();
        self.reservation.try_resize(self.cutter.bytes() + 2 * chunk.get_array_memory_size() + positions)?;
        let stacked = stack_chunk(chunk, &self.options.rules, &self.options.holders, &self.schema)?;
        self.reservation.try_resize(self.cutter.bytes())?;
        self.metrics.record_output(stacked.num_rows());
        Ok(stacked)
    }
}
