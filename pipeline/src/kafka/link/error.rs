//! What can go wrong with Kafka, in words that say what to do next and hold no option's value.

use crate::disk::DiskError;
use crate::kafka::message::MESSAGE_BYTES;
use arrow::error::ArrowError;
use rdkafka::types::RDKafkaErrorCode;
use std::path::PathBuf;

/// Kafka failed.
#[derive(Debug, thiserror::Error)]
pub enum KafkaError {
    /// The file of options cannot be read.
    #[error(transparent)]
    ConfigFile(DiskError),
    /// A line of the file of options is wrong. Its text is not kept.
    #[error(
        "{}: line {line}{}: {why}: write one librdkafka option a line, `key=value`, and `#` before remarks",
        path.display(), of_key(key)
    )]
    ConfigLine {
        /// The file.
        path: PathBuf,
        /// 1-based.
        line: usize,
        /// The key, if the line has what looks like one.
        key: Option<String>,
        /// What is wrong.
        why: &'static str,
    },
    /// An option is not the user's to set.
    #[error("{}: line {line}: `{key}` cannot be set: {}", path.display(), fixed(key))]
    Fixed {
        /// The file.
        path: PathBuf,
        /// 1-based.
        line: usize,
        /// The option.
        key: String,
    },
    /// librdkafka refuses one option.
    #[error("librdkafka {} `{key}`: correct it in the file given with --kafka-config", refusal(*known))]
    Refused {
        /// The option.
        key: String,
        /// There is such an option; its value is refused.
        known: bool,
    },
    /// librdkafka refuses the options together.
    #[error(
        "librdkafka makes no client of these options: {reason}: correct the file given with --kafka-config"
    )]
    Client {
        /// What librdkafka says, without values.
        reason: String,
    },
    /// The list of brokers is not one.
    #[error("brokers are given as host:port,host:port; user and password go into the file of --kafka-config")]
    Brokers,
    /// The topic's name is not one of ours.
    #[error(
        "{topic:?} cannot be the topic: give a name of letters, digits, `.`, `_`, `-` that begins with `tsumiage.`"
    )]
    TopicName {
        /// The name given.
        topic: String,
    },
    /// No broker answers.
    #[error(
        "no answer from Kafka at {brokers} ({reason}): check that it runs there and that the file of --kafka-config has what it asks for (security.protocol, user, certificates), and run again"
    )]
    Unreachable {
        /// As given.
        brokers: String,
        /// What was heard.
        reason: String,
    },
    /// The topic is not as it must be.
    #[error("topic {topic}: {what}: {advice}")]
    Topic {
        /// The topic.
        topic: String,
        /// What is wrong.
        what: String,
        /// What to do.
        advice: String,
    },
    /// A batch cannot be put into a message.
    #[error("a batch cannot be put into a message: {0}: report this, the file is not to blame")]
    Message(#[from] ArrowError),
    /// A message was not taken.
    #[error("topic {topic}: a message was not taken ({reason}): {}", advice(*code))]
    Produce {
        /// The topic.
        topic: String,
        /// librdkafka's code.
        code: RDKafkaErrorCode,
        /// Its text, with what was last heard of the brokers.
        reason: String,
    },
    /// Messages cannot be read.
    #[error("topic {topic}: messages cannot be read ({reason}): {}", advice(*code))]
    Consume {
        /// The topic.
        topic: String,
        /// librdkafka's code.
        code: RDKafkaErrorCode,
        /// Its text, with what was last heard of the brokers.
        reason: String,
    },
}

impl KafkaError {
    /// Whether it may pass by itself, so that trying again makes sense.
    pub fn may_pass(&self) -> bool {
        match self {
            KafkaError::Unreachable { .. } => true,
            KafkaError::Produce { code, .. } | KafkaError::Consume { code, .. } => {
                matches!(cause(*code), Cause::Away | Cause::Other)
            }
            _ => false,
        }
    }
}

/// What a code means to who reads it.
enum Cause {
    Away,
    TooLarge,
    Right,
    Login,
    Gone,
    Other,
}

fn cause(code: RDKafkaErrorCode) -> Cause {
    use RDKafkaErrorCode as Code;
    match code {
        Code::MessageTimedOut
        | Code::OperationTimedOut
        | Code::RequestTimedOut
        | Code::BrokerTransportFailure
        | Code::AllBrokersDown
        | Code::Resolve => Cause::Away,
        Code::MessageSizeTooLarge | Code::InvalidMessageSize | Code::MessageBatchTooLarge => Cause::TooLarge,
        Code::TopicAuthorizationFailed | Code::ClusterAuthorizationFailed => Cause::Right,
        Code::Authentication | Code::SaslAuthenticationFailed | Code::SSL => Cause::Login,
        Code::UnknownTopicOrPartition | Code::UnknownTopic | Code::UnknownPartition => Cause::Gone,
        _ => Cause::Other,
    }
}

/// Whether no broker answered.
pub fn is_away(code: RDKafkaErrorCode) -> bool {
    matches!(cause(code), Cause::Away)
}

fn advice(code: RDKafkaErrorCode) -> String {
    match cause(code) {
        Cause::Away => "check that the brokers run and can be reached; run again, nothing was lost".into(),
        Cause::TooLarge => format!(
            "let the topic take larger messages, max.message.bytes well above {MESSAGE_BYTES}, and run again"
        ),
        Cause::Right => "give this user the right to the topic and run again".into(),
        Cause::Login => "check user, password and certificates in the file of --kafka-config".into(),
        Cause::Gone => "was the topic deleted or made anew? Run again to make it or look at it again".into(),
        Cause::Other => "run again, nothing was lost; if it comes back, look into the broker's log".into(),
    }
}

/// A code in librdkafka's words.
pub fn words(code: RDKafkaErrorCode) -> String {
    let named = code.to_string(); // `Name (Words)`
    let words = named.split_once(" (").and_then(|(_, rest)| rest.strip_suffix(')'));
    words.map(str::to_owned).unwrap_or(named)
}

fn of_key(key: &Option<String>) -> String {
    key.as_ref().map(|key| format!(", `{key}`")).unwrap_or_default()
}

fn fixed(key: &str) -> &'static str {
    match super::options::canonical(key) {
        "metadata.broker.list" => "give the brokers with --kafka",
        _ => "tsumiage's protocol rests on its value; take the line out",
    }
}

fn refusal(known: bool) -> &'static str {
    if known { "does not take, or not with this value, the option" } else { "knows no option" }
}
