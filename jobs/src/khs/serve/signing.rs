//! The signature that makes a download address good for one insurer's file, one requester and a short time.
//!
//! Promise: it is HMAC-SHA-256 over method, path, requester and end, checked in constant time.

use anyhow::{Context, bail};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use std::path::Path;

/// A key has so many bytes at least.
const KEY_BYTES: usize = 32;

/// Signs download addresses.
#[derive(Clone)]
pub struct Signer(Hmac<Sha256>);

impl Signer {
    /// With the key of a file: its bytes, without a line end behind them.
    ///
    /// # Errors
    /// The file cannot be read or is too short.
    pub fn of_file(path: &Path) -> anyhow::Result<Signer> {
        let bytes = std::fs::read(path).with_context(|| format!("{}: signing key", path.display()))?;
        let key = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
        let key = key.strip_suffix(b"\r").unwrap_or(key);
        if key.len() < KEY_BYTES {
            let path = path.display();
            bail!("{path}: the signing key has {} bytes; at least {KEY_BYTES} are needed", key.len());
        }
        Signer::new(key)
    }

    /// With a key of its own that nobody knows.
    ///
    /// # Errors
    /// The system gives no random bytes.
    pub fn random() -> anyhow::Result<Signer> {
        let mut key = [0; KEY_BYTES];
        getrandom::fill(&mut key)?;
        Signer::new(&key)
    }

    /// With this key.
    ///
    /// # Errors
    /// None: a key of any length will do.
    pub(super) fn new(key: &[u8]) -> anyhow::Result<Signer> {
        Ok(Signer(Hmac::new_from_slice(key)?))
    }

    fn over(&self, path: &str, by: &str, until: &str) -> Hmac<Sha256> {
        let mut mac = self.0.clone();
        for part in ["GET", path, by, until] {
            mac.update(part.as_bytes());
            mac.update(b"\n"); // in none of the parts
        }
        mac
    }

    /// The query that makes a path good for a requester until then (seconds since 1970).
    pub fn query(&self, path: &str, by: &str, until: u64) -> String {
        let until = until.to_string();
        let signature = self.over(path, by, &until).finalize().into_bytes();
        format!("?by={by}&until={until}&sig={}", BASE64_URL_SAFE_NO_PAD.encode(signature))
    }

    /// Who may download by this path and query at this time (seconds since 1970), if anybody.
    pub fn requester<'q>(&self, path: &str, query: &'q str, now: u64) -> Option<&'q str> {
        let (mut by, mut until, mut sig) = (None, None, None);
        for pair in query.split('&') {
            let (name, value) = pair.split_once('=')?;
            let place = match name {
                "by" => &mut by,
                "until" => &mut until,
                "sig" => &mut sig,
                _ => return None,
            };
            if place.replace(value).is_some() {
                return None;
            }
        }
        let (by, until) = (by?, until?);
        let sig = BASE64_URL_SAFE_NO_PAD.decode(sig?).ok()?;
        self.over(path, by, until).verify_slice(&sig).ok()?;
        (now < until.parse().ok()?).then_some(by)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATH: &str = "/khs-api/file/141003";

    #[test]
    fn an_address_is_good_for_one_path_one_requester_and_a_time() {
        let signer = Signer::new(&[7; 32]).unwrap();
        let query = signer.query(PATH, "141003", 1_000);
        let query = query.strip_prefix('?').unwrap();
        assert_eq!(signer.requester(PATH, query, 999), Some("141003"));
        assert_eq!(signer.requester(PATH, query, 1_000), None, "expired");
        assert_eq!(signer.requester("/khs-api/file/142018", query, 0), None);
        assert_eq!(Signer::new(&[8; 32]).unwrap().requester(PATH, query, 0), None);
        let twice = format!("{query}&by=141003");
        for other in [
            query.replace("by=141003", "by=142018"),
            query.replace("until=1000", "until=1001"),
            query.replace("until=1000", "until=01000"),
            query[..query.len() - 1].to_owned(),
            format!("{query}&x=1"),
            twice,
            String::new(),
            "by=141003&until=1000".to_owned(),
            "by=141003&until=1000&sig=".to_owned(),
            "by=141003&until=1000&sig=!".to_owned(),
        ] {
            assert_eq!(signer.requester(PATH, &other, 0), None, "{other}");
        }
    }
}
