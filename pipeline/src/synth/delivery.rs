//! When a movement is sent, and whether it is put right later.
//!
//! Promise: a pure function of insurer, person and day, so that counting and writing agree.

use super::calendar::Calendar;
use super::insurer::Insurer;
use super::plan::Event;
use super::rng::Rng;

/// A slip for a movement.
pub(super) struct Correction {
    /// Processing month, from 0.
    pub(super) month: u32,
    /// Correction date.
    pub(super) day: i32,
    /// Takes the record away instead of changing it.
    pub(super) delete: bool,
}

/// The way of one movement. Processing month n takes the movements of month n of the window.
pub(super) struct Delivery {
    /// Processing month, from 0.
    pub(super) month: u32,
    /// Processing month of the second copy, if there is to be one.
    pub(super) again: u32,
    /// The slip that follows.
    pub(super) correction: Option<Correction>,
}

/// Decides how a movement is sent. Without `faults`: in its month, and never touched again.
pub(super) fn deliver(
    calendar: &Calendar,
    insurer: &Insurer,
    person: u64,
    day: u32,
    event: Event,
    faults: bool,
) -> Delivery {
    let mut month = calendar.month_of(day);
    if !faults {
        return Delivery { month, again: month, correction: None };
    }
    let last = calendar.months - 1;
    // The whole file of the month came too late: 1 in 50.
    let late_file = Rng::keyed(&[insurer.key, 5, u64::from(month)]).below(50) == 0;
    month += u32::from(late_file);
    let mut rng = Rng::keyed(&[insurer.key, 6, person, u64::from(day)]);
    // A change that was forgotten (pattern 4): 1 in 200. A registration must not come after its changes.
    if !event.has(Event::BEGIN) && rng.below(200) == 0 {
        month += 1 + rng.below(2);
    }
    let month = month.min(last);
    let again = (month + rng.below(2)).min(last);
    let corrected = rng.below(100) == 0 && month < last;
    let correction = corrected.then(|| Correction {
        month: month + 1,
        day: calendar.start(month + 1) + rng.below(28) as i32,
        delete: rng.below(8) == 0 && !event.has(Event::BEGIN | Event::END),
    });
    Delivery { month, again, correction }
}
