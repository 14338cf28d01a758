//! Any bytes as the control record of a file that is good otherwise.
#![no_main]

const BODY: &[u8] = b"\r\n2,2,5311,20260910,1,01,142018,0000000001\r\n3,3\r\n";

libfuzzer_sys::fuzz_target!(|control: &[u8]| {
    let report = tsumiage_fuzz::check(&[control, BODY].concat());
    if !report.file_rejected && !control.contains(&b'\n') {
        let control = report.control;
        assert_eq!((control.record_count, control.data_type.as_deref()), (Some(report.records), Some("531")));
        assert!(control.processing_month.is_some());
        assert!(control.sender_no.is_some() || control.sender_insurer_no.is_none());
    }
});
