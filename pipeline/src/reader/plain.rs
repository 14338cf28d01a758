//! The forms nearly all items have: a day of eight digits, and text of single bytes.
//!
//! Promise: whatever is not of these forms gives `None`, and is left to the rules for all forms.

use tsumiage_schemas::Day;

/// Eight digits YYYYMMDD as `Day::from_digits` reads them, all digits at once.
pub(super) fn day(content: &[u8]) -> Option<i32> {
    const HIGH: u64 = u64::from_ne_bytes([0xf0; 8]);
    const THREES: u64 = u64::from_ne_bytes([0x30; 8]);
    let word = u64::from_le_bytes(content.try_into().ok()?);
    // Digits are 0x30 to 0x39: adding six leaves the high half of each as it is.
    let above = word.wrapping_add(u64::from_ne_bytes([6; 8]));
    if word & HIGH != THREES || above & HIGH != THREES {
        return None;
    }
    let digits = word ^ THREES;
    // The first digit of a pair is the lower byte; no byte gets greater than 99.
    let pairs = digits * 10 + (digits >> 8);
    let pair = |at: u32| ((pairs >> (16 * at)) & 0xff) as i32;
    let year = pair(0) * 100 + pair(1);
    if year < 1000 {
        return None;
    }
    Day::from_civil(year, pair(2), pair(3)).map(|day| day.0)
}

/// An item's bytes without a quote at either end; of a day that is all there is to take off.
pub(super) fn unquoted(raw: &[u8]) -> &[u8] {
    match raw {
        [b'"', inner @ .., b'"'] => inner,
        _ => raw,
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
        for text in ["20260910", "20240229", "20260229", "20261301", "20260100", "09991231", "10000101"] {
            assert_eq!(day(text.as_bytes()), Day::from_digits(text.as_bytes()).map(|d| d.0), "{text}");
        }
        for at in 0..8 {
            for b in 0..=255 {
                let mut text = *b"20121212";
                text[at] = b;
                assert_eq!(day(&text), Day::from_digits(&text).map(|d| d.0), "{text:?}");
            }
        }
        assert_eq!((day(b""), day(b"2026091"), day(b"202609100")), (None, None, None));
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
