//! Which fact changed a recipient's month: a pure function of what only one of two snapshots knows.
//!
//! Promise: a fact is named only if it is about this person and only one side knows it or lets it count; where
//! there is none, the registry, the layouts or the program is named, never a guess at a record.

use super::InForce;
use super::Kind;
use super::cells::RowChange;
use crate::stack::fact::Change as Type;
use tsumiage_schemas::Month;

/// A fact that only one side knows, or lets count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fact {
    /// Its place in the order of application.
    pub order: (u32, i64),
    /// Its file.
    pub file_id: String,
    /// Its position there.
    pub record_no: i64,
    /// Its insurer number.
    pub insurer_no: String,
    /// Movement date, days since 1970.
    pub date: i32,
    /// Correction date of a slip.
    pub correction_date: Option<i32>,
    /// What it does.
    pub change: Type,
    /// Stacked items that it gives or clears.
    pub touches: u128,
    /// It counts now and did not before; else the other way round (withdrawn, or not known).
    pub came: bool,
}

/// What did it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum CauseKind {
    /// A movement.
    Movement,
    /// A slip that modified a record.
    Correction,
    /// A slip that deleted a record.
    Deletion,
    /// A movement or slip that does not count any more.
    Withdrawal,
    /// Who belongs to which union or city.
    Membership,
    /// An insurer's record: name, end, registration.
    Insurer,
    /// A municipality's own limits.
    Limits,
    /// Another mode of inheritance.
    Inheritance,
    /// Other layouts, codes or rules.
    Layouts,
    /// Other code of the program.
    Program,
    /// Nothing of these.
    Unknown,
}

impl CauseKind {
    /// The word in the table.
    pub fn as_str(self) -> &'static str {
        match self {
            CauseKind::Movement => "movement",
            CauseKind::Correction => "correction",
            CauseKind::Deletion => "deletion",
            CauseKind::Withdrawal => "withdrawal",
            CauseKind::Membership => "membership",
            CauseKind::Insurer => "insurer",
            CauseKind::Limits => "limits",
            CauseKind::Inheritance => "inheritance",
            CauseKind::Layouts => "layouts",
            CauseKind::Program => "program",
            CauseKind::Unknown => "unknown",
        }
    }
}

/// What did it, and which record.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cause {
    /// What kind of thing.
    pub kind: CauseKind,
    /// The record's file.
    pub file_id: Option<String>,
    /// Its position there.
    pub record_no: Option<i64>,
    /// Movement date of a movement, correction date of a slip.
    pub date: Option<i32>,
}

impl Cause {
    /// Something that is no record.
    pub fn of(kind: CauseKind) -> Cause {
        Cause { kind, file_id: None, record_no: None, date: None }
    }

    fn of_fact(fact: &Fact) -> Cause {
        let kind = match fact.change {
            _ if !fact.came => CauseKind::Withdrawal,
            Type::Delete => CauseKind::Deletion,
            Type::Modify => CauseKind::Correction,
            _ => CauseKind::Movement,
        };
        Cause {
            kind,
            file_id: Some(fact.file_id.clone()),
            record_no: Some(fact.record_no),
            date: Some(fact.correction_date.unwrap_or(fact.date)),
        }
    }
}

/// Which of a person's `facts`, in the order of application, made an item (or with `None` the whole row) differ.
/// `bits` are the stacked items that the column comes from; none of a column that comes from none. `surely`: only
/// a fact that must have done it, not one that may have, since the registry changed too.
pub fn cause(row: &RowChange, bits: u128, month: Month, facts: &[Fact], surely: bool) -> Option<Cause> {
    let is =
        |fact: &&Fact, record: &InForce| fact.file_id == record.file_id && fact.record_no == record.record_no;
    // The record that a slip is about.
    let about = |fact: &&Fact, record: &InForce| {
        fact.change.is_correction() && fact.date == record.date && fact.insurer_no == record.insurer_no
    };
    let modifies = |fact: &&Fact| fact.change == Type::Modify && fact.touches & bits != 0;
    let last = |wanted: &dyn Fn(&&Fact) -> bool| facts.iter().filter(wanted).max_by_key(|fact| fact.order);
    let (before, after) = (row.before.as_ref(), row.after.as_ref());
    let other_record = match (before, after) {
        (Some(a), Some(b)) => (&a.file_id, a.record_no) != (&b.file_id, b.record_no),
        _ => true,
    };
    let last_day = month.last_day().0;
    let by_slip = || {
        let after = after.filter(|_| row.kind == Kind::Changed)?;
        last(&|fact| fact.came && modifies(fact) && about(fact, after))
    };
    let by_itself = || after.and_then(|after| last(&|fact| fact.came && is(fact, after)));
    let by_deletion = || {
        let before = before.filter(|_| other_record)?;
        last(&|fact| fact.came && fact.change == Type::Delete && about(fact, before))
    };
    let by_withdrawal = || before.and_then(|before| last(&|fact| !fact.came && is(fact, before)));
    // A slip that was taken back: it had modified the record in force before, or deleted the one now.
    let by_slip_taken_back = || {
        let of = |fact: &&Fact, record: Option<&InForce>| record.is_some_and(|record| about(fact, record));
        let deleted = |fact: &&Fact| fact.change == Type::Delete && of(fact, after);
        last(&|fact| !fact.came && (deleted(fact) || modifies(fact) && of(fact, before)))
    };
    let ended = || {
        let before = before.filter(|_| row.kind == Kind::Removed)?;
        let ends = |fact: &&Fact| fact.change == Type::End && fact.insurer_no == before.insurer_no;
        last(&|fact| fact.came && ends(fact) && fact.date <= last_day)
    };
    let inherited = || {
        let after = after.filter(|_| !surely)?;
        last(&|fact| bits != 0 && fact.touches & bits != 0 && fact.date < after.date)
    };
    let in_time = || last(&|fact| !surely && fact.came && fact.date <= last_day);
    let any = || last(&|fact| !surely && fact.came).or_else(|| last(&|_| !surely));
    by_slip()
        .or_else(by_itself)
        .or_else(by_deletion)
        .or_else(by_withdrawal)
        .or_else(by_slip_taken_back)
        .or_else(ended)
        .or_else(inherited)
        .or_else(in_time)
        .or_else(any)
        .map(Cause::of_fact)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEVEL: u128 = 1 << 3;
    const NAME: u128 = 1 << 4;

    fn fact(record_no: i64, date: i32, change: Type, touches: u128) -> Fact {
        Fact {
            order: (1, record_no),
            file_id: "new".to_owned(),
            record_no,
            insurer_no: "141003".to_owned(),
            date,
            correction_date: change.is_correction().then_some(900),
            change,
            touches,
            came: true,
        }
    }

    fn record(file_id: &str, record_no: i64, date: i32) -> Option<InForce> {
        let (file_id, insurer_no) = (file_id.to_owned(), "141003".to_owned());
        Some(InForce { file_id, record_no, insurer_no, date })
    }

    fn row(before: Option<InForce>, after: Option<InForce>) -> RowChange {
        let kind = match (&before, &after) {
            (None, _) => Kind::Added,
            (_, None) => Kind::Removed,
            _ => Kind::Changed,
        };
        RowChange { insured_no: "1".to_owned(), kind, before, after, items: Vec::new() }
    }

    /// `kind record_no date`.
    fn told(row: &RowChange, bits: u128, facts: &[Fact]) -> String {
        let cause = cause(row, bits, Month(24_000), facts, false);
        cause.map_or("nothing".to_owned(), |c| {
            format!("{} {} {}", c.kind.as_str(), c.record_no.unwrap(), c.date.unwrap())
        })
    }

    #[test]
    fn the_nearest_fact_is_named() {
        let same = || row(record("old", 2, 100), record("old", 2, 100));
        let slip = fact(5, 100, Type::Modify, LEVEL);
        let other_slip = fact(6, 100, Type::Modify, NAME);
        let late = fact(7, 50, Type::Change, LEVEL);
        let deletion = fact(8, 100, Type::Delete, 0);
        let registration = fact(9, 120, Type::Registration, LEVEL | NAME);
        let facts = [slip.clone(), other_slip.clone(), late.clone()];
        assert_eq!(told(&same(), LEVEL, &facts), "correction 5 900");
        assert_eq!(told(&same(), NAME, &facts), "correction 6 900");
        let moved = row(record("old", 2, 100), record("new", 9, 120));
        assert_eq!(told(&moved, LEVEL, &[slip.clone(), registration.clone()]), "movement 9 120");
        let uncovered = row(record("old", 2, 100), record("old", 1, 60));
        assert_eq!(told(&uncovered, LEVEL, &[late.clone(), deletion.clone()]), "deletion 8 900");
        assert_eq!(told(&row(record("old", 2, 100), None), 0, &[deletion]), "deletion 8 900");
        assert_eq!(
            told(&row(None, record("new", 9, 120)), 0, std::slice::from_ref(&registration)),
            "movement 9 120"
        );
        assert_eq!(told(&same(), LEVEL, std::slice::from_ref(&late)), "movement 7 50", "inherited");
        // What a slip cannot correct comes from the record.
        let both = [registration.clone(), fact(10, 120, Type::Modify, LEVEL)];
        assert_eq!(told(&moved, 0, &both), "movement 9 120");
        assert_eq!(told(&moved, LEVEL, &both), "correction 10 900");
        // A column of no item, such as the number of movements: the last fact in time.
        assert_eq!(told(&same(), 0, &[late, registration]), "movement 9 120");
        assert_eq!(told(&same(), LEVEL, &[]), "nothing");
        // Another person of that number at another insurer.
        let other = Fact { insurer_no: "142018".to_owned(), ..slip.clone() };
        assert_eq!(cause(&same(), LEVEL, Month(24_000), &[other], true), None);
        assert_eq!(cause(&row(record("old", 2, 100), None), 0, Month(24_000), &[slip], true), None);
    }

    #[test]
    fn what_was_taken_back_is_named_as_that() {
        let gone = |fact: Fact| Fact { came: false, ..fact };
        let slip = gone(fact(5, 100, Type::Modify, LEVEL));
        let same = row(record("old", 2, 100), record("old", 2, 100));
        assert_eq!(told(&same, LEVEL, std::slice::from_ref(&slip)), "withdrawal 5 900");
        let movement = gone(fact(3, 100, Type::Change, LEVEL));
        let uncovered = row(record("new", 3, 100), record("old", 1, 60));
        assert_eq!(told(&uncovered, LEVEL, &[movement.clone(), slip]), "withdrawal 3 100");
        assert_eq!(told(&row(record("new", 3, 100), None), 0, &[movement]), "withdrawal 3 100");
        let deletion = gone(fact(8, 100, Type::Delete, 0));
        assert_eq!(told(&row(None, record("old", 2, 100)), 0, &[deletion]), "withdrawal 8 900");
    }
}
