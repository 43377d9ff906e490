//! The nodes of a cluster that were used: as masters or as replicas, and when they go.

use std::rc::Rc;

use cache_core::cluster::{Address, SlotMap};

use super::{Cluster, Part, Used};
use crate::store::redis::config::Server;
use crate::store::redis::node::Node;
use crate::store::redis::topology::server_at;

impl Cluster {
    /// The master at an address.
    pub fn at(self: &Rc<Self>, address: &Address) -> Rc<Node> {
        self.as_part(address, Part::Master)
    }

    /// The node at an address, as a master or as a replica.
    pub(super) fn as_part(self: &Rc<Self>, address: &Address, part: Part) -> Rc<Node> {
        let before = match self.nodes.borrow().get(address) {
            Some(used) if used.part == part => return Rc::clone(&used.node),
            Some(used) => Some(Rc::clone(&used.node)),
            None => None,
        };
        let node = self.make(address, &self.server_at(address), part);
        // Its connections are of no use any more, and there may be so many only.
        if let Some(before) = before {
            before.hang_up();
        }
        node
    }

    /// The node at an address, whatever it is used as: to ask it about the cluster.
    pub(super) fn any_at(self: &Rc<Self>, address: &Address) -> Rc<Node> {
        let known = self
            .nodes
            .borrow()
            .get(address)
            .map(|used| Rc::clone(&used.node));
        known.unwrap_or_else(|| self.at(address))
    }

    /// A server at an address, with the name that its certificate is for.
    fn server_at(&self, address: &Address) -> Server {
        let map = self.map.borrow();
        let node = map
            .as_ref()
            .and_then(|map| map.nodes().get(map.find(address)?));
        let announced = node.and_then(|node| node.certified_name());
        Server {
            announced: announced.map(str::to_owned),
            ..server_at(address)
        }
    }

    /// Gives up, for this worker's exit, what it does for all workers.
    pub fn leave(&self) {
        for used in self.nodes.borrow().values() {
            used.node.leave();
        }
    }

    /// The address of a node.
    pub fn address_of(&self, node: &Rc<Node>) -> Option<Address> {
        let nodes = self.nodes.borrow();
        let mut all = nodes.iter();
        let found = all.find(|(_, known)| Rc::ptr_eq(&known.node, node));
        found.map(|(address, _)| address.clone())
    }

    pub(super) fn make(
        self: &Rc<Self>,
        address: &Address,
        server: &Server,
        part: Part,
    ) -> Rc<Node> {
        let config = match part {
            Part::Master => &self.for_masters,
            Part::Replica => &self.config,
        };
        let node = Node::new(Rc::clone(config), server);
        let cluster = Rc::downgrade(self);
        node.on_trouble(move || {
            if let Some(cluster) = cluster.upgrade() {
                cluster.wish(None);
            }
        });
        let used = Used {
            node: Rc::clone(&node),
            part,
        };
        self.nodes.borrow_mut().insert(address.clone(), used);
        node
    }

    /// Nodes that are neither in the map nor configured aren't used any more. They go when they owe nothing.
    pub(super) fn forget_others(&self, map: &SlotMap) {
        let mut retired = self.retired.borrow_mut();
        retired.retain(|node| node.is_owing());
        self.nodes.borrow_mut().retain(|address, used| {
            let stays = map.find(address).is_some() || self.configured.contains(address);
            if !stays && used.node.is_owing() {
                retired.push(Rc::clone(&used.node));
            }
            stays
        });
    }
}
