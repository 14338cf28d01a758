//! Answers of many people, made from what is in memory a piece at a time.
//!
//! Promise: no more than a piece of an answer is ever held as text, however many people it tells of. Every piece of a
//! file can be made without those before it: how long blocks of rows are is found out once, when data are read.

use super::rows::write_people;
use super::served::Served;
use super::shape::{BLOCK, Shape, Which};
use axum::body::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use prometheus_client::metrics::counter::Counter;
use sha2::{Digest, Sha256};
use std::convert::Infallible;
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

/// Bytes of a piece, about.
const PIECE: usize = 64 << 10;

/// Rows of several numbers on cards between a head and a tail, not yet made.
#[derive(Clone)]
pub struct Document {
    served: Arc<Served>,
    which: Which,
    /// Those that have people, in order, with where their rows begin.
    members: Vec<(Box<str>, u64)>,
    head: Bytes,
    tail: Bytes,
    /// Where the tail begins.
    rows_end: u64,
    /// People in it.
    pub records: u64,
}

impl Document {
    /// The people of these numbers.
    pub fn new(
        served: Arc<Served>,
        which: Which,
        numbers: Vec<Box<str>>,
        head: Bytes,
        tail: Bytes,
    ) -> Document {
        // The separator before the very first row would stand where the head ends: it is never sent.
        let separator = served.form(which).separator().min(head.len());
        let (mut at, mut records) = ((head.len() - separator) as u64, 0);
        let mut members = Vec::with_capacity(numbers.len());
        for number in numbers {
            let people = served.people.of(&number).len();
            if people > 0 {
                let length = served.shape(which, &number).map_or(0, Shape::len);
                members.push((number, at));
                records += people as u64;
                at += length;
            }
        }
        let rows_end = at.max(head.len() as u64); // without rows there is no separator
        Document { served, which, members, head, tail, rows_end, records }
    }

    /// Its bytes.
    pub fn len(&self) -> u64 {
        self.rows_end + self.tail.len() as u64
    }

    /// A digest of all its bytes.
    pub fn digest(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        hash.update(&self.head);
        for (number, _) in &self.members {
            hash.update(self.served.shape(self.which, number).map(|shape| shape.digest).unwrap_or_default());
        }
        hash.update(&self.tail);
        hash.finalize().into()
    }

    /// Some of its bytes, to be sent; counted as they are.
    pub fn slice(self, range: Range<u64>, counter: Counter) -> Slice {
        let end = range.end.min(self.len());
        Slice { at: range.start.min(end), end, document: self, block: Vec::new(), counter }
    }
}

/// A part of a document on its way.
pub struct Slice {
    document: Document,
    at: u64,
    end: u64,
    /// The rows made last, kept for their memory.
    block: Vec<u8>,
    counter: Counter,
}

impl Slice {
    /// The next piece; none at the end.
    fn piece(&mut self) -> Option<Bytes> {
        let left = usize::try_from(self.end - self.at).unwrap_or(usize::MAX);
        let mut piece = Vec::with_capacity(left.min(PIECE + PIECE / 2));
        while piece.len() < PIECE && self.at < self.end {
            let before = piece.len();
            self.segment(&mut piece)?;
            if piece.len() == before {
                return None; // the shape does not fit the people: cannot be, and must not go on for ever
            }
        }
        (!piece.is_empty()).then(|| piece.into())
    }

    /// Puts what stands where we are to a piece, up to the end of a block at most.
    fn segment(&mut self, piece: &mut Vec<u8>) -> Option<()> {
        let Slice { document, at, end, block, .. } = self;
        let head = document.head.len() as u64;
        let (text, begins): (&[u8], u64) = if *at < head {
            (&document.head, 0)
        } else if *at >= document.rows_end {
            (&document.tail, document.rows_end)
        } else {
            let place = document.members.partition_point(|(_, begins)| begins <= at).checked_sub(1)?;
            let (number, begins) = &document.members[place];
            let ends = &document.served.shape(document.which, number)?.ends;
            let nth = ends.partition_point(|end| end + begins <= *at);
            let block_begins = nth.checked_sub(1).map_or(0, |before| ends[before]) + begins;
            let people = document.served.people.of(number).chunks(BLOCK).nth(nth)?;
            let form = document.served.form(document.which);
            block.clear();
            write_people(form, block, &document.served.people, number, people);
            (block, block_begins)
        };
        let from = usize::try_from(*at - begins).ok()?;
        let to = usize::try_from(*end - begins).unwrap_or(usize::MAX).min(text.len());
        piece.extend_from_slice(text.get(from..to)?);
        *at = begins + to as u64;
        Some(())
    }
}

impl Body for Slice {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let piece = self.piece();
        if let Some(piece) = &piece {
            self.counter.inc_by(piece.len() as u64);
        }
        Poll::Ready(piece.map(|piece| Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.at >= self.end
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.end - self.at)
    }
}
