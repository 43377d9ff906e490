//! What a node of a Redis Cluster says of the cluster.

use std::hash::{DefaultHasher, Hash, Hasher};

use crate::info::field;
use crate::resp::Reply;

/// A node's view. When it changes, slots may have moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct View {
    /// The highest epoch that the node knows: each failover, and each slot that moves to a node without the highest epoch of
    /// its own, raises it.
    current_epoch: u64,
    /// The epoch of the node's own slots.
    my_epoch: u64,
    /// Whether the node serves.
    pub is_ok: bool,
}

impl View {
    /// Reads the reply to CLUSTER INFO.
    pub fn read(reply: &Reply) -> Option<Self> {
        let text = reply.text()?;
        let number = |name| std::str::from_utf8(field(text, name)?).ok()?.parse().ok();
        Some(Self {
            current_epoch: number("cluster_current_epoch")?,
            my_epoch: number("cluster_my_epoch")?,
            is_ok: field(text, "cluster_state")? == b"ok",
        })
    }

    /// Whether all that has changed is that the node serves no more.
    pub fn is_fall_of(self, before: Self) -> bool {
        !self.is_ok
            && before.is_ok
            && Self {
                is_ok: true,
                ..self
            } == before
    }
}

/// Who has which slots, as a node sees it, in short. Slots may move without a push and without a new epoch: where a node with
/// the highest epoch takes a slot without its keys (measured with Redis 7.0).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owners {
    digest: u64,
    /// How many masters have slots.
    pub masters: usize,
}

impl Owners {
    /// Reads the reply to CLUSTER SLOTS. Replicas don't count.
    pub fn read(reply: &Reply) -> Option<Self> {
        let ranges = reply.elements()?.iter().map(range);
        let mut ranges = ranges.collect::<Option<Vec<_>>>()?;
        ranges.sort_unstable();
        let mut masters: Vec<&[u8]> = ranges.iter().map(|(_, _, master, _)| *master).collect();
        masters.sort_unstable();
        masters.dedup();
        let mut hasher = DefaultHasher::new();
        ranges.hash(&mut hasher);
        Some(Self {
            digest: hasher.finish(),
            masters: masters.len(),
        })
    }
}

/// The first and the last slot, and the master: its identity, or address and port.
fn range(reply: &Reply) -> Option<(i64, i64, &[u8], i64)> {
    let [Reply::Integer(first), Reply::Integer(last), master, ..] = reply.elements()? else {
        return None;
    };
    let master = match master.elements()? {
        [_, _, id, ..] => (id.text()?.as_ref(), 0),
        [address, Reply::Integer(port)] => (address.text()?.as_ref(), *port),
        _ => return None,
    };
    Some((*first, *last, master.0, master.1))
}
