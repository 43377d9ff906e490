//! A memory tier: hot records of a store in memory that the workers of a server share, in front of the store.
//!
//! This crate keeps the index, decides what stays (S3-FIFO), and says where a record's bytes lie. It works on a slice of
//! `AtomicU64` and hands out numbers: entries, and units of the arena. The caller copies the bytes.
//!
//! - Readers take no lock: [`Tier::find`], [`Tier::look`], [`Tier::is_current`], [`Tier::touch`], [`Tier::pin`],
//!   [`Tier::extents`] and everything that invalidates are atomic operations alone. A worker that is stopped or killed at
//!   any instruction costs them nothing.
//! - Writers take a mutex in the words, with a wait that [`Env::pause`] bounds. Without it they do without.
//! - A mutex of a dead worker is taken over, and the index is made anew: every record is dropped. What a live worker
//!   has pinned or reserved stays reserved. That is done in parts, one in each turn of a writer ([`Env::turn`]); until all
//!   of them are done writers do without.
//! - Whatever stands in the words, no function panics, runs for ever or leaves the bounds.
//!
//! # A reader
//!
//! 1. [`Tier::find`] the key's hash.
//! 2. [`Tier::pin`] the handle. `Err(Refusal::Crowded)`: copy the bytes, and ask [`Tier::still`] behind the copy.
//! 3. [`Tier::look`] and [`Tier::extents`]; compare the key in the head; ask [`Tier::is_current`] last. All three answer
//!    nothing of a record that was invalidated in between.
//! 4. [`Tier::touch`] on a hit. [`Tier::unpin`] once the last byte is sent. Pinned bytes don't change, whatever happens to
//!    the record.
//!
//! # A writer
//!
//! 1. [`Tier::ticket`] *before* the lookup is sent to the server.
//! 2. [`Tier::admit`]; then [`Tier::reserve`], copy the bytes into [`Tier::extents`] of the reservation, and
//!    [`Tier::publish`] or [`Tier::abandon`]. What was invalidated since the ticket isn't published.
//!
//! # Hashes
//!
//! A hash *is* the identity of a key here: 128 bits with a secret seed, so that nobody can choose two keys with one hash.

#![forbid(unsafe_code)]

mod chains;
mod entry;
mod eviction;
mod extents;
mod keys;
mod layout;
mod memory;
mod mutex;
mod nodes;
mod queues;
mod repair;
mod rows;
mod tier;
mod units;
mod words;

pub use entry::{Facts, Handle};
pub use extents::{Extent, Extents};
pub use layout::{Layout, UNIT};
pub use nodes::{Node, Ticket};
pub use rows::{Pin, Refusal, Row};
pub use tier::{Reservation, Statistics, Tier, View};
pub use words::{Env, Words};
