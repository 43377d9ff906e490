//! What all zones of a server have in common: the secret of their keys, a name for wake-ups, and which keys were
//! invalidated.
//!
//! It is laid out once and has one size, so that it survives every reload. A worker of an old configuration thus sees
//! what one of the new configuration invalidates, even where the zone between them has got another size.
//!
//! Pure over memory: tests take it in from here.

use std::sync::atomic::{AtomicU64, Ordering};

use cache_core::key::LockKey;

/// Changes whenever the layout does.
pub const MAGIC: u64 = 0x7263_636f_6d6d_0002;

/// How many counters there are. Two keys with one counter cost a response that isn't stored, where one of them is
/// invalidated while the other is fetched.
pub const COUNTERS: usize = 16 * 1024;

/// What all zones have in common, as it lies in shared memory.
#[repr(C)]
pub struct Common {
    /// [`MAGIC`].
    pub magic: u64,
    /// Tells the sockets of this server's workers from those of others.
    pub instance: u64,
    /// Goes into the name of each key in the lock tables: nobody outside can choose keys that meet in one window.
    pub secret: [u8; 16],
    /// How often keys were invalidated, by the last bytes of their names.
    pub invalidations: [AtomicU64; COUNTERS],
    /// The number of the invalidation by another machine that was heard last, by the last bytes of the key's name.
    heard: [AtomicU64; COUNTERS],
}

impl Common {
    /// The word of a key among so many.
    fn word<'a>(words: &'a [AtomicU64; COUNTERS], key: &LockKey) -> Option<&'a AtomicU64> {
        let (_, last) = key.as_bytes().split_at(8);
        let mut bytes = [0; 8];
        bytes.copy_from_slice(last);
        let number = u64::from_ne_bytes(bytes) % COUNTERS as u64;
        words.get(usize::try_from(number).ok()?)
    }

    /// How often the key was invalidated. What was begun at another count is worthless.
    pub fn invalidations(&self, key: &LockKey) -> u64 {
        let counter = Self::word(&self.invalidations, key);
        counter.map_or(0, |counter| counter.load(Ordering::SeqCst))
    }

    /// Says that all that is on its way for the key is worthless. Gives the count before.
    pub fn invalidate(&self, key: &LockKey) -> u64 {
        let counter = Self::word(&self.invalidations, key);
        counter.map_or(0, |counter| counter.fetch_add(1, Ordering::SeqCst))
    }

    /// The number of the invalidation by another machine that was heard last for the key, or for one that has the same
    /// word. 0: none.
    pub fn heard(&self, key: &LockKey) -> u64 {
        let heard = Self::word(&self.heard, key);
        heard.map_or(0, |heard| heard.load(Ordering::SeqCst))
    }

    /// Another machine has invalidated the key.
    pub fn hear(&self, key: &LockKey, number: u64) {
        if let Some(heard) = Self::word(&self.heard, key) {
            heard.store(number, Ordering::SeqCst);
        }
    }
}
