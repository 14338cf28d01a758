//! Stacking as a DataFusion operator: facts in, one row per fact out, with every blank filled in and
//! what became of the fact.
//!
//! * `fold` the rules on positions (pure), `stale` its S11
//! * `gather` Arrow columns from positions
//! * `cut` whole streams out of a stream of batches
//! * `node`, `exec` the logical node, its planner and the streaming `ExecutionPlan`
//! * `scan` the ledger as a DataFusion table, `unit` the plan of one unit of resolving
//!
//! Promise: the output depends on the facts alone, not on batch sizes, partitions or threads.

pub mod cut;
pub mod exec;
pub mod fold;
pub mod gather;
pub mod node;
pub mod scan;
mod stale;
pub mod unit;

pub use fold::{FileOrder, Inheritance, State};
