//! The tier, as its callers see it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test"
)]

mod basics;
mod bed;
mod death;
mod garbage;
mod hash;
mod interleaved;
mod model;
mod places;
mod policy;
mod repair;
mod rows;
mod threads;
mod world;
