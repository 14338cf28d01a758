//! One large file on several threads: it is cut where a record seems to start, the parts are read side by side,
//! and taken in one after the other.
//!
//! Promise: report and batches are those of one pass. A part counts only where the one before ends exactly at its
//! start and it says what would be said then; else its bytes are read again in their turn. At most `ahead` parts are
//! held besides the one that is taken.

use super::by_bytes::{starts_record, until};
use super::compiled::Compiled;
use super::facts::{Columns, Facts};
use super::reading::{Reading, Sink, is_end};
use super::split::{MAX_RECORD, Splitter};
use rayon::ThreadPool;
use std::collections::VecDeque;
use std::ops::Range;
use std::sync::LazyLock;
use std::sync::mpsc::{Receiver, sync_channel};
use tsumiage_schemas::FactTable;

/// Bytes of a part, and rows it holds together.
pub(super) const PART: usize = 1 << 20;
pub(super) const ROWS: usize = 4_096;

/// Parts in vain after which the rest is read in one pass.
const MOST_IN_VAIN: usize = 4;

/// How a file is cut.
#[derive(Clone, Copy)]
pub(super) struct Cut {
    /// Fewest bytes of a part but the last.
    pub bytes: usize,
    /// Most rows of a table that a part holds together.
    pub rows: usize,
    /// Parts that are read while one is taken.
    pub ahead: usize,
}

/// A part that was read.
struct Part<'c, 'f> {
    reading: Reading<'c, 'f>,
    facts: Vec<Columns>,
    /// Where the first record starts that was not read.
    end: usize,
}

/// Threads for parts only: who waits for a part must not be given other work meanwhile, which may wait for
/// what it holds.
static POOL: LazyLock<Option<ThreadPool>> = LazyLock::new(|| {
    let name = |n: usize| format!("reader-{n}");
    rayon::ThreadPoolBuilder::new().thread_name(name).build().ok()
});

/// Reads on from where the splitter is, in parts; gives where what is left is to be read in one pass.
///
/// # Errors
/// The sink's, at once.
pub(super) fn read<'c, 'f, E>(
    cut: Cut,
    reading: &mut Reading<'c, 'f>,
    mut splitter: Splitter<'f>,
    sink: &mut Sink<'_, E>,
) -> Result<Splitter<'f>, E> {
    // The first data record says more than others (F06).
    while reading.records == 0 {
        if !reading.advance(&mut splitter, sink)? {
            return Ok(splitter);
        }
    }
    let Some(pool) = &*POOL else { return Ok(splitter) };
    let file = splitter.bytes();
    let compiled = reading.compiled;
    pool.in_place_scope(|scope| {
        let mut ahead: VecDeque<(Range<usize>, Receiver<Part<'c, 'f>>)> = VecDeque::new();
        let (mut cut_to, mut in_vain) = (splitter.next(), 0);
        loop {
            while ahead.len() < cut.ahead.max(1)
                && let Some(part) = next_part(file, cut_to, cut.bytes)
            {
                cut_to = part.end;
                let (done, result) = sync_channel(1);
                let facts = reading.facts.as_ref().map(|facts| facts.apart(cut.rows));
                ahead.push_back((part.clone(), result));
                // Who waited no longer needs it.
                scope.spawn(move |_| drop(done.send(read_part(compiled, facts, file, part))));
            }
            let Some((place, result)) = ahead.pop_front() else { return Ok(splitter) };
            let part = result.recv().ok(); // none where its thread panicked; the scope hands that on
            match part.filter(|part| splitter.next() == place.start && reading.can_take(&part.reading)) {
                Some(part) => {
                    in_vain = 0;
                    splitter = Splitter::from(file, part.end);
                    reading.take(part.reading, part.facts, sink)?;
                }
                None => in_vain += 1,
            }
            while splitter.next() < place.end {
                if !reading.advance(&mut splitter, sink)? {
                    return Ok(splitter);
                }
            }
            if in_vain == MOST_IN_VAIN {
                return Ok(splitter);
            }
        }
    })
}

/// The part from `start`: to where a record seems to start, or to the end. `None` at the end, and where no line
/// for long looks like a record.
fn next_part(file: &[u8], start: usize, bytes: usize) -> Option<Range<usize>> {
    if start >= file.len() {
        return None;
    }
    let mut at = start.saturating_add(bytes);
    if at >= file.len() {
        return Some(start..file.len());
    }
    let last = file.len().min(at + MAX_RECORD);
    loop {
        at += until(b'\n', &file[at..last]) + 1;
        if at >= file.len() {
            return Some(start..file.len());
        }
        if at > last {
            return None;
        }
        if starts_record(&file[at..]) {
            return Some(start..at);
        }
    }
}

/// Reads the records that start in a part; to before an end record and a record that is too long, which are not a
/// part's matter.
fn read_part<'c, 'f>(
    compiled: &'c Compiled,
    facts: Option<Facts>,
    file: &'f [u8],
    place: Range<usize>,
) -> Part<'c, 'f> {
    let mut reading = Reading::apart(compiled, facts);
    let mut splitter = Splitter::from(file, place.start);
    let (mut facts, mut end) = (Vec::new(), place.start);
    while splitter.next() < place.end {
        match splitter.advance() {
            Some(record) if !record.too_long && !is_end(splitter.items()) => {
                facts.extend(reading.record(&record, splitter.items()));
            }
            _ => break,
        }
        end = splitter.next();
    }
    let own = reading.facts.as_mut();
    facts.extend(
        own.into_iter().flat_map(|own| FactTable::ALL.into_iter().filter_map(|table| own.take(table))),
    );
    Part { reading, facts, end }
}
