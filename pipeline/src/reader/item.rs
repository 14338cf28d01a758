//! One item: which of its three states it is in (domain 2), and the first rule it breaks.
//!
//! Promise: at most one error per item, by the order R07, R06, R02 or R09, R05, then the rule of its
//! kind; nothing is allocated, and bytes are decoded only where one is 0x80 or more.

use super::compiled::{Column, Compiled, Role};
use super::plain;
use encoding_rs::{DecoderResult, SHIFT_JIS};
use std::ops::Range;
use tsumiage_schemas::finding::Code;
use tsumiage_schemas::{Day, Kind, Month};

/// Classes of bytes, as bits.
const DIGIT: u16 = 1;
const UPPER: u16 = 2;
const LOWER: u16 = 4;
const SPACE: u16 = 8;
const STAR: u16 = 16;
const ZERO: u16 = 32;
const FORBIDDEN: u16 = 64;
/// 0x80 or more.
const HIGH: u16 = 128;
/// High, and not half-width kana: these take a decoder.
const WIDE: u16 = 256;

const CLASSES: [u16; 256] = {
    let mut classes = [0; 256];
    let mut b = 0;
    while b < 256 {
        classes[b] = match b as u8 {
            0..=0x1f | 0x7f | b'\'' => FORBIDDEN,
            b'0' => DIGIT | ZERO,
            b'1'..=b'9' => DIGIT,
            b'A'..=b'Z' => UPPER,
            b'a'..=b'z' => LOWER,
            b' ' => SPACE,
            b'*' => STAR,
            0xa1..=0xdf => HIGH,
            0x80.. => HIGH | WIDE,
            _ => 0,
        };
        b += 1;
    }
    classes
};

/// A value as it goes into a fact.
#[derive(Clone, Debug)]
pub(super) enum Value<'f> {
    /// A date or month in days, or an integer.
    Number(i32),
    /// ASCII bytes of the file.
    Ascii(&'f [u8]),
    /// So many ASCII bytes, zeros behind them.
    Short([u8; 16], u8),
    /// Text in [`Scratch::text`].
    Decoded(Range<usize>),
}

/// The three states of an item.
#[derive(Clone, Debug)]
pub(super) enum State<'f> {
    Blank,
    Cleared,
    Value(Value<'f>),
}

/// What is to be said of one item.
pub(super) struct Checked<'f> {
    pub state: State<'f>,
    pub fault: Option<Code>,
    /// R13: lower-case or full-width characters.
    pub unusual: bool,
    /// R07 as a warning: user-defined characters.
    pub user_defined: bool,
    /// R11: check digit fails.
    pub check_digit_fails: bool,
}

impl<'f> Checked<'f> {
    /// An item that breaks no rule.
    fn of(state: State<'f>) -> Checked<'f> {
        Checked { state, fault: None, unusual: false, user_defined: false, check_digit_fails: false }
    }
}

/// Buffers used again for every record.
#[derive(Default)]
pub(super) struct Scratch {
    /// The content of an item with doubled quotes.
    unescaped: Vec<u8>,
    /// Decoded text of the record's items; cleared per record.
    pub text: String,
}

/// The content of an item without its quotes: a part of the file, or `None` where quotes had to be
/// taken out of it; then it is in `unescaped`.
#[inline]
pub(super) fn unquote<'f>(raw: &'f [u8], unescaped: &mut Vec<u8>) -> Option<&'f [u8]> {
    match raw.strip_prefix(b"\"") {
        None => Some(raw),
        Some(body) => unquote_body(body, unescaped),
    }
}

/// What follows the opening quote, without quotes.
fn unquote_body<'f>(body: &'f [u8], unescaped: &mut Vec<u8>) -> Option<&'f [u8]> {
    match body.iter().position(|b| *b == b'"') {
        None => return Some(body), // never closed
        Some(at) if at + 1 == body.len() => return Some(&body[..at]),
        Some(_) => {}
    }
    unescaped.clear();
    let mut rest = body;
    while let Some((&b, after)) = rest.split_first() {
        rest = after;
        if b == b'"' {
            if rest.first() != Some(&b'"') {
                if !rest.is_empty() && ends_in_lead_byte(unescaped) {
                    unescaped.pop();
                    unescaped.push(0xff); // half a character; it must not become one with what follows
                }
                unescaped.extend_from_slice(rest); // what follows the closing quote is literal
                break;
            }
            rest = &rest[1..];
        }
        unescaped.push(b);
    }
    None
}

/// Whether the last byte is the first of a character of two bytes.
fn ends_in_lead_byte(content: &[u8]) -> bool {
    let is_lead = |b: &u8| matches!(b, 0x81..=0x9f | 0xe0..=0xfc);
    content.iter().fold(false, |open, b| !open && is_lead(b))
}

/// The content of an item as bytes of its own; for the few items where speed is no matter.
pub(super) fn content(raw: &[u8]) -> Vec<u8> {
    let mut unescaped = Vec::new();
    unquote(raw, &mut unescaped).map_or_else(|| unescaped.clone(), <[u8]>::to_vec)
}

/// Whether an item's content only stands for the line end, as a profile tolerates it.
pub(super) fn is_line_end_text(compiled: &Compiled, raw: &[u8]) -> bool {
    !compiled.line_end_texts.is_empty() && compiled.line_end_texts.contains(&content(raw))
}

/// Whether an item's content is empty or half-width spaces only.
pub(super) fn is_blank(raw: &[u8]) -> bool {
    match raw {
        [] => true,
        [b'"', inner @ .., b'"'] => inner.iter().all(|b| *b == b' '),
        _ => raw.iter().all(|b| *b == b' '),
    }
}

/// A number as the envelope and record numbers have it: digits only, with any zeros before them.
pub(super) fn number(content: &[u8]) -> Option<i64> {
    if content.is_empty() {
        return None;
    }
    content.iter().try_fold(0i64, |n, b| {
        let digit = b.is_ascii_digit().then(|| i64::from(b - b'0'))?;
        n.checked_mul(10)?.checked_add(digit)
    })
}

/// Checks one item that has at least one byte.
pub(super) fn check<'f>(
    column: &Column,
    raw: &'f [u8],
    unclosed: bool,
    scratch: &mut Scratch,
) -> Checked<'f> {
    let in_file = unquote(raw, &mut scratch.unescaped);
    let content = in_file.unwrap_or(&scratch.unescaped);
    let (mut all, mut any) = (u16::MAX, 0);
    for b in content {
        let class = CLASSES[usize::from(*b)];
        all &= class;
        any |= class;
    }
    let mut checked = Checked::of(State::Blank);
    checked.unusual = any & LOWER != 0 && column.reported.lower_case;
    let forbidden = unclosed || any & FORBIDDEN != 0;
    if any & HIGH != 0 {
        check_decoded(column, content, any, forbidden, &mut scratch.text, &mut checked);
    } else {
        check_ascii(column, content, in_file, (all, any), &mut scratch.text, &mut checked);
        checked.fault = if forbidden { Some(Code::R06) } else { checked.fault };
    }
    checked
}

fn check_ascii<'f>(
    column: &Column,
    content: &[u8],
    in_file: Option<&'f [u8]>,
    (all, any): (u16, u16),
    text: &mut String,
    checked: &mut Checked<'f>,
) {
    if content.is_empty() || all & SPACE != 0 {
        return;
    }
    if all & STAR != 0 {
        match (column.clear.star, column.key) {
            (true, _) => checked.state = State::Cleared,
            (false, true) => checked.fault = Some(Code::R02),
            (false, false) => checked.fault = Some(Code::R09),
        }
        return;
    }
    if all & ZERO != 0 {
        if column.clear.zeros {
            checked.state = State::Cleared;
            return;
        }
        if column.zeros_are_blank && !column.codes.as_ref().is_some_and(|codes| codes.contains(content)) {
            return;
        }
    }
    // Only the start is cut, so that a part of the file stays a part of the file.
    let eight = column.eight_for_six && content.len() == 8 && all & DIGIT != 0 && content.starts_with(b"00");
    let cut = if eight { 2 } else { 0 };
    let content = &content[cut..];
    let (fault, number) = judge(column, content, all, any);
    checked.fault = fault;
    let keep = |text: &mut String| match in_file {
        Some(part) => Value::Ascii(&part[cut..]),
        None => {
            let start = text.len();
            text.extend(content.iter().map(|b| char::from(*b)));
            Value::Decoded(start..text.len())
        }
    };
    checked.state = match (number, column.kind) {
        _ if fault == Some(Code::R02) => State::Blank, // a malformed number is nobody's
        (Some(number), _) => State::Value(Value::Number(number)),
        (None, Kind::Date | Kind::Month | Kind::Integer) => State::Blank,
        (None, _) => State::Value(keep(text)),
    };
    checked.check_digit_fails = column.check_digits.is_some_and(|rules| !rules.hold(content));
}

/// The first rule a value of ASCII characters breaks, and the number it stands for.
fn judge(column: &Column, content: &[u8], all: u16, any: u16) -> (Option<Code>, Option<i32>) {
    let malformed = match column.role {
        Role::InsurerNo | Role::Member => content.len() != 6 || all & DIGIT == 0,
        Role::InsuredNo => content.len() != 10 || any & !(DIGIT | ZERO | UPPER | LOWER) != 0,
        _ => false,
    };
    if malformed {
        return (Some(Code::R02), None);
    }
    let number = match column.kind {
        Kind::Date => Day::from_digits(content).map(|day| day.0),
        Kind::Month => Month::from_digits(content).map(|month| month.first_day().0),
        Kind::Integer => number(content).and_then(|n| i32::try_from(n).ok()),
        _ => None,
    };
    if content.len() > column.width {
        return (Some(Code::R05), number);
    }
    let broken = match column.kind {
        Kind::Date | Kind::Month => number.is_none().then_some(Code::R03),
        Kind::Integer => number.is_none().then_some(Code::R08),
        Kind::Decimal => (!is_decimal(content)).then_some(Code::R08),
        _ => match &column.codes {
            Some(codes) => (!codes.contains(content)).then_some(Code::R04),
            None => None,
        },
    };
    (broken, number)
}

fn is_decimal(content: &[u8]) -> bool {
    let mut dots = 0;
    let fits = |b: &u8| {
        dots += u8::from(*b == b'.');
        b.is_ascii_digit() || (*b == b'.' && dots == 1)
    };
    content.iter().all(fits) && content.iter().any(u8::is_ascii_digit)
}

/// Checks an item with bytes of 0x80 or more and decodes it behind `text`.
fn check_decoded<'f>(
    column: &Column,
    content: &[u8],
    any: u16,
    forbidden: bool,
    text: &mut String,
    checked: &mut Checked<'f>,
) {
    let start = text.len();
    let mut control = any & FORBIDDEN != 0;
    checked.unusual |= column.reported.half_width_kana;
    if any & WIDE != 0 || plain::push_single_bytes(content, text).is_none() {
        text.truncate(start);
        if !decode(content, text) {
            checked.unusual = false;
            checked.fault = Some(Code::R07);
            return;
        }
        let decoded = &text[start..];
        let reported = column.reported;
        checked.unusual = decoded.chars().any(|c| match c {
            'a'..='z' => reported.lower_case,
            '\u{ff61}'..='\u{ff9f}' => reported.half_width_kana,
            c => reported.full_width && !c.is_ascii(),
        });
        checked.user_defined = decoded.chars().any(|c| ('\u{e000}'..='\u{f8ff}').contains(&c));
        control = decoded.chars().any(char::is_control);
    }
    let decoded = &text[start..];
    checked.state = match column.kind {
        Kind::Date | Kind::Month | Kind::Integer => State::Blank,
        _ if column.is_number() => State::Blank,
        _ => State::Value(Value::Decoded(start..text.len())),
    };
    checked.fault = if forbidden || control {
        Some(Code::R06)
    } else if column.is_number() {
        Some(Code::R02)
    } else if content.len() > column.width {
        Some(Code::R05)
    } else {
        match column.kind {
            Kind::Date | Kind::Month => Some(Code::R03),
            Kind::Integer | Kind::Decimal => Some(Code::R08),
            _ => {
                let known = column.codes.as_ref().is_none_or(|codes| codes.contains(decoded.as_bytes()));
                (!known).then_some(Code::R04)
            }
        }
    };
}

/// Decodes CP932 behind `text`; false, and `text` as it was, where a byte is not CP932. User-defined
/// characters (外字) go to the private use area.
fn decode(content: &[u8], text: &mut String) -> bool {
    let start = text.len();
    let mut decoder = SHIFT_JIS.new_decoder_without_bom_handling();
    text.reserve(decoder.max_utf8_buffer_length_without_replacement(content.len()).unwrap_or(0));
    let (result, _) = decoder.decode_to_string_without_replacement(content, text, true);
    if result != DecoderResult::InputEmpty {
        text.truncate(start);
        return false;
    }
    true
}

/// Text for messages: what cannot be decoded or printed is escaped, and it is cut at 40 characters.
pub(super) fn printable(content: &[u8]) -> String {
    let content = &content[..content.len().min(200)];
    let mut text = String::new();
    if !decode(content, &mut text) {
        text = SHIFT_JIS.decode_without_bom_handling(content).0.into_owned();
    }
    let mut shown = String::new();
    for (n, c) in text.chars().enumerate() {
        if n == 40 {
            shown.push('…');
            break;
        }
        if c.is_control() {
            shown.extend(c.escape_default());
        } else {
            shown.push(c);
        }
    }
    shown
}
