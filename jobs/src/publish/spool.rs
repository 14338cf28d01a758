//! The `findings` table on its way: put into words, spooled to disk, sorted by the engine, and dealt out to
//! one file per sender of the files they are about, each by (file order, record_no, code, item).
//!
//! Promise: memory does not grow with the number of findings; what is about one sender's files stands in one
//! file, so that a correction of one sender rewrites no other's.

use super::published_finding::{PublishedColumns, PublishedRow};
use super::table_file::{PublishedFile, TableFile, TableLayout};
use crate::stack::cut::CHUNK_ROWS;
use crate::stack::scan::{LedgerRuns, Run};
use arrow::array::{
    ArrayRef, AsArray, Date32Builder, Int32Builder, Int64Builder, RecordBatch, StringArray, StringBuilder,
};
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::execution::SessionState;
use datafusion::prelude::{SessionContext, col};
use futures::TryStreamExt;
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;
use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tsumiage_pipeline::crash;
use tsumiage_pipeline::disk::{self, DiskError, io};
use tsumiage_pipeline::ledger::FileEntry;
use tsumiage_pipeline::tally::Tally;
use tsumiage_schemas::tables::findings_schema;
use tsumiage_schemas::{Finding, Spec};

const LAYOUT: TableLayout = TableLayout { sorted_by: &[], bloom: false };

/// Rows gathered before they are spooled.
const SPOOL_ROWS: usize = 8_192;

/// Columns of the spool before those of the table: sender, then the file's place in the order of application.
const OWN_COLUMNS: usize = 2;

/// The sender's findings file, or that of an empty table.
pub fn findings_path(sender: &str) -> String {
    format!("findings/{sender}.parquet")
}

/// Under which sender what concerns a file is kept, also as part of file names: its sender's number, which is
/// digits by the check of the control record; what is not, is never made a path.
pub fn sender_name(sender_no: Option<&str>) -> &str {
    let is_number = |no: &&str| (1..=10).contains(&no.len()) && no.bytes().all(|b| b.is_ascii_digit());
    sender_no.filter(is_number).unwrap_or("unknown")
}

/// Gathers findings of a snapshot.
pub struct Spool<'a> {
    spec: &'a Spec,
    writer: ArrowWriter<File>,
    path: PathBuf,
    rows: Rows,
    tallies: BTreeMap<String, Tally>,
}

#[derive(Default)]
struct Rows {
    rank: Int32Builder,
    numbers: [Int64Builder; 2],
    date: Date32Builder,
    /// The sender, then the texts of the table in its order.
    texts: [StringBuilder; 11],
    len: usize,
}

fn spool_schema() -> SchemaRef {
    let mut fields =
        vec![Field::new("sender", DataType::Utf8, false), Field::new("file_rank", DataType::Int32, false)];
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
        Ok(Spool { spec, writer, path, rows: Rows::default(), tallies: BTreeMap::new() })
    }

    /// Adds a finding about a file with its place in the order of application.
    ///
    /// # Errors
    /// The spool cannot be written.
    pub fn add(&mut self, file: &FileEntry, rank: u32, finding: &Finding) -> Result<(), DiskError> {
        let item = finding.item.as_deref().unwrap_or_default();
        let detail = &finding.detail;
        let (ja, en) = self.spec.catalogue.messages(finding.code, item, self.spec.label(item), detail);
        let sender = sender_name(file.sender_no.as_deref());
        let texts = [
            Some(sender),
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
        let date = finding.movement_date.map(|day| day.0);
        self.row(rank, [finding.record_no, Some(finding.count)], date, texts);
        self.tallies.entry(sender.to_owned()).or_default().add(finding);
        if self.rows.len >= SPOOL_ROWS { self.flush() } else { Ok(()) }
    }

    fn row(&mut self, rank: u32, numbers: [Option<i64>; 2], date: Option<i32>, texts: [Option<&str>; 11]) {
        let rows = &mut self.rows;
        rows.rank.append_value(rank as i32);
        rows.numbers[0].append_option(numbers[0]);
        rows.numbers[1].append_option(numbers[1]);
        rows.date.append_option(date);
        for (builder, text) in rows.texts.iter_mut().zip(texts) {
            builder.append_option(text);
        }
        rows.len += 1;
    }

    /// Takes over rows of a table published before, as they stand there. `wanted` gives the place of the row's
    /// file in the order of application if the row is to be taken.
    ///
    /// # Errors
    /// The spool cannot be written.
    pub fn take_over(
        &mut self,
        sender: &str,
        published: &RecordBatch,
        wanted: &dyn Fn(&PublishedRow<'_>) -> Option<u32>,
    ) -> Result<(), DiskError> {
        let columns = PublishedColumns::of(published).map_err(|what| DiskError::invalid(&self.path, what))?;
        for at in 0..published.num_rows() {
            let row = columns.row(at);
            let Some(rank) = wanted(&row) else { continue };
            let [file_id, name, sender_no, insurer, insured, severity, code, item, ja, en] = row.texts;
            let texts =
                [Some(sender), file_id, name, sender_no, insurer, insured, severity, code, item, ja, en];
            self.row(rank, [row.record_no, Some(row.count)], row.date, texts);
            let kind = row.code().zip(row.severity());
            let (code, severity) =
                kind.ok_or_else(|| DiskError::invalid(&self.path, "a published finding has no known code"))?;
            self.tallies.entry(sender.to_owned()).or_default().add_many(code, severity, 1, row.count);
            if self.rows.len >= SPOOL_ROWS {
                self.flush()?;
            }
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), DiskError> {
        let rows = std::mem::take(&mut self.rows);
        let Rows { mut rank, numbers: [mut record_no, mut count], mut date, texts, .. } = rows;
        let [sender, file_id, name, sender_no, insurer, insured, severity, code, item, ja, en] =
            texts.map(|mut text| Arc::new(text.finish()) as ArrayRef);
        let columns: Vec<ArrayRef> = vec![
            sender,
            Arc::new(rank.finish()),
            file_id,
            name,
            sender_no,
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
        ];
        let batch = RecordBatch::try_new(spool_schema(), columns);
        let batch = batch.map_err(|e| DiskError::invalid(&self.path, e))?;
        self.writer.write(&batch).map_err(disk::parquet(&self.path))
    }

    /// Sorts everything into one file per sender; gives each with its counts by code.
    ///
    /// # Errors
    /// Sorting or writing fails.
    pub async fn publish(
        &mut self,
        engine: &SessionState,
        root: &Path,
    ) -> anyhow::Result<Vec<(String, PublishedFile, Tally)>> {
        self.flush()?;
        self.writer.finish().map_err(disk::parquet(&self.path))?;
        crash::point("snapshot.spool.after", &self.path)?;
        let mut published = Vec::new();
        if !self.tallies.is_empty() {
            let context = SessionContext::new_with_state(engine.clone());
            // As a table of its own: a path as text would be read as a pattern.
            let run =
                Run { bytes: self.path.metadata().map_err(io(&self.path))?.len(), path: self.path.clone() };
            let spooled = context.read_table(Arc::new(LedgerRuns::unsorted(run, spool_schema())))?;
            // The last columns only break ties, so that the order is total.
            let order = [
                "sender",
                "file_rank",
                "record_no",
                "code",
                "item",
                "message_ja",
                "insured_no",
                "movement_date",
            ];
            let sorted = spooled.sort(order.map(|name| col(name).sort(true, true)).to_vec())?;
            let mut batches = sorted.execute_stream().await?;
            let mut files = Files { root, open: None, done: Vec::new() };
            while let Some(batch) = batches.try_next().await? {
                files.add(&batch)?;
            }
            for (sender, file) in files.finish()? {
                let tally = self.tallies.remove(&sender).unwrap_or_default();
                published.push((sender, file, tally));
            }
        }
        std::fs::remove_file(&self.path).map_err(io(&self.path))?;
        Ok(published)
    }
}

/// Writes an empty findings table.
///
/// # Errors
/// The file cannot be written.
pub fn no_findings(root: &Path) -> Result<PublishedFile, DiskError> {
    TableFile::create(root, &findings_path("empty"), &findings_schema(), &LAYOUT)?.finish()
}

/// Sorted rows dealt out to the senders' files.
struct Files<'a> {
    root: &'a Path,
    open: Option<(String, TableFile, Fixed)>,
    done: Vec<(String, PublishedFile)>,
}

impl Files<'_> {
    fn add(&mut self, batch: &RecordBatch) -> anyhow::Result<()> {
        let senders: &StringArray = batch.column(0).as_string();
        let mut start = 0;
        for row in 1..=batch.num_rows() {
            if row == batch.num_rows() || senders.value(row) != senders.value(start) {
                self.add_of(senders.value(start), &batch.slice(start, row - start))?;
                start = row;
            }
        }
        Ok(())
    }

    fn add_of(&mut self, sender: &str, rows: &RecordBatch) -> anyhow::Result<()> {
        if self.open.as_ref().is_none_or(|(open, ..)| open != sender) {
            self.close()?;
            let file = TableFile::create(self.root, &findings_path(sender), &findings_schema(), &LAYOUT)?;
            self.open = Some((sender.to_owned(), file, Fixed::default()));
        }
        let Some((_, file, fixed)) = &mut self.open else { return Ok(()) };
        for full in fixed.push(rows.clone())? {
            file.write_digested(&full)?;
        }
        Ok(())
    }

    fn close(&mut self) -> anyhow::Result<()> {
        if let Some((sender, mut file, mut fixed)) = self.open.take() {
            if let Some(rest) = fixed.rest()? {
                file.write_digested(&rest)?;
            }
            self.done.push((sender, file.finish()?));
        }
        Ok(())
    }

    fn finish(mut self) -> anyhow::Result<Vec<(String, PublishedFile)>> {
        self.close()?;
        Ok(self.done)
    }
}

/// Cuts sorted batches into batches of exactly [`CHUNK_ROWS`], so that bytes do not depend on the
/// engine's batches.
#[derive(Default)]
struct Fixed {
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
        (0..whole).step_by(CHUNK_ROWS).map(|at| finished(&all.slice(at, CHUNK_ROWS))).collect()
    }

    fn joined(&mut self) -> anyhow::Result<RecordBatch> {
        let parts = std::mem::take(&mut self.pending);
        Ok(concat_batches(&spool_schema(), &parts)?)
    }

    fn rest(&mut self) -> anyhow::Result<Option<RecordBatch>> {
        let all = self.joined()?;
        if all.num_rows() == 0 { Ok(None) } else { finished(&all).map(Some) }
    }
}

/// Without sender and rank, in the published schema.
fn finished(batch: &RecordBatch) -> anyhow::Result<RecordBatch> {
    Ok(RecordBatch::try_new(findings_schema(), batch.columns()[OWN_COLUMNS..].to_vec())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_digits_become_names() {
        assert_eq!(sender_name(Some("141003")), "141003");
        for other in [None, Some(""), Some("../x"), Some("14/1"), Some("12345678901"), Some("１４")] {
            assert_eq!(sender_name(other), "unknown");
        }
    }
}
