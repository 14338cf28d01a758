//! `snapshots diff`: which recipients' months differ in two snapshots, item by item, and what did it.

use super::args::{Common, Format};
use super::console::Console;
use super::data_folder::DataFolder;
use crate::diff::cause::Cause;
use crate::diff::differences::{Sources, each_month};
use crate::diff::months::common_months;
use crate::diff::spans::{Span, spans};
use crate::diff::table::rows;
use crate::diff::{Change, Kind, Side};
use crate::publish::snapshot::Snapshot;
use crate::resolve::record::Record;
use arrow::array::RecordBatch;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::Path;
use tsumiage_pipeline::disk;
use tsumiage_pipeline::ledger::Ledger;
use tsumiage_schemas::Day;
use tsumiage_schemas::tables::changes_schema;

/// Prints the differences, or writes them as Parquet.
pub fn diff(
    common: &Common,
    folder: &DataFolder,
    (before, after): (&Snapshot, &Snapshot),
    out: Option<&Path>,
    console: &Console<'_>,
) -> anyhow::Result<()> {
    let ledger = Ledger::open(&folder.path)?;
    let records = [before, after].map(|snapshot| Record::read(snapshot).unwrap_or_default());
    let a = Side { path: &before.path, manifest: &before.manifest, record: &records[0], is_new: false };
    let b = Side { path: &after.path, manifest: &after.manifest, record: &records[1], is_new: false };
    let sources = Sources { ledger: &ledger, spec: &folder.spec };
    if let Some(out) = out {
        return parquet(&a, &b, &sources, out, console);
    }
    let names: BTreeMap<&str, &str> =
        ledger.files().map(|file| (file.arrival.file_id.as_str(), file.arrival.name.as_str())).collect();
    let mut told = Told::default();
    console.print(&head(&a, &b, common.format))?;
    // A table for people tells months that changed alike in one line: it waits for a holder's last month.
    let mut waiting: Option<(String, Vec<Change>)> = None;
    let damaged = each_month(&a, &b, &sources, &mut |holder_no, changes| {
        told.add(holder_no, &changes);
        if common.format != Format::Table {
            let rows = records_of(holder_no, &changes, common.format)?;
            let rows = if common.format == Format::Json { told.separated(&rows) } else { rows };
            return Ok(console.print(&rows)?);
        }
        if let Some((holder_no, changes)) = waiting.take_if(|(of, _)| of != holder_no) {
            console.print(&table(&holder_no, &spans(&changes), &names))?;
        }
        waiting.get_or_insert_with(|| (holder_no.to_owned(), Vec::new())).1.extend(changes);
        Ok(())
    })?;
    if let Some((holder_no, changes)) = waiting {
        console.print(&table(&holder_no, &spans(&changes), &names))?;
    }
    console.print(&told.tail(common.format))?;
    whole(&damaged)
}

/// An answer that leaves something out is none.
fn whole(damaged: &[String]) -> anyhow::Result<()> {
    let Some(first) = damaged.first() else { return Ok(()) };
    anyhow::bail!(
        "{} files are not what was published, the first is {first}: what differs there is not told; \
         see `tsumiage snapshots verify`",
        damaged.len()
    )
}

/// What was told so far.
#[derive(Default)]
struct Told {
    /// The people of the holder at work.
    of_holder: (String, BTreeSet<String>),
    people: usize,
    months: usize,
    items: usize,
    any: bool,
}

impl Told {
    /// Changes of one month of a holder, by insured number.
    fn add(&mut self, holder_no: &str, changes: &[Change]) {
        if self.of_holder.0 != holder_no {
            self.people += self.of_holder.1.len();
            self.of_holder = (holder_no.to_owned(), BTreeSet::new());
        }
        for of_person in changes.chunk_by(|a, b| a.insured_no == b.insured_no) {
            self.of_holder.1.insert(of_person[0].insured_no.clone());
            self.months += 1;
        }
        self.items += changes.len();
    }

    /// Elements of a JSON list behind those before.
    fn separated(&mut self, elements: &str) -> String {
        let comma = if self.any && !elements.is_empty() { "," } else { "" };
        self.any |= !elements.is_empty();
        format!("{comma}{elements}")
    }

    fn tail(&self, format: Format) -> String {
        let people = self.people + self.of_holder.1.len();
        let (months, items) = (self.months, self.items);
        match format {
            Format::Csv => String::new(),
            Format::Json => {
                format!("],\"recipients\":{people},\"recipient_months\":{months},\"differences\":{items}}}\n")
            }
            Format::Table if items == 0 => "no differences\n".to_owned(),
            Format::Table => {
                format!("\n{people} recipients differ in {months} months of theirs, {items} differences\n")
            }
        }
    }
}

fn head(a: &Side<'_>, b: &Side<'_>, format: Format) -> String {
    let (from, to) = (&a.manifest.id, &b.manifest.id);
    let months = common_months(a, b).map(|months| months.to_string());
    match format {
        Format::Csv => {
            let names: Vec<String> =
                changes_schema().fields().iter().map(|field| field.name().clone()).collect();
            names.join(",") + "\n"
        }
        Format::Json => {
            let months = serde_json::json!(months);
            format!("{{\"from\":\"{from}\",\"to\":\"{to}\",\"months\":{months},\"changes\":[")
        }
        Format::Table => {
            let months = months.map_or("no month in both".to_owned(), |months| format!("months {months}"));
            format!("{from} -> {to}, {months}\n")
        }
    }
}

/// Rows as lines of CSV, or as elements of a JSON list.
fn records_of(holder_no: &str, changes: &[Change], format: Format) -> anyhow::Result<String> {
    if changes.is_empty() {
        return Ok(String::new());
    }
    let batch = rows(holder_no, changes)?;
    let mut bytes = Vec::new();
    if format == Format::Csv {
        let mut writer = arrow::csv::WriterBuilder::new().with_header(false).build(&mut bytes);
        writer.write(&batch)?;
        drop(writer);
        return Ok(String::from_utf8(bytes)?);
    }
    let mut writer = arrow::json::WriterBuilder::new()
        .with_explicit_nulls(true)
        .build::<_, arrow::json::writer::LineDelimited>(&mut bytes);
    writer.write(&batch)?;
    writer.finish()?;
    drop(writer);
    Ok(String::from_utf8(bytes)?.trim_end().replace('\n', ","))
}

fn table(holder_no: &str, spans: &[Span], names: &BTreeMap<&str, &str>) -> String {
    let mut out = String::new();
    let mut last = "";
    for span in spans {
        if span.insured_no != last {
            let _ = writeln!(out, "\n{holder_no} {}", span.insured_no);
            last = &span.insured_no;
        }
        let months = if span.months.first == span.months.last {
            span.months.first.to_string()
        } else {
            span.months.to_string()
        };
        let value = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
        let what = match (span.kind, &span.item) {
            (Kind::Changed, Some(item)) => {
                format!("{item}: {} -> {}", value(&span.before), value(&span.after))
            }
            (Kind::Removed, _) => "not effective any more".to_owned(),
            _ => "effective now".to_owned(),
        };
        let _ = writeln!(out, "  {months:16} {what}  ({})", by(&span.cause, names));
    }
    out
}

/// A cause in words.
fn by(cause: &Cause, names: &BTreeMap<&str, &str>) -> String {
    let mut text = cause.kind.as_str().to_owned();
    if let Some(date) = cause.date {
        let _ = write!(text, " of {}", Day(date));
    }
    if let Some(file_id) = &cause.file_id {
        let name = names.get(file_id.as_str()).copied().unwrap_or(file_id);
        let _ = write!(text, ", {name}");
    }
    if let Some(record_no) = cause.record_no {
        let _ = write!(text, " record {record_no}");
    }
    text
}

/// Writes the differences as one Parquet file, whole or not at all.
fn parquet(
    a: &Side<'_>,
    b: &Side<'_>,
    sources: &Sources<'_>,
    out: &Path,
    console: &Console<'_>,
) -> anyhow::Result<()> {
    let properties =
        WriterProperties::builder().set_compression(Compression::ZSTD(ZstdLevel::default())).build();
    let mut written = 0;
    disk::write_whole_with(out, |file| -> anyhow::Result<()> {
        let mut writer =
            ArrowWriter::try_new(file, changes_schema(), Some(properties)).map_err(disk::parquet(out))?;
        let damaged = each_month(a, b, sources, &mut |holder_no, changes| {
            let batch: RecordBatch = rows(holder_no, &changes)?;
            written += batch.num_rows();
            Ok(writer.write(&batch).map_err(disk::parquet(out))?)
        })?;
        whole(&damaged)?;
        writer.close().map_err(disk::parquet(out))?;
        Ok(())
    })?;
    console.report(&format!("{written} differences in {}\n", out.display()));
    Ok(())
}
