//! Parquet's hybrid of runs and packed bits, written from numbers.
//!
//! Promise: runs are found in groups of eight, so that both kinds always hold whole groups but the last.

/// Bits that the numbers 0 to `most` need; at least one, since not every reader knows none.
pub(super) fn width(most: u32) -> u32 {
    (32 - most.leading_zeros()).max(1)
}

/// Appends numbers of at most `width` bits.
pub(super) fn encode(numbers: &[u32], width: u32, out: &mut Vec<u8>) {
    let (groups, rest) = numbers.as_chunks::<8>();
    let mut packed = 0; // first group that is not written yet
    let mut at = 0;
    while at < groups.len() {
        let Some(value) = only(&groups[at]) else {
            at += 1;
            continue;
        };
        let mut end = at + 1;
        while end < groups.len() && groups[end] == [value; 8] {
            end += 1;
        }
        pack(&groups[packed..at], width, out);
        let mut count = 8 * (end - at);
        if end == groups.len() && rest.iter().all(|number| *number == value) {
            count += rest.len();
            run(value, count, width, out);
            return;
        }
        run(value, count, width, out);
        (at, packed) = (end, end);
    }
    if rest.is_empty() {
        return pack(&groups[packed..], width, out);
    }
    if rest.iter().all(|number| *number == rest[0]) {
        pack(&groups[packed..], width, out);
        return run(rest[0], rest.len(), width, out);
    }
    let mut last = [0; 8];
    last[..rest.len()].copy_from_slice(rest);
    header(((groups.len() - packed + 1) << 1 | 1) as u64, out);
    groups[packed..].iter().chain([&last]).for_each(|group| pack_group(group, width, out));
}

/// Appends the same number `count` times.
pub(super) fn run(value: u32, count: usize, width: u32, out: &mut Vec<u8>) {
    header((count as u64) << 1, out);
    out.extend_from_slice(&value.to_le_bytes()[..width.div_ceil(8) as usize]);
}

/// Appends bits that are packed already, for `count` numbers of one bit.
pub(super) fn bits(bits: &[u8], out: &mut Vec<u8>) {
    header((bits.len() as u64) << 1 | 1, out);
    out.extend_from_slice(bits);
}

fn only(group: &[u32; 8]) -> Option<u32> {
    let other = group.iter().fold(0, |other, number| other | (number ^ group[0]));
    (other == 0).then_some(group[0])
}

fn pack(groups: &[[u32; 8]], width: u32, out: &mut Vec<u8>) {
    if !groups.is_empty() {
        header((groups.len() as u64) << 1 | 1, out);
        out.reserve(groups.len() * width as usize + 16);
        groups.iter().for_each(|group| pack_group(group, width, out));
    }
}

/// Eight numbers are `width` bytes.
#[inline]
fn pack_group(group: &[u32; 8], width: u32, out: &mut Vec<u8>) {
    let end = out.len() + width as usize;
    if width <= 8 {
        let word = group.iter().rev().fold(0u64, |word, number| word << width | u64::from(*number));
        out.extend_from_slice(&word.to_le_bytes());
        return out.truncate(end);
    }
    if width <= 16 {
        let half = |numbers: &[u32]| {
            numbers.iter().rev().fold(0u64, |word, number| word << width | u64::from(*number))
        };
        let word = u128::from(half(&group[..4])) | u128::from(half(&group[4..])) << (4 * width);
        out.extend_from_slice(&word.to_le_bytes());
        return out.truncate(end);
    }
    let (mut held, mut bits) = (0u64, 0);
    for number in group {
        held |= u64::from(*number) << bits;
        bits += width;
        while bits >= 8 {
            out.push(held as u8);
            held >>= 8;
            bits -= 8;
        }
    }
}

/// An unsigned number in seven bits a byte.
fn header(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads what was encoded, written from the format's description.
    fn decode(mut bytes: &[u8], width: u32, count: usize) -> Vec<u32> {
        let mut numbers = Vec::new();
        while numbers.len() < count {
            let (mut header, mut shift) = (0u64, 0);
            loop {
                let byte = bytes[0];
                bytes = &bytes[1..];
                header |= u64::from(byte & 0x7f) << shift;
                shift += 7;
                if byte & 0x80 == 0 {
                    break;
                }
            }
            if header & 1 == 0 {
                let (value, rest) = bytes.split_at(width.div_ceil(8) as usize);
                let value = value.iter().rev().fold(0, |value, byte| value << 8 | u32::from(*byte));
                numbers.extend(std::iter::repeat_n(value, (header >> 1) as usize));
                bytes = rest;
                continue;
            }
            let (packed, rest) = bytes.split_at((header >> 1) as usize * width as usize);
            let bit = |at: usize| u32::from(packed[at / 8] >> (at % 8) & 1);
            let number =
                |n: usize| (0..width as usize).map(|at| bit(n * width as usize + at) << at).sum::<u32>();
            numbers.extend((0..(header >> 1) as usize * 8).map(number));
            bytes = rest;
        }
        assert!(bytes.is_empty());
        numbers.truncate(count);
        numbers
    }

    #[test]
    fn every_width_and_length_comes_back() {
        for bits in 1..=32 {
            let most = u32::MAX >> (32 - bits);
            assert_eq!(width(most), bits);
            for length in 0..70usize {
                for runs in [1usize, 3, 8, 11, 24, 100] {
                    let number = |at: usize| {
                        ((at / runs) as u32).wrapping_mul(2_654_435_761).rotate_left(at as u32 / 9) & most
                    };
                    let numbers: Vec<u32> = (0..length).map(number).collect();
                    let mut out = Vec::new();
                    encode(&numbers, bits, &mut out);
                    assert_eq!(
                        decode(&out, bits, length),
                        numbers,
                        "{bits} bits, {length} numbers, runs of {runs}"
                    );
                }
            }
        }
        assert_eq!((width(0), width(1), width(2), width(255), width(256)), (1, 1, 2, 8, 9));
    }
}
