//! The store under the site: one Redis, a Redis Cluster, or a master with Sentinels.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::sync::Mutex;

use testbed::{Proxy, Redis, RedisCluster, Sentinels};

/// How many connections a worker may have to a node: `connections` of the store block.
pub const CONNECTIONS: usize = 2;

/// One server, behind a proxy.
#[derive(Debug)]
pub struct Standalone {
    /// The server.
    pub redis: Mutex<Redis>,
    /// The only way to it.
    pub proxy: Proxy,
}

/// The store.
#[derive(Debug)]
pub enum Store {
    /// One server.
    Standalone(Box<Standalone>),
    /// Three masters and three replicas.
    Cluster(RedisCluster),
    /// A master, two replicas, three Sentinels.
    Sentinel(Sentinels),
}

impl Store {
    /// Starts one of this mode; `None` if there is no such mode.
    pub fn start(mode: &str) -> Option<Store> {
        Some(match mode {
            "standalone" => {
                let redis = Redis::start();
                let proxy = Proxy::start(&redis.address());
                Store::Standalone(Box::new(Standalone {
                    redis: Mutex::new(redis),
                    proxy,
                }))
            }
            "cluster" => Store::Cluster(RedisCluster::start()),
            "sentinel" => Store::Sentinel(Sentinels::start()),
            _ => return None,
        })
    }

    /// The directives of the store block.
    pub fn directives(&self) -> String {
        let place = match self {
            Store::Standalone(one) => format!("server {};\n", one.proxy.address()),
            Store::Cluster(cluster) => cluster.directives(),
            Store::Sentinel(sentinels) => sentinels.directives(),
        };
        format!(
            "{place}connect_timeout 200ms; send_timeout 200ms; read_timeout 200ms;\n\
             connections {CONNECTIONS};\n"
        )
    }

    /// All keys.
    pub fn keys(&self) -> Vec<String> {
        match self {
            Store::Standalone(one) => one.redis.lock().expect("Redis").keys(),
            Store::Cluster(cluster) => cluster.keys(),
            Store::Sentinel(sentinels) => sentinels.server(sentinels.wait_for_master()).keys(),
        }
    }

    /// The keys that would stay for ever. There must be none.
    pub fn keys_without_expiry(&self) -> Vec<String> {
        let mut keys = self.keys();
        keys.retain(|key| match self {
            Store::Standalone(one) => one.redis.lock().expect("Redis").pttl(key) == -1,
            Store::Cluster(cluster) => cluster.command_for::<i64>(key, &["PTTL", key]) == -1,
            Store::Sentinel(sentinels) => sentinels.command::<i64>(&["PTTL", key]) == -1,
        });
        keys
    }

    /// Who has which slot now, by name.
    pub fn owners(&self) -> impl Fn(u16) -> String + use<> {
        let slots: Vec<(RangeInclusive<u16>, String)> = match self {
            Store::Standalone(_) => vec![(0..=u16::MAX, "redis".to_owned())],
            Store::Sentinel(_) => vec![(0..=u16::MAX, "master".to_owned())],
            Store::Cluster(cluster) => {
                let mut all = Vec::new();
                for number in cluster.masters() {
                    let view = cluster.view(number).unwrap_or_default();
                    let itself = view.into_iter().find(|node| node.is("myself"));
                    let slots = itself.into_iter().flat_map(|node| node.slots);
                    all.extend(slots.map(|slots| (slots, format!("node {number}"))));
                }
                all
            }
        };
        move |slot| {
            let found = slots.iter().find(|(range, _)| range.contains(&slot));
            found.map_or_else(|| "nobody".to_owned(), |(_, name)| name.clone())
        }
    }

    /// The most connections that each node has seen.
    pub fn most_connections(&self) -> BTreeMap<String, usize> {
        let (kind, net) = match self {
            Store::Standalone(one) => {
                let most = one.proxy.most_open_for(&testbed::Peers::All);
                return [("redis".to_owned(), most)].into();
            }
            Store::Cluster(cluster) => ("node", cluster.net()),
            Store::Sentinel(sentinels) => ("server", sentinels.net()),
        };
        let count = net.servers().len();
        let most =
            (0..count).map(|number| (format!("{kind} {number}"), net.most_clients_of(number)));
        most.collect()
    }

    /// What servers say of their calls that is of interest.
    pub fn calls(&self) -> String {
        let Store::Cluster(cluster) = self else {
            return String::new();
        };
        let call = |name: &str| format!("{name} {}", cluster.calls(name));
        ["cluster|slots", "asking", "hmget"].map(call).join(", ")
    }
}
