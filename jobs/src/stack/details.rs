//! What stands in the brackets of a stacking finding's message: a key of `details.csv` with its values, or a
//! day.
//!
//! Promise: who is meant and why is found here, once; the words for it are data.

use super::gather::{column, file_seqs, flat};
use super::read::StackRules;
use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::Date32Type;
use tsumiage_schemas::holder::{CutOff, Holders, Why};
use tsumiage_schemas::{Code, Day};

/// Tells who and why.
#[derive(Clone, Copy, Debug)]
pub struct Details<'a> {
    /// Senders by file number.
    pub rules: &'a StackRules,
    /// Who holds whom, and when.
    pub holders: &'a Holders,
}

impl Details<'_> {
    /// Of a code that stacking found at a row of a stacked chunk.
    pub fn of(&self, code: Code, stacked: &RecordBatch, row: usize) -> String {
        match code {
            Code::S07 => other_union(stacked, row),
            Code::S12 => self.sender(stacked, row),
            _ => date(stacked, row).to_string(),
        }
    }

    /// When and why the record of a row, which is no end, is cut off (S13); empty if it is not.
    pub fn cut_off(&self, stacked: &RecordBatch, row: usize) -> String {
        why_cut_off(self.holders, text(stacked, column::INSURER, row), date(stacked, row)).unwrap_or_default()
    }

    fn sender(&self, stacked: &RecordBatch, row: usize) -> String {
        let seq = usize::try_from(file_seqs(stacked).value(row)).ok();
        let sender = seq.and_then(|seq| self.rules.senders.get(seq)?.as_deref());
        format!("sender:{},{}", sender.unwrap_or_default(), text(stacked, column::INSURER, row))
    }
}

fn why_cut_off(holders: &Holders, insurer: &str, date: Day) -> Option<String> {
    let CutOff { day, why } = holders.holding(holders.place(insurer)?, date, false).cut_off?;
    Some(match why {
        Why::Joined { union } => format!("union_joined:{day},{insurer},{}", holders.number(union)),
        Why::Left { union } => format!("union_left:{day},{insurer},{}", holders.number(union)),
        // It never was in force.
        Why::Ended { holder } if day <= date => {
            format!("insurer_still_ended:{day},{}", holders.number(holder))
        }
        Why::Ended { holder } => format!("insurer_ended:{day},{}", holders.number(holder)),
    })
}

fn other_union(stacked: &RecordBatch, row: usize) -> String {
    let (holder, insurer) = (text(stacked, column::HOLDER, row), text(stacked, column::INSURER, row));
    let union = stacked.column_by_name("union_no").and_then(|unions| flat(&unions.slice(row, 1)).ok());
    let union = union.as_ref().and_then(|union| union.as_string_opt::<i32>());
    let union = union.filter(|union| union.is_valid(0)).map_or("", |union| union.value(0));
    let key = if holder == insurer { "no_union" } else { "other_union" };
    format!("{key}:{union},{holder}")
}

fn text(stacked: &RecordBatch, at: usize, row: usize) -> &str {
    stacked.column(at).as_string::<i32>().value(row)
}

fn date(stacked: &RecordBatch, row: usize) -> Day {
    Day(stacked.column(column::DATE).as_primitive::<Date32Type>().value(row))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tsumiage_schemas::holder::Ended;
    use tsumiage_schemas::membership::{List, Memberships};

    fn day(text: &str) -> Day {
        text.parse().unwrap()
    }

    /// A is in U from April and in V from July to September 2026, then by itself though ended from April on; U
    /// is ended from June on.
    fn holders() -> Holders {
        let list = |union_no: &str, from: &str, members: &[&str]| List {
            union_no: union_no.to_owned(),
            date: day(from),
            applied: 0,
            members: members.iter().map(|no| ((*no).to_owned(), day(from))).collect(),
        };
        let lists =
            [list("U", "2026-04-01", &["A"]), list("V", "2026-07-01", &["A"]), list("V", "2026-10-01", &[])];
        let (memberships, _) = Memberships::of_lists(&lists).unwrap();
        let ended = |no: &str, from: &str| (no.to_owned(), vec![Ended { from: day(from), until: None }]);
        Holders::new(&memberships, &[ended("A", "2026-04-01"), ended("U", "2026-06-01")].into(), ["A", "C"])
    }

    #[test]
    fn a_membership_is_told_before_an_end_and_a_record_that_never_held_apart() {
        for (date, why) in [
            ("2026-03-01", "union_joined:2026-04-01,A,U"), // on the day on which it is ended itself
            ("2026-05-01", "insurer_ended:2026-06-01,U"),
            ("2026-05-31", "insurer_ended:2026-06-01,U"),
            ("2026-06-01", "insurer_still_ended:2026-06-01,U"),
            ("2026-06-15", "insurer_still_ended:2026-06-01,U"),
            ("2026-07-01", "union_left:2026-10-01,A,V"),
            ("2026-10-01", "insurer_still_ended:2026-04-01,A"), // the day on which it joined once
        ] {
            assert_eq!(why_cut_off(&holders(), "A", day(date)).as_deref(), Some(why), "{date}");
        }
        assert_eq!(why_cut_off(&holders(), "C", day("2026-05-01")), None);
    }
}
