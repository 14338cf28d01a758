//! What a sink tells: `tsumiage_sink_…`.

use super::super::assembly::Why;
use super::super::link::Link;
use super::{By, Exposed, Filling, Moment, Taken, count, set};
use crate::log::Seal;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Unit;
use std::collections::BTreeMap;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

fn label(why: &Why) -> &'static str {
    match why {
        Why::Again => "again",
        Why::Known => "known",
        Why::Contradicts => "contradicts",
        Why::NotOurs(_) => "not_ours",
    }
}

/// How many messages are not read yet, where the partition's end is known; it may be older than the position.
fn behind(next: &BTreeMap<i32, i64>, ends: &BTreeMap<i32, i64>) -> BTreeMap<i32, i64> {
    let behind = |(partition, next): (&i32, &i64)| Some((*partition, (ends.get(partition)? - next).max(0)));
    next.iter().filter_map(behind).collect()
}

/// What a sink holds between commits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// Attempts begun whose seal has not come.
    pub open_attempts: usize,
    /// Files whose seal came but not all of their batches.
    pub waiting_files: usize,
    /// Whole files that the next commit takes.
    pub whole_files: usize,
    /// Bytes of messages on disk.
    pub spool_bytes: u64,
    /// Offset of the next message, by partition.
    pub next: BTreeMap<i32, i64>,
}

/// What a sink tells; clones count together.
#[derive(Clone, Debug)]
pub struct SinkGauges {
    /// To be read by Prometheus.
    pub exposed: Exposed,
    messages: Counter,
    message_bytes: Counter,
    dropped: By,
    files: By,
    commits: Counter,
    commit_seconds: Counter<f64, AtomicU64>,
    open_attempts: Gauge,
    waiting: Gauge,
    whole: Gauge,
    spool_bytes: Gauge,
    next: Arc<Mutex<BTreeMap<i32, i64>>>,
    last_message: Moment,
    last_commit: Moment,
}

impl SinkGauges {
    /// All at 0, for this version of the program.
    pub fn new(version: &str, link: &Link) -> SinkGauges {
        let mut all = Filling::new("tsumiage_sink", version);
        let messages = all.counter("messages", "Messages read");
        let message_bytes = all.bytes("message", "Bytes of the values of these messages");
        let help = "Messages read and dropped, by reason";
        let dropped =
            all.by("dropped_messages", help, "reason", &["again", "known", "contradicts", "not_ours"]);
        let outcomes = [Taken::Accepted, Taken::PartlyRejected, Taken::Rejected];
        let help = "Files committed, by what became of them";
        let files = all.by("files", help, "outcome", &outcomes.map(Taken::label));
        let commits = all.counter("commits", "Commits to the ledger");
        let commit_seconds = Counter::default();
        let help = "Time spent on commits to the ledger";
        all.0.register_with_unit("commit", help, Unit::Seconds, commit_seconds.clone());
        let open_attempts = all.gauge("open_attempts", "Attempts begun whose seal has not come");
        let waiting = all.gauge("waiting_files", "Files whose seal came but not all of their batches");
        let whole = all.gauge("whole_files", "Whole files that wait for a commit");
        let spool_bytes = all.gauge("spool_bytes", "Bytes of messages on disk that wait for a commit");
        let last_message = all.moment("last_message_timestamp", "When a message was last read");
        let last_commit = all.moment("last_commit_timestamp", "When the ledger was last committed to");
        let next = Arc::new(Mutex::new(BTreeMap::new()));
        let at = Arc::clone(&next);
        let at = move || at.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let (from, link_of) = (at.clone(), link.clone());
        all.ask_by_partition("position", "Offset of the message to be read next", at);
        let help = "Messages of the partition not read yet, as known some seconds ago";
        all.ask_by_partition("lag_messages", help, move || behind(&from(), &link_of.pulse().ends()));
        all.link(link);
        SinkGauges {
            exposed: all.exposed(),
            messages,
            message_bytes,
            dropped,
            files,
            commits,
            commit_seconds,
            open_attempts,
            waiting,
            whole,
            spool_bytes,
            next,
            last_message,
            last_commit,
        }
    }

    /// A message with a value of so many bytes was read; why it was dropped, if it was.
    pub fn message(&self, bytes: u64, dropped: Option<&Why>) {
        self.messages.inc();
        self.message_bytes.inc_by(bytes);
        self.last_message.now();
        if let Some(why) = dropped {
            count(&self.dropped, "reason", label(why));
        }
    }

    /// A commit of these files was made and took so long.
    pub fn commit<'s>(&self, seals: impl IntoIterator<Item = &'s Seal>, took: Duration) {
        for seal in seals {
            count(&self.files, "outcome", Taken::of_read(seal.file_rejected, seal.rejected).label());
        }
        self.commits.inc();
        self.commit_seconds.inc_by(took.as_secs_f64());
        self.last_commit.now();
    }

    /// What is held now.
    pub fn held(&self, held: Held) {
        set(&self.open_attempts, held.open_attempts);
        set(&self.waiting, held.waiting_files);
        set(&self.whole, held.whole_files);
        set(&self.spool_bytes, held.spool_bytes);
        *self.next.lock().unwrap_or_else(PoisonError::into_inner) = held.next;
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a test may fail loudly
mod tests {
    use super::super::tests::{link, samples};
    use super::*;
    use crate::archive::Arrival;
    use crate::log::{ReadBy, first_reading};
    use crate::reader::{Control, FileReport};

    fn seal(file_rejected: bool, rejected: i64) -> Seal {
        let (file_id, name, taken_in_on) = ("f".to_owned(), "n".to_owned(), "2026-05-20".parse().unwrap());
        let arrival =
            Arrival { file_id, name, taken_in_on, source: "inbox".to_owned(), closed_through: None };
        let by = ReadBy { layouts: "l", one_off: false };
        let report = FileReport {
            control: Control::default(),
            findings: Vec::new(),
            records: 9,
            accepted: 9,
            rejected,
            warned: 0,
            file_rejected,
            first_movement: None,
        };
        Seal::new(arrival, &report, by, first_reading())
    }

    #[test]
    fn lag_is_what_lies_between_position_and_end() {
        let next = BTreeMap::from([(0, 5), (1, 9), (2, 0), (3, 0)]);
        let ends = BTreeMap::from([(0, 12), (1, 8), (2, 4), (7, 1)]);
        assert_eq!(behind(&next, &ends), BTreeMap::from([(0, 7), (1, 0), (2, 4)]));
    }

    #[test]
    fn a_sink_counts() {
        let gauges = SinkGauges::new("1.2.3", &link());
        let read = || samples(&gauges.exposed);
        let fresh = read();
        assert_eq!(fresh["tsumiage_sink_dropped_messages_total{reason=\"not_ours\"}"], 0.0);
        let later = ["partition", "timestamp", "duplicate"];
        assert!(fresh.keys().all(|name| later.iter().all(|part| !name.contains(part))), "{fresh:?}");
        gauges.message(10, None);
        gauges.message(5, Some(&Why::Known));
        gauges.commit(&[seal(false, 0), seal(false, 1), seal(true, 0)], Duration::from_millis(1_500));
        gauges.commit([], Duration::from_millis(250));
        let next = BTreeMap::from([(0, 5), (11, 7)]);
        let held = Held { open_attempts: 3, waiting_files: 2, whole_files: 1, spool_bytes: 4_096, next };
        gauges.held(held);
        let now = read();
        for (name, value) in [
            ("messages_total", 2.0),
            ("message_bytes_total", 15.0),
            ("dropped_messages_total{reason=\"known\"}", 1.0),
            ("files_total{outcome=\"accepted\"}", 1.0),
            ("files_total{outcome=\"partly_rejected\"}", 1.0),
            ("files_total{outcome=\"rejected\"}", 1.0),
            ("commits_total", 2.0),
            ("commit_seconds_total", 1.75),
            ("open_attempts", 3.0),
            ("waiting_files", 2.0),
            ("whole_files", 1.0),
            ("spool_bytes", 4_096.0),
            ("position{partition=\"11\"}", 7.0),
        ] {
            assert_eq!(now[&format!("tsumiage_sink_{name}")], value, "{name}");
        }
        assert!(now["tsumiage_sink_last_commit_timestamp_seconds"] > 1_700_000_000.0);
        assert!(now["tsumiage_sink_last_message_timestamp_seconds"] > 1_700_000_000.0);
        gauges.held(Held::default());
        assert_eq!(read()["tsumiage_sink_spool_bytes"], 0.0);
    }
}
