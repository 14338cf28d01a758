//! The membership lists (5711) and what is wrong with them: S09 and S15 (domain 4).

use super::names::Registered;
use super::read::Facts;
use super::stacked::Stacked;
use arrow::array::AsArray;
use arrow::datatypes::Date32Type;
use tsumiage_schemas::membership::{List, Memberships, Overlap};
use tsumiage_schemas::{Code, Day, Finding, Spec};

/// The item that findings about a list name.
const MEMBER: &str = "member_insurer_no";

/// The accepted lists with the rows they stand in; an end is an empty one.
pub fn lists(stacked: &Stacked, facts: &Facts) -> (Vec<List>, Vec<usize>) {
    let places = facts.places();
    let members = |row: usize| {
        let (Some(place), Some([members, from])) = (places.get(&stacked.position(row)), &facts.lists) else {
            return Vec::new();
        };
        let (members, from) = (members.value(*place), from.value(*place));
        let numbers = members.as_string::<i32>().iter().map(|no| no.unwrap_or_default().to_owned());
        numbers.zip(from.as_primitive::<Date32Type>().values().iter().map(|&day| Day(day))).collect()
    };
    let records = stacked.streams().flatten().map(|record| {
        let row = record.row as usize;
        let list = List {
            union_no: stacked.insurer_no(row).to_owned(),
            date: record.date,
            applied: stacked.applied(row),
            members: if record.is_end() { Vec::new() } else { members(row) },
        };
        (list, row)
    });
    records.unzip()
}

/// S09 where two unions claimed a municipality, S15 where a member's own registration goes on; each with
/// the place of its list.
pub fn findings(
    lists: &[List],
    memberships: &Memberships,
    overlaps: &[Overlap],
    registered: &Registered,
    spec: &Spec,
) -> Vec<(usize, Finding)> {
    let finding = |list: usize, code: Code, detail: String| {
        let finding = Finding {
            code,
            severity: spec.catalogue.severity(code),
            record_no: None,
            byte_offset: None,
            insurer_no: Some(lists[list].union_no.clone()),
            insured_no: None,
            movement_date: Some(lists[list].date),
            item: Some(MEMBER.to_owned()),
            count: 1,
            detail,
        };
        (list, finding)
    };
    let overlaps = overlaps.iter().map(|overlap| {
        let Overlap { member_no, list, loser_no } = overlap;
        finding(*list, Code::S09, format!("two_unions:{member_no},{},{loser_no}", lists[*list].union_no))
    });
    let registered = memberships
        .iter()
        .filter(|(member_no, interval)| registered.on_some_day(member_no, interval.from, interval.until));
    let registered = registered.map(|(member_no, interval)| {
        finding(interval.list, Code::S15, format!("member:{member_no},{}", interval.union_no))
    });
    overlaps.chain(registered).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> Day {
        text.parse().unwrap()
    }

    #[test]
    fn findings_stand_at_the_list_that_made_the_interval() {
        let list = |union_no: &str, date: &str, from: &str| List {
            union_no: union_no.to_owned(),
            date: day(date),
            applied: 0,
            members: vec![("142018".to_owned(), day(from))],
        };
        let lists = [list("141003", "2026-04-01", "2026-04-01"), list("149005", "2026-07-01", "2026-08-01")];
        let (memberships, overlaps) = Memberships::of_lists(&lists).unwrap();
        let registered =
            Registered { since: [("142018".to_owned(), day("2026-09-01"))].into(), ..Registered::default() };
        let spec = Spec::embedded().unwrap();
        let found = findings(&lists, &memberships, &overlaps, &registered, &spec);
        let told: Vec<(usize, Code, &str)> =
            found.iter().map(|(list, finding)| (*list, finding.code, &*finding.detail)).collect();
        assert_eq!(
            told,
            [(1, Code::S09, "two_unions:142018,149005,141003"), (1, Code::S15, "member:142018,149005")]
        );
        let (_, s09) = &found[0];
        assert_eq!((s09.insurer_no.as_deref(), s09.item.as_deref()), (Some("149005"), Some(MEMBER)));
        assert_eq!(s09.movement_date, Some(day("2026-07-01")));
        let (ja, en) = spec.catalogue.messages(Code::S09, MEMBER, "市町村番号", &s09.detail);
        assert!(ja.contains("（142018は149005と141003の両方に記載、149005を有効として処理）"), "{ja}");
        assert!(en.contains("(142018 is listed by 149005 and 141003, of which 149005 counts)"), "{en}");
    }
}
