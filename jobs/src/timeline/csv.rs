//! The timeline as CSV: one row per live record and item that is set, one without an item per withdrawn record, and one
//! per field of the insurance card's status (standing `khs`).

use super::model::{Cell, Entry, KhsStatus, Standing, Timeline};

const HEADER: [&str; 17] = [
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
    "standing",
    "withdrawn_on",
    "withdrawn_from_month",
    "withdrawn_reason",
];

/// CSV with a header line.
///
/// # Errors
/// None that memory allows; the writer's type has them.
pub fn csv(timelines: &[Timeline]) -> anyhow::Result<String> {
    let mut writer = ::csv::Writer::from_writer(Vec::new());
    writer.write_record(HEADER)?;
    for timeline in timelines {
        for row in timeline.khs.iter().flat_map(|khs| card_status(timeline, khs)) {
            writer.write_record(row)?;
        }
        for entry in &timeline.records {
            match entry.standing {
                Standing::Live => {
                    for cell in entry.items.iter().filter(|cell| cell.held.is_some()) {
                        writer.write_record(row(timeline, entry, Some(cell)))?;
                    }
                }
                Standing::Withdrawn => writer.write_record(row(timeline, entry, None))?,
                Standing::Applied | Standing::Deleted | Standing::Refused => {}
            }
        }
    }
    Ok(String::from_utf8(writer.into_inner()?)?)
}

/// The rows of a status of the insurance card.
fn card_status(timeline: &Timeline, khs: &KhsStatus) -> Vec<[String; HEADER.len()]> {
    let day = |day: Option<tsumiage_schemas::Day>| day.map(|day| day.to_string());
    let fields = [
        (
            "khs_status",
            "介護被保険者証ステータス",
            Some(khs.status.code.clone()),
            khs.status.label_ja.clone(),
        ),
        ("khs_end_date", "介護被保険者証利用停止日", day(khs.end_date), None),
        ("khs_end_cancel_date", "介護被保険者証利用停止解除日", day(khs.end_cancel_date), None),
        ("khs_known_on", "取得日", day(Some(khs.known_on)), None),
    ];
    let row = |(item, label, value, code_label): (&str, &str, Option<String>, Option<String>)| {
        let mut row: [String; HEADER.len()] = Default::default();
        row[0].clone_from(&timeline.holder_no);
        row[1].clone_from(&timeline.insured_no);
        row[3] = item.to_owned();
        row[4] = label.to_owned();
        row[5] = value?;
        row[6] = code_label.unwrap_or_default();
        row[10].clone_from(&khs.member_no);
        row[11] = timeline.holder_name.clone().unwrap_or_default();
        row[13] = "khs".to_owned();
        Some(row)
    };
    fields.into_iter().filter_map(row).collect()
}

/// A row of an item, or without one of the record alone.
fn row(timeline: &Timeline, entry: &Entry, cell: Option<&Cell>) -> [String; HEADER.len()] {
    let held = cell.and_then(|cell| cell.held.as_ref());
    let source = cell.map_or(Some(&entry.source), |cell| cell.source.as_ref());
    let own = |cell: &Cell| if cell.own { "true" } else { "false" };
    let withdrawn = entry.withdrawn.as_ref();
    let standing = if entry.standing == Standing::Withdrawn { "withdrawn" } else { "live" };
    [
        timeline.holder_no.clone(),
        timeline.insured_no.clone(),
        entry.movement_date.to_string(),
        cell.map(|cell| cell.item.clone()).unwrap_or_default(),
        cell.map(|cell| cell.label_ja.clone()).unwrap_or_default(),
        held.map(|held| held.value.to_string()).unwrap_or_default(),
        held.and_then(|held| held.code_label.clone()).unwrap_or_default(),
        source.map(|source| source.file_name.clone()).unwrap_or_default(),
        source.map(|source| source.record_no.to_string()).unwrap_or_default(),
        cell.map_or("", own).to_owned(),
        entry.insurer_no.clone(),
        timeline.holder_name.clone().unwrap_or_default(),
        entry.cut_off.as_ref().map(|cut| cut.from.to_string()).unwrap_or_default(),
        standing.to_owned(),
        withdrawn.map(|how| how.on.to_string()).unwrap_or_default(),
        withdrawn.map(|how| how.processing_month.to_string()).unwrap_or_default(),
        withdrawn.map(|how| how.reason.clone()).unwrap_or_default(),
    ]
}
