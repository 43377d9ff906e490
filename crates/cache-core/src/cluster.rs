//! Redis Cluster as its clients see it: slots, addresses, redirects, and the slot map: how it is read, accepted, shared
//! and kept up to date.

mod acceptance;
mod address;
mod encoding;
mod map;
mod refresh;
mod reply;
mod slot;
mod told;

pub use acceptance::{Acceptance, Judged};
pub use address::{Address, MAX_HOST};
pub use encoding::{ENCODED_SIZE, Unreadable};
pub use map::{ClusterNode, Followed, MAX_NODES, SlotMap};
pub use refresh::{Ended, Refresh, Round, order};
pub use reply::BadMap;
pub use slot::{SLOTS, Slot, slot_of};
pub use told::{Redirect, Told};
