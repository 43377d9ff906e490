//! Records of a tier that this worker has used lately, as it reads them: nothing is made of their texts again.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::rc::Rc;

use super::Entry;

/// How many records are in a generation.
const MOST: usize = 8192;

/// Two generations: what is used moves to the younger, and what isn't used until that is full is forgotten.
#[derive(Default)]
pub struct Recent {
    young: Generation,
    old: Generation,
}

type Generation = HashMap<u128, Rc<Entry>, BuildHasherDefault<Hashed>>;

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
    /// The record under a hash.
    pub fn get(&mut self, hash: u128) -> Option<Rc<Entry>> {
        if let Some(known) = self.young.get(&hash) {
            return Some(Rc::clone(known));
        }
        let known = self.old.remove(&hash)?;
        self.put(hash, Rc::clone(&known));
        Some(known)
    }

    /// Remembers a record.
    pub fn put(&mut self, hash: u128, entry: Rc<Entry>) {
        if self.young.len() >= MOST {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(hash, entry);
    }
}
