//! Several redis-servers that belong together: a Redis Cluster, or a master with replicas and Sentinels.

mod cluster;
mod login;
mod net;
mod sentinels;
mod server;

pub use cluster::{
    ClusterOptions, Failover, KnownNode, Moved, RedisCluster, SLOTS, SlotMove, slot_of,
};
pub use login::{Login, TlsFiles};
pub use net::{Net, Side};
pub use sentinels::{SentinelOptions, Sentinels};
pub use server::Server;
