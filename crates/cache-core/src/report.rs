//! What operators see of the cache at a moment: zones, servers and stores with their counts, as JSON, as metrics and as a page.

mod json;
mod metrics;
mod page;

pub use json::json;
pub use metrics::{Form, accepts_open_metrics, metrics};
pub use page::{POLICY as PAGE_POLICY, page};

use crate::counters::Counts;

/// All of it.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// The version of the module.
    pub version: &'static str,
    /// That of nginx.
    pub nginx: String,
    /// The time, in milliseconds since 1970.
    pub time: u64,
    /// How many workers there are.
    pub workers: usize,
    /// The zones of the configuration.
    pub zones: Vec<ZoneReport>,
    /// The server blocks by their first names.
    pub servers: Vec<(String, Counts)>,
    /// The stores of the configuration.
    pub stores: Vec<StoreReport>,
}

/// A zone.
#[derive(Clone, Debug, Default)]
pub struct ZoneReport {
    /// Its name.
    pub name: String,
    /// What was counted.
    pub counts: Counts,
    /// How its table of locks looks.
    pub keys: Keys,
}

/// The table of locks of a zone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Keys {
    /// How many keys it has room for.
    pub room: u64,
    /// Keys that are being filled.
    pub filling: u64,
    /// Keys whose responses are taken not to be storable.
    pub uncacheable: u64,
    /// Keys whose backend has failed a moment ago.
    pub failing: u64,
    /// Keys of which something else is remembered.
    pub known: u64,
    /// Requests that wait for another one's fill.
    pub waiters: u64,
    /// Refills behind clients' backs that are going on.
    pub refills: u64,
}

impl Keys {
    /// The states of keys, for labels.
    #[must_use]
    pub const fn states(&self) -> [(&'static str, u64); 4] {
        [
            ("filling", self.filling),
            ("uncacheable", self.uncacheable),
            ("failing", self.failing),
            ("known", self.known),
        ]
    }
}

/// A store.
#[derive(Clone, Debug, Default)]
pub struct StoreReport {
    /// Its name.
    pub name: String,
    /// How its servers belong together: `standalone`, `sentinel`, `cluster`, or `memory` for a store without servers.
    pub mode: &'static str,
    /// What was counted.
    pub counts: Counts,
    /// How many connections the workers have to its servers.
    pub connections: u64,
    /// Its servers, as far as they are known.
    pub nodes: Vec<Node>,
    /// Its memory.
    pub memory: Option<MemoryReport>,
}

impl StoreReport {
    /// The mode of a store without servers.
    pub const MEMORY: &'static str = "memory";

    /// Whether commands are sent to it: some server is up, or none is needed.
    #[must_use]
    pub fn is_up(&self) -> bool {
        self.mode == Self::MEMORY || self.nodes.iter().any(|node| node.is_up)
    }
}

/// A server of a store.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Node {
    /// Its address.
    pub address: String,
    /// Whether commands are sent to it.
    pub is_up: bool,
    /// Whether it is a master. A replica serves lookups alone.
    pub is_master: bool,
    /// What was counted of it.
    pub counts: Counts,
}

impl Node {
    /// What it is for the others.
    #[must_use]
    pub const fn role(&self) -> &'static str {
        if self.is_master { "master" } else { "replica" }
    }
}

/// The memory of a store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MemoryReport {
    /// Bytes that there are for records.
    pub size: u64,
    /// Bytes that records take.
    pub bytes: u64,
    /// Records.
    pub objects: u64,
    /// Records that were dropped to make room.
    pub evictions: u64,
    /// Whether some server's changes are heard of, or none need be: without servers, and by `feed=off`. Otherwise nothing is served from it
    /// while the servers are up.
    pub is_fed: bool,
    /// How long ago that was last proven, at the server for which it is longest, in milliseconds. `None`: it isn't now.
    pub feed_lag: Option<u64>,
}
