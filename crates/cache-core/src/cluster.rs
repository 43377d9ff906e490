//! Redis Cluster as its clients see it: slots, addresses, redirects, the slot map.

mod address;
mod slot;
mod told;

pub use address::Address;
pub use slot::{SLOTS, Slot, slot_of};
pub use told::{Redirect, Told};
