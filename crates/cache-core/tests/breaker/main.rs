//! The breaker of a node: when it opens, probes and closes, also when many workers use it at once.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod blame;
mod interleaved;
mod sides;
mod word;

use cache_core::breaker::Settings;

/// Three failures within 1 s open it for 500 ms; a probe has 2 s.
const SETTINGS: Settings = Settings {
    max_fails: 3,
    window: 1000,
    fail_timeout: 500,
    lease: 2000,
};
