//! Messages in the order of their partitions become whole sealed files.
//!
//! Promise: of every reading of a file that counts one attempt is given out, whole and once, however often, in
//! whatever order and from how many attempts its messages come: the first attempt that is there with its seal
//! and all batches. Whoever commits the files given out together with [`Assembly::low_watermark`] can begin again
//! there, knowing only what is committed, and neither loses nor doubles a file.

#[cfg(test)]
mod tests;

use super::message::{Header, Kind, NotOurs, SealMessage, Taken};
use crate::log::Seal;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

/// Puts attempts together. `T` says where the value of a batch is kept.
#[derive(Debug)]
pub struct Assembly<T> {
    /// Per partition the offset after the last message seen.
    next: BTreeMap<i32, i64>,
    /// The highest reading of every file that was given out, or was known at the beginning.
    known: BTreeMap<String, u32>,
    /// Attempts that are not whole, by file and attempt; none of a reading that is known.
    open: BTreeMap<String, BTreeMap<String, Open<T>>>,
}

/// An attempt that is not whole.
#[derive(Debug)]
struct Open<T> {
    reading: u32,
    layouts: String,
    /// Per partition the offset of its first message.
    first: BTreeMap<i32, i64>,
    batches: BTreeMap<u32, (Kind, T)>,
    seal: Option<Box<SealMessage>>,
}

/// What became of a message.
#[derive(Debug, PartialEq, Eq)]
#[allow(clippy::large_enum_variant)] // looked at once and gone
pub enum Step<T> {
    /// A batch was kept.
    Kept,
    /// A seal was kept, but batches are missing that should have come before it.
    Waiting,
    /// With it a file is whole.
    Whole(WholeFile<T>),
    /// It is of no use.
    Dropped(Why),
}

/// Why a message was dropped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Why {
    /// Its offset was seen before, or its attempt has that batch or seal.
    Again,
    /// The ledger, or another attempt, has its file in this reading or a higher one.
    Known,
    /// It does not go with the other messages of its attempt.
    Contradicts,
    /// It is no message of this protocol.
    NotOurs(NotOurs),
}

/// A sealed file with all its batches.
#[derive(Debug, PartialEq, Eq)]
pub struct WholeFile<T> {
    /// The seal.
    pub seal: Seal,
    /// What the batches carry and where they are kept, in the order in which they were sent.
    pub batches: Vec<(Kind, T)>,
}

impl<T> Assembly<T> {
    /// Begins at these offsets; a partition that is not named begins at 0.
    pub fn new(next: BTreeMap<i32, i64>) -> Assembly<T> {
        Assembly { next, known: BTreeMap::new(), open: BTreeMap::new() }
    }

    /// Says that a file is known at this reading; lower ones of it, and other attempts, are of no use then.
    pub fn known(&mut self, file_id: &str, reading: u32) {
        let known = self.known.entry(file_id.to_owned()).or_default();
        *known = reading.max(*known);
        if let Entry::Occupied(mut attempts) = self.open.entry(file_id.to_owned()) {
            attempts.get_mut().retain(|_, attempt| attempt.reading > *known);
            if attempts.get().is_empty() {
                attempts.remove();
            }
        }
    }

    /// Takes the next message of a partition. `store` keeps its value; it is called only for a batch that is of
    /// use.
    ///
    /// # Errors
    /// Those of `store`; the message then counts as not seen.
    pub fn take<E>(
        &mut self,
        partition: i32,
        offset: i64,
        taken: Result<Taken, NotOurs>,
        store: impl FnOnce() -> Result<T, E>,
    ) -> Result<Step<T>, E> {
        if offset < self.next(partition) {
            return Ok(Step::Dropped(Why::Again));
        }
        let step = match taken {
            Err(why) => Step::Dropped(Why::NotOurs(why)),
            Ok(Taken::Batch(header)) => self.take_part(partition, offset, &header, None, store)?,
            Ok(Taken::Seal(header, seal)) => self.take_part(partition, offset, &header, Some(seal), store)?,
        };
        self.next.insert(partition, offset.saturating_add(1));
        Ok(step)
    }

    fn take_part<E>(
        &mut self,
        partition: i32,
        offset: i64,
        header: &Header,
        seal: Option<Box<SealMessage>>,
        store: impl FnOnce() -> Result<T, E>,
    ) -> Result<Step<T>, E> {
        let Header { file_id, attempt: id, reading, kind, batch, .. } = header;
        if self.known.get(file_id).is_some_and(|known| known >= reading) {
            return Ok(Step::Dropped(Why::Known));
        }
        if let Some(attempt) = self.open.get(file_id).and_then(|attempts| attempts.get(id))
            && let Some(why) = attempt.refuses(header, seal.as_deref())
        {
            return Ok(Step::Dropped(why));
        }
        // Only after this is anything changed.
        let stored = if seal.is_none() { Some(store()?) } else { None };
        let attempts = self.open.entry(file_id.clone()).or_default();
        let attempt = attempts.entry(id.clone()).or_insert_with(|| Open::new(header));
        attempt.first.entry(partition).or_insert(offset);
        let sealed = seal.is_some();
        attempt.seal = attempt.seal.take().or(seal);
        attempt.batches.extend(stored.map(|stored| (*batch, (*kind, stored))));
        if !attempt.is_whole() {
            return Ok(if sealed { Step::Waiting } else { Step::Kept });
        }
        let whole = attempts.remove(id);
        self.known(file_id, *reading);
        let file = whole.and_then(|Open { seal, batches, .. }| {
            Some(WholeFile { seal: seal?.seal, batches: batches.into_values().collect() })
        });
        Ok(file.map_or(Step::Kept, Step::Whole)) // it is there, and sealed
    }

    /// Per partition the offset to begin again at when all files that were given out are committed: that of the
    /// first message of an attempt that is not whole, else the next.
    pub fn low_watermark(&self) -> BTreeMap<i32, i64> {
        let mut low = self.next.clone();
        for (partition, first) in self.attempts().flat_map(|attempt| &attempt.first) {
            let low = low.entry(*partition).or_insert(*first);
            *low = *first.min(low);
        }
        low
    }

    /// The offset after the last message seen of a partition.
    pub fn next(&self, partition: i32) -> i64 {
        self.next.get(&partition).copied().unwrap_or(0)
    }

    /// Number of attempts that are not sealed.
    pub fn open(&self) -> usize {
        self.attempts().filter(|attempt| attempt.seal.is_none()).count()
    }

    /// Seals that wait for batches. Should the file not come whole in another attempt, it has to be sent again.
    pub fn waiting(&self) -> impl Iterator<Item = &Seal> {
        self.attempts().filter_map(|attempt| Some(&attempt.seal.as_ref()?.seal))
    }

    /// Where the batches of attempts that are not whole are kept, to be put elsewhere; in an order that stays
    /// the same until the next message.
    pub fn kept_mut(&mut self) -> impl Iterator<Item = &mut T> {
        let attempts = self.open.values_mut().flat_map(BTreeMap::values_mut);
        attempts.flat_map(|attempt| attempt.batches.values_mut()).map(|(_, kept)| kept)
    }

    fn attempts(&self) -> impl Iterator<Item = &Open<T>> {
        self.open.values().flat_map(BTreeMap::values)
    }
}

impl<T> Open<T> {
    fn new(header: &Header) -> Open<T> {
        Open {
            reading: header.reading,
            layouts: header.layouts.clone(),
            first: BTreeMap::new(),
            batches: BTreeMap::new(),
            seal: None,
        }
    }

    /// Why a message of the attempt is of no use.
    fn refuses(&self, header: &Header, seal: Option<&SealMessage>) -> Option<Why> {
        if (self.reading, &self.layouts) != (header.reading, &header.layouts) {
            return Some(Why::Contradicts);
        }
        let twice = match seal {
            Some(_) => self.seal.is_some(),
            None => self.batches.contains_key(&header.batch),
        };
        if twice {
            return Some(Why::Again);
        }
        // Batches are numbered from 0, without gaps.
        let batches = seal.or(self.seal.as_deref()).map(|seal| seal.batches);
        let beyond = match seal {
            Some(_) => self.batches.keys().next_back().copied(),
            None => Some(header.batch),
        };
        let fits = batches.is_none_or(|batches| beyond.is_none_or(|number| number < batches));
        (!fits).then_some(Why::Contradicts)
    }

    fn is_whole(&self) -> bool {
        self.seal.as_ref().is_some_and(|seal| u32::try_from(self.batches.len()) == Ok(seal.batches))
    }
}
