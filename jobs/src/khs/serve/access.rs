//! Who may ask for whom on a day (domain 6): pure.
//!
//! Promise: nobody reads another insurer's people. The token's owner must be the requester, and the number asked for its
//! own or that of a member of its union or city on that day. Everything else is refused in the same way, whether
//! the number exists or not; what is done until then does not depend on whether anybody has it.

use crate::published::Membership;
use std::collections::HashMap;
use tsumiage_schemas::Day;

/// Who belongs to which union or city, and when.
#[derive(Clone, Debug, Default)]
pub struct Unions {
    members: HashMap<String, Vec<Membership>>,
}

impl Unions {
    /// The unions of these memberships.
    pub fn new(memberships: Vec<Membership>) -> Unions {
        let mut members: HashMap<String, Vec<Membership>> = HashMap::new();
        for membership in memberships {
            members.entry(membership.union_no.clone()).or_default().push(membership);
        }
        Unions { members }
    }

    fn members_on(&self, union_no: &str, day: Day) -> impl Iterator<Item = &str> {
        let members = self.members.get(union_no).map_or(&[][..], Vec::as_slice);
        members.iter().filter(move |member| member.holds(day)).map(|member| &*member.member_no)
    }

    /// The numbers on cards whose people an insurer sees when it asks for itself: its own and those of its members on
    /// this day, in order.
    fn seen_by(&self, insurer_no: &str, day: Day) -> Vec<Box<str>> {
        let mut numbers: Vec<Box<str>> = vec![insurer_no.into()];
        numbers.extend(self.members_on(insurer_no, day).map(Box::from));
        numbers.sort_unstable();
        numbers.dedup();
        numbers
    }
}

/// A question: who asks, and for whom.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// Whose token it is.
    pub owner: &'a str,
    /// Who says to ask (header).
    pub requester: &'a str,
    /// Whose people are asked for (body).
    pub asked: &'a str,
}

/// The numbers on cards whose people answer a question on a day; `None` if it may not be asked.
pub fn permitted(unions: &Unions, question: Question<'_>, day: Day) -> Option<Vec<Box<str>>> {
    let Question { owner, requester, asked } = question;
    if requester != owner {
        return None;
    }
    if asked == owner {
        return Some(unions.seen_by(owner, day));
    }
    unions.members_on(owner, day).any(|member| member == asked).then(|| vec![asked.into()])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unions() -> Unions {
        let row = |union_no: &str, member_no: &str, from, to: Option<i32>| Membership {
            union_no: union_no.to_owned(),
            member_no: member_no.to_owned(),
            from: Day(from),
            to: to.map(Day),
        };
        Unions::new(vec![
            row("141003", "142018", 100, None),
            row("141003", "142000", 100, Some(199)),
            row("141003", "142000", 300, None),
            row("151001", "152001", 0, None),
        ])
    }

    #[test]
    fn nobody_sees_another_insurers_people() {
        let unions = unions();
        let numbers = ["141003", "142018", "142000", "151001", "152001", "999999"];
        let seen = |owner: &str, requester: &str, asked: &str, day| {
            let question = Question { owner, requester, asked };
            permitted(&unions, question, Day(day)).map(|numbers| numbers.join(" "))
        };
        let mut allowed = Vec::new();
        for owner in numbers {
            for requester in numbers {
                for asked in numbers {
                    if let Some(people) = seen(owner, requester, asked, 150) {
                        assert_eq!(owner, requester);
                        allowed.push(format!("{owner} {asked}: {people}"));
                    }
                }
            }
        }
        let expected = [
            "141003 141003: 141003 142000 142018",
            "141003 142018: 142018",
            "141003 142000: 142000",
            "142018 142018: 142018",
            "142000 142000: 142000",
            "151001 151001: 151001 152001",
            "151001 152001: 152001",
            "152001 152001: 152001",
            "999999 999999: 999999",
        ];
        assert_eq!(allowed, expected);
    }

    #[test]
    fn a_member_is_one_from_its_first_day_to_its_last() {
        let unions = unions();
        let question = Question { owner: "141003", requester: "141003", asked: "142000" };
        for (day, may) in [(99, false), (100, true), (199, true), (200, false), (299, false), (300, true)] {
            assert_eq!(permitted(&unions, question, Day(day)).is_some(), may, "{day}");
        }
    }
}
