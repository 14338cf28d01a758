//! Rows of a findings table that was published before, to be taken over as they stand there.

use arrow::array::{Array, AsArray, Date32Array, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{Date32Type, Int64Type};
use tsumiage_schemas::{Code, Severity};

/// A row of a published findings table. `None` is not set.
pub struct PublishedRow<'a> {
    /// Position of the record.
    pub record_no: Option<i64>,
    /// How often.
    pub count: i64,
    /// Movement date, days since 1970.
    pub date: Option<i32>,
    /// The texts in the order of the table.
    pub(super) texts: [Option<&'a str>; 10],
}

impl<'a> PublishedRow<'a> {
    /// The file it is about.
    pub fn file_id(&self) -> &'a str {
        self.texts[0].unwrap_or_default()
    }

    /// Insurer number of its record.
    pub fn insurer_no(&self) -> Option<&'a str> {
        self.texts[3]
    }

    /// Insured number of its record: only recipients have one.
    pub fn insured_no(&self) -> Option<&'a str> {
        self.texts[4]
    }

    /// Its code.
    pub fn code(&self) -> Option<Code> {
        Code::parse(self.texts[6]?)
    }

    /// Its severity when it was published.
    pub fn severity(&self) -> Option<Severity> {
        self.texts[5]?.parse().ok()
    }
}

/// The columns of a batch of it.
pub(super) struct PublishedColumns<'a> {
    record_no: &'a Int64Array,
    count: &'a Int64Array,
    date: &'a Date32Array,
    texts: [&'a StringArray; 10],
}

impl<'a> PublishedColumns<'a> {
    /// Finds them.
    pub fn of(batch: &'a RecordBatch) -> Result<PublishedColumns<'a>, &'static str> {
        const TEXTS: [&str; 10] = [
            "file_id",
            "file_name",
            "sender_no",
            "insurer_no",
            "insured_no",
            "severity",
            "code",
            "item",
            "message_ja",
            "message_en",
        ];
        const WRONG: &str = "a published findings file has other columns";
        let mut texts = Vec::with_capacity(TEXTS.len());
        for name in TEXTS {
            texts.push(batch.column_by_name(name).and_then(|c| c.as_string_opt::<i32>()).ok_or(WRONG)?);
        }
        let number = |name: &str| {
            batch.column_by_name(name).and_then(|c| c.as_primitive_opt::<Int64Type>()).ok_or(WRONG)
        };
        let date = batch.column_by_name("movement_date").and_then(|c| c.as_primitive_opt::<Date32Type>());
        Ok(PublishedColumns {
            record_no: number("record_no")?,
            count: number("count")?,
            date: date.ok_or(WRONG)?,
            texts: texts.try_into().map_err(|_| WRONG)?,
        })
    }

    /// The row at a place.
    pub fn row(&self, at: usize) -> PublishedRow<'a> {
        let number = |column: &Int64Array| column.is_valid(at).then(|| column.value(at));
        PublishedRow {
            record_no: number(self.record_no),
            count: number(self.count).unwrap_or(1),
            date: self.date.is_valid(at).then(|| self.date.value(at)),
            texts: self.texts.map(|column| column.is_valid(at).then(|| column.value(at))),
        }
    }
}
