//! One person's records in the order a person wants to read them: what every record said, what changed,
//! what was corrected or refused, and which record gave every item.
//!
//! * `model` the timeline as values; serialized it is the JSON document
//! * `read` the model from the facts and the stacked rows of one stream
//! * `table` the model as Japanese text, `csv` as CSV
//!
//! Promise: nothing is decided here. What became of a record is what the stacking operator says; this
//! module only puts it into words.

pub mod csv;
pub mod model;
pub mod read;
pub mod table;

pub use model::Timeline;
