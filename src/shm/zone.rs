//! A zone: shared memory of nginx with a lock table in it.

use std::sync::atomic::Ordering;

use cache_core::flow::Verdict;
use cache_core::key::LockKey;
use cache_core::use_stale::Failure;
use ngx::ffi::*;
use ngx::ngx_log_error;

use super::common::Common;
use super::layout::{Init, init, init_common, table};
use super::liveness::is_alive;
use super::table::{Acquired, Asker, Awaited, Retention, Table, TableHeader, Workers};
use super::wake;
use crate::ngx::event::now_msec;
use crate::ngx::module;
use crate::ngx::text;

/// The least size of a zone, in bytes.
pub const MIN_SIZE: usize = 64 * 1024;

/// What nginx calls our shared memory: other modules' zones have other names, whatever their directives say.
const NAME: &str = "redis_cache_zone ";

/// What nginx calls the memory that all zones have in common. No zone has this name: theirs are longer than [`NAME`].
const COMMON: &str = "redis_cache_zone";

/// Enough for [`Common`] and nginx's own pages.
const COMMON_SIZE: usize = size_of::<Common>() + 64 * 1024;

/// A declared zone, as the configuration holds it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Zone {
    table: *mut ngx_shm_zone_t,
    common: *mut ngx_shm_zone_t,
}

/// The name that shared memory has in the configuration.
pub(super) fn name_of(zone: &ngx_shm_zone_t) -> String {
    // SAFETY: the name lives as long as its zone.
    let name = unsafe { String::from_utf8_lossy(text::bytes(&zone.shm.name)) };
    name.strip_prefix(NAME).unwrap_or(&name).to_owned()
}

/// This worker's process.
pub fn pid() -> i32 {
    // SAFETY: set by nginx at start and after each fork.
    unsafe { ngx_pid }
}

/// The mutex of a zone, held. It is free again when this is dropped, after a panic, too.
struct Locked(*mut ngx_shmtx_t);

impl Locked {
    /// # Safety
    ///
    /// `mutex` is that of a mapped zone, and this process doesn't hold it.
    unsafe fn new(mutex: *mut ngx_shmtx_t) -> Locked {
        // SAFETY: by contract.
        unsafe { ngx_shmtx_lock(mutex) };
        Locked(mutex)
    }
}

impl Drop for Locked {
    fn drop(&mut self) {
        // SAFETY: `new` has locked it, and a zone stays mapped as long as its process lives.
        unsafe { ngx_shmtx_unlock(self.0) };
    }
}

impl Zone {
    /// Declares a zone in the configuration that is being read.
    ///
    /// # Safety
    ///
    /// `cf` is the configuration being read.
    pub unsafe fn declare(cf: *mut ngx_conf_t, name: &str, size: usize) -> Option<Zone> {
        let add = |name: &str, size, init| {
            // SAFETY: by contract; nginx keeps the name, which lives in the configuration's pool. The module's address
            // tags the memory as ours.
            unsafe {
                let mut name = text::copy((*cf).pool, name.as_bytes())?;
                let tag = module::own().cast();
                let zone = ngx_shared_memory_add(cf, &mut name, size, tag);
                zone.as_mut()?.init = Some(init);
                Some(zone)
            }
        };
        Some(Zone {
            table: add(&format!("{NAME}{name}"), size, init as Init)?,
            common: add(COMMON, COMMON_SIZE, init_common as Init)?,
        })
    }

    /// Its name in the configuration.
    fn name(self) -> String {
        // SAFETY: the zone is that of a configuration that lives.
        unsafe { name_of(&*self.table) }
    }

    /// What all zones have in common. `None` before it is initialised.
    fn common<'a>(self) -> Option<&'a Common> {
        // SAFETY: laid out by `init_common`, mapped as long as the process lives; what changes in it is atomic.
        unsafe { (*self.common).data.cast::<Common>().as_ref() }
    }

    /// What goes into the name of each key in the lock table.
    pub fn secret(self) -> [u8; 16] {
        self.common().map_or([0; 16], |common| common.secret)
    }

    /// What the sockets of this server's workers have in their names.
    pub fn instance(self) -> u64 {
        self.common().map_or(0, |common| common.instance)
    }

    /// Runs `f` with the table, under the zone's mutex. `None` before the zone is initialised.
    fn with<T>(self, f: impl FnOnce(&mut Table<'_>) -> T) -> Option<T> {
        // SAFETY: the zone's memory was laid out by `init` and is mapped in every worker at the
        // same address; under the mutex nobody else touches it. Nothing in `f` asks for the mutex again.
        unsafe {
            let pool = (*self.table).shm.addr.cast::<ngx_slab_pool_t>();
            let header = (*self.table).data.cast::<TableHeader>();
            if pool.is_null() || header.is_null() {
                return None;
            }
            let _locked = Locked::new(&raw mut (*pool).mutex);
            Some(f(&mut table(header)))
        }
    }

    fn asker(age: u64, queue: u32) -> Asker {
        Asker {
            pid: pid(),
            now: now_msec(),
            age,
            queue,
        }
    }

    /// The count of releases so far.
    pub fn sequence(self) -> u64 {
        // SAFETY: the header is laid out by `init`; the counter is atomic.
        unsafe {
            let header = (*self.table).data.cast::<TableHeader>();
            header
                .as_ref()
                .map_or(0, |header| header.sequence.load(Ordering::Relaxed))
        }
    }

    /// Takes a lock; see [`Table::acquire`]. `age` in milliseconds. What a dead process holds is freed first.
    pub fn acquire(self, key: &LockKey, since: u64, age: u64, queue: u32) -> Acquired {
        let acquire = || {
            let acquired = self.with(|table| table.acquire(key, since, Self::asker(age, queue)));
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

    /// Frees what a process that is gone holds, and wakes who waits for it.
    fn bury(self, process: i32) {
        let woken = self.with(|table| {
            let all = table.bury(process, now_msec());
            all.into_iter()
                .map(|(key, set)| (key, pids(table, set)))
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
        let name = self.name();
        // SAFETY: there is a cycle with a log while a worker runs.
        let log = unsafe { (*ngx_cycle).log };
        ngx_log_error!(
            NGX_LOG_WARN,
            log,
            "redis_cache: zone \"{name}\" has no room for another lock: requests go to the backend \
             without one; give it a larger size in \"redis_cache_zone\""
        );
    }

    /// Frees a lock and wakes who waits for it.
    pub fn release(self, key: &LockKey, instance: u64, verdict: Verdict, retention: Retention) {
        let now = now_msec();
        let woken = self.with(|table| {
            let workers = table.release(key, instance, verdict, retention, now);
            pids(table, workers)
        });
        wake::all(key, woken.unwrap_or_default());
    }

    /// Frees a lock whose holder has found nothing, and wakes who waits for it.
    pub fn abandon(self, key: &LockKey, instance: u64) {
        let woken = self.with(|table| {
            let workers = table.abandon(key, instance, now_msec());
            pids(table, workers)
        });
        wake::all(key, woken.unwrap_or_default());
    }

    /// How the backend has failed for a key, while it is to be left alone for that; see [`Table::failing`].
    pub fn failing(self, key: &LockKey, asked: impl FnOnce() -> u64) -> Option<Failure> {
        self.with(|table| table.failing(key, asked, now_msec()))
            .flatten()
    }

    /// Forgets that answers of a key weren't storable: one was.
    pub fn unmark(self, key: &LockKey) {
        self.with(|table| table.mark(key, 0));
    }

    /// What a key has, and what is on its way for it in any worker, is worthless from now on; see
    /// [`Table::invalidate`].
    pub fn invalidate(self, key: &LockKey) {
        if let Some(common) = self.common() {
            common.invalidate(key);
        }
        let woken = self.with(|table| {
            let workers = table.invalidate(key, now_msec());
            pids(table, workers)
        });
        wake::all(key, woken.unwrap_or_default());
    }

    /// How often a key was invalidated. What was begun at another count is worthless.
    pub fn invalidations(self, key: &LockKey) -> u64 {
        self.common().map_or(0, |common| common.invalidations(key))
    }

    /// Whether answers of a key are taken not to be storable.
    pub fn is_marked(self, key: &LockKey) -> bool {
        self.with(|table| table.is_marked(key, now_msec()))
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

    /// Asks to be woken; see [`Table::await_release`]. `Some` if there is nothing to wait for any more.
    pub fn await_release(self, key: &LockKey, instance: u64) -> Option<Verdict> {
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

fn pids(table: &Table<'_>, set: Workers) -> Vec<i32> {
    let mut found = Vec::new();
    for (index, pid) in table.header.workers.iter().enumerate() {
        let word = set.get(index / 64).copied().unwrap_or(0);
        if word >> (index % 64) & 1 == 1 && *pid != 0 {
            found.push(*pid);
        }
    }
    found
}
