//! Following a master that Sentinels name: what they say, step by step, and whole failovers in virtual time.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod reply;
mod simulation;
mod steps;
mod world;
