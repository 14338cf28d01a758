//! The timeline as CSV: one row per live record and item that is set.

use super::model::{Standing, Timeline};

const HEADER: [&str; 10] = [
    "holder_no",
    "insured_no",
    "movement_date",
    "item",
    "label_ja",
    "value",
    "code_label",
    "source_file",
    "source_record_no",
    "own",
];

/// CSV with a header line.
///
/// # Errors
/// None that memory allows; the writer's type has them.
pub fn csv(timelines: &[Timeline]) -> anyhow::Result<String> {
    let mut writer = ::csv::Writer::from_writer(Vec::new());
    writer.write_record(HEADER)?;
    for timeline in timelines {
        for entry in timeline.records.iter().filter(|entry| entry.standing == Standing::Live) {
            let date = entry.movement_date.to_string();
            for cell in &entry.items {
                let Some(held) = &cell.held else { continue };
                let source_file = cell.source.as_ref().map_or("", |source| &source.file_name);
                let source_record = cell.source.as_ref().map(|source| source.record_no.to_string());
                writer.write_record([
                    timeline.holder_no.as_str(),
                    &timeline.insured_no,
                    &date,
                    &cell.item,
                    &cell.label_ja,
                    &held.value.to_string(),
                    held.code_label.as_deref().unwrap_or_default(),
                    source_file,
                    &source_record.unwrap_or_default(),
                    if cell.own { "true" } else { "false" },
                ])?;
            }
        }
    }
    Ok(String::from_utf8(writer.into_inner()?)?)
}
