//! The topic: made if it is missing, looked at if it is there.
//!
//! Promise: a topic that forgets is never used, for a ledger must be able to be made again from it. Nothing
//! of a topic that is there is changed.

use super::KafkaError;
use super::link::{Link, LinkContext, is_away, words};
use super::message::MESSAGE_BYTES;
use futures::executor::block_on;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::error::KafkaError as RdError;
use rdkafka::producer::{BaseProducer, Producer, ProducerContext};
use rdkafka::types::RDKafkaErrorCode;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long one question waits for its answer before it is asked anew.
const ASK: Duration = Duration::from_secs(2);

/// Pause before a question is asked anew.
const PAUSE: Duration = Duration::from_millis(100);

/// What the topic must take: a message's value, and room for headers and framing.
const NEEDED_BYTES: usize = MESSAGE_BYTES + 32 * 1024;

/// Settings that a topic must have.
const SETTINGS: [(&str, &str); 3] =
    [("cleanup.policy", "delete"), ("retention.ms", "-1"), ("retention.bytes", "-1")];

/// The topic as the brokers have it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topic {
    /// Its partitions are 0 … partitions - 1; at least one.
    pub partitions: i32,
    /// The cluster's id.
    pub cluster_id: String,
    /// What could not be looked at, for the user.
    pub warnings: Vec<String>,
}

impl ProducerContext for LinkContext {
    type DeliveryOpaque = ();

    /// Of a client that only asks; nothing is delivered.
    fn delivery(&self, _: &rdkafka::producer::DeliveryResult<'_>, (): ()) {}
}

/// Looks at the topic and makes it if it is missing, with so many partitions and replicas (-1: the broker's
/// default). Blocks, at most about three times `patience`.
///
/// # Errors
/// No broker answers in time, the topic cannot be made, or it forgets.
pub fn ensure(
    link: &Link,
    partitions: i32,
    replication: i32,
    patience: Duration,
) -> Result<Topic, KafkaError> {
    let asker = Asker::new(link, patience)?;
    let found = match asker.partitions(Missing::Say)? {
        Some(found) => found,
        None => {
            make(link, partitions, replication, patience)?;
            asker.again(patience).partitions(Missing::Wait)?.ok_or_else(|| missing(link))?
        }
    };
    let warnings = check(link, patience)?;
    Ok(Topic { partitions: found, cluster_id: asker.again(patience).cluster_id()?, warnings })
}

/// Looks at the topic, asking only what any client may ask. Blocks, at most about twice `patience`.
///
/// # Errors
/// No broker answers in time, or the topic is missing.
pub fn look(link: &Link, patience: Duration) -> Result<Topic, KafkaError> {
    let asker = Asker::new(link, patience)?;
    let partitions = asker.partitions(Missing::Say)?.ok_or_else(|| missing(link))?;
    Ok(Topic { partitions, cluster_id: asker.again(patience).cluster_id()?, warnings: Vec::new() })
}

/// Asks for metadata. A producer that sends nothing: unlike an admin client it tells why nobody answers.
struct Asker<'a> {
    link: &'a Link,
    client: Arc<BaseProducer<LinkContext>>,
    until: Instant,
}

/// What to do about a topic that is not there.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Missing {
    Say,
    Wait,
}

impl<'a> Asker<'a> {
    fn new(link: &'a Link, patience: Duration) -> Result<Asker<'a>, KafkaError> {
        let client = link.create(&link.admin_config(), link.context())?;
        Ok(Asker { link, client: Arc::new(client), until: Instant::now() + patience })
    }

    fn again(&self, patience: Duration) -> Asker<'a> {
        Asker { link: self.link, client: self.client.clone(), until: Instant::now() + patience }
    }

    fn left(&self) -> Duration {
        self.until.saturating_duration_since(Instant::now())
    }

    /// Partitions of the topic; none if it is missing.
    fn partitions(&self, if_missing: Missing) -> Result<Option<i32>, KafkaError> {
        loop {
            let answer = self.ask();
            let wait = match &answer {
                Ok(found) => found.is_none() && if_missing == Missing::Wait,
                Err(error) => error.may_pass(),
            };
            if !wait || self.left().is_zero() {
                return answer;
            }
            self.client.poll(PAUSE); // also brings what librdkafka has to say
        }
    }

    fn ask(&self) -> Result<Option<i32>, KafkaError> {
        let name = self.link.topic();
        let wait = self.left().min(ASK).max(PAUSE);
        let metadata = self.client.client().fetch_metadata(Some(name), wait).map_err(|error| {
            self.client.poll(PAUSE);
            self.link.unreachable(text(&error))
        })?;
        let Some(topic) = metadata.topics().iter().find(|topic| topic.name() == name) else {
            return Ok(None);
        };
        match topic.error().map(RDKafkaErrorCode::from) {
            None => Ok(i32::try_from(topic.partitions().len()).ok().filter(|n| *n > 0)),
            Some(RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic) => Ok(None),
            Some(code @ RDKafkaErrorCode::LeaderNotAvailable) => Err(self.link.unreachable(words(code))),
            Some(code) => {
                let advice = "give this user the right to it and run again";
                Err(wrong(self.link, format!("cannot be looked at ({})", words(code)), advice))
            }
        }
    }

    fn cluster_id(&self) -> Result<String, KafkaError> {
        let id = self.client.client().fetch_cluster_id(self.left().max(PAUSE));
        id.ok_or_else(|| self.link.unreachable("its brokers tell no cluster id"))
    }
}

/// Makes the topic; that another did so at the same time is as good.
fn make(link: &Link, partitions: i32, replication: i32, patience: Duration) -> Result<(), KafkaError> {
    let admin: AdminClient<LinkContext> = link.create(&link.admin_config(), link.context())?;
    let replicas = TopicReplication::Fixed(replication);
    let topic = SETTINGS
        .iter()
        .fold(NewTopic::new(link.topic(), partitions, replicas), |topic, (key, value)| topic.set(key, value));
    let options = AdminOptions::new().request_timeout(Some(patience)).operation_timeout(Some(patience));
    let made = block_on(admin.create_topics([&topic], &options));
    let (code, reason) = match made.as_ref().map(|results| results.first()) {
        Ok(Some(Err((_, RDKafkaErrorCode::TopicAlreadyExists)))) | Ok(Some(Ok(_))) => return Ok(()),
        Ok(Some(Err((_, code)))) => (Some(*code), words(*code)),
        Ok(None) => (None, "no answer".to_owned()),
        Err(error) => (code_of(error), text(error)),
    };
    if code.is_some_and(is_away) {
        return Err(link.unreachable(reason)); // they went away just now
    }
    let command = format!(
        "ask for other partitions or replicas, or make it yourself: kafka-topics.sh --bootstrap-server {} --create --topic {} --partitions {partitions} {}",
        link.brokers(),
        link.topic(),
        SETTINGS.map(|(key, value)| format!("--config {key}={value}")).join(" "),
    );
    Err(wrong(link, format!("is missing and cannot be made ({reason})"), command))
}

/// Looks whether the topic forgets; warnings if it cannot be known.
fn check(link: &Link, patience: Duration) -> Result<Vec<String>, KafkaError> {
    let admin: AdminClient<LinkContext> = link.create(&link.admin_config(), link.context())?;
    let options = AdminOptions::new().request_timeout(Some(patience));
    let told = block_on(admin.describe_configs([&ResourceSpecifier::Topic(link.topic())], &options));
    let unknown = |why: String| {
        let [(policy, delete), (time, no_limit), (bytes, _)] = SETTINGS;
        format!(
            "the settings of topic {} could not be looked at ({why}): see to it that {policy}={delete}, {time}={no_limit}, {bytes}={no_limit}",
            link.topic()
        )
    };
    let settings = match told.map(|resources| resources.into_iter().next()) {
        Ok(Some(Ok(resource))) => resource,
        Ok(Some(Err(code))) => return Ok(vec![unknown(words(code))]),
        Ok(None) => return Ok(vec![unknown("no answer".to_owned())]),
        Err(error) => return Ok(vec![unknown(text(&error))]),
    };
    let entries = settings.entries.iter();
    let values: BTreeMap<&str, &str> =
        entries.filter_map(|e| Some((&*e.name, e.value.as_deref()?))).collect();
    if !SETTINGS.iter().all(|(key, _)| values.contains_key(key)) {
        return Ok(vec![unknown("no right to".to_owned())]); // the broker leaves out what may not be seen
    }
    let amend = amendments(&values);
    if amend.is_empty() {
        return Ok(Vec::new());
    }
    let now = |(key, _): &(&str, String)| format!("{key}={}", values[key]);
    let what =
        format!("does not keep what is sent, {}", amend.iter().map(now).collect::<Vec<_>>().join(", "));
    let config = amend.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(",");
    let command = format!(
        "mend it: kafka-configs.sh --bootstrap-server {} --alter --entity-type topics --entity-name {} --add-config {config}",
        link.brokers(),
        link.topic(),
    );
    Err(wrong(link, what, command))
}

/// What must be changed in a topic's settings, and to what.
fn amendments<'a>(values: &BTreeMap<&'a str, &str>) -> Vec<(&'a str, String)> {
    let amend = |(key, value): (&&'a str, &&str)| {
        let wanted = match *key {
            "cleanup.policy" if value.contains("compact") => "delete".to_owned(),
            "retention.ms" | "retention.bytes" if *value != "-1" => "-1".to_owned(),
            "max.message.bytes" if value.parse().is_ok_and(|bytes: usize| bytes < NEEDED_BYTES) => {
                NEEDED_BYTES.to_string()
            }
            _ => return None,
        };
        Some((*key, wanted))
    };
    values.iter().filter_map(amend).collect()
}

/// librdkafka's error without its own framing; codes have their text.
fn text(error: &RdError) -> String {
    code_of(error).map_or_else(|| error.to_string(), words)
}

fn code_of(error: &RdError) -> Option<RDKafkaErrorCode> {
    match error {
        RdError::AdminOp(code) => Some(*code),
        error => error.rdkafka_error_code(),
    }
}

fn wrong(link: &Link, what: impl Into<String>, advice: impl Into<String>) -> KafkaError {
    KafkaError::Topic { topic: link.topic().to_owned(), what: what.into(), advice: advice.into() }
}

fn missing(link: &Link) -> KafkaError {
    wrong(link, "is not there", "check the name given with --kafka-topic")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a test may fail loudly
mod tests {
    use super::*;
    use crate::kafka::link::Options;
    use rdkafka::mocking::MockCluster;

    const PATIENCE: Duration = Duration::from_secs(10);

    fn link(brokers: &str) -> Link {
        Link::new(brokers, "tsumiage.facts", Options::default()).unwrap()
    }

    fn amended(values: &[(&'static str, &str)]) -> Vec<(&'static str, String)> {
        amendments(&values.iter().copied().collect())
    }

    #[test]
    fn a_topic_that_forgets_is_told_from_one_that_does_not() {
        let keeps = [("cleanup.policy", "delete"), ("retention.bytes", "-1"), ("retention.ms", "-1")];
        assert_eq!(amended(&keeps), []);
        assert_eq!(amended(&[("max.message.bytes", "1048588"), ("segment.bytes", "1")]), []);
        let forgets = [
            ("cleanup.policy", "compact,delete"),
            ("max.message.bytes", "900000"),
            ("retention.bytes", "1073741824"),
            ("retention.ms", "604800000"),
        ];
        let to = |key, value: &str| (key, value.to_owned());
        let bytes = NEEDED_BYTES.to_string();
        assert_eq!(
            amended(&forgets),
            [
                to("cleanup.policy", "delete"),
                to("max.message.bytes", &bytes),
                to("retention.bytes", "-1"),
                to("retention.ms", "-1")
            ]
        );
    }

    #[test]
    fn a_topic_that_is_there_is_looked_at() {
        let cluster = MockCluster::new(1).unwrap();
        cluster.create_topic("tsumiage.facts", 5, 1).unwrap();
        let link = link(&cluster.bootstrap_servers());
        let topic = look(&link, PATIENCE).unwrap();
        assert_eq!((topic.partitions, topic.warnings.len()), (5, 0));
        assert!(!topic.cluster_id.is_empty());
        // The mock cluster does not tell settings.
        let ensured = ensure(&link, 3, 1, Duration::from_secs(1)).unwrap();
        assert_eq!((ensured.partitions, &ensured.cluster_id), (5, &topic.cluster_id));
        let [warning] = ensured.warnings.as_slice() else { panic!("{:?}", ensured.warnings) };
        assert!(warning.contains("retention.ms=-1"), "{warning}");
    }

    #[test]
    fn a_missing_topic_is_said_and_not_made_by_asking() {
        let cluster = MockCluster::new(1).unwrap();
        let link = link(&cluster.bootstrap_servers());
        for _ in 0..2 {
            let error = look(&link, PATIENCE).unwrap_err().to_string();
            assert!(error.contains("tsumiage.facts: is not there"), "{error}");
        }
        // The mock cluster does not answer to that; who can wait tries again.
        let error = ensure(&link, 3, -1, Duration::from_secs(1)).unwrap_err();
        assert!(error.may_pass() && error.to_string().contains("Timed out"), "{error}");
    }

    #[test]
    fn brokers_that_are_not_there_are_said_in_time() {
        let begun = Instant::now();
        let error = look(&link("127.0.0.1:1"), Duration::from_secs(1)).unwrap_err();
        assert!(error.may_pass());
        let error = error.to_string();
        assert!(error.contains("127.0.0.1:1") && error.contains("Connection refused"), "{error}");
        assert!(begun.elapsed() < Duration::from_secs(8));
    }

    #[test]
    fn brokers_that_come_up_late_are_waited_for() {
        let cluster = MockCluster::new(1).unwrap();
        cluster.create_topic("tsumiage.facts", 2, 1).unwrap();
        cluster.broker_down(-1).unwrap();
        let link = link(&cluster.bootstrap_servers());
        std::thread::scope(|scope| {
            let looked = scope.spawn(|| look(&link, PATIENCE));
            std::thread::sleep(Duration::from_millis(500));
            cluster.broker_up(-1).unwrap();
            assert_eq!(looked.join().unwrap().unwrap().partitions, 2);
        });
    }
}
