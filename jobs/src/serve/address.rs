//! Where to serve: `127.0.0.1:9464`, `[::1]:9464`, or `:9464` for every address of the machine.

use std::fmt;
use std::io::{Error, ErrorKind, Result};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::str::FromStr;

/// An address to serve on; port 0 lets the system choose one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Address {
    /// One address of this machine, or all of its family.
    One(SocketAddr),
    /// Every address of this machine, IPv4 and IPv6.
    Every(u16),
}

/// Something else than an address to serve on.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("wanted is an address with a port, such as 127.0.0.1:9464, [::1]:9464 or :9464 for every address")]
pub struct NoAddress;

impl FromStr for Address {
    type Err = NoAddress;
    fn from_str(text: &str) -> std::result::Result<Address, NoAddress> {
        let digits = |port: &&str| !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit());
        match text.strip_prefix(':').filter(digits) {
            Some(port) => port.parse().map(Address::Every).map_err(|_| NoAddress),
            None => text.parse().map(Address::One).map_err(|_| NoAddress),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::One(address) => address.fmt(f),
            Address::Every(port) => write!(f, ":{port}"),
        }
    }
}

impl Address {
    /// Begins to listen there.
    ///
    /// # Errors
    /// Another program has the port, the address is not this machine's, or the port is not ours to take.
    pub fn listen(self) -> Result<TcpListener> {
        let listener = match self {
            Address::One(address) => TcpListener::bind(address),
            Address::Every(port) => match TcpListener::bind((Ipv6Addr::UNSPECIFIED, port)) {
                Err(error) if error.kind() == ErrorKind::AddrInUse => Err(error),
                Err(_) => TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)), // a machine without IPv6
                listener => listener,
            },
        };
        let advice = |error: &Error| match error.kind() {
            ErrorKind::AddrInUse => ": another program has this port, choose another",
            ErrorKind::AddrNotAvailable => ": this machine has no such address",
            ErrorKind::PermissionDenied => ": choose a port above 1023",
            _ => "",
        };
        listener.map_err(|e| Error::new(e.kind(), format!("cannot serve on {self}: {e}{}", advice(&e))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_as_operators_write_them() {
        for text in ["127.0.0.1:9464", "[::1]:9464", ":9464", "0.0.0.0:0", "[::]:9464"] {
            assert_eq!(text.parse::<Address>().unwrap().to_string(), text);
        }
        for text in [
            "",
            ":",
            "9464",
            "127.0.0.1",
            "::1",
            ":70000",
            ":+80",
            ": 80",
            "localhost:",
            "a:1",
            "127.0.0.1:65536",
        ] {
            assert!(text.parse::<Address>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_port_that_is_taken_is_said() {
        let first = Address::from_str("127.0.0.1:0").unwrap().listen().unwrap();
        let taken = Address::One(first.local_addr().unwrap());
        let error = taken.listen().unwrap_err().to_string();
        assert!(error.contains(&taken.to_string()) && error.contains("another program"), "{error}");
        let not_here = Address::from_str("192.0.2.1:0").unwrap().listen().unwrap_err().to_string();
        assert!(not_here.contains("192.0.2.1:0") && not_here.contains("no such address"), "{not_here}");
    }

    #[test]
    fn every_address_is_reached_by_ipv4() {
        let listener = Address::Every(0).listen().unwrap();
        let port = listener.local_addr().unwrap().port();
        std::net::TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
    }
}
