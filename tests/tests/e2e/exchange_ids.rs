//! All six exchange ids through the whole program: taken in, counted, kept in the ledger as they were sent.

use crate::support::{Table, snapshot_of, tsumiage};
use arrow::array::{Array, AsArray};
use arrow::datatypes::Date32Type;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use std::fs;
use std::path::Path;
use tsumiage_pipeline::ledger::Ledger;
use tsumiage_pipeline::writer::{FileHeader, OutRecord, Quoting, RecordBuilder, write_file};
use tsumiage_schemas::{Day, FactTable, RecordKind, Spec};

fn record(spec: &Spec, kind: RecordKind, items: &[(&str, &str)], members: &[(&str, &str)]) -> OutRecord {
    let keys = [("movement_date", "20260401"), ("movement_type", "1"), ("insurer_no", "143990")];
    let mut builder = RecordBuilder::new(spec.layout(kind));
    for (item, text) in keys.iter().chain(items) {
        builder = builder.set(item, *text).unwrap();
    }
    for (member, from) in members {
        builder = builder.member(*member, *from).unwrap();
    }
    builder.build()
}

/// Writes a file of these records; the data type is that of the first.
fn write(folder: &Path, name: &str, records: &[OutRecord]) {
    let header = FileHeader::new(&records[0].exchange_id[..3], "143990", "2026-04".parse().unwrap());
    fs::write(folder.join(name), write_file(&header, Quoting::Needed, records).unwrap()).unwrap();
}

#[test]
fn every_exchange_id_is_taken_in_and_kept() {
    let place = tempfile::tempdir().unwrap();
    let inbox = place.path().join("inbox");
    fs::create_dir(&inbox).unwrap();
    let spec = Spec::embedded().unwrap();
    let insurer = [("insurer_name", "湘南広域連合"), ("insurer_type", "3"), ("valid_from_date", "20260401")];
    let insurer = record(&spec, RecordKind::InsurerMovement, &insurer, &[]);
    let limit = [("care_level", "21"), ("category_limit_units", "18000"), ("service_type", "*")];
    let limit = record(&spec, RecordKind::MunicipalLimitMovement, &limit, &[]);
    let benefit = [("service_code", "810001"), ("service_name", "配食"), ("service_points", "0")];
    let benefit = record(&spec, RecordKind::SpecialBenefitMovement, &benefit, &[]);
    let members = [("142018", "20260401"), ("142034", "20260401"), ("00143219", "20260501")];
    let list = record(&spec, RecordKind::UnionMembershipMovement, &[("movement_reason", "01")], &members);
    let half =
        record(&spec, RecordKind::UnionMembershipMovement, &[], &[("142018", "20260401"), ("142034", "")]);
    let person = [("insured_no", "0000000001"), ("movement_reason", "01")];
    let person = record(&spec, RecordKind::RecipientMovement, &person, &[]);
    write(&inbox, "5411.csv", std::slice::from_ref(&insurer));
    write(&inbox, "5511.csv", std::slice::from_ref(&limit));
    write(&inbox, "5611.csv", std::slice::from_ref(&benefit));
    write(&inbox, "5711.csv", &[list.clone(), half]);
    write(&inbox, "mixed.csv", &[person, insurer, limit, benefit, list]);
    let data = place.path().join("data");
    let args = [
        "nightly",
        "--inbox",
        inbox.to_str().unwrap(),
        "--data",
        data.to_str().unwrap(),
        "--on",
        "2026-04-20",
    ];
    let snapshot = snapshot_of(&tsumiage(args));
    let columns = ["name", "data_type", "records", "accepted", "rejected", "status"].map(str::to_owned);
    let files = Table::read_snapshot(&snapshot, "files", &columns);
    let row = |cells: [&str; 6]| cells.map(str::to_owned).to_vec();
    assert_eq!(
        files.rows,
        [
            row(["5411.csv", "541", "1", "1", "0", "accepted"]),
            row(["5511.csv", "551", "1", "1", "0", "accepted"]),
            row(["5611.csv", "561", "1", "1", "0", "accepted"]),
            row(["5711.csv", "571", "2", "1", "1", "partly_rejected"]),
            // Its registry records are second movements of their dates (S01).
            row(["mixed.csv", "531", "5", "1", "4", "partly_rejected"]),
        ]
    );
    let findings = Table::read_snapshot(&snapshot, "findings", &["code".to_owned(), "item".to_owned()]);
    assert!(findings.rows.contains(&vec!["R02".to_owned(), "member_valid_from_date".to_owned()]));
    check_kept(&Ledger::open(&data).unwrap());
}

/// Each registry table has its record twice: from its own file and from the mixed one.
fn check_kept(ledger: &Ledger) {
    for table in FactTable::ALL.into_iter().filter(|table| table.kind().is_some()) {
        let runs: Vec<_> = ledger.runs_of(table).collect();
        assert_eq!(runs.len(), 1, "{table:?}");
        let file = fs::File::open(ledger.path(&runs[0].path)).unwrap();
        let batches = ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap();
        let batches: Vec<_> = batches.map(Result::unwrap).collect();
        let batch = &batches[0];
        assert_eq!(batch.num_rows(), if table == FactTable::Recipient { 1 } else { 2 }, "{table:?}");
        let column = |name: &str| batch.column_by_name(name).unwrap();
        assert_eq!(column("insurer_no").as_string::<i32>().value(0), "143990");
        assert_eq!(column("insured_no").is_null(0), table != FactTable::Recipient);
        match table {
            FactTable::Recipient | FactTable::Khs => {}
            FactTable::Insurer => {
                assert_eq!(column("insurer_name").as_string::<i32>().value(1), "湘南広域連合");
            }
            FactTable::MunicipalLimit => {
                let cleared = column("cleared").as_fixed_size_binary().value(0)[0];
                assert!(cleared != 0 && column("service_type").is_null(0), "the clear mark survives");
            }
            FactTable::SpecialBenefit => assert!(column("service_points").is_valid(0), "zero is a value"),
            FactTable::Membership => {
                let numbers = column("member_insurer_no").as_list::<i32>().value(0);
                let numbers: Vec<_> =
                    numbers.as_string::<i32>().iter().flatten().map(str::to_owned).collect();
                assert_eq!(numbers, ["142018", "142034", "143219"]);
                let days = column("member_valid_from_date").as_list::<i32>().value(0);
                let days = days.as_primitive::<Date32Type>();
                assert_eq!(Day(days.value(2)).to_string(), "2026-05-01");
            }
        }
    }
}
