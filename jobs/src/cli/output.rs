//! Results as table, JSON or CSV.

use super::args::Format;
use super::console::Console;
use arrow::array::RecordBatch;
use arrow::util::display::FormatOptions;
use arrow::util::pretty::pretty_format_batches_with_options;

/// Prints batches in the form asked for. JSON is an array of objects in which what is not set is null.
///
/// # Errors
/// Standard output is closed, or a value has no text.
pub fn print_batches(batches: &[RecordBatch], format: Format, console: &Console<'_>) -> anyhow::Result<()> {
    let text = match format {
        Format::Table => {
            let options = FormatOptions::default().with_null("");
            format!("{}\n", pretty_format_batches_with_options(batches, &options)?)
        }
        Format::Csv => {
            let mut writer = arrow::csv::Writer::new(Vec::new());
            for batch in batches {
                writer.write(batch)?;
            }
            String::from_utf8(writer.into_inner())?
        }
        Format::Json => {
            let mut writer = arrow::json::WriterBuilder::new()
                .with_explicit_nulls(true)
                .build::<_, arrow::json::writer::JsonArray>(Vec::new());
            for batch in batches {
                writer.write(batch)?;
            }
            writer.finish()?;
            let text = String::from_utf8(writer.into_inner())?;
            if text.trim().is_empty() { "[]\n".to_owned() } else { format!("{text}\n") }
        }
    };
    Ok(console.print(&text)?)
}
