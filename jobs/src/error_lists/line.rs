//! Lines of a CSV that a Japanese spreadsheet opens: CP932, CR LF, quoted as the exchange file quotes.
//!
//! Promise: every line is read back as the cells it was made of; no cell is a formula.

use tsumiage_pipeline::legible::Encoder;

/// First characters, half-width and full-width, by which spreadsheets take a cell for a formula.
const FORMULA: [&[u8]; 8] = [b"=", b"+", b"-", b"@", b"\x81\x81", b"\x81\x7b", b"\x81\x7c", b"\x81\x97"];

/// Lines as bytes.
#[derive(Default)]
pub struct Lines {
    bytes: Vec<u8>,
    begun: bool,
    encoder: Encoder,
}

impl Lines {
    /// A line of our own words.
    pub fn texts<T: AsRef<str>>(&mut self, cells: impl IntoIterator<Item = T>) {
        for cell in cells {
            self.text(cell.as_ref());
        }
        self.end();
    }

    /// A cell of our own words.
    pub fn text(&mut self, text: &str) {
        let content = self.encoder.legible(text);
        self.cell(&content);
    }

    /// A cell of CP932 without control characters. One that a spreadsheet would calculate gets an
    /// apostrophe in front; plain numbers stay.
    pub fn cell(&mut self, content: &[u8]) {
        if self.begun {
            self.bytes.push(b',');
        }
        self.begun = true;
        let formula = FORMULA.iter().any(|start| content.starts_with(start)) && !is_number(content);
        let guard: &[u8] = if formula { b"'" } else { b"" };
        if !needs_quotes(content) {
            self.bytes.extend_from_slice(guard);
            return self.bytes.extend_from_slice(content);
        }
        self.bytes.push(b'"');
        self.bytes.extend_from_slice(guard);
        for part in content.split_inclusive(|b| *b == b'"') {
            self.bytes.extend_from_slice(part);
            if part.ends_with(b"\"") {
                self.bytes.push(b'"'); // never the second byte of a character
            }
        }
        self.bytes.push(b'"');
    }

    /// Ends a line; an empty one if it has no cell.
    pub fn end(&mut self) {
        self.bytes.extend_from_slice(b"\r\n");
        self.begun = false;
    }

    /// The lines so far.
    pub fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.bytes)
    }

    /// Bytes of the lines so far.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }
}

/// `-12`, `+3.5`, `7`.
fn is_number(content: &[u8]) -> bool {
    let digits = content.strip_prefix(b"-").or_else(|| content.strip_prefix(b"+")).unwrap_or(content);
    digits.iter().all(|b| b.is_ascii_digit() || *b == b'.')
        && digits.iter().any(u8::is_ascii_digit)
        && digits.iter().filter(|b| **b == b'.').count() <= 1
}

/// Whether a cell holds a comma, quote, space or 2-byte character (domain 1).
fn needs_quotes(content: &[u8]) -> bool {
    content.iter().any(|b| matches!(b, b',' | b'"' | b' ' | 0x80..=0xa0 | 0xe0..))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cell(content: &[u8]) -> Vec<u8> {
        let mut lines = Lines::default();
        lines.cell(content);
        lines.take()
    }

    #[test]
    fn no_cell_is_a_formula() {
        for formula in ["=1+1", "+81-3", "-1-1", "@SUM(A1)", "-", "+.", "-1.2.3", "=7"] {
            assert_eq!(cell(formula.as_bytes()), format!("'{formula}").as_bytes());
        }
        for plain in ["-12", "+3.5", "12", "a=1", "'=1", "", "0000000010", "1-2"] {
            assert_eq!(cell(plain.as_bytes()), plain.as_bytes());
        }
        assert_eq!(cell(b"=HYPERLINK(\"x\")"), b"\"'=HYPERLINK(\"\"x\"\")\"");
        assert_eq!(cell(b"\x81\x81A1"), b"\"'\x81\x81A1\"", "full-width");
    }

    #[test]
    fn lines_as_the_exchange_file_quotes() {
        let mut lines = Lines::default();
        lines.texts(["ｱ", "", "あ", "a b", "a,b", "a\"b"]);
        lines.end();
        assert_eq!(lines.take(), b"\xb1,,\"\x82\xa0\",\"a b\",\"a,b\",\"a\"\"b\"\r\n\r\n");
        assert_eq!(lines.len(), 0);
    }
}
