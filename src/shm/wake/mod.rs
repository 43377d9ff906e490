//! Wake-ups: the requests of this worker that wait for a lock's release, and datagrams that tell other workers of one.
//!
//! A wake-up is a hint: a waiting worker looks at the lock itself, and does so now and then without one.

mod socket;
mod waiters;

pub use socket::{all, open};
pub use waiters::{Holding, Waiter, join, rouse};
