//! What is to be done next, and when what failed is tried again.
//!
//! Promise: first come, first served; what failed waits longer each time, from [`Tasks::new`]'s `first` wait
//! doubling to [`LONGEST`]; while Kafka fails nothing is begun at all, so that an outage costs one attempt per wait
//! and not one per file. Pure: time is given.

use super::inbox::Ready;
use crate::archive::Arrival;
use crate::take_in::{Candidate, base_name};
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// The longest wait before something is tried again.
const LONGEST: Duration = Duration::from_secs(60);

/// A file to take in.
#[derive(Clone, Debug)]
pub(super) struct Task {
    pub what: What,
    /// The file, once it was hashed: that is not done twice.
    pub candidate: Option<Candidate>,
    /// How often it failed.
    pub failures: u32,
}

#[derive(Clone, Debug)]
pub(super) enum What {
    /// It lies in the inbox.
    Inbox(Ready),
    /// It is in the archive only, or due to be read again.
    Archived(Arrival),
}

/// Tasks that wait for their turn.
pub(super) struct Tasks {
    first: Duration,
    /// By the moment from which they may be begun, then in the order they came.
    queue: BTreeMap<(Instant, u64), Task>,
    next: u64,
    /// Archived files that are queued or in hand.
    archived: BTreeSet<String>,
    /// Nothing is begun before; how often Kafka failed in a row.
    pause: Option<Instant>,
    outages: u32,
}

impl Task {
    /// The file's name.
    pub fn name(&self) -> String {
        match &self.what {
            What::Inbox(file) => base_name(&file.path),
            What::Archived(arrival) => arrival.name.clone(),
        }
    }
}

impl Tasks {
    pub fn new(first: Duration) -> Tasks {
        let (queue, archived) = (BTreeMap::new(), BTreeSet::new());
        Tasks { first, queue, next: 0, archived, pause: None, outages: 0 }
    }

    /// Adds what is new; an archived file that waits already or is in hand is left out.
    pub fn add(&mut self, what: What, now: Instant) {
        if let What::Archived(arrival) = &what
            && !self.archived.insert(arrival.file_id.clone())
        {
            return;
        }
        self.put(Task { what, candidate: None, failures: 0 }, now);
    }

    fn put(&mut self, task: Task, from: Instant) {
        self.queue.insert((from, self.next), task);
        self.next += 1;
    }

    /// What to begin now.
    pub fn pop(&mut self, now: Instant) -> Option<Task> {
        if self.due()? > now { None } else { self.queue.pop_first().map(|(_, task)| task) }
    }

    /// When there is something to begin.
    pub fn due(&self) -> Option<Instant> {
        let ((from, _), _) = self.queue.first_key_value()?;
        Some(self.pause.map_or(*from, |pause| pause.max(*from)))
    }

    /// Number of tasks that wait.
    pub fn waiting(&self) -> usize {
        self.queue.len()
    }

    /// A task is done, or there is nothing to do any more.
    pub fn ended(&mut self, task: &Task) {
        if let What::Archived(arrival) = &task.what {
            self.archived.remove(&arrival.file_id);
        }
    }

    /// Kafka took a file.
    pub fn works(&mut self) {
        (self.pause, self.outages) = (None, 0);
    }

    /// Another worker has it in hand: it is asked for again later.
    pub fn elsewhere(&mut self, task: Task, again: Instant) {
        self.put(task, again);
    }

    /// A task failed, because of Kafka or not; how long it waits, and how often this failed now.
    pub fn failed(&mut self, mut task: Task, kafka: bool, now: Instant) -> (Duration, u32) {
        task.failures += 1;
        let mut failures = task.failures;
        if kafka {
            if self.pause.is_none_or(|pause| pause <= now) {
                self.outages += 1; // not for each thread that had something in hand
                self.pause = Some(now + wait(self.first, self.outages));
            }
            failures = failures.max(self.outages);
        }
        let wait = wait(self.first, failures);
        self.put(task, now + wait);
        (wait, failures)
    }

    /// Whether Kafka failed and has taken nothing since.
    pub fn outage(&self) -> bool {
        self.outages > 0
    }
}

/// The wait after so many failures, with a little spread, so that workers do not all come back at once.
pub(super) fn wait(first: Duration, failures: u32) -> Duration {
    let doubled = first.saturating_mul(1 << failures.saturating_sub(1).min(16)).min(LONGEST);
    let spread = (uuid::Uuid::new_v4().as_u128() % 256) as u32;
    doubled + doubled / 4 * spread / 256
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a test may fail loudly
mod tests {
    use super::super::inbox::Shape;
    use super::*;
    use std::path::PathBuf;

    fn second(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn file(name: &str) -> What {
        What::Inbox(Ready { path: PathBuf::from(name), shape: Shape { bytes: 1, modified: None } })
    }

    fn archived(file_id: &str) -> What {
        let (file_id, name, taken_in_on) =
            (file_id.to_owned(), "n".to_owned(), "2026-05-20".parse().unwrap());
        What::Archived(Arrival {
            file_id,
            name,
            taken_in_on,
            source: "inbox".to_owned(),
            closed_through: None,
        })
    }

    #[test]
    fn waits_double_up_to_a_minute_with_a_little_spread() {
        for (failures, from) in [(1, 1), (2, 2), (4, 8), (6, 32), (7, 60), (40, 60), (u32::MAX, 60)] {
            let wait = wait(second(1), failures);
            assert!(wait >= second(from) && wait <= second(from) * 5 / 4, "{failures}: {wait:?}");
        }
    }

    #[test]
    fn what_failed_waits_and_lets_others_pass() {
        let (mut tasks, zero) = (Tasks::new(second(1)), Instant::now());
        tasks.add(file("a"), zero);
        tasks.add(file("b"), zero);
        let a = tasks.pop(zero).unwrap();
        assert_eq!(a.name(), "a");
        let (wait, failures) = tasks.failed(a, false, zero);
        assert_eq!((failures, tasks.waiting()), (1, 2));
        assert_eq!(tasks.pop(zero).unwrap().name(), "b");
        assert!(tasks.pop(zero).is_none());
        assert_eq!(tasks.due(), Some(zero + wait));
        let a = tasks.pop(zero + wait).unwrap();
        assert_eq!(tasks.failed(a, false, zero).1, 2);
    }

    #[test]
    fn an_outage_holds_everything_and_counts_once() {
        let (mut tasks, zero) = (Tasks::new(second(1)), Instant::now());
        ["a", "b", "c"].into_iter().for_each(|name| tasks.add(file(name), zero));
        let (a, b) = (tasks.pop(zero).unwrap(), tasks.pop(zero).unwrap());
        assert_eq!(tasks.failed(a, true, zero).1, 1);
        assert_eq!(tasks.failed(b, true, zero).1, 1, "the same outage");
        assert!(tasks.pop(zero).is_none(), "not c either");
        let c = tasks.pop(zero + second(2)).unwrap();
        assert_eq!(c.name(), "c");
        assert_eq!(tasks.failed(c, true, zero + second(2)).1, 2, "the second in a row");
        assert!(tasks.pop(zero + second(3)).is_none());
        tasks.works();
        assert!(tasks.pop(zero + second(5)).is_some());
        assert_eq!(tasks.failed(Task { what: file("d"), candidate: None, failures: 0 }, true, zero).1, 1);
    }

    #[test]
    fn an_archived_file_waits_once() {
        let (mut tasks, zero) = (Tasks::new(second(1)), Instant::now());
        tasks.add(archived("x"), zero);
        tasks.add(archived("x"), zero);
        assert_eq!(tasks.waiting(), 1);
        let x = tasks.pop(zero).unwrap();
        tasks.add(archived("x"), zero);
        assert_eq!(tasks.waiting(), 0, "in hand");
        tasks.ended(&x);
        tasks.add(archived("x"), zero);
        assert_eq!(tasks.waiting(), 1);
    }
}
