//! A file that is hashed while it is written, so that nobody has to read it again for that.

use crate::disk;
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{BufWriter, Result, Write};

/// Bytes gathered before they are written.
const BUFFER_BYTES: usize = 1 << 16;

/// Hashes what passes through to a file.
pub struct Hashing {
    file: BufWriter<File>,
    hash: Sha256,
    bytes: u64,
}

/// What was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hashed {
    /// SHA-256 of the bytes, hex.
    pub sha256: String,
    /// Their number.
    pub bytes: u64,
}

impl Hashing {
    /// Nothing written yet.
    pub fn new(file: File) -> Hashing {
        Hashing { file: BufWriter::with_capacity(BUFFER_BYTES, file), hash: Sha256::new(), bytes: 0 }
    }

    /// Writes out what is still gathered; what came of it so far. Nothing is synced.
    ///
    /// # Errors
    /// The disk says no.
    pub fn finish(&mut self) -> Result<Hashed> {
        self.file.flush()?;
        Ok(Hashed { sha256: disk::hex(&self.hash.finalize_reset()), bytes: self.bytes })
    }

    /// The file.
    pub fn file(&self) -> &File {
        self.file.get_ref()
    }
}

impl Write for Hashing {
    fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        let written = self.file.write(bytes)?;
        self.hash.update(&bytes[..written]);
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> Result<()> {
        self.file.flush()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a test may fail loudly
mod tests {
    use super::*;
    use crate::archive::hash_file;

    #[test]
    fn the_hash_is_that_of_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        for bytes in [0, 1, BUFFER_BYTES - 1, BUFFER_BYTES, 3 * BUFFER_BYTES + 7] {
            let mut writer = Hashing::new(File::create(&path).unwrap());
            for part in vec![7; bytes].chunks(1_000) {
                writer.write_all(part).unwrap();
            }
            let hashed = writer.finish().unwrap();
            assert_eq!(hashed, Hashed { sha256: hash_file(&path).unwrap(), bytes: bytes as u64 });
        }
    }
}
