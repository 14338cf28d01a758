//! What download addresses begin with.
//!
//! Promise: an address never has more characters than the interface allows (`presigned_url`); that is checked before
//! anything is served. Of what a request says only a plain host gets into one.

use crate::khs::settings::KhsSettings;
use anyhow::{Context, bail};
use std::fmt::Write;
use std::net::SocketAddr;
use tsumiage_schemas::khs::Field;
use url::Url;

/// Characters of `?by=…&until=…&sig=…` at most: a number of 6 digits, seconds of 11, 32 bytes in base64.
const QUERY_LENGTH: usize = "?by=".len() + 6 + "&until=".len() + 11 + "&sig=".len() + 43;

/// What download addresses begin with.
#[derive(Clone, Debug)]
pub struct Bases {
    /// The operator's.
    public: Option<String>,
    scheme: &'static str,
    /// Where we listen: for requests that name no host, or none that can stand in an address. None if that is every
    /// address of the machine, which nobody could open.
    own: Option<String>,
    /// Characters that are left for a beginning.
    room: usize,
}

impl Bases {
    /// Of a server at this address; `url` is the field that addresses go into.
    ///
    /// # Errors
    /// `--public-url` is none, or addresses would be longer than the field.
    pub fn new(
        public: Option<&str>,
        tls: bool,
        own: SocketAddr,
        settings: &KhsSettings,
        url: &Field,
    ) -> anyhow::Result<Bases> {
        let rest = settings.file_path.len() + "/141003".len() + QUERY_LENGTH;
        let room = url.length.saturating_sub(rest);
        let scheme = if tls { "https" } else { "http" };
        let public = public.map(checked).transpose()?;
        let own = (!own.ip().to_canonical().is_unspecified()).then(|| format!("{scheme}://{own}"));
        let longest = public.as_ref().or(own.as_ref()).map_or(0, String::len);
        if longest > room {
            bail!(
                "download addresses would have {} characters, but {} may have at most {}: shorten --public-url or \
                 khs.file_path",
                longest + rest,
                url.name,
                url.length
            );
        }
        Ok(Bases { public, scheme, own, room })
    }

    /// The beginning for a request that names this host; none if there is none that somebody could open.
    pub fn of(&self, host: Option<&[u8]>) -> Option<String> {
        if let Some(public) = &self.public {
            return Some(public.clone());
        }
        let mut base = String::new();
        if let Some(host) = host.and_then(plain_host) {
            let _ = write!(base, "{}://{host}", self.scheme); // a text takes everything
        }
        if base.is_empty() || base.len() > self.room { self.own.clone() } else { Some(base) }
    }
}

/// `--public-url` without a slash at its end.
fn checked(text: &str) -> anyhow::Result<String> {
    let wrong = || format!("--public-url {text:?} must be an address like https://khs.example.jp");
    let url = Url::parse(text).with_context(wrong)?;
    let plain = matches!(url.scheme(), "http" | "https")
        && url.has_host()
        && url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none()
        && text.bytes().all(|b| b.is_ascii_graphic() && !matches!(b, b'"' | b'\\' | b'<' | b'>'));
    if !plain {
        bail!("{}, without user, query and fragment", wrong());
    }
    Ok(text.trim_end_matches('/').to_owned())
}

/// The host a request names, if it is a name or address, with or without a port, and nothing else.
fn plain_host(host: &[u8]) -> Option<&str> {
    let host = std::str::from_utf8(host).ok()?;
    let (name, port) = match host.strip_prefix('[') {
        Some(rest) => {
            let (address, port) = rest.split_once(']')?;
            address.parse::<std::net::Ipv6Addr>().ok()?;
            (None, port.strip_prefix(':').or(port.is_empty().then_some("0"))?)
        }
        None => {
            let (name, port) = host.split_once(':').unwrap_or((host, "0"));
            (Some(name), port)
        }
    };
    let label = |label: &str| {
        let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
        (1..=63).contains(&label.len()) && label.bytes().all(plain)
    };
    let named = name.is_none_or(|name| name.split('.').all(label));
    let digits = !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit());
    (named && digits && port.parse::<u16>().is_ok()).then_some(host)
}

#[cfg(test)]
mod tests {
    use super::super::signing::Signer;
    use super::*;
    use tsumiage_schemas::Spec;
    use tsumiage_schemas::khs::name;

    const PATH: &str = "/khs-api/file/141003";

    #[test]
    fn only_plain_hosts_stand_in_addresses() {
        for good in ["localhost", "127.0.0.1:8080", "khs.example.jp", "[::1]:443", "[2001:db8::1]", "a_b:1"] {
            assert_eq!(plain_host(good.as_bytes()), Some(good));
        }
        for bad in [
            "", ":80", "a:", "a:x", "a:99999", "a/b", "a@b", "a b", "a..b", "[::1", "[x]", "[::1]x", "a?b",
            "あ", "a:1:2", "[::1]:",
        ] {
            assert_eq!(plain_host(bad.as_bytes()), None, "{bad}");
        }
        assert_eq!(plain_host(b"\xff"), None);
    }

    #[test]
    fn addresses_fit_into_their_field() {
        let spec = Spec::embedded().unwrap();
        let url = spec.khs.file_response.field(name::URL).unwrap();
        let (settings, own) = (KhsSettings::default(), "127.0.0.1:8080".parse().unwrap());
        let new = |public: Option<&str>| Bases::new(public, false, own, &settings, url);
        let address = |base: String| {
            let signer = Signer::new(&[7; 32]).unwrap();
            base + PATH + &signer.query(PATH, "141003", 99_999_999_999, "00c0ffee")
        };
        let base = |bases: &Bases, host: Option<&[u8]>| bases.of(host).unwrap();
        let bases = new(None).unwrap();
        assert_eq!(base(&bases, Some(b"khs.example.jp:81")), "http://khs.example.jp:81");
        for host in [None, Some(&b"a/b"[..]), Some("a.".repeat(100).as_bytes()), Some(&[b'a'; 150])] {
            assert_eq!(base(&bases, host), "http://127.0.0.1:8080");
        }
        let label = format!("{}.{}", "a".repeat(50), "b".repeat(30));
        let longest = address(base(&bases, Some(label.as_bytes())));
        assert!(longest.len() <= 200 && longest.contains("aaa"), "{longest}");
        let public = new(Some("https://khs.example.jp/")).unwrap();
        assert_eq!(base(&public, Some(b"evil.example")), "https://khs.example.jp");
        for every in ["0.0.0.0:8080", "[::]:8080", "[::ffff:0.0.0.0]:8080"] {
            let bases = Bases::new(None, false, every.parse().unwrap(), &settings, url).unwrap();
            assert_eq!(base(&bases, Some(b"khs.example.jp")), "http://khs.example.jp");
            assert_eq!((bases.of(None), bases.of(Some(b"a/b"))), (None, None), "nobody can open {every}");
        }
        let error = new(Some(&format!("https://{}.jp", "a.".repeat(60)))).unwrap_err().to_string();
        assert!(error.contains("at most 200"), "{error}");
        for wrong in ["khs.example.jp", "ftp://x", "https://x?a=b", "https://u:p@x", "https://x#f", ""] {
            assert!(new(Some(wrong)).is_err(), "{wrong}");
        }
    }
}
