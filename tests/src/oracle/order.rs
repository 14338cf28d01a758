//! domain.md section 3, "Order of application": what recipients and registry have in common.

use super::{Date, FileFact, OracleFinding, Ym};

/// All records of one processing month and take-in day are a batch.
pub(super) type Batch = (Ym, Date);

/// The batch of a file's records.
pub(super) fn batch_of(file: &FileFact) -> Batch {
    (file.processing_month, file.taken_in_on)
}

/// Ties, in every pass: by file name (bytewise), file hash, record number.
pub(super) fn tie(file: &FileFact, record_no: i64) -> (&[u8], &str, i64) {
    (file.name.as_bytes(), file.hash.as_str(), record_no)
}

/// A finding at a record of a file that names nothing further.
pub(super) fn finding(file_hash: &str, record_no: i64, code: &str) -> OracleFinding {
    OracleFinding {
        file_hash: file_hash.to_owned(),
        record_no,
        code: code.to_owned(),
        item: None,
        names: Vec::new(),
    }
}
