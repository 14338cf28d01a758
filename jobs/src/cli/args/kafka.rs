//! Options of the commands that use Kafka, and the commands that are only there with it.

use super::super::Usage;
use crate::serve::Address;
use clap::Args;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;
use tsumiage_pipeline::kafka::link::{DEFAULT_TOPIC, TOPIC_PREFIX};

/// Which Kafka, and how its topic is made.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Kafka options (nightly, ingest, worker, sink)")]
pub struct KafkaArgs {
    /// Kafka instead of the log in the data folder: host:port, several separated by commas
    #[arg(id = "kafka", long = "kafka", global = true, value_name = "BROKERS")]
    pub brokers: Option<String>, // checked by us: the parser would print a password written here by mistake
    /// Properties of librdkafka, such as TLS and SASL: a line `key=value` each, # comments
    #[arg(id = "kafka_config", long = "kafka-config", global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Topic; begins with `tsumiage.` [default: tsumiage.facts]
    #[arg(id = "kafka_topic", long = "kafka-topic", global = true, value_name = "NAME")]
    pub topic: Option<Topic>,
    /// Partitions of the topic, if it has to be made [default: 3]
    #[arg(id = "kafka_partitions", long = "kafka-partitions", global = true, value_name = "N",
        value_parser = clap::value_parser!(i32).range(1..))]
    pub partitions: Option<i32>,
    /// Replicas of the topic, if it has to be made [default: the broker's]
    #[arg(id = "kafka_replication", long = "kafka-replication", global = true, value_name = "N",
        value_parser = clap::value_parser!(i32).range(1..=i64::from(i16::MAX)))]
    pub replication: Option<i32>,
}

/// The Kafka a command line names, defaults filled in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KafkaChoice {
    /// `host:port`, separated by commas.
    pub brokers: String,
    /// A file of librdkafka's properties; it is there.
    pub config: Option<PathBuf>,
    /// Name of the topic.
    pub topic: String,
    /// Partitions of a topic that has to be made.
    pub partitions: i32,
    /// Its replicas; `None` = as the broker does.
    pub replication: Option<i32>,
}

impl KafkaArgs {
    /// The options given, by name.
    pub fn given(&self) -> [(&'static str, bool); 5] {
        [
            ("--kafka", self.brokers.is_some()),
            ("--kafka-config", self.config.is_some()),
            ("--kafka-topic", self.topic.is_some()),
            ("--kafka-partitions", self.partitions.is_some()),
            ("--kafka-replication", self.replication.is_some()),
        ]
    }

    /// The Kafka to use, if one is named.
    ///
    /// # Errors
    /// Others of these options are given without `--kafka`, or the file is not there.
    pub fn choice(&self) -> Result<Option<KafkaChoice>, Usage> {
        let Some(brokers) = &self.brokers else {
            let Some((option, _)) = self.given().into_iter().find(|(_, given)| *given) else {
                return Ok(None);
            };
            return Err(Usage(format!("{option} says something of Kafka, but --kafka BROKERS is missing")));
        };
        let brokers: Vec<&str> = brokers.split(',').map(str::trim).collect();
        if !brokers.iter().all(|broker| is_broker(broker)) {
            return Err(Usage("--kafka wants host:port, several separated by commas".to_owned()));
        }
        if let Some(gone) = self.config.as_ref().filter(|file| !file.is_file()) {
            return Err(Usage(format!("there is no file {}; check --kafka-config", gone.display())));
        }
        Ok(Some(KafkaChoice {
            brokers: brokers.join(","),
            config: self.config.clone(),
            topic: self.topic.as_ref().map_or(DEFAULT_TOPIC, |Topic(name)| name).to_owned(),
            partitions: self.partitions.unwrap_or(3),
            replication: self.replication,
        }))
    }

    /// The Kafka of a command that is nothing without one.
    ///
    /// # Errors
    /// None is named; and those of [`KafkaArgs::choice`].
    pub fn needed(&self) -> Result<KafkaChoice, Usage> {
        let missing = || Usage("this command needs --kafka BROKERS, e.g. --kafka broker-1:9092".to_owned());
        self.choice()?.ok_or_else(missing)
    }
}

/// Whether it is `host:port`; an IPv6 address stands in brackets.
fn is_broker(text: &str) -> bool {
    let Some((host, port)) = text.rsplit_once(':') else { return false };
    let inner = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let is_host = match inner {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => {
            !host.is_empty()
                && host.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'))
        }
    };
    is_host && port.bytes().all(|b| b.is_ascii_digit()) && port.parse::<u16>().is_ok_and(|port| port > 0)
}

/// A topic of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topic(pub String);

impl FromStr for Topic {
    type Err = String;
    fn from_str(name: &str) -> Result<Topic, String> {
        let Some(rest) = name.strip_prefix(TOPIC_PREFIX).filter(|rest| !rest.is_empty()) else {
            return Err(format!("a topic of ours begins with `{TOPIC_PREFIX}`, e.g. {DEFAULT_TOPIC}"));
        };
        let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_');
        if name.len() > 249 || !rest.bytes().all(allowed) {
            return Err("Kafka allows a-z, A-Z, 0-9, dot, dash and underscore, at most 249".to_owned());
        }
        Ok(Topic(name.to_owned()))
    }
}

/// Seconds, with fractions; at most a day.
fn seconds(text: &str) -> Result<Duration, String> {
    match text.parse::<f64>() {
        Ok(number) if (0.0..=86_400.0).contains(&number) => Ok(Duration::from_secs_f64(number)),
        _ => Err("wanted are seconds, 0 to 86400".to_owned()),
    }
}

/// Seconds that pass: not 0.
fn some_seconds(text: &str) -> Result<Duration, String> {
    let at_least = Duration::from_millis(10);
    seconds(text).ok().filter(|time| *time >= at_least).ok_or("wanted are seconds, 0.01 to 86400".to_owned())
}

/// `worker`.
#[derive(Clone, Debug, Args)]
pub struct WorkerArgs {
    /// Take in the plain files of this folder (not hidden, not *.part or *.tmp); it is only read, and several
    /// workers may share it
    #[arg(long, value_name = "DIR")]
    pub inbox: PathBuf,
    /// Folder of original bytes that all workers and the data folder share (its `archive`); made if missing
    #[arg(long, value_name = "DIR")]
    pub archive: PathBuf,
    /// Take a file once it has not changed for so long; 0 if files appear whole, by rename
    #[arg(long, value_name = "SECONDS", default_value = "5", value_parser = seconds)]
    pub settle: Duration,
    /// Look into the inbox this often
    #[arg(long, value_name = "SECONDS", default_value = "5", value_parser = some_seconds)]
    pub poll: Duration,
    /// Take over a file of a worker not heard of for so long; must be the same for all workers
    #[arg(long, value_name = "SECONDS", default_value = "60", value_parser = some_seconds)]
    pub claim_ttl: Duration,
    /// Files in hand at once [default: twice the cores, at least 8: most of the time they wait]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1_024))]
    pub threads: Option<u16>,
    /// Rows of a batch; speed and memory only
    #[arg(long, value_name = "N", default_value_t = 8_192,
        value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub batch_rows: u32,
    /// End when nothing is left to do, instead of waiting for more
    #[arg(long)]
    pub drain: bool,
    /// Check rejected files again, and read again what was read with other layouts; each once
    #[arg(long, requires = "drain")]
    pub recheck: bool,
    /// What it tells while it runs.
    #[command(flatten)]
    pub watching: Watching,
}

/// `sink`.
#[derive(Clone, Debug, Args)]
pub struct SinkArgs {
    /// End when everything that was in the topic is read and committed, instead of waiting for more
    #[arg(long)]
    pub drain: bool,
    /// Most seconds that whole files wait for their commit while more arrive; without more it is made at once
    #[arg(long, value_name = "SECONDS", default_value = "60", value_parser = seconds)]
    pub commit_seconds: Duration,
    /// Read the topic again from its beginning; what is known is dropped
    #[arg(long)]
    pub from_start: bool,
    /// What it tells while it runs.
    #[command(flatten)]
    pub watching: Watching,
}

/// What a long-running command tells over HTTP.
#[derive(Clone, Debug, Args)]
pub struct Watching {
    /// Serve /metrics (Prometheus) and /health here, e.g. 127.0.0.1:9464; :9464 is every address of the machine
    #[arg(long, value_name = "ADDR")]
    pub metrics: Option<Address>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(brokers: Option<&str>) -> KafkaArgs {
        let brokers = brokers.map(str::to_owned);
        KafkaArgs { brokers, config: None, topic: None, partitions: None, replication: None }
    }

    #[test]
    fn brokers_are_hosts_with_ports() {
        let brokers = |text: &str| args(Some(text)).needed().map(|choice| choice.brokers);
        for text in ["broker-1:9092", "10.0.0.1:9092,b_2.example:1", "[::1]:9092", "a:65535"] {
            assert_eq!(brokers(text).unwrap(), text);
        }
        assert_eq!(brokers("a:1, b:2").unwrap(), "a:1,b:2");
        for text in
            ["", "a", "a:", ":9092", "a:0", "a:65536", "a:1,", "a:1,,b:2", "::1:9092", "[a]:1", "a:+1"]
        {
            assert!(brokers(text).is_err(), "{text}");
        }
        let error = brokers("user:secret@host:9092").unwrap_err().to_string();
        assert!(!error.contains("secret"), "{error}");
    }

    #[test]
    fn defaults_are_those_of_the_help_and_nothing_stands_without_brokers() {
        let choice = args(Some("a:1")).choice().unwrap().unwrap();
        assert_eq!((choice.topic.as_str(), choice.partitions), ("tsumiage.facts", 3));
        assert_eq!((choice.replication, choice.config), (None, None));
        assert_eq!(args(None).choice().unwrap(), None);
        assert!(args(None).needed().unwrap_err().to_string().contains("--kafka"));
        let alone = KafkaArgs { partitions: Some(8), ..args(None) };
        assert!(alone.choice().unwrap_err().to_string().contains("--kafka-partitions"));
        let gone = KafkaArgs { config: Some("no-such.properties".into()), ..args(Some("a:1")) };
        assert!(gone.choice().unwrap_err().to_string().contains("no-such.properties"));
    }

    #[test]
    fn topics_have_our_prefix() {
        for name in ["tsumiage.facts", "tsumiage.a-B_9.test"] {
            assert_eq!(name.parse(), Ok(Topic(name.to_owned())));
        }
        let long = format!("tsumiage.{}", "a".repeat(241));
        for name in
            ["", "facts", "tsumiage", "tsumiage.", "Tsumiage.facts", "tsumiage.介護", "tsumiage.a b", &long]
        {
            assert!(name.parse::<Topic>().is_err(), "{name}");
        }
    }

    #[test]
    fn times_are_bounded() {
        assert_eq!(seconds("0"), Ok(Duration::ZERO));
        assert_eq!(some_seconds("0.25"), Ok(Duration::from_millis(250)));
        for text in ["", "-1", "86401", "NaN", "inf", "5s"] {
            assert!(seconds(text).is_err() && some_seconds(text).is_err(), "{text}");
        }
        assert!(some_seconds("0").is_err());
    }
}
