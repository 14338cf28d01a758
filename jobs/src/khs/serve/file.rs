//! The file behind a download address: who may have it, and which part of it.
//!
//! Promise: an address alone is not enough: on the day of the download the token it was made for must still be good, and
//! its owner may still ask for the insurer. The same content has the same tag, so that a download goes on where it broke
//! off after data were read again, unless they changed.

use super::access::{Question, permitted};
use super::answer::{Content, Reply};
use super::api::Api;
use super::audit::Seen;
use super::document::Document;
use super::refusal::Refusal;
use super::shape::Which;
use super::signing::Claim;
use super::state::Gate;
use crate::khs::tokens::{Token, is_insurer_no};
use axum::http::header::{
    ACCEPT_RANGES, CONTENT_DISPOSITION, CONTENT_RANGE, CONTENT_TYPE, ETAG, IF_RANGE, RANGE,
};
use axum::http::request::Parts;
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
pub fn download(api: &Api, head: &Parts, seen: &mut Seen) -> Result<Reply, Refusal> {
    let gate = api.state.gate();
    let (token, insurer_no) = signed_for(api, &gate, head, seen)?;
    seen.token = Some(token.id.clone());
    gate.rates.count(&token.id).map_err(Refusal::too_often)?;
    let served = api.state.served();
    let question = Question { owner: &token.insurer_no, requester: &token.insurer_no, asked: insurer_no };
    let numbers = permitted(&served.unions, question, (api.today)()).ok_or_else(Refusal::no_address)?;
    let form = served.form(Which::File);
    let (before, behind, kind) = (form.head.clone(), form.tail.clone(), form.content_type());
    let document = Document::new(served, Which::File, numbers, before, behind);
    let tag = format!("\"{}\"", &hex(&document.digest())[..32]);
    let (length, records) = (document.len(), document.records);
    let name = api.settings.file_name.replace("{insurer_no}", insurer_no);
    let mut told = vec![
        (CONTENT_TYPE, HeaderValue::from_static(kind)),
        (ACCEPT_RANGES, HeaderValue::from_static("bytes")),
        (ETAG, header(&tag)?),
        (CONTENT_DISPOSITION, header(&format!("attachment; filename=\"{name}\""))?),
    ];
    let is_get = head.method == Method::GET; // only a GET has parts
    let (status, range) = match if is_get { part(&head.headers, &tag, length) } else { Part::Whole } {
        Part::Whole => (StatusCode::OK, 0..length),
        Part::Some(range) => {
            let content = format!("bytes {}-{}/{length}", range.start, range.end - 1);
            told.push((CONTENT_RANGE, header(&content)?));
            (StatusCode::PARTIAL_CONTENT, range)
        }
        Part::Nothing => return Err(Refusal::no_range(length)),
    };
    if is_get {
        gate.rates.count_people(&token.id, share(records, &range, length)).map_err(Refusal::too_often)?;
    }
    let content = Content::Slice(Box::new(document.slice(range, api.metrics.bytes.clone())));
    Ok(Reply { status, headers: told, content, succeeded: true, records })
}

/// The token that an address was signed for, if that is still good, and the insurer whose file it leads to.
fn signed_for<'a>(
    api: &Api,
    gate: &'a Gate,
    head: &'a Parts,
    seen: &mut Seen,
) -> Result<(&'a Token, &'a str), Refusal> {
    let path = head.uri.path();
    let insurer_no = path.rsplit('/').next().filter(|no| is_insurer_no(no));
    let claim = head.uri.query().and_then(Claim::of);
    seen.insurer_no = insurer_no.map(str::to_owned);
    seen.requester = claim.as_ref().map(|claim| claim.by.to_owned());
    let found = insurer_no.zip(claim).and_then(|(insurer_no, claim)| {
        let mut tokens = gate.tokens.good_of(claim.by, (api.today)());
        let in_time = claim.is_in_time(now(), api.settings.url_seconds);
        let token = tokens.find(|token| api.signer.signed(path, &claim, &token.id))?;
        in_time.then_some((token, insurer_no))
    });
    found.ok_or_else(Refusal::no_address)
}

/// The people that a part of a file tells of, about.
fn share(records: u64, range: &Range<u64>, length: u64) -> u64 {
    let share = u128::from(records) * u128::from(range.end - range.start) / u128::from(length.max(1));
    u64::try_from(share).unwrap_or(u64::MAX) // not more than there are
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
    fn a_part_costs_as_many_people_as_it_tells_of() {
        assert_eq!(share(180_000, &(0..9_000_000), 9_000_000), 180_000);
        assert_eq!(share(180_000, &(0..4_500_000), 9_000_000), 90_000);
        assert_eq!((share(180_000, &(0..1), 9_000_000), share(0, &(0..0), 0)), (0, 0));
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
