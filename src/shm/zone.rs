//! A zone as the module sees it: the locks of cache keys, background refills and invalidations that workers share.

use std::cell::Cell;

use cache_core::flow::Verdict;
use cache_core::key::LockKey;
use cache_core::report::Keys;
use cache_core::use_stale::Failure;
use md5::{Digest, Md5};
use ngx::ffi::*;
use ngx::ngx_log_error;

use super::counters::ZoneCounters;
use super::locks::{Acquired, Asker, Awaited, Retention, Table};
use super::mapping::Mapping;
use super::process::{is_alive, pid};
use super::wake::{self, Holding, Waiter};
use crate::ngx::event::now_msec;
use crate::ngx::guard::trip;

/// The least size of a zone, in bytes.
pub const MIN_SIZE: usize = 64 * 1024;

/// How many keys are counted at a time: that takes some microseconds.
const TALLIED: usize = 1024;

/// Gives zones.
type Zones = fn() -> Vec<Zone>;

thread_local! {
    /// Gives the zones of the configuration that this worker has now.
    static ZONES: Cell<Option<Zones>> = const { Cell::new(None) };
}

/// Says where this worker's zones are known.
pub fn know_all(zones: Zones) {
    ZONES.set(Some(zones));
}

/// Marks in all zones of this worker a key of a store that was invalidated as a message tells. What this nginx has invalidated
/// itself is marked already.
pub fn heard_in_all(store: &[u8], key: &[u8], number: u64) {
    let zones = ZONES.get().map(|zones| zones()).unwrap_or_default();
    let is_known = |zone: &Zone| zone.heard(&zone.lock_key(store, key)) == number;
    if !zones.first().is_some_and(is_known) {
        void_in_all(store, key, number);
    }
}

/// Marks in all zones of this worker a key of a store that is invalidated; see [`Zone::void`].
pub fn void_in_all(store: &[u8], key: &[u8], number: u64) {
    for zone in ZONES.get().map(|zones| zones()).unwrap_or_default() {
        zone.void(&zone.lock_key(store, key), number);
    }
}

/// The first of this worker's zones. What all zones have in common can be reached by it.
pub fn first() -> Option<Zone> {
    ZONES.get()?().first().copied()
}

/// A declared zone, as the configuration holds it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Zone(Mapping);

impl Zone {
    /// Declares a zone in the configuration that is being read.
    ///
    /// # Safety
    ///
    /// `cf` is the configuration being read.
    pub unsafe fn declare(cf: *mut ngx_conf_t, name: &str, size: usize) -> Option<Zone> {
        // SAFETY: by contract.
        unsafe { Mapping::declare(cf, name, size) }.map(Zone)
    }

    /// Its name in the configuration.
    pub fn name(self) -> String {
        self.0.name()
    }

    /// What goes into the name of each key in the lock table.
    pub fn secret(self) -> [u8; 16] {
        self.0.common().map_or([0; 16], |common| common.secret)
    }

    /// The lock key of a key in a store, whose name tells it from others. Nobody who doesn't know the zone's secret can tell
    /// it.
    pub fn lock_key(self, store: &[u8], key: &[u8]) -> LockKey {
        let mut hash = Md5::new();
        hash.update(self.secret());
        // Two stores may hold the same key.
        hash.update(store);
        hash.update([0]);
        hash.update(key);
        LockKey(hash.finalize().into())
    }

    /// What the sockets of this server's workers have in their names.
    pub fn instance(self) -> u64 {
        self.0.common().map_or(0, |common| common.instance)
    }

    fn with<T>(self, f: impl FnOnce(&mut Table<'_>) -> T) -> Option<T> {
        self.0.with(f)
    }

    fn asker(age: u64, queue: u32) -> Asker {
        Asker {
            pid: pid(),
            now: now_msec(),
            age,
            queue,
        }
    }

    /// What is counted of it. `None` before it is initialised.
    pub fn counters(self) -> Option<&'static ZoneCounters> {
        self.0.counters()
    }

    /// What is known of its keys. The mutex is held for a few of them at a time.
    pub fn keys(self) -> Keys {
        let mut keys = Keys::default();
        let now = now_msec();
        for part in 0.. {
            let from = part * TALLIED;
            let is_last = self.with(|table| {
                if part == 0 {
                    keys.room = table.entries.len() as u64;
                    keys.refills = table.refills();
                }
                table.tally(from, TALLIED, now, &mut keys);
                from + TALLIED >= table.entries.len()
            });
            if is_last.unwrap_or(true) {
                break;
            }
        }
        keys
    }

    /// How many workers have a place in it.
    pub fn workers(self) -> usize {
        self.with(|table| table.members().len()).unwrap_or(0)
    }

    /// The count of releases so far.
    pub fn sequence(self) -> u64 {
        self.0.sequence()
    }

    /// Counts a request for a key that has no record; see [`Uses::count`].
    ///
    /// [`Uses::count`]: super::uses::Uses::count
    pub fn count_use(self, key: &LockKey) -> u32 {
        self.0.uses().count(key, now_msec() / 1000)
    }

    /// The text of the rule of No-Vary-Search that the responses of a path have, by the path's name; see
    /// [`SearchRules::find`].
    ///
    /// [`SearchRules::find`]: super::search_rules::SearchRules::find
    pub fn search_rule(self, name: &LockKey) -> Option<Vec<u8>> {
        self.0.search_rules().find(name, now_msec() / 1000)
    }

    /// The responses of a path have this rule, for so many seconds from now on.
    pub fn learn_search_rule(self, name: &LockKey, text: &[u8], seconds: u64) {
        let now = now_msec() / 1000;
        let rules = self.0.search_rules();
        rules.learn(name, text, now, now.saturating_add(seconds));
    }

    /// The responses of a path have no rule.
    pub fn forget_search_rule(self, name: &LockKey) {
        self.0.search_rules().forget(name);
    }

    /// Takes a lock; see [`Table::acquire`]. `age` in milliseconds. What a dead process holds is freed first.
    pub fn acquire(self, key: &LockKey, since: u64, age: u64, queue: u32) -> Acquired {
        let acquire = || {
            let acquired = self.with(|table| {
                trip("zone held");
                table.acquire(key, since, Self::asker(age, queue))
            });
            acquired.unwrap_or(Acquired::Full)
        };
        let acquired = match acquire() {
            Acquired::Busy { owner, .. } | Acquired::Crowded { owner } if !is_alive(owner) => {
                self.bury(owner);
                acquire()
            }
            Acquired::Full if self.bury_dead() => acquire(),
            acquired => acquired,
        };
        if acquired == Acquired::Full
            && self
                .with(|table| table.must_tell(now_msec()))
                .unwrap_or(false)
        {
            self.tell_full();
        }
        acquired
    }

    /// Frees what a process that is gone holds, and wakes its waiters.
    fn bury(self, process: i32) {
        let woken = self.with(|table| {
            let all = table.bury(process, now_msec());
            all.into_iter()
                .map(|(key, set)| (key, table.pids(set)))
                .collect::<Vec<_>>()
        });
        for (key, workers) in woken.unwrap_or_default() {
            wake::all(&key, workers);
        }
    }

    /// Frees what the dead hold. Whether there were any. Liveness is asked for without the mutex.
    fn bury_dead(self) -> bool {
        let members = self.with(|table| table.members()).unwrap_or_default();
        let dead: Vec<i32> = members.into_iter().filter(|pid| !is_alive(*pid)).collect();
        dead.iter().for_each(|pid| self.bury(*pid));
        !dead.is_empty()
    }

    fn tell_full(self) {
        let name = self.0.name();
        // SAFETY: there is a cycle with a log while a worker runs.
        let log = unsafe { (*ngx_cycle).log };
        ngx_log_error!(
            NGX_LOG_WARN,
            log,
            "redis_cache: zone \"{name}\" has no room for another lock: requests go to the backend \
             without one; give it a larger size in \"redis_cache_zone\""
        );
    }

    /// Frees a lock and wakes its waiters.
    pub fn release(self, key: &LockKey, instance: u64, verdict: Verdict, retention: Retention) {
        let now = now_msec();
        let woken = self.with(|table| {
            let workers = table.release(key, instance, verdict, retention, now);
            table.pids(workers)
        });
        wake::all(key, woken.unwrap_or_default());
    }

    /// The same after a fill of another machine has ended so; see [`Table::pass_on`].
    pub fn pass_on(self, key: &LockKey, instance: u64, verdict: Verdict, retention: Retention) {
        let now = now_msec();
        let woken = self.with(|table| {
            let workers = table.pass_on(key, instance, verdict, retention, now);
            table.pids(workers)
        });
        wake::all(key, woken.unwrap_or_default());
    }

    /// Frees a lock whose holder has found nothing, and wakes its waiters.
    pub fn abandon(self, key: &LockKey, instance: u64) {
        let woken = self.with(|table| {
            let workers = table.abandon(key, instance, now_msec());
            table.pids(workers)
        });
        wake::all(key, woken.unwrap_or_default());
    }

    /// How the backend has failed for a key, while it is to be left alone for that; see [`Table::failing`].
    pub fn failing(self, key: &LockKey, sender: impl FnOnce() -> u64) -> Option<Failure> {
        self.with(|table| table.failing(key, sender, now_msec()))
            .flatten()
    }

    /// Forgets that responses of a key weren't storable: one was.
    pub fn unmark(self, key: &LockKey) {
        self.with(|table| table.mark(key, 0));
    }

    /// What a key has, and what is on its way for it in any worker, is worthless from now on; see
    /// [`Table::invalidate`]. Gives how often the key had been invalidated before.
    pub fn invalidate(self, key: &LockKey) -> u64 {
        let common = self.0.common();
        let before = common.map_or(0, |common| common.invalidate(key));
        let woken = self.with(|table| {
            let workers = table.invalidate(key, now_msec());
            table.pids(workers)
        });
        wake::all(key, woken.unwrap_or_default());
        before
    }

    /// A key was invalidated: nobody joins or waits any more for a fill that doesn't know of that; see
    /// [`Table::void`].
    pub fn void(self, key: &LockKey, number: u64) {
        if let Some(common) = self.0.common() {
            common.hear(key, number);
        }
        let woken = self.with(|table| {
            let workers = table.void(key, number, now_msec());
            table.pids(workers)
        });
        wake::all(key, woken.unwrap_or_default());
    }

    /// The number of the invalidation by another machine that was heard last; see [`Common::heard`].
    ///
    /// [`Common::heard`]: super::mapping::Common::heard
    pub fn heard(self, key: &LockKey) -> u64 {
        self.0.common().map_or(0, |common| common.heard(key))
    }

    /// The fill of this holding of a lock knows of the invalidation of that number.
    pub fn note_fence(self, key: &LockKey, instance: u64, number: u64) {
        self.with(|table| table.note_fence(key, instance, number));
    }

    /// How often a key was invalidated. What was begun at another count is worthless.
    pub fn invalidations(self, key: &LockKey) -> u64 {
        self.0
            .common()
            .map_or(0, |common| common.invalidations(key))
    }

    /// Whether responses of a key are taken not to be storable.
    pub fn is_marked(self, key: &LockKey) -> bool {
        self.with(|table| table.is_marked(key, now_msec()))
            .unwrap_or(false)
    }

    /// Whether the store was said a moment ago to keep no record as large as a key's; see [`Table::does_not_fit`].
    pub fn does_not_fit(self, key: &LockKey) -> bool {
        self.with(|table| table.does_not_fit(key, now_msec()))
            .unwrap_or(false)
    }

    /// One request less waits for a lock.
    pub fn leave_queue(self, key: &LockKey, instance: u64) {
        self.with(|table| table.leave(key, instance));
    }

    /// Asks for the right to one more background refill, of `limit` in all.
    pub fn begin_refill(self, limit: u32) -> Option<RefillSlot> {
        let begin = || {
            self.with(|table| table.begin_refill(pid(), limit))
                .unwrap_or(false)
        };
        let granted = begin() || (self.bury_dead() && begin());
        granted.then(|| RefillSlot(self))
    }

    /// Says that a lock's holder is alive.
    pub fn touch(self, key: &LockKey, instance: u64) {
        self.with(|table| table.touch(key, instance, now_msec()));
    }

    /// Waits for the release of a holding of a lock.
    pub fn wait_for_release(self, key: LockKey, instance: u64) -> Waiter {
        let holding = Holding {
            zone: self.0,
            key,
            instance,
        };
        wake::join(holding, move || self.await_release(&key, instance))
    }

    /// Asks to be woken; see [`Table::await_release`]. `Some` if there is nothing to wait for any more.
    fn await_release(self, key: &LockKey, instance: u64) -> Option<Verdict> {
        let awaited = self.with(|table| {
            let place = table.enrol(pid());
            table.await_release(key, instance, place, now_msec())
        });
        match awaited {
            Some(Awaited::Held(owner)) if is_alive(owner) => None,
            Some(Awaited::Held(owner)) => {
                self.bury(owner);
                Some(Verdict::Failed)
            }
            Some(Awaited::Released(verdict)) => Some(verdict),
            None => Some(Verdict::Failed),
        }
    }

    /// See [`Table::elect`]; milliseconds.
    pub fn elect(self, key: &LockKey, timeout: u64) -> Result<(), u64> {
        self.with(|table| table.elect(key, timeout, now_msec()))
            .unwrap_or(Ok(()))
    }

    /// Gives a new worker its place. What the dead hold is free from now on, as is what an earlier process of its
    /// number has left behind.
    pub fn enrol(self) {
        self.bury(pid());
        self.bury_dead();
        self.with(|table| table.enrol(pid()));
    }

    /// Frees all that this worker holds, for its exit.
    pub fn leave(self) {
        self.bury(pid());
    }
}

/// The right to one background refill. It ends when dropped.
pub struct RefillSlot(Zone);

impl Drop for RefillSlot {
    fn drop(&mut self) {
        self.0.with(|table| table.end_refill(pid()));
    }
}
