//! Random ledgers for the comparison of the production fold with the oracle.
//!
//! Promise: a ledger depends on its seed and size alone; every record is legal by the layouts, so that the
//! reader accepts all of them; stacking faults of every kind (S01–S06, S10, S11, S14) are frequent.

mod bytes;
mod items;
mod person;
mod rng;
#[cfg(test)]
mod tests;
mod unions;

use crate::oracle::{Date, FileFact, RecordFact, Ym};
pub use bytes::{to_exchange_bytes, write_into};
use person::Slot;
pub use rng::Rng;
pub use unions::{UNION_PROCESSING_MONTHS, union_ledger};

/// Stand-alone insurers; the same insured numbers occur at each of them.
pub const INSURERS: [&str; 3] = ["141003", "142018", "143014"];

/// First and last processing month of a ledger.
pub const PROCESSING_MONTHS: (Ym, Ym) = (202604, 202611);

/// Service months worth publishing: the first is before every movement date drawn.
pub const SERVICE_MONTHS: (Ym, Ym) = (202603, 202612);

/// Take-in days of a processing month per insurer, and files per day.
const DAYS: usize = 2;
const FILES_PER_DAY: usize = 2;

/// A ledger of `streams` people with 1 to 12 records each, over three insurers and eight processing
/// months. Files are in no particular order; record numbers are final, `hash` stands for the real one
/// (64 digits, distinct) until the files are rendered. Files without records are left out.
pub fn ledger(seed: u64, streams: usize) -> Vec<FileFact> {
    let mut rng = Rng::new(seed);
    let mut files: Vec<Vec<FileFact>> = INSURERS.iter().map(|no| empty_files(&mut rng, no)).collect();
    for stream in 0..streams {
        let insurer = stream % INSURERS.len();
        for (slot, record) in person::records(&mut rng, INSURERS[insurer], &insured_no(stream)) {
            files[insurer][slot].records.push(record);
        }
    }
    let mut files: Vec<FileFact> = files.into_iter().flatten().collect();
    files.retain(|file| !file.records.is_empty());
    rng.shuffle(&mut files);
    for (at, file) in files.iter_mut().enumerate() {
        // The number keeps names apart, the letters before it keep their order away from that of the records.
        file.name = format!("{:04X}{at:04}.CSV", rng.below(0x1_0000));
        file.hash = format!("{:016x}{:048x}", rng.bits(), at);
        rng.shuffle(&mut file.records);
        number(&mut file.records);
    }
    files
}

/// People of different insurers share their numbers; every tenth number begins with H.
fn insured_no(stream: usize) -> String {
    let person = stream / INSURERS.len() + 1;
    if person.is_multiple_of(10) { format!("H{person:09}") } else { format!("{person:010}") }
}

/// The control record is 1.
fn number(records: &mut [RecordFact]) {
    for (at, record) in records.iter_mut().enumerate() {
        record.record_no = at as i64 + 2;
    }
}

/// The files of one insurer in the order of application: each [`Slot`] is one of them.
fn empty_files(rng: &mut Rng, insurer_no: &str) -> Vec<FileFact> {
    let mut files = Vec::new();
    for processing_month in PROCESSING_MONTHS.0..=PROCESSING_MONTHS.1 {
        // Files may come in the month before their processing month and after its end.
        let first_day: Date = rng.pick(&[(processing_month - 1) * 100 + 28, processing_month * 100 + 5]);
        let second_day: Date = rng.pick(&[processing_month * 100 + 20, (processing_month + 1) * 100 + 3]);
        for taken_in_on in [first_day, second_day] {
            for _ in 0..FILES_PER_DAY {
                files.push(empty_file(Some(insurer_no.to_owned()), processing_month, taken_in_on));
            }
        }
    }
    files
}

fn empty_file(sender_no: Option<String>, processing_month: Ym, taken_in_on: Date) -> FileFact {
    let (name, hash) = (String::new(), String::new());
    FileFact {
        name,
        hash,
        sender_no,
        processing_month,
        taken_in_on,
        records: Vec::new(),
        registry: Vec::new(),
    }
}

/// Number of [`Slot`]s.
fn slots() -> Slot {
    (PROCESSING_MONTHS.1 - PROCESSING_MONTHS.0 + 1) as usize * DAYS * FILES_PER_DAY
}

/// The processing month of a slot.
fn processing_month(slot: Slot) -> Ym {
    PROCESSING_MONTHS.0 + (slot / (DAYS * FILES_PER_DAY)) as Ym
}

/// A slot of the same day, perhaps the same one.
fn same_day(rng: &mut Rng, slot: Slot) -> Slot {
    slot / FILES_PER_DAY * FILES_PER_DAY + rng.below(FILES_PER_DAY)
}
