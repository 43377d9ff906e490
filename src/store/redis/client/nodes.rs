//! The servers of a store, as operators and its memory see them.

use cache_core::attempts::{Access, Route};
use cache_core::{breaker, report};

use super::Client;
use crate::shm::{ServerWords, digest};
use crate::store::redis::topology::MasterServer;

impl Client {
    /// The server that has a key, if it is known.
    pub fn server_of(&self, key: &[u8]) -> Option<String> {
        let slot = self.topology.slot_of(key);
        let node = self.topology.node(slot, Access::Write).ok()?;
        Some(node.server().text.clone())
    }

    /// What operators see of its servers that have keys.
    pub fn nodes(&self) -> Vec<report::Node> {
        let masters = self.topology.masters().into_iter();
        let state = self.config.memory.and_then(|memory| memory.state());
        let words = |text: &str| state?.server(digest(text.as_bytes()));
        let counts = |words: Option<&ServerWords>| {
            let counts = words.map(|words| words.counters.read());
            counts.unwrap_or_default()
        };
        let master = |master: MasterServer| report::Node {
            is_up: self.topology.is_up(&master),
            is_master: true,
            counts: counts(words(&master.server.text)),
            address: master.server.text,
        };
        let replica = |address: String| {
            let words = words(&address);
            report::Node {
                is_up: words.is_none_or(|words| !words.breaker.is_open(breaker::Access::Read)),
                is_master: false,
                counts: counts(words),
                address,
            }
        };
        let replicas = self.topology.replicas().into_iter();
        masters.map(master).chain(replicas.map(replica)).collect()
    }

    /// What the memory tier calls its servers that have keys.
    pub fn names_in_memory(&self) -> Vec<u64> {
        let name = |master: MasterServer| {
            let slots = master.slots.as_ref().and_then(|slots| slots.first());
            let slot = slots.map_or(self.topology.slot_of(&[]), |slots| *slots.start());
            let node = self.topology.node(slot, Access::Write).ok()?;
            Some(node.heard_as())
        };
        let masters = self.topology.masters().into_iter();
        masters.filter_map(name).collect()
    }
}
