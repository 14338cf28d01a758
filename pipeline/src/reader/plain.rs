//! The forms nearly all items have: a day of eight digits, small numbers, codes, words of digits and capital
//! letters, and text of single bytes. Eight bytes are looked at together.
//!
//! Promise: whatever is not of these forms gives `None`, and is left to the rules for all forms.

use tsumiage_schemas::Day;

const ZEROS: u64 = repeated(b'0');

const fn repeated(byte: u8) -> u64 {
    u64::from_ne_bytes([byte; 8])
}

/// The eight bytes from a place in a file, the first in the lowest bits; zeros behind the file's end.
#[inline]
pub(super) fn word(file: &[u8], at: usize) -> u64 {
    match file.get(at..at.saturating_add(8)).and_then(<[u8]>::first_chunk) {
        Some(bytes) => u64::from_le_bytes(*bytes),
        None => last_word(file, at),
    }
}

#[cold]
fn last_word(file: &[u8], at: usize) -> u64 {
    let rest = file.get(at..).unwrap_or_default();
    rest.iter().rev().fold(0, |word, b| word << 8 | u64::from(*b))
}

/// The lowest `len` bytes of a word, 1 to 8; zero digits behind them.
#[inline]
fn padded(word: u64, len: usize) -> u64 {
    let keep = u64::MAX >> (64 - 8 * len);
    (word & keep) | (ZEROS & !keep)
}

/// Whether all bytes are digits.
#[inline]
fn all_digits(word: u64) -> bool {
    const HIGH: u64 = repeated(0xf0);
    // Digits are 0x30 to 0x39: adding six leaves the high half of each as it is.
    word & HIGH == ZEROS && word.wrapping_add(repeated(6)) & HIGH == ZEROS
}

/// Whether all bytes are digits or capital letters.
#[inline]
fn all_word(word: u64) -> bool {
    let from = |least: u8| word.wrapping_add(repeated(0x80 - least)); // of bytes below 0x80
    let inside = (from(b'0') & !from(b'9' + 1)) | (from(b'A') & !from(b'Z' + 1));
    inside & !word & repeated(0x80) == repeated(0x80)
}

/// Eight digits YYYYMMDD as `Day::from_digits` reads them.
#[inline]
pub(super) fn day(word: u64) -> Option<i32> {
    if !all_digits(word) {
        return None;
    }
    let digits = word ^ ZEROS;
    // The first digit of a pair is the lower byte; no byte gets greater than 99.
    let pairs = digits * 10 + (digits >> 8);
    let pair = |at: u32| ((pairs >> (16 * at)) & 0xff) as i32;
    let year = pair(0) * 100 + pair(1);
    if year < 1000 {
        return None;
    }
    Day::from_civil(year, pair(2), pair(3)).map(|day| day.0)
}

/// A number of 1 to 8 digits, which are the lowest bytes of a word.
#[inline]
pub(super) fn number(word: u64, len: usize) -> Option<i32> {
    if !(1..=8).contains(&len) {
        return None;
    }
    // The digits go to the end, zeros before them.
    let digits = (word << (64 - 8 * len)) | (ZEROS >> (8 * (len - 1)) >> 8);
    if !all_digits(digits) {
        return None;
    }
    let pairs = (digits ^ ZEROS).wrapping_mul(10 << 8 | 1) >> 8 & 0x00ff_00ff_00ff_00ff;
    let fours = pairs.wrapping_mul(100 << 16 | 1) >> 16 & 0x0000_ffff_0000_ffff;
    Some((fours.wrapping_mul(10_000 << 32 | 1) >> 32) as i32) // below 100,000,000
}

/// The place of a code of one or two digits in a table of 110 bits.
#[inline]
pub(super) fn code(word: u64, len: usize) -> Option<u32> {
    let digit = |at: u32| ((word >> (8 * at)) as u8).wrapping_sub(b'0') as u32;
    match len {
        1 if digit(0) < 10 => Some(digit(0)),
        2 if digit(0) < 10 && digit(1) < 10 => Some(10 + 10 * digit(0) + digit(1)),
        _ => None,
    }
}

/// A few bytes, up to 8, from a place in a file; zero bytes behind them.
#[inline]
pub(super) fn sixteen(file: &[u8], start: usize, len: usize) -> [u8; 16] {
    let keep = u64::MAX >> (64 - 8 * len.clamp(1, 8));
    u128::from(word(file, start) & keep).to_le_bytes()
}

/// 1 to 16 digits and capital letters, not all of them zeros, from a place in a file; zero bytes behind them.
#[inline]
pub(super) fn short(file: &[u8], start: usize, len: usize) -> Option<[u8; 16]> {
    if !(1..=16).contains(&len) {
        return None;
    }
    let first = padded(word(file, start), len.min(8));
    if !all_word(first) {
        return None;
    }
    if len <= 8 {
        let keep = u64::MAX >> (64 - 8 * len);
        return (first != ZEROS).then(|| u128::from(first & keep).to_le_bytes());
    }
    let second = padded(word(file, start + 8), len - 8);
    if !all_word(second) || (first == ZEROS && second == ZEROS) {
        return None;
    }
    let both = u128::from(second) << 64 | u128::from(first);
    Some((both & (u128::MAX >> (128 - 8 * len))).to_le_bytes())
}

/// An item without a quote at either end, as a range of the file.
#[inline]
pub(super) fn unquoted(file: &[u8], start: usize, end: usize) -> (usize, usize) {
    if end - start > 2 && file[start] == b'"' && file[end - 1] == b'"' {
        (start + 1, end - 1)
    } else {
        (start, end)
    }
}

/// Appends ASCII and half-width kana, which are one byte each; `None`, and `text` in any state behind
/// its former end, at the first other byte.
pub(super) fn push_single_bytes(content: &[u8], text: &mut String) -> Option<()> {
    text.reserve(3 * content.len());
    for &b in content {
        match b {
            0..=0x7f => text.push(char::from(b)),
            // 0xA1 is U+FF61, and so on to 0xDF and U+FF9F.
            0xa1..=0xdf => text.push(char::from_u32(0xff61 - 0xa1 + u32::from(b))?),
            _ => return None,
        }
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use encoding_rs::SHIFT_JIS;

    #[test]
    fn days_are_read_as_everywhere() {
        let read = |text: &[u8]| (day(word(text, 0)), Day::from_digits(text).map(|d| d.0));
        for text in ["20260910", "20240229", "20260229", "20261301", "20260100", "09991231", "10000101"] {
            let (ours, theirs) = read(text.as_bytes());
            assert_eq!(ours, theirs, "{text}");
        }
        for at in 0..8 {
            for b in 0..=255 {
                let mut text = *b"20121212";
                text[at] = b;
                let (ours, theirs) = read(&text);
                assert_eq!(ours, theirs, "{text:?}");
            }
        }
    }

    /// Every byte at every place of texts of every length, with something behind them in the file.
    fn texts(mut each: impl FnMut(&[u8], usize)) {
        for len in 0..=18 {
            for at in 0..len.max(1) {
                for b in 0..=255 {
                    for fill in *b"0159AZ" {
                        let mut text = vec![fill; len];
                        text.get_mut(at).into_iter().for_each(|byte| *byte = b);
                        each(&text, len);
                        each(&[text, b"2,\"*".repeat(4)].concat(), len);
                    }
                }
            }
        }
    }

    #[test]
    fn numbers_codes_and_words_are_what_their_bytes_say() {
        texts(|file, len| {
            let text = &file[..len];
            let digits = len > 0 && text.iter().all(u8::is_ascii_digit);
            let of_digits = || String::from_utf8_lossy(text).parse::<i32>().unwrap_or_default();
            let expected = (digits && len <= 8).then(of_digits);
            assert_eq!(number(word(file, 0), len), expected, "{text:?}");
            let base = if len == 2 { 10 } else { 0 };
            let expected = (digits && len <= 2).then(|| base + of_digits() as u32);
            assert_eq!(code(word(file, 0), len), expected, "{text:?}");
            let is_word = |b: &u8| b.is_ascii_digit() || b.is_ascii_uppercase();
            let fits = (1..=16).contains(&len) && text.iter().all(is_word) && text.iter().any(|b| *b != b'0');
            let found = short(file, 0, len);
            assert_eq!(found.is_some(), fits, "{text:?}");
            if let Some(bytes) = found {
                assert_eq!((&bytes[..len], &bytes[len..]), (text, &[0; 16][len..]));
            }
        });
    }

    #[test]
    fn single_bytes_are_decoded_as_by_the_decoder() {
        for b in 0..=255 {
            let byte = [b];
            let mut text = String::from("x");
            if push_single_bytes(&byte, &mut text).is_some() {
                let decoded = SHIFT_JIS.decode_without_bom_handling_and_without_replacement(&byte);
                assert_eq!(Some(&text[1..]), decoded.as_deref(), "{b:x}");
            }
        }
    }
}
