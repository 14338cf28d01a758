//! S11: later records that still inherit what was corrected (domain 3). Only streams with corrections
//! come here.
//!
//! A record is *stale* in an item that it inherited when the record it was filled from now says
//! something else, was itself stale there with the same value, or gave the value and was deleted without
//! a record of the same date that says the same.

use super::fold::{Folder, NOT_SET, Values, for_each_bit};

pub(super) fn mark_stale(folder: &mut Folder, values: &dyn Values, first_row: usize, rows: usize) {
    let all = if folder.items() >= 128 { u128::MAX } else { (1u128 << folder.items()) - 1 };
    let mut stale: Vec<u128> = Vec::with_capacity(folder.records.len());
    for (r, record) in folder.records.iter().enumerate() {
        let mut mask = 0;
        if let Some(parent) = record.parent {
            for_each_bit(!record.own & all, |item| {
                if is_stale(folder, &stale, parent, r, item, values) {
                    mask |= 1 << item;
                }
            });
        }
        stale.push(mask); // parents were applied before their children, so they are known by now
    }
    debug_assert!(folder.records.iter().all(|r| r.row >= first_row && r.row < first_row + rows));
    for (r, mask) in stale.into_iter().enumerate().filter(|(_, mask)| *mask != 0) {
        if !folder.records[r].deleted {
            folder.set_stale(folder.records[r].row, mask);
        }
    }
}

fn is_stale(
    folder: &Folder,
    stale: &[u128],
    parent: usize,
    r: usize,
    item: usize,
    values: &dyn Values,
) -> bool {
    let p = &folder.records[parent];
    let parents_own = p.own >> item & 1 == 1;
    if !p.deleted {
        let differs = !same(folder, values, item, parent, r);
        return differs || (!parents_own && stale[parent] >> item & 1 == 1);
    }
    if !parents_own {
        return stale[parent] >> item & 1 == 1;
    }
    if cell(folder, r, item) == NOT_SET {
        return false;
    }
    let same_place = |other: usize| {
        let other = &folder.records[other];
        (other.holder, other.date) == (p.holder, p.date)
    };
    let anew = folder.live.iter().find(|&&other| same_place(other));
    !anew.is_some_and(|&other| same(folder, values, item, other, r))
}

fn cell(folder: &Folder, r: usize, item: usize) -> u32 {
    folder.cells[r * folder.items() + item]
}

fn same(folder: &Folder, values: &dyn Values, item: usize, a: usize, b: usize) -> bool {
    match (cell(folder, a, item), cell(folder, b, item)) {
        (NOT_SET, NOT_SET) => true,
        (NOT_SET, _) | (_, NOT_SET) => false,
        (a, b) => a == b || values.same_value(item, a as usize, b as usize),
    }
}
