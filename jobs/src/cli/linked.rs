//! The Kafka that a command line names, looked at before anything is sent or read.

use super::Usage;
use super::args::KafkaChoice;
use super::console::Console;
use std::time::Duration;
use tsumiage_pipeline::kafka::KafkaError;
use tsumiage_pipeline::kafka::link::{Link, Options};
use tsumiage_pipeline::kafka::topic::{Topic, ensure};

/// How long brokers may be silent.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// The link and its topic, made if it is missing.
///
/// # Errors
/// An option is wrong, no broker answers, or the topic forgets.
pub fn linked(choice: &KafkaChoice, console: &Console<'_>) -> anyhow::Result<(Link, Topic)> {
    let link = link(choice)?;
    let topic = topic(&link, choice, PATIENCE, console)?;
    Ok((link, topic))
}

/// The link. Does not talk to the brokers yet.
///
/// # Errors
/// An option is wrong.
pub fn link(choice: &KafkaChoice) -> anyhow::Result<Link> {
    let options = choice.config.as_deref().map(Options::read).transpose().map_err(wrong_usage)?;
    Link::new(&choice.brokers, &choice.topic, options.unwrap_or_default()).map_err(wrong_usage)
}

/// The topic, made if it is missing.
///
/// # Errors
/// No broker answers, it cannot be made, or it forgets.
pub fn topic(
    link: &Link,
    choice: &KafkaChoice,
    patience: Duration,
    console: &Console<'_>,
) -> Result<Topic, KafkaError> {
    let topic = ensure(link, choice.partitions, choice.replication.unwrap_or(-1), patience)?;
    for warning in &topic.warnings {
        console.note(warning);
    }
    Ok(topic)
}

/// What is written wrongly is wrong usage; a file that cannot be read is the machine's.
fn wrong_usage(error: KafkaError) -> anyhow::Error {
    match error {
        KafkaError::ConfigFile(error) => error.into(),
        error => Usage(error.to_string()).into(),
    }
}
