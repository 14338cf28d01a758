//! Rules between items and about numbers and characters as data (`schemas/data/rules`): periods (R10),
//! check digits (R11), the time in which an item exists (R12), characters an item should not hold (R13).

use crate::csv_table::{DataError, Row, Table};
use crate::day::Month;
use crate::layout::Kind;
use crate::sources::{SourceText, Sources};
use std::collections::BTreeMap;

/// The rules that warn, and what is tolerated; all replaceable.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// (start item, end item) of periods.
    pub periods: Vec<(String, String)>,
    /// Items that carry a check digit, and by which rules.
    pub check_digits: BTreeMap<String, CheckDigits>,
    /// Last month in which an item existed.
    pub abolished: BTreeMap<String, Month>,
    /// Characters that are reported, by kind of item.
    pub characters: BTreeMap<Kind, Reported>,
    /// Texts of a last column that only stands for the line end; none unless a profile tolerates them.
    pub line_end_texts: Vec<String>,
}

/// The check-digit rules one of which a number must satisfy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CheckDigits {
    /// Modulus 11 with weights 2, 3, 4 … from the right (municipality codes).
    pub modulus_11: bool,
    /// Modulus 10 with weights 2, 1 from the right and digit sums.
    pub modulus_10: bool,
}

/// Which characters of an item are reported (R13).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reported {
    /// a to z.
    pub lower_case: bool,
    /// Half-width kana.
    pub half_width_kana: bool,
    /// Full-width (2-byte) characters.
    pub full_width: bool,
}

impl Rules {
    /// Reads the rule files.
    ///
    /// # Errors
    /// A file missing, or a line that is no rule.
    pub fn parse(sources: &Sources) -> Result<Rules, DataError> {
        Ok(Rules {
            periods: periods(&sources.whole("rules/periods.csv")?)?,
            check_digits: check_digits(&sources.whole("rules/check_digits.csv")?)?,
            abolished: eras(&sources.whole("rules/eras.csv")?)?,
            characters: characters(&sources.whole("rules/characters.csv")?)?,
            line_end_texts: line_end_texts(&sources.whole("rules/line_end_texts.csv")?)?,
        })
    }
}

fn periods(source: &SourceText<'_>) -> Result<Vec<(String, String)>, DataError> {
    let period = |row: Row<'_>| Ok((row.given("start_item")?.to_owned(), row.given("end_item")?.to_owned()));
    Table::read(source, &["start_item", "end_item"])?.rows().map(period).collect()
}

fn check_digits(source: &SourceText<'_>) -> Result<BTreeMap<String, CheckDigits>, DataError> {
    let rule = |row: Row<'_>| {
        let mut rules = CheckDigits::default();
        for name in row.given("rules")?.split_whitespace() {
            match name {
                "modulus_11" => rules.modulus_11 = true,
                "modulus_10" => rules.modulus_10 = true,
                _ => return Err(row.fault("rules", format!("{name:?} is neither modulus_11 nor modulus_10"))),
            }
        }
        Ok((row.given("item")?.to_owned(), rules))
    };
    Table::read(source, &["item", "rules"])?.rows().map(rule).collect()
}

fn eras(source: &SourceText<'_>) -> Result<BTreeMap<String, Month>, DataError> {
    let era =
        |row: Row<'_>| Ok((row.given("item")?.to_owned(), row.value("last_month", "a month like 2005-09")?));
    Table::read(source, &["item", "last_month"])?.rows().map(era).collect()
}

fn characters(source: &SourceText<'_>) -> Result<BTreeMap<Kind, Reported>, DataError> {
    let reported = |row: Row<'_>| {
        let is = |column: &str| match row.text(column) {
            "report" => Ok(true),
            "accept" => Ok(false),
            other => Err(row.fault(column, format!("{other:?} is neither report nor accept"))),
        };
        let reported = Reported {
            lower_case: is("lower_case")?,
            half_width_kana: is("half_width_kana")?,
            full_width: is("full_width")?,
        };
        Ok((row.value("kind", "a kind of item such as identifier")?, reported))
    };
    Table::read(source, &["kind", "lower_case", "half_width_kana", "full_width"])?
        .rows()
        .map(reported)
        .collect()
}

/// Texts are written with `\r` and `\n` for the characters themselves.
fn line_end_texts(source: &SourceText<'_>) -> Result<Vec<String>, DataError> {
    let text = |row: Row<'_>| Ok(row.given("text")?.replace("\\r", "\r").replace("\\n", "\n"));
    Table::read(source, &["text"])?.rows().map(text).collect()
}

impl CheckDigits {
    /// Both rules.
    pub const BOTH: CheckDigits = CheckDigits { modulus_11: true, modulus_10: true };

    /// Whether a number satisfies one of the rules (domain 7, R11). Anything but digits fails.
    pub fn hold(self, number: &[u8]) -> bool {
        /// Digits of twice a digit, added up.
        const DOUBLED: [u64; 10] = [0, 2, 4, 6, 8, 1, 3, 5, 7, 9];
        let Some((last, body)) = number.split_last() else { return false };
        let value = |b: &u8| u64::from(b.wrapping_sub(b'0'));
        let (mut digits, mut weighted, mut summed) = (value(last) < 10, 0, 0);
        for (place, digit) in body.iter().rev().map(value).enumerate() {
            digits &= digit < 10;
            weighted += digit * (place as u64 + 2);
            summed += if place % 2 == 0 { DOUBLED[digit as usize % 10] } else { digit };
        }
        let by_eleven = (11 - weighted % 11) % 10;
        let by_ten = (10 - summed % 10) % 10;
        let fits = |rule, digit| rule && value(last) == digit;
        digits && (fits(self.modulus_11, by_eleven) || fits(self.modulus_10, by_ten))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_check_digit_rules() {
        let by_eleven = CheckDigits { modulus_11: true, modulus_10: false };
        // Municipality codes (modulus 11); 131016 is Chiyoda, 141003 Yokohama.
        for number in ["131016", "141003", "142018", "143014", "143219", "142034"] {
            assert!(by_eleven.hold(number.as_bytes()), "{number}");
        }
        assert!(CheckDigits::BOTH.hold(b"1470000017") && !by_eleven.hold(b"1470000017"), "modulus 10");
        // The seed's own provider numbers fail both.
        for number in ["1470000010", "1470012340", "14100A", "", "141004"] {
            assert!(!CheckDigits::BOTH.hold(number.as_bytes()), "{number}");
        }
    }

    #[test]
    fn a_rule_that_is_none_is_named_with_its_place() {
        let with = |path: &str, text: &str| {
            let files = BTreeMap::from([(path.to_owned(), text.to_owned())]);
            Rules::parse(&Sources::embedded().with(crate::sources::Layer {
                name: "mine".to_owned(),
                files,
                ..Default::default()
            }))
        };
        for (path, text, place) in [
            ("rules/periods.csv", "start_item,end_item\na,\n", "line 2, column 2 (end_item)"),
            ("rules/check_digits.csv", "item,rules\na,modulus_7\n", "line 2, column 2 (rules)"),
            ("rules/eras.csv", "item,last_month\na,2005-13\n", "line 2, column 2 (last_month)"),
            ("rules/characters.csv", "kind,lower_case\n", "line 1: there is no column half_width_kana"),
            (
                "rules/characters.csv",
                "kind,lower_case,half_width_kana,full_width\ntext,no,accept,accept\n",
                "column 2 (lower_case)",
            ),
            (
                "rules/line_end_texts.csv",
                "text,grade\nCRLF\n",
                "line 2, column 2 (grade): 1 columns instead of 2",
            ),
        ] {
            let error = with(path, text).unwrap_err().to_string();
            assert!(error.starts_with(&format!("mine/{path}")) && error.contains(place), "{error}");
        }
        let lines = with("rules/line_end_texts.csv", "text\n\\r\\n\n").unwrap().line_end_texts;
        assert_eq!(lines, ["\r\n"]);
    }
}
