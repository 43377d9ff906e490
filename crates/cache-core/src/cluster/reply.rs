//! Reads the reply to CLUSTER SLOTS.
//!
//! SLOTS, not SHARDS: SHARDS gives no slots for a shard whose master has failed (redis/redis#13414), and older servers
//! don't have it.

use std::collections::HashMap;
use std::error::Error;
use std::fmt;

use super::address::{Address, MAX_HOST};
use super::map::{ClusterNode, MAX_NODES, NOBODY, SlotMap};
use super::slot::{SLOTS, Slot};
use crate::resp::Reply;

/// Longest id, in bytes. Those of Redis have 40.
pub(super) const MAX_ID: usize = 64;

/// Why a reply is no slot map.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BadMap {
    /// It isn't what CLUSTER SLOTS replies with.
    Form,
    /// An error reply; these are its words.
    Refused(String),
    /// No slot has a master: the server has left its cluster, or never joined one.
    Empty,
    /// Two masters have the same slot.
    Overlap(Slot),
    /// A range of slots that is none.
    Range(i64, i64),
    /// A node's address is none.
    Address,
    /// The server doesn't know the name of a node.
    UnknownEndpoint,
    /// More than [`MAX_NODES`] nodes.
    TooManyNodes,
}

impl fmt::Display for BadMap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Form => f.write_str("the reply to CLUSTER SLOTS has an unknown form"),
            Self::Refused(words) => write!(f, "the server refused CLUSTER SLOTS: {words}"),
            Self::Empty => f.write_str("the server is in no cluster: it knows no slots"),
            Self::Overlap(slot) => write!(f, "two masters have slot {}", slot.number()),
            Self::Range(from, to) => write!(f, "\"{from}\" to \"{to}\" is no range of slots"),
            Self::Address => f.write_str("a node has an invalid address"),
            Self::UnknownEndpoint => f.write_str(
                "a node has no host name (\"?\"): with \"cluster-preferred-endpoint-type hostname\" each node \
                 needs \"cluster-announce-hostname\"",
            ),
            Self::TooManyNodes => write!(f, "the cluster has more than {MAX_NODES} nodes"),
        }
    }
}

impl Error for BadMap {}

impl SlotMap {
    /// Reads the reply to CLUSTER SLOTS from a node that was reached at `asked`. Incomplete maps are maps.
    ///
    /// # Errors
    ///
    /// [`BadMap`] if it is none, or can't be one of a cluster that works.
    pub fn from_reply(reply: &Reply, asked: &Address) -> Result<Self, BadMap> {
        let ranges = match reply {
            Reply::Array(Some(ranges)) => ranges,
            Reply::Error(words) => {
                let words = String::from_utf8_lossy(words.get(..200).unwrap_or(words));
                return Err(BadMap::Refused(words.escape_debug().collect()));
            }
            _ => return Err(BadMap::Form),
        };
        let mut builder = Builder {
            asked,
            owners: vec![None; SLOTS],
            nodes: Vec::new(),
            known: HashMap::new(),
            lost: false,
        };
        for range in ranges {
            builder.range(range)?;
        }
        builder.build()
    }
}

/// A node as it is met.
struct Met {
    node: ClusterNode,
    /// The place of its master among those that were met; `None` if it is one.
    master: Option<usize>,
}

struct Builder<'a> {
    asked: &'a Address,
    /// For each slot the place of its master.
    owners: Vec<Option<usize>>,
    nodes: Vec<Met>,
    known: HashMap<Address, usize>,
    /// Whether a node had no address.
    lost: bool,
}

impl Builder<'_> {
    /// `from, to, master, replica ...`
    fn range(&mut self, range: &Reply) -> Result<(), BadMap> {
        let Reply::Array(Some(parts)) = range else {
            return Err(BadMap::Form);
        };
        let [Reply::Integer(from), Reply::Integer(to), nodes @ ..] = parts.as_slice() else {
            return Err(BadMap::Form);
        };
        let bound = |number: &i64| u16::try_from(*number).ok().and_then(Slot::new);
        let (Some(first), Some(last)) = (bound(from), bound(to)) else {
            return Err(BadMap::Range(*from, *to));
        };
        if first > last {
            return Err(BadMap::Range(*from, *to));
        }
        // Slots without a master.
        let Some((master, replicas)) = nodes.split_first() else {
            return Ok(());
        };
        // A server that lost its identity, or has another one now: nobody has its slots until a replica takes them.
        let Some(master) = self.meet(master, None)? else {
            return Ok(());
        };
        for replica in replicas {
            self.meet(replica, Some(master))?;
        }
        let slots = self.owners.iter_mut().enumerate();
        for (number, owner) in slots
            .skip(first.index())
            .take(last.index() - first.index() + 1)
        {
            match owner {
                None => *owner = Some(master),
                Some(other) if *other == master => {}
                Some(_) => {
                    let slot = u16::try_from(number).ok().and_then(Slot::new);
                    return Err(BadMap::Overlap(slot.unwrap_or_default()));
                }
            }
        }
        Ok(())
    }

    /// The place of a node; `None` if it has no address. One that is a master of any slots is a master, whatever else is
    /// said of it.
    fn meet(&mut self, reply: &Reply, master: Option<usize>) -> Result<Option<usize>, BadMap> {
        let Some(node) = read_node(reply, self.asked)? else {
            self.lost = true;
            return Ok(None);
        };
        if let Some(place) = self.known.get(&node.address) {
            if let (None, Some(met)) = (master, self.nodes.get_mut(*place)) {
                met.master = None;
            }
            return Ok(Some(*place));
        }
        let place = self.nodes.len();
        if place == MAX_NODES {
            return Err(BadMap::TooManyNodes);
        }
        self.known.insert(node.address.clone(), place);
        self.nodes.push(Met { node, master });
        Ok(Some(place))
    }

    /// Puts the nodes into the one order that makes equal maps equal.
    fn build(self) -> Result<SlotMap, BadMap> {
        if self.owners.iter().all(Option::is_none) {
            return Err(if self.lost {
                BadMap::Address
            } else {
                BadMap::Empty
            });
        }
        let mut order: Vec<usize> = (0..self.nodes.len()).collect();
        let sort_key = |place: &usize| {
            let met = self.nodes.get(*place)?;
            let master = met.master.and_then(|master| self.nodes.get(master));
            let group = &master.unwrap_or(met).node.address;
            Some((group, met.master.is_some(), &met.node.address))
        };
        order.sort_by(|one, other| sort_key(one).cmp(&sort_key(other)));
        let mut index_of = vec![NOBODY; order.len()];
        for (index, place) in order.iter().enumerate() {
            if let (Some(known), Ok(index)) = (index_of.get_mut(*place), u16::try_from(index)) {
                *known = index;
            }
        }
        let index = |place: Option<usize>| {
            let known = place.and_then(|place| index_of.get(place));
            known.copied().unwrap_or(NOBODY)
        };
        let owners = self.owners.iter().map(|owner| index(*owner)).collect();
        let mut nodes: Vec<Option<Met>> = self.nodes.into_iter().map(Some).collect();
        let mut sorted = Vec::with_capacity(order.len());
        for place in order {
            if let Some(Met { node, master }) = nodes.get_mut(place).and_then(Option::take) {
                let master = index(master.or(Some(place)));
                sorted.push(ClusterNode { master, ..node });
            }
        }
        Ok(SlotMap {
            owners,
            nodes: sorted,
        })
    }
}

/// `host, port, id, [metadata]`; servers before 4 have no id, before 7 no metadata. `None` for a node that has no address
/// (flag `noaddr` in CLUSTER NODES): its port is 0, its host empty or a name from before.
fn read_node(reply: &Reply, asked: &Address) -> Result<Option<ClusterNode>, BadMap> {
    let Reply::Array(Some(parts)) = reply else {
        return Err(BadMap::Form);
    };
    let [host, Reply::Integer(port), rest @ ..] = parts.as_slice() else {
        return Err(BadMap::Form);
    };
    let host = match host {
        Reply::Bulk(_) | Reply::Status(_) if *port == 0 => return Ok(None),
        // `cluster-preferred-endpoint-type unknown-endpoint`, or the server doesn't know its own address yet.
        Reply::Bulk(None) => &b""[..],
        Reply::Bulk(Some(host)) if host == "?" => return Err(BadMap::UnknownEndpoint),
        Reply::Bulk(Some(host)) | Reply::Status(host) => host,
        _ => return Err(BadMap::Form),
    };
    let port = u16::try_from(*port).map_err(|_| BadMap::Address)?;
    let address = Address::new(host, port).ok_or(BadMap::Address)?;
    let address = address.behind(asked);
    if address.host().is_empty() {
        return Err(BadMap::Address);
    }
    let id = match rest.first() {
        Some(Reply::Bulk(Some(id))) if is_id(id) => String::from_utf8_lossy(id).into(),
        _ => "".into(),
    };
    Ok(Some(ClusterNode {
        address,
        name: rest.get(1).and_then(announced_name),
        id,
        master: NOBODY,
    }))
}

/// The host name among `name, value, name, value ...`.
fn announced_name(metadata: &Reply) -> Option<Box<str>> {
    let Reply::Array(Some(parts)) = metadata else {
        return None;
    };
    let mut pairs = parts.chunks_exact(2);
    let value = pairs.find_map(|pair| match pair {
        [Reply::Bulk(Some(name)), Reply::Bulk(Some(value))] if name == "hostname" => Some(value),
        _ => None,
    })?;
    host_name(value)
}

/// A host name, in lower case.
pub(super) fn host_name(text: &[u8]) -> Option<Box<str>> {
    // A name of dots alone is that of nobody.
    if text.len() > MAX_HOST || text.iter().all(|byte| *byte == b'.') {
        return None;
    }
    Some(Address::new(text, 1)?.host().into())
}

pub(super) fn is_id(text: &[u8]) -> bool {
    text.len() <= MAX_ID && text.iter().all(u8::is_ascii_graphic)
}
