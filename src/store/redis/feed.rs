//! The worker that listens to the servers for the memory tier of all workers.

mod changes;
mod ear;
mod succession;

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::HashMap;
use std::ops::RangeInclusive;
use std::rc::Rc;
use std::sync::atomic::Ordering;

use cache_core::cluster::Slot;
use cache_core::feed::HEED;
use cache_core::lease::Held;

use self::ear::Ear;
use self::succession::Succession;
use super::config::{ReadFrom, StoreConfig};
use super::topology::{MasterServer, Topology};
use crate::ngx::event::{Timer, exact_msec, now_msec};
use crate::ngx::shutdown;
use crate::shm::digest;
use crate::shm::process::pid;
use crate::store::memory::Memory;

/// How often a worker looks whether somebody listens, and to whom, in milliseconds.
const LOOK: u64 = 200;

/// After so many milliseconds without a sign of life of the worker that listens another takes over.
const LEASE: u64 = 1000;

/// How long a worker that shuts down waits for one that is about to take over, in milliseconds.
const WAIT: u64 = 3000;

/// A worker's part: it listens, or sees to it that another one does.
pub struct Listener {
    config: Rc<StoreConfig>,
    topology: Rc<Topology>,
    right: Rc<Right>,
    /// The servers that this worker listens to, by their names in shared memory.
    ears: RefCell<HashMap<u64, Rc<Ear>>>,
    /// The topology's version to which that fits.
    version: Cell<Option<u64>>,
    /// The masters and their slots at that version.
    masters: RefCell<Vec<Heard>>,
    succession: Succession,
    /// When this worker began to shut down, in milliseconds. 0: it hasn't.
    shutdown: Cell<u64>,
    /// Since when it leaves it to others to listen, in milliseconds. 0: it doesn't.
    leaving: Cell<u64>,
    timer: OnceCell<Timer>,
}

/// A master by its name in shared memory, and its slots.
type Heard = (u64, Option<Vec<RangeInclusive<Slot>>>);

/// How much a topology's version grows by one change.
const CHANGE: u64 = 2;

/// The right to listen for all workers, which one of them has.
pub struct Right {
    memory: Rc<Memory>,
    held: Cell<Option<Held>>,
}

impl Right {
    /// Whether this worker has it. One that was stopped meanwhile may have lost it.
    pub fn is_held(&self) -> bool {
        let lease = &self.memory.records().header().feed;
        let held = self.held.get();
        held.is_some_and(|held| lease.is_held(held, exact_msec()))
    }

    /// Keeps it, or takes it if nobody has it. Whether this worker has it, and whether that is new.
    fn keep(&self) -> (bool, bool) {
        let lease = &self.memory.records().header().feed;
        let now = exact_msec();
        let renewed = self
            .held
            .get()
            .and_then(|held| lease.renew(held, now, LEASE));
        if renewed.is_some() {
            self.held.set(renewed);
            return (true, false);
        }
        let who = u32::try_from(pid()).unwrap_or_default();
        let taken = lease.take(who, now, LEASE);
        self.taken(taken, now);
        (taken.is_some(), taken.is_some())
    }

    fn taken(&self, held: Option<Held>, now: u64) {
        self.held.set(held);
        if held.is_some() {
            let since = &self.memory.records().header().since;
            since.store(now, Ordering::Relaxed);
        }
    }

    /// Takes it from the worker that has it. Whether that went.
    fn seize(&self) -> bool {
        let who = u32::try_from(pid()).unwrap_or_default();
        let lease = &self.memory.records().header().feed;
        let now = exact_msec();
        self.taken(lease.seize(who, now, LEASE), now);
        self.held.get().is_some()
    }

    fn give_up(&self) {
        if let Some(held) = self.held.take() {
            self.memory.records().header().feed.release(held);
        }
    }
}

impl Listener {
    /// Sees to it from now on that somebody listens to the servers of a store.
    pub fn new(
        config: &Rc<StoreConfig>,
        topology: &Rc<Topology>,
        memory: &Rc<Memory>,
    ) -> Rc<Listener> {
        let right = Rc::new(Right {
            memory: Rc::clone(memory),
            held: Cell::new(None),
        });
        // Somebody may live on messages, as far as is known.
        memory.tell_until(exact_msec().saturating_add(HEED));
        let listener = Rc::new(Listener {
            // Masters alone are listened to.
            config: Rc::new(StoreConfig {
                read_from: ReadFrom::Master,
                ..StoreConfig::clone(config)
            }),
            topology: Rc::clone(topology),
            succession: Succession::new(&right),
            right,
            ears: RefCell::default(),
            version: Cell::new(None),
            masters: RefCell::default(),
            shutdown: Cell::new(0),
            leaving: Cell::new(0),
            timer: OnceCell::new(),
        });
        let timer = Timer::of(Rc::downgrade(&listener), Listener::look);
        timer.arm(0);
        let _ = listener.timer.set(timer);
        listener
    }

    /// Gives up, for this worker's exit, what it does for all workers.
    pub fn leave(&self) {
        self.succession.settle();
        let is_held = self.right.is_held();
        for ear in self.ears.take().into_values() {
            // Otherwise another worker has taken over.
            if is_held {
                ear.leave();
            } else {
                ear.close();
            }
        }
        self.right.give_up();
    }

    fn look(self: &Rc<Self>) {
        let waits = self.is_waiting();
        if !waits && self.is_to_yield() {
            self.leave();
            return self.look_again(true);
        }
        let (is_held, is_new) = self.right.keep();
        let succeeds = !is_held && self.succession.is_due();
        if is_new || !(is_held || succeeds) {
            // Whoever listens now makes void what was known before, server by server, as soon as it hears them.
            self.close();
        }
        if is_held {
            self.succession.settle();
            self.follow();
        } else if succeeds {
            self.succeed();
        }
        // A worker that is told to shut down exits in the same turn unless this timer is there. So it can wait for a successor.
        let is_needed = self.right.is_held() && (waits || !shutdown::has_begun());
        self.look_again(!is_needed);
    }

    fn look_again(&self, cancelable: bool) {
        if let Some(timer) = self.timer.get() {
            timer.set_cancelable(cancelable);
            timer.arm(LOOK);
        }
    }

    /// Says nothing more.
    fn close(&self) {
        for ear in self.ears.take().into_values() {
            ear.close();
        }
        self.version.set(None);
    }

    /// Listens beside another worker, and takes over as soon as nothing is missed by that.
    fn succeed(self: &Rc<Self>) {
        let version = self.topology.version();
        if self.version.get() != Some(version) {
            self.close();
            self.version.set(Some(version));
            let masters = self.topology.masters().into_iter();
            let ears = masters.map(|master| {
                let name = digest(master.server.text.as_bytes());
                let ear = Ear::begin(&self.config, &self.topology, master, &self.right);
                ear.begin_shadow();
                (name, ear)
            });
            self.ears.replace(ears.collect());
            return;
        }
        let is_covered = {
            let ears = self.ears.borrow();
            !ears.is_empty() && ears.values().all(|ear| ear.is_covered())
        };
        if is_covered && self.right.seize() {
            self.succession.settle();
            self.ears.borrow().values().for_each(|ear| ear.end_shadow());
        }
    }

    /// Listens to the servers that have keys now.
    fn follow(self: &Rc<Self>) {
        let version = self.topology.version();
        let before = self.version.replace(Some(version));
        if before == Some(version) {
            return;
        }
        let masters = self.topology.masters();
        let heard = |master: &MasterServer| {
            let name = digest(master.server.text.as_bytes());
            (name, master.slots.clone())
        };
        let heard: Vec<Heard> = masters.iter().map(heard).collect();
        let heard_before = self.masters.replace(heard);
        // Replicas come and go, and no key has another server by that. Of a change that this worker has missed nobody knows.
        let is_of_replicas = before.is_some_and(|before| before.wrapping_add(CHANGE) == version)
            && heard_before == *self.masters.borrow();
        // Keys may have another server, and servers that are heard already stay so. A worker that has just begun to listen
        // hears none yet: each gets its first lease from it in a new epoch. If they are down, what there is may still do.
        if before.is_some() && !is_of_replicas {
            self.right.memory.records().index().wipe();
        }
        let mut before = self.ears.take();
        let mut now = HashMap::with_capacity(masters.len());
        for master in masters {
            let name = digest(master.server.text.as_bytes());
            let ear = match before.remove(&name) {
                Some(ear) => {
                    ear.set_slots(master.slots);
                    ear
                }
                None => Ear::begin(&self.config, &self.topology, master, &self.right),
            };
            now.insert(name, ear);
        }
        self.ears.replace(now);
        for ear in before.into_values() {
            ear.leave();
        }
    }

    /// Whether this worker shuts down, and a newer one is about to take over from it.
    fn is_waiting(&self) -> bool {
        if !shutdown::has_begun() {
            return false;
        }
        let now = exact_msec();
        if self.shutdown.get() == 0 {
            self.shutdown.set(now);
        }
        let is_early = now < self.shutdown.get().saturating_add(WAIT);
        is_early && self.right.is_held() && self.succession.is_by_another()
    }

    /// Whether this worker has begun to shut down a short while ago: workers of a newer configuration have the first choice.
    /// Where there are none it goes on.
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
