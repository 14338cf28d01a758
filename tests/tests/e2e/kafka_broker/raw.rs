//! Topics as any other program sees them.

use super::Topic;
use rdkafka::ClientConfig;
use rdkafka::admin::{
    AdminClient, AdminOptions, NewPartitions, NewTopic, ResourceSpecifier, TopicReplication,
};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{Header, Headers, Message, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(30);

/// A message.
#[derive(Clone, Debug, Default)]
pub struct Raw {
    pub partition: i32,
    pub headers: Vec<(String, Option<Vec<u8>>)>,
    pub value: Option<Vec<u8>>,
}

impl Raw {
    /// A header as text; empty if it has none.
    pub fn header(&self, name: &str) -> &str {
        let value = self.headers.iter().find(|(key, _)| key == name).and_then(|(_, value)| value.as_deref());
        std::str::from_utf8(value.unwrap_or_default()).unwrap()
    }

    pub fn is_seal(&self) -> bool {
        self.header("kind") == "seal"
    }
}

fn config(topic: &Topic) -> ClientConfig {
    let config =
        [("bootstrap.servers", &*topic.brokers), ("group.id", "test"), ("enable.partition.eof", "true")];
    config.map(|(key, value)| (key.to_owned(), value.to_owned())).into_iter().collect()
}

/// All messages of a topic, in the order of each partition.
pub fn messages(topic: &Topic) -> Vec<Raw> {
    let consumer: BaseConsumer = config(topic).create().unwrap();
    let partitions = partitions(topic);
    let mut list = TopicPartitionList::new();
    for partition in 0..partitions {
        list.add_partition_offset(&topic.name, partition, Offset::Beginning).unwrap();
    }
    consumer.assign(&list).unwrap();
    let (mut messages, mut ends) = (Vec::new(), 0);
    while ends < partitions {
        let message = match consumer.poll(PATIENCE).expect("a message or an end") {
            Err(KafkaError::PartitionEOF(_)) => {
                ends += 1;
                continue;
            }
            message => message.unwrap(),
        };
        let headers = message
            .headers()
            .map(|headers| headers.iter().map(|h| (h.key.to_owned(), h.value.map(<[u8]>::to_vec))).collect());
        let value = message.payload().map(<[u8]>::to_vec);
        messages.push(Raw { partition: message.partition(), headers: headers.unwrap_or_default(), value });
    }
    messages
}

/// Number of partitions of a topic.
pub fn partitions(topic: &Topic) -> i32 {
    let consumer: BaseConsumer = config(topic).create().unwrap();
    let metadata = consumer.fetch_metadata(Some(&topic.name), PATIENCE).unwrap();
    metadata.topics()[0].partitions().len() as i32
}

/// Sends messages as they are.
pub fn send(topic: &Topic, messages: &[Raw]) {
    let producer: BaseProducer = config(topic).set("message.max.bytes", "2000000").create().unwrap();
    for message in messages {
        let mut headers = OwnedHeaders::new();
        for (key, value) in &message.headers {
            headers = headers.insert(Header { key, value: value.as_ref() });
        }
        let mut record = BaseRecord::<(), [u8]>::to(&topic.name).partition(message.partition);
        if !message.headers.is_empty() {
            record = record.headers(headers);
        }
        if let Some(value) = &message.value {
            record = record.payload(value);
        }
        producer.send(record).map_err(|(error, _)| error).unwrap();
    }
    producer.flush(PATIENCE).unwrap();
}

/// Sends a message with a header whose name is no UTF-8 text, which no client library would. By Kafka's protocol:
/// Produce, version 3, with one record batch of version 2.
pub fn send_misnamed(topic: &Topic, partition: i32) {
    fn text(text: &str) -> Vec<u8> {
        [&(text.len() as i16).to_be_bytes()[..], text.as_bytes()].concat()
    }
    // Lengths below 64 are one byte, doubled; 1 stands for none.
    let record = [&[0, 0, 0, 1, 2, b'v', 2, 4, 0xff, 0xfe, 2, b'h'][..]].concat();
    let mut checked = Vec::new(); // attributes, last offset, times, producer, number of records
    checked.extend([0_u8; 6]);
    checked.extend([0_u8; 16]);
    checked.extend([0xff_u8; 14]);
    checked.extend(1_i32.to_be_bytes());
    checked.push(2 * record.len() as u8);
    checked.extend(record);
    let mut batch =
        [0_i64.to_be_bytes().to_vec(), (9 + checked.len() as i32).to_be_bytes().to_vec()].concat();
    batch.extend([0xff, 0xff, 0xff, 0xff, 2]); // leader's epoch, version
    batch.extend(crc32c(&checked).to_be_bytes());
    batch.extend(checked);
    let mut request = vec![0, 0, 0, 3, 0, 0, 0, 1]; // Produce, version, number of the request
    request.extend(text("test"));
    request.extend([0xff, 0xff, 0xff, 0xff]); // no transaction, all replicas
    request.extend(30_000_i32.to_be_bytes());
    request.extend(1_i32.to_be_bytes());
    request.extend(text(&topic.name));
    request.extend(1_i32.to_be_bytes());
    request.extend(partition.to_be_bytes());
    request.extend((batch.len() as i32).to_be_bytes());
    request.extend(batch);
    let mut stream = TcpStream::connect(&topic.brokers).unwrap();
    stream.write_all(&(request.len() as i32).to_be_bytes()).unwrap();
    stream.write_all(&request).unwrap();
    let mut head = [0; 4];
    stream.read_exact(&mut head).unwrap();
    let mut answer = vec![0; i32::from_be_bytes(head) as usize];
    stream.read_exact(&mut answer).unwrap();
    // Number of the request, one topic, its name, one partition, its number: then the error.
    let at = 4 + 4 + 2 + topic.name.len() + 4 + 4;
    assert_eq!(answer[at..at + 2], [0, 0], "the broker refuses it: {answer:?}");
}

/// The checksum of a record batch.
fn crc32c(bytes: &[u8]) -> u32 {
    let bit = |crc: u32| if crc & 1 == 1 { crc >> 1 ^ 0x82f6_3b78 } else { crc >> 1 };
    !bytes.iter().fold(!0, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), |crc, _| bit(crc)))
}

fn admin(topic: &Topic) -> (AdminClient<DefaultClientContext>, AdminOptions) {
    let options = AdminOptions::new().request_timeout(Some(PATIENCE)).operation_timeout(Some(PATIENCE));
    (config(topic).create().unwrap(), options)
}

/// Makes a topic with settings of one's own.
pub fn make(topic: &Topic, settings: &[(&str, &str)]) {
    let (admin, options) = admin(topic);
    let new = NewTopic::new(&topic.name, topic.partitions, TopicReplication::Fixed(1));
    let new = settings.iter().fold(new, |new, (key, value)| new.set(key, value));
    let made = futures::executor::block_on(admin.create_topics([&new], &options)).unwrap();
    made.into_iter().for_each(|result| drop(result.unwrap()));
}

/// Deletes a topic.
pub fn delete(topic: &Topic) {
    let (admin, options) = admin(topic);
    let deleted = futures::executor::block_on(admin.delete_topics(&[&topic.name], &options)).unwrap();
    deleted.into_iter().for_each(|result| drop(result.unwrap()));
}

/// Gives a topic more partitions; returns once its brokers tell of them.
pub fn add_partitions(topic: &Topic, to: i32) {
    let (admin, options) = admin(topic);
    let more = NewPartitions::new(&topic.name, to as usize);
    let made = futures::executor::block_on(admin.create_partitions([&more], &options)).unwrap();
    made.into_iter().for_each(|result| drop(result.unwrap()));
    while partitions(topic) < to {
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Settings of a topic.
pub fn settings(topic: &Topic) -> BTreeMap<String, String> {
    let (admin, options) = admin(topic);
    let asked = ResourceSpecifier::Topic(&topic.name);
    let told = admin.describe_configs([&asked], &options);
    let told = futures::executor::block_on(told).unwrap().remove(0).unwrap();
    told.entries.into_iter().filter_map(|entry| Some((entry.name, entry.value?))).collect()
}
