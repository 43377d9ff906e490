//! A zone: shared memory of nginx with a lock table in it.

use std::ptr;
use std::sync::atomic::Ordering;

use cache_core::flow::Verdict;
use cache_core::key::KeyId;
use cache_core::use_stale::Failure;
use ngx::ffi::*;
use ngx::ngx_log_error;

use super::table::{Acquired, Asker, Entry, Head, MAGIC, Memory, Table, WORKERS, Workers};
use super::wake;
use crate::ngx::event::now_msec;
use crate::ngx::guard::guard;
use crate::ngx::request::{Code, ERROR, OK};
use crate::ngx_http_redis_cache_module as module;

/// The least size of a zone, in bytes.
pub const MIN_SIZE: usize = 64 * 1024;

/// A declared zone, as the configuration holds it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Zone(*mut ngx_shm_zone_t);

/// This worker's process.
pub fn pid() -> i32 {
    // SAFETY: set by nginx at start and after each fork.
    unsafe { ngx_pid }
}

/// Whether a process of ours is alive. One that may not be signalled is.
pub fn alive(pid: i32) -> bool {
    // SAFETY: signal 0 only asks.
    pid > 0 && (unsafe { libc::kill(pid, 0) } == 0 || ngx_errno() != libc::ESRCH)
}

impl Zone {
    /// Declares a zone in the configuration that is being read.
    ///
    /// # Safety
    ///
    /// `cf` is the configuration being read; `name` lives in its pool.
    pub unsafe fn declare(cf: *mut ngx_conf_t, name: &mut ngx_str_t, size: usize) -> Option<Zone> {
        // SAFETY: by contract; the module's address tags the zone as ours.
        unsafe {
            let zone = ngx_shared_memory_add(cf, name, size, (&raw const module).cast_mut().cast());
            zone.as_mut()?.init = Some(init);
            Some(Zone(zone))
        }
    }

    /// Runs `f` with the table, under the zone's mutex. `None` before the zone is initialised.
    fn with<T>(self, f: impl FnOnce(&mut Table<'_>) -> T) -> Option<T> {
        // SAFETY: the zone's memory was laid out by `init` and is mapped in every worker at the
        // same address; under the mutex nobody else touches it.
        unsafe {
            let pool = (*self.0).shm.addr.cast::<ngx_slab_pool_t>();
            let head = (*self.0).data.cast::<Head>();
            if pool.is_null() || head.is_null() {
                return None;
            }
            let mutex = &raw mut (*pool).mutex;
            ngx_shmtx_lock(mutex);
            let result = f(&mut table(head));
            ngx_shmtx_unlock(mutex);
            Some(result)
        }
    }

    fn asker(age: u64, queue: u32) -> Asker {
        Asker {
            pid: pid(),
            now: now_msec(),
            age,
            queue,
            alive,
        }
    }

    /// The count of releases so far.
    pub fn sequence(self) -> u64 {
        // SAFETY: the head is laid out by `init`; the counter is atomic.
        unsafe {
            let head = (*self.0).data.cast::<Head>();
            head.as_ref()
                .map_or(0, |head| head.sequence.load(Ordering::Relaxed))
        }
    }

    /// Takes a lock; see [`Table::acquire`]. `age` in milliseconds.
    pub fn acquire(self, key: &KeyId, since: u64, age: u64, queue: u32) -> Acquired {
        let acquired = self.with(|table| {
            let acquired = table.acquire(key, since, Self::asker(age, queue));
            let tell = acquired == Acquired::Full && table.must_tell(now_msec());
            (acquired, tell)
        });
        let (acquired, tell) = acquired.unwrap_or((Acquired::Full, false));
        if tell {
            self.tell_full();
        }
        acquired
    }

    fn tell_full(self) {
        // SAFETY: the zone is that of the running configuration; there is a cycle while a worker runs.
        unsafe {
            let name = String::from_utf8_lossy(crate::ngx::text::bytes(&(*self.0).shm.name));
            ngx_log_error!(
                NGX_LOG_WARN,
                (*ngx_cycle).log,
                "redis_cache: zone \"{name}\" has no room for another lock: requests go to the backend \
                 without one; give it a larger size in \"redis_cache_zone\""
            );
        }
    }

    /// Frees a lock and wakes who waits for it.
    pub fn release(self, key: &KeyId, instance: u64, verdict: Verdict, memory: Memory) {
        let now = now_msec();
        let woken = self.with(|table| {
            let workers = table.release(key, instance, verdict, memory, now);
            pids(table, workers)
        });
        wake::all(key, woken.unwrap_or_default());
    }

    /// Frees a lock whose holder has found nothing, and wakes who waits for it.
    pub fn abandon(self, key: &KeyId, instance: u64) {
        let woken = self.with(|table| {
            let workers = table.abandon(key, instance, now_msec());
            pids(table, workers)
        });
        wake::all(key, woken.unwrap_or_default());
    }

    /// How the backend has failed for a key, while it is to be left alone for that.
    pub fn failing(self, key: &KeyId) -> Option<Failure> {
        self.with(|table| table.failing(key, now_msec())).flatten()
    }

    /// Forgets that answers of a key weren't storable: one was.
    pub fn unmark(self, key: &KeyId) {
        self.with(|table| table.mark(key, 0));
    }

    /// What a key has is worthless from now on; see [`Table::invalidate`].
    pub fn invalidate(self, key: &KeyId) {
        let woken = self.with(|table| {
            // Only a holder that is dead may lose its place to another key.
            let workers = table.invalidate(key, Self::asker(u64::MAX, 0));
            pids(table, workers)
        });
        wake::all(key, woken.unwrap_or_default());
    }

    /// Whether what was begun for a key at `since` is worthless; see [`Table::is_invalidated`].
    pub fn is_invalidated(self, key: &KeyId, since: u64) -> bool {
        self.with(|table| table.is_invalidated(key, since))
            .unwrap_or(false)
    }

    /// One request less waits for a lock.
    pub fn leave_queue(self, key: &KeyId, instance: u64) {
        self.with(|table| table.leave(key, instance));
    }

    /// Asks for the right to one more background refill, of `limit` in all.
    pub fn begin_refill(self, limit: u32) -> Option<RefillSlot> {
        let granted = self.with(|table| table.begin_refill(pid(), limit, alive));
        granted.unwrap_or(false).then(|| RefillSlot(self))
    }

    /// Says that a lock's holder is alive.
    pub fn touch(self, key: &KeyId, instance: u64) {
        self.with(|table| table.touch(key, instance, now_msec()));
    }

    /// Asks to be woken; see [`Table::await_release`].
    pub fn await_release(self, key: &KeyId, instance: u64, age: u64) -> Option<Verdict> {
        self.with(|table| {
            let place = table.enrol(pid(), alive);
            table.await_release(key, instance, place, Self::asker(age, 0))
        })
        .unwrap_or(Some(Verdict::Failed))
    }

    /// See [`Table::elect`]; milliseconds.
    pub fn elect(self, key: &KeyId, timeout: u64) -> Result<(), u64> {
        self.with(|table| table.elect(key, timeout, now_msec()))
            .unwrap_or(Ok(()))
    }

    /// Gives a worker its place.
    pub fn enrol(self) {
        self.with(|table| table.enrol(pid(), alive));
    }

    /// Frees all that this worker holds, for its exit.
    pub fn leave(self) {
        let woken = self.with(|table| {
            let all = table.release_all(pid(), now_msec());
            if let Some(place) = table.head.workers.iter_mut().find(|known| **known == pid()) {
                *place = 0;
            }
            all.into_iter()
                .map(|(key, set)| (key, pids(table, set)))
                .collect::<Vec<_>>()
        });
        for (key, workers) in woken.unwrap_or_default() {
            wake::all(&key, workers);
        }
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
    for (index, pid) in table.head.workers.iter().enumerate() {
        let word = set.get(index / 64).copied().unwrap_or(0);
        if word >> (index % 64) & 1 == 1 && *pid != 0 {
            found.push(*pid);
        }
    }
    found
}

/// # Safety
///
/// `head` begins a table laid out by `lay_out`, and the caller holds the zone's mutex.
unsafe fn table<'a>(head: *mut Head) -> Table<'a> {
    // SAFETY: by contract: entries follow the tags, the tags the head.
    unsafe {
        let count = usize::try_from((*head).entries).unwrap_or(0);
        let tags = head.add(1).cast::<u64>();
        let entries = tags.add(count).cast::<Entry>();
        Table {
            head: &mut *head,
            tags: std::slice::from_raw_parts_mut(tags, count),
            entries: std::slice::from_raw_parts_mut(entries, count),
        }
    }
}

/// nginx calls this when the zone is mapped: at start, and at a reload with the data of the zone
/// before it, where name and size are the same.
unsafe extern "C" fn init(zone: *mut ngx_shm_zone_t, old: *mut std::ffi::c_void) -> Code {
    guard("zone init", ERROR, || {
        // SAFETY: nginx gives a mapped zone, with a slab pool in it.
        unsafe {
            let pool = (*zone).shm.addr.cast::<ngx_slab_pool_t>();
            let known = if old.is_null() && (*zone).shm.exists != 0 {
                (*pool).data
            } else {
                old
            };
            if !known.is_null() && (*known.cast::<Head>()).magic == MAGIC {
                (*zone).data = known;
                return OK;
            }
            match lay_out(pool) {
                Some(head) => {
                    (*pool).data = head.cast();
                    (*zone).data = head.cast();
                    OK
                }
                None => {
                    let name = crate::ngx::text::bytes(&(*zone).shm.name);
                    let name = String::from_utf8_lossy(name);
                    ngx_log_error!(
                        NGX_LOG_EMERG,
                        (*zone).shm.log,
                        "zone \"{name}\" is too small"
                    );
                    ERROR
                }
            }
        }
    })
}

/// Half of the zone becomes the lock table; the rest is for what else workers will share.
///
/// # Safety
///
/// `pool` is a slab pool that no other process uses yet.
unsafe fn lay_out(pool: *mut ngx_slab_pool_t) -> Option<*mut Head> {
    // SAFETY: by contract; the allocation has room for what is written.
    unsafe {
        let size = (*pool).pfree * ngx_pagesize / 2;
        let count = size.checked_sub(size_of::<Head>())? / (size_of::<Entry>() + size_of::<u64>());
        if count == 0 {
            return None;
        }
        let head = ngx_slab_calloc(pool, size).cast::<Head>();
        if head.is_null() {
            return None;
        }
        ptr::addr_of_mut!((*head).magic).write(MAGIC);
        ptr::addr_of_mut!((*head).entries).write(count as u64);
        ptr::addr_of_mut!((*head).workers).write([0; WORKERS]);
        for entry in table(head).entries {
            *entry = Entry::EMPTY;
        }
        Some(head)
    }
}
