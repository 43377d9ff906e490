//! The memory of a zone, of what all zones have in common, and of a store: declarations, layouts, and the mutex that
//! guards a zone.

mod common;
mod declared;
mod layout;
mod names;
mod purge_words;
mod servers;
mod store;
mod tier;

pub(super) use declared::Mapping;
pub use declared::{ServersMemory, StoreMemory, TierMemory};
pub use store::{Refusal, ServerWords, StoreState, digest};
pub use tier::{TierHeader, TierView};
