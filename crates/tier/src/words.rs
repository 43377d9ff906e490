//! The shared words, and what this crate asks of its surroundings.

use std::sync::atomic::{AtomicU64, Ordering};

/// Words that several processes read and write. A slice of `AtomicU64` is it; tests put others in its place.
///
/// A word out of bounds reads as 0 and isn't written.
pub trait Words {
    /// How many words there are.
    fn count(&self) -> usize;

    /// Reads a word (`SeqCst`).
    fn load(&self, at: usize) -> u64;

    /// Writes a word whose place among other writes matters to readers alone (`Release`).
    fn set(&self, at: usize, value: u64);

    /// Writes a word whose place among the reads that follow matters, too (`SeqCst`).
    fn store(&self, at: usize, value: u64);

    /// Writes `new` if the word is `old` (`SeqCst`). Whether it was.
    fn replace(&self, at: usize, old: u64, new: u64) -> bool;

    /// Adds to a word, around the end of its range (`SeqCst`). What it was before.
    fn add(&self, at: usize, by: u64) -> u64;
}

impl Words for [AtomicU64] {
    #[inline]
    fn count(&self) -> usize {
        self.len()
    }

    #[inline]
    fn load(&self, at: usize) -> u64 {
        self.get(at).map_or(0, |word| word.load(Ordering::SeqCst))
    }

    #[inline]
    fn set(&self, at: usize, value: u64) {
        if let Some(word) = self.get(at) {
            word.store(value, Ordering::Release);
        }
    }

    #[inline]
    fn store(&self, at: usize, value: u64) {
        if let Some(word) = self.get(at) {
            word.store(value, Ordering::SeqCst);
        }
    }

    #[inline]
    fn replace(&self, at: usize, old: u64, new: u64) -> bool {
        self.get(at).is_some_and(|word| {
            word.compare_exchange(old, new, Ordering::SeqCst, Ordering::SeqCst)
                .is_ok()
        })
    }

    #[inline]
    fn add(&self, at: usize, by: u64) -> u64 {
        self.get(at)
            .map_or(0, |word| word.fetch_add(by, Ordering::SeqCst))
    }
}

/// What a worker tells of itself and of others.
pub trait Env {
    /// This worker's process: not 0, and no other live worker's.
    fn pid(&self) -> u32;

    /// Whether a process lives. A stopped one does. An answer some milliseconds old will do.
    fn is_alive(&self, pid: u32) -> bool;

    /// Waits a moment for the mutex. `tries` is how often it was busy, from 0. False: the wait is over, do without.
    fn pause(&self, tries: u32) -> bool;

    /// How many entries a writer puts in order in one turn, while the index is made anew: less than 1 us each.
    fn turn(&self) -> u32 {
        512
    }

    /// Now, in milliseconds, by the clock of [`crate::Facts::expiry`]: expired records make room first. 0: not known.
    fn now(&self) -> u64 {
        0
    }
}
