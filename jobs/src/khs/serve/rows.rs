//! People as rows of text: in JSON, or as the lines of a file.
//!
//! Promise: pure; a row has the fields of the interface's record, in their order, whatever the layouts say.

use crate::khs::people::{People, Person};
use crate::khs::settings::FileForm;
use axum::body::Bytes;
use std::io::Write;
use tsumiage_schemas::Day;
use tsumiage_schemas::khs::Message;

/// What a field of a row holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Column {
    Insurer,
    Insured,
    Status,
    End,
    Cancel,
}

impl Column {
    fn of(item: &str) -> Option<Column> {
        Some(match item {
            "insurer_no" => Column::Insurer,
            "insured_no" => Column::Insured,
            "status" => Column::Status,
            "end_date" => Column::End,
            "end_cancel_date" => Column::Cancel,
            _ => return None,
        })
    }
}

/// One row's values.
struct Values<'a> {
    insurer_no: &'a str,
    insured_no: &'a str,
    status: &'a str,
    end: Option<Day>,
    cancel: Option<Day>,
}

/// How rows are written: the fields of the interface's record in their order.
#[derive(Clone, Debug)]
pub struct RowForm {
    json: bool,
    /// Fields with their names, in JSON quoted and with a colon.
    fields: Vec<(String, Column)>,
    /// What stands before all rows of a file.
    pub head: Bytes,
    /// What stands behind them.
    pub tail: Bytes,
}

impl RowForm {
    /// As JSON objects; every one has its separator before it, and the first of all goes without.
    pub fn json(person: &Message) -> RowForm {
        let fields = fields(person).map(|(name, column)| (format!("\"{name}\":"), column)).collect();
        RowForm { json: true, fields, head: Bytes::from_static(b"["), tail: Bytes::from_static(b"]\n") }
    }

    /// As a file of this form has them.
    pub fn of_file(form: FileForm, person: &Message) -> RowForm {
        let fields: Vec<(String, Column)> = match form {
            FileForm::Json => return RowForm::json(person),
            FileForm::Csv | FileForm::CsvWithoutHeader => fields(person).collect(),
        };
        let names: Vec<&str> = fields.iter().map(|(name, _)| name.as_str()).collect();
        let head = if form == FileForm::Csv { format!("{}\r\n", names.join(",")) } else { String::new() };
        RowForm { json: false, fields, head: head.into(), tail: Bytes::new() }
    }

    /// Bytes of the separator before every row.
    pub fn separator(&self) -> usize {
        usize::from(self.json)
    }

    /// Content type of a file in this form.
    pub fn content_type(&self) -> &'static str {
        if self.json { "application/json" } else { "text/csv; charset=utf-8" }
    }

    fn write(&self, out: &mut Vec<u8>, row: &Values<'_>) {
        if self.json { self.write_json(out, row) } else { self.write_csv(out, row) }
    }

    fn write_json(&self, out: &mut Vec<u8>, row: &Values<'_>) {
        out.extend_from_slice(b",{");
        let mut is_first = true;
        for (name, column) in &self.fields {
            let day = match column {
                Column::End => row.end,
                Column::Cancel => row.cancel,
                _ => None,
            };
            let text = row.text(*column);
            if text.is_none() && day.is_none() {
                continue; // a date that is not set is left out
            }
            if !std::mem::replace(&mut is_first, false) {
                out.push(b',');
            }
            out.extend_from_slice(name.as_bytes());
            if let Some(text) = text {
                write_json_text(out, text);
            } else if let Some(day) = day {
                let _ = write!(out, "\"{day}\""); // a vector takes everything
            }
        }
        out.push(b'}');
    }

    fn write_csv(&self, out: &mut Vec<u8>, row: &Values<'_>) {
        for (at, (_, column)) in self.fields.iter().enumerate() {
            if at > 0 {
                out.push(b',');
            }
            let day = if *column == Column::End { row.end } else { row.cancel };
            match (row.text(*column), day) {
                (Some(text), _) => write_csv_text(out, text),
                (None, Some(day)) => drop(write!(out, "{day}")),
                (None, None) => {}
            }
        }
        out.extend_from_slice(b"\r\n");
    }
}

impl<'a> Values<'a> {
    fn text(&self, column: Column) -> Option<&'a str> {
        match column {
            Column::Insurer => Some(self.insurer_no),
            Column::Insured => Some(self.insured_no),
            Column::Status => Some(self.status),
            Column::End | Column::Cancel => None,
        }
    }
}

fn fields(person: &Message) -> impl Iterator<Item = (String, Column)> {
    let column = |item: &Option<String>| item.as_deref().and_then(Column::of);
    person.fields.iter().filter_map(move |field| Some((field.name.clone(), column(&field.item)?)))
}

fn write_json_text(out: &mut Vec<u8>, text: &str) {
    if text.bytes().all(|b| b.is_ascii_alphanumeric()) {
        out.push(b'"');
        out.extend_from_slice(text.as_bytes());
        out.push(b'"');
    } else {
        let _ = serde_json::to_writer(out, text); // a vector takes everything
    }
}

fn write_csv_text(out: &mut Vec<u8>, text: &str) {
    if text.contains(['"', ',', '\r', '\n']) {
        let _ = write!(out, "\"{}\"", text.replace('"', "\"\"")); // a vector takes everything
    } else {
        out.extend_from_slice(text.as_bytes());
    }
}

/// Writes the rows of people of one number on cards, each with its separator before it.
pub fn write_people(form: &RowForm, out: &mut Vec<u8>, all: &People, member_no: &str, people: &[Person]) {
    for person in people {
        let (end, cancel) = (person.end_date, person.end_cancel_date);
        let (insured_no, status) = (&*person.insured_no, all.status(person));
        form.write(out, &Values { insurer_no: member_no, insured_no, status, end, cancel });
    }
}

/// The rows of single people, without a separator before the first.
pub fn few_rows(form: &RowForm, all: &People, people: &[(&str, &Person)]) -> Vec<u8> {
    let mut out = Vec::new();
    for (member_no, person) in people {
        write_people(form, &mut out, all, member_no, std::slice::from_ref(person));
    }
    out.drain(..form.separator().min(out.len()));
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use tsumiage_schemas::Spec;

    fn written(form: &RowForm, status: &str, end: Option<Day>, cancel: Option<Day>) -> String {
        let mut out = Vec::new();
        let row = Values { insurer_no: "141003", insured_no: "0000000010", status, end, cancel };
        form.write(&mut out, &row);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn rows_have_the_seeds_fields_in_their_order() {
        let person = &Spec::embedded().unwrap().khs.person;
        let (json, csv) = (RowForm::json(person), RowForm::of_file(FileForm::Csv, person));
        assert_eq!(
            written(&json, "1", None, None),
            r#",{"care_insure_provider_number":"141003","care_insurer_number":"0000000010","care_insurance_status":"1"}"#
        );
        assert_eq!(
            written(&json, "\"", Some(Day(0)), Some(Day(1))),
            r#",{"care_insure_provider_number":"141003","care_insurer_number":"0000000010","care_insurance_status":"\"","care_insurance_end_date":"1970-01-01","care_insurance_end_cancel_date":"1970-01-02"}"#
        );
        assert_eq!(
            csv.head,
            "care_insure_provider_number,care_insurer_number,care_insurance_status,care_insurance_end_date,care_insurance_end_cancel_date\r\n"
        );
        assert_eq!(written(&csv, "1", None, Some(Day(1))), "141003,0000000010,1,,1970-01-02\r\n");
        assert_eq!(written(&csv, "a\"", Some(Day(0)), None), "141003,0000000010,\"a\"\"\",1970-01-01,\r\n");
        assert!(RowForm::of_file(FileForm::CsvWithoutHeader, person).head.is_empty());
    }
}
