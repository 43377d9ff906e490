//! A Redis Cluster of real servers, started by commands, and what can happen to one.

mod failing;
mod forming;
mod moving;
mod options;
mod slots;
mod view;

use std::collections::{BTreeSet, HashMap};
use std::fmt::Write as _;
use std::sync::{Arc, Mutex};

use redis::{FromRedisValue, RedisResult};

use super::login::TlsFiles;
use super::net::Net;
use super::server::Server;
use crate::record::Record;
use crate::wait::{PATIENCE, wait_for};

pub use failing::Failover;
pub(super) use forming::replication_lines;
pub use moving::{Moved, SlotMove};
pub use options::ClusterOptions;
pub use slots::{SLOTS, slot_of};
pub use view::KnownNode;

/// A running cluster. Nodes have numbers: first the masters of the start, then the replicas, then what was added.
#[derive(Debug)]
pub struct RedisCluster {
    net: Net,
    options: ClusterOptions,
    tls: Option<TlsFiles>,
    /// Where slots were moved to.
    moved: Mutex<HashMap<u16, usize>>,
}

impl RedisCluster {
    /// Three masters and three replicas.
    #[must_use]
    #[track_caller]
    pub fn start() -> RedisCluster {
        ClusterOptions::default().start()
    }

    /// One that is described further.
    #[must_use]
    pub fn options() -> ClusterOptions {
        ClusterOptions::default()
    }

    /// The nodes and the ways to them.
    #[must_use]
    pub fn net(&self) -> &Net {
        &self.net
    }

    /// Node `number`.
    #[must_use]
    #[track_caller]
    pub fn node(&self, number: usize) -> Arc<Server> {
        self.net.server(number)
    }

    /// How many nodes there ever were: their numbers are below.
    #[must_use]
    pub fn len(&self) -> usize {
        self.net.servers().len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The files of its TLS, if it has that.
    #[must_use]
    pub fn tls(&self) -> Option<&TlsFiles> {
        self.tls.as_ref()
    }

    /// The host name that node `number` announces, if it does.
    #[must_use]
    pub fn name(&self, number: usize) -> Option<String> {
        let pattern = self.options.names.as_ref()?;
        Some(pattern.replace("NUMBER", &(number + 1).to_string()))
    }

    /// The lines of a store block: the mode and each node as a server, and TLS where there is some.
    #[must_use]
    pub fn directives(&self) -> String {
        let mut text = "mode cluster;\n".to_owned();
        for node in self.net.servers() {
            let _ = writeln!(text, "server {};", node.address());
        }
        if let Some(tls) = &self.tls {
            let _ = writeln!(
                text,
                "tls on;\ntls_trusted_certificate {};",
                tls.authority.display()
            );
        }
        text
    }

    /// The id of node `number`.
    ///
    /// # Panics
    ///
    /// If it can't be asked.
    #[must_use]
    #[track_caller]
    pub fn id(&self, number: usize) -> String {
        self.node(number).command(&["CLUSTER", "MYID"])
    }

    /// What node `number` knows of the cluster; `None` if it can't be asked.
    #[must_use]
    pub fn view(&self, number: usize) -> Option<Vec<KnownNode>> {
        let node = self.node(number);
        let nodes: RedisResult<String> = node.try_command(&["CLUSTER", "NODES"]);
        nodes.ok().map(|text| view::parse(&text))
    }

    /// What each node that is well says of itself, with its number.
    fn selves(&self) -> Vec<(usize, KnownNode)> {
        let well = (0..self.len()).filter(|&number| self.node(number).is_well());
        let itself = |number| {
            let mut view = self.view(number)?.into_iter();
            Some((number, view.find(|node| node.is("myself"))?))
        };
        well.filter_map(itself).collect()
    }

    /// The nodes that are well and masters with slots.
    #[must_use]
    pub fn masters(&self) -> Vec<usize> {
        let mut selves = self.selves();
        selves.retain(|(_, node)| node.is("master") && !node.slots.is_empty());
        selves.into_iter().map(|(number, _)| number).collect()
    }

    /// The nodes that are well and replicas of `master`.
    #[must_use]
    pub fn replicas_of(&self, master: usize) -> Vec<usize> {
        // Its id is known to the others where it can't be asked itself.
        let ip = self.node(master).ip().to_string();
        let selves = self.selves();
        let views = selves.iter().filter_map(|(number, _)| self.view(*number));
        let known = views.flatten().find(|node| node.ip == ip);
        let id = known.map(|node| node.id);
        let of_it = selves
            .into_iter()
            .filter(|(_, node)| id.is_some() && node.master == id);
        of_it.map(|(number, _)| number).collect()
    }

    /// The node that has `slot`: of those that are well and say so, the one of the latest epoch. `None` if there is none.
    #[must_use]
    pub fn owner_of(&self, slot: u16) -> Option<usize> {
        let owners = self.selves().into_iter().filter(|(_, node)| node.has(slot));
        owners
            .max_by_key(|(_, node)| node.epoch)
            .map(|(number, _)| number)
    }

    /// The node that has `slot`.
    ///
    /// # Panics
    ///
    /// If none has it within 30 s.
    #[must_use]
    #[track_caller]
    pub fn master_of(&self, slot: u16) -> usize {
        let owner = self.eventually_reminded(|| self.owner_of(slot));
        owner.unwrap_or_else(|| {
            let views: Vec<_> = (0..self.len()).map(|number| self.view(number)).collect();
            panic!("nobody has slot {slot}: {views:#?}")
        })
    }

    /// A key that begins so and whose slot node `number` has now.
    ///
    /// # Panics
    ///
    /// If it has no slots.
    #[must_use]
    #[track_caller]
    pub fn key_at(&self, number: usize, start: &str) -> String {
        let view = self.view(number).unwrap_or_default();
        let itself = view.into_iter().find(|node| node.is("myself"));
        let itself = itself.filter(|node| !node.slots.is_empty());
        let itself = itself.unwrap_or_else(|| panic!("node {number} has no slots"));
        let mut keys = (0..).map(|nth: u64| format!("{start}{nth}"));
        let found = keys.find(|key| itself.has(slot_of(key.as_bytes())));
        found.unwrap_or_default()
    }

    /// Runs one command at the node that has the slot of `key`.
    ///
    /// # Panics
    ///
    /// If it answers with an error.
    #[track_caller]
    pub fn command_for<T: FromRedisValue>(&self, key: &str, words: &[&str]) -> T {
        self.node(self.master_of(slot_of(key.as_bytes())))
            .command(words)
    }

    /// Sets a key at its node.
    #[track_caller]
    pub fn set(&self, key: &str, value: &str) {
        let _: () = self.command_for(key, &["SET", key, value]);
    }

    /// Writes a record at its node, as [`crate::Redis::put`] does.
    ///
    /// # Panics
    ///
    /// If that fails.
    #[track_caller]
    pub fn put(&self, key: &str, record: &Record, seconds: i64) {
        let node = self.node(self.master_of(slot_of(key.as_bytes())));
        let written = node.query(|connection| record.write(connection, key, seconds));
        written.expect("a record written");
    }

    /// Reads a record from its node; `None` if there is no such key.
    ///
    /// # Panics
    ///
    /// If it can't be read.
    #[must_use]
    #[track_caller]
    pub fn get(&self, key: &str) -> Option<Record> {
        let node = self.node(self.master_of(slot_of(key.as_bytes())));
        let read = node.query(|connection| Record::read(connection, key));
        read.expect("a record read")
    }

    /// Waits until `key` is there: a record is stored after the client has its answer.
    #[track_caller]
    pub fn wait_for_record(&self, key: &str) -> Record {
        let mut found = None;
        wait_for(&format!("record {key}"), PATIENCE, || {
            found = self.get(key);
            found.is_some()
        });
        found.unwrap_or_default()
    }

    /// All keys of all masters that are well, sorted.
    #[must_use]
    pub fn keys(&self) -> Vec<String> {
        let masters = self.masters().into_iter();
        let keys: BTreeSet<_> = masters
            .flat_map(|number| self.node(number).keys())
            .collect();
        keys.into_iter().collect()
    }

    /// Removes all keys of all masters that are well.
    #[track_caller]
    pub fn flush_all(&self) {
        for number in self.masters() {
            let _: () = self.node(number).command(&["FLUSHALL"]);
        }
    }

    /// How often all nodes that are well together carried out `command`: `cluster|slots`, `asking`, `hmget`.
    #[must_use]
    pub fn calls(&self, command: &str) -> usize {
        self.net
            .servers()
            .iter()
            .filter(|node| node.is_well())
            .map(|node| node.calls(command))
            .sum()
    }
}
