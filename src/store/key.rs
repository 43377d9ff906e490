//! The key of a record, by its two names: the cache key in Redis, and the lock key in the zone's lock table.

use std::cell::OnceCell;

use bytes::Bytes;
use cache_core::key::LockKey;
use cache_core::vary::VariantId;
use md5::{Digest, Md5};

use super::Store;
use crate::shm::Zone;
use crate::shm::process::pid;

/// The key of a record.
#[derive(Clone)]
pub struct Key {
    /// The cache key: its name in Redis.
    pub redis: Bytes,
    /// The lock key. It is made when it is first asked for: a hit needs none.
    lock: OnceCell<LockKey>,
}

impl Key {
    /// The key of this name in Redis.
    pub fn new(redis: Bytes) -> Key {
        Key {
            redis,
            lock: OnceCell::new(),
        }
    }

    /// The lock key, for a zone and a store that are always the same for this key. Nobody who doesn't know the zone's
    /// secret can tell it.
    pub fn lock(&self, zone: Zone, store: &Store) -> &LockKey {
        self.lock
            .get_or_init(|| zone.lock_key(store.id(), &self.redis))
    }
}

/// The lock key of a variant, beside that of its key.
pub fn lock_of_variant(key: &LockKey, variant: VariantId) -> LockKey {
    derived(key, &variant.0)
}

/// The lock key of what is filled for this worker alone.
pub fn lock_in_worker(key: &LockKey) -> LockKey {
    derived(key, &pid().to_ne_bytes())
}

fn derived(key: &LockKey, more: &[u8]) -> LockKey {
    let mut hash = Md5::new();
    hash.update(key.as_bytes());
    hash.update(more);
    LockKey(hash.finalize().into())
}
