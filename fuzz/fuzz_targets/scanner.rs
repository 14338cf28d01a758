//! The scanner against csv-core: same records, same items.
#![no_main]

#[path = "../../pipeline/tests/csv_core/mod.rs"]
mod csv_core_comparison;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Err(difference) = csv_core_comparison::compare(bytes) {
        panic!("{difference}");
    }
});
