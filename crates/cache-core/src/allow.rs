//! Which clients may do something: a list of addresses, as nginx's `allow` has them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// From where a request comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    /// A socket in the file system.
    Unix,
    /// An address.
    Ip(IpAddr),
    /// Something else.
    Other,
}

/// Who is allowed. By default nobody.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AllowList {
    all: bool,
    unix: bool,
    nets: Vec<Net>,
}

/// A network: its address, and a mask of its bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Net {
    V4(u32, u32),
    V6(u128, u128),
}

/// How an item of a list was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Read {
    /// It is in the list.
    Added,
    /// The same, but its address has bits that its mask takes away.
    Masked,
    /// It is none.
    Unknown,
}

impl AllowList {
    /// Adds an item: `all`, `unix:`, an address, or a network such as `10.0.0.0/8` or `fd00::/8`.
    pub fn add(&mut self, item: &[u8]) -> Read {
        match item {
            b"all" => self.all = true,
            b"unix:" => self.unix = true,
            _ => match Net::parse(item) {
                Some((net, masked)) => {
                    self.nets.push(net);
                    return if masked { Read::Masked } else { Read::Added };
                }
                None => return Read::Unknown,
            },
        }
        Read::Added
    }

    /// Whether it allows this client. An IPv4 address is the same one in its IPv6 form.
    #[must_use]
    pub fn allows(&self, peer: Peer) -> bool {
        self.all
            || match peer {
                Peer::Unix => self.unix,
                Peer::Ip(address) => self.nets.iter().any(|net| net.has(address)),
                Peer::Other => false,
            }
    }
}

impl Net {
    /// The network, and whether its address has bits that aren't its own.
    fn parse(item: &[u8]) -> Option<(Net, bool)> {
        let text = std::str::from_utf8(item).ok()?;
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let bits = bits.map(number);
        if bits == Some(None) {
            return None;
        }
        let bits = bits.flatten();
        match address.parse().ok()? {
            IpAddr::V4(address) => {
                let (address, bits) = (u32::from(address), bits.unwrap_or(32));
                let host = 32_u32.checked_sub(bits)?;
                let mask = u32::MAX.checked_shl(host).unwrap_or(0);
                Some((Net::V4(address & mask, mask), address & !mask != 0))
            }
            IpAddr::V6(address) => {
                let (address, bits) = (u128::from(address), bits.unwrap_or(128));
                let host = 128_u32.checked_sub(bits)?;
                let mask = u128::MAX.checked_shl(host).unwrap_or(0);
                Some((Net::V6(address & mask, mask), address & !mask != 0))
            }
        }
    }

    fn has(&self, address: IpAddr) -> bool {
        match (self, address) {
            (Net::V4(net, mask), IpAddr::V4(address)) => u32::from(address) & mask == *net,
            (Net::V4(net, mask), IpAddr::V6(address)) => {
                let mapped: Option<Ipv4Addr> = Ipv6Addr::to_ipv4_mapped(&address);
                mapped.is_some_and(|address| u32::from(address) & mask == *net)
            }
            (Net::V6(net, mask), IpAddr::V6(address)) => u128::from(address) & mask == *net,
            (Net::V6(..), IpAddr::V4(_)) => false,
        }
    }
}

/// How many bits a mask has: digits alone.
fn number(text: &str) -> Option<u32> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}
