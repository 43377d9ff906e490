//! Records of a tier that this worker has used lately, as it reads them: nothing is made of their texts again.

use std::cell::Cell;
use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasherDefault, Hasher};
use std::rc::Rc;

use super::Entry;

/// So many bytes may they take in one worker, for each store.
const LIMIT: usize = 16 << 20;

/// So many records that were used are passed over for each that is forgotten.
const PASSED_OVER: usize = 16;

/// Bytes that a record takes in the lists here, and what the allocator adds to its parts.
const OVERHEAD: usize = 160;

/// Bytes that count toward the limit, as long as it lives.
pub struct Charge {
    counter: Rc<Cell<usize>>,
    bytes: usize,
}

impl Charge {
    /// Counts so many bytes.
    pub fn new(counter: &Rc<Cell<usize>>, bytes: usize) -> Charge {
        counter.set(counter.get() + bytes);
        Charge {
            counter: Rc::clone(counter),
            bytes,
        }
    }

    /// What it is counted by.
    pub fn counter(&self) -> &Rc<Cell<usize>> {
        &self.counter
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        let left = self.counter.get().saturating_sub(self.bytes);
        self.counter.set(left);
    }
}

/// Records by the hashes of their keys. What came first is forgotten first, unless it was used since.
#[derive(Default)]
pub struct Recent {
    known: HashMap<u128, Rc<Entry>, BuildHasherDefault<Hashed>>,
    order: VecDeque<u128>,
    /// Bytes that the records take, those among them that only a response still has.
    used: Rc<Cell<usize>>,
}

/// The keys are hashes.
#[derive(Default)]
pub struct Hashed(u64);

impl Hasher for Hashed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u128(&mut self, hash: u128) {
        let (low, _) = (hash as u64, hash >> 64);
        self.0 = low;
    }
}

impl Recent {
    /// By this the bytes are counted.
    pub fn counter(&self) -> Rc<Cell<usize>> {
        Rc::clone(&self.used)
    }

    /// The record under a hash.
    pub fn get(&self, hash: u128) -> Option<&Rc<Entry>> {
        self.known.get(&hash)
    }

    /// Remembers a record, in place of the one that was under its hash.
    pub fn put(&mut self, hash: u128, entry: Rc<Entry>) {
        if self.known.insert(hash, entry).is_none() {
            self.order.push_back(hash);
        }
        while self.bytes() > LIMIT && self.known.len() > 1 && self.forget() {}
    }

    fn bytes(&self) -> usize {
        self.used.get() + self.known.len() * OVERHEAD
    }

    /// Forgets one. False if all that were looked at are needed: a response still has them, so that to forget them frees nothing,
    /// and the next request for one would make another of it.
    fn forget(&mut self) -> bool {
        for turn in 0..=PASSED_OVER {
            let Some(hash) = self.order.pop_front() else {
                return false;
            };
            let is_needed = self.known.get(&hash).is_some_and(|entry| {
                Rc::strong_count(entry) > 1 || (entry.take_use() && turn < PASSED_OVER)
            });
            if !is_needed {
                self.known.remove(&hash);
                return true;
            }
            self.order.push_back(hash);
        }
        false
    }
}
