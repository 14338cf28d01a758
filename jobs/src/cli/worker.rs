//! `worker`: an ingest worker, until it is stopped or nothing is left to do.

use super::args::{Common, WorkerArgs};
use super::console::Console;
use super::data_folder::{spec_given, today_in_japan};
use super::linked::link;
use super::running::Running;
use super::summary::{Sums, sent, summed_up};
use super::taking_in::{file_event, rejected_note};
use super::{Exit, Usage};
use serde_json::json;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};
use tsumiage_pipeline::kafka::KafkaLog;
use tsumiage_pipeline::kafka::gauges::WorkerGauges;
use tsumiage_pipeline::kafka::health::Health;
use tsumiage_pipeline::kafka::sink::name_of;
use tsumiage_pipeline::reader::Compiled;
use tsumiage_pipeline::stop::Stop;
use tsumiage_pipeline::take_in::{FileOutcome, Watch};
use tsumiage_pipeline::worker::{Failure, Totals, Waiting, WorkerOptions, WorkerWatch, run};

/// First pause before what failed is tried again.
const RETRY: Duration = Duration::from_secs(1);

/// So soon a stop signal is told of.
const HEED: Duration = Duration::from_millis(200);

/// Works until it is stopped, or with `--drain` until nothing is left. Exit code 2 only with `--drain`: a worker
/// that is stopped has told of rejections as they came.
pub fn worker(common: &Common, args: &WorkerArgs, console: &Console<'_>) -> anyhow::Result<Exit> {
    let kafka = common.kafka.needed()?;
    if !args.inbox.is_dir() {
        let inbox = args.inbox.display();
        return Err(Usage(format!("there is no inbox folder {inbox}; check --inbox")).into());
    }
    let compiled = Arc::new(Compiled::new(Arc::new(spec_given(common)?)));
    let link = link(&kafka)?;
    let gauges = WorkerGauges::new(env!("CARGO_PKG_VERSION"), &link);
    let running = Running::begin(&args.watching, &gauges.exposed, &link, console)?;
    let begun = Instant::now();
    let Some(topic) = running.topic(&link, &kafka, !args.drain, console)? else { return Ok(Exit::Done) };
    let log = Arc::new(KafkaLog::open(&link, topic.partitions)?);
    gauges.sends_by(&log);
    let options = options(common, args, compiled, name_of(&link, &topic));
    let (tell, told) = channel();
    let teller = Arc::new(Teller { tell, gauges, health: running.health.clone() });
    let (stop, carries) = (&running.stop, Arc::clone(&log));
    let mut sums = Sums::default();
    // Whoever works may not hold the console: it is lent to us only.
    let ended = thread::scope(|scope| {
        let works = scope.spawn(move || works(options, carries, teller, stop.clone()));
        listen(&told, stop, &mut sums, console);
        works.join()
    });
    let ended = ended.map_err(|_| anyhow::anyhow!("the worker's thread died: a fault of the program"))?;
    summed_up(&sums, begun.elapsed().as_secs_f64(), console);
    sent(log.sent(), console);
    ended?;
    Ok(if args.drain && sums.any_rejected() { Exit::Rejected } else { Exit::Done })
}

fn options(common: &Common, args: &WorkerArgs, compiled: Arc<Compiled>, to: String) -> WorkerOptions {
    let on = common.on;
    let cores = thread::available_parallelism().map_or(1, usize::from);
    WorkerOptions {
        name: name(),
        inbox: Some(args.inbox.clone()),
        files: Vec::new(),
        archive: args.archive.clone(),
        to,
        layouts: compiled.spec().digest(),
        compiled,
        one_off: false,
        recheck: args.recheck,
        taken_in_on: Arc::new(move || on.unwrap_or_else(today_in_japan)),
        batch_rows: args.batch_rows as usize,
        threads: args.threads.map_or_else(|| (2 * cores).max(8), usize::from),
        poll: args.poll,
        settle: args.settle,
        ttl: args.claim_ttl,
        retry: RETRY,
        drain: args.drain,
    }
}

/// The worker's name in its claims, for people: machine and process.
fn name() -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let host = if host.trim().is_empty() { "worker" } else { host.trim() };
    format!("{host} {}", std::process::id())
}

fn works(
    options: WorkerOptions,
    log: Arc<KafkaLog>,
    teller: Arc<Teller>,
    stop: Stop,
) -> anyhow::Result<Totals> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    Ok(runtime.block_on(run(options, log, teller, stop))?)
}

/// What a worker tells on its way to the console.
enum Told {
    File(Box<FileOutcome>),
    /// An attempt failed.
    Failed {
        name: Option<String>,
        error: String,
        failures: u32,
        again_in: Option<Duration>,
    },
    Warned(String),
}

/// Counts at once, and tells the console's thread.
struct Teller {
    tell: Sender<Told>,
    gauges: WorkerGauges,
    health: Health,
}

impl Teller {
    fn tell(&self, told: Told) {
        let _ = self.tell.send(told); // nobody listens any more only if the command died
    }
}

impl Watch for Teller {
    fn began(&self, _files: usize, _bytes: u64) {}

    fn file(&self, outcome: &FileOutcome) {
        self.gauges.file(outcome);
        self.tell(Told::File(Box::new(outcome.clone())));
    }
}

impl WorkerWatch for Teller {
    fn waiting(&self, waiting: &Waiting) {
        self.gauges.waiting(waiting);
        if waiting.well {
            self.health.well();
        }
    }

    fn failed(&self, failure: &Failure<'_>) {
        let Failure { name, error, failures, again_in } = *failure;
        match name {
            Some(_) => self.gauges.attempt_failed(),
            None => self.gauges.look_failed(),
        }
        let (name, error) = (name.map(str::to_owned), error.to_string());
        self.health.ailing(&error); // until it is told that all is well but this file
        self.tell(Told::Failed { name, error, failures, again_in });
    }

    fn warned(&self, what: &str) {
        self.tell(Told::Warned(what.to_owned()));
    }
}

/// Puts on the console what is told, until nobody is left to tell.
fn listen(told: &Receiver<Told>, stop: &Stop, sums: &mut Sums, console: &Console<'_>) {
    let mut stopping = false;
    loop {
        match told.recv_timeout(HEED) {
            Ok(Told::File(outcome)) => {
                file_event(&outcome, console);
                rejected_note(&outcome, console);
                sums.add(&outcome);
            }
            Ok(Told::Failed { name, error, failures, again_in }) => {
                failed(name.as_deref(), &error, failures, again_in, console);
            }
            Ok(Told::Warned(what)) => console.complain(&what),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        if !stopping && stop.is_asked() {
            stopping = true;
            console.note("stopping: what is in hand is finished; a second signal ends at once");
        }
    }
}

fn failed(name: Option<&str>, error: &str, failures: u32, again_in: Option<Duration>, console: &Console<'_>) {
    let seconds = again_in.map(|time| time.as_secs_f64().ceil());
    console.event(&json!({
        "event": "failed", "name": name, "error": error, "failures": failures, "again_in_seconds": seconds,
    }));
    if let Some(seconds) = seconds {
        let name = name.map(|name| format!("{name}: ")).unwrap_or_default();
        console.complain(&format!("{name}{error}; tried again in {seconds} s"));
    } // else the command ends with this error
}
