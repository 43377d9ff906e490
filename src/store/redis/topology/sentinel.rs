//! Sentinel: the servers of a store are a master and its replicas, and Sentinels say which is the master, and which of the
//! others serve lookups. One worker of an nginx asks them for all.

mod asked;
mod watch;

use std::cell::{Cell, OnceCell, RefCell};
use std::rc::Rc;

use cache_core::attempts::Access;
use cache_core::cluster::Address;
use cache_core::sentinel::{Announced, Master};

use self::watch::Watch;
use super::{MasterServer, server_at};
use crate::ngx::event::{Timer, now_msec};
use crate::ngx::random;
use crate::ngx::shutdown;
use crate::shm::StoreState;
use crate::shm::process::pid;
use crate::store::redis::config::{ReadFrom, StoreConfig};
use crate::store::redis::error::StoreError;
use crate::store::redis::node::Node;

/// How often a worker looks who the master is, and whether somebody asks, in milliseconds.
const LOOK: u64 = 200;

/// After so many milliseconds without a sign of life of the worker that asks another takes over.
const LEASE: u64 = 1000;

/// A master, its replicas and its Sentinels, as one worker sees them.
pub struct Sentinels {
    config: Rc<StoreConfig>,
    state: &'static StoreState,
    /// The master that is known.
    master: RefCell<Option<(Master<Address>, Rc<Node>)>>,
    /// The replicas that serve lookups. None where lookups go to the master.
    replicas: RefCell<Vec<(Address, Rc<Node>)>>,
    /// The version of the shared state that was read last.
    version: Cell<u64>,
    /// What this worker does where it is the one that asks.
    watch: RefCell<Option<Rc<Watch>>>,
    /// Since when this worker shuts down, in milliseconds. 0: it doesn't.
    leaving: Cell<u64>,
    timer: OnceCell<Timer>,
}

impl Sentinels {
    /// A master that nobody has asked for yet.
    pub fn new(config: &Rc<StoreConfig>, state: &'static StoreState) -> Rc<Sentinels> {
        let sentinels = Rc::new(Sentinels {
            config: Rc::clone(config),
            state,
            master: RefCell::default(),
            replicas: RefCell::default(),
            version: Cell::new(0),
            watch: RefCell::default(),
            leaving: Cell::new(0),
            timer: OnceCell::new(),
        });
        // Cancelable: a worker that shuts down leaves it to others.
        let timer = Timer::of(Rc::downgrade(&sentinels), Sentinels::look);
        timer.arm(0);
        let _ = sentinels.timer.set(timer);
        sentinels
    }

    /// The server for a command: a lookup goes to any replica that isn't down, all else to the master.
    ///
    /// # Errors
    ///
    /// No master is known.
    pub fn node(self: &Rc<Self>, access: Access) -> Result<Rc<Node>, StoreError> {
        self.update();
        let master = self.master.borrow();
        let master = master.as_ref().map(|(_, node)| Rc::clone(node));
        let replica = match access {
            Access::Read => self.replica(),
            Access::ReadMaster | Access::Write => None,
        };
        replica.or(master).ok_or(StoreError::Unavailable)
    }

    /// Changes whenever the master does.
    pub fn version(&self) -> u64 {
        self.state.version()
    }

    /// The master, if it is known.
    pub fn masters(self: &Rc<Self>) -> Vec<MasterServer> {
        self.update();
        let master = self.master.borrow();
        let servers = master.iter().map(|(_, node)| node.server().clone());
        servers.map(MasterServer::alone).collect()
    }

    /// What the log calls the replicas that serve lookups.
    pub fn replicas(self: &Rc<Self>) -> Vec<String> {
        self.update();
        let replicas = self.replicas.borrow();
        let texts = replicas.iter().map(|(_, node)| node.server().text.clone());
        texts.collect()
    }

    /// The master may be another by now: the Sentinels are asked at once.
    pub fn doubt(&self) {
        self.state.suspect(now_msec());
    }

    /// Any replica that isn't down.
    fn replica(&self) -> Option<Rc<Node>> {
        let replicas = self.replicas.borrow();
        let last = replicas.len().checked_sub(1)?;
        let first = usize::try_from(random::between(0, last as u64)).ok()?;
        let turned = replicas.iter().cycle().skip(first).take(replicas.len());
        let mut nodes = turned.map(|(_, node)| node);
        nodes.find(|node| node.is_usable()).map(Rc::clone)
    }

    /// A server isn't what it was taken for, or is in trouble: the Sentinels are asked at once.
    pub fn suspect(&self, node: &Rc<Node>) {
        let master = self.master.borrow();
        if master
            .as_ref()
            .is_some_and(|(_, known)| Rc::ptr_eq(known, node))
        {
            self.state.suspect(now_msec());
        }
    }

    /// Gives up, for this worker's exit, what it does for all workers.
    pub fn leave(&self) {
        if let Some(watch) = self.watch.take() {
            watch.leave();
        }
        if let Some((_, node)) = self.master.borrow().as_ref() {
            node.leave();
        }
        for (_, node) in self.replicas.borrow().iter() {
            node.leave();
        }
    }

    /// Takes over what was announced, if it is news.
    fn update(self: &Rc<Self>) {
        let version = self.state.version();
        if version == self.version.get() {
            return;
        }
        let Some((version, bytes)) = self.state.topology() else {
            return;
        };
        self.version.set(version);
        let Some(announced) = Announced::decode(&bytes) else {
            return;
        };
        // First: one of them may be the master from now on.
        self.take_replicas(announced.replicas);
        self.take_master(announced.master);
    }

    fn take_master(self: &Rc<Self>, master: Master<Address>) {
        let before = {
            let known = self.master.borrow();
            if known.as_ref().is_some_and(|(known, _)| *known == master) {
                return;
            }
            known.as_ref().map(|(_, node)| Rc::clone(node))
        };
        let node = Node::new(Rc::clone(&self.config), &server_at(&master.address));
        let own = Rc::downgrade(self);
        node.on_trouble(move || {
            if let Some(own) = own.upgrade() {
                own.state.suspect(now_msec());
            }
        });
        self.master.replace(Some((master, node)));
        // It may be a replica by now that still takes commands.
        if let Some(before) = before {
            before.hang_up();
        }
    }

    fn take_replicas(&self, replicas: Vec<Address>) {
        if self.config.read_from == ReadFrom::Master {
            return;
        }
        let mut before = self.replicas.take();
        let mut now = Vec::with_capacity(replicas.len());
        for address in replicas {
            let known = before.iter().position(|(known, _)| *known == address);
            now.push(match known {
                Some(place) => before.swap_remove(place),
                None => {
                    let node = Node::of_replica(Rc::clone(&self.config), &server_at(&address));
                    (address, node)
                }
            });
        }
        self.replicas.replace(now);
        // Their lookups go elsewhere.
        for (_, node) in before {
            node.hang_up();
        }
    }

    /// Looks who the master is, and sees to it that somebody asks.
    fn look(self: &Rc<Self>) {
        self.update();
        if let Some(timer) = self.timer.get() {
            timer.arm(LOOK);
        }
        let who = u32::try_from(pid()).unwrap_or_default();
        if self.is_to_yield() {
            if let Some(watch) = self.watch.take() {
                watch.leave();
            }
            return;
        }
        let watch = self.watch.borrow().clone();
        match watch {
            Some(watch) => {
                if !watch.renew(LEASE) {
                    self.watch.take();
                }
            }
            None => {
                if let Some(held) = self.state.watch.take(who, now_msec(), LEASE) {
                    let topology = self.state.topology();
                    let known = topology.and_then(|(_, bytes)| Announced::decode(&bytes));
                    let watch = Watch::begin(&self.config, self.state, held, known);
                    self.watch.replace(Some(watch));
                }
            }
        }
    }
}

impl Sentinels {
    /// Whether this worker has begun to shut down a short while ago. Clients may keep it for hours, with an old password or
    /// old certificates, so workers of a newer configuration have the first choice. Where there are none it goes on.
    fn is_to_yield(&self) -> bool {
        if !shutdown::has_begun() {
            return false;
        }
        if self.leaving.get() == 0 {
            self.leaving.set(now_msec());
        }
        now_msec() < self.leaving.get().saturating_add(LEASE)
    }
}
