//! What the workers of a server know together of a store: which server has which keys, who asks for that anew, and which
//! servers are in trouble.
//!
//! It survives reloads, and has no mutex: a worker that dies in the middle of a change leaves words that others
//! overwrite.

use std::sync::atomic::{AtomicU64, Ordering, fence};

use cache_core::breaker::Breaker;
use cache_core::cluster::Refresh;
use cache_core::counters::LAYOUT;
use cache_core::lease::Lease;
use md5::{Digest, Md5};

use super::super::counters::{NodeCounters, StoreCounters};
use super::purge_words::PurgeWords;

/// Changes whenever the layout does.
pub const MAGIC: u64 = 0x7263_7374_6f72_0005 ^ LAYOUT;

/// How many servers of a store have words of their own. Those beyond it are each worker's own business.
pub const SERVERS: usize = 512;

/// A server's words, found by its name.
#[repr(C)]
pub struct ServerWords {
    /// A digest of its name. 0: the place is free.
    name: AtomicU64,
    /// Whether its breaker lets commands through.
    pub breaker: Breaker,
    /// Whether somebody has asked it about itself.
    asked: AtomicU64,
    /// Whether its cluster is down, as it says.
    pub refusal: Refusal,
    /// What is counted of it.
    pub counters: NodeCounters,
}

/// A server that is there and refuses all keys, because its cluster is down. Until when that is believed, in milliseconds. 0: it
/// doesn't.
#[derive(Default)]
#[repr(C)]
pub struct Refusal {
    until: AtomicU64,
}

impl Refusal {
    /// Whether it refuses all keys.
    pub fn is_on(&self, now: u64) -> bool {
        self.until.load(Ordering::Relaxed) > now
    }

    /// The server refuses all keys until then. `None` if somebody knows and looks after it already; else whether somebody has
    /// known, and looks after it no more.
    pub fn begin(&self, now: u64, until: u64) -> Option<bool> {
        let before = self.until.load(Ordering::Relaxed);
        if before > now {
            return None;
        }
        let begun = self
            .until
            .compare_exchange(before, until, Ordering::AcqRel, Ordering::Relaxed);
        begun.ok().map(|before| before != 0)
    }

    /// It still does, until then.
    pub fn go_on(&self, until: u64) {
        self.until.store(until, Ordering::Release);
    }

    /// It serves, or another may look after it.
    pub fn end(&self) {
        self.until.store(0, Ordering::Release);
    }
}

impl ServerWords {
    /// Whether this is the first time in this nginx that somebody asks the server about itself.
    pub fn is_first(&self) -> bool {
        self.asked.swap(1, Ordering::Relaxed) == 0
    }
}

/// The shared state of a store, as it lies in shared memory. Room for what is known of its topology follows: so many
/// words as the memory was laid out for.
#[repr(C)]
pub struct StoreState {
    /// [`MAGIC`].
    pub magic: u64,
    /// Changes with the topology. Odd while somebody writes it.
    version: AtomicU64,
    /// Bytes of the topology. 0: nothing is known.
    length: AtomicU64,
    /// [`digest`] of the topology: tells what a writer has left that was stopped in between, and went on later.
    sum: AtomicU64,
    /// Words behind this.
    room: u64,
    /// Who asks for the slot map of a Redis Cluster, and when.
    pub refresh: Refresh,
    /// The worker that asks Sentinels for the master.
    pub watch: Lease,
    /// The worker that hears of invalidations by other machines.
    pub hearing: Lease,
    /// When a worker last had trouble with the master, in milliseconds.
    suspected: AtomicU64,
    /// What is known of its log of purges.
    pub purges: PurgeWords,
    /// How many connections each worker has to its servers.
    pub connections: Held,
    /// What is counted of it.
    pub counters: StoreCounters,
    servers: [ServerWords; SERVERS],
}

/// Workers that can count what they hold of a store.
const HOLDERS: usize = 128;

/// How much each worker holds of something: its process, and the count in the lower half. 0: the place is free.
#[repr(C)]
pub struct Held([AtomicU64; HOLDERS]);

impl Held {
    /// This process holds one more, or one less.
    pub fn change(&self, process: i32, more: bool) {
        let own = u64::from(process.unsigned_abs()) << 32;
        let known = self.0.iter().find(|place| is_of(place, process));
        match (known, more) {
            (Some(place), true) => {
                place.fetch_add(1, Ordering::Relaxed);
            }
            (Some(place), false) => {
                // Nobody else writes to it.
                let held = place.load(Ordering::Relaxed);
                place.store(
                    if held <= own + 1 { 0 } else { held - 1 },
                    Ordering::Relaxed,
                );
            }
            (None, true) => {
                // More workers than places aren't counted.
                let _ = self.0.iter().any(|place| {
                    place
                        .compare_exchange(0, own + 1, Ordering::Relaxed, Ordering::Relaxed)
                        .is_ok()
                });
            }
            (None, false) => {}
        }
    }

    /// How much all workers hold. The places of those that have died become free.
    pub fn total(&self, is_alive: impl Fn(i32) -> bool) -> u64 {
        let of = |place: &AtomicU64| {
            let held = place.load(Ordering::Relaxed);
            let process = i32::try_from(held >> 32).unwrap_or(0);
            if held != 0 && !is_alive(process) {
                let (from, order) = (held, Ordering::Relaxed);
                let _ = place.compare_exchange(from, 0, order, order);
                return 0;
            }
            held & u64::from(u32::MAX)
        };
        self.0.iter().map(of).sum()
    }
}

fn is_of(place: &AtomicU64, process: i32) -> bool {
    place.load(Ordering::Relaxed) >> 32 == u64::from(process.unsigned_abs())
}

impl StoreState {
    /// A worker has trouble with the master.
    pub fn suspect(&self, now: u64) {
        self.suspected.fetch_max(now.max(1), Ordering::Relaxed);
    }

    /// When that was last, in milliseconds. 0: never.
    pub fn suspected(&self) -> u64 {
        self.suspected.load(Ordering::Relaxed)
    }

    /// The words of the server of this name, whose digest isn't 0. `None` if there is no place left.
    pub fn server(&self, name: u64) -> Option<&ServerWords> {
        let start = usize::try_from(name % SERVERS as u64).ok()?;
        let (before, behind) = self.servers.split_at(start);
        behind.iter().chain(before).find(|server| {
            let free = server
                .name
                .compare_exchange(0, name, Ordering::AcqRel, Ordering::Acquire);
            free.map_or_else(|known| known == name, |_| true)
        })
    }

    /// Lays it out over zeroed memory.
    ///
    /// # Safety
    ///
    /// `place` has room for the state and `room` words, all of them zero, and nobody else uses it yet.
    pub unsafe fn lay_out(place: *mut StoreState, room: u64) {
        // SAFETY: by contract. All zero is a store of which nothing is known.
        unsafe {
            (*place).room = room;
            (*place).magic = MAGIC;
        }
    }

    /// The words behind it.
    fn words(&self) -> &[AtomicU64] {
        let room = usize::try_from(self.room).unwrap_or_default();
        // SAFETY: it was laid out with so many words behind it, which change atomically.
        unsafe { std::slice::from_raw_parts(std::ptr::from_ref(self).add(1).cast(), room) }
    }

    /// Changes whenever [`StoreState::write_topology`] does.
    pub fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    /// What is known of the topology, and its version. `None` while nothing is known or somebody writes it.
    pub fn topology(&self) -> Option<(u64, Vec<u8>)> {
        let version = self.version.load(Ordering::Acquire);
        let length = usize::try_from(self.length.load(Ordering::Relaxed)).ok()?;
        if version % 2 == 1 || length == 0 {
            return None;
        }
        let words = self.words().get(..length.div_ceil(8))?;
        let mut bytes: Vec<u8> = words
            .iter()
            .flat_map(|word| word.load(Ordering::Relaxed).to_ne_bytes())
            .collect();
        bytes.truncate(length);
        let sum = self.sum.load(Ordering::Relaxed);
        fence(Ordering::Acquire);
        let whole = self.version.load(Ordering::Relaxed) == version && sum == digest(&bytes);
        whole.then_some((version, bytes))
    }

    /// Writes what is known of the topology. One process at a time does so: the one that has the right to ask for it.
    /// False if it is too long.
    pub fn write_topology(&self, bytes: &[u8]) -> bool {
        // Odd from here on, also after a writer that has died in between.
        let begun = self.version.load(Ordering::Relaxed) | 1;
        if bytes.len().div_ceil(8) > self.words().len() {
            return false;
        }
        self.version.store(begun, Ordering::Relaxed);
        self.finish_topology(begun, bytes);
        true
    }

    /// The same if nobody has written it since it had this version. Gives the new version; `None` if somebody has, or if it is too
    /// long.
    pub fn write_topology_after(&self, version: u64, bytes: &[u8]) -> Option<u64> {
        // Another odd number after a writer that has died in between, or still writes.
        let begun = if version.is_multiple_of(2) {
            version + 1
        } else {
            version + 2
        };
        let fits = bytes.len().div_ceil(8) <= self.words().len();
        let (to, from) = (begun, version);
        let begins = || {
            let (after, order) = (Ordering::Relaxed, Ordering::AcqRel);
            self.version.compare_exchange(from, to, order, after)
        };
        if !fits || begins().is_err() {
            return None;
        }
        self.finish_topology(begun, bytes);
        Some(begun + 1)
    }

    /// Writes it under a version that says that this is going on.
    fn finish_topology(&self, begun: u64, bytes: &[u8]) {
        let words = self.words();
        fence(Ordering::Release);
        self.length.store(bytes.len() as u64, Ordering::Relaxed);
        self.sum.store(digest(bytes), Ordering::Relaxed);
        for (word, piece) in words.iter().zip(bytes.chunks(8)) {
            let mut whole = [0; 8];
            for (to, from) in whole.iter_mut().zip(piece) {
                *to = *from;
            }
            word.store(u64::from_ne_bytes(whole), Ordering::Relaxed);
        }
        self.version.store(begun + 1, Ordering::Release);
    }
}

/// A digest of bytes, never 0.
pub fn digest(bytes: &[u8]) -> u64 {
    let hash: [u8; 16] = Md5::digest(bytes).into();
    let [a, b, c, d, e, f, g, h, ..] = hash;
    u64::from_ne_bytes([a, b, c, d, e, f, g, h]).max(1)
}
