//! `sink`: from Kafka into the ledger, until it is stopped or all that was in the topic is committed.
//!
//! It holds the data folder's lock for each commit only, so that runs on the folder find their place; while another
//! run has it, reading goes on, until the sink is full.

use super::args::{Common, SinkArgs};
use super::console::Console;
use super::data_folder::{Busy, DataFolder, only_sink};
use super::linked::{PATIENCE, link};
use super::running::Running;
use super::summary::{Sums, rounded, summed_up};
use super::taking_in::{compacted, file_event, rejected_note};
use super::{Exit, Usage};
use crate::resolve::readable;
use serde_json::json;
use std::time::{Duration, Instant};
use tsumiage_pipeline::archive::{Archive, Arrival};
use tsumiage_pipeline::kafka::gauges::{Held, SinkGauges};
use tsumiage_pipeline::kafka::link::Link;
use tsumiage_pipeline::kafka::sink::{Committed, Polled, Refused, Sink};
use tsumiage_pipeline::kafka::through::spool_folder;
use tsumiage_pipeline::kafka::topic::look;
use tsumiage_pipeline::ledger::Ledger;
use tsumiage_pipeline::take_in::outcome_of_seal;

/// So long a message is waited for before it is seen to other things.
const POLL: Duration = Duration::from_millis(100);

/// So long nothing may come before what is whole is committed: a commit for every file would make the ledger many
/// small runs.
const QUIET: Duration = Duration::from_secs(1);

/// Commits are at least so far apart when files come one by one.
const PAUSE: Duration = Duration::from_secs(10);

/// While messages come without end, so many bytes of them are committed at once at least, so that reading and
/// committing overlap; and half of what the same burst has committed, so that even a large one makes few runs.
const BURST_BYTES: u64 = 32 << 20;

/// Offsets alone are committed so often at most.
const OFFSETS_EVERY: Duration = Duration::from_secs(60);

/// Pause before a lock that another run holds is tried again.
const LOCKED: Duration = Duration::from_secs(1);

/// So long brokers may take to say how many partitions there are.
const ASK: Duration = Duration::from_secs(2);

const WAITS: &str = "another run is at work in the data folder: waits for its end";

/// After so long without a complaint, longer than librdkafka takes to tell how the link does, brokers are back.
const BACK: Duration = Duration::from_secs(10);

/// So often it is asked whether the topic has more partitions than before.
const PARTITIONS_EVERY: Duration = Duration::from_secs(60);

/// Reads until it is stopped, or with `--drain` until all that was in the topic is committed. Exit code 2 only with
/// `--drain`: a sink that is stopped has told of rejections as they came.
pub fn sink(common: &Common, args: &SinkArgs, console: &Console<'_>) -> anyhow::Result<Exit> {
    let kafka = common.kafka.needed()?;
    let link = link(&kafka)?;
    let gauges = SinkGauges::new(env!("CARGO_PKG_VERSION"), &link);
    let running = Running::begin(&args.watching, &gauges.exposed, &link, console)?;
    let begun = Instant::now();
    let Some(topic) = running.topic(&link, &kafka, !args.drain, console)? else { return Ok(Exit::Done) };
    let Some(folder) = opened(common, args.drain, &running, console)? else { return Ok(Exit::Done) };
    if !folder.request(common)?.becomes_latest {
        let what = "settings.toml says otherwise: edit it, and leave out what it says";
        return Err(Usage(format!("a sink has no options of its own for reading and months; {what}")).into());
    }
    let _only = only_sink(&folder.path)?;
    let ledger = Ledger::open(&folder.path)?;
    let sink = Sink::begin(&link, &topic, &ledger, &spool_folder(&folder.path), args.from_start)?;
    drop(folder); // and with it the lock
    let (whole_since, checked) = (None, Instant::now());
    let mut reading = Reading {
        common,
        args,
        console,
        link,
        gauges,
        running,
        sink,
        whole_since,
        checked,
        committed_at: None,
        burst: 0,
        locked: None,
        away: None,
        waiting: Vec::new(),
        refused: false,
        sums: Sums::default(),
    };
    reading.gauges.held(held(&reading.sink));
    let ended = if args.drain { reading.drain() } else { reading.go_on() };
    summed_up(&reading.sums, begun.elapsed().as_secs_f64(), console);
    ended?;
    Ok(if args.drain && reading.sums.any_rejected() { Exit::Rejected } else { Exit::Done })
}

/// The data folder with its lock, waited for if the sink waits anyway; `None` if it is stopped before.
fn opened(
    common: &Common,
    drain: bool,
    running: &Running,
    console: &Console<'_>,
) -> anyhow::Result<Option<DataFolder>> {
    if drain {
        return DataFolder::to_write(common).map(Some);
    }
    let mut told = false;
    loop {
        if let Some(folder) = free(common)? {
            return Ok(Some(folder));
        }
        if !std::mem::replace(&mut told, true) {
            console.note(WAITS);
        }
        if running.stop.wait(LOCKED) {
            return Ok(None);
        }
    }
}

/// A sink at work.
struct Reading<'a, 'c> {
    common: &'a Common,
    args: &'a SinkArgs,
    console: &'a Console<'c>,
    link: Link,
    gauges: SinkGauges,
    running: Running,
    sink: Sink,
    /// Since when a whole file waits for its commit.
    whole_since: Option<Instant>,
    /// When the topic's partitions were counted last.
    checked: Instant,
    /// When the last commit was made.
    committed_at: Option<Instant>,
    /// Bytes of messages that were committed since messages last paused.
    burst: u64,
    /// When another run was found to hold the lock.
    locked: Option<Instant>,
    /// When brokers were last found to be away, until they are back.
    away: Option<Instant>,
    /// Sealed files that were told to lack batches.
    waiting: Vec<String>,
    /// A file was refused.
    refused: bool,
    sums: Sums,
}

impl Reading<'_, '_> {
    /// Reads and commits until it is stopped.
    fn go_on(&mut self) -> anyhow::Result<()> {
        while !self.running.stop.is_asked() {
            let full = self.sink.is_full();
            let due = full || self.is_due();
            let committed = due && self.commit()?;
            if full && !committed {
                self.running.stop.wait(LOCKED);
                continue;
            }
            let polled = self.sink.poll(POLL)?;
            self.heard(&polled);
            self.look_at_partitions()?;
        }
        self.console.note("stopping: what is whole is committed; a second signal ends at once");
        self.locked = None;
        if self.sink.has_read_on() && !self.commit()? {
            self.console.note("nothing was lost: the next sink reads it again");
        }
        Ok(())
    }

    /// Reads and commits what is in the topic by now.
    fn drain(&mut self) -> anyhow::Result<()> {
        let mut full = true;
        while full && !self.running.stop.is_asked() {
            full = false;
            let (gauges, running) = (&self.gauges, &self.running);
            self.sink.drain(PATIENCE, &mut |sink, polled| {
                count(gauges, sink, polled);
                running.health.well();
                full = sink.is_full();
                !full && !running.stop.is_asked()
            })?;
            while self.sink.has_read_on() && !self.commit()? {
                if self.running.stop.wait(LOCKED) {
                    return Ok(());
                }
            }
        }
        self.tell_waiting();
        if self.refused || !self.waiting.is_empty() {
            anyhow::bail!("some sealed files are not taken in, as told above; the others are");
        }
        Ok(())
    }

    fn heard(&mut self, polled: &Polled) {
        count(&self.gauges, &self.sink, polled);
        match polled {
            Polled::Nothing => {
                // Who has read to the end hears nothing from brokers that are back.
                let quiet = self.away.is_some_and(|at| at.elapsed() >= BACK) && !self.link.pulse().is_down();
                if !quiet {
                    return;
                }
            }
            Polled::Away(why) => {
                if self.away.replace(Instant::now()).is_none() {
                    self.console.complain(&format!("{why}; goes on when they are back"));
                }
                return self.running.health.ailing(why);
            }
            Polled::Message { .. } => {}
            Polled::End => self.tell_waiting(),
        }
        self.running.health.well();
        if self.away.take().is_some() {
            self.console.note("the brokers are back");
        }
        if self.sink.whole() > 0 {
            self.whole_since.get_or_insert_with(Instant::now);
        }
    }

    fn is_due(&self) -> bool {
        let waited = self.whole_since.is_some_and(|since| since.elapsed() >= self.args.commit_seconds);
        let quiet = self.sink.caught_up() && self.sink.last_message().elapsed() >= QUIET;
        let pause = match self.sink.whole() {
            0 => OFFSETS_EVERY,
            _ if self.burst > 0 => Duration::ZERO, // its rest
            _ => PAUSE.min(self.args.commit_seconds),
        };
        let due =
            quiet && self.sink.has_read_on() && self.committed_at.is_none_or(|at| at.elapsed() >= pause);
        let enough = self.sink.new_bytes() >= BURST_BYTES.max(self.burst / 2);
        due || (self.sink.whole() > 0 && (waited || enough))
    }

    /// Commits what is whole; `false` if another run holds the lock.
    fn commit(&mut self) -> anyhow::Result<bool> {
        if self.locked.is_some_and(|at| at.elapsed() < LOCKED) {
            return Ok(false);
        }
        let Some(folder) = free(self.common)? else {
            if self.locked.replace(Instant::now()).is_none() {
                self.console.note(WAITS);
            }
            return Ok(false);
        };
        self.locked = None;
        let begun = Instant::now();
        let paused = self.sink.last_message().elapsed() >= QUIET;
        self.burst = if paused { 0 } else { self.burst + self.sink.new_bytes() };
        let mut ledger = Ledger::open(&folder.path)?;
        readable(&ledger, &folder.spec)?;
        let archive = Archive::shared(&folder.path.join("archive"))?;
        let pool = rayon::ThreadPoolBuilder::new().num_threads(folder.settings.threads).build()?;
        let memory_bytes = folder.settings.memory_mib << 19; // half, as for any run
        let committed =
            pool.install(|| self.sink.commit(&mut ledger, &archive, &folder.spec, memory_bytes))?;
        let compacted = compacted(&mut ledger, self.console);
        let layouts = folder.layouts.clone();
        drop(folder);
        self.whole_since = None;
        self.committed_at = Some(Instant::now());
        self.gauges.commit(&committed.seals, begun.elapsed());
        self.gauges.held(held(&self.sink));
        self.told_committed(&committed, &archive, &layouts, begun.elapsed());
        compacted?; // only now: what was committed stands
        Ok(true)
    }

    fn told_committed(&mut self, committed: &Committed, archive: &Archive, layouts: &str, took: Duration) {
        let (seals, console) = (&committed.seals, self.console);
        for seal in seals {
            let Arrival { file_id, name, .. } = &seal.arrival;
            let bytes = archive.path(file_id).metadata().map_or(0, |file| file.len());
            let outcome = outcome_of_seal(name, bytes, seal);
            file_event(&outcome, console);
            rejected_note(&outcome, console);
            self.sums.add(&outcome);
        }
        for Refused { seal, why } in &committed.refused {
            let (name, file) = (&seal.arrival.name, &seal.arrival.file_id[..12]);
            self.refused = true;
            console.complain(&format!(
                "not taken in: {name} ({file}): {why}; `tsumiage ingest` takes it from the archive"
            ));
        }
        let other = seals.iter().filter(|seal| seal.layouts != layouts).count();
        if other > 0 {
            console.complain(&format!(
                "{other} files were read with other layouts than those of the data folder: give workers the --layouts \
                 and --profile that its settings.toml names"
            ));
        }
        if let Some(first) = committed.not_archived.first() {
            console.complain(&format!(
                "the bytes of {} files are not in the data folder's archive, the first is {first}: workers must write \
                 to that archive, else a rebuild from it lacks these files",
                committed.not_archived.len()
            ));
        }
        if !seals.is_empty() {
            console.note(&format!("committed {} files in {:.2} s", seals.len(), took.as_secs_f64()));
            let seconds = rounded(took.as_secs_f64());
            console.event(&json!({"event": "committed", "files": seals.len(), "seconds": seconds}));
        }
    }

    /// Says which files were sealed but lack batches, when there are others than before.
    fn tell_waiting(&mut self) {
        let waiting = self.sink.waiting_files();
        if waiting != self.waiting {
            for name in &waiting {
                self.console.complain(&format!(
                    "not taken in: {name}: it was sealed, but some of its batches are missing; `tsumiage ingest` \
                     without --kafka takes it from the archive"
                ));
            }
            self.waiting = waiting;
        }
    }

    /// Begins anew if somebody gave the topic more partitions.
    fn look_at_partitions(&mut self) -> anyhow::Result<()> {
        if self.checked.elapsed() < PARTITIONS_EVERY {
            return Ok(());
        }
        self.checked = Instant::now();
        // That no broker answers is told where messages are read.
        let partitions = self.sink.partitions_now(ASK).unwrap_or_default();
        if partitions <= self.sink.partitions() || (self.sink.whole() > 0 && !self.commit()?) {
            return Ok(());
        }
        let Some(folder) = free(self.common)? else { return Ok(()) };
        let topic = look(&self.link, PATIENCE)?;
        let ledger = Ledger::open(&folder.path)?;
        self.sink = Sink::begin(&self.link, &topic, &ledger, &spool_folder(&folder.path), false)?;
        self.console.note(&format!("the topic has {partitions} partitions now"));
        Ok(())
    }
}

/// The data folder with its lock; `None` if another run has it.
fn free(common: &Common) -> anyhow::Result<Option<DataFolder>> {
    match DataFolder::to_write(common) {
        Err(error) if error.is::<Busy>() => Ok(None),
        folder => folder.map(Some),
    }
}

fn count(gauges: &SinkGauges, sink: &Sink, polled: &Polled) {
    if let Polled::Message { bytes, dropped } = polled {
        gauges.message(*bytes, dropped.as_ref());
        gauges.held(held(sink));
    }
}

fn held(sink: &Sink) -> Held {
    let assembly = sink.assembly();
    Held {
        open_attempts: assembly.open(),
        waiting_files: assembly.waiting().count(),
        whole_files: sink.whole(),
        spool_bytes: sink.spool_bytes(),
        next: (0..sink.partitions()).map(|partition| (partition, assembly.next(partition))).collect(),
    }
}
