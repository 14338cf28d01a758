//! A topic and an inbox that several use: other workers, other programs.

use super::process::Process;
use super::raw::{self, Raw};
use super::{Scene, Topic, manifests, tell};
use crate::place::{hashes, run};
use crate::support::snapshot_of;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

const LONG: Duration = Duration::from_secs(60);

fn texts(args: &[&str]) -> Vec<String> {
    args.iter().map(|arg| (*arg).to_owned()).collect()
}

fn start(scene: &Scene, topic: &Topic, args: &[String], said: &str) -> Process {
    Process::start(&[args, &topic.args()].concat(), Path::new(&scene.path(said)))
}

/// How often each file was sealed.
fn sealed(messages: &[Raw]) -> BTreeMap<&str, usize> {
    let mut sealed = BTreeMap::new();
    for seal in messages.iter().filter(|message| message.is_seal()) {
        *sealed.entry(seal.header("file_id")).or_default() += 1;
    }
    sealed
}

#[test]
#[ignore = "needs a Kafka broker: tests/run.sh"]
fn two_workers_on_one_inbox_and_a_sink_that_reads_meanwhile() {
    let scene = Scene::new(200, 31);
    let topic = Topic::new(3);
    let args = [scene.worker("inbox", "data"), texts(&["--drain", "--batch-rows", "100"])].concat();
    let sink = texts(&["sink", "--data", &scene.path("data"), "--metrics", "127.0.0.1:0"]);
    let mut sink = start(&scene, &topic, &sink, "sink");
    let mut workers = ["one", "two"].map(|said| start(&scene, &topic, &args, said));
    for worker in &mut workers {
        assert!(matches!(worker.ends(LONG), 0 | 2), "{}", worker.said());
    }
    let files = scene.files.len() as f64;
    let all = |process: &Process| process.metric("tsumiage_sink_files_total") == Some(files);
    sink.wait_until("all files committed", LONG, all);
    // A second round on the same folders: nothing is sent again.
    let messages = raw::messages(&topic);
    let worker = scene.worker("inbox", "data");
    topic.drain(&worker.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(raw::messages(&topic).len(), messages.len());
    sink.stop();
    scene.is_the_same("data");
    let sealed = sealed(&messages);
    let twice = sealed.values().filter(|times| **times > 1).count();
    tell(&format!("two workers on one inbox: {} files, {twice} of them sent twice", sealed.len()));
    assert_eq!(sealed.len(), scene.files.len());
}

#[test]
#[ignore = "needs a Kafka broker: tests/run.sh"]
fn two_workers_with_archives_of_their_own_send_everything_twice() {
    let scene = Scene::new(60, 32);
    let topic = Topic::new(3);
    for data in ["one", "two"] {
        scene.sends_all(&topic, data);
    }
    let messages = raw::messages(&topic);
    assert!(sealed(&messages).values().all(|times| *times == 2));
    scene.reads_all(&topic, "one");
    scene.is_the_same("one");
}

/// What other programs may put into a topic, in all partitions.
fn foreign(ours: &[Raw], partitions: i32) -> Vec<Raw> {
    let batch = ours.iter().find(|message| !message.is_seal()).unwrap();
    let seal = ours.iter().find(|message| message.is_seal()).unwrap();
    let with = |of: &Raw, name: &str, value: Option<&[u8]>| {
        let mut other = of.clone();
        let header = other.headers.iter_mut().find(|(key, _)| key == name).unwrap();
        header.1 = value.map(<[u8]>::to_vec);
        other
    };
    let without = |of: &Raw, name: &str| {
        let mut other = of.clone();
        other.headers.retain(|(key, _)| key != name);
        other
    };
    let value = |of: &Raw, value: Option<&[u8]>| Raw { value: value.map(<[u8]>::to_vec), ..of.clone() };
    let random: Vec<u8> = (0..5_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let bare = Raw::default();
    let mut doubled = batch.clone();
    doubled.headers.extend(batch.headers.clone());
    let mut many = batch.clone();
    many.headers.extend((0..1_000).map(|n| (format!("x{n}"), None)));
    let cut = batch.value.as_ref().map(|value| &value[..value.len() / 2]);
    let mut all = vec![
        bare.clone(),
        value(&bare, Some(b"")),
        value(&bare, Some(&random)),
        value(&bare, Some(b"{\"seal\": {}}")),
        value(&bare, Some(&vec![b'x'; 1_000_000])),
        value(batch, None),
        value(batch, Some(&random)),
        value(batch, cut),
        value(seal, Some(b"{}")),
        value(seal, batch.value.as_deref()),
        with(batch, "file_id", Some(b"\xff\xfe\x00")),
        with(batch, "kind", Some(b"seal")),
        with(seal, "kind", Some(b"findings")),
        with(seal, "batch", Some(b"0")),
        with(seal, "reading", Some(b"7")),
        with(batch, "batch", Some(b"-1")),
        with(batch, "attempt", None),
        doubled,
        many,
    ];
    all.extend(batch.headers.iter().map(|(name, _)| without(batch, name)));
    (0..partitions).flat_map(|p| all.iter().map(move |raw| Raw { partition: p, ..raw.clone() })).collect()
}

#[test]
#[ignore = "needs a Kafka broker: tests/run.sh"]
fn messages_of_other_programs_do_no_harm_and_are_counted() {
    let scene = Scene::new(60, 33);
    let (topic, model) = (Topic::new(2), Topic::new(1));
    scene.sends_all(&model, "model");
    raw::make(&topic, &[("retention.ms", "-1")]);
    let foreign = foreign(&raw::messages(&model), 2);
    raw::send(&topic, &foreign);
    raw::send_misnamed(&topic, 0);
    raw::send_misnamed(&topic, 1);
    scene.sends_all(&topic, "data");
    raw::send(&topic, &foreign);
    let sink = texts(&["sink", "--data", &scene.path("data"), "--metrics", "127.0.0.1:0"]);
    let mut sink = start(&scene, &topic, &sink, "sink");
    let files = scene.files.len() as f64;
    let all = |process: &Process| process.metric("tsumiage_sink_files_total") == Some(files);
    sink.wait_until("all files committed", LONG, all);
    let expected = 2 * foreign.len() + 2;
    let not_ours = |process: &Process| {
        process.metric("tsumiage_sink_dropped_messages_total{reason=\"not_ours\"}") == Some(expected as f64)
    };
    sink.wait_until(&format!("{expected} are not ours"), LONG, not_ours);
    sink.wait_until_well();
    sink.stop();
    scene.is_the_same("data");
}

#[test]
#[ignore = "needs a Kafka broker: tests/run.sh"]
fn a_seal_without_all_its_batches_is_told_and_its_file_comes_from_the_archive() {
    let scene = Scene::new(60, 34);
    let (topic, sent) = (Topic::new(2), Topic::new(2));
    scene.sends_all(&sent, "data");
    // The brokers lose a batch of one file, and the batch of another comes after its seal.
    let mut messages = raw::messages(&sent);
    let ids: Vec<String> = sealed(&messages).keys().map(|id| (*id).to_owned()).collect();
    let first = |messages: &[Raw], id: &str| messages.iter().position(|m| m.header("file_id") == id).unwrap();
    let lost = first(&messages, &ids[0]);
    assert!(!messages.remove(lost).is_seal());
    let late = first(&messages, &ids[1]);
    let late = messages.remove(late);
    assert!(!late.is_seal());
    messages.push(late);
    raw::make(&topic, &[("retention.ms", "-1")]);
    raw::send(&topic, &messages);
    let name = name_of(&scene, &ids[0]);

    let data = scene.path("data");
    let (code, _, err) = topic.run(&["sink", "--drain", "--quiet", "--data", &data]);
    assert_eq!(code, 1, "the ledger is not what the topic should hold: {err}");
    assert!(err.contains("not taken in") && err.contains(&name) && err.contains("tsumiage ingest"), "{err}");
    let committed = scene.committed("data");
    assert_eq!(committed.len(), scene.files.len() - 1);
    assert!(!committed.contains(&ids[0]));
    // A sink that stays tells it too, and is told of by metrics.
    let sink = texts(&["sink", "--data", &data, "--metrics", "127.0.0.1:0"]);
    let mut sink = start(&scene, &topic, &sink, "sink");
    let waits = |n: f64| move |process: &Process| process.metric("tsumiage_sink_waiting_files") == Some(n);
    sink.wait_until("one waits", LONG, waits(1.0));
    sink.wait_until("told", LONG, |process| process.said().contains(&name));
    // The archive has it.
    let (code, _, err) = run(&["ingest", "--data", &data]);
    assert!(matches!(code, 0 | 2), "{err}");
    scene.is_the_same("data");
    sink.stop();
    let (code, _, err) = topic.run(&["sink", "--drain", "--data", &data]);
    assert_eq!((code, err.as_str()), (0, ""), "it is quiet");
    let commits = manifests(&data).len();
    let (code, _, err) = topic.run(&["sink", "--drain", "--from-start", "--data", &data]);
    assert_eq!((code, err.as_str()), (0, ""), "also from the beginning");
    assert!(manifests(&data).len() <= commits + 1);
    scene.is_the_same("data");
}

/// Name of a file of the archive.
fn name_of(scene: &Scene, file_id: &str) -> String {
    let note = Path::new(&scene.path("data/archive")).join(&file_id[..2]).join(format!("{file_id}.json"));
    let note: serde_json::Value = serde_json::from_slice(&std::fs::read(note).unwrap()).unwrap();
    note["name"].as_str().unwrap().to_owned()
}

#[test]
#[ignore = "needs a Kafka broker: tests/run.sh"]
fn a_night_sends_again_what_the_brokers_lost() {
    let scene = Scene::new(60, 35);
    let topic = Topic::new(1);
    scene.sends_all(&topic, "data");
    // The same name made anew in the same cluster: the archive believes that everything was sent.
    raw::delete(&topic);
    let (data, inbox) = (scene.path("data"), scene.path("inbox"));
    let (code, out, err) = topic.run(&["nightly", "--data", &data, "--inbox", &inbox, "--on", super::DAY]);
    assert!(matches!(code, 0 | 2), "{err}");
    assert_eq!(hashes(&snapshot_of(&out)), scene.expected);
}

#[test]
#[ignore = "needs a Kafka broker: tests/run.sh"]
fn stopped_in_order_they_end_in_time_and_lose_nothing() {
    let scene = Scene::new(400, 36);
    let topic = Topic::new(3);
    let worker = [scene.worker("inbox", "data"), texts(&["--batch-rows", "50", "--threads", "1"])].concat();
    let sink = texts(&["sink", "--data", &scene.path("data"), "--commit-seconds", "60"]);
    let mut stops = 0;
    while stops < 20 {
        let mut pair = [start(&scene, &topic, &worker, "worker"), start(&scene, &topic, &sink, "sink")];
        std::thread::sleep(Duration::from_millis(600 + 100 * stops));
        for process in &mut pair {
            process.runs();
            process.stop();
        }
        stops += 1;
        let sent = sealed(&raw::messages(&topic)).len();
        tell(&format!("stop {stops}: {sent} of {} files sent", scene.files.len()));
        if sent == scene.files.len() {
            break;
        }
    }
    assert!(stops > 1, "the first stop came too late to show anything");
    scene.sends_all(&topic, "data");
    scene.reads_all(&topic, "data");
    let messages = raw::messages(&topic);
    assert!(sealed(&messages).values().all(|times| *times == 1), "what was in hand was finished");
    let attempts: std::collections::BTreeSet<&str> = messages.iter().map(|m| m.header("attempt")).collect();
    assert_eq!(attempts.len(), scene.files.len(), "no attempt was cut off");
    scene.is_the_same("data");
}
