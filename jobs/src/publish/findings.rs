//! The `findings` table: what the reader found (from the ledger) and what stacking found, put into words,
//! sorted by (file order, record number, code, item).
//!
//! Promise: findings are spooled to disk and sorted by the engine, which spills: memory does not grow
//! with their number.

use super::calendar::Remark;
use super::table_file::{PublishedFile, TableFile, TableLayout};
use crate::publish::digest::RowsDigest;
use crate::stack::cut::CHUNK_ROWS;
use crate::stack::details::Details;
use crate::stack::fact::{State, flag};
use crate::stack::gather::{column, masks};
use crate::stack::scan::{LedgerRuns, Run};
use arrow::array::{Array, AsArray, Date32Builder, Int32Builder, Int64Builder, RecordBatch, StringBuilder};
use arrow::datatypes::{
    DataType, Date32Type, Field, Int32Type, Int64Type, Schema, SchemaRef, UInt8Type, UInt32Type,
};
use datafusion::execution::SessionState;
use datafusion::prelude::{SessionContext, col};
use futures::TryStreamExt;
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use tsumiage_pipeline::crash;
use tsumiage_pipeline::disk::{self, DiskError, io};
use tsumiage_pipeline::ledger::FileEntry;
use tsumiage_pipeline::tally::Tally;
use tsumiage_schemas::tables::findings_schema;
use tsumiage_schemas::{Code, Day, Finding, Month, Severity, Spec};

const LAYOUT: TableLayout = TableLayout { sorted_by: &[], bloom: false };

/// Rows gathered before they are spooled.
const SPOOL_ROWS: usize = 8_192;

/// Gathers findings of a snapshot.
pub struct Spool<'a> {
    spec: &'a Spec,
    writer: ArrowWriter<File>,
    path: std::path::PathBuf,
    rows: Rows,
    tally: Tally,
}

#[derive(Default)]
struct Rows {
    rank: Int32Builder,
    numbers: [Int64Builder; 2],
    date: Date32Builder,
    texts: [StringBuilder; 10],
    len: usize,
}

fn spool_schema() -> SchemaRef {
    let mut fields = vec![Field::new("file_rank", DataType::Int32, false)];
    fields
        .extend(findings_schema().fields().iter().map(|f| Field::new(f.name(), f.data_type().clone(), true)));
    Arc::new(Schema::new(fields))
}

impl<'a> Spool<'a> {
    /// A spool in a folder for temporary files.
    ///
    /// # Errors
    /// The spool file cannot be made.
    pub fn create(folder: &Path, spec: &'a Spec) -> Result<Spool<'a>, DiskError> {
        let path = folder.join("findings.parquet");
        crash::point("snapshot.spool.before", &path)?;
        let file = File::create(&path).map_err(io(&path))?;
        // Small row groups: the writer holds one in memory.
        let properties = WriterProperties::builder().set_max_row_group_row_count(Some(SPOOL_ROWS)).build();
        let writer =
            ArrowWriter::try_new(file, spool_schema(), Some(properties)).map_err(disk::parquet(&path))?;
        Ok(Spool { spec, writer, path, rows: Rows::default(), tally: Tally::default() })
    }

    /// Adds a finding about a file with its place in the order of application.
    ///
    /// # Errors
    /// The spool cannot be written.
    pub fn add(&mut self, file: &FileEntry, rank: u32, finding: &Finding) -> Result<(), DiskError> {
        let item = finding.item.as_deref().unwrap_or_default();
        let detail = &finding.detail;
        let (ja, en) = self.spec.catalogue.messages(finding.code, item, self.spec.label(item), detail);
        let rows = &mut self.rows;
        rows.rank.append_value(rank as i32);
        rows.numbers[0].append_option(finding.record_no);
        rows.numbers[1].append_value(finding.count);
        rows.date.append_option(finding.movement_date.map(|d| d.0));
        let texts = [
            Some(file.arrival.file_id.as_str()),
            Some(file.arrival.name.as_str()),
            file.sender_no.as_deref(),
            finding.insurer_no.as_deref(),
            finding.insured_no.as_deref(),
            Some(finding.severity.as_str()),
            Some(finding.code.as_str()),
            finding.item.as_deref(),
            Some(ja.as_str()),
            Some(en.as_str()),
        ];
        for (builder, text) in rows.texts.iter_mut().zip(texts) {
            builder.append_option(text);
        }
        rows.len += 1;
        self.tally.add(finding);
        if rows.len >= SPOOL_ROWS { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<(), DiskError> {
        let rows = std::mem::take(&mut self.rows);
        let Rows { mut rank, numbers: [mut record_no, mut count], mut date, texts, .. } = rows;
        let [file_id, name, sender, insurer, insured, severity, code, item, ja, en] =
            texts.map(|mut text| Arc::new(text.finish()) as Arc<dyn Array>);
        let batch = RecordBatch::try_new(
            spool_schema(),
            vec![
                Arc::new(rank.finish()),
                file_id,
                name,
                sender,
                Arc::new(record_no.finish()),
                insurer,
                insured,
                Arc::new(date.finish()),
                severity,
                code,
                item,
                Arc::new(count.finish()),
                ja,
                en,
            ],
        );
        let batch = batch.map_err(|e| DiskError::invalid(&self.path, e))?;
        self.writer.write(&batch).map_err(disk::parquet(&self.path))
    }

    /// Sorts everything into `findings/findings.parquet` of the snapshot; gives the counts by code too.
    ///
    /// # Errors
    /// Sorting or writing fails.
    pub async fn publish(
        mut self,
        engine: &SessionState,
        root: &Path,
    ) -> anyhow::Result<(PublishedFile, RowsDigest, Tally)> {
        self.flush()?;
        self.writer.close().map_err(disk::parquet(&self.path))?;
        crash::point("snapshot.spool.after", &self.path)?;
        let schema = findings_schema();
        let mut file = TableFile::create(root, "findings/findings.parquet", &schema, &LAYOUT)?;
        if self.tally.entries().next().is_some() {
            let context = SessionContext::new_with_state(engine.clone());
            // As a table of its own: a path as text would be read as a pattern.
            let run =
                Run { bytes: self.path.metadata().map_err(io(&self.path))?.len(), path: self.path.clone() };
            let spooled = context.read_table(Arc::new(LedgerRuns::unsorted(run, spool_schema())))?;
            // The last columns only break ties, so that the order is total.
            let order =
                ["file_rank", "record_no", "code", "item", "message_ja", "insured_no", "movement_date"];
            let sorted = spooled.sort(order.map(|name| col(name).sort(true, true)).to_vec())?;
            let mut batches = sorted.execute_stream().await?;
            let mut rows = Fixed { schema, pending: Vec::new(), rows: 0 };
            while let Some(batch) = batches.try_next().await? {
                for full in rows.push(batch.slice(0, batch.num_rows()))? {
                    file.write_digested(&full)?;
                }
            }
            if let Some(rest) = rows.rest()? {
                file.write_digested(&rest)?;
            }
        }
        std::fs::remove_file(&self.path).map_err(io(&self.path))?;
        let (file, digest) = file.finish()?;
        Ok((file, digest, self.tally))
    }
}

/// Cuts sorted batches into batches of exactly [`CHUNK_ROWS`], so that bytes do not depend on the
/// engine's batches.
struct Fixed {
    schema: SchemaRef,
    pending: Vec<RecordBatch>,
    rows: usize,
}

impl Fixed {
    fn push(&mut self, batch: RecordBatch) -> anyhow::Result<Vec<RecordBatch>> {
        self.rows += batch.num_rows();
        self.pending.push(batch);
        if self.rows < CHUNK_ROWS {
            return Ok(Vec::new());
        }
        let all = self.joined()?;
        let whole = all.num_rows() / CHUNK_ROWS * CHUNK_ROWS;
        let rest = all.slice(whole, all.num_rows() - whole);
        self.rows = rest.num_rows();
        self.pending.push(rest);
        (0..whole).step_by(CHUNK_ROWS).map(|at| self.finished(&all.slice(at, CHUNK_ROWS))).collect()
    }

    fn joined(&mut self) -> anyhow::Result<RecordBatch> {
        let parts = std::mem::take(&mut self.pending);
        let schema = parts.first().map_or_else(spool_schema, RecordBatch::schema);
        Ok(arrow::compute::concat_batches(&schema, &parts)?)
    }

    /// Without the rank, in the published schema.
    fn finished(&self, batch: &RecordBatch) -> anyhow::Result<RecordBatch> {
        Ok(RecordBatch::try_new(SchemaRef::clone(&self.schema), batch.columns()[1..].to_vec())?)
    }

    fn rest(&mut self) -> anyhow::Result<Option<RecordBatch>> {
        let all = self.joined()?;
        if all.num_rows() == 0 { Ok(None) } else { self.finished(&all).map(Some) }
    }
}

/// Findings of stacking in one chunk, with the row of the stacked chunk they point at.
///
/// # Errors
/// The chunk is not a stacked one.
pub fn stacking_findings(
    stacked: &RecordBatch,
    remarks: &[Remark],
    spec: &Spec,
    details: &Details<'_>,
) -> anyhow::Result<Vec<(usize, Finding)>> {
    let mut found = Vec::new();
    let outcome =
        |name: &str| stacked.column_by_name(name).ok_or_else(|| anyhow::anyhow!("not a stacked chunk"));
    let flags = outcome("flags")?.as_primitive::<UInt32Type>();
    let states = outcome("state")?.as_primitive::<UInt8Type>();
    let stale = masks(outcome("stale")?);
    let items = tsumiage_schemas::tables::stacked_items(spec);
    let codes = [
        (flag::S01, Code::S01),
        (flag::S02, Code::S02),
        (flag::S03, Code::S03),
        (flag::S04, Code::S04),
        (flag::S05, Code::S05),
        (flag::S06, Code::S06),
        (flag::S07, Code::S07),
        (flag::S12, Code::S12),
    ];
    let finding = Describe { stacked, spec };
    for row in 0..stacked.num_rows() {
        for (bit, code) in codes.iter().filter(|(bit, _)| flags.value(row) & bit != 0) {
            debug_assert!(*bit > flag::S03 || states.value(row) == State::Refused as u8);
            found.push((row, finding.at(row, *code, None, details.of(*code, stacked, row))));
        }
        let mask = stale(row);
        if mask != 0 {
            for (at, item) in items.iter().enumerate().filter(|(at, _)| mask >> at & 1 == 1) {
                debug_assert!(at > 0, "the movement reason is never inherited");
                let detail = details.of(Code::S11, stacked, row);
                found.push((row, finding.at(row, Code::S11, Some(item.name.clone()), detail)));
            }
        }
    }
    for remark in remarks {
        let (row, code, detail) = match remark {
            Remark::NotCovered { row, months } => (row, Code::S10, spans(months)),
            Remark::CertifiedEarlier { row, from } => (row, Code::S14, from.to_string()),
            Remark::CutOff { row } => (row, Code::S13, details.cut_off(stacked, *row as usize)),
        };
        let row = *row as usize;
        found.push((row, finding.at(row, code, None, detail)));
    }
    Ok(found)
}

struct Describe<'a> {
    stacked: &'a RecordBatch,
    spec: &'a Spec,
}

impl Describe<'_> {
    fn text(&self, at: usize, row: usize) -> Option<String> {
        let texts = self.stacked.column(at).as_string::<i32>();
        texts.is_valid(row).then(|| texts.value(row).to_owned())
    }

    fn at(&self, row: usize, code: Code, item: Option<String>, detail: String) -> Finding {
        Finding {
            code,
            severity: self.spec.catalogue.severity(code),
            record_no: Some(self.stacked.column(column::RECORD_NO).as_primitive::<Int64Type>().value(row)),
            byte_offset: None,
            insurer_no: self.text(column::INSURER, row),
            insured_no: self.text(column::INSURED, row),
            movement_date: Some(Day(self
                .stacked
                .column(column::DATE)
                .as_primitive::<Date32Type>()
                .value(row))),
            item,
            count: 1,
            detail,
        }
    }
}

/// Months as spans: `2026-05, 2026-07..2026-09`.
fn spans(months: &[Month]) -> String {
    let parts: Vec<String> = months
        .chunk_by(|a, b| a.next() == *b)
        .map(|span| match span {
            [only] => only.to_string(),
            [first, .., last] => format!("{first}..{last}"),
            [] => String::new(),
        })
        .collect();
    parts.join(", ")
}

/// What stacking decided about the records of each file, by file number.
#[derive(Clone, Debug, Default)]
pub struct FileCounts {
    /// Records refused by a stacking rule.
    pub refused: i64,
    /// Accepted records with a warning of reader or stacking.
    pub warned: i64,
}

/// Which rows of a chunk have a warning of reader or stacking.
pub fn warned_rows(stacked: &RecordBatch, findings: &[(usize, Finding)]) -> Vec<bool> {
    let warned = stacked.column(column::WARNED).as_boolean();
    let mut warned: Vec<bool> = (0..stacked.num_rows()).map(|row| warned.value(row)).collect();
    for (row, finding) in findings {
        warned[*row] |= finding.severity == Severity::Warning;
    }
    warned
}

/// Counts refused and warned records of a chunk per file; `warned` from [`warned_rows`].
///
/// # Errors
/// The chunk is not a stacked one.
pub fn count_by_file(
    stacked: &RecordBatch,
    warned: &[bool],
    counts: &mut [FileCounts],
) -> anyhow::Result<()> {
    let states = stacked.column_by_name("state").ok_or_else(|| anyhow::anyhow!("not a stacked chunk"))?;
    let states = states.as_primitive::<UInt8Type>();
    let seqs = stacked.column(column::FILE_SEQ).as_primitive::<Int32Type>();
    for (row, &warned) in warned.iter().enumerate() {
        let Some(count) = usize::try_from(seqs.value(row)).ok().and_then(|seq| counts.get_mut(seq)) else {
            continue;
        };
        if states.value(row) == State::Refused as u8 {
            count.refused += 1;
        } else if warned {
            count.warned += 1;
        }
    }
    Ok(())
}
