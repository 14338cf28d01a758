//! What a worker tells: `tsumiage_worker_…`.

use super::super::link::Link;
use super::super::producer::{KafkaLog, Sent};
use super::{By, Exposed, Filling, Moment, Taken, count, set};
use crate::take_in::FileOutcome;
use crate::worker::Waiting;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Unit;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

/// What a worker tells; clones count together.
#[derive(Clone)]
pub struct WorkerGauges {
    /// To be read by Prometheus.
    pub exposed: Exposed,
    files: By,
    exchange_bytes: Counter,
    attempts_failed: Counter,
    looks_failed: Counter,
    in_hand: Gauge,
    waiting: Gauge,
    last_success: Moment,
    log: Arc<OnceLock<Arc<KafkaLog>>>,
}

impl WorkerGauges {
    /// All at 0, for this version of the program.
    pub fn new(version: &str, link: &Link) -> WorkerGauges {
        let mut all = Filling::new("tsumiage_worker", version);
        let log = Arc::new(OnceLock::new());
        let outcomes = [Taken::Accepted, Taken::PartlyRejected, Taken::Rejected, Taken::Duplicate];
        let help = "Files done, by what became of them";
        let files = all.by("files", help, "outcome", &outcomes.map(Taken::label));
        let exchange_bytes = all.bytes("exchange", "Bytes of the exchange files sent");
        let attempts_failed =
            all.counter("attempts_failed", "Attempts at a file that failed; it is tried again");
        let looks_failed = all.counter("looks_failed", "Looks into inbox and archive that failed");
        let in_hand = all.gauge("files_in_hand", "Files being read and sent");
        let help = "Files that may still be written to, are ready, or wait to be tried again";
        let waiting = all.gauge("files_waiting", help);
        let help = "When the seal of a file was last acknowledged";
        let last_success = all.moment("last_success_timestamp", help);
        what_was_sent(&mut all, &log);
        all.link(link);
        let exposed = all.exposed();
        WorkerGauges {
            exposed,
            files,
            exchange_bytes,
            attempts_failed,
            looks_failed,
            in_hand,
            waiting,
            last_success,
            log,
        }
    }

    /// From now on what this log sends is told.
    pub fn sends_by(&self, log: &Arc<KafkaLog>) {
        let _ = self.log.set(Arc::clone(log)); // one worker has one log
    }

    /// A file is done.
    pub fn file(&self, outcome: &FileOutcome) {
        let taken = Taken::of_read(outcome.file_rejected, outcome.rejected);
        let taken = if outcome.duplicate { Taken::Duplicate } else { taken };
        count(&self.files, "outcome", taken.label());
        if !outcome.duplicate {
            self.exchange_bytes.inc_by(outcome.bytes);
            self.last_success.now();
        }
    }

    /// What waits.
    pub fn waiting(&self, waiting: &Waiting) {
        set(&self.waiting, waiting.settling + waiting.waiting);
        set(&self.in_hand, waiting.in_hand);
    }

    /// An attempt at a file failed.
    pub fn attempt_failed(&self) {
        self.attempts_failed.inc();
    }

    /// The inbox or the archive could not be looked at.
    pub fn look_failed(&self) {
        self.looks_failed.inc();
    }
}

fn what_was_sent(all: &mut Filling, log: &Arc<OnceLock<Arc<KafkaLog>>>) {
    let mut ask = |name: &str, help: &str, unit: Option<Unit>, of: fn(&Sent) -> &AtomicU64| {
        let (log, nanos) = (Arc::clone(log), matches!(unit, Some(Unit::Seconds)));
        all.ask(name, help, unit, move || {
            let value = log.get().map_or(0, |log| of(log.sent()).load(Ordering::Relaxed)) as f64;
            Some(if nanos { value / 1e9 } else { value })
        });
    };
    ask("messages", "Messages the brokers acknowledged", None, |sent| &sent.messages);
    ask("messages_failed", "Messages the brokers did not take", None, |sent| &sent.failed);
    ask("message", "Bytes of the values of messages acknowledged", Some(Unit::Bytes), |sent| {
        &sent.value_bytes
    });
    ask("arrow", "Bytes of batches in memory before encoding", Some(Unit::Bytes), |sent| &sent.arrow_bytes);
    ask("encoding", "Time spent encoding, all threads", Some(Unit::Seconds), |sent| &sent.encoding_ns);
    ask("sending", "Time spent waiting for brokers, all threads", Some(Unit::Seconds), |sent| {
        &sent.waiting_ns
    });
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a test may fail loudly
mod tests {
    use super::super::tests::{link, samples};
    use super::*;

    fn outcome(duplicate: bool, file_rejected: bool, rejected: i64) -> FileOutcome {
        FileOutcome {
            name: "n".to_owned(),
            file_id: "f".to_owned(),
            duplicate,
            file_rejected,
            records: 9,
            accepted: 9 - rejected,
            rejected,
            warned: 0,
            bytes: 1_000,
            sender_no: None,
            data_type: None,
            processing_month: None,
            findings: crate::tally::Tally::default(),
            file_errors: Vec::new(),
        }
    }

    #[test]
    fn a_worker_counts() {
        let link = link();
        let gauges = WorkerGauges::new("1.2.3", &link);
        let read = || samples(&gauges.exposed);
        let fresh = read();
        assert_eq!(fresh["tsumiage_worker_build_info{version=\"1.2.3\"}"], 1.0);
        assert_eq!(fresh["tsumiage_worker_files_total{outcome=\"duplicate\"}"], 0.0);
        assert_eq!(fresh["tsumiage_worker_messages_total"], 0.0, "before there is a log");
        assert!(!fresh.contains_key("tsumiage_worker_last_success_timestamp_seconds"));
        gauges.file(&outcome(true, false, 2));
        assert!(!read().contains_key("tsumiage_worker_last_success_timestamp_seconds"), "nothing was sent");
        for (file_rejected, rejected) in [(false, 3), (false, 0), (true, 3)] {
            gauges.file(&outcome(false, file_rejected, rejected));
        }
        gauges.attempt_failed();
        gauges.waiting(&Waiting { settling: 2, waiting: 5, in_hand: 1, well: true });
        let log = Arc::new(KafkaLog::open(&link, 3).unwrap());
        gauges.sends_by(&log);
        log.sent().messages.store(2, Ordering::Relaxed);
        log.sent().value_bytes.store(405, Ordering::Relaxed);
        log.sent().encoding_ns.store(1_500_000_000, Ordering::Relaxed);
        let now = read();
        for (name, value) in [
            ("files_total{outcome=\"accepted\"}", 1.0),
            ("files_total{outcome=\"partly_rejected\"}", 1.0),
            ("files_total{outcome=\"rejected\"}", 1.0),
            ("files_total{outcome=\"duplicate\"}", 1.0),
            ("exchange_bytes_total", 3_000.0),
            ("arrow_bytes_total", 0.0),
            ("messages_total", 2.0),
            ("message_bytes_total", 405.0),
            ("encoding_seconds_total", 1.5),
            ("attempts_failed_total", 1.0),
            ("looks_failed_total", 0.0),
            ("files_in_hand", 1.0),
            ("files_waiting", 7.0),
        ] {
            assert_eq!(now[&format!("tsumiage_worker_{name}")], value, "{name}");
        }
        assert!(now["tsumiage_worker_last_success_timestamp_seconds"] > 1_700_000_000.0);
        assert!(now.contains_key("tsumiage_worker_brokers_reachable"));
    }
}
