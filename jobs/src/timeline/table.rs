//! The timeline as text for people, in Japanese.
//!
//! Promise: an item that a record holds like the live record before it is not repeated; labels are
//! padded by the width a terminal gives them.

use super::model::{
    CutOff, CutOffReason, Entry, EntryKind, KhsStatus, Labelled, Move, Sent, Standing, Timeline, Withdrawal,
};
use crate::stack::fact::Change;
use std::fmt::Write;
use tsumiage_schemas::Severity;
use unicode_width::UnicodeWidthStr;

/// What stands where an item is not set.
const NOT_SET: &str = "（未設定）";

/// The item that stands in a record's first line and is never inherited.
const REASON: &str = "movement_reason";

/// Label of the insurer number that a record carries.
const INSURER: &str = "証記載保険者番号";

/// One line about an item: label, and value or change.
type Line = (String, String);

/// All timelines as text.
pub fn table(timelines: &[Timeline]) -> String {
    let parts: Vec<String> = timelines.iter().map(one).collect();
    parts.join("\n")
}

fn one(timeline: &Timeline) -> String {
    let mut out = format!("被保険者番号 {}  {}", timeline.insured_no, holder(timeline));
    if let Some(label) = timeline.holder_type.as_ref().and_then(|of| of.label_ja.as_ref()) {
        let _ = write!(out, "（{label}）");
    }
    if let Some(name) = &timeline.name_kana {
        let _ = write!(out, "  氏名 {name}");
    }
    out.push('\n');
    timeline.khs.iter().for_each(|khs| card_status(&mut out, khs));
    let mut before: Option<&Entry> = None;
    for entry in timeline.records.iter().filter(|entry| entry.corrects.is_none()) {
        out.push('\n');
        let moved = timeline.moves.iter().find(|moved| moved.source == entry.source);
        record(&mut out, entry, before, moved);
        let corrections = |other: &&Entry| other.corrects.as_ref() == Some(&entry.source);
        for slip in timeline.records.iter().filter(corrections) {
            correction(&mut out, slip);
            remarks(&mut out, slip, "    ");
        }
        if let Some(cut) = timeline.goes_out(entry) {
            let _ = writeln!(out, "  × {}", out_of_force(entry, cut));
        }
        if entry.standing == Standing::Live {
            before = Some(entry);
        }
    }
    out
}

/// The status of the insurance card under one number.
fn card_status(out: &mut String, khs: &KhsStatus) {
    let KhsStatus { member_no, status, end_date, end_cancel_date, known_on } = khs;
    let _ = write!(out, "被保険者証利用情報  {INSURER} {member_no}  ステータス {status}");
    if let Some(day) = end_date {
        let _ = write!(out, "  利用停止日 {day}");
    }
    if let Some(day) = end_cancel_date {
        let _ = write!(out, "  利用停止解除日 {day}");
    }
    let _ = writeln!(out, "  取得日 {known_on}");
}

/// The holder with its name; 保険者番号 is the number on the card, which under a union is the member's.
pub(super) fn holder(timeline: &Timeline) -> String {
    let name = timeline.holder_name.as_ref().map(|name| format!(" {name}")).unwrap_or_default();
    format!("保有者 {}{name}", timeline.holder_no)
}

/// From when a record is cut off, and why.
pub(super) fn out_of_force(entry: &Entry, cut: &CutOff) -> String {
    let CutOff { from, by, .. } = cut;
    if cut.from_the_start(entry) {
        return format!("有効にならない: 保険者 {by} が {from} から終了したままのため");
    }
    let why = match cut.reason {
        CutOffReason::MembershipBegan => {
            format!("{} が {by} の構成市町村（行政区）になったため", entry.insurer_no)
        }
        CutOffReason::MembershipEnded => {
            format!("{} が {by} の構成市町村（行政区）でなくなったため", entry.insurer_no)
        }
        CutOffReason::HolderEnded => format!("保険者 {by} が終了したため"),
    };
    format!("{from} から無効: {why}")
}

/// A movement, or a correction that stands alone because it was refused or withdrawn.
fn record(out: &mut String, entry: &Entry, before: Option<&Entry>, moved: Option<&Move>) {
    if matches!(entry.standing, Standing::Refused | Standing::Withdrawn) {
        out.push_str("× ");
    }
    let _ = write!(out, "{}", entry.movement_date);
    if let Some(date) = entry.correction_date {
        let _ = write!(out, " 訂正 {date}");
    }
    let change = entry.change_type.label_ja.as_deref().unwrap_or(&entry.change_type.code);
    let _ = write!(out, " {change}");
    if let Some(reason) = entry.reason.as_ref().filter(|_| entry.kind == EntryKind::Movement) {
        let _ = write!(out, " {reason}");
    }
    let _ = write!(out, "  {}", place(entry));
    out.push_str(match entry.standing {
        Standing::Deleted => "  削除済み\n",
        Standing::Withdrawn => "  取下げ済み\n",
        Standing::Live | Standing::Applied | Standing::Refused => "\n",
    });
    if let Some(Withdrawal { on, processing_month, reason, whole_file }) = &entry.withdrawn {
        let what = if *whole_file { "ファイルの取下げ" } else { "取下げ" };
        let _ = writeln!(out, "  × {what} {on} 処理{processing_month}から: {reason}");
    }
    remarks(out, entry, "  ");
    if let Some(moved) = moved {
        let Move { from_insurer_no, to_insurer_no, .. } = moved;
        let reason = moved.reason.as_ref().map(|reason| format!("  事由 {reason}")).unwrap_or_default();
        let _ = writeln!(
            out,
            "  構成市町村（行政区）間の異動: {INSURER} {from_insurer_no} → {to_insurer_no}{reason}"
        );
    }
    let insurer = insurer(entry, before).filter(|_| moved.is_none());
    let told: Vec<Line> = insurer.into_iter().chain(changes(entry, before)).collect();
    lines(out, &told, "  ");
}

/// The member's number where it is not that of the live record before, or nobody told it yet.
fn insurer(entry: &Entry, before: Option<&Entry>) -> Option<Line> {
    let known = before.map_or(&entry.holder_no, |before| &before.insurer_no);
    let other = *known != entry.insurer_no;
    let text = match before.filter(|_| entry.standing == Standing::Live) {
        Some(before) => format!("{} → {}", before.insurer_no, entry.insurer_no),
        None => entry.insurer_no.clone(),
    };
    other.then(|| (INSURER.to_owned(), text))
}

/// Processing month, take-in day, file and record number.
fn place(entry: &Entry) -> String {
    let mut place = String::new();
    if let Some(month) = entry.processing_month {
        let _ = write!(place, "処理{month} ");
    }
    if let Some(day) = entry.taken_in_on {
        let _ = write!(place, "取込{day} ");
    }
    let _ = write!(place, "{} レコード{}", entry.source.file_name, entry.source.record_no);
    place
}

fn remarks(out: &mut String, entry: &Entry, indent: &str) {
    for remark in &entry.findings {
        let refusal = entry.standing == Standing::Refused && remark.severity == Severity::Error;
        let mark = if refusal { "× 取込不可" } else { "！" };
        let _ = writeln!(out, "{indent}{mark} {} {}", remark.code, remark.message_ja);
    }
}

/// What a live record holds differently from the live record before; of any other what it sent and the
/// live record before does not hold.
fn changes(entry: &Entry, before: Option<&Entry>) -> Vec<Line> {
    let held_before = |item: &str| before.and_then(|b| b.item(item)).and_then(|cell| cell.held.as_ref());
    let mut lines = Vec::new();
    for cell in entry.items.iter().filter(|cell| cell.item != REASON) {
        let (old, new) = (held_before(&cell.item), cell.held.as_ref());
        if old != new {
            let text = if before.is_some() { change(old, new) } else { shown(new) };
            lines.push((cell.label_ja.clone(), text));
        }
    }
    if entry.standing != Standing::Live {
        let told = |sent: &&Sent| {
            let in_first_line = sent.item == REASON && entry.kind == EntryKind::Movement;
            !in_first_line && held_before(&sent.item) != sent.held.as_ref()
        };
        let sent = entry.sent.iter().filter(told);
        lines.extend(sent.map(|sent| (sent.label_ja.clone(), shown(sent.held.as_ref()))));
    }
    lines
}

/// An applied correction: what it changed in its record, value before and after; a deletion changes no item.
fn correction(out: &mut String, slip: &Entry) {
    let date = slip.correction_date.map(|date| date.to_string()).unwrap_or_default();
    let what = slip.change_type.label_ja.as_deref().unwrap_or(&slip.change_type.code);
    let head = format!("  訂正 {date} {what}");
    let place = place(slip);
    if slip.sent.is_empty() || slip.change() == Change::Delete {
        let _ = writeln!(out, "{head}  [{place}]");
        return;
    }
    let widest = slip.sent.iter().map(|sent| sent.label_ja.width()).max().unwrap_or(0);
    for (n, sent) in slip.sent.iter().enumerate() {
        if n == 0 {
            let _ = write!(out, "{head}: ");
        } else {
            let _ = write!(out, "{:1$}", "", head.width() + 2);
        }
        let change = change(sent.before.as_ref(), sent.held.as_ref());
        let _ = write!(out, "{}  {change}", padded(&sent.label_ja, widest));
        let _ = if n == 0 { writeln!(out, "  [{place}]") } else { writeln!(out) };
    }
}

fn lines(out: &mut String, lines: &[Line], indent: &str) {
    let widest = lines.iter().map(|(label, _)| label.width()).max().unwrap_or(0);
    for (label, text) in lines {
        let _ = writeln!(out, "{indent}{}  {text}", padded(label, widest));
    }
}

fn padded(label: &str, width: usize) -> String {
    format!("{label}{:1$}", "", width.saturating_sub(label.width()))
}

fn shown(held: Option<&Labelled>) -> String {
    held.map_or_else(|| NOT_SET.to_owned(), ToString::to_string)
}

fn change(old: Option<&Labelled>, new: Option<&Labelled>) -> String {
    format!("{} → {}", shown(old), shown(new))
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
