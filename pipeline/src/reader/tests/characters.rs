//! Every code of CP932, one byte and two, through the reader and through the writer and the reader.

use super::*;
use crate::writer::encode;
use encoding_rs::SHIFT_JIS;
use std::collections::BTreeMap;

/// Codes of two bytes: 60 lead bytes with 188 trail bytes each.
fn codes() -> Vec<[u8; 2]> {
    let leads = (0x81..=0x9f).chain(0xe0..=0xfc);
    let trails = || (0x40..=0x7e).chain(0x80..=0xfc);
    leads.flat_map(|lead| trails().map(move |trail| [lead, trail])).collect()
}

fn decoded(bytes: &[u8]) -> Option<String> {
    SHIFT_JIS.decode_without_bom_handling_and_without_replacement(bytes).map(|text| text.into_owned())
}

/// A file of insurers (5411), one for each name, the names' bytes as they are; its names as read.
fn read_names(names: &[&[u8]]) -> (FileReport, Vec<Option<String>>) {
    let mut bytes = format!("1,1,0,{},541,,142018,,,1,202610,0\r\n", names.len()).into_bytes();
    for (at, name) in names.iter().enumerate() {
        bytes.extend(format!("2,{},5411,20260910,1,01,142018,\"", at + 2).into_bytes());
        bytes.extend_from_slice(name);
        bytes.extend_from_slice(b"\",1,20260910,\r\n");
    }
    bytes.extend(format!("3,{}\r\n", names.len() + 2).into_bytes());
    let (report, batches) = read_with(&COMPILED, &bytes);
    assert!(!report.file_rejected, "{:?}", report.findings.first());
    (report, shown(&batches, "insurer_name"))
}

#[test]
fn there_are_11280_codes_and_398_have_a_twin() {
    let codes = codes();
    assert_eq!(codes.len(), 11_280);
    let mut of_text: BTreeMap<String, usize> = BTreeMap::new();
    for text in codes.iter().filter_map(|code| decoded(code)) {
        *of_text.entry(text).or_default() += 1;
    }
    let defined: usize = of_text.values().sum();
    let user_defined = codes.iter().filter(|code| (0xf040..=0xf9fc).contains(&u16::from_be_bytes(**code)));
    // 7,724 of JIS X 0208, NEC and IBM, 1,880 for the user; nothing stands at the others.
    assert_eq!((defined, user_defined.count()), (7_724 + 1_880, 1_880));
    assert_eq!(defined - of_text.len(), 398, "codes whose character has another one");
    assert!(of_text.values().all(|codes| *codes <= 3));
}

#[test]
fn every_code_is_read_as_the_character_it_stands_for() {
    let (defined, others): (Vec<_>, Vec<_>) = codes().into_iter().partition(|code| decoded(code).is_some());
    let names: Vec<&[u8]> = defined.iter().map(<[u8; 2]>::as_slice).collect();
    let (report, read) = read_names(&names);
    assert_eq!(told(&report), [format!("R07 warning insurer_name {}×1880", first_user_defined(&names) + 2)]);
    assert_eq!((report.accepted, report.warned), (9_604, 1_880));
    assert_eq!(read, names.iter().map(|name| decoded(name)).collect::<Vec<_>>());

    let names: Vec<&[u8]> = others.iter().map(<[u8; 2]>::as_slice).collect();
    let (report, read) = read_names(&names);
    assert_eq!((names.len(), report.rejected, read.len()), (1_676, 1_676, 0));
    let wrong: Vec<&Finding> = report.findings.iter().collect();
    assert!(wrong.iter().all(|f| f.code == Code::R07 && f.severity == Severity::Error));
    assert_eq!(wrong.iter().map(|f| f.count).sum::<i64>(), 1_676);
}

fn first_user_defined(names: &[&[u8]]) -> usize {
    names.iter().position(|name| name[0] == 0xf0).unwrap()
}

#[test]
fn every_character_is_written_and_read_as_itself() {
    let mut texts: Vec<String> = codes().iter().filter_map(|code| decoded(code)).collect();
    texts.extend((0xa1..=0xdf).filter_map(|b| decoded(&[b])));
    texts.extend((b'!'..=b'~').filter(|b| !b"'*".contains(b)).map(|b| char::from(b).to_string()));
    let encoded = |text: &String| {
        let mut bytes = Vec::new();
        encode(text, &mut bytes).unwrap();
        bytes
    };
    for text in &texts {
        assert_eq!(decoded(&encoded(text)).as_ref(), Some(text));
    }
    // Three to a name, so that every character stands beside others, with quotes and commas around.
    let names: Vec<String> = texts.windows(3).map(|three| three.join(",")).collect();
    let name = |name: &String| own_change(RecordKind::InsurerMovement, &[("insurer_name", name)]);
    let records: Vec<OutRecord> = names.iter().map(name).collect();
    for quoting in [Quoting::Needed, Quoting::All] {
        let (report, batches) = read_with(&COMPILED, &file_of(&records, quoting));
        assert_eq!(report.rejected, 0, "{:?}", report.findings);
        let read: Vec<String> = shown(&batches, "insurer_name").into_iter().flatten().collect();
        assert_eq!(read, names);
    }
}

#[test]
fn half_width_kana_are_one_byte_each() {
    let kana: Vec<u8> = (0xa1..=0xdf).collect();
    let text = decoded(&kana).unwrap();
    assert_eq!((text.chars().count(), text.chars().next(), text.chars().last()), (63, Some('｡'), Some('ﾟ')));
    for (from, width) in [(0, 25), (25, 25), (38, 25)] {
        let name: String = text.chars().skip(from).take(width).collect();
        let bytes = file(&[movement(&[("name_kana", &name)])]);
        assert!(bytes.windows(width).any(|w| w == &kana[from..from + width]), "as they are");
        let (report, batches) = read_with(&COMPILED, &bytes);
        assert_eq!((told(&report), shown(&batches, "name_kana")), (vec![], vec![Some(name)]));
    }
    check(&file(&[movement(&[("nhi_certificate_no", "ｱ")])]), &[]); // half-width too
}

/// 外字 stand in the private use area, are kept, and go out again as they came.
#[test]
fn user_defined_characters_are_kept_and_warned_of() {
    let name = b"\xf0\x40\x88\xc0\xf9\xfc";
    let (report, read) = read_names(&[name]);
    assert_eq!(told(&report), ["R07 warning insurer_name 2×1"]);
    let text = read[0].clone().unwrap();
    assert_eq!((text.as_str(), report.accepted), ("\u{e000}安\u{e757}", 1));
    let mut again = Vec::new();
    encode(&text, &mut again).unwrap();
    assert_eq!(again, name);
}
