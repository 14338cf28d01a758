//! The client of a KHS API (domain 6): asks for an insurer's records or one person's, as JSON or by file.
//!
//! * `link` requests that are tried again, `download` a file that is gone on with where it broke off
//!
//! Promise: what an answer holds is not judged here but by the reader, when it is taken in; only a failure that the other
//! side tells is none. The token goes to the address asked and nowhere else, and into no message.

mod download;
mod link;

pub use link::{Link, Trust};

use super::staging::{Came, form_of};
use crate::khs::settings::KhsSettings;
use anyhow::{Context, bail};
use link::Answered;
use serde::Deserialize;
use serde::de::IgnoredAny;
use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use tsumiage_pipeline::reader::khs::{Asked, Form};
use tsumiage_schemas::khs::{FAILURE, SUCCESS, name};
use url::Url;

/// What is to be asked.
#[derive(Clone, Debug)]
pub struct Question {
    /// Insurer, person and members.
    pub asked: Asked,
    /// By file.
    pub by_file: bool,
}

/// Told what happens: a note, or how much of a download has come.
pub trait Watch {
    /// Something went wrong and is tried again, or is odd.
    fn note(&self, text: &str);
    /// So many bytes of so many have come.
    fn came(&self, bytes: u64, of: u64);
}

/// The address of an interface: that given, or where it has no path, with the path of the settings.
///
/// # Errors
/// It is no address of HTTP.
pub fn address(given: &str, by_file: bool, settings: &KhsSettings) -> anyhow::Result<Url> {
    let mut url =
        Url::parse(given).with_context(|| "--url wants an address like https://khs.example.jp".to_owned())?;
    if !matches!(url.scheme(), "https" | "http") || url.host().is_none() || !url.username().is_empty() {
        bail!("--url wants an address like https://khs.example.jp");
    }
    if matches!(url.path(), "" | "/") {
        url.set_path(if by_file { &settings.file_path } else { &settings.json_path });
    }
    Ok(url)
}

/// What an answer says around its records.
#[derive(Debug, Default, Deserialize)]
struct Around {
    care_insure_provider_number: Option<serde_json::Value>,
    result: Option<serde_json::Value>,
    result_detail: Option<serde_json::Value>,
    presigned_url: Option<serde_json::Value>,
    #[serde(default)]
    body: Option<IgnoredAny>,
}

impl Around {
    fn text(value: &Option<serde_json::Value>) -> Option<&str> {
        value.as_ref()?.as_str()
    }

    /// A failure told in words of the other side, without what would spoil a terminal.
    fn failure(&self) -> Option<String> {
        let failed = Around::text(&self.result) == Some(FAILURE);
        let detail = Around::text(&self.result_detail).unwrap_or("no detail");
        failed.then(|| legible(detail))
    }
}

/// What stands around the records of an answer in a file.
fn around(mut file: &File) -> anyhow::Result<Around> {
    let mut start = [0; 3];
    file.seek(SeekFrom::Start(0))?;
    let read = file.read(&mut start)?;
    let mark = if start[..read] == *b"\xef\xbb\xbf" { 3 } else { 0 };
    file.seek(SeekFrom::Start(mark))?;
    Ok(serde_json::from_reader(BufReader::new(file))?)
}

/// Most characters of a text of the other side that are shown.
const SHOWN: usize = 150;

fn legible(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(SHOWN).collect()
}

/// Asks until there is an answer.
///
/// # Errors
/// There is none after all attempts, it is refused, or it says that it failed.
pub fn fetch(link: &Link, url: &Url, question: &Question, watch: &dyn Watch) -> anyhow::Result<Came> {
    let mut body = serde_json::Map::new();
    let numbers =
        [(name::INSURER_NO, &question.asked.insurer_no), (name::INSURED_NO, &question.asked.insured_no)];
    for (name, number) in numbers {
        if let Some(number) = number {
            body.insert(name.to_owned(), number.clone().into());
        }
    }
    let body = serde_json::to_vec(&body)?;
    let asked = question.asked.clone();
    if !question.by_file {
        return Ok(Came { bytes: answer(link, url, &body, watch)?, form: Form::Json, asked });
    }
    let bytes = by_file(link, url, &body, &question.asked, watch)?;
    Ok(Came { form: form_of(&bytes)?, bytes, asked })
}

/// An answer of the JSON interface, in a file.
fn answer(link: &Link, url: &Url, body: &[u8], watch: &dyn Watch) -> anyhow::Result<File> {
    let Answered { file, status } = link.post(url, body, watch)?;
    // Nothing else is looked at: what is no answer at all is kept and told by the reader.
    let around = around(&file).unwrap_or_default();
    match (status, around.failure()) {
        (200, None) => Ok(file),
        (_, Some(detail)) => bail!("the request failed ({status}): {detail}"),
        (_, None) => bail!("the server answered {status}"),
    }
}

/// The file that the file interface names. Its address may run out while it is downloaded: then another is asked for.
fn by_file(link: &Link, url: &Url, body: &[u8], asked: &Asked, watch: &dyn Watch) -> anyhow::Result<File> {
    let mut download = download::Download::new(tempfile::tempfile().context("a file for the download")?);
    for attempt in 1..=link.attempts {
        let signed = presigned(link, url, body, asked, watch)?;
        match download.go_on(link, &signed, watch)? {
            download::End::Whole => return Ok(download.target),
            download::End::Refused(status) => {
                watch.note(&format!("the download address is refused ({status}); asks for another"));
                link.pause(attempt, None);
            }
        }
    }
    bail!("every download address was refused")
}

fn presigned(link: &Link, url: &Url, body: &[u8], asked: &Asked, watch: &dyn Watch) -> anyhow::Result<Url> {
    let around = around(&answer(link, url, body, watch)?)
        .map_err(|error| anyhow::anyhow!("the server's answer is none of the file interface: {error}"))?;
    if Around::text(&around.result) != Some(SUCCESS) {
        bail!("the server's answer is none of the file interface: {} is missing", name::RESULT);
    }
    let about = match &around.care_insure_provider_number {
        Some(serde_json::Value::Number(number)) => Some(number.to_string()),
        other => Around::text(other).map(str::to_owned),
    };
    if about.is_none() {
        bail!("the server's answer is none of the file interface: {} is missing", name::INSURER_NO);
    }
    if about != asked.insurer_no {
        bail!(
            "the server's answer is about another insurer than was asked for: {} says so",
            name::INSURER_NO
        );
    }
    if around.body.is_some() {
        watch.note("the answer is one of the JSON interface; is --url that of the file interface?");
    }
    let Some(signed) = Around::text(&around.presigned_url) else {
        bail!("the server's answer names no {}", name::URL);
    };
    if signed.len() > 200 {
        watch.note("the download address is longer than the 200 characters allowed");
    }
    let signed = url.join(signed).map_err(|_| anyhow::anyhow!("{} is no address", name::URL))?;
    if !matches!(signed.scheme(), "https" | "http") || (url.scheme() == "https" && signed.scheme() != "https")
    {
        bail!("{} is not https: people's records are not fetched in the clear", name::URL);
    }
    Ok(signed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_without_a_path_gets_that_of_the_settings() {
        let settings = KhsSettings::default();
        let of = |given: &str, by_file| address(given, by_file, &settings).map(String::from);
        assert_eq!(of("https://khs.example.jp", false).unwrap(), "https://khs.example.jp/khs-api/json");
        assert_eq!(of("http://127.0.0.1:8080/", true).unwrap(), "http://127.0.0.1:8080/khs-api/file");
        assert_eq!(of("https://x/y/khs-api/z", true).unwrap(), "https://x/y/khs-api/z");
        for wrong in ["khs.example.jp", "ftp://x", "https://me@x/", "", "https://"] {
            assert!(of(wrong, false).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_failure_is_told_without_control_characters() {
        let around = |json: &str| serde_json::from_str::<Around>(json).unwrap().failure();
        assert_eq!(around(r#"{"result":"成功"}"#), None);
        assert_eq!(around(r#"{"result":"失敗","result_detail":"a\u001b[31mb\nc"}"#).unwrap(), "a[31mbc");
        assert_eq!(around(r#"{"result":"失敗","result_detail":7,"body":[1,{}]}"#).unwrap(), "no detail");
    }
}
