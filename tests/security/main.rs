//! What neither a client, nor a backend, nor somebody who writes to Redis can make of the cache.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test"
)]

mod answers;
mod framing;
mod hidden;
mod poison;
mod trust;
