//! The topic itself: made, refused, deleted.

use super::process::Process;
use super::{Scene, Topic, manifests, raw};
use crate::place::{hashes, run};
use crate::support::snapshot_of;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::Duration;

#[test]
#[ignore = "needs a Kafka broker: tests/run.sh"]
fn a_topic_that_forgets_is_refused_and_says_what_mends_it() {
    let scene = Scene::new(30, 21);
    let cases = [
        ("retention.ms", "86400000", "retention.ms=-1"),
        ("retention.bytes", "1073741824", "retention.bytes=-1"),
        ("cleanup.policy", "compact", "cleanup.policy=delete"),
        ("max.message.bytes", "500000", "max.message.bytes="),
    ];
    for (key, value, mends) in cases {
        let topic = Topic::new(2);
        let keeps = [("retention.ms", "-1"), ("retention.bytes", "-1"), ("cleanup.policy", "delete")];
        let settings: Vec<_> =
            keeps.into_iter().filter(|(name, _)| *name != key).chain([(key, value)]).collect();
        raw::make(&topic, &settings);
        let worker = [scene.worker("inbox", "data"), vec!["--drain".to_owned()]].concat();
        let (data, inbox) = (scene.path("data"), scene.path("inbox"));
        let nightly = ["nightly", "--data", &data, "--inbox", &inbox];
        let commands = [
            worker.iter().map(String::as_str).collect(),
            vec!["sink", "--drain", "--data", &data],
            nightly.to_vec(),
        ];
        for args in commands {
            let (code, out, err) = topic.run(&args);
            assert!(code == 1 && !out.contains("snapshot"), "{args:?}: {out}{err}");
            assert_eq!(err.lines().count(), 1, "{err}");
            let says = [&*topic.name, &format!("{key}={value}"), "--alter", mends];
            assert!(says.iter().all(|part| err.contains(part)), "{err}");
        }
        assert!(raw::messages(&topic).is_empty());
        assert_eq!(raw::settings(&topic)[key], value, "it is left as it is");
    }
}

#[test]
#[ignore = "needs a Kafka broker: tests/run.sh"]
fn a_missing_topic_is_made_as_asked() {
    let scene = Scene::new(30, 22);
    let topic = Topic::new(5);
    let (code, _, err) =
        topic.run(&["sink", "--drain", "--data", &scene.path("data"), "--kafka-replication", "1"]);
    assert_eq!(code, 0, "{err}");
    assert_eq!(raw::partitions(&topic), 5);
    let settings = raw::settings(&topic);
    for (key, value) in [("retention.ms", "-1"), ("retention.bytes", "-1"), ("cleanup.policy", "delete")] {
        assert_eq!(settings[key], value, "{key}");
    }
    // It cannot have more replicas than there are brokers, and is not made with fewer.
    let other = Topic::new(1);
    let args = ["sink", "--drain", "--data", &scene.path("other"), "--kafka-replication", "3"];
    let (code, _, err) = other.run(&args);
    assert_eq!(code, 1);
    assert!(
        err.contains("cannot be made") && err.contains("kafka-topics.sh") && err.lines().count() == 1,
        "{err}"
    );
}

/// A scene whose topic was lost when half of the files were committed and the others only sent.
fn lost(seed: u64) -> (Scene, Topic) {
    let (scene, topic) = (Scene::new(100, seed), Topic::new(2));
    let half = &scene.files[..scene.files.len() / 2];
    fs::create_dir(scene.path("half")).unwrap();
    for file in half {
        fs::copy(file, Path::new(&scene.path("half")).join(file.file_name().unwrap())).unwrap();
    }
    sends(&scene, &topic, "half");
    scene.reads_all(&topic, "data");
    scene.sends_all(&topic, "data");
    assert_eq!(scene.committed("data").len(), half.len());
    raw::delete(&topic);
    (scene, topic)
}

fn sends(scene: &Scene, topic: &Topic, inbox: &str) {
    let worker = scene.worker(inbox, "data");
    topic.drain(&worker.iter().map(String::as_str).collect::<Vec<_>>());
}

fn told_gone(scene: &Scene, topic: &Topic) {
    let data = scene.path("data");
    let (code, out, err) = topic.run(&["sink", "--drain", "--data", &data]);
    assert_eq!(code, 1, "{out}{err}");
    assert!(err.contains("no longer has") && err.contains(&topic.name), "{err}");
    assert_eq!(err.lines().count(), 1, "{err}");
    // One that stays does not stay.
    let args = [vec!["sink".to_owned(), "--data".to_owned(), data], topic.args()].concat();
    let mut sink = Process::start(&args, Path::new(&scene.path("said")));
    assert_eq!(sink.ends(Duration::from_secs(20)), 1);
    assert!(sink.said().contains("no longer has"), "{}", sink.said());
}

/// What docs/kafka.md promises of a topic that was lost.
#[test]
#[ignore = "needs a Kafka broker: tests/run.sh"]
fn a_topic_that_was_lost_is_told_and_the_archive_fills_another() {
    let (scene, topic) = lost(23);
    told_gone(&scene, &topic); // made anew by the sink itself, empty
    let (code, out, err) = run(&["rebuild", "--data", &scene.path("data")]);
    assert_eq!(code, 0, "{err}");
    assert_eq!(hashes(&snapshot_of(&out)), scene.expected, "also what the sink had not read");
    told_gone(&scene, &topic);
    // A topic of another name is filled from the archive; what is known is dropped, and it is complete.
    let other = Topic::new(3);
    fs::create_dir(scene.path("empty")).unwrap();
    sends(&scene, &other, "empty");
    scene.reads_all(&other, "data");
    scene.is_the_same("data");
    assert_eq!(raw::messages(&other).iter().filter(|message| message.is_seal()).count(), scene.files.len());
    scene.reads_all(&other, "alone");
    scene.is_the_same("alone");
}

/// Made anew under its name, empty or longer than before.
#[test]
#[ignore = "needs a Kafka broker: tests/run.sh"]
fn a_topic_that_was_made_anew_is_read_from_its_beginning() {
    for grown in [false, true] {
        let (scene, topic) = lost(24);
        let (data, new) = (scene.path("data"), scene.path("new"));
        if grown {
            super::synth(Path::new(&new), 200, 25);
            sends(&scene, &topic, "new");
        }
        told_gone(&scene, &topic);
        let (code, _, err) = topic.run(&["sink", "--drain", "--data", &data, "--from-start"]);
        assert_eq!(code, 0, "{err}");
        let (code, _, err) = run(&["ingest", "--data", &data]);
        assert!(matches!(code, 0 | 2), "{err}");
        if !grown {
            scene.is_the_same("data");
            super::synth(Path::new(&new), 200, 25);
            sends(&scene, &topic, "new");
        }
        scene.reads_all(&topic, "data");
        let all = scene.files.len() + fs::read_dir(&new).unwrap().count();
        assert_eq!(scene.committed("data").len(), all);
        let before = manifests(&data).len();
        scene.reads_all(&topic, "data");
        assert_eq!(manifests(&data).len(), before);
    }
}

#[test]
#[ignore = "needs a Kafka broker: tests/run.sh"]
fn partitions_that_were_added_are_read() {
    let scene = Scene::new(60, 25);
    let topic = Topic::new(1);
    let worker = scene.worker("some", "data");
    let worker: Vec<&str> = worker.iter().map(String::as_str).collect();
    fs::create_dir(scene.path("some")).unwrap();
    for (n, file) in scene.files.iter().enumerate() {
        fs::copy(file, Path::new(&scene.path("some")).join(file.file_name().unwrap())).unwrap();
        if n == scene.files.len() / 2 {
            topic.drain(&worker);
            scene.reads_all(&topic, "data");
            raw::add_partitions(&topic, 4);
        }
    }
    topic.drain(&worker);
    scene.reads_all(&topic, "data");
    scene.is_the_same("data");
    let used: BTreeSet<i32> = raw::messages(&topic).iter().map(|message| message.partition).collect();
    assert!(used.len() > 1, "{used:?}");
}
