//! How does a memory tier learn that records of a server have changed?
//!
//! One worker of an nginx runs a [`Feed`] for each master, on a connection of its own that has logged in and chosen its
//! database as others do. The feed has no clock and does nothing itself: it takes [`Event`]s and gives [`Effect`]s.
//!
//! ```text
//!   connect ─► HELLO 3 ─► CLIENT TRACKING ON BCAST ─► SUBSCRIBE ─► SET a canary ─► its invalidation is pushed ─► live
//!      ▲                          │                                                                            │
//!      │                          └ acknowledged: the epoch is raised                                          │
//!      └────── back-off ◄── the lease is revoked, the epoch is raised ◄── closed, silent, no canary ◄──────────┘
//! ```
//!
//! While it is live, it sends PING each second. With a PONG, or before it, come all invalidations of what had changed before the
//! server took the PING, so the tier may be read until 3 s after the PING was *sent*. That one rule covers a worker that is
//! stopped or killed, and a connection that is open at one end only. The canary is repeated, so that a server that tracks no
//! more is found out.
//!
//! Where the server doesn't track, the module's own messages must do: its scripts PUBLISH each key that they change, on a
//! channel that the feed subscribes to. RESP2 is enough for that. Messages miss evictions, FLUSHALL, and what others do, so a
//! record is used for [`MESSAGES_VALID`] at most: a lease is as long, and with each PONG the epoch is raised before it. Where neither is to be had the tier isn't used,
//! and the feed tries again after 30 s.
//!
//! Whoever writes can't know whether another machine has to live on messages: its user may lack a right that ours has. So a
//! machine publishes its changes while its own feed isn't live by tracking, and for [`HEED`] after it has heard the canary of
//! another, which is published on the same channel. Where all track, nothing is published but for the first two minutes: in a
//! Redis Cluster each message goes to all nodes.
//!
//! Slots of a Redis Cluster that move away push nothing by themselves: only MIGRATE does, for each key. So the feed asks for
//! CLUSTER INFO and CLUSTER SLOTS with each PING: when an epoch, the state, or the master of a slot has changed, all that the
//! tier has of the store is void.
//!
//! Nothing tells of SWAPDB either. So the last canary stays where it is, as a mark of the database, and each PING comes with a
//! question whether it exists. If not, all is void. No other database ever had a key of that name. Two swaps between two PINGs
//! aren't seen.
//!
//! The subscription makes the connection one of class pubsub: Redis closes it when its reader is stuck, instead of growing.

mod beat;
mod canary;
mod cluster;
mod event;
mod heard;
mod machine;
mod refusal;
mod shadow;
mod trouble;

pub use self::beat::LEASE;
pub use self::event::{Effect, Event, HEED, Level, MESSAGES_VALID, Settings, Source};
pub use self::machine::Feed;
pub use self::shadow::{Known, Shadow};
