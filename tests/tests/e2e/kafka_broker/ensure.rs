//! Making the topic, seen from the library.

use super::Topic;
use std::time::Duration;
use tsumiage_pipeline::kafka::KafkaError;
use tsumiage_pipeline::kafka::link::{Link, Options};
use tsumiage_pipeline::kafka::topic::{ensure, look};

const PATIENCE: Duration = Duration::from_secs(30);

fn link(topic: &Topic) -> Link {
    Link::new(&topic.brokers, &topic.name, Options::default()).unwrap()
}

/// This broker makes topics by itself; not for one who only looks.
#[test]
#[ignore = "needs a Kafka broker: tests/run.sh"]
fn to_look_at_a_topic_does_not_make_it() {
    let link = link(&Topic::new(5));
    for _ in 0..3 {
        let error = look(&link, PATIENCE).unwrap_err();
        assert!(matches!(&error, KafkaError::Topic { what, .. } if what == "is not there"), "{error}");
    }
    let made = ensure(&link, 5, -1, PATIENCE).unwrap();
    assert_eq!((made.partitions, made.warnings.as_slice()), (5, [].as_slice()));
    assert_eq!(ensure(&link, 8, 1, PATIENCE).unwrap(), made, "there it stays as it is");
    assert_eq!(look(&link, PATIENCE).unwrap(), made);
}

#[test]
#[ignore = "needs a Kafka broker: tests/run.sh"]
fn several_that_make_it_at_once_agree() {
    let link = link(&Topic::new(4));
    let made: Vec<_> = std::thread::scope(|scope| {
        let at_once: Vec<_> = (0..6).map(|_| scope.spawn(|| ensure(&link, 4, 1, PATIENCE))).collect();
        at_once.into_iter().map(|made| made.join().unwrap().unwrap()).collect()
    });
    assert!(made.iter().all(|topic| *topic == made[0] && topic.partitions == 4), "{made:?}");
}

#[test]
#[ignore = "needs a Kafka broker: tests/run.sh"]
fn more_replicas_than_brokers_is_an_error_with_a_way_out() {
    let error = ensure(&link(&Topic::new(3)), 3, 3, PATIENCE).unwrap_err();
    assert!(!error.may_pass());
    let error = error.to_string();
    assert!(error.contains("replication factor") && error.contains("kafka-topics.sh"), "{error}");
}
