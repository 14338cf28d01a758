//! What a seed's run is made of.

use super::dice::Dice;
use crate::kafka::link::{Link, Options};
use crate::reader::Compiled;
use crate::synth::{SynthOptions, synth};
use std::fmt::Write as _;
use std::sync::{Arc, LazyLock};
use tsumiage_schemas::{Day, Spec};

pub const TOPIC: &str = "tsumiage.facts";

/// Layouts as the reader needs them, for all runs.
pub static COMPILED: LazyLock<Arc<Compiled>> =
    LazyLock::new(|| Arc::new(Compiled::new(Arc::new(Spec::embedded().unwrap()))));

/// Names and bytes.
type Files = Vec<(String, Vec<u8>)>;

/// Sets of small files: of insurers with records to reject and to warn of, and of a union with registry facts.
static SMALL: LazyLock<Vec<Files>> = LazyLock::new(|| {
    let of = |seed| SynthOptions {
        recipients: 30,
        insurers: 3,
        months: 3,
        seed,
        errors_every: Some(5),
        union: seed == 1,
        ..SynthOptions::default()
    };
    (1..4).map(|seed| made(&of(seed))).collect()
});

/// Files of many batches.
static LARGE: LazyLock<Files> = LazyLock::new(|| {
    let options = SynthOptions {
        recipients: 80,
        insurers: 2,
        months: 1,
        movements: Some(120),
        errors_every: Some(4),
        ..SynthOptions::default()
    };
    made(&options).into_iter().map(|(name, bytes)| (format!("large-{name}"), bytes)).collect()
});

fn made(options: &SynthOptions) -> Files {
    let folder = tempfile::tempdir().unwrap();
    synth(options, COMPILED.spec(), folder.path()).unwrap();
    let paths = crate::disk::entries(folder.path()).unwrap();
    paths.into_iter().map(|path| (name_of(&path), std::fs::read(&path).unwrap())).collect()
}

fn name_of(path: &std::path::Path) -> String {
    path.file_name().unwrap().to_string_lossy().into_owned()
}

/// Who takes files in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// So many workers on one inbox.
    Workers(usize),
    /// File by file, each until it is sealed.
    OneByOne,
    /// Workers and sink in one, again and again until it succeeds.
    Through,
}

/// What is read again when everything was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Again {
    Nothing,
    /// What was rejected: there are other layouts.
    Rejected,
    /// Everything: the layouts of before were for one run.
    All,
    /// What was rejected, under another name and on another day.
    Recheck,
}

/// What a seed's run is made of.
pub struct Plan {
    pub brokers: i32,
    pub partitions: i32,
    pub mode: Mode,
    pub again: Again,
    /// Digests of the layouts of both readings; those of the second may be the lesser.
    pub layouts: [String; 2],
    pub days: [Day; 2],
    pub batch_rows: usize,
    pub files: Files,
    /// Names under which the same bytes are given.
    pub twice: [String; 2],
    /// librdkafka's options.
    options: String,
    /// A worker died with a file that nobody else has, before or after its seal.
    pub orphan: Option<bool>,
}

impl Plan {
    pub fn of(dice: &mut Dice) -> Plan {
        let modes = [Mode::Workers(1), Mode::Workers(2), Mode::Workers(2), Mode::OneByOne, Mode::Through];
        let mut mode = *dice.one(&modes);
        let again = *dice.one(&[Again::Nothing, Again::Rejected, Again::All, Again::All, Again::Recheck]);
        if again == Again::Recheck {
            mode = Mode::OneByOne; // who is asked twice to check again reads a third time
        }
        let (first, second) = ("a".repeat(64), (*dice.one(&["5", "b"])).repeat(64));
        let day = 20_750;
        let (files, twice) = files(dice);
        Plan {
            brokers: dice.between(1, 3) as i32,
            partitions: dice.between(1, 4) as i32,
            mode,
            again,
            layouts: [first, second],
            days: [Day(day), Day(day + dice.below(3) as i32 - 1)],
            batch_rows: dice.between(9, 40),
            files,
            twice,
            options: options(dice),
            orphan: dice.once_in(4).then(|| dice.once_in(2)),
        }
    }

    /// A link whose waits are short.
    pub fn link(&self, brokers: &str) -> Link {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), &self.options).unwrap();
        Link::new(brokers, TOPIC, Options::read(file.path()).unwrap()).unwrap()
    }
}

fn files(dice: &mut Dice) -> (Files, [String; 2]) {
    let mut files = dice.one(&SMALL).clone();
    dice.shuffle(&mut files);
    files.truncate(dice.between(2, 4));
    files.push(dice.one(&LARGE).clone());
    let (name, bytes) = dice.one(&files).clone();
    let twice = [format!("{}-{name}", dice.one(&["1st", "3rd"])), format!("2nd-{name}")];
    // Rejected whole: without its end, without anything to know the sender by.
    let (name, cut) = dice.one(&files).clone();
    files.push((format!("cut-{name}"), cut[..cut.len() - 4].to_vec()));
    files.push(("none.csv".to_owned(), b"no exchange file".to_vec()));
    files.retain(|(_, other)| *other != bytes);
    files.extend(twice.iter().map(|name| (name.clone(), bytes.clone())));
    files.sort();
    (files, twice)
}

fn options(dice: &mut Dice) -> String {
    let mut text = "reconnect.backoff.ms=10\nreconnect.backoff.max.ms=80\nretry.backoff.ms=10\n\
                    retry.backoff.max.ms=80\nfetch.wait.max.ms=10\nfetch.error.backoff.ms=10\n\
                    topic.metadata.refresh.fast.interval.ms=20\ntopic.metadata.propagation.max.ms=200\n\
                    socket.timeout.ms=300\n"
        .to_owned();
    let in_flight = dice.one(&[1, 5, 5]);
    let (messages, linger) = (dice.one(&[1, 1, 2, 10_000]), dice.one(&[0, 2, 5]));
    writeln!(text, "message.timeout.ms={}", dice.between(600, 1_200)).unwrap();
    writeln!(text, "max.in.flight={in_flight}\nbatch.num.messages={messages}\nlinger.ms={linger}").unwrap();
    text
}
