//! Stacking as a DataFusion operator: facts in, one row per fact out, with every blank filled in and
//! what became of the fact.
//!
//! * `fact` what the rules see, `fold` the rules on positions (pure), `stale` its S11
//! * `read` facts from Arrow columns, `gather` Arrow columns from positions
//! * `cut` whole insured numbers out of a stream of batches
//! * `details` who and what a finding means
//! * `node`, `exec` the logical node, its planner and the streaming `ExecutionPlan`
//! * `scan` the ledger as a DataFusion table, `unit` the plan of one unit of resolving
//!
//! Promise: the output depends on the facts alone, not on batch sizes, partitions or threads.

pub mod cut;
pub mod details;
pub mod exec;
pub mod fact;
pub mod fold;
pub mod gather;
pub mod node;
mod read;
pub mod scan;
mod stale;
pub mod unit;

pub use fact::{FileOrder, Inheritance, State};
pub use read::StackRules;
