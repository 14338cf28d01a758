//! Numbers that look random and depend on nothing but their keys (SplitMix64). Own code because the
//! bytes of a data set must stay the same when a crate changes its generator.

/// A generator; small enough to make one per person.
pub(super) struct Rng(u64);

const STEP: u64 = 0x9E37_79B9_7F4A_7C15;

fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

impl Rng {
    /// The generator of these keys: same keys, same numbers.
    pub(super) fn keyed(keys: &[u64]) -> Rng {
        Rng(keys.iter().fold(STEP, |state, key| mix(state ^ mix(key.wrapping_add(STEP)))))
    }

    /// The next 64 bits.
    pub(super) fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(STEP);
        mix(self.0)
    }

    /// A number from 0 to `n - 1`; 0 for `n` = 0.
    pub(super) fn below(&mut self, n: u32) -> u32 {
        (((self.draw() >> 32) * u64::from(n)) >> 32) as u32
    }

    /// True `times` times in 1,000.
    pub(super) fn per_mille(&mut self, times: u32) -> bool {
        self.below(1_000) < times
    }

    /// One of the choices, which must not be empty.
    pub(super) fn one<'a, T>(&mut self, choices: &'a [T]) -> &'a T {
        &choices[self.below(choices.len() as u32) as usize]
    }
}
