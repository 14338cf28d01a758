//! The ledger runs of one unit as a DataFusion table.
//!
//! Promise: every run is one partition, known to be sorted by insured number, so that runs are merged
//! and not sorted; columns a run does not have yet are null.

use arrow::compute::SortOptions;
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::Session;
use datafusion::catalog::TableProvider;
use datafusion::common::{DFSchema, Result};
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfigBuilder, ParquetSource};
use datafusion::datasource::source::DataSourceExec;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::{LexOrdering, PhysicalSortExpr};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;
use std::path::PathBuf;
use std::sync::Arc;

/// One sorted run of the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// Absolute path of the Parquet file.
    pub path: PathBuf,
    /// Its size.
    pub bytes: u64,
}

/// The runs of one unit.
#[derive(Debug)]
pub struct LedgerRuns {
    runs: Vec<Run>,
    schema: SchemaRef,
}

impl LedgerRuns {
    /// A table over runs in the fact schema.
    pub fn new(runs: Vec<Run>, schema: SchemaRef) -> LedgerRuns {
        LedgerRuns { runs, schema }
    }
}

#[async_trait]
impl TableProvider for LedgerRuns {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        // Row groups and pages are skipped by their statistics; rows are filtered above the scan.
        Ok(vec![TableProviderFilterPushDown::Inexact; filters.len()])
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        _limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        if self.runs.is_empty() {
            let schema = match projection {
                Some(columns) => Arc::new(self.schema.project(columns)?),
                None => Arc::clone(&self.schema),
            };
            return Ok(Arc::new(EmptyExec::new(schema)));
        }
        let mut source = ParquetSource::new(Arc::clone(&self.schema)).with_enable_page_index(true);
        if let Some(filter) = conjunction(filters.to_vec()) {
            let schema = DFSchema::try_from(Arc::clone(&self.schema))?;
            source = source.with_predicate(state.create_physical_expr(filter, &schema)?);
        }
        let file = |run: &Run| PartitionedFile::new(run.path.to_string_lossy(), run.bytes);
        let groups = self.runs.iter().map(|run| FileGroup::new(vec![file(run)])).collect();
        let insured = self.schema.index_of("insured_no")?;
        let ascending = SortOptions { descending: false, nulls_first: false };
        let by_insured = PhysicalSortExpr::new(Arc::new(Column::new("insured_no", insured)), ascending);
        let config = FileScanConfigBuilder::new(ObjectStoreUrl::local_filesystem(), Arc::new(source))
            .with_file_groups(groups)
            .with_output_ordering(LexOrdering::new([by_insured]).into_iter().collect())
            .with_preserve_order(true)
            .with_projection_indices(projection.cloned())?
            .build();
        Ok(DataSourceExec::from_data_source(config))
    }
}
