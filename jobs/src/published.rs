//! Reading a published snapshot back: its tables as DataFusion tables, its files' standings.

use crate::publish::explain::table_infos;
use crate::publish::snapshot::Snapshot;
use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::{DataType, Int64Type};
use datafusion::datasource::file_format::parquet::ParquetFormat;
use datafusion::datasource::listing::{ListingOptions, ListingTable, ListingTableConfig, ListingTableUrl};
use datafusion::prelude::{SessionConfig, SessionContext};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use tsumiage_pipeline::disk::{DiskError, io};
use tsumiage_schemas::Spec;
use url::Url;

/// How a file stands by the `files` table of a snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Records rejected by reader or stacking.
    pub rejected: i64,
    /// `accepted`, `partly_rejected`, `rejected`, `withdrawn`.
    pub status: String,
}

impl Standing {
    /// Records that stacking refused, given how many the reader had rejected.
    pub fn refused(&self, rejected_by_reader: i64) -> i64 {
        (self.rejected - rejected_by_reader).max(0)
    }
}

/// The standings of a snapshot's files by file id.
///
/// # Errors
/// The table cannot be read.
pub fn file_standings(snapshot: &Snapshot) -> Result<BTreeMap<String, Standing>, DiskError> {
    let path = snapshot.path.join("files/files.parquet");
    let invalid = |e: &dyn std::fmt::Display| DiskError::invalid(&path, e);
    let file = File::open(&path).map_err(io(&path))?;
    let reader =
        ParquetRecordBatchReaderBuilder::try_new(file).and_then(|b| b.build()).map_err(|e| invalid(&e))?;
    let mut standings = BTreeMap::new();
    for batch in reader {
        let batch = batch.map_err(|e| invalid(&e))?;
        let column = |name: &str| batch.column_by_name(name).ok_or_else(|| invalid(&"not a files table"));
        let (ids, status) = (column("file_id")?.as_string::<i32>(), column("status")?.as_string::<i32>());
        let rejected = column("rejected")?.as_primitive::<Int64Type>();
        for row in 0..batch.num_rows() {
            let standing = Standing { rejected: rejected.value(row), status: status.value(row).to_owned() };
            standings.insert(ids.value(row).to_owned(), standing);
        }
    }
    Ok(standings)
}

/// A session that knows the tables of a snapshot by name. `recipient_month` has the column `month`, the
/// text of its folder, besides its own. With one partition rows come in the order of the files.
///
/// # Errors
/// A table cannot be read.
pub async fn session(
    snapshot: &Snapshot,
    spec: &Spec,
    partitions: Option<usize>,
) -> anyhow::Result<SessionContext> {
    let mut config = SessionConfig::new().with_information_schema(true);
    if let Some(partitions) = partitions {
        config = config.with_target_partitions(partitions);
    }
    config.options_mut().execution.parquet.schema_force_view_types = false;
    config.options_mut().execution.parquet.pushdown_filters = true;
    let context = SessionContext::new_with_config(config);
    for table in table_infos(spec) {
        let mut options =
            ListingOptions::new(Arc::new(ParquetFormat::default())).with_file_extension(".parquet");
        if table.name == "recipient_month" {
            options = options.with_table_partition_cols(vec![("month".to_owned(), DataType::Utf8)]);
        }
        let url = ListingTableUrl::try_new(folder_url(&snapshot.path.join(table.name))?, None)?;
        let config = ListingTableConfig::new(url).with_listing_options(options).with_schema(table.schema);
        context.register_table(table.name, Arc::new(ListingTable::try_new(config)?))?;
    }
    Ok(context)
}

/// A folder as a URL, whatever characters its path has.
fn folder_url(path: &Path) -> anyhow::Result<Url> {
    Url::from_directory_path(path).map_err(|()| anyhow::anyhow!("{} is not an absolute path", path.display()))
}

/// Runs one statement and collects its result.
///
/// # Errors
/// The statement is wrong or cannot be run; it is only ever a query, nothing can be changed.
pub async fn run_query(context: &SessionContext, sql: &str) -> anyhow::Result<Vec<RecordBatch>> {
    use datafusion::execution::context::SQLOptions;
    let only_queries =
        SQLOptions::new().with_allow_ddl(false).with_allow_dml(false).with_allow_statements(false);
    let frame = context.sql_with_options(sql, only_queries).await?;
    let schema = Arc::new(frame.schema().as_arrow().clone());
    let batches = frame.collect().await?;
    Ok(if batches.is_empty() { vec![RecordBatch::new_empty(schema)] } else { batches })
}
