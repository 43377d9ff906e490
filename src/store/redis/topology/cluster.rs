//! Redis Cluster: the slot map says which master has a key. The workers of an nginx share it, and one of them asks for
//! it.

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::HashMap;
use std::rc::{Rc, Weak};

use cache_core::attempts::Access;
use cache_core::cluster::{self, Acceptance, Address, Ended, Judged, Round, Slot, SlotMap};
use cache_core::resp::Limits;
use ngx::ffi::{NGX_LOG_INFO, NGX_LOG_NOTICE, NGX_LOG_WARN};
use ngx::log::ngx_cycle_log;
use ngx::ngx_log_error;

use super::server_at;
use crate::ngx::event::{Timer, now_msec};
use crate::ngx::random;
use crate::shm::StoreState;
use crate::shm::process::pid;
use crate::store::background;
use crate::store::redis::config::{ReadFrom, Server, StoreConfig};
use crate::store::redis::error::StoreError;
use crate::store::redis::node::Node;

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
    /// Those that the map has no more, while they owe replies.
    retired: RefCell<Vec<Rc<Node>>>,
    map: RefCell<Option<SlotMap>>,
    /// The version of the shared map that was read last.
    version: Cell<u64>,
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
                Some((map.nodes().get(index)?.address.clone(), part))
            })
        };
        match chosen {
            Some((address, part)) => {
                let node = self.as_part(&address, part);
                if node.is_down() {
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

    /// Whether lookups may go to replicas.
    pub fn reads_from_replicas(&self) -> bool {
        self.config.read_from == ReadFrom::Replica
    }

    /// The master at an address.
    pub fn at(self: &Rc<Self>, address: &Address) -> Rc<Node> {
        self.as_part(address, Part::Master)
    }

    /// The node at an address, as a master or as a replica.
    fn as_part(self: &Rc<Self>, address: &Address, part: Part) -> Rc<Node> {
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
    fn any_at(self: &Rc<Self>, address: &Address) -> Rc<Node> {
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

    /// A node says that another has a slot.
    pub fn moved(self: &Rc<Self>, slot: Slot, to: &Address, from: &Rc<Node>) {
        let to = match self.address_of(from) {
            Some(from) => to.clone().behind(&from),
            None => to.clone(),
        };
        if let Some(map) = self.map.borrow_mut().as_mut() {
            map.follow(slot, &to);
        }
        self.wish(Some(&to));
    }

    /// The map is out of date, as somebody said who has `hint` for its address, or may be.
    pub fn wish(self: &Rc<Self>, hint: Option<&Address>) {
        let now = now_msec();
        let hint = hint.map_or(0, Address::tag);
        let at = self.state.refresh.wish(now, hint, chance());
        self.ask_at(at);
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
            node.is_none_or(|used| !used.node.is_down())
        };
        let turned = replicas.clone().cycle().skip(first).take(count);
        turned.into_iter().find(is_up).unwrap_or(master)
    }

    fn make(self: &Rc<Self>, address: &Address, server: &Server, part: Part) -> Rc<Node> {
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
    }

    /// Nodes that are neither in the map nor configured aren't used any more. They go when they owe nothing.
    fn forget_others(&self, map: &SlotMap) {
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

    /// Asks for the map at this time, if it is this worker's turn then.
    fn ask_at(self: &Rc<Self>, at: u64) {
        let timer = self.timer.get_or_init(|| {
            let cluster: Weak<Cluster> = Rc::downgrade(self);
            // Cancelable: a worker that shuts down leaves it to others.
            Timer::new(true, move || {
                if let Some(cluster) = cluster.upgrade() {
                    cluster.ask_if_due();
                }
            })
        });
        let left = at.saturating_sub(now_msec());
        if !timer.is_armed() || timer.left() > left {
            timer.arm(left);
        }
    }

    fn ask_if_due(self: &Rc<Self>) {
        self.update();
        let who = u32::try_from(pid()).unwrap_or_default();
        match self.state.refresh.begin(who, now_msec(), chance()) {
            Ok(round) => {
                let cluster = Rc::clone(self);
                background::spawn(async move { cluster.ask(round).await });
            }
            Err(at) => self.ask_at(at),
        }
    }

    /// Asks one node after the other for the map, until one gives it.
    async fn ask(self: Rc<Self>, round: Round) {
        let order = {
            let map = self.map.borrow();
            cluster::order(map.as_ref(), &self.configured, round.hint, |below| {
                let last = below.saturating_sub(1) as u64;
                usize::try_from(random::between(0, last)).unwrap_or_default()
            })
        };
        let mut ended = Ended::Failed;
        let mut round = round;
        for address in order {
            // Servers that don't reply take their time, each.
            match self.state.refresh.renew(round, now_msec()) {
                Some(renewed) => round = renewed,
                None => break,
            }
            let Some(judged) = self.ask_node(&address).await else {
                continue;
            };
            if judged == Ended::Known {
                ended = judged;
                break;
            }
            // Another may confirm it.
            ended = judged;
        }
        let refresh = &self.state.refresh;
        refresh.end(round, now_msec(), ended, chance());
        self.update();
        self.ask_at(refresh.due());
    }

    /// Asks one node. `None` if it gave no map that can be used.
    async fn ask_node(self: &Rc<Self>, address: &Address) -> Option<Ended> {
        let node = self.any_at(address);
        let reply = node.ask(&[b"CLUSTER", b"SLOTS"], Limits::SLOTS).ok()?.await;
        let reply = reply.ok()?;
        let offered = match SlotMap::from_reply(&reply, address) {
            Ok(map) => map,
            Err(fault) => {
                self.complain(address, &fault.to_string());
                return None;
            }
        };
        let judged = {
            let known = self.map.borrow();
            let mut acceptance = self.acceptance.borrow_mut();
            acceptance.judge(known.as_ref(), &offered, address)
        };
        match judged {
            Judged::Same => {
                // What this worker has followed by itself others may not know yet.
                self.share(&offered);
                Some(Ended::Known)
            }
            Judged::Taken => {
                self.share(&offered);
                self.tell(&offered);
                Some(Ended::Known)
            }
            Judged::Unconfirmed => Some(Ended::Unconfirmed),
            Judged::Foreign => {
                self.complain(address, "it belongs to another cluster");
                None
            }
        }
    }

    /// Gives a map to all workers, unless they have it.
    fn share(&self, map: &SlotMap) {
        let Some(bytes) = map.encode() else {
            return;
        };
        let known = self.state.topology().map(|(_, bytes)| bytes);
        if known.as_ref() != Some(&bytes) {
            self.state.write_topology(&bytes);
        }
    }

    /// Says what a new map is like. Slots that move to and fro are for those who want to know more.
    fn tell(&self, map: &SlotMap) {
        self.complaint.borrow_mut().clear();
        let (name, what) = (&self.config.shown, summary(map));
        let known = self.map.borrow().as_ref().map(summary);
        let level = if known.is_some_and(|known| known == what) {
            NGX_LOG_INFO
        } else {
            NGX_LOG_NOTICE
        };
        ngx_log_error!(
            level,
            ngx_cycle_log().as_ptr(),
            "redis store \"{name}\": new slot map: {what}"
        );
    }

    /// Says once what is wrong with the maps that nodes give.
    fn complain(&self, address: &Address, what: &str) {
        let new = format!("{address}: {what}");
        if *self.complaint.borrow() != new {
            let name = &self.config.shown;
            ngx_log_error!(
                NGX_LOG_WARN,
                ngx_cycle_log().as_ptr(),
                "redis store \"{name}\": no slot map from {new}"
            );
            self.complaint.replace(new);
        }
    }
}

/// The address of a configured server.
fn address_of(server: &Server) -> Option<Address> {
    match &server.name {
        Some(name) => Address::new(name.host.as_bytes(), name.port),
        None => Address::parse(server.text.as_bytes()),
    }
}

fn summary(map: &SlotMap) -> String {
    let (nodes, covered) = (map.nodes().len(), map.covered());
    let masters = (0..nodes).filter(|index| map.is_master(*index)).count();
    format!("{masters} masters of {nodes} nodes have {covered} slots")
}

fn chance() -> u64 {
    random::between(0, u64::from(u32::MAX))
}
