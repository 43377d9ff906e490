//! Counters in shared memory. Each series lies there several times, and each worker adds to one of the copies, so that workers
//! rarely write to the same place. What is read is the sum.

use std::sync::atomic::{AtomicU64, Ordering};

use cache_core::counters::{Counts, NODE_ROOM, SERVER_ROOM, STORE_ROOM, Times, Word, ZONE_ROOM};
use ngx::ffi::ngx_worker;

/// A copy of a series of so many words. All zero is one that has counted nothing.
#[repr(transparent)]
pub struct Share<const WORDS: usize>([AtomicU64; WORDS]);

/// A series of so many words, in so many copies.
#[repr(C, align(64))]
pub struct Counters<const WORDS: usize, const COPIES: usize = 8>([Share<WORDS>; COPIES]);

/// Those of a zone.
pub type ZoneCounters = Counters<ZONE_ROOM>;

/// Those of a server block.
pub type ServerCounters = Counters<SERVER_ROOM>;

/// Where a worker counts the responses of a location.
#[derive(Clone, Copy)]
pub struct Shares {
    /// In its zone.
    pub zone: Option<&'static Share<ZONE_ROOM>>,
    /// In its server block.
    pub server: Option<&'static Share<SERVER_ROOM>>,
}

/// Those of a store.
pub type StoreCounters = Counters<STORE_ROOM>;

/// Those of a server of a store. There is room for many servers, and each command has a round trip behind it: one copy.
pub type NodeCounters = Counters<NODE_ROOM, 1>;

/// The number of this worker, 0 for the first.
fn worker() -> usize {
    // SAFETY: nginx writes it before it runs the worker.
    unsafe { ngx_worker }
}

impl<const WORDS: usize> Share<WORDS> {
    /// Adds to each of these words.
    pub fn add_all<const COUNT: usize>(&self, words: [(Word, u64); COUNT]) {
        for (word, count) in words {
            // During a reload an old and a new worker have the same number, hence no plain write.
            if let Some(word) = self.0.get(word.place()) {
                word.fetch_add(count, Ordering::Relaxed);
            }
        }
    }
}

impl<const WORDS: usize, const COPIES: usize> Counters<WORDS, COPIES> {
    /// Adds to a word.
    pub fn add(&self, word: Word, count: u64) {
        self.add_all([(word, count)]);
    }

    /// Adds to each of these words.
    pub fn add_all<const COUNT: usize>(&self, words: [(Word, u64); COUNT]) {
        if let Some(share) = self.share() {
            share.add_all(words);
        }
    }

    /// The copy that this worker adds to. It is the same one for as long as the worker lives.
    pub fn share(&self) -> Option<&Share<WORDS>> {
        self.0.get(worker() % COPIES)
    }

    /// Counts something that has taken so many microseconds.
    pub fn add_time(&self, times: Times, micros: u64) {
        self.add_all([(times.range(micros), 1), (times.sum(), micros)]);
    }

    /// What all workers have counted.
    pub fn read(&self) -> Counts {
        let mut counts = Counts::default();
        for copy in &self.0 {
            counts.add(copy.0.iter().map(|word| word.load(Ordering::Relaxed)));
        }
        counts
    }
}
