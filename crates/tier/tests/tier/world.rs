//! A tier beside a model of what may be in it, and workers that use both.

use std::collections::HashMap;
use std::sync::atomic::AtomicU64;

use proptest::prelude::*;
use tier::{Facts, Handle, Layout, Pin, Reservation, Row, Statistics, Ticket, Tier, UNIT, Words};

use crate::bed::{Graves, Worker, fill, hash, is_filled, mend};

/// How many keys there are.
pub const KEYS: u64 = 24;

/// How many workers there are at a time.
pub const WORKERS: usize = 3;

/// What a worker does.
#[derive(Clone, Debug)]
pub enum Step {
    Put {
        worker: usize,
        key: u64,
        bytes: usize,
    },
    Reserve {
        worker: usize,
        key: u64,
        bytes: usize,
    },
    Publish {
        which: usize,
    },
    Abandon {
        which: usize,
    },
    Pin {
        worker: usize,
        key: u64,
    },
    Unpin {
        which: usize,
    },
    Invalidate {
        key: u64,
    },
    Kill {
        key: u64,
    },
    Touch {
        key: u64,
    },
    Admit {
        key: u64,
    },
    RaiseEpoch {
        node: u64,
    },
    Wipe,
    Tidy {
        worker: usize,
    },
    Bury {
        worker: usize,
    },
    Leave {
        worker: usize,
    },
    Die {
        worker: usize,
    },
}

/// Any step, the frequent ones more often.
pub fn any_step() -> impl Strategy<Value = Step> {
    let worker = 0..WORKERS;
    let key = 0..KEYS;
    let bytes = prop_oneof![0..600usize, 0..6000usize, 0..40_000usize];
    let placed = (worker.clone(), key.clone(), bytes);
    prop_oneof![
        12 => placed.clone().prop_map(|(worker, key, bytes)| Step::Put { worker, key, bytes }),
        4 => placed.prop_map(|(worker, key, bytes)| Step::Reserve { worker, key, bytes }),
        3 => (0..8usize).prop_map(|which| Step::Publish { which }),
        1 => (0..8usize).prop_map(|which| Step::Abandon { which }),
        6 => (worker.clone(), key.clone()).prop_map(|(worker, key)| Step::Pin { worker, key }),
        5 => (0..8usize).prop_map(|which| Step::Unpin { which }),
        3 => key.clone().prop_map(|key| Step::Invalidate { key }),
        1 => key.clone().prop_map(|key| Step::Kill { key }),
        8 => key.clone().prop_map(|key| Step::Touch { key }),
        2 => key.prop_map(|key| Step::Admit { key }),
        1 => (0..2u64).prop_map(|node| Step::RaiseEpoch { node }),
        1 => Just(Step::Wipe),
        1 => worker.clone().prop_map(|worker| Step::Tidy { worker }),
        1 => worker.clone().prop_map(|worker| Step::Bury { worker }),
        1 => worker.clone().prop_map(|worker| Step::Leave { worker }),
        1 => worker.prop_map(|worker| Step::Die { worker }),
    ]
}

struct Held {
    worker: usize,
    key: u64,
    seed: u64,
    reservation: Reservation,
    ticket: Ticket,
}

struct Pinned {
    worker: usize,
    seed: u64,
    handle: Handle,
    extents: tier::Extents,
    pin: Pin,
}

pub struct World<'a, W: Words + ?Sized> {
    pub tier: Tier<'a, W>,
    arena: &'a [AtomicU64],
    workers: Vec<Worker<'a>>,
    rows: Vec<Option<Row>>,
    graves: &'a Graves,
    /// How many entries a worker puts in order in a turn.
    turn: u32,
    next_pid: u32,
    next_seed: u64,
    held: Vec<Held>,
    pinned: Vec<Pinned>,
    /// Seeds of the records that a key may have.
    may_have: HashMap<u64, Vec<u64>>,
    /// What is begun, for a worker that dies in it.
    begun: Vec<(u64, u64)>,
}

impl<'a, W: Words + ?Sized> World<'a, W> {
    pub fn new(words: &'a W, arena: &'a [AtomicU64], layout: Layout, graves: &'a Graves) -> Self {
        Self::with_turn(words, arena, layout, graves, 1024)
    }

    pub fn with_turn(
        words: &'a W,
        arena: &'a [AtomicU64],
        layout: Layout,
        graves: &'a Graves,
        turn: u32,
    ) -> Self {
        let mut world = World {
            tier: Tier::lay_out(words, layout).unwrap(),
            turn,
            arena,
            workers: Vec::new(),
            rows: Vec::new(),
            graves,
            next_pid: 1,
            next_seed: 1,
            held: Vec::new(),
            pinned: Vec::new(),
            may_have: HashMap::new(),
            begun: Vec::new(),
        };
        for _ in 0..WORKERS {
            world.add_worker();
        }
        world
    }

    fn add_worker(&mut self) {
        let worker = Worker::new(self.next_pid, self.graves);
        worker.turn.set(self.turn);
        self.workers.push(worker);
        self.rows.push(None);
        self.next_pid += 1;
    }

    /// A worker dies, and another one takes its place. What it had begun may be done or not.
    pub fn die(&mut self, worker: usize) {
        self.graves.dig(self.workers[worker].pid);
        self.add_worker();
        self.workers.swap_remove(worker);
        self.rows.swap_remove(worker);
        self.held.retain(|held| held.worker != worker);
        self.pinned.retain(|pinned| pinned.worker != worker);
        for (key, seed) in std::mem::take(&mut self.begun) {
            self.may_have.entry(key).or_default().push(seed);
        }
    }

    /// Which worker takes this step, if it is there to be taken.
    pub fn who(&self, step: &Step) -> usize {
        match step {
            Step::Put { worker, .. }
            | Step::Reserve { worker, .. }
            | Step::Pin { worker, .. }
            | Step::Tidy { worker }
            | Step::Bury { worker }
            | Step::Leave { worker }
            | Step::Die { worker } => *worker,
            Step::Publish { which } | Step::Abandon { which } => self
                .held
                .get(which % self.held.len().max(1))
                .map_or(0, |held| held.worker),
            Step::Unpin { which } => self
                .pinned
                .get(which % self.pinned.len().max(1))
                .map_or(0, |pinned| pinned.worker),
            _ => 0,
        }
    }

    pub fn step(&mut self, step: &Step) {
        let tier = self.tier;
        match *step {
            Step::Put { worker, key, bytes } => {
                self.reserve(worker, key, bytes);
                if self.held.last().is_some_and(|held| held.key == key) {
                    self.publish(self.held.len() - 1);
                }
            }
            Step::Reserve { worker, key, bytes } => self.reserve(worker, key, bytes),
            Step::Publish { which } => {
                if !self.held.is_empty() {
                    self.publish(which % self.held.len());
                }
            }
            Step::Abandon { which } => {
                if !self.held.is_empty() {
                    let held = self.held.remove(which % self.held.len());
                    tier.abandon(&self.workers[held.worker], held.reservation);
                }
            }
            Step::Pin { worker, key } => self.pin(worker, key),
            Step::Unpin { which } => {
                if !self.pinned.is_empty() {
                    let pinned = self.pinned.remove(which % self.pinned.len());
                    let row = self.rows[pinned.worker].unwrap();
                    tier.unpin(&row, pinned.pin);
                }
            }
            Step::Invalidate { key } => {
                tier.invalidate(hash(key));
                self.may_have.remove(&key);
            }
            Step::Kill { key } => {
                if tier.find(hash(key)).is_some_and(|found| tier.kill(found)) {
                    self.may_have.remove(&key);
                }
            }
            Step::Touch { key } => {
                if let Some(found) = tier.find(hash(key)) {
                    tier.touch(found);
                }
            }
            Step::Admit { key } => {
                tier.admit(hash(key), 2);
            }
            Step::RaiseEpoch { node } => {
                tier.raise_epoch(tier.node_at(1 + node, 0));
                self.may_have.retain(|key, _| key % 2 != node);
            }
            Step::Wipe => {
                tier.wipe();
                self.may_have.clear();
            }
            Step::Tidy { worker } => {
                tier.tidy(&self.workers[worker]);
            }
            Step::Bury { worker } => {
                tier.bury_dead(&self.workers[worker]);
            }
            Step::Leave { worker } => {
                self.pinned.retain(|pinned| pinned.worker != worker);
                if let Some(row) = self.rows[worker].take() {
                    tier.leave(row);
                }
            }
            Step::Die { worker } => self.die(worker),
        }
    }

    fn reserve(&mut self, worker: usize, key: u64, bytes: usize) {
        let tier = self.tier;
        let ticket = tier.ticket(hash(key), tier.node_at(1 + key % 2, 0));
        let head = bytes.min(100);
        let seed = self.next_seed;
        self.next_seed += 1;
        if let Some(reservation) =
            tier.reserve(&self.workers[worker], hash(key), head, bytes - head)
        {
            let extents = tier.extents(&reservation).unwrap();
            assert_eq!(extents.bytes(), bytes);
            assert!(bytes > 4096 || extents.runs().len() == 1, "{extents:?}");
            fill(self.arena, tier.layout(), &extents, seed);
            self.held.push(Held {
                worker,
                key,
                seed,
                reservation,
                ticket,
            });
        }
    }

    fn publish(&mut self, which: usize) {
        let held = self.held.remove(which);
        let facts = Facts {
            expiry: u64::MAX,
            free: true,
            alone: false,
            meta: held.seed,
        };
        let env = &self.workers[held.worker];
        self.begun.push((held.key, held.seed));
        if self.tier.publish(env, held.reservation, held.ticket, facts) {
            let found = self.tier.find(hash(held.key)).unwrap();
            assert_eq!(self.tier.look(found).unwrap().meta, held.seed);
            self.may_have.insert(held.key, vec![held.seed]);
        }
        self.begun.clear();
    }

    fn pin(&mut self, worker: usize, key: u64) {
        let tier = self.tier;
        if self.rows[worker].is_none() {
            self.rows[worker] = tier.enrol(&self.workers[worker]);
        }
        let (Some(row), Some(handle)) = (self.rows[worker], tier.find(hash(key))) else {
            return;
        };
        let (Ok(pin), Some(view)) = (tier.pin(&row, handle), tier.look(handle)) else {
            return;
        };
        self.pinned.push(Pinned {
            worker,
            seed: view.meta,
            handle,
            extents: tier.extents(handle).unwrap(),
            pin,
        });
    }

    /// Checks all that can be seen from without. How many records are found, and units that are known to be used.
    pub fn check(&self) -> (u64, usize) {
        let tier = self.tier;
        let mut owners: HashMap<u32, Handle> = HashMap::new();
        let mut own = |handle: Handle, extents: &tier::Extents| {
            for unit in extents
                .runs()
                .iter()
                .flat_map(|run| run.unit..run.unit + run.units)
            {
                let owner = *owners.entry(unit).or_insert(handle);
                assert_eq!(owner, handle, "unit {unit} has two owners");
            }
        };
        let mut records = 0;
        for key in 0..KEYS {
            let Some(handle) = tier.find(hash(key)) else {
                continue;
            };
            records += 1;
            let view = tier.look(handle).unwrap();
            let extents = tier.extents(handle).unwrap();
            own(handle, &extents);
            assert!(
                is_filled(self.arena, tier.layout(), &extents, view.meta),
                "torn"
            );
            if tier.is_current(handle, 0) {
                let allowed = self
                    .may_have
                    .get(&key)
                    .is_some_and(|seeds| seeds.contains(&view.meta));
                assert!(
                    allowed,
                    "key {key} has {view:?}, not {:?}",
                    self.may_have.get(&key)
                );
            }
        }
        for held in &self.held {
            let extents = tier.extents(&held.reservation).unwrap();
            own(Handle::from(&held.reservation), &extents);
            assert!(
                is_filled(self.arena, tier.layout(), &extents, held.seed),
                "overwritten"
            );
        }
        for pinned in &self.pinned {
            own(pinned.handle, &pinned.extents);
            let (extents, seed) = (&pinned.extents, pinned.seed);
            assert!(
                is_filled(self.arena, tier.layout(), extents, seed),
                "reused"
            );
        }
        (records, owners.len())
    }

    /// As [`World::check`], and the counts: while nobody is at work, nor has died at it.
    pub fn check_counts(&self) {
        let (records, units) = self.check();
        let statistics = self.tier.statistics();
        assert!(statistics.records >= records, "{statistics:?}");
        let used = self.tier.layout().arena_bytes() as u64 - statistics.free_bytes;
        assert!(used >= (units * UNIT) as u64, "{statistics:?}");
    }

    /// Has the index made whole.
    pub fn mend(&self) {
        mend(self.tier, &self.workers[0]);
    }

    /// Ends all that is going on: then nothing is left.
    pub fn end(mut self) -> Statistics {
        let tier = self.tier;
        for key in 0..KEYS {
            tier.invalidate(hash(key));
        }
        for pinned in std::mem::take(&mut self.pinned) {
            tier.unpin(&self.rows[pinned.worker].unwrap(), pinned.pin);
        }
        for held in std::mem::take(&mut self.held) {
            tier.abandon(&self.workers[held.worker], held.reservation);
        }
        self.mend();
        assert!(tier.bury_dead(&self.workers[0]));
        // What was dropped from the ring, or was in it for a worker that died, the sweep finds.
        for _ in 0..tier.layout().entries() / 8 + 1 {
            if let Some(reservation) = tier.reserve(&self.workers[0], 0, 0, 1) {
                tier.abandon(&self.workers[0], reservation);
            }
        }
        let statistics = tier.statistics();
        assert_eq!(statistics.free_bytes, tier.layout().arena_bytes() as u64);
        let left = (statistics.records, statistics.reserved, statistics.zombies);
        assert_eq!(left, (0, 0, 0), "{statistics:?}");
        statistics
    }
}
