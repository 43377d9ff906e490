//! The header of a lock table: its counts, and the workers that have a place in it.

use std::sync::atomic::AtomicU64;

use cache_core::counters::LAYOUT;

/// How many workers may be waiting at once, old ones of a reload included.
pub const WORKERS: usize = 128;
/// Changes whenever the layout does, or that of the counters beside it: a zone of another layout is made anew.
pub const MAGIC: u64 = 0x7263_6c6f_636b_0009 ^ LAYOUT;
/// Least time between two notes that there is no room, in milliseconds.
const TELL: u64 = 60_000;

/// A set of workers, by their place in the header.
pub type Workers = [u64; WORKERS / 64];

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
    pub(super) evicted: u64,
    /// Number of the last lock taken.
    pub(super) instance: u64,
    /// When it was last said that there is no room, in milliseconds; 0 is never.
    told: u64,
    /// Workers that can be woken, by process id; 0 is free.
    pub workers: [i32; WORKERS],
    /// How many background refills each of them runs.
    pub(super) refills: [u32; WORKERS],
    /// Where the zone's counters lie, in each process. 0: there are none.
    pub counters: u64,
    /// Where the counts of requests for keys lie (`Uses`), in each process. 0: there are none.
    pub uses: u64,
    /// How many words they have.
    pub use_words: u64,
    /// Where the rules of No-Vary-Search lie (`SearchRules`), in each process. 0: there are none.
    pub rules: u64,
    /// How many words they have.
    pub rule_words: u64,
}

impl TableHeader {
    /// Whether it is time to say again that there is no room; if so it counts as said.
    pub(super) fn must_tell(&mut self, now: u64) -> bool {
        let due = self.told == 0 || now.saturating_sub(self.told) >= TELL;
        if due {
            self.told = now.max(1);
        }
        due
    }

    /// Frees the place of a process that is gone, and ends its refills.
    pub(super) fn remove(&mut self, pid: i32) {
        let places = self.workers.iter_mut().zip(&mut self.refills);
        for (place, refills) in places.filter(|(place, _)| **place == pid) {
            (*place, *refills) = (0, 0);
        }
    }
}
