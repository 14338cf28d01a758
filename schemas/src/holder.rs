//! The holder of a record: the union or designated city for a member, else the insurer itself
//! (domain 4). This is the only place that knows; everything else asks.

use crate::day::Day;

/// Who holds whom, as far as known. Memberships come with their own issue; until then every insurer
/// holds its own people.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Holders;

impl Holders {
    /// The holder of a record with this insurer number and movement date; for an end the day before
    /// its date decides.
    pub fn holder<'a>(&self, insurer_no: &'a str, _movement_date: Day, _is_end: bool) -> &'a str {
        insurer_no
    }
}
