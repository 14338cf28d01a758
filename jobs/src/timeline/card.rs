//! The insurance card (被保険者証) as on a day (domain 4): the number is the member's, the name the holder's.
//!
//! Promise: serialized, a card is one object of `timeline --on-day … --format json`.

use super::course::OutOfForce;
use super::model::{Labelled, Source, Timeline};
use super::table::{holder, out_of_force};
use serde::Serialize;
use std::fmt::Write;
use tsumiage_schemas::Day;
use unicode_width::UnicodeWidthStr;

/// What stands where something is not known.
const UNKNOWN: &str = "（未登録）";

/// What the card of a person shows on a day.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Card {
    /// The day.
    pub on_day: Day,
    /// 被保険者番号
    pub insured_no: String,
    /// 氏名
    pub name_kana: Option<String>,
    /// 保険者番号: in a union or city the member's.
    pub insurer_no: String,
    /// 保険者名称: the holder's name on the day, if known.
    pub insurer_name: Option<String>,
    /// The holder.
    pub holder_no: String,
    /// 広域保険者番号: the union's or city's number; none for an insurer by itself.
    pub union_no: Option<String>,
    /// 要介護状態区分
    pub care_level: Option<String>,
    /// Its label.
    pub care_level_label: Option<String>,
    /// First day of 認定有効期間.
    pub certification_start_date: Option<String>,
    /// Last day of 認定有効期間.
    pub certification_end_date: Option<String>,
    /// Movement date of the record in force.
    pub movement_date: Day,
    /// Where the record in force stands.
    pub source: Source,
}

impl Card {
    /// The card of a stream on a day, if a record of it is in force then; `insurer_name` is the holder's name
    /// on that day.
    pub fn on(timeline: &Timeline, on_day: Day, insurer_name: Option<&str>) -> Option<Card> {
        let record = timeline.in_force_on(on_day).ok()?;
        let text = |held: &Labelled| held.value.to_string();
        let care_level = record.held("care_level");
        Some(Card {
            on_day,
            insured_no: timeline.insured_no.clone(),
            name_kana: record.held("name_kana").map(text),
            insurer_no: record.insurer_no.clone(),
            insurer_name: insurer_name.map(str::to_owned),
            holder_no: timeline.holder_no.clone(),
            union_no: (timeline.holder_no != record.insurer_no).then(|| timeline.holder_no.clone()),
            care_level: care_level.map(text),
            care_level_label: care_level.and_then(|held| held.code_label.clone()),
            certification_start_date: record.held("certification_start_date").map(text),
            certification_end_date: record.held("certification_end_date").map(text),
            movement_date: record.movement_date,
            source: record.source.clone(),
        })
    }
}

/// The cards as text for people; if there is none, why under every holder.
pub fn table(timelines: &[Timeline], cards: &[Card], on_day: Day) -> String {
    if cards.is_empty() {
        let mut out = format!("{on_day} この日に有効な被保険者証はありません\n");
        for timeline in timelines {
            let _ = writeln!(out, "  {}: {}", holder(timeline), why_none(timeline, on_day));
        }
        return out;
    }
    cards.iter().map(one).collect::<Vec<_>>().join("\n")
}

/// Why a stream has no card on a day.
fn why_none(timeline: &Timeline, on_day: Day) -> String {
    match timeline.in_force_on(on_day) {
        Ok(_) => String::new(), // it has one
        Err(OutOfForce::NoRecord) => "受け付けた異動がありません".to_owned(),
        Err(OutOfForce::NotYet(first)) => format!("最初の異動（{}）より前です", first.movement_date),
        Err(OutOfForce::Ended(end)) => format!("{} に資格終了", end.movement_date),
        Err(OutOfForce::CutOff(entry, cut)) => {
            format!("{} の異動は {}", entry.movement_date, out_of_force(entry, cut))
        }
    }
}

/// One card, with the lines that the seed's pictures have.
fn one(card: &Card) -> String {
    let name = card.insurer_name.as_deref().unwrap_or(UNKNOWN);
    let mut out = format!("{} 現在\n", card.on_day);
    if let Some(union_no) = &card.union_no {
        let _ = writeln!(out, "{name}  広域保険者番号：{union_no}");
    }
    let shown = |text: &Option<String>| text.clone().unwrap_or_default();
    let care_level = [shown(&card.care_level), shown(&card.care_level_label)].join(" ");
    let period = [shown(&card.certification_start_date), shown(&card.certification_end_date)];
    let period = if period.iter().all(String::is_empty) { String::new() } else { period.join(" ～ ") };
    let last_day: Option<Day> = card.certification_end_date.as_deref().and_then(|day| day.parse().ok());
    let expired = if last_day.is_some_and(|day| day < card.on_day) { "（有効期間終了）" } else { "" };
    let lines = [
        "介護保険被保険者証".to_owned(),
        String::new(),
        format!("被保険者番号：{}", card.insured_no),
        format!("氏名：{}", shown(&card.name_kana)),
        format!("要介護状態区分：{}", care_level.trim()),
        format!("認定有効期間：{}{expired}", period.trim()),
        String::new(),
        format!("保険者番号：{}  保険者名称：{name}", card.insurer_no),
    ];
    let widest = lines.iter().map(|line| line.width()).max().unwrap_or(0);
    let edge = format!("+{}+\n", "-".repeat(widest + 2));
    out.push_str(&edge);
    for line in &lines {
        let _ = writeln!(out, "| {line}{:1$} |", "", widest - line.width());
    }
    out.push_str(&edge);
    let _ = writeln!(
        out,
        "異動年月日 {}  {} レコード{}",
        card.movement_date, card.source.file_name, card.source.record_no
    );
    out
}

const HEADER: [&str; 14] = [
    "on_day",
    "insured_no",
    "name_kana",
    "insurer_no",
    "insurer_name",
    "holder_no",
    "union_no",
    "care_level",
    "care_level_label",
    "certification_start_date",
    "certification_end_date",
    "movement_date",
    "source_file",
    "source_record_no",
];

/// The cards as CSV with a header line.
///
/// # Errors
/// None that memory allows; the writer's type has them.
pub fn csv(cards: &[Card]) -> anyhow::Result<String> {
    let mut writer = ::csv::Writer::from_writer(Vec::new());
    writer.write_record(HEADER)?;
    for card in cards {
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        writer.write_record([
            card.on_day.to_string(),
            card.insured_no.clone(),
            text(&card.name_kana),
            card.insurer_no.clone(),
            text(&card.insurer_name),
            card.holder_no.clone(),
            text(&card.union_no),
            text(&card.care_level),
            text(&card.care_level_label),
            text(&card.certification_start_date),
            text(&card.certification_end_date),
            card.movement_date.to_string(),
            card.source.file_name.clone(),
            card.source.record_no.to_string(),
        ])?;
    }
    Ok(String::from_utf8(writer.into_inner()?)?)
}
