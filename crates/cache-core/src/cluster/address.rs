//! Where a node listens: host and port.

use std::fmt;

/// Longest host, in bytes: that of a name in the DNS, as text.
pub const MAX_HOST: usize = 253;

/// A host and a port. An empty host stands for the host that was asked (see [`Address::behind`]).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address {
    host: Box<str>,
    port: u16,
}

impl Address {
    /// An address. The host is a name or an IP address without brackets, in any case; it may be empty. `None` if it is
    /// neither, or if the port is 0.
    #[must_use]
    pub fn new(host: &[u8], port: u16) -> Option<Self> {
        if port == 0 || host.len() > MAX_HOST || !host.iter().copied().all(is_of_host) {
            return None;
        }
        let host = std::str::from_utf8(host).ok()?.to_ascii_lowercase().into();
        Some(Self { host, port })
    }

    /// Reads `host:port`. An IPv6 address may have brackets or none: the port follows the last colon.
    #[must_use]
    pub fn parse(text: &[u8]) -> Option<Self> {
        let colon = memchr::memrchr(b':', text)?;
        let (host, port) = (text.get(..colon)?, text.get(colon + 1..)?);
        if port.is_empty() || !port.iter().all(u8::is_ascii_digit) {
            return None;
        }
        let port = std::str::from_utf8(port).ok()?.parse().ok()?;
        let host = match host {
            [b'[', inside @ .., b']'] if !inside.is_empty() => inside,
            host => host,
        };
        Self::new(host, port)
    }

    /// The host; an IPv6 address has no brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// A number that stands for it where there is no room for text. It is never 0. Two addresses may have the same.
    #[must_use]
    pub fn tag(&self) -> u64 {
        // FNV-1a
        let bytes = self.host.bytes().chain(self.port.to_be_bytes());
        let hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        hash | 1
    }

    /// The address itself, or, if it names no host, the same port of the host that was asked.
    #[must_use]
    pub fn behind(self, asked: &Address) -> Self {
        if self.host.is_empty() {
            Self {
                host: asked.host.clone(),
                port: self.port,
            }
        } else {
            self
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// Bytes of names and IP addresses. `%` begins the zone of a link-local IPv6 address.
const fn is_of_host(byte: u8) -> bool {
    matches!(byte, b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b':' | b'%')
}
