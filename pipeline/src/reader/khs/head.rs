//! The first line of an archived KHS file: what was asked, when, and what form the bytes behind it have. Answers carry no
//! date and no number of their own: without it the same status told again after another one would be the same bytes,
//! and nothing would be done.
//!
//! Promise: the bytes behind the line are those that came.

use serde::{Deserialize, Serialize};
use tsumiage_schemas::Day;

/// How the line begins, so that a KHS file is known from an exchange file.
const BEGINS: &[u8] = b"{\"khs\":";

/// Most bytes of the line: a union's members are in it.
const MOST_BYTES: usize = 64 << 10;

/// Version of the line.
const VERSION: u32 = 1;

/// Form of the bytes behind the line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Form {
    /// An answer of IF-I6-01-04-02, or a list of its records.
    Json,
    /// CSV in UTF-8 of the five items of a record.
    Csv,
}

/// The line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Head {
    khs: u32,
    /// Form of what follows.
    pub form: Form,
    /// Insurer that was asked for; none of a file that was loaded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub insurer_no: Option<String>,
    /// Person that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub insured_no: Option<String>,
    /// Numbers that records may have besides the insurer's; none if that is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub members: Option<Vec<String>>,
    /// Day on which it came.
    pub on: Day,
    /// 1, 2, 3 … of the KHS files of that day.
    pub number: u32,
}

/// What was asked, of a file from an API.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    /// See [`Head`].
    pub insurer_no: Option<String>,
    /// See [`Head`].
    pub insured_no: Option<String>,
    /// See [`Head`].
    pub members: Option<Vec<String>>,
}

impl Head {
    /// The line of a file that came on a day, as the `number`th.
    pub fn new(form: Form, asked: Asked, on: Day, number: u32) -> Head {
        let Asked { insurer_no, insured_no, members } = asked;
        Head { khs: VERSION, form, insurer_no, insured_no, members, on, number }
    }

    /// Its bytes, with the line end.
    pub fn line(&self) -> Vec<u8> {
        // Plain data always has a JSON form.
        let mut line = serde_json::to_vec(self).unwrap_or_default();
        line.push(b'\n');
        line
    }

    /// The line of a file and what follows; why there is none.
    ///
    /// # Errors
    /// The line is cut off, no line of ours, or of a newer program.
    pub fn parse(bytes: &[u8]) -> Result<(Head, &[u8]), String> {
        let within = &bytes[..bytes.len().min(MOST_BYTES)];
        let end = memchr::memchr(b'\n', within).ok_or("no line end")?;
        let head: Head = serde_json::from_slice(&bytes[..end]).map_err(|e| e.to_string())?;
        let digits = |text: &String, length| text.len() == length && text.bytes().all(|b| b.is_ascii_digit());
        if head.khs != VERSION {
            return Err(format!("version {}", head.khs));
        }
        if head.insurer_no.as_ref().is_some_and(|no| !digits(no, 6)) {
            return Err("insurer_no".to_owned());
        }
        Ok((head, &bytes[end + 1..]))
    }
}

/// Whether bytes are a KHS file, whole or not.
pub fn is_khs(bytes: &[u8]) -> bool {
    bytes.starts_with(BEGINS)
}
