//! Which server has a key.

use std::rc::Rc;

use cache_core::attempts::{Access, Next, Route};
use cache_core::cluster::{Address, Slot};

use super::call::Failure;
use super::config::{Server, StoreConfig};
use super::error::StoreError;
use super::node::Node;
use crate::ngx::event::{now_msec, sleep};
use crate::ngx::random;

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

    /// The slot that a key belongs to. A store that has no slots takes the first for all.
    pub fn slot_of(&self, _key: &[u8]) -> Slot {
        match self {
            Topology::Standalone(_) => Slot::default(),
        }
    }

    /// False while no server can be used.
    pub fn is_available(&self) -> bool {
        match self {
            Topology::Standalone(node) => !node.is_down(),
        }
    }

    /// What may be tried after a command has failed at a server of this store: one that is alone has nobody to ask.
    pub fn judge(&self, failure: Failure) -> Failure {
        match self {
            Topology::Standalone(_) => Failure {
                next: match failure.next {
                    next @ (Next::Stop | Next::Again | Next::AgainFree) => next,
                    Next::Moved(_) | Next::Ask(_) | Next::Later | Next::Refresh | Next::Master => {
                        Next::Stop
                    }
                },
                ..failure
            },
        }
    }
}

impl Route for Topology {
    type Node = Rc<Node>;
    type Error = StoreError;

    fn node(&self, _slot: Slot, _access: Access) -> Result<Rc<Node>, StoreError> {
        match self {
            Topology::Standalone(node) => Ok(Rc::clone(node)),
        }
    }

    fn at(&self, _address: &Address, _from: &Rc<Node>) -> Result<Rc<Node>, StoreError> {
        match self {
            Topology::Standalone(_) => Err(StoreError::Unavailable),
        }
    }

    fn is_same(&self, one: &Rc<Node>, other: &Rc<Node>) -> bool {
        Rc::ptr_eq(one, other)
    }

    fn moved(&self, _slot: Slot, _to: &Address, _from: &Rc<Node>) {}

    fn suspect(&self, _node: &Rc<Node>) {}

    fn dial_anew(&self, _node: &Rc<Node>) {}

    async fn pause(&self, millis: u64) {
        sleep(millis).await;
    }

    fn now(&self) -> u64 {
        now_msec()
    }

    fn random(&self, low: u64, high: u64) -> u64 {
        random::between(low, high)
    }
}
