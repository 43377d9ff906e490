//! The zone of a machine: the real lock table over plain memory.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};

use cache_core::flow::Verdict;
use cache_core::use_stale::Failure;

use super::config::Key;
use super::variants::{id_of as id, lock_of_id};
use super::worker;
use crate::common::Common;
use crate::locks::header::Workers;
use crate::locks::{Acquired, Asker, Awaited, Entry, MAGIC, Retention, Table, TableHeader};
use crate::uses::{ROW, Uses};

struct Mapping {
    /// Who has ever held a lock here.
    owners: BTreeSet<i32>,
    common: Rc<Common>,
    header: TableHeader,
    tags: Vec<u64>,
    entries: Vec<Entry>,
    uses: Vec<AtomicU64>,
}

/// A lock domain.
pub struct Zone(RefCell<Mapping>);

fn empty_header(entries: usize) -> TableHeader {
    // SAFETY: the header is made of integers only; fresh shared memory is zero too.
    let mut header: TableHeader = unsafe { std::mem::zeroed() };
    header.magic = MAGIC;
    header.entries = entries as u64;
    header
}

/// What the zones of a machine have in common.
fn new_common() -> Rc<Common> {
    // SAFETY: it is made of integers only; fresh shared memory is zero too.
    Rc::new(unsafe { std::mem::zeroed() })
}

impl Zone {
    pub fn new(entries: usize) -> Zone {
        Zone::of_common(entries, new_common())
    }

    /// The zone that takes this one's place at a reload, with another size. Old workers keep this one.
    pub fn resized(&self, entries: usize) -> Zone {
        let common = Rc::clone(&self.0.borrow().common);
        Zone::of_common(entries, common)
    }

    fn of_common(entries: usize, common: Rc<Common>) -> Zone {
        Zone(RefCell::new(Mapping {
            owners: BTreeSet::new(),
            common,
            header: empty_header(entries),
            tags: vec![0; entries],
            entries: vec![Entry::EMPTY; entries],
            uses: (0..64 * ROW).map(|_| AtomicU64::new(0)).collect(),
        }))
    }

    fn with<T>(&self, f: impl FnOnce(&mut Table<'_>) -> T) -> T {
        let memory = &mut *self.0.borrow_mut();
        f(&mut Table {
            header: &mut memory.header,
            tags: &mut memory.tags,
            entries: &mut memory.entries,
        })
    }

    fn asker(pid: i32, now: u64, age: u64, queue: u32) -> Asker {
        Asker {
            pid,
            now,
            age,
            queue,
        }
    }

    pub fn sequence(&self) -> u64 {
        self.0.borrow().header.sequence.load(Ordering::Relaxed)
    }

    pub fn count_use(&self, key: Key, now: u64) -> u32 {
        Uses(&self.0.borrow().uses).count(&id(key), now / 1000)
    }

    pub fn acquire(
        &self,
        key: Key,
        since: u64,
        pid: i32,
        now: u64,
        (age, queue): (u64, u32),
    ) -> Acquired {
        self.0.borrow_mut().owners.insert(pid);
        let asker = Self::asker(pid, now, age, queue);
        let acquire = || self.with(|table| table.acquire(&id(key), since, asker));
        match acquire() {
            Acquired::Busy { owner, .. } | Acquired::Crowded { owner }
                if !worker::is_alive(owner) =>
            {
                self.bury(owner, now);
                acquire()
            }
            Acquired::Full if self.bury_dead(now) => acquire(),
            acquired => acquired,
        }
    }

    /// Frees what a dead process holds.
    fn bury(&self, pid: i32, now: u64) {
        self.with(|table| table.bury(pid, now));
    }

    fn bury_dead(&self, now: u64) -> bool {
        let owners = self.0.borrow().owners.clone();
        let dead = owners.into_iter().filter(|pid| !worker::is_alive(*pid));
        let freed = dead.map(|pid| self.with(|table| table.bury(pid, now)).len());
        freed.sum::<usize>() > 0
    }

    pub fn failing(&self, key: Key, sender: u64, now: u64) -> Option<Failure> {
        self.with(|table| table.failing(&id(key), || sender, now))
    }

    /// Frees a lock; says which workers to wake.
    pub fn release(
        &self,
        key: Key,
        instance: u64,
        verdict: Verdict,
        retention: Retention,
        now: u64,
    ) -> Vec<i32> {
        self.woken(|table| table.release(&id(key), instance, verdict, retention, now))
    }

    /// Frees a lock after a fill of another machine; says which workers to wake.
    pub fn pass_on(
        &self,
        key: Key,
        instance: u64,
        verdict: Verdict,
        retention: Retention,
        now: u64,
    ) -> Vec<i32> {
        self.woken(|table| table.pass_on(&id(key), instance, verdict, retention, now))
    }

    /// Frees a lock whose fill has found nothing; says which workers to wake.
    pub fn abandon(&self, key: Key, instance: u64, now: u64) -> Vec<i32> {
        self.woken(|table| table.abandon(&id(key), instance, now))
    }

    fn woken(&self, free: impl FnOnce(&mut Table<'_>) -> Workers) -> Vec<i32> {
        self.with(|table| {
            let set = free(table);
            let woken = |place: usize| set[place / 64] >> (place % 64) & 1 == 1;
            let workers = table.header.workers.iter().enumerate();
            workers
                .filter(|(place, pid)| woken(*place) && **pid != 0)
                .map(|(_, pid)| *pid)
                .collect()
        })
    }

    pub fn touch(&self, key: Key, instance: u64, now: u64) {
        self.with(|table| table.touch(&id(key), instance, now));
    }

    pub fn await_release(&self, key: Key, instance: u64, pid: i32, now: u64) -> Option<Verdict> {
        let awaited = self.with(|table| {
            let place = table.enrol(pid);
            table.await_release(&id(key), instance, place, now)
        });
        match awaited {
            Awaited::Held(owner) if worker::is_alive(owner) => None,
            Awaited::Held(owner) => {
                self.bury(owner, now);
                Some(Verdict::Failed)
            }
            Awaited::Released(verdict) => Some(verdict),
        }
    }

    /// What a key has, and what is on its way for it, is worthless from now on.
    pub fn invalidate(&self, key: Key, now: u64) -> Workers {
        self.0.borrow().common.invalidate(&id(key));
        self.with(|table| table.invalidate(&id(key), now))
    }

    /// Another machine has invalidated a key.
    pub fn void(&self, key: Key, number: u64, now: u64) -> Workers {
        self.0.borrow().common.hear(&id(key), number);
        self.with(|table| table.void(&id(key), number, now))
    }

    /// A fill knows of the invalidation of that number.
    pub fn note_fence(&self, key: Key, instance: u64, number: u64) {
        self.with(|table| table.note_fence(&id(key), instance, number));
    }

    /// How often a key was invalidated.
    pub fn invalidations(&self, key: Key) -> u64 {
        self.0.borrow().common.invalidations(&id(key))
    }

    /// The invalidation by another machine that was heard last.
    pub fn heard(&self, key: Key) -> u64 {
        self.0.borrow().common.heard(&id(key))
    }

    /// Whether answers of a key are taken not to be storable.
    pub fn is_marked(&self, key: Key, now: u64) -> bool {
        self.with(|table| table.is_marked(&id(key), now))
    }

    /// One request less waits for a lock.
    pub fn leave(&self, key: Key, instance: u64) {
        self.with(|table| table.leave(&id(key), instance));
    }

    /// An answer of a key was storable after all.
    pub fn unmark(&self, key: Key) {
        self.with(|table| table.mark(&id(key), 0));
    }

    /// Whether it is time to say again that there is no room.
    pub fn must_tell(&self, now: u64) -> bool {
        self.with(|table| table.must_tell(now))
    }

    pub fn elect(&self, key: Key, timeout: u64, now: u64) -> Result<(), u64> {
        self.with(|table| table.elect(&id(key), timeout, now))
    }

    /// The keys whose locks are held: those that would be freed if every owner left. Tried on a copy.
    pub fn held(&self) -> BTreeSet<Key> {
        let memory = self.0.borrow();
        let mut table = Table {
            header: &mut empty_header(memory.entries.len()),
            tags: &mut memory.tags.clone(),
            entries: &mut memory.entries.clone(),
        };
        let owners = memory.owners.iter();
        let freed = owners.flat_map(|pid| table.bury(*pid, 0));
        freed.map(|(id, _)| lock_of_id(id)).collect()
    }
}
