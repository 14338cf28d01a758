//! Names in half-width kana, as CP932 bytes.

use super::rng::Rng;

const FAMILY: &[&str] = &[
    "ｻﾄｳ",
    "ｽｽﾞｷ",
    "ﾀｶﾊｼ",
    "ﾀﾅｶ",
    "ｲﾄｳ",
    "ﾜﾀﾅﾍﾞ",
    "ﾔﾏﾓﾄ",
    "ﾅｶﾑﾗ",
    "ｺﾊﾞﾔｼ",
    "ｶﾄｳ",
    "ﾖｼﾀﾞ",
    "ﾔﾏﾀﾞ",
    "ｻｻｷ",
    "ﾔﾏｸﾞﾁ",
    "ﾏﾂﾓﾄ",
    "ｲﾉｳｴ",
    "ｷﾑﾗ",
    "ﾊﾔｼ",
    "ｻｲﾄｳ",
    "ｼﾐｽﾞ",
    "ﾔﾏｻﾞｷ",
    "ﾓﾘ",
    "ｲｹﾀﾞ",
    "ﾊｼﾓﾄ",
    "ｱﾍﾞ",
    "ｲｼｶﾜ",
    "ﾔﾏｼﾀ",
    "ﾅｶｼﾞﾏ",
    "ｲｼｲ",
    "ｵｶﾞﾜ",
    "ﾏｴﾀﾞ",
    "ｵｶﾀﾞ",
    "ﾊｾｶﾞﾜ",
    "ﾌｼﾞﾀ",
    "ｺﾞﾄｳ",
    "ｺﾝﾄﾞｳ",
    "ﾑﾗｶﾐ",
    "ｴﾝﾄﾞｳ",
    "ｱｵｷ",
    "ｻｶﾓﾄ",
];
const MEN: &[&str] = &[
    "ｷﾖｼ",
    "ｲｻﾑ",
    "ﾀｹｼ",
    "ｼｹﾞﾙ",
    "ﾋﾛｼ",
    "ﾏｻｵ",
    "ｶｽﾞｵ",
    "ﾐﾉﾙ",
    "ﾀﾞｲｻｸ",
    "ﾖｼｵ",
    "ｻﾌﾞﾛｳ",
    "ｹﾝｼﾞ",
    "ﾄｼｵ",
    "ｱｷﾗ",
    "ﾏｺﾄ",
    "ﾂﾄﾑ",
];
const WOMEN: &[&str] = &[
    "ｶｽﾞｺ",
    "ｻﾁｺ",
    "ﾖｼｺ",
    "ﾊﾅ",
    "ﾌﾐｺ",
    "ﾄｼｺ",
    "ﾐﾂ",
    "ﾁﾖ",
    "ｷﾐｺ",
    "ﾋｻｺ",
    "ﾉﾌﾞｺ",
    "ｽﾐｺ",
    "ｾﾂｺ",
    "ﾏｻｺ",
    "ﾃﾙｺ",
    "ｴｲｺ",
    "ﾄﾒ",
    "ｳﾒﾉ",
];

/// The names as bytes.
pub(super) struct Names {
    family: Vec<Vec<u8>>,
    given: [Vec<Vec<u8>>; 2],
}

/// Half-width kana stand at 0xA1 to 0xDF in CP932, in the order of U+FF61 to U+FF9F.
fn bytes(names: &[&str]) -> Vec<Vec<u8>> {
    let one = |c: char| (c as u32).wrapping_sub(0xFF61 - 0xA1) as u8;
    names.iter().map(|name| name.chars().map(one).collect()).collect()
}

impl Names {
    /// Converts the names.
    pub(super) fn new() -> Names {
        Names { family: bytes(FAMILY), given: [bytes(MEN), bytes(WOMEN)] }
    }

    /// A name of a man or woman in quotes (it holds a space); returns its length in `space`.
    pub(super) fn draw(&self, rng: &mut Rng, woman: bool, space: &mut [u8; 30]) -> usize {
        let family = rng.one(&self.family);
        let given = rng.one(&self.given[usize::from(woman)]);
        let mut at = 0;
        for part in [b"\"".as_slice(), family, b" ", given, b"\""] {
            space[at..at + part.len()].copy_from_slice(part);
            at += part.len();
        }
        at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_cp932() {
        for name in FAMILY.iter().chain(MEN).chain(WOMEN) {
            let (cp932, _, failed) = encoding_rs::SHIFT_JIS.encode(name);
            assert!(!failed);
            assert_eq!(bytes(&[name])[0], cp932.as_ref());
            assert!(cp932.len() <= 12);
        }
    }
}
