//! Invalidation, and leases of nodes. No function here takes the mutex; each acts before it returns.

use super::Tier;
use crate::chains;
use crate::layout::header;
use crate::nodes::{self, Node, Ticket};
use crate::words::Words;

impl<W: Words + ?Sized> Tier<'_, W> {
    /// A key has changed in the store, or may have: its record is gone when this returns, and none is published that was
    /// looked up before. Whether there was one.
    pub fn invalidate(&self, hash: u128) -> bool {
        nodes::raise_generation(self.memory, hash);
        chains::kill_all(self.memory, hash).unwrap_or_else(|| {
            // One may have been missed: its neighbours of the same generation go, too.
            nodes::sweep_generation(self.memory, hash);
            true
        })
    }

    /// All records of a node are void, and none is published that was looked up before. Its lease is over: give it one
    /// ([`Tier::lease`]) as soon as changes at the node are heard of (again). Of [`Node::NONE`]: as [`Tier::wipe`].
    pub fn raise_epoch(&self, node: Node) {
        node.raise_epoch(self.memory);
    }

    /// All records are void, and none is published that was looked up before. Leases go on.
    pub fn wipe(&self) {
        self.memory.words.add(header::EPOCH, 1);
    }

    /// The node's epoch, for [`Tier::lease_in`].
    pub fn epoch(&self, node: Node) -> u64 {
        node.epoch(self.memory)
    }

    /// Whoever hears of changes at a node says that all until now were heard: its records may be served until `until`
    /// (milliseconds). Never shortens a lease of the same epoch. False for [`Node::NONE`].
    pub fn lease(&self, node: Node, until: u64) -> bool {
        node.lease(self.memory, node.epoch(self.memory), until)
    }

    /// As [`Tier::lease`], if the node's epoch is still this one: for a worker that asked the node a while ago, and can't know
    /// whether another has raised its epoch meanwhile.
    pub fn lease_in(&self, node: Node, epoch: u64, until: u64) -> bool {
        node.lease(self.memory, epoch, until)
    }

    /// Until when the node's records may be served, in milliseconds. 0: it has no lease.
    pub fn leased_until(&self, node: Node) -> u64 {
        node.ok_until(self.memory, node.epoch(self.memory))
    }

    /// Ends a node's lease. Changes that aren't heard of from now on make its records stale: raise its epoch before the next
    /// lease. Until then they may be served if the server is down: [`Tier::is_current_alone`].
    pub fn revoke(&self, node: Node) {
        node.revoke(self.memory);
    }

    /// What is known of a key and of its node now: take it *before* the lookup is sent to the store. A record that changed
    /// there since is never published with it. [`Node::NONE`] without a server.
    pub fn ticket(&self, hash: u128, node: Node) -> Ticket {
        Ticket::take(self.memory, hash, node)
    }
}
