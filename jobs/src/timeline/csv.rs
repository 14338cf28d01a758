//! The timeline as CSV: one row per live record and item that is set.

use super::model::Timeline;

const HEADER: [&str; 13] = [
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
    "insurer_no",
    "holder_name",
    "cut_off",
];

/// CSV with a header line.
///
/// # Errors
/// None that memory allows; the writer's type has them.
pub fn csv(timelines: &[Timeline]) -> anyhow::Result<String> {
    let mut writer = ::csv::Writer::from_writer(Vec::new());
    writer.write_record(HEADER)?;
    for timeline in timelines {
        for entry in timeline.live() {
            let date = entry.movement_date.to_string();
            let cut_off = entry.cut_off.as_ref().map(|cut| cut.from.to_string()).unwrap_or_default();
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
                    &entry.insurer_no,
                    timeline.holder_name.as_deref().unwrap_or_default(),
                    &cut_off,
                ])?;
            }
        }
    }
    Ok(String::from_utf8(writer.into_inner()?)?)
}
