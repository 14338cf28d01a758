//! One person's records in the order a person wants to read them: what every record said, what changed,
//! what was corrected or refused, and which record gave every item; and the insurance card on a day.
//!
//! * `model` the timeline as values; serialized it is the JSON document
//! * `course` what follows from the records in time: moves, who holds on a day
//! * `read` the model from the facts and the stacked rows of one stream, `columns` their single cells,
//!   `remarks` what is found about them, `withdrawn` the records that were taken out
//! * `card` the insurance card
//! * `table` the model as Japanese text, `csv` as CSV
//!
//! Promise: nothing is decided here. What became of a record is what the stacking operator says; this
//! module only puts it into words.

pub mod card;
mod columns;
pub mod course;
pub mod csv;
pub mod model;
pub mod read;
pub mod remarks;
pub mod table;
pub mod withdrawn;

pub use card::Card;
pub use model::Timeline;
