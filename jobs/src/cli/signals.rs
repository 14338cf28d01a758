//! Stop signals of the system: the first SIGTERM or SIGINT stops gently, the next one at once.
//!
//! Promise: a signal is never swallowed: without a command to stop, or if it was told already, the program ends
//! at once with 128 and the signal's number.

use std::io::Result;
use std::process::exit;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::signal::unix::{SignalKind, signal};
use tsumiage_pipeline::stop::Stop;

/// Commands to be told (several only in tests), and whether anybody listens to the system.
struct Told {
    listening: bool,
    next: u64,
    commands: Vec<(u64, Stop)>,
}

static TOLD: Mutex<Told> = Mutex::new(Told { listening: false, next: 0, commands: Vec::new() });

fn told() -> MutexGuard<'static, Told> {
    TOLD.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A command that is told of stop signals until this is dropped.
#[derive(Debug)]
pub struct Caught(u64);

impl Drop for Caught {
    fn drop(&mut self) {
        told().commands.retain(|(id, _)| *id != self.0);
    }
}

/// Turns stop signals into the wish `stop`.
///
/// # Errors
/// The system does not let us listen.
pub fn caught(stop: &Stop) -> Result<Caught> {
    let mut told = told();
    if !told.listening {
        listen()?;
        told.listening = true;
    }
    let id = told.next;
    told.next += 1;
    told.commands.push((id, stop.clone()));
    Ok(Caught(id))
}

/// Listens on a thread of its own for as long as the program runs: a signal that was caught once is never again
/// answered by the system.
fn listen() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    let (mut terminate, mut interrupt) = {
        let _inside = runtime.enter();
        (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?)
    };
    std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
        runtime.block_on(async {
            loop {
                let kind = tokio::select! {
                    _ = terminate.recv() => SignalKind::terminate(),
                    _ = interrupt.recv() => SignalKind::interrupt(),
                };
                if !told().ask() {
                    exit(128 + kind.as_raw_value());
                }
            }
        });
    })?;
    Ok(())
}

impl Told {
    /// Asks every command to stop; `false` if none is left to be asked for the first time.
    fn ask(&self) -> bool {
        let fresh = self.commands.iter().filter(|(_, stop)| !stop.is_asked());
        fresh.map(|(_, stop)| stop.ask()).count() > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_command_is_asked_once_and_only_while_it_runs() {
        let (first, second, third) = (Stop::default(), Stop::default(), Stop::default());
        let mut told = Told { listening: false, next: 2, commands: Vec::new() };
        assert!(!told.ask(), "no command, so the program ends");
        told.commands = vec![(0, first.clone()), (1, second.clone())];
        assert!(told.ask() && first.is_asked() && second.is_asked());
        assert!(!told.ask(), "the second signal");
        told.commands = vec![(1, second), (2, third.clone())];
        assert!(told.ask() && third.is_asked());
    }
}
