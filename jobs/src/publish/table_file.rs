//! One published Parquet file on its way: fixed writer settings, hashed while it is written.
//!
//! Promise: the bytes depend on the batches written and nothing else; the caller cuts the batches by a
//! rule of the facts (`stack::cut`).

use super::digest::RowsDigest;
use super::output::Output;
use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::metadata::SortingColumn;
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterPropertiesBuilder};
use parquet::schema::types::ColumnPath;
use std::path::Path;
use tsumiage_pipeline::archive::hash_file;
use tsumiage_pipeline::disk::{self, DiskError};
use tsumiage_pipeline::hashing::Hashing;

/// Rows of a row group (the contract allows 500k). Part of "same facts, same bytes".
pub(super) const GROUP_ROWS: usize = 131_072;

/// A file of a snapshot as its manifest lists it.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct PublishedFile {
    /// Path below the snapshot, `/` between folders.
    pub path: String,
    /// Rows, 0 for what is no table.
    pub rows: u64,
    /// Bytes.
    pub bytes: u64,
    /// SHA-256 of the bytes, hex.
    pub sha256: String,
    /// Digest of its rows, of what is a file of a table.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows_digest: Option<RowsDigest>,
}

impl PublishedFile {
    /// Whether its bytes in a snapshot's folder are still what was published.
    pub fn is_whole(&self, snapshot: &Path) -> bool {
        hash_file(&snapshot.join(&self.path)).is_ok_and(|hash| hash == self.sha256)
    }

    /// The table it belongs to: the folder it is in.
    pub fn table(&self) -> &str {
        self.path.split('/').next().unwrap_or_default()
    }
}

/// How a table is laid out in its files.
#[derive(Clone, Debug)]
pub struct TableLayout {
    /// Columns the rows are sorted by.
    pub sorted_by: &'static [&'static str],
    /// Whether `insured_no` gets a bloom filter.
    pub bloom: bool,
}

/// `recipient_month` and `recipient_history`.
pub const RECIPIENT_TABLE: TableLayout =
    TableLayout { sorted_by: &["holder_no", "insured_no", "movement_date"], bloom: true };

/// A Parquet file being written.
pub struct TableFile {
    output: Output,
    writer: ArrowWriter<Hashing>,
    /// Digest of the rows written.
    pub digest: RowsDigest,
}

/// Settings of a table's files.
pub(super) fn properties(schema: &SchemaRef, layout: &TableLayout) -> WriterPropertiesBuilder {
    let place = |name: &&str| schema.index_of(name).ok();
    let sorting = layout.sorted_by.iter().filter_map(place);
    let sorting =
        sorting.map(|at| SortingColumn { column_idx: at as i32, descending: false, nulls_first: false });
    let mut builder = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_max_row_group_row_count(Some(GROUP_ROWS))
        .set_statistics_enabled(EnabledStatistics::Page)
        .set_sorting_columns(Some(sorting.collect()))
        .set_created_by(format!("tsumiage {}", env!("CARGO_PKG_VERSION")));
    if layout.bloom {
        let insured = ColumnPath::from("insured_no");
        builder = builder
            .set_column_bloom_filter_enabled(insured.clone(), true)
            .set_column_bloom_filter_max_ndv(insured, GROUP_ROWS as u64);
    }
    builder
}

impl TableFile {
    /// Begins a file at `relative` below `root`.
    ///
    /// # Errors
    /// The file cannot be made.
    pub fn create(
        root: &Path,
        relative: &str,
        schema: &SchemaRef,
        layout: &TableLayout,
    ) -> Result<TableFile, DiskError> {
        let (output, out) = Output::create(root, relative)?;
        let properties = properties(schema, layout).build();
        let writer = ArrowWriter::try_new(out, SchemaRef::clone(schema), Some(properties))
            .map_err(disk::parquet(output.path()))?;
        Ok(TableFile { output, writer, digest: RowsDigest::default() })
    }

    /// Writes rows whose digest the caller adds itself.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write(&mut self, batch: &RecordBatch) -> Result<(), DiskError> {
        self.writer.write(batch).map_err(disk::parquet(self.output.path()))
    }

    /// Writes rows and adds them to the digest.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write_digested(&mut self, batch: &RecordBatch) -> Result<(), DiskError> {
        self.digest.add_batch(batch);
        self.write(batch)
    }

    /// Ends the file: footer checked, read-only; durable once the snapshot is completed.
    ///
    /// # Errors
    /// The file cannot be written, or holds other rows than were given.
    pub fn finish(mut self) -> Result<PublishedFile, DiskError> {
        let footer = self.writer.finish().map_err(disk::parquet(self.output.path()))?;
        let rows = footer.file_metadata().num_rows();
        self.output.finish(self.writer.inner_mut(), rows, self.digest)
    }
}
