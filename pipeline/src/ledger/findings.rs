//! The reader's findings in the ledger: one Parquet file per commit, put into words only when they are
//! published (messages are data and may change).

use crate::crash;
use crate::disk::{self, DiskError, io};
use arrow::array::{ArrayRef, AsArray, Date32Builder, Int32Array, Int64Builder, RecordBatch, StringBuilder};
use arrow::datatypes::{DataType, Date32Type, Field, Int32Type, Int64Type, Schema, SchemaRef};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tsumiage_schemas::{Code, Day, Finding, Severity};

/// Rows of a row group: few enough that the writer holds little.
const GROUP_ROWS: usize = 65_536;

/// Rows of a batch on its way through a log.
const BATCH_ROWS: usize = 8_192;

/// Columns of a findings file: `file_seq`, then the fields of [`Finding`].
pub fn findings_schema() -> SchemaRef {
    use DataType::{Date32, Int32, Int64, Utf8};
    let column = |name: &str, t: DataType| Field::new(name, t, true);
    Arc::new(Schema::new(vec![
        column("file_seq", Int32),
        column("record_no", Int64),
        column("byte_offset", Int64),
        column("insurer_no", Utf8),
        column("insured_no", Utf8),
        column("movement_date", Date32),
        column("severity", Utf8),
        column("code", Utf8),
        column("item", Utf8),
        column("count", Int64),
        column("detail", Utf8),
    ]))
}

/// Findings of one file as a batch, their file number 0.
///
/// # Errors
/// Arrow refuses a column.
pub fn findings_batch(findings: &[Finding]) -> Result<RecordBatch, arrow::error::ArrowError> {
    let (mut record_no, mut offset, mut count) =
        (Int64Builder::new(), Int64Builder::new(), Int64Builder::new());
    let mut date = Date32Builder::new();
    let mut texts: [StringBuilder; 6] = std::array::from_fn(|_| StringBuilder::new());
    for finding in findings {
        record_no.append_option(finding.record_no);
        offset.append_option(finding.byte_offset.and_then(|o| i64::try_from(o).ok()));
        date.append_option(finding.movement_date.map(|day| day.0));
        count.append_value(finding.count);
        let values = [
            finding.insurer_no.as_deref(),
            finding.insured_no.as_deref(),
            Some(finding.severity.as_str()),
            Some(finding.code.as_str()),
            finding.item.as_deref(),
            Some(finding.detail.as_str()),
        ];
        for (text, value) in texts.iter_mut().zip(values) {
            text.append_option(value);
        }
    }
    let [insurer, insured, severity, code, item, detail] =
        texts.map(|mut text| Arc::new(text.finish()) as ArrayRef);
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Int32Array::from_value(0, findings.len())),
        Arc::new(record_no.finish()),
        Arc::new(offset.finish()),
        insurer,
        insured,
        Arc::new(date.finish()),
        severity,
        code,
        item,
        Arc::new(count.finish()),
        detail,
    ];
    RecordBatch::try_new(findings_schema(), columns)
}

/// Findings of one file as batches of [`findings_batch`], few enough rows each to be held.
pub fn findings_batches(
    findings: &[Finding],
) -> impl Iterator<Item = Result<RecordBatch, arrow::error::ArrowError>> + '_ {
    findings.chunks(BATCH_ROWS).map(findings_batch)
}

/// The findings of one commit on their way to a file, which is made with the first of them.
pub(super) struct FindingsWriter {
    path: PathBuf,
    writer: Option<ArrowWriter<File>>,
    rows: i64,
}

impl FindingsWriter {
    /// Findings for a file that is not there yet.
    pub fn new(path: PathBuf) -> FindingsWriter {
        FindingsWriter { path, writer: None, rows: 0 }
    }

    /// Adds findings of the file of this number.
    pub fn add(&mut self, seq: i32, batch: &RecordBatch) -> Result<(), DiskError> {
        let path = &self.path;
        let mut columns = batch.columns().to_vec();
        columns[0] = Arc::new(Int32Array::from_value(seq, batch.num_rows()));
        let numbered =
            RecordBatch::try_new(findings_schema(), columns).map_err(|e| DiskError::invalid(path, e))?;
        if self.writer.is_none() {
            let compression = Compression::ZSTD(ZstdLevel::default());
            let properties = WriterProperties::builder()
                .set_compression(compression)
                .set_max_row_group_row_count(Some(GROUP_ROWS))
                .build();
            crash::point("ledger.findings.before", path)?;
            let file = File::create(path).map_err(io(path))?;
            let writer = ArrowWriter::try_new(file, findings_schema(), Some(properties));
            self.writer = Some(writer.map_err(disk::parquet(path))?);
        }
        self.rows += batch.num_rows() as i64;
        self.writer.as_mut().map_or(Ok(()), |writer| writer.write(&numbered).map_err(disk::parquet(path)))
    }

    /// Completes the file, not synced; gives its rows and bytes, `None` if there is nothing to tell.
    pub fn finish(self) -> Result<Option<(i64, u64)>, DiskError> {
        let FindingsWriter { path, writer, rows } = self;
        let Some(writer) = writer else { return Ok(None) };
        let file = writer.into_inner().map_err(disk::parquet(&path))?;
        crash::point("ledger.findings.written", &path)?;
        Ok(Some((rows, file.metadata().map_err(io(&path))?.len())))
    }
}

/// Reads a findings file batch by batch, as far as it is about files of wanted numbers: (file number, finding).
///
/// # Errors
/// The file cannot be read or is not a findings file.
pub fn read_findings(
    path: &Path,
    wanted: &dyn Fn(i32) -> bool,
    each: &mut dyn FnMut(i32, Finding),
) -> Result<(), DiskError> {
    let invalid = |e: parquet::errors::ParquetError| DiskError::invalid(path, e);
    let file = File::open(path).map_err(io(path))?;
    let reader = ParquetRecordBatchReaderBuilder::try_new(file).and_then(|b| b.build()).map_err(invalid)?;
    for batch in reader {
        let batch = batch.map_err(|e| DiskError::invalid(path, e))?;
        if batch.schema().fields().len() != findings_schema().fields().len() {
            return Err(DiskError::invalid(path, "not a findings file"));
        }
        let seqs = batch.column(0).as_primitive_opt::<Int32Type>();
        let seqs = seqs.ok_or_else(|| DiskError::invalid(path, "not a findings file"))?;
        for row in (0..batch.num_rows()).filter(|&row| wanted(seqs.value(row))) {
            let finding = finding_at(&batch, row).ok_or_else(|| DiskError::invalid(path, "unknown code"))?;
            each(seqs.value(row), finding);
        }
    }
    Ok(())
}

fn finding_at(batch: &RecordBatch, row: usize) -> Option<Finding> {
    let text = |c: usize| {
        let column = batch.column(c);
        column.is_valid(row).then(|| column.as_string::<i32>().value(row).to_owned())
    };
    let number = |c: usize| {
        let column = batch.column(c);
        column.is_valid(row).then(|| column.as_primitive::<Int64Type>().value(row))
    };
    let date = batch.column(5);
    let severity = match text(6)?.as_str() {
        "error" => Severity::Error,
        "warning" => Severity::Warning,
        _ => Severity::Info,
    };
    Some(Finding {
        code: Code::parse(&text(7)?)?,
        severity,
        record_no: number(1),
        byte_offset: number(2).and_then(|o| u64::try_from(o).ok()),
        insurer_no: text(3),
        insured_no: text(4),
        movement_date: date.is_valid(row).then(|| Day(date.as_primitive::<Date32Type>().value(row))),
        item: text(8),
        count: number(9).unwrap_or(1),
        detail: text(10).unwrap_or_default(),
    })
}
