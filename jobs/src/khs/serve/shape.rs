//! How long rows are, found out once when data are read.
//!
//! Promise: with it any piece of an answer can be made without those before it, and equal rows are known by their digest.

use super::rows::{RowForm, write_people};
use crate::khs::people::{People, Person};
use sha2::{Digest, Sha256};

/// Rows of a block.
pub const BLOCK: usize = 512;

/// The rows of one number on cards in one form: where their blocks end, and a digest of them.
#[derive(Clone, Debug, Default)]
pub struct Shape {
    /// Where blocks end.
    pub ends: Vec<u64>,
    /// Of all rows.
    pub digest: [u8; 32],
}

impl Shape {
    /// Of these people.
    pub fn new(form: &RowForm, all: &People, member_no: &str, people: &[Person]) -> Shape {
        let (mut ends, mut hash, mut at, mut text) = (Vec::new(), Sha256::new(), 0, Vec::new());
        for block in people.chunks(BLOCK) {
            text.clear();
            write_people(form, &mut text, all, member_no, block);
            hash.update(&text);
            at += text.len() as u64;
            ends.push(at);
        }
        Shape { ends, digest: hash.finalize().into() }
    }

    /// Bytes of all rows.
    pub fn len(&self) -> u64 {
        self.ends.last().copied().unwrap_or_default()
    }
}

/// Which rows a document has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// Those of the JSON interface's body.
    Json,
    /// Those of the file.
    File,
}
