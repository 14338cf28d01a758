//! Faults of brokers and network.

use super::dice::Dice;
use super::plan::{Plan, TOPIC};
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use rdkafka::types::{RDKafkaApiKey as Api, RDKafkaRespErr as Code};
use std::time::Duration;

/// Brokers in this process.
pub type Cluster = MockCluster<'static, DefaultProducerContext>;

/// Requests that fail, and what they fail with: what passes, what does not, and what cuts the connection. No
/// `DUPLICATE_SEQUENCE_NUMBER`: librdkafka believes it, and it would be a lie.
const FAILING: [(Api, &[Code]); 5] = [
    (
        Api::Produce,
        &[
            Code::RD_KAFKA_RESP_ERR__TRANSPORT,
            Code::RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT,
            Code::RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION,
            Code::RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS,
            Code::RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS_AFTER_APPEND,
            Code::RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART,
            Code::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED,
            Code::RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE,
            Code::RD_KAFKA_RESP_ERR_INVALID_MSG,
            Code::RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER,
            Code::RD_KAFKA_RESP_ERR_UNKNOWN_PRODUCER_ID,
            Code::RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH,
            Code::RD_KAFKA_RESP_ERR_KAFKA_STORAGE_ERROR,
        ],
    ),
    (
        Api::Fetch,
        &[
            Code::RD_KAFKA_RESP_ERR__TRANSPORT,
            Code::RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION,
            Code::RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART,
            Code::RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE,
            Code::RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE,
            Code::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED,
            Code::RD_KAFKA_RESP_ERR_KAFKA_STORAGE_ERROR,
            Code::RD_KAFKA_RESP_ERR_FENCED_LEADER_EPOCH,
            Code::RD_KAFKA_RESP_ERR_UNKNOWN,
        ],
    ),
    (
        Api::Metadata,
        &[
            Code::RD_KAFKA_RESP_ERR__TRANSPORT,
            Code::RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE,
            Code::RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART,
            Code::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED,
        ],
    ),
    (
        Api::InitProducerId,
        &[
            Code::RD_KAFKA_RESP_ERR__TRANSPORT,
            Code::RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS,
            Code::RD_KAFKA_RESP_ERR_NOT_COORDINATOR,
            Code::RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED,
        ],
    ),
    (
        Api::ListOffsets,
        &[
            Code::RD_KAFKA_RESP_ERR__TRANSPORT,
            Code::RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION,
            Code::RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE,
            Code::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED,
        ],
    ),
];

/// What a topic may be said to be.
const TOPIC_ERRORS: [Code; 3] = [
    Code::RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE,
    Code::RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART,
    Code::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED,
];

/// Makes faults.
pub struct Trouble<'a> {
    cluster: &'a Cluster,
    plan: &'a Plan,
    dice: Dice,
}

impl<'a> Trouble<'a> {
    pub fn new(cluster: &'a Cluster, plan: &'a Plan, dice: Dice) -> Trouble<'a> {
        Trouble { cluster, plan, dice }
    }

    /// Makes some faults, with pauses, and mends everything.
    pub fn make(mut self) {
        for _ in 0..self.dice.between(6, 16) {
            std::thread::sleep(self.dice.ms(0, 60));
            match self.dice.below(10) {
                0..4 => self.requests_fail(),
                4 | 5 => self.broker_is_down(),
                6 => self.answers_are_lost(),
                7 => self.answers_are_late(),
                8 => self.topic_is_away(),
                _ => self.leader_changes(),
            }
        }
        self.mend();
    }

    fn requests_fail(&mut self) {
        let of = if self.dice.once_in(2) { 0 } else { self.dice.below(FAILING.len()) };
        let (api, codes) = FAILING[of];
        let codes: Vec<Code> = (0..self.dice.between(1, 4)).map(|_| *self.dice.one(codes)).collect();
        self.cluster.request_errors(api, &codes);
    }

    fn broker(&mut self) -> i32 {
        if self.dice.once_in(3) { -1 } else { self.dice.between(1, self.plan.brokers as usize) as i32 }
    }

    fn broker_is_down(&mut self) {
        let broker = self.broker();
        self.cluster.broker_down(broker).unwrap();
        std::thread::sleep(self.dice.ms(0, 200));
        self.cluster.broker_up(broker).unwrap();
    }

    /// Messages are taken, but nobody hears of it.
    fn answers_are_lost(&mut self) {
        let broker = self.broker();
        self.cluster.broker_round_trip_time(broker, Duration::from_millis(500)).unwrap();
        std::thread::sleep(self.dice.ms(10, 100));
        self.cluster.broker_down(broker).unwrap();
        self.cluster.broker_round_trip_time(broker, Duration::ZERO).unwrap();
        self.cluster.broker_up(broker).unwrap();
    }

    /// Sometimes later than a request or a message waits.
    fn answers_are_late(&mut self) {
        let broker = self.broker();
        self.cluster.broker_round_trip_time(broker, self.dice.ms(20, 700)).unwrap();
        std::thread::sleep(self.dice.ms(10, 400));
        self.cluster.broker_round_trip_time(broker, Duration::ZERO).unwrap();
    }

    fn topic_is_away(&mut self) {
        self.cluster.topic_error(TOPIC, *self.dice.one(&TOPIC_ERRORS)).unwrap();
        std::thread::sleep(self.dice.ms(0, 100));
        self.cluster.topic_error(TOPIC, Code::RD_KAFKA_RESP_ERR_NO_ERROR).unwrap();
    }

    fn leader_changes(&mut self) {
        let partition = self.dice.below(self.plan.partitions as usize) as i32;
        let leader = self.dice.between(1, self.plan.brokers as usize) as i32;
        self.cluster.partition_leader(TOPIC, partition, Some(leader)).unwrap();
    }

    fn mend(&self) {
        for (api, _) in FAILING {
            self.cluster.clear_request_errors(api);
        }
    }
}
