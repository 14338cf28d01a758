//! Where the separators of a file are, as bits: 64 bytes are looked at together.
//!
//! Promise: bit i of a mask tells of byte i of the block, whatever the machine; [`Masks::by_bytes`] says the
//! same one byte at a time and is what [`Masks::of`] is held against.

use wide::u8x16;

/// Bytes of a block: one bit each in a mask.
pub(super) const BLOCK: usize = 64;

/// The bytes of a block that a scanner stops at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Masks {
    pub commas: u64,
    pub quotes: u64,
    /// Line feeds.
    pub feeds: u64,
}

impl Masks {
    /// The masks of a block, sixteen bytes at once.
    #[inline]
    pub fn of(block: &[u8; BLOCK]) -> Masks {
        let mut masks = Masks::default();
        let (sixteens, _) = block.as_chunks::<16>();
        for (at, sixteen) in sixteens.iter().enumerate() {
            let lanes = u8x16::new(*sixteen);
            let hits = |byte: u8| u64::from(lanes.simd_eq(u8x16::splat(byte)).to_bitmask()) << (16 * at);
            masks.commas |= hits(b',');
            masks.quotes |= hits(b'"');
            masks.feeds |= hits(b'\n');
        }
        masks
    }

    /// The masks of the block that begins there in a file; what lies behind its end is no separator.
    #[inline]
    pub fn at(bytes: &[u8], start: usize) -> Masks {
        let rest = bytes.get(start..).unwrap_or_default();
        match rest.first_chunk() {
            Some(block) => Masks::of(block),
            None => Masks::at_end(rest),
        }
    }

    #[cold]
    fn at_end(rest: &[u8]) -> Masks {
        let mut block = [0; BLOCK];
        block[..rest.len()].copy_from_slice(rest);
        Masks::of(&block)
    }

    /// What [`Masks::of`] gives, one byte at a time.
    #[cfg(test)]
    fn by_bytes(block: &[u8; BLOCK]) -> Masks {
        let hits = |byte: u8| (0..BLOCK).fold(0, |mask, at| mask | u64::from(block[at] == byte) << at);
        Masks { commas: hits(b','), quotes: hits(b'"'), feeds: hits(b'\n') }
    }
}

/// The bits below bit `at` of 0 to 63.
#[inline]
pub(super) fn below(at: u32) -> u64 {
    (1 << at) - 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_byte_at_every_place() {
        for at in 0..BLOCK {
            for byte in 0..=255 {
                let mut block = [b'x'; BLOCK];
                block[at] = byte;
                assert_eq!(Masks::of(&block), Masks::by_bytes(&block), "{byte} at {at}");
            }
        }
    }

    proptest! {
        #[test]
        fn as_by_bytes(bytes in prop::collection::vec(prop::sample::select(&b"\"\",,\n\r2\x81\xac\x8a\x00"[..]), 0..200)) {
            for start in 0..bytes.len() + 70 {
                let mut block = [0; BLOCK];
                let rest = bytes.get(start..).unwrap_or_default();
                let count = rest.len().min(BLOCK);
                block[..count].copy_from_slice(&rest[..count]);
                prop_assert_eq!(Masks::at(&bytes, start), Masks::by_bytes(&block));
            }
        }
    }
}
