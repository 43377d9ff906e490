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

    /// The node at an address, if it is used as this already.
    pub(super) fn known_as(&self, address: &Address, part: Part) -> Option<Rc<Node>> {
        let nodes = self.nodes.borrow();
        let used = nodes.get(address).filter(|used| used.part == part);
        used.map(|used| Rc::clone(&used.node))
    }

    /// The node at an address, as a master or as a replica.
    pub(super) fn as_part(self: &Rc<Self>, address: &Address, part: Part) -> Rc<Node> {
        let before = match self.used_at(address) {
            Some((node, as_what)) if as_what == part => return node,
            Some((node, _)) => Some(node),
            None => None,
        };
        let node = self.make(address, &self.server_of(address), part);
        // Its connections are of no use any more, and there may be so many only.
        if let Some(before) = before {
            before.hang_up();
        }
        node
    }

    /// The node at an address, whatever it is used as: to ask it about the cluster.
    pub(super) fn any_at(self: &Rc<Self>, address: &Address) -> Rc<Node> {
        let known = self.used_at(address);
        known.map_or_else(|| self.at(address), |(node, _)| node)
    }

    /// The node at an address, if it is used or still owes replies, and what it is used as.
    fn used_at(&self, address: &Address) -> Option<(Rc<Node>, Part)> {
        let mut nodes = self.nodes.borrow_mut();
        let back = || self.retired.borrow_mut().remove(address);
        if !nodes.contains_key(address)
            && let Some(used) = back()
        {
            nodes.insert(address.clone(), used);
        }
        let used = nodes.get(address)?;
        Some((Rc::clone(&used.node), used.part))
    }

    /// A server at an address, with the name that its certificate is for. The addresses that the configuration's names had
    /// at the start may be all that is known of them.
    pub(super) fn server_of(&self, address: &Address) -> Server {
        let mut configured = self.configured.iter().zip(&self.config.servers);
        let server = configured.find(|(known, _)| *known == address);
        Server {
            announced: self.announced(address),
            ..server.map_or_else(|| server_at(address), |(_, server)| server.clone())
        }
    }

    /// The name that the map has for the certificate of a node.
    fn announced(&self, address: &Address) -> Option<String> {
        let map = self.map.borrow();
        let map = map.as_ref()?;
        let node = map.nodes().get(map.find(address)?)?;
        node.certified_name().map(str::to_owned)
    }

    /// Nodes that MOVED or ASK has led to before a map had them are verified by the names that the map has.
    pub(super) fn name_anew(&self) {
        if self.config.tls.is_none() {
            return;
        }
        let is_misnamed = |address: &Address, used: &Used| {
            !self.configured.contains(address) && used.announced != self.announced(address)
        };
        let mut nodes = self.nodes.borrow_mut();
        let misnamed = nodes.extract_if(|address, used| is_misnamed(address, used));
        let misnamed: Vec<_> = misnamed.map(|(_, used)| used.node).collect();
        drop(nodes);
        for node in misnamed {
            node.hang_up();
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
        let node = match part {
            Part::Master => Node::new(Rc::clone(&self.for_masters), server),
            Part::Replica => Node::of_replica(Rc::clone(&self.config), server),
        };
        let cluster = Rc::downgrade(self);
        node.on_trouble(move || {
            if let Some(cluster) = cluster.upgrade() {
                cluster.wish(None);
            }
        });
        let used = Used {
            node: Rc::clone(&node),
            part,
            announced: server.announced.clone(),
        };
        self.nodes.borrow_mut().insert(address.clone(), used);
        node
    }

    /// Nodes that are neither in the map nor configured aren't used any more. They go when they owe nothing.
    pub(super) fn forget_others(&self, map: &SlotMap) {
        let (mut nodes, mut retired) = (self.nodes.borrow_mut(), self.retired.borrow_mut());
        let gone = nodes.extract_if(|address, _| {
            map.find(address).is_none() && !self.configured.contains(address)
        });
        retired.extend(gone);
        retired.retain(|_, used| used.node.is_owing());
    }
}
