//! The wish that a long-running worker or sink ends: take up nothing new, finish what is in hand.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Whether to stop; clones tell of the same wish, which is never taken back.
#[derive(Clone, Debug, Default)]
pub struct Stop(Arc<(Mutex<bool>, Condvar)>);

impl Stop {
    /// Asks to stop.
    pub fn ask(&self) {
        *self.asked() = true;
        self.0.1.notify_all();
    }

    /// Whether it was asked to stop.
    pub fn is_asked(&self) -> bool {
        *self.asked()
    }

    /// Waits so long, or until it is asked to stop; gives whether it was. Blocks the thread.
    pub fn wait(&self, at_most: Duration) -> bool {
        let begun = Instant::now();
        let mut asked = self.asked();
        while !*asked {
            let left = at_most.saturating_sub(begun.elapsed());
            if left.is_zero() {
                return false;
            }
            (asked, _) = self.0.1.wait_timeout(asked, left).unwrap_or_else(PoisonError::into_inner);
        }
        true
    }

    fn asked(&self) -> MutexGuard<'_, bool> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wish_wakes_who_waits_and_stays() {
        let stop = Stop::default();
        assert!(!stop.is_asked() && !stop.wait(Duration::from_millis(20)));
        let other = stop.clone();
        let begun = Instant::now();
        let waiting = std::thread::spawn(move || other.wait(Duration::from_secs(60)));
        stop.ask();
        assert!(waiting.join().unwrap());
        assert!(begun.elapsed() < Duration::from_secs(30));
        assert!(stop.is_asked() && stop.wait(Duration::ZERO));
    }
}
