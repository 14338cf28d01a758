//! Compaction: the facts of many small runs in few.
//!
//! Promise: it is a commit of its own that changes no fact, so no result; what it replaces stays on the disk until
//! the next commit begins, for those who are reading it. What is merged is a function of the runs that count.

use super::Ledger;
use super::commit::Commit;
use super::manifest::RunEntry;
use super::merge::merge;
use super::runs::run_name;
use crate::disk::DiskError;
use std::collections::BTreeMap;
use tsumiage_schemas::FactTable;

/// Most runs of an insurer, or of a registry table. Speed only: everything that reads opens all of them. Measured on
/// 70,000 facts of one insurer in 1, 16 and 64 runs (debug build): a resolve takes 2.4, 2.7 and 2.8 s of a core, a
/// timeline 0.14, 0.35 and 0.8 s, and they fill 1.4, 2.1 and 4.7 MB.
const MOST: usize = 16;

/// Most runs that are merged into one. Only a ledger from before compaction has more small ones.
const AT_ONCE: usize = 32;

/// What a compaction came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Compacted {
    /// Runs that were replaced.
    pub runs: usize,
    /// Runs that replace them.
    pub into: usize,
    /// Facts in these.
    pub rows: i64,
    /// Bytes of these.
    pub bytes: u64,
}

/// Which runs of an insurer or registry table, given their rows, are to be merged into one: none while there are no
/// more than [`MOST`]; else the smallest, so many that half of that are left, and on as long as the last is at most
/// half as large as all smaller ones together. Places of the runs, ascending.
///
/// So a fact is written again either when its run at least triples, which happens seldom; or when its run is small beside
/// at least [`MOST`]` / 2 - 1` others: it holds a seventeenth of the insurer's facts at most then, and the next such merge is
/// [`MOST`]` / 2 + 1` runs away. Measured with equal commits: each fact is written 2.6 times more in a year of nights,
/// 3 times in three years, 4 times in ten.
fn chosen(rows: &[i64]) -> Vec<usize> {
    if rows.len() <= MOST {
        return Vec::new();
    }
    let mut places: Vec<usize> = (0..rows.len()).collect();
    places.sort_by_key(|place| (rows[*place], *place));
    let mut take = rows.len() - MOST / 2 + 1;
    let mut smaller = 0_i64;
    for (at, place) in places.iter().enumerate() {
        if at > 0 && rows[*place] <= smaller / 2 {
            take = take.max(at + 1);
        }
        smaller = smaller.saturating_add(rows[*place]);
    }
    places.truncate(take);
    places.sort_unstable();
    places
}

/// Runs of one insurer or registry table that are merged into one of this name.
struct Merge {
    runs: Vec<RunEntry>,
    name: String,
}

impl Ledger {
    /// Merges runs where there are too many; `None` if nowhere. For the one who holds the data folder's lock.
    ///
    /// # Errors
    /// A run cannot be read or is not what its manifest says, or a merged one cannot be written; then nothing
    /// of it counts.
    pub fn compact(&mut self) -> Result<Option<Compacted>, DiskError> {
        let merges = self.merges();
        if merges.is_empty() {
            return Ok(None);
        }
        let root = self.root.clone();
        let mut commit = Commit::begin(self, 0)?;
        let mut compacted = Compacted::default();
        // One after another: each holds pages of all its sources.
        for Merge { runs, name } in &merges {
            let (run, items) = merge(&root, runs, name)?;
            compacted.runs += runs.len();
            compacted.into += 1;
            compacted.rows += run.rows;
            compacted.bytes += run.bytes;
            commit.replace(runs, run, items);
        }
        commit.finish()?;
        Ok(Some(compacted))
    }

    /// What is to be merged now.
    fn merges(&self) -> Vec<Merge> {
        let number = self.manifests.len() as u64 + 1;
        let mut merges = Vec::new();
        for runs in self.runs_together().values() {
            let chosen = chosen(&runs.iter().map(|run| run.rows).collect::<Vec<_>>());
            for (part, places) in chosen.chunks(AT_ONCE).enumerate().filter(|(_, places)| places.len() > 1) {
                let runs = places.iter().map(|place| runs[*place].clone()).collect();
                merges.push(Merge { runs, name: run_name(number, part) });
            }
        }
        merges
    }

    /// The runs that a resolve merges, in order of commit: those of an insurer, or of a registry table.
    fn runs_together(&self) -> BTreeMap<(FactTable, &str), Vec<&RunEntry>> {
        let mut together: BTreeMap<(FactTable, &str), Vec<&RunEntry>> = BTreeMap::new();
        for run in self.runs.values() {
            together.entry((run.table, &run.insurer_no)).or_default().push(run);
        }
        together
    }

    /// Number of runs of the insurer or registry table that has most.
    pub fn most_runs(&self) -> usize {
        self.runs_together().values().map(Vec::len).max().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Commits of so many facts each, one after another, to an insurer that has runs; facts written again, for
    /// each that was committed. Fails if there are too many runs, or one is written again without reason.
    fn written_again(commits: impl Iterator<Item = i64>, mut runs: Vec<i64>) -> f64 {
        let (mut committed, mut again) = (0, 0);
        for rows in commits {
            runs.push(rows);
            committed += rows;
            let chosen = chosen(&runs);
            if chosen.is_empty() {
                assert!(runs.len() <= MOST);
                continue;
            }
            let of_chosen = || chosen.iter().map(|place| runs[*place]);
            let (all, merged): (i64, i64) = (runs.iter().sum(), of_chosen().sum());
            let largest = of_chosen().max().unwrap();
            assert!(largest * 3 <= merged || largest * 17 <= all, "{largest} in {runs:?}");
            again += merged;
            let kept = (0..runs.len()).filter(|place| !chosen.contains(place)).map(|place| runs[place]);
            runs = kept.chain([merged]).collect();
            assert!(runs.len() <= MOST / 2, "{runs:?}");
        }
        again as f64 / committed as f64
    }

    #[test]
    fn runs_stay_few_and_facts_are_seldom_written_again() {
        let equal = |commits| std::iter::repeat_n(1_000, commits);
        for (commits, most) in [(365, 2.7), (1_000, 3.1), (3_650, 4.3)] {
            let again = written_again(equal(commits), Vec::new());
            assert!(again < most, "{commits}: {again}");
        }
        let a_large_one = written_again(equal(1_000), vec![10_000_000]);
        assert!(a_large_one < 3.2, "the large one is not written again: {a_large_one}");
        let monthly = (0..1_000).map(|night| if night % 22 == 0 { 20_000 } else { 300 });
        let monthly = written_again(monthly, Vec::new());
        assert!(monthly < 3.0, "{monthly}");
        // The worst, for the docstring's bound: each of the others is larger than all before it.
        let larger: Vec<i64> = (0..7).map(|at| 100_000 << at).collect();
        written_again(equal(1_000), larger);
    }

    #[test]
    fn the_smallest_are_merged_and_a_large_one_only_if_it_must() {
        assert_eq!(chosen(&[1; MOST]), Vec::<usize>::new());
        assert_eq!(chosen(&[1; MOST + 1]), (0..=MOST).collect::<Vec<_>>(), "all are alike");
        let mut rows = vec![1_000_000];
        rows.extend([1; MOST]);
        assert_eq!(chosen(&rows), (1..=MOST).collect::<Vec<_>>());
        let growing: Vec<i64> = (0..=MOST).map(|at| 1 << at).rev().collect();
        assert_eq!(chosen(&growing), (MOST / 2 - 1..=MOST).collect::<Vec<_>>(), "half of them are left");
    }
}
