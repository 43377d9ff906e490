//! The lock table: fixed places in shared memory, without pointers.
//!
//! A worker may be killed at any instruction. There is no list to leave half-linked and nothing to
//! allocate: a lookup scans a window of tags, an entry is taken or left in one place. nginx's
//! master frees the zone's mutex if its holder dies.

use std::sync::atomic::Ordering;

use cache_core::flow::Verdict;
use cache_core::key::LockKey;
use cache_core::report::Keys;
use cache_core::use_stale::Failure;

use super::entry::{Asker, Entry, FREE, HELD, IDLE, Retention, verdict_of};
use super::header::{TableHeader, Workers};

/// How many places a key may be found in.
const WINDOW: usize = 64;

/// The table as its holder sees it while it has the mutex.
pub struct Table<'a> {
    /// Its header.
    pub header: &'a mut TableHeader,
    /// First eight bytes of each entry's key, 0 where there is none.
    pub tags: &'a mut [u64],
    /// The keys.
    pub entries: &'a mut [Entry],
}

/// What came of asking for a lock.
#[derive(Debug, PartialEq, Eq)]
pub enum Acquired {
    /// It is the caller's.
    Mine {
        /// Names this holding of it.
        instance: u64,
        /// It was released since the sequence that the caller named.
        changed: bool,
    },
    /// Another request has it.
    Busy {
        /// Names this holding of it.
        instance: u64,
        /// The process that holds it.
        owner: i32,
    },
    /// Its responses were found not to be storable a moment ago.
    Unneeded,
    /// As many as may wait for it already.
    Crowded {
        /// The process that holds it.
        owner: i32,
    },
    /// There is no place for the key.
    Full,
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

    /// The index of a free entry for the key, else of the entry that has been idle longest, else of one whose holder
    /// does nothing. A lock that is held is never lost to another key.
    fn room_for(&self, tag: u64, now: u64) -> Option<usize> {
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

    /// Counts what is known of the keys in so many places from one on, at a time (milliseconds).
    pub fn tally(&self, from: usize, places: usize, now: u64, keys: &mut Keys) {
        for entry in self.entries.iter().skip(from).take(places) {
            match entry.state {
                FREE => {}
                HELD => {
                    keys.filling += 1;
                    keys.waiters += u64::from(entry.waiting);
                }
                _ if now < entry.uncacheable => keys.uncacheable += 1,
                _ if now < entry.retry => keys.failing += 1,
                _ => keys.known += 1,
            }
        }
    }

    /// How many refills run behind clients' backs.
    pub fn refills(&self) -> u64 {
        self.header
            .refills
            .iter()
            .map(|count| u64::from(*count))
            .sum()
    }

    /// Takes the lock of `key` if it is free or abandoned. A caller that finds it held counts as waiting for it until
    /// [`Table::leave`].
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
        let Some(index) = self.room_for(tag, asker.now) else {
            return Acquired::Full;
        };
        // What was known of a key that had to go is lost: a request that has looked before must look again.
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
        self.header.must_tell(now)
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

    /// Invalidates what is stored and what is on its way for the key: a request that comes later must not wait for what
    /// is fetched already, so the lock is free, and a request that has looked before looks again. Returns the workers
    /// to wake.
    pub fn invalidate(&mut self, key: &LockKey, now: u64) -> Workers {
        let sequence = self.header.sequence.fetch_add(1, Ordering::Relaxed) + 1;
        if self.find(key).is_none() {
            let index = self.room_for(tag(key), now);
            if let Some(entry) = index.and_then(|index| self.settle(index, key)) {
                entry.state = IDLE;
                entry.touched = now;
            }
        }
        let Some(entry) = self.find(key) else {
            // No place remembers it: a request that has looked before, for whatever key, looks again.
            self.header.evicted = sequence;
            return Workers::default();
        };
        if entry.state == HELD {
            return entry.free(Verdict::Failed, sequence, now);
        }
        entry.released = sequence;
        Workers::default()
    }

    /// The fill of this holding has read its key's fence, and knows of the invalidation of that number.
    pub fn note_fence(&mut self, key: &LockKey, instance: u64, fence: u64) {
        if let Some(entry) = self.find(key)
            && entry.instance == instance
        {
            entry.fence = fence;
        }
    }

    /// Another machine has invalidated the key: a request that comes later must not wait for what is fetched already, so
    /// the lock is free, unless its fill knows of that invalidation. Returns the workers to wake.
    pub fn void(&mut self, key: &LockKey, fence: u64, now: u64) -> Workers {
        let sequence = self.header.sequence.load(Ordering::Relaxed) + 1;
        let entry = self.find(key);
        let Some(entry) = entry.filter(|entry| entry.state == HELD && entry.fence != fence) else {
            return Workers::default();
        };
        let woken = entry.free(Verdict::Failed, sequence, now);
        self.header.sequence.store(sequence, Ordering::Relaxed);
        woken
    }

    /// Frees the lock if it is still this holding of it, and remembers what its fill has found; returns the
    /// workers to wake.
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

    /// The same after a fill of another machine has ended so. That machine alone remembers how the backend has failed.
    pub fn pass_on(
        &mut self,
        key: &LockKey,
        instance: u64,
        verdict: Verdict,
        retention: Retention,
        now: u64,
    ) -> Workers {
        match verdict {
            Verdict::Failing(_) => self.free(key, instance, verdict, now),
            _ => self.release(key, instance, verdict, retention, now),
        }
    }

    /// Frees the lock if it is still this holding of it, whose fill has found nothing; returns the workers
    /// to wake.
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

    /// Remembers until `until`, in milliseconds, that responses of this key aren't storable; with 0 it
    /// is forgotten.
    pub fn mark(&mut self, key: &LockKey, until: u64) {
        if let Some(entry) = self.find(key) {
            entry.uncacheable = until;
        }
    }

    /// Whether the key's responses are taken not to be storable.
    pub fn is_marked(&mut self, key: &LockKey, now: u64) -> bool {
        self.find(key).is_some_and(|entry| now < entry.uncacheable)
    }

    /// Whether the last fill of a key has found, a moment ago, that the store keeps no record so large.
    pub fn does_not_fit(&mut self, key: &LockKey, now: u64) -> bool {
        self.find(key).is_some_and(|entry| entry.does_not_fit(now))
    }

    /// How the backend has failed, while requests with the hash `sender` ([`Retention::sender`]) are to leave it alone.
    pub fn failing(
        &mut self,
        key: &LockKey,
        sender: impl FnOnce() -> u64,
        now: u64,
    ) -> Option<Failure> {
        let entry = self.find(key).filter(|entry| now < entry.retry)?;
        if entry.sender != 0 && entry.sender != sender() {
            return None;
        }
        Failure::from_code(entry.failure)
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

    /// Lets one of the requests go that have waited longer than `timeout`, in milliseconds: `Ok` for that one, else the
    /// time to ask again.
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

    /// A process is gone: frees all that it held, and its place; returns the workers to wake for each key.
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
        self.header.remove(pid);
        woken
    }
}
