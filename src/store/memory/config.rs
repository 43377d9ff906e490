//! What the memory tier of a store is told by its configuration.

use crate::shm::TierMemory;

/// Bytes of the largest record that is kept, unless configured.
const MAX_OBJECT: usize = 1 << 20;

/// How long a record is kept before it is looked up anew, in milliseconds, unless configured.
const VALID: u64 = 60_000;

/// The lookup from which on a record is kept, unless configured.
const MIN_USES: u32 = 2;

/// For how long the memory carries on alone while its server is down, in milliseconds, unless configured.
const ALONE: u64 = 10_000;

/// `memory SIZE [max_object=SIZE] [valid=TIME] [min_uses=NUMBER] [prefix=TEXT] [feed=on|off] [alone=TIME|off]`
#[derive(Clone, Debug)]
pub struct MemoryConfig {
    /// Bytes of shared memory.
    pub size: usize,
    /// Bytes of the largest record that is kept.
    pub max_object: usize,
    /// How long a record is kept before it is looked up anew, in milliseconds.
    pub valid: u64,
    /// The lookup from which on a record is kept.
    pub min_uses: u32,
    /// How long a record is used at most whose server is down, in milliseconds. 0: not at all.
    pub alone: u64,
    /// What the keys begin with that are kept. Empty: all are.
    pub prefix: Vec<u8>,
    /// Whether a worker listens to the servers. If not, `valid` alone bounds how long a record is used that has changed there.
    pub feed: bool,
    /// The shared memory, once it is declared.
    pub memory: Option<TierMemory>,
}

impl MemoryConfig {
    /// The least size, in bytes.
    pub const LEAST: usize = 1 << 20;

    /// The most that `min_uses` may say: as far as uses are counted.
    pub const MOST_USES: u32 = 255;

    /// A tier of which only its size is known.
    pub fn new(size: usize) -> MemoryConfig {
        MemoryConfig {
            size,
            max_object: MAX_OBJECT,
            valid: VALID,
            min_uses: MIN_USES,
            alone: ALONE,
            prefix: Vec::new(),
            feed: true,
            memory: None,
        }
    }
}
