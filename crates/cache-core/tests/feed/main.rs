//! The feed of a memory tier: what it sends, hears and concludes, step by step.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod bench;
mod cluster;
mod garbage;
mod marks;
mod messages;
mod shadow;
mod steps;
mod trouble;
