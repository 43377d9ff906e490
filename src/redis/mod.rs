//! The store: Redis over nginx's own event loop. All that the rest of the module may see is in
//! `client`.
//!
//! A `Client` hands commands to a `Pool`, which gives each to one of its `Connection`s. A connection
//! has an `Output` and an `Input`, and a queue of `Pending` commands that are owed a reply in that
//! order. `Health` knows whether the store is up and logs when that changes.

mod client;
mod command;
mod connection;
mod error;
mod health;
mod input;
mod output;
mod pending;
mod pool;

pub use client::{Client, Server, StoreConfig, Write};
pub use error::StoreError;
