//! Control and end record (domain 1): who sends what for which month, and whether the file is whole.

use super::compiled::Compiled;
use super::item::{content, is_line_end_text, number, printable};
use super::report::Report;
use super::split::Items;
use super::{Control, ReadOptions};
use tsumiage_schemas::finding::Code;
use tsumiage_schemas::{Item, Kind, Month};

/// Items of the control record that must have a value.
const REQUIRED: [&str; 6] =
    ["record_type", "record_no", "record_count", "data_type", "medium", "processing_month"];

/// Reads the control record and reports F02, F05, F06 (data type unknown), F08 and F10.
pub(super) fn read_control(
    compiled: &Compiled,
    items: Items<'_, '_>,
    unclosed: bool,
    options: &ReadOptions,
    report: &mut Report<'_>,
) -> Control {
    let layout = &compiled.spec().control;
    let mut control = Control::default();
    let mut offices = [None, None];
    for (column, item) in layout.items.iter().enumerate() {
        let at = items.offset(column);
        if column >= items.len() {
            let detail = format!("{} < {}", items.len(), layout.items.len());
            report.file(Code::F02, Some(1), at, Some(&item.name), detail);
            break;
        }
        let sent = content(items.raw(column));
        let value = without_padding(&item.name, &sent);
        let unset = is_unset(item.kind, value);
        let open = unclosed && column + 1 == items.len();
        if open
            || if unset { REQUIRED.contains(&item.name.as_str()) } else { is_wrong(compiled, item, value) }
        {
            report.file(Code::F02, Some(1), at, Some(&item.name), printable(&sent));
        } else if item.name == "record_no" && number(value) != Some(1) {
            report.file(Code::F05, Some(1), at, None, format!("{} ≠ 1", printable(&sent)));
        } else if !unset {
            keep(&mut control, &mut offices, &item.name, value);
        }
    }
    control.sender_no = offices.into_iter().fold(control.sender_insurer_no.clone(), Option::or);
    if items.len() > layout.items.len() {
        report.form("extra_control_column", Some(1), items.offset(layout.items.len()));
    }
    check_data_type(compiled, &control, items, report);
    check_month(&control, items, options, report);
    if control.processing_month.is_none() && !report.file_rejected {
        report.fatal(Code::F02, Some(1), items.offset(0), Some("processing_month"));
    }
    control
}

/// Whether a value is too long, not a number, not a month or not in its table.
fn is_wrong(compiled: &Compiled, item: &Item, value: &[u8]) -> bool {
    let name = item.name.as_str();
    let numeric =
        item.kind == Kind::Integer || matches!(name, "insurer_no" | "welfare_office_no" | "prefecture_no");
    let table = item.codes.as_ref().and_then(|name| compiled.spec().codes.get(name));
    value.len() > item.width
        || (numeric && number(value).is_none())
        || (name == "insurer_no" && value.len() != 6)
        || (item.kind == Kind::Month && Month::from_digits(value).is_none())
        || table.is_some_and(|table| !table.labels.contains_key(&*String::from_utf8_lossy(value)))
}

/// Keeps a valid value; `offices` are the welfare office and the prefecture.
fn keep(control: &mut Control, offices: &mut [Option<String>; 2], name: &str, value: &[u8]) {
    let text = || Some(String::from_utf8_lossy(value).into_owned());
    match name {
        "record_count" => control.record_count = number(value),
        "data_type" => control.data_type = text(),
        "insurer_no" => control.sender_insurer_no = text(),
        "welfare_office_no" => offices[0] = text(),
        "prefecture_no" => offices[1] = text(),
        "processing_month" => control.processing_month = Month::from_digits(value),
        _ => {}
    }
}

/// The sender's insurer number may be padded to eight digits (domain 1).
fn without_padding<'a>(name: &str, sent: &'a [u8]) -> &'a [u8] {
    let padded = name == "insurer_no" && sent.len() == 8 && sent.iter().all(u8::is_ascii_digit);
    match sent.strip_prefix(b"00") {
        Some(six) if padded => six,
        _ => sent,
    }
}

/// Blank, or zeros where zeros say nothing.
fn is_unset(kind: Kind, value: &[u8]) -> bool {
    value.iter().all(|b| *b == b' ') || (kind != Kind::Integer && value.iter().all(|b| *b == b'0'))
}

fn check_data_type(compiled: &Compiled, control: &Control, items: Items<'_, '_>, report: &mut Report<'_>) {
    let Some(data_type) = &control.data_type else { return };
    let starts = |id: &str| id.get(..3) == Some(data_type.as_str());
    if !compiled.plans.iter().any(|plan| starts(&plan.exchange_id)) {
        report.file(Code::F06, Some(1), items.offset(0), None, printable(data_type.as_bytes()));
    }
}

/// F08: the month was closed when the file arrived. F10: more than one month after the take-in day's.
fn check_month(control: &Control, items: Items<'_, '_>, options: &ReadOptions, report: &mut Report<'_>) {
    let Some(month) = control.processing_month else { return };
    if options.closed_through.is_some_and(|through| month <= through) {
        report.file(Code::F08, Some(1), items.offset(0), None, month.to_string());
    }
    let newest = options.taken_in_on.month().next();
    if month > newest {
        let detail = format!("{month} > {newest}");
        report.file(Code::F10, Some(1), items.offset(0), None, detail);
    }
}

/// Reads the end record at its position in the file; reports F04. Gives the record number it carries.
pub(super) fn read_end(
    compiled: &Compiled,
    items: Items<'_, '_>,
    unclosed: bool,
    position: i64,
    report: &mut Report<'_>,
) -> Option<i64> {
    let carried = number(&content(items.raw(1)));
    let columns = compiled.spec().end.items.len();
    let extra = items.len() > columns;
    let one_more = items.len() == columns + 1;
    let extra_empty = one_more && content(items.raw(columns)).is_empty();
    let line_end_text = one_more && is_line_end_text(compiled, items.raw(columns));
    if carried.is_none() || unclosed || (extra && !extra_empty && !line_end_text) {
        let detail = format!("bad_end_record:{}", printable(items.tail(0)));
        report.file(Code::F04, Some(position), items.offset(0), None, detail);
    } else if extra {
        let form = if line_end_text { "line_end_text_column" } else { "extra_empty_column" };
        report.form(form, Some(position), items.offset(columns));
    }
    carried
}
