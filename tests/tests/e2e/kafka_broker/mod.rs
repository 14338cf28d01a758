//! With a real Apache Kafka: what comes of it is what comes of the embedded log.
//!
//! `tests/run.sh` starts the broker (`tests/kafka/broker.sh`) and names its folder in `TSUMIAGE_TEST_KAFKA`. Without
//! it these tests are ignored, and cannot pass by themselves.

mod ensure;
pub mod kills;
mod link;
pub mod process;
mod raw;
mod same;
mod share;
mod topic;

use crate::place::{hashes, run};
use crate::support::snapshot_of;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Take-in day of all files.
pub const DAY: &str = "2026-10-05";

/// The folder of the broker: `bootstrap`, `tls-bootstrap`, `client.properties`.
pub fn broker() -> PathBuf {
    let folder = std::env::var_os("TSUMIAGE_TEST_KAFKA");
    PathBuf::from(folder.expect("TSUMIAGE_TEST_KAFKA names no broker; tests/run.sh starts one"))
}

/// A line of the broker's folder.
fn told(folder: &Path, name: &str) -> String {
    fs::read_to_string(folder.join(name)).unwrap().trim().to_owned()
}

/// A topic of one's own.
#[derive(Clone)]
pub struct Topic {
    pub brokers: String,
    pub name: String,
    pub partitions: i32,
    /// Options of librdkafka.
    config: Option<PathBuf>,
}

impl Topic {
    /// On the broker of all tests, without security. It is not made yet.
    pub fn new(partitions: i32) -> Topic {
        Topic::at(&broker(), partitions)
    }

    /// On a broker of one's own.
    pub fn at(broker: &Path, partitions: i32) -> Topic {
        let (brokers, name) = (told(broker, "bootstrap"), format!("tsumiage.test-{}", unique()));
        Topic { brokers, name, partitions, config: None }
    }

    /// The same by TLS, with these options.
    pub fn secured(&self, config: &Path) -> Topic {
        Topic { brokers: told(&broker(), "tls-bootstrap"), config: Some(config.to_owned()), ..self.clone() }
    }

    /// The address that wants TLS, spoken to without.
    pub fn misled(&self) -> Topic {
        Topic { brokers: told(&broker(), "tls-bootstrap"), ..self.clone() }
    }

    /// The options that name it.
    pub fn args(&self) -> Vec<String> {
        let partitions = self.partitions.to_string();
        let args = ["--kafka", &self.brokers, "--kafka-topic", &self.name, "--kafka-partitions", &partitions];
        let mut args = args.map(str::to_owned).to_vec();
        if let Some(config) = &self.config {
            args.extend(["--kafka-config".to_owned(), config.display().to_string()]);
        }
        args
    }

    /// Runs a command of the program that uses it, in this process.
    pub fn run(&self, args: &[&str]) -> (u8, String, String) {
        let more = self.args();
        let args: Vec<&str> = args.iter().copied().chain(more.iter().map(String::as_str)).collect();
        run(&args)
    }

    /// Sends all of an inbox, or reads all of the topic (`more` says which), without a process of its own.
    pub fn drain(&self, args: &[&str]) -> String {
        let (code, _, err) = self.run(&[args, &["--drain"]].concat());
        assert!(matches!(code, 0 | 2), "{args:?} ended with {code}\n{err}");
        err
    }
}

/// A name that nobody else has.
fn unique() -> String {
    let folder = tempfile::tempdir().unwrap();
    let name = folder.path().file_name().unwrap().to_str().unwrap().replace('.', "");
    format!("{}-{name}", std::process::id())
}

/// Says something that is to be read of tests that pass, too.
pub fn tell(what: &str) {
    let mut around_the_capture = std::io::stderr();
    around_the_capture.write_all(format!("{what}\n").as_bytes()).unwrap();
}

/// Whether there is time for larger counts.
pub fn is_soak() -> bool {
    std::env::var_os("SOAK").is_some()
}

/// Calls `tests/kafka/broker.sh`.
pub fn broker_sh(command: &str, folder: &Path) {
    let done = called(command, folder).unwrap();
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "broker.sh {command}: {said}");
}

fn called(command: &str, folder: &Path) -> std::io::Result<Output> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("kafka/broker.sh");
    Command::new(script).arg(command).arg(folder).output()
}

/// A broker of one's own, for tests that break it.
pub struct OwnBroker(tempfile::TempDir);

impl OwnBroker {
    pub fn start() -> OwnBroker {
        let own = OwnBroker(tempfile::tempdir().unwrap());
        broker_sh("start", own.folder());
        own
    }

    pub fn folder(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for OwnBroker {
    fn drop(&mut self) {
        let _ = called("kill", self.folder()); // a second panic would hide the first
    }
}

/// Exchange files of five insurers in a folder, by the program itself.
pub fn synth(out: &Path, recipients: u32, seed: u64) -> Vec<PathBuf> {
    synth_of(out, 5, recipients, seed)
}

/// The same of so many insurers: eight files of each and some more.
fn synth_of(out: &Path, insurers: u32, recipients: u32, seed: u64) -> Vec<PathBuf> {
    let [recipients, insurers, seed] =
        [u64::from(recipients), u64::from(insurers), seed].map(|n| n.to_string());
    let args =
        ["synth", "--out", out.to_str().unwrap(), "--recipients", &recipients, "--insurers", &insurers];
    let more = ["--months", "8", "--seed", &seed, "--errors-every", "300"];
    let (code, _, err) = run(&[&args[..], &more].concat());
    assert_eq!(code, 0, "{err}");
    let mut files: Vec<PathBuf> = fs::read_dir(out).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(files.len() > 20, "{} files", files.len());
    files
}

/// A folder with an inbox of synthetic files, and what the embedded log makes of them.
pub struct Scene {
    folder: tempfile::TempDir,
    pub files: Vec<PathBuf>,
    pub expected: Value,
}

impl Scene {
    pub fn new(recipients: u32, seed: u64) -> Scene {
        Scene::of(5, recipients, seed)
    }

    /// With the files of so many insurers.
    pub fn of(insurers: u32, recipients: u32, seed: u64) -> Scene {
        let folder = tempfile::tempdir().unwrap();
        let inbox = folder.path().join("inbox");
        let files = synth_of(&inbox, insurers, recipients, seed);
        let (data, inbox) = (folder.path().join("embedded"), inbox.display().to_string());
        let data = data.display().to_string();
        let (code, out, err) = run(&["nightly", "--quiet", "--data", &data, "--on", DAY, "--inbox", &inbox]);
        assert!(matches!(code, 0 | 2), "{err}");
        let expected = hashes(&snapshot_of(&out));
        Scene { folder, files, expected }
    }

    /// A path in it.
    pub fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    /// What a worker does that writes into the archive of a data folder.
    pub fn worker(&self, inbox: &str, data: &str) -> Vec<String> {
        let (inbox, archive) = (self.path(inbox), self.path(data) + "/archive");
        let args = ["worker", "--inbox", &inbox, "--archive", &archive, "--on", DAY, "--settle", "0"];
        args.map(str::to_owned).to_vec()
    }

    /// Sends everything of the inbox.
    pub fn sends_all(&self, topic: &Topic, data: &str) {
        let args = self.worker("inbox", data);
        topic.drain(&args.iter().map(String::as_str).collect::<Vec<_>>());
    }

    /// Reads everything into a data folder; what was said.
    pub fn reads_all(&self, topic: &Topic, data: &str) -> String {
        topic.drain(&["sink", "--data", &self.path(data)])
    }

    /// Resolves a data folder; its snapshot must be the one expected, and each file must be there once.
    pub fn is_the_same(&self, data: &str) {
        let (code, out, err) = run(&["resolve", "--data", &self.path(data)]);
        assert_eq!(code, 0, "{err}");
        let ids = self.committed(data);
        let mut once = ids.clone();
        once.sort();
        once.dedup();
        assert_eq!(once.len(), ids.len(), "a file was committed twice");
        assert_eq!(ids.len(), self.files.len());
        assert_eq!(hashes(&snapshot_of(&out)), self.expected);
    }

    /// Ids of the files in all commits of a ledger; checks that its offsets have neither gap nor overlap.
    pub fn committed(&self, data: &str) -> Vec<String> {
        let (mut ids, mut stands) = (Vec::new(), BTreeMap::new());
        for manifest in manifests(&self.path(data)) {
            let files = manifest["files"].as_array().unwrap();
            ids.extend(files.iter().map(|file| file["arrival"]["file_id"].as_str().unwrap().to_owned()));
            let range = &manifest["kafka"];
            if range.is_object() {
                let before = stands.insert(range["of"].to_string(), range["next"].clone());
                assert!(before.is_none_or(|next| next == range["from"]), "a gap or overlap before {range}");
            }
        }
        ids
    }
}

/// All commits of a data folder's ledger; none if there is none.
pub fn manifests(data: &str) -> Vec<Value> {
    let Ok(entries) = fs::read_dir(Path::new(data).join("ledger/manifests")) else { return Vec::new() };
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|e| e == "json"));
    paths.sort();
    paths.iter().map(|path| serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()).collect()
}
