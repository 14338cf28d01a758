//! The logical node of stacking and the planner that turns it into [`StackExec`].

use super::exec::StackExec;
use super::gather::{Cells, stacked_schema};
use super::read::StackRules;
use async_trait::async_trait;
use datafusion::catalog::Session;
use datafusion::common::{DFSchema, DFSchemaRef, Result, plan_err};
use datafusion::execution::SessionState;
use datafusion::execution::context::QueryPlanner;
use datafusion::execution::session_state::SessionStateBuilder;
use datafusion::logical_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion::logical_expr::{
    Expr, Extension, LogicalPlan, UserDefinedLogicalNode, UserDefinedLogicalNodeCore,
};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_planner::{DefaultPhysicalPlanner, ExtensionPlanner, PhysicalPlanner};
use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;
use tsumiage_schemas::holder::Holders;

/// What the operator needs to know besides its rows.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StackOptions {
    /// How facts are stacked.
    pub rules: StackRules,
    /// Who holds them.
    pub holders: Arc<Holders>,
    /// What items come as.
    pub cells: Cells,
}

/// Stacking in a logical plan. Input: the insurer number as `holder_no`, and the fact schema; output: see
/// [`stacked_schema`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct StackNode {
    input: LogicalPlan,
    options: StackOptions,
    schema: DFSchemaRef,
}

impl StackNode {
    /// Puts stacking on top of a plan.
    ///
    /// # Errors
    /// The input has no usable schema.
    pub fn plan(input: LogicalPlan, options: StackOptions) -> Result<LogicalPlan> {
        let schema = stacked_schema(input.schema().as_arrow(), options.cells);
        let schema = Arc::new(DFSchema::try_from(schema)?);
        Ok(LogicalPlan::Extension(Extension { node: Arc::new(StackNode { input, options, schema }) }))
    }
}

impl PartialOrd for StackNode {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        match self.options.partial_cmp(&other.options) {
            Some(Ordering::Equal) => self.input.partial_cmp(&other.input),
            unequal => unequal,
        }
    }
}

impl UserDefinedLogicalNodeCore for StackNode {
    fn name(&self) -> &str {
        "Stack"
    }

    fn inputs(&self) -> Vec<&LogicalPlan> {
        vec![&self.input]
    }

    fn schema(&self) -> &DFSchemaRef {
        &self.schema
    }

    fn expressions(&self) -> Vec<Expr> {
        Vec::new()
    }

    fn fmt_for_explain(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Stack: inheritance={:?}, cells={:?}", self.options.rules.inheritance, self.options.cells)
    }

    fn with_exprs_and_inputs(&self, _exprs: Vec<Expr>, inputs: Vec<LogicalPlan>) -> Result<Self> {
        match <[LogicalPlan; 1]>::try_from(inputs) {
            Ok([input]) => Ok(StackNode { input, ..self.clone() }),
            Err(inputs) => plan_err!("Stack takes one input, not {}", inputs.len()),
        }
    }
}

/// A query planner that knows [`StackNode`] besides everything DataFusion knows.
#[derive(Debug)]
struct StackQueryPlanner;

#[async_trait]
impl QueryPlanner for StackQueryPlanner {
    async fn create_physical_plan(
        &self,
        plan: &LogicalPlan,
        session: &dyn Session,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let planner = DefaultPhysicalPlanner::with_extension_planners(vec![Arc::new(StackPlanner)]);
        planner.create_physical_plan(plan, session).await
    }
}

struct StackPlanner;

#[async_trait]
impl ExtensionPlanner for StackPlanner {
    async fn plan_extension(
        &self,
        _planner: &dyn PhysicalPlanner,
        node: &dyn UserDefinedLogicalNode,
        _logical_inputs: &[&LogicalPlan],
        physical_inputs: &[Arc<dyn ExecutionPlan>],
        session: &dyn Session,
        _planning_ctx: &PhysicalPlanningContext,
    ) -> Result<Option<Arc<dyn ExecutionPlan>>> {
        let Some(node) = node.as_any().downcast_ref::<StackNode>() else { return Ok(None) };
        let [input] = physical_inputs else {
            return plan_err!("Stack takes one input, not {}", physical_inputs.len());
        };
        let partitions = session.config().target_partitions();
        Ok(Some(Arc::new(StackExec::try_new(Arc::clone(input), node.options.clone(), partitions)?)))
    }
}

/// A session state that can plan stacking.
pub fn with_stacking(builder: SessionStateBuilder) -> SessionState {
    builder.with_default_features().with_query_planner(Arc::new(StackQueryPlanner)).build()
}
