//! What the program relies on in layouts that a user may replace.
//!
//! Promise: a layout that passes can be read, stacked and published; one that does not is named with the
//! line of its item.

use crate::csv_table::DataError;
use crate::layout::{Item, Kind, Layout};
use crate::record::RecordKind;

/// Width in bytes of the masks `given` and `cleared` of a fact: bit `i` (little endian) is stacked
/// item `i` of [`crate::tables::stacked_items`].
pub const MASK_BYTES: i32 = 16;

/// Items that identify a record instead of being stacked.
pub(crate) const IDENTITY: [&str; 7] =
    ["record_type", "record_no", "exchange_id", "movement_date", "movement_type", "insurer_no", "insured_no"];

/// Names of columns that are no items, in facts and in published tables.
const RESERVED: &[&str] = &[
    "is_correction",
    "change_type",
    "file_seq",
    "byte_offset",
    "warned",
    "extra_items",
    "given",
    "cleared",
    "state",
    "flags",
    "stale",
    "lineage",
    "corrections",
    "service_month",
    "month",
    "holder_no",
    "holder_name",
    "file_id",
    "file_name",
    "last_correction_date",
    "movements_in_month",
    "ended_in_month",
    "first_day_insurer_no",
    "heaviest_care_level",
    "limit_units",
    "limit_source",
    "certification_covers_month",
    "covering_movement_date",
    "valid_from",
    "valid_to",
    "from_month",
    "to_month",
    "processing_month",
    "sender_no",
    "known_on",
    "source",
    "taken_in_on",
];

/// The kinds an item may have that the program relies on; any for others.
fn kinds_of(item: &str) -> &'static [Kind] {
    match item {
        "movement_date"
        | "correction_date"
        | "certification_start_date"
        | "certification_end_date"
        | "member_valid_from_date"
        | "valid_from_date"
        | "valid_to_date" => &[Kind::Date],
        "movement_type" | "correction_type" => &[Kind::Code],
        "insurer_no" | "insured_no" | "member_insurer_no" => &[Kind::Identifier],
        "category_limit_units" | "service_type_limit_units" => &[Kind::Integer],
        "movement_reason" | "care_level" | "insurer_type" | "service_code" => {
            &[Kind::Code, Kind::Identifier, Kind::Text]
        }
        "insurer_name" => &[Kind::Text, Kind::Kana],
        _ => &Kind::ALL,
    }
}

/// What the program relies on in a replaced layout.
pub fn check_layout(kind: RecordKind, layout: &Layout) -> Result<(), DataError> {
    let fault = |line: usize, what: String| Err(DataError::new(&layout.file, line as u64, what));
    if let Some(missing) = kind.needed_items().iter().find(|name| layout.column(name).is_none()) {
        return fault(0, format!("item {missing} is missing"));
    }
    let first = ["record_type", "record_no", "exchange_id"];
    if first.iter().zip(&layout.items).any(|(name, item)| item.name != *name) {
        return fault(2, "the first items must be record_type, record_no, exchange_id".to_owned());
    }
    for item in &layout.items {
        let kinds = kinds_of(&item.name);
        if !kinds.contains(&item.kind) {
            let kinds: Vec<&str> = kinds.iter().map(|kind| kind.name()).collect();
            return fault(
                item.position + 1,
                format!("item {} must be of kind {}", item.name, kinds.join(" or ")),
            );
        }
        if RESERVED.contains(&item.name.as_str()) {
            return fault(
                item.position + 1,
                format!("{} is the name of another column; choose one", item.name),
            );
        }
    }
    let stacked = layout.items.iter().filter(|item| !IDENTITY.contains(&item.name.as_str()));
    let stacked: Vec<&Item> = stacked.filter(|item| !item.repeats()).collect();
    if stacked.len() > MASK_BYTES as usize * 8 {
        return fault(0, "more than 128 stacked items".to_owned());
    }
    // The timeline takes the first stacked item for the movement reason.
    if kind == RecordKind::RecipientMovement && stacked.first().is_none_or(|i| i.name != "movement_reason") {
        return fault(0, "movement_reason must be the first item behind the key".to_owned());
    }
    let repeating: Vec<&str> = layout.repeating().iter().map(|item| item.name.as_str()).collect();
    let wanted: &[&str] = match kind {
        RecordKind::UnionMembershipMovement => &["member_insurer_no", "member_valid_from_date"],
        _ => &[],
    };
    if repeating != wanted {
        return fault(0, format!("the items that repeat must be: {}", wanted.join(", ")));
    }
    Ok(())
}

/// A correction can only correct what a movement has.
pub fn check_correction(correction: &Layout, movement: &Layout) -> Result<(), DataError> {
    let own = ["correction_date", "correction_type"];
    let known = |item: &&Item| own.contains(&item.name.as_str()) || movement.column(&item.name).is_some();
    match correction.items.iter().find(|item| !known(item)) {
        None => Ok(()),
        Some(item) => {
            let what = format!("item {}: the movements' layout has no such item to correct", item.name);
            Err(DataError::new(&correction.file, item.position as u64 + 1, what))
        }
    }
}

/// The items of the control record that are read.
pub fn check_control(control: &Layout) -> Result<(), DataError> {
    let needed = [
        "record_type",
        "record_no",
        "record_count",
        "data_type",
        "welfare_office_no",
        "insurer_no",
        "prefecture_no",
        "processing_month",
    ];
    match needed.iter().find(|name| control.column(name).is_none()) {
        None => Ok(()),
        Some(missing) => Err(DataError::new(&control.file, 0, format!("item {missing} is missing"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::FactTable;
    use crate::{Spec, tables};

    #[test]
    fn every_column_that_is_no_item_is_reserved() {
        let spec = Spec::embedded().unwrap();
        let schemas = [
            tables::fact_schema(&spec, FactTable::Recipient),
            tables::recipient_month_schema(&spec),
            tables::recipient_history_schema(&spec),
            tables::municipal_limits_schema(&spec),
            tables::special_benefits_schema(&spec),
        ];
        let is_item = |name: &str| spec.layouts.values().any(|layout| layout.column(name).is_some());
        for field in schemas.iter().flat_map(|schema| schema.fields()) {
            assert!(is_item(field.name()) || RESERVED.contains(&field.name().as_str()), "{}", field.name());
        }
    }
}
