//! Messages there and back, and whatever else may stand in a topic.

#![allow(clippy::unwrap_used)] // a test may fail loudly

mod damaged;
mod values;

use super::*;
use crate::aside::bytes_of;
use crate::ledger::findings_batch;
use crate::reader::khs::{Asked, Form, Head};
use crate::reader::{Compiled, ReadOptions, read};
use crate::synth::{SynthOptions, synth};
use arrow::array::RecordBatch;
use arrow::error::ArrowError;
use rdkafka::message::{OwnedMessage, Timestamp};
use std::convert::Infallible;
use std::sync::Arc;
use tsumiage_schemas::{Code, Day, Finding, Severity, Spec};

const ID: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
const ATTEMPT: &str = "67e55044-10b1-426f-9247-bb680e5fe0c8";

/// Facts of a union's files: recipients with corrections, insurers, memberships; and of a KHS file.
fn facts(options: SynthOptions, batch_rows: usize) -> Vec<(FactTable, RecordBatch)> {
    let folder = tempfile::tempdir().unwrap();
    let spec = Spec::embedded().unwrap();
    synth(&options, &spec, folder.path()).unwrap();
    let compiled = Compiled::new(Arc::new(spec));
    let mut all = Vec::new();
    let options = ReadOptions { batch_rows, taken_in_on: Day(20_750), closed_through: None };
    let head = Head::new(Form::Csv, Asked::default(), options.taken_in_on, 1);
    let khs = [head.line(), b"142018,0000000010,1,,\n142018,0000000020,2,2026-04-01,2026-04-02\n".to_vec()]
        .concat();
    let files =
        crate::disk::entries(folder.path()).unwrap().into_iter().map(|path| std::fs::read(path).unwrap());
    for bytes in files.chain([khs]) {
        let mut sink = |table, batch| {
            all.push((table, batch));
            Ok::<_, Infallible>(())
        };
        let Ok(_) = read(&bytes, &compiled, &options, &mut sink);
    }
    all
}

fn few_facts() -> Vec<(FactTable, RecordBatch)> {
    facts(
        SynthOptions { recipients: 200, insurers: 3, months: 4, union: true, ..SynthOptions::default() },
        100,
    )
}

fn findings() -> RecordBatch {
    let finding = Finding {
        code: Code::R03,
        severity: Severity::Error,
        record_no: Some(7),
        byte_offset: None,
        insurer_no: Some("142018".to_owned()),
        insured_no: None,
        movement_date: Some(Day(20_000)),
        item: Some("movement_date".to_owned()),
        count: 1,
        detail: "20231301".to_owned(),
    };
    findings_batch(&[finding.clone(), Finding { movement_date: None, ..finding }]).unwrap()
}

fn values(batch: &RecordBatch) -> Vec<Vec<u8>> {
    encoded(&mut Encoder::new().unwrap(), batch)
}

fn encoded(encoder: &mut Encoder, batch: &RecordBatch) -> Vec<Vec<u8>> {
    let mut values = Vec::new();
    let mut emit = |value| {
        values.push(value);
        Ok::<_, ArrowError>(())
    };
    encoder.encode(batch, &mut emit).unwrap();
    values
}

fn header(kind: Kind) -> Header {
    let (file_id, attempt, layouts) = (ID.to_owned(), ATTEMPT.to_owned(), ID.replace('0', "f"));
    Header { file_id, attempt, reading: 2, kind, batch: 3, layouts }
}

fn seal() -> SealMessage {
    let text = format!(
        r#"{{"arrival": {{"file_id": "{ID}", "name": "異動.csv", "taken_in_on": "2026-10-24", "source": "inbox"}},
        "data_type": "531", "sender_no": "142018", "sender_insurer_no": null, "processing_month": "2026-10",
        "records": 3, "accepted": 2, "rejected": 1, "warned": 0, "file_rejected": false, "first_movement": null,
        "findings": [], "file_errors": [], "layouts": "{}", "one_off": false, "reading": 2}}"#,
        header(Kind::Seal).layouts
    );
    SealMessage { seal: serde_json::from_str(&text).unwrap(), batches: 3, attempt: ATTEMPT.to_owned() }
}

fn message(headers: Option<OwnedHeaders>, value: Option<Vec<u8>>) -> OwnedMessage {
    OwnedMessage::new(value, None, "tsumiage.facts".to_owned(), Timestamp::NotAvailable, 0, 0, headers)
}

#[test]
fn messages_are_read_as_they_were_sent() {
    let value = values(&findings()).remove(0);
    let findings = header(Kind::Findings);
    let read = Taken::of(&message(Some(findings.headers(&value)), Some(value.clone())));
    assert_eq!(read, Ok(Taken::Batch(findings.clone())));
    let other = findings.headers(&value).insert(RdHeader { key: "traceparent", value: Some(&[0xff][..]) });
    assert_eq!(Taken::of(&message(Some(other), Some(value))), Ok(Taken::Batch(findings)), "another's header");

    let (header, seal) = (header(Kind::Seal), seal());
    let read = Taken::of(&message(Some(header.headers(&seal.encode())), Some(seal.encode())));
    assert_eq!(read, Ok(Taken::Seal(header, Box::new(seal))));
}

#[test]
fn kinds_have_names() {
    let names: Vec<String> = FactTable::ALL
        .map(Kind::Facts)
        .into_iter()
        .chain([Kind::Findings, Kind::Seal])
        .map(|k| k.to_string())
        .collect();
    assert_eq!(names[0], "facts.recipient");
    for name in &names {
        assert_eq!(Kind::parse(name).map(|kind| kind.to_string()).as_ref(), Some(name));
    }
    assert!(["", "facts", "facts.", "Seal", "facts.seal"].iter().all(|text| Kind::parse(text).is_none()));
}

/// Why a seal with one header changed is not ours; `None`: it is.
fn changed(name: &str, change: impl Fn(&str) -> Vec<Option<Vec<u8>>>) -> Option<String> {
    let value = seal().encode();
    let mut headers = OwnedHeaders::new();
    for (key, text) in NAMES.into_iter().zip(header(Kind::Seal).texts(&value)) {
        let texts = if key == name { change(&text) } else { vec![Some(text.into_bytes())] };
        for text in &texts {
            headers = headers.insert(RdHeader { key, value: text.as_deref() });
        }
    }
    Taken::of(&message(Some(headers), Some(value))).err().map(|NotOurs(why)| why)
}

#[test]
fn a_header_that_is_missing_twice_or_no_text_is_not_ours() {
    for name in NAMES {
        let bytes = |text: &str| Some(text.as_bytes().to_vec());
        assert_eq!(changed(name, |text| vec![bytes(text)]), None);
        assert_eq!(changed(name, |_| vec![]), Some(format!("there is no header {name}")));
        assert_eq!(changed(name, |text| vec![bytes(text); 2]), Some(format!("header {name} stands twice")));
        for none in [None, Some(vec![0x82, 0xa0])] {
            assert_eq!(changed(name, |_| vec![none.clone()]), Some(format!("header {name} is not a text")));
        }
    }
}

#[test]
fn a_header_that_says_nothing_we_say_is_not_ours() {
    let upper = ID.to_uppercase();
    let short = &ID[1..];
    let simple = ATTEMPT.replace('-', "");
    let no_hex = ID.replace('0', "g");
    let wrong: [(&str, &[&str]); 6] = [
        (
            "file_id",
            &["", &upper, short, &no_hex, "../../../../../../../../../../../../../../../../../../../../../x"],
        ),
        ("attempt", &["", "1", &simple, &ATTEMPT.to_uppercase()]),
        ("reading", &["", "0", "-1", "+1", "01", "1.0", "4294967296", " 1", "二"]),
        ("kind", &["", "facts", "facts.x", "SEAL"]),
        ("batch", &["", "-1", "+1", "007", "4294967296"]),
        ("layouts", &["", &upper, short]),
    ];
    for (name, texts) in wrong {
        for text in texts {
            let why = changed(name, |_| vec![Some(text.as_bytes().to_vec())]);
            assert_eq!(why, Some(format!("header {name} is none")), "{text}");
        }
    }
}

#[test]
fn a_value_that_is_not_the_one_sent_is_not_ours() {
    let (header, value) = (header(Kind::Seal), seal().encode());
    assert!(changed("xxh3", |sum| vec![Some(sum.replace(|_| true, "0").into_bytes())]).is_some());
    for at in 0..value.len() {
        let mut damaged = value.clone();
        damaged[at] ^= 1;
        let read = Taken::of(&message(Some(header.headers(&value)), Some(damaged)));
        assert_eq!(read, Err(NotOurs("its value is not the one that was sent (xxh3)".to_owned())));
    }
    assert_eq!(
        Taken::of(&message(Some(header.headers(&value)), None)),
        Err(NotOurs("it has no value".to_owned()))
    );
    assert!(Taken::of(&message(None, Some(value))).is_err());
}

#[test]
fn a_seal_agrees_with_its_headers() {
    let check = |header: &Header, seal: &SealMessage| {
        let value = seal.encode();
        Taken::of(&message(Some(header.headers(&value)), Some(value))).is_ok()
    };
    let (good, seal) = (header(Kind::Seal), seal());
    assert!(check(&good, &seal));
    let other = "67e55044-10b1-426f-9247-bb680e5fe0c9".to_owned();
    let wrong = [
        Header { file_id: ID.replace('0', "1"), ..good.clone() },
        Header { attempt: other, ..good.clone() },
        Header { reading: 1, ..good.clone() },
        Header { batch: 2, ..good.clone() },
        Header { layouts: ID.to_owned(), ..good.clone() },
    ];
    assert!(wrong.iter().all(|header| !check(header, &seal)));
    for text in ["", "{}", "null", "[[[[", "\"山田\""] {
        let value = text.as_bytes().to_vec();
        let read = Taken::of(&message(Some(good.headers(&value)), Some(value)));
        assert_eq!(read, Err(NotOurs("its value is no seal".to_owned())));
    }
}

#[test]
fn a_batch_is_of_the_kind_its_header_says() {
    let facts = few_facts();
    let named: Vec<(Kind, RecordBatch)> = facts.into_iter().map(|(t, b)| (Kind::Facts(t), b)).collect();
    let findings = [(Kind::Findings, findings())];
    for (kind, batch) in named.iter().chain(&findings) {
        let value = values(batch).remove(0);
        let read = |kind| Taken::of(&message(Some(header(kind).headers(&value)), Some(value.clone())));
        assert_eq!(read(*kind), Ok(Taken::Batch(header(*kind))));
        let other = if *kind == Kind::Findings { Kind::Facts(FactTable::Insurer) } else { Kind::Findings };
        assert_eq!(read(other), Err(NotOurs("its value has other columns than its kind".to_owned())));
    }
    let recipient = |(kind, _): &&(Kind, RecordBatch)| *kind == Kind::Facts(FactTable::Recipient);
    let (_, facts) = named.iter().find(recipient).unwrap();
    let keys = facts.project(&[0, 1, 2]).unwrap();
    assert!(decode::check(Kind::Facts(FactTable::Recipient), &values(&keys)[0]).is_err());
    assert!(
        decode::check(Kind::Facts(FactTable::Insurer), &values(facts)[0]).is_err(),
        "insured_no is needed"
    );
}

/// Headers as rdkafka gives them when a name is not UTF-8.
struct Panicking(usize);

impl Headers for Panicking {
    fn count(&self) -> usize {
        self.0
    }
    fn try_get(&self, _: usize) -> Option<RdHeader<'_, &[u8]>> {
        panic!("called `Result::unwrap()` on an `Err` value: Utf8Error");
    }
}

#[test]
fn a_header_name_that_is_no_text_is_not_ours() {
    assert_eq!(texts_of(&Panicking(1)), Err(NotOurs("a header's name is not a text".to_owned())));
    assert_eq!(texts_of(&Panicking(MOST_HEADERS + 1)), Err(NotOurs("it has too many headers".to_owned())));
    assert_eq!(texts_of(&Panicking(0)), Ok(vec![]));
}
