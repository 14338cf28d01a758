//! The file behind a download address: who may have it, and which part of it.
//!
//! Promise: an address alone is not enough: on the day of the download the requester must still have a good token and
//! still may ask for the insurer. The same content has the same tag, so that a download goes on where it broke off
//! after data were read again, unless they changed.

use super::access::{Question, permitted};
use super::answer::{Content, Reply};
use super::audit::Seen;
use super::document::{Document, Which};
use super::interfaces::Api;
use super::refusal::Refusal;
use crate::khs::tokens::is_insurer_no;
use axum::extract::Request;
use axum::http::header::{
    ACCEPT_RANGES, CONTENT_DISPOSITION, CONTENT_RANGE, CONTENT_TYPE, ETAG, IF_RANGE, RANGE,
};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use std::ops::Range;
use std::time::{SystemTime, UNIX_EPOCH};
use tsumiage_pipeline::disk::hex;

/// Seconds since 1970.
pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// The path of an insurer's file.
pub fn path_of(file_path: &str, insurer_no: &str) -> String {
    format!("{file_path}/{insurer_no}")
}

/// The file, or the part of it that is wanted.
pub fn download(api: &Api, request: &Request, seen: &mut Seen) -> Result<Reply, Refusal> {
    let (uri, headers) = (request.uri(), request.headers());
    let insurer_no = uri.path().rsplit('/').next().filter(|no| is_insurer_no(no));
    seen.insurer_no = insurer_no.map(str::to_owned);
    let (Some(insurer_no), Some(query)) = (insurer_no, uri.query()) else {
        return Err(Refusal::no_address());
    };
    let by = api.signer.requester(uri.path(), query, now()).ok_or_else(Refusal::no_address)?;
    seen.requester = Some(by.to_owned());
    let today = (api.today)();
    let served = api.state.served();
    let question = Question { owner: by, requester: by, asked: insurer_no };
    let numbers = permitted(&served.unions, question, today);
    let Some(numbers) = numbers.filter(|_| api.state.gate().tokens.has_one(by, today)) else {
        return Err(Refusal::no_address());
    };
    let form = served.form(Which::File);
    let (head, tail, kind) = (form.head.clone(), form.tail.clone(), form.content_type());
    let document = Document::new(served, Which::File, numbers, head, tail);
    let tag = format!("\"{}\"", &hex(&document.digest())[..32]);
    let (length, records) = (document.len(), document.records);
    let part = match request.method() {
        &Method::GET => part(headers, &tag, length),
        _ => Part::Whole, // only a GET has parts
    };
    let name = api.settings.file_name.replace("{insurer_no}", insurer_no);
    let mut told = vec![
        (CONTENT_TYPE, HeaderValue::from_static(kind)),
        (ACCEPT_RANGES, HeaderValue::from_static("bytes")),
        (ETAG, header(&tag)?),
        (CONTENT_DISPOSITION, header(&format!("attachment; filename=\"{name}\""))?),
    ];
    let (status, range) = match part {
        Part::Whole => (StatusCode::OK, 0..length),
        Part::Some(range) => {
            let content = format!("bytes {}-{}/{length}", range.start, range.end - 1);
            told.push((CONTENT_RANGE, header(&content)?));
            (StatusCode::PARTIAL_CONTENT, range)
        }
        Part::Nothing => return Err(Refusal::no_range(length)),
    };
    let content = Content::Slice(Box::new(document.slice(range, api.metrics.bytes.clone())));
    Ok(Reply { status, headers: told, content, succeeded: true, records })
}

fn header(text: &str) -> Result<HeaderValue, Refusal> {
    HeaderValue::from_str(text).map_err(|_| Refusal::fault()) // all is ASCII of ours
}

/// What of a file is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Whole,
    Some(Range<u64>),
    /// Nothing that is there.
    Nothing,
}

/// The part of a file of this tag and length that headers ask for. Several parts at once, units and forms that are not
/// known, and parts of another content than ours: the file is sent whole, as the standard allows.
fn part(headers: &HeaderMap, tag: &str, length: u64) -> Part {
    let mut ranges = headers.get_all(RANGE).iter();
    let (Some(range), None) = (ranges.next(), ranges.next()) else { return Part::Whole };
    if headers.get(IF_RANGE).is_some_and(|wanted| wanted.as_bytes() != tag.as_bytes()) {
        return Part::Whole;
    }
    range.to_str().ok().and_then(|range| wanted(range, length)).unwrap_or(Part::Whole)
}

/// One range; `None` if it is not of a form we know.
fn wanted(range: &str, length: u64) -> Option<Part> {
    let (unit, range) = range.split_once('=')?;
    let (first, last) = range.trim().split_once('-')?;
    // A number with more digits than there are bytes is far behind the end.
    let number = |text: &str| {
        let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        digits.then(|| text.parse::<u64>().unwrap_or(u64::MAX))
    };
    if !unit.trim().eq_ignore_ascii_case("bytes") {
        return None;
    }
    let range = match (first, last) {
        ("", last) => length.saturating_sub(number(last)?)..length,
        (first, "") => number(first)?..length,
        (first, last) => {
            let (first, last) = (number(first)?, number(last)?);
            if last < first {
                return None;
            }
            first..last.saturating_add(1).min(length)
        }
    };
    Some(if range.start >= range.end { Part::Nothing } else { Part::Some(range) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_those_of_the_standard() {
        let part = |range: &str| wanted(range, 100).unwrap_or(Part::Whole);
        for (range, expected) in [
            ("bytes=0-", Part::Some(0..100)),
            ("bytes=0-0", Part::Some(0..1)),
            ("bytes=10-19", Part::Some(10..20)),
            ("Bytes= 10-19 ", Part::Some(10..20)),
            ("bytes=99-200", Part::Some(99..100)),
            ("bytes=-1", Part::Some(99..100)),
            ("bytes=-200", Part::Some(0..100)),
            ("bytes=0-99999999999999999999", Part::Some(0..100)),
            ("bytes=-99999999999999999999", Part::Some(0..100)),
            ("bytes=-0", Part::Nothing),
            ("bytes=100-", Part::Nothing),
            ("bytes=100-200", Part::Nothing),
            ("bytes=99999999999999999999-", Part::Nothing),
            ("bytes=2-1", Part::Whole),
            ("bytes=0-1,3-4", Part::Whole),
            ("bytes=a-", Part::Whole),
            ("bytes=-", Part::Whole),
            ("bytes=+1-2", Part::Whole),
            ("lines=0-1", Part::Whole),
            ("bytes", Part::Whole),
            ("", Part::Whole),
        ] {
            assert_eq!(part(range), expected, "{range}");
        }
        assert_eq!(wanted("bytes=0-", 0), Some(Part::Nothing), "nothing is there");
    }

    #[test]
    fn a_part_of_another_content_is_not_sent() {
        let headers = |range: &str, tag: Option<&str>| {
            let mut headers = HeaderMap::from_iter([(RANGE, range.parse().unwrap())]);
            if let Some(tag) = tag {
                headers.insert(IF_RANGE, tag.parse().unwrap());
            }
            headers
        };
        assert_eq!(part(&headers("bytes=1-", Some("\"a\"")), "\"a\"", 9), Part::Some(1..9));
        assert_eq!(part(&headers("bytes=1-", Some("\"b\"")), "\"a\"", 9), Part::Whole);
        assert_eq!(part(&headers("bytes=1-", Some("W/\"a\"")), "\"a\"", 9), Part::Whole);
        assert_eq!(part(&headers("bytes=1-", None), "\"a\"", 9), Part::Some(1..9));
    }
}
