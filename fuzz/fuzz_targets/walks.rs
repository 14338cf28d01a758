//! Any bytes: their records and items found by masks and byte by byte.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Err(difference) = tsumiage_pipeline::reader::inside::compare_walks(bytes) {
        panic!("{difference}");
    }
});
