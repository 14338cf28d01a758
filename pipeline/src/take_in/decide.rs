//! What is to be done with bytes, and as whose arrival they are read.
//!
//! Promise: pure; the only place that decides about bytes.

use crate::archive::Arrival;
use crate::events::Closings;
use crate::ledger::FileEntry;
use tsumiage_schemas::{Day, Month};

/// What is to be done with bytes that arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Never seen: take in.
    TakeIn,
    /// Rejected before, but layouts changed, its month is open again, or the user asks: check again.
    CheckAgain,
    /// Accepted with other layouts than those in force, and the user asks or they were only for one run: read
    /// again.
    ReadAgain,
    /// Known: nothing is done (F07).
    Known,
}

/// What a run brings along that bears on files seen before.
#[derive(Clone, Copy, Debug)]
pub struct Circumstances<'a> {
    /// Digest of the layouts in force.
    pub layouts: &'a str,
    /// Months closed by now.
    pub closings: &'a Closings,
    /// `--recheck`.
    pub recheck: bool,
    /// Take-in day of what arrives now.
    pub taken_in_on: Day,
}

/// Decides what to do with bytes, given what the ledger knows of them.
pub fn decide(known: Option<&FileEntry>, now: &Circumstances<'_>) -> Decision {
    let Some(entry) = known else { return Decision::TakeIn };
    let other_layouts = entry.layouts != now.layouts;
    // Closed when it arrived, or closed while it stood rejected and accepted too late.
    let was_closed = |month: Month| {
        entry.arrival.closed_through.is_some_and(|through| month <= through)
            || now.closings.rejected_files.contains_key(&entry.arrival.file_id)
    };
    let reopened =
        entry.wrong_time && entry.processing_month.is_some_and(|m| was_closed(m) && !now.closings.closed(m));
    if entry.file_rejected && (other_layouts || reopened || now.recheck) {
        Decision::CheckAgain
    } else if !entry.file_rejected && other_layouts && (now.recheck || entry.one_off) {
        Decision::ReadAgain
    } else {
        Decision::Known
    }
}

/// How a file known to the ledger arrives when it is read again; `at_hand` is the name it has now, if the
/// user gives the file itself.
///
/// Name, day and closings stay as they were, but: a rejected file that the user gives again arrives anew,
/// unless it stood rejected when its month was closed (what is published of that month names it), which is closed
/// still; and a file that came at the wrong time is checked against the months closed by now.
pub fn arrival_again(
    entry: &FileEntry,
    noted: Arrival,
    at_hand: Option<&str>,
    now: &Circumstances<'_>,
) -> Arrival {
    let frozen = now.closings.froze(&noted.file_id, entry.processing_month);
    let anew = entry.file_rejected && !frozen && now.recheck;
    match at_hand.filter(|_| anew) {
        Some(name) => arrival_now(&noted.file_id, name, now),
        // The month of a KHS file follows from what was closed when it came: it would move on with every closing.
        None if entry.wrong_time && !entry.is_khs() => {
            Arrival { closed_through: now.closings.through, ..noted }
        }
        None => noted,
    }
}

/// How a file arrives that was never seen.
pub fn arrival_now(file_id: &str, name: &str, now: &Circumstances<'_>) -> Arrival {
    Arrival {
        file_id: file_id.to_owned(),
        name: name.to_owned(),
        taken_in_on: now.taken_in_on,
        source: "inbox".to_owned(),
        closed_through: now.closings.through,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a test may fail loudly
mod tests {
    use super::*;

    fn month(text: &str) -> Month {
        text.parse().unwrap()
    }

    fn closed(through: &str) -> Closings {
        Closings { through: Some(month(through)), ..Closings::default() }
    }

    fn now<'a>(layouts: &'a str, closings: &'a Closings, recheck: bool) -> Circumstances<'a> {
        Circumstances { layouts, closings, recheck, taken_in_on: "2026-10-05".parse().unwrap() }
    }

    /// A file of 2026-08 taken in on 2026-08-31 with layouts `a`.
    fn entry(file_rejected: bool, closed_through: Option<&str>) -> FileEntry {
        FileEntry {
            seq: 0,
            arrival: Arrival {
                file_id: "f".to_owned(),
                name: "old.csv".to_owned(),
                taken_in_on: "2026-08-31".parse().unwrap(),
                source: "inbox".to_owned(),
                closed_through: closed_through.map(month),
            },
            data_type: None,
            sender_no: None,
            sender_insurer_no: None,
            processing_month: Some(month("2026-08")),
            records: 1,
            accepted: i64::from(!file_rejected),
            rejected: i64::from(file_rejected),
            warned: 0,
            file_rejected,
            wrong_time: closed_through.is_some(),
            first_movement: None,
            layouts: "a".to_owned(),
            one_off: false,
            reading: 1,
        }
    }

    #[test]
    fn what_is_done_with_known_bytes() {
        use Decision::{CheckAgain, Known, ReadAgain, TakeIn};
        let open = Closings::default();
        let late = FileEntry { wrong_time: true, ..entry(true, None) };
        let frozen = |through: &str| Closings {
            rejected_files: [("f".to_owned(), month(through))].into(),
            ..closed(through)
        };
        let cases = [
            (None, "a", &open, false, TakeIn),
            (Some(entry(false, None)), "a", &open, false, Known),
            (Some(entry(false, None)), "a", &open, true, Known),
            (Some(entry(false, None)), "b", &open, false, Known),
            (Some(entry(false, None)), "b", &open, true, ReadAgain),
            (Some(entry(false, None)), "a", &closed("2026-08"), true, Known),
            (Some(FileEntry { one_off: true, ..entry(false, None) }), "a", &open, false, Known),
            (Some(FileEntry { one_off: true, ..entry(false, None) }), "b", &open, false, ReadAgain),
            (Some(entry(true, None)), "a", &open, false, Known),
            (Some(entry(true, None)), "b", &open, false, CheckAgain),
            (Some(entry(true, None)), "a", &open, true, CheckAgain),
            (Some(entry(true, Some("2026-08"))), "a", &closed("2026-09"), false, Known),
            (Some(entry(true, Some("2026-08"))), "a", &closed("2026-07"), false, CheckAgain),
            // Accepted too late by other layouts, and its month is open again.
            (Some(late.clone()), "a", &frozen("2026-08"), false, Known),
            (Some(late.clone()), "a", &frozen("2026-07"), false, CheckAgain),
            // Rejected for something else, which no reopening mends.
            (Some(entry(true, None)), "a", &frozen("2026-07"), false, Known),
            (Some(FileEntry { wrong_time: false, ..entry(true, Some("2026-08")) }), "a", &open, false, Known),
        ];
        for (known, layouts, closings, recheck, expected) in cases {
            let got = decide(known.as_ref(), &now(layouts, closings, recheck));
            assert_eq!(got, expected, "{known:?} {layouts} {closings:?} {recheck}");
        }
    }

    #[test]
    fn only_a_rejected_file_that_is_given_again_arrives_anew() {
        let closings = closed("2026-09");
        let again = |entry: &FileEntry, at_hand: Option<&str>, recheck: bool, closings: &Closings| {
            let arrival = arrival_again(entry, entry.arrival.clone(), at_hand, &now("b", closings, recheck));
            let through = arrival.closed_through.map(|m| m.to_string()).unwrap_or_default();
            (arrival.name, arrival.taken_in_on.to_string(), through)
        };
        let text = |a: &str, b: &str, c: &str| (a.to_owned(), b.to_owned(), c.to_owned());
        let as_it_was = text("old.csv", "2026-08-31", "");
        let anew = text("new.csv", "2026-10-05", "2026-09");
        let (accepted, rejected) = (entry(false, None), entry(true, None));
        assert_eq!(again(&accepted, Some("new.csv"), true, &closings), as_it_was);
        assert_eq!(again(&rejected, Some("new.csv"), true, &closings), anew);
        assert_eq!(again(&rejected, Some("new.csv"), false, &closings), as_it_was);
        assert_eq!(again(&rejected, None, true, &closings), as_it_was);
        // It stood rejected when its month was closed: nothing published of that month may change.
        let mut frozen = closings.clone();
        frozen.rejected_files.insert("f".to_owned(), month("2026-08"));
        assert_eq!(again(&rejected, Some("new.csv"), true, &frozen), as_it_was);
        frozen = closed("2026-07");
        frozen.rejected_files.insert("f".to_owned(), month("2026-07"));
        let open_again = text("new.csv", "2026-10-05", "2026-07");
        assert_eq!(again(&rejected, Some("new.csv"), true, &frozen), open_again);
        // It came too late: what is closed now counts, so that it can be taken in once the month is open.
        let late = entry(true, Some("2026-08"));
        assert_eq!(again(&late, None, true, &closed("2026-07")), text("old.csv", "2026-08-31", "2026-07"));
    }
}
