//! Keys that are marked as not storable, and how many wait for a key: kept in books of their own, beside the table's.

use std::collections::{HashMap, HashSet};

use cache_core::flow::Verdict;
use cache_core::outcome::Reason;

use super::config::Kind;
use super::invariants::{Decision, Judge};
use super::permits::DomainKey;
use super::variants::On;
use super::world::World;
use crate::locks::Acquired;

/// The books.
#[derive(Default)]
pub struct Bounds {
    /// Until when a key is taken not to be storable.
    marks: HashMap<DomainKey, u64>,
    /// Which holding of which lock a request waits for.
    waiting: HashMap<usize, (DomainKey, u64)>,
    /// Of these nobody says any more that they have ceased to wait: their workers were killed.
    ghosts: Vec<(DomainKey, u64)>,
    /// Requests that were told that the key is marked, or that too many wait, and when.
    marked: HashMap<usize, u64>,
    crowded: HashMap<usize, u64>,
}

impl Bounds {
    pub fn unmarked(&mut self, domain_key: DomainKey) {
        self.marks.remove(&domain_key);
    }

    /// A key is taken not to be storable until then, and no longer.
    pub fn marked(&mut self, domain_key: DomainKey, until: u64) {
        self.marks.insert(domain_key, until);
    }

    pub fn is_marked(&self, domain_key: DomainKey, now: u64) -> bool {
        self.marks
            .get(&domain_key)
            .is_some_and(|until| now < *until)
    }

    /// A request waits no more.
    pub fn ceases(&mut self, request: usize) {
        self.waiting.remove(&request);
    }

    /// Those requests were lost with their worker.
    pub fn lost(&mut self, requests: &HashSet<usize>) {
        let (ghosts, waiting) = (&mut self.ghosts, &mut self.waiting);
        waiting.retain(|request, wait| {
            let lost = requests.contains(request);
            ghosts.extend(lost.then_some(*wait));
            !lost
        });
    }

    /// How many wait for a holding, as the table has it.
    fn count(&self, domain_key: DomainKey, instance: u64) -> usize {
        let all = self.waiting.values().chain(&self.ghosts);
        all.filter(|wait| **wait == (domain_key, instance)).count()
    }

    /// Whether a request was told just now that its key is marked.
    pub fn is_told_unneeded(&self, request: usize, now: u64) -> bool {
        self.marked.get(&request) == Some(&now)
    }

    /// Who still waits.
    pub fn left(&self) -> Vec<usize> {
        self.waiting.keys().copied().collect()
    }
}

impl Judge {
    /// What the table says to a request that asks for its lock.
    pub fn is_told(&mut self, world: &World, number: usize, told: &Acquired) {
        let now = self.now;
        let request = &self.requests[number];
        let domain_key = (request.domain_key.0, request.lock);
        let waits = !request.bypass && !request.has_record();
        self.bounds.ceases(number);
        let holder = self.holdings.holder(domain_key);
        let waiting = holder.map_or(0, |instance| self.bounds.count(domain_key, instance));
        let queue = world.config.queue as usize;
        // A table that is too small forgets what it knew of a key that had to go for another.
        let forgetful = world.config.is_crowded();
        let marked = self.bounds.is_marked(domain_key, now);
        match told {
            Acquired::Unneeded => {
                self.check(marked, || {
                    format!("request {number} needs no lock, but nothing says so of its key")
                });
                self.bounds.marked.insert(number, now);
            }
            // The lock of one who has gone is taken over, whatever is known of the key.
            Acquired::Mine { .. } => self.check(!marked || forgetful || holder.is_some(), || {
                format!("request {number} has the lock of a key that is marked as not storable")
            }),
            Acquired::Busy { instance, .. } => {
                self.check(waiting < queue, || {
                    format!("request {number} waits for a key for which {waiting} wait already")
                });
                if waits {
                    self.bounds.waiting.insert(number, (domain_key, *instance));
                }
            }
            Acquired::Crowded { .. } => {
                self.check(waiting >= queue, || {
                    format!("request {number} may not wait, but only {waiting} of {queue} do")
                });
                self.bounds.crowded.insert(number, now);
            }
            Acquired::Full => {}
        }
    }

    /// The store says to a request that no machine needs to claim its key.
    pub fn needs_no_claim(&mut self, number: usize) {
        self.bounds.marked.insert(number, self.now);
    }

    /// As many read the fill of the lock's holder as may.
    pub fn is_too_much(&mut self, world: &World, number: usize, readers: usize) {
        self.bounds.ceases(number);
        let queue = world.config.queue as usize;
        self.check(readers >= queue, || {
            format!("request {number} may not join, but only {readers} of {queue} have")
        });
        self.bounds.crowded.insert(number, self.now);
    }

    /// A lock's release says whether the next answers of its key may be stored.
    pub(super) fn marks(
        &mut self,
        world: &World,
        domain_key: DomainKey,
        verdict: Verdict,
        fill: Option<usize>,
    ) {
        match verdict {
            Verdict::Uncacheable => {
                let answer = fill.and_then(|fill| world.backend.answer(fill));
                let says_so = answer.is_some_and(|answer| {
                    let own = [Kind::Private, Kind::Cookie, Kind::NoStore];
                    own.contains(&answer.kind)
                        || answer.on == On::Any
                        || answer.is_too_large()
                        || answer.is_too_long(world)
                });
                self.check(says_so, || {
                    format!(
                        "key {} is marked, but its answer doesn't say so",
                        domain_key.1
                    )
                });
            }
            Verdict::Stored => self.bounds.unmarked(domain_key),
            _ => {}
        }
    }

    /// Who is told that the key is marked goes at once and without a lock; who is told that too many wait goes at
    /// once and past the cache; nobody else does.
    pub(super) fn is_within_bounds(&mut self, world: &World, number: usize, decision: Decision) {
        self.bounds.ceases(number);
        let request = &self.requests[number];
        let (marked, crowded) = (
            self.bounds.marked.get(&number),
            self.bounds.crowded.get(&number),
        );
        if request.has_record() || request.bypass {
            return;
        }
        let unlocked = matches!(decision, Decision::Fill { locked: false, .. })
            || decision == Decision::Pass(Reason::Part);
        // Who was released from its wait, too, if it holds a record to ask about.
        if unlocked && marked.is_none() && request.holds && self.is_released(world, number) {
            return;
        }
        self.check(
            unlocked == marked.is_some() && marked.is_none_or(|at| *at == self.now),
            || {
                format!(
                    "request {number} was told at {marked:?} that it needs no lock: {decision:?}"
                )
            },
        );
        let passes = decision == Decision::Pass(Reason::TooManyWaiters);
        self.check(
            passes == crowded.is_some() && crowded.is_none_or(|at| *at == self.now),
            || format!("request {number} was told at {crowded:?} that too many wait: {decision:?}"),
        );
    }
}
