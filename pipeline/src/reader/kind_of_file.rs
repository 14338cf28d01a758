//! What came instead of an exchange file (F01): so that the sender is told what to do, not only that
//! it cannot be read.
//!
//! Promise: looks at the first [`LOOKED_AT`] bytes only. What it gives are keys of `details.csv`.

use super::item::printable;

/// Bytes that are looked at, and shown at most.
const LOOKED_AT: usize = 4096;
const SHOWN: usize = 20;

/// How files of other kinds begin.
const SIGNATURES: [(&[u8], &str); 11] = [
    (b"PK\x03\x04", "zip_file"),
    (b"PK\x05\x06", "zip_file"), // an empty one
    (b"\xd0\xcf\x11\xe0", "old_office_file"),
    (b"\xef\xbb\xbf", "utf8_bom"),
    (b"\xff\xfe", "utf16"),
    (b"\xfe\xff", "utf16"),
    (b"%PDF", "pdf_file"),
    (b"\x1f\x8b", "gzip_file"),
    (b"7z\xbc\xaf\x27\x1c", "seven_zip_file"),
    (b"<", "html_file"),
    (b"{\\rtf", "rtf_file"),
];

/// What the bytes of a file that does not begin with a control record are: a detail of F01.
pub(super) fn kind_of_file(bytes: &[u8]) -> String {
    let start = &bytes[..bytes.len().min(LOOKED_AT)];
    let signature = SIGNATURES.iter().find(|(signature, _)| start.starts_with(signature));
    let key = match signature {
        _ if start.is_empty() => "empty",
        _ if start.iter().all(|b| matches!(b, b' ' | b'\t' | b'\r' | b'\n' | 0x1a)) => "blank",
        _ if start.iter().all(|b| *b == 0) => "nul_bytes",
        Some((_, key)) => key,
        // The archiver of the PC-98 days, still in use between offices.
        None if start.get(2..5) == Some(b"-lh") && start.get(6) == Some(&b'-') => "lzh_file",
        None if every_second_is_nul(start) => "utf16",
        None => return format!("no_control_record:{}", printable(&start[..start.len().min(SHOWN)])),
    };
    key.to_owned()
}

/// ASCII as UTF-16 without a byte order mark, in either order.
fn every_second_is_nul(start: &[u8]) -> bool {
    let (pairs, _) = start[..start.len().min(64)].as_chunks::<2>();
    pairs.len() > 1
        && (pairs.iter().all(|[a, b]| *a != 0 && *b == 0) || pairs.iter().all(|[a, b]| *a == 0 && *b != 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds() {
        let utf16 = |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
        let big: Vec<u8> = "1,1,0".encode_utf16().flat_map(u16::to_be_bytes).collect();
        for (bytes, key) in [
            (&b""[..], "empty"),
            (b" \r\n\n \x1a", "blank"),
            (&[0; 9000], "nul_bytes"),
            (b"PK\x03\x04\x14\0", "zip_file"),
            (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "old_office_file"),
            (b"\xef\xbb\xbf1,1,0,1,531", "utf8_bom"),
            (b"\xff\xfe1\0,\0", "utf16"),
            (b"\xfe\xff\x001\0,", "utf16"),
            (&utf16("1,1,0,1,531,,142018"), "utf16"),
            (&big, "utf16"),
            (b"%PDF-1.7", "pdf_file"),
            (b"\x1f\x8b\x08", "gzip_file"),
            (b"7z\xbc\xaf\x27\x1c", "seven_zip_file"),
            (b"\x21\x37-lh5-\x10", "lzh_file"),
            (b"<!DOCTYPE html>", "html_file"),
            (b"{\\rtf1", "rtf_file"),
            (b"2,1,5311,\r\n", "no_control_record:2,1,5311,\\r\\n"),
            (b"2", "no_control_record:2"),
            (b"\x001", "no_control_record:\\u{0}1"),
        ] {
            assert_eq!(kind_of_file(bytes), key, "{bytes:x?}");
        }
    }
}
