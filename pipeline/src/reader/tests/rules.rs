//! Every code but F07 (which the reader does not know).

use super::*;

#[test]
fn a_clean_file_has_no_findings() {
    check(&file(&[movement(&[])]), &[]);
    check(&file(&[]), &[]);
    check(&file(&[movement(&[]), correction(&[("care_level", "21")])]), &[]);
}

#[test]
fn file_errors() {
    let whole = file(&[movement(&[]), movement(&[])]);
    let with = |from: &str, to: &str| replaced(&whole, from.as_bytes(), to.as_bytes());
    check(b"", &["F01 error - -×1"]);
    check(b"PK\x03\x04\0\0", &["F01 error - -×1"]);
    check(&with("1,1,0,2,531,,", "2,1,0,2,531,,"), &["F01 error - -×1"]);
    check(&with(",202610,", ",202613,"), &["F02 error processing_month 1×1"]);
    check(&with(",1,202610,", ",3,202610,"), &["F02 error medium 1×1"]);
    check(&with("1,1,0,2,", "1,1,0,x,"), &["F02 error record_count 1×1"]);
    check(&with("1,1,0,2,", "1,,0,2,"), &["F02 error record_no 1×1"]);
    check(&with("531,,142018", "531,,14201"), &["F02 error insurer_no 1×1"]);
    check(&with("1,202610,0\r\n", "1,202610\r\n"), &["F02 error file_no 1×1"]);
    check(&with("1,1,0,2,", "1,1,0,3,"), &["F03 error - 1×1"]);
    check(&with("3,4\r\n", ""), &["F04 error - 3×1"]);
    check(&with("3,4\r\n", "3,x\r\n"), &["F04 error - 4×1"]);
    check(&with("2,3,5311", "3,3,5311"), &["F03 error - 1×1", "F04 error - 3×1"]);
    check(&with("2,2,5311", "2,7,5311"), &["F05 error - 2×1"]);
    check(&with("1,1,0,2,", "1,2,0,2,"), &["F05 error - 1×1"]);
    check(&with("3,4\r\n", "3,5\r\n"), &["F05 error - 4×1"]);
    check(&with("2,531,,", "2,532,,"), &["F06 error - 2×1"]);
    check(&with("2,531,,", "2,999,,"), &["F06 error - 1×1"]);
    check(&with(",202610,", ",202611,"), &[]);
    check(&with(",202610,", ",202612,"), &["F10 error - 1×1"]);
}

#[test]
fn a_month_that_was_closed_when_the_file_arrived_is_f08() {
    let told_closed = |through: &str| {
        let options = ReadOptions { closed_through: Some(through.parse().unwrap()), ..OPTIONS };
        let Ok(report) =
            read(&file(&[movement(&[])]), &COMPILED, &options, &mut |_, _| Ok::<_, Infallible>(()));
        (told(&report), report.findings.first().map(|f| f.detail.clone()), report.accepted)
    };
    assert_eq!(told_closed("2026-09"), (vec![], None, 1));
    for through in ["2026-10", "2026-11"] {
        let (told, detail, accepted) = told_closed(through);
        assert_eq!((told, accepted), (vec!["F08 error - 1×1".to_owned()], 0));
        assert_eq!(detail.as_deref(), Some("2026-10"));
    }
}

#[test]
fn tolerated_forms() {
    let whole = file(&[movement(&[])]);
    let lf: Vec<u8> = whole.iter().copied().filter(|b| *b != b'\r').collect();
    check(&lf, &["F09 warning - 1×3"]);
    check(whole.strip_suffix(b"\r\n").unwrap(), &["F09 warning - 3×1"]);
    check(&[&whole[..], b"\x1a"].concat(), &["F09 warning - -×1"]);
    check(&[&whole[..], b"\r\n\r\n\x1a"].concat(), &["F09 warning - -×1", "F09 warning - -×2"]);
    check(&replaced(&whole, b"\r\n3,3\r\n", b",\r\n3,3,\r\n"), &["F09 warning - 2×2"]);
    let numbers = replaced(&whole, b"1,1,0,1,", b"1,0001,000,00001,");
    let numbers = replaced(&numbers, b"2,2,5311", b"\"2\",\"000002\",\"5311\"");
    check(&replaced(&numbers, b",,142018,,,", b",00,00142018,0000,00,"), &[]);
}

#[test]
fn column_counts() {
    let whole = file(&[movement(&[])]);
    check(&replaced(&whole, b"\r\n3,3", b",x,y\"\r\n3,3"), &["R01 info - 2×1"]);
    let (_, batches) = read_all(&replaced(&whole, b"\r\n3,3", b",x,y\"\r\n3,3"));
    let extra = batches[0].column_by_name("extra_items").unwrap();
    assert_eq!(extra.as_binary::<i32>().value(0), b"x,y\"");
    for (columns, expected) in [(47, None), (79, None), (50, Some("R01 warning - 2×1"))] {
        let mut record = movement(&[]);
        record.items.truncate(columns - 3);
        check(&file(&[record]), expected.as_slice());
    }
    let mut short = movement(&[]);
    short.items.truncate(3);
    check(&file(&[short]), &["R01 warning - 2×1", "R02 error insurer_no 2×1"]);
    check(
        &file(&[OutRecord { exchange_id: "5311".into(), items: vec![] }]),
        &["R01 warning - 2×1", "R02 error movement_date 2×1"],
    );
    let gap = replaced(&whole, b"2,2,5311", b"\r\n2,2,5311");
    check(&replaced(&gap, b"1,1,0,1", b"1,1,0,2"), &["R02 error movement_date 2×1", "F05 error - 3×1"]);
}

#[test]
fn keys() {
    for (item, text, expected) in [
        ("movement_date", "", "R02 error movement_date 2×1"),
        ("movement_date", "********", "R02 error movement_date 2×1"),
        ("movement_date", "00000000", "R03 error movement_date 2×1"),
        ("movement_date", "20260931", "R03 error movement_date 2×1"),
        ("movement_date", "202609300", "R05 error movement_date 2×1"),
        ("movement_type", "", "R02 error movement_type 2×1"),
        ("movement_type", " ", "R02 error movement_type 2×1"),
        ("movement_date", "  \u{20}", "R02 error movement_date 2×1"),
        ("movement_type", "0", "R02 error movement_type 2×1"),
        ("movement_type", "4", "R04 error movement_type 2×1"),
        ("insurer_no", "14201", "R02 error insurer_no 2×1"),
        ("insurer_no", "14201A", "R02 error insurer_no 2×1"),
        ("insurer_no", "01142018", "R02 error insurer_no 2×1"),
        ("insured_no", "000000001", "R02 error insured_no 2×1"),
        ("insured_no", "00000000 1", "R02 error insured_no 2×1"),
        ("insured_no", "ｱ000000001", "R02 error insured_no 2×1"),
        ("insured_no", "h000000001", "R13 warning insured_no 2×1"),
    ] {
        check(&file(&[movement(&[(item, text)])]), &[expected]);
    }
    check(&file(&[movement(&[("insured_no", "H000000001")])]), &[]);
    let spaces = replaced(&file(&[movement(&[])]), b",142018,0000000001,", b",\"  \" ,\"  \"\"\",");
    check(&spaces, &["R02 error insured_no 2×1", "R02 error insurer_no 2×1"]);
    let slip = |item, text| file(&[correction(&[(item, text)])]);
    check(&slip("correction_type", "0"), &["R04 error correction_type 2×1"]);
    check(&slip("correction_type", ""), &["R02 error correction_type 2×1"]);
}

#[test]
fn items() {
    for (item, text, expected) in [
        ("birth_date", "20260230", "R03 error birth_date 2×1"),
        ("birth_date", "00000000", ""),
        ("birth_date", "   ", ""),
        ("sex", "3", "R04 error sex 2×1"),
        ("sex", "0", ""),
        ("care_level", "1", "R04 error care_level 2×1"),
        ("nhi_personal_no", "12345678901", "R05 error nhi_personal_no 2×1"),
        ("nhi_personal_no", "1234'", "R06 error nhi_personal_no 2×1"),
        ("nhi_personal_no", "12\t", "R06 error nhi_personal_no 2×1"),
        ("nhi_personal_no", "12\r\n3", "R06 error nhi_personal_no 2×1"),
        ("name_kana", "ｱ\u{e000}", "R07 warning name_kana 2×1|R13 warning name_kana 2×1"),
        ("home_service_limit_units", "1x", "R08 error home_service_limit_units 2×1"),
        ("home_service_limit_units", "-1", "R08 error home_service_limit_units 2×1"),
        ("welfare_corp_relief_rate", "0.2.", "R08 error welfare_corp_relief_rate 2×1"),
        ("welfare_corp_relief_rate", "0.25", ""),
        ("sex", "*", "R09 error sex 2×1"),
        ("disqualified_date", "*", ""),
        ("qualified_date", "20270101", ""),
        ("union_no", "142034", ""),
        ("union_no", "00142034", ""),
        ("union_no", "11142034", "R05 error union_no 2×1"),
        ("union_no", "142035", "R11 info union_no 2×1"),
        ("standard_copay_amount", "5", "R12 warning standard_copay_amount 2×1"),
        ("standard_copay_amount", "0", ""),
        ("name_kana", "ｱｲ ABC", ""),
        ("name_kana", "アイ", "R13 warning name_kana 2×1"),
        ("nhi_certificate_no", "12a", "R13 warning nhi_certificate_no 2×1"),
    ] {
        let expected: Vec<&str> = expected.split('|').filter(|e| !e.is_empty()).collect();
        check(&file(&[movement(&[(item, text)])]), &expected);
    }
    for byte in [b"\xa0", b"\xfd", b"\xfe", b"\xff", b"\x81"] {
        let bytes = replaced(&file(&[movement(&[("name_kana", "QQQ")])]), b"QQQ", byte);
        check(&bytes, &["R07 error name_kana 2×1"]);
    }
    let early = [("movement_date", "20050930"), ("food_cost_cap", "0")];
    check(&file(&[movement(&early)]), &["R12 warning food_cost_cap 2×1"]);
    let period = [("certification_start_date", "20260401"), ("certification_end_date", "20260331")];
    check(&file(&[movement(&period)]), &["R10 warning certification_end_date 2×1"]);
    let one_day = [("certification_start_date", "20260401"), ("certification_end_date", "20260401")];
    check(&file(&[movement(&one_day)]), &[]);
}

#[test]
fn records() {
    let whole = file(&[movement(&[]), movement(&[])]);
    check(&replaced(&whole, b"2,3,5311", b"1,3,5311"), &["R04 error record_type 3×1"]);
    check(&replaced(&whole, b"2,3,5311", b"2,x,5311"), &["R08 error record_no 3×1"]);
    check(&replaced(&whole, b"2,3,5311", b"2,3,5999"), &["R14 error exchange_id 3×1"]);
    let all = movement(&[("sex", "9"), ("birth_date", "x"), ("care_level", "*"), ("insured_no", "1")]);
    let (report, _) = read_all(&file(&[all]));
    assert_eq!(
        told(&report),
        [
            "R02 error insured_no 2×1",
            "R03 error birth_date 2×1",
            "R04 error sex 2×1",
            "R09 error care_level 2×1",
        ]
    );
    assert_eq!(report.findings[1].insurer_no.as_deref(), Some("142018"));
    assert_eq!((report.findings[1].insured_no.as_deref(), report.findings[1].detail.as_str()), (None, "x"));
    let odd = movement(&[("union_no", "142035")]);
    check(&file(&[odd.clone(), movement(&[]), odd]), &["R11 info union_no 2×2"]);
}

#[test]
fn a_quote_that_is_never_closed_costs_one_record() {
    let named = |name| movement(&[("name_kana", name)]);
    let bytes = replaced(&file(&[named("Q"), movement(&[])]), b",Q,", b",\"Q,");
    check(&bytes, &["R01 warning - 2×1", "R06 error name_kana 2×1"]);
    // Behind the newest revision there is no item to name; what is shown is the tail.
    let bytes = replaced(&file(&[movement(&[])]), b"\r\n3,3", b",x,\"y\r\n3,3");
    let (report, _) = read_all(&bytes);
    assert_eq!(told(&report), ["R01 info - 2×1", "R06 error - 2×1"]);
    assert_eq!(
        [0, 1].map(|at| report.findings[at].detail.as_str()),
        ["81 ≠ 47, 61, 62, 67, 70, 77, 79", "x,\"y"]
    );
}

#[test]
fn three_states_numbers_of_eight_digits_and_mixed_ids() {
    let items =
        [("insurer_no", "00142018"), ("disqualified_date", "**"), ("copay_relief_benefit_rate", "000")];
    let slip = correction(&[("union_no", "00142034"), ("food_cost_cap", "0"), ("care_level", "21")]);
    let (report, batches) = read_all(&file(&[movement(&items), slip]));
    assert_eq!((report.accepted, report.first_movement), (2, Day::from_civil(2026, 9, 10)));
    let batch = &batches[0];
    let text = |name: &str, row| batch.column_by_name(name).unwrap().as_string::<i32>().value(row).to_owned();
    assert_eq!((text("insurer_no", 0), text("union_no", 1)), ("142018".to_owned(), "142034".to_owned()));
    assert_eq!((text("change_type", 0), text("change_type", 1)), ("1".to_owned(), "2".to_owned()));
    let stacked = tsumiage_schemas::tables::stacked_items(COMPILED.spec());
    let bits = |mask: &str, row| {
        let value = batch.column_by_name(mask).unwrap().as_fixed_size_binary().value(row);
        let bits = u128::from_le_bytes(value.try_into().unwrap());
        let named =
            |(i, item): (usize, &&tsumiage_schemas::Item)| (bits >> i & 1 == 1).then(|| item.name.clone());
        stacked.iter().enumerate().filter_map(named).collect::<Vec<_>>()
    };
    assert_eq!(bits("given", 0), ["movement_reason"]);
    assert_eq!(bits("cleared", 0), ["disqualified_date", "copay_relief_benefit_rate"]);
    assert_eq!(bits("given", 1), ["union_no", "care_level", "food_cost_cap"]);
    assert!(batch.column_by_name("disqualified_date").unwrap().is_null(0));
    let cap = batch.column_by_name("food_cost_cap").unwrap().as_primitive::<Int32Type>();
    assert_eq!((cap.is_null(0), cap.value(1)), (true, 0));
    let date = batch.column_by_name("correction_date").unwrap().as_primitive::<Date32Type>();
    assert_eq!((date.is_null(0), Some(Day(date.value(1)))), (true, Day::from_civil(2026, 9, 20)));
}

#[test]
fn senders() {
    let whole = file(&[]);
    let (report, _) = read_all(&whole);
    assert_eq!(report.control.sender_no.as_deref(), Some("142018"));
    let (report, _) = read_all(&replaced(&whole, b",,142018,,,", b",07,000000,,14,"));
    assert_eq!((report.control.sender_no.as_deref(), report.control.sender_insurer_no), (Some("07"), None));
    let (report, _) = read_all(&replaced(&whole, b",,142018,,,", b",0,,,14,"));
    assert_eq!((report.control.sender_no.as_deref(), report.file_rejected), (Some("14"), false));
}
