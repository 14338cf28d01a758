//! What insurers are called, and since when they are registered (domain 4, 5411). Pure.

use std::collections::BTreeMap;
use tsumiage_schemas::Day;
use tsumiage_schemas::holder::Ended;

/// A name and its first day, `None` = not known.
pub type Named = (Option<Day>, Option<String>);

/// The names of insurers on every day.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    by_insurer: BTreeMap<String, Vec<Named>>,
}

impl Names {
    /// From rows of `insurers`: insurer number, first day, name.
    pub fn new(rows: impl IntoIterator<Item = (String, Option<Day>, Option<String>)>) -> Names {
        let mut by_insurer: BTreeMap<String, Vec<Named>> = BTreeMap::new();
        for (insurer_no, from, name) in rows {
            by_insurer.entry(insurer_no).or_default().push((from, name));
        }
        by_insurer.values_mut().for_each(|names| names.sort_by_key(|(from, _)| *from));
        Names { by_insurer }
    }

    /// The name of an insurer on a day: of the last period that has begun, else of the first one.
    pub fn on(&self, insurer_no: &str, day: Day) -> Option<&str> {
        self.of(insurer_no).on(day)
    }

    /// The names of an insurer, each with its first day (`None` = not known), in time.
    pub fn known(&self, insurer_no: &str) -> &[Named] {
        self.by_insurer.get(insurer_no).map_or(&[], Vec::as_slice)
    }

    /// All names of one insurer, for many days.
    pub fn of(&self, insurer_no: &str) -> NamesOf<'_> {
        NamesOf(self.known(insurer_no))
    }
}

/// The names of one insurer.
#[derive(Clone, Copy, Debug)]
pub struct NamesOf<'a>(&'a [Named]);

impl<'a> NamesOf<'a> {
    /// Its name if that is the same on every day (or never known); `None` if days differ.
    pub fn only(&self) -> Option<Option<&'a str>> {
        let first = self.0.first().and_then(|(_, name)| name.as_deref());
        self.0.iter().all(|(_, name)| name.as_deref() == first).then_some(first)
    }

    /// Its name on a day.
    pub fn on(&self, day: Day) -> Option<&'a str> {
        let begun = self.0.partition_point(|(from, _)| *from <= Some(day));
        self.0.get(begun.saturating_sub(1)).and_then(|(_, name)| name.as_deref())
    }
}

/// When insurers are registered: from a first day on, except while ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Registered {
    /// First day by insurer number, of those that were ever registered.
    pub since: BTreeMap<String, Day>,
    /// Ended times, by insurer number and in time.
    pub ended: BTreeMap<String, Vec<Ended>>,
}

impl Registered {
    /// Whether an insurer is registered on some day of a time, `until` being the first day out.
    pub fn on_some_day(&self, insurer_no: &str, from: Day, until: Option<Day>) -> bool {
        let Some(since) = self.since.get(insurer_no) else { return false };
        let mut day = from.max(*since);
        for ended in self.ended.get(insurer_no).into_iter().flatten() {
            if ended.from <= day && ended.until.is_none_or(|until| day < until) {
                match ended.until {
                    Some(until) => day = until,
                    None => return false,
                }
            }
        }
        until.is_none_or(|until| day < until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> Day {
        text.parse().unwrap()
    }

    #[test]
    fn a_name_holds_from_its_day_on() {
        let row =
            |from: Option<&str>, name: Option<&str>| ("1".to_owned(), from.map(day), name.map(str::to_owned));
        let names = Names::new([row(Some("2027-04-01"), Some("新")), row(Some("2026-04-01"), Some("旧"))]);
        for (on, name) in
            [("2020-01-01", "旧"), ("2027-03-31", "旧"), ("2027-04-01", "新"), ("2040-01-01", "新")]
        {
            assert_eq!(names.on("1", day(on)), Some(name), "{on}");
        }
        assert_eq!(names.on("2", day("2027-04-01")), None);
        assert_eq!((names.of("1").only(), names.of("2").only()), (None, Some(None)));
        let names = Names::new([row(None, Some("前")), row(Some("2027-04-01"), None)]);
        assert_eq!(names.on("1", day("2000-01-01")), Some("前"));
        assert_eq!(names.on("1", day("2027-04-01")), None, "its period has no name");
        let names = Names::new([row(Some("2026-04-01"), Some("同")), row(Some("2027-04-01"), Some("同"))]);
        assert_eq!(names.of("1").only(), Some(Some("同")));
    }

    #[test]
    fn registered_from_the_first_day_on_except_while_ended() {
        let ended = |from: &str, until: Option<&str>| Ended { from: day(from), until: until.map(day) };
        let times = |ended: Vec<Ended>| Registered {
            since: [("1".to_owned(), day("2026-04-01"))].into(),
            ended: [("1".to_owned(), ended)].into(),
        };
        let open = times(Vec::new());
        assert!(!open.on_some_day("2", day("2026-04-01"), None), "never registered");
        assert!(!open.on_some_day("1", day("2026-01-01"), Some(day("2026-04-01"))));
        assert!(open.on_some_day("1", day("2026-01-01"), Some(day("2026-04-02"))));
        let for_good = times(vec![ended("2026-10-01", None)]);
        assert!(!for_good.on_some_day("1", day("2026-10-01"), None));
        assert!(for_good.on_some_day("1", day("2026-09-30"), None));
        let twice =
            times(vec![ended("2026-10-01", Some("2027-01-01")), ended("2026-12-01", Some("2027-02-01"))]);
        assert!(!twice.on_some_day("1", day("2026-10-01"), Some(day("2027-02-01"))));
        assert!(twice.on_some_day("1", day("2026-10-01"), Some(day("2027-02-02"))));
    }
}
