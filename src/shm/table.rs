//! The lock table: fixed places in shared memory, without pointers.
//!
//! A worker may be killed at any instruction. There is no list to leave half-linked and nothing to
//! allocate: a lookup scans a window of tags, an entry is taken or left in one place. nginx's
//! master frees the zone's mutex if its holder dies.
//!
//! Pure over slices, so that it is the same code whoever maps it.

use std::sync::atomic::{AtomicU64, Ordering};

use cache_core::flow::Verdict;
use cache_core::key::LockKey;
use cache_core::use_stale::Failure;

// The path is said because tests take this file in from elsewhere.
#[path = "table/entry.rs"]
pub mod entry;

pub use entry::{Entry, Retention, Workers};
use entry::{FREE, HELD, IDLE, verdict_of};

/// How many places a key may be found in.
const WINDOW: usize = 64;
/// How many workers may be waiting at once, old ones of a reload included.
pub const WORKERS: usize = 128;
/// How often it is said that there is no room, in milliseconds.
const TELL: u64 = 60_000;
/// Changes whenever the layout does: a zone of another layout is made anew.
pub const MAGIC: u64 = 0x7263_6c6f_636b_0005;

/// The header of the table.
#[repr(C)]
pub struct TableHeader {
    /// [`MAGIC`].
    pub magic: u64,
    /// How many entries there are.
    pub entries: u64,
    /// Counts releases; see `Cache::sequence`.
    pub sequence: AtomicU64,
    /// The sequence when an idle entry was last given to another key.
    evicted: u64,
    /// Number of the last lock taken.
    instance: u64,
    /// When it was last said that there is no room, in milliseconds; 0 is never.
    told: u64,
    /// Workers that can be woken, by process id; 0 is free.
    pub workers: [i32; WORKERS],
    /// How many background refills each of them runs.
    refills: [u32; WORKERS],
}

/// The table as its holder sees it while it has the mutex.
pub struct Table<'a> {
    /// Its header.
    pub header: &'a mut TableHeader,
    /// First eight bytes of each entry's key, 0 where there is none.
    pub tags: &'a mut [u64],
    /// The keys.
    pub entries: &'a mut [Entry],
}

/// The answer to a request for a lock.
#[derive(Debug, PartialEq, Eq)]
pub enum Acquired {
    /// It is the caller's.
    Mine {
        /// Names this holding of it.
        instance: u64,
        /// It was released since the sequence that the caller named.
        changed: bool,
    },
    /// Somebody else has it.
    Busy {
        /// Names this holding of it.
        instance: u64,
        /// The process that holds it.
        owner: i32,
    },
    /// Its answers were found not to be storable a moment ago.
    Unneeded,
    /// As many as may wait for it already.
    Crowded {
        /// The process that holds it.
        owner: i32,
    },
    /// There is no place for the key.
    Full,
}

/// Who asks for a lock, when, and with what.
#[derive(Clone, Copy)]
pub struct Asker {
    /// The caller's process.
    pub pid: i32,
    /// Milliseconds of the monotonic clock.
    pub now: u64,
    /// A lock that the caller takes is free once it hasn't touched it for this long, in milliseconds.
    pub age: u64,
    /// How many requests may wait for one key.
    pub queue: u32,
}

/// What a look at a lock that is waited for shows.
#[derive(Debug, PartialEq, Eq)]
pub enum Awaited {
    /// There is nothing to wait for any more.
    Released(Verdict),
    /// This process has it. Whether that lives is to be asked without the zone's mutex.
    Held(i32),
}

fn tag(key: &LockKey) -> u64 {
    let (first, _) = key.as_bytes().split_at(8);
    let mut bytes = [0; 8];
    bytes.copy_from_slice(first);
    u64::from_ne_bytes(bytes).max(1)
}

impl Table<'_> {
    fn window(&self, tag: u64) -> impl Iterator<Item = usize> + use<> {
        let count = self.entries.len();
        let start = usize::try_from(tag >> 7).unwrap_or(0) % count.max(1);
        (0..WINDOW.min(count)).map(move |step| (start + step) % count)
    }

    fn find(&mut self, key: &LockKey) -> Option<&mut Entry> {
        let tag = tag(key);
        let index = self.window(tag).find(|index| {
            self.tags.get(*index) == Some(&tag)
                && self
                    .entries
                    .get(*index)
                    .is_some_and(|e| e.state != FREE && e.key == key.0)
        })?;
        self.entries.get_mut(index)
    }

    /// A free place for the key, else that of the key that has been idle longest, else one whose
    /// holder does nothing. A lock that is held is never lost to another key.
    fn place(&self, tag: u64, now: u64) -> Option<usize> {
        let mut oldest: Option<(u64, usize)> = None;
        let mut abandoned = None;
        for index in self.window(tag) {
            let entry = self.entries.get(index)?;
            match entry.state {
                FREE => return Some(index),
                IDLE if oldest.is_none_or(|(touched, _)| entry.touched < touched) => {
                    oldest = Some((entry.touched, index));
                }
                HELD if oldest.is_none() && abandoned.is_none() && entry.abandoned(now) => {
                    abandoned = Some(index);
                }
                _ => {}
            }
        }
        oldest.map(|(_, index)| index).or(abandoned)
    }

    /// Takes the lock of `key` if it is free or abandoned. Who finds it busy counts as waiting for it
    /// until [`Table::leave`].
    pub fn acquire(&mut self, key: &LockKey, since: u64, asker: Asker) -> Acquired {
        let instance = self.header.instance + 1;
        if let Some(entry) = self.find(key) {
            let changed = match entry.state {
                HELD if !entry.abandoned(asker.now) => {
                    let owner = entry.owner;
                    if entry.waiting >= asker.queue {
                        return Acquired::Crowded { owner };
                    }
                    entry.waiting += 1;
                    return Acquired::Busy {
                        instance: entry.instance,
                        owner,
                    };
                }
                HELD => true,
                _ if asker.now < entry.uncacheable => return Acquired::Unneeded,
                _ => entry.released > since,
            };
            entry.hold(instance, asker);
            self.header.instance = instance;
            return Acquired::Mine { instance, changed };
        }
        let tag = tag(key);
        let Some(index) = self.place(tag, asker.now) else {
            return Acquired::Full;
        };
        // What was known of a key that had to go is lost: whoever looked before must look again.
        let changed = self.header.evicted > since;
        let Some(entry) = self.settle(index, key) else {
            return Acquired::Full;
        };
        entry.hold(instance, asker);
        self.header.instance = instance;
        Acquired::Mine { instance, changed }
    }

    /// Whether it is time to say again that there is no room.
    pub fn must_tell(&mut self, now: u64) -> bool {
        let due = self.header.told == 0 || now.saturating_sub(self.header.told) >= TELL;
        if due {
            self.header.told = now.max(1);
        }
        due
    }

    /// Gives a place to a key; another may have to go.
    fn settle(&mut self, index: usize, key: &LockKey) -> Option<&mut Entry> {
        let (entry, slot) = (self.entries.get_mut(index)?, self.tags.get_mut(index)?);
        if entry.state != FREE {
            self.header.evicted = self.header.sequence.fetch_add(1, Ordering::Relaxed) + 1;
        }
        *slot = tag(key);
        *entry = Entry {
            key: key.0,
            ..Entry::EMPTY
        };
        Some(entry)
    }

    /// What the key has is worthless from now on: a request that comes later must not wait for what is fetched already,
    /// so the lock is free, and a request that has looked before looks again. Returns whom to wake.
    pub fn invalidate(&mut self, key: &LockKey, now: u64) -> Workers {
        let sequence = self.header.sequence.fetch_add(1, Ordering::Relaxed) + 1;
        if self.find(key).is_none() {
            let place = self.place(tag(key), now);
            if let Some(entry) = place.and_then(|index| self.settle(index, key)) {
                entry.state = IDLE;
                entry.touched = now;
            }
        }
        let Some(entry) = self.find(key) else {
            // No place remembers it: whoever has looked before, for whatever key, looks again.
            self.header.evicted = sequence;
            return Workers::default();
        };
        if entry.state == HELD {
            return entry.free(Verdict::Failed, sequence, now);
        }
        entry.released = sequence;
        Workers::default()
    }

    /// Frees the lock if it is still this holding of it, and remembers what its fill has found; returns whom to
    /// wake.
    pub fn release(
        &mut self,
        key: &LockKey,
        instance: u64,
        verdict: Verdict,
        retention: Retention,
        now: u64,
    ) -> Workers {
        if let Some(entry) = self.find(key) {
            entry.learn(verdict, retention, now);
        }
        self.free(key, instance, verdict, now)
    }

    /// Frees the lock if it is still this holding of it, whose fill has found nothing; returns whom to wake.
    pub fn abandon(&mut self, key: &LockKey, instance: u64, now: u64) -> Workers {
        self.free(key, instance, Verdict::Failed, now)
    }

    fn free(&mut self, key: &LockKey, instance: u64, verdict: Verdict, now: u64) -> Workers {
        let sequence = self.header.sequence.load(Ordering::Relaxed) + 1;
        let Some(entry) = self.find(key) else {
            return Workers::default();
        };
        if entry.state != HELD || entry.instance != instance {
            return Workers::default();
        }
        let waiters = entry.free(verdict, sequence, now);
        self.header.sequence.store(sequence, Ordering::Relaxed);
        waiters
    }

    /// One request less waits for this holding.
    pub fn leave(&mut self, key: &LockKey, instance: u64) {
        if let Some(entry) = self.find(key)
            && entry.instance == instance
        {
            entry.waiting = entry.waiting.saturating_sub(1);
        }
    }

    /// Remembers until `until`, in milliseconds, that answers of this key aren't storable; with 0 it
    /// is forgotten.
    pub fn mark(&mut self, key: &LockKey, until: u64) {
        if let Some(entry) = self.find(key) {
            entry.uncacheable = until;
        }
    }

    /// Whether the key's answers are taken not to be storable.
    pub fn is_marked(&mut self, key: &LockKey, now: u64) -> bool {
        self.find(key).is_some_and(|entry| now < entry.uncacheable)
    }

    /// How the backend has failed, while it is to be left alone for that by who would ask with `asked`.
    pub fn failing(
        &mut self,
        key: &LockKey,
        asked: impl FnOnce() -> u64,
        now: u64,
    ) -> Option<Failure> {
        let entry = self.find(key).filter(|entry| now < entry.retry)?;
        if entry.asked != 0 && entry.asked != asked() {
            return None;
        }
        Failure::from_code(entry.failure)
    }

    /// Counts one more background refill of a worker, unless `limit` run in all.
    pub fn begin_refill(&mut self, pid: i32, limit: u32) -> bool {
        let Some(mine) = self.enrol(pid) else {
            return true;
        };
        let all: u32 = self.header.refills.iter().sum();
        if all >= limit {
            return false;
        }
        if let Some(count) = self.header.refills.get_mut(mine) {
            *count += 1;
        }
        true
    }

    /// Counts one background refill of a worker less.
    pub fn end_refill(&mut self, pid: i32) {
        let mine = self.header.workers.iter().position(|known| *known == pid);
        if let Some(count) = mine.and_then(|index| self.header.refills.get_mut(index)) {
            *count = count.saturating_sub(1);
        }
    }

    /// Says that the holder is alive.
    pub fn touch(&mut self, key: &LockKey, instance: u64, now: u64) {
        if let Some(entry) = self.find(key)
            && entry.instance == instance
        {
            entry.touched = now;
        }
    }

    /// Registers a worker that wants to be woken at the release of this holding, if that is still held.
    pub fn await_release(
        &mut self,
        key: &LockKey,
        instance: u64,
        worker: Option<usize>,
        now: u64,
    ) -> Awaited {
        let Some(entry) = self.find(key) else {
            return Awaited::Released(Verdict::Failed);
        };
        if entry.instance != instance {
            return Awaited::Released(Verdict::Failed);
        }
        if entry.state == IDLE {
            return Awaited::Released(verdict_of(entry.verdict));
        }
        if entry.abandoned(now) {
            return Awaited::Released(Verdict::Failed);
        }
        if let Some(worker) = worker
            && let Some(word) = entry.waiters.get_mut(worker / 64)
        {
            *word |= 1 << (worker % 64);
        }
        Awaited::Held(entry.owner)
    }

    /// Of those who have waited longer than `timeout` one may go now: `Ok` for that one, the time
    /// to ask again for the others.
    pub fn elect(&mut self, key: &LockKey, timeout: u64, now: u64) -> Result<(), u64> {
        let Some(entry) = self.find(key) else {
            return Ok(());
        };
        let next = entry.elected.saturating_add(timeout);
        if entry.elected != 0 && now < next {
            return Err(next);
        }
        entry.elected = now.max(1);
        Ok(())
    }

    /// A process is gone: frees all that it held, and its place; returns whom to wake for which key.
    pub fn bury(&mut self, pid: i32, now: u64) -> Vec<(LockKey, Workers)> {
        let mut sequence = self.header.sequence.load(Ordering::Relaxed);
        let mut woken = Vec::new();
        for entry in self
            .entries
            .iter_mut()
            .filter(|e| e.state == HELD && e.owner == pid)
        {
            sequence += 1;
            woken.push((
                LockKey(entry.key),
                entry.free(Verdict::Failed, sequence, now),
            ));
        }
        self.header.sequence.store(sequence, Ordering::Relaxed);
        let places = self.header.workers.iter_mut().zip(&mut self.header.refills);
        for (place, refills) in places.filter(|(place, _)| **place == pid) {
            (*place, *refills) = (0, 0);
        }
        woken
    }

    /// The processes that have a place.
    pub fn members(&self) -> Vec<i32> {
        let places = self.header.workers.iter();
        places.copied().filter(|pid| *pid != 0).collect()
    }

    /// Gives a worker a place from which it can be woken. `None` if all are taken.
    pub fn enrol(&mut self, pid: i32) -> Option<usize> {
        let workers = &mut self.header.workers;
        let index = workers
            .iter()
            .position(|known| *known == pid)
            .or_else(|| workers.iter().position(|known| *known == 0))?;
        *workers.get_mut(index)? = pid;
        Some(index)
    }
}
