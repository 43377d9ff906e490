//! What must hold of fills in the fleet: one for each key and lease, and nothing is written under a lease that was lost.

use std::collections::{HashMap, HashSet};
use std::rc::{Rc, Weak};

use bytes::Bytes;
use cache_core::flow::Verdict;
use cache_core::token::Token;

use super::config::{Claims, Key};
use super::invariants::Judge;
use super::leasing::Lease;
use super::world::World;

/// A fill that runs under a lock of its zone.
struct Running {
    answer: usize,
    machine: usize,
    lease: Rc<Lease>,
}

/// The books of leases, kept apart from the store's.
#[derive(Default)]
pub struct Fleet {
    running: Vec<Running>,
    leases: Vec<Weak<Lease>>,
    /// The token that was granted last for each lock, until it was given back.
    current: HashMap<Key, Token>,
    /// Tokens that were given back, or were followed by another.
    over: HashSet<Token>,
    /// What was told of a lease, and by which answer of the backend.
    outcomes: HashMap<Token, Option<usize>>,
    /// The answers of the backend that said last that those of a lock aren't storable.
    uncacheable: HashMap<Key, Option<usize>>,
}

impl Fleet {
    /// A machine has a lease.
    pub fn keeps(&mut self, lease: &Rc<Lease>) {
        self.leases.retain(|lease| lease.strong_count() > 0);
        self.leases.push(Rc::downgrade(lease));
    }

    /// The store grants a lease.
    fn granted(&mut self, lock: Key, token: Token) {
        if let Some(before) = self.current.insert(lock, token).filter(|t| *t != token) {
            self.over.insert(before);
        }
        // One that was lost may be granted again.
        self.over.remove(&token);
    }

    /// A lease was given back.
    fn released(&mut self, lock: Key, token: Token, verdict: Verdict, fill: Option<usize>) {
        if self.current.get(&lock) == Some(&token) {
            self.current.remove(&lock);
        }
        self.over.insert(token);
        self.outcomes.insert(token, fill);
        if verdict == Verdict::Uncacheable {
            self.uncacheable.insert(lock, fill);
        }
    }

    /// The answer of the backend that a machine tells others of.
    pub fn answer_of(&self, token: Token) -> Option<usize> {
        self.outcomes.get(&token).copied().flatten()
    }

    /// The answer of the backend for which a key is remembered.
    pub fn uncacheable_answer(&self, lock: Key) -> Option<usize> {
        self.uncacheable.get(&lock).copied().flatten()
    }

    /// A fill has ended.
    pub fn ends(&mut self, answer: usize) {
        self.running.retain(|running| running.answer != answer);
    }

    /// How many leases living processes still extend.
    pub fn kept(&self) -> usize {
        let leases = self.leases.iter().filter_map(Weak::upgrade);
        leases.filter(|lease| lease.is_kept()).count()
    }
}

impl Judge {
    /// A fill under a lock of its zone asks the backend, and nothing excuses it from a claim.
    pub fn fleet_fill_starts(
        &mut self,
        world: &World,
        machine: usize,
        lease: &Rc<Lease>,
        answer: usize,
    ) {
        let (lock, claims) = (lease.lock, world.config.claims);
        if claims == Claims::None {
            return;
        }
        let other = self.fleet.running.iter().find(|running| {
            let same = running.lease.lock == lock && running.machine != machine;
            let held = world.store.holds_lease(lock, running.lease.token, self.now);
            same && (held || claims == Claims::LeftOut)
        });
        // Its own may have been lost since it was granted.
        let excused = lease.is_ours();
        self.check(excused || other.is_none(), || {
            let other = other.map_or(0, |other| other.machine);
            format!("key {lock} is filled by machine {machine} and by machine {other}")
        });
        self.check(lease.is_ours() || claims == Claims::LeftOut, || {
            format!("machine {machine} fills key {lock} without a claim")
        });
        self.fleet.running.push(Running {
            answer,
            machine,
            lease: Rc::clone(lease),
        });
    }

    /// The store writes a record under a lease.
    pub fn writes_under(&self, world: &World, lease: Option<(Key, Token)>) {
        let lost = lease.filter(|(_, token)| self.fleet.over.contains(token));
        // A server that doesn't know of its successor goes on for a while; what it writes is lost.
        let lost = lost.filter(|_| world.store.is_one());
        self.check(lost.is_none(), || {
            format!("a record is written under a lease that was lost: {lost:?}")
        });
    }

    /// The store grants a lease: nobody else keeps it, unless something has gone wrong with it.
    pub fn lease_is_granted(&mut self, world: &World, lock: Key, token: Token, fence: &Bytes) {
        let mut leases = self.fleet.leases.iter().filter_map(Weak::upgrade);
        let kept = leases.find(|lease| {
            let other = lease.lock == lock && lease.token != token;
            other && lease.is_kept() && *lease.fence.borrow() == *fence
        });
        let config = &world.config;
        let safe = config.faults.store.is_empty() && !world.store.has_failed_over();
        let kept = kept.filter(|lease| safe && !self.frozen.contains(&lease.pid()));
        self.check(kept.is_none(), || {
            format!("the lease of key {lock} is taken from a machine that lives")
        });
        self.fleet.granted(lock, token);
    }

    /// A lease is given back by the machine that has it.
    pub fn lease_is_released(
        &mut self,
        world: &World,
        (lock, token): (Key, Token),
        verdict: Verdict,
        fill: Option<usize>,
    ) {
        let lost = world.store.is_one() && self.fleet.over.contains(&token);
        self.check(!lost, || {
            format!("another's lease of key {lock} is given back")
        });
        self.fleet.released(lock, token, verdict, fill);
    }

    /// When all is quiet nobody keeps a lease or waits for another's.
    pub(super) fn fleet_at_rest(&self, world: &World) {
        let (kept, heard) = (self.fleet.kept(), world.listeners.count());
        self.check(kept == 0 && heard == 0, || {
            format!("{kept} leases are kept, and {heard} wait for some")
        });
        let running = self.fleet.running.len();
        self.check(running == 0, || {
            format!("{running} claimed fills never ended")
        });
        let last = world.store.last_lease();
        let longest = cache_core::claim::lease(world.config.lock_age);
        self.check(last <= self.now + longest, || {
            format!("a lease lasts until {last}, which is too long")
        });
    }
}
