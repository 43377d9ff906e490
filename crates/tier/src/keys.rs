//! Keys without a record: those that were looked up lately, and the ghosts of S3-FIFO. Tables of four ways, no lock.
//!
//! A word is a fingerprint (32 bits), a stamp (24 bits) and a count (8 bits). The stamp is the number of keys put into the
//! table until then: it tells how old the word is.

use crate::layout::header;
use crate::memory::{Memory, high, low, pair};
use crate::words::Words;

/// Words of a set.
const WAYS: u32 = 4;

/// The most that a key is counted.
const MOST: u32 = 255;

/// One of the tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keys {
    /// Keys that were looked up.
    Seen,
    /// Keys whose records left the small queue.
    Ghosts,
}

impl Keys {
    fn start<W: Words + ?Sized>(self, memory: Memory<'_, W>) -> usize {
        match self {
            Keys::Seen => memory.layout.seen_at,
            Keys::Ghosts => memory.layout.ghosts_at,
        }
    }

    fn stamp_at(self) -> usize {
        match self {
            Keys::Seen => header::SEEN_STAMP,
            Keys::Ghosts => header::GHOST_STAMP,
        }
    }

    /// Places of a hash's set.
    fn set<W: Words + ?Sized>(
        self,
        memory: Memory<'_, W>,
        hash: u128,
    ) -> impl Iterator<Item = usize> {
        let sets = (memory.layout.keys / WAYS).max(1);
        let set = (hash >> 64) as u32 & sets.wrapping_sub(1);
        let start = self.start(memory) + set as usize * WAYS as usize;
        start..start + WAYS as usize
    }

    /// How many keys were put into the table since this word.
    fn age<W: Words + ?Sized>(self, memory: Memory<'_, W>, word: u64) -> u32 {
        let now = low(memory.load(self.stamp_at()));
        now.wrapping_sub(low(word) >> 8) & 0x00ff_ffff
    }

    /// The word of a hash that isn't older than this many keys, and its place.
    fn find<W: Words + ?Sized>(
        self,
        memory: Memory<'_, W>,
        hash: u128,
        window: u32,
    ) -> Option<(usize, u64)> {
        let print = (hash >> 96) as u32;
        self.set(memory, hash)
            .map(|at| (at, memory.load(at)))
            .find(|(_, word)| {
                let known = *word != 0 && high(*word) == print;
                known && self.age(memory, *word) <= window
            })
    }

    /// How often a key was counted. 0: not known.
    pub fn count<W: Words + ?Sized>(self, memory: Memory<'_, W>, hash: u128, window: u32) -> u32 {
        self.find(memory, hash, window)
            .map_or(0, |(_, word)| low(word) & MOST)
    }

    /// Counts a key: how often it was counted, with this time.
    pub fn add<W: Words + ?Sized>(self, memory: Memory<'_, W>, hash: u128, window: u32) -> u32 {
        if let Some((at, word)) = self.find(memory, hash, window) {
            let count = (low(word) & MOST).saturating_add(1).min(MOST);
            let changed = pair(high(word), low(word) & !MOST | count);
            memory.words.replace(at, word, changed);
            return count;
        }
        self.put(memory, hash, 1);
        1
    }

    /// Puts a key in, in place of the oldest of its set.
    fn put<W: Words + ?Sized>(self, memory: Memory<'_, W>, hash: u128, count: u32) {
        let stamp = low(memory.words.add(self.stamp_at(), 1)).wrapping_add(1);
        let word = pair((hash >> 96) as u32, stamp << 8 | count);
        let age = |known: u64| match known {
            0 => u32::MAX,
            known if high(known) == high(word) => u32::MAX,
            known => self.age(memory, known),
        };
        let oldest = self
            .set(memory, hash)
            .map(|at| (at, memory.load(at)))
            .max_by_key(|(_, known)| age(*known));
        if let Some((at, known)) = oldest {
            memory.words.replace(at, known, word);
        }
    }

    /// Forgets a key. Whether it was known.
    pub fn take<W: Words + ?Sized>(self, memory: Memory<'_, W>, hash: u128, window: u32) -> bool {
        self.find(memory, hash, window)
            .is_some_and(|(at, word)| memory.words.replace(at, word, 0))
    }
}
