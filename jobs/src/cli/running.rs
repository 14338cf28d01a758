//! What the commands share that run until they are stopped: brokers that answer later, stop signals,
//! metrics and health over HTTP.

use super::args::{KafkaChoice, Watching};
use super::console::Console;
use super::linked::{PATIENCE, topic};
use super::signals::{Caught, caught};
use crate::serve::Server;
use std::sync::Arc;
use std::time::Duration;
use tsumiage_pipeline::kafka::KafkaError;
use tsumiage_pipeline::kafka::gauges::Exposed;
use tsumiage_pipeline::kafka::health::Health;
use tsumiage_pipeline::kafka::link::Link;
use tsumiage_pipeline::kafka::topic::Topic;
use tsumiage_pipeline::stop::Stop;

/// How long brokers may be silent before they are asked again.
const ASK: Duration = Duration::from_secs(5);

/// Pause before brokers that did not answer are asked again.
const PAUSE: Duration = Duration::from_secs(2);

/// A command that runs until it is stopped.
pub struct Running {
    /// Asked by the first SIGTERM or SIGINT; a second one ends the program at once.
    pub stop: Stop,
    /// What `/health` tells, unless no broker can be reached; not well until the command says so.
    pub health: Health,
    _caught: Caught,
    _server: Option<Server>,
}

impl Running {
    /// Begins to listen to signals and, if wanted, to serve.
    ///
    /// # Errors
    /// The address is taken or not this machine's.
    pub fn begin(
        watching: &Watching,
        exposed: &Exposed,
        link: &Link,
        console: &Console<'_>,
    ) -> anyhow::Result<Running> {
        let (stop, health) = (Stop::default(), Health::default());
        let (asked, link) = (health.clone(), link.clone());
        let reason = move || unreachable(&link).or_else(|| asked.reason());
        let start = |at| Server::start(at, exposed.clone(), Arc::new(reason));
        let server = watching.metrics.map(start).transpose()?;
        if let Some(server) = &server {
            let address = server.address();
            console.note(&format!("serves http://{address}/metrics and http://{address}/health"));
        }
        Ok(Running { _caught: caught(&stop)?, stop, health, _server: server })
    }

    /// The topic as [`topic`] gives it, asked for until a broker answers if the command waits for work anyway;
    /// `None` if it is stopped before.
    ///
    /// # Errors
    /// As [`topic`]; if it waits, not because no broker answers.
    pub fn topic(
        &self,
        link: &Link,
        kafka: &KafkaChoice,
        waits: bool,
        console: &Console<'_>,
    ) -> Result<Option<Topic>, KafkaError> {
        let patience = if waits { ASK } else { PATIENCE }; // a stop signal has to wait so long
        let mut told = String::new();
        loop {
            match topic(link, kafka, patience, console) {
                Err(error) if waits && error.may_pass() => {
                    let error = error.to_string();
                    self.health.ailing(&error);
                    if error != told {
                        console.complain(&format!("{error}; goes on when they answer"));
                        told = error;
                    }
                }
                topic => return topic.map(Some),
            }
            if self.stop.wait(PAUSE) {
                return Ok(None);
            }
        }
    }
}

/// Why no broker can be reached, if it is so.
fn unreachable(link: &Link) -> Option<String> {
    link.pulse().is_down().then(|| link.heard("no broker can be reached"))
}
