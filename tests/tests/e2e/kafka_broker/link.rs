//! TLS and SASL: the same facts, and secrets that are told nowhere.

use super::process::Process;
use super::{Scene, Topic, broker};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// So soon a wrong password must have been told.
const REASONABLE: Duration = Duration::from_secs(45);

/// The password of the broker's user.
fn password() -> String {
    let text = properties();
    let line = text.lines().find_map(|line| line.strip_prefix("sasl.password="));
    line.unwrap().to_owned()
}

fn properties() -> String {
    fs::read_to_string(broker().join("client.properties")).unwrap()
}

/// Files below a folder that hold a text, in their content or their name.
fn holding(folder: &Path, text: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(holding(&path, text));
            continue;
        }
        let holds = |bytes: &[u8]| bytes.windows(text.len()).any(|window| window == text.as_bytes());
        if holds(path.as_os_str().as_bytes()) || path.is_file() && holds(&fs::read(&path).unwrap()) {
            found.push(path);
        }
    }
    found
}

#[test]
#[ignore = "needs a Kafka broker: tests/run.sh"]
fn through_tls_and_sasl_it_is_the_same_and_the_password_is_told_nowhere() {
    let scene = Scene::new(100, 11);
    let config = PathBuf::from(scene.path("kafka.properties"));
    // Everything librdkafka can tell of itself.
    fs::write(&config, properties() + "debug=all\n").unwrap();
    let topic = Topic::new(3).secured(&config);
    fs::create_dir(scene.path("told")).unwrap();
    let start = |mut args: Vec<String>, said: &str| {
        args.extend(topic.args());
        args.extend(["--metrics".to_owned(), "127.0.0.1:0".to_owned()]);
        Process::start_with(&args, Path::new(&scene.path(said)), &[("TSUMIAGE_LOG", "debug")])
    };
    let mut worker = start(scene.worker("inbox", "data"), "told/worker");
    let mut sink = start(["sink", "--data", &scene.path("data")].map(str::to_owned).to_vec(), "told/sink");
    let files = scene.files.len() as f64;
    let all = |process: &Process| process.metric("tsumiage_sink_files_total") == Some(files);
    sink.wait_until("all files committed", Duration::from_secs(60), all);
    for (process, name) in [(&worker, "worker"), (&sink, "sink")] {
        process.wait_until_well();
        fs::write(scene.path(&format!("told/{name}.metrics")), process.get("/metrics").unwrap().1).unwrap();
    }
    worker.stop();
    sink.stop();
    scene.is_the_same("data");
    let told = |name: &str| fs::metadata(scene.path(name)).unwrap().len();
    assert!(told("told/worker") > 10_000 && told("told/sink") > 10_000, "librdkafka said nothing");
    assert_eq!(holding(Path::new(&scene.path("")), &password()), [config], "only the file itself has it");
}

#[test]
#[ignore = "needs a Kafka broker: tests/run.sh"]
fn a_wrong_password_and_no_tls_are_told_in_one_line() {
    let scene = Scene::new(30, 12);
    let wrong = "wrong-and-secret";
    let config = PathBuf::from(scene.path("kafka.properties"));
    fs::write(&config, properties().replace(&password(), wrong)).unwrap();
    let topic = Topic::new(3);
    let (refused, plain) = (topic.secured(&config), topic.misled());
    let begun = Instant::now();
    fs::create_dir(scene.path("told")).unwrap();
    let start = |args: &[String], topic: &Topic, said: &str| {
        let said = scene.path(&format!("told/{said}"));
        Process::start(&[args, &topic.args()].concat(), Path::new(&said))
    };
    let texts = |args: &[&str]| args.iter().map(|arg| (*arg).to_owned()).collect::<Vec<String>>();
    let data = |name: &str| scene.path(name);
    let drains = [scene.worker("inbox", "a"), texts(&["--drain"])].concat();
    let stays = [scene.worker("inbox", "b"), texts(&["--metrics", "127.0.0.1:0"])].concat();
    let nightly =
        texts(&["nightly", "--inbox", &scene.path("inbox"), "--data", &data("c"), "--on", super::DAY]);
    let mut staying = start(&stays, &refused, "stays");
    let mut ending = [
        start(&drains, &refused, "worker"),
        start(&nightly, &refused, "nightly"),
        start(&texts(&["sink", "--drain", "--data", &data("d")]), &refused, "sink"),
        start(&texts(&["sink", "--drain", "--data", &data("e")]), &plain, "plain"),
    ];
    for process in &mut ending {
        assert_eq!(process.ends(REASONABLE), 1, "{}", process.said());
        let said = process.said();
        println!("after {:.1} s: {said}", begun.elapsed().as_secs_f64());
        let lines = said.lines().filter(|line| !line.starts_with("report ")).count();
        assert_eq!(lines, 1, "{said}");
        assert!(said.contains(&refused.brokers) && said.contains("--kafka-config"), "{said}");
    }
    let said = ending.map(|process| process.said());
    assert!(said[..3].iter().all(|text| text.to_lowercase().contains("authentication fail")), "{said:?}");
    // One that stays says so and asks again.
    let tells = |process: &Process| process.said().matches("goes on when they answer").count();
    staying.wait_until("it told", REASONABLE, |process| tells(process) > 0);
    assert_eq!(tells(&staying), 1, "once, and not each time it asks: {}", staying.said());
    let (status, why) = staying.get("/health").unwrap();
    assert!(status == 503 && why.to_lowercase().contains("authentication fail"), "{status} {why}");
    fs::write(scene.path("told/metrics"), staying.get("/metrics").unwrap().1).unwrap();
    staying.stop();
    for secret in [wrong, &password()] {
        let found = holding(Path::new(&scene.path("")), secret);
        assert!(found.iter().all(|path| *path == config), "{found:?}");
    }
}

#[test]
#[ignore = "needs a Kafka broker: tests/run.sh"]
fn what_the_protocol_rests_on_cannot_be_set() {
    let scene = Scene::new(30, 13);
    let config = PathBuf::from(scene.path("kafka.properties"));
    let topic = Topic::new(3).secured(&config);
    let sink = ["sink", "--drain", "--data", &scene.path("data")];
    let worker = scene.worker("inbox", "data");
    let worker: Vec<&str> = worker.iter().map(String::as_str).collect();
    for line in
        ["acks=1", "enable.idempotence=false", "auto.offset.reset=latest", "bootstrap.servers=secret:1"]
    {
        fs::write(&config, format!("{}\n{line}\n", properties().trim())).unwrap();
        let at = format!("line {}", properties().trim().lines().count() + 1);
        for args in [&sink[..], &worker] {
            let (code, out, err) = topic.run(args);
            assert_eq!((code, out.as_str()), (64, ""), "{err}");
            let key = line.split('=').next().unwrap();
            assert!(err.contains(key) && err.contains(&at) && !err.contains("secret"), "{err}");
        }
    }
    assert!(!Path::new(&scene.path("data")).exists());
}
