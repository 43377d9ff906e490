//! What the workers of a server share: the memory of a zone with its locks, and wake-ups from one worker to another.

pub mod zone;

pub mod locks;
mod mapping;
pub mod process;
pub mod wake;

pub use zone::Zone;
