//! Locks as they are held: never two at once, and released with the truth.

use std::cell::Cell;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::rc::Rc;

use cache_core::flow::{Permit, Verdict};

use super::config::Key;
use super::leasing::Lease;
use super::topology::Broken;
use super::variants::key_of;
use super::worker::{Worker, is_alive};
use super::world::World;
use crate::locks::Retention;

/// What is true of a request and its fill, as far as the lock's release is concerned.
#[derive(Default)]
pub struct Truth {
    /// The last look into the store showed a fresh record.
    pub fresh: Cell<bool>,
    /// A look into the store has failed.
    pub trouble: Cell<bool>,
    /// The last claim has failed: the fill does without.
    pub without_claim: Cell<bool>,
    /// The number of the fill, once the backend was asked.
    pub fill: Cell<Option<usize>>,
    /// What a release must say, once that is decided.
    pub verdict: Cell<Option<Verdict>>,
    /// What another machine has found, and the number of its fill.
    pub told: Cell<Option<(Verdict, Option<usize>)>>,
}

impl Truth {
    fn allows(&self, verdict: Verdict) -> bool {
        match self.fill.get() {
            Some(_) => self.verdict.get() == Some(verdict),
            None if self.told.get().is_some_and(|(told, _)| told == verdict) => true,
            None if self.fresh.get() => matches!(verdict, Verdict::Stored | Verdict::Failed),
            None => verdict == Verdict::Failed,
        }
    }
}

/// How a holding ends.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    /// With the verdict of a fill.
    Found,
    /// With that of a fill of another machine.
    PassedOn,
    /// Without any.
    Abandoned,
}

/// The lock of a key, held by a worker.
pub struct SimPermit {
    pub world: Rc<World>,
    pub worker: Rc<Worker>,
    pub key: Key,
    pub instance: u64,
    pub truth: Rc<Truth>,
    /// Who sends what the backend gets, once a fill has begun.
    pub sender: Cell<u64>,
    pub released: Rc<Cell<bool>>,
    pub lease: Rc<Lease>,
}

impl SimPermit {
    fn end(&self, verdict: Verdict, end: End) {
        // What was killed releases nothing.
        if self.released.replace(true) || !self.worker.is_alive() || std::thread::panicking() {
            return;
        }
        let (world, key) = (&self.world, self.key);
        let machine = self.worker.machine;
        world.note(|| format!("key {key} of machine {machine} is released: {verdict:?}"));
        let mut judge = world.judge();
        if !self.truth.allows(verdict) {
            let known = self.truth.verdict.get();
            judge.fails(&format!(
                "key {key} of machine {machine} was released with {verdict:?}, the truth is {known:?}"
            ));
        }
        let told = self.truth.told.get().filter(|(told, _)| *told == verdict);
        let own = self.truth.fill.get();
        let fill = own.or(told.and_then(|(_, fill)| fill));
        judge.released(world, (machine, key), self.instance, verdict, fill);
        if end == End::Found && matches!(verdict, Verdict::Failed | Verdict::Failing(_)) {
            // Of whom the backend has got what it failed for. What another machine tells doesn't say that.
            let asked = own.and_then(|own| world.backend.answer(own));
            let sender = asked.map_or(0, |asked| judge.requests[asked.request].fields.sender);
            let now = judge.now;
            judge.failed.insert(((machine, key_of(key)), sender), now);
        }
        drop(judge);
        self.lease.end(verdict, own);
        self.worker.withdraw(key, self.instance);
        let (zone, now) = (&world.machines[machine].zone, world.now());
        let all = world.breaks(Broken::BlamesAll);
        let sender = if all { 0 } else { self.sender.get() };
        let retention = world.config.retention_of(sender);
        let known = self.lease.known.get().unwrap_or(u64::MAX);
        let retention = Retention {
            uncacheable: retention.uncacheable.min(known),
            ..retention
        };
        if verdict == Verdict::Uncacheable {
            let until = now + retention.uncacheable;
            world.judge().bounds.marked((machine, key), until);
        }
        let woken = match end {
            End::Found => zone.release(key, self.instance, verdict, retention, now),
            End::PassedOn => zone.pass_on(key, self.instance, verdict, retention, now),
            End::Abandoned => zone.abandon(key, self.instance, now),
        };
        for pid in woken {
            self.wake(pid);
        }
    }

    fn wake(&self, pid: i32) {
        let (world, key, machine) = (&self.world, self.key, self.worker.machine);
        if pid == self.worker.pid {
            self.worker.wake(key);
            return;
        }
        if world.fault(world.config.faults.wake_lost) {
            return;
        }
        let late = world.fault(world.config.faults.wake_late);
        let delay = if late {
            world.between((1, 3000))
        } else {
            world.between(world.config.wake_delay)
        };
        world.after(delay, move |world| {
            let workers = world.machines[machine].workers.borrow().clone();
            if let Some(worker) = workers.iter().find(|worker| worker.pid == pid) {
                worker.wake(key);
            }
        });
    }

    /// Keeps the lock young as long as its holder lives, as the task of a fill does.
    pub fn keep(&self) {
        let worker = Rc::clone(&self.worker);
        let interval = (self.world.config.lock_age / 3).max(1);
        let end = Rc::clone(&self.released);
        keep(&self.world, worker, self.key, self.instance, end, interval);
    }
}

fn keep(
    world: &Rc<World>,
    worker: Rc<Worker>,
    key: Key,
    instance: u64,
    end: Rc<Cell<bool>>,
    delay: u64,
) {
    world.after(delay, move |world| {
        if end.get() || !worker.is_alive() {
            return;
        }
        let mut next = (world.config.lock_age / 3).max(1);
        if let Some(until) = worker.frozen_until(world.now()) {
            next = until - world.now();
        } else {
            let zone = &world.machines[worker.machine].zone;
            zone.touch(key, instance, world.now());
            world.judge().touched((worker.machine, key), instance);
        }
        keep(world, worker, key, instance, end, next);
    });
}

impl Permit for SimPermit {
    fn release(self, verdict: Verdict) {
        self.end(verdict, End::Found);
    }

    fn pass_on(self, verdict: Verdict) {
        self.end(verdict, End::PassedOn);
    }

    fn touch(&self) {
        let (world, domain_key) = (&self.world, (self.worker.machine, self.key));
        let zone = &world.machines[self.worker.machine].zone;
        zone.touch(self.key, self.instance, world.now());
        world.judge().touched(domain_key, self.instance);
    }
}

impl Drop for SimPermit {
    fn drop(&mut self) {
        self.end(Verdict::Failed, End::Abandoned);
    }
}

/// A key of the lock domain of a machine.
pub type DomainKey = (usize, Key);

struct Holding {
    instance: u64,
    pid: i32,
    touched: u64,
}

/// Who holds what, kept apart from the lock tables.
#[derive(Default)]
pub struct Holdings {
    held: HashMap<DomainKey, Holding>,
    /// Taken over from the dead and from those that did nothing for too long.
    overtaken: HashSet<(DomainKey, u64)>,
}

impl Holdings {
    /// Somebody has a lock. The error says who else has it.
    pub fn acquired(
        &mut self,
        domain_key: DomainKey,
        instance: u64,
        pid: i32,
        now: u64,
        age: u64,
    ) -> Result<(), String> {
        let touched = now;
        let new = Holding {
            instance,
            pid,
            touched,
        };
        let Some(old) = self.held.insert(domain_key, new) else {
            return Ok(());
        };
        self.overtaken.insert((domain_key, old.instance));
        if is_alive(old.pid) && now - old.touched <= age {
            return Err(format!(
                "key {} of machine {} is held by worker {} and by worker {pid}",
                domain_key.1, domain_key.0, old.pid
            ));
        }
        Ok(())
    }

    /// Places in a full table are taken from the dead and from those that did nothing for too long,
    /// from nobody else. The error says who has lost one wrongly.
    pub fn reclaimed(
        &mut self,
        machine: usize,
        kept: &BTreeSet<Key>,
        now: u64,
        age: u64,
    ) -> Result<(), String> {
        let gone = |(domain_key, _): &(&DomainKey, &Holding)| {
            domain_key.0 == machine && !kept.contains(&domain_key.1)
        };
        let lost: Vec<DomainKey> = self
            .held
            .iter()
            .filter(gone)
            .map(|(domain_key, _)| *domain_key)
            .collect();
        for domain_key in lost {
            let Some(old) = self.held.remove(&domain_key) else {
                continue;
            };
            self.overtaken.insert((domain_key, old.instance));
            if is_alive(old.pid) && now - old.touched <= age {
                return Err(format!(
                    "key {} of machine {machine} was taken from worker {}",
                    domain_key.1, old.pid
                ));
            }
        }
        Ok(())
    }

    /// A lock is nobody's any more, whoever holds it.
    pub fn freed(&mut self, domain_key: DomainKey) {
        if let Some(old) = self.held.remove(&domain_key) {
            self.overtaken.insert((domain_key, old.instance));
        }
    }

    pub fn touched(&mut self, domain_key: DomainKey, instance: u64, now: u64) {
        if let Some(holding) = self.held.get_mut(&domain_key)
            && holding.instance == instance
        {
            holding.touched = now;
        }
    }

    /// A lock is given back; whether it was still held.
    pub fn released(&mut self, domain_key: DomainKey, instance: u64) -> bool {
        let held = self.is_held(domain_key, instance);
        if held {
            self.held.remove(&domain_key);
        }
        held
    }

    pub fn is_held(&self, domain_key: DomainKey, instance: u64) -> bool {
        let holding = self.held.get(&domain_key);
        holding.is_some_and(|holding| holding.instance == instance)
    }

    /// Whether anybody holds the lock of a key or of one of its variants.
    pub fn is_taken_for(&self, (machine, key): DomainKey) -> bool {
        let mut held = self.held.keys();
        held.any(|(other, lock)| *other == machine && key_of(*lock) == key)
    }

    /// Which holding of a lock is the present one.
    pub fn holder(&self, domain_key: DomainKey) -> Option<u64> {
        self.held.get(&domain_key).map(|holding| holding.instance)
    }

    pub fn is_overtaken(&self, domain_key: DomainKey, instance: u64) -> bool {
        self.overtaken.contains(&(domain_key, instance))
    }

    /// How many keys of a machine are held.
    pub fn count(&self, machine: usize) -> usize {
        self.held
            .keys()
            .filter(|domain_key| domain_key.0 == machine)
            .count()
    }

    /// Locks whose holder lives.
    pub fn living(&self) -> Vec<DomainKey> {
        let alive = self.held.iter().filter(|(_, held)| is_alive(held.pid));
        alive.map(|(domain_key, _)| *domain_key).collect()
    }
}
