//! Virtual time and what happens in it.

use std::cell::{Cell, RefCell, RefMut};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::rc::Rc;

use super::backend::Backend;
use super::config::{Config, Key};
use super::invariants::Judge;
use super::outcomes::Listeners;
use super::rng::Rng;
use super::routes::Nginx;
use super::store::Store;
use super::topology::Broken;
use super::worker::{self, Worker};
use super::zone::Zone;
use crate::purge_words::PurgeWords;

/// When every world begins: no time of a lock table is 0.
pub const START: u64 = 1_000_000;
/// No world takes longer than this, in milliseconds.
const END: u64 = START + 24 * 3600 * 1000;
/// So many events at one instant are a loop.
const CROWD: u64 = 200_000;

type Act = Box<dyn FnOnce(&Rc<World>)>;

struct Event {
    /// When, and in which order at the same time.
    due: (u64, u64, u64),
    act: Act,
}

impl PartialEq for Event {
    fn eq(&self, other: &Event) -> bool {
        self.due == other.due
    }
}

impl Eq for Event {}

impl PartialOrd for Event {
    fn partial_cmp(&self, other: &Event) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Event {
    fn cmp(&self, other: &Event) -> std::cmp::Ordering {
        self.due.cmp(&other.due)
    }
}

/// A machine: a lock domain and its workers.
pub struct Machine {
    pub zone: Zone,
    pub nginx: Nginx,
    /// What its workers share of the log of purges.
    pub words: Rc<PurgeWords>,
    /// When something kept it last from hearing of purges.
    pub missed_purges: Cell<u64>,
    pub workers: RefCell<Vec<Rc<Worker>>>,
}

/// All there is.
pub struct World {
    pub config: Config,
    pub machines: Vec<Machine>,
    pub store: Store,
    pub backend: Backend,
    /// Who hears what becomes of leases.
    pub listeners: Listeners,
    /// Whether faults happen.
    pub faulty: Cell<bool>,
    judge: RefCell<Judge>,
    rng: RefCell<Rng>,
    now: Cell<u64>,
    order: Cell<u64>,
    events: RefCell<BinaryHeap<Reverse<Event>>>,
}

impl World {
    pub fn new(mut config: Config) -> Rc<World> {
        worker::nobody_is_dead();
        let script = std::mem::take(&mut config.script);
        let mut pid = 0;
        let mut machines = Vec::new();
        for (index, workers) in config.machines.iter().enumerate() {
            let words = Rc::new(PurgeWords::default());
            let workers = (0..*workers).map(|_| {
                pid += 1;
                Worker::new(index, pid, Rc::clone(&words))
            });
            let workers: Vec<_> = workers.collect();
            machines.push(Machine {
                zone: Zone::new(config.entries),
                nginx: Nginx::default(),
                words,
                missed_purges: Cell::new(0),
                workers: RefCell::new(workers),
            });
        }
        Rc::new(World {
            store: Store::new(&config.topology),
            backend: Backend::new(script),
            listeners: Listeners::default(),
            faulty: Cell::new(false),
            judge: RefCell::new(Judge::new(config.seed)),
            rng: RefCell::new(Rng::new(config.seed)),
            now: Cell::new(START),
            order: Cell::new(0),
            events: RefCell::default(),
            machines,
            config,
        })
    }

    pub fn now(&self) -> u64 {
        self.now.get()
    }

    /// Milliseconds since the beginning.
    pub fn clock(&self) -> u64 {
        self.now() - START
    }

    pub fn rng(&self) -> RefMut<'_, Rng> {
        self.rng.borrow_mut()
    }

    pub fn judge(&self) -> RefMut<'_, Judge> {
        let mut judge = self.judge.borrow_mut();
        judge.now = self.now();
        judge
    }

    /// Whether this rule is broken.
    pub fn breaks(&self, rule: Broken) -> bool {
        self.config.topology.broken == Some(rule)
    }

    /// A number that no other has.
    pub fn token(&self) -> u64 {
        let order = self.order.get();
        self.order.set(order + 1);
        order + 1
    }

    /// From `low` to `high`, but `low` where chance has no part.
    pub fn between(&self, (low, high): (u64, u64)) -> u64 {
        if self.config.shuffled {
            self.rng().range(low, high)
        } else {
            low
        }
    }

    /// Whether a fault of so many percent happens now.
    pub fn fault(&self, percent: u64) -> bool {
        self.faulty.get() && self.rng().chance(percent)
    }

    /// Prints what happens, if asked to.
    pub fn note(&self, text: impl FnOnce() -> String) {
        if self.config.trace {
            println!("{:>9} {}", self.clock(), text());
        }
    }

    pub fn worker(&self, machine: usize, index: usize) -> Rc<Worker> {
        Rc::clone(&self.machines[machine].workers.borrow()[index])
    }

    /// Every living worker.
    pub fn workers(&self) -> Vec<Rc<Worker>> {
        self.machines
            .iter()
            .flat_map(|machine| machine.workers.borrow().clone())
            .collect()
    }

    pub fn keys(&self) -> std::ops::Range<Key> {
        0..self.config.keys
    }

    /// Has something happen at a time.
    pub fn at(&self, time: u64, act: impl FnOnce(&Rc<World>) + 'static) {
        let order = self.order.get();
        self.order.set(order + 1);
        let tie = if self.config.shuffled {
            self.rng().next()
        } else {
            0
        };
        let due = (time.max(self.now()), tie, order);
        let act = Box::new(act);
        self.events.borrow_mut().push(Reverse(Event { due, act }));
    }

    /// Has something happen after a while.
    pub fn after(&self, delay: u64, act: impl FnOnce(&Rc<World>) + 'static) {
        self.at(self.now() + delay, act);
    }

    fn next_before(&self, end: u64) -> Option<Event> {
        let mut events = self.events.borrow_mut();
        if events.peek()?.0.due.0 > end {
            return None;
        }
        events.pop().map(|Reverse(event)| event)
    }

    /// Lets happen all that is to happen up to a time.
    pub fn run_until(self: &Rc<Self>, end: u64) {
        let mut crowd = 0;
        self.turn();
        while let Some(event) = self.next_before(end) {
            crowd = if event.due.0 == self.now() {
                crowd + 1
            } else {
                0
            };
            self.now.set(event.due.0);
            if crowd == CROWD {
                self.judge().fails("time stands still");
            }
            if self.now() > END {
                self.judge().fails("something goes on for ever");
            }
            (event.act)(self);
            // A worker may learn of several things in one turn of its event loop.
            let config = &self.config;
            let more = config.together || (config.shuffled && self.rng().chance(50));
            if more && self.is_due(self.now()) {
                continue;
            }
            self.turn();
        }
        if end != u64::MAX {
            self.now.set(end);
        }
    }

    /// Lets happen all that is to happen.
    pub fn run(self: &Rc<Self>) {
        self.run_until(u64::MAX);
    }

    fn is_due(&self, time: u64) -> bool {
        let events = self.events.borrow();
        events.peek().is_some_and(|event| event.0.due.0 <= time)
    }

    fn turn(&self) {
        for machine in &self.machines {
            let count = machine.workers.borrow().len();
            for index in 0..count {
                let worker = Rc::clone(&machine.workers.borrow()[index]);
                worker.turn(self.now());
            }
        }
        self.judge().after_event(self);
    }

    /// Ends the world: tasks and what they hold are given back.
    pub fn end(&self) {
        self.events.borrow_mut().clear();
        for worker in self.workers() {
            worker.end();
        }
        self.backend.end();
    }
}
