//! When all is well again.

use super::PATIENCE;
use super::compare::{Content, assert_goes_on};
use super::hand::ByHand;
use super::plan::TOPIC;
use super::sinks::{begin, commit};
use super::tale::Tale;
use super::workers::Place;
use crate::archive::Archive;
use crate::kafka::message::{Header, Taken};
use crate::kafka::sink::Sink;
use crate::ledger::Ledger;
use crate::log::LogError;
use rdkafka::Message as _;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError as RdError;
use rdkafka::{Offset, TopicPartitionList};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Checks everything; `sink` is one that lived through it all.
pub fn check(place: Place<'_>, sink: Option<Sink>, by_hand: &ByHand) {
    let data = place.home.data();
    let expected = place.home.embedded(place.plan);
    // One that lived may still hear of an offset that a broker did not know; it ends then, as any sink.
    let lived = sink.and_then(|mut sink| drain(place, &mut sink).is_ok().then_some(sink));
    let mut sink = lived.unwrap_or_else(|| {
        let mut sink = begin(place, &data);
        drain(place, &mut sink).unwrap();
        sink
    });
    commit(&mut sink, &data, &place.home.archive());
    let content = Content::of(&data);
    expected.assert_same(&content, "the ledger");
    assert!(expected.counts().0 > 20 && expected.counts().1 > 2, "{:?}", expected.counts());
    assert_goes_on(&data);
    for entry in content.files.values() {
        let noted = place.home.archive().arrival(&entry.arrival.file_id).unwrap();
        assert_eq!(noted.as_ref(), Some(&entry.arrival), "the archive's note");
    }
    let topic = TopicEnd::of(place);
    topic.assert_sent_well(by_hand);
    let orphan = by_hand.orphan.as_deref().filter(|orphan| topic.headers().any(|h| h.file_id == *orphan));
    Tale::add(&place.tale.orphans, u64::from(orphan.is_some()));
    let low = topic.low_watermark(orphan);
    let ledger = Ledger::open(&data).unwrap();
    assert_eq!(ledger.kafka(sink.of()), low, "the ledger's offsets");
    // A fresh one finds nothing but the orphan; nor does one that makes the ledger again from Kafka alone miss
    // anything.
    for data in [data, place.home.path("again")] {
        let mut sink = begin(place, &data);
        let anew = Ledger::open(&data).unwrap().commits() == 0;
        sink.drain(PATIENCE, &mut |_, _| true).unwrap();
        assert!(anew || sink.whole() == 0, "{} files are whole", sink.whole());
        let open = sink.assembly().open() + sink.assembly().waiting().count();
        assert_eq!(open, usize::from(orphan.is_some()), "open attempts");
        assert_eq!(sink.assembly().low_watermark(), low, "where reading goes on");
        if anew {
            commit(&mut sink, &data, &Archive::shared(&data.join("archive")).unwrap());
            expected.assert_same(&Content::of(&data), "the ledger made again");
        }
    }
}

fn drain(place: Place<'_>, sink: &mut Sink) -> Result<(), LogError> {
    let told = |_: &Sink, polled: &_| {
        place.tale.polled(polled);
        true
    };
    sink.drain(PATIENCE, &mut { told })
}

/// All that lies in the topic: partition, offset, message.
struct TopicEnd {
    messages: Vec<(i32, i64, Taken)>,
    ends: BTreeMap<i32, i64>,
}

impl TopicEnd {
    fn of(place: Place<'_>) -> TopicEnd {
        let (link, partitions) = (place.link, place.topic.partitions);
        let consumer: BaseConsumer<_> = link.create(&link.consumer_config(), link.context()).unwrap();
        let mut list = TopicPartitionList::new();
        let mut ends = BTreeMap::new();
        for partition in 0..partitions {
            let (first, end) = consumer.fetch_watermarks(TOPIC, partition, PATIENCE).unwrap();
            assert_eq!(first, 0, "the mock cluster forgot: make fewer or smaller files");
            list.add_partition_offset(TOPIC, partition, Offset::Beginning).unwrap();
            ends.insert(partition, end);
        }
        consumer.assign(&list).unwrap();
        let (mut messages, mut read) = (Vec::new(), BTreeSet::new());
        while read.len() < partitions as usize {
            match consumer.poll(PATIENCE).expect("a message or the end") {
                Ok(message) => messages.extend(
                    Taken::of(&message).ok().map(|taken| (message.partition(), message.offset(), taken)),
                ),
                Err(RdError::PartitionEOF(partition)) => drop(read.insert(partition)),
                Err(_) => std::thread::sleep(Duration::from_millis(5)), // the connection comes back
            }
        }
        ends.retain(|_, end| *end > 0);
        TopicEnd { messages, ends }
    }

    fn headers(&self) -> impl Iterator<Item = &Header> {
        self.messages.iter().map(|(_, _, Taken::Batch(header) | Taken::Seal(header, _))| header)
    }

    /// Where reading has to go on: only the orphan can ever become more than it is.
    fn low_watermark(&self, orphan: Option<&str>) -> BTreeMap<i32, i64> {
        let mut low = self.ends.clone();
        for ((partition, offset, _), header) in self.messages.iter().zip(self.headers()) {
            if orphan == Some(&header.file_id) {
                let low = low.get_mut(partition).unwrap();
                *low = (*low).min(*offset);
            }
        }
        low
    }

    /// Checks that what workers sealed was all there before its seal, in one partition.
    fn assert_sent_well(&self, by_hand: &ByHand) {
        let mut sent: BTreeMap<&str, (BTreeSet<i32>, BTreeSet<u32>)> = BTreeMap::new();
        for (partition, _, taken) in &self.messages {
            let (Taken::Batch(header) | Taken::Seal(header, _)) = taken;
            if by_hand.attempts.contains(&header.attempt) {
                continue;
            }
            let (partitions, batches) = sent.entry(&header.attempt).or_default();
            partitions.insert(*partition);
            assert_eq!(partitions.len(), 1, "an attempt in several partitions");
            if matches!(taken, Taken::Batch(_)) {
                batches.insert(header.batch);
            } else {
                let all: BTreeSet<u32> = (0..header.batch).collect();
                assert_eq!(*batches, all, "batches before the seal of {}", header.attempt);
            }
        }
    }
}
