//! The store: Redis over nginx's own event loop. All that the rest of the module may see is in
//! `client`.
//!
//! A `Client` hands commands to a `Pool`, which gives each to one of its `Connection`s. A connection
//! has an `Output` and an `Input`, and a queue of `Pending` commands that are owed a reply in that
//! order. `Health` knows whether the store is up and logs when that changes. A `Relay` is a store that others
//! bring the same commands to.

mod address;
mod asked;
mod client;
mod command;
mod config;
mod connection;
mod error;
mod health;
mod input;
mod large;
mod output;
mod pace;
mod pending;
mod pool;
mod relay;

pub use address::{from_address, is_address};
pub use client::{Change, Changed, Client, Found, Reading, Refresh, Validated, Variant, Write};
pub use config::{Server, StoreConfig};
pub use error::StoreError;
pub use pace::Pace;
pub use relay::{Dialog, Relay};
