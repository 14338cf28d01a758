//! What benchmarks and fuzz targets see of the inside: what steps of reading cost, and ways of reading held against
//! each other.

use super::masks::{BLOCK, Masks};
use super::parts::Cut;
use super::split::{Splitter, whole};
use super::{Compiled, FileReport, ReadOptions, read_cut};
use arrow::array::RecordBatch;
use std::convert::Infallible;
use tsumiage_schemas::FactTable;

/// Commas, quotes and line feeds of a file, found as the scanner finds them.
pub fn separators(bytes: &[u8]) -> usize {
    let count = |start| {
        let masks = Masks::at(bytes, start);
        (masks.commas | masks.quotes | masks.feeds).count_ones() as usize
    };
    (0..bytes.len()).step_by(BLOCK).map(count).sum()
}

/// Items of a file that say something, found and not looked at.
pub fn items(bytes: &[u8]) -> usize {
    let mut splitter = Splitter::new(bytes);
    let mut items = 0;
    while splitter.advance().is_some() {
        items += splitter.items().given().len();
    }
    items
}

/// Finds the records of a file by masks and byte by byte.
///
/// # Errors
/// What differs.
pub fn compare_walks(bytes: &[u8]) -> Result<(), String> {
    let bytes = whole(bytes, &mut |_, _| ());
    let (mut by_masks, mut by_bytes) = (Splitter::new(bytes), Splitter::new(bytes));
    while let Some(record) = by_masks.advance() {
        let other = by_bytes.advance_by_bytes();
        let (items, others) = (by_masks.items(), by_bytes.items());
        let alike = (0..items.len() + 2).all(|column| {
            items.raw(column) == others.raw(column) && items.offset(column) == others.offset(column)
        });
        if record != other || items.span() != others.span() || items.given() != others.given() || !alike {
            return Err(format!("{:?}: {record:?} and {other:?}", items.span()));
        }
    }
    if by_bytes.next() < bytes.len() {
        return Err("records are left".to_owned());
    }
    Ok(())
}

/// The report and batches of a file.
type Read = (FileReport, Vec<(FactTable, RecordBatch)>);

/// Reads a file in one pass and in parts of about so many bytes, which hold so many rows together.
///
/// # Errors
/// What differs; of a rejected file only the report is compared.
pub fn compare_parts(
    file: &[u8],
    compiled: &Compiled,
    options: &ReadOptions,
    (bytes, rows): (usize, usize),
) -> Result<(), String> {
    let read = |cut| -> Read {
        let mut batches = Vec::new();
        let mut sink = |table, batch| {
            batches.push((table, batch));
            Ok::<_, Infallible>(())
        };
        let Ok(report) = read_cut(cut, file, compiled, options, &mut sink);
        (report, batches)
    };
    let (one, parts) = (read(None), read(Some(Cut { bytes, rows, ahead: 3 })));
    if one.0 != parts.0 {
        return Err(format!("{:#?} and {:#?}", one.0, parts.0));
    }
    if !one.0.file_rejected && one.1 != parts.1 {
        let rows = |read: &Read| read.1.iter().map(|(_, batch)| batch.num_rows()).collect::<Vec<_>>();
        return Err(format!("batches of {:?} and {:?} rows", rows(&one), rows(&parts)));
    }
    Ok(())
}
