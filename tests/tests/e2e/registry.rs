//! Insurers, unions and municipal limits through the whole program, where a golden scenario cannot tell it:
//! withdrawals, snapshots that know none of them, replaced layouts.

use crate::place::{Place, manifest};
use std::fs;
use std::path::{Path, PathBuf};
use tsumiage_pipeline::layout_files::load_spec;
use tsumiage_pipeline::writer::{FileHeader, OutRecord, Quoting, RecordBuilder, write_file};
use tsumiage_schemas::sources::Profile;
use tsumiage_schemas::{RecordKind, Spec};

const TABLES: [&str; 4] = ["insurers", "memberships", "municipal_limits", "special_benefits"];

/// A registration of 2026-04-01 with these items besides its keys.
fn record(spec: &Spec, kind: RecordKind, insurer_no: &str, items: &[(&str, &str)]) -> OutRecord {
    builder(spec, kind, insurer_no, items).build()
}

fn builder<'s>(
    spec: &'s Spec,
    kind: RecordKind,
    insurer_no: &str,
    items: &[(&str, &str)],
) -> RecordBuilder<'s> {
    let keys = [
        ("movement_date", "20260401"),
        ("movement_type", "1"),
        ("movement_reason", "01"),
        ("insurer_no", insurer_no),
    ];
    let items = keys.iter().chain(items);
    items.fold(RecordBuilder::new(spec.layout(kind)), |record, (item, text)| record.set(item, *text).unwrap())
}

fn person(spec: &Spec, insurer_no: &str, insured_no: &str) -> OutRecord {
    let items = [
        ("insured_no", insured_no),
        ("care_level", "21"),
        ("certification_start_date", "20260401"),
        ("certification_end_date", "20270331"),
    ];
    record(spec, RecordKind::RecipientMovement, insurer_no, &items)
}

/// Writes a file of May 2026.
fn write(place: &Place, name: &str, sender_no: &str, records: &[OutRecord]) -> String {
    let header = FileHeader::new(&records[0].exchange_id[..3], sender_no, "2026-05".parse().unwrap());
    let path = place.path(name);
    fs::write(&path, write_file(&header, Quoting::Needed, records).unwrap()).unwrap();
    path
}

fn rows(snapshot: &Path, table: &str) -> u64 {
    manifest(snapshot)["tables"][table]["rows"].as_u64().unwrap()
}

#[test]
fn a_list_taken_back_never_counted() {
    let (place, spec) = (Place::new(), Spec::embedded().unwrap());
    let name = [("insurer_name", "ひがし広域連合"), ("insurer_type", "3")];
    let union = record(&spec, RecordKind::InsurerMovement, "141003", &name);
    let list = builder(&spec, RecordKind::UnionMembershipMovement, "141003", &[]);
    let list = list.member("142018", "20260401").unwrap().build();
    let union = write(&place, "union.csv", "141003", &[union, list]);
    let town = write(&place, "town.csv", "142018", &[person(&spec, "142018", "0000000010")]);
    let with = place.snapshot(&["nightly", "--on", "2026-05-10", &union, &town]);
    let held =
        |snapshot: &PathBuf| place.query(snapshot, "SELECT holder_no, holder_name FROM recipient_history");
    let codes = |snapshot: &PathBuf| {
        place.query(snapshot, "SELECT code FROM findings WHERE code <> 'R11' ORDER BY code")
    };
    assert_eq!(held(&with), ["141003,ひがし広域連合"]);
    assert_eq!((rows(&with, "memberships"), codes(&with)), (1, Vec::new()));

    let list = format!("{}:3", place.file_id("union.csv"));
    assert_eq!(place.run(&["withdraw", &list, "--reason", "誤り", "--on", "2026-05-11"]).0, 0);
    let without = place.snapshot(&["resolve"]);
    assert_eq!(held(&without), ["142018,"]);
    assert_eq!((rows(&without, "memberships"), rows(&without, "insurers")), (0, 1));
    assert_eq!(codes(&without), ["F11", "S08"], "the town has no insurer record of its own");
}

#[test]
fn what_knows_no_insurers_has_empty_tables_no_names_and_the_national_limits() {
    let place = Place::new();
    place.two_months();
    let snapshot = place.snapshot(&["resolve"]);
    for table in TABLES {
        assert_eq!(rows(&snapshot, table), 0, "{table}");
        assert!(snapshot.join(format!("{table}/{table}.parquet")).is_file(), "{table}");
        let columns = format!("SELECT valid_from, valid_to, file_id, record_no FROM {table}");
        assert!(place.query(&snapshot, &columns).is_empty(), "{table}");
    }
    let told =
        "SELECT count(holder_name), count(DISTINCT limit_source), max(limit_source) FROM recipient_month";
    assert_eq!(place.query(&snapshot, told), ["0,0,"], "nobody there is certified");
}

#[test]
fn own_limits_by_a_layout_that_has_neither_services_nor_days() {
    let place = Place::new();
    let path = "layouts/5511-municipal-limit-movement.csv";
    let (_, text) = tsumiage_schemas::data::FILES.iter().find(|(own, _)| *own == path).unwrap();
    let short: Vec<&str> = text.lines().take(10).collect();
    assert!(short.last().unwrap().starts_with("9,category_limit_units,"), "the last item kept");
    let folder = PathBuf::from(place.path("own"));
    fs::create_dir_all(folder.join("layouts")).unwrap();
    fs::write(folder.join(path), short.join("\n") + "\n").unwrap();
    let spec = load_spec(Profile::Strict, Some(&folder)).unwrap();

    let own = [("care_level", "21"), ("category_limit_units", "15000")];
    let limit = record(&spec, RecordKind::MunicipalLimitMovement, "142018", &own);
    let change = [
        ("care_level", "21"),
        ("category_limit_units", "14000"),
        ("movement_date", "20260510"),
        ("movement_type", "2"),
    ];
    let change = record(&spec, RecordKind::MunicipalLimitMovement, "142018", &change);
    let limits = write(&place, "limits.csv", "142018", &[limit, change]);
    let town = write(&place, "town.csv", "142018", &[person(&spec, "142018", "0000000010")]);
    let snapshot = place.snapshot(&[
        "nightly",
        "--on",
        "2026-05-10",
        "--months",
        "2026-03..2026-06",
        "--layouts",
        &folder.display().to_string(),
        &limits,
        &town,
    ]);
    let months = "SELECT service_month, limit_units, limit_source FROM recipient_month ORDER BY 1";
    let expected = ["2026-04-01,15000,municipal", "2026-05-01,14000,municipal", "2026-06-01,14000,municipal"];
    assert_eq!(place.query(&snapshot, months), expected);
    let periods = "SELECT care_level, valid_from, valid_to, record_no FROM municipal_limits";
    assert_eq!(place.query(&snapshot, periods), ["21,2026-04-01,2026-05-09,2", "21,2026-05-10,,3"]);
}
