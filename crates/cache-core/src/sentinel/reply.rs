//! What Sentinels and servers reply, in RESP2 and RESP3.

use std::net::IpAddr;

use bytes::Bytes;

use super::event::Role;
use crate::resp::{Limits, Push, Reply};

/// Limits of every reply that is read here. INFO and ROLE name all replicas; ROLE has arrays in arrays in an array.
pub const LIMITS: Limits = Limits {
    bulk: 256 << 10,
    line: 8 << 10,
    elements: 4 << 10,
    depth: 4,
};

/// A host and a port, as they were sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// A name or an IP address without brackets.
    pub host: Bytes,
    /// Never 0.
    pub port: u16,
}

impl Endpoint {
    fn new(host: &Bytes, port: &[u8]) -> Option<Self> {
        let port: u16 = number(port)?;
        (!host.is_empty() && port > 0).then(|| Self {
            host: host.clone(),
            port,
        })
    }

    /// Whether both may be one server. A name may stand for any address.
    fn may_be(&self, other: &Self) -> bool {
        let ip = |host: &Bytes| std::str::from_utf8(host).ok()?.parse::<IpAddr>().ok();
        let hosts = ip(&self.host).zip(ip(&other.host));
        self.port == other.port && hosts.is_none_or(|(one, another)| one == another)
    }
}

/// The reply to `SENTINEL GET-MASTER-ADDR-BY-NAME`. `None` if the Sentinel doesn't know the name, or for an error.
#[must_use]
pub fn address(reply: &Reply) -> Option<Endpoint> {
    match reply.elements()? {
        [host, port] => Endpoint::new(host.text()?, port.text()?),
        _ => None,
    }
}

/// The config epoch in the reply to `SENTINEL MASTER`. `None` for an error: a user may lack the permission.
#[must_use]
pub fn config_epoch(reply: &Reply) -> Option<u64> {
    let is_epoch = |key: &Reply| key.text().is_some_and(|key| key == "config-epoch");
    let (_, epoch) = reply.pairs()?.find(|(key, _)| is_epoch(key))?;
    number(epoch.text()?)
}

/// The reply to `SENTINEL REPLICAS`, or before Redis 5 to `SENTINEL SLAVES`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listed {
    /// The healthy replicas.
    Replicas(Vec<Endpoint>),
    /// The Sentinel doesn't know the command by this name.
    Unknown,
    /// It refuses to list them. These are its words.
    Refused(Bytes),
}

/// Reads which replicas of a master are healthy, as a Sentinel sees them. Healthy is one that
///
/// - has none of the flags `s_down`, `o_down` and `disconnected`, and says itself that it is a replica;
/// - follows this master (two hosts are compared if both are IP addresses), and its link to it is up.
#[must_use]
pub fn replicas(reply: &Reply, master: &Endpoint) -> Listed {
    match reply {
        Reply::Error(text) if is_unknown(text) => Listed::Unknown,
        Reply::Error(text) => Listed::Refused(text.clone()),
        other => {
            let all = other.elements().unwrap_or_default().iter();
            Listed::Replicas(all.filter_map(|one| healthy(one, master)).collect())
        }
    }
}

fn healthy(reply: &Reply, master: &Endpoint) -> Option<Endpoint> {
    let field = |name: &str| {
        let (_, value) = reply
            .pairs()?
            .find(|(key, _)| key.text().is_some_and(|key| key == name))?;
        value.text()
    };
    let flags = field("flags")?;
    let mut flags = flags.split(|byte| *byte == b',');
    let is_away = |flag: &[u8]| matches!(flag, b"s_down" | b"o_down" | b"disconnected");
    let is_replica = field("role-reported").is_none_or(|role| named(role) == Role::Replica);
    let is_linked = field("master-link-status")? == "ok";
    if flags.any(is_away) || !is_replica || !is_linked {
        return None;
    }
    let followed = field("master-host").zip(field("master-port"));
    if let Some(followed) = followed.and_then(|(host, port)| Endpoint::new(host, port))
        && !followed.may_be(master)
    {
        return None;
    }
    Endpoint::new(field("ip")?, field("port")?)
}

/// Whether an error says that there is no such command.
fn is_unknown(error: &[u8]) -> bool {
    let words = error.to_ascii_lowercase();
    words.starts_with(b"err unknown ")
}

/// The reply to `ROLE`.
#[must_use]
pub fn role(reply: &Reply) -> Role {
    let role = match reply {
        Reply::Array(Some(elements)) => elements.first().and_then(Reply::text),
        Reply::Error(text) => return denied(text),
        _ => None,
    };
    role.map_or(Role::Unknown, |role| named(role))
}

/// The reply to `INFO replication`.
#[must_use]
pub fn info(reply: &Reply) -> Role {
    let text = match reply {
        Reply::Error(text) => return denied(text),
        other => other.text(),
    };
    let mut lines = text
        .map_or(&b""[..], |text| text)
        .split(|byte| *byte == b'\n');
    let role = lines.find_map(|line| line.strip_prefix(b"role:"));
    role.map_or(Role::Unknown, |role| named(role.trim_ascii_end()))
}

fn named(role: &[u8]) -> Role {
    match role {
        b"master" => Role::Master,
        b"slave" | b"replica" => Role::Replica,
        _ => Role::Unknown,
    }
}

/// A user may lack the permission for a command, and a command may have been renamed.
fn denied(error: &[u8]) -> Role {
    if error.starts_with(b"NOPERM ") || error.starts_with(b"ERR unknown command") {
        Role::Denied
    } else {
        Role::Unknown
    }
}

/// What came on a subscribed connection. RESP2 has arrays for it, RESP3 pushes and, for PONG, a status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// A subscription has begun.
    Subscribed,
    /// The reply to PING.
    Pong,
    /// A message of `+switch-master`: the master of this name has this address.
    Switched {
        /// The name of the master.
        name: Bytes,
        /// Its new address.
        to: Endpoint,
    },
    /// A message of `+slave`, `+sdown` or `-sdown` about a replica of the master of this name.
    Replica {
        /// The name of the master.
        name: Bytes,
    },
    /// Anything else.
    Other,
}

/// Reads what came on a subscribed connection in place of a reply.
#[must_use]
pub fn heard(reply: &Reply) -> Heard {
    match reply {
        Reply::Status(text) if text.eq_ignore_ascii_case(b"PONG") => Heard::Pong,
        Reply::Array(Some(elements)) => heard_elements(elements),
        _ => Heard::Other,
    }
}

/// Reads a push.
#[must_use]
pub fn heard_push(push: &Push) -> Heard {
    heard_elements(&push.0)
}

fn heard_elements(elements: &[Reply]) -> Heard {
    let text = |nth: usize| elements.get(nth).and_then(Reply::text);
    let kind = text(0).map_or(&b""[..], |kind| kind);
    match kind {
        b"subscribe" => Heard::Subscribed,
        b"pong" => Heard::Pong,
        b"message" => {
            let read = match text(1).map(|channel| &**channel) {
                Some(b"+switch-master") => text(2).and_then(switched),
                Some(b"+slave" | b"+sdown" | b"-sdown") => text(2).and_then(of_replica),
                _ => None,
            };
            read.unwrap_or(Heard::Other)
        }
        _ => Heard::Other,
    }
}

/// Reads `<name> <old host> <old port> <new host> <new port>`.
fn switched(text: &Bytes) -> Option<Heard> {
    let words: Vec<&[u8]> = text.split(|byte| *byte == b' ').collect();
    match words.as_slice() {
        [name, _, _, host, port] if !name.is_empty() => Some(Heard::Switched {
            name: text.slice_ref(name),
            to: Endpoint::new(&text.slice_ref(host), port)?,
        }),
        _ => None,
    }
}

/// Reads `slave <name> <host> <port> @ <master's name> <its host> <its port>`.
fn of_replica(text: &Bytes) -> Option<Heard> {
    let words: Vec<&[u8]> = text.split(|byte| *byte == b' ').collect();
    match words.as_slice() {
        [b"slave" | b"replica", _, _, _, b"@", name, _, _] if !name.is_empty() => {
            Some(Heard::Replica {
                name: text.slice_ref(name),
            })
        }
        _ => None,
    }
}

fn number<T: std::str::FromStr>(digits: &[u8]) -> Option<T> {
    let valid = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    if valid {
        std::str::from_utf8(digits).ok()?.parse().ok()
    } else {
        None
    }
}
