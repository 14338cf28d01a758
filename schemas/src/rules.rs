//! Rules between items and about numbers as data (`schemas/data/rules`): periods (R10), check
//! digits (R11) and the time in which an item exists (R12).

use crate::day::Month;
use crate::layout::DataError;
use serde::Deserialize;
use std::collections::BTreeMap;

/// The rules that warn, all replaceable.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// (start item, end item) of periods.
    pub periods: Vec<(String, String)>,
    /// Items that carry a check digit.
    pub check_digits: Vec<String>,
    /// Last month in which an item existed.
    pub abolished: BTreeMap<String, Month>,
}

#[derive(Deserialize)]
struct Period {
    start_item: String,
    end_item: String,
}

#[derive(Deserialize)]
struct Checked {
    item: String,
}

#[derive(Deserialize)]
struct Era {
    item: String,
    last_month: String,
}

fn rows<T: for<'de> Deserialize<'de>>(file: &str, text: &str) -> Result<Vec<T>, DataError> {
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let read =
        |(n, row): (usize, Result<T, csv::Error>)| row.map_err(|e| DataError::new(file, n as u64 + 2, e));
    reader.deserialize().enumerate().map(read).collect()
}

impl Rules {
    /// Reads the three rule files.
    ///
    /// # Errors
    /// A line that is no rule.
    pub fn parse(periods: &str, check_digits: &str, eras: &str) -> Result<Rules, DataError> {
        let periods = rows::<Period>("rules/periods.csv", periods)?;
        let checked = rows::<Checked>("rules/check_digits.csv", check_digits)?;
        let mut abolished = BTreeMap::new();
        for (n, era) in rows::<Era>("rules/eras.csv", eras)?.into_iter().enumerate() {
            let wrong = |e| DataError::new("rules/eras.csv", n as u64 + 2, e);
            abolished.insert(era.item, era.last_month.parse().map_err(wrong)?);
        }
        Ok(Rules {
            periods: periods.into_iter().map(|p| (p.start_item, p.end_item)).collect(),
            check_digits: checked.into_iter().map(|c| c.item).collect(),
            abolished,
        })
    }
}

/// Whether a number satisfies one of the two known check-digit rules: modulus 11 with weights 2, 3, 4 …
/// from the right (municipality codes) or modulus 10 with weights 2, 1 and digit sums (domain 7, R11).
/// Anything but digits fails.
pub fn check_digit_holds(number: &[u8]) -> bool {
    let Some((&last, body)) = number.split_last() else { return false };
    if !number.iter().all(u8::is_ascii_digit) {
        return false;
    }
    let value = |b: &u8| u32::from(b - b'0');
    let weighted: u32 = body.iter().rev().zip(2..).map(|(b, weight)| value(b) * weight).sum();
    let by_eleven = (11 - weighted % 11) % 10;
    let doubled = |(place, b): (usize, &u8)| {
        let product = value(b) * if place % 2 == 0 { 2 } else { 1 };
        product / 10 + product % 10
    };
    let summed: u32 = body.iter().rev().enumerate().map(doubled).sum();
    let by_ten = (10 - summed % 10) % 10;
    value(&last) == by_eleven || value(&last) == by_ten
}

#[cfg(test)]
mod tests {
    use super::check_digit_holds;

    #[test]
    fn both_check_digit_rules() {
        // Municipality codes (modulus 11); 131016 is Chiyoda, 141003 Yokohama.
        for number in ["131016", "141003", "142018", "143014", "143219", "142034"] {
            assert!(check_digit_holds(number.as_bytes()), "{number}");
        }
        assert!(check_digit_holds(b"1470000017"), "modulus 10");
        // The seed's own provider numbers fail both.
        for number in ["1470000010", "1470012340", "14100A", "", "141004"] {
            assert!(!check_digit_holds(number.as_bytes()), "{number}");
        }
    }
}
