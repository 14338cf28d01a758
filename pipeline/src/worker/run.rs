//! The worker's loop.

use super::desk::{Desk, Done, Look};
use super::inbox::Inbox;
use super::tasks::{Task, Tasks, What, wait};
use super::{ATTEMPTS, Failure, Totals, Waiting, WorkerError, WorkerOptions, WorkerWatch};
use crate::disk::DiskError;
use crate::events::Closings;
use crate::kafka::KafkaError;
use crate::log::{Log, LogError};
use crate::stop::Stop;
use rdkafka::types::RDKafkaErrorCode;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// The archive is looked through for what a killed worker left once in so many times `ttl`; before that its file
/// usually is found in the inbox.
const SCAN: u32 = 10;

/// So soon the wish to stop is heeded.
const HEED: Duration = Duration::from_millis(100);

/// A worker at work.
struct Run {
    desk: Arc<Desk>,
    watch: Arc<dyn WorkerWatch>,
    inbox: Inbox,
    tasks: Tasks,
    /// Files in hand.
    hands: JoinSet<(Task, Result<Done, LogError>)>,
    /// A look on its way, if any.
    looks: JoinSet<Result<Look, DiskError>>,
    next_look: Instant,
    /// How often looking failed in a row.
    blind: u32,
    /// When the archive was looked through last, and the closings then.
    scanned: Option<(Instant, Closings)>,
    /// All files found, and their bytes.
    found: (usize, u64),
    /// What was told of it last; none = that is to be told again.
    told: Option<Waiting>,
    totals: Totals,
    /// Why it gives up.
    gives_up: Option<WorkerError>,
}

/// Works until it is stopped, when files in hand are finished, or until all is done if it drains.
///
/// # Errors
/// The archive cannot be opened or a file named by the user is not there; a worker that drains gave up.
pub async fn run(
    options: WorkerOptions,
    log: Arc<dyn Log + Send + Sync>,
    watch: Arc<dyn WorkerWatch>,
    stop: Stop,
) -> Result<Totals, WorkerError> {
    let options = Arc::new(options);
    let opened = Arc::clone(&options);
    let desk = tokio::task::spawn_blocking(move || Desk::open(opened, log)).await??;
    let mut run = Run {
        desk: Arc::new(desk),
        watch,
        inbox: Inbox::new(options.settle, &options.files, options.drain),
        tasks: Tasks::new(options.retry),
        hands: JoinSet::new(),
        looks: JoinSet::new(),
        next_look: Instant::now(),
        blind: 0,
        scanned: None,
        found: (0, 0),
        told: None,
        totals: Totals::default(),
        gives_up: None,
    };
    loop {
        let goes_on = !stop.is_asked() && run.gives_up.is_none();
        if goes_on {
            run.begin_tasks();
        }
        run.tell();
        if run.hands.is_empty() && (!goes_on || run.drained()) {
            return run.end();
        }
        let wakes = run.wakes();
        tokio::select! {
            Some(done) = run.hands.join_next() => run.ended(done?),
            Some(look) = run.looks.join_next() => run.saw(look?),
            () = tokio::time::sleep_until(wakes.into()), if goes_on => run.begin_look(),
        }
    }
}

/// Whether other files would fail too.
fn is_outage(error: &LogError) -> bool {
    use RDKafkaErrorCode::{InvalidMessageSize, MessageBatchTooLarge, MessageSizeTooLarge};
    match error {
        LogError::Disk(_) | LogError::Kafka(KafkaError::Message(_)) => false,
        LogError::Kafka(KafkaError::Produce { code, .. }) => {
            !matches!(code, InvalidMessageSize | MessageBatchTooLarge | MessageSizeTooLarge)
        }
        LogError::Kafka(_) => true,
    }
}

impl Run {
    fn options(&self) -> &WorkerOptions {
        &self.desk.options
    }

    fn begin_tasks(&mut self) {
        while self.hands.len() < self.options().threads.max(1) {
            let Some(mut task) = self.tasks.pop(Instant::now()) else { return };
            if matches!(&task.what, What::Inbox(file) if !self.inbox.still(file)) {
                continue; // it changed or went away while it waited
            }
            let desk = Arc::clone(&self.desk);
            self.hands.spawn_blocking(move || {
                let done = desk.work(&mut task);
                (task, done)
            });
        }
    }

    /// Tells what waits, when that changed.
    fn tell(&mut self) {
        let now = Waiting {
            settling: self.inbox.settling(),
            waiting: self.tasks.waiting(),
            in_hand: self.hands.len(),
            well: self.scanned.is_some() && self.blind == 0 && !self.tasks.outage(),
        };
        if self.told.replace(now) != Some(now) {
            self.watch.waiting(&now);
        }
    }

    /// When there is something to do if nothing happens until then.
    fn wakes(&self) -> Instant {
        let heed = Instant::now() + HEED;
        let free = self.hands.len() < self.options().threads.max(1);
        let due = self.tasks.due().filter(|_| free);
        let look = self.looks.is_empty().then_some(self.next_look);
        due.into_iter().chain(look).min().map_or(heed, |wakes| wakes.min(heed))
    }

    fn begin_look(&mut self) {
        let now = Instant::now();
        if !self.looks.is_empty() || now < self.next_look {
            return;
        }
        let every = self.options().ttl * SCAN;
        let scan = self.scanned.as_ref().is_none_or(|(at, _)| !self.options().drain && now - *at >= every);
        let before = self.scanned.as_ref().map(|(_, closings)| closings.clone());
        let desk = Arc::clone(&self.desk);
        self.looks.spawn_blocking(move || desk.look(before.as_ref(), scan));
    }

    fn saw(&mut self, look: Result<Look, DiskError>) {
        let now = Instant::now();
        self.next_look = now + self.options().poll;
        let Look { listing, closings, archived } = match look {
            Ok(look) => look,
            Err(error) => return self.saw_nothing(error),
        };
        self.blind = 0;
        let ready = self.inbox.see(&listing);
        let found = self.found;
        for file in ready {
            self.found = (self.found.0 + 1, self.found.1 + file.shape.bytes);
            self.tasks.add(What::Inbox(file), now);
        }
        if let Some(archived) = archived {
            self.scanned = Some((now, closings));
            archived.into_iter().for_each(|arrival| self.tasks.add(What::Archived(arrival), now));
        }
        if self.found != found {
            self.watch.began(self.found.0, self.found.1);
        }
        if let Some(fault) = self.desk.claims.fault() {
            self.watch.warned(&format!("claims do not work, files may be read twice: {fault}"));
        }
    }

    fn saw_nothing(&mut self, error: DiskError) {
        self.blind += 1;
        let again_in = wait(self.options().retry, self.blind).max(self.options().poll);
        self.next_look = Instant::now() + again_in;
        let gives_up = self.options().drain && self.blind >= ATTEMPTS;
        if self.blind == 1 || gives_up {
            let again_in = (!gives_up).then_some(again_in);
            self.watch.failed(&Failure { name: None, error: &error, failures: self.blind, again_in });
        }
        if gives_up {
            self.gives_up.get_or_insert(error.into());
        }
    }

    fn ended(&mut self, (task, done): (Task, Result<Done, LogError>)) {
        let done = match done {
            Ok(done) => done,
            Err(error) => return self.failed(task, error),
        };
        if done == Done::Elsewhere {
            return self.tasks.elsewhere(task, Instant::now() + self.options().poll);
        }
        self.tasks.ended(&task);
        match &task.what {
            What::Inbox(file) if done == Done::Changed => self.inbox.not_yet(file),
            What::Inbox(file) => self.inbox.done(file),
            What::Archived(_) => {}
        }
        let outcome = match done {
            Done::Sent(outcome) => {
                self.tasks.works();
                self.totals.files += 1;
                self.totals.bytes += outcome.bytes;
                self.totals.records += outcome.records;
                self.totals.rejected += u64::from(outcome.file_rejected);
                Some(outcome)
            }
            Done::Known(outcome) => {
                self.totals.duplicates += u64::from(outcome.is_some());
                outcome
            }
            Done::Elsewhere | Done::Changed => None,
        };
        if let Some(outcome) = outcome {
            self.watch.file(&outcome);
        }
    }

    fn failed(&mut self, task: Task, error: LogError) {
        self.totals.failures += 1;
        self.told = None; // that all is well but this file
        let name = task.name();
        let (again_in, failures) = self.tasks.failed(task, is_outage(&error), Instant::now());
        let gives_up = self.options().drain && failures >= ATTEMPTS;
        let again_in = (!gives_up).then_some(again_in);
        self.watch.failed(&Failure { name: Some(&name), error: &error, failures, again_in });
        if gives_up {
            self.gives_up.get_or_insert(WorkerError::File { name, error });
        }
    }

    /// Whether a worker that drains is done.
    fn drained(&self) -> bool {
        let seen = self.scanned.is_some();
        self.options().drain && seen && self.tasks.waiting() == 0 && self.inbox.settling() == 0
    }

    fn end(mut self) -> Result<Totals, WorkerError> {
        for path in self.inbox.left() {
            self.totals.left += 1;
            let name = crate::take_in::base_name(path);
            self.watch.warned(&format!("{name} is still being written; it is left for the next run"));
        }
        self.gives_up.map_or(Ok(self.totals), Err)
    }
}
