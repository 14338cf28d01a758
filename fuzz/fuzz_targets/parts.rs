//! Any bytes as an exchange file, read in one pass and in parts; the first two bytes say how they are cut.
#![no_main]

use tsumiage_pipeline::reader::ReadOptions;
use tsumiage_pipeline::reader::inside::compare_parts;
use tsumiage_schemas::Day;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let [size, rows, file @ ..] = bytes else { return };
    let (size, rows) = (usize::from(*size), usize::from(*rows));
    let options = ReadOptions { batch_rows: rows % 5 + 1, taken_in_on: Day(20_750), closed_through: None };
    if let Err(difference) = compare_parts(file, &tsumiage_fuzz::COMPILED, &options, (size, rows / 5)) {
        panic!("{difference}");
    }
});
