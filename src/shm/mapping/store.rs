//! What the workers of a server know together of a store: which server has which keys, who asks for that anew, and which
//! servers are in trouble.
//!
//! It survives reloads, and has no mutex: a worker that dies in the middle of a change leaves words that others
//! overwrite.
//!
//! Pure over memory but for its declaration.

use std::sync::atomic::{AtomicU64, Ordering, fence};

use md5::{Digest, Md5};

/// Changes whenever the layout does.
pub const MAGIC: u64 = 0x7263_7374_6f72_0001;

/// How many servers of a store have words of their own. Those beyond it are each worker's own business.
pub const SERVERS: usize = 512;

/// Words of a server, as the breaker uses them.
pub const SERVER_WORDS: usize = 7;

/// Words for whoever asks which server has which keys.
pub const REFRESH_WORDS: usize = 8;

/// Words of what is known of that.
pub const TOPOLOGY_WORDS: usize = 16 * 1024;

/// A server's words, found by its name.
#[repr(C)]
pub struct ServerWords {
    /// A digest of its name. 0: the place is free.
    name: AtomicU64,
    /// The breaker's.
    pub words: [AtomicU64; SERVER_WORDS],
}

/// The shared state of a store, as it lies in shared memory.
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
    /// For whoever asks for the topology.
    pub refresh: [AtomicU64; REFRESH_WORDS],
    servers: [ServerWords; SERVERS],
    topology: [AtomicU64; TOPOLOGY_WORDS],
}

impl StoreState {
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
        let words = self.topology.get(..length.div_ceil(8))?;
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
        let Some(words) = self.topology.get(..bytes.len().div_ceil(8)) else {
            return false;
        };
        // Odd from here on, also after a writer that has died in between.
        let begun = self.version.load(Ordering::Relaxed) | 1;
        self.version.store(begun, Ordering::Relaxed);
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
        true
    }
}

/// A digest of bytes, never 0.
pub fn digest(bytes: &[u8]) -> u64 {
    let hash: [u8; 16] = Md5::digest(bytes).into();
    let [a, b, c, d, e, f, g, h, ..] = hash;
    u64::from_ne_bytes([a, b, c, d, e, f, g, h]).max(1)
}
