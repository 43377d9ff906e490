//! The flow under simulation: machines with workers, one store, one backend, crowds of clients,
//! faults, virtual time. The workers run the very flow, executor, policy, lock table and answer
//! stream that nginx runs; what stands between them and nginx is modelled.
//!
//! `SIM_SEED=n` runs that seed alone and prints what happens in it; `SIM_SEEDS=n` says how many run.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

#[path = "../../../src/shm/mapping/common.rs"]
#[allow(dead_code, reason = "the simulation uses a part of it")]
mod common;
#[path = "../../../src/shm/locks/mod.rs"]
#[allow(dead_code, unused_imports, reason = "the simulation uses a part of it")]
mod locks;
#[path = "../../../src/shm/mapping/purge_words.rs"]
#[allow(dead_code, reason = "the simulation uses a part of it")]
mod purge_words;
#[path = "../../../src/fill/stream/mod.rs"]
#[allow(dead_code, unused_imports, reason = "the simulation uses a part of it")]
mod stream;
#[path = "../../../src/shm/uses.rs"]
#[allow(dead_code, reason = "the simulation uses a part of it")]
mod uses;

mod simulation {
    mod ahead;
    mod answers;
    mod back_off;
    mod backend;
    mod bounded;
    mod bounds;
    mod broken;
    mod cache;
    mod client;
    mod config;
    mod data;
    mod directed;
    mod faults;
    mod fencing;
    mod few_uses;
    mod filling;
    mod fleet;
    mod fleet_directed;
    mod for_failures;
    mod happening;
    mod invalidated;
    mod invalidating;
    mod invariants;
    mod leasing;
    mod locking;
    mod outcomes;
    mod permits;
    mod purge_directed;
    #[allow(dead_code, reason = "tests of purges use the rest")]
    mod purge_log;
    #[allow(dead_code, reason = "tests of purges use the rest")]
    mod purges;
    mod purging;
    mod readers;
    mod resharding;
    mod rest;
    mod rng;
    mod routes;
    mod routing;
    mod seeds;
    mod sending;
    mod servers;
    mod servers_directed;
    mod servers_in_trouble;
    mod serving;
    mod stage;
    mod store;
    mod topology;
    mod troubles;
    mod variants;
    mod varying;
    mod wait;
    mod watching;
    mod worker;
    mod world;
    mod zone;
}
