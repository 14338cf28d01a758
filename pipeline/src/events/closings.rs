//! Which processing months are closed, by all closings and reopenings in their order.
//!
//! Promise: pure. A reopening touches nothing of the months before it: what was known as of them never changes.

use super::{Event, What};
use std::collections::BTreeMap;
use tsumiage_schemas::{Day, Month};

/// Which processing months are closed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Closings {
    /// Newest closed month.
    pub through: Option<Month>,
    /// Files that stood rejected when their month was closed, with the newest month for which that holds: the
    /// newest one closed then, or the last one before a month that was opened again since. Never after `through`.
    pub rejected_files: BTreeMap<String, Month>,
}

impl Closings {
    /// The closings there are.
    pub fn of(events: &[Event]) -> Closings {
        let mut closings = Closings::default();
        for event in events {
            match &event.what {
                What::Close { rejected_files } => closings.close(event.processing_month, rejected_files),
                What::Reopen => closings.reopen(event.processing_month),
                What::Withdraw { .. } => {}
            }
        }
        closings
    }

    fn close(&mut self, month: Month, rejected_files: &[String]) {
        self.through = self.through.max(Some(month));
        for file_id in rejected_files {
            let newest = self.rejected_files.entry(file_id.clone()).or_insert(month);
            *newest = (*newest).max(month);
        }
    }

    fn reopen(&mut self, month: Month) {
        let last = Month(month.0 - 1);
        self.through = self.through.min(Some(last));
        self.rejected_files.values_mut().for_each(|newest| *newest = (*newest).min(last));
    }

    /// Whether a month is closed.
    pub fn closed(&self, month: Month) -> bool {
        self.through.is_some_and(|through| month <= through)
    }

    /// Whether a file of a processing month, or of no valid one, stood rejected when its month was closed, and the
    /// month was not opened again since: nothing of it may count there.
    pub fn froze(&self, file_id: &str, month: Option<Month>) -> bool {
        let newest = self.rejected_files.get(file_id);
        newest.is_some_and(|newest| month.is_none_or(|month| month <= *newest))
    }
}

/// The processing month of a withdrawal made on a day: that day's, or the first one that is not closed,
/// so that what was known as of a closed month does not change.
pub fn month_of_withdrawal(on: Day, closings: &Closings) -> Month {
    closings.through.map_or(on.month(), |through| on.month().max(through.next()))
}
