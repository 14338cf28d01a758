//! Any bytes as an exchange file.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    tsumiage_fuzz::check(bytes);
});
