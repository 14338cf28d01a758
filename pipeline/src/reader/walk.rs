//! The items of one record, found by masks of 64 bytes: work for every item that says something, none for blanks.
//!
//! Promise: what [`by_bytes`](super::by_bytes) finds, or `None`: where quotes may hide separators, where an item is
//! longer than a window, where the record has no line feed, and where it is longer than any real one.

use super::masks::{BLOCK, Masks, below};
use super::split::{Found, Given, MAX_ITEMS};

/// Windows after which a record is left to be walked byte by byte.
const MOST_WINDOWS: usize = 1024;

/// Finds the items of the record from `start`; gives the line feed where it ends.
#[inline]
pub(super) fn items(bytes: &[u8], start: usize, found: &mut Found) -> Option<usize> {
    found.given.clear();
    found.quoted_blanks = false;
    found.unclosed = false;
    let (mut window, mut columns) = (start, 0); // where an item begins, and its column
    for _ in 0..MOST_WINDOWS {
        let block = bytes.get(window..)?.first_chunk::<BLOCK>();
        let Masks { commas, quotes, feeds } = match block {
            Some(block) => Masks::of(block),
            None => Masks::at(bytes, window),
        };
        let mine = feeds ^ feeds.wrapping_sub(1); // up to the first line feed
        let feed = feeds & mine;
        let commas = commas & mine;
        // The CR before the line feed ends the last item.
        let cr = feed > 1 && bytes[window + feed.trailing_zeros() as usize - 1] == b'\r';
        let last = feed >> u32::from(cr);
        let separators = commas | last;
        let behind = separators << 1 | 1;
        let mut starts = mine & !separators & !feed & behind;
        let mut ends = separators & !behind;
        // Two quotes and nothing between: most items where all are quoted.
        let blanks = starts & quotes & quotes >> 1 & ends >> 2;
        found.quoted_blanks |= blanks != 0;
        starts ^= blanks;
        ends ^= blanks << 2;
        // Where the item before ended, and its column: only commas are between, unless blanks are quoted.
        let (mut before, mut column) = (0, columns);
        while ends != 0 {
            let (at, end) = (starts.trailing_zeros(), ends.trailing_zeros());
            // Every end has a start before it.
            column += match blanks {
                0 => (at - before) as usize,
                _ => (commas & below(at) & !below(before)).count_ones() as usize,
            };
            before = end;
            starts &= starts.wrapping_sub(1);
            ends &= ends - 1;
            if quotes >> at & 1 == 1 {
                // It must be closed at its end, and have no quote inside.
                let inside = below(end) & !below(at) & quotes;
                if inside != (1 << at | 1 << (end - 1)) || end - at < 2 {
                    return None;
                }
            }
            found.given.push(Given { column, start: window + at as usize, end: window + end as usize });
        }
        if feed != 0 {
            found.columns = columns + commas.count_ones() as usize + 1;
            return (found.columns < MAX_ITEMS).then_some(window + feed.trailing_zeros() as usize);
        }
        // On with the item that is not whole in this window; all commas are before it.
        let open = starts.trailing_zeros() as usize;
        if open == 0 {
            return None;
        }
        columns += commas.count_ones() as usize;
        window += open;
    }
    None
}
