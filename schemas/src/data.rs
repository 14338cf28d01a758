//! The data files of this crate, embedded in the binary.

macro_rules! files {
    ($($path:literal),* $(,)?) => {
        &[$(($path, include_str!(concat!("../data/", $path)))),*]
    };
}

/// (path below `schemas/data`, text) of every embedded file.
pub const FILES: &[(&str, &str)] = files![
    "layouts/5311-recipient-movement.csv",
    "layouts/5321-recipient-correction.csv",
    "layouts/5411-insurer-movement.csv",
    "layouts/5511-municipal-limit-movement.csv",
    "layouts/5611-special-benefit-movement.csv",
    "layouts/5711-union-membership-movement.csv",
    "layouts/envelope-control.csv",
    "layouts/envelope-end.csv",
    "codes/application_status.csv",
    "codes/application_type.csv",
    "codes/applies.csv",
    "codes/care_level.csv",
    "codes/care_level_limits.csv",
    "codes/care_plan_type.csv",
    "codes/copay_relief_type.csv",
    "codes/correction_type.csv",
    "codes/deemed_care_level_type.csv",
    "codes/facility_cap_service_type.csv",
    "codes/insurer_movement_reason.csv",
    "codes/insurer_type.csv",
    "codes/khs_status.csv",
    "codes/medium.csv",
    "codes/movement_reason.csv",
    "codes/movement_type.csv",
    "codes/not_applies.csv",
    "codes/record_type.csv",
    "codes/sex.csv",
    "codes/standard_copay_type.csv",
    "codes/yes_no.csv",
    "khs/file-request.csv",
    "khs/file-response.csv",
    "khs/json-request.csv",
    "khs/json-response.csv",
    "khs/person.csv",
    "rules/characters.csv",
    "rules/check_digits.csv",
    "rules/eras.csv",
    "rules/line_end_texts.csv",
    "rules/periods.csv",
    "profiles/lenient/findings.csv",
    "profiles/lenient/rules/line_end_texts.csv",
    "findings.csv",
    "details.csv",
];
