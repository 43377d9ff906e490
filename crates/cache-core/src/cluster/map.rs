//! The slot map: which node has which slot.

use std::ops::RangeInclusive;

use super::address::Address;
use super::slot::{SLOTS, Slot};

/// Most nodes of a map. Redis Cluster is made for up to 1000.
pub const MAX_NODES: usize = 1024;

/// In place of a node's index: nobody has the slot.
pub(super) const NOBODY: u16 = u16::MAX;

/// A node of a cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterNode {
    /// Where it listens.
    pub address: Address,
    /// The host name that it announces beside its address. See also [`ClusterNode::certified_name`].
    pub name: Option<Box<str>>,
    /// Its id. Empty if the server gives none.
    pub id: Box<str>,
    /// The index of its master: its own if it is one.
    pub(super) master: u16,
}

impl ClusterNode {
    /// The name to verify its certificate against: the host name that it announces. `None` if it announces none, but is
    /// reached by an IP address.
    #[must_use]
    pub fn certified_name(&self) -> Option<&str> {
        let host = self.address.host();
        let is_name = || !host.contains(':') && host.parse::<std::net::Ipv4Addr>().is_err();
        self.name.as_deref().or_else(|| is_name().then_some(host))
    }

    /// Whether these are one server. Ids decide where both have one: addresses may change, or be given to others.
    fn is_same(&self, other: &Self) -> bool {
        if self.id.is_empty() || other.id.is_empty() {
            self.address == other.address
        } else {
            self.id == other.id
        }
    }
}

/// Which node has which slot. Two maps that say the same are equal, whichever nodes they came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlotMap {
    /// For each slot the index of its master, or [`NOBODY`].
    pub(super) owners: Box<[u16]>,
    /// Masters in the order of their addresses, each followed by its replicas, in the same order.
    pub(super) nodes: Vec<ClusterNode>,
}

/// What became of a map that followed MOVED.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Followed {
    /// It has said so before.
    Known,
    /// The slot has another master now.
    Slot,
    /// A replica has taken the place of its master, with all its slots.
    Promoted,
    /// The map is as it was: it has no place for that node.
    Not,
}

impl SlotMap {
    /// All nodes. The place in this list is a node's index.
    #[must_use]
    pub fn nodes(&self) -> &[ClusterNode] {
        &self.nodes
    }

    /// The index of the master that has a slot.
    #[must_use]
    pub fn master(&self, slot: Slot) -> Option<usize> {
        let owner = *self.owners.get(slot.index())?;
        (owner != NOBODY).then_some(usize::from(owner))
    }

    /// The slots of the master of this index, as ranges in order.
    #[must_use]
    pub fn ranges(&self, master: usize) -> Vec<RangeInclusive<Slot>> {
        let mut ranges: Vec<RangeInclusive<Slot>> = Vec::new();
        let mut open: Option<(Slot, Slot)> = None;
        for slot in Slot::all() {
            match (open, self.master(slot) == Some(master)) {
                (Some((first, _)), true) => open = Some((first, slot)),
                (None, true) => open = Some((slot, slot)),
                (Some((first, last)), false) => {
                    ranges.push(first..=last);
                    open = None;
                }
                (None, false) => {}
            }
        }
        ranges.extend(open.map(|(first, last)| first..=last));
        ranges
    }

    /// The indexes of a master's replicas: its neighbours in the list of nodes.
    #[must_use]
    pub fn replicas(&self, master: usize) -> std::ops::Range<usize> {
        let first = master.saturating_add(1);
        let behind = self.nodes.get(first..).unwrap_or_default();
        let count = behind
            .iter()
            .take_while(|node| usize::from(node.master) == master)
            .count();
        first..first.saturating_add(count)
    }

    /// Whether the node of this index is a master.
    #[must_use]
    pub fn is_master(&self, index: usize) -> bool {
        self.nodes
            .get(index)
            .is_some_and(|node| usize::from(node.master) == index)
    }

    /// The index of the node at an address.
    #[must_use]
    pub fn find(&self, address: &Address) -> Option<usize> {
        self.nodes.iter().position(|node| node.address == *address)
    }

    /// The node whose address has this [tag](Address::tag).
    #[must_use]
    pub fn tagged(&self, tag: u64) -> Option<&ClusterNode> {
        self.nodes.iter().find(|node| node.address.tag() == tag)
    }

    /// How many slots have a master.
    #[must_use]
    pub fn covered(&self) -> usize {
        self.owners.iter().filter(|o| **o != NOBODY).count()
    }

    /// Whether each slot has a master.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.covered() == SLOTS
    }

    /// Whether they have a node in common: else they are maps of two clusters.
    #[must_use]
    pub fn has_in_common(&self, other: &Self) -> bool {
        let mut nodes = self.nodes.iter();
        nodes.any(|node| other.nodes.iter().any(|known| known.is_same(node)))
    }

    /// A node says that `to` has a slot (MOVED). A worker uses what it is told at once, until the next map comes.
    ///
    /// A replica that has become a master of its master's slot has taken its place: that is what a failover is.
    pub fn follow(&mut self, slot: Slot, to: &Address) -> Followed {
        let known = self.find(to);
        let owner = self.master(slot);
        match (owner, known) {
            (Some(owner), Some(known)) if owner == known => Followed::Known,
            (_, Some(known)) if self.is_master(known) => self.assign(slot, known),
            (Some(owner), Some(known)) if self.replicas(owner).contains(&known) => {
                // The group of a master and its replicas stays where it is.
                let place = self.nodes.get(owner).map(|node| node.master);
                self.nodes.swap(owner, known);
                for index in [owner, known] {
                    if let (Some(node), Some(place)) = (self.nodes.get_mut(index), place) {
                        node.master = place;
                    }
                }
                Followed::Promoted
            }
            // A replica of another master, which has left it.
            (_, Some(_)) => Followed::Not,
            (_, None) if self.nodes.len() < MAX_NODES && !to.host().is_empty() => {
                let index = self.nodes.len();
                let Ok(master) = u16::try_from(index) else {
                    return Followed::Not;
                };
                self.nodes.push(ClusterNode {
                    address: to.clone(),
                    name: None,
                    id: "".into(),
                    master,
                });
                self.assign(slot, index)
            }
            (_, None) => Followed::Not,
        }
    }

    fn assign(&mut self, slot: Slot, index: usize) -> Followed {
        match (self.owners.get_mut(slot.index()), u16::try_from(index)) {
            (Some(owner), Ok(index)) => {
                *owner = index;
                Followed::Slot
            }
            _ => Followed::Not,
        }
    }
}
