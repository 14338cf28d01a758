//! Messages on their way to the brokers, counted attempt by attempt.
//!
//! Promise: every message that was handed over is counted down once, by its acknowledgement or its failure.

use super::Sent;
use crate::kafka::link::LinkContext;
use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::KafkaError as RdError;
use rdkafka::message::Message;
use rdkafka::producer::{DeliveryResult, ProducerContext};
use rdkafka::statistics::Statistics;
use rdkafka::types::RDKafkaErrorCode;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// What an attempt has on its way.
#[derive(Debug, Default)]
pub(super) struct Flight {
    state: Mutex<State>,
    landed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    messages: usize,
    bytes: usize,
    failure: Option<RDKafkaErrorCode>,
}

impl Flight {
    /// Waits until there is room for so many bytes more, or nothing at all on its way; then counts them.
    ///
    /// # Errors
    /// A message of the attempt failed.
    pub(super) fn depart(&self, bytes: usize, limit: usize) -> Result<(), RDKafkaErrorCode> {
        let mut state = self.wait(|state| state.messages == 0 || state.bytes + bytes <= limit)?;
        state.messages += 1;
        state.bytes += bytes;
        Ok(())
    }

    /// Waits until nothing is on its way.
    ///
    /// # Errors
    /// A message of the attempt failed.
    pub(super) fn all_landed(&self) -> Result<(), RDKafkaErrorCode> {
        self.wait(|state| state.messages == 0).map(drop)
    }

    /// A message arrived, or failed, or was not handed over at all.
    pub(super) fn land(&self, bytes: usize, failure: Option<RDKafkaErrorCode>) {
        let mut state = self.state();
        state.messages = state.messages.saturating_sub(1);
        state.bytes = state.bytes.saturating_sub(bytes);
        state.failure = state.failure.or(failure);
        self.landed.notify_all();
    }

    /// Waits for a landing, but not longer than so.
    pub(super) fn pause(&self, at_most: Duration) {
        let waited = self.landed.wait_timeout(self.state(), at_most);
        drop(waited.unwrap_or_else(PoisonError::into_inner));
    }

    fn wait(&self, enough: impl Fn(&State) -> bool) -> Result<MutexGuard<'_, State>, RDKafkaErrorCode> {
        let waits = |state: &mut State| state.failure.is_none() && !enough(state);
        let state = self.landed.wait_while(self.state(), waits).unwrap_or_else(PoisonError::into_inner);
        match state.failure {
            Some(code) => Err(code),
            None => Ok(state),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes what became of messages; everything else as [`LinkContext`] does.
pub(super) struct Delivery {
    pub(super) link: LinkContext,
    pub(super) sent: Arc<Sent>,
}

impl ProducerContext for Delivery {
    type DeliveryOpaque = Arc<Flight>;

    fn delivery(&self, result: &DeliveryResult<'_>, flight: Arc<Flight>) {
        let (message, failure) = match result {
            // librdkafka concludes from a later message that earlier ones were taken too, which not every broker
            // keeps to; such a message has no offset.
            Ok(message) => (message, (message.offset() < 0).then_some(RDKafkaErrorCode::GaplessGuarantee)),
            // An error without a code there is none here.
            Err((e, message)) => (message, Some(e.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Fail))),
        };
        let bytes = message.payload().map_or(0, <[u8]>::len);
        if failure.is_none() {
            self.sent.messages.fetch_add(1, Relaxed);
            self.sent.value_bytes.fetch_add(bytes as u64, Relaxed);
            self.link.pulse().well();
        } else {
            self.sent.failed.fetch_add(1, Relaxed);
        }
        flight.land(bytes, failure);
    }
}

impl ClientContext for Delivery {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, line: &str) {
        self.link.log(level, facility, line);
    }

    fn stats(&self, statistics: Statistics) {
        self.link.stats(statistics);
    }

    fn error(&self, error: RdError, reason: &str) {
        self.link.error(error, reason);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a test may fail loudly
mod tests {
    use super::*;

    #[test]
    fn there_is_room_again_when_a_message_lands() {
        let flight = Flight::default();
        flight.depart(1_000, 10).unwrap(); // alone it may be larger than all the room
        std::thread::scope(|scope| {
            let second = scope.spawn(|| flight.depart(6, 10));
            std::thread::sleep(Duration::from_millis(20));
            assert!(!second.is_finished());
            flight.land(1_000, None);
            second.join().unwrap().unwrap();
            flight.depart(4, 10).unwrap();
            let third = scope.spawn(|| flight.depart(1, 10));
            std::thread::sleep(Duration::from_millis(20));
            assert!(!third.is_finished());
            flight.land(6, Some(RDKafkaErrorCode::MessageTimedOut));
            assert_eq!(third.join().unwrap(), Err(RDKafkaErrorCode::MessageTimedOut));
        });
        assert_eq!(flight.all_landed(), Err(RDKafkaErrorCode::MessageTimedOut));
        flight.land(4, Some(RDKafkaErrorCode::Fail));
        assert_eq!(flight.all_landed(), Err(RDKafkaErrorCode::MessageTimedOut), "the first failure counts");
    }

    #[test]
    fn all_landed_waits_for_all() {
        let flight = Flight::default();
        flight.all_landed().unwrap();
        flight.depart(1, 10).unwrap();
        flight.depart(1, 10).unwrap();
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| flight.all_landed());
            flight.land(1, None);
            std::thread::sleep(Duration::from_millis(20));
            assert!(!waiting.is_finished());
            flight.land(1, None);
            waiting.join().unwrap().unwrap();
        });
    }
}
