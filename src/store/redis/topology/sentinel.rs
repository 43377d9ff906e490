//! Sentinel: the servers of a store are a master and its replicas, and Sentinels say which is the master. One worker of an
//! nginx asks them for all.

mod watch;

use std::cell::{Cell, OnceCell, RefCell};
use std::rc::{Rc, Weak};

use cache_core::cluster::Address;
use cache_core::sentinel::Master;
use ngx::ffi::NGX_LOG_NOTICE;
use ngx::log::ngx_cycle_log;
use ngx::ngx_log_error;

use self::watch::Watch;
use super::server_at;
use crate::ngx::event::{Timer, now_msec};
use crate::shm::StoreState;
use crate::shm::process::pid;
use crate::store::redis::config::StoreConfig;
use crate::store::redis::error::StoreError;
use crate::store::redis::node::Node;

/// How often a worker looks who the master is, and whether somebody asks, in milliseconds.
const LOOK: u64 = 200;

/// After so many milliseconds without a sign of life of the worker that asks another takes over.
const LEASE: u64 = 1000;

/// A master and its Sentinels, as one worker sees them.
pub struct Sentinels {
    config: Rc<StoreConfig>,
    state: &'static StoreState,
    /// The master that is known.
    master: RefCell<Option<(Master<Address>, Rc<Node>)>>,
    /// The version of the shared state that was read last.
    version: Cell<u64>,
    /// What this worker does where it is the one that asks.
    watch: RefCell<Option<Rc<Watch>>>,
    timer: OnceCell<Timer>,
}

impl Sentinels {
    /// A master that nobody has asked for yet.
    pub fn new(config: &Rc<StoreConfig>, state: &'static StoreState) -> Rc<Sentinels> {
        let sentinels = Rc::new(Sentinels {
            config: Rc::clone(config),
            state,
            master: RefCell::default(),
            version: Cell::new(0),
            watch: RefCell::default(),
            timer: OnceCell::new(),
        });
        let own: Weak<Sentinels> = Rc::downgrade(&sentinels);
        // Cancelable: a worker that shuts down leaves it to others.
        let timer = Timer::new(true, move || {
            if let Some(own) = own.upgrade() {
                own.look();
            }
        });
        timer.arm(0);
        let _ = sentinels.timer.set(timer);
        sentinels
    }

    /// The master.
    ///
    /// # Errors
    ///
    /// None is known.
    pub fn node(self: &Rc<Self>) -> Result<Rc<Node>, StoreError> {
        self.update();
        let master = self.master.borrow();
        let node = master.as_ref().map(|(_, node)| Rc::clone(node));
        node.ok_or(StoreError::Unavailable)
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
        let Some(master) = decode(&bytes) else { return };
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

    /// Looks who the master is, and sees to it that somebody asks.
    fn look(self: &Rc<Self>) {
        self.update();
        if let Some(timer) = self.timer.get() {
            timer.arm(LOOK);
        }
        let who = u32::try_from(pid()).unwrap_or_default();
        let watch = self.watch.borrow().clone();
        match watch {
            Some(watch) => {
                if !watch.renew(LEASE) {
                    self.watch.take();
                }
            }
            None => {
                if let Some(held) = self.state.watch.take(who, now_msec(), LEASE) {
                    let known = self.state.topology().and_then(|(_, bytes)| decode(&bytes));
                    let watch = Watch::begin(&self.config, self.state, held, known);
                    self.watch.replace(Some(watch));
                }
            }
        }
    }
}

/// Says to all workers who the master is.
fn announce(config: &StoreConfig, state: &StoreState, master: &Master<Address>) {
    state.write_topology(encode(master).as_bytes());
    let (name, address, epoch) = (&config.shown, &master.address, master.epoch);
    ngx_log_error!(
        NGX_LOG_NOTICE,
        ngx_cycle_log().as_ptr(),
        "redis store \"{name}\": the master is {address} (config epoch {epoch})"
    );
}

fn encode(master: &Master<Address>) -> String {
    format!("{} {}", master.epoch, master.address)
}

fn decode(bytes: &[u8]) -> Option<Master<Address>> {
    let text = std::str::from_utf8(bytes).ok()?;
    let (epoch, address) = text.split_once(' ')?;
    Some(Master {
        address: Address::parse(address.as_bytes())?,
        epoch: epoch.parse().ok()?,
    })
}
