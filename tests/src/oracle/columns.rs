//! The stacked items by name, in the order of the layouts.

use super::RegistryKind;

/// Every item of layout 5311 but the envelope columns, `movement_date`, `movement_type`, `insurer_no` and
/// `insured_no`. Items whose names end in `_date` are dates.
pub const ITEMS: [&str; 72] = [
    "movement_reason",
    "name_kana",
    "birth_date",
    "sex",
    "qualified_date",
    "disqualified_date",
    "elderly_health_municipality_no",
    "elderly_health_recipient_no",
    "union_no",
    "application_type",
    "change_application_status",
    "application_date",
    "deemed_care_level_type",
    "care_level",
    "certification_start_date",
    "certification_end_date",
    "care_plan_type",
    "care_plan_provider_no",
    "care_plan_start_date",
    "care_plan_end_date",
    "home_service_limit_units",
    "home_service_limit_start_date",
    "home_service_limit_end_date",
    "short_stay_limit_days",
    "short_stay_limit_start_date",
    "short_stay_limit_end_date",
    "public_expense_cap_reduction",
    "reimbursement_start_date",
    "reimbursement_end_date",
    "benefit_rate_cut_start_date",
    "benefit_rate_cut_end_date",
    "copay_relief_application_status",
    "copay_relief_type",
    "copay_relief_benefit_rate",
    "copay_relief_start_date",
    "copay_relief_end_date",
    "standard_copay_type",
    "standard_copay_amount",
    "standard_copay_start_date",
    "standard_copay_end_date",
    "facility_cap_application_status",
    "facility_cap_service_type",
    "facility_cap_special_reduction",
    "food_cost_cap",
    "room_cap_unit_private",
    "room_cap_unit_semi_private",
    "room_cap_conventional_welfare",
    "room_cap_conventional_medical",
    "room_cap_multi_bed",
    "facility_cap_start_date",
    "facility_cap_end_date",
    "welfare_corp_relief_rate",
    "welfare_corp_relief_start_date",
    "welfare_corp_relief_end_date",
    "small_multifunction_first_month_use",
    "late_elderly_insurer_no",
    "late_elderly_insured_no",
    "nhi_insurer_no",
    "nhi_certificate_no",
    "nhi_personal_no",
    "secondary_prevention_type",
    "secondary_prevention_start_date",
    "secondary_prevention_end_date",
    "address_exception_type",
    "address_exception_facility_insurer_no",
    "address_exception_start_date",
    "address_exception_end_date",
    "room_cap_new_1",
    "room_cap_new_2",
    "room_cap_new_3",
    "twenty_percent_copay_start_date",
    "twenty_percent_copay_end_date",
];

/// Movement date, type and reason are never inherited; every other item is.
pub(super) fn inherited_items() -> impl Iterator<Item = &'static str> {
    ITEMS.into_iter().filter(|item| *item != "movement_reason")
}

/// What a record of the registry says, by kind, besides insurer number, movement date and type; in the
/// order of the layouts. Names that end in `_date` are dates.
pub(super) fn registry_items(kind: RegistryKind) -> &'static [&'static str] {
    match kind {
        RegistryKind::Insurer => {
            &["movement_reason", "insurer_name", "insurer_type", "valid_from_date", "valid_to_date"]
        }
        RegistryKind::Limit => &[
            "movement_reason",
            "care_level",
            "category_limit_units",
            "service_type",
            "service_type_limit_units",
            "valid_from_date",
            "valid_to_date",
        ],
        RegistryKind::Benefit => &[
            "movement_reason",
            "service_code",
            "service_name",
            "service_points",
            "valid_from_date",
            "valid_to_date",
        ],
        RegistryKind::Membership => &["movement_reason"],
    }
}

/// The items that tell the streams of one insurer apart.
pub(super) fn registry_keys(kind: RegistryKind) -> &'static [&'static str] {
    match kind {
        RegistryKind::Limit => &["care_level", "service_type"],
        RegistryKind::Benefit => &["service_code"],
        RegistryKind::Insurer | RegistryKind::Membership => &[],
    }
}
