//! Reading a published snapshot back: its tables as DataFusion tables, its files' standings, how much it holds, who is
//! whose member.

use crate::publish::explain::table_infos;
use crate::publish::snapshot::Snapshot;
use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Date32Type, Int64Type};
use datafusion::datasource::file_format::parquet::ParquetFormat;
use datafusion::datasource::listing::{ListingOptions, ListingTable, ListingTableConfig, ListingTableUrl};
use datafusion::prelude::{SessionConfig, SessionContext};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::file::metadata::RowGroupMetaData;
use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use tsumiage_pipeline::disk::{DiskError, io};
use tsumiage_schemas::{Day, Spec};
use url::Url;

/// The table of files.
const FILES: &str = "files/files.parquet";

/// How a file stands by the `files` table of a snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Records rejected by reader or stacking.
    pub rejected: i64,
    /// Accepted records with a warning of reader or stacking.
    pub warned: i64,
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
    let mut standings = BTreeMap::new();
    let columns = ["file_id", "rejected", "warned", "status"];
    each_batch(&snapshot.path.join(FILES), &columns, |column, rows| {
        let (ids, status) = (column("file_id")?.as_string::<i32>(), column("status")?.as_string::<i32>());
        let rejected = column("rejected")?.as_primitive::<Int64Type>();
        let warned = column("warned")?.as_primitive::<Int64Type>();
        for row in 0..rows {
            let (rejected, warned) = (rejected.value(row), warned.value(row));
            let standing = Standing { rejected, warned, status: status.value(row).to_owned() };
            standings.insert(ids.value(row).to_owned(), standing);
        }
        Ok(())
    })?;
    Ok(standings)
}

/// How much a snapshot holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Holds {
    /// Files it knows.
    pub files: u64,
    /// Records in them.
    pub records: i64,
    /// Of these accepted by reader and stacking.
    pub accepted: i64,
    /// Rejected by either.
    pub rejected: i64,
    /// People with a live record.
    pub recipients: u64,
}

/// Counts what a snapshot holds; only one batch of it is in memory.
///
/// # Errors
/// A table cannot be read.
pub fn holds(snapshot: &Snapshot) -> Result<Holds, DiskError> {
    let mut holds = Holds::default();
    let columns = ["records", "accepted", "rejected"];
    each_batch(&snapshot.path.join(FILES), &columns, |column, rows| {
        let sum = |name: &str| {
            let numbers = column(name)?.as_primitive::<Int64Type>();
            Ok::<i64, DiskError>(numbers.values().iter().sum())
        };
        holds.files += rows as u64;
        holds.records += sum("records")?;
        holds.accepted += sum("accepted")?;
        holds.rejected += sum("rejected")?;
        Ok(())
    })?;
    // A holder's people are all in one file, by number.
    for file in snapshot.manifest.files.iter().filter(|file| file.path.starts_with("recipient_history/")) {
        let mut before: Option<String> = None;
        each_batch(&snapshot.path.join(&file.path), &["insured_no"], |column, rows| {
            let insured = column("insured_no")?.as_string::<i32>();
            for row in (0..rows).map(|row| insured.value(row)) {
                if before.as_deref() != Some(row) {
                    holds.recipients += 1;
                    before = Some(row.to_owned());
                }
            }
            Ok(())
        })?;
    }
    Ok(holds)
}

/// A row of the `memberships` table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Membership {
    /// Union or city.
    pub union_no: String,
    /// Municipality or ward.
    pub member_no: String,
    /// First day.
    pub from: Day,
    /// Last day, `None` = open.
    pub to: Option<Day>,
}

impl Membership {
    /// Whether it is one on a day.
    pub fn holds(&self, day: Day) -> bool {
        self.from <= day && self.to.is_none_or(|last| day <= last)
    }
}

/// The memberships of a snapshot, by union, member and first day.
///
/// # Errors
/// The table cannot be read.
pub fn memberships(snapshot: &Snapshot) -> Result<Vec<Membership>, DiskError> {
    let mut found = Vec::new();
    let columns = ["union_no", "member_no", "valid_from", "valid_to"];
    each_batch(&snapshot.path.join("memberships/memberships.parquet"), &columns, |column, rows| {
        let text = |name: &str| Ok::<_, DiskError>(column(name)?.as_string::<i32>());
        let day = |name: &str| Ok::<_, DiskError>(column(name)?.as_primitive::<Date32Type>());
        let (union_no, member_no) = (text("union_no")?, text("member_no")?);
        let (from, to) = (day("valid_from")?, day("valid_to")?);
        found.extend((0..rows).map(|row| Membership {
            union_no: union_no.value(row).to_owned(),
            member_no: member_no.value(row).to_owned(),
            from: Day(from.value(row)),
            to: to.is_valid(row).then(|| Day(to.value(row))),
        }));
        Ok(())
    })?;
    Ok(found)
}

/// A column of a batch by name.
type Columns<'a> = dyn Fn(&str) -> Result<&'a ArrayRef, DiskError> + 'a;

/// The batches of a Parquet file, all columns or some of them, in the order of the file.
///
/// # Errors
/// It cannot be read; a batch that cannot be is an error of its own.
pub fn batches(
    path: &Path,
    columns: Option<&[&str]>,
) -> Result<impl Iterator<Item = Result<RecordBatch, DiskError>>, DiskError> {
    batches_about(path, columns, None)
}

/// The same of a file sorted by `insured_no`, all of it or only the row groups that may hold one number.
///
/// # Errors
/// As [`batches`].
pub fn batches_about(
    path: &Path,
    columns: Option<&[&str]>,
    insured_no: Option<&str>,
) -> Result<impl Iterator<Item = Result<RecordBatch, DiskError>>, DiskError> {
    let invalid = |e: &dyn std::fmt::Display| DiskError::invalid(path, e);
    let file = File::open(path).map_err(io(path))?;
    let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(|e| invalid(&e))?;
    let mask = columns.map_or_else(ProjectionMask::all, |columns| {
        ProjectionMask::columns(builder.parquet_schema(), columns.iter().copied())
    });
    let may_hold = |group: &RowGroupMetaData| {
        let column = group.columns().iter().find(|column| column.column_path().string() == "insured_no");
        let range = column.and_then(|column| {
            let statistics = column.statistics()?;
            Some((statistics.min_bytes_opt()?, statistics.max_bytes_opt()?))
        });
        match (insured_no.map(str::as_bytes), range) {
            (Some(no), Some((least, greatest))) => least <= no && no <= greatest,
            _ => true,
        }
    };
    let groups = builder.metadata().row_groups().iter().enumerate();
    let groups = groups.filter(|(_, group)| may_hold(group)).map(|(at, _)| at).collect();
    let reader = builder.with_projection(mask).with_row_groups(groups).build().map_err(|e| invalid(&e))?;
    Ok(reader.map(move |batch| batch.map_err(|e| DiskError::invalid(path, e))))
}

/// Hands the batches of these columns of a table's file to `read`, with their numbers of rows.
fn each_batch(
    path: &Path,
    columns: &[&str],
    mut read: impl FnMut(&Columns<'_>, usize) -> Result<(), DiskError>,
) -> Result<(), DiskError> {
    for batch in batches(path, Some(columns))? {
        let batch = batch?;
        let no_column = |name: &str| DiskError::invalid(path, format!("has no column {name}"));
        read(&|name| batch.column_by_name(name).ok_or_else(|| no_column(name)), batch.num_rows())?;
    }
    Ok(())
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
