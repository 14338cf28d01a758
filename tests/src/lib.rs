//! What the tests of the whole share: the naive oracle and random ledgers.

pub mod oracle;
pub mod random;
