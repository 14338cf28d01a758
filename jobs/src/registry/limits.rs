//! A municipality's own limits per month (支給限度基準額, domain 3 and 4, 5511). Pure.

use std::collections::BTreeMap;
use tsumiage_schemas::{Day, Month};

/// A row of `municipal_limits` that gives units for a category.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MunicipalLimit {
    /// Care level, `None` = all.
    pub care_level: Option<String>,
    /// Whether it is meant for one type of service.
    pub of_service: bool,
    /// First day.
    pub from: Option<Day>,
    /// Last day, `None` = open.
    pub to: Option<Day>,
    /// Units a month.
    pub units: i32,
    /// Its place in the order of application.
    pub applied: u64,
}

impl MunicipalLimit {
    fn holds_in(&self, month: Month) -> bool {
        self.from <= Some(month.last_day()) && self.to.is_none_or(|to| to >= month.first_day())
    }
}

/// The limits of all insurers that have their own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MunicipalLimits {
    by_insurer: BTreeMap<String, Vec<MunicipalLimit>>,
}

impl MunicipalLimits {
    /// From limits with their insurer numbers.
    pub fn new(limits: impl IntoIterator<Item = (String, MunicipalLimit)>) -> MunicipalLimits {
        let mut by_insurer: BTreeMap<String, Vec<MunicipalLimit>> = BTreeMap::new();
        for (insurer_no, limit) in limits {
            by_insurer.entry(insurer_no).or_default().push(limit);
        }
        MunicipalLimits { by_insurer }
    }

    /// An insurer's own limits.
    pub fn of(&self, insurer_no: &str) -> &[MunicipalLimit] {
        self.by_insurer.get(insurer_no).map_or(&[], Vec::as_slice)
    }

    /// Whether an insurer has limits of its own.
    pub fn has(&self, insurer_no: &str) -> bool {
        self.by_insurer.contains_key(insurer_no)
    }

    /// Units of a care level in a month. A row of the level goes before one of all levels, one of no service
    /// before one of a service; then the later one wins.
    pub fn units(&self, insurer_no: &str, care_level: &str, month: Month) -> Option<i32> {
        let limits = self.by_insurer.get(insurer_no)?;
        let fits = |limit: &&MunicipalLimit| {
            limit.care_level.as_deref().is_none_or(|level| level == care_level) && limit.holds_in(month)
        };
        let rank = |limit: &&MunicipalLimit| {
            (limit.care_level.is_some(), !limit.of_service, limit.from, limit.applied)
        };
        limits.iter().filter(fits).max_by_key(rank).map(|limit| limit.units)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Limits as "level service from to units", `-` = blank.
    fn limits(rows: &[&str]) -> MunicipalLimits {
        let limit = |(at, text): (usize, &&str)| {
            let parts: Vec<&str> = text.split(' ').collect();
            let given = |at: usize| Some(parts[at]).filter(|text| *text != "-");
            let limit = MunicipalLimit {
                care_level: given(0).map(str::to_owned),
                of_service: given(1).is_some(),
                from: given(2).map(|d| d.parse().unwrap()),
                to: given(3).map(|d| d.parse().unwrap()),
                units: parts[4].parse().unwrap(),
                applied: at as u64,
            };
            ("1".to_owned(), limit)
        };
        MunicipalLimits::new(rows.iter().enumerate().map(limit))
    }

    fn units(rows: &[&str], level: &str, month: &str) -> Option<i32> {
        limits(rows).units("1", level, month.parse().unwrap())
    }

    #[test]
    fn a_limit_holds_in_every_month_it_touches() {
        let row = ["21 - 2026-04-15 2026-06-10 20000"];
        for (month, holds) in
            [("2026-03", false), ("2026-04", true), ("2026-05", true), ("2026-06", true), ("2026-07", false)]
        {
            assert_eq!(units(&row, "21", month), holds.then_some(20_000), "{month}");
        }
        assert_eq!(units(&["21 - - - 20000"], "21", "2000-04"), Some(20_000));
        assert_eq!(units(&row, "22", "2026-05"), None);
        assert_eq!(limits(&row).units("2", "21", "2026-05".parse().unwrap()), None);
        assert!(limits(&row).has("1") && !limits(&row).has("2"));
    }

    #[test]
    fn the_level_goes_first_then_no_service_then_the_later() {
        let all = "- - 2026-06-01 - 1";
        let service = "21 15 2026-06-01 - 2";
        let level = "21 - 2026-04-01 - 3";
        let month = "2026-07";
        assert_eq!(units(&[all, service, level], "21", month), Some(3));
        assert_eq!(units(&[all, service], "21", month), Some(2));
        assert_eq!(units(&[all, service, level], "22", month), Some(1));
        assert_eq!(units(&[level, "21 - 2026-07-20 - 4"], "21", month), Some(4));
        assert_eq!(units(&["21 - 2026-07-20 - 4", level], "21", month), Some(4));
        assert_eq!(units(&[service, "21 17 2026-06-01 - 5"], "21", month), Some(5), "applied later");
    }
}
