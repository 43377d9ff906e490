//! Redis Cluster as its clients see it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test"
)]

mod addresses;
mod believed;
mod maps;
mod refreshed;
mod server;
mod shared;
mod slots;
mod told;
