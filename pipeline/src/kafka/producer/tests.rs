#![allow(clippy::unwrap_used)] // a test may fail loudly

use super::*;
use crate::archive::Arrival;
use crate::kafka::link::Options;
use crate::kafka::message::{Header, Kind, Taken, decode};
use crate::log::Seal;
use crate::tally::Tally;
use arrow::array::{
    ArrayRef, BooleanArray, Date32Array, FixedSizeBinaryArray, Int32Array, Int64Array, RecordBatch,
    StringArray, new_null_array,
};
use arrow::datatypes::{DataType, Field, Schema};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError as RdError;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use rdkafka::types::{RDKafkaApiKey, RDKafkaErrorCode, RDKafkaRespErr};
use rdkafka::{Message, Offset, TopicPartitionList};
use std::io::Write;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};
use tsumiage_schemas::tables::fact_keys;
use tsumiage_schemas::{Code, Day, FactTable, Finding, Severity};

type Cluster = MockCluster<'static, DefaultProducerContext>;

const TOPIC: &str = "tsumiage.facts";
const PARTITIONS: i32 = 3;

fn cluster() -> Cluster {
    let cluster = MockCluster::new(1).unwrap();
    cluster.create_topic(TOPIC, PARTITIONS, 1).unwrap();
    cluster
}

fn link_to(brokers: &str, options: &str) -> Link {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    write!(file, "reconnect.backoff.max.ms=200\n{options}").unwrap();
    Link::new(brokers, TOPIC, Options::read(file.path()).unwrap()).unwrap()
}

fn link(cluster: &Cluster) -> Link {
    link_to(&cluster.bootstrap_servers(), "")
}

fn log(link: &Link) -> KafkaLog {
    KafkaLog::open(link, PARTITIONS).unwrap()
}

/// A batch of a table's keys whose senders hardly compress: 64 bytes a row.
fn batch(table: FactTable, seed: u64, rows: u64) -> RecordBatch {
    let text = |n: u64| {
        let hash = |k| xxh3_64(&[seed, n, k].map(u64::to_le_bytes).concat());
        (0..4).map(|k| format!("{:016x}", hash(k))).collect::<String>()
    };
    let n = rows as usize;
    let column = |(at, field): (usize, &Field)| -> ArrayRef {
        match field.data_type() {
            DataType::Utf8 if at == 0 => Arc::new(StringArray::from_iter_values((0..rows).map(text))),
            DataType::Utf8 => Arc::new(StringArray::from(vec!["x"; n])),
            DataType::Date32 => Arc::new(Date32Array::from(vec![0; n])),
            DataType::Boolean => Arc::new(BooleanArray::from(vec![false; n])),
            DataType::Int32 => Arc::new(Int32Array::from(vec![0; n])),
            DataType::Int64 => Arc::new(Int64Array::from(vec![0; n])),
            DataType::FixedSizeBinary(width) => {
                let zeros = vec![0; *width as usize];
                Arc::new(FixedSizeBinaryArray::try_from_iter((0..rows).map(|_| zeros.as_slice())).unwrap())
            }
            other => new_null_array(other, n),
        }
    };
    let fields = fact_keys(table);
    let columns = fields.iter().enumerate().map(column).collect();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap()
}

fn findings(count: usize) -> Vec<Finding> {
    let finding = |n: usize| Finding {
        code: Code::R01,
        severity: Severity::Error,
        record_no: i64::try_from(n).ok(),
        byte_offset: None,
        insurer_no: None,
        insured_no: None,
        movement_date: None,
        item: None,
        count: 1,
        detail: String::new(),
    };
    (0..count).map(finding).collect()
}

fn digest(n: u8) -> String {
    format!("{n:064x}")
}

fn seal(file: u8) -> Seal {
    let file_id = digest(file);
    let (name, source, taken_in_on) = ("a.csv".to_owned(), "inbox".to_owned(), Day(20_000));
    Seal {
        arrival: Arrival { file_id, name, taken_in_on, source, closed_through: None },
        data_type: None,
        sender_no: None,
        sender_insurer_no: None,
        processing_month: None,
        records: 0,
        accepted: 0,
        rejected: 0,
        warned: 0,
        file_rejected: false,
        first_movement: None,
        findings: Tally::default(),
        file_errors: Vec::new(),
        layouts: digest(9),
        one_off: false,
        reading: 1,
    }
}

/// The n-th batch of a file and its table.
fn sample(n: u64) -> (FactTable, RecordBatch) {
    let table = [FactTable::Recipient, FactTable::Insurer][n as usize % 2];
    (table, batch(table, n, 100))
}

/// Sends a file of so many batches and findings.
fn send(log: &KafkaLog, file: u8, batches: u64, told: usize) -> Result<(), LogError> {
    let (file_id, layouts) = (digest(file), digest(9));
    let sender = format!("{file:06}");
    let begun = Begun { file_id: &file_id, sender_no: Some(&sender), layouts: &layouts, reading: 1 };
    let mut attempt = log.begin(&begun)?;
    for n in 0..batches {
        let (table, batch) = sample(n);
        attempt.append(table, &batch)?;
    }
    attempt.seal(&seal(file), &findings(told))
}

/// A message as it arrived: partition, key, what it is, its value.
type Arrived = (i32, String, Taken, Vec<u8>);

/// All that lies in the topic.
fn arrived(link: &Link) -> Vec<Arrived> {
    let consumer: BaseConsumer<_> = link.create(&link.consumer_config(), link.context()).unwrap();
    let mut list = TopicPartitionList::new();
    for partition in 0..PARTITIONS {
        list.add_partition_offset(TOPIC, partition, Offset::Beginning).unwrap();
    }
    consumer.assign(&list).unwrap();
    let (mut all, mut ended) = (Vec::new(), 0);
    while ended < PARTITIONS {
        match consumer.poll(Duration::from_secs(10)).expect("the mock cluster answers") {
            Ok(message) => {
                let key = String::from_utf8(message.key().unwrap().to_vec()).unwrap();
                let taken = Taken::of(&message).unwrap();
                all.push((message.partition(), key, taken, message.payload().unwrap().to_vec()));
            }
            Err(RdError::PartitionEOF(_)) => ended += 1,
            Err(_) => {} // the connection comes back
        }
    }
    all
}

fn header(taken: &Taken) -> &Header {
    match taken {
        Taken::Batch(header) | Taken::Seal(header, _) => header,
    }
}

/// Checks that a file arrived whole: every batch at least once, all of one attempt in one partition, with the
/// values they were sent with; behind the last of them the seal.
fn assert_whole(all: &[Arrived], file: u8, batches: u64, told: usize) {
    let seals = all.iter().map(|(_, _, taken, _)| taken).filter(|taken| matches!(taken, Taken::Seal(..)));
    let attempt = seals.map(header).find(|header| header.file_id == digest(file)).unwrap().attempt.clone();
    let of_file: Vec<&Arrived> =
        all.iter().filter(|(_, _, taken, _)| header(taken).attempt == attempt).collect();
    let (partition, _, last, _) = of_file.last().unwrap();
    let Taken::Seal(sealed, message) = last else { panic!("{last:?} is the last") };
    assert_eq!((message.seal == seal(file), message.batches), (true, sealed.batch));
    let mut rows = vec![None; sealed.batch as usize];
    let mut told_rows = 0;
    for (at, key, taken, value) in &of_file {
        let header = header(taken);
        assert_eq!((at, key, &header.attempt), (partition, &format!("{file:06}"), &sealed.attempt));
        assert_eq!((header.reading, &header.layouts), (1, &digest(9)));
        if header.kind == Kind::Seal {
            continue;
        }
        let n = header.batch as usize;
        let batch = decode(value).unwrap();
        if header.kind == Kind::Findings {
            if rows[n].is_none() {
                told_rows += batch.num_rows();
            }
        } else {
            let (table, expected) = sample(n as u64);
            assert_eq!((header.kind, &batch), (Kind::Facts(table), &expected));
        }
        rows[n] = Some(batch.num_rows());
    }
    assert!(rows.iter().all(Option::is_some), "{rows:?}");
    assert_eq!((rows.len() - told.div_ceil(8_192), told_rows), (batches as usize, told));
}

#[test]
fn a_file_of_many_batches_arrives_whole() {
    let cluster = cluster();
    let link = link(&cluster);
    let log = log(&link);
    send(&log, 1, 40, 8_193).unwrap();
    send(&log, 2, 0, 0).unwrap();
    let all = arrived(&link);
    assert_eq!(all.len(), 40 + 2 + 1 + 1);
    assert_whole(&all, 1, 40, 8_193);
    assert_whole(&all, 2, 0, 0);
    let sent = log.sent();
    let values: usize = all.iter().map(|(_, _, _, value)| value.len()).sum();
    assert_eq!((sent.messages.load(Relaxed), sent.value_bytes.load(Relaxed)), (44, values as u64));
    assert_eq!(sent.failed.load(Relaxed), 0);
    assert!(sent.arrow_bytes.load(Relaxed) > 40 * 100 * 64);
    assert!(sent.encoding_ns.load(Relaxed) > 0 && sent.waiting_ns.load(Relaxed) > 0);
}

#[test]
fn a_batch_that_is_too_large_for_a_message_arrives_in_parts() {
    let cluster = cluster();
    let link = link(&cluster);
    let log = log(&link);
    let (file_id, layouts) = (digest(1), digest(9));
    let begun = Begun { file_id: &file_id, sender_no: None, layouts: &layouts, reading: 1 };
    let mut attempt = log.begin(&begun).unwrap();
    let large = batch(FactTable::Recipient, 7, 40_000);
    attempt.append(FactTable::Recipient, &large).unwrap();
    attempt.seal(&seal(1), &[]).unwrap();
    let all = arrived(&link);
    let parts: Vec<RecordBatch> =
        all[..all.len() - 1].iter().map(|(.., value)| decode(value).unwrap()).collect();
    assert!(parts.len() > 1 && all.iter().all(|(_, key, ..)| key == "unknown"));
    assert_eq!(arrow::compute::concat_batches(&large.schema(), &parts).unwrap(), large);
    assert_eq!(header(&all[parts.len()].2).batch as usize, parts.len());
}

#[test]
fn threads_share_the_log() {
    let cluster = cluster();
    let link = link(&cluster);
    let log = log(&link);
    std::thread::scope(|scope| {
        let sends: Vec<_> = (0..8)
            .map(|file| {
                scope.spawn({
                    let log = &log;
                    move || send(log, file, 12, 3)
                })
            })
            .collect();
        sends.into_iter().for_each(|sent| sent.join().unwrap().unwrap());
    });
    let all = arrived(&link);
    (0..8).for_each(|file| assert_whole(&all, file, 12, 3));
    let partitions: std::collections::BTreeSet<i32> = all.iter().map(|(partition, ..)| *partition).collect();
    assert_eq!(partitions.len(), PARTITIONS as usize, "senders are spread");
}

/// Errors that pass; librdkafka sends again.
const PASSING: [RDKafkaRespErr; 6] = [
    RDKafkaRespErr::RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION,
    RDKafkaRespErr::RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT,
    RDKafkaRespErr::RD_KAFKA_RESP_ERR__TRANSPORT,
    RDKafkaRespErr::RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS,
    RDKafkaRespErr::RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS_AFTER_APPEND,
    RDKafkaRespErr::RD_KAFKA_RESP_ERR__TRANSPORT,
];

/// The mock cluster does not look at sequence numbers: of two requests on their way it takes the second though
/// it refused the first, and librdkafka takes both for acknowledged. Then the attempt must fail, not seal.
#[test]
fn after_errors_that_pass_a_file_is_whole_or_not_sealed() {
    let cluster = cluster();
    let link = link_to(&cluster.bootstrap_servers(), "batch.num.messages=2");
    let log = log(&link);
    let mut failed = 0;
    for (file, errors) in (1..).zip(PASSING.chunks(1).chain(PASSING.chunks(2)).chain(PASSING.chunks(3))) {
        cluster.request_errors(RDKafkaApiKey::Produce, errors);
        while let Err(error) = send(&log, file, 10, 1) {
            failed += 1;
            let (error, code) = failure(Err(error));
            assert_eq!((code, error.may_pass()), (RDKafkaErrorCode::GaplessGuarantee, true));
            assert!(failed < 30, "{error}");
        }
    }
    let all = arrived(&link);
    (1..=11).for_each(|file| assert_whole(&all, file, 10, 1));
    assert!(failed > 0, "the mock cluster has become stricter: this test shows nothing any more");
}

#[test]
fn errors_that_pass_are_passed_over() {
    let cluster = cluster();
    let link = link_to(&cluster.bootstrap_servers(), "max.in.flight=1");
    let log = log(&link);
    for (file, errors) in (1..).zip(PASSING.chunks(2)) {
        cluster.request_errors(RDKafkaApiKey::Produce, errors);
        send(&log, file, 10, 1).unwrap();
    }
    let all = arrived(&link);
    (1..=3).for_each(|file| assert_whole(&all, file, 10, 1));
}

#[test]
fn brokers_that_go_down_and_come_up_are_waited_for() {
    let cluster = cluster();
    let link = link(&cluster);
    let log = log(&link);
    send(&log, 1, 1, 0).unwrap();
    cluster.broker_down(-1).unwrap();
    std::thread::scope(|scope| {
        let sending = scope.spawn(|| send(&log, 2, 30, 5));
        let until = Instant::now() + Duration::from_secs(20); // a busy machine hears of it later
        while !link.pulse().is_down() || link.pulse().last_error().is_none() {
            assert!(Instant::now() < until, "nobody told that all brokers are down");
            std::thread::sleep(Duration::from_millis(20));
        }
        assert!(!sending.is_finished());
        cluster.broker_up(-1).unwrap();
        sending.join().unwrap().unwrap();
    });
    assert!(!link.pulse().is_down() && link.pulse().last_error().is_none());
    assert_whole(&arrived(&link), 2, 30, 5);
}

/// The failure of a send that must not hang.
fn failure(sent: Result<(), LogError>) -> (KafkaError, RDKafkaErrorCode) {
    match sent {
        Err(LogError::Kafka(error)) => match error {
            KafkaError::Produce { code, .. } => (error, code),
            other => panic!("{other}"),
        },
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_message_that_the_broker_finds_too_large_is_an_error() {
    let cluster = cluster();
    let link = link(&cluster);
    let log = log(&link);
    cluster
        .request_errors(RDKafkaApiKey::Produce, &[RDKafkaRespErr::RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE; 1]);
    let (error, code) = failure(send(&log, 1, 3, 0));
    assert_eq!(code, RDKafkaErrorCode::MessageSizeTooLarge);
    assert!(!error.may_pass() && error.to_string().contains("max.message.bytes"), "{error}");
    send(&log, 2, 3, 0).unwrap();
    assert_whole(&arrived(&link), 2, 3, 0);
    assert!(log.sent().failed.load(Relaxed) >= 1);
}

#[test]
fn no_broker_at_all_is_an_error_in_time() {
    let link = link_to("127.0.0.1:1", "message.timeout.ms=1000");
    let log = log(&link);
    let begun = Instant::now();
    let (error, code) = failure(send(&log, 1, 3, 0));
    assert_eq!(code, RDKafkaErrorCode::MessageTimedOut);
    let text = error.to_string();
    assert!(error.may_pass() && text.contains("check that the brokers run"), "{text}");
    assert!(text.contains("Connection refused"), "{text}");
    drop(log);
    assert!(begun.elapsed() < Duration::from_secs(10));
}

#[test]
fn a_full_queue_is_waited_for() {
    let cluster = cluster();
    let link = link_to(&cluster.bootstrap_servers(), "queue.buffering.max.messages=2");
    let log = log(&link);
    send(&log, 1, 30, 5).unwrap();
    assert_whole(&arrived(&link), 1, 30, 5);
}

#[test]
fn a_topic_that_is_gone_is_an_error() {
    let cluster = cluster();
    let link = link_to(
        &cluster.bootstrap_servers(),
        "topic.metadata.propagation.max.ms=100
message.timeout.ms=3000",
    );
    let log = KafkaLog::open(&link, 1_000_000).unwrap(); // partitions that are not there
    let (error, code) = failure(send(&log, 1, 1, 0));
    assert_eq!(code, RDKafkaErrorCode::UnknownPartition, "{error}");
    assert!(error.to_string().contains("was the topic deleted"), "{error}");
}

#[test]
fn a_dropped_attempt_stops_nothing() {
    let cluster = cluster();
    let link = link(&cluster);
    let log = log(&link);
    let (file_id, layouts) = (digest(1), digest(9));
    let begun = Begun { file_id: &file_id, sender_no: None, layouts: &layouts, reading: 1 };
    let mut attempt = log.begin(&begun).unwrap();
    attempt.append(FactTable::Recipient, &batch(FactTable::Recipient, 1, 10)).unwrap();
    drop(attempt);
    send(&log, 1, 3, 1).unwrap();
    let all = arrived(&link);
    let attempts: std::collections::BTreeSet<_> = all.iter().map(|(_, _, t, _)| &header(t).attempt).collect();
    assert_eq!(attempts.len(), 2);
    assert_eq!(all.iter().filter(|(_, _, taken, _)| matches!(taken, Taken::Seal(..))).count(), 1);
}

/// What idempotence cannot get over ends the producer; the next attempt has a new one.
#[test]
fn after_a_fatal_error_the_next_attempt_has_a_new_producer() {
    let cluster = cluster();
    let link = link(&cluster);
    let log = log(&link);
    send(&log, 1, 1, 0).unwrap();
    cluster.request_errors(
        RDKafkaApiKey::Produce,
        &[RDKafkaRespErr::RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER],
    );
    let (error, _) = failure(send(&log, 2, 3, 0));
    assert!(error.may_pass(), "{error}");
    assert!(log.producer.lock().unwrap().client().fatal_error().is_some(), "{error}");
    send(&log, 3, 3, 2).unwrap();
    assert_whole(&arrived(&link), 3, 3, 2);
}
