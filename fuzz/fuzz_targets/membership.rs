//! Any bytes as memberships (5711): every line is a row behind its exchange id, with pairs to its end,
//! in a file whose counts and numbers are right.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let rows: Vec<&[u8]> = bytes.split(|b| *b == b'\n').collect();
    let mut file = format!("1,1,0,{},571,,143014,,,1,202610,0\r\n", rows.len()).into_bytes();
    for (n, row) in rows.iter().enumerate() {
        file.extend_from_slice(format!("2,{},5711,", n + 2).as_bytes());
        file.extend_from_slice(row);
        file.push(b'\n');
    }
    file.extend_from_slice(format!("3,{}\r\n", rows.len() + 2).as_bytes());
    tsumiage_fuzz::check(&file);
});
