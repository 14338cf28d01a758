//! Any bytes as an answer or file of a KHS API, behind a line that says what was asked; and any bytes as that line.
#![no_main]

use tsumiage_pipeline::reader::khs::{Asked, Form, Head};
use tsumiage_schemas::Day;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Some((how, body)) = bytes.split_first() else { return };
    let form = if how & 1 == 0 { Form::Json } else { Form::Csv };
    let asked = Asked {
        insurer_no: (how & 2 == 0).then(|| "141003".to_owned()),
        insured_no: (how & 4 == 0).then(|| "0000000010".to_owned()),
        members: (how & 8 == 0).then(|| vec!["142018".to_owned()]),
    };
    let line = if how & 16 == 0 {
        Head::new(form, asked, Day(20_750), u32::from(*how)).line()
    } else {
        b"{\"khs\":".to_vec()
    };
    tsumiage_fuzz::check(&[&line, body].concat());
});
