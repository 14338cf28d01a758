//! What a run says: results and events on standard output, progress and notes on standard error.
//!
//! Promise: no names or insured numbers of people; progress bars only on a terminal, else one line at
//! most every five seconds.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::Write;
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// Seconds between progress lines where there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// Where a run writes to.
pub struct Console<'a> {
    out: Mutex<&'a mut (dyn Write + Send)>,
    err: Mutex<&'a mut (dyn Write + Send)>,
    /// Whether standard error is a terminal.
    terminal: bool,
    /// Events instead of text.
    pub json: bool,
    quiet: bool,
}

impl<'a> Console<'a> {
    /// A console; `terminal` tells whether progress bars may be drawn.
    pub fn new(
        out: &'a mut (dyn Write + Send),
        err: &'a mut (dyn Write + Send),
        terminal: bool,
        json: bool,
        quiet: bool,
    ) -> Console<'a> {
        Console { out: Mutex::new(out), err: Mutex::new(err), terminal, json, quiet }
    }

    /// Writes results to standard output.
    ///
    /// # Errors
    /// Standard output is closed.
    pub fn print(&self, text: &str) -> std::io::Result<()> {
        let mut out = self.out.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        out.write_all(text.as_bytes())?;
        out.flush()
    }

    /// Reports on a run. Whoever reads it may be gone; the run goes on and its exit code tells.
    pub fn report(&self, text: &str) {
        if let Err(error) = self.print(text)
            && error.kind() != std::io::ErrorKind::BrokenPipe
        {
            self.complain(&format!("standard output: {error}"));
        }
    }

    /// Writes an event, if events are wanted.
    pub fn event(&self, event: &serde_json::Value) {
        if self.json {
            self.report(&format!("{event}\n"));
        }
    }

    /// A note for the operator on standard error.
    pub fn note(&self, text: &str) {
        if !self.quiet {
            self.complain(text);
        }
    }

    /// An error on standard error, said even when quiet.
    pub fn complain(&self, text: &str) {
        let mut err = self.err.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let _ = writeln!(err, "{text}"); // nowhere left to complain to
    }

    /// Progress of a step in units of `unit`.
    pub fn progress(&self, step: &'static str, unit: &'static str) -> Progress<'_, 'a> {
        let bar = (self.terminal && !self.quiet).then(|| {
            let bar = ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stderr_with_hz(10));
            let form = "{msg:22} [{bar:30}] {human_pos}/{human_len} {prefix}, {elapsed}";
            if let Ok(style) = ProgressStyle::with_template(form) {
                bar.set_style(style.progress_chars("=> "));
            }
            bar.set_message(step);
            bar.set_prefix(unit);
            bar
        });
        Progress { console: self, step, unit, bar, said: Mutex::new(Instant::now()) }
    }
}

/// Progress of one step.
pub struct Progress<'c, 'a> {
    console: &'c Console<'a>,
    step: &'static str,
    unit: &'static str,
    bar: Option<ProgressBar>,
    said: Mutex<Instant>,
}

impl Progress<'_, '_> {
    /// So much of so much is done.
    pub fn at(&self, done: u64, total: u64) {
        if let Some(bar) = &self.bar {
            bar.set_length(total);
            bar.set_position(done);
            return;
        }
        let mut said = self.said.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if said.elapsed() >= LINE_EVERY {
            *said = Instant::now();
            self.console.note(&format!("{}: {done} of {total} {}", self.step, self.unit));
        }
    }
}

impl Drop for Progress<'_, '_> {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
