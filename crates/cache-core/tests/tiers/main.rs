//! Memory tiers under simulation: machines with workers, the feed of each, servers that push, and all that goes wrong between
//! them, in virtual time. The feeds, the leases and the names of keys' slots are the very ones of the module; the tier is a
//! model of crate tier: tickets, generations, epochs, leases. Workers do one step at a time, and may be stopped or killed
//! before each.
//!
//! `TIERS_SEED=n` runs that seed alone and prints what happens in it; `TIERS_SEEDS=n` says how many run.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

#[path = "../simulation/rng.rs"]
mod rng;

mod alone;
mod broken;
mod config;
mod driver;
mod judge;
mod seeds;
mod server;
mod serving;
mod tier;
mod trouble;
mod wire;
mod worker;
mod world;
