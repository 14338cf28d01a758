//! The signature that makes a download address good for one insurer's file, one requester's token and a short time.
//!
//! Promise: it is HMAC-SHA-256 over method, path, requester, end and the token's id, which is not in the address; it is
//! checked in constant time.

use crate::khs::tokens::is_insurer_no;
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

    fn over(&self, path: &str, by: &str, until: &str, token_id: &str) -> Hmac<Sha256> {
        let mut mac = self.0.clone();
        for part in ["GET", path, by, until, token_id] {
            mac.update(part.as_bytes());
            mac.update(b"\n"); // in none of the parts
        }
        mac
    }

    /// The query that makes a path good for a requester until then (seconds since 1970), as long as the token is good.
    pub fn query(&self, path: &str, by: &str, until: u64, token_id: &str) -> String {
        let until = until.to_string();
        let signature = self.over(path, by, &until, token_id).finalize().into_bytes();
        format!("?by={by}&until={until}&sig={}", BASE64_URL_SAFE_NO_PAD.encode(signature))
    }

    /// Whether this path and claim were signed for this token.
    pub fn signed(&self, path: &str, claim: &Claim<'_>, token_id: &str) -> bool {
        self.over(path, claim.by, claim.until, token_id).verify_slice(&claim.signature).is_ok()
    }
}

/// What a download address says of itself; nothing of it is to be believed before the signature is checked.
#[derive(Clone, Debug)]
pub struct Claim<'q> {
    /// Who asked for it.
    pub by: &'q str,
    until: &'q str,
    signature: Vec<u8>,
}

impl<'q> Claim<'q> {
    /// That of a query, if it has the form of one.
    pub fn of(query: &'q str) -> Option<Claim<'q>> {
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
        let signature = BASE64_URL_SAFE_NO_PAD.decode(sig?).ok()?;
        Some(Claim { by: by.filter(|by| is_insurer_no(by))?, until: until?, signature })
    }

    /// Whether it is good at this time (seconds since 1970), where addresses are good for so many seconds.
    pub fn is_in_time(&self, now: u64, seconds: u32) -> bool {
        let until = self.until.parse::<u64>();
        until.is_ok_and(|until| now < until && until <= ends(now, seconds))
    }
}

/// The second with which an address ends that is made now and shall be good for so many: the one that has begun does not
/// count.
pub fn ends(now: u64, seconds: u32) -> u64 {
    now.saturating_add(u64::from(seconds)).saturating_add(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATH: &str = "/khs-api/file/141003";

    #[test]
    fn an_address_is_good_for_one_path_one_requester_and_one_token() {
        let signer = Signer::new(&[7; 32]).unwrap();
        let query = signer.query(PATH, "141003", 1_000, "a");
        let query = query.strip_prefix('?').unwrap();
        let signed = |signer: &Signer, path: &str, query: &str, token: &str| {
            Claim::of(query).is_some_and(|claim| signer.signed(path, &claim, token))
        };
        assert!(signed(&signer, PATH, query, "a") && Claim::of(query).unwrap().by == "141003");
        assert!(!signed(&signer, PATH, query, "b"), "another token of the same requester");
        assert!(!signed(&signer, "/khs-api/file/142018", query, "a"));
        assert!(!signed(&Signer::new(&[8; 32]).unwrap(), PATH, query, "a"));
        for other in [
            query.replace("by=141003", "by=142018"),
            query.replace("by=141003", "by=141003%0A"),
            query.replace("until=1000", "until=1001"),
            query.replace("until=1000", "until=01000"),
            query[..query.len() - 1].to_owned(),
            format!("{query}&x=1"),
            format!("{query}&by=141003"),
            String::new(),
            "by=141003&until=1000".to_owned(),
            "by=141003&until=1000&sig=".to_owned(),
            "by=141003&until=1000&sig=!".to_owned(),
        ] {
            assert!(!signed(&signer, PATH, &other, "a"), "{other}");
        }
    }

    #[test]
    fn an_address_is_good_until_it_ends_and_none_is_good_for_longer_than_they_are() {
        let claim =
            |until: &str| Claim { by: "141003", until: &until.to_owned().leak()[..], signature: vec![] };
        assert!(claim("1000").is_in_time(999, 600) && claim("1000").is_in_time(400, 600));
        assert!(!claim("1000").is_in_time(1_000, 600), "it ended");
        assert!(!claim("1000").is_in_time(398, 600), "made with longer url_seconds, or by another clock");
        for odd in ["", "x", "-1", "99999999999999999999"] {
            assert!(!claim(odd).is_in_time(0, 600), "{odd}");
        }
    }
}
