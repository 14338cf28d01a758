//! CP932 for people: what was sent, and our own words about it, in lists that are sent back.
//!
//! Promise: what comes out is CP932 without control characters, whatever goes in; characters that are
//! CP932, user-defined ones (外字) too, keep their bytes.

use crate::writer::encode;
use encoding_rs::SHIFT_JIS;
use std::collections::HashMap;

/// `…`
const CUT: [u8; 2] = [0x81, 0x63];

/// `〓`, the mark of Japanese typesetting for a character that is not to be had.
const MISSING: [u8; 2] = [0x81, 0xac];

/// An item's bytes as sent, made legible: what is no character of CP932, and control characters, become
/// `\x81`; what is behind `most` characters is cut (…).
///
/// ```
/// use tsumiage_pipeline::legible::legible;
/// assert_eq!(legible(b"a\xff\x82\xa0\n", 9), b"a\\xff\x82\xa0\\x0a");
/// assert_eq!(legible(b"abc", 2), b"ab\x81\x63");
/// ```
pub fn legible(content: &[u8], most: usize) -> Vec<u8> {
    let mut shown = Vec::with_capacity(content.len().min(4 * most) + CUT.len());
    let mut rest = content;
    for _ in 0..most {
        let Some(&first) = rest.first() else { return shown };
        let length = character(rest);
        match length {
            0 => shown.extend_from_slice(format!("\\x{first:02x}").as_bytes()),
            length => shown.extend_from_slice(&rest[..length]),
        }
        rest = &rest[length.max(1)..];
    }
    if !rest.is_empty() {
        shown.extend_from_slice(&CUT);
    }
    shown
}

/// Bytes of the character that these bytes begin with; 0 if it is none or a control character.
fn character(bytes: &[u8]) -> usize {
    match bytes {
        [b' '..=b'~' | 0xa1..=0xdf, ..] => 1,
        [0x81..=0x9f | 0xe0..=0xfc, _, ..] => {
            let pair = SHIFT_JIS.decode_without_bom_handling_and_without_replacement(&bytes[..2]);
            if pair.is_some_and(|text| text.chars().count() == 1) { 2 } else { 0 }
        }
        _ => 0,
    }
}

/// Encodes our own words. It remembers what characters it met: to look for a kanji's bytes takes the
/// library long.
#[derive(Default)]
pub struct Encoder {
    known: HashMap<char, Vec<u8>>,
}

impl Encoder {
    /// Text as CP932: a character it does not have becomes 〓, a control character `\x0a`.
    pub fn legible(&mut self, text: &str) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(text.len());
        for c in text.chars() {
            bytes.extend_from_slice(self.known.entry(c).or_insert_with(|| encoded(c)));
        }
        bytes
    }
}

fn encoded(c: char) -> Vec<u8> {
    if c.is_control() {
        return format!("\\x{:02x}", u32::from(c)).into_bytes();
    }
    let mut bytes = Vec::new();
    match encode(c.encode_utf8(&mut [0; 4]), &mut bytes) {
        Ok(()) => bytes,
        Err(_) => MISSING.to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pair_of_bytes_stays_or_is_escaped() {
        let (mut kept, mut user_defined) = (0, 0);
        for (a, b) in (0..=255).flat_map(|a| (0..=255).map(move |b| (a, b))) {
            let shown = legible(&[a, b], 9);
            let text = SHIFT_JIS.decode_without_bom_handling_and_without_replacement(&shown);
            let text = text.unwrap_or_else(|| panic!("{a:x} {b:x} is shown as {shown:x?}"));
            assert!(!text.chars().any(char::is_control), "{a:x} {b:x}");
            if shown == [a, b] && text.chars().count() == 1 {
                kept += 1;
                user_defined += usize::from(text.chars().all(|c| ('\u{e000}'..='\u{e757}').contains(&c)));
                continue;
            }
            let of =
                |byte: u8| if character(&[byte]) == 1 { vec![byte] } else { format!("\\x{byte:02x}").into() };
            assert_eq!(shown, [of(a), of(b)].concat(), "{a:x} {b:x}");
        }
        // JIS X 0208, NEC row 13, NEC selected IBM and IBM extensions, and the user-defined ones.
        assert_eq!((kept, user_defined), (6_879 + 83 + 374 + 388 + 1_880, 1_880));
    }

    #[test]
    fn cut_after_characters_not_bytes() {
        assert_eq!(legible(b"\x82\xa0\x82\xa0\xff", 3), b"\x82\xa0\x82\xa0\\xff");
        assert_eq!(legible(b"\x82\xa0\x82\xa0\xff", 2), b"\x82\xa0\x82\xa0\x81\x63");
        assert_eq!(legible(b"\x82", 1), b"\\x82", "half a character");
        assert_eq!(legible(b"", 0), b"");
        assert_eq!(legible(&vec![b'x'; 1 << 20], 200).len(), 202);
    }

    #[test]
    fn our_own_words() {
        assert_eq!(Encoder::default().legible("ｱ🙂\u{e000}\na"), b"\xb1\x81\xac\xf0\x40\\x0aa");
    }
}
