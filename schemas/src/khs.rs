//! The messages of the KHS API (domain 6; seed 別紙13) as data: their fields, what each may hold, and the record of one
//! person as a layout of facts.
//!
//! Promise: pure; a message's fields are known nowhere else. Server, client, reader and OpenAPI document go by them.

use crate::csv_table::{DataError, Row, Table};
use crate::day::{Day, Month};
use crate::layout::{ClearMark, Item, Kind, Layout};
use crate::sources::{SourceText, Sources};
use std::str::FromStr;

/// What a field holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Half-width digits (半角数字).
    Digits,
    /// Half-width letters and digits (半角英数字).
    Alnum,
    /// Half-width characters without spaces, such as a URL.
    Ascii,
    /// YYYY-MM-DD.
    Date,
    /// Any text (全半角文字).
    Text,
    /// A number; as JSON a number, from others text too.
    Number,
    /// A list of persons.
    List,
}

impl FromStr for Form {
    type Err = ();
    fn from_str(text: &str) -> Result<Form, ()> {
        Ok(match text {
            "digits" => Form::Digits,
            "alnum" => Form::Alnum,
            "ascii" => Form::Ascii,
            "date" => Form::Date,
            "text" => Form::Text,
            "number" => Form::Number,
            "list" => Form::List,
            _ => return Err(()),
        })
    }
}

/// One field of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// Its name in JSON (項目).
    pub name: String,
    /// Its Japanese name (項目名).
    pub name_ja: String,
    /// What it holds.
    pub form: Form,
    /// Greatest length in characters (桁数); of a list 0.
    pub length: usize,
    /// It has this length exactly (固定長).
    pub fixed: bool,
    /// It must be there (出現回数 1).
    pub required: bool,
    /// Name of its code table; an empty table allows everything.
    pub codes: Option<String>,
    /// Column of the facts it goes into.
    pub item: Option<String>,
}

/// What is wrong with the text of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Longer than the field.
    TooLong,
    /// Shorter than a field of fixed length.
    TooShort,
    /// Other characters than the field's.
    Characters,
    /// Not a day of the calendar as YYYY-MM-DD.
    NotADate,
}

impl Field {
    /// What is wrong with a text as the field's value, by form and length; code tables are not looked at.
    pub fn fault(&self, text: &str) -> Option<Fault> {
        let digits = || text.bytes().all(|b| b.is_ascii_digit());
        let legible = match self.form {
            Form::Digits | Form::Number => digits(),
            Form::Alnum => text.bytes().all(|b| b.is_ascii_alphanumeric()),
            Form::Ascii => text.bytes().all(|b| b.is_ascii_graphic()),
            Form::Text => !text.chars().any(char::is_control),
            Form::Date | Form::List => true,
        };
        let length = text.chars().count();
        match () {
            () if self.form == Form::Date => day_of(text).is_none().then_some(Fault::NotADate),
            () if !legible => Some(Fault::Characters),
            () if length > self.length => Some(Fault::TooLong),
            () if length == 0 || (self.fixed && length < self.length) => Some(Fault::TooShort),
            () => None,
        }
    }
}

/// The day of a text YYYY-MM-DD.
pub fn day_of(text: &str) -> Option<Day> {
    let bytes = text.as_bytes();
    let form = bytes.len() == 10
        && bytes.iter().enumerate().all(|(at, b)| match at {
            4 | 7 => *b == b'-',
            _ => b.is_ascii_digit(),
        });
    text.parse().ok().filter(|_| form)
}

/// One message: its fields in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The fields.
    pub fields: Vec<Field>,
}

impl Message {
    fn parse(source: &SourceText<'_>) -> Result<Message, DataError> {
        let columns = ["name", "name_ja", "type", "length", "fixed", "required", "codes", "item"];
        let mut fields: Vec<Field> = Vec::new();
        for row in Table::read(source, &columns)?.rows() {
            let field = Field::parse(&row)?;
            if fields.iter().any(|known| known.name == field.name) {
                return Err(row.fault("name", format!("{} stands twice", field.name)));
            }
            fields.push(field);
        }
        Ok(Message { fields })
    }

    /// The field of a name.
    pub fn field(&self, name: &str) -> Option<&Field> {
        self.fields.iter().find(|field| field.name == name)
    }
}

impl Field {
    fn parse(row: &Row<'_>) -> Result<Field, DataError> {
        let flag = |column: &str| match row.text(column) {
            "1" => Ok(true),
            "0" => Ok(false),
            other => Err(row.fault(column, format!("{other:?} is neither 0 nor 1"))),
        };
        let given = |column: &str| Some(row.text(column)).filter(|text| !text.is_empty()).map(str::to_owned);
        Ok(Field {
            name: row.given("name")?.to_owned(),
            name_ja: row.given("name_ja")?.to_owned(),
            form: row.value("type", "one of digits, alnum, ascii, date, text, number, list")?,
            length: row.value("length", "a number of characters")?,
            fixed: flag("fixed")?,
            required: flag("required")?,
            codes: given("codes"),
            item: given("item"),
        })
    }
}

/// Names of the fields the program relies on.
pub mod name {
    /// 介護保険者番号, an insurer's number in spite of its name.
    pub const INSURER_NO: &str = "care_insure_provider_number";
    /// 介護保険被保険者番号, an insured person's number in spite of its name.
    pub const INSURED_NO: &str = "care_insurer_number";
    /// 取得結果.
    pub const RESULT: &str = "result";
    /// 処理結果詳細（要求）.
    pub const DETAIL: &str = "result_detail";
    /// 署名付きURL.
    pub const URL: &str = "presigned_url";
    /// ファイル種別.
    pub const FILE_IF_ID: &str = "file_if_id";
    /// レコード件数.
    pub const RECORD_NUM: &str = "record_num";
    /// ボディ部.
    pub const BODY: &str = "body";
    /// 介護被保険者証ステータス.
    pub const STATUS: &str = "care_insurance_status";
    /// 介護被保険者証利用停止日.
    pub const END_DATE: &str = "care_insurance_end_date";
    /// 介護被保険者証利用停止解除日.
    pub const END_CANCEL_DATE: &str = "care_insurance_end_cancel_date";
}

/// `result` of a request that was answered.
pub const SUCCESS: &str = "成功";
/// `result` of one that was not.
pub const FAILURE: &str = "失敗";

/// What files of KHS records have as their data type.
pub const DATA_TYPE: &str = "KHS";

/// All messages, and the facts that records of persons become.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Khs {
    /// IF-I6-01-04-01, request body.
    pub file_request: Message,
    /// IF-I6-01-04-01, response.
    pub file_response: Message,
    /// IF-I6-01-04-02, request body.
    pub json_request: Message,
    /// IF-I6-01-04-02, response.
    pub json_response: Message,
    /// A record of its `body`, and a line of the file.
    pub person: Message,
    /// The facts of a person: `insurer_no`, `insured_no`, `status`, `end_date`, `end_cancel_date`.
    pub layout: Layout,
}

impl Khs {
    /// Reads the messages.
    ///
    /// # Errors
    /// A file missing or malformed, a field the program relies on missing.
    pub(crate) fn parse(sources: &Sources) -> Result<Khs, DataError> {
        let message = |path: &str, needed: &[&str]| {
            let source = sources.whole(path)?;
            let message = Message::parse(&source)?;
            match needed.iter().find(|name| message.field(name).is_none()) {
                None => Ok(message),
                Some(missing) => Err(DataError::new(&source.file, 0, format!("{missing} is missing"))),
            }
        };
        use name::{BODY, DETAIL, FILE_IF_ID, INSURED_NO, INSURER_NO, RECORD_NUM, RESULT, STATUS, URL};
        let person_file = "khs/person.csv";
        let person =
            message(person_file, &[INSURER_NO, INSURED_NO, STATUS, name::END_DATE, name::END_CANCEL_DATE])?;
        let layout = layout(&person, &sources.whole(person_file)?.file)?;
        Ok(Khs {
            file_request: message("khs/file-request.csv", &[INSURER_NO])?,
            file_response: message("khs/file-response.csv", &[INSURER_NO, RESULT, DETAIL, URL])?,
            json_request: message("khs/json-request.csv", &[INSURER_NO, INSURED_NO])?,
            json_response: message(
                "khs/json-response.csv",
                &[INSURER_NO, INSURED_NO, RESULT, DETAIL, FILE_IF_ID, RECORD_NUM, BODY],
            )?,
            person,
            layout,
        })
    }

    /// The Japanese label of a field, by its name or the column of facts it goes into.
    pub(crate) fn label(&self, name: &str) -> Option<&str> {
        let around =
            [&self.json_response, &self.file_response].into_iter().find_map(|message| message.field(name));
        let of_person = || self.person.field(name).or_else(|| self.person_field(name));
        around.or_else(of_person).map(|field| &*field.name_ja)
    }

    /// The field of a person's record that goes into a column of the facts.
    fn person_field(&self, item: &str) -> Option<&Field> {
        self.person.fields.iter().find(|field| field.item.as_deref() == Some(item))
    }

    /// The column of facts that a field of a person's record goes into.
    pub fn item_of(&self, name: &str) -> Option<String> {
        self.person.field(name)?.item.clone()
    }
}

/// The columns of facts that persons' fields go into.
const ITEMS: [(&str, Kind); 5] = [
    ("insurer_no", Kind::Identifier),
    ("insured_no", Kind::Identifier),
    ("status", Kind::Code),
    ("end_date", Kind::Date),
    ("end_cancel_date", Kind::Date),
];

/// The layout of a person's facts.
fn layout(person: &Message, file: &str) -> Result<Layout, DataError> {
    let mut items = Vec::new();
    for (place, (item, kind)) in ITEMS.into_iter().enumerate() {
        let field = person.fields.iter().find(|field| field.item.as_deref() == Some(item));
        let field = field.ok_or_else(|| DataError::new(file, 0, format!("no field has the item {item}")))?;
        let fits = match kind {
            Kind::Date => field.form == Form::Date,
            // They become names of files, and are compared with the numbers of movements.
            Kind::Identifier => field.form == Form::Digits && field.fixed,
            _ => !matches!(field.form, Form::Date | Form::Number | Form::List),
        };
        if !fits {
            return Err(DataError::new(file, 0, format!("the type of {} does not fit", field.name)));
        }
        items.push(Item {
            position: place + 1,
            name: item.to_owned(),
            name_ja: field.name_ja.clone(),
            kind,
            width: field.length,
            since: Month(0),
            clear: ClearMark::default(),
            codes: field.codes.clone(),
            grade: String::new(),
            note: if place < 2 { "key".to_owned() } else { String::new() },
        });
    }
    Ok(Layout { id: DATA_TYPE.to_owned(), file: file.to_owned(), items })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Spec;

    #[test]
    fn fields_hold_what_the_seed_says() {
        let khs = Spec::embedded().unwrap().khs;
        let fault = |message: &Message, name: &str, text: &str| message.field(name).unwrap().fault(text);
        for (name, good, faults) in [
            (
                name::INSURER_NO,
                "141003",
                &[
                    ("", Fault::TooShort),
                    ("14100", Fault::TooShort),
                    ("1410030", Fault::TooLong),
                    ("14100A", Fault::Characters),
                    ("１４１００３", Fault::Characters),
                    (" 41003", Fault::Characters),
                ][..],
            ),
            (
                name::INSURED_NO,
                "0000000010",
                &[("000000010", Fault::TooShort), ("00000000100", Fault::TooLong)],
            ),
            (name::STATUS, "1", &[("", Fault::TooShort), ("12", Fault::TooLong), ("A", Fault::Characters)]),
            (
                name::END_DATE,
                "2028-02-29",
                &[
                    ("2026-02-29", Fault::NotADate),
                    ("20260201", Fault::NotADate),
                    ("2026-2-1", Fault::NotADate),
                    ("", Fault::NotADate),
                    ("2026-02-01 ", Fault::NotADate),
                    ("+026-02-01", Fault::NotADate),
                ],
            ),
        ] {
            assert_eq!(fault(&khs.person, name, good), None, "{name}");
            for (text, wrong) in faults {
                assert_eq!(fault(&khs.person, name, text), Some(*wrong), "{name} {text:?}");
            }
        }
        let detail = "あ".repeat(150);
        assert_eq!(fault(&khs.json_response, name::DETAIL, &detail), None);
        assert_eq!(fault(&khs.json_response, name::DETAIL, &(detail + "い")), Some(Fault::TooLong));
        assert_eq!(fault(&khs.file_response, name::URL, "https://x/?a b"), Some(Fault::Characters));
    }

    #[test]
    fn a_persons_facts_have_the_columns_of_the_table() {
        let spec = Spec::embedded().unwrap();
        let items: Vec<&str> = spec.khs.layout.items.iter().map(|item| item.name.as_str()).collect();
        assert_eq!(items, ["insurer_no", "insured_no", "status", "end_date", "end_cancel_date"]);
        assert_eq!(spec.label("end_cancel_date"), "介護被保険者証利用停止解除日");
        assert_eq!(spec.label("record_num"), "レコード件数");
    }
}
