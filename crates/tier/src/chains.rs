//! Buckets of the index: chains of entries by the hash of their keys.
//!
//! A bucket's word is a count of changes and a link to the first entry. Whoever holds the mutex changes chains; readers
//! walk them at any time. A reader whose entry is moved away under it may go astray into another chain: it misses
//! what it looks for, or learns by the count that it must look again.

use crate::entry::{Entry, Handle, State, state};
use crate::memory::{Memory, high, low, pair};
use crate::words::Words;

/// The most entries that a walk looks at. With about one entry a bucket, a chain of this length is a contradiction.
const LONGEST: u32 = 128;

/// How often a walk is repeated that changes of the chain disturbed.
const WALKS: u32 = 8;

/// Word of a hash's bucket.
fn bucket<W: Words + ?Sized>(memory: Memory<'_, W>, hash: u128) -> usize {
    let number = low(hash as u64) & memory.layout.buckets.wrapping_sub(1);
    memory.layout.buckets_at + number as usize
}

/// A walk along a chain.
struct Walk<'a, W: Words + ?Sized> {
    memory: Memory<'a, W>,
    next: u32,
    left: u32,
}

impl<'a, W: Words + ?Sized> Walk<'a, W> {
    fn from(memory: Memory<'a, W>, bucket: u64) -> Self {
        Walk {
            memory,
            next: low(bucket),
            left: LONGEST,
        }
    }

    /// Whether the chain ended where one ends.
    fn is_whole(&self) -> bool {
        self.next == 0
    }
}

impl<'a, W: Words + ?Sized> Iterator for Walk<'a, W> {
    type Item = Entry<'a, W>;

    fn next(&mut self) -> Option<Entry<'a, W>> {
        self.left = self.left.checked_sub(1)?;
        let entry = Entry::linked(self.memory, self.next)?;
        self.next = entry.next_in_chain();
        Some(entry)
    }
}

/// The live record of a hash. Many changes at the same time may hide one.
pub(crate) fn find<W: Words + ?Sized>(memory: Memory<'_, W>, hash: u128) -> Option<Handle> {
    let at = bucket(memory, hash);
    for _ in 0..WALKS {
        let first = memory.load(at);
        let found = Walk::from(memory, first).find_map(|entry| {
            let version = entry.version();
            let found =
                state(version) == State::Live && entry.hash() == hash && entry.version() == version;
            found.then_some(Handle {
                entry: entry.index,
                version,
            })
        });
        // Another may have taken its place behind this walk.
        if found.is_some() || memory.load(at) == first {
            return found;
        }
    }
    None
}

/// Kills all records of a hash, also what is being published. Whether there was one; `None` if changes of the chain went on
/// so that one may have been missed.
pub(crate) fn kill_all<W: Words + ?Sized>(memory: Memory<'_, W>, hash: u128) -> Option<bool> {
    let at = bucket(memory, hash);
    let mut killed = false;
    for _ in 0..WALKS {
        let before = memory.load(at);
        let mut walk = Walk::from(memory, before);
        for entry in &mut walk {
            killed |= kill_if(entry, hash);
        }
        let undisturbed = memory.load(at) == before;
        if undisturbed && walk.is_whole() {
            return Some(killed);
        }
        if undisturbed {
            memory.is_broken();
            break;
        }
    }
    None
}

/// Kills an entry's record if it is of this hash.
fn kill_if<W: Words + ?Sized>(entry: Entry<'_, W>, hash: u128) -> bool {
    for _ in 0..WALKS {
        // The version first: the hash belongs to it if it is still the same when it is killed.
        let version = entry.version();
        if matches!(state(version), State::Free | State::Dead) || entry.hash() != hash {
            return false;
        }
        if entry.kill(version) {
            return true;
        }
    }
    false
}

/// Other entries of a hash, for the holder of the mutex: at most 8 at a time.
pub(crate) fn others<'a, W: Words + ?Sized>(
    memory: Memory<'a, W>,
    hash: u128,
) -> [Option<Entry<'a, W>>; 8] {
    let mut found = [None; 8];
    let mut walk = Walk::from(memory, memory.load(bucket(memory, hash)));
    let same = (&mut walk).filter(|entry| entry.hash() == hash);
    for (place, entry) in found.iter_mut().zip(same) {
        *place = Some(entry);
    }
    found
}

/// Links an entry in front of its bucket's chain.
pub(crate) fn link<W: Words + ?Sized>(memory: Memory<'_, W>, entry: Entry<'_, W>) {
    let at = bucket(memory, entry.hash());
    let first = memory.load(at);
    entry.set_next_in_chain(low(first));
    memory
        .words
        .store(at, pair(high(first).wrapping_add(1), entry.link()));
}

/// Takes an entry out of its bucket's chain, if it is in there.
pub(crate) fn unlink<W: Words + ?Sized>(memory: Memory<'_, W>, entry: Entry<'_, W>) {
    let at = bucket(memory, entry.hash());
    let first = memory.load(at);
    let mut before: Option<Entry<'_, W>> = None;
    let mut walk = Walk::from(memory, first);
    for other in &mut walk {
        if other.index != entry.index {
            before = Some(other);
            continue;
        }
        let next = entry.next_in_chain();
        let head = match before {
            Some(before) => {
                before.set_next_in_chain(next);
                low(first)
            }
            None => next,
        };
        // Before the entry is used for anything else: a reader that is at it learns that it went astray.
        memory
            .words
            .store(at, pair(high(first).wrapping_add(1), head));
        return;
    }
    if !walk.is_whole() {
        memory.is_broken();
    }
}

/// Empties a bucket.
pub(crate) fn empty<W: Words + ?Sized>(memory: Memory<'_, W>, number: u32) {
    let at = memory.layout.buckets_at + number as usize;
    let changes = high(memory.load(at)).wrapping_add(1);
    memory.words.store(at, pair(changes, 0));
}
