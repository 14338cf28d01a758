//! The short way of an item: where its form is plain, what it says is known without the rules for all forms.
//!
//! Promise: what is read here breaks no rule and warns of none; everything else gives `None`, and is left to
//! `item::check`.

use super::compiled::{Column, Role};
use super::item::Value;
use super::plain;
use tsumiage_schemas::Kind;
use tsumiage_schemas::rules::CheckDigits;

/// What items of a column look like that are plain.
#[derive(Clone, Copy)]
enum Form {
    /// Eight digits that are a day.
    Day,
    /// Up to eight digits, not all zeros.
    Integer,
    /// One or two digits that are in the table.
    Code,
    /// Up to sixteen digits and capital letters, not all zeros.
    Word,
    /// The same, all digits.
    Digits,
    /// None.
    Unknown,
}

/// How items of a column are read whose form is plain.
pub(super) struct Lane {
    form: Form,
    /// Fewest and most bytes.
    least: usize,
    most: usize,
    /// Bits of the codes, by [`plain::code`].
    codes: [u64; 2],
    check_digits: Option<CheckDigits>,
    pub role: Role,
    /// The stacked item and its bit, if it is one.
    pub stacked: Option<(usize, u128)>,
}

impl Lane {
    /// The lane of a column.
    pub fn of(column: &Column) -> Lane {
        let (least, most) = match column.role {
            Role::InsurerNo | Role::Member => (6, column.width.min(6)),
            Role::InsuredNo => (10, column.width.min(10)),
            // Of eight bytes with two zeros before them only six count.
            _ if column.eight_for_six => (1, column.width.min(7)),
            _ => (1, column.width.min(16)),
        };
        let numbered = column.is_number() || column.check_digits.is_some();
        let form = match column.kind {
            Kind::Date if !numbered && column.width >= 8 => Form::Day,
            Kind::Integer if !numbered => Form::Integer,
            Kind::Date | Kind::Month | Kind::Integer | Kind::Decimal => Form::Unknown,
            _ if column.codes.is_some() => {
                if numbered {
                    Form::Unknown
                } else {
                    Form::Code
                }
            }
            _ if matches!(column.role, Role::InsurerNo | Role::Member) => Form::Digits,
            _ => Form::Word,
        };
        let codes = column.codes.as_ref().map_or(0u128, |codes| {
            let places = (0..100).flat_map(|n| [format!("{n}"), format!("{n:02}")]);
            let known =
                places.filter(|code| code.bytes().any(|b| b != b'0') && codes.contains(code.as_bytes()));
            let place = |code: String| plain::code(plain::word(code.as_bytes(), 0), code.len());
            known.filter_map(place).fold(0, |bits, place| bits | 1 << place)
        });
        let codes = [codes as u64, (codes >> 64) as u64];
        let stacked = match column.role {
            Role::Stacked(item) => Some((item, 1 << item)),
            _ => None,
        };
        Lane { form, least, most, codes, stacked, check_digits: column.check_digits, role: column.role }
    }

    /// What the item between `start` and `end` says, if its form is plain.
    #[inline(always)] // a value is 24 bytes, and most of them need not be moved
    pub fn read<'f>(&self, file: &[u8], start: usize, end: usize) -> Option<Value<'f>> {
        let (start, end) = plain::unquoted(file, start, end);
        let len = end - start;
        if len < self.least || len > self.most {
            return None;
        }
        match self.form {
            Form::Day if len == 8 => plain::day(plain::word(file, start)).map(Value::Number),
            Form::Integer => {
                plain::number(plain::word(file, start), len).filter(|n| *n != 0).map(Value::Number)
            }
            Form::Code => {
                let place = plain::code(plain::word(file, start), len)?;
                let known = self.codes[place as usize / 64] >> (place % 64) & 1 == 1;
                known.then(|| Value::Short(plain::sixteen(file, start, len), len as u8))
            }
            Form::Digits if plain::number(plain::word(file, start), len).is_none() => None,
            Form::Word | Form::Digits => {
                let bytes = plain::short(file, start, len)?;
                let holds = self.check_digits.is_none_or(|rules| rules.hold(&bytes[..len]));
                holds.then_some(Value::Short(bytes, len as u8))
            }
            Form::Day | Form::Unknown => None,
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a test may fail loudly
mod tests {
    use crate::reader::compiled::Compiled;
    use crate::reader::item::{Scratch, State, Value, check};
    use proptest::prelude::*;
    use proptest::sample::{Index, select};
    use std::sync::{Arc, LazyLock};
    use tsumiage_schemas::Spec;

    static COMPILED: LazyLock<Compiled> =
        LazyLock::new(|| Compiled::new(Arc::new(Spec::embedded().unwrap())));

    /// What a value says, whatever it is kept as.
    fn told(value: &Value<'_>, scratch: &Scratch) -> (Option<i32>, Vec<u8>) {
        match value {
            Value::Number(number) => (Some(*number), Vec::new()),
            Value::Ascii(bytes) => (None, bytes.to_vec()),
            Value::Short(bytes, len) => (None, bytes[..usize::from(*len)].to_vec()),
            Value::Decoded(range) => (None, scratch.text.as_bytes()[range.clone()].to_vec()),
        }
    }

    fn content() -> impl Strategy<Value = String> {
        prop_oneof![
            3 => "[0-9]{1,11}",
            2 => "[0-9A-Z]{1,20}",
            2 => "(19|20)[0-9]{2}(0[0-9]|1[0-3])[0-3][0-9]",
            1 => "0{1,12}|\\*{1,3}| {1,3}",
            1 => "00[0-9]{6}|[0-9]{1,2}|142018|1470000017|H[0-9]{9}",
            1 => "[ -~]{1,12}",
            1 => "[ｱ-ﾝ]{1,4}[A-Z ]{0,2}",
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(if cfg!(debug_assertions) { 5_000 } else { 300_000 }))]

        /// What the short way reads, the rules for all forms read alike, and find nothing to say of it.
        #[test]
        fn as_the_rules_for_all_forms(
            plan in 0usize..6,
            column in any::<Index>(),
            content in content(),
            quoted in any::<bool>(),
            behind in select(&["", ",", ",000000000000000000", "\r\n", "99999999"][..]),
        ) {
            let plan = &COMPILED.plans[plan];
            let column = column.index(plan.columns.len());
            let mut raw = Vec::new();
            let content = if quoted { format!("\"{content}\"") } else { content };
            let _ = crate::writer::encode(&content, &mut raw);
            let end = raw.len();
            raw.extend(behind.as_bytes());
            if let Some(value) = plan.lanes[column].read(&raw, 0, end) {
                let mut scratch = Scratch::default();
                let checked = check(&plan.columns[column], &raw[..end], false, &mut scratch);
                let said = (checked.fault, checked.unusual, checked.user_defined, checked.check_digit_fails);
                prop_assert_eq!(said, (None, false, false, false));
                let State::Value(by_rules) = &checked.state else {
                    return Err(TestCaseError::fail(format!("{:?}", checked.state)));
                };
                prop_assert_eq!(told(&value, &scratch), told(by_rules, &scratch));
            }
        }
    }
}
