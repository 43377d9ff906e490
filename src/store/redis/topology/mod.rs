//! Which server has a key.

use std::rc::Rc;

use super::config::{Server, StoreConfig};
use super::node::Node;

/// The servers of a store, and which of them has which keys.
pub enum Topology {
    /// One server has all keys.
    Standalone(Rc<Node>),
}

impl Topology {
    /// The servers of a configured store. Nobody has tried to reach them yet.
    pub fn of(config: &Rc<StoreConfig>) -> Topology {
        let nobody = Server {
            text: String::from("no server"),
            name: None,
            addresses: Vec::new(),
        };
        let server = config.servers.first().unwrap_or(&nobody);
        Topology::Standalone(Node::new(Rc::clone(config), server))
    }

    /// The server that has a key.
    pub fn node(&self, _key: &[u8]) -> &Rc<Node> {
        match self {
            Topology::Standalone(node) => node,
        }
    }

    /// False while no server can be used.
    pub fn is_available(&self) -> bool {
        match self {
            Topology::Standalone(node) => !node.is_down(),
        }
    }
}
