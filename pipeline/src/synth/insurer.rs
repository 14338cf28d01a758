//! The insurers: numbers with valid check digits, sizes from a few large to many small, habits.

use super::SynthOptions;
use super::rng::Rng;
use tsumiage_schemas::rules::CheckDigits;

/// The first municipality of prefecture 14; further prefectures follow when it is full.
const FIRST: u32 = 14_100;
/// The union: no municipality, and before all of them.
const UNION: u32 = 14_099;

/// One insurer and its habits.
pub(super) struct Insurer {
    /// Key of its random numbers.
    pub(super) key: u64,
    /// Six digits.
    pub(super) number: [u8; 6],
    /// Number of people it ever has.
    pub(super) recipients: u64,
    /// How far its insured numbers are moved, so that those of a union are unique.
    first_insured: u64,
    /// Sends every item that has a value, not only the changed ones.
    pub(super) full: bool,
    /// Quotes every item, not only those that need it.
    pub(super) quote_all: bool,
    /// Dates a renewal on the decision, before the new period begins (as the seed 1.4 does).
    pub(super) renews_early: bool,
    /// Providers that make care plans, 10 digits.
    pub(super) providers: Vec<[u8; 10]>,
    /// Providers that make prevention plans, 10 digits.
    pub(super) prevention_providers: Vec<[u8; 10]>,
}

/// The number with the check digit that makes it valid as its last digit.
fn checked<const N: usize>(body: u64) -> [u8; N] {
    let mut number = [b'0'; N];
    let mut rest = body;
    for place in number[..N - 1].iter_mut().rev() {
        *place = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    for digit in (b'0'..=b'9').rev() {
        number[N - 1] = digit;
        // Municipality codes are modulus 11; the rule's other half, modulus 10, is for providers.
        let by_eleven = || number[N - 1] == municipality_digit(&number[..N - 1]);
        if CheckDigits::BOTH.hold(&number) && (N != 6 || by_eleven()) {
            break;
        }
    }
    number
}

fn municipality_digit(body: &[u8]) -> u8 {
    let sum: u32 = body.iter().rev().zip(2..).map(|(b, weight)| u32::from(b - b'0') * weight).sum();
    b'0' + ((11 - sum % 11) % 10) as u8
}

/// The number of the union.
pub(super) fn union_number() -> [u8; 6] {
    checked(u64::from(UNION))
}

/// All insurers, ascending by number. Their people sum up to `options.recipients`; nobody has none.
pub(super) fn insurers(options: &SynthOptions) -> Vec<Insurer> {
    let count = u64::from(options.insurers).min(options.recipients);
    let mut ranks: Vec<(u64, u64)> =
        (0..count).map(|n| (Rng::keyed(&[options.seed, 1, n]).draw(), n)).collect();
    ranks.sort_unstable();
    let mut weights = vec![0u64; count as usize];
    for (rank, (_, n)) in ranks.into_iter().enumerate() {
        weights[n as usize] = 1_000_000_000 / (rank as u64 + 3);
    }
    let total = u128::from(weights.iter().sum::<u64>().max(1));
    let spare = u128::from(options.recipients - count);
    let mut before = 0u128;
    let mut people = 0;
    let mut insurer = |(n, weight): (usize, u64)| {
        let given = spare * before / total;
        before += u128::from(weight);
        let recipients = 1 + (spare * before / total - given) as u64;
        let first_insured = if options.union { people } else { 0 };
        people += recipients;
        Insurer { first_insured, ..Insurer::new(options, n as u32, recipients) }
    };
    weights.into_iter().enumerate().map(&mut insurer).collect()
}

impl Insurer {
    fn new(options: &SynthOptions, n: u32, recipients: u64) -> Insurer {
        let mut rng = Rng::keyed(&[options.seed, 2, u64::from(n)]);
        let full_up_to = |n: u32| (f64::from(n) * options.full_share.clamp(0.0, 1.0)).floor();
        let municipality = u64::from(FIRST + n);
        let pool = |start: u64, size: u64| (0..size).map(|k| checked(start + k)).collect();
        let area = municipality % 1_000 * 1_000;
        Insurer {
            key: rng.draw(),
            number: checked(municipality),
            recipients,
            first_insured: 0,
            full: full_up_to(n + 1) > full_up_to(n),
            quote_all: rng.per_mille(400),
            renews_early: rng.per_mille(150),
            // 147…: home care support; 140…: prevention support.
            providers: pool(147_000_000 + area, (recipients / 60).clamp(3, 900)),
            prevention_providers: pool(140_000_000 + area, (recipients / 900).clamp(1, 90)),
        }
    }

    /// The number as text.
    pub(super) fn name(&self) -> &str {
        std::str::from_utf8(&self.number).unwrap_or("000000")
    }

    /// The insured number of a person: ten digits, different for every person of an insurer or union.
    pub(super) fn insured_no(&self, person: u64) -> [u8; 10] {
        let mut number = [b'0'; 10];
        let mut rest = 1_000_000 + self.first_insured + person;
        for place in number.iter_mut().rev() {
            *place = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
        number
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_valid_distinct_and_ascending_and_sizes_sum_up() {
        let options = SynthOptions { recipients: 100_000, insurers: 40, ..SynthOptions::default() };
        let all = insurers(&options);
        assert!(all.windows(2).all(|pair| pair[0].number < pair[1].number));
        assert!(all.iter().all(|i| i.name().starts_with("14") && CheckDigits::BOTH.hold(&i.number)));
        assert!(all.iter().flat_map(|i| &i.providers).all(|p| CheckDigits::BOTH.hold(p)));
        assert_eq!(all.iter().map(|i| i.recipients).sum::<u64>(), 100_000);
        assert_eq!(all.iter().filter(|i| i.full).count(), 20);
        let largest = all.iter().map(|i| i.recipients).max().unwrap();
        let smallest = all.iter().map(|i| i.recipients).min().unwrap();
        assert!(largest > 8 * smallest, "{largest} {smallest}");
        assert_eq!(checked::<6>(14_100), *b"141003");
        assert!(union_number() < all[0].number && CheckDigits::BOTH.hold(&union_number()));
    }
}
