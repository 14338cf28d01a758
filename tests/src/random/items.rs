//! Random items in all three states, legal by layouts 5311 and 5321.

use super::rng::Rng;
use crate::oracle::State;
use std::collections::BTreeMap;

/// An item, values it may have, and whether it has a clear mark. Few values, so that equal ones meet.
/// The date items of a period may end before they start: that is only a warning (R10).
pub(super) const ITEMS: [(&str, &[&str], bool); 13] = [
    ("movement_reason", &["01", "02", "03", "04", "99"], false),
    ("name_kana", &["ｶｺﾞ ﾀﾛｳ", "ﾂﾐｱｹﾞ ﾊﾅｺ", "ｲﾄﾞｳ ｼﾞﾛｳ"], false),
    ("sex", &["1", "2"], false),
    ("disqualified_date", &["20260930", "20261001"], true),
    ("care_level", &["01", "06", "12", "13", "21", "23", "25"], false),
    (
        "certification_start_date",
        &["20260210", "20260301", "20260401", "20260615", "20260620", "20261001"],
        false,
    ),
    ("certification_end_date", &["20260228", "20260618", "20260630", "20260930", "20270331"], true),
    ("care_plan_provider_no", &["1470100010", "1470212345", "1470012340"], true),
    ("home_service_limit_units", &["0", "5032", "16765"], false),
    ("copay_relief_benefit_rate", &["90", "95", "100"], true),
    ("food_cost_cap", &["0", "390", "650"], true),
    ("room_cap_multi_bed", &["0", "370"], true),
    ("facility_cap_start_date", &["20260401", "20260801"], true),
];

/// Items of one record: each given a value in `values` of 100 cases, cleared (if it can be) in `clears`.
/// Blanks are sometimes named and sometimes absent; both mean the same.
pub(super) fn draw(rng: &mut Rng, values: usize, clears: usize) -> BTreeMap<String, State> {
    draw_from(&ITEMS, rng, values, clears)
}

/// An item, values it may have, and whether it has a clear mark.
pub(super) type Choice<'a> = (&'a str, &'a [&'a str], bool);

/// [`draw`] from other items.
pub(super) fn draw_from(
    among: &[Choice],
    rng: &mut Rng,
    values: usize,
    clears: usize,
) -> BTreeMap<String, State> {
    let mut items = BTreeMap::new();
    for &(name, choices, clearable) in among {
        let state = if rng.chance(values) {
            State::Value(rng.pick(choices).to_owned())
        } else if clearable && rng.chance(clears) {
            State::Clear
        } else if rng.chance(10) {
            State::Blank
        } else {
            continue;
        };
        items.insert(name.to_owned(), state);
    }
    items
}
