//! Redis Cluster: the slot map says which master has a key. The workers of an nginx share it, and one of them asks for
//! it.

mod asking;
mod nodes;

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;

use cache_core::attempts::Access;
use cache_core::cluster::{Acceptance, Address, Slot, SlotMap};

use crate::ngx::event::{Timer, now_msec};
use crate::ngx::random;
use crate::shm::StoreState;
use crate::store::redis::config::{ReadFrom, Server, StoreConfig};
use crate::store::redis::error::StoreError;
use crate::store::redis::node::Node;
use crate::store::redis::topology::MasterServer;

/// A cluster, as one worker sees it.
pub struct Cluster {
    config: Rc<StoreConfig>,
    /// The same for masters, whose connections aren't READONLY: one that has become a replica then says MOVED, also to
    /// lookups.
    for_masters: Rc<StoreConfig>,
    state: &'static StoreState,
    /// The servers of the configuration.
    configured: Vec<Address>,
    /// Those that were used.
    nodes: RefCell<HashMap<Address, Used>>,
    /// Those that the map has no more, while they owe replies. One that comes back in time goes on with its connections.
    retired: RefCell<HashMap<Address, Used>>,
    map: RefCell<Option<SlotMap>>,
    /// The version of the shared map that was read last.
    version: Cell<u64>,
    /// Whether the map in use has followed MOVED since.
    has_followed: Cell<bool>,
    /// Whether a node has given a map of the known cluster since this worker was started.
    has_asked: Cell<bool>,
    /// When this worker began to use the store, in milliseconds.
    started: u64,
    acceptance: RefCell<Acceptance>,
    /// Fires when this worker may ask for the map.
    timer: OnceCell<Timer>,
    /// What was said last of maps that can't be used, until one can.
    complaint: RefCell<String>,
}

/// A node that was used.
struct Used {
    node: Rc<Node>,
    part: Part,
    /// The name that its certificate is to be for, if that is another than its address.
    announced: Option<String>,
}

/// What a node is used as. As another it gets other connections.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Master,
    Replica,
}

impl Cluster {
    /// A cluster that nobody has asked for its map yet.
    pub fn new(config: &Rc<StoreConfig>, state: &'static StoreState) -> Rc<Cluster> {
        let configured: Vec<Address> = config.servers.iter().filter_map(address_of).collect();
        let cluster = Rc::new(Cluster {
            config: Rc::clone(config),
            for_masters: Rc::new(StoreConfig {
                read_from: ReadFrom::Master,
                ..StoreConfig::clone(config)
            }),
            state,
            configured,
            nodes: RefCell::default(),
            retired: RefCell::default(),
            map: RefCell::default(),
            version: Cell::new(0),
            has_followed: Cell::new(false),
            has_asked: Cell::new(false),
            started: now_msec(),
            acceptance: RefCell::default(),
            timer: OnceCell::new(),
            complaint: RefCell::default(),
        });
        for (address, server) in cluster.configured.iter().zip(&config.servers) {
            cluster.make(address, server, Part::Master);
        }
        cluster.wish(None);
        cluster
    }

    /// The node for a command.
    pub fn node(self: &Rc<Self>, slot: Slot, access: Access) -> Result<Rc<Node>, StoreError> {
        self.update();
        let chosen = {
            let map = self.map.borrow();
            let Some(map) = map.as_ref() else {
                drop(map);
                return self.anybody();
            };
            let master = map.master(slot);
            master.and_then(|master| {
                let index = self.choose(map, master, access);
                let part = if index == master {
                    Part::Master
                } else {
                    Part::Replica
                };
                let address = &map.nodes().get(index)?.address;
                // Nearly always it is known: no copy of its address is needed.
                let known = self.known_as(address, part);
                Some(known.ok_or_else(|| (address.clone(), part)))
            })
        };
        match chosen {
            Some(known) => {
                let node = known.unwrap_or_else(|(address, part)| self.as_part(&address, part));
                if node.is_down() {
                    // What one node has said by MOVED may be wrong by now. The map that all share need not change for
                    // that, so it is read again.
                    if self.has_followed.replace(false) {
                        self.version.set(0);
                    }
                    // Another may have taken its place since the map was asked for.
                    self.wish(None);
                }
                Ok(node)
            }
            None => {
                self.wish(None);
                Err(StoreError::Unavailable)
            }
        }
    }

    /// Changes whenever the shared map does.
    pub fn version(&self) -> u64 {
        self.state.version()
    }

    /// All masters of the map, with their slots.
    pub fn masters(self: &Rc<Self>) -> Vec<MasterServer> {
        self.update();
        let map = self.map.borrow();
        let Some(map) = map.as_ref() else {
            return Vec::new();
        };
        let masters = map.nodes().iter().enumerate();
        masters
            .filter(|(index, _)| map.is_master(*index))
            .map(|(index, node)| MasterServer {
                server: self.server_of(&node.address),
                slots: Some(map.ranges(index)),
            })
            .collect()
    }

    /// What the log calls the replicas that serve lookups.
    pub fn replicas(self: &Rc<Self>) -> Vec<String> {
        self.update();
        if self.config.read_from == ReadFrom::Master {
            return Vec::new();
        }
        let map = self.map.borrow();
        let Some(map) = map.as_ref() else {
            return Vec::new();
        };
        let nodes = map.nodes().iter().enumerate();
        let replicas = nodes.filter(|(index, _)| !map.is_master(*index));
        let texts = replicas.map(|(_, node)| self.server_of(&node.address).text);
        texts.collect()
    }

    /// A node says that another has a slot.
    pub fn moved(self: &Rc<Self>, slot: Slot, to: &Address, from: &Rc<Node>) {
        let to = match self.address_of(from) {
            Some(from) => to.clone().behind(&from),
            None => to.clone(),
        };
        if let Some(map) = self.map.borrow_mut().as_mut() {
            map.follow(slot, &to);
            self.has_followed.set(true);
        }
        self.wish(Some(&to));
    }

    /// The node at an address that another has named.
    ///
    /// # Errors
    ///
    /// It can't be used before there is a map: the address alone doesn't tell the name that its certificate is for.
    pub fn redirected(self: &Rc<Self>, address: &Address) -> Result<Rc<Node>, StoreError> {
        self.update();
        if self.config.tls.is_some() && self.map.borrow().is_none() {
            return Err(StoreError::Unavailable);
        }
        Ok(self.at(address))
    }

    /// A node for the first command, before there is a map: whichever of the configured can be used.
    fn anybody(self: &Rc<Self>) -> Result<Rc<Node>, StoreError> {
        self.wish(None);
        let first = random::between(0, self.configured.len().saturating_sub(1) as u64);
        let first = usize::try_from(first).unwrap_or_default();
        let behind = self.configured.iter().skip(first);
        let all = behind.chain(self.configured.iter().take(first));
        all.map(|address| self.any_at(address))
            .find(|node| !node.is_down())
            .ok_or(StoreError::Unavailable)
    }

    /// The index of the node for a command to the slot of a master.
    fn choose(&self, map: &SlotMap, master: usize, access: Access) -> usize {
        if access != Access::Read || self.config.read_from == ReadFrom::Master {
            return master;
        }
        let replicas = map.replicas(master);
        let count = replicas.len();
        let first = random::between(0, count.saturating_sub(1) as u64);
        let first = usize::try_from(first).unwrap_or_default();
        let is_up = |index: &usize| {
            let address = map.nodes().get(*index).map(|node| &node.address);
            let nodes = self.nodes.borrow();
            let node = address.and_then(|address| nodes.get(address));
            node.is_none_or(|used| used.node.is_usable())
        };
        let turned = replicas.clone().cycle().skip(first).take(count);
        turned.into_iter().find(is_up).unwrap_or(master)
    }

    /// Takes over the shared map, if it is another than the one in use.
    fn update(self: &Rc<Self>) {
        let version = self.state.version();
        if version == self.version.get() {
            return;
        }
        let Some((version, bytes)) = self.state.topology() else {
            return;
        };
        self.version.set(version);
        let Ok(map) = SlotMap::decode(&bytes) else {
            return;
        };
        self.forget_others(&map);
        self.map.replace(Some(map));
        self.has_followed.set(false);
        self.name_anew();
    }
}

/// The address of a configured server.
fn address_of(server: &Server) -> Option<Address> {
    match &server.name {
        Some(name) => Address::new(name.host.as_bytes(), name.port),
        None => Address::parse(server.text.as_bytes()),
    }
}
