//! The ledger runs of one unit as a DataFusion table.
//!
//! Promise: up to [`MergedRuns`] runs are each a partition known to be sorted by insured number, so that
//! they are merged and not sorted; more than that are sorted, which spills, since a merge holds a batch of
//! every run. The more runs, the smaller their batches. Columns a run does not have yet are null.

use arrow::compute::SortOptions;
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::Session;
use datafusion::catalog::TableProvider;
use datafusion::common::{DFSchema, DataFusionError, Result};
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
use object_store::ObjectMeta;
use object_store::path::Path;
use std::path::PathBuf;
use std::sync::Arc;

/// Most runs that are merged at once: a batch of each is held, and the pages it is read from. An extension of
/// the session's configuration.
#[derive(Clone, Copy, Debug)]
pub struct MergedRuns(pub usize);

/// Rows that a merge holds in all its batches together, about 75 MB of sparse records: enough for 192 runs.
const MERGED_ROWS: usize = 24 * 8_192;

/// How many plans run at once and share what a merge may hold. An extension of the session's configuration.
#[derive(Clone, Copy, Debug)]
pub struct AtOnce(pub usize);

/// Batches of runs may be so many times as large as others: stacking joins them into chunks anyway.
const LARGER: usize = 2;

/// Least rows of a batch.
const LEAST_ROWS: usize = 1_024;

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
    sorted: bool,
}

impl LedgerRuns {
    /// A table over runs in the fact schema.
    pub fn new(runs: Vec<Run>, schema: SchemaRef) -> LedgerRuns {
        LedgerRuns { runs, schema, sorted: true }
    }

    /// A table over one Parquet file in no known order.
    pub fn unsorted(run: Run, schema: SchemaRef) -> LedgerRuns {
        LedgerRuns { runs: vec![run], schema, sorted: false }
    }
}

/// A run as the scan wants it. The path is given as it is: object stores would else encode what is not
/// plain ASCII in it.
fn file(run: &Run) -> Result<PartitionedFile> {
    let location = Path::from_absolute_path(&run.path).map_err(|e| DataFusionError::External(Box::new(e)))?;
    let meta = ObjectMeta {
        location,
        last_modified: chrono::DateTime::UNIX_EPOCH,
        size: run.bytes,
        e_tag: None,
        version: None,
    };
    Ok(PartitionedFile::new_from_meta(meta))
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
        let files = self.runs.iter().map(file).collect::<Result<Vec<_>>>()?;
        let most = state.config().get_extension::<MergedRuns>().map_or(1, |most| most.0);
        let merged = self.sorted && files.len() <= most;
        let groups = if merged {
            files.into_iter().map(|file| FileGroup::new(vec![file])).collect()
        } else {
            vec![FileGroup::new(files)]
        };
        let most = LARGER * state.config().batch_size();
        let at_once = state.config().get_extension::<AtOnce>().map_or(1, |plans| plans.0.max(1));
        let rows = (MERGED_ROWS / at_once / groups.len().max(1)).max(LEAST_ROWS).min(most);
        let insured = self.schema.index_of("insured_no")?;
        let ascending = SortOptions { descending: false, nulls_first: false };
        let by_insured = PhysicalSortExpr::new(Arc::new(Column::new("insured_no", insured)), ascending);
        let config = FileScanConfigBuilder::new(ObjectStoreUrl::local_filesystem(), Arc::new(source))
            .with_file_groups(groups)
            .with_output_ordering(LexOrdering::new([by_insured]).filter(|_| merged).into_iter().collect())
            .with_preserve_order(true)
            .with_batch_size(Some(rows).filter(|_| merged))
            .with_projection_indices(projection.cloned())?
            .build();
        Ok(DataSourceExec::from_data_source(config))
    }
}
