//! What the workers share: the zone with its lock table, and wake-ups between them.

mod common;
mod layout;
mod liveness;
pub mod locks;
mod table;
pub mod waiting;
pub mod wake;
pub mod zone;

pub use zone::Zone;
