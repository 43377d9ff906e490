//! What the workers of a server share: the memory of a zone with its locks, and wake-ups from one worker to another.

/// A zone, as the rest of the module uses it.
pub mod zone;

/// The lock table, without nginx: also taken in by tests.
pub mod locks;

/// What workers count.
pub mod counters;

/// The shared memory of a zone, and how it is laid out.
mod mapping;

/// The processes that share it.
pub mod process;

/// Records in the memory of a tier.
pub mod tier;

/// Which rules of No-Vary-Search paths have.
pub mod search_rules;

/// How often keys were asked for.
pub mod uses;

/// Wake-ups from one worker to another.
pub mod wake;

pub use mapping::{
    Refusal, ServerWords, ServersMemory, StoreMemory, StoreState, TierMemory, digest,
};
pub use zone::Zone;
