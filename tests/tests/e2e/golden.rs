//! Golden scenarios: `tests/golden/<scenario>/` holds readable exchange files and the tables that
//! `domain.md` says must come out, derived by hand.
//!
//! - `about.md`: what the sources say and what is expected.
//! - `files/<processing month>_<take-in day>_<name>.csv`: see [`crate::support::Source`].
//! - `expected/<view>/<table>.csv`: the header decides which columns are compared; all rows are, in the
//!   order of the contract. Blank = not set, `~` = not compared.
//! - `<view>`: `all`, `lazy`, `as-of-YYYY-MM`, `lazy-as-of-YYYY-MM`; `expected/<view>/options` holds
//!   further options of `resolve`.

use crate::support::{self, Source, Table};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use tsumiage_pipeline::writer::Quoting;

macro_rules! scenarios {
    ($($name:ident)*) => {
        $(#[test] fn $name() { check(stringify!($name)); })*
        const SCENARIOS: &[&str] = &[$(stringify!($name)),*];
    };
}

scenarios! {
    case_1_city
    case_1_union
    case_2_city
    case_2_union
    case_3_city
    case_3_union
    case_4_city
    case_4_union
    case_5_city
    case_5_union
    case_6_city
    case_6_union
    case_7_city
    case_7_union
    case_8_city
    case_8_union
    clear_marks
    correction_of_the_same_night
    delete_and_send_anew_in_one_night
    end_and_registration_anew
    ends_and_later_records
    ends_inside_and_on_the_first_day
    full_and_sparse_records
    heaviest_care_level
    late_file_of_an_earlier_month
    late_movement_arrival_against_lazy
    refused_by_stacking
    registration_and_change_in_one_night
    registration_deleted_under_later_records
    second_correction_dated_earlier
    seed_1_4_1_2_renewal
    seed_1_4_1_merged_changes
    seed_1_4_1_same_day_duplicate
    seed_1_4_2_1_correction
    seed_1_4_2_2_name_in_all_three
    seed_1_4_2_2_name_in_first_only
    seed_1_4_first_table
    seed_1_4_pattern_1
    seed_1_4_pattern_2
    seed_1_4_pattern_3
    seed_1_4_pattern_4_june
    seed_1_4_pattern_4_may
    seed_1_5_2_twice_in_a_month
    two_insurers_one_insured_number
    union_correction_of_a_record_before_a_move
    union_correction_of_a_record_before_the_join
    union_end_around_the_leaving_day
    union_insurer_end_mended
    union_insurer_ended
    union_insurer_renamed
    union_late_membership_list
    union_list_end_forgotten
    union_list_restates_valid_from
    union_member_forgotten_and_named_again
    union_merger_new_list_known_first
    union_merger_old_ends_known_first
    union_move_inside_a_month
    union_municipal_limits
    union_number_in_the_records
    union_of_33_members
    union_registry_refused_and_warned
    union_same_number_in_two_towns
    union_senders
    union_slip_on_the_boundary_day
    union_slip_twice_deletes_once
    union_special_benefits
    union_town_changes_inside_a_month
    union_town_joins_and_leaves_years_later
    union_town_joins_the_same_union_again
    union_town_joins_without_its_own_end
    union_two_unions_at_once
    union_without_insurer_record
}

#[test]
fn every_scenario_is_run() {
    let listed: BTreeSet<String> = SCENARIOS.iter().map(|name| (*name).to_owned()).collect();
    let there: BTreeSet<String> = support::names_in(&folder("")).into_iter().collect();
    assert_eq!(listed, there, "the list in golden.rs and the folders of tests/golden differ");
}

/// The folder of a scenario.
pub fn folder(scenario: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("golden").join(scenario)
}

/// Takes the scenario's files in, one run per take-in day, and compares every view.
fn check(scenario: &str) {
    let temp = tempfile::tempdir().unwrap();
    let data = temp.path().join("data");
    take_in(&folder(scenario).join("files"), temp.path(), &data);
    compare(&folder(scenario), &data);
}

/// Resolves every view below `expected` in `dir` and compares its tables; fails with all differences.
pub fn compare(dir: &Path, data: &Path) {
    let mut differences = String::new();
    for view in support::names_in(&dir.join("expected")) {
        let expected = dir.join("expected").join(&view);
        let snapshot = resolve(&view, &expected, data);
        for file in support::names_in(&expected) {
            let Some(table) = file.strip_suffix(".csv") else { continue };
            let want = Table::read_csv(&expected.join(&file));
            let got = Table::read_snapshot(&snapshot, table, &want.header);
            if let Some(difference) = want.difference(&got) {
                differences.push_str(&format!("\n{view} / {table}\n{difference}"));
            }
        }
    }
    assert!(differences.is_empty(), "- expected, + got, in {}\n{differences}", dir.display());
}

/// Exchange files made from the readable ones, taken in day by day.
pub fn take_in(files: &Path, temp: &Path, data: &Path) {
    let spec = tsumiage_schemas::Spec::embedded().unwrap();
    let mut sources: Vec<Source> =
        support::names_in(files).iter().map(|name| Source::read(&files.join(name))).collect();
    sources.sort_by_key(|source| source.taken_in_on);
    for day in sources.chunk_by(|a, b| a.taken_in_on == b.taken_in_on) {
        let on = day[0].taken_in_on.to_string();
        let inbox = temp.join(format!("inbox-{on}"));
        fs::create_dir(&inbox).unwrap();
        let mut args: Vec<PathBuf> = ["ingest", "--on", &on, "--data"].map(PathBuf::from).to_vec();
        args.push(data.to_owned());
        for source in day {
            let path = inbox.join(&source.name);
            fs::write(&path, source.to_exchange_file(&spec, Quoting::Mixed)).unwrap();
            args.push(path);
        }
        support::tsumiage(args);
    }
}

/// Resolves as the view says and gives the snapshot's folder.
fn resolve(view: &str, expected: &Path, data: &Path) -> PathBuf {
    let mut args = vec!["resolve".to_owned(), "--data".to_owned()];
    args.push(data.display().to_string());
    let (mode, rest) = match view.strip_prefix("lazy") {
        Some(rest) => ("lazy", rest.strip_prefix('-').unwrap_or(rest)),
        None => ("arrival", view),
    };
    args.extend(["--inheritance".to_owned(), mode.to_owned()]);
    match rest.strip_prefix("as-of-") {
        Some(month) => args.extend(["--as-of".to_owned(), month.to_owned()]),
        None => assert!(rest.is_empty() || rest == "all", "{view} is no view: all, lazy, as-of-YYYY-MM …"),
    }
    if let Ok(options) = fs::read_to_string(expected.join("options")) {
        args.extend(options.split_whitespace().map(str::to_owned));
    }
    support::snapshot_of(&support::tsumiage(args))
}
