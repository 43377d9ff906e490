//! What must hold, whatever goes wrong.

use std::collections::{HashMap, HashSet};

use cache_core::outcome::Reason;
use cache_core::record::Record;
use cache_core::rules::Ahead;

use super::backend::Purpose;
use super::bounds::Bounds;
use super::client::Manner;
use super::config::{Claims, Key, Kind};
use super::fleet::Fleet;
use super::invalidating;
use super::permits::{DomainKey, Holdings};
use super::purging::Sents;
use super::routing::{Acknowledged, Routing};
use super::variants::{FieldValues, key_of};
use super::world::World;

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    Hit,
    /// Fresh, and refilled because it won't be for long.
    Ahead,
    Stale {
        refill: bool,
    },
    /// Stale, with the backend left alone because it has failed.
    Failing,
    Fill {
        locked: bool,
        reason: Option<Reason>,
    },
    Join,
    Pass(Reason),
}

/// A request as the judge sees it.
#[derive(Clone, Debug)]
pub struct Request {
    pub domain_key: DomainKey,
    /// The lock that it asked for last: that of its key or of its variant.
    pub lock: Key,
    pub fields: FieldValues,
    pub pid: i32,
    pub bypass: bool,
    pub arrived: u64,
    pub decided: Option<(u64, Decision)>,
    pub answered: Option<u64>,
    /// The client has left, or its worker has died.
    pub gone: bool,
    looks: u64,
    locks: u64,
    asked: u64,
    looked: u64,
    /// A look has found a record.
    found: bool,
    /// A look has found a record that must be validated at least.
    pub(super) holds: bool,
    /// The purges that its machine knew when it came.
    pub(super) purges: Vec<usize>,
    /// The first answer that knows of what its machine had invalidated by then.
    pub(super) first_valid: usize,
}

impl Request {
    /// Whether it has a record, and waits for nobody.
    pub fn has_record(&self) -> bool {
        self.found
    }
}

/// Looks that one request may need: each but the first follows somebody else's fill.
const MANY_LOOKS: u64 = 10_000;

/// Keeps the books and complains.
pub struct Judge {
    pub now: u64,
    pub(super) seed: u64,
    pub requests: Vec<Request>,
    pub(super) holdings: Holdings,
    pub(super) bounds: Bounds,
    /// Fills that run under a lock: its key, instance, request.
    pub(super) running: Vec<(DomainKey, u64, usize)>,
    /// Locks that were released as stored, and the number of the fill.
    pub(super) stored: HashSet<(DomainKey, usize)>,
    /// When a fill of this lock was last released as not storable.
    pub(super) unstorable: HashMap<DomainKey, u64>,
    /// When a fill of this lock was last released because the backend had failed, and of which sender it was.
    pub(super) failed: HashMap<(DomainKey, u64), u64>,
    /// When those who waited for a fill of this key were last told that the backend had failed.
    pub(super) told_failing: HashMap<DomainKey, u64>,
    /// Where a 304 confirmed a record that was gone.
    pub(super) superseded: HashSet<DomainKey>,
    /// When somebody last went because of the lock timeout.
    timeouts: HashMap<DomainKey, u64>,
    pub(super) frozen: HashSet<i32>,
    /// Locks were taken or released in this event.
    pub(super) changed: bool,
    pub(super) invalidated: invalidating::Acknowledged,
    pub data: Acknowledged,
    pub(super) routing: Routing,
    pub(super) fleet: Fleet,
    pub(super) purged: Sents,
    /// The answer that a record comes from, or that has confirmed it last, by the name of the write.
    pub(super) began: HashMap<Vec<u8>, usize>,
    /// How many requests were told that the key isn't asked for often.
    few_uses: HashMap<DomainKey, u32>,
    /// For how many milliseconds a record was to be kept, by the name of the write.
    lasts: HashMap<Vec<u8>, u64>,
}

impl Judge {
    pub fn new(seed: u64) -> Judge {
        Judge {
            now: 0,
            seed,
            requests: Vec::new(),
            holdings: Holdings::default(),
            bounds: Bounds::default(),
            running: Vec::new(),
            stored: HashSet::new(),
            unstorable: HashMap::new(),
            failed: HashMap::new(),
            told_failing: HashMap::new(),
            superseded: HashSet::new(),
            timeouts: HashMap::new(),
            frozen: HashSet::new(),
            changed: false,
            invalidated: invalidating::Acknowledged::default(),
            data: Acknowledged::default(),
            routing: Routing::default(),
            fleet: Fleet::default(),
            purged: Sents::default(),
            began: HashMap::new(),
            few_uses: HashMap::new(),
            lasts: HashMap::new(),
        }
    }

    pub fn fails(&self, what: &str) {
        if !std::thread::panicking() {
            let at = self.now - super::world::START;
            panic!("seed {}, at {at} ms: {what}", self.seed);
        }
    }

    pub(super) fn check(&self, holds: bool, what: impl FnOnce() -> String) {
        if !holds {
            self.fails(&what());
        }
    }

    pub fn arrived(
        &mut self,
        world: &World,
        domain_key: DomainKey,
        pid: i32,
        manner: Manner,
    ) -> usize {
        let purges = self.purges_known(world, domain_key.0);
        let first_valid = self.invalidated.by_machine(domain_key);
        self.requests.push(Request {
            purges,
            first_valid,
            domain_key,
            lock: domain_key.1,
            fields: manner.fields,
            pid,
            bypass: manner.bypass,
            arrived: self.now,
            decided: None,
            answered: None,
            gone: false,
            looks: 0,
            locks: 0,
            asked: 0,
            looked: 0,
            found: false,
            holds: false,
        });
        self.requests.len() - 1
    }

    /// Whether it was still there to leave.
    pub fn leaves(&mut self, number: usize) -> bool {
        let request = &mut self.requests[number];
        if request.answered.is_some() || request.gone {
            return false;
        }
        request.gone = true;
        self.bounds.ceases(number);
        true
    }

    pub fn killed(&mut self, pid: i32) {
        for request in self.requests.iter_mut().filter(|r| r.pid == pid) {
            request.gone |= request.answered.is_none();
        }
        let requests = &self.requests;
        let numbered = requests.iter().enumerate();
        let lost = numbered.filter(|(_, request)| request.pid == pid);
        self.bounds.lost(&lost.map(|(number, _)| number).collect());
        self.running
            .retain(|(_, _, number)| requests[*number].pid != pid);
    }

    /// A worker does nothing for a while: its requests may be late.
    pub fn frozen(&mut self, pid: i32) {
        self.frozen.insert(pid);
    }

    pub fn looks(&mut self, number: usize) {
        self.bounds.ceases(number);
        let request = &mut self.requests[number];
        request.looks += 1;
        let request = &self.requests[number];
        self.check(request.looks < MANY_LOOKS, || {
            format!("request {number} looks again and again")
        });
        self.check(!request.found, || {
            format!("request {number} has a record and looks again")
        });
    }

    /// It asks for its lock.
    pub fn asks_for_lock(&mut self, number: usize) {
        self.requests[number].locks += 1;
        self.check(self.requests[number].locks < MANY_LOOKS, || {
            format!("request {number} asks for its lock again and again")
        });
    }

    /// It asks whether it may go.
    pub fn asks(&mut self, number: usize) {
        self.requests[number].asked += 1;
        self.check(self.requests[number].asked < MANY_LOOKS, || {
            format!("request {number} asks again and again whether it may go")
        });
    }

    /// A record of the store is served: fresh as a hit, and else with a refill, if that may be.
    pub fn is_served(&self, number: usize, decision: Decision, fresh: bool) {
        let hit = matches!(decision, Decision::Hit | Decision::Ahead);
        self.check(fresh == hit, || {
            format!("request {number} gets a record (fresh: {fresh}) as {decision:?}")
        });
    }

    /// A stale record is served. Past `redis_cache_stale` that is for failures of the backend alone.
    pub fn is_stale_for(&self, world: &World, number: usize, decision: Decision, record: &Record) {
        let stale = world.config.rules.stale;
        let past = record.standing().staleness(stale);
        self.check(past <= stale || decision == Decision::Failing, || {
            format!("request {number} gets a record that is stale for {past} s as {decision:?}")
        });
        self.check(past <= world.config.rules.kept(), || {
            format!("request {number} gets a record that is stale for {past} s")
        });
    }

    /// A record is written or confirmed under this name, by this answer, to be kept for so many milliseconds.
    pub fn is_written(&mut self, name: Vec<u8>, answer: usize, lasts: u64) {
        self.lasts.insert(name.clone(), lasts);
        self.began.insert(name, answer);
    }

    /// A fresh record is refilled: it is in the last part of the time for which it was fresh when it was written or
    /// confirmed.
    pub fn is_due(&self, world: &World, number: usize, record: &Record) {
        let Some(Ahead::Share(percent)) = world.config.rules.ahead else {
            self.fails("a record is refilled before it is stale");
            return;
        };
        let generation = record.meta.as_ref().map(|meta| meta.generation.to_vec());
        let lasts = generation.and_then(|name| self.lasts.get(&name));
        let stale = u64::from(world.config.rules.kept()) * 1000;
        let whole = lasts.map_or(0, |lasts| lasts.saturating_sub(stale));
        let left = record.ttl_ms - i64::from(world.config.rules.kept()) * 1000;
        let left = u64::try_from(left).unwrap_or(0);
        self.check(left * 100 < whole * u64::from(percent), || {
            format!("request {number} has a record refilled that is fresh for {left} ms of {whole}")
        });
    }

    /// A look has ended; whether it has found a record to answer with, or one at all.
    pub fn looked(&mut self, number: usize, found: bool, holds: bool) {
        self.requests[number].looked = self.now;
        self.requests[number].found = found;
        self.requests[number].holds = holds;
    }

    pub fn decided(&mut self, world: &World, number: usize, decision: Decision) {
        self.requests[number].decided = Some((self.now, decision));
        self.is_within_bounds(world, number, decision);
        let request = &self.requests[number];
        let (machine, key) = request.domain_key;
        match decision {
            Decision::Hit | Decision::Ahead | Decision::Stale { .. } => {
                self.check(request.looked == self.now, || {
                    format!("request {number} had its record at another time than its answer")
                });
            }
            _ => {}
        }
        match decision {
            Decision::Stale { refill: false } => {
                let full = world.config.faults.is_zone_full(self.now) || world.config.is_crowded();
                let refilled = self.holdings.is_taken_for(request.domain_key);
                let marked = self.bounds.is_told_unneeded(number, self.now);
                self.check(full || refilled || marked, || {
                    format!("request {number} gets a stale record that nobody refills")
                });
            }
            Decision::Failing => {
                let most = world.config.back_off.most;
                // What a sender has met that says more than others do is nothing to those.
                let failed = |sender| {
                    let failed = self.failed.get(&(request.domain_key, sender));
                    failed.is_some_and(|at| self.now <= at + most)
                };
                let spares = failed(0) || failed(request.fields.sender);
                self.check(spares || self.has_waited_for_failure(world, number), || {
                    format!("request {number} spares a backend that hasn't failed for such as it")
                });
            }
            Decision::Pass(Reason::FewUses) => {
                self.check(request.locks == 0 && !request.holds, || {
                    format!("request {number} has waited, or has a record, and passes because of few uses")
                });
                let most = world.config.min_uses;
                let domain_key = request.domain_key;
                let told = self.few_uses.entry(domain_key).or_default();
                *told += 1;
                let told = *told;
                self.check(told < most, || {
                    format!("{told} requests for {domain_key:?} pass, and from request {most} on none is to")
                });
            }
            Decision::Pass(Reason::WaitersReleased) => {
                self.check(self.is_released(world, number), || {
                    format!("request {number} was told that an answer isn't for others")
                });
            }
            Decision::Pass(Reason::LockTimeout) => {
                let timeout = world.config.limits.lock_timeout;
                self.check(self.now >= request.arrived + timeout, || {
                    format!("request {number} goes before its lock timeout")
                });
                let last = self.timeouts.insert((machine, request.lock), self.now);
                // A key that had to go for another is forgotten, and who went with it.
                let forgotten = world.config.is_crowded();
                self.check(forgotten || last.is_none_or(|last| self.now >= last + timeout), || {
                    format!("two requests go for key {key} of machine {machine} within one lock timeout")
                });
            }
            _ => {}
        }
    }

    /// Whether what it may have waited for was a failure of the backend: that counts for it, whoever had sent the request.
    fn has_waited_for_failure(&self, world: &World, number: usize) -> bool {
        let request = &self.requests[number];
        let told = self.told_failing.get(&request.domain_key);
        // Its header may have come, but its lock isn't free yet.
        let comes = self.running.iter().any(|((machine, lock), _, filling)| {
            (*machine, key_of(*lock)) == request.domain_key
                && world.backend.asked().iter().any(|asked| {
                    asked.request == *filling
                        && asked.purpose == Purpose::Fill
                        && asked.kind == Kind::Error
                })
        });
        comes || told.is_some_and(|at| *at >= request.arrived)
    }

    /// Whether it may know that what it has waited for isn't for others.
    pub(super) fn is_released(&self, world: &World, number: usize) -> bool {
        let request = &self.requests[number];
        let released = self.unstorable.get(&request.domain_key);
        released.is_some_and(|at| *at >= request.arrived) || self.heads(world, number)
    }

    /// Whether the header of an answer that isn't for others has come for a request's key, of a
    /// fill that hasn't released its lock yet.
    fn heads(&self, world: &World, number: usize) -> bool {
        let request = &self.requests[number];
        world.backend.asked().iter().any(|asked| {
            asked.key == request.domain_key.1
                // where machines share fills, of any of them
                && (asked.machine == request.domain_key.0 || world.config.claims == Claims::Made)
                && asked.purpose == Purpose::Fill
                && (!asked.shareable()
                    || asked.is_too_large()
                    || asked.is_too_long(world)
                    // a 304 may say that the record varies on something else
                    || (world.config.varies && asked.kind == Kind::Confirms))
        })
    }

    /// After each event: no answer goes on for nobody, and the lock tables hold what is held.
    pub fn after_event(&mut self, world: &World) {
        let lost = world.backend.sends_to_nobody(self.now);
        self.check(lost.is_none(), || {
            format!("nobody reads answer {lost:?} and nothing is captured, but it goes on")
        });
        if !std::mem::take(&mut self.changed) {
            return;
        }
        for (index, machine) in world.machines.iter().enumerate() {
            // What the dead held is freed at once, whoever notices.
            let (held, age) = (machine.zone.held(), world.config.lock_age);
            if let Err(what) = self.holdings.reclaimed(index, &held, self.now, age) {
                self.fails(&what);
            }
            let (table, books) = (held.len(), self.holdings.count(index));
            self.check(table == books, || {
                format!("machine {index} has {table} locks, but {books} are held")
            });
        }
    }
}
