//! What must hold of fills in the fleet: one for each key and lease, and nothing is written under a lease that was lost.

use std::collections::{HashMap, HashSet};
use std::rc::{Rc, Weak};

use bytes::Bytes;
use cache_core::flow::Verdict;
use cache_core::token::Token;

use super::config::{Claims, Key};
use super::invariants::Judge;
use super::leasing::Lease;
use super::variants::key_of;
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
    /// When a lease was granted or extended last.
    lasting: HashMap<Token, u64>,
    /// What came of the fill under a lease.
    outcomes: HashMap<Token, Outcome>,
    /// The locks whose answers aren't storable.
    uncacheable: HashMap<Key, Remembered>,
}

/// What came of the fill under a lease, as its machine has said when it gave the lease back.
#[derive(Clone, Copy, Debug)]
pub struct Outcome {
    pub lock: Key,
    pub verdict: Verdict,
    /// The answer of the backend.
    pub answer: Option<usize>,
}

/// That the answers of a lock aren't storable.
struct Remembered {
    /// The answer of the backend that said so last.
    answer: Option<usize>,
    /// What the fence of the key was then.
    fence: Bytes,
    /// Until when.
    until: u64,
}

impl Fleet {
    /// A machine has a lease.
    pub fn keeps(&mut self, lease: &Rc<Lease>) {
        self.leases.retain(|lease| lease.strong_count() > 0);
        self.leases.push(Rc::downgrade(lease));
    }

    /// The store has granted a lease at this time, or extended it.
    pub fn lasts(&mut self, token: Token, now: u64) {
        self.lasting.insert(token, now);
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
    fn released(&mut self, token: Token, outcome: Outcome) {
        if self.current.get(&outcome.lock) == Some(&token) {
            self.current.remove(&outcome.lock);
        }
        self.over.insert(token);
        self.outcomes.insert(token, outcome);
    }

    /// What a machine has told others of the fill under its lease.
    pub fn outcome_of(&self, token: Token) -> Option<Outcome> {
        self.outcomes.get(&token).copied()
    }

    /// The answer of the backend for which a key is remembered.
    pub fn uncacheable_answer(&self, lock: Key) -> Option<usize> {
        self.uncacheable.get(&lock)?.answer
    }

    /// The store has forgotten that the answers of a lock aren't storable. What it has said before may be on its way still.
    pub fn is_forgotten(&mut self, lock: Key) {
        if let Some(known) = self.uncacheable.get_mut(&lock) {
            known.until = 0;
        }
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
        let fence = world.store.fence(key_of(lock));
        let other = self.fleet.running.iter().find(|running| {
            let other = &running.lease;
            let same = other.lock == lock && running.machine != machine;
            let is_lost = *other.fence.borrow() != fence || self.may_be_lost(world, other);
            same && (claims == Claims::LeftOut || !is_lost)
        });
        self.check(other.is_none(), || {
            let other = other.map_or(0, |other| other.machine);
            format!("key {lock} is filled by machine {machine} and by machine {other}")
        });
        if claims == Claims::Made {
            self.check(lease.is_ours(), || {
                format!("machine {machine} fills key {lock} without a claim")
            });
            // It was granted at most two looks ago.
            let is_held = world.store.holds_lease(lock, lease.token, self.now);
            let is_lost = *lease.fence.borrow() != fence || self.may_be_lost(world, lease);
            self.check(is_held || is_lost, || {
                format!(
                    "machine {machine} fills key {lock} under a claim that the store doesn't know"
                )
            });
        }
        self.fleet.running.push(Running {
            answer,
            machine,
            lease: Rc::clone(lease),
        });
    }

    /// Whether a lease may have been lost since the store has granted or extended it last, although its process keeps it.
    fn may_be_lost(&self, world: &World, lease: &Lease) -> bool {
        let since = self.fleet.lasting.get(&lease.token).copied().unwrap_or(0);
        let mut troubles = world.config.faults.store.iter();
        troubles.any(|(from, to, _)| *from <= self.now && since <= *to)
            || world.store.may_have_lost_leases(world, since)
            || self.frozen.contains(&lease.pid())
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
            let kept = other && lease.is_kept() && *lease.fence.borrow() == *fence;
            kept && !self.may_be_lost(world, lease)
        });
        self.check(kept.is_none(), || {
            format!("the lease of key {lock} is taken from a machine that lives")
        });
        self.fleet.granted(lock, token);
        self.fleet.lasts(token, self.now);
    }

    /// The store says that it remembers for `left` milliseconds that the answers of a lock aren't storable.
    pub fn is_remembered(&self, world: &World, lock: Key, fence: &Bytes, left: u64) {
        if !world.store.is_one() {
            return;
        }
        let known = self.fleet.uncacheable.get(&lock);
        let is = known.is_some_and(|known| self.now + left <= known.until && known.fence == *fence);
        self.check(is, || {
            format!("nobody has found a moment ago that answers of key {lock} aren't storable")
        });
    }

    /// A machine hears what came of another's fill.
    pub fn hears(&self, lock: Key, by: Token, verdict: Verdict) -> Option<Outcome> {
        let outcome = self.fleet.outcome_of(by);
        let is = outcome.is_some_and(|told| (told.lock, told.verdict) == (lock, verdict));
        self.check(is, || {
            format!(
                "of the fill of key {lock} that has come to {outcome:?} it is heard: {verdict:?}"
            )
        });
        outcome
    }

    /// A lease is given back by the machine that has it.
    pub fn lease_is_released(
        &mut self,
        world: &World,
        token: Token,
        outcome: Outcome,
        fence: Bytes,
    ) {
        let (lock, now) = (outcome.lock, self.now);
        let lost = world.store.is_one() && self.fleet.over.contains(&token);
        self.check(!lost, || {
            format!("another's lease of key {lock} is given back")
        });
        if outcome.verdict == Verdict::Uncacheable {
            let known = Remembered {
                answer: outcome.answer,
                fence,
                until: now + world.config.uncacheable_ttl,
            };
            self.fleet.uncacheable.insert(lock, known);
        }
        self.fleet.released(token, outcome);
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
