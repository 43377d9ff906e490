//! What a node of a Redis Cluster says of the cluster.

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
}
