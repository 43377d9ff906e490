//! Which server has a key.

/// Redis Cluster.
mod cluster;

/// Sentinel.
mod sentinel;

use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::rc::Rc;

use cache_core::attempts::{Access, Next, Route};
use cache_core::cluster::{Address, Slot, slot_of};

use self::cluster::Cluster;
use self::sentinel::Sentinels;
use super::call::Failure;
use super::config::{HostName, Mode, Server, SocketAddress, StoreConfig};
use super::error::StoreError;
use super::node::Node;
use crate::ngx::event::{now_msec, sleep};
use crate::ngx::{random, sockaddr};

/// A server that has keys.
pub struct MasterServer {
    /// Where it is.
    pub server: Server,
    /// Its slots. `None` outside of a Cluster.
    pub slots: Option<Vec<RangeInclusive<Slot>>>,
}

impl MasterServer {
    /// One that has all keys.
    fn alone(server: Server) -> MasterServer {
        MasterServer {
            server,
            slots: None,
        }
    }
}

/// The servers of a store, and which of them has which keys.
pub enum Topology {
    /// One server has all keys.
    Standalone(Rc<Node>),
    /// The one that Sentinels call the master has all keys.
    Sentinel(Rc<Sentinels>),
    /// Each key has a slot, and each slot a master.
    Cluster(Rc<Cluster>),
}

impl Topology {
    /// The servers of a configured store. Nobody has tried to reach them yet.
    pub fn of(config: &Rc<StoreConfig>) -> Topology {
        let state = config.memory.and_then(|memory| memory.state());
        match (&config.mode, state) {
            (Mode::Cluster, Some(state)) => {
                return Topology::Cluster(Cluster::new(config, state));
            }
            (Mode::Sentinel(_), Some(state)) => {
                return Topology::Sentinel(Sentinels::new(config, state));
            }
            _ => {}
        }
        let nobody = Server {
            announced: None,
            text: String::from("no server"),
            name: None,
            addresses: Vec::new(),
        };
        let server = config.servers.first().unwrap_or(&nobody);
        Topology::Standalone(Node::new(Rc::clone(config), server))
    }

    /// The slot that a key belongs to. A store that has no slots takes the first for all.
    pub fn slot_of(&self, key: &[u8]) -> Slot {
        match self {
            Topology::Standalone(_) | Topology::Sentinel(_) => Slot::default(),
            Topology::Cluster(_) => slot_of(key),
        }
    }

    /// False while the server of a key is known to be down, or to refuse all keys.
    pub fn is_available(&self, key: &[u8]) -> bool {
        match self {
            Topology::Standalone(node) => node.is_available(),
            Topology::Sentinel(sentinels) => sentinels
                .node(Access::Write)
                .is_ok_and(|node| node.is_available()),
            Topology::Cluster(cluster) => cluster
                .node(slot_of(key), Access::Write)
                .is_ok_and(|node| node.is_available()),
        }
    }

    /// Changes whenever the servers do that have keys, or which keys they have.
    pub fn version(&self) -> u64 {
        match self {
            Topology::Standalone(_) => 0,
            Topology::Sentinel(sentinels) => sentinels.version(),
            Topology::Cluster(cluster) => cluster.version(),
        }
    }

    /// The servers that have keys, and in a Cluster their slots.
    pub fn masters(&self) -> Vec<MasterServer> {
        match self {
            Topology::Standalone(node) => vec![MasterServer::alone(node.server().clone())],
            Topology::Sentinel(sentinels) => sentinels.masters(),
            Topology::Cluster(cluster) => cluster.masters(),
        }
    }

    /// What the log calls the replicas that serve lookups.
    pub fn replicas(&self) -> Vec<String> {
        match self {
            Topology::Standalone(_) => Vec::new(),
            Topology::Sentinel(sentinels) => sentinels.replicas(),
            Topology::Cluster(cluster) => cluster.replicas(),
        }
    }

    /// Whether a server isn't known to be down.
    pub fn is_up(&self, master: &MasterServer) -> bool {
        let slots = master.slots.as_ref().and_then(|slots| slots.first());
        match (self, slots) {
            (Topology::Cluster(cluster), Some(slots)) => cluster
                .node(*slots.start(), Access::Write)
                .is_ok_and(|node| !node.is_down()),
            _ => self.is_available(&[]),
        }
    }

    /// The servers that have keys may be others by now.
    pub fn doubt(&self) {
        match self {
            Topology::Standalone(_) => {}
            Topology::Sentinel(sentinels) => sentinels.doubt(),
            Topology::Cluster(cluster) => cluster.wish(None),
        }
    }

    /// Gives up, for this worker's exit, what it does for all workers.
    pub fn leave(&self) {
        match self {
            Topology::Standalone(node) => node.leave(),
            Topology::Sentinel(sentinels) => sentinels.leave(),
            Topology::Cluster(cluster) => cluster.leave(),
        }
    }

    /// What may be tried after a command has failed at a server of this store: one that is alone has nobody to ask, and a
    /// replica has its master.
    pub fn judge(&self, node: &Node, failure: Failure) -> Failure {
        if node.is_replica() {
            return Failure {
                next: match failure.error {
                    // The master would say the same, or there is no time.
                    StoreError::TooLarge | StoreError::NoMemory | StoreError::Leaving => {
                        failure.next
                    }
                    _ => failure.next.at_replica(),
                },
                ..failure
            };
        }
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
            // The client has waited for long enough.
            Topology::Sentinel(_) if failure.error == StoreError::Timeout => Failure {
                next: Next::Stop,
                ..failure
            },
            Topology::Sentinel(_) => failure,
            Topology::Cluster(_) => match (&failure.next, &failure.error) {
                (Next::Refresh, StoreError::Timeout) => Failure {
                    next: Next::Stop,
                    ..failure
                },
                _ => failure,
            },
        }
    }
}

impl Route for Topology {
    type Node = Rc<Node>;
    type Error = StoreError;

    fn node(&self, slot: Slot, access: Access) -> Result<Rc<Node>, StoreError> {
        match self {
            Topology::Standalone(node) => Ok(Rc::clone(node)),
            Topology::Sentinel(sentinels) => sentinels.node(access),
            Topology::Cluster(cluster) => cluster.node(slot, access),
        }
    }

    fn at(&self, address: &Address, from: &Rc<Node>) -> Result<Rc<Node>, StoreError> {
        match self {
            Topology::Standalone(_) | Topology::Sentinel(_) => Err(StoreError::Unavailable),
            Topology::Cluster(cluster) => {
                let address = match cluster.address_of(from) {
                    Some(from) => address.clone().behind(&from),
                    None => address.clone(),
                };
                cluster.redirected(&address)
            }
        }
    }

    fn is_same(&self, one: &Rc<Node>, other: &Rc<Node>) -> bool {
        Rc::ptr_eq(one, other)
    }

    fn moved(&self, slot: Slot, to: &Address, from: &Rc<Node>) {
        if let Topology::Cluster(cluster) = self {
            cluster.moved(slot, to, from);
        }
    }

    fn suspect(&self, node: &Rc<Node>) {
        match self {
            Topology::Standalone(_) => {}
            Topology::Sentinel(sentinels) => sentinels.suspect(node),
            Topology::Cluster(cluster) => cluster.wish(None),
        }
    }

    fn dial_anew(&self, node: &Rc<Node>) {
        node.hang_up();
    }

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

/// A server that others have named by its address.
fn server_at(address: &Address) -> Server {
    let text = address.to_string();
    match address.host().parse::<IpAddr>() {
        Ok(ip) => {
            let sockaddr = sockaddr::inet(SocketAddr::new(ip, address.port()));
            Server::at(SocketAddress { sockaddr, text })
        }
        Err(_) => Server {
            announced: None,
            text,
            name: Some(HostName {
                host: address.host().to_owned(),
                port: address.port(),
            }),
            addresses: Vec::new(),
        },
    }
}
